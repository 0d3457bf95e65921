#include "base/log.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"

enum { LINE_MAX_BYTES = 4096, VALUE_MAX = 256 };

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

static const char *program_name = "writ";
static enum log_level highest = LOG_LEVEL_INFO;

void log_open(const char *program, enum log_level level)
{
	program_name = program;
	highest = level;
}

int log_level_parse(const char *text, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_names); i++) {
		if (strcmp(text, level_names[i]) == 0) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return error_set(ERR_SYNTAX, "log level must be error, warning, info "
				     "or debug");
}

static bool is_control(unsigned char c)
{
	return c < 0x20 || c == 0x7f;
}

char *log_quote(const char *text)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(VALUE_MAX * 4 + 16);
	size_t len = text ? strnlen(text, VALUE_MAX + 1) : 0;
	size_t shown = len > VALUE_MAX ? VALUE_MAX : len;

	buf_put_str(&b, "\"");
	for (size_t i = 0; i < shown; i++) {
		unsigned char c = (unsigned char)text[i];

		if (is_control(c))
			buf_putf(&b, "\\x%02x", c);
		else if (c == '"' || c == '\\')
			buf_putf(&b, "\\%c", c);
		else
			buf_put_u8(&b, c);
	}
	buf_put_str(&b, len > VALUE_MAX ? "\"..." : "\"");
	return buf_take_text(&b);
}

void log_line(enum log_level level, const char *event, const char *format, ...)
{
	char line[LINE_MAX_BYTES];
	char now[CLOCK_TEXT_LEN];
	size_t used;
	int len;
	va_list args;

	if (level > highest)
		return;
	clock_format(clock_wall_ms(), now);
	len = snprintf(line, sizeof(line), "%s level=%s program=%s event=%s ",
		       now, level_names[level], program_name, event);
	used = len < 0 ? 0 : (size_t)len;
	if (used > sizeof(line) / 2)
		used = sizeof(line) / 2;
	va_start(args, format);
	len = vsnprintf(line + used, sizeof(line) - used, format, args);
	va_end(args);
	used += len < 0 ? 0 : (size_t)len;
	if (used > sizeof(line) - 1)
		used = sizeof(line) - 1;
	/* Whatever came in, it stays one line. */
	for (size_t i = 0; i < used; i++)
		if (is_control((unsigned char)line[i]))
			line[i] = '?';
	while (used && line[used - 1] == ' ')
		used--;
	line[used++] = '\n';
	discard(write(STDERR_FILENO, line, used));
}
