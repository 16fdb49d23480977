from __future__ import annotations

from mainspring.experiments.compare import compare
from mainspring.experiments.comparison import page
from mainspring.ground.objects import Run, RunStatus


def test_a_comparison_shows_a_column_a_run_and_escapes_it() -> None:
    runs = [
        Run(
            id=f"run_{n}", experiment="e", name=f"<i>{n}</i>", status=RunStatus.FINISHED,
            started=0.0, params={"lr": str(n), "same": "1"}, metrics={"auc": n / 4},
        )
        for n in (1, 2)
    ]  # fmt: skip
    found = compare(runs)
    text = page(found).text()
    assert text.startswith("2 runs compared\nruns:\n")
    assert "params that differ:\n      <i>1</i>  <i>2</i>\n  lr  1         2\n" in text
    assert "auc  0.25      0.5" in text
    assert "params all have alike:\n  same  1" in text
    shown = found._repr_html_()
    assert "<i>" not in shown
    assert "&lt;i&gt;1&lt;/i&gt;" in shown
