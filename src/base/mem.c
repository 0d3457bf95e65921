#include "base/mem.h"

#include <stdarg.h>
#include <unistd.h>

#include "base/error.h"

static void *require(void *pointer)
{
	static const char last_words[] = "out of memory\n";

	if (pointer)
		return pointer;
	discard(write(STDERR_FILENO, last_words, sizeof(last_words) - 1));
	abort();
}

void *mem_alloc(size_t size)
{
	return require(calloc(1, size ? size : 1));
}

void *mem_array(size_t count, size_t size)
{
	if (count == 0 || size == 0)
		return mem_alloc(1);
	return require(calloc(count, size));
}

void *mem_grow(void *old, size_t count, size_t size)
{
	if (count == 0 || size == 0)
		return require(realloc(old, 1));
	return require(reallocarray(old, count, size));
}

char *mem_str(const char *text)
{
	return text ? require(strdup(text)) : NULL;
}

char *mem_format(const char *format, ...)
{
	char *text = NULL;
	va_list args;
	int len;

	va_start(args, format);
	len = vasprintf(&text, format, args);
	va_end(args);
	return require(len < 0 ? NULL : text);
}

void mem_wipe(void *bytes, size_t size)
{
	if (size)
		explicit_bzero(bytes, size);
}
