/* The host side against writ-connect-null, which fails as it is told to. */
#include "connect/connector.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum { LIMIT_MS = 30 * 1000, CALLS = 128 };

static char folder[] = "/tmp/test-connector-XXXXXX";
static char *config_path;
static char *memberships;

static struct loop *loop;
static struct connector *connector;
static int ups;
static int downs;
static char *why;

/* How calls ended, in the order in which they did. */
static struct {
	int cookie;
	enum connect_status status;
	json_t *json;
	char reason[64];
} told[CALLS];
static int told_count;

static int cookies[CALLS];

/* What a test waits for. */
static bool (*condition)(void);

static void look(void *cookie UNUSED)
{
	if (condition())
		loop_stop(loop);
}

static void too_late(void *cookie UNUSED)
{
	fail_msg("waited in vain; last down: %s", why ? why : "-");
}

/* Runs the loop until fn holds. */
static void await(bool (*fn)(void))
{
	struct loop_timer *timer = loop_timer(loop, LIMIT_MS, too_late, NULL);

	condition = fn;
	if (!fn())
		assert_int_equal(loop_run(loop), 0);
	loop_timer_end(timer);
}

static void went_up(void *cookie UNUSED)
{
	ups++;
}

static void went_down(void *cookie UNUSED, const char *words)
{
	downs++;
	free(why);
	why = mem_str(words);
}

static bool is_up(void)
{
	return connector_is_up(connector);
}

static bool is_idle(void)
{
	return connector_load(connector) == 0;
}

static bool was_down(void)
{
	return downs > 0;
}

static bool came_back(void)
{
	return downs > 0 && is_up();
}

static void done(void *cookie, const struct connector_result *result)
{
	assert_true(told_count < CALLS);
	told[told_count].cookie = *(int *)cookie;
	told[told_count].status = result->status;
	told[told_count].json = json_incref(result->json);
	snprintf(told[told_count].reason, sizeof(told[0].reason), "%s",
		 result->reason);
	assert_non_null(result->detail);
	told_count++;
}

static bool one_told(void)
{
	return told_count >= 1;
}

static bool two_told(void)
{
	return told_count >= 2;
}

static json_t *ask_params(void)
{
	return json_pack("{s:s,s:s,s:{s:s}}", "action", "AddToGroup",
			 "resource", "cn=g", "parameters", "member", "m");
}

static json_t *order_params(void)
{
	return json_pack(
		"{s:{s:s}}", "order", "plan",
		"{\"action\":\"AddToGroup\",\"parameters\":{\"member\":\"m\"},"
		"\"resource\":\"cn=g\"}");
}

static void call(enum connect_method method, int cookie)
{
	cookies[cookie] = cookie;
	connector_call(connector, method,
		       method == CONNECT_APPLY ? order_params() : ask_params(),
		       CONNECTOR_NORMAL, 0, done, &cookies[cookie]);
}

static void write_config(const char *faults)
{
	CLEANUP(mem_free_p)
	char *text = mem_format("target: t\nverifyOrders: false\n"
				"memberships: \"%s\"\nfaults: {%s}\n",
				memberships, faults);

	assert_int_equal(file_write(config_path, slice_str(text), 0600), 0);
}

static const char *command[] = { NULL_CONNECTOR, "--config", NULL, NULL };

static struct connector_config config_of(void)
{
	return (struct connector_config){
		.loop = loop,
		.target = "t",
		.command = command,
		.restart_min_ms = 1,
		.restart_max_ms = 20,
		.up = went_up,
		.down = went_down,
	};
}

static void open_config(const struct connector_config *config)
{
	assert_int_equal(connector_open(config, &connector), 0);
}

static void open_with(const char *faults)
{
	struct connector_config config = config_of();

	write_config(faults);
	open_config(&config);
}

static void expect(int index, int cookie, enum connect_status status,
		   const char *reason)
{
	assert_int_equal(told[index].cookie, cookie);
	assert_string_equal(connect_status_name(told[index].status),
			    connect_status_name(status));
	assert_string_equal(told[index].reason, reason);
}

static void a_connector_comes_up_and_answers(void **state UNUSED)
{
	char build[DIGEST_TEXT_LEN];

	open_with("");
	assert_false(is_up());
	assert_string_equal(connector_build(connector), "");
	await(is_up);
	assert_int_equal(connect_build_of(NULL_CONNECTOR, build), 0);
	assert_string_equal(connector_build(connector), build);
	assert_string_equal(
		json_text(connector_describe(connector), "name", ""), "null");
	assert_string_equal(json_text(connector_action(connector, "AddToGroup"),
				      "inverse", ""),
			    "RemoveFromGroup");
	assert_null(connector_action(connector, "Format"));
	call(CONNECT_PLAN, 1);
	call(CONNECT_APPLY, 2);
	call(CONNECT_READ, 3);
	assert_int_equal(told_count, 0);
	await(is_idle);
	expect(0, 1, CONNECT_OK, "ok");
	expect(1, 2, CONNECT_OK, "ok");
	expect(2, 3, CONNECT_OK, "ok");
	assert_string_equal(json_text(told[1].json, "result", ""), "applied");
	assert_true(json_flag(told[2].json, "present", false));
	assert_int_equal(ups, 1);
	assert_int_equal(downs, 0);
}

static bool limit_passed;

static void pass_limit(void *cookie UNUSED)
{
	limit_passed = true;
	look(NULL);
}

static bool is_past_limit(void)
{
	return limit_passed;
}

static void a_connector_that_is_asked_nothing_stays_up(void **state UNUSED)
{
	struct connector_config config = config_of();

	limit_passed = false;
	config.timeout_ms[CONNECT_DESCRIBE] = 1500;
	write_config("");
	open_config(&config);
	await(is_up);
	/* Later than the time that describe had, on the same clock. */
	loop_timer(loop, 1501, pass_limit, NULL);
	await(is_past_limit);
	assert_int_equal(downs, 0);
	assert_int_equal(ups, 1);
}

static void a_refusal_comes_back_with_its_reason(void **state UNUSED)
{
	open_with("apply: precondition");
	call(CONNECT_APPLY, 1);
	cookies[2] = 2;
	connector_call(connector, CONNECT_PLAN,
		       json_pack("{s:s,s:s,s:{}}", "action", "AddToGroup",
				 "resource", "cn=g", "parameters"),
		       CONNECTOR_NORMAL, 0, done, &cookies[2]);
	await(two_told);
	expect(0, 1, CONNECT_REFUSED, "precondition");
	expect(1, 2, CONNECT_REFUSED, "invalid");
	assert_int_equal(downs, 0);
}

static void an_apply_that_cannot_tell_is_unknown(void **state UNUSED)
{
	open_with("apply: unavailable, plan: unavailable");
	call(CONNECT_APPLY, 1);
	call(CONNECT_PLAN, 2);
	await(two_told);
	expect(0, 1, CONNECT_UNKNOWN, "unknown");
	expect(1, 2, CONNECT_REFUSED, "unavailable");
}

static void
a_child_that_dies_before_its_effect_is_told_and_replaced(void **state UNUSED)
{
	open_with("apply: die-before");
	call(CONNECT_APPLY, 1);
	call(CONNECT_READ, 2);
	await(two_told);
	expect(0, 1, CONNECT_DIED, "died");
	/* The one that waited survived the restart. */
	expect(1, 2, CONNECT_OK, "ok");
	assert_false(json_flag(told[1].json, "present", true));
	assert_int_equal(ups, 2);
	assert_int_equal(downs, 1);
}

static void
a_child_that_dies_after_its_effect_is_told_the_same(void **state UNUSED)
{
	open_with("apply: die-after");
	call(CONNECT_APPLY, 1);
	call(CONNECT_READ, 2);
	await(two_told);
	expect(0, 1, CONNECT_DIED, "died");
	expect(1, 2, CONNECT_OK, "ok");
	assert_true(json_flag(told[1].json, "present", false));
}

static void a_child_that_hangs_is_ended_and_replaced(void **state UNUSED)
{
	open_with("apply: hang-after");
	await(is_up);
	cookies[1] = 1;
	connector_call(connector, CONNECT_APPLY, order_params(),
		       CONNECTOR_NORMAL, 1, done, &cookies[1]);
	call(CONNECT_CHECK, 2);
	await(one_told);
	expect(0, 1, CONNECT_TIMEOUT, "timeout");
	await(came_back);
	assert_non_null(strstr(why, "apply"));
}

static void a_malformed_answer_ends_the_child(void **state UNUSED)
{
	open_with("plan: malformed");
	call(CONNECT_PLAN, 1);
	await(one_told);
	expect(0, 1, CONNECT_MALFORMED, "malformed");
	await(came_back);
}

static void a_flood_ends_the_child(void **state UNUSED)
{
	open_with("read: flood");
	call(CONNECT_READ, 1);
	await(one_told);
	expect(0, 1, CONNECT_MALFORMED, "malformed");
	await(came_back);
}

static void a_full_queue_says_busy_but_ends_have_their_own(void **state UNUSED)
{
	struct connector_config config = config_of();

	write_config("");
	config.queue_max = 2;
	config.reserve_max = 1;
	open_config(&config);
	for (int i = 1; i <= 3; i++)
		call(CONNECT_PLAN, i);
	for (int i = 4; i <= 5; i++) {
		cookies[i] = i;
		connector_call(connector, CONNECT_READ, ask_params(),
			       CONNECTOR_FIRST, 0, done, &cookies[i]);
	}
	assert_int_equal(told_count, 0);
	assert_int_equal(connector_load(connector), 3);
	await(is_idle);
	expect(0, 3, CONNECT_BUSY, "busy");
	expect(1, 5, CONNECT_BUSY, "busy");
	/* The end went first. */
	expect(2, 4, CONNECT_OK, "ok");
	expect(3, 1, CONNECT_OK, "ok");
	expect(4, 2, CONNECT_OK, "ok");
}

static void who_waits_too_long_is_told_busy(void **state UNUSED)
{
	struct connector_config config = config_of();

	write_config("");
	config.build_file = "/etc/passwd";
	config.wait_ms = 1;
	open_config(&config);
	call(CONNECT_APPLY, 1);
	await(one_told);
	expect(0, 1, CONNECT_BUSY, "busy");
}

static void a_build_that_is_not_the_programs_is_not_taken(void **state UNUSED)
{
	struct connector_config config = config_of();

	write_config("");
	config.build_file = "/etc/passwd";
	open_config(&config);
	await(was_down);
	assert_int_equal(ups, 0);
	assert_non_null(strstr(why, "build"));
}

static void a_connector_of_another_target_is_not_taken(void **state UNUSED)
{
	struct connector_config config = config_of();

	write_config("");
	config.target = "u";
	open_config(&config);
	await(was_down);
	assert_int_equal(ups, 0);
	assert_non_null(strstr(why, "'t'"));
	assert_non_null(strstr(why, "'u'"));
	assert_non_null(strstr(why, "correct target"));
}

static void a_program_that_does_not_start_is_tried_again(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/late", folder);
	const char *late[] = { path, NULL };
	struct connector_config config = config_of();
	CLEANUP(mem_free_p) char *script = NULL;

	config.command = late;
	config.build_file = NULL_CONNECTOR;
	open_config(&config);
	await(was_down);
	assert_false(is_up());
	write_config("");
	script = mem_format("#!/bin/sh\nexec %s --config %s\n", NULL_CONNECTOR,
			    config_path);
	assert_int_equal(file_write(path, slice_str(script), 0700), 0);
	await(is_up);
	assert_int_equal(unlink(path), 0);
}

static void a_message_over_the_limit_ends_the_child(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/loud", folder);
	const char *loud[] = { path, NULL };
	struct connector_config config = config_of();

	/* A length of 256 MiB instead of an answer. */
	assert_int_equal(
		file_write(path,
			   slice_str("#!/bin/sh\nprintf '\\020\\0\\0\\0'\n"
				     "exec sleep 60\n"),
			   0700),
		0);
	config.command = loud;
	open_config(&config);
	await(was_down);
	assert_int_equal(ups, 0);
	assert_non_null(strstr(why, "too large"));
	assert_int_equal(unlink(path), 0);
}

static void params_over_the_limit_are_refused_unsent(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *large = mem_alloc((4 << 20) + 1);
	json_t *params = json_object();

	memset(large, 'x', 4 << 20);
	json_set_text(params, "action", large);
	open_with("");
	cookies[1] = 1;
	connector_call(connector, CONNECT_PLAN, params, CONNECTOR_NORMAL, 0,
		       done, &cookies[1]);
	call(CONNECT_PLAN, 2);
	await(two_told);
	expect(0, 1, CONNECT_REFUSED, "too-large");
	expect(1, 2, CONNECT_OK, "ok");
	assert_int_equal(downs, 0);
}

static void closing_answers_what_is_open(void **state UNUSED)
{
	open_with("plan: hang");
	await(is_up);
	call(CONNECT_PLAN, 1);
	call(CONNECT_PLAN, 2);
	connector_close(TAKE(connector));
	assert_int_equal(told_count, 2);
	expect(0, 1, CONNECT_DIED, "died");
	expect(1, 2, CONNECT_DIED, "died");
}

static void
many_are_asked_ahead_and_the_last_place_is_for_ends(void **state UNUSED)
{
	enum { NORMAL = CONNECTOR_PIPELINE_MAX + 2 };

	open_with("plan: hang");
	await(is_up);
	assert_int_equal(json_int(connector_describe(connector), "pipeline", 0),
			 CONNECTOR_PIPELINE_MAX);
	for (int i = 0; i < NORMAL; i++)
		call(CONNECT_PLAN, i);
	for (int i = NORMAL; i < NORMAL + 2; i++) {
		cookies[i] = i;
		connector_call(connector, CONNECT_PLAN, ask_params(),
			       CONNECTOR_FIRST, 0, done, &cookies[i]);
	}
	connector_close(TAKE(connector));
	assert_int_equal(told_count, NORMAL + 2);
	for (int i = 0; i < CONNECTOR_PIPELINE_MAX - 1; i++)
		expect(i, i, CONNECT_DIED, "died");
	expect(CONNECTOR_PIPELINE_MAX - 1, NORMAL, CONNECT_DIED, "died");
	expect(CONNECTOR_PIPELINE_MAX, NORMAL + 1, CONNECT_BUSY, "busy");
	for (int i = CONNECTOR_PIPELINE_MAX + 1; i < NORMAL + 2; i++)
		expect(i, i - 2, CONNECT_BUSY, "busy");
}

static bool four_told(void)
{
	return told_count >= 4;
}

static void every_apply_a_dead_child_had_is_told_and_the_rest_is_asked_again(
	void **state UNUSED)
{
	open_with("apply: die-before");
	await(is_up);
	call(CONNECT_APPLY, 1);
	call(CONNECT_READ, 2);
	call(CONNECT_APPLY, 3);
	call(CONNECT_PLAN, 4);
	await(four_told);
	/* Either may have happened. */
	expect(0, 1, CONNECT_DIED, "died");
	expect(1, 3, CONNECT_DIED, "died");
	expect(2, 2, CONNECT_OK, "ok");
	expect(3, 4, CONNECT_OK, "ok");
	assert_int_equal(ups, 2);
	assert_int_equal(downs, 1);
}

/* A child that describes itself without a pipeline and then says nothing. */
static void write_plain(const char *path, const char *build_file)
{
	CLEANUP(mem_free_p) char *answer = NULL;
	CLEANUP(mem_free_p) char *script = NULL;
	char build[DIGEST_TEXT_LEN];
	size_t len;

	assert_int_equal(connect_build_of(build_file, build), 0);
	answer = mem_format(
		"{\"id\":1,\"jsonrpc\":\"2.0\",\"result\":{\"actions\":[{"
		"\"action\":\"A\",\"idempotency\":\"none\","
		"\"resourceType\":\"R\",\"takes\":false,\"wire\":\"w\"}],"
		"\"build\":\"%s\",\"enforcesPrecondition\":true,"
		"\"name\":\"plain\",\"protocol\":1,\"version\":\"1\"}}",
		build);
	len = strlen(answer);
	script = mem_format("#!/bin/sh\nprintf '\\0\\0\\%03zo\\%03zo%%s' '%s'\n"
			    "exec sleep 60\n",
			    len >> 8, len & 0xff, answer);
	assert_int_equal(file_write(path, slice_str(script), 0700), 0);
}

static void who_announces_no_pipeline_is_asked_one_by_one(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/plain", folder);
	const char *plain[] = { path, NULL };
	struct connector_config config = config_of();

	write_plain(path, NULL_CONNECTOR);
	config.command = plain;
	config.build_file = NULL_CONNECTOR;
	open_config(&config);
	await(is_up);
	call(CONNECT_PLAN, 1);
	call(CONNECT_PLAN, 2);
	connector_close(TAKE(connector));
	expect(0, 1, CONNECT_DIED, "died");
	expect(1, 2, CONNECT_BUSY, "busy");
	assert_int_equal(unlink(path), 0);
}

static void a_command_without_a_path_is_refused(void **state UNUSED)
{
	const char *bare[] = { "writ-connect-null", NULL };
	const char *none[] = { NULL };
	struct connector_config config = config_of();

	config.command = bare;
	assert_int_equal(connector_open(&config, &connector), ERR_SYNTAX);
	config.command = none;
	assert_int_equal(connector_open(&config, &connector), ERR_SYNTAX);
}

static int fresh(void **state UNUSED)
{
	ups = 0;
	downs = 0;
	told_count = 0;
	connector = NULL;
	discard(unlink(memberships));
	TRY(loop_open(&loop));
	loop_before_wait(loop, look, NULL);
	return 0;
}

static int stale(void **state UNUSED)
{
	connector_close(TAKE(connector));
	loop_close(TAKE(loop));
	for (int i = 0; i < told_count; i++)
		json_decref(told[i].json);
	free(TAKE(why));
	return 0;
}

static int set_up(void **state UNUSED)
{
	assert_non_null(mkdtemp(folder));
	config_path = mem_format("%s/config.yaml", folder);
	memberships = mem_format("%s/memberships.json", folder);
	command[2] = config_path;
	return 0;
}

static int tear_down(void **state UNUSED)
{
	discard(unlink(config_path));
	discard(unlink(memberships));
	discard(rmdir(folder));
	free(config_path);
	free(memberships);
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, stale)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_connector_comes_up_and_answers),
		TEST(a_connector_that_is_asked_nothing_stays_up),
		TEST(a_refusal_comes_back_with_its_reason),
		TEST(an_apply_that_cannot_tell_is_unknown),
		TEST(a_child_that_dies_before_its_effect_is_told_and_replaced),
		TEST(a_child_that_dies_after_its_effect_is_told_the_same),
		TEST(a_child_that_hangs_is_ended_and_replaced),
		TEST(a_malformed_answer_ends_the_child),
		TEST(a_flood_ends_the_child),
		TEST(a_full_queue_says_busy_but_ends_have_their_own),
		TEST(who_waits_too_long_is_told_busy),
		TEST(a_build_that_is_not_the_programs_is_not_taken),
		TEST(a_connector_of_another_target_is_not_taken),
		TEST(a_program_that_does_not_start_is_tried_again),
		TEST(a_message_over_the_limit_ends_the_child),
		TEST(params_over_the_limit_are_refused_unsent),
		TEST(closing_answers_what_is_open),
		TEST(many_are_asked_ahead_and_the_last_place_is_for_ends),
		TEST(every_apply_a_dead_child_had_is_told_and_the_rest_is_asked_again),
		TEST(who_announces_no_pipeline_is_asked_one_by_one),
		TEST(a_command_without_a_path_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
