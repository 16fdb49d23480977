"""What a debt scan looks at: frozen facts, gathered by the workspace, judged by the finders.

Times are UTC seconds of the wall clock. A fact that could not be had is None, never a guess.
"""

from __future__ import annotations

from typing import Any

from mainspring.debt.ablation import Ablation
from mainspring.ground.records import Record


class Limits(Record, frozen=True, kw_only=True):
    """From where on something counts as debt."""

    threshold_days: float = 180.0  #: a threshold nobody looked at for so long
    alias_days: float = 180.0  #: an alias that has not moved for so long
    traffic_days: float = 90.0  #: callers are looked for so far back
    runs: int = 20  #: so many runs must be seen before a param counts as never varied
    depth: int = 12  #: steps in a row
    steps: int = 30  #: of one pipeline
    outside: float = 0.9  #: share of the lines that stand outside of steps
    outside_lines: int = 200  #: from so many lines on
    feedback: float = 0.5  #: share of training rows that the model's own decision shaped


class VersionFacts(Record, frozen=True, kw_only=True):
    """One version that serves, or is named by an alias."""

    model: str
    number: int
    aliases: list[str] = []
    made: float = 0.0
    owner: str | None = None  #: None: it has no card
    assumptions: list[dict[str, Any]] = []  #: of its card: text, owner, review (UTC seconds)
    run: str | None = None
    source: str = ""  #: what was started, where it was taken down
    dirty: bool | None = None  #: None: nobody looked
    changed: int = 0  #: files that differed from the commit, where known
    columns: list[str] = []
    target: str = ""
    ablation: Ablation | None = None
    ablated: float | None = None
    can_ablate: bool = True  #: it holds a model and rows of its own
    shaped: float | None = None  #: least share of training rows that its own decision shaped
    echo: str = ""  #: the warning that came with its training set, if one did

    @property
    def name(self) -> str:
        """Return ``model/number``."""
        return f"{self.model}/{self.number}"


class AliasFacts(Record, frozen=True, kw_only=True):
    """An alias as it stands."""

    model: str
    alias: str
    number: int
    moved: float
    newest: int  #: the highest number of the model
    champion: int | None = None


class Upstream(Record, frozen=True, kw_only=True):
    """A model that learns from, or asks for, what another model answers."""

    model: str  #: the one downstream
    reads: str  #: the model upstream
    how: str  #: logged model, step output, dataset, captures, column
    what: str  #: the sentence
    sure: bool = True  #: False: names say so, and no record


class LoopFacts(Record, frozen=True, kw_only=True):
    """A declared loop."""

    name: str
    model: str
    pipeline: str
    endpoint: str
    kind: str
    steps: list[str] = []  #: of its pipeline, as last run
    columns: list[str] = []
    policy: dict[str, str] = {}  #: every setting of gate, rollout, monitor, retraining, as text
    owner: str | None = None


class Threshold(Record, frozen=True, kw_only=True):
    """A fixed figure that decides something."""

    subject: str  #: loop:NAME or rule:NAME
    what: str  #: such as gate.at_least.auc
    value: float
    since: float  #: when it got this value
    reviewed: float | None = None  #: when somebody last looked at it, where known


class Caller(Record, frozen=True, kw_only=True):
    """Somebody seen in an endpoint's traffic: no person, no address."""

    token: str = ""  #: name of the token; blank: none was shown
    client: str = ""  #: what it said of itself in X-Client
    agent: str = ""  #: class of its User-Agent, such as python-requests or browser
    requests: int = 0
    first: float = 0.0
    last: float = 0.0

    @property
    def name(self) -> str:
        """Return what people call it."""
        who = self.client or (f"token {self.token}" if self.token else "no key")
        return f"{who}, {self.agent}" if self.agent else who


class ConsumerFacts(Record, frozen=True, kw_only=True):
    """Somebody who said that they use an endpoint."""

    name: str
    owner: str
    tokens: list[str] = []
    clients: list[str] = []
    since: float = 0.0

    def is_(self, caller: Caller) -> bool:
        """Return whether a caller is this consumer: by its token, or by what it says it is."""
        by_token = bool(caller.token) and caller.token in (self.name, *self.tokens)
        return by_token or (bool(caller.client) and caller.client in (self.name, *self.clients))


class EndpointFacts(Record, frozen=True, kw_only=True):
    """An endpoint, who says they use it, and who does."""

    name: str
    model: str
    callers: list[Caller] = []
    consumers: list[ConsumerFacts] = []


class PipelineFacts(Record, frozen=True, kw_only=True):
    """What a pipeline looks like, by its newest run."""

    name: str  #: module:function
    steps: int
    edges: int
    depth: int
    unused_outputs: list[str] = []  #: steps that return something nobody takes
    duplicates: list[list[str]] = []  #: steps of the same code and arguments
    wall_s: float = 0.0
    wasted_s: float = 0.0  #: of the steps that are unused or done twice


class ParamFacts(Record, frozen=True, kw_only=True):
    """What a pipeline's param was in its last runs."""

    pipeline: str
    function: str
    param: str
    runs: int
    values: list[Any]  #: distinct, at most 20


class SourceFacts(Record, frozen=True, kw_only=True):
    """What was found in a project's source."""

    root: str = ""
    files: int = 0
    lines: int = 0
    step_lines: int = 0
    unused: list[dict[str, Any]] = []  #: kind, name, file, line, lines
    branches: list[dict[str, Any]] = []  #: function, param, test, op, value, file, line, ...
    steps: list[dict[str, Any]] = []  #: name, file, line, lines
    tested: list[str] = []
    tests: int = 0
    covered: dict[str, float] = {}  #: step -> share of its lines that tests ran, where measured
    habits: list[dict[str, Any]] = []  #: rule, file, line, message, hint
    floating: list[dict[str, Any]] = []


class InputFacts(Record, frozen=True, kw_only=True):
    """Something that is read from outside, and how it changed between runs of the same code."""

    name: str
    reader: str  #: pipeline:STEP or the experiment
    source: str = ""
    runs: int = 0
    contents: int = 0  #: how many different contents the same code read
    pinned: bool = True  #: False: nothing says which version was read
    last: float = 0.0


class Deprecated(Record, frozen=True, kw_only=True):
    """Something that goes away, and what stands on it."""

    subject: str
    until: float
    reason: str
    use: str = ""
    dependents: list[str] = []


class World(Record, frozen=True, kw_only=True):
    """All facts of one scan."""

    now: float
    limits: Limits = Limits()
    versions: list[VersionFacts] = []
    aliases: list[AliasFacts] = []
    upstream: list[Upstream] = []
    loops: list[LoopFacts] = []
    thresholds: list[Threshold] = []
    endpoints: list[EndpointFacts] = []
    pipelines: list[PipelineFacts] = []
    params: list[ParamFacts] = []
    sources: list[SourceFacts] = []
    inputs: list[InputFacts] = []
    deprecated: list[Deprecated] = []
    unseen: list[str] = []  #: what could not be looked at, and why
