#include "config/outward.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

static json_t *parse(const char *text)
{
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;

	assert_int_equal(yaml_parse(slice_str(text), &documents, &places), 0);
	return json_incref(json_array_get(documents, 0));
}

/* How many faults notify and lookups in a text have. */
static size_t faults_of(const char *text)
{
	static const struct schema lookups[] = {
		{ "notify", SCHEMA_OBJECT, .rows = config_notify_rows },
		{ "lookups", SCHEMA_LIST, .rows = &config_lookup_row },
		{ 0 },
	};
	CLEANUP(json_put_p) json_t *doc = parse(text);
	CLEANUP(json_put_p) json_t *faults = NULL;

	schema_check(lookups, doc, NULL, &faults);
	if (!json_array_size(faults))
		config_check_outward(json_object_get(doc, "notify"),
				     json_object_get(doc, "lookups"), faults);
	return json_array_size(faults);
}

#define HOOK(name)                                                             \
	"  - {name: " name ", url: 'https://h.example/x', secretFile: s}\n"

static void a_sound_notify_has_no_faults(void **state)
{
	(void)state;
	assert_int_equal(
		faults_of("notify:\n"
			  "  link: https://console.example\n"
			  "  webhooks:\n"
			  "  - name: pager\n"
			  "    url: https://pager.example/hook\n"
			  "    secretFile: secrets/pager\n"
			  "    events: [request.waiting, containment.made]\n"
			  "    for: {groups: [iam-approvers]}\n"
			  "  smtp: {url: 'smtps://mail.example', from: "
			  "writ@example.org, passwordFile: p, userFile: u}\n"
			  "  retry: {first: 1s, longest: 10m, attempts: 5, "
			  "age: 1d}\n"),
		0);
}

static void two_webhooks_of_one_name_are_a_fault(void **state)
{
	(void)state;
	assert_int_equal(faults_of("notify:\n  link: https://c.example\n"
				   "  webhooks:\n" HOOK("one") HOOK("one")),
			 1);
	assert_int_equal(faults_of("notify:\n  link: https://c.example\n"
				   "  webhooks:\n" HOOK("mail")),
			 1);
}

#define LOOKUP(url, condition)                                                 \
	"lookups:\n- kind: ticket\n  url: '" url                               \
	"'\n  require:\n  - " condition "\n"

static void a_reference_stands_behind_the_host(void **state)
{
	static const char *const wrong[] = {
		LOOKUP("http://t.example/{reference}", "{at: /s, in: [a]}"),
		LOOKUP("https://{reference}/x", "{at: /s, in: [a]}"),
		LOOKUP("https://t.example{reference}/x", "{at: /s, in: [a]}"),
		LOOKUP("https://t.example/x", "{at: /s, in: [a]}"),
		LOOKUP("https://t.example?{reference}", "{at: /s, in: [a]}"),
		LOOKUP("https://t.example/{reference}/{reference}",
		       "{at: /s, in: [a]}"),
		LOOKUP("https://t.example/x#{reference}", "{at: /s, in: [a]}"),
		LOOKUP("ftp://t.example/{reference}", "{at: /s, in: [a]}"),
	};

	(void)state;
	assert_int_equal(faults_of(LOOKUP("https://t.example/x?id={reference}",
					  "{at: /s, in: [a]}")),
			 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(faults_of(wrong[i]), 1);
}

static void a_condition_compares_one_thing_with_one(void **state)
{
#define URL "https://t.example/{reference}"
	static const char *const good[] = {
		LOOKUP(URL, "{at: /s, equals: request.target}"),
		LOOKUP(URL, "{at: /s, equals: request.parameters.member}"),
	};
	static const char *const wrong[] = {
		LOOKUP(URL, "{at: s, in: [a]}"),
		LOOKUP(URL, "{at: /s}"),
		LOOKUP(URL, "{at: /s, in: [a], equals: request.target}"),
		LOOKUP(URL, "{at: /s, equals: target}"),
		LOOKUP(URL, "{at: /s, equals: request.planText}"),
		LOOKUP(URL, "{at: /s, equals: request.parameters.}"),
	};
#undef URL

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(faults_of(good[i]), 0);
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_int_equal(faults_of(wrong[i]), 1);
}

static void a_lookup_without_a_condition_is_a_fault(void **state)
{
	(void)state;
	assert_int_equal(faults_of("lookups:\n- kind: ticket\n"
				   "  url: https://t.example/{reference}\n"),
			 1);
	assert_int_equal(faults_of("lookups:\n- kind: ticket\n"
				   "  url: https://t.example/{reference}\n"
				   "  require: []\n"),
			 1);
}

static void nobody_acknowledges_by_a_lookup(void **state)
{
	(void)state;
	assert_int_equal(faults_of("lookups:\n- kind: owner_ack\n"
				   "  url: 'https://t.example/{reference}'\n"
				   "  require:\n  - {at: /s, in: [a]}\n"),
			 1);
}

static void files_are_found_beside_the_configuration(void **state)
{
	CLEANUP(json_put_p)
	json_t *notify = parse("link: https://c.example\nwebhooks:\n" HOOK(
		"one") "  - {name: two, url: 'https://h.example', secretFile: "
		       "/etc/s}\nsmtp: {passwordFile: p}\n");
	CLEANUP(json_put_p)
	json_t *fixed = config_outward_paths(notify, "/etc/writ/writd.yaml");
	const json_t *hooks = json_object_get(fixed, "webhooks");

	(void)state;
	assert_string_equal(
		json_text(json_array_get(hooks, 0), "secretFile", ""),
		"/etc/writ/s");
	assert_string_equal(
		json_text(json_array_get(hooks, 1), "secretFile", ""),
		"/etc/s");
	assert_string_equal(
		json_text(json_object_get(fixed, "smtp"), "passwordFile", ""),
		"/etc/writ/p");
	assert_null(config_outward_paths(NULL, "/etc/writ/writd.yaml"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_sound_notify_has_no_faults),
		cmocka_unit_test(two_webhooks_of_one_name_are_a_fault),
		cmocka_unit_test(a_reference_stands_behind_the_host),
		cmocka_unit_test(a_condition_compares_one_thing_with_one),
		cmocka_unit_test(a_lookup_without_a_condition_is_a_fault),
		cmocka_unit_test(nobody_acknowledges_by_a_lookup),
		cmocka_unit_test(files_are_found_beside_the_configuration),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
