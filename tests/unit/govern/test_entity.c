#include "govern/entity.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "support.h"

/* Takes ownership of value. */
static void expect(json_t *value, const char *wanted)
{
	CLEANUP(json_put_p) json_t *owned = value;
	CLEANUP(mem_free_p) char *text = json_canonical(owned);

	assert_string_equal(text, wanted);
}

static void a_name_is_an_entity_of_the_namespace(void **state UNUSED)
{
	expect(entity_uid("Human", "alice"),
	       "{\"id\":\"alice\",\"type\":\"Gov::Human\"}");
	expect(entity_ref("Human", "alice"),
	       "{\"__entity\":{\"id\":\"alice\",\"type\":\"Gov::Human\"}}");
}

static void an_id_is_data_whatever_it_holds(void **state UNUSED)
{
	expect(entity_uid("DirectoryGroup", "t/cn=\"a\"\\,*)(::Gov\n"),
	       "{\"id\":\"t/cn=\\\"a\\\"\\\\,*)(::Gov\\n\","
	       "\"type\":\"Gov::DirectoryGroup\"}");
}

static void names_become_a_set_and_none_an_empty_one(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *names = support_value("[b, a]");

	expect(entity_refs("Plane", names),
	       "[{\"__entity\":{\"id\":\"b\",\"type\":\"Gov::Plane\"}},"
	       "{\"__entity\":{\"id\":\"a\",\"type\":\"Gov::Plane\"}}]");
	expect(entity_refs("Plane", NULL), "[]");
}

static void times_and_durations_are_extension_values(void **state UNUSED)
{
	expect(entity_duration("1h30m"),
	       "{\"__extn\":{\"arg\":\"1h30m\",\"fn\":\"duration\"}}");
	expect(entity_seconds(5400),
	       "{\"__extn\":{\"arg\":\"1h30m\",\"fn\":\"duration\"}}");
	expect(entity_seconds(0),
	       "{\"__extn\":{\"arg\":\"0s\",\"fn\":\"duration\"}}");
	expect(entity_time(1500),
	       "{\"__extn\":{\"arg\":\"1970-01-01T00:00:01.500Z\","
	       "\"fn\":\"datetime\"}}");
}

static void an_entity_has_attributes_and_parents(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *groups = support_value("[x, y]");
	json_t *e = entity_new("Human", "alice");

	entity_attr(e, "status", json_string("active"));
	entity_parents(e, "Group", groups);
	entity_parents(e, "Group", NULL);
	expect(e, "{\"attrs\":{\"status\":\"active\"},\"parents\":["
		  "{\"id\":\"x\",\"type\":\"Gov::Group\"},"
		  "{\"id\":\"y\",\"type\":\"Gov::Group\"}],"
		  "\"uid\":{\"id\":\"alice\",\"type\":\"Gov::Human\"}}");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_an_entity_of_the_namespace),
		cmocka_unit_test(an_id_is_data_whatever_it_holds),
		cmocka_unit_test(names_become_a_set_and_none_an_empty_one),
		cmocka_unit_test(times_and_durations_are_extension_values),
		cmocka_unit_test(an_entity_has_attributes_and_parents),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
