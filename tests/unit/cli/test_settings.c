#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "fixture.h"

static void urls_that_keep_a_secret_are_taken(void **state UNUSED)
{
	static const char *const good[] = {
		"https://a.example",	    "https://a.example:8443/writ",
		"http://127.0.0.1:7480",    "http://127.9.9.9",
		"http://[::1]:7480",	    "http://localhost:1",
		"unix:/run/writ/writ.sock",
	};

	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_int_equal(settings_check_url(good[i]), 0);
}

static void urls_that_do_not_are_refused(void **state UNUSED)
{
	static const char *const bad[] = {
		"http://a.example",
		"http://127.0.0.1.example",
		"http://10.0.0.1",
		"http://127.0.0.1@a.example",
		"https://u:p@a.example",
		"https://a.example?x",
		"https://a.example#x",
		"ftp://127.0.0.1",
		"file:///etc/passwd",
		"a.example",
		"unix:relative",
		"unix:/",
		"",
	};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(settings_check_url(bad[i]), ERR_USAGE);
}

static int load(const char *const *words, struct settings *s)
{
	struct args a;
	int count = 0;

	while (words[count])
		count++;
	assert_int_equal(args_parse(&commands, count, words, &a), 0);
	return settings_load(&a, s);
}

#define LOAD(s, ...)                                                           \
	load((const char *const[]){ "writ", "whoami", ##__VA_ARGS__, NULL }, s)

static void write_config(const char *text)
{
	CLEANUP(mem_free_p) char *folder = fixture_path(".config/writ");

	assert_int_equal(file_make_folder(folder), 0);
	fixture_write(".config/writ/config.yaml", text);
}

static void an_option_beats_environment_beats_file(void **state UNUSED)
{
	CLEANUP(settings_clear) struct settings a = { 0 };
	CLEANUP(settings_clear) struct settings b = { 0 };
	CLEANUP(settings_clear) struct settings c = { 0 };

	write_config("url: https://file.example/\nhuman: file\n");
	assert_int_equal(LOAD(&a), 0);
	assert_string_equal(a.url, "https://file.example");
	setenv("WRIT_URL", "https://env.example", 1);
	assert_int_equal(LOAD(&b), 0);
	assert_string_equal(b.url, "https://env.example");
	assert_string_equal(b.human, "file");
	assert_int_equal(LOAD(&c, "--url", "https://option.example"), 0);
	assert_string_equal(c.url, "https://option.example");
	unsetenv("WRIT_URL");
}

static void a_mistake_in_the_file_is_named_with_its_place(void **state UNUSED)
{
	CLEANUP(settings_clear) struct settings s = { 0 };

	write_config("url: https://a.example\nhumann: alice\n");
	assert_int_equal(LOAD(&s), ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "config.yaml:2:1"));
	write_config("{}\n");
}

static void no_file_is_no_fault_unless_it_was_named(void **state UNUSED)
{
	CLEANUP(settings_clear) struct settings s = { 0 };

	assert_int_equal(LOAD(&s, "--settings", "/nowhere/config.yaml"),
			 ERR_NOT_FOUND);
}

static void a_token_comes_from_a_file_or_the_environment(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = fixture_path("token");
	CLEANUP(settings_clear) struct settings a = { 0 };
	CLEANUP(settings_clear) struct settings b = { 0 };

	fixture_write("token", "e.y.J\n");
	assert_int_equal(LOAD(&a, "--token-file", path), 0);
	assert_string_equal(a.token, "e.y.J");
	setenv("WRIT_TOKEN", "t", 1);
	assert_int_equal(LOAD(&b), 0);
	assert_string_equal(b.token, "t");
	unsetenv("WRIT_TOKEN");
}

static void a_person_on_the_command_line_beats_a_token_of_the_environment(
	void **state UNUSED)
{
	static const char *const names[] = { "WRIT_TOKEN", "WRIT_TOKEN_FILE",
					     "WRIT_TOKEN_COMMAND" };
	CLEANUP(mem_free_p) char *path = fixture_path("token");

	fixture_write("token", "e.y.J\n");
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(settings_clear) struct settings a = { 0 };
		CLEANUP(settings_clear) struct settings b = { 0 };
		CLEANUP(settings_clear) struct settings c = { 0 };

		setenv(names[i], path, 1);
		assert_int_equal(LOAD(&a), 0);
		assert_true(a.has_token);
		assert_string_equal(a.token_from, names[i]);
		assert_int_equal(LOAD(&b, "--human", "ada"), 0);
		assert_false(b.has_token);
		assert_null(b.token);
		assert_null(b.token_from);
		assert_int_equal(LOAD(&c, "--key", "id"), 0);
		assert_false(c.has_token);
		unsetenv(names[i]);
	}
}

static void a_person_of_the_environment_does_not(void **state UNUSED)
{
	CLEANUP(settings_clear) struct settings s = { 0 };

	setenv("WRIT_HUMAN", "ada", 1);
	setenv("WRIT_TOKEN", "t", 1);
	assert_int_equal(LOAD(&s), 0);
	assert_string_equal(s.token, "t");
	unsetenv("WRIT_TOKEN");
	unsetenv("WRIT_HUMAN");
}

static void
a_person_and_a_token_on_one_command_line_are_refused(void **state UNUSED)
{
	CLEANUP(settings_clear) struct settings a = { 0 };
	CLEANUP(settings_clear) struct settings b = { 0 };
	CLEANUP(settings_clear) struct settings c = { 0 };
	CLEANUP(mem_free_p) char *path = fixture_path("token");

	assert_int_equal(LOAD(&a, "--token-file", path, "--human", "ada"),
			 ERR_USAGE);
	assert_non_null(strstr(error_message(), "--token-file"));
	assert_int_equal(LOAD(&b, "--token-command", "true", "--key", "id"),
			 ERR_USAGE);
	/* Of the environment only what is not said anew counts. */
	setenv("WRIT_TOKEN", "t", 1);
	fixture_write("token", "e.y.J\n");
	assert_int_equal(LOAD(&c, "--token-file", path), 0);
	assert_string_equal(c.token, "e.y.J");
	assert_string_equal(c.token_from, "--token-file");
	unsetenv("WRIT_TOKEN");
}

static void a_token_that_would_add_a_header_is_refused(void **state UNUSED)
{
	CLEANUP(settings_clear) struct settings s = { 0 };

	setenv("WRIT_TOKEN", "a\r\nX-Evil: b", 1);
	assert_int_equal(LOAD(&s), ERR_SYNTAX);
	assert_null(strstr(error_message(), "Evil"));
	unsetenv("WRIT_TOKEN");
}

static int open_all(void **state UNUSED)
{
	fixture_open();
	return 0;
}

static int close_all(void **state UNUSED)
{
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(urls_that_keep_a_secret_are_taken),
		cmocka_unit_test(urls_that_do_not_are_refused),
		cmocka_unit_test(an_option_beats_environment_beats_file),
		cmocka_unit_test(a_mistake_in_the_file_is_named_with_its_place),
		cmocka_unit_test(no_file_is_no_fault_unless_it_was_named),
		cmocka_unit_test(a_token_comes_from_a_file_or_the_environment),
		cmocka_unit_test(
			a_person_on_the_command_line_beats_a_token_of_the_environment),
		cmocka_unit_test(a_person_of_the_environment_does_not),
		cmocka_unit_test(
			a_person_and_a_token_on_one_command_line_are_refused),
		cmocka_unit_test(a_token_that_would_add_a_header_is_refused),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
