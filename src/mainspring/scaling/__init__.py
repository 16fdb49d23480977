"""Scaling: turn a fitted model into bytes that serve anywhere, and serve them.

Three parts. :mod:`~mainspring.scaling.models` says what a model is as bytes;
:mod:`~mainspring.scaling.training` and :mod:`~mainspring.scaling.serving` both know it, and
never know each other.

Read first: ``models/model.py``, ``serving/app.py``, ``serving/capture.py``.
"""
