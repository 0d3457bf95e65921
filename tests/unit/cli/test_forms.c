#include "cli/run/forms.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

struct world {
	struct scratch *scratch;
	struct environment env;
	struct forms forms;
};

static int open_world(void **state)
{
	struct world *w = mem_new(struct world);

	*state = w;
	if (scratch_open(&w->scratch) < 0)
		return -1;
	environment_copy(&w->env);
	environment_set(&w->env, "PGPASSWORD", "of somebody else");
	environment_set(&w->env, "PGSERVICE", "of somebody else");
	forms_open(&w->forms, w->scratch, &w->env);
	return 0;
}

static int close_world(void **state)
{
	struct world *w = *state;

	forms_clear(&w->forms);
	environment_clear(&w->env);
	scratch_close(w->scratch);
	free(w);
	return 0;
}

/* NULL if it is not there. */
static const char *variable(const struct world *w, const char *name)
{
	size_t len = strlen(name);

	for (size_t i = 0; i < w->env.count; i++) {
		if (!strncmp(w->env.rows[i], name, len) &&
		    w->env.rows[i][len] == '=')
			return w->env.rows[i] + len + 1;
	}
	return NULL;
}

/* The file that a variable names holds this and nothing else. */
static void expect_file(const struct world *w, const char *name,
			const char *content)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(64 * 1024);

	assert_non_null(variable(w, name));
	assert_int_equal(file_read(variable(w, name), &text), 0);
	assert_string_equal(buf_text(&text), content);
}

static int add(struct world *w, const char *target, const char *role,
	       const char *secret)
{
	CLEANUP(json_put_p) json_t *parsed = NULL;
	const struct lent lent = { target, role, 60 };

	assert_int_equal(json_parse(slice_str(secret), 4096, &parsed), 0);
	return forms_add(&w->forms, &lent, parsed);
}

#define LOGIN(user, password, host)                                            \
	"{\"user\":\"" user "\",\"password\":\"" password                      \
	"\",\"host\":\"" host "\",\"port\":\"5432\",\"database\":\"app\"}"

/* ---- logins ---- */

static void a_login_is_a_service_and_a_password(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "app-database", "app_reader",
			     LOGIN("writ_a", "p", "db.example")),
			 0);
	expect_file(w, "PGSERVICEFILE",
		    "[app-database]\nhost=db.example\nport=5432\ndbname=app\n"
		    "user=writ_a\n\n"
		    "[app-database.app_reader]\nhost=db.example\nport=5432\n"
		    "dbname=app\nuser=writ_a\n\n");
	expect_file(w, "PGPASSFILE", "db.example:5432:*:writ_a:p\n");
	assert_string_equal(variable(w, "PGHOST"), "db.example");
	assert_string_equal(variable(w, "PGPORT"), "5432");
	assert_string_equal(variable(w, "PGDATABASE"), "app");
	assert_string_equal(variable(w, "PGUSER"), "writ_a");
	assert_null(variable(w, "PGPASSWORD"));
	assert_null(variable(w, "PGSERVICE"));
}

static void colons_and_backslashes_of_a_password_are_marked(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "app-database", "app_reader",
			     LOGIN("o'b:c\\\\d", "::\\\\", "fe80::1")),
			 0);
	expect_file(w, "PGPASSFILE",
		    "fe80\\:\\:1:5432:*:o'b\\:c\\\\d:\\:\\:\\\\\n");
}

static void a_folder_of_sockets_has_its_password_under_both_names(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "app-database", "app_reader",
			     LOGIN("writ_a", "p", "/var/run/postgresql")),
			 0);
	expect_file(w, "PGPASSFILE",
		    "/var/run/postgresql:5432:*:writ_a:p\n"
		    "localhost:5432:*:writ_a:p\n");
}

static void two_logins_are_told_apart_by_services_alone(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "app-database", "app_reader",
			     LOGIN("writ_a", "p", "db.example")),
			 0);
	assert_int_equal(add(w, "app-database", "app_writer",
			     LOGIN("writ_b", "q", "db.example")),
			 0);
	expect_file(w, "PGPASSFILE",
		    "db.example:5432:*:writ_a:p\ndb.example:5432:*:writ_b:q\n");
	expect_file(w, "PGSERVICEFILE",
		    "[app-database]\nhost=db.example\nport=5432\ndbname=app\n"
		    "user=writ_a\n\n"
		    "[app-database.app_reader]\nhost=db.example\nport=5432\n"
		    "dbname=app\nuser=writ_a\n\n"
		    "[app-database.app_writer]\nhost=db.example\nport=5432\n"
		    "dbname=app\nuser=writ_b\n\n");
	assert_null(variable(w, "PGHOST"));
	assert_null(variable(w, "PGPORT"));
	assert_null(variable(w, "PGDATABASE"));
	assert_null(variable(w, "PGUSER"));
}

static void a_target_that_begins_as_another_has_its_own_service(void **state)
{
	struct world *w = *state;
	CLEANUP(buf_clear) struct buf text = BUF_INIT(64 * 1024);

	assert_int_equal(add(w, "app-2", "r", LOGIN("writ_a", "p", "h")), 0);
	assert_int_equal(add(w, "app", "r", LOGIN("writ_b", "q", "h")), 0);
	assert_int_equal(file_read(variable(w, "PGSERVICEFILE"), &text), 0);
	assert_non_null(strstr(buf_text(&text), "[app]\n"));
	assert_non_null(strstr(buf_text(&text), "[app-2]\n"));
}

static void what_the_files_cannot_hold_is_refused(void **state)
{
	struct world *w = *state;
	static const char *const secrets[] = {
		LOGIN("a\\nhost=evil", "p", "h"),
		LOGIN("a", "p\\nlocalhost:*:*:*:x", "h"),
		LOGIN("a", "p", "h\\r"),
		LOGIN("", "p", "h"),
		LOGIN("a", "", "h"),
		LOGIN("a", "p", ""),
		"{\"user\":\"a\",\"password\":\"p\",\"host\":\"h\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++)
		assert_int_equal(add(w, "app-database", "r", secrets[i]),
				 ERR_SYNTAX);
	assert_null(variable(w, "PGPASSFILE"));
}

static void a_role_that_cannot_name_a_service_is_refused(void **state)
{
	struct world *w = *state;
	static const char *const roles[] = { "", "a]", "a\n[b", "a\r" };

	for (size_t i = 0; i < ARRAY_LEN(roles); i++)
		assert_int_equal(
			add(w, "app-database", roles[i], LOGIN("a", "p", "h")),
			ERR_SYNTAX);
	assert_null(variable(w, "PGSERVICEFILE"));
}

/* ---- tokens ---- */

static void a_token_is_a_file_that_its_successor_replaces(void **state)
{
	struct world *w = *state;
	const struct lent lent = { "pay-api", "pay:read", 60 };

	assert_int_equal(add(w, "pay-api", "pay:read", "{\"token\":\"one\"}"),
			 0);
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API", "one");
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API_PAY_READ", "one");
	expect_file(w, "WRIT_ACCESS_TOKEN_FILE", "one");
	assert_int_equal(forms_renew_token(&w->forms, &lent, "two"), 0);
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API", "two");
	expect_file(w, "WRIT_ACCESS_TOKEN_FILE", "two");
}

static void two_tokens_of_a_target_are_two_files(void **state)
{
	struct world *w = *state;
	const struct lent lent = { "pay-api", "pay:write", 60 };

	assert_int_equal(add(w, "pay-api", "pay:read", "{\"token\":\"r\"}"), 0);
	assert_int_equal(add(w, "pay-api", "pay:write", "{\"token\":\"w\"}"),
			 0);
	assert_int_equal(forms_renew_token(&w->forms, &lent, "w2"), 0);
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API", "r");
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API_PAY_READ", "r");
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API_PAY_WRITE", "w2");
	assert_null(variable(w, "WRIT_ACCESS_TOKEN_FILE"));
}

static void tokens_of_one_name_are_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "pay-api", "a:b", "{\"token\":\"one\"}"), 0);
	assert_int_equal(add(w, "pay-api", "a_b", "{\"token\":\"two\"}"),
			 ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "WRIT_TOKEN_FILE_PAY_API_A_B"));
	assert_int_equal(add(w, "pay", "api", "{\"token\":\"three\"}"),
			 ERR_SYNTAX);
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API", "one");
}

static void a_target_never_finds_the_token_of_another(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "pay", "api", "{\"token\":\"one\"}"), 0);
	assert_int_equal(add(w, "pay-api", "x", "{\"token\":\"two\"}"),
			 ERR_SYNTAX);
	assert_int_equal(add(w, "Pay", "x", "{\"token\":\"three\"}"),
			 ERR_SYNTAX);
	expect_file(w, "WRIT_TOKEN_FILE_PAY_API", "one");
}

/* ---- others ---- */

static void a_form_that_is_not_known_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "vault", "r", "{\"seed\":\"x\"}"), ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "'vault'"));
	assert_int_equal(add(w, "vault", "r", "{}"), ERR_SYNTAX);
}

static void a_certificate_nobody_has_a_key_for_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(add(w, "hosts", "r", "{\"certificate\":\"x\"}"),
			 ERR_SYNTAX);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, open_world, close_world)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_login_is_a_service_and_a_password),
		TEST(colons_and_backslashes_of_a_password_are_marked),
		TEST(a_folder_of_sockets_has_its_password_under_both_names),
		TEST(two_logins_are_told_apart_by_services_alone),
		TEST(a_target_that_begins_as_another_has_its_own_service),
		TEST(what_the_files_cannot_hold_is_refused),
		TEST(a_role_that_cannot_name_a_service_is_refused),
		TEST(a_token_is_a_file_that_its_successor_replaces),
		TEST(two_tokens_of_a_target_are_two_files),
		TEST(tokens_of_one_name_are_refused),
		TEST(a_target_never_finds_the_token_of_another),
		TEST(a_form_that_is_not_known_is_refused),
		TEST(a_certificate_nobody_has_a_key_for_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
