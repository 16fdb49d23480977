"""Steps that are no Python function: shell commands, scripts in SageMaker's manner, notebooks.

Read first: :mod:`program` (what the kinds share), then :mod:`shell`, :mod:`script` and
:mod:`notebook`; :mod:`placing` puts values into files, :mod:`launching` runs a command.
"""
