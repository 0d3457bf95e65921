#include "connectors/ldap/directory.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"

static struct directory_options sample(void)
{
	return (struct directory_options){
		.url = "ldaps://directory.example.org",
		.ca_file = "/nowhere/ca.pem",
		.bind = DIRECTORY_BIND_SIMPLE,
		.bind_dn = "cn=writ,dc=x",
		.password_file = "/nowhere/password",
		.base = "dc=x",
		.timeout_seconds = 5,
	};
}

static void assert_opens(const struct directory_options *options)
{
	CLEANUP(directory_close_p) struct directory *d = NULL;

	if (directory_open(options, &d) != 0)
		fail_msg("%s: %s", options->url, error_message());
	assert_non_null(d);
}

static void assert_refused(const struct directory_options *options,
			   const char *why)
{
	struct directory *d = NULL;

	assert_int_equal(directory_open(options, &d), ERR_SYNTAX);
	assert_null(d);
	if (!strstr(error_message(), why))
		fail_msg("%s: '%s' does not tell of %s", options->url,
			 error_message(), why);
}

static void options_that_fit_together_are_taken(void **state UNUSED)
{
	struct directory_options o = sample();

	assert_opens(&o);
	o.url = "ldap://directory.example.org:1389";
	o.start_tls = true;
	assert_opens(&o);
	o = sample();
	o.ca_file = NULL;
	o.url = "ldapi://%2Frun%2Fslapd%2Fldapi";
	assert_opens(&o);
	o.url = "ldap://127.0.0.1:1389/";
	assert_opens(&o);
}

static void only_a_plain_url_of_one_server_is_taken(void **state UNUSED)
{
	static const char *const wrong[] = {
		"",
		"http://example.org",
		"directory.example.org",
		"cldap://example.org",
		"ldaps://a.example.org ldaps://b.example.org",
		"ldaps://a.example.org,ldap://b.example.org",
		"ldaps://a.example.org/dc=x",
		"ldaps://a.example.org/??sub?(uid=*)",
		"ldaps://",
	};
	struct directory_options o = sample();

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		o.url = wrong[i];
		assert_refused(&o, "url");
	}
}

static void a_password_does_not_cross_a_network_in_clear(void **state UNUSED)
{
	struct directory_options o = sample();

	o.ca_file = NULL;
	o.url = "ldap://directory.example.org";
	assert_refused(&o, "only to this machine");
	o.url = "ldap://127.0.0.1.example.org";
	assert_refused(&o, "only to this machine");
	o.url = "ldap://localhost.example.org";
	assert_refused(&o, "only to this machine");
}

static void tls_without_a_ca_is_refused(void **state UNUSED)
{
	struct directory_options o = sample();

	o.ca_file = NULL;
	assert_refused(&o, "caFile");
	o.url = "ldap://directory.example.org";
	o.start_tls = true;
	assert_refused(&o, "caFile");
	o = sample();
	o.start_tls = true;
	assert_refused(&o, "startTls");
}

static void external_needs_something_to_stand_on(void **state UNUSED)
{
	struct directory_options o = sample();

	o.bind = DIRECTORY_BIND_EXTERNAL;
	assert_refused(&o, "neither dn nor password");
	o.bind_dn = NULL;
	o.password_file = NULL;
	assert_refused(&o, "clientCert");
	o.cert_file = "/nowhere/cert.pem";
	assert_refused(&o, "both or none");
	o.key_file = "/nowhere/key.pem";
	assert_opens(&o);
	o.cert_file = NULL;
	o.key_file = NULL;
	o.url = "ldapi://%2Frun%2Fslapd%2Fldapi";
	assert_opens(&o);
}

static void a_simple_bind_needs_name_and_password(void **state UNUSED)
{
	struct directory_options o = sample();

	o.password_file = NULL;
	assert_refused(&o, "passwordFile");
	o = sample();
	o.bind_dn = "";
	assert_refused(&o, "dn");
}

static void a_server_that_is_not_there_is_unavailable(void **state UNUSED)
{
	CLEANUP(directory_close_p) struct directory *d = NULL;
	struct directory_entry entry = { 0 };
	struct directory_options o = sample();
	bool found = false;

	o.ca_file = NULL;
	o.bind = DIRECTORY_BIND_EXTERNAL;
	o.bind_dn = NULL;
	o.password_file = NULL;
	o.url = "ldapi://%2Fnowhere%2Fldapi";
	assert_int_equal(directory_open(&o, &d), 0);
	assert_int_equal(directory_connect(d), ERR_UNAVAILABLE);
	assert_int_equal(directory_read(d, "dc=x", &entry, &found),
			 ERR_UNAVAILABLE);
}

static void the_first_value_of_an_attribute_is_its_text(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *record = json_object();
	json_t *list = json_array();

	json_array_append_new(list, json_string("512"));
	json_array_append_new(list, json_string("x"));
	json_set_new(record, "a", list);
	json_set_new(record, "none", json_array());
	assert_string_equal(record_text(record, "a"), "512");
	assert_int_equal(record_int(record, "a", -1), 512);
	assert_null(record_text(record, "none"));
	assert_null(record_text(record, "b"));
	assert_int_equal(record_int(record, "b", -1), -1);
	json_array_remove(list, 0);
	assert_int_equal(record_int(record, "a", -1), -1);
}

static void a_change_without_a_connection_is_not_sent(void **state UNUSED)
{
	CLEANUP(directory_close_p) struct directory *d = NULL;
	const struct directory_options o = sample();
	const struct directory_mod mod = { true, "member", "uid=a,dc=x" };
	const struct directory_change change = { "cn=g,dc=x", &mod, 1,
						 "(objectClass=*)" };
	struct change_answer answer;

	assert_int_equal(directory_open(&o, &d), 0);
	directory_change(d, &change, &answer);
	assert_int_equal(answer.outcome, CHANGE_NOT_SENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_fit_together_are_taken),
		cmocka_unit_test(only_a_plain_url_of_one_server_is_taken),
		cmocka_unit_test(a_password_does_not_cross_a_network_in_clear),
		cmocka_unit_test(tls_without_a_ca_is_refused),
		cmocka_unit_test(external_needs_something_to_stand_on),
		cmocka_unit_test(a_simple_bind_needs_name_and_password),
		cmocka_unit_test(a_server_that_is_not_there_is_unavailable),
		cmocka_unit_test(the_first_value_of_an_attribute_is_its_text),
		cmocka_unit_test(a_change_without_a_connection_is_not_sent),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
