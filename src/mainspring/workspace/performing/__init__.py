"""How a step is carried out: where there is room for it, by how many, with what it may know.

Read first: :mod:`step`. :mod:`room` holds cpus, memory and gpus; :mod:`gang` runs several
workers as one step.
"""
