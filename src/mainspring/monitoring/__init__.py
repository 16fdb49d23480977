"""Watch what an endpoint is asked, what it answers and what turned out to be true.

A monitor cuts captured traffic into windows, compares each with the champion's baseline, joins
labels as they come, and raises an alarm only where it is certain, it matters, and the model
listens. What follows from an alarm is not decided here.

Read first: :mod:`judge` (what a window is put through), :mod:`drift` (when a shift is an
alarm), :mod:`labels` (how the truth arrives late).
"""
