#include "connect/reply.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"

static const char plan[] =
	"{\"resource\":\"r\",\"parameters\":{\"member\":\"m\"},"
	"\"before\":{\"member\":false},\"after\":{\"member\":true},"
	"\"diff\":[{\"op\":\"add\",\"attribute\":\"member\",\"value\":\"m\"}],"
	"\"gains\":[{\"type\":\"account\",\"id\":\"m\"}],\"loses\":[],"
	"\"nestedIn\":[\"g\"],\"blastRadius\":1,\"precondition\":{},"
	"\"noChange\":false,\"atomic\":true,\"undo\":{\"action\":\"a\","
	"\"resource\":\"r\",\"parameters\":{}},\"targetVersion\":\"7\"}";

static const char describe[] =
	"{\"name\":\"null\",\"version\":\"1\",\"build\":\"sha256:"
	"0000000000000000000000000000000000000000000000000000000000000000\","
	"\"protocol\":1,\"actions\":[{\"action\":\"A\",\"wire\":\"w\","
	"\"resourceType\":\"R\",\"inverse\":\"B\",\"idempotency\":\"natural\""
	",\"takes\":false}]"
	",\"enforcesPrecondition\":true}";

/* The reply to request 7; cleared by the caller. */
static struct reply reply_of(enum connect_method method, const char *body)
{
	struct reply reply;

	reply_parse(slice_str(body), method, 7, &reply);
	return reply;
}

static struct reply result_of(enum connect_method method, const char *result)
{
	CLEANUP(mem_free_p)
	char *body = mem_format("{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":%s}",
				result);

	return reply_of(method, body);
}

static void expect(enum connect_method method, const char *result,
		   enum reply_kind kind)
{
	CLEANUP(reply_clear) struct reply reply = result_of(method, result);

	if (reply.kind != kind)
		fail_msg("%s: %s", result, reply.detail);
	assert_true((reply.result != NULL) == (kind == REPLY_RESULT));
}

static void malformed(enum connect_method method, const char *body)
{
	CLEANUP(reply_clear) struct reply reply = reply_of(method, body);

	if (reply.kind != REPLY_MALFORMED)
		fail_msg("%s was taken", body);
	assert_null(reply.result);
}

static void well_formed_results_are_taken(void **state UNUSED)
{
	expect(CONNECT_DESCRIBE, describe, REPLY_RESULT);
	expect(CONNECT_PLAN, plan, REPLY_RESULT);
	expect(CONNECT_CHECK, "{\"ok\":true}", REPLY_RESULT);
	expect(CONNECT_CHECK, "{\"ok\":false,\"detail\":\"d\"}", REPLY_RESULT);
	expect(CONNECT_READ, "{\"present\":true,\"state\":{}}", REPLY_RESULT);
	expect(CONNECT_APPLY, "{\"result\":\"applied\",\"observed\":{}}",
	       REPLY_RESULT);
	expect(CONNECT_APPLY, "{\"result\":\"no-change\"}", REPLY_RESULT);
	expect(CONNECT_APPLY,
	       "{\"result\":\"applied\",\"secret\":{\"password\":\"p\"}}",
	       REPLY_RESULT);
	expect(CONNECT_ACTIVITY, "{\"deeds\":[],\"complete\":false}",
	       REPLY_RESULT);
	expect(CONNECT_ACTIVITY,
	       "{\"deeds\":[],\"complete\":false,\"source\":\"session\"}",
	       REPLY_RESULT);
	expect(CONNECT_ENTITLEMENTS,
	       "{\"account\":\"bob\",\"entitlements\":[{\"type\":\"role\","
	       "\"id\":\"reader\",\"direct\":true}]}",
	       REPLY_RESULT);
}

static void a_refused_apply_carries_its_reason(void **state UNUSED)
{
	CLEANUP(reply_clear)
	struct reply reply = result_of(
		CONNECT_APPLY, "{\"result\":\"refused\",\"reason\":"
			       "\"precondition\",\"detail\":\"changed\"}");

	assert_int_equal(reply.kind, REPLY_RESULT);
	assert_string_equal(reply.reason, "precondition");
	assert_string_equal(reply.detail, "changed");
}

static void an_error_carries_its_reason(void **state UNUSED)
{
	CLEANUP(reply_clear)
	struct reply reply = reply_of(
		CONNECT_PLAN,
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":-32000,"
		"\"message\":\"not\\nthere\",\"data\":{\"reason\":"
		"\"no-such-member\"}}}");

	assert_int_equal(reply.kind, REPLY_ERROR);
	assert_string_equal(reply.reason, "no-such-member");
	assert_string_equal(reply.detail, "not\nthere");
}

static void results_of_another_shape_are_malformed(void **state UNUSED)
{
	static const struct {
		enum connect_method method;
		const char *result;
	} rows[] = {
		{ CONNECT_CHECK, "{}" },
		{ CONNECT_CHECK, "{\"ok\":1}" },
		{ CONNECT_CHECK, "{\"ok\":true,\"x\":1}" },
		{ CONNECT_CHECK, "[]" },
		{ CONNECT_CHECK, "null" },
		{ CONNECT_READ, "{\"present\":true}" },
		{ CONNECT_READ, "{\"present\":\"yes\",\"state\":{}}" },
		{ CONNECT_APPLY, "{}" },
		{ CONNECT_APPLY, "{\"result\":\"done\"}" },
		{ CONNECT_APPLY, "{\"result\":\"refused\"}" },
		{ CONNECT_APPLY,
		  "{\"result\":\"refused\",\"reason\":\"Two words\"}" },
		{ CONNECT_APPLY, "{\"result\":\"refused\",\"reason\":\"x\","
				 "\"observed\":{}}" },
		{ CONNECT_APPLY,
		  "{\"result\":\"applied\",\"reason\":\"precondition\"}" },
		{ CONNECT_APPLY, "{\"result\":\"no-change\",\"secret\":{}}" },
		{ CONNECT_APPLY, "{\"result\":\"refused\",\"reason\":\"x\","
				 "\"secret\":{\"password\":\"p\"}}" },
		{ CONNECT_APPLY,
		  "{\"result\":\"applied\",\"secret\":{\"pin\":7}}" },
		{ CONNECT_ACTIVITY, "{\"deeds\":[{}],\"complete\":true}" },
		{ CONNECT_ACTIVITY, "{\"deeds\":[],\"complete\":true,"
				    "\"source\":\"hearsay\"}" },
		{ CONNECT_ENTITLEMENTS, "{\"entitlements\":[]}" },
		{ CONNECT_ENTITLEMENTS,
		  "{\"account\":\"\",\"entitlements\":[]}" },
		{ CONNECT_ENTITLEMENTS, "{\"account\":\"bob\"}" },
		{ CONNECT_ENTITLEMENTS,
		  "{\"account\":\"bob\",\"entitlements\":[{\"id\":\"x\"}]}" },
		{ CONNECT_PLAN, "{}" },
		{ CONNECT_DESCRIBE, "{}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect(rows[i].method, rows[i].result, REPLY_MALFORMED);
}

/* A copy of a result with a member set (or, with NULL, removed). */
static char *changed(const char *result, const char *name, const char *value)
{
	CLEANUP(json_put_p) json_t *object = json_loads(result, 0, NULL);

	if (value)
		json_object_set_new(object, name,
				    json_loads(value, JSON_DECODE_ANY, NULL));
	else
		json_object_del(object, name);
	return json_canonical(object);
}

static void every_member_of_a_plan_is_needed_and_checked(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *object = json_loads(plan, 0, NULL);
	const char *name;
	json_t *value;

	json_object_foreach(object, name, value) {
		CLEANUP(mem_free_p) char *without = changed(plan, name, NULL);
		CLEANUP(mem_free_p) char *wrong = changed(plan, name, "[7]");

		expect(CONNECT_PLAN, wrong, REPLY_MALFORMED);
		expect(CONNECT_PLAN, without,
		       strcmp(name, "targetVersion") != 0 ? REPLY_MALFORMED
							  : REPLY_RESULT);
	}
}

static void an_undo_is_null_or_whole(void **state UNUSED)
{
	static const char *const wrong[] = {
		"{}",
		"{\"action\":\"a\",\"resource\":\"r\"}",
		("{\"action\":\"a\",\"resource\":\"r\",\"parameters\":{},"
		 "\"x\":1}"),
		"\"undo\"",
	};
	CLEANUP(mem_free_p) char *none = changed(plan, "undo", "null");

	expect(CONNECT_PLAN, none, REPLY_RESULT);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(mem_free_p)
		char *text = changed(plan, "undo", wrong[i]);

		expect(CONNECT_PLAN, text, REPLY_MALFORMED);
	}
}

static void a_build_that_is_no_digest_is_malformed(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *text = changed(
		describe, "build",
		"\"sha256:ZZ0000000000000000000000000000000000000000000000000"
		"0000000000000\"");

	expect(CONNECT_DESCRIBE, text, REPLY_MALFORMED);
}

static void envelopes_that_are_not_exact_are_malformed(void **state UNUSED)
{
	static const char *const bodies[] = {
		"",
		"{",
		"[]",
		"{}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"ok\":true}} x",
		"{\"jsonrpc\":\"2.0\",\"id\":8,\"result\":{\"ok\":true}}",
		"{\"jsonrpc\":\"2.0\",\"id\":\"7\",\"result\":{\"ok\":true}}",
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":{\"ok\":true}}",
		"{\"jsonrpc\":\"1.0\",\"id\":7,\"result\":{\"ok\":true}}",
		"{\"id\":7,\"result\":{\"ok\":true}}",
		"{\"jsonrpc\":\"2.0\",\"id\":7}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"ok\":true},"
		"\"x\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"result\":{\"ok\":true},"
		"\"error\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":1,"
		"\"message\":\"m\"}}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":1,"
		"\"message\":7,\"data\":{\"reason\":\"x\"}}}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":1,"
		"\"message\":\"m\",\"data\":{\"reason\":\"X Y\"}}}",
		"{\"jsonrpc\":\"2.0\",\"id\":7,\"error\":{\"code\":1,"
		"\"message\":\"m\",\"data\":{\"reason\":\"x\",\"y\":1}}}",
		"{\"jsonrpc\":\"2.0\",\"jsonrpc\":\"2.0\",\"id\":7,"
		"\"result\":{\"ok\":true}}",
	};

	for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
		malformed(CONNECT_CHECK, bodies[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(well_formed_results_are_taken),
		cmocka_unit_test(a_refused_apply_carries_its_reason),
		cmocka_unit_test(an_error_carries_its_reason),
		cmocka_unit_test(results_of_another_shape_are_malformed),
		cmocka_unit_test(every_member_of_a_plan_is_needed_and_checked),
		cmocka_unit_test(an_undo_is_null_or_whole),
		cmocka_unit_test(a_build_that_is_no_digest_is_malformed),
		cmocka_unit_test(envelopes_that_are_not_exact_are_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
