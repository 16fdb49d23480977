BEGIN TRANSACTION;
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
);
INSERT INTO "alarms" VALUES('al_1','late','drift','age','it moved',1700000010.0,'late:1','{}',NULL,NULL,'c6bd06ef6d9da3b7d4bd77810452787a4c4b2ed8495c589f7fa1693a19326057');
CREATE TABLE alias_history (
	id INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	number INTEGER, 
	previous INTEGER, 
	reason TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	"by" TEXT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "alias_history" VALUES(1,'late','champion',1,NULL,'the first',1700000020.0,'service:engine');
INSERT INTO "alias_history" VALUES(2,'late','champion',2,1,'better',1700000021.0,'service:engine');
CREATE TABLE aliases (
	model TEXT NOT NULL, 
	alias TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	moved FLOAT NOT NULL, 
	PRIMARY KEY (model, alias), 
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
);
INSERT INTO "aliases" VALUES('late','champion',2,1700000021.0);
CREATE TABLE artifacts (
	run VARCHAR(64) NOT NULL, 
	path VARCHAR(500) NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	size BIGINT NOT NULL, 
	time FLOAT NOT NULL, 
	PRIMARY KEY (run, path), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "artifacts" VALUES('run_first','plots/roc.png','95199d6f9614f0ee7847afae7fccff094b4d5ac48d86dc32f10f60a7308452e1',3,1700000000.0);
CREATE TABLE audit (
	seq INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	who TEXT NOT NULL, 
	action TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	detail TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	prev TEXT NOT NULL, 
	hash TEXT NOT NULL, 
	PRIMARY KEY (seq)
);
INSERT INTO "audit" VALUES(1,1700000000.0,'service:engine','version.register','version:late/1','{"cause":null,"command":"cmd_1","package":"a33c689cfa399003b853ec27f49a48fdf736a0e30d6a0e5feceb0e7772196b11","run":"run_first"}','','0000000000000000000000000000000000000000000000000000000000000000','830c1d268bcd18cab909498f8747c04e715c3198fba9e8e7f39886a2fe0b94bc');
INSERT INTO "audit" VALUES(2,1700000000.0,'service:engine','version.register','version:late/2','{"cause":null,"command":"cmd_2","package":"3dbc44e0c8030e76f14931d5d350131b12b38b20e9bd8bc6a9500eefebd223d5","run":"run_first"}','','830c1d268bcd18cab909498f8747c04e715c3198fba9e8e7f39886a2fe0b94bc','defe54b28f4aeaa942f7aef6ee5d31ee87bdb050413512e2139e06c25fda5618');
INSERT INTO "audit" VALUES(3,1700000000.0,'service:engine','version.register','version:late/3','{"cause":null,"command":"cmd_3","package":"788c332e3562616a2ad7a8318d60a8e26b73e7a282e83ec36cb8fc2397ea7650","run":"run_first"}','','defe54b28f4aeaa942f7aef6ee5d31ee87bdb050413512e2139e06c25fda5618','fe899eeccc200212c26ab8e7fe8b9b0dfa3ed70e9c1d5368ad33cfe120f8a293');
INSERT INTO "audit" VALUES(4,1700000000.0,'service:engine','gate.pass','version:late/1','{"failed":[],"gate":"gate_1"}','The gate passed, all 1 checks.','fe899eeccc200212c26ab8e7fe8b9b0dfa3ed70e9c1d5368ad33cfe120f8a293','e413e3e4c293c56127494a34ebc21ae70b492c70e22d460e15cdd490eaac3d53');
INSERT INTO "audit" VALUES(5,1700000000.0,'service:engine','gate.pass','version:late/2','{"failed":[],"gate":"gate_2"}','The gate passed, all 1 checks.','e413e3e4c293c56127494a34ebc21ae70b492c70e22d460e15cdd490eaac3d53','b40ba1f9c77a14f0890998bbce9af41f891dd6c55e4f1a2df965da42246f8744');
INSERT INTO "audit" VALUES(6,1700000000.0,'service:engine','gate.refuse','version:late/3','{"failed":["metric auc"],"gate":"gate_3"}','The gate refused, 1 of 1 checks failed. metric auc: auc 0.8, wanted at least 0.7.','b40ba1f9c77a14f0890998bbce9af41f891dd6c55e4f1a2df965da42246f8744','05ab9919b024fd6d0a463790082277b16750973383ad2a66057eb6dc3e924b92');
INSERT INTO "audit" VALUES(7,1700000000.0,'service:engine','alias.move','model:late','{"alias":"champion","model":"late","number":1,"previous":null}','the first','05ab9919b024fd6d0a463790082277b16750973383ad2a66057eb6dc3e924b92','cfc9de8caec0d4c00966c563bde5ac7e97f6dde904b20b4073eec6be21e8d692');
INSERT INTO "audit" VALUES(8,1700000000.0,'service:engine','alias.move','model:late','{"alias":"champion","model":"late","number":2,"previous":1}','better','cfc9de8caec0d4c00966c563bde5ac7e97f6dde904b20b4073eec6be21e8d692','6a6b8e7c57d4959cd23f93aa1395e826c54dce55e56eb2949bbebcc91ab578fa');
INSERT INTO "audit" VALUES(9,1700000000.0,'service:engine','card.set','version:late/2','{"card":{"data":"","limitations":"few rows, one airport","metrics":{},"notes":"","owner":"team","purpose":"say who is late"}}','','6a6b8e7c57d4959cd23f93aa1395e826c54dce55e56eb2949bbebcc91ab578fa','4c334a73f20218953e76ba6d2d64a097fcfd044ea7b4f82306044e12eaff3c85');
INSERT INTO "audit" VALUES(10,1700000000.0,'service:engine','rollout.start','endpoint:late','{"challenger":3,"champion":2,"purpose":"challenge","rollout":"rol_1","share":0.0}','','4c334a73f20218953e76ba6d2d64a097fcfd044ea7b4f82306044e12eaff3c85','9feae5b03dfc8c637a61881d18da8392784dc7162c4f456e8c508412a677b8a8');
INSERT INTO "audit" VALUES(11,1700000000.0,'owner','token.create','token:ci','{"role":"viewer","ttl_s":null}','','9feae5b03dfc8c637a61881d18da8392784dc7162c4f456e8c508412a677b8a8','0f6dc244a279580665784110993fed2c5c233badcf256fadbe9ea164c35a12c5');
CREATE TABLE cards (
	id INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	card TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	"by" TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
);
INSERT INTO "cards" VALUES(1,'late',2,'{"purpose":"say who is late","owner":"team","limitations":"few rows, one airport","data":"","metrics":{},"notes":""}',1700000022.0,'service:engine');
CREATE TABLE decisions (
	id INTEGER NOT NULL, 
	decision TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	made FLOAT NOT NULL, 
	kind TEXT NOT NULL, 
	subject TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	loop TEXT, 
	cause TEXT, 
	evidence TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (decision)
);
INSERT INTO "decisions" VALUES(1,'dec_1',1700000000.0,1700000000.0,'promote','late/2','better','loop','late',NULL,'{"auc":0.8}');
CREATE TABLE deleted_runs (
	run VARCHAR(64) NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (run), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "deleted_runs" VALUES('run_gone',1700000009.0);
CREATE TABLE edges (
	task VARCHAR NOT NULL, 
	needs VARCHAR NOT NULL, 
	PRIMARY KEY (task, needs)
);
CREATE TABLE endpoints (
	name VARCHAR(128) NOT NULL, 
	model VARCHAR(128) NOT NULL, 
	loop VARCHAR(128), 
	created FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "endpoints" VALUES('late','late',NULL,1700000000.0);
CREATE TABLE environments (
	digest VARCHAR(64) NOT NULL, 
	listing TEXT NOT NULL, 
	PRIMARY KEY (digest)
);
CREATE TABLE events (
	seq INTEGER NOT NULL, 
	"key" VARCHAR NOT NULL, 
	loop VARCHAR NOT NULL, 
	at FLOAT NOT NULL, 
	body TEXT NOT NULL, 
	handled FLOAT, 
	PRIMARY KEY (seq), 
	UNIQUE ("key")
);
CREATE TABLE experiment_tags (
	experiment BIGINT NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (experiment, "key"), 
	FOREIGN KEY(experiment) REFERENCES experiments (id)
);
INSERT INTO "experiment_tags" VALUES(3,'team','blue');
CREATE TABLE experiments (
	id INTEGER NOT NULL, 
	"key" VARCHAR(128) NOT NULL, 
	name VARCHAR(500) NOT NULL, 
	created FLOAT NOT NULL, 
	changed FLOAT NOT NULL, 
	deleted FLOAT, 
	PRIMARY KEY (id), 
	UNIQUE ("key")
);
INSERT INTO "experiments" VALUES(0,'Default','Default',1700000000.0,1700000000.0,NULL);
INSERT INTO "experiments" VALUES(1,'flights','flights',1700000000.0,1700000000.0,NULL);
INSERT INTO "experiments" VALUES(2,'old-ones','old-ones',1700000007.0,1700000007.0,NULL);
INSERT INTO "experiments" VALUES(3,'N-chste-Fl-ge-.c1621bea9e997f63175d69eeea1e6543','Nächste Flüge!',1700000000.0,1700000000.0,NULL);
CREATE TABLE firings (
	schedule VARCHAR NOT NULL, 
	fire_at FLOAT NOT NULL, 
	fired FLOAT NOT NULL, 
	missed INTEGER NOT NULL, 
	PRIMARY KEY (schedule, fire_at)
);
CREATE TABLE gates (
	id INTEGER NOT NULL, 
	gate TEXT NOT NULL, 
	model TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	passed INTEGER NOT NULL, 
	checks TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	"by" TEXT NOT NULL, 
	PRIMARY KEY (id), 
	UNIQUE (gate), 
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
);
INSERT INTO "gates" VALUES(1,'gate_1','late',1,1,'[{"name":"metric auc","passed":true,"found":"auc 0.8","wanted":"at least 0.7","evidence":{}}]',1700000011.0,'engine');
INSERT INTO "gates" VALUES(2,'gate_2','late',2,1,'[{"name":"metric auc","passed":true,"found":"auc 0.8","wanted":"at least 0.7","evidence":{}}]',1700000012.0,'engine');
INSERT INTO "gates" VALUES(3,'gate_3','late',3,0,'[{"name":"metric auc","passed":false,"found":"auc 0.8","wanted":"at least 0.7","evidence":{}}]',1700000013.0,'engine');
CREATE TABLE label_batches (
	id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	endpoint VARCHAR(128) NOT NULL, 
	received FLOAT NOT NULL, 
	n INTEGER NOT NULL, 
	duplicates INTEGER NOT NULL, 
	payload BLOB NOT NULL
);
INSERT INTO "label_batches" VALUES(1,'late',1700000000.0,2,0,X'4D5346314400000013BF39FD72E65A72930281A46B696E64A37374729395A67072656669780000C40092A27031A2703294A66E756D62657206FFC408FFFFFFFFFFFFFFFF95A576616C75650000C40092A130A131');
CREATE TABLE loops (
	name VARCHAR NOT NULL, 
	version INTEGER NOT NULL, 
	spec TEXT NOT NULL, 
	active BOOLEAN NOT NULL, 
	declared FLOAT NOT NULL, 
	PRIMARY KEY (name, version)
);
CREATE TABLE marks (
	name VARCHAR NOT NULL, 
	value FLOAT NOT NULL, 
	at FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE metric_points (
	id INTEGER NOT NULL, 
	run VARCHAR(64) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	step BIGINT NOT NULL, 
	time FLOAT NOT NULL, 
	value FLOAT, 
	PRIMARY KEY (id), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "metric_points" VALUES(1,'run_first','auc',0,1700000000.0,0.5);
INSERT INTO "metric_points" VALUES(2,'run_first','auc',1,1700000001.0,NULL);
INSERT INTO "metric_points" VALUES(3,'run_first','auc',2,1700000002.0,9e999);
INSERT INTO "metric_points" VALUES(4,'run_first','auc',-9223372036854775808,1700000003.0,-9e999);
INSERT INTO "metric_points" VALUES(5,'run_first','auc',9223372036854775807,1700000004.0,3.00000000000000044408e-01);
INSERT INTO "metric_points" VALUES(6,'run_first','auc',3,1700000005.0,4.94065645841247e-324);
CREATE TABLE metrics (
	run VARCHAR(64) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	step BIGINT NOT NULL, 
	time FLOAT NOT NULL, 
	value FLOAT, 
	PRIMARY KEY (run, "key"), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "metrics" VALUES('run_first','auc',9223372036854775807,1700000004.0,3.00000000000000044408e-01);
CREATE TABLE models (
	name TEXT NOT NULL, 
	newest INTEGER NOT NULL, 
	created FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
INSERT INTO "models" VALUES('late',3,1700000001.0);
CREATE TABLE monitors (
	endpoint VARCHAR(128) NOT NULL, 
	judged_until FLOAT, 
	empty BIGINT NOT NULL, 
	late BIGINT NOT NULL, 
	batches BIGINT NOT NULL, 
	PRIMARY KEY (endpoint)
);
INSERT INTO "monitors" VALUES('late',NULL,0,0,1);
CREATE TABLE overrides (
	id INTEGER NOT NULL, 
	model TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	at FLOAT NOT NULL, 
	"by" TEXT NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(model, number) REFERENCES versions (model, number)
);
CREATE TABLE params (
	run VARCHAR(64) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run, "key"), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "params" VALUES('run_first','C','0.1');
INSERT INTO "params" VALUES('run_first','text','zwölf ☃');
CREATE TABLE rollouts (
	id VARCHAR(64) NOT NULL, 
	endpoint VARCHAR(128) NOT NULL, 
	model VARCHAR(128) NOT NULL, 
	champion INTEGER NOT NULL, 
	challenger INTEGER NOT NULL, 
	strategy VARCHAR(16) NOT NULL, 
	share FLOAT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	purpose VARCHAR(16) NOT NULL, 
	started FLOAT NOT NULL, 
	ended FLOAT, 
	better TEXT NOT NULL, 
	worse TEXT NOT NULL, 
	rows BIGINT NOT NULL, 
	cursor BIGINT NOT NULL, 
	PRIMARY KEY (id)
);
INSERT INTO "rollouts" VALUES('rol_1','late','late',2,3,'shadow',0.0,'running','challenge',1700000030.0,NULL,'[]','[]',0,0);
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
);
INSERT INTO "runs" VALUES('run_first','flights','first','finished',1700000000.0,1700000060.0,NULL,NULL,NULL);
INSERT INTO "runs" VALUES('run_second','flights','second','failed',1700000005.0,1700000006.0,NULL,'run_first',NULL);
INSERT INTO "runs" VALUES('run_gone','old-ones','gone','finished',1700000007.0,1700000008.0,NULL,NULL,NULL);
CREATE TABLE schedules (
	name VARCHAR NOT NULL, 
	cron VARCHAR NOT NULL, 
	tz VARCHAR NOT NULL, 
	kind VARCHAR NOT NULL, 
	payload TEXT NOT NULL, 
	since FLOAT NOT NULL, 
	PRIMARY KEY (name)
);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	layout TEXT NOT NULL
);
INSERT INTO "schema_version" VALUES(1,'6e7517118a47b38a6aa7f11bc65ef127d1b8ec053bf9b2cec7112d8482f232e5');
CREATE TABLE step_results (
	"key" VARCHAR(64) NOT NULL, 
	output VARCHAR(64) NOT NULL, 
	output_type VARCHAR(64) NOT NULL, 
	blobs TEXT NOT NULL, 
	run VARCHAR(64) NOT NULL, 
	step VARCHAR(250) NOT NULL, 
	made FLOAT NOT NULL, 
	wall_s FLOAT NOT NULL, 
	metrics TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
CREATE TABLE steps (
	id INTEGER NOT NULL, 
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
	"key" VARCHAR(64), 
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
);
CREATE TABLE tags (
	run VARCHAR(64) NOT NULL, 
	"key" VARCHAR(250) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY (run, "key"), 
	FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "tags" VALUES('run_first','who','team');
CREATE TABLE tasks (
	seq INTEGER NOT NULL, 
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
);
INSERT INTO "tasks" VALUES(1,'task_1','nothing','{}','g','ready',0,0,NULL,0,0,3,3,1.0,NULL,NULL,NULL,0,NULL,'','',NULL,NULL);
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
);
INSERT INTO "tokens" VALUES('tok_01m8g4r1tzbq0cyg9c877k5hnx','ci','viewer','x',1700000000.0,NULL,NULL);
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
);
INSERT INTO "versions" VALUES('late',1,'cmd_1','run_first','a33c689cfa399003b853ec27f49a48fdf736a0e30d6a0e5feceb0e7772196b11',1700000001.0,'{"model":"late","number":1,"run":"run_first","package":"a33c689cfa399003b853ec27f49a48fdf736a0e30d6a0e5feceb0e7772196b11","signature":{"columns":[{"name":"age","type":"float","nullable":true,"categories":null}],"kind":"binary","target":"late","classes":["0","1"],"time":null,"scale":1.0},"card":{"purpose":"say who is late","owner":"team","limitations":"few rows","data":"","metrics":{},"notes":""},"metrics":{"auc":0.8},"created":1700000001.0,"by":"engine","cause":null,"data":{},"code":"","trained_until":null,"command":"cmd_1"}');
INSERT INTO "versions" VALUES('late',2,'cmd_2','run_first','3dbc44e0c8030e76f14931d5d350131b12b38b20e9bd8bc6a9500eefebd223d5',1700000002.0,'{"model":"late","number":2,"run":"run_first","package":"3dbc44e0c8030e76f14931d5d350131b12b38b20e9bd8bc6a9500eefebd223d5","signature":{"columns":[{"name":"age","type":"float","nullable":true,"categories":null}],"kind":"binary","target":"late","classes":["0","1"],"time":null,"scale":1.0},"card":{"purpose":"say who is late","owner":"team","limitations":"few rows","data":"","metrics":{},"notes":""},"metrics":{"auc":0.8},"created":1700000002.0,"by":"engine","cause":null,"data":{},"code":"","trained_until":null,"command":"cmd_2"}');
INSERT INTO "versions" VALUES('late',3,'cmd_3','run_first','788c332e3562616a2ad7a8318d60a8e26b73e7a282e83ec36cb8fc2397ea7650',1700000003.0,'{"model":"late","number":3,"run":"run_first","package":"788c332e3562616a2ad7a8318d60a8e26b73e7a282e83ec36cb8fc2397ea7650","signature":{"columns":[{"name":"age","type":"float","nullable":true,"categories":null}],"kind":"binary","target":"late","classes":["0","1"],"time":null,"scale":1.0},"card":{"purpose":"say who is late","owner":"team","limitations":"few rows","data":"","metrics":{},"notes":""},"metrics":{"auc":0.8},"created":1700000003.0,"by":"engine","cause":null,"data":{},"code":"","trained_until":null,"command":"cmd_3"}');
CREATE TABLE views (
	loop VARCHAR NOT NULL, 
	"view" TEXT NOT NULL, 
	decision VARCHAR, 
	PRIMARY KEY (loop)
);
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
);
INSERT INTO "windows" VALUES('late:1','late',1700000000.0,1700000010.0,100,2,'[]','[]','{}',NULL,0);
CREATE INDEX tasks_by_state ON tasks (state, priority, seq);
CREATE INDEX tasks_by_group ON tasks ("group");
CREATE INDEX edges_by_needs ON edges (needs);
CREATE INDEX events_by_loop ON events (loop, seq);
CREATE INDEX events_by_handled ON events (handled, seq);
CREATE INDEX runs_of_experiment ON runs (experiment, started, id);
CREATE INDEX runs_of_cause ON runs (cause);
CREATE INDEX runs_newest ON runs (started, id);
CREATE INDEX metrics_by_value ON metrics ("key", value);
CREATE INDEX metric_points_of ON metric_points (run, "key", id);
CREATE INDEX windows_by_end ON windows (endpoint, ends);
CREATE INDEX alarms_by_time ON alarms (endpoint, raised);
CREATE INDEX label_batches_by_endpoint ON label_batches (endpoint, id);
CREATE UNIQUE INDEX steps_of_run ON steps (run, step);
CREATE INDEX steps_before ON steps (pipeline, step, id);
CREATE INDEX history_of_alias ON alias_history (model, alias);
CREATE INDEX decisions_of_loop ON decisions (loop, id);
CREATE INDEX decisions_on_subject ON decisions (subject, id);
CREATE INDEX ix_versions_run ON versions (run);
CREATE INDEX cards_of_version ON cards (model, number);
CREATE INDEX gates_of_version ON gates (model, number);
CREATE INDEX overrides_of_version ON overrides (model, number);
CREATE INDEX ix_endpoints_model ON endpoints (model);
CREATE INDEX rollouts_by_endpoint ON rollouts (endpoint, started);
CREATE UNIQUE INDEX rollouts_one_running ON rollouts (endpoint) WHERE state = 'running';
CREATE TRIGGER audit_no_update BEFORE update ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER audit_no_delete BEFORE delete ON audit BEGIN SELECT RAISE(ABORT, 'audit rows are never changed'); END;
CREATE TRIGGER champion_insert BEFORE INSERT ON aliases FOR EACH ROW WHEN NEW.alias = 'champion' AND NOT EXISTS (
  SELECT 1 FROM gates
  WHERE gates.model = NEW.model AND gates.number = NEW.number AND gates.passed = 1) BEGIN SELECT RAISE(ABORT, 'mainspring refuses: the champion alias needs a passed gate'); END;
CREATE TRIGGER champion_update BEFORE UPDATE ON aliases FOR EACH ROW WHEN NEW.alias = 'champion' AND NOT EXISTS (
  SELECT 1 FROM gates
  WHERE gates.model = NEW.model AND gates.number = NEW.number AND gates.passed = 1) BEGIN SELECT RAISE(ABORT, 'mainspring refuses: the champion alias needs a passed gate'); END;
CREATE TRIGGER champion_leaves BEFORE UPDATE ON aliases FOR EACH ROW WHEN OLD.alias = 'champion' AND (NEW.alias <> 'champion' OR NEW.model <> OLD.model) BEGIN SELECT RAISE(ABORT, 'mainspring refuses: a model that has a champion keeps one'); END;
CREATE TRIGGER champion_delete BEFORE DELETE ON aliases FOR EACH ROW WHEN OLD.alias = 'champion' BEGIN SELECT RAISE(ABORT, 'mainspring refuses: a model that has a champion keeps one'); END;
CREATE TRIGGER versions_written_once_update BEFORE UPDATE ON versions FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of versions are written once'); END;
CREATE TRIGGER versions_written_once_delete BEFORE DELETE ON versions FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of versions are written once'); END;
CREATE TRIGGER gates_written_once_update BEFORE UPDATE ON gates FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of gates are written once'); END;
CREATE TRIGGER gates_written_once_delete BEFORE DELETE ON gates FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of gates are written once'); END;
CREATE TRIGGER alias_history_written_once_update BEFORE UPDATE ON alias_history FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of alias_history are written once'); END;
CREATE TRIGGER alias_history_written_once_delete BEFORE DELETE ON alias_history FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of alias_history are written once'); END;
CREATE TRIGGER overrides_written_once_update BEFORE UPDATE ON overrides FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of overrides are written once'); END;
CREATE TRIGGER overrides_written_once_delete BEFORE DELETE ON overrides FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of overrides are written once'); END;
CREATE TRIGGER decisions_written_once_update BEFORE UPDATE ON decisions FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of decisions are written once'); END;
CREATE TRIGGER decisions_written_once_delete BEFORE DELETE ON decisions FOR EACH ROW BEGIN SELECT RAISE(ABORT, 'mainspring refuses: rows of decisions are written once'); END;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('label_batches',1);
COMMIT;
