"""The local executor keeps the promises of an executor."""

from __future__ import annotations

from pathlib import Path

import pytest

from mainspring.backends.executors.local import LocalExecutor
from mainspring.testing.executor import ExecutorPlace, ExecutorPromises


class TestLocal(ExecutorPromises):
    @pytest.fixture
    def place(self, tmp_path_factory: pytest.TempPathFactory) -> ExecutorPlace:
        run_dir: Path = tmp_path_factory.mktemp("run")
        source = (
            "from pathlib import Path\n"
            "from mainspring.backends.executors.local import LocalExecutor\n"
            f"executor = LocalExecutor(Path({str(run_dir)!r}))\n"
        )
        return ExecutorPlace(open=lambda: LocalExecutor(run_dir, grace_s=0.3), source=source)
