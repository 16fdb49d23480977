"""Write metrics as Prometheus reads them: families of samples, text format 0.0.4."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from mainspring.ground.records import Record

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_TYPE = re.compile(r"# TYPE (\S+) (\S+)")
_HELP = re.compile(r"# HELP (\S+) (.*)")
_SAMPLE = re.compile(r"([a-zA-Z_:][a-zA-Z0-9_:]*)(\{.*\})? (\S+)")


class Family(Record, frozen=True, kw_only=True):
    """A metric with all its samples."""

    name: str
    kind: str  #: counter, gauge or histogram
    told: str = ""  #: what it counts, in a sentence
    lines: list[str] = []


def gauge(
    name: str, told: str, rows: Iterable[tuple[Mapping[str, str], float]], kind: str = "gauge"
) -> Family:
    """Return a family of plain samples: (labels, value)."""
    lines = [sample(name, labels, value) for labels, value in rows]
    return Family(name=name, kind=kind, told=told, lines=lines)


def sample(name: str, labels: Mapping[str, str], value: float) -> str:
    r"""Return one sample.

    >>> sample("up", {"endpoint": 'a"b'}, 1)
    'up{endpoint="a\\"b"} 1'
    """
    inner = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
    return f"{name}{{{inner}}} {_number(value)}" if inner else f"{name} {_number(value)}"


def histogram(
    name: str,
    told: str,
    rows: Iterable[tuple[Mapping[str, str], Sequence[int], float]],
    edges: Sequence[float],
) -> Family:
    """Return a family of histograms: (labels, counts of each bucket, sum).

    There is one count more than there are edges: of what lies beyond the last.

    >>> one = histogram("took", "Seconds.", [({"of": "a"}, [1, 2, 0], 0.4)], [0.1, 0.5])
    >>> one.lines[1], one.lines[-1]
    ('took_bucket{of="a",le="0.5"} 3', 'took_count{of="a"} 3')
    """
    lines = []
    for labels, counts, total in rows:
        seen = 0
        for edge, count in zip((*(f"{edge:.6g}" for edge in edges), "+Inf"), counts, strict=True):
            seen += count
            lines.append(sample(f"{name}_bucket", {**labels, "le": edge}, seen))
        lines.append(sample(f"{name}_sum", labels, round(total, 9)))
        lines.append(sample(f"{name}_count", labels, seen))
    return Family(name=name, kind="histogram", told=told, lines=lines)


def text_of(families: Sequence[Family]) -> str:
    """Return families as one text, each once: those of one name stand together."""
    joined: dict[str, Family] = {}
    for one in families:
        before = joined.get(one.name)
        joined[one.name] = (
            one
            if before is None
            else Family(
                name=one.name,
                kind=before.kind,
                told=before.told or one.told,
                lines=[*before.lines, *one.lines],
            )
        )
    out: list[str] = []
    for one in joined.values():
        if one.told:
            out.append(f"# HELP {one.name} {_said(one.told)}")
        out += [f"# TYPE {one.name} {one.kind}", *one.lines]
    return "\n".join(out) + "\n"


def read(text: str) -> list[Family]:
    """Return the families of a text that another process wrote; other lines are left out."""
    found: list[Family] = []
    told: dict[str, str] = {}
    for line in text.split("\n"):
        if words := _HELP.fullmatch(line):
            told[words[1]] = _unescaped(words[2])
        elif kind := _TYPE.fullmatch(line):
            name = kind[1]
            found.append(Family(name=name, kind=kind[2], told=told.get(name, ""), lines=[]))
        elif found and (one := _SAMPLE.fullmatch(line)) and one[1].startswith(found[-1].name):
            found[-1].lines.append(line)
    return found


def _number(value: float) -> str:
    if isinstance(value, int):
        return str(int(value))  # True is 1
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    return repr(value)


def _said(text: str) -> str:
    """Return a text as it stands behind HELP, where quotes are as they are."""
    return text.replace("\\", r"\\").replace("\n", r"\n")


def _unescaped(text: str) -> str:
    return re.sub(r"\\(.)", lambda one: "\n" if one[1] == "n" else one[1], text)


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
