"""The tools: what is installed for each, its project, and the commands that run it."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

STEPS, WIDE, BRANCHES = 20, 100, 4
ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Tool:
    """One contender. A command is None where the tool has no such thing."""

    distribution: str
    packages: list[str]
    files: dict[str, str]
    commands: Callable[[str], dict[str, list[str] | None]]  # given the environment's bin folder
    environ: dict[str, str] = field(default_factory=dict)  # {folder} stands for the project's
    first: Callable[[str], list[list[str]]] = lambda _: []  # before anything is measured
    note: str = ""


def _sized(text: str) -> str:
    for name, count in (("STEPS", STEPS), ("WIDE", WIDE), ("BRANCHES", BRANCHES)):
        text = text.replace(name, str(count))
    return text


# ---------------------------------------------------------------- ours

_OURS = _sized("""
import mainspring as ms
import work


@ms.step
def begin(seed: int) -> int:
    return work.add(seed, 0)


@ms.step
def add(value: int, number: int) -> int:
    return work.add(value, number)


@ms.step
def wait(number: int) -> int:
    return work.wait(number)


@ms.step
def total(values: list[int]) -> int:
    return sum(values)


@ms.pipeline
def chain(seed: int = 0):
    value = begin(seed)
    for number in range(1, STEPS):
        value = add(value, number)
    return value


@ms.pipeline
def fan(seed: int = 0):
    value = begin(seed)
    return total([add(value, 100 + number) for number in range(WIDE)])


@ms.pipeline
def branches():
    return total([wait(number) for number in range(BRANCHES)])
""")


def _ours(_: str) -> dict[str, list[str] | None]:
    run = [sys.executable, "-m", "mainspring", "run"]
    return {
        "chain": [*run, "chain"],
        "again": [*run, "chain"],
        "fan": [*run, "fan"],
        "branches": [*run, "branches"],
        "resume": [sys.executable, "-m", "mainspring", "resume", "last"],
    }


# ---------------------------------------------------------------- metaflow


def _metaflow_chain() -> str:
    lines = ["from metaflow import FlowSpec, step", "import work", "class Chain(FlowSpec):"]
    names = ["start", *(f"s{n}" for n in range(1, STEPS)), "end"]
    for number, name in enumerate(names[:-1]):
        before = "self.value" if number else "0"
        lines += ["    @step", f"    def {name}(self):"]
        lines += [f"        self.value = work.add({before}, {number})"]
        lines += [f"        self.next(self.{names[number + 1]})"]
    lines += ["    @step", "    def end(self):", "        pass"]
    return "\n".join([*lines, "if __name__ == '__main__':", "    Chain()", ""])


_METAFLOW_FAN = """from metaflow import FlowSpec, step
import work


class Fan(FlowSpec):
    @step
    def start(self):
        self.value = work.add(0, 0)
        self.numbers = list(range(WIDE))
        self.next(self.each, foreach="numbers")

    @step
    def each(self):
        self.made = CALL
        self.next(self.join)

    @step
    def join(self, inputs):
        self.total = sum(one.made for one in inputs)
        self.next(self.end)

    @step
    def end(self):
        pass


if __name__ == "__main__":
    Fan()
"""


def _metaflow(bin_: str) -> dict[str, list[str] | None]:
    def flow(file: str, *words: str) -> list[str]:
        return [f"{bin_}/python", file, "--no-pylint", *words]

    return {
        "chain": flow("chain.py", "run"),
        "again": flow("chain.py", "resume", "end"),
        "fan": flow("fan.py", "run", "--max-workers", "8"),
        "branches": flow("branches.py", "run", "--max-workers", "8"),
        "resume": flow("chain.py", "resume"),
    }


# ---------------------------------------------------------------- prefect

_PREFECT = _sized("""
import sys

from prefect import flow, task
from prefect.cache_policies import INPUTS

import work

add = task(work.add, name="add", cache_policy=INPUTS, persist_result=True)
wait = task(work.wait, name="wait", cache_policy=INPUTS, persist_result=True)


@flow
def chain():
    value = add(0, 0)
    for number in range(1, STEPS):
        value = add(value, number)
    return value


@flow
def fan():
    value = add(0, 0)
    made = [add.submit(value, 100 + number) for number in range(WIDE)]
    return sum(one.result() for one in made)


@flow
def branches():
    return sum(one.result() for one in [wait.submit(number) for number in range(BRANCHES)])


if __name__ == "__main__":
    print({"chain": chain, "fan": fan, "branches": branches}[sys.argv[1]]())
""")


def _prefect(bin_: str) -> dict[str, list[str] | None]:
    def flow(name: str) -> list[str]:
        return [f"{bin_}/python", "flows.py", name]

    return {
        "chain": flow("chain"),
        "again": flow("chain"),
        "fan": flow("fan"),
        "branches": flow("branches"),
        "resume": flow("chain"),
    }


# ---------------------------------------------------------------- dagster

_DAGSTER = _sized("""
from dagster import Definitions, DynamicOut, DynamicOutput, job, multiprocess_executor, op

import work

# Each step in a process of its own, forked from one that has imported the jobs: what its
# documentation advises where spawning a process a step, the default, takes too long.
forked = multiprocess_executor.configured(
    {"max_concurrent": 4, "start_method": {"forkserver": {"preload_modules": ["jobs"]}}}
)


def adding(number):
    @op(name=f"s{number}")
    def add(value: int) -> int:
        return work.add(value, number)

    return add


@op
def begin() -> int:
    return work.add(0, 0)


@op
def total(values: list[int]) -> int:
    return sum(values)


@op(out=DynamicOut(int))
def numbers(value: int):
    for number in range(WIDE):
        yield DynamicOutput(100 + number, mapping_key=str(number))


@op
def each(number: int) -> int:
    return work.add(0, number)


def waiting(number):
    @op(name=f"w{number}")
    def wait() -> int:
        return work.wait(number)

    return wait


@job(executor_def=forked)
def chain():
    value = begin()
    for number in range(1, STEPS):
        value = adding(number)(value)


@job(executor_def=forked)
def fan():
    total(numbers(begin()).map(each).collect())


@job(executor_def=forked)
def branches():
    total([waiting(number)() for number in range(BRANCHES)])


every = Definitions(jobs=[chain, fan, branches])
""")
_DAGSTER_RESUME = """
from dagster import DagsterInstance, ReexecutionOptions, execute_job, reconstructable

import jobs


def resume():
    with DagsterInstance.get() as instance:
        run = instance.get_runs(limit=1)[0]
        instance.report_run_failed(run)  # its process was killed: nobody else will say so
        told = ReexecutionOptions.from_failure(run.run_id, instance)
        job = reconstructable(jobs.chain)
        with execute_job(job, instance, reexecution_options=told) as result:
            raise SystemExit(not result.success)


if __name__ == "__main__":  # or each step's process, which imports this file, would resume it too
    resume()
"""


def _dagster(bin_: str) -> dict[str, list[str] | None]:
    def job(name: str) -> list[str]:
        return [f"{bin_}/dagster", "job", "execute", "-f", "jobs.py", "-a", "every", "-j", name]

    return {
        "chain": job("chain"),
        "again": None,
        "fan": job("fan"),
        "branches": job("branches"),
        "resume": [f"{bin_}/python", "resume.py"],
    }


# ---------------------------------------------------------------- zenml

_ZENML = _sized("""
import sys

from zenml import pipeline, step

import work


@step
def begin() -> int:
    return work.add(0, 0)


@step
def add(value: int, number: int) -> int:
    return work.add(value, number)


@step
def wait(number: int) -> int:
    return work.wait(number)


@step
def total(values: list[int]) -> int:
    return sum(values)


@pipeline
def chain():
    value = begin()
    for number in range(1, STEPS):
        value = add(value, number)


@pipeline
def branches():
    for number in range(BRANCHES):
        wait(number)


@pipeline
def fan():
    value = begin()
    made = [add(value, 100 + number, id=f"add_{number}") for number in range(WIDE)]
    begin(after=made, id="join")


if __name__ == "__main__":
    {"chain": chain, "branches": branches, "fan": fan}[sys.argv[1]]()
""")


def _zenml(bin_: str) -> dict[str, list[str] | None]:
    def pipeline(name: str) -> list[str]:
        return [f"{bin_}/python", "pipes.py", name]

    return {
        "chain": pipeline("chain"),
        "again": pipeline("chain"),
        "fan": pipeline("fan"),
        "branches": pipeline("branches"),
        "resume": pipeline("chain"),
    }


# ---------------------------------------------------------------- dvc, doit, snakemake: commands

_CHAIN = [("add", n, [f"c{n - 1}"] if n else [], f"c{n}") for n in range(STEPS)]
_FAN = [("add", 0, [], "f0"), *(("add", 100 + n, ["f0"], f"f{n + 1}") for n in range(WIDE))]
_FAN.append(("sum", 0, [f"f{n + 1}" for n in range(WIDE)], "fan"))
_WAITS = [("wait", n, [], f"w{n}") for n in range(BRANCHES)]
_WAITS.append(("sum", 0, [f"w{n}" for n in range(BRANCHES)], "branches"))
_RULES = {"chain": _CHAIN, "fan": _FAN, "branches": _WAITS}


def _words(rule: tuple[str, int, list[str], str]) -> str:
    what, number, inputs, output = rule
    # As quick as Python starts: the tool is measured, not the interpreter's site packages.
    return " ".join(["python3 -S -E work.py", what, str(number), *inputs, output])


def _dvc_yaml(rules: list[tuple[str, int, list[str], str]]) -> str:
    lines = ["stages:"]
    for rule in rules:
        lines += [f"  s_{rule[3]}:", f"    cmd: {_words(rule)}", "    deps:", "    - work.py"]
        lines += [f"    - {one}" for one in rule[2]]
        lines += ["    outs:", f"    - {rule[3]}"]
    return "\n".join(lines) + "\n"


def _dvc(bin_: str) -> dict[str, list[str] | None]:
    def repro(name: str) -> list[str]:
        return [f"{bin_}/dvc", "repro", f"{name}/dvc.yaml", "-q"]

    return {
        "chain": repro("chain"),
        "again": repro("chain"),
        "fan": repro("fan"),
        "branches": repro("branches"),
        "resume": repro("chain"),
    }


_DODO = "\n".join(
    f"def task_{name}():\n"
    + "\n".join(
        f"    yield {{'name': {rule[3]!r}, 'actions': [{_words(rule)!r}],"
        f" 'file_dep': {['work.py', *rule[2]]!r}, 'targets': [{rule[3]!r}]}}"
        for rule in rules
    )
    for name, rules in _RULES.items()
)


def _doit(bin_: str) -> dict[str, list[str] | None]:
    def task(name: str) -> list[str]:
        return [f"{bin_}/doit", "-n", "4", name]

    return {
        "chain": task("chain"),
        "again": task("chain"),
        "fan": task("fan"),
        "branches": task("branches"),
        "resume": task("chain"),
    }


_SNAKEFILE = "\n".join(
    f"rule r_{rule[3]}:\n    input: {', '.join(map(repr, ['work.py', *rule[2]]))}\n"
    f"    output: {rule[3]!r}\n    shell: {_words(rule)!r}\n"
    for rules in _RULES.values()
    for rule in rules
)


def _snakemake(bin_: str) -> dict[str, list[str] | None]:
    def target(name: str, *more: str) -> list[str]:
        return [f"{bin_}/snakemake", "-c", "4", "-q", "all", "--nolock", *more, name]

    last = f"c{STEPS - 1}"
    return {
        "chain": target(last),
        "again": target(last),
        "fan": target("fan"),
        "branches": target("branches"),
        "resume": target(last, "--rerun-incomplete"),
    }


# ---------------------------------------------------------------- hamilton

_HAMILTON = _sized("""
import sys

from hamilton import ad_hoc_utils, driver
from hamilton.plugins import h_threadpool

import work

source = ["import work", "def c0() -> int:", "    return work.add(0, 0)"]
for n in range(1, STEPS):
    source += [f"def c{n}(c{n - 1}: int) -> int:", f"    return work.add(c{n - 1}, {n})"]
for n in range(WIDE):
    source += [f"def f{n}(c0: int) -> int:", f"    return work.add(c0, {100 + n})"]
for n in range(BRANCHES):
    source += [f"def w{n}() -> int:", f"    return work.wait({n})"]
module = ad_hoc_utils.module_from_source("\\n".join(source))
wanted = {
    "chain": [f"c{STEPS - 1}"],
    "fan": [f"f{n}" for n in range(WIDE)],
    "branches": [f"w{n}" for n in range(BRANCHES)],
}[sys.argv[1]]
built = driver.Builder().with_modules(module)
if sys.argv[1] == "branches":
    built = built.with_adapters(h_threadpool.FutureAdapter())
else:
    built = built.with_cache(path="cache")
print(sum(built.build().execute(wanted).values()))
""")


def _hamilton(bin_: str) -> dict[str, list[str] | None]:
    def flow(name: str) -> list[str]:
        return [f"{bin_}/python", "nodes.py", name]

    return {
        "chain": flow("chain"),
        "again": flow("chain"),
        "fan": flow("fan"),
        "branches": flow("branches"),
        "resume": flow("chain"),
    }


TOOLS: dict[str, Tool] = {
    "ours": Tool(
        "mainspring",
        [],
        {"project.py": _OURS},
        _ours,
        {"PYTHONPATH": str(ROOT / "src"), "MAINSPRING_WORKERS": "4"},
    ),
    "metaflow": Tool(
        "metaflow",
        ["metaflow"],
        {
            "chain.py": _metaflow_chain(),
            "fan.py": _METAFLOW_FAN.replace("WIDE", str(WIDE)).replace(
                "CALL", "work.add(self.value, 100 + self.input)"
            ),
            "branches.py": _METAFLOW_FAN.replace("WIDE", str(BRANCHES)).replace(
                "CALL", "work.wait(self.input)"
            ),
        },
        _metaflow,
        {
            "USERNAME": "bench",
            "METAFLOW_HOME": "{folder}/.metaflowhome",
            "METAFLOW_DATASTORE_SYSROOT_LOCAL": "{folder}",
        },
        note="a re-run runs its last step again",
    ),
    "prefect": Tool(
        "prefect",
        ["prefect"],
        {"flows.py": _PREFECT},
        _prefect,
        {
            "PREFECT_HOME": "{folder}/prefect",
            "PREFECT_LOCAL_STORAGE_PATH": "{folder}/results",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_LOGGING_LEVEL": "WARNING",
            "DO_NOT_TRACK": "1",
        },
        note="steps are threads",
    ),
    "dagster": Tool(
        "dagster",
        ["dagster"],
        {
            "jobs.py": _DAGSTER,
            "resume.py": _DAGSTER_RESUME,
            "dagster.yaml": "telemetry:\n  enabled: false\n",
        },
        _dagster,
        # The path, or its fork server would not find the jobs it is to import.
        {"DAGSTER_HOME": "{folder}", "PYTHONPATH": "{folder}"},
    ),
    "zenml": Tool(
        "zenml",
        ["zenml[local]"],
        {"pipes.py": _ZENML},
        _zenml,
        {
            "ZENML_CONFIG_PATH": "{folder}/.zenconfig",
            "ZENML_LOCAL_STORES_PATH": "{folder}/.zenstores",
            "ZENML_ANALYTICS_OPT_IN": "false",
            "ZENML_LOGGING_VERBOSITY": "WARN",
        },
        first=lambda bin_: [[f"{bin_}/zenml", "init"]],
        note="one process",
    ),
    "dvc": Tool(
        "dvc",
        ["dvc"],
        {
            **{f"{name}/dvc.yaml": _dvc_yaml(rules) for name, rules in _RULES.items()},
            **{f"{name}/work.py": "" for name in _RULES},
        },
        _dvc,
        {"DVC_NO_ANALYTICS": "1", "DVC_GLOBAL_CONFIG_DIR": "{folder}/.global"},
        first=lambda bin_: [[f"{bin_}/dvc", "init", "--no-scm", "-q"]],
        note="one step at a time",
    ),
    "snakemake": Tool(
        "snakemake", ["snakemake"], {"Snakefile": _SNAKEFILE}, _snakemake,
        {"XDG_CACHE_HOME": "{folder}/.cache"},
    ),
    "hamilton": Tool(
        "sf-hamilton",
        ["sf-hamilton", "pandas"],
        {"nodes.py": _HAMILTON},
        _hamilton,
        {"HAMILTON_TELEMETRY_ENABLED": "false"},
        note="one process, nothing durable but its cache",
    ),
    "doit": Tool("doit", ["doit"], {"dodo.py": _DODO}, _doit, note="files by name"),
}  # fmt: skip
