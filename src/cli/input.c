#include "cli/input.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static int read_stream(FILE *stream, struct buf *b)
{
	uint8_t chunk[4096];
	struct slice all;
	size_t n;

	do {
		n = fread(chunk, 1, sizeof(chunk), stream);
		buf_put(b, slice_of(chunk, n));
	} while (n > 0 && !b->overflow);
	if (ferror(stream))
		return error_sys("standard input");
	return buf_finish(b, &all);
}

int input_read(struct cli *cli, const char *path, struct buf *b)
{
	int r;

	if (!strcmp(path, "-"))
		r = read_stream(cli->in, b);
	else
		r = file_read(path, b);
	if (r < 0)
		return error_context(r, "%s", path);
	if (!text_is_utf8(buf_slice(b)) || strlen(buf_text(b)) != b->len)
		return error_set(ERR_SYNTAX, "%s is not UTF-8 text", path);
	return 0;
}

json_t *input_list(const struct args *a, const char *name)
{
	json_t *list = json_array();

	for (size_t i = 0; i < a->value_count; i++)
		if (!strcmp(a->values[i].row->name, name))
			json_array_append_new(list,
					      json_string(a->values[i].text));
	return list;
}

static int add_pair(json_t *object, const char *option, const char *text)
{
	CLEANUP(mem_free_p) char *name = NULL;
	const char *equals = strchr(text, '=');

	if (!equals || equals == text)
		return error_set(ERR_USAGE, "--%s is written NAME=VALUE",
				 option);
	name = mem_format("%.*s", (int)(equals - text), text);
	if (json_object_get(object, name))
		return error_set(ERR_USAGE, "--%s %s was given twice", option,
				 name);
	json_set_text(object, name, equals + 1);
	return 0;
}

int input_pairs(const struct args *a, const char *name, json_t **ret_object)
{
	CLEANUP(json_put_p) json_t *object = json_object();

	for (size_t i = 0; i < a->value_count; i++)
		if (!strcmp(a->values[i].row->name, name))
			TRY(add_pair(object, name, a->values[i].text));
	*ret_object = TAKE(object);
	return 0;
}

int input_time(const char *text, int64_t now_ms, int64_t *ret_ms)
{
	int64_t seconds;

	if (strchr(text, 'T'))
		return clock_parse(text, ret_ms);
	TRY(clock_parse_duration(text, &seconds));
	*ret_ms = now_ms + seconds * 1000;
	return 0;
}
