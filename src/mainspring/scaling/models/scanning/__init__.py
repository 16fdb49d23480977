"""Look through the files of a package for what could do harm, without loading any of them.

Read first: :mod:`whole` (a package, file by file), :mod:`pickles` (which names a pickle would
import and call, by walking its opcodes), :mod:`archives` (zip and tar: bombs, paths that lead
outside, links).
"""
