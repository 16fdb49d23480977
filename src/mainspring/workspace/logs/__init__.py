"""What every process wrote: found by time, process, run, endpoint and text; rules that alarm.

``ground/logs.py`` writes. Read first: ``lines.py`` (what can be asked, what is answered), then
``reading.py`` (how a million lines are searched in a second), then ``rules.py``.
"""
