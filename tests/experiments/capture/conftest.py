"""Real git repositories, apart from the settings of whoever runs the tests."""

import subprocess
from pathlib import Path

import pytest

from mainspring.experiments.capture import git, machine, watching


class Repo:
    """A git repository in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.git("init", "-q", "-b", "main")

    def git(self, *words: str, stdin: bytes | None = None) -> bytes:
        done = subprocess.run(
            ["git", "-C", str(self.folder), *words], input=stdin, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def write(self, path: str, data: str | bytes) -> Path:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data.encode() if isinstance(data, str) else data)
        return target

    def commit(self, words: str = "One more") -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", words, "--allow-empty")
        return self.git("rev-parse", "HEAD").decode().strip()


@pytest.fixture(autouse=True)
def _apart(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    config = tmp_path_factory.mktemp("config") / "gitconfig"
    config.write_text("[user]\n  name = Tester\n  email = tester@example.org\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(config))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture(autouse=True)
def _however_slow_the_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let nothing be given up, and no reading fall due, that a test does not want so."""
    monkeypatch.setattr(git, "PATIENCE_S", 300.0)
    monkeypatch.setattr(machine, "_GPU_PATIENCE_S", 300.0)
    monkeypatch.setattr(watching, "WAIT_S", 300.0)
    monkeypatch.setattr(watching, "FIRST_S", 3600.0)


@pytest.fixture
def repo(tmp_path: Path) -> Repo:
    return Repo(tmp_path / "project")
