"""The table of commands: name, where it is, what it does, one example. Loaded when called."""

from typing import Any

from cyclopts import App, Group

from mainspring.ground.version import __version__

# (name, function in mainspring.cli, one line of help, an example)
Entry = tuple[str, str, str, str]

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
        ("cancel", "pipelines:cancel", "Stop a run.",
         "mainspring cancel run_01j9"),
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
        ("again", "again:again", "Make a past run again from its record, and compare the two.",
         "mainspring again run_01j9 --tolerance 1e-6"),
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
        ("reproduce", "proving:reproduce", "Run what made a version again: the same, or not?",
         "mainspring reproduce flights/7 --runs 3"),
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

#: Where a nested command stands among the groups; the rest stand under Home.
PLACES = {
    "card": "Readiness and debt",
    "channels": "Watching",
    "consumers": "Readiness and debt",
    "queue": "Pipelines and runs",
    "loop": "Watching",
    "drill": "Serving",
    "endpoint": "Serving",
    "rollout": "Serving",
    "gate": "Readiness and debt",
    "log-rules": "Watching",
    "schedule": "Pipelines and runs",
    "experiments": "Pipelines and runs",
    "notebook": "Pipelines and runs",
}

#: Other names that a command answers to.
ALSO = {"load-test": ("loadtest",)}

#: A command that is in GROUPS as well does its own work when no word of these follows it.
NESTED: dict[str, tuple[str, list[Entry]]] = {
    "loop": ("Look at loops, declare, pause, resume them, ask for a retraining.", [
        ("status", "loops:status", "Show where loops stand.",
         "mainspring loop status flights"),
        ("declare", "loops:declare", "Declare the project's loops, or one of them.",
         "mainspring loop declare flights"),
        ("pause", "loops:pause", "Stop a loop from acting; it still watches.",
         "mainspring loop pause flights --reason 'Maintenance tonight.'"),
        ("resume", "loops:resume", "Let a paused loop act again.",
         "mainspring loop resume flights --reason 'Maintenance is over.'"),
        ("retrain", "loops:retrain", "Ask a loop for a new version now.",
         "mainspring loop retrain flights --reason 'A new timetable begins.'"),
        ("simulate", "replaying:simulate", "Replay history through policies, side by side.",
         "mainspring loop simulate flights --policy static --policy declared,cooldown=7d"),
        ("staleness", "replaying:staleness", "Say how fast models age, and which cadence pays.",
         "mainspring loop staleness flights --cost 5"),
    ]),
    "drill": ("Rehearse what must work on a bad day.", [
        ("rollback", "drills:rollback", "Roll a copy of an endpoint back under load, and measure.",
         "mainspring drill rollback flights"),
    ]),
    "readiness": ("Say how ready a model is, and how well it is looked after.", [
        ("score", "scores:score", "Score a model by the 28 tests, from what really ran.",
         "mainspring readiness score flights --least 3"),
        ("exercise", "drills:exercise", "Try what the score asks for and a machine can do.",
         "mainspring readiness exercise flights"),
    ]),
    "gate": ("What versions must show before they may serve.", [
        ("run", "gates:run", "Run every check of a version again: exit code 0, 1 or 2.",
         "mainspring gate run flights/7 --junit gate.xml"),
        ("show", "gates:show", "Show the one gate of a model.",
         "mainspring gate show flights"),
        ("declare", "gates:declare", "Declare the gate of a model without a loop.",
         "mainspring gate declare churn --at-least auc=0.7 --valid 14d"),
        ("comment", "gates:comment", "Tell a pull request how a version differs.",
         "mainspring gate comment flights/8 --against champion"),
    ]),
    "models": ("Register what runs logged, guard aliases, trust pickled code.", [
        ("register", "judging:register", "Register a model that a run logged.",
         "mainspring models register last/model churn"),
        ("add", "forms:add", "Register an ONNX file, a class of your own, or a directory.",
         "mainspring models add odds predict.py:Odds --file weights.csv"),
        ("graph", "forms:graph", "Register a graph of other models: ensemble, switch, chain.",
         "mainspring models graph delays graph.yaml"),
        ("guard", "judging:guard", "Say which aliases ask for a passed gate.",
         "mainspring models guard flights --aliases champion,production"),
        ("trust", "judging:trust", "Let a version's pickled code run when it is converted.",
         "mainspring models trust flights/3 --reason 'Our nightly training wrote it.'"),
        ("trust-script", "adopting:trust_script", "Let what a training script makes be loaded.",
         "mainspring models trust-script train.py --reason 'It is our nightly training.'"),
    ]),
    "config": ("Compare configurations, and check the project's own.", [
        ("diff", "configs:diff", "Say in which keys two configurations differ.",
         "mainspring config diff flights/7 flights@champion --only params,packages"),
        ("check", "configs:check", "Find everything that is wrong with the configuration.",
         "mainspring config check"),
        ("schema", "configs:schema", "Print the JSON schema of mainspring.toml, for editors.",
         "mainspring config schema"),
    ]),
    "card": ("Read and write the cards of versions, and the sheets of datasets.", [
        ("show", "cards:show", "Show a version's card, or write it in another form.",
         "mainspring card show flights@champion --form sagemaker --out card.json"),
        ("set", "cards:set_", "Say your part of a version's card.",
         "mainspring card set flights/7 --ethics 'Nobody is judged by it.' --risk low"),
        ("check", "cards:check", "Say what is missing or overdue. Exit code 1 if something is.",
         "mainspring card check flights/7 --require ethics,assumptions"),
        ("history", "cards:history", "List the cards a version had, newest first.",
         "mainspring card history flights/7"),
        ("data", "cards:data", "Say your part of a dataset's sheet.",
         "mainspring card data flights --owner ops --licence CC0"),
    ]),
    "dataset": ("Look at datasets that runs read, training sets of loops among them.", [
        ("list", "dataset:listed", "List datasets by name.",
         "mainspring dataset list"),
        ("show", "dataset:show", "Show a dataset: who read it, its columns, how it came about.",
         "mainspring dataset show churn-training"),
    ]),
    "runs": ("Delete and restore runs.", [
        ("delete", "keeping:delete", "Delete runs, so that they can be restored.",
         "mainspring runs delete run_01j9 --yes"),
        ("restore", "keeping:restore", "Restore deleted runs.",
         "mainspring runs restore run_01j9"),
    ]),
    "experiments": ("List, rename, delete and restore experiments.", [
        ("list", "keeping:experiments", "List experiments, newest first.",
         "mainspring experiments list --deleted"),
        ("rename", "keeping:rename_experiment", "Rename an experiment; its runs follow.",
         "mainspring experiments rename flights delays"),
        ("delete", "keeping:delete_experiment", "Delete an experiment with its runs.",
         "mainspring experiments delete flights --yes"),
        ("restore", "keeping:restore_experiment", "Restore a deleted experiment with its runs.",
         "mainspring experiments restore flights"),
    ]),
    "retention": ("Say how long the runs of an experiment are kept.", [
        ("set", "keeping:retention_set", "Keep runs for so long, and the best for ever.",
         "mainspring retention set flights --keep 90d --keep-best 10:metrics.auc"),
        ("list", "keeping:retention_list", "List what is set.",
         "mainspring retention list"),
        ("remove", "keeping:retention_remove", "Keep an experiment's runs for ever again.",
         "mainspring retention remove flights"),
    ]),
    "rollout": ("Let versions meet traffic by hand.", [
        ("start", "rollouts:start", "Let a version, or several by weight, meet traffic.",
         "mainspring rollout start flights 8 --steps 5%:1h:500,20%:1h --reason 'Spring.'"),
        ("show", "rollouts:show", "Show how a rollout stands.",
         "mainspring rollout show flights"),
        ("set", "rollouts:set_", "Set the share, or the weights, of what rolls out.",
         "mainspring rollout set flights --share 0.5 --reason 'The morning went well.'"),
        ("end", "rollouts:end", "End what rolls out, or promote it.",
         "mainspring rollout end flights --promote 8 --reason 'It proved better.'"),
        ("list", "rollouts:listed", "List rollouts, newest first.",
         "mainspring rollout list flights"),
    ]),
    "notebook": ("Run notebooks as tracked runs.", [
        ("run", "notebooks:run", "Run a notebook from end to end, and keep it with its outputs.",
         "mainspring notebook run train.ipynb -p C=0.5 -o done.ipynb"),
    ]),
    "import": ("Take in what was written elsewhere.", [
        ("archive", "moving:import_archive", "Take in a file that mainspring export wrote.",
         "mainspring import archive project.msar"),
        ("mlflow", "importing:mlflow", "Bring over what MLflow wrote: a folder, database, server.",
         "mainspring import mlflow sqlite:///mlflow.db --dry-run"),
    ]),
    "monitor": ("Watch what endpoints are asked and what they answer.", [
        ("report", "comparing_data:report", "Report a window beside its baseline, as one file.",
         "mainspring monitor report flights --out week.html"),
        ("explain", "explaining:explain", "Say by what a window is told from its reference.",
         "mainspring monitor explain flights"),
        ("series", "series:series", "Print what monitors computed, window by window.",
         "mainspring monitor series flights --monitor drift --csv"),
        ("age", "fairness:age", "Show how old a champion is, and how models here grow stale.",
         "mainspring monitor age flights"),
        ("skew", "fairness:skew", "Compare captured rows with the training path, or their source.",
         "mainspring monitor skew flights --against rows.csv --key id"),
        ("dashboard", "series:dashboard", "Write a Grafana dashboard of what /metrics tells.",
         "mainspring monitor dashboard --out mainspring.json"),
        ("backtest", "backtest:backtest", "Ask history how a rule would have done.",
         "mainspring monitor backtest flights --series drift:temp --above 0.1"),
        ("create", "feeds:create", "Watch a model that answers elsewhere.",
         "mainspring monitor create fraud --baseline trusted.csv --window 1d"),
        ("feed", "feeds:feed", "Give a monitor predictions that were made elsewhere.",
         "mainspring monitor feed fraud monday.csv tuesday.parquet"),
        ("run", "feeds:run", "Judge one table against another: exit code 0 quiet, 1 alarm.",
         "mainspring monitor run --baseline before.csv --current now.csv"),
        ("judge", "feeds:judge", "Judge what is over now, or one window once more.",
         "mainspring monitor judge fraud"),
        ("remove", "feeds:remove", "Watch a model elsewhere no more.",
         "mainspring monitor remove fraud"),
    ]),
    "endpoint": ("See how an endpoint is served, and change it while it serves.", [
        ("show", "endpoints:show", "Show an endpoint: its workers, why they are so many, options.",
         "mainspring endpoint show flights"),
        ("set", "endpoints:set_", "Change how it is served, at once.",
         "mainspring endpoint set flights --workers 0..4 --in-flight 8 --idle 5m"),
    ]),
    "alarms": ("See and settle alarms.", [
        ("create", "alarms:create", "Make a rule over a series, or over other rules.",
         "mainspring alarms create hot --endpoint flights --series drift:temp --above 0.1"),
        ("edit", "alarms:edit", "Change a rule, as a new version of it.",
         "mainspring alarms edit hot --above 0.2 --reason 'Too loud.'"),
        ("delete", "alarms:delete", "Delete a rule.",
         "mainspring alarms delete hot --reason 'The column is gone.'"),
        ("rules", "alarms:rules", "List rules and how they stand.",
         "mainspring alarms rules hot"),
        ("states", "alarms:states", "List how all that is watched stands.",
         "mainspring alarms states --state ALARM"),
        ("history", "alarms:history", "List how states changed.",
         "mainspring alarms history --endpoint flights"),
        ("groups", "alarms:groups", "List alarms by cause, and who was told.",
         "mainspring alarms groups --open"),
        ("pages", "alarms:pages", "List what people were told.",
         "mainspring alarms pages"),
        ("ack", "alarms:ack", "Say that somebody has seen it.",
         "mainspring alarms ack alarm_3f --reason 'The vendor knows.' --until 8h"),
        ("dismiss", "alarms:dismiss", "End the alarm of a rule by hand.",
         "mainspring alarms dismiss alarm_3f --reason 'It was a test.'"),
        ("quiet", "alarms:quiet", "Page nobody for a time; states go on.",
         "mainspring alarms quiet --for 2h --reason 'The warehouse moves.'"),
        ("quiets", "alarms:quiets", "List when nobody is paged.",
         "mainspring alarms quiets"),
        ("unquiet", "alarms:unquiet", "End a quiet time.",
         "mainspring alarms unquiet quiet_01j9"),
    ]),
    "debt": ("Look for debt, let it stand for a time, see how it goes.", [
        ("trend", "debt:trend", "Show how debt went, scan by scan.",
         "mainspring debt trend"),
        ("accept", "debt:accept", "Let a finding stand until a date.",
         "mainspring debt accept debt_1f2e3d4c5b6a --until 2027-01-31 --reason 'In spring.'"),
    ]),
    "consumers": ("Say who uses an endpoint.", [
        ("add", "consumers:add", "Declare that somebody uses an endpoint.",
         "mainspring consumers add flights billing --owner 'payments team'"),
        ("list", "consumers:listed", "List who uses an endpoint, declared or not.",
         "mainspring consumers list flights"),
        ("remove", "consumers:remove", "Forget a declared consumer.",
         "mainspring consumers remove flights billing"),
    ]),
    "channels": ("Say over what people are told of alarms.", [
        ("add", "channels:add", "Tell people over this too.",
         "mainspring channels add ops webhook --to-url https://example.com/in"),
        ("list", "channels:listed", "List channels and whether they are well.",
         "mainspring channels list"),
        ("test", "channels:try_out", "Tell an example over a channel now.",
         "mainspring channels test ops"),
        ("remove", "channels:remove", "Tell nobody over a channel any more.",
         "mainspring channels remove ops"),
        ("retry", "channels:retry", "Try again what could not be told.",
         "mainspring channels retry ops"),
        ("rest", "channels:rest", "Let a channel rest.",
         "mainspring channels rest ops"),
        ("use", "channels:use", "Use a channel again that rests.",
         "mainspring channels use ops"),
    ]),
    "log-rules": ("Alarm on patterns and rates in the logs.", [
        ("add", "log_rules:add", "Alarm when more lines of a kind are written within a time.",
         "mainspring log-rules add errors --level error --above 5 --within 10m"),
        ("list", "log_rules:listed", "List the rules over the logs, and how each stands.",
         "mainspring log-rules list"),
        ("rates", "log_rules:rates", "Show how many lines a rule counts over time.",
         "mainspring log-rules rates errors --since 1d"),
        ("remove", "log_rules:remove", "Look for a rule's lines no more.",
         "mainspring log-rules remove errors"),
    ]),
    "schedule": ("Run pipelines by the clock.", [
        ("add", "schedules:add", "Run a pipeline whenever the clock says so.",
         "mainspring schedule add nightly flights --cron '30 2 * * *'"),
        ("list", "schedules:listed", "List what runs when, and when next.",
         "mainspring schedule list"),
        ("remove", "schedules:remove", "Run nothing by a schedule any more.",
         "mainspring schedule remove nightly"),
    ]),
    "webhook": ("Tell others what happens to the registry.", [
        ("add", "webhooks:add", "Post what happens to a URL, from now on.",
         "mainspring webhook add ci https://example.com/in --events alias.set"),
        ("list", "webhooks:listed", "List webhooks and how their deliveries stand.",
         "mainspring webhook list"),
        ("remove", "webhooks:remove", "Tell a webhook nothing any more.",
         "mainspring webhook remove hook_01j9"),
        ("retry", "webhooks:retry", "Try again what was given up.",
         "mainspring webhook retry hook_01j9"),
    ]),
    "queue": ("Run many things, a few at a time.", [
        ("add", "queue:add", "Put a command, a pipeline or a function into the queue.",
         "mainspring queue add -- python train.py --lr 0.1"),
        ("list", "queue:listed", "List what runs and what waits.",
         "mainspring queue list"),
        ("cancel", "queue:cancel", "Take an entry out of the queue, or stop it.",
         "mainspring queue cancel run_01j9"),
        ("work", "queue:work", "Work on the queue without a server.",
         "mainspring queue work --slots 4"),
    ]),
    "token": ("Make, list and end tokens.", [
        ("create", "access:create", "Make a token; its secret is shown once.",
         "mainspring token create ci --role contributor --ttl 30d"),
        ("list", "access:listed", "List every token ever made.",
         "mainspring token list"),
        ("revoke", "access:revoke", "End a token, everywhere, within a second.",
         "mainspring token revoke ci"),
    ]),
    "audit": ("Read the audit log and verify its chain.", [
        ("list", "access:audit_list", "List the newest lines of the audit log.",
         "mainspring audit list --limit 20"),
        ("verify", "access:audit_verify", "Walk the hash chain and say where it breaks.",
         "mainspring audit verify"),
    ]),
}  # fmt: skip


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
    app.register_install_completion_command()
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
