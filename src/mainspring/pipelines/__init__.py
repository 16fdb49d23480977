"""Pipelines: steps that are run once and reused for as long as nothing they depend on changes.

Read first: :mod:`declare` (what a user writes), :mod:`graph` (what it is traced to),
:mod:`runs` (what is run, what is reused, and why), :mod:`child` (a step in its own process).
Then by subject:

* reuse: :mod:`keys` (what a result depends on), :mod:`code` (of which the project's own is one),
  :mod:`declared` (files and variables), :mod:`why` (the same in words);
* shapes that come at run time: :mod:`shaping` (the words: map, when, iterate, catch, waits),
  :mod:`controls` (what a controller does next), :mod:`growing` (the rows of a growing graph);
* what steps take and give: :mod:`outputs`, :mod:`data` (versions of what lies in files),
  :mod:`secrets`, :mod:`checkpoints` (how far a long step is);
* steps that are no function: :mod:`programs`; the whole as an image: :mod:`packaging`;
* looked at: :mod:`reading`, :mod:`history`, :mod:`lineage`, :mod:`picture`, :mod:`gantt`;
* read without being run: :mod:`lint`, :mod:`unused`, :mod:`fickle`.
"""
