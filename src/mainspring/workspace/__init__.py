"""A place to work: the store, the objects, the captures, wired to the rooms.

The only package that names a backend. Read first: :mod:`opening` (what a workspace holds),
:mod:`handlers` (which room carries out which command), :mod:`scans` (what the engine looks
for), :mod:`acts` (what people do by hand). Then by subject: :mod:`tracking` (a script's runs),
:mod:`families` (repeats, tunings), :mod:`queue`, :mod:`keeping` (delete, reclaim, retain),
:mod:`archive` and :mod:`importing` (projects in and out), :mod:`views` (what is shown).
"""
