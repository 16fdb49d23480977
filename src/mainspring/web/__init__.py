"""The doors over HTTP: ``api/`` (operations), ``pages/`` (the UI), ``mlflow/`` (the MLflow wire).

Read first: :mod:`app` (what is behind which path), :mod:`front` (what every request passes
through), :mod:`api.operations` (the table all of the API is made from).
"""
