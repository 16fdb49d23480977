"""Reports: two tables beside each other, one window beside its baseline, as one file.

Read first: :mod:`comparison` (the object that ``ms.compare_data`` gives), :mod:`comparing` (how
two tables are compared), :mod:`document` (what a report is made of), :mod:`onefile` (how it
becomes HTML that needs nothing from elsewhere).
"""
