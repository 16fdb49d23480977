"""Workers of a step are a process group of torch.distributed. Run by `make deep`, with torch."""

from __future__ import annotations

from pathlib import Path

from mainspring.ground.permissions import Permission
from mainspring.ground.settings import Settings
from mainspring.pipelines import outputs
from mainspring.workspace import engines, running
from mainspring.workspace.opening import open_workspace

PROJECT = """
import torch
import torch.distributed as dist

import mainspring as ms


@ms.step(workers=2, timeout_s=120)
def averaged() -> list:
    dist.init_process_group("gloo")  # rank, size, address and port are in the environment
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1, bias=False))
    with torch.no_grad():
        model.module.weight.fill_(1.0)
    model(torch.full((4, 2), float(ms.rank()))).sum().backward()
    found = model.module.weight.grad.tolist()
    dist.destroy_process_group()
    return [dist.is_available(), ms.world_size(), found]


script = ms.script("all_reduce.py", outputs=("data",), workers=2, timeout_s=120)


@ms.step
def both(one: list, other: object) -> list:
    return [one, (other / "sum").read_text()]


@ms.pipeline
def main():
    return both(averaged(), script())
"""
SCRIPT = """
import os

import torch
import torch.distributed as dist

dist.init_process_group("gloo", init_method="env://")
value = torch.tensor([dist.get_rank() + 1.0])
dist.all_reduce(value)
if dist.get_rank() == 0:
    with open(os.path.join(os.environ["SM_OUTPUT_DATA_DIR"], "sum"), "w") as out:
        out.write(str(value.item()))
dist.destroy_process_group()
"""


def test_gradients_are_averaged_over_the_workers_of_a_step(tmp_path: Path) -> None:
    (tmp_path / "project.py").write_text(PROJECT)
    (tmp_path / "all_reduce.py").write_text(SCRIPT)
    ws = open_workspace(Settings(root=str(tmp_path), home=str(tmp_path / "home")))
    run = running.start_run(ws, "main")
    engines.drive(ws, run)
    _, steps = ws.read(Permission.READ, lambda tx: running.state(tx, run))
    told = [one.error + one.trace for one in steps]
    last = steps[-1]
    assert last.output is not None, told
    found = outputs.decode(last.output, last.output_type or "", ws.objects, tmp_path)
    ws.close()
    # Each worker's gradient is the sum of its four rows: 0 and 4; their mean is 2.
    assert found == [[True, 2, [[2.0, 2.0]]], "3.0"]
