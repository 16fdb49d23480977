"""Mainspring: the whole MLOps loop in one package.

The public names are loaded on first use, so that ``import mainspring`` costs next to
nothing: the verbs live in :mod:`mainspring.sdk`, the idea in :mod:`mainspring.loop`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mainspring.ground.version import __version__ as __version__

if TYPE_CHECKING:
    from mainspring.experiments.trial import Pruned as Pruned
    from mainspring.experiments.trial import trial as trial
    from mainspring.pipelines.checkpoints import Checkpoint as Checkpoint
    from mainspring.pipelines.checkpoints import checkpoint as checkpoint
    from mainspring.pipelines.checkpoints import last_checkpoint as last_checkpoint
    from mainspring.pipelines.context import heartbeat as heartbeat
    from mainspring.pipelines.context import run_id as run_id
    from mainspring.pipelines.context import scheduled_at as scheduled_at
    from mainspring.pipelines.context import seed as seed
    from mainspring.pipelines.options import Retry as Retry
    from mainspring.pipelines.programs.handing import hand_back as hand_back
    from mainspring.pipelines.programs.notebook import notebook as notebook
    from mainspring.pipelines.programs.program import Program as Program
    from mainspring.pipelines.programs.script import script as script
    from mainspring.pipelines.programs.shell import shell as shell
    from mainspring.pipelines.ranks import rank as rank
    from mainspring.pipelines.ranks import world_size as world_size
    from mainspring.sdk import Assumption as Assumption
    from mainspring.sdk import Card as Card
    from mainspring.sdk import Contract as Contract
    from mainspring.sdk import Dynamic as Dynamic
    from mainspring.sdk import Expect as Expect
    from mainspring.sdk import Facet as Facet
    from mainspring.sdk import Finding as Finding
    from mainspring.sdk import FittedModel as FittedModel
    from mainspring.sdk import Freeze as Freeze
    from mainspring.sdk import Gate as Gate
    from mainspring.sdk import Graph as Graph
    from mainspring.sdk import Loop as Loop
    from mainspring.sdk import Model as Model
    from mainspring.sdk import Monitor as Monitor
    from mainspring.sdk import OnnxModel as OnnxModel
    from mainspring.sdk import Pipeline as Pipeline
    from mainspring.sdk import Predictor as Predictor
    from mainspring.sdk import Ref as Ref
    from mainspring.sdk import Retraining as Retraining
    from mainspring.sdk import Rollout as Rollout
    from mainspring.sdk import Runs as Runs
    from mainspring.sdk import Step as Step
    from mainspring.sdk import catch as catch
    from mainspring.sdk import choose as choose
    from mainspring.sdk import compare as compare
    from mainspring.sdk import current_run as current_run
    from mainspring.sdk import dynamic as dynamic
    from mainspring.sdk import iterate as iterate
    from mainspring.sdk import log as log
    from mainspring.sdk import map as map  # noqa: A004
    from mainspring.sdk import monitor as monitor
    from mainspring.sdk import open as open  # noqa: A004
    from mainspring.sdk import parallel as parallel
    from mainspring.sdk import pipeline as pipeline
    from mainspring.sdk import register as register
    from mainspring.sdk import rows as rows
    from mainspring.sdk import run as run
    from mainspring.sdk import run_pipeline as run_pipeline
    from mainspring.sdk import search as search
    from mainspring.sdk import step as step
    from mainspring.sdk import wait as wait
    from mainspring.sdk import wait_for_approval as wait_for_approval
    from mainspring.sdk import wait_for_callback as wait_for_callback
    from mainspring.sdk import wait_for_event as wait_for_event
    from mainspring.sdk import wait_until as wait_until
    from mainspring.sdk import when as when
    from mainspring.workspace.autologging import autolog as autolog
    from mainspring.workspace.backtests.asking import AlarmRule as AlarmRule
    from mainspring.workspace.backtests.asking import backtest as backtest
    from mainspring.workspace.backtests.asking import watch as watch
    from mainspring.workspace.contracts import check as check
    from mainspring.workspace.contracts import load_contract as load_contract
    from mainspring.workspace.contracts import save_contract as save_contract
    from mainspring.workspace.contracts import suggest_contract as suggest_contract
    from mainspring.workspace.data.verbs import add_data as add_data
    from mainspring.workspace.data.verbs import data as data
    from mainspring.workspace.dropping import delete as delete
    from mainspring.workspace.dropping import restore as restore
    from mainspring.workspace.elsewhere import check_window as check_window
    from mainspring.workspace.elsewhere import create_monitor as create_monitor
    from mainspring.workspace.elsewhere import feed as feed
    from mainspring.workspace.inputs import monitor_data as monitor_data
    from mainspring.workspace.lineage.asking import lineage as lineage
    from mainspring.workspace.profiling import merge_profiles as merge_profiles
    from mainspring.workspace.profiling import profile as profile
    from mainspring.workspace.repeating import repeat as repeat
    from mainspring.workspace.repeating import versus as versus
    from mainspring.workspace.reports.comparison import compare_data as compare_data
    from mainspring.workspace.results import result as result
    from mainspring.workspace.series import series as series
    from mainspring.workspace.tuning import tune as tune


_PUBLIC = (
    "AlarmRule",
    "Assumption",
    "Card",
    "Checkpoint",
    "Contract",
    "Dynamic",
    "Expect",
    "Facet",
    "Finding",
    "FittedModel",
    "Freeze",
    "Gate",
    "Graph",
    "Loop",
    "Model",
    "Monitor",
    "OnnxModel",
    "Pipeline",
    "Predictor",
    "Program",
    "Pruned",
    "Ref",
    "Retraining",
    "Retry",
    "Rollout",
    "Runs",
    "Step",
    "add_data",
    "autolog",
    "backtest",
    "catch",
    "check",
    "check_window",
    "checkpoint",
    "choose",
    "compare",
    "compare_data",
    "create_monitor",
    "current_run",
    "data",
    "delete",
    "dynamic",
    "feed",
    "hand_back",
    "heartbeat",
    "iterate",
    "last_checkpoint",
    "lineage",
    "load_contract",
    "log",
    "map",
    "merge_profiles",
    "monitor",
    "monitor_data",
    "notebook",
    "open",
    "parallel",
    "pipeline",
    "profile",
    "rank",
    "register",
    "repeat",
    "restore",
    "result",
    "rows",
    "run",
    "run_id",
    "run_pipeline",
    "save_contract",
    "scheduled_at",
    "script",
    "search",
    "seed",
    "series",
    "shell",
    "step",
    "suggest_contract",
    "trial",
    "tune",
    "versus",
    "wait",
    "wait_for_approval",
    "wait_for_callback",
    "wait_for_event",
    "wait_until",
    "watch",
    "when",
    "world_size",
)
#: Public names that a script may want alone, and where they are: the rest is not loaded for them.
_LIGHT = {
    "Graph": "mainspring.scaling.models.stages",
    "OnnxModel": "mainspring.scaling.models.directories",
    "Predictor": "mainspring.scaling.models.directories",
    "register": "mainspring.workspace.adding",
    "Retry": "mainspring.pipelines.options",
    "heartbeat": "mainspring.pipelines.context",
    "run_id": "mainspring.pipelines.context",
    "seed": "mainspring.pipelines.context",
    # A step's own environment need not have what the rest of ours needs.
    **dict.fromkeys(("Pipeline", "Ref", "Step", "pipeline", "step"), "mainspring.workspace.words"),
    **dict.fromkeys(
        ("catch", "choose", "iterate", "map", "parallel", "run_pipeline", "when"),
        "mainspring.pipelines.shaping",
    ),
    **dict.fromkeys(("Dynamic", "dynamic"), "mainspring.pipelines.dynamics"),
    **dict.fromkeys(
        ("wait", "wait_for_approval", "wait_for_callback", "wait_for_event", "wait_until"),
        "mainspring.pipelines.waits",
    ),
    **dict.fromkeys(("current_run", "log", "run"), "mainspring.workspace.tracking.verbs"),
    **dict.fromkeys(("Pruned", "trial"), "mainspring.experiments.trial"),
    **dict.fromkeys(("Runs", "compare", "search"), "mainspring.workspace.found"),
    **dict.fromkeys(("repeat", "versus"), "mainspring.workspace.repeating"),
    **dict.fromkeys(("merge_profiles", "profile"), "mainspring.workspace.profiling"),
    **dict.fromkeys(
        ("check", "load_contract", "save_contract", "suggest_contract"),
        "mainspring.workspace.contracts",
    ),
    **dict.fromkeys(("Contract", "Expect"), "mainspring.ground.contracts"),
    "result": "mainspring.workspace.results",
    "series": "mainspring.workspace.series",
    **dict.fromkeys(("AlarmRule", "backtest", "watch"), "mainspring.workspace.backtests.asking"),
    **dict.fromkeys(("check_window", "create_monitor", "feed"), "mainspring.workspace.elsewhere"),
    "monitor_data": "mainspring.workspace.inputs",
    "autolog": "mainspring.workspace.autologging",
    "add_data": "mainspring.workspace.data.verbs",
    "data": "mainspring.workspace.data.verbs",
    "compare_data": "mainspring.workspace.reports.comparison",
    "scheduled_at": "mainspring.pipelines.context",
    "lineage": "mainspring.workspace.lineage.asking",
    "tune": "mainspring.workspace.tuning",
    **dict.fromkeys(("delete", "restore"), "mainspring.workspace.dropping"),
    "Program": "mainspring.pipelines.programs.program",
    "hand_back": "mainspring.pipelines.programs.handing",
    "notebook": "mainspring.pipelines.programs.notebook",
    "script": "mainspring.pipelines.programs.script",
    "shell": "mainspring.pipelines.programs.shell",
    **dict.fromkeys(("rank", "world_size"), "mainspring.pipelines.ranks"),
    **dict.fromkeys(
        ("Checkpoint", "checkpoint", "last_checkpoint"), "mainspring.pipelines.checkpoints"
    ),
}


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'mainspring' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_LIGHT.get(name, "mainspring.sdk")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted((*globals(), *_PUBLIC))
