/*
 * Every entry is hashed again into a tree of our own; whatever the log shows
 * (tiles, root, the checkpoint seen last time) is compared with that tree.
 */
#include "evidence/verify.h"

#include <inttypes.h>
#include <stdarg.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "evidence/bundle.h"
#include "evidence/evidence.h"
#include "evidence/tree.h"
#include "evidence/verify_leaf.h"

struct verifier {
	const struct verify_config *config;
	struct note_vkey vkey;
	struct checkpoint checkpoint;
	struct checkpoint witnessed; /* size 0: none to be met */
	json_t *witnesses;	     /* owned: what is said of them */
	struct tree *tree;
	struct leaf_rules *rules;
	struct buf file; /* the bundle being read */
	struct buf tile;
	json_t *state;	  /* the state file, owned */
	json_t *previous; /* borrowed from it, may be NULL */
	json_t *findings; /* owned */
	unsigned finding_count;
	bool is_unknown;  /* something could not be asked */
	bool is_complete; /* every entry was read */
	char why[320];	  /* it is unknown */
};

/* ---- findings -------------------------------------------------------------
 */

static void find(struct verifier *v, int64_t index, const char *what)
{
	json_t *finding;

	if (++v->finding_count > VERIFY_FINDINGS_MAX)
		return;
	finding = json_object();
	if (index >= 0)
		json_set_int(finding, "index", index);
	json_set_text(finding, "what", what);
	json_array_append_new(v->findings, finding);
}

PRINTF_LIKE(2, 3)
static void findf(struct verifier *v, const char *format, ...)
{
	char what[512];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(what, sizeof(what), format, arguments);
	va_end(arguments);
	find(v, -1, what);
}

static void on_fault(void *cookie, uint64_t index, const char *what)
{
	find(cookie, (int64_t)index, what);
}

/* ---- fetching -------------------------------------------------------------
 */

static int fetch(const struct verifier *v, const char *path, struct buf *b)
{
	CLEANUP(mem_free_p) char *file = NULL;
	const struct verify_config *c = v->config;

	buf_reset(b);
	b->overflow = false;
	if (!c->folder)
		return c->fetch(c->cookie, path, b);
	file = mem_format("%s/%s", c->folder, path);
	return file_read(file, b);
}

/* True when the file is there; else it is a finding, or the verdict is
 * unknown. */
static bool fetched(struct verifier *v, const char *path, struct buf *b, int r)
{
	if (r == 0 && !b->overflow)
		return true;
	if (r == ERR_NOT_FOUND) {
		findf(v, "%s is missing", path);
	} else if (r == ERR_LIMIT || b->overflow) {
		findf(v, "%s is too large", path);
	} else if (!v->is_unknown) {
		v->is_unknown = true;
		snprintf(v->why, sizeof(v->why), "%s: %.180s", path,
			 error_message());
	}
	return false;
}

/* A partial tile may have been removed once it was full. */
static bool fetch_tile(struct verifier *v, const struct tile_id *id,
		       struct buf *b, unsigned *ret_width)
{
	struct tile_id full = *id;
	char path[TILE_PATH_MAX];
	int r;

	tile_format(id, path);
	*ret_width = id->width;
	r = fetch(v, path, b);
	if (r == ERR_NOT_FOUND && id->width < TILE_WIDTH) {
		full.width = TILE_WIDTH;
		tile_format(&full, path);
		r = fetch(v, path, b);
		if (r == 0)
			*ret_width = TILE_WIDTH;
		else
			tile_format(id, path);
	}
	return fetched(v, path, b, r);
}

/* ---- tiles ----------------------------------------------------------------
 */

static void compare_tile(struct verifier *v, const struct tile_id *id,
			 struct slice ours, struct slice theirs)
{
	char path[TILE_PATH_MAX];

	tile_format(id, path);
	for (unsigned i = 0; i < id->width; i++) {
		uint64_t index = id->number * TILE_WIDTH + i;
		CLEANUP(mem_free_p) char *what = NULL;

		if (!memcmp(ours.ptr + i * DIGEST_LEN,
			    theirs.ptr + i * DIGEST_LEN, DIGEST_LEN))
			continue;
		what = mem_format("%s does not fit the entries", path);
		find(v, id->level == 0 ? (int64_t)index : -1, what);
		return;
	}
}

static void check_tile(struct verifier *v, const struct tile_id *id,
		       struct slice ours)
{
	unsigned width;

	if (!fetch_tile(v, id, &v->tile, &width))
		return;
	if (v->tile.len != width * DIGEST_LEN) {
		char path[TILE_PATH_MAX];

		tile_format(id, path);
		findf(v, "%s has %zu bytes", path, v->tile.len);
		return;
	}
	compare_tile(v, id, ours, buf_slice(&v->tile));
}

static int on_full_tile(void *cookie, unsigned level, uint64_t number,
			struct slice hashes)
{
	const struct tile_id id = { false, level, number, TILE_WIDTH };

	check_tile(cookie, &id, hashes);
	return 0;
}

static void check_partial_tiles(struct verifier *v)
{
	for (unsigned level = 0; level < TILE_LEVELS; level++) {
		CLEANUP(buf_clear) struct buf ours = BUF_INIT(STORE_TILE_LEN);
		uint64_t size = tile_level_size(level, v->checkpoint.size);
		const struct tile_id id = { false, level, size / TILE_WIDTH,
					    (unsigned)(size % TILE_WIDTH) };

		if (id.width > 0 &&
		    tree_tile(v->tree, level, id.number, id.width, &ours) == 0)
			check_tile(v, &id, buf_slice(&ours));
	}
}

/* ---- entries --------------------------------------------------------------
 */

/* The log may grow, but not become another. */
static void check_growth(struct verifier *v)
{
	CLEANUP(mem_free_p) char *root = NULL;
	struct digest here;

	if (!v->previous ||
	    (uint64_t)json_int(v->previous, "size", 0) != tree_size(v->tree))
		return;
	here = tree_root(v->tree);
	root = text_base64(digest_slice(&here));
	if (strcmp(root, json_text(v->previous, "root", "")) != 0)
		findf(v,
		      "the log was rewritten: its first %" PRIu64
		      " leaves are not those that were seen before",
		      tree_size(v->tree));
}

/* The tree that the witnesses saw is a beginning of this one. */
static void check_witnessed(struct verifier *v)
{
	struct digest here;

	if (v->witnessed.size == 0 || v->witnessed.size != tree_size(v->tree))
		return;
	here = tree_root(v->tree);
	if (!digest_equals(&here, &v->witnessed.root))
		findf(v,
		      "the witnesses have cosigned other leaves than the first "
		      "%" PRIu64,
		      v->witnessed.size);
}

static void add_entry(struct verifier *v, struct slice entry)
{
	struct digest hash = merkle_leaf(entry);
	uint64_t index = tree_size(v->tree);

	discard(tree_add(v->tree, &hash, on_full_tile, v));
	leaf_rules_add(v->rules, index, entry);
	check_growth(v);
	check_witnessed(v);
}

static bool check_bundle(struct verifier *v, const struct tile_id *id)
{
	struct slice entries[TILE_WIDTH];
	char path[TILE_PATH_MAX];
	unsigned width;

	if (!fetch_tile(v, id, &v->file, &width))
		return false;
	if (entry_bundle_parse(buf_slice(&v->file), width, entries) < 0) {
		tile_format(id, path);
		findf(v, "%s is damaged", path);
		return false;
	}
	for (unsigned i = 0; i < id->width; i++)
		add_entry(v, entries[i]);
	return true;
}

static bool check_entries(struct verifier *v)
{
	uint64_t size = v->checkpoint.size;
	struct tile_id id = { .is_entries = true };

	for (id.number = 0; id.number * TILE_WIDTH < size; id.number++) {
		uint64_t left = size - id.number * TILE_WIDTH;

		id.width = left < TILE_WIDTH ? (unsigned)left : TILE_WIDTH;
		if (!check_bundle(v, &id))
			return false;
	}
	return true;
}

static void check_root(struct verifier *v)
{
	struct digest root = tree_root(v->tree);

	if (!digest_equals(&root, &v->checkpoint.root))
		findf(v, "the signed root is not that of the entries");
}

/* ---- the checkpoint and the one seen before -------------------------------
 */

/* Takes what is said of the witnesses of a checkpoint. */
static bool is_cosigned(struct verifier *v, struct slice note,
			const struct checkpoint *c, char **ret_why)
{
	bool met;

	json_decref(TAKE(v->witnesses));
	met = verify_witnesses(v->config->policy, note, v->config->now_ms,
			       &v->witnesses, ret_why);
	json_set_int(v->witnesses, "size", (int64_t)c->size);
	if (met)
		v->witnessed = *c;
	return met;
}

/* The newest checkpoint is not cosigned yet: an older one must be. */
static void check_older(struct verifier *v, const char *why)
{
	static const char path[] = "checkpoint.witnessed";
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	CLEANUP(mem_free_p) char *still = NULL;
	struct checkpoint c;
	int r = fetch(v, path, &note);

	if (r == ERR_NOT_FOUND) {
		findf(v, "the checkpoint: %.400s", why);
		return;
	}
	if (!fetched(v, path, &note, r))
		return;
	if (checkpoint_open(buf_slice(&note), &v->vkey, &c) < 0)
		findf(v, "%s: %.300s", path, error_message());
	else if (!is_cosigned(v, buf_slice(&note), &c, &still))
		findf(v, "%s: %.400s", path, still);
	else if (c.size > v->checkpoint.size)
		findf(v,
		      "the log was cut short: witnesses have cosigned %" PRIu64
		      " leaves of it, its checkpoint has %" PRIu64,
		      c.size, v->checkpoint.size);
}

static void check_policy(struct verifier *v, struct slice note)
{
	CLEANUP(mem_free_p) char *why = NULL;

	if (!v->config->policy)
		return;
	if (!witness_policy_has_log(v->config->policy, &v->vkey))
		findf(v, "the policy is not for this log");
	else if (!is_cosigned(v, note, &v->checkpoint, &why))
		check_older(v, why);
}

static bool check_checkpoint(struct verifier *v)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	int r = fetch(v, "checkpoint", &note);

	if (!fetched(v, "checkpoint", &note, r))
		return false;
	if (checkpoint_open(buf_slice(&note), &v->vkey, &v->checkpoint) < 0) {
		findf(v, "the checkpoint: %.300s", error_message());
		return false;
	}
	check_policy(v, buf_slice(&note));
	return true;
}

static void check_truncation(struct verifier *v)
{
	int64_t seen = json_int(v->previous, "size", 0);

	if (v->previous && (uint64_t)seen > v->checkpoint.size)
		findf(v,
		      "the log was cut short: it has %" PRIu64
		      " leaves and was seen with %" PRId64 " on %s",
		      v->checkpoint.size, seen,
		      json_text(v->previous, "at", "an unknown day"));
}

static int read_state(struct verifier *v)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(VERIFY_STATE_MAX);
	int r = ERR_NOT_FOUND;

	if (v->config->state)
		r = file_read(v->config->state, &text);
	if (r == ERR_NOT_FOUND) {
		v->state = json_object();
		return 0;
	}
	if (r == 0)
		r = json_parse(buf_slice(&text), VERIFY_STATE_MAX, &v->state);
	if (r == 0 && !json_is_object(v->state))
		r = error_set(ERR_SYNTAX, "no JSON object");
	if (r < 0)
		return error_context(r, "%s", v->config->state);
	v->previous = json_object_in(v->state, v->vkey.name);
	return 0;
}

static int write_state(struct verifier *v)
{
	CLEANUP(mem_free_p)
	char *root = text_base64(digest_slice(&v->checkpoint.root));
	CLEANUP(mem_free_p) char *text = NULL;
	json_t *row = json_object();

	json_set_int(row, "size", (int64_t)v->checkpoint.size);
	json_set_text(row, "root", root);
	json_set_time(row, "at", v->config->now_ms);
	json_set_new(v->state, v->vkey.name, row);
	v->previous = NULL;
	text = json_canonical(v->state);
	return file_write(v->config->state, slice_str(text), 0600);
}

/* ---- the report -----------------------------------------------------------
 */

static const char *verdict_of(const struct verifier *v)
{
	if (v->finding_count > 0)
		return "finding";
	return v->is_unknown ? "unknown" : "ok";
}

static char *sentence_of(const struct verifier *v)
{
	if (v->finding_count > 0)
		return mem_format("The log does not verify: %u finding%s.",
				  v->finding_count,
				  v->finding_count == 1 ? "" : "s");
	if (v->is_unknown)
		return mem_format("The log could not be checked: %s.", v->why);
	return mem_format("The log of %" PRIu64
			  " leaves verifies against its signed checkpoint%s.",
			  v->checkpoint.size,
			  v->previous ? " and continues what was seen before"
				      : "");
}

static json_t *previous_of(const struct verifier *v)
{
	json_t *previous = json_deep_copy(v->previous);
	int64_t at;

	if (previous && clock_parse(json_text(previous, "at", ""), &at) == 0)
		json_set_int(previous, "ageSeconds",
			     (v->config->now_ms - at) / 1000);
	return previous;
}

static json_t *report_of(const struct verifier *v)
{
	CLEANUP(mem_free_p)
	char *root = text_base64(digest_slice(&v->checkpoint.root));
	CLEANUP(mem_free_p) char *sentence = sentence_of(v);
	json_t *report = json_object();

	json_set_text(report, "verdict", verdict_of(v));
	json_set_text(report, "sentence", sentence);
	json_set_text(report, "origin", v->vkey.name);
	json_set_int(report, "size", (int64_t)v->checkpoint.size);
	json_set_text(report, "root", root);
	json_set_new(report, "findings", json_incref(v->findings));
	json_set_new(report, "open", leaf_rules_open(v->rules));
	json_set_new(report, "lent", leaf_rules_lent(v->rules));
	json_set_new(report, "previous", previous_of(v));
	if (v->witnesses)
		json_object_set(report, "witnessed", v->witnesses);
	return report;
}

static void run_checks(struct verifier *v)
{
	if (!check_checkpoint(v))
		return;
	check_truncation(v);
	if (!check_entries(v))
		return;
	leaf_rules_finish(v->rules);
	check_partial_tiles(v);
	check_root(v);
	v->is_complete = true;
}

static int verify(struct verifier *v, json_t **ret_report)
{
	CLEANUP(json_put_p) json_t *report = NULL;

	TRY(note_vkey_parse(v->config->vkey, &v->vkey));
	TRY(read_state(v));
	run_checks(v);
	report = report_of(v);
	if (v->is_complete && v->config->state && !strcmp(verdict_of(v), "ok"))
		TRY(write_state(v));
	*ret_report = TAKE(report);
	return 0;
}

int verify_log(const struct verify_config *config, json_t **ret_report)
{
	struct verifier v = {
		.config = config,
		.tree = tree_new(NULL),
		.file = BUF_INIT(BUNDLE_MAX),
		.tile = BUF_INIT(STORE_TILE_LEN),
		.findings = json_array(),
	};
	int r;

	v.rules = leaf_rules_new(on_fault, &v);
	r = verify(&v, ret_report);
	tree_free(v.tree);
	leaf_rules_free(v.rules);
	buf_clear(&v.file);
	buf_clear(&v.tile);
	json_decref(v.state);
	json_decref(v.witnesses);
	json_decref(v.findings);
	return r;
}
