"""The words a project's steps are written in, with nothing else loaded.

A step may run in an environment of its own, which need not have what the rest of ours needs.
"""

from __future__ import annotations

from mainspring.pipelines import expecting
from mainspring.pipelines.declare import Pipeline as Pipeline
from mainspring.pipelines.declare import Ref as Ref
from mainspring.pipelines.declare import Step as Step
from mainspring.pipelines.declare import pipeline as pipeline
from mainspring.pipelines.declare import step as step
from mainspring.workspace.codecs import keep_contract

# A step that is called as plain Python checks what it expects as well.
expecting.install(keep_contract)
