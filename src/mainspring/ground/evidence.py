"""The record of what was tried or measured: what gate, checklist, score and debt rest on."""

from __future__ import annotations

from typing import Any

from mainspring.ground.records import Record


class Evidence(Record, frozen=True, kw_only=True):
    """Something that was tried or measured, when, and what came of it.

    ``subject`` is ``model/number``, ``model:NAME``, ``pipeline:MODULE:FUNCTION``,
    ``endpoint:NAME`` or ``project``. ``opens`` names what can be opened: ``run:ID``, ``gate:ID``,
    ``artifact:DIGEST``, ``alarm:ID``, ``decision:ID``, ``evidence:ID`` or the path of a page.
    """

    id: str
    kind: str  #: one word, such as load, tests, approval, rollback_drill
    subject: str
    passed: bool | None  #: None: measured, and nothing was judged
    found: str  #: one sentence, with figures
    at: float  #: wall time: evidence ages by the wall clock, never by event time
    by: str
    automatic: bool = True  #: False: done by hand
    code: str = ""  #: digest of the code it holds for; blank where it depends on none
    detail: dict[str, Any] = {}  #: figures; what is big is an object, named by its digest
    opens: list[str] = []
