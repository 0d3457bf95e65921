/* What leaves of credentials must say, one after another. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "base/mem.h"
#include "evidence/verify_leaf.h"

static const char digest[] = "sha256:0123456789abcdef0123456789abcdef"
			     "0123456789abcdef0123456789abcdef";
static const int64_t start = 1800000000000;
static const int64_t hour = 3600 * 1000;

/* A log, and what was said against it. */
struct log {
	struct leaf_rules *rules;
	uint64_t size;
	int64_t at;
	char said[512];
};

static void on_fault(void *cookie, uint64_t index, const char *what)
{
	struct log *log = cookie;
	size_t len = strlen(log->said);

	snprintf(log->said + len, sizeof(log->said) - len, "%d: %s\n",
		 (int)index, what);
}

static void add(struct log *log, const char *kind, json_t *owned)
{
	CLEANUP(mem_free_p) char *text = NULL;

	json_set_int(owned, "v", 1);
	json_set_text(owned, "kind", kind);
	json_set_int(owned, "at", log->at);
	text = json_canonical(owned);
	json_decref(owned);
	leaf_rules_add(log->rules, log->size++, slice_str(text));
}

/* A request that is armed by the last leaf. */
static void arm(struct log *log, const char *request)
{
	add(log, "decision", json_pack("{ss}", "about", request));
	add(log, "armed",
	    json_pack("{ssss}", "about", request, "digest", digest));
}

static void issue(struct log *log, const char *request, int64_t armed)
{
	add(log, "issued",
	    json_pack("{sssssIsI}", "about", "crd_1", "request", request,
		      "armed", (json_int_t)armed, "expires",
		      (json_int_t)(log->at / 1000 + 300)));
}

static void outcome(struct log *log, const char *request, const char *effect)
{
	add(log, "outcome",
	    json_pack("{ssss}", "about", request, "effect", effect));
}

static void ended(struct log *log, const char *grant, const char *request)
{
	add(log, "ended",
	    json_pack("{ssss}", "about", grant, "request", request));
}

static void begin(struct log *log)
{
	*log = (struct log){ .at = start };
	log->rules = leaf_rules_new(on_fault, log);
	add(log, "genesis", json_object());
	add(log, "config", json_object());
}

/* A credential of leaf 4, which was carried out. */
static void begin_lent(struct log *log)
{
	begin(log);
	arm(log, "req_1");
	issue(log, "req_1", 3);
	outcome(log, "req_1", "applied");
}

static void is_said(struct log *log, const char *words)
{
	leaf_rules_finish(log->rules);
	assert_string_equal(log->said, words);
	leaf_rules_free(log->rules);
}

static size_t lent(const struct log *log)
{
	CLEANUP(json_put_p) json_t *list = leaf_rules_lent(log->rules);

	return json_array_size(list);
}

static void a_credential_that_was_armed_and_ended_is_right(void **state UNUSED)
{
	struct log log;

	begin_lent(&log);
	assert_int_equal(lent(&log), 1);
	ended(&log, "grt_1", "req_1");
	assert_int_equal(lent(&log), 0);
	log.at += 100 * hour;
	add(&log, "heartbeat", json_object());
	is_said(&log, "");
}

static void a_credential_for_nothing_armed_is_found(void **state UNUSED)
{
	struct log log;

	begin(&log);
	issue(&log, "req_1", 1);
	is_said(&log, "2: a credential for nothing that was armed\n");
}

static void a_credential_for_what_was_armed_for_another_request_is_found(
	void **state UNUSED)
{
	struct log log;

	begin(&log);
	arm(&log, "req_1");
	issue(&log, "req_2", 3);
	is_said(&log, "4: a credential for nothing that was armed\n");
}

static void a_credential_after_the_outcome_is_found(void **state UNUSED)
{
	struct log log;

	begin(&log);
	arm(&log, "req_1");
	outcome(&log, "req_1", "none");
	issue(&log, "req_1", 3);
	is_said(&log, "5: a credential for nothing that was armed\n");
}

static void a_second_credential_for_one_armed_leaf_is_found(void **state UNUSED)
{
	struct log log;

	begin(&log);
	arm(&log, "req_1");
	issue(&log, "req_1", 3);
	issue(&log, "req_1", 3);
	outcome(&log, "req_1", "none");
	is_said(&log, "5: a second credential for one armed leaf\n");
}

static void a_credential_that_names_nothing_is_found(void **state UNUSED)
{
	struct log log;

	begin(&log);
	arm(&log, "req_1");
	add(&log, "issued", json_pack("{ss}", "about", "crd_1"));
	is_said(&log, "4: a credential for nothing that was armed\n");
}

static void
an_end_that_is_not_recorded_is_found_after_a_day(void **state UNUSED)
{
	struct log log;

	begin_lent(&log);
	log.at += 25 * hour;
	add(&log, "heartbeat", json_object());
	is_said(&log, "4: a credential whose end is not recorded\n");
}

static void an_end_may_come_within_the_day(void **state UNUSED)
{
	struct log log;

	begin_lent(&log);
	log.at += 23 * hour;
	add(&log, "heartbeat", json_object());
	assert_int_equal(lent(&log), 1);
	is_said(&log, "");
}

static void an_end_may_come_within_a_day_of_a_start(void **state UNUSED)
{
	struct log log;

	begin_lent(&log);
	log.at += 100 * hour;
	add(&log, "config", json_object());
	is_said(&log, "");
}

static void the_end_of_another_grant_is_none_of_its(void **state UNUSED)
{
	struct log log;

	begin_lent(&log);
	ended(&log, "grt_2", "req_2");
	assert_int_equal(lent(&log), 1);
	is_said(&log, "");
}

static void what_was_not_made_needs_no_end(void **state UNUSED)
{
	struct log log;

	begin(&log);
	arm(&log, "req_1");
	issue(&log, "req_1", 3);
	outcome(&log, "req_1", "unknown");
	assert_int_equal(lent(&log), 1);
	add(&log, "recovery",
	    json_pack("{ssss}", "about", "req_1", "effect", "none"));
	assert_int_equal(lent(&log), 0);
	is_said(&log, "");
}

static void delivered(struct log *log, const char *request, int64_t armed)
{
	add(log, "delivered",
	    json_pack("{sssssI}", "about", "grt_1", "request", request, "armed",
		      (json_int_t)armed));
}

static void what_was_lent_is_handed_out_once(void **state UNUSED)
{
	struct log log;

	begin_lent(&log);
	delivered(&log, "req_1", 3);
	ended(&log, "grt_1", "req_1");
	is_said(&log, "");
	begin_lent(&log);
	delivered(&log, "req_1", 3);
	delivered(&log, "req_1", 3);
	ended(&log, "grt_1", "req_1");
	is_said(&log, "7: handed out a second time\n");
}

static void what_is_handed_out_after_its_end_is_found(void **state UNUSED)
{
	struct log log;

	begin_lent(&log);
	ended(&log, "grt_1", "req_1");
	delivered(&log, "req_1", 3);
	is_said(&log, "7: handed out after its end\n");
}

static void what_is_handed_out_without_an_effect_is_found(void **state UNUSED)
{
	struct log log;

	begin(&log);
	delivered(&log, "req_1", 1);
	arm(&log, "req_1");
	delivered(&log, "req_1", 4);
	outcome(&log, "req_1", "applied");
	delivered(&log, "req_2", 4);
	add(&log, "delivered", json_pack("{ss}", "about", "grt_1"));
	is_said(&log, "2: handed out without an effect that lent it\n"
		      "5: handed out without an effect that lent it\n"
		      "7: handed out without an effect that lent it\n"
		      "8: handed out without an effect that lent it\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_lent_is_handed_out_once),
		cmocka_unit_test(what_is_handed_out_after_its_end_is_found),
		cmocka_unit_test(what_is_handed_out_without_an_effect_is_found),
		cmocka_unit_test(
			a_credential_that_was_armed_and_ended_is_right),
		cmocka_unit_test(a_credential_for_nothing_armed_is_found),
		cmocka_unit_test(
			a_credential_for_what_was_armed_for_another_request_is_found),
		cmocka_unit_test(a_credential_after_the_outcome_is_found),
		cmocka_unit_test(
			a_second_credential_for_one_armed_leaf_is_found),
		cmocka_unit_test(a_credential_that_names_nothing_is_found),
		cmocka_unit_test(
			an_end_that_is_not_recorded_is_found_after_a_day),
		cmocka_unit_test(an_end_may_come_within_the_day),
		cmocka_unit_test(an_end_may_come_within_a_day_of_a_start),
		cmocka_unit_test(the_end_of_another_grant_is_none_of_its),
		cmocka_unit_test(what_was_not_made_needs_no_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
