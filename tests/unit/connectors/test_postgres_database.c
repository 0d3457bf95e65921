#include "connectors/postgres/database.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"

static const struct database_options sound = {
	.host = "127.0.0.1",
	.port = 1,
	.name = "postgres",
	.user = "writ",
	.timeout_seconds = 1,
};

static int open_with(const struct database_options *options)
{
	CLEANUP(database_close_p) struct database *d = NULL;

	return database_open(options, &d);
}

static void options_that_fit_together_are_taken(void **state UNUSED)
{
	struct database_options o = sound;

	assert_int_equal(open_with(&o), 0);
	o.host = "/run/postgresql";
	assert_int_equal(open_with(&o), 0);
	o.host = "db.example.org";
	o.ca_file = "/ca.pem";
	assert_int_equal(open_with(&o), 0);
	o.cert_file = o.key_file = "/own.pem";
	assert_int_equal(open_with(&o), 0);
}

static void another_machine_needs_tls(void **state UNUSED)
{
	static const char *const hosts[] = { "db.example.org", "192.0.2.1",
					     "localhost.example.org",
					     "127.0.0.1,db.example.org", "" };

	for (size_t i = 0; i < ARRAY_LEN(hosts); i++) {
		struct database_options o = sound;

		o.host = hosts[i];
		assert_int_equal(open_with(&o), ERR_SYNTAX);
	}
}

static void options_that_do_not_are_refused(void **state UNUSED)
{
	struct database_options o = sound;

	o.name = "host=192.0.2.1";
	assert_int_equal(open_with(&o), ERR_SYNTAX);
	o = sound;
	o.name = "postgresql://192.0.2.1";
	assert_int_equal(open_with(&o), ERR_SYNTAX);
	o = sound;
	o.timeout_seconds = DATABASE_TIMEOUT_MAX_SECONDS + 1;
	assert_int_equal(open_with(&o), ERR_SYNTAX);
	o = sound;
	o.cert_file = "/own.pem";
	assert_int_equal(open_with(&o), ERR_SYNTAX);
	o.key_file = "/own.key";
	assert_int_equal(open_with(&o), ERR_SYNTAX);
	o.ca_file = "/ca.pem";
	o.host = "/run/postgresql";
	assert_int_equal(open_with(&o), ERR_SYNTAX);
}

static void the_environment_is_left_behind(void **state UNUSED)
{
	assert_int_equal(setenv("PGHOST", "192.0.2.1", 1), 0);
	assert_int_equal(setenv("PGSERVICE", "none", 1), 0);
	assert_int_equal(setenv("PG", "", 1), 0);
	assert_int_equal(open_with(&sound), 0);
	for (char **at = environ; *at; at++)
		assert_int_not_equal(strncmp(*at, "PG", 2), 0);
}

static void a_server_that_is_not_there_is_unavailable(void **state UNUSED)
{
	CLEANUP(database_close_p) struct database *d = NULL;

	assert_int_equal(database_open(&sound, &d), 0);
	database_hurry(d, 5000);
	assert_int_equal(database_connect(d), ERR_UNAVAILABLE);
	assert_int_equal(DATABASE_RUN(d, "DROP ROLE %I", "a"), ERR_UNAVAILABLE);
	assert_int_equal(database_begin(d), ERR_UNAVAILABLE);
	assert_int_equal(database_commit(d), COMMIT_NOT);
	database_rollback(d);
}

static void without_time_nothing_is_waited_for(void **state UNUSED)
{
	CLEANUP(database_close_p) struct database *d = NULL;

	assert_int_equal(database_open(&sound, &d), 0);
	database_hurry(d, 0);
	assert_int_equal(database_left_ms(d), 0);
	assert_int_equal(database_connect(d), ERR_UNAVAILABLE);
}

static void a_password_file_that_is_empty_is_refused(void **state UNUSED)
{
	CLEANUP(database_close_p) struct database *d = NULL;
	struct database_options o = sound;

	o.password_file = "/dev/null";
	assert_int_equal(database_open(&o, &d), 0);
	database_hurry(d, 5000);
	assert_int_equal(database_connect(d), ERR_REFUSED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_that_fit_together_are_taken),
		cmocka_unit_test(another_machine_needs_tls),
		cmocka_unit_test(options_that_do_not_are_refused),
		cmocka_unit_test(the_environment_is_left_behind),
		cmocka_unit_test(a_server_that_is_not_there_is_unavailable),
		cmocka_unit_test(without_time_nothing_is_waited_for),
		cmocka_unit_test(a_password_file_that_is_empty_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
