"""What an endpoint understands: one protocol a file, each a table of routes.

A protocol turns a request into raw columns (:class:`~..requests.Asked`), asks
``app.predict`` and writes the answer as its clients expect it. Read first: ``calls.py``.
"""
