"""The checks of the gate, one file each: ``check(inputs, policy)`` returns what it found.

A check that has nothing to say returns no result. A new check is a file here and a line in
``gate.CHECKS``.
"""
