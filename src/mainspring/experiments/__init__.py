"""Experiments: what was tried, with which params, and what came of it.

Read first: :mod:`runs` (a run from start to end), :mod:`metrics` (points and latest values),
:mod:`journal` and :mod:`folding` (how a script's runs come here),
:mod:`groups` (experiments), :mod:`finding` (search), :mod:`artifacts` (files),
:mod:`tables` (how they are kept).
"""
