"""The seven tests of monitoring."""

from __future__ import annotations

from mainspring.debt.score.claims import NO_CHAMPION, Claim, Proof, both, no, tried
from mainspring.debt.score.data import newest
from mainspring.debt.score.facts import Facts, Made, Seen
from mainspring.ground.objects import Finding

#: What a version may take longer or more than the one before, as a factor, before it regressed.
MUCH = 1.5
#: And by how much, below which a factor says nothing: seconds, milliseconds, bytes.
LEAST_S, LEAST_MS, LEAST_BYTES = 5.0, 1.0, 50e6
_NOT = ("not judged", "too few rows")
_NOBODY = "Nobody is told: there is no channel, so a person has to look."


def dependencies(facts: Facts) -> Claim:
    """A change of what the model depends on is noticed and told."""
    return tried(
        facts,
        "dependency_drill",
        lacks="No change of a dependency was ever made on purpose to see whether it is told.",
    )


def invariants(facts: Facts) -> Claim:
    """Windows of traffic are held against schema and statistics, and alarms reach people."""
    window = newest(facts, lambda one: one.quality > 0 and one.drift > 0)
    if window is None:
        return no("No window of traffic was judged for both quality and drift.")
    half = "" if facts.channels else _NOBODY
    names = ", ".join(one.name for one in facts.channels)
    wired = f" Alarms go to {names}." if names else ""
    return Claim(
        holds=True,
        found=f"The newest window, of {window.rows} rows, was judged for quality by"
        f" {window.quality} checks and for drift in {window.drift}.{wired}",
        proofs=[_seen(window)],
        half=half,
    )


def skew(facts: Facts) -> Claim:
    """Captured rows go the same way in training and in serving."""
    window = newest(facts, lambda one: bool(_judged(one, "skew")))
    if window is None:
        return no("No window's rows were put through training's path and serving's.")
    found = _judged(window, "skew")
    bad = [one for one in found if one.verdict == "alarm"]
    if bad:
        return no(f"Training and serving differ: {bad[0].why}")
    told = max(found, key=lambda one: one.rows)
    return Claim(holds=True, found=told.why, proofs=[_seen(window)])


def age(facts: Facts) -> Claim:
    """The champion's age is known in each window, and there is a limit that alarms."""
    window = newest(facts, lambda one: bool(_judged(one, "age")))
    if window is None:
        return no("No window says how old the champion is.")
    found = _judged(window, "age")[0]
    if found.verdict == "alarm":
        return no(f"The champion is too old: {found.why}")
    # A curve that does not rise is a limit too: the alarm is on it as soon as it does.
    if found.line is None and not found.detail.get("curve"):
        return no(f"{found.why} No limit of age is declared or learnt.")
    return Claim(holds=True, found=found.why, proofs=[_seen(window)])


def stable(facts: Facts) -> Claim:
    """No figure of training and no answer is NaN or infinite."""
    made, counted = facts.serving, facts.finite
    if made is None:
        return no(NO_CHAMPION)
    if counted is None or not counted.served:
        return no("No answer of the champion was captured, so none was counted.")
    told = (
        f"{counted.trained_bad} of {counted.trained} figures of its training and"
        f" {counted.served_bad} of its {counted.served} newest answers are no finite numbers."
    )
    if counted.trained_bad or counted.served_bad:
        return no(told)
    if not counted.trained:
        return no("No figure of its training is kept.")
    opens = [f"run:{made.run}"] if made.run else []
    opens += [counted.page] if counted.page else []
    return Claim(holds=True, found=told, proofs=[Proof(at=counted.at, opens=opens)])


def performance(facts: Facts) -> Claim:
    """Training time, latency and memory are not worse than those of the version before."""
    made = facts.serving
    if made is None:
        return no(NO_CHAMPION)
    before = _champion_before(facts)
    if before is None:
        return no("There is no champion before this one to compare with.")
    compared = [
        ("training", made.train_s, before.train_s, LEAST_S, "s"),
        ("latency", made.latency_ms, before.latency_ms, LEAST_MS, "ms"),
        ("memory", made.memory_bytes, before.memory_bytes, LEAST_BYTES, "bytes"),
    ]
    told, worse = [], []
    for name, now, then, least, unit in compared:
        if now is None or then is None:
            continue
        line = f"{name} {then:.3g} to {now:.3g} {unit}"
        told.append(line)
        if now > then * MUCH and now - then > least:
            worse.append(line)
    if worse:
        return no(f"From {before.number} to {made.number}: {', '.join(worse)}.")
    if len(told) < 2 or made.gate is None:
        return no("Of two champions less than two of training, latency and memory are known.")
    opens = [f"gate:{made.gate.id}"]
    opens += [f"gate:{before.gate.id}"] if before.gate is not None else []
    return Claim(
        holds=True,
        found=f"From version {before.number} to {made.number}: {', '.join(told)}.",
        proofs=[Proof(at=made.gate.at, opens=opens)],
    )


def quality(facts: Facts) -> Claim:
    """Quality by late labels holds, and what was said is what came, slice by slice."""
    window = newest(
        facts, lambda one: (one.performance or {}).get("verdict") in ("quiet", "alarm")
    )
    if window is None:
        return no("No window was judged by its late labels.")
    judged = window.performance or {}
    if judged["verdict"] == "alarm":
        return no(f"Quality fell: {judged.get('why') or 'see its window'}")
    told = str(judged.get("why") or "It was judged by late labels, and was well.")
    quality = Claim(holds=True, found=told, proofs=[_seen(window)])
    return both(quality, _unbiased(facts, window))


def _unbiased(facts: Facts, window: Seen) -> Claim:
    """Return whether mean predicted and mean observed agree, in the whole and in its slices."""
    found = [one for one in facts.biases if one.window == window.id]
    if not found:
        return no("Whether what was said on average is what came was not judged.")
    bad = [one for one in found if one.biased]
    if bad:
        worst = max(bad, key=lambda one: abs(one.said - one.came))
        return no(
            f"Predictions are biased in {len(bad)} of {len(found)} slices: in {worst.slice}"
            f" {worst.said:.4g} was said on average and {worst.came:.4g} came,"
            f" {worst.rows} rows."
        )
    whole = max(found, key=lambda one: one.rows)
    return Claim(
        holds=True,
        found=f"On average {whole.said:.4g} was said and {whole.came:.4g} came; none of"
        f" {len(found)} slices is biased.",
        proofs=[_seen(window)],
    )


def _champion_before(facts: Facts) -> Made | None:
    earlier = [
        one.previous
        for one in facts.moves
        if one.number == facts.champion and one.previous is not None
    ]
    return next((one for one in facts.versions if earlier and one.number == earlier[0]), None)


def _judged(window: Seen, monitor: str) -> list[Finding]:
    return [
        one
        for one in window.found
        if one.monitor == monitor and one.verdict not in _NOT and one.value is not None
    ]


def _seen(window: Seen) -> Proof:
    return Proof(at=window.at, opens=[window.page])
