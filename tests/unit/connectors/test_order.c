#include "connectors/sdk/order.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "authority.h"
#include "base/error.h"
#include "signatures.h"

#define BUILD                                                                  \
	"sha256:0000000000000000000000000000000000000000000000000000000000000" \
	"000"

static char folder[] = "/tmp/test-order-XXXXXX";
static char *path;
static struct authority authority;
static struct authority stranger;

/* fdatasync() is wrapped by the linker so that a test can make it fail. */
static bool sync_fails;
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fdatasync(int fd)
{
	return sync_fails ? -1 : __real_fdatasync(fd);
}

/* clock_wall_ms() likewise. */
enum { NOW_S = 1767225600 }; /* 2026-01-01 */
#define NOW_MS (NOW_S * INT64_C(1000))
static int64_t now_ms;
int64_t __wrap_clock_wall_ms(void);

int64_t __wrap_clock_wall_ms(void)
{
	return now_ms;
}

static const struct connector_action actions[] = {
	{ "AddToGroup", "add", "Group", "RemoveFromGroup", "natural", false },
	{ "RemoveFromGroup", "remove", "Group", "AddToGroup", "natural", true },
	{ "Reset", "reset", "Group", NULL, "natural", true },
	{ NULL, NULL, NULL, NULL, NULL, false },
};

static const struct connector_info info = { .kind = "test",
					    .actions = actions };

/* Names are spelled in lower case. */
static int normalise(void *self UNUSED, const char *resource, struct buf *out)
{
	for (; *resource; resource++)
		buf_put_u8(out, *resource >= 'A' && *resource <= 'Z'
					? (uint8_t)(*resource + 'a' - 'A')
					: (uint8_t)*resource);
	return 0;
}

static const struct connector_ops ops = { .info = &info,
					  .normalise = normalise };

static struct order_rules rules;
static struct seen *seen;
static struct connector_reply reply;

static json_t *plan_value(void)
{
	json_t *plan = NULL;

	assert_int_equal(
		json_parse(
			slice_str("{\"v\":1,\"purpose\":\"request\","
				  "\"request\":\"req_1\","
				  "\"action\":\"AddToGroup\","
				  "\"target\":\"t\",\"connectorBuild\":"
				  "\"" BUILD "\",\"resource\":\"cn=g\","
				  "\"tier\":1,\"parameters\":"
				  "{\"member\":\"m\"},\"precondition\":{},"
				  "\"notAfter\":\"2026-01-01T01:00:00.000Z\","
				  "\"mode\":\"execute\",\"undo\":"
				  "{\"action\":\"RemoveFromGroup\","
				  "\"parameters\":{\"member\":\"m\"},"
				  "\"resource\":\"cn=g\"}}"),
			4096, &plan),
		0);
	return plan;
}

/* The order of a plan with a member changed; NULL value removes it. */
static json_t *order_with(const char *name, json_t *value)
{
	CLEANUP(json_put_p) json_t *plan = plan_value();
	CLEANUP(mem_free_p) char *text = NULL;

	if (name && value)
		json_set_new(plan, name, value);
	else if (name)
		json_object_del(plan, name);
	text = json_canonical(plan);
	return authority_arm(&authority, text, "armed");
}

static bool verifies(json_t *owned)
{
	CLEANUP(json_put_p) json_t *value = owned;
	CLEANUP(order_clear) struct order order = { 0 };
	bool verified;

	reply = (struct connector_reply){ 0 };
	verified = order_verify(&rules, value, &order, &reply);
	assert_true(verified == (reply.reason[0] == '\0'));
	assert_true(verified == (order.plan != NULL));
	return verified;
}

static void refused(json_t *owned, const char *words)
{
	assert_false(verifies(owned));
	assert_string_equal(reply.reason, "order");
	if (!strstr(reply.detail, words))
		fail_msg("\"%s\" instead of \"%s\"", reply.detail, words);
}

static void a_whole_order_is_handed_on(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *value = order_with(NULL, NULL);
	CLEANUP(order_clear) struct order order = { 0 };

	assert_true(order_verify(&rules, value, &order, &reply));
	assert_string_equal(order.view.action, "AddToGroup");
	assert_string_equal(order.view.resource, "cn=g");
	assert_string_equal(order.view.purpose, "request");
	assert_string_equal(json_text(order.view.parameters, "member", ""),
			    "m");
	assert_non_null(order.view.precondition);
	assert_string_equal(order.execution, "req_1");
	assert_int_equal(order.view.index, AUTHORITY_INDEX);
}

static void an_order_that_was_seen_is_refused(void **state UNUSED)
{
	assert_true(verifies(order_with(NULL, NULL)));
	refused(order_with(NULL, NULL), "has served");
}

static void
an_order_that_cannot_be_written_down_is_not_carried_out(void **state UNUSED)
{
	assert_true(verifies(order_with(NULL, NULL)));
	sync_fails = true;
	assert_int_equal(order_record(&rules), ERR_IO);
	sync_fails = false;
	assert_int_equal(order_record(&rules), ERR_BROKEN);
	assert_false(verifies(order_with("request", json_string("req_2"))));
}

static void two_orders_of_one_request_cannot_pass_together(void **state UNUSED)
{
	assert_true(verifies(order_with(NULL, NULL)));
	/* Before either was written down. */
	refused(order_with("blastRadius", json_integer(9)), "has served");
	assert_int_equal(order_record(&rules), 0);
}

static void a_checkpoint_that_held_is_not_verified_again(void **state UNUSED)
{
	struct order_head head = { NULL, { .size = 0 } };
	json_t *first = order_with(NULL, NULL);
	json_t *other = order_with("request", json_string("req_2"));

	rules.head = &head;
	assert_true(verifies(json_incref(first)));
	assert_string_equal(head.note, json_text(first, "checkpoint", ""));
	assert_int_equal(head.checkpoint.size, 3);
	/* What it says still counts: another tree's leaf is not in it. */
	json_object_set(other, "checkpoint",
			json_object_get(first, "checkpoint"));
	refused(other, "not in the log");
	/* A changed text is another checkpoint. */
	json_object_set_new(first, "checkpoint",
			    json_string("authority.example/writ\n3\n"));
	refused(first, "checkpoint");
	assert_non_null(head.note);
	order_head_clear(&head);
}

static void an_order_that_waited_beyond_its_time_is_late(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *value = order_with(NULL, NULL);
	CLEANUP(order_clear) struct order order = { 0 };

	assert_true(order_verify(&rules, value, &order, &reply));
	assert_true(order_in_time(&order, &reply));
	now_ms = order.not_after_ms + ORDER_LEEWAY_MS + 1;
	assert_false(order_in_time(&order, &reply));
	assert_string_equal(reply.reason, "order");
	/* An end is never too late. */
	order.not_after_ms = 0;
	assert_true(order_in_time(&order, &reply));
}

static void
a_connector_without_authority_carries_out_nothing(void **state UNUSED)
{
	rules.vkey = NULL;
	refused(order_with(NULL, NULL), "no authority");
}

static void a_checkpoint_by_another_key_is_refused(void **state UNUSED)
{
	rules.vkey = &stranger.vkey;
	refused(order_with(NULL, NULL), "checkpoint");
}

static void a_plan_that_does_not_fit_is_refused(void **state UNUSED)
{
	static const struct {
		const char *name;
		const char *value; /* JSON; NULL removes the member */
		const char *words;
	} rows[] = {
		{ "v", "2", "canonical" },
		{ "target", "\"other\"", "target" },
		{ "target", NULL, "target" },
		{ "connectorBuild", "\"x\"", "build" },
		{ "action", "\"Format\"", "action" },
		{ "action", "7", "action" },
		{ "mode", "\"recommend\"", "execute" },
		{ "tier", "\"1\"", "whole" },
		{ "tier", NULL, "whole" },
		{ "parameters", "[]", "whole" },
		{ "resource", "\"CN=g\"", "normal form" },
		{ "resource", "\"\"", "no resource" },
		{ "resource", NULL, "no resource" },
		{ "request", NULL, "no execution" },
		{ "notAfter", NULL, "when it is void" },
		{ "notAfter", "7", "when it is void" },
		{ "notAfter", "\"soon\"", "when it is void" },
		{ "notAfter", "\"1969-01-01T00:00:00Z\"", "when it is void" },
		{ "notAfter", "\"2025-12-31T23:59:54Z\"", "is void since" },
		{ "purpose", "\"wish\"", "purpose" },
		{ "purpose", NULL, "purpose" },
		{ "purpose", "\"end\"", "only takes away" },
		{ "purpose", "\"drill\"", "no drill" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *value = rows[i].value
					? json_loads(rows[i].value,
						     JSON_DECODE_ANY, NULL)
					: NULL;

		refused(order_with(rows[i].name, value), rows[i].words);
	}
}

static void an_order_of_another_shape_is_refused(void **state UNUSED)
{
	static const struct {
		const char *name;
		const char *value;
	} rows[] = {
		{ "plan", "{}" },	{ "leaf", "7" },
		{ "index", "-1" },	{ "index", "9223372036854775807" },
		{ "proof", "[1]" },	{ "proof", "[\"AAAA\"]" },
		{ "checkpoint", "[]" }, { "signatures", "[{}]" },
		{ "signatures", "{}" }, { "base", "[]" },
		{ "base", "{}" },	{ "surplus", "1" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *order = order_with(NULL, NULL);

		json_set_new(order, rows[i].name,
			     json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
		refused(order, "");
	}
	refused(json_string("order"), "");
}

static void a_leaf_of_another_kind_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *plan = plan_value();
	CLEANUP(mem_free_p) char *text = json_canonical(plan);

	refused(authority_arm(&authority, text, "decision"), "arms nothing");
}

static void a_plan_with_one_byte_changed_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *whole = order_with(NULL, NULL);
	const char *plan = json_text(whole, "plan", "");

	/* Every byte, in one of its neighbours. */
	for (size_t i = 0; plan[i]; i++) {
		CLEANUP(mem_free_p) char *changed = mem_str(plan);
		json_t *order = json_copy(whole);

		changed[i] = (char)(changed[i] ^ 1);
		json_set_text(order, "plan", changed);
		refused(order, "");
	}
}

static void a_high_tier_needs_signatures(void **state UNUSED)
{
	refused(order_with("tier", json_integer(2)), "0 of 1");
	refused(order_with("tier", json_integer(99)), "0 of 1");
}

static void a_resource_named_always_needs_them_at_any_tier(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *always = json_pack("[s]", "cn=g");

	rules.always = always;
	refused(order_with("tier", json_integer(0)), "0 of 1");
	rules.always = NULL;
	assert_true(verifies(order_with("tier", json_integer(0))));
}

static void signatures_for_another_plan_do_not_serve(void **state UNUSED)
{
	json_t *order = order_with("tier", json_integer(2));
	json_t *row = json_object();

	json_set_text(row, "human", "alice");
	json_set_text(row, "statement", statement_alice);
	json_set_text(row, "signature", signature_alice);
	json_array_append_new(json_array_in(order, "signatures"), row);
	refused(order, "0 of 1");
}

/* The order of the end of plan_value(), whose base is that with a member
 * changed. */
static json_t *ending(const char *base_name, const char *base_value)
{
	CLEANUP(json_put_p) json_t *base = plan_value();
	CLEANUP(json_put_p) json_t *plan = plan_value();
	CLEANUP(mem_free_p) char *base_text = NULL;
	CLEANUP(mem_free_p) char *text = NULL;

	if (base_name)
		json_set_new(base, base_name,
			     json_loads(base_value, JSON_DECODE_ANY, NULL));
	base_text = json_canonical(base);
	json_set_text(plan, "purpose", "end");
	json_set_text(plan, "action", "RemoveFromGroup");
	json_set_int(plan, "tier", 5);
	text = json_canonical(plan);
	return authority_end(&authority, text, base_text, "armed");
}

static void an_end_needs_no_signatures_and_has_no_time(void **state UNUSED)
{
	now_ms = NOW_MS * 2;
	assert_true(verifies(ending("tier", "2")));
}

static void an_end_that_gives_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *taken = plan_value();
	CLEANUP(json_put_p) json_t *given = plan_value();
	CLEANUP(mem_free_p) char *taken_text = NULL;
	CLEANUP(mem_free_p) char *given_text = NULL;

	json_set_text(taken, "action", "RemoveFromGroup");
	json_set_text(json_object_in(taken, "undo"), "action", "AddToGroup");
	json_set_text(given, "purpose", "end");
	taken_text = json_canonical(taken);
	given_text = json_canonical(given);
	refused(authority_end(&authority, given_text, taken_text, "armed"),
		"only takes away");
}

static void an_end_of_what_was_not_armed_is_refused(void **state UNUSED)
{
	static const struct {
		const char *name;
		const char *value;
		const char *words;
	} rows[] = {
		{ "plan", "\"{}\"", "no plan" },
		{ "leaf", "\"{}\"", "not in the log" },
		{ "index", "1", "not in the log" },
		{ "index", "3", "not in the log" },
		{ "proof", "[]", "not in the log" },
		{ "index", "-1", "malformed" },
		{ "proof", "[\"AAAA\"]", "malformed" },
		{ "signatures", "[]", "malformed" },
	};
	CLEANUP(json_put_p) json_t *plan = plan_value();
	CLEANUP(mem_free_p) char *base = json_canonical(plan);
	CLEANUP(mem_free_p) char *other = NULL;
	CLEANUP(mem_free_p) char *text = NULL;
	json_t *order;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		order = ending(NULL, NULL);
		json_set_new(json_object_in(order, "base"), rows[i].name,
			     json_loads(rows[i].value, JSON_DECODE_ANY, NULL));
		refused(order, rows[i].words);
	}
	json_set_text(plan, "purpose", "end");
	json_set_text(plan, "action", "RemoveFromGroup");
	text = json_canonical(plan);
	refused(authority_end(&authority, text, base, "decision"),
		"arms nothing");
	order = authority_end(&authority, text, base, "armed");
	json_set_text(plan, "purpose", "request");
	other = json_canonical(plan);
	json_set_text(json_object_in(order, "base"), "plan", other);
	refused(order, "arms another plan");
	order = authority_end(&authority, text, base, "armed");
	json_set_new(order, "base", json_null());
	refused(order, "needs the plan");
}

static void an_end_of_anything_else_is_refused(void **state UNUSED)
{
	refused(ending("undo", "null"), "not the undo");
	refused(ending("undo", "{}"), "not the undo");
	refused(ending("undo", "{\"action\":\"RemoveFromGroup\","
			       "\"resource\":\"cn=g\","
			       "\"parameters\":{\"member\":\"n\"}}"),
		"not the undo");
	refused(ending("target", "\"other\""), "no request here");
	refused(ending("purpose", "\"drill\""), "no request here");
	refused(ending("purpose", "\"end\""), "no request here");
	refused(ending("action", "\"RemoveFromGroup\""), "no inverse");
	refused(ending("action", "\"Reset\""), "no inverse");
	refused(ending("action", "\"Format\""), "no inverse");
	refused(ending("v", "2"), "no plan");
}

/* ---- once ---- */

static bool verifies_at(const char *request, const char *execution,
			uint64_t index)
{
	CLEANUP(json_put_p) json_t *plan = plan_value();
	CLEANUP(mem_free_p) char *text = NULL;

	json_set_text(plan, "request", request);
	json_set_text(plan, "execution", execution);
	text = json_canonical(plan);
	return verifies(authority_arm_at(&authority, text, "armed", index));
}

static void a_request_is_carried_out_once(void **state UNUSED)
{
	assert_true(verifies_at("req_1", "exe_1", 1));
	assert_false(verifies_at("req_1", "exe_1", 2));
	assert_string_equal(reply.detail, "its request has served already");
	assert_false(verifies_at("req_1", "exe_2", 2));
	assert_true(verifies_at("req_2", "exe_2", 2));
}

static void one_that_was_released_may_come_again(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *value = order_with(NULL, NULL);
	CLEANUP(order_clear) struct order order = { 0 };

	assert_true(order_verify(&rules, value, &order, &reply));
	assert_string_equal(order.request, "req_1");
	assert_int_equal(order_release(&rules, &order), 0);
	refused(order_with(NULL, NULL), "its leaf has served");
	assert_true(verifies_at("req_1", "req_1", 2));
	assert_false(verifies_at("req_1", "req_1", 0));
}

static void a_clock_that_goes_back_revives_nothing(void **state UNUSED)
{
	assert_true(verifies_at("req_1", "exe_1", 1));
	assert_int_equal(order_record(&rules), 0);
	/* Its time is over: a restart forgets it. */
	now_ms = NOW_MS + 2 * 3600 * 1000;
	seen_close(TAKE(rules.seen));
	assert_int_equal(seen_open(path, now_ms, &rules.seen), 0);
	seen = rules.seen;
	assert_false(verifies_at("req_1", "exe_1", 2));
	assert_non_null(strstr(reply.detail, "is void since"));
	now_ms = NOW_MS;
	assert_false(verifies_at("req_1", "exe_1", 2));
	assert_non_null(strstr(reply.detail, "older than what is remembered"));
}

static void clocks_may_differ_a_little(void **state UNUSED)
{
	now_ms = NOW_MS + 3600 * 1000 + ORDER_LEEWAY_MS + 1;
	refused(order_with(NULL, NULL), "is void since");
	now_ms--;
	assert_true(verifies(order_with(NULL, NULL)));
}

static void a_drill_is_only_the_configured_one(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *drill = json_pack("{s:s,s:{s:s}}", "resource", "cn=g",
				  "parameters", "member", "m");
	CLEANUP(json_put_p)
	json_t *other = json_pack("{s:s,s:{s:s}}", "resource", "cn=g",
				  "parameters", "member", "n");

	rules.drill = other;
	refused(order_with("purpose", json_string("drill")), "not this");
	rules.drill = drill;
	assert_true(verifies(order_with("purpose", json_string("drill"))));
	now_ms += 2 * 3600 * 1000;
	refused(order_with("purpose", json_string("drill")), "is void since");
}

/* The plans of these tests add a member. */
static void a_drill_of_an_action_is_for_it_and_its_inverse(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *drills =
		json_pack("[{s:s,s:s,s:{s:s}}]", "action", "Nothing",
			  "resource", "cn=g", "parameters", "member", "m");
	json_t *drill = json_array_get(drills, 0);

	rules.drills = drills;
	refused(order_with("purpose", json_string("drill")), "not this");
	json_set_text(drill, "action", "RemoveFromGroup");
	json_set_text(drill, "resource", "cn=h");
	refused(order_with("purpose", json_string("drill")), "not this");
	json_set_text(drill, "resource", "cn=g");
	assert_true(verifies(order_with("purpose", json_string("drill"))));
}

static void a_trusted_order_must_still_be_whole(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *whole =
		json_pack("{s:s}", "plan",
			  "{\"action\":\"AddToGroup\",\"parameters\":{},"
			  "\"resource\":\"r\"}");
	CLEANUP(json_put_p)
	json_t *part =
		json_pack("{s:s}", "plan", "{\"action\":\"AddToGroup\"}");
	CLEANUP(order_clear) struct order order = { 0 };

	assert_false(order_trust(&info, part, &order, &reply));
	assert_string_equal(reply.reason, "order");
	assert_true(order_trust(&info, whole, &order, &reply));
	assert_string_equal(order.view.resource, "r");
}

static struct approvers *approvers;

static int fresh(void **state UNUSED)
{
	sync_fails = false;
	discard(unlink(path));
	now_ms = NOW_MS;
	assert_int_equal(seen_open(path, now_ms, &seen), 0);
	rules = (struct order_rules){
		.ops = &ops,
		.target = "t",
		.build = BUILD,
		.vkey = &authority.vkey,
		.seen = seen,
		.approvers = approvers,
		.from_tier = 2,
		.needed = 1,
	};
	reply = (struct connector_reply){ 0 };
	return 0;
}

static int stale(void **state UNUSED)
{
	seen_close(seen);
	return 0;
}

static int set_up(void **state UNUSED)
{
	uint8_t seed[32] = { 8 };

	assert_non_null(mkdtemp(folder));
	path = mem_format("%s/seen", folder);
	authority = authority_new();
	assert_int_equal(note_signer_new(AUTHORITY_NAME,
					 slice_of(seed, sizeof(seed)),
					 &stranger.signer),
			 0);
	note_signer_vkey(stranger.signer, &stranger.vkey);
	return approvers_parse(slice_str("alice " KEY_ALICE "\n"), &approvers);
}

static int tear_down(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *lock = mem_format("%s.lock", path);

	discard(unlink(path));
	discard(unlink(lock));
	discard(rmdir(folder));
	free(path);
	approvers_free(approvers);
	authority_clear(&authority);
	authority_clear(&stranger);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, stale)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_whole_order_is_handed_on),
		TEST(an_order_that_was_seen_is_refused),
		TEST(an_order_that_cannot_be_written_down_is_not_carried_out),
		TEST(two_orders_of_one_request_cannot_pass_together),
		TEST(a_checkpoint_that_held_is_not_verified_again),
		TEST(an_order_that_waited_beyond_its_time_is_late),
		TEST(a_connector_without_authority_carries_out_nothing),
		TEST(a_checkpoint_by_another_key_is_refused),
		TEST(a_plan_that_does_not_fit_is_refused),
		TEST(an_order_of_another_shape_is_refused),
		TEST(a_leaf_of_another_kind_is_refused),
		TEST(a_plan_with_one_byte_changed_is_refused),
		TEST(a_high_tier_needs_signatures),
		TEST(a_resource_named_always_needs_them_at_any_tier),
		TEST(signatures_for_another_plan_do_not_serve),
		TEST(an_end_needs_no_signatures_and_has_no_time),
		TEST(an_end_that_gives_is_refused),
		TEST(an_end_of_what_was_not_armed_is_refused),
		TEST(an_end_of_anything_else_is_refused),
		TEST(a_request_is_carried_out_once),
		TEST(one_that_was_released_may_come_again),
		TEST(a_clock_that_goes_back_revives_nothing),
		TEST(clocks_may_differ_a_little),
		TEST(a_drill_is_only_the_configured_one),
		TEST(a_drill_of_an_action_is_for_it_and_its_inverse),
		TEST(a_trusted_order_must_still_be_whole),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
