#include "harness.h"

#include "base/error.h"
#include "base/mem.h"
#include "evidence/verify.h"

static const char secret[] = "alice@corp.example wants her brother in";

struct answer {
	struct world *world;
	json_t *payload;
	char why[64];
};

static void on_payload(void *cookie, json_t *payload, const char *why)
{
	struct answer *a = cookie;

	a->payload = payload;
	snprintf(a->why, sizeof(a->why), "%s", why ? why : "");
	world_done(a->world);
}

static struct answer disclose(struct world *w, uint64_t leaf, unsigned part)
{
	struct answer a = { .world = w };

	evidence_disclose(w->evidence, leaf, part, on_payload, &a);
	assert_false(w->flag); /* never at once */
	world_wait(w);
	return a;
}

/* A leaf with two parts, of two subjects. */
static struct leaf_ref put_payload(struct world *w)
{
	CLEANUP(json_put_p) json_t *first = json_object();
	CLEANUP(json_put_p) json_t *second = json_array();
	const struct evidence_part parts[] = {
		{ "human:alice", first },
		{ "agent:sorter", second },
	};
	struct evidence_txn *t = evidence_begin(w->evidence);
	struct leaf_ref leaf;

	json_set_text(first, "prompt", secret);
	json_array_append_new(second, json_integer(42));
	assert_int_equal(
		evidence_leaf(t, LEAF_RECORD, "tsk_1", NULL, parts, 2, &leaf),
		0);
	evidence_commit(t, world_done, w);
	world_wait(w);
	return leaf;
}

static void read_body(struct world *w, uint64_t index, struct buf *body)
{
	assert_int_equal(
		store_leaf_get(evidence_reader(w->evidence), index, body, NULL),
		0);
}

static const char *verdict(struct slice body, unsigned part,
			   const json_t *payload, json_t **report)
{
	json_decref(*report);
	*report = NULL;
	assert_int_equal(verify_disclosure(body, part, payload, report), 0);
	return json_text(*report, "verdict", "");
}

static void a_payload_is_what_the_leaf_commits_to(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf body = BUF_INIT(EVIDENCE_LEAF_MAX);
	CLEANUP(json_put_p) json_t *report = NULL;
	struct leaf_ref leaf;
	struct answer a;
	json_t *payload;

	world_open(w);
	leaf = put_payload(w);
	read_body(w, leaf.index, &body);
	assert_null(strstr(buf_text(&body), "alice"));
	a = disclose(w, leaf.index, 0);
	payload = json_object_in(a.payload, "payload");
	assert_string_equal(json_text(payload, "prompt", ""), secret);
	assert_string_equal(verdict(buf_slice(&body), 0, a.payload, &report),
			    "ok");
	/* Not the other part's, and not another text. */
	assert_string_equal(verdict(buf_slice(&body), 1, a.payload, &report),
			    "finding");
	assert_string_equal(verdict(buf_slice(&body), 2, a.payload, &report),
			    "finding");
	json_set_text(payload, "prompt", "something else");
	assert_string_equal(verdict(buf_slice(&body), 0, a.payload, &report),
			    "finding");
	json_decref(a.payload);
}

static void a_payload_is_sealed_on_disk(void **state)
{
	struct world *w = *state;

	world_open(w);
	put_payload(w);
	world_close(w);
	world_shell(w, "! grep -aq 'wants her brother' data/*");
}

static void a_payload_is_opened_after_a_restart(void **state)
{
	struct world *w = *state;
	struct leaf_ref leaf;
	struct answer a;

	world_open(w);
	put_payload(w);
	leaf = put_payload(w); /* the same keys again */
	world_close(w);
	world_open(w);
	a = disclose(w, leaf.index, 1);
	assert_int_equal(json_integer_value(json_array_get(
				 json_object_get(a.payload, "payload"), 0)),
			 42);
	json_decref(a.payload);
	leaf = put_payload(w); /* new keys for known subjects */
	a = disclose(w, leaf.index, 0);
	assert_non_null(a.payload);
	json_decref(a.payload);
}

static void a_payload_that_never_was_is_not_found(void **state)
{
	struct world *w = *state;

	world_open(w);
	put_payload(w);
	assert_string_equal(disclose(w, 0, 2).why, "not found");
	assert_string_equal(disclose(w, 9, 0).why, "not found");
	assert_string_equal(disclose(w, 0, 9999).why, "not found");
}

static void an_erased_payload_says_so(void **state)
{
	struct world *w = *state;

	world_open(w);
	put_payload(w);
	world_close(w);
	world_shell(w, "sqlite3 data/state.db \"DELETE FROM payload"
		       " WHERE subject LIKE 'human:alice#%%';"
		       " DELETE FROM subject WHERE name LIKE"
		       " 'human:alice#%%';\"");
	world_open(w);
	assert_string_equal(disclose(w, 0, 0).why, "erased");
}

static void a_payload_moved_to_another_leaf_does_not_open(void **state)
{
	struct world *w = *state;

	world_open(w);
	put_payload(w);
	put_payload(w);
	world_close(w);
	world_shell(w, "sqlite3 data/state.db \"UPDATE payload SET sealed ="
		       " (SELECT sealed FROM payload WHERE place = 0)"
		       " WHERE place = 16;\"");
	world_open(w);
	assert_string_equal(disclose(w, 1, 0).why, "damaged");
}

static void equal_payloads_have_unequal_commitments(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf a = BUF_INIT(EVIDENCE_LEAF_MAX);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(EVIDENCE_LEAF_MAX);
	const char *first;
	const char *second;

	world_open(w);
	read_body(w, put_payload(w).index, &a);
	read_body(w, put_payload(w).index, &b);
	first = strstr(buf_text(&a), "\"c:");
	second = strstr(buf_text(&b), "\"c:");
	assert_non_null(first);
	assert_non_null(second);
	assert_int_not_equal(strncmp(first, second, 46), 0);
}

static void a_payload_that_is_too_large_is_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(mem_free_p) char *text = mem_alloc(EVIDENCE_PAYLOAD_MAX + 1);
	CLEANUP(json_put_p) json_t *value = NULL;
	struct evidence_part part = { .subject = "human:alice" };
	struct evidence_txn *t;
	struct leaf_ref leaf;

	world_open(w);
	memset(text, 'x', EVIDENCE_PAYLOAD_MAX);
	value = json_string(text);
	part.value = value;
	t = evidence_begin(w->evidence);
	assert_int_equal(
		evidence_leaf(t, LEAF_RECORD, NULL, NULL, &part, 1, &leaf),
		ERR_LIMIT);
	evidence_abandon(t);
}

static void more_parts_than_a_leaf_has_are_refused(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *value = json_true();
	struct evidence_part parts[STORE_PARTS_MAX + 1];
	struct evidence_txn *t;
	struct leaf_ref leaf;
	struct answer a;

	world_open(w);
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		parts[i] = (struct evidence_part){ "human:alice", value };
	t = evidence_begin(w->evidence);
	assert_int_equal(evidence_leaf(t, LEAF_RECORD, NULL, NULL, parts,
				       STORE_PARTS_MAX + 1, &leaf),
			 ERR_LIMIT);
	evidence_abandon(t);
	t = evidence_begin(w->evidence);
	assert_int_equal(evidence_leaf(t, LEAF_RECORD, NULL, NULL, parts,
				       STORE_PARTS_MAX, &leaf),
			 0);
	evidence_commit(t, world_done, w);
	world_wait(w);
	a = disclose(w, leaf.index, STORE_PARTS_MAX - 1);
	assert_true(json_is_true(json_object_get(a.payload, "payload")));
	json_decref(a.payload);
}

static void data_keys_run_out_and_come_back(void **state)
{
	struct world *w = *state;
	CLEANUP(json_put_p) json_t *value = json_true();
	struct evidence_txn *t;
	struct leaf_ref leaf;
	int r = 0;

	world_open(w);
	t = evidence_begin(w->evidence);
	/* The loop does not run meanwhile, so no answer comes. */
	for (unsigned i = 0; r == 0; i++) {
		CLEANUP(mem_free_p) char *subject = mem_format("human:%u", i);
		const struct evidence_part part = { subject, value };

		assert_true(i < 10000);
		r = evidence_leaf(t, LEAF_RECORD, NULL, NULL, &part, 1, &leaf);
	}
	assert_int_equal(r, ERR_BUSY);
	evidence_abandon(t);
	assert_true(evidence_is_busy(w->evidence));
	world_add(w, 1);
	while (evidence_is_busy(w->evidence)) {
		loop_timer(w->loop, 5, world_done, w);
		world_wait(w);
	}
	put_payload(w);
}

static void a_commitment_is_the_documented_digest(void **state UNUSED)
{
	static const uint8_t salt[32] = { 0 };
	/* printf 'evc1\0<32 zero bytes>{}' | sha256sum, in base64url */
	CLEANUP(mem_free_p)
	char *text = evidence_commitment(salt, slice_str("{}"));

	assert_string_equal(text,
			    "c:8Sh8eoRKNPcclcaC5zKXXn-FWMidorx_gwD7ddQ-ELw");
}

#define VAULT_TEST(name)                                                       \
	cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		VAULT_TEST(a_payload_is_what_the_leaf_commits_to),
		VAULT_TEST(a_payload_is_sealed_on_disk),
		VAULT_TEST(a_payload_is_opened_after_a_restart),
		VAULT_TEST(a_payload_that_never_was_is_not_found),
		VAULT_TEST(an_erased_payload_says_so),
		VAULT_TEST(a_payload_moved_to_another_leaf_does_not_open),
		VAULT_TEST(equal_payloads_have_unequal_commitments),
		VAULT_TEST(a_payload_that_is_too_large_is_refused),
		VAULT_TEST(more_parts_than_a_leaf_has_are_refused),
		VAULT_TEST(data_keys_run_out_and_come_back),
		cmocka_unit_test(a_commitment_is_the_documented_digest),
	};

	return cmocka_run_group_tests_name("evidence/vault", tests, NULL, NULL);
}
