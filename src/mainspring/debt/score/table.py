"""The 28 tests in four sections: number, name, what judges it, and what to do to earn it.

Source: Breck, Cai, Nielsen, Salib, Sculley, The ML Test Score, IEEE Big Data 2017, tables I-IV.
"""

from __future__ import annotations

from dataclasses import dataclass

from mainspring.debt.score import data, infra, model, monitoring
from mainspring.debt.score.claims import Judge

SECTIONS = ("Data", "Model", "Infra", "Monitor")


@dataclass(frozen=True, slots=True)
class Test:
    """One test: in the words of the paper, with what is done here to earn it."""

    __test__ = False  # not pytest's

    number: str
    name: str
    judge: Judge
    earn: str

    @property
    def section(self) -> str:
        """Return which of the four sections it is in."""
        return self.number.split()[0]


TESTS: tuple[Test, ...] = (
    Test("Data 1", "Feature expectations are captured in a schema", data.schema,
         "Serve the model until a window of its traffic is judged."),
    Test("Data 2", "All features are beneficial", data.beneficial,
         "mainspring ablate {version}, and leave out what gives nothing."),
    Test("Data 3", "No feature's cost is too much", data.affordable,
         "Declare feature_us in columns.toml, then: mainspring readiness exercise {model}"),
    Test("Data 4", "Features adhere to meta-level requirements", data.requirements,
         "Declare columns.toml beside project.py, then: mainspring readiness exercise {model}"),
    Test("Data 5", "The data pipeline has appropriate privacy controls", data.privacy,
         "mainspring readiness exercise {model}"),
    Test("Data 6", "New features can be added quickly", data.quick,
         "Promote a version within 7 days of the first run that has its columns."),
    Test("Data 7", "All input feature code is tested", data.tested,
         "Test every function of project.py that makes features, then: mainspring test"),
    Test("Model 1", "Model specs are reviewed and submitted", model.reviewed,
         "Commit the project, train, and let another person say: mainspring approve {version}"),
    Test("Model 2", "Offline and online metrics correlate", model.correlates,
         "Send labels until five versions have served and were labelled."),
    Test("Model 3", "All hyperparameters have been tuned", model.tuned,
         "mainspring tune PIPELINE --space 'PARAM=int(LOW,HIGH)' --metric METRIC"),
    Test("Model 4", "The impact of model staleness is known", model.staleness,
         "Once there are labelled rows: mainspring loop staleness {model}"),
    Test("Model 5", "A simpler model is not better", model.simpler,
         "Once there are labelled rows: mainspring gate run {version}"),
    Test("Model 6", "Model quality is sufficient on important data slices", model.slices,
         "Once there are labelled rows: mainspring gate run {version}"),
    Test("Model 7", "The model is tested for considerations of inclusion", model.inclusion,
         "Declare bias in the gate, run it, and sign it: mainspring approve {version}"),
    Test("Infra 1", "Training is reproducible", infra.reproducible,
         "mainspring reproduce {version}"),
    Test("Infra 2", "Model specs are unit tested", infra.unit_tested,
         "Test the step that trains, then: mainspring test"),
    Test("Infra 3", "The ML pipeline is integration tested", infra.integration_tested,
         "mainspring run PIPELINE --smoke"),
    Test("Infra 4", "Model quality is validated before serving", infra.validated,
         "mainspring gate run {version}"),
    Test("Infra 5", "The model is debuggable", infra.debuggable,
         "mainspring readiness exercise {model}"),
    Test("Infra 6", "Models are canaried before serving", infra.canaried,
         "Let the loop promote: a rollout by shadow or canary, with labels."),
    Test("Infra 7", "Serving models can be rolled back", infra.rolled_back,
         "mainspring drill rollback {model}"),
    Test("Monitor 1", "Dependency changes result in notification", monitoring.dependencies,
         "Add a channel (mainspring channels add), then: mainspring readiness exercise {model}"),
    Test("Monitor 2", "Data invariants hold for inputs", monitoring.invariants,
         "Keep a window judged, and add a channel: mainspring channels add"),
    Test("Monitor 3", "Training and serving are not skewed", monitoring.skew,
         "Serve the model until a window of its traffic is judged."),
    Test("Monitor 4", "Models are not too stale", monitoring.age,
         "Declare max_age in ms.Monitor, or label windows until there is a curve."),
    Test("Monitor 5", "Models are numerically stable", monitoring.stable,
         "Log the metrics of training, and serve."),
    Test("Monitor 6", "Computing performance has not regressed", monitoring.performance,
         "Promote a second version; both gates must have measured it."),
    Test("Monitor 7", "Prediction quality has not regressed", monitoring.quality,
         "Send labels until a window is mature: mainspring label"),
)  # fmt: skip
