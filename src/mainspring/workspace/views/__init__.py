"""What is shown: gathered from the rooms, the same for pages, API and command line.

Read first: :mod:`shapes`. Each gather takes a workspace and reads in one transaction where it
can, so that what it shows belongs together.
"""
