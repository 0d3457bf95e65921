/* Without a network: what there is when nobody can be asked.  How witnesses are
 * asked runs against a test witness in tests/integration/test_witness.py. */
#include "harness.h"

#include "base/error.h"
#include "base/mem.h"

/* A witness that has no address. */
static const char lonely[] =
	"witness X1 witness.test/w1+34fdc7cf+BMv7/0gItJ5bHcVT3hx/SGKUPeiJyXvRWb"
	"Q2P6fL7jwN\nquorum X1\n";

struct came {
	struct world *world;
	unsigned calls;
	uint64_t size;
	size_t len;
	char why[160];
};

static void on_receipt(void *cookie, struct slice note, uint64_t size,
		       const char *why)
{
	struct came *came = cookie;

	came->calls++;
	came->size = size;
	came->len = note.len;
	snprintf(came->why, sizeof(came->why), "%s", why ? why : "");
	world_done(came->world);
}

static struct witness_policy *policy_of(const char *text)
{
	struct witness_policy *p = NULL;

	if (witness_policy_parse(slice_str(text), &p) < 0)
		fail_msg("%s", error_message());
	return p;
}

static struct came wait_for(struct world *w, uint64_t index,
			    enum receipt_strength strength, int64_t timeout_ms)
{
	struct came came = { .world = w };

	evidence_when_receipt(w->evidence, index, strength, timeout_ms,
			      on_receipt, &came);
	assert_int_equal(came.calls, 0); /* never from within */
	world_wait(w);
	assert_int_equal(came.calls, 1);
	return came;
}

static void
a_signed_receipt_comes_when_its_checkpoint_is_published(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf proof = BUF_INIT(1 << 16);
	struct came came;

	world_open(w);
	world_add(w, 3);
	came = wait_for(w, 2, RECEIPT_SIGNED, 20000);
	assert_string_equal(came.why, "");
	assert_true(came.size >= 3 && came.len > 0);
	assert_int_equal(
		evidence_receipt(w->evidence, 2, RECEIPT_SIGNED, &proof), 0);
	came = wait_for(w, 0, RECEIPT_SIGNED, 20000); /* and at once again */
	assert_string_equal(came.why, "");
	world_close(w);
}

static void without_witnesses_nothing_is_ever_witnessed(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf proof = BUF_INIT(1 << 16);
	struct came came;

	world_open(w);
	world_add(w, 1);
	came = wait_for(w, 0, RECEIPT_WITNESSED, 3600 * 1000);
	assert_string_equal(came.why, "no witnesses are configured");
	assert_int_equal(came.len, 0);
	assert_int_equal(
		evidence_receipt(w->evidence, 0, RECEIPT_WITNESSED, &proof),
		ERR_NOT_FOUND);
	assert_null(evidence_witness_report(w->evidence));
	world_close(w);
}

static void what_no_quorum_covers_is_told_when_its_time_is_over(void **state)
{
	struct world *w = *state;
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = policy_of(lonely);
	CLEANUP(json_put_p) json_t *report = NULL;
	const json_t *row;
	struct came came;

	w->witnesses = p;
	world_open(w);
	world_add(w, 1);
	came = wait_for(w, 0, RECEIPT_WITNESSED, 50);
	assert_non_null(strstr(came.why, "not cosigned"));
	report = evidence_witness_report(w->evidence);
	row = json_array_get(json_array_in(report, "witnesses"), 0);
	assert_string_equal(json_text(row, "name", ""), "X1");
	assert_non_null(strstr(json_text(row, "why", ""), "address"));
	assert_int_equal(json_int(report, "witnessed", -1), 0);
	/* Nobody can be asked, so nobody is waited for at a start. */
	world_close(w);
	world_open(w);
	assert_false(evidence_is_degraded(w->evidence, NULL));
	world_close(w);
}

static void
a_policy_that_asks_for_nobody_is_met_by_the_log_s_signature(void **state)
{
	struct world *w = *state;
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = policy_of("quorum none\n");
	CLEANUP(buf_clear) struct buf file = BUF_INIT(1 << 16);
	const char *type;
	struct came came;

	w->witnesses = p;
	world_open(w);
	world_add(w, 2);
	came = wait_for(w, 1, RECEIPT_WITNESSED, 20000);
	assert_string_equal(came.why, "");
	assert_int_equal(evidence_public_file(w->evidence,
					      "checkpoint.witnessed", &file,
					      &type),
			 0);
	assert_true(world_checkpoint(w, buf_slice(&file)).size >= 2);
	world_close(w);
}

static void who_still_waits_at_the_end_is_forgotten(void **state)
{
	struct world *w = *state;
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = policy_of(lonely);
	struct came came = { .world = w };

	w->witnesses = p;
	world_open(w);
	world_add(w, 1);
	for (int i = 0; i < 3; i++)
		evidence_when_receipt(w->evidence, 0, RECEIPT_WITNESSED,
				      3600 * 1000, on_receipt, &came);
	evidence_when_receipt(w->evidence, 99, RECEIPT_SIGNED, 3600 * 1000,
			      on_receipt, &came);
	world_close(w);
	assert_int_equal(came.calls, 0);
}

static void who_waits_when_the_end_comes_is_told_at_once(void **state)
{
	struct world *w = *state;
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = policy_of(lonely);
	struct came came = { .world = w };

	w->witnesses = p;
	world_open(w);
	world_add(w, 1);
	evidence_when_receipt(w->evidence, 0, RECEIPT_WITNESSED, 3600 * 1000,
			      on_receipt, &came);
	evidence_give_up(w->evidence, "the house closes");
	assert_int_equal(came.calls, 0); /* never from within */
	world_wait(w);
	assert_int_equal(came.calls, 1);
	assert_string_equal(came.why, "the house closes");
	assert_int_equal(came.len, 0);
	/* Nor does anybody begin to wait. */
	came = wait_for(w, 0, RECEIPT_WITNESSED, 3600 * 1000);
	assert_string_equal(came.why, "the house closes");
	world_close(w);
}

/* The loop runs on until what is queued is durable and signed; who waited may
 * be gone by then. */
static void whose_time_is_over_during_the_close_is_not_called(void **state)
{
	struct world *w = *state;
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = policy_of(lonely);
	struct came came = { .world = w };

	w->witnesses = p;
	world_open(w);
	world_add(w, 1);
	for (int i = 0; i < 3; i++)
		evidence_when_receipt(w->evidence, 0, RECEIPT_WITNESSED, 0,
				      on_receipt, &came);
	world_close(w);
	assert_int_equal(came.calls, 0);
}

static void a_policy_for_another_log_is_not_opened_with(void **state)
{
	struct world *w = *state;
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = policy_of(
		"log example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaA"
		"NYcrnKv3U2k\nquorum none\n");

	w->witnesses = p;
	assert_int_equal(world_try_open(w), ERR_SYNTAX);
	world_close(w);
	w->witnesses = NULL;
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_signed_receipt_comes_when_its_checkpoint_is_published),
		TEST(without_witnesses_nothing_is_ever_witnessed),
		TEST(what_no_quorum_covers_is_told_when_its_time_is_over),
		TEST(a_policy_that_asks_for_nobody_is_met_by_the_log_s_signature),
		TEST(who_still_waits_at_the_end_is_forgotten),
		TEST(who_waits_when_the_end_comes_is_told_at_once),
		TEST(whose_time_is_over_during_the_close_is_not_called),
		TEST(a_policy_for_another_log_is_not_opened_with),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
