"""The ML Test Score of a model: 28 tests filled from what really ran, never from declarations.

Pure: ``facts`` is what the caller gathered, ``data``, ``model``, ``infra`` and ``monitoring`` hold
seven tests each, ``claims`` turns what they found into points, ``total`` adds them up.
"""
