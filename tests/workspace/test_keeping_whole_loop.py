"""A whole loop is lived through, everything that may be deleted is, and the loop goes on."""

from __future__ import annotations

from pathlib import Path

import endings
from sqlalchemy import select
from whole_loop import LOOP, Crew, Nursery, Story, Traffic

from mainspring.experiments.tables import runs
from mainspring.ground.permissions import Permission
from mainspring.pipelines.tables import step_results, steps
from mainspring.readiness import registry
from mainspring.scaling.models.load import load
from mainspring.workspace.keeping import deleting
from mainspring.workspace.keeping.collecting import collect


def test_gc_takes_nothing_that_a_loop_needs(tmp_path: Path, nursery: Nursery) -> None:
    with Story(tmp_path).opened() as story:
        ending = story.live(nursery, None)
        ws = story.ws
        told = ws.read(Permission.READ, endings.ending)
        everything = [row.id for row in ws.read(Permission.READ, lambda tx: tx.all(select(runs)))]
        done = deleting.delete_runs(ws, everything)
        assert done.deleted == [], "each made a version, and says so"
        assert all("version tide/" in one.reason for one in done.kept)
        stray = ws.objects.put(b"nothing names this")
        found = collect(ws, older_than_s=0.0, young_s=0.0)
        assert found.before.objects - found.after.objects >= 1
        assert not ws.objects.has(stray)

        endings.check(story, ending)
        assert ws.read(Permission.READ, endings.ending) == told
        for version in ws.read(Permission.READ, lambda tx: registry.versions(tx, LOOP)):
            load(version.package, ws.objects)
        named = select(steps.c.output, steps.c.log)
        for row in ws.read(Permission.READ, lambda tx: tx.all(named)):
            assert all(ws.objects.has(digest) for digest in row if digest)
        for row in ws.read(Permission.READ, lambda tx: tx.all(select(step_results))):
            assert ws.objects.has(row.output)

        crew, traffic = Crew(story, nursery, None), Traffic(ws)
        story._live_day(traffic, ending.days, crew)
        crew.stop()
        traffic.close()
        windows = ws.read(Permission.READ, endings.ending)["windows"]
        assert len(windows) > len(told["windows"]), "another day is watched"
