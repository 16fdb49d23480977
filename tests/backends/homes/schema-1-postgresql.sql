CREATE TABLE IF NOT EXISTS write_marks (mark text NOT NULL, at timestamptz NOT NULL DEFAULT now())
;;
CREATE TABLE schema_version (
	version INTEGER NOT NULL,
	layout TEXT NOT NULL
)
;;
CREATE TABLE audit (
	seq BIGINT NOT NULL,
	at FLOAT(53) NOT NULL,
	who TEXT NOT NULL,
	action TEXT NOT NULL,
	subject TEXT NOT NULL,
	detail TEXT NOT NULL,
	reason TEXT NOT NULL,
	prev TEXT NOT NULL,
	hash TEXT NOT NULL,
	PRIMARY KEY (seq)
)
;;
CREATE TABLE edges (
	task VARCHAR NOT NULL,
	needs VARCHAR NOT NULL,
	PRIMARY KEY (task, needs)
)
;;
CREATE INDEX edges_by_needs ON edges (needs)
;;
CREATE TABLE events (
	seq BIGSERIAL NOT NULL,
	key VARCHAR NOT NULL,
	loop VARCHAR NOT NULL,
	at FLOAT NOT NULL,
	body TEXT NOT NULL,
	handled FLOAT,
	PRIMARY KEY (seq),
	UNIQUE (key)
)
;;
CREATE INDEX events_by_handled ON events (handled, seq)
;;
CREATE INDEX events_by_loop ON events (loop, seq)
;;
CREATE TABLE firings (
	schedule VARCHAR NOT NULL,
	fire_at FLOAT NOT NULL,
	fired FLOAT NOT NULL,
	missed INTEGER NOT NULL,
	PRIMARY KEY (schedule, fire_at)
)
;;
CREATE TABLE loops (
	name VARCHAR NOT NULL,
	version INTEGER NOT NULL,
	spec TEXT NOT NULL,
	active BOOLEAN NOT NULL,
	declared FLOAT NOT NULL,
	PRIMARY KEY (name, version)
)
;;
CREATE TABLE marks (
	name VARCHAR NOT NULL,
	value FLOAT NOT NULL,
	at FLOAT NOT NULL,
	PRIMARY KEY (name)
)
;;
CREATE TABLE schedules (
	name VARCHAR NOT NULL,
	cron VARCHAR NOT NULL,
	tz VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	payload TEXT NOT NULL,
	since FLOAT NOT NULL,
	PRIMARY KEY (name)
)
;;
CREATE TABLE tasks (
	seq BIGSERIAL NOT NULL,
	id VARCHAR NOT NULL,
	kind VARCHAR NOT NULL,
	payload TEXT NOT NULL,
	"group" VARCHAR,
	state VARCHAR NOT NULL,
	always BOOLEAN NOT NULL,
	priority INTEGER NOT NULL,
	due FLOAT,
	unfinished INTEGER NOT NULL,
	attempt INTEGER NOT NULL,
	last_attempt INTEGER NOT NULL,
	max_attempts INTEGER NOT NULL,
	backoff_s FLOAT NOT NULL,
	owner VARCHAR,
	lease_until FLOAT,
	lease_s FLOAT,
	stop BOOLEAN NOT NULL,
	result TEXT,
	error TEXT NOT NULL,
	trace TEXT NOT NULL,
	started FLOAT,
	ended FLOAT,
	PRIMARY KEY (seq),
	UNIQUE (id)
)
;;
CREATE INDEX tasks_by_group ON tasks ("group")
;;
CREATE INDEX tasks_by_state ON tasks (state, priority, seq)
;;
CREATE TABLE views (
	loop VARCHAR NOT NULL,
	view TEXT NOT NULL,
	decision VARCHAR,
	PRIMARY KEY (loop)
)
;;
CREATE TABLE experiments (
	id BIGSERIAL NOT NULL,
	key VARCHAR(128) NOT NULL,
	name VARCHAR(500) NOT NULL,
	created FLOAT NOT NULL,
	changed FLOAT NOT NULL,
	deleted FLOAT,
	PRIMARY KEY (id),
	UNIQUE (key)
)
;;
CREATE TABLE runs (
	id VARCHAR(64) NOT NULL,
	experiment VARCHAR(128) NOT NULL,
	name VARCHAR(250) NOT NULL,
	status VARCHAR(16) NOT NULL,
	started FLOAT NOT NULL,
	ended FLOAT,
	pipeline VARCHAR(250),
	parent VARCHAR(64),
	cause VARCHAR(250),
	PRIMARY KEY (id)
)
;;
CREATE INDEX runs_newest ON runs (started, id)
;;
CREATE INDEX runs_of_cause ON runs (cause)
;;
CREATE INDEX runs_of_experiment ON runs (experiment, started, id)
;;
CREATE TABLE artifacts (
	run VARCHAR(64) NOT NULL,
	path VARCHAR(500) NOT NULL,
	digest VARCHAR(64) NOT NULL,
	size BIGINT NOT NULL,
	time FLOAT NOT NULL,
	PRIMARY KEY (run, path),
	FOREIGN KEY(run) REFERENCES runs (id)
)
;;
CREATE TABLE deleted_runs (
	run VARCHAR(64) NOT NULL,
	at FLOAT NOT NULL,
	PRIMARY KEY (run),
	FOREIGN KEY(run) REFERENCES runs (id)
)
;;
CREATE TABLE experiment_tags (
	experiment BIGINT NOT NULL,
	key VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (experiment, key),
	FOREIGN KEY(experiment) REFERENCES experiments (id)
)
;;
CREATE TABLE metric_points (
	id BIGSERIAL NOT NULL,
	run VARCHAR(64) NOT NULL,
	key VARCHAR(250) NOT NULL,
	step BIGINT NOT NULL,
	time FLOAT NOT NULL,
	value FLOAT,
	PRIMARY KEY (id),
	FOREIGN KEY(run) REFERENCES runs (id)
)
;;
CREATE INDEX metric_points_of ON metric_points (run, key, id)
;;
CREATE TABLE metrics (
	run VARCHAR(64) NOT NULL,
	key VARCHAR(250) NOT NULL,
	step BIGINT NOT NULL,
	time FLOAT NOT NULL,
	value FLOAT,
	PRIMARY KEY (run, key),
	FOREIGN KEY(run) REFERENCES runs (id)
)
;;
CREATE INDEX metrics_by_value ON metrics (key, value)
;;
CREATE TABLE params (
	run VARCHAR(64) NOT NULL,
	key VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (run, key),
	FOREIGN KEY(run) REFERENCES runs (id)
)
;;
CREATE TABLE tags (
	run VARCHAR(64) NOT NULL,
	key VARCHAR(250) NOT NULL,
	value TEXT NOT NULL,
	PRIMARY KEY (run, key),
	FOREIGN KEY(run) REFERENCES runs (id)
)
;;
CREATE TABLE alarms (
	id VARCHAR(64) NOT NULL,
	endpoint VARCHAR(128) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	subject TEXT NOT NULL,
	reason TEXT NOT NULL,
	raised FLOAT NOT NULL,
	window_id VARCHAR(255) NOT NULL,
	evidence TEXT NOT NULL,
	outcome VARCHAR(32),
	decision VARCHAR(64),
	open_key VARCHAR(64),
	PRIMARY KEY (id),
	UNIQUE (open_key)
)
;;
CREATE INDEX alarms_by_time ON alarms (endpoint, raised)
;;
CREATE TABLE label_batches (
	id BIGSERIAL NOT NULL,
	endpoint VARCHAR(128) NOT NULL,
	received FLOAT NOT NULL,
	n INTEGER NOT NULL,
	duplicates INTEGER NOT NULL,
	payload BYTEA NOT NULL,
	PRIMARY KEY (id)
)
;;
CREATE INDEX label_batches_by_endpoint ON label_batches (endpoint, id)
;;
CREATE TABLE monitors (
	endpoint VARCHAR(128) NOT NULL,
	judged_until FLOAT,
	empty BIGINT NOT NULL,
	late BIGINT NOT NULL,
	batches BIGINT NOT NULL,
	PRIMARY KEY (endpoint)
)
;;
CREATE TABLE windows (
	id VARCHAR(255) NOT NULL,
	endpoint VARCHAR(128) NOT NULL,
	starts FLOAT NOT NULL,
	ends FLOAT NOT NULL,
	row_count BIGINT NOT NULL,
	version BIGINT,
	drift TEXT NOT NULL,
	quality TEXT NOT NULL,
	traffic TEXT NOT NULL,
	performance TEXT,
	labelled BIGINT NOT NULL,
	PRIMARY KEY (id)
)
;;
CREATE INDEX windows_by_end ON windows (endpoint, ends)
;;
CREATE TABLE environments (
	digest VARCHAR(64) NOT NULL,
	listing TEXT NOT NULL,
	PRIMARY KEY (digest)
)
;;
CREATE TABLE step_results (
	key VARCHAR(64) NOT NULL,
	output VARCHAR(64) NOT NULL,
	output_type VARCHAR(64) NOT NULL,
	blobs TEXT NOT NULL,
	run VARCHAR(64) NOT NULL,
	step VARCHAR(250) NOT NULL,
	made FLOAT NOT NULL,
	wall_s FLOAT NOT NULL,
	metrics TEXT NOT NULL,
	PRIMARY KEY (key)
)
;;
CREATE TABLE steps (
	id BIGSERIAL NOT NULL,
	run VARCHAR(64) NOT NULL,
	step VARCHAR(250) NOT NULL,
	position INTEGER NOT NULL,
	pipeline VARCHAR(500) NOT NULL,
	target VARCHAR(500) NOT NULL,
	args TEXT NOT NULL,
	options TEXT NOT NULL,
	needs TEXT NOT NULL,
	code VARCHAR(64) NOT NULL,
	code_parts TEXT NOT NULL,
	env VARCHAR(64) NOT NULL,
	fresh BOOLEAN NOT NULL,
	state VARCHAR(16) NOT NULL,
	key VARCHAR(64),
	why TEXT NOT NULL,
	parts TEXT,
	inputs TEXT NOT NULL,
	output VARCHAR(64),
	output_type VARCHAR(64),
	reused_from VARCHAR(64),
	started FLOAT,
	ended FLOAT,
	attempt INTEGER NOT NULL,
	error TEXT NOT NULL,
	trace TEXT NOT NULL,
	log VARCHAR(64),
	wall_s FLOAT NOT NULL,
	cpu_s FLOAT NOT NULL,
	PRIMARY KEY (id)
)
;;
CREATE INDEX steps_before ON steps (pipeline, step, id)
;;
CREATE UNIQUE INDEX steps_of_run ON steps (run, step)
;;
CREATE TABLE alias_history (
	id BIGSERIAL NOT NULL,
	model TEXT NOT NULL,
	alias TEXT NOT NULL,
	number INTEGER,
	previous INTEGER,
	reason TEXT NOT NULL,
	at FLOAT NOT NULL,
	by TEXT NOT NULL,
	PRIMARY KEY (id)
)
;;
CREATE INDEX history_of_alias ON alias_history (model, alias)
;;
CREATE TABLE decisions (
	id BIGSERIAL NOT NULL,
	decision TEXT NOT NULL,
	at FLOAT NOT NULL,
	made FLOAT NOT NULL,
	kind TEXT NOT NULL,
	subject TEXT NOT NULL,
	reason TEXT NOT NULL,
	by TEXT NOT NULL,
	loop TEXT,
	cause TEXT,
	evidence TEXT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (decision)
)
;;
CREATE INDEX decisions_of_loop ON decisions (loop, id)
;;
CREATE INDEX decisions_on_subject ON decisions (subject, id)
;;
CREATE TABLE models (
	name TEXT NOT NULL,
	newest INTEGER NOT NULL,
	created FLOAT NOT NULL,
	PRIMARY KEY (name)
)
;;
CREATE TABLE versions (
	model TEXT NOT NULL,
	number INTEGER NOT NULL,
	command TEXT,
	run TEXT,
	package TEXT NOT NULL,
	created FLOAT NOT NULL,
	record TEXT NOT NULL,
	PRIMARY KEY (model, number),
	FOREIGN KEY(model) REFERENCES models (name),
	UNIQUE (command)
)
;;
CREATE INDEX ix_versions_run ON versions (run)
;;
CREATE TABLE aliases (
	model TEXT NOT NULL,
	alias TEXT NOT NULL,
	number INTEGER NOT NULL,
	moved FLOAT NOT NULL,
	PRIMARY KEY (model, alias),
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
)
;;
CREATE TABLE cards (
	id BIGSERIAL NOT NULL,
	model TEXT NOT NULL,
	number INTEGER NOT NULL,
	card TEXT NOT NULL,
	at FLOAT NOT NULL,
	by TEXT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
)
;;
CREATE INDEX cards_of_version ON cards (model, number)
;;
CREATE TABLE gates (
	id BIGSERIAL NOT NULL,
	gate TEXT NOT NULL,
	model TEXT NOT NULL,
	number INTEGER NOT NULL,
	passed INTEGER NOT NULL,
	checks TEXT NOT NULL,
	at FLOAT NOT NULL,
	by TEXT NOT NULL,
	PRIMARY KEY (id),
	UNIQUE (gate),
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
)
;;
CREATE INDEX gates_of_version ON gates (model, number)
;;
CREATE TABLE overrides (
	id BIGSERIAL NOT NULL,
	model TEXT NOT NULL,
	number INTEGER NOT NULL,
	reason TEXT NOT NULL,
	at FLOAT NOT NULL,
	by TEXT NOT NULL,
	PRIMARY KEY (id),
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
)
;;
CREATE INDEX overrides_of_version ON overrides (model, number)
;;
CREATE TABLE endpoints (
	name VARCHAR(128) NOT NULL,
	model VARCHAR(128) NOT NULL,
	loop VARCHAR(128),
	created FLOAT(53) NOT NULL,
	PRIMARY KEY (name)
)
;;
CREATE INDEX ix_endpoints_model ON endpoints (model)
;;
CREATE TABLE rollouts (
	id VARCHAR(64) NOT NULL,
	endpoint VARCHAR(128) NOT NULL,
	model VARCHAR(128) NOT NULL,
	champion INTEGER NOT NULL,
	challenger INTEGER NOT NULL,
	strategy VARCHAR(16) NOT NULL,
	share FLOAT(53) NOT NULL,
	state VARCHAR(16) NOT NULL,
	purpose VARCHAR(16) NOT NULL,
	started FLOAT(53) NOT NULL,
	ended FLOAT(53),
	better TEXT NOT NULL,
	worse TEXT NOT NULL,
	rows BIGINT NOT NULL,
	cursor BIGINT NOT NULL,
	PRIMARY KEY (id)
)
;;
CREATE INDEX rollouts_by_endpoint ON rollouts (endpoint, started)
;;
CREATE UNIQUE INDEX rollouts_one_running ON rollouts (endpoint) WHERE state = 'running'
;;
CREATE TABLE tokens (
	id VARCHAR(40) NOT NULL,
	name VARCHAR(128) NOT NULL,
	role VARCHAR(20) NOT NULL,
	hash VARCHAR(64) NOT NULL,
	created FLOAT NOT NULL,
	expires FLOAT,
	revoked FLOAT,
	PRIMARY KEY (id),
	UNIQUE (name)
)
;;
CREATE OR REPLACE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'audit rows are never changed'; END $$
;;
CREATE TRIGGER audit_no_change BEFORE UPDATE OR DELETE ON audit FOR EACH ROW EXECUTE FUNCTION audit_refuse()
;;
CREATE OR REPLACE FUNCTION champion_gated() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF NEW.alias = 'champion' AND NOT EXISTS (
  SELECT 1 FROM gates
  WHERE gates.model = NEW.model AND gates.number = NEW.number AND gates.passed = 1) THEN RAISE EXCEPTION 'mainspring refuses: the champion alias needs a passed gate' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
;;
CREATE OR REPLACE TRIGGER champion_gated BEFORE INSERT OR UPDATE ON aliases FOR EACH ROW EXECUTE FUNCTION champion_gated()
;;
CREATE OR REPLACE FUNCTION champion_leaves() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.alias = 'champion' AND (NEW.alias <> 'champion' OR NEW.model <> OLD.model) THEN RAISE EXCEPTION 'mainspring refuses: a model that has a champion keeps one' USING ERRCODE = '23514'; END IF; RETURN NEW; END $$
;;
CREATE OR REPLACE TRIGGER champion_leaves BEFORE UPDATE ON aliases FOR EACH ROW EXECUTE FUNCTION champion_leaves()
;;
CREATE OR REPLACE FUNCTION champion_delete() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF OLD.alias = 'champion' THEN RAISE EXCEPTION 'mainspring refuses: a model that has a champion keeps one' USING ERRCODE = '23514'; END IF; RETURN OLD; END $$
;;
CREATE OR REPLACE TRIGGER champion_delete BEFORE DELETE ON aliases FOR EACH ROW EXECUTE FUNCTION champion_delete()
;;
CREATE OR REPLACE FUNCTION versions_written_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF true THEN RAISE EXCEPTION 'mainspring refuses: rows of versions are written once' USING ERRCODE = '23514'; END IF; END $$
;;
CREATE OR REPLACE TRIGGER versions_written_once BEFORE UPDATE OR DELETE ON versions FOR EACH ROW EXECUTE FUNCTION versions_written_once()
;;
CREATE OR REPLACE FUNCTION gates_written_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF true THEN RAISE EXCEPTION 'mainspring refuses: rows of gates are written once' USING ERRCODE = '23514'; END IF; END $$
;;
CREATE OR REPLACE TRIGGER gates_written_once BEFORE UPDATE OR DELETE ON gates FOR EACH ROW EXECUTE FUNCTION gates_written_once()
;;
CREATE OR REPLACE FUNCTION alias_history_written_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF true THEN RAISE EXCEPTION 'mainspring refuses: rows of alias_history are written once' USING ERRCODE = '23514'; END IF; END $$
;;
CREATE OR REPLACE TRIGGER alias_history_written_once BEFORE UPDATE OR DELETE ON alias_history FOR EACH ROW EXECUTE FUNCTION alias_history_written_once()
;;
CREATE OR REPLACE FUNCTION overrides_written_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF true THEN RAISE EXCEPTION 'mainspring refuses: rows of overrides are written once' USING ERRCODE = '23514'; END IF; END $$
;;
CREATE OR REPLACE TRIGGER overrides_written_once BEFORE UPDATE OR DELETE ON overrides FOR EACH ROW EXECUTE FUNCTION overrides_written_once()
;;
CREATE OR REPLACE FUNCTION decisions_written_once() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF true THEN RAISE EXCEPTION 'mainspring refuses: rows of decisions are written once' USING ERRCODE = '23514'; END IF; END $$
;;
CREATE OR REPLACE TRIGGER decisions_written_once BEFORE UPDATE OR DELETE ON decisions FOR EACH ROW EXECUTE FUNCTION decisions_written_once()
;;
