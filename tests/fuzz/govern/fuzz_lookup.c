/*
 * What agents name and other servers answer: "REFERENCE\nPOINTER\nJSON".  A
 * good reference stays one segment of its URL; an answer holds only where a
 * pointer leads to what is compared.
 */
#include "base/mem.h"
#include "govern/lookup.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char before[] = "https://t.example/x/";
static const char after[] = "/y";

/* The text up to the next line feed, owned; data goes on behind it. */
static char *take_line(const uint8_t **data, size_t *size)
{
	const uint8_t *end = *size ? memchr(*data, '\n', *size) : NULL;
	size_t length = end ? (size_t)(end - *data) : *size;
	char *line = mem_format("%.*s", (int)length, (const char *)*data);

	length += end != NULL;
	*data += length;
	*size -= length;
	return line;
}

static void check_url(const char *reference)
{
	CLEANUP(mem_free_p) char *template = NULL;
	CLEANUP(mem_free_p) char *url = NULL;
	size_t length;

	if (!lookup_reference_is_good(reference))
		return;
	template = mem_format("%s{reference}%s", before, after);
	url = lookup_url(template, reference);
	length = strlen(url);
	if (strncmp(url, before, strlen(before)) != 0 ||
	    strcmp(url + length - strlen(after), after) != 0 ||
	    strcspn(url + strlen(before), "/?#@\\ ") !=
		    length - strlen(before) - strlen(after) ||
	    strstr(url, ".."))
		abort();
}

static void check_answer(const char *pointer, struct slice text)
{
	CLEANUP(json_put_p) json_t *answer = NULL;
	CLEANUP(json_put_p) json_t *rule = json_object();
	CLEANUP(json_put_p) json_t *doc = json_object();
	CLEANUP(json_put_p) json_t *verified = NULL;
	CLEANUP(mem_free_p) char *why = NULL;
	json_t *list = json_array();
	json_t *condition = json_object();
	const json_t *at;

	json_set_new(rule, "require", list);
	json_array_append_new(list, condition);
	json_set_text(condition, "at", pointer);
	json_set_text(condition, "equals", "request.target");
	json_set_text(doc, "target", "corp");
	if (json_parse(text, 64 * 1024, &answer) < 0)
		return;
	at = lookup_at(answer, json_text(condition, "at", ""));
	why = lookup_judge(rule, doc, answer, &verified);
	if (!why !=
	    (json_is_string(at) && !strcmp(json_string_value(at), "corp")))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	CLEANUP(mem_free_p) char *reference = NULL;
	CLEANUP(mem_free_p) char *pointer = NULL;

	if (size > 64 * 1024)
		return 0;
	reference = take_line(&data, &size);
	pointer = take_line(&data, &size);
	check_url(reference);
	check_answer(pointer, slice_of(data, size));
	return 0;
}
