"""What a notebook shows of found runs, repeats and verdicts."""

from __future__ import annotations

from typing import Any

from mainspring.ground.objects import Run, RunStatus
from mainspring.workspace.found import Runs
from mainspring.workspace.repeating import compare


class Printer:
    told = ""

    def text(self, told: str) -> None:
        self.told += told


def text_of(value: Any) -> str:
    printer = Printer()
    value._repr_pretty_(printer, cycle=False)
    return printer.told


def test_found_runs_are_a_table_of_what_most_of_them_have() -> None:
    rare = [{f"p{n}{k}": "x" for k in range(9)} for n in range(3)]
    runs = Runs(
        [
            Run(
                id=f"run_{n}", experiment="e", name=f"<b>{n}</b>", status=RunStatus.FINISHED,
                started=0.0, ended=1.0, params={"lr": str(n), **rare[n]},
                metrics={"auc": n / 8, "system/cpu_percent": 3.0},
            )
            for n in range(3)
        ]
    )  # fmt: skip
    text = text_of(runs)
    header = text.splitlines()[1].split()
    assert text.startswith("3 runs\n")
    assert header[:5] == ["name", "id", "status", "started", "(UTC)"]
    assert {"lr", "auc"} <= set(header)
    assert "system/cpu_percent" not in header
    assert len(header) <= 6 + 8 + 1
    assert "<b>" not in runs._repr_html_()
    assert "&lt;b&gt;1&lt;/b&gt;" in runs._repr_html_()
    assert Runs([])._repr_html_() == "<div><strong>0 runs</strong></div>"


def test_a_verdict_shows_its_words_and_its_figures() -> None:
    a, b = [0.9, 0.91, 0.92, 0.9], [0.7, 0.71, 0.72, 0.7]
    found = compare(a, b, metric="auc", better="higher", names=("new", "<old>"))
    assert text_of(found).startswith(found.words)
    assert "95 % interval" in found._repr_html_()
    assert "<old>" not in found._repr_html_()
