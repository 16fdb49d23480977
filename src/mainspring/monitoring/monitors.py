"""The monitors, by name: each looks at one window and says what it found.

A monitor is a function in a file of its own; it raises for nothing that rows may hold, and
says what it cannot judge in a finding. Those of ``ON_INPUTS`` run when a window closes, those
of ``ON_LABELS`` once its labels are mature.
"""

from __future__ import annotations

from mainspring.ground.objects import Finding
from mainspring.monitoring.age import age_on_inputs
from mainspring.monitoring.attribution import attribution_on_inputs
from mainspring.monitoring.bias import bias_on_inputs, bias_on_labels
from mainspring.monitoring.calibration import calibration
from mainspring.monitoring.concept import concept_drift
from mainspring.monitoring.custom import custom_on_inputs, custom_on_labels
from mainspring.monitoring.estimates import estimates
from mainspring.monitoring.forecasts import forecasts
from mainspring.monitoring.joint import joint
from mainspring.monitoring.maturity import label_ages
from mainspring.monitoring.ranking import rankings
from mainspring.monitoring.sight import Monitor, Sight
from mainspring.monitoring.skew import skew_on_inputs
from mainspring.monitoring.slices import slices
from mainspring.monitoring.traffic import traffic_on_inputs

ON_INPUTS: dict[str, Monitor] = {
    "joint": joint,
    "estimate": estimates,
    "traffic": traffic_on_inputs,
    "bias": bias_on_inputs,
    "attribution": attribution_on_inputs,
    "skew": skew_on_inputs,
    "age": age_on_inputs,
    "custom": custom_on_inputs,
}
ON_LABELS: dict[str, Monitor] = {
    "label_age": label_ages,
    "ranking": rankings,
    "forecast": forecasts,
    "concept": concept_drift,
    "calibration": calibration,
    "slice": slices,
    "bias": bias_on_labels,
    "custom": custom_on_labels,
}

#: Monitors that take each label once: a window that is judged again keeps what they said.
ONCE = frozenset({"concept"})


def look(sight: Sight, monitors: dict[str, Monitor]) -> list[Finding]:
    """Return what every monitor found in a window, in the order they are entered."""
    return [finding for monitor in monitors.values() for finding in monitor(sight)]
