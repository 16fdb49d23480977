"""Mainspring: the whole MLOps loop in one package.

The public names are loaded on first use, so that ``import mainspring`` costs next to
nothing: the verbs live in :mod:`mainspring.sdk`, the idea in :mod:`mainspring.loop`.
"""

__version__ = "0.1.0"
