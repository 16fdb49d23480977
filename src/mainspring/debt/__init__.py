"""Debt: what a model owes its readers, and what a team will pay for later.

Read first: :mod:`scan` (the findings and what each weighs), :mod:`finders` (one file a family of
debt: pure questions to frozen facts), :mod:`score` (the 28 tests of the ML Test Score) and
:mod:`cards` (cards of models and sheets of data, written from records).
"""
