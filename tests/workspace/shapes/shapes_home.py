"""Runs of the project of shapes, and what came of them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from homes import settle

from mainspring.ground.objects import Run, StepRecord
from mainspring.ground.permissions import Permission
from mainspring.pipelines import outputs
from mainspring.workspace import going_on, running
from mainspring.workspace.opening import Workspace


class Shapes:
    """Starts runs, carries them out, and says what came of them."""

    def __init__(self, ws: Workspace, folder: Path) -> None:
        self.ws, self.folder = ws, folder
        folder.mkdir()
        shutil.copy(Path(__file__).parent / "project_of_shapes.py", folder / "project.py")

    def start(self, pipeline: str, **params: Any) -> str:
        run = running.start_run(self.ws, pipeline, params)
        settle(self.ws)
        return run

    def resume(self, run: str) -> None:
        going_on.resume(self.ws, run)
        settle(self.ws)

    def settle(self) -> None:
        settle(self.ws)

    def look(self, run: str) -> tuple[Run, dict[str, StepRecord]]:
        record, steps = self.ws.read(Permission.READ, lambda tx: running.state(tx, run))
        return record, {one.step: one for one in steps}

    def states(self, run: str) -> dict[str, str]:
        return {name: str(one.state) for name, one in self.look(run)[1].items()}

    def result(self, run: str) -> Any:
        record, steps = self.look(run)
        assert record.status == "finished", {s: (o.state, o.error) for s, o in steps.items()}
        step = steps[record.tags[running.RESULT]]
        folder = self.folder / "out"
        return outputs.decode(str(step.output), str(step.output_type), self.ws.objects, folder)

    def error(self, run: str, step: str) -> str:
        record, steps = self.look(run)
        assert record.status == "failed"
        return steps[step].error

    def done(self) -> list[str]:
        file = self.folder / "done.txt"
        return file.read_text().splitlines() if file.exists() else []

    def forget(self) -> None:
        (self.folder / "done.txt").unlink(missing_ok=True)

    def break_(self, what: str, *, mend: bool = False) -> None:
        file = self.folder / f"broken-{what}"
        file.unlink() if mend else file.touch()
