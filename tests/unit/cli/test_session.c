/* What `writ login` keeps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/session.h"
#include "fixture.h"

#define FILE_NAME ".local/state/writ/sessions.json"

static int keep(const char *url, const char *token)
{
	CLEANUP(json_put_p) json_t *session = json_object();

	json_set_text(session, "url", url);
	json_set_text(session, "token", token);
	return session_keep(session);
}

static bool has(const char *url, const char *token)
{
	CLEANUP(json_put_p) json_t *session = session_find(url);

	return session && !strcmp(json_text(session, "token", ""), token);
}

static void a_session_is_kept_by_its_url(void **state UNUSED)
{
	assert_int_equal(keep("https://a", "one"), 0);
	assert_int_equal(keep("https://b", "two"), 0);
	assert_true(has("https://a", "one"));
	assert_true(has("https://b", "two"));
	assert_null(session_find("https://c"));
	assert_null(session_find(NULL));
}

static void a_newer_session_replaces_the_older(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = NULL;

	assert_int_equal(keep("https://a", "first"), 0);
	assert_int_equal(keep("https://a", "second"), 0);
	assert_true(has("https://a", "second"));
	text = fixture_read(FILE_NAME);
	assert_null(strstr(text, "first"));
}

static void a_session_that_others_can_read_is_none(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = fixture_path(FILE_NAME);
	struct stat st;

	assert_int_equal(keep("https://a", "one"), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(chmod(path, 0640), 0);
	assert_null(session_find("https://a"));
	assert_int_equal(chmod(path, 0600), 0);
	assert_true(has("https://a", "one"));
}

static void a_damaged_file_is_no_session_and_is_replaced(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = fixture_path(FILE_NAME);

	assert_int_equal(keep("https://a", "one"), 0);
	fixture_write(FILE_NAME, "{ damaged");
	assert_int_equal(chmod(path, 0600), 0);
	assert_null(session_find("https://a"));
	assert_int_equal(keep("https://a", "two"), 0);
	assert_true(has("https://a", "two"));
}

static int set_up(void **state UNUSED)
{
	fixture_open();
	return 0;
}

static int tear_down(void **state UNUSED)
{
	fixture_close();
	return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_kept_by_its_url),
		TEST(a_newer_session_replaces_the_older),
		TEST(a_session_that_others_can_read_is_none),
		TEST(a_damaged_file_is_no_session_and_is_replaced),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
