"""Training beyond one process: kept apart from serving, with which it shares only models."""
