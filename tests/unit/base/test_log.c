#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

/* Runs log with standard error going to a pipe; the text is owned. */
static char *captured(void (*log)(void))
{
	char text[8192];
	ssize_t len;
	int ends[2];
	int old = dup(STDERR_FILENO);

	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	log();
	assert_int_equal(dup2(old, STDERR_FILENO), STDERR_FILENO);
	len = read(ends[0], text, sizeof(text) - 1);
	text[len < 0 ? 0 : len] = '\0';
	fd_close_p(&old);
	fd_close_p(&ends[0]);
	fd_close_p(&ends[1]);
	return mem_str(text);
}

static void log_something(void)
{
	CLEANUP(mem_free_p) char *value = log_quote("say \"hi\"\n\\");

	log_warning("peer-gone", "name=%s count=%d", value, 3);
}

static void a_line_names_level_program_event_and_values(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = NULL;

	log_open("writd", LOG_LEVEL_INFO);
	text = captured(log_something);
	assert_string_equal(text + strcspn(text, " "),
			    " level=warning program=writd event=peer-gone "
			    "name=\"say \\\"hi\\\"\\x0a\\\\\" count=3\n");
}

static void log_debugging(void)
{
	log_debug("detail", "x=%d", 1);
}

static void a_line_above_the_level_is_dropped(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *none = NULL;
	CLEANUP(mem_free_p) char *some = NULL;

	log_open("writd", LOG_LEVEL_INFO);
	none = captured(log_debugging);
	assert_string_equal(none, "");
	log_open("writd", LOG_LEVEL_DEBUG);
	some = captured(log_debugging);
	assert_non_null(strstr(some, "event=detail x=1\n"));
}

static void log_injection(void)
{
	log_error("bad", "name=%s", "x\nlevel=info fake\r\x1b[2J");
}

static void a_line_stays_one_line(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = captured(log_injection);

	assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
	assert_null(strchr(text, '\x1b'));
}

static void log_much(void)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(20001);

	memset(text, 'x', 20000);
	log_error("much", "%s", text);
}

static void a_long_line_is_cut_and_ends(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = captured(log_much);

	assert_true(strlen(text) <= 4096);
	assert_int_equal(text[strlen(text) - 1], '\n');
}

static void a_long_value_is_cut(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = mem_alloc(10001);
	CLEANUP(mem_free_p) char *value = NULL;
	CLEANUP(mem_free_p) char *none = log_quote(NULL);

	memset(text, 1, 10000);
	value = log_quote(text);
	assert_int_equal(strlen(value), 1 + 256 * 4 + strlen("\"..."));
	assert_string_equal(none, "\"\"");
}

static void levels_are_read_and_others_refused(void **state UNUSED)
{
	enum log_level level = LOG_LEVEL_ERROR;

	assert_int_equal(log_level_parse("debug", &level), 0);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
	assert_int_equal(log_level_parse("loud", &level), ERR_SYNTAX);
	assert_int_equal(log_level_parse("", &level), ERR_SYNTAX);
	assert_int_equal(level, LOG_LEVEL_DEBUG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_names_level_program_event_and_values),
		cmocka_unit_test(a_line_above_the_level_is_dropped),
		cmocka_unit_test(a_line_stays_one_line),
		cmocka_unit_test(a_long_line_is_cut_and_ends),
		cmocka_unit_test(a_long_value_is_cut),
		cmocka_unit_test(levels_are_read_and_others_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
