"""Experiments: what was tried, with which params, and what came of it.

Read first: :mod:`runs` (a run from start to end), :mod:`metrics` (points and latest values),
:mod:`journal` and :mod:`folding` (how a script's runs come here), :mod:`groups` (experiments),
:mod:`artifacts` (files), :mod:`tables` (how they are kept). Then by subject: :mod:`filters` and
:mod:`finding` (search), :mod:`compare`, :mod:`capture` (what a run was made of),
:mod:`datasets` and :mod:`logged` (what went in, and the models that came out),
:mod:`families` (repeats and tunings), :mod:`autolog`.
"""
