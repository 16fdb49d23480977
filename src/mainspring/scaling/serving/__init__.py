"""Serve versions over HTTP: check, score, answer, and record what was asked and said.

Read first: ``app.py`` (one endpoint), ``router.py`` (who answers a row), ``capture.py`` (the
log of rows and scores).
"""
