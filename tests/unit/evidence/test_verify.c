#include "harness.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "evidence/export.h"
#include "evidence/verify.h"

static const char digest[] = "sha256:0123456789abcdef0123456789abcdef"
			     "0123456789abcdef0123456789abcdef";

/* One leaf, as flow would write it. */
static void put(struct world *w, enum leaf_kind kind, const char *about,
		const char *name, const char *text)
{
	struct evidence_txn *t = evidence_begin(w->evidence);
	json_t *fields = json_object();
	struct leaf_ref leaf;

	if (name)
		json_set_text(fields, name, text);
	assert_int_equal(evidence_leaf(t, kind, about, fields, NULL, 0, &leaf),
			 0);
	evidence_commit(t, world_done, w);
	world_wait(w);
}

/* A log of about count leaves, exported to the world's folder "log". */
static void make_log(struct world *w, unsigned count)
{
	CLEANUP(mem_free_p) char *log = mem_format("%s/log", w->folder);
	uint64_t size;

	world_open(w);
	if (evidence_durable_size(w->evidence) == 0)
		put(w, LEAF_GENESIS, NULL, NULL, NULL);
	world_add(w, count - (unsigned)evidence_durable_size(w->evidence));
	world_close(w);
	assert_int_equal(evidence_export(w->data, log, &size), 0);
	assert_int_equal(size, count);
}

static void export_now(struct world *w)
{
	CLEANUP(mem_free_p) char *log = mem_format("%s/log", w->folder);

	world_close(w);
	assert_int_equal(evidence_export(w->data, log, NULL), 0);
}

static json_t *verify_with(struct world *w, bool with_state)
{
	CLEANUP(mem_free_p) char *log = mem_format("%s/log", w->folder);
	CLEANUP(mem_free_p) char *state = mem_format("%s/state", w->folder);
	char vkey[NOTE_VKEY_MAX];
	struct verify_config config = { .vkey = vkey,
					.folder = log,
					.now_ms = 1800000000000 };
	json_t *report = NULL;

	world_open(w);
	note_vkey_format(evidence_vkey(w->evidence), vkey);
	world_close(w);
	if (with_state)
		config.state = state;
	if (verify_log(&config, &report) < 0)
		fail_msg("%s", error_message());
	return report;
}

/* The verdict, and that some finding says words (NULL: that there is none). */
static void expect(struct world *w, bool with_state, const char *verdict,
		   const char *words)
{
	CLEANUP(json_put_p) json_t *report = verify_with(w, with_state);
	CLEANUP(mem_free_p)
	char *findings = json_canonical(json_object_get(report, "findings"));

	if (strcmp(json_text(report, "verdict", ""), verdict) != 0)
		fail_msg("not %s: %s %s", verdict,
			 json_text(report, "sentence", ""), findings);
	if (!words)
		assert_string_equal(findings, "[]");
	else if (!strstr(findings, words))
		fail_msg("%s does not say %s", findings, words);
}

static void a_log_verifies_at_every_size(void **state)
{
	static const unsigned sizes[] = { 1, 2, 255, 256, 257, 511, 512, 513 };
	struct world *w = *state;

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		make_log(w, sizes[i]);
		expect(w, true, "ok", NULL);
	}
}

static void a_report_names_what_was_seen_before(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *report = NULL;
	const json_t *previous;

	make_log(w, 3);
	expect(w, true, "ok", NULL);
	make_log(w, 300);
	report = verify_with(w, true);
	previous = json_object_in(report, "previous");
	assert_string_equal(json_text(report, "verdict", ""), "ok");
	assert_int_equal(json_int(report, "size", 0), 300);
	assert_int_equal(json_int(previous, "size", 0), 3);
	assert_int_equal(json_int(previous, "ageSeconds", -1), 0);
	assert_string_equal(json_text(report, "origin", ""), TEST_ORIGIN);
}

static void a_log_cut_short_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 3);
	world_shell(w, "mv log old");
	make_log(w, 10);
	expect(w, true, "ok", NULL);
	world_shell(w, "rm -r log && mv old log");
	expect(w, true, "finding", "cut short");
	/* Without having seen more, nobody could tell. */
	expect(w, false, "ok", NULL);
	/* And what was seen is not forgotten. */
	expect(w, true, "finding", "cut short");
}

static void a_log_that_was_rewritten_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 10);
	expect(w, true, "ok", NULL);
	world_shell(w, "rm -r data/* keeper/* log");
	make_log(w, 20);
	expect(w, true, "finding", "rewritten");
}

/* Flips a bit of a file in the middle. */
static void flip(struct world *w, const char *path)
{
	CLEANUP(mem_free_p)
	char *file = mem_format("%s/log/%s", w->folder, path);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 20);
	size_t at;

	assert_int_equal(file_read(file, &b), 0);
	at = b.len / 2;
	b.data[at] ^= 1;
	assert_int_equal(file_write(file, buf_slice(&b), 0644), 0);
}

static void a_flipped_bit_in_any_file_is_found(void **state)
{
	static const char *const paths[] = {
		"checkpoint",	    "tile/0/000",	    "tile/0/001",
		"tile/0/002.p/3",   "tile/1/000.p/2",	    "tile/entries/000",
		"tile/entries/001", "tile/entries/002.p/3",
	};
	struct world *w = *state;

	make_log(w, 515);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		CLEANUP(json_put_p) json_t *report = NULL;

		flip(w, paths[i]);
		report = verify_with(w, false);
		if (strcmp(json_text(report, "verdict", ""), "finding") != 0)
			fail_msg("a flipped bit in %s goes unseen", paths[i]);
		flip(w, paths[i]);
	}
	expect(w, false, "ok", NULL);
}

static void an_altered_entry_is_named(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *report = NULL;
	const json_t *finding;

	make_log(w, 300);
	world_shell(w, "sed -i '0,/\"n\":41,/s//\"n\":14,/'"
		       " log/tile/entries/000");
	report = verify_with(w, false);
	finding = json_array_get(json_array_in(report, "findings"), 0);
	assert_int_equal(json_int(finding, "index", -1), 42);
}

static void a_missing_file_is_found(void **state)
{
	static const char *const paths[] = { "checkpoint", "tile/0/000",
					     "tile/1/000.p/2",
					     "tile/entries/001",
					     "tile/entries/002.p/3" };
	struct world *w = *state;

	make_log(w, 515);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		world_shell(w, "mv log/%s gone", paths[i]);
		expect(w, false, "finding", "is missing");
		world_shell(w, "mv gone log/%s", paths[i]);
	}
}

static void a_partial_tile_may_be_replaced_by_the_full_one(void **state)
{
	struct world *w = *state;

	make_log(w, 200);
	world_shell(w, "mv log old");
	make_log(w, 300);
	world_shell(w, "cp old/checkpoint log/checkpoint");
	expect(w, false, "ok", NULL);
}

static void another_key_is_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_free_p) char *log = mem_format("%s/log", w->folder);
	struct verify_config config = { .folder = log };
	CLEANUP(json_put_p) json_t *report = NULL;

	make_log(w, 3);
	config.vkey = "example.com/foo+530d903a+AekyeRrm0z01nuHmi2QAjYj96qr/"
		      "ohvtSRBNk2bUi2gQ";
	if (verify_log(&config, &report) == 0)
		assert_string_equal(json_text(report, "verdict", ""),
				    "finding");
	config.vkey = "no key";
	assert_int_equal(verify_log(&config, &report), ERR_SYNTAX);
}

static int cannot_ask(void *cookie UNUSED, const char *path UNUSED,
		      struct buf *b UNUSED)
{
	return error_set(ERR_UNAVAILABLE, "no route");
}

static void a_log_that_cannot_be_asked_is_unknown(void **state)
{
	struct world *w = *state;
	char vkey[NOTE_VKEY_MAX];
	const struct verify_config config = { .vkey = vkey,
					      .fetch = cannot_ask };
	CLEANUP(json_put_p) json_t *report = NULL;

	world_open(w);
	note_vkey_format(evidence_vkey(w->evidence), vkey);
	assert_int_equal(verify_log(&config, &report), 0);
	assert_string_equal(json_text(report, "verdict", ""), "unknown");
}

static void a_damaged_state_file_is_an_error(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_free_p) char *log = mem_format("%s/log", w->folder);
	CLEANUP(mem_free_p) char *file = mem_format("%s/state", w->folder);
	char vkey[NOTE_VKEY_MAX];
	const struct verify_config config = { .vkey = vkey,
					      .folder = log,
					      .state = file };
	json_t *report = NULL;

	make_log(w, 3);
	world_shell(w, "echo '{\"cut' >state");
	world_open(w);
	note_vkey_format(evidence_vkey(w->evidence), vkey);
	assert_int_equal(verify_log(&config, &report), ERR_SYNTAX);
	assert_null(report);
}

/* ---- what leaves say ------------------------------------------------------
 */

static void a_request_from_decision_to_outcome_is_right(void **state)
{
	struct world *w = *state;

	make_log(w, 1);
	world_open(w);
	put(w, LEAF_DECISION, "req_1", NULL, NULL);
	put(w, LEAF_ARMED, "req_1", "digest", digest);
	put(w, LEAF_OUTCOME, "req_1", "grant", "grt_1");
	put(w, LEAF_ARMED, "grt_1", "digest", digest);
	put(w, LEAF_ENDED, "grt_1", NULL, NULL);
	export_now(w);
	expect(w, false, "ok", NULL);
}

static void an_unknown_outcome_stays_open_until_it_is_resolved(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *report = NULL;

	make_log(w, 1);
	world_open(w);
	put(w, LEAF_DECISION, "req_1", NULL, NULL);
	put(w, LEAF_ARMED, "req_1", "digest", digest);
	put(w, LEAF_ARMED, "req_1", "digest", digest); /* another attempt */
	put(w, LEAF_OUTCOME, "req_1", "effect", "unknown");
	export_now(w);
	report = verify_with(w, false);
	assert_string_equal(json_text(report, "verdict", ""), "ok");
	assert_int_equal(json_array_size(json_array_in(report, "open")), 2);
	json_decref(TAKE(report));
	world_open(w);
	put(w, LEAF_RESOLVED, "req_1", "as", "applied");
	put(w, LEAF_OUTCOME, "req_1", "effect", "applied");
	export_now(w);
	report = verify_with(w, false);
	assert_string_equal(json_text(report, "verdict", ""), "ok");
	assert_int_equal(json_array_size(json_array_in(report, "open")), 0);
}

static void an_effect_without_a_decision_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 1);
	world_open(w);
	put(w, LEAF_DECISION, "req_1", NULL, NULL);
	put(w, LEAF_ARMED, "req_2", "digest", digest);
	export_now(w);
	expect(w, false, "finding", "without a decision");
}

static void an_effect_without_a_digest_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 1);
	world_open(w);
	put(w, LEAF_DECISION, "req_1", NULL, NULL);
	put(w, LEAF_ARMED, "req_1", "digest", "sha256:short");
	export_now(w);
	expect(w, false, "finding", "without the digest");
}

static void an_effect_without_an_end_is_listed_as_open(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *report = NULL;
	const json_t *open;

	make_log(w, 1);
	world_open(w);
	put(w, LEAF_DECISION, "req_1", NULL, NULL);
	put(w, LEAF_ARMED, "req_1", "digest", digest);
	export_now(w);
	report = verify_with(w, false);
	assert_string_equal(json_text(report, "verdict", ""), "ok");
	open = json_array_get(json_array_in(report, "open"), 0);
	assert_int_equal(json_int(open, "index", 0), 2);
	assert_string_equal(json_text(open, "about", ""), "req_1");
}

static void an_outcome_of_nothing_is_found(void **state)
{
	struct world *w = *state;

	make_log(w, 1);
	world_open(w);
	put(w, LEAF_OUTCOME, "req_1", NULL, NULL);
	export_now(w);
	expect(w, false, "finding", "nothing that was armed");
}

static void a_log_without_genesis_is_found(void **state)
{
	struct world *w = *state;

	world_open(w);
	put(w, LEAF_HEARTBEAT, NULL, NULL, NULL);
	put(w, LEAF_GENESIS, NULL, NULL, NULL);
	export_now(w);
	expect(w, false, "finding", "does not begin with its genesis");
	expect(w, false, "finding", "a second beginning");
}

/* ---- receipts -------------------------------------------------------------
 */

static const char *proof_verdict(const char *vkey, struct slice proof,
				 struct slice leaf, json_t **report)
{
	json_decref(*report);
	*report = NULL;
	assert_int_equal(verify_proof(vkey, NULL, 0, proof, leaf, report), 0);
	return json_text(*report, "verdict", "");
}

static void a_receipt_proves_its_leaf_and_no_other(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf proof = BUF_INIT(VERIFY_PROOF_MAX);
	CLEANUP(buf_clear) struct buf leaf = BUF_INIT(EVIDENCE_LEAF_MAX);
	CLEANUP(json_put_p) json_t *report = NULL;
	char vkey[NOTE_VKEY_MAX];

	make_log(w, 300);
	world_open(w);
	note_vkey_format(evidence_vkey(w->evidence), vkey);
	assert_int_equal(
		evidence_receipt(w->evidence, 77, RECEIPT_SIGNED, &proof), 0);
	assert_int_equal(
		store_leaf_get(evidence_reader(w->evidence), 77, &leaf, NULL),
		0);
	assert_string_equal(proof_verdict(vkey, buf_slice(&proof),
					  buf_slice(&leaf), &report),
			    "ok");
	assert_int_equal(json_int(report, "index", -1), 77);
	assert_int_equal(json_int(json_object_in(report, "leaf"), "v", 0), 1);
	leaf.data[leaf.len / 2] ^= 1;
	assert_string_equal(proof_verdict(vkey, buf_slice(&proof),
					  buf_slice(&leaf), &report),
			    "finding");
	leaf.data[leaf.len / 2] ^= 1;
	for (size_t i = 0; i < proof.len; i++) {
		const char *verdict;

		proof.data[i] ^= 1;
		verdict = proof_verdict(vkey, buf_slice(&proof),
					buf_slice(&leaf), &report);
		if (strcmp(verdict, "finding") != 0)
			fail_msg("a flipped bit at %zu goes unseen", i);
		proof.data[i] ^= 1;
	}
	assert_int_equal(verify_proof("no key", NULL, 0, buf_slice(&proof),
				      buf_slice(&leaf), &report),
			 ERR_SYNTAX);
}

#define VERIFY_TEST(name)                                                      \
	cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VERIFY_TEST(a_log_verifies_at_every_size),
		VERIFY_TEST(a_report_names_what_was_seen_before),
		VERIFY_TEST(a_log_cut_short_is_found),
		VERIFY_TEST(a_log_that_was_rewritten_is_found),
		VERIFY_TEST(a_flipped_bit_in_any_file_is_found),
		VERIFY_TEST(an_altered_entry_is_named),
		VERIFY_TEST(a_missing_file_is_found),
		VERIFY_TEST(a_partial_tile_may_be_replaced_by_the_full_one),
		VERIFY_TEST(another_key_is_refused),
		VERIFY_TEST(a_log_that_cannot_be_asked_is_unknown),
		VERIFY_TEST(a_damaged_state_file_is_an_error),
		VERIFY_TEST(a_request_from_decision_to_outcome_is_right),
		VERIFY_TEST(an_unknown_outcome_stays_open_until_it_is_resolved),
		VERIFY_TEST(an_effect_without_a_decision_is_found),
		VERIFY_TEST(an_effect_without_a_digest_is_found),
		VERIFY_TEST(an_effect_without_an_end_is_listed_as_open),
		VERIFY_TEST(an_outcome_of_nothing_is_found),
		VERIFY_TEST(a_log_without_genesis_is_found),
		VERIFY_TEST(a_receipt_proves_its_leaf_and_no_other),
	};

	return cmocka_run_group_tests_name("evidence/verify", tests, NULL,
					   NULL);
}
