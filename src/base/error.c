#include "base/error.h"

#include <errno.h>
#include <stdarg.h>

static _Thread_local char message[ERROR_MESSAGE_MAX];

/* Formats aside first: an argument may be the old message itself. */
PRINTF_LIKE(2, 0)
static void format_aside(char text[ERROR_MESSAGE_MAX], const char *format,
			 va_list args)
{
	if (vsnprintf(text, ERROR_MESSAGE_MAX, format, args) < 0)
		text[0] = '\0';
}

static void join(char joined[ERROR_MESSAGE_MAX], const char *first,
		 const char *second)
{
	size_t used = strnlen(first, ERROR_MESSAGE_MAX - 1);

	memcpy(joined, first, used);
	for (const char *p = ": "; *p && used < ERROR_MESSAGE_MAX - 1; p++)
		joined[used++] = *p;
	for (; *second && used < ERROR_MESSAGE_MAX - 1; second++)
		joined[used++] = *second;
	joined[used] = '\0';
}

int error_set(int code, const char *format, ...)
{
	char text[ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	format_aside(text, format, args);
	va_end(args);
	memcpy(message, text, sizeof(message));
	return code;
}

int error_sys(const char *format, ...)
{
	int number = errno;
	char text[ERROR_MESSAGE_MAX];
	char reason[128];
	va_list args;

	va_start(args, format);
	format_aside(text, format, args);
	va_end(args);
	join(message, text, strerror_r(number, reason, sizeof(reason)));
	errno = number;
	return ERR_IO;
}

int error_context(int code, const char *format, ...)
{
	char text[ERROR_MESSAGE_MAX];
	char old[ERROR_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	format_aside(text, format, args);
	va_end(args);
	memcpy(old, message, sizeof(old));
	join(message, text, old);
	return code;
}

const char *error_message(void)
{
	return message;
}

const char *error_name(int code)
{
	static const char *const names[] = {
		[-ERR_IO] = "ERR_IO",
		[-ERR_BUSY] = "ERR_BUSY",
		[-ERR_LIMIT] = "ERR_LIMIT",
		[-ERR_SYNTAX] = "ERR_SYNTAX",
		[-ERR_CORRUPT] = "ERR_CORRUPT",
		[-ERR_BROKEN] = "ERR_BROKEN",
		[-ERR_CRYPTO] = "ERR_CRYPTO",
		[-ERR_NOT_FOUND] = "ERR_NOT_FOUND",
		[-ERR_UNAVAILABLE] = "ERR_UNAVAILABLE",
		[-ERR_REFUSED] = "ERR_REFUSED",
	};

	if (code >= 0 || code <= -(int)ARRAY_LEN(names))
		return "?";
	return names[-code];
}
