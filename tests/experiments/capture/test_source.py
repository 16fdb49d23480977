from __future__ import annotations

import sys

import pytest

from mainspring.experiments.capture import machine, packages, source


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--password=hunter2"], ["--password=***"]),
        (["--db-password", "hunter2", "rows.csv"], ["--db-password", "***", "rows.csv"]),
        (["API_KEY=abc", "python"], ["API_KEY=***", "python"]),
        (["--token", "--verbose"], ["--token", "--verbose"]),
        (["https://me:pw@h.example/x"], ["https://***@h.example/x"]),
        (["--model", "sk-abcdefghijklmnop1234"], ["--model", "***"]),
        (["x=ghp_" + "a" * 36], ["x=***"]),
        (["--max-tokens=5", "--key-columns", "id", "--author", "me", "--passes", "3"],) * 2,
        (["--keyboard", "x", "--secretary=y", "a=b=c", ""],) * 2,
    ],
)
def test_what_looks_like_a_secret_is_hidden_and_nothing_else(words, wanted) -> None:
    assert source.hide_secrets(words) == wanted


@pytest.mark.parametrize(
    ("command", "how", "entry"),
    [
        (["python", "train.py", "--lr", "1"], "script", "train.py"),
        (["python", "-u", "-W", "error", "-X", "dev", "/a/train.py"], "script", "/a/train.py"),
        (["python", "-m", "pkg.train", "x"], "module", None),
        (["python", "-c", "print(1)"], "code", None),
        (["python", "-"], "stdin", None),
        (["python", "-m", "ipykernel_launcher", "-f", "k.json"], "notebook", None),
    ],
)
def test_how_a_process_was_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path, command, how, entry
) -> None:
    monkeypatch.chdir(tmp_path)
    found = source.read(command, {})
    assert found.how == how
    assert found.entry == (None if entry is None else str(tmp_path / entry))
    assert (found.folder, found.command) == (str(tmp_path), command)


def test_a_session_is_told_from_a_process_that_only_imports_its_modules(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class App:
        on = False

        @classmethod
        def initialized(cls) -> bool:
            return cls.on

    class Module:
        IPKernelApp = App
        shell: object = None

        @classmethod
        def get_ipython(cls) -> object:
            return cls.shell

    monkeypatch.setitem(sys.modules, "ipykernel.kernelapp", Module)
    monkeypatch.setitem(sys.modules, "IPython.core.getipython", Module)
    assert source.read(["python", "train.py"], {}).how == "script"
    monkeypatch.setattr(Module, "shell", object())
    assert source.read(["python", "/usr/bin/ipython"], {}).how == "interactive"
    monkeypatch.setattr(App, "on", True)
    assert source.read(["python", "run_kernel.py"], {}).how == "notebook"


def test_a_process_without_a_script_is_a_person_or_a_pipe(monkeypatch, tmp_path) -> None:
    monkeypatch.setattr("sys.stdin", None)
    assert source.read(["python"], {}).how == "stdin"


def test_only_the_environment_that_matters_is_kept_and_no_secret_of_it() -> None:
    environ = {
        "CUDA_VISIBLE_DEVICES": "0", "PYTHONHASHSEED": "3", "MY_SEED": "4", "HOME": "/home/x",
        "AWS_SECRET_ACCESS_KEY": "abc", "TF_AUTH_TOKEN": "abc", "TORCH_HOME": "s3://u:p@b/x",
        "HF_TOKEN": "hf_abc",
    }  # fmt: skip
    assert source.mattering(environ) == {
        "CUDA_VISIBLE_DEVICES": "0", "PYTHONHASHSEED": "3", "MY_SEED": "4",
        "TF_AUTH_TOKEN": "***", "TORCH_HOME": "s3://***@b/x",
    }  # fmt: skip


def test_the_line_begins_with_the_interpreters_name() -> None:
    found = source.read(["/usr/bin/python3", "my script.py", "a b"], {})
    assert found.line == "python3 'my script.py' 'a b'"


def test_a_seed_is_a_param_before_it_is_the_environments() -> None:
    assert source.seed({"seed": 0}, {"SEED": "1"}) == "0"
    assert source.seed({"seed": None}, {"PYTHONHASHSEED": "5"}) == "5"


def test_packages_are_listed_as_pip_does_and_the_digest_follows_them() -> None:
    found = packages.read()
    assert f"pytest=={pytest.__version__}" in found.installed
    assert found.python == sys.version.split()[0]
    assert len(found.digest) == 64
    assert packages.read() == found


ANSWER = """\
0, Tesla T4, 550.54, 15360, 37, 1024
1, NVIDIA A100, 80GB, PCIe, 550.54, 81920, 5, 10
2, Old card, 550.54, [N/A], [Not Supported], [N/A]
No devices were found
"""


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """A stand-in for the driver's program, first on the path."""

    def write(script: str) -> None:
        program = tmp_path / "nvidia-smi"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return write


def test_graphics_cards_are_read_from_the_drivers_program(nvidia_smi) -> None:
    nvidia_smi(f"[ \"$2\" = --format=csv,noheader,nounits ] || exit 3\ncat <<'E'\n{ANSWER}E")
    assert [(one.index, one.name, one.memory_mb) for one in machine.gpus()] == [
        (0, "Tesla T4", 15360.0),
        (2, "Old card", None),
    ]
    assert machine.gpu_load() == {
        "system/gpu_0_percent": 37.0,
        "system/gpu_0_memory_mb": 1024.0,
    }
    assert machine.read().gpus[0] == {"name": "Tesla T4", "driver": "550.54", "memory_mb": 15360.0}


@pytest.mark.parametrize("script", ["exit 9", "echo; echo a,b,c,d,e,f", "exec sleep 60"])
def test_a_driver_that_fails_means_no_cards(nvidia_smi, monkeypatch, script: str) -> None:
    monkeypatch.setattr(machine, "_GPU_PATIENCE_S", 0.1)
    nvidia_smi(script)
    assert machine.gpus() == []
    assert machine.gpu_load() == {}


def test_a_machine_says_what_it_is() -> None:
    found = machine.read()
    assert found.host
    assert found.processor
    assert found.cores >= 1
    assert found.memory_mb > 100


def test_load_counts_what_this_process_used_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(machine.time, "monotonic", lambda: now[0])
    load = machine.Load()
    monkeypatch.setattr(load, "_cpu_s", lambda children: load._own + 1.5)
    now[0] += 2.0
    found = load.read(with_children=False)
    assert found["system/cpu_percent"] == 75.0
    assert found["system/memory_mb"] > 1
    assert 0 < found["system/machine_memory_percent"] <= 100
    assert "system/cpu_percent" not in load.read()  # no time has passed


def test_load_includes_children() -> None:
    import subprocess

    load = machine.Load()
    alone = load.read()["system/memory_mb"]
    with subprocess.Popen(
        [sys.executable, "-c", "x = b'x' * 200_000_000; print(1, flush=True); input()"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as child:  # fmt: skip
        child.stdout.readline()
        assert load.read()["system/memory_mb"] > alone + 100  # it may shrink itself
        child.communicate(b"\n")
