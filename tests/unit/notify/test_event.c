#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "config/outward.h"
#include "notify/event.h"

/* "notify" with one webhook for this event. */
static json_t *config_for(const char *event)
{
	CLEANUP(mem_free_p)
	char *text =
		mem_format("{\"link\":\"https://c.example\",\"webhooks\":[{"
			   "\"name\":\"x\",\"url\":\"https://x.example\","
			   "\"secretFile\":\"/s\",\"events\":[\"%s\"]}]}",
			   event);
	json_t *value = NULL;

	assert_int_equal(json_parse(slice_str(text), 4096, &value), 0);
	return value;
}

static size_t faults_of(const json_t *config)
{
	CLEANUP(json_put_p) json_t *faults = NULL;

	schema_check(config_notify_rows, config, NULL, &faults);
	return json_array_size(faults);
}

static void every_event_can_be_configured_and_found(void **state)
{
	(void)state;
	for (int i = 0; i < NOTIFY_EVENT_COUNT; i++) {
		const char *name = notify_event_name((enum notify_event)i);
		CLEANUP(json_put_p) json_t *config = config_for(name);
		enum notify_event found = NOTIFY_EVENT_COUNT;

		assert_int_equal(faults_of(config), 0);
		assert_true(notify_event_find(name, &found));
		assert_int_equal(found, i);
	}
}

static void an_event_that_is_none_is_refused(void **state)
{
	CLEANUP(json_put_p) json_t *config = config_for("request.dreamt");
	enum notify_event found;

	(void)state;
	assert_int_equal(faults_of(config), 1);
	assert_false(notify_event_find("request.dreamt", &found));
	assert_false(notify_event_find(NULL, &found));
}

static void a_link_leads_to_the_thing_and_nowhere_else(void **state)
{
	CLEANUP(mem_free_p)
	char *link = notify_event_link(NOTIFY_GRANT_ENDED,
				       "https://c.example/app/", "grt_1");
	CLEANUP(mem_free_p)
	char *odd = notify_event_link(NOTIFY_AGENT_EXPIRED, "https://c.example",
				      "a/../b?c#d e");

	(void)state;
	assert_string_equal(link, "https://c.example/app/grants/grt_1");
	assert_string_equal(odd,
			    "https://c.example/agents/a%2F..%2Fb%3Fc%23d%20e");
}

static void a_body_holds_ids_and_a_link_and_is_always_the_same(void **state)
{
	CLEANUP(mem_free_p)
	char *body = notify_event_body(NOTIFY_REQUEST_WAITING,
				       "https://c.example/requests/req_1",
				       "req_1", "approver", 0);

	(void)state;
	assert_string_equal(
		body,
		"{\"data\":{\"id\":\"req_1\",\"link\":"
		"\"https://c.example/requests/req_1\",\"role\":\"approver\"},"
		"\"timestamp\":\"1970-01-01T00:00:00.000Z\","
		"\"type\":\"request.waiting\"}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_event_can_be_configured_and_found),
		cmocka_unit_test(an_event_that_is_none_is_refused),
		cmocka_unit_test(a_link_leads_to_the_thing_and_nowhere_else),
		cmocka_unit_test(
			a_body_holds_ids_and_a_link_and_is_always_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
