"""The demo: the whole loop on a year of real flights, with nothing scripted but the calendar.

Read first: :mod:`story` (what happens in which order), :mod:`traffic` (the replay over HTTP),
:mod:`results` (the model that never changed against the loop).
"""
