#include "govern/request.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* Every step there is, written down a second time. */
static const char *const steps[] = {
	"planning -deny-> denied",
	"planning -advise-> recommended",
	"planning -ask people-> waiting",
	"planning -already so-> no_change",
	"planning -state differs-> conflict",
	"planning -arm-> armed",
	"planning -give up-> failed",
	"planning -cancel-> cancelled",
	"waiting -deny-> denied",
	"waiting -plan again-> replanning",
	"waiting -expire-> expired",
	"waiting -cancel-> cancelled",
	"planning -plan again-> replanning",
	"planning -answered-> done",
	"replanning -deny-> denied",
	"replanning -advise-> recommended",
	"replanning -ask people-> waiting",
	"replanning -already so-> no_change",
	"replanning -state differs-> conflict",
	"replanning -arm-> armed",
	"replanning -give up-> failed",
	"replanning -expire-> expired",
	"replanning -cancel-> cancelled",
	"armed -applied-> reading",
	"armed -already so-> no_change",
	"armed -not applied-> failed",
	"armed -plan again-> replanning",
	"armed -cannot tell-> unknown",
	"reading -as planned-> done",
	"reading -not as planned-> partial",
	"reading -cannot tell-> unknown",
	"unknown -as planned-> done",
	"unknown -not applied-> failed",
	"unknown -cannot tell-> unknown",
	"done -undone-> rolled_back",
	"partial -undone-> rolled_back",
	"recommended -adopt-> adopted",
};

/* Where steps lead by these words, NULL if there is none. */
static const char *wanted(const char *state, const char *event)
{
	char start[64];

	snprintf(start, sizeof(start), "%s -%s-> ", state, event);
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (!strncmp(steps[i], start, strlen(start)))
			return steps[i] + strlen(start);
	}
	return NULL;
}

/* The number of steps that were taken. */
static size_t try_all(bool (*look)(enum request_state from))
{
	size_t taken = 0;

	for (int s = 0; s < REQUEST_STATE_COUNT; s++) {
		enum request_state from = (enum request_state)s;

		for (int e = 0; look(from) && e < REQUEST_EVENT_COUNT; e++) {
			enum request_event event = (enum request_event)e;
			enum request_state to = REQUEST_STATE_COUNT;
			bool led = request_next(from, event, &to);
			const char *name = wanted(request_state_name(from),
						  request_event_name(event));

			assert_int_equal(led, name != NULL);
			if (name)
				assert_string_equal(request_state_name(to),
						    name);
			else
				assert_int_equal(to, REQUEST_STATE_COUNT);
			taken += led;
		}
	}
	return taken;
}

static bool any(enum request_state from UNUSED)
{
	return true;
}

static void
every_step_leads_where_it_says_and_nothing_else_is_one(void **state UNUSED)
{
	assert_int_equal(try_all(any), ARRAY_LEN(steps));
}

static void
an_end_has_no_way_out_but_being_undone_or_adopted(void **state UNUSED)
{
	assert_int_equal(try_all(request_state_is_end), 3);
}

static void every_state_that_is_no_end_leads_to_one(void **state UNUSED)
{
	for (int s = 0; s < REQUEST_STATE_COUNT; s++) {
		bool led = request_state_is_end((enum request_state)s);
		enum request_state to;

		for (int e = 0; e < REQUEST_EVENT_COUNT; e++)
			led |= request_next((enum request_state)s,
					    (enum request_event)e, &to) &&
			       to != (enum request_state)s;
		assert_true(led);
	}
}

static void after_arming_nothing_is_cancelled_or_denied(void **state UNUSED)
{
	static const enum request_state armed[] = { REQUEST_ARMED,
						    REQUEST_READING,
						    REQUEST_UNKNOWN };
	static const enum request_event late[] = { REQUEST_EVENT_CANCEL,
						   REQUEST_EVENT_DENY,
						   REQUEST_EVENT_EXPIRE,
						   REQUEST_EVENT_GIVE_UP };
	enum request_state to;

	for (size_t s = 0; s < ARRAY_LEN(armed); s++) {
		for (size_t e = 0; e < ARRAY_LEN(late); e++)
			assert_false(request_next(armed[s], late[e], &to));
	}
}

static void names_are_found_again_and_others_are_not(void **state UNUSED)
{
	enum request_state found;

	for (int s = 0; s < REQUEST_STATE_COUNT; s++) {
		assert_true(request_state_find(
			request_state_name((enum request_state)s), &found));
		assert_int_equal(found, s);
	}
	assert_false(request_state_find("Done", &found));
	assert_false(request_state_find("", &found));
	assert_false(request_state_find(NULL, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			every_step_leads_where_it_says_and_nothing_else_is_one),
		cmocka_unit_test(
			an_end_has_no_way_out_but_being_undone_or_adopted),
		cmocka_unit_test(every_state_that_is_no_end_leads_to_one),
		cmocka_unit_test(after_arming_nothing_is_cancelled_or_denied),
		cmocka_unit_test(names_are_found_again_and_others_are_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
