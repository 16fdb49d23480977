"""Break a copy of a home on purpose, and see whether it keeps its promises all the same.

:mod:`copying` makes the copy and takes from it everything that reaches outside. :mod:`load` is a
process that writes rows and labels and says what was acknowledged. :mod:`rounds` kills it and the
engine with SIGKILL at moments drawn by a seed, and asks after every death.
"""
