/*
 * Makes a stopped authority's folder as large as one that has run for years:
 *
 *   bench_grow --config writd.yaml [--leaves N]
 *              [--copies N --noun NOUN --id ID --name NAME]
 *
 * Leaves are added until the log has N.  Copies are of one state document: each
 * has NAME-<n> where the original says NAME, and a new id.  All of it goes
 * through the evidence layer and is signed by the keeper, as always.
 */
#include <getopt.h>
#include <stdio.h>

#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "config/config.h"
#include "evidence/evidence.h"
#include "evidence/keeper.h"

enum {
	LEAVES_MAX = 10000000,
	COPIES_MAX = 1000000,
	PER_TXN = 64,
	TEXT_MAX = 1 << 20, /* bytes of a copied document */
};

struct plan {
	const char *config;
	const char *noun;
	const char *id;
	const char *name;
	long leaves, copies;
};

struct work {
	struct plan plan;
	struct loop *loop;
	struct evidence_keeper *keeper;
	struct evidence *evidence;
	json_t *original;
	enum noun noun;
	unsigned queued;
	long copied;
};

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
		{ "leaves", required_argument, NULL, 'l' },
		{ "copies", required_argument, NULL, 'n' },
		{ "noun", required_argument, NULL, 'k' },
		{ "id", required_argument, NULL, 'i' },
		{ "name", required_argument, NULL, 'm' },
		{ NULL, 0, NULL, 0 },
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'c')
			p->config = optarg;
		else if (option == 'l')
			p->leaves = number(optarg, LEAVES_MAX);
		else if (option == 'n')
			p->copies = number(optarg, COPIES_MAX);
		else if (option == 'k')
			p->noun = optarg;
		else if (option == 'i')
			p->id = optarg;
		else if (option == 'm')
			p->name = optarg;
		else
			exit(2);
	}
	if (!p->config || (p->copies && (!p->noun || !p->id || !p->name))) {
		fprintf(stderr, "usage: bench_grow --config FILE [--leaves N] "
				"[--copies N --noun NOUN --id ID --name "
				"NAME]\n");
		exit(2);
	}
}

static __attribute__((noreturn)) void fail(const char *what)
{
	fprintf(stderr, "bench_grow: %s: %s\n", what, error_message());
	exit(1);
}

/* ---- copies ---- */

static enum noun noun_of(const char *name)
{
	for (unsigned i = 0; i < NOUN_COUNT; i++) {
		if (!strcmp(noun_name((enum noun)i), name))
			return (enum noun)i;
	}
	fprintf(stderr, "there is no noun '%s'\n", name);
	exit(2);
}

/* text with NAME-<number> for NAME; owned. */
static char *renamed(const char *text, const char *name, long number)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(TEXT_MAX);
	const char *at;

	while ((at = strstr(text, name))) {
		buf_put(&b, slice_of(text, (size_t)(at - text)));
		buf_putf(&b, "%s-%ld", name, number);
		text = at + strlen(name);
	}
	buf_put_str(&b, text);
	return buf_take_text(&b);
}

/* An id like that of the original: one with its name, or another number. */
static void copy_id(const struct plan *p, long number, char id[128])
{
	char prefix[8] = { 0 };
	CLEANUP(mem_free_p) char *named = renamed(p->id, p->name, number);
	const char *mark = strchr(p->id, '_');

	if (strcmp(named, p->id) != 0 || !mark ||
	    (size_t)(mark - p->id) >= sizeof(prefix)) {
		snprintf(id, 128, "%s", named);
		return;
	}
	memcpy(prefix, p->id, (size_t)(mark - p->id));
	id_new(prefix, id);
}

static int put_copy(struct work *w, struct evidence_txn *t, const char *text)
{
	CLEANUP(mem_free_p)
	char *copy = renamed(text, w->plan.name, w->copied);
	CLEANUP(json_put_p) json_t *doc = NULL;
	char id[128];

	TRY(json_parse(slice_str(copy), TEXT_MAX, &doc));
	copy_id(&w->plan, w->copied, id);
	if (json_text(doc, "id", NULL))
		json_set_text(doc, "id", id);
	evidence_put(t, w->noun, id, doc);
	w->copied++;
	return 0;
}

/* ---- filling ---- */

static int put_leaf(struct evidence_txn *t)
{
	json_t *fields = json_object();
	struct leaf_ref leaf;

	/* As large as that of a decision. */
	json_set_text(fields, "why",
		      "a leaf of the benchmark, as long as that of a decision: "
		      "................................................."
		      "................................................."
		      "................................................."
		      "................................................."
		      ".................................................");
	return evidence_leaf(t, LEAF_REFUSED, NULL, fields, NULL, 0, &leaf);
}

static bool is_filled(const struct work *w)
{
	return evidence_durable_size(w->evidence) >= (uint64_t)w->plan.leaves &&
	       w->copied >= w->plan.copies;
}

static void fill(void *cookie);

static void done(void *cookie)
{
	struct work *w = cookie;

	w->queued--;
	fill(w);
}

static void put_batch(struct work *w, const char *text)
{
	struct evidence_txn *t = evidence_begin(w->evidence);

	for (int i = 0; i < PER_TXN; i++) {
		if (w->plan.leaves && put_leaf(t) < 0)
			fail("a leaf");
		if (w->copied < w->plan.copies && put_copy(w, t, text) < 0)
			fail("a copy");
	}
	w->queued++;
	evidence_commit(t, done, w);
}

static void fill(void *cookie)
{
	struct work *w = cookie;
	CLEANUP(mem_free_p)
	char *text = w->original ? json_canonical(w->original) : NULL;

	while (w->queued < 64 && !is_filled(w))
		put_batch(w, text);
	if (w->queued == 0)
		loop_stop(w->loop);
}

/* ---- opening ---- */

static void keeper_lost(void *cookie UNUSED, const char *why)
{
	fprintf(stderr, "bench_grow: the keeper: %s\n", why);
	exit(1);
}

static void degraded(void *cookie UNUSED, bool on, const char *why)
{
	if (!on)
		return;
	fprintf(stderr, "bench_grow: degraded: %s\n", why);
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
	TRY(evidence_open(&log, &w->evidence));
	if (!w->plan.copies)
		return 0;
	w->noun = noun_of(w->plan.noun);
	return store_get(evidence_reader(w->evidence), w->noun, w->plan.id,
			 &w->original, NULL);
}

static int work(struct work *w)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	struct config config;
	int r = config_load(w->plan.config, &config, &faults);

	if (r == 0)
		r = open_log(w, &config);
	if (r == 0) {
		fill(w);
		r = loop_run(w->loop);
	}
	evidence_close(w->evidence);
	keeper_close(w->keeper);
	json_decref(w->original);
	config_clear(&config);
	return r;
}

int main(int argc, char **argv)
{
	struct work w = { 0 };
	int r;

	read_options(argc, argv, &w.plan);
	r = loop_open(&w.loop);
	if (r == 0)
		r = work(&w);
	if (r < 0)
		fail("cannot grow it");
	loop_close(w.loop);
	return 0;
}
