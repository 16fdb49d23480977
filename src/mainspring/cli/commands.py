"""The table of commands: name, where it is, what it does, one example. Loaded when called."""

from typing import Any

from cyclopts import App, Group

from mainspring.cli.nested import NESTED as NESTED
from mainspring.cli.nested import PLACES, Entry
from mainspring.ground.version import __version__

GROUPS: dict[str, list[Entry]] = {
    "Begin": [
        ("init", "starter:init", "Write a working project for your own table.",
         "mainspring init churn.csv --target churned --time signup_date"),
        ("adopt", "adopting:adopt", "Close a loop around a training script that stays as it is.",
         "mainspring adopt train.py --model churn --target churned --rows data.csv"),
        ("demo", "demo.command:demo", "See the whole loop on real flights.",
         "mainspring demo"),
        ("simulate", "simulate:simulate", "Ask your history when to retrain.",
         "mainspring simulate churn.csv --target churned --time signup_date"),
    ],
    "Home": [
        ("up", "system:up", "Start web, engine and endpoints, and keep them running.",
         "mainspring up --port 8750"),
        ("stop", "system:stop", "Drain and end everything that up started.",
         "mainspring stop"),
        ("status", "system:status", "Show processes, endpoints, loops and disk use.",
         "mainspring status"),
        ("completion", "shells:completion", "Print what a shell reads to complete words.",
         "mainspring completion bash"),
        ("logs", "logs:logs", "Search what the processes wrote, or follow it.",
         "mainspring logs 'took longer' --since 1h --process engine"),
        ("doctor", "doctor:doctor", "Check that everything is in order, and say what is not.",
         "mainspring doctor"),
        ("config", "system:config", "Show the settings in force.",
         "mainspring config"),
        ("gc", "keeping:gc", "Take out what was deleted, and reclaim its space.",
         "mainspring gc --dry-run"),
        ("export", "moving:export", "Write a project into one file.",
         "mainspring export project.msar --experiment flights"),
        ("version", "system:version", "Show which version this is.",
         "mainspring version"),
    ],
    "Pipelines and runs": [
        ("pipelines", "pipelines:pipelines", "List the project's pipelines and loops.",
         "mainspring pipelines"),
        ("run", "pipelines:run", "Run a pipeline, step by step, reusing what has not changed.",
         "mainspring run flights -p trees=80 --register flights"),
        ("resume", "pipelines:resume", "Go on with a failed or cancelled run.",
         "mainspring resume run_01j9"),
        ("rerun", "pipelines:rerun", "Run a pipeline again with the params of a run.",
         "mainspring rerun run_01j9 --from train"),
        ("cancel", "pipelines:cancel", "Stop a run.",
         "mainspring cancel run_01j9"),
        ("waiting", "waits:waiting", "List the steps that wait for somebody, or for a time.",
         "mainspring waiting"),
        ("approve-step", "waits:approve_step", "Say yes to a step that waits for an approval.",
         "mainspring approve-step run_01j9 release --reason 'The report is fine.'"),
        ("reject-step", "waits:reject_step", "Say no to a step that waits for an approval.",
         "mainspring reject-step run_01j9 release --reason 'Recall is too low.'"),
        ("signal", "waits:signal", "Bring news of an event to a run that waits for it.",
         "mainspring signal rows-came --run run_01j9 --value '{\"rows\": 120}'"),
        ("answer", "callbacks:answer", "Answer a run that waits for a callback, by its token.",
         "mainspring answer cb_u3lVxP0mYb8eK1tq --value '{\"rows\": 120}'"),
        ("repeat", "repeating:repeat", "Run a pipeline or function once with each seed.",
         "mainspring repeat flights --seeds 10 -p trees=40"),
        ("versus", "repeating:versus", "Say whether one repeat beats another.",
         "mainspring versus run_01j9 run_01k2 --metric auc --better higher"),
        ("tune", "repeating:tune", "Look for the params that make a metric best.",
         "mainspring tune flights --space 'trees=int(10,200)' --metric auc --trials 50"),
        ("sync", "sync:sync", "Send what runs logged while their server was away.",
         "mainspring sync"),
        ("runs", "runs:runs", "List the runs that meet a filter, newest first or as ordered.",
         "mainspring runs 'metrics.auc > 0.9' --order -metrics.auc --columns params.C"),
        ("compare", "compare:compare", "Compare runs: what differs, and how metrics spread.",
         "mainspring compare run_01j9 run_01ja --columns metrics.auc"),
        ("show", "runs:show", "Show one run: params, metrics, steps.",
         "mainspring show run_01j9"),
        ("result", "results:result", "Show what a run returned, or a step of it.",
         "mainspring result run_01j9 train --to out"),
        ("again", "again:again", "Make a past run again from its record, and compare the two.",
         "mainspring again run_01j9 --tolerance 1e-6"),
        ("lineage", "lineage:lineage", "Show what a thing came from and what came of it.",
         "mainspring lineage dataset:flights@3 --down"),
        ("why", "runs:why", "Say why a step ran, a version serves, an alarm or a prediction came.",
         "mainspring why flights@champion"),
    ],
    "Models": [
        ("models", "models:models", "List models, or the versions of one.",
         "mainspring models flights"),
        ("promote", "models:promote", "Make a version champion by hand.",
         "mainspring promote flights/7 --reason 'The canary looks well.'"),
        ("rollback", "models:rollback", "Give the alias back to the champion before.",
         "mainspring rollback flights --reason 'Complaints since noon.'"),
        ("judge", "judging:judge", "Put a version through the gate on rows you give.",
         "mainspring judge flights/3 --rows rows.csv --target delayed --at-least auc=0.7"),
        ("bias", "fairness:bias", "Measure how a version treats groups, before it serves.",
         "mainspring bias loans/3 --facet sex --disadvantaged f"),
        ("attribution", "fairness:attribution", "Show what a version listens to.",
         "mainspring attribution flights/3"),
        ("approve", "gates:approve", "Approve a version that another person made.",
         "mainspring approve flights/7 --reason 'The slices are fine.'"),
        ("override", "models:override", "Let a refused version into a canary, never past one.",
         "mainspring override flights/8 --reason 'The latency was measured under load.'"),
    ],
    "Readiness and debt": [
        ("datasheet", "cards:datasheet", "Show what is known and said of a dataset.",
         "mainspring datasheet flights --form html --out flights.html"),
        ("readiness", "gates:readiness", "Print the production checklist of a version.",
         "mainspring readiness flights/7 --junit readiness.xml"),
        ("load-test", "drills:load_test", "Ask a version over HTTP, and measure it.",
         "mainspring load-test flights/7 --capacity --rate 500 --p99-ms 50"),
        ("evidence", "evidence:evidence", "List what was tried and measured, and what came of it.",
         "mainspring evidence flights/7 --kind load"),
        ("reproduce", "reproducing:reproduce", "Make a run again in a clean place: the same?",
         "mainspring reproduce run_01j9 --runs 2"),
        ("sbom", "parts:sbom", "Write down what a version is made of, as CycloneDX.",
         "mainspring sbom flights/7 --out flights.cdx.json"),
        ("audit-packages", "parts:audit_packages", "Match its packages against advisories.",
         "mainspring audit-packages flights/7 --advisories osv.zip"),
        ("scan", "proving:scan", "Look through a version's files, without loading them.",
         "mainspring scan flights/7"),
        ("test", "proving:run_tests", "Run the project's tests, and keep what they prove.",
         "mainspring test tests -k features"),
        ("debt", "debt:debt", "Look for debt: what is owed, what it costs, what to do.",
         "mainspring debt --budget 20"),
        ("ablate", "debt:ablate", "Measure what each feature of a version is worth.",
         "mainspring ablate flights@champion"),
        ("dependents", "consumers:dependents", "Show who stands on a dataset, feature or model.",
         "mainspring dependents feature:flights.distance"),
        ("deprecate", "consumers:deprecate", "Say that something goes away, and tell who uses it.",
         "mainspring deprecate flights/7 --until 2027-01-31 --reason 'Version 8 is better.'"),
    ],
    "Serving": [
        ("serve", "serving:serve", "Serve a model's champion under a name.",
         "mainspring serve flights --name arrivals"),
        ("predict", "serving:predict", "Ask an endpoint about rows.",
         "mainspring predict flights --rows rows.csv"),
        ("explain-batching", "batching:explain", "Say how an endpoint batches requests, and why.",
         "mainspring explain-batching flights"),
        ("explain", "drills:explain", "Follow a prediction from its raw values to its score.",
         "mainspring explain flights 3f9a-17"),
        ("batch", "batches:batch", "Score a file, a folder or a query with a version.",
         "mainspring batch flights@champion rows.csv scored.csv"),
        ("package", "packaging:package", "Write what an image is built from, and build it.",
         "mainspring package flights@champion --build"),
        ("serve-package", "packaging:serve_package", "Serve a packaged version without a home.",
         "mainspring serve-package image-flights-7"),
        ("label", "serving:label", "Send ground truth by prediction id.",
         "mainspring label flights truth.csv"),
    ],
    "Watching": [
        ("monitor", "monitoring:monitor", "Show the windows of an endpoint's traffic.",
         "mainspring monitor flights"),
        ("profile", "profiling:profile", "Show the statistics of every column of a table.",
         "mainspring profile flights.parquet --save flights"),
        ("check", "checking:check", "Say in which ways a table breaks a contract.",
         "mainspring check today.parquet --against contract.yaml"),
        ("alarms", "monitoring:alarms", "List alarms, newest first.",
         "mainspring alarms --open"),
        ("compare-data", "comparing_data:compare_data",
         "Compare two tables column by column: what moved, and is it certain?",
         "mainspring compare-data train.parquet today.csv --report moved.html"),
        ("decisions", "loops:decisions", "List what was decided, and why.",
         "mainspring decisions --loop flights"),
    ],
}  # fmt: skip

#: Other names that a command answers to.
ALSO = {"load-test": ("loadtest",)}


def every() -> dict[str, Entry]:
    """Return every command by its full name, such as ``"loop pause"``."""
    found = {entry[0]: entry for entries in GROUPS.values() for entry in entries}
    for name, (_, entries) in NESTED.items():
        found |= {f"{name} {entry[0]}": entry for entry in entries}
    return found


def build() -> App:
    """Return the app. No command's module is imported before it is called."""
    app = App(
        name="mainspring",
        help="The whole MLOps loop: drift is noticed, a new version trained, judged, canaried,"
        " promoted or rolled back, with a written reason for every step."
        " Every command also takes --set NAME=VALUE for any setting, such as --set workers=4.",
        version=__version__,
        suppress_keyboard_interrupt=False,
        help_format="plaintext",
    )
    groups = {title: Group(title, sort_key=index) for index, title in enumerate(GROUPS)}
    for title, entries in GROUPS.items():
        for entry in entries:
            add(app, entry, group=groups[title])
    leaves = {entry[0] for entries in GROUPS.values() for entry in entries}
    for name, (text, entries) in NESTED.items():
        if name in leaves:
            continue
        place = groups[PLACES.get(name, "Home")]
        nested = App(name=name, help=text, group=place, help_format="plaintext")
        for entry in entries:
            add(nested, entry)
        app.command(nested)
    return app


def add(app: App, entry: Entry, **more: Any) -> None:
    """Put a command into an app by its name; its module is imported when it is called."""
    name, target, text, example = entry
    if name in NESTED and app.name == ("mainspring",):
        app.command(f"mainspring.cli.both:{name}", name=name, help=text, **more)
        return
    app.command(
        f"mainspring.cli.{target}",
        name=(name, *ALSO.get(name, ())),
        help=text,
        help_epilogue=f"Example: {example}",
        help_format="plaintext",
        **more,
    )
