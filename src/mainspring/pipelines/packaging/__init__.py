"""Write what an image is built from: a Containerfile, pinned packages, our own wheel.

All of it is text and bytes that follow from what is packaged, so that the same version gives the
same folder. Read first: ``containerfile.py``, ``pins.py``, ``wheel.py``.
"""
