#include "connectors/ldap/hints.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW 1795354762000LL /* 2026-11-22 */

static const struct hints_terms plain = { .last_use_known = true,
					  .now_ms = NOW,
					  .stale_days = 90 };

/* Whether hints of a record have a flag that begins so; text: JSON. */
static bool has_flag(const char *text, const struct hints_terms *terms,
		     const char *begin)
{
	CLEANUP(json_put_p) json_t *record = NULL;
	CLEANUP(json_put_p) json_t *account = NULL;
	const json_t *flag;
	bool found = false;
	size_t at;

	assert_int_equal(json_parse(slice_str(text), 64 * 1024, &record), 0);
	account = hints_account(record, terms);
	json_array_foreach(json_object_get(account, "flags"), at, flag)
		found |= strncmp(json_string_value(flag), begin,
				 strlen(begin)) == 0;
	return found;
}

#define PERSON "\"dn\":\"uid=a,dc=x\",\"objectClass\":[\"inetOrgPerson\"]"

static void a_person_who_logs_in_has_no_flag(void **state UNUSED)
{
	assert_false(has_flag("{" PERSON ",\"uid\":[\"alice\"],"
			      "\"pwdLastSuccess\":[\"20261120000000Z\"]}",
			      &plain, ""));
}

static void names_of_services_are_found_as_whole_words(void **state UNUSED)
{
	assert_true(has_flag("{" PERSON ",\"uid\":[\"svc-mail\"]}", &plain,
			     "service: its name says 'svc'"));
	assert_true(has_flag("{" PERSON ",\"uid\":[\"mail_bot2\"]}", &plain,
			     "service: its name says 'bot'"));
	assert_false(has_flag("{" PERSON ",\"uid\":[\"abbott\"]}", &plain,
			      "service"));
	assert_false(has_flag("{" PERSON ",\"uid\":[\"apple\"]}", &plain,
			      "service"));
}

static void what_is_no_person_is_a_service(void **state UNUSED)
{
	assert_true(has_flag("{\"dn\":\"cn=a\",\"objectClass\":[\"device\"]}",
			     &plain, "service: it is no person"));
	assert_true(has_flag("{" PERSON ",\"loginShell\":[\"/bin/false\"]}",
			     &plain, "service: nobody gets a shell"));
	assert_false(has_flag("{" PERSON ",\"loginShell\":[\"/bin/bash\"]}",
			      &plain, "service"));
}

static void what_several_can_use_is_shared(void **state UNUSED)
{
	assert_true(has_flag("{" PERSON ",\"sshPublicKey\":[\"a\",\"b\"]}",
			     &plain, "shared: it has 2 SSH keys"));
	assert_false(has_flag("{" PERSON ",\"sshPublicKey\":[\"a\"]}", &plain,
			      "shared"));
	assert_true(has_flag("{" PERSON ",\"cn\":[\"Team inbox\"]}", &plain,
			     "shared: its name says 'Team'"));
	assert_false(has_flag("{" PERSON ",\"cn\":[\"Steam Engine\"]}", &plain,
			      "shared"));
}

static void the_latest_recorded_login_counts(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *record = NULL;
	int64_t ms = 0;
	const char *text = "{\"pwdLastSuccess\":[\"20240101000000Z\"],"
			   "\"authTimestamp\":[\"20261122133922Z\"]}";

	assert_int_equal(json_parse(slice_str(text), 4096, &record), 0);
	assert_true(hints_last_use(record, &ms));
	assert_int_equal(ms, NOW);
	json_object_clear(record);
	assert_false(hints_last_use(record, &ms));
}

static void only_who_has_been_silent_long_enough_is_stale(void **state UNUSED)
{
	struct hints_terms terms = plain;

	assert_true(has_flag("{" PERSON
			     ",\"pwdLastSuccess\":[\"20260801000000Z\"]}",
			     &terms, "stale"));
	assert_false(has_flag("{" PERSON
			      ",\"pwdLastSuccess\":[\"20261101000000Z\"]}",
			      &terms, "stale"));
	assert_true(has_flag("{" PERSON
			     ",\"createTimestamp\":[\"20250101000000Z\"]}",
			     &terms, "stale"));
	terms.last_use_known = false;
	assert_false(has_flag("{" PERSON
			      ",\"createTimestamp\":[\"20250101000000Z\"]}",
			      &terms, "stale"));
}

static void
texts_of_a_directory_are_cut_and_have_no_control_bytes(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *record = json_object();
	CLEANUP(json_put_p) json_t *account = NULL;
	char text[600];
	const char *told;

	/* A character of two bytes lies across the end of what is told. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[0] = '\n';
	memcpy(text + 255, "\xc3\xb6", 2);
	json_set_text(record, "dn", "cn=a");
	json_set_new(record, "description", json_array());
	json_array_append_new(json_object_get(record, "description"),
			      json_string(text));
	account = hints_account(record, &plain);
	told = json_text(account, "description", "");
	assert_int_equal(strlen(told), 255);
	assert_int_equal(told[0], ' ');
}

static void a_suspended_account_is_disabled(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *record = NULL;
	CLEANUP(json_put_p) json_t *account = NULL;
	const char *text =
		"{" PERSON ",\"pwdAccountLockedTime\":[\"000001010000Z\"]}";

	assert_int_equal(json_parse(slice_str(text), 4096, &record), 0);
	account = hints_account(record, &plain);
	assert_true(json_flag(account, "disabled", false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_person_who_logs_in_has_no_flag),
		cmocka_unit_test(names_of_services_are_found_as_whole_words),
		cmocka_unit_test(what_is_no_person_is_a_service),
		cmocka_unit_test(what_several_can_use_is_shared),
		cmocka_unit_test(the_latest_recorded_login_counts),
		cmocka_unit_test(only_who_has_been_silent_long_enough_is_stale),
		cmocka_unit_test(
			texts_of_a_directory_are_cut_and_have_no_control_bytes),
		cmocka_unit_test(a_suspended_account_is_disabled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
