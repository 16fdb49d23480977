"""The mathematics of the loop: pure functions on numpy arrays, without I/O, clock or state.

Everything here takes values and returns values, so each result can be checked by hand. The
readers of a window meet these modules in the order of the loop:

* what was seen: :mod:`~mainspring.numerics.frames` packs rows for the capture log,
  :mod:`~mainspring.numerics.histograms` counts them, :mod:`~mainspring.numerics.distances`
  says how far they moved and when that is certain,
  :mod:`~mainspring.numerics.relevance` which columns the model listens to;
* how good it is: :mod:`~mainspring.numerics.scores` gives losses and metrics,
  :mod:`~mainspring.numerics.intervals` how sure they are,
  :mod:`~mainspring.numerics.calibration` whether probabilities mean what they say;
* what to do: :mod:`~mainspring.numerics.regret` whether a retraining pays,
  :mod:`~mainspring.numerics.sequential` when to promote, roll back or alarm.

Read first: ``distances.py``, ``scores.py``, ``sequential.py``. Refusals are in ``errors.py``.
Nothing is imported here, so that one module can be used without paying for the others.
"""
