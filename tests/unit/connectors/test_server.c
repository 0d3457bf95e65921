#include "connectors/sdk/server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "authority.h"
#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "signatures.h"

static char folder[] = "/tmp/test-server-XXXXXX";
static struct authority authority;

/* fdatasync() is wrapped by the linker so that a test can make it fail, and see
 * that it came before an effect. */
static bool sync_fails;
static int syncs;
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	syncs++;
	return sync_fails ? -1 : __real_fdatasync(fd);
}

/* What the kind does next, and what it was given. */
static struct {
	int error;
	const char *refusal;
	json_t *result; /* owned until it is given away */
	int calls;
	bool brief;  /* what it was asked last */
	int synced;  /* syncs before the last apply */
	bool silent; /* apply answers nothing */
} next;

static int act(struct connector_reply *reply)
{
	next.calls++;
	if (next.error)
		return error_set(next.error, "told to fail");
	if (next.refusal)
		return connector_refuse(reply, next.refusal, "no\n\x80");
	reply->result = TAKE(next.result);
	return 0;
}

static int kind_open(const json_t *config, void **ret_self)
{
	if (json_flag(config, "broken", false))
		return error_set(ERR_SYNTAX, "it is broken");
	*ret_self = &next;
	return 0;
}

static void kind_close(void *self UNUSED)
{
}

static int kind_check(void *self UNUSED, struct connector_reply *reply)
{
	return act(reply);
}

static int kind_ask(void *self UNUSED, const struct connector_ask *ask,
		    struct connector_reply *reply)
{
	assert_true(json_is_object(ask->parameters));
	next.brief = ask->brief;
	return act(reply);
}

static int kind_apply(void *self UNUSED, const struct connector_order *order,
		      struct connector_reply *reply)
{
	assert_string_equal(order->resource, "r");
	next.synced = syncs;
	if (!next.result && !next.error && !next.refusal && !next.silent)
		next.result = connector_no_change();
	return act(reply);
}

static const struct connector_action actions[] = {
	{ "AddToGroup", "add", "Group", "RemoveFromGroup", "natural", false },
	{ "RemoveFromGroup", "remove", "Group", "AddToGroup", "natural", true },
	{ NULL, NULL, NULL, NULL, NULL, false },
};

static const struct schema rows[] = {
	{ "broken", SCHEMA_FLAG, false, 0, 0, NULL, NULL, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct connector_info trusting = {
	.kind = "test",
	.version = "1",
	.actions = actions,
	.config = rows,
	.may_skip_orders = true,
};

static const struct connector_info strict = {
	.kind = "test",
	.version = "1",
	.actions = actions,
	.config = rows,
};

#define OPS(which)                                                             \
	{                                                                      \
		.info = (which), .open = kind_open, .close = kind_close,       \
		.check = kind_check, .plan = kind_ask, .apply = kind_apply,    \
		.read = kind_ask                                               \
	}

static const struct connector_ops trusting_ops = OPS(&trusting);
static const struct connector_ops strict_ops = OPS(&strict);

static struct server server;

static int open_with(const struct connector_ops *ops, const char *config)
{
	return server_open(ops, slice_str(config), "sha256:00", &server);
}

static int take_answer(void *cookie, struct slice answer)
{
	json_t **value = cookie;

	return json_parse(answer, FRAME_MAX, value);
}

/* The answer to a message; owned. */
static json_t *answer(const char *body)
{
	const struct slice bodies[] = { slice_str(body) };
	json_t *value = NULL;
	const struct rpc_sink sink = { take_answer, &value };

	assert_int_equal(server_answer(&server, bodies, 1, &sink), 0);
	return value;
}

static json_t *ask(const char *method, const char *params)
{
	CLEANUP(mem_free_p)
	char *body = mem_format("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
				"\"%s\",\"params\":%s}",
				method, params);

	return answer(body);
}

#define ASK "{\"action\":\"AddToGroup\",\"resource\":\"r\",\"parameters\":{}}"
#define ORDER                                                                  \
	"{\"order\":{\"plan\":\"{\\\"action\\\":\\\"AddToGroup\\\","           \
	"\\\"parameters\\\":{},\\\"resource\\\":\\\"r\\\"}\"}}"

static void expect_error(json_t *owned, int code, const char *reason)
{
	CLEANUP(json_put_p) json_t *value = owned;
	const json_t *error = json_object_in(value, "error");

	assert_int_equal(json_int(error, "code", 0), code);
	assert_string_equal(
		json_text(json_object_in(error, "data"), "reason", ""), reason);
}

static void expect_result(json_t *owned, const char *name, const char *text)
{
	CLEANUP(json_put_p) json_t *value = owned;
	const json_t *result = json_object_in(value, "result");

	assert_string_equal(json_text(result, name, ""), text);
}

static void a_result_is_handed_on(void **state UNUSED)
{
	next.result = json_pack("{s:s}", "resource", "r");
	expect_result(ask("plan", ASK), "resource", "r");
	next.result = json_pack("{s:s}", "resource", "r");
	expect_result(ask("read", ASK), "resource", "r");
	next.result = connector_applied(json_object(), "7");
	expect_result(ask("apply", ORDER), "targetVersion", "7");
}

#define TAKE_ASK(brief)                                                        \
	"{\"action\":\"RemoveFromGroup\",\"resource\":\"r\","                  \
	"\"parameters\":{},\"brief\":" brief "}"

static void a_brief_plan_is_for_what_takes_away(void **state UNUSED)
{
	next.result = json_pack("{s:s}", "resource", "r");
	expect_result(ask("plan", TAKE_ASK("true")), "resource", "r");
	assert_true(next.brief);
	next.result = json_pack("{s:s}", "resource", "r");
	expect_result(ask("plan", TAKE_ASK("false")), "resource", "r");
	assert_false(next.brief);
	expect_error(ask("plan", TAKE_ASK("1")), -32602, "malformed");
	expect_error(ask("read", TAKE_ASK("true")), -32602, "malformed");
	expect_error(ask("plan", "{\"action\":\"AddToGroup\",\"resource\":"
				 "\"r\",\"parameters\":{},\"brief\":true}"),
		     -32000, "invalid");
	assert_int_equal(next.calls, 2);
}

static void what_takes_away_is_described_as_such(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *told = ask("describe", "{}");
	const json_t *actions_told =
		json_array_in(json_object_in(told, "result"), "actions");

	assert_false(json_flag(json_array_get(actions_told, 0), "takes", true));
	assert_true(json_flag(json_array_get(actions_told, 1), "takes", false));
}

static void a_refusal_is_an_error_with_its_reason(void **state UNUSED)
{
	next.refusal = "no-such-member";
	expect_error(ask("plan", ASK), -32000, "no-such-member");
	expect_error(ask("read", ASK), -32000, "no-such-member");
}

static void
a_refused_apply_is_a_result_for_nothing_happened(void **state UNUSED)
{
	next.refusal = "last-member";
	expect_result(ask("apply", ORDER), "result", "refused");
	expect_result(ask("apply", ORDER), "reason", "last-member");
	/* Words of a target are made fit for a line of JSON. */
	expect_result(ask("apply", ORDER), "detail", "no ?");
}

static void a_failed_apply_is_unknown_and_nothing_else(void **state UNUSED)
{
	static const int codes[] = { ERR_IO, ERR_LIMIT, ERR_UNAVAILABLE };

	for (size_t i = 0; i < ARRAY_LEN(codes); i++) {
		next.error = codes[i];
		expect_error(ask("apply", ORDER), -32000, "unknown");
	}
}

static void a_failed_plan_is_unavailable_or_too_large(void **state UNUSED)
{
	next.error = ERR_IO;
	expect_error(ask("plan", ASK), -32000, "unavailable");
	next.error = ERR_LIMIT;
	expect_error(ask("plan", ASK), -32000, "too-large");
}

static void a_kind_that_says_nothing_is_not_believed(void **state UNUSED)
{
	expect_error(ask("plan", ASK), -32000, "unavailable");
	next.silent = true;
	expect_error(ask("apply", ORDER), -32000, "unknown");
}

static void a_result_that_is_no_integer_json_is_an_error(void **state UNUSED)
{
	next.result = json_pack("{s:f}", "x", 0.5);
	expect_error(ask("plan", ASK), -32000, "too-large");
	next.result = json_pack("{s:f}", "x", 0.5);
	expect_error(ask("apply", ORDER), -32000, "unknown");
}

static void check_says_whether_the_target_answers(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *good = ask("check", "{}");

	assert_true(json_flag(json_object_in(good, "result"), "ok", false));
	next.error = ERR_UNAVAILABLE;
	expect_result(ask("check", "{}"), "detail", "told to fail");
	next.error = 0;
	next.refusal = "unavailable";
	expect_result(ask("check", "{}"), "detail", "no ?");
}

static int kind_survey(void *self UNUSED, const json_t *params,
		       struct connector_reply *reply)
{
	assert_true(json_is_object(params));
	return act(reply);
}

static void a_survey_is_asked_of_kinds_that_have_it(void **state UNUSED)
{
	struct connector_ops ops = trusting_ops;

	ops.discover = kind_survey;
	server.ops = &ops;
	next.result = json_pack("{s:s}", "next", "b");
	expect_result(ask("discover", "{\"limit\":7}"), "next", "b");
	expect_error(ask("discover", "{\"limit\":0}"), -32602, "malformed");
	next.error = ERR_LIMIT;
	expect_error(ask("discover", "{}"), -32000, "too-large");
	expect_error(ask("activity", "{}"), -32601, "unsupported");
	server.ops = &trusting_ops;
	expect_error(ask("discover", "{}"), -32601, "unsupported");
}

static void a_secret_is_wiped_when_its_answer_has_left(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *password = json_string("hidden");
	CLEANUP(json_put_p) json_t *told = NULL;

	next.result = connector_applied(json_object(), NULL);
	json_object_set_new(next.result, "secret",
			    json_pack("{s:O}", "password", password));
	told = ask("apply", ORDER);
	assert_string_equal(
		json_text(json_object_in(json_object_in(told, "result"),
					 "secret"),
			  "password", ""),
		"hidden");
	for (size_t i = 0; i < json_string_length(password); i++)
		assert_int_equal(json_string_value(password)[i], 0);
}

static void
what_is_not_in_the_tables_never_reaches_the_kind(void **state UNUSED)
{
	expect_error(ask("discover", "{}"), -32601, "unsupported");
	expect_error(ask("plan", "{}"), -32602, "malformed");
	expect_error(ask("plan", "{\"action\":\"Format\",\"resource\":\"r\","
				 "\"parameters\":{}}"),
		     -32000, "invalid");
	expect_error(ask("plan", "{\"action\":\"AddToGroup\",\"resource\":"
				 "\"r\",\"parameters\":{},\"x\":1}"),
		     -32602, "malformed");
	expect_error(ask("apply", "{}"), -32602, "malformed");
	expect_error(ask("describe", "{\"x\":1}"), -32602, "malformed");
	expect_error(answer("["), -32700, "malformed");
	expect_error(answer("{}"), -32600, "malformed");
	assert_int_equal(next.calls, 0);
}

static void an_order_is_verified_unless_told_otherwise(void **state UNUSED)
{
	server_close(&server);
	assert_int_equal(open_with(&trusting_ops, "target: t\n"), 0);
	expect_result(ask("apply", ORDER), "reason", "order");
	assert_int_equal(next.calls, 0);
}

static void only_a_kind_without_effects_may_be_told_so(void **state UNUSED)
{
	server_close(&server);
	assert_int_equal(
		open_with(&strict_ops, "target: t\nverifyOrders: false\n"),
		ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "2:"));
}

static void what_changes_nothing_has_nothing_to_drill(void **state UNUSED)
{
	static const struct connector_action none[] = { { NULL } };
	static const struct connector_info reads = {
		.kind = "reader",
		.version = "1",
		.actions = none,
		.config = rows,
	};
	static const struct connector_ops ops = OPS(&reads);
	static const char drill[] = "target: t\n"
				    "drill: {resource: r, parameters: {}}\n";

	server_close(&server);
	assert_int_equal(open_with(&ops, drill), ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "2:1: drill: there is nothing "
						"to drill"));
	server_close(&server);
	assert_int_equal(open_with(&ops, "target: t\ndrills: []\n"),
			 ERR_SYNTAX);
	server_close(&server);
	assert_int_equal(open_with(&strict_ops, drill), 0);
	server_close(&server);
	assert_int_equal(open_with(&ops, "target: t\n"), 0);
}

enum { TOGETHER = 3 };

/* The answers to what came in together, in their order. */
struct answers {
	size_t count;
	json_t *values[TOGETHER + 1]; /* owned */
};

static int gather(void *cookie, struct slice answer)
{
	struct answers *answers = cookie;

	assert_true(answers->count < ARRAY_LEN(answers->values));
	return json_parse(answer, FRAME_MAX,
			  &answers->values[answers->count++]);
}

/* An apply of a request of its own, armed by the leaf at index; owned. */
static char *apply_message(uint64_t index, const char *request)
{
	CLEANUP(mem_free_p)
	char *plan = mem_format(
		"{\"action\":\"AddToGroup\",\"connectorBuild\":\"sha256:00\","
		"\"mode\":\"execute\",\"notAfter\":\"2999-01-01T00:00:00Z\","
		"\"parameters\":{},\"purpose\":\"request\","
		"\"request\":\"%s\",\"resource\":\"r\",\"target\":\"t\","
		"\"tier\":1,\"v\":1}",
		request);
	CLEANUP(json_put_p) json_t *message = json_object();
	json_t *params = json_object();

	json_set_new(params, "order",
		     authority_arm_at(&authority, plan, "armed", index));
	json_set_text(message, "jsonrpc", "2.0");
	json_set_int(message, "id", (int64_t)index);
	json_set_text(message, "method", "apply");
	json_set_new(message, "params", params);
	return json_canonical(message);
}

static void open_strict(void)
{
	CLEANUP(mem_free_p) char *seen = mem_format("%s/seen", folder);
	CLEANUP(mem_free_p) char *config = NULL;
	char vkey[NOTE_VKEY_MAX];

	note_vkey_format(&authority.vkey, vkey);
	config = mem_format("target: t\n"
			    "authority: {vkey: \"%s\", state: \"%s\"}\n",
			    vkey, seen);
	server_close(&server);
	discard(unlink(seen));
	assert_int_equal(open_with(&strict_ops, config), 0);
	syncs = 0;
}

/* Hands three orders on together; the answer to each has result. */
static void expect_together(const char *request, const char *result)
{
	struct answers answers = { 0 };
	const struct rpc_sink sink = { gather, &answers };
	struct slice bodies[TOGETHER];
	char *texts[TOGETHER];

	for (size_t i = 0; i < TOGETHER; i++) {
		CLEANUP(mem_free_p)
		char *name = mem_format("%s_%zu", request, i);

		texts[i] = apply_message(i, name);
		bodies[i] = slice_str(texts[i]);
	}
	assert_int_equal(server_answer(&server, bodies, TOGETHER, &sink), 0);
	assert_int_equal(answers.count, TOGETHER);
	for (size_t i = 0; i < TOGETHER; i++) {
		assert_int_equal(json_int(answers.values[i], "id", -1), i);
		expect_result(answers.values[i], "result", result);
		free(texts[i]);
	}
}

static void close_strict(void)
{
	CLEANUP(mem_free_p) char *seen = mem_format("%s/seen", folder);
	CLEANUP(mem_free_p) char *lock = mem_format("%s/seen.lock", folder);

	server_close(&server);
	discard(unlink(seen));
	discard(unlink(lock));
}

static void orders_that_came_together_share_one_sync(void **state UNUSED)
{
	open_strict();
	expect_together("req", "no-change");
	assert_int_equal(syncs, 1);
	/* It came before the first of them was carried out. */
	assert_int_equal(next.synced, 1);
	assert_int_equal(next.calls, TOGETHER);
	/* None of them serves again. */
	expect_together("req", "refused");
	assert_int_equal(next.calls, TOGETHER);
	close_strict();
}

static void
orders_that_cannot_be_written_down_are_all_refused(void **state UNUSED)
{
	open_strict();
	sync_fails = true;
	expect_together("req", "refused");
	sync_fails = false;
	expect_together("req", "refused");
	assert_int_equal(next.calls, 0);
	close_strict();
}

static void
what_came_together_is_answered_in_order_whatever_it_is(void **state UNUSED)
{
	const struct slice bodies[] = {
		slice_str("{\"jsonrpc\":\"2.0\",\"id\":8,\"method\":"
			  "\"apply\",\"params\":" ORDER "}"),
		slice_str("["),
		slice_str("{\"jsonrpc\":\"2.0\",\"id\":9,\"method\":"
			  "\"check\"}"),
		slice_str("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"x\"}"),
	};
	struct answers answers = { 0 };
	const struct rpc_sink sink = { gather, &answers };

	assert_int_equal(
		server_answer(&server, bodies, ARRAY_LEN(bodies), &sink), 0);
	assert_int_equal(answers.count, ARRAY_LEN(bodies));
	assert_int_equal(json_int(answers.values[0], "id", -1), 8);
	expect_result(answers.values[0], "result", "no-change");
	expect_error(answers.values[1], -32700, "malformed");
	assert_int_equal(json_int(answers.values[2], "id", -1), 9);
	json_decref(answers.values[2]);
	assert_int_equal(json_int(answers.values[3], "id", -1), 7);
	expect_error(answers.values[3], -32601, "unsupported");
}

static void a_wrong_configuration_is_refused_with_its_line(void **state UNUSED)
{
	static const struct {
		const char *text;
		const char *place;
	} wrong[] = {
		{ "broken: false\n", "target" },
		{ "target: t\nbroken: 7\n", "2:" },
		{ "target: t\nsurplus: 7\n", "2:" },
		{ "target: t\n---\ntarget: u\n", "one document" },
		{ "target: t\nauthority: {vkey: x, state: y}\n", "" },
		{ "target: t\napprovers: {fromTier: 2}\n", "2:" },
		{ "target: t\nbroken: true\n", "broken" },
		{ "target: [\n", "" },
		{ "", "" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		server_close(&server);
		assert_true(open_with(&trusting_ops, wrong[i].text) < 0);
		assert_non_null(strstr(error_message(), wrong[i].place));
	}
}

static void authority_and_approvers_are_taken_in(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *keys = mem_format("%s/keys", folder);
	CLEANUP(mem_free_p) char *seen = mem_format("%s/seen", folder);
	CLEANUP(mem_free_p) char *lock = mem_format("%s/seen.lock", folder);
	CLEANUP(mem_free_p) char *config = NULL;
	char vkey[NOTE_VKEY_MAX];

	note_vkey_format(&authority.vkey, vkey);
	config = mem_format("target: t\n"
			    "authority: {vkey: \"%s\", state: \"%s\"}\n"
			    "approvers:\n"
			    "  fromTier: 2\n  needed: 2\n  file: \"%s\"\n"
			    "  always: [\"cn=g\"]\n"
			    "drill: {resource: r, parameters: {member: m}}\n",
			    vkey, seen, keys);
	server_close(&server);
	assert_true(open_with(&strict_ops, config) < 0);
	server_close(&server);
	assert_int_equal(
		file_write(keys, slice_str("alice " KEY_ALICE "\n"), 0600), 0);
	assert_int_equal(open_with(&strict_ops, config), 0);
	assert_non_null(server.rules.vkey);
	assert_int_equal(server.rules.from_tier, 2);
	assert_int_equal(server.rules.needed, 2);
	assert_true(json_has_text(server.rules.always, "cn=g"));
	assert_non_null(server.rules.drill);
	server_close(&server);
	discard(unlink(keys));
	discard(unlink(seen));
	discard(unlink(lock));
}

static int fresh(void **state UNUSED)
{
	next.error = 0;
	next.refusal = NULL;
	next.calls = 0;
	next.silent = false;
	sync_fails = false;
	return open_with(&trusting_ops, "target: t\nverifyOrders: false\n");
}

static int stale(void **state UNUSED)
{
	server_close(&server);
	json_decref(TAKE(next.result));
	return 0;
}

static int set_up(void **state UNUSED)
{
	assert_non_null(mkdtemp(folder));
	authority = authority_new();
	return 0;
}

static int tear_down(void **state UNUSED)
{
	discard(rmdir(folder));
	authority_clear(&authority);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, stale)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_result_is_handed_on),
		TEST(a_brief_plan_is_for_what_takes_away),
		TEST(what_takes_away_is_described_as_such),
		TEST(a_refusal_is_an_error_with_its_reason),
		TEST(a_refused_apply_is_a_result_for_nothing_happened),
		TEST(a_failed_apply_is_unknown_and_nothing_else),
		TEST(a_failed_plan_is_unavailable_or_too_large),
		TEST(a_kind_that_says_nothing_is_not_believed),
		TEST(a_result_that_is_no_integer_json_is_an_error),
		TEST(check_says_whether_the_target_answers),
		TEST(a_survey_is_asked_of_kinds_that_have_it),
		TEST(a_secret_is_wiped_when_its_answer_has_left),
		TEST(what_is_not_in_the_tables_never_reaches_the_kind),
		TEST(an_order_is_verified_unless_told_otherwise),
		TEST(only_a_kind_without_effects_may_be_told_so),
		TEST(what_changes_nothing_has_nothing_to_drill),
		TEST(orders_that_came_together_share_one_sync),
		TEST(orders_that_cannot_be_written_down_are_all_refused),
		TEST(what_came_together_is_answered_in_order_whatever_it_is),
		TEST(a_wrong_configuration_is_refused_with_its_line),
		TEST(authority_and_approvers_are_taken_in),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
