"""A project as one file: written from one home, read into another, whatever its database.

Read first: :mod:`contents` (what is in it and what never is), :mod:`form` (the file),
:mod:`writing` (export), :mod:`reading` (is it whole?), :mod:`merging` (its rows beside ours).
"""
