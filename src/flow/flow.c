/*
 * Putting the authority together: loading its state, starting connectors,
 * looking after the clock, and stopping.
 */
#include "flow/flow.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/mint.h"
#include "flow/point.h"
#include "flow/state.h"
#include "notify/notify.h"

enum {
	TICK_MS = 1000,
	CLOCK_STEP_MAX_MS = 1000, /* a larger step stops arming */
	REFUSAL_LEAF_MS = 60 * 1000,
	TOKEN_CACHE_ENTRIES = 16384,
	LOAD_PAGE = 256,
};

/* ---- connectors ---- */

static void connector_up(void *cookie)
{
	struct target *t = cookie;

	t->why[0] = '\0';
	point_connector_up(t);
	log_info("connector-up", "target=%s build=%s", t->name,
		 connector_build(t->connector));
}

static void connector_down(void *cookie, const char *why)
{
	struct target *t = cookie;

	t->up = t->up && t->issues;
	snprintf(t->why, sizeof(t->why), "%s", why);
	log_warning("connector-down", "target=%s why=\"%s\"", t->name, why);
}

static void reader_up(void *cookie)
{
	const struct target *t = cookie;

	log_info("reader-up", "target=%s build=%s", t->name,
		 connector_build(t->reader));
}

static void reader_down(void *cookie, const char *why)
{
	struct target *t = cookie;

	snprintf(t->reader_why, sizeof(t->reader_why), "%s", why);
	log_warning("reader-down", "target=%s why=\"%s\"", t->name, why);
}

/* The second connector of a target, which only reads back. */
static int start_reader(struct target *t, const struct flow_connector *c)
{
	struct connector_config config = {
		.loop = t->flow->loop,
		.target = c->target,
		.command = c->read_command,
		.up = reader_up,
		.down = reader_down,
		.cookie = t,
	};

	config.timeout_ms[CONNECT_READ] = c->timeout_ms;
	return c->read_command ? connector_open(&config, &t->reader) : 0;
}

static int start_connector(struct flow *f, const struct flow_connector *c)
{
	struct target *t = mem_new(struct target);
	struct connector_config config = {
		.loop = f->loop,
		.target = c->target,
		.command = c->command,
		.up = connector_up,
		.down = connector_down,
		.cookie = t,
	};

	config.timeout_ms[CONNECT_PLAN] = c->timeout_ms;
	config.timeout_ms[CONNECT_APPLY] = c->timeout_ms;
	config.timeout_ms[CONNECT_READ] = c->timeout_ms;
	t->flow = f;
	t->name = mem_str(c->target);
	snprintf(t->why, sizeof(t->why), "starting");
	map_put(f->targets, t->name, t);
	TRY(start_reader(t, c));
	return connector_open(&config, &t->connector);
}

/* ---- loading ---- */

/* Takes every document of a noun in a state (NULL: all), page by page. */
static int each_in_state(struct flow *f, enum noun noun, const char *state,
			 void (*take)(void *cookie, json_t *doc), void *cookie)
{
	CLEANUP(mem_free_p) char *after = NULL;
	size_t count = LOAD_PAGE;

	while (count == LOAD_PAGE) {
		CLEANUP(json_put_p) json_t *docs = NULL;
		json_t *doc;
		size_t at;

		TRY(store_find(evidence_reader(f->evidence), noun,
			       state ? "state" : NULL, state, after, LOAD_PAGE,
			       &docs));
		count = json_array_size(docs);
		json_array_foreach(docs, at, doc) {
			take(cookie, doc);
			free(after);
			after = mem_str(json_text(doc, "id", ""));
		}
	}
	return 0;
}

static void append(void *all, json_t *doc)
{
	json_array_append(all, doc);
}

static int load_objects(struct flow *f)
{
	CLEANUP(json_put_p) json_t *all = json_object();
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) char *after = NULL;
	struct inventory *inv = NULL;
	size_t count = LOAD_PAGE;

	while (count == LOAD_PAGE) {
		CLEANUP(json_put_p) json_t *docs = NULL;
		json_t *doc;
		size_t at;

		TRY(store_find(evidence_reader(f->evidence), NOUN_OBJECT, NULL,
			       NULL, after, LOAD_PAGE, &docs));
		count = json_array_size(docs);
		json_array_foreach(docs, at, doc) {
			free(after);
			after = manifest_id(doc);
			json_object_set(all, after, doc);
		}
	}
	inventory_build(all, &inv, &faults);
	if (!inv)
		return error_set(
			ERR_CORRUPT, "inventory: %s",
			json_text(json_array_get(faults, 0), "detail", "?"));
	f->inventory = inv;
	return 0;
}

static int load_bundle(struct flow *f)
{
	CLEANUP(json_put_p) json_t *active = NULL;
	CLEANUP(json_put_p) json_t *bootstrap = NULL;

	TRY(store_get(evidence_reader(f->evidence), NOUN_BUNDLE, "active",
		      &active, NULL));
	TRY(policy_load(f, json_text(active, "name", ""),
			json_object_get(active, "spec")));
	if (strcmp(f->bundle_digest, json_text(active, "digest", "")) != 0)
		return error_set(ERR_CORRUPT,
				 "the active bundle is not what was activated");
	f->bootstrap_over =
		store_get(evidence_reader(f->evidence), NOUN_SETTING,
			  "bootstrap", &bootstrap, NULL) == 0;
	return inventory_swap(f, inventory_ref(f->inventory));
}

/* Of the settings only these live on by themselves. */
static void load_setting(struct flow *f, json_t *doc)
{
	const char *id = json_text(doc, "id", "");

	erasure_load(f, doc);
	if (!strncmp(id, "drill/", 6))
		drill_load(f, doc);
	if (!strcmp(id, "heard"))
		heard_load(f, doc);
	notice_load(f, doc);
}

static void load_drill(struct flow *f, json_t *doc)
{
	json_object_set(f->drills, json_text(doc, "id", ""), doc);
}

static const struct {
	enum noun noun;
	const char *state;
	void (*load)(struct flow *f, json_t *doc);
} loads[] = {
	{ NOUN_CONTAINMENT, "in-force", containment_load },
	{ NOUN_CHANGE, "waiting", change_load },
	{ NOUN_CHANGE, "ending", prune_load },
	{ NOUN_SIGNAL, NULL, signal_load },
	{ NOUN_EXCEPTION, "waiting", exception_load },
	{ NOUN_EXCEPTION, "in-force", exception_load },
	{ NOUN_DRILL, NULL, load_drill },
	{ NOUN_SETTING, NULL, load_setting },
	{ NOUN_VOUCHER, NULL, voucher_load },
	{ NOUN_TASK, "open", task_load },
	{ NOUN_TASK, "ending", task_load },
	{ NOUN_GRANT, "ending", grant_load },
	{ NOUN_REQUEST, "planning", request_load },
	{ NOUN_REQUEST, "waiting", request_load },
	{ NOUN_REQUEST, "replanning", request_load },
	{ NOUN_REQUEST, "armed", request_load },
	{ NOUN_REQUEST, "reading", request_load },
	{ NOUN_REQUEST, "unknown", request_load },
};

/* Loads what has not been loaded in another state. */
static void load_once(struct flow *f, size_t row, json_t *docs, json_t *seen)
{
	json_t *doc;
	size_t at;

	json_array_foreach(docs, at, doc) {
		CLEANUP(mem_free_p)
		char *key = mem_format("%d/%s", (int)loads[row].noun,
				       json_text(doc, "id", ""));

		if (json_object_get(seen, key))
			continue;
		json_set_flag(seen, key, true);
		loads[row].load(f, doc);
	}
}

static void take_grant(void *f, json_t *doc)
{
	grant_load(f, doc);
}

/* All are read before the first is loaded: what loading one changes must not
 * be read as another. */
static int load_documents(struct flow *f)
{
	CLEANUP(json_put_p) json_t *read = json_array();
	CLEANUP(json_put_p) json_t *seen = json_object();

	/* There may be very many, and loading one changes nothing. */
	TRY(each_in_state(f, NOUN_GRANT, "active", take_grant, f));
	for (size_t i = 0; i < ARRAY_LEN(loads); i++) {
		json_t *docs = json_array();

		json_array_append_new(read, docs);
		TRY(each_in_state(f, loads[i].noun, loads[i].state, append,
				  docs));
	}
	for (size_t i = 0; i < ARRAY_LEN(loads); i++)
		load_once(f, i, json_array_get(read, i), seen);
	return 0;
}

static int load_all(struct flow *f)
{
	TRY(load_objects(f));
	TRY(load_bundle(f));
	TRY(meters_load(f));
	TRY(load_documents(f));
	TRY(issued_take_up(f));
	policy_relink(f);
	proposals_tick(f, clock_wall_ms());
	containments_take_up(f);
	return 0;
}

/* ---- the tick ---- */

static void record_refusals(struct flow *f)
{
	struct evidence_part part = { "inventory", f->over_quota };
	struct evidence_txn *t;
	json_t *fields;
	struct leaf_ref leaf;

	if (!json_object_size(f->refusals) || evidence_is_busy(f->evidence) ||
	    clock_boot_ms() < f->refusals_since_ms + REFUSAL_LEAF_MS)
		return;
	f->refusals_since_ms = clock_boot_ms();
	fields = json_object();
	json_set_new(fields, "counts", TAKE(f->refusals));
	f->refusals = json_object();
	t = evidence_begin(f->evidence);
	must(evidence_leaf(t, LEAF_REFUSED, NULL, fields, &part,
			   json_object_size(f->over_quota) ? 1 : 0, &leaf),
	     "a leaf of refusals");
	evidence_commit(t, NULL, NULL);
	json_object_clear(f->over_quota);
}

void record_degraded(struct flow *f, bool on, const char *why)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_flag(fields, "on", on);
	json_set_text(fields, "why", why);
	must(evidence_leaf(t, LEAF_DEGRADED, NULL, fields, NULL, 0, &leaf),
	     "a degraded leaf");
	evidence_commit(t, NULL, NULL);
}

void flow_degraded(struct flow *f, bool on, const char *why)
{
	if (f->closing)
		return;
	if (on)
		snprintf(f->trouble, sizeof(f->trouble), "%s", why);
	record_degraded(f, on, f->trouble);
	if (!on)
		f->trouble[0] = '\0';
}

/* A wall clock that jumps stops arming until it has stood still for a tick. */
static void watch_clock(struct flow *f)
{
	int64_t offset = clock_wall_ms() - clock_boot_ms();
	int64_t step = offset - f->clock_offset_ms;
	bool stepped = step > CLOCK_STEP_MAX_MS || step < -CLOCK_STEP_MAX_MS;

	f->clock_offset_ms = offset;
	if (stepped == f->clock_stepped)
		return;
	f->clock_stepped = stepped;
	log_warning("clock", "stepped=%d by_ms=%lld", stepped, (long long)step);
	record_degraded(f, stepped, "the clock was stepped");
}

static void refresh_trust(struct flow *f)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *fault;
	size_t at;

	if (trust_refresh(f->trust, &faults))
		log_info("trust-bundle-reloaded", "changed=1");
	json_array_foreach(faults, at, fault)
		log_warning("bundle-not-usable", "why=\"%s\"",
			    json_string_value(fault));
}

static void tick(void *cookie)
{
	struct flow *f = cookie;

	f->tick = NULL;
	if (f->closing)
		return;
	watch_clock(f);
	refresh_trust(f);
	once_tick(f, clock_boot_ms());
	vouchers_tick(f, clock_wall_ms());
	grants_fold(f);
	record_refusals(f);
	proposals_tick(f, clock_wall_ms());
	signals_tick(f, clock_wall_ms());
	exceptions_tick(f, clock_wall_ms());
	issued_tick(f, clock_wall_ms());
	prune_tick(f);
	drills_tick(f, clock_wall_ms());
	notices_tick(f, clock_wall_ms());
	f->tick = loop_timer(f->loop, TICK_MS, tick, f);
}

/* ---- opening and closing ---- */

static struct flow *flow_new(const struct flow_config *config)
{
	struct flow *f = mem_new(struct flow);

	f->loop = config->loop;
	f->evidence = config->evidence;
	f->origin = mem_str(config->origin);
	f->audience = mem_str(config->audience);
	f->folder = config->folder ? mem_str(config->folder) : NULL;
	f->trust = trust_new();
	trust_use(f->trust,
		  &(struct trust_means){ config->transfers, config->folder });
	f->tokens = token_cache_new(TOKEN_CACHE_ENTRIES);
	f->targets = map_new();
	f->tasks = map_new();
	f->requests = map_new();
	f->asked = map_new();
	f->grants = map_new();
	f->places = map_new();
	f->holdings = map_new();
	f->asking = map_new();
	f->unfolded = map_new();
	f->secrets = map_new();
	f->inflight = map_new();
	f->changes = map_new();
	f->activations = map_new();
	f->containments = map_new();
	f->points = map_new();
	f->meters = map_new();
	f->noticed = json_object();
	f->lookup_rules = json_incref((json_t *)(uintptr_t)config->lookups);
	f->transfers = config->transfers;
	f->drills = json_object();
	f->vouchers = json_object();
	f->recent = json_object();
	f->sessions = json_object();
	f->erasures = json_object();
	f->refusals = json_object();
	f->refusals_since_ms = clock_boot_ms();
	f->signals = json_object();
	f->detectors = json_object();
	f->beats = json_object();
	f->beats_ms = clock_boot_ms();
	f->stale = json_object();
	f->exceptions = map_new();
	f->quotas = map_new();
	f->limits = config->limits;
	f->over_quota = json_object();
	f->leaving = json_object();
	f->clock_offset_ms = clock_wall_ms() - clock_boot_ms();
	f->mint = mint_new(f, config->keeper,
			   config->issuer ? config->issuer : config->audience);
	f->issued = issued_new();
	f->shown = json_object();
	return f;
}

static void record_start(struct flow *f)
{
	struct evidence_txn *t = evidence_begin(f->evidence);
	json_t *fields = json_object();
	struct leaf_ref leaf;

	json_set_text(fields, "version", WRIT_VERSION);
	json_set_text(fields, "bundle", f->bundle_digest);
	must(evidence_leaf(t, LEAF_CONFIG, NULL, fields, NULL, 0, &leaf),
	     "the leaf of a start");
	evidence_commit(t, NULL, NULL);
}

static int begin_empty(struct flow *f, const struct flow_config *config)
{
	if (!config->bootstrap)
		return error_set(ERR_NOT_FOUND,
				 "the log is empty, and bootstrap.json, which "
				 "begins it, is not in the data folder: make a "
				 "new authority with `writ init`, or restore "
				 "the data of the one that was here");
	if (!config->policy_bundle)
		return error_set(ERR_NOT_FOUND,
				 "the log is empty and begins with a policy "
				 "bundle: set policy in writd.yaml to the "
				 "folder of one, and start again");
	return begin_log(f, config);
}

int flow_open(const struct flow_config *config, struct flow **ret_flow)
{
	CLEANUP(flow_close_p) struct flow *f = flow_new(config);

	TRY(flow_check_lookups(config->lookups));
	TRY(notices_open(f, config->notify));
	for (size_t i = 0; i < config->connector_count; i++)
		TRY(start_connector(f, &config->connectors[i]));
	if (evidence_durable_size(f->evidence) > 0)
		TRY(load_all(f));
	else
		TRY(begin_empty(f, config));
	record_start(f);
	f->tick = loop_timer(f->loop, TICK_MS, tick, f);
	*ret_flow = TAKE(f);
	return 0;
}

static void drain_now(void *cookie)
{
	struct flow *f = cookie;

	if (f->in_flight == 0 && f->drained) {
		void (*drained)(void *) = f->drained;

		f->drained = NULL;
		drained(f->drained_cookie);
	}
}

void flow_drain(struct flow *f, void (*done)(void *cookie), void *cookie)
{
	f->closing = true;
	f->drained = done;
	f->drained_cookie = cookie;
	/* Somebody outside decides how long those wait. */
	evidence_give_up(f->evidence, "the authority is closing");
	loop_defer(f->loop, drain_now, f);
}

static void free_targets(struct flow *f)
{
	struct target *t;
	size_t at = 0;

	while ((t = map_next(f->targets, &at, NULL))) {
		connector_close(t->connector);
		connector_close(t->reader);
		free(t->name);
		free(t);
	}
	map_free(f->targets);
}

/* One that was undone in this turn would still be freed in the next. */
static void forget_grant(struct grant *g)
{
	loop_defer_end(g->flow->loop, g);
	grant_free(g);
}

/* Frees every value of a map, then the map. */
#define FREE_ALL(map, type, release)                                           \
	do {                                                                   \
		type *value_;                                                  \
		size_t at_ = 0;                                                \
		while ((value_ = map_next(map, &at_, NULL)))                   \
			release(value_);                                       \
		map_free(map);                                                 \
	} while (0)

static void free_requests(struct flow *f)
{
	struct request *r;
	size_t at = 0;

	while ((r = map_next(f->requests, &at, NULL))) {
		while (r->waiters) {
			struct waiter *w = r->waiters;

			r->waiters = w->next;
			loop_timer_end(w->timer);
			answer_closing(w->reply);
			free(w);
		}
		request_free(r);
	}
	map_free(f->requests);
	map_free(f->asked);
}

void flow_close(struct flow *f)
{
	if (!f)
		return;
	f->closing = true;
	loop_timer_end(f->tick);
	loop_timer_end(f->freeze);
	loop_timer_end(f->look);
	notify_close(TAKE(f->notifier));
	mint_close(f->mint);
	free_targets(f);
	readings_drop(f);
	replaying_free(f);
	drills_free(f);
	free_requests(f);
	FREE_ALL(f->tasks, struct task, task_free);
	FREE_ALL(f->grants, struct grant, forget_grant);
	loop_defer_end(f->loop, f);
	FREE_ALL(f->changes, json_t, json_decref);
	FREE_ALL(f->activations, json_t, json_decref);
	FREE_ALL(f->containments, json_t, json_decref);
	map_free(f->points);
	map_free(f->places);
	map_free(f->holdings);
	map_free(f->asking);
	map_free(f->unfolded);
	map_free(f->secrets);
	map_free(f->inflight);
	meters_free(f->meters);
	FREE_ALL(f->exceptions, json_t, json_decref);
	quotas_free(f->quotas);
	json_decref(f->signals);
	json_decref(f->detectors);
	json_decref(f->beats);
	json_decref(f->stale);
	json_decref(f->over_quota);
	json_decref(f->leaving);
	issued_free(f->issued);
	json_decref(f->shown);
	json_decref(f->noticed);
	json_decref(f->lookup_rules);
	json_decref(f->drills);
	json_decref(f->vouchers);
	json_decref(f->recent);
	json_decref(f->sessions);
	json_decref(f->erasures);
	json_decref(f->refusals);
	policy_world_unref(f->world);
	policy_bundle_unref(f->linked);
	policy_bundle_unref(f->bundle);
	inventory_unref(f->inventory);
	token_cache_free(f->tokens);
	trust_free(f->trust);
	free(f->origin);
	free(f->audience);
	free(f->folder);
	free(f);
}
