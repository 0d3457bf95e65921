/*
 * How fast tokens are made once they are decided: the leaf that justifies one,
 * its proof, and the keeper's signature, on a stopped authority's folder.
 *
 *   bench_issue --config writd.yaml [--keeper] [--waiting N] [--count N]
 *               [--seconds N]
 *
 *   --keeper     leaves and proofs are made before; the keeper alone is
 * measured
 *   --waiting N  tokens that are asked for at once (64)
 *   --count N    in all (5000)
 *   --seconds N  at most (10)
 *
 * All of it goes through the evidence layer, as in writd.  Prints one line of
 * JSON: figures_report(), "refused".
 */
#include <getopt.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "config/config.h"
#include "evidence/evidence.h"
#include "evidence/keeper.h"
#include "figures.h"

enum {
	COUNT_MAX = 1000000,
	WAITING_MAX = 1024,
	SECONDS_MAX = 120,
	LIFE_S = 300,
	PREPARED = 256, /* at once, before the keeper is measured */
	US_PER_S = 1000000,
};

struct plan {
	const char *config;
	long waiting, count, seconds;
	bool keeper_alone;
};

struct work;

/* One token on its way. */
struct token {
	struct work *work;
	int64_t began_us;
	uint64_t index; /* of its leaf */
	struct buf note;
	struct buf leaf;
	struct merkle_proof proof;
	json_t *disclosed; /* owned */
};

struct work {
	struct plan plan;
	struct loop *loop;
	struct evidence_keeper *keeper;
	struct evidence *evidence;
	struct figures figures;
	json_t *payload;
	struct token *tokens; /* plan.count */
	int64_t end_us;
	long begun;    /* tokens whose leaf was asked for */
	long prepared; /* that have all that the keeper wants */
	long asked;    /* of the keeper, where it alone is measured */
	long over;
	long refused;
};

static __attribute__((noreturn)) void fail(const char *what)
{
	fprintf(stderr, "bench_issue: %s: %s\n", what, error_message());
	exit(1);
}

static long number(const char *text, long max)
{
	char *end;
	long value = strtol(text, &end, 10);

	if (*end || value < 1 || value > max) {
		fprintf(stderr, "'%s' is not a number of 1 to %ld\n", text,
			max);
		exit(2);
	}
	return value;
}

static void read_options(int argc, char **argv, struct plan *p)
{
	static const struct option options[] = {
		{ "config", required_argument, NULL, 'c' },
		{ "keeper", no_argument, NULL, 'k' },
		{ "waiting", required_argument, NULL, 'w' },
		{ "count", required_argument, NULL, 'n' },
		{ "seconds", required_argument, NULL, 's' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			p->config = optarg;
		else if (option == 'k')
			p->keeper_alone = true;
		else if (option == 'w')
			p->waiting = number(optarg, WAITING_MAX);
		else if (option == 'n')
			p->count = number(optarg, COUNT_MAX);
		else if (option == 's')
			p->seconds = number(optarg, SECONDS_MAX);
		else
			exit(2);
	}
	if (p->config && optind == argc)
		return;
	fprintf(stderr, "usage: bench_issue --config FILE [--keeper] "
			"[--waiting N] [--count N] [--seconds N]\n");
	exit(2);
}

/* ---- one token ---- */

static void begin_next(struct work *w);
static void ask_next(struct work *w);

static void token_clear(struct token *t)
{
	buf_clear(&t->note);
	buf_clear(&t->leaf);
	json_decref(t->disclosed);
	t->disclosed = NULL;
}

static bool is_over(const struct work *w)
{
	return w->over == w->plan.count || figures_now_us() > w->end_us;
}

static void made(void *cookie, const char *credential, const char *why)
{
	struct token *t = cookie;
	struct work *w = t->work;

	if (!credential && !w->refused++)
		fprintf(stderr, "bench_issue: refused: %s\n", why ? why : "?");
	figures_add(&w->figures, figures_now_us() - t->began_us);
	token_clear(t);
	w->over++;
	if (is_over(w))
		loop_stop(w->loop);
	else if (w->plan.keeper_alone)
		ask_next(w);
	else
		begin_next(w);
}

static void ask_keeper(struct token *t)
{
	const struct keeper_issue issue = {
		.form = KEEPER_TOKEN,
		.leaf = buf_text(&t->leaf),
		.index = t->index,
		.proof = &t->proof,
		.note = buf_slice(&t->note),
		.salt = json_text(t->disclosed, "salt", ""),
		.payload = json_object_get(t->disclosed, "payload"),
	};

	if (keeper_issue(t->work->keeper, &issue, made, t) < 0)
		fail("asking the keeper");
}

/* The next one that is prepared; the keeper wants them in order. */
static void ask_next(struct work *w)
{
	struct token *t;

	if (w->asked == w->plan.count)
		return;
	t = &w->tokens[w->asked++];
	t->began_us = figures_now_us();
	ask_keeper(t);
}

/* Nothing but the keeper is measured from here on. */
static void ask_all(struct work *w)
{
	w->figures.began_us = figures_now_us();
	w->end_us = w->figures.began_us + w->plan.seconds * US_PER_S;
	for (long i = 0; i < w->plan.waiting; i++)
		ask_next(w);
}

static void opened(void *cookie, json_t *owned_disclosed, const char *why)
{
	struct token *t = cookie;
	struct work *w = t->work;

	if (!owned_disclosed) {
		fprintf(stderr, "bench_issue: %s\n", why);
		exit(1);
	}
	t->disclosed = owned_disclosed;
	w->prepared++;
	if (!w->plan.keeper_alone)
		ask_keeper(t);
	else if (w->prepared == w->plan.count)
		ask_all(w);
	else
		begin_next(w);
}

static void leaf_signed(void *cookie, struct slice note, uint64_t size)
{
	struct token *t = cookie;
	struct evidence *e = t->work->evidence;

	if (!note.len)
		fail("the log was not signed");
	buf_put(&t->note, note);
	if (evidence_prove(e, t->index, size, &t->proof) < 0 ||
	    store_leaf_get(evidence_reader(e), t->index, &t->leaf, NULL) < 0)
		fail("proving a leaf");
	evidence_disclose(e, t->index, 0, opened, t);
}

/* What docs/leaves.md asks of such a leaf; it rests on nothing here. */
static json_t *issued_fields(void)
{
	json_t *fields = json_object();

	json_set_text(fields, "form", "token");
	json_set_text(fields, "task", "tsk_bench");
	json_set_int(fields, "expires", clock_wall_ms() / 1000 + LIFE_S);
	json_set_int(fields, "armed", 0);
	json_set_text(fields, "request", "req_bench");
	return fields;
}

static void begin_next(struct work *w)
{
	const struct evidence_part part = { "agent:bench", w->payload };
	struct evidence_txn *txn;
	struct leaf_ref leaf;
	struct token *t;
	char id[ID_MAX];

	if (w->begun == w->plan.count)
		return;
	t = &w->tokens[w->begun++];
	*t = (struct token){ .work = w,
			     .began_us = figures_now_us(),
			     .note = BUF_INIT(NOTE_MAX),
			     .leaf = BUF_INIT(EVIDENCE_LEAF_MAX + 1) };
	id_new("crd", id);
	txn = evidence_begin(w->evidence);
	if (evidence_leaf(txn, LEAF_ISSUED, id, issued_fields(), &part, 1,
			  &leaf) < 0)
		fail("a leaf");
	t->index = leaf.index;
	evidence_commit(txn, NULL, NULL);
	evidence_when_signed(w->evidence, leaf.index, leaf_signed, t);
}

/* ---- all of them ---- */

static void keeper_lost(void *cookie UNUSED, const char *why)
{
	fprintf(stderr, "bench_issue: the keeper: %s\n", why);
	exit(1);
}

static void degraded(void *cookie UNUSED, bool on, const char *why)
{
	if (!on)
		return;
	fprintf(stderr, "bench_issue: degraded: %s\n", why);
	exit(1);
}

static int open_log(struct work *w, const struct config *c)
{
	const struct keeper_config keeper = {
		.loop = w->loop,
		.command = (const char *const *)c->keeper_command,
		.socket = c->keeper_socket,
		.lost = keeper_lost,
	};
	struct evidence_config log = {
		.folder = c->data,
		.origin = c->origin,
		.loop = w->loop,
		.degraded = degraded,
	};

	TRY(keeper_open(&keeper, &w->keeper));
	log.keeper = w->keeper;
	return evidence_open(&log, &w->evidence);
}

/* A token's claims as the demonstration's would be. */
static json_t *payload_new(void)
{
	json_t *payload = json_object();

	json_set_text(payload, "iss", "https://authority.example");
	json_set_text(payload, "sub", "spiffe://example.org/agent/hr-bot");
	json_set_text(payload, "client_id",
		      "spiffe://example.org/agent/hr-bot");
	json_set_text(payload, "aud", "https://reports.example/");
	json_set_text(payload, "scope", "reports:read");
	return payload;
}

static int measure(struct work *w)
{
	long at_once = w->plan.keeper_alone ? PREPARED : w->plan.waiting;

	w->payload = payload_new();
	w->tokens = mem_array((size_t)w->plan.count, sizeof(*w->tokens));
	figures_open(&w->figures, (size_t)w->plan.count);
	w->end_us = w->figures.began_us + w->plan.seconds * US_PER_S;
	for (long i = 0; i < at_once; i++)
		begin_next(w);
	return loop_run(w->loop);
}

static void report(struct work *w)
{
	json_t *value = figures_report(&w->figures);

	json_set_int(value, "refused", w->refused);
	figures_print(value);
}

static void work_clear(struct work *w)
{
	for (long i = 0; i < w->begun; i++)
		keeper_forget(w->keeper, &w->tokens[i]);
	evidence_close(w->evidence);
	keeper_close(w->keeper);
	for (long i = 0; i < w->begun; i++)
		token_clear(&w->tokens[i]);
	free(w->tokens);
	figures_close(&w->figures);
	json_decref(w->payload);
}

static int work(struct work *w)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	struct config config;
	int r = config_load(w->plan.config, &config, &faults);

	if (r == 0)
		r = open_log(w, &config);
	if (r == 0)
		r = measure(w);
	if (r == 0)
		report(w);
	work_clear(w);
	config_clear(&config);
	return r;
}

int main(int argc, char **argv)
{
	struct work w = {
		.plan = { .waiting = 64, .count = 5000, .seconds = 10 },
	};
	int r;

	read_options(argc, argv, &w.plan);
	if (w.plan.waiting > w.plan.count)
		w.plan.waiting = w.plan.count;
	r = loop_open(&w.loop);
	if (r == 0)
		r = work(&w);
	if (r < 0)
		fail("cannot measure");
	loop_close(w.loop);
	return w.refused ? 1 : 0;
}
