"""Debt: what a model owes its readers. The card, and what is still missing from it."""
