#include "http/form.h"

#include <strings.h>

#include "base/mem.h"
#include "http/target.h"

static const char type_name[] = "application/x-www-form-urlencoded";

bool form_is_type(const char *type)
{
	size_t len = strlen(type_name);

	if (!type || strncasecmp(type, type_name, len) != 0)
		return false;
	type += len;
	type += strspn(type, " \t");
	if (*type == ';') {
		type++;
		type += strspn(type, " \t");
		if (strncasecmp(type, "charset=utf-8", 13) != 0)
			return false;
		type += 13;
		type += strspn(type, " \t");
	}
	return !*type;
}

/* What stands for itself or for a blank, and what an escape is made of: the
 * bytes of a query (RFC 3986, 3.4). */
static bool is_form_byte(uint8_t c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c && strchr("-._~!$'()*+,;:@/?%", c));
}

static bool all_form_bytes(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		if (!is_form_byte(text.ptr[i]))
			return false;
	}
	return true;
}

/* Decodes text into *memory, which moves behind it; NULL if it is not right. */
static const char *take(char **memory, struct slice text)
{
	char *copy = *memory;

	if (!all_form_bytes(text))
		return NULL;
	if (text.len)
		memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	if (!target_decode(copy, true))
		return NULL;
	*memory += text.len + 1;
	return copy;
}

static bool is_among(const char *name, const char *const *names)
{
	for (; *names; names++) {
		if (!strcmp(name, *names))
			return true;
	}
	return false;
}

static const char *add_field(struct form *form, struct slice text,
			     const char *const *repeatable, char **memory)
{
	const uint8_t *equals = memchr(text.ptr, '=', text.len);
	size_t name_len = equals ? (size_t)(equals - text.ptr) : text.len;
	struct form_field *field = &form->fields[form->count];

	if (form->count == FORM_FIELDS_MAX)
		return "the form has too many fields";
	if (name_len == 0 || name_len > FORM_NAME_MAX)
		return "a field of the form has no fit name";
	field->name = take(memory, slice_of(text.ptr, name_len));
	field->value = equals ? take(memory, slice_of(equals + 1,
						      text.len - name_len - 1))
			      : "";
	if (!field->name || !field->value || !*field->name)
		return "the form holds a byte or an escape that is not allowed";
	if (form_count(form, field->name) && !is_among(field->name, repeatable))
		return "the form has a field twice";
	form->count++;
	return NULL;
}

/* Fields without a value have served to find what is given twice. */
static void drop_empty(struct form *form)
{
	unsigned kept = 0;

	for (unsigned i = 0; i < form->count; i++) {
		if (*form->fields[i].value)
			form->fields[kept++] = form->fields[i];
	}
	form->count = kept;
}

const char *form_parse(struct slice body, const char *const *repeatable,
		       struct form *ret_form)
{
	CLEANUP(form_clear) struct form form = { .count = 0 };
	const char *why = NULL;
	char *memory;

	/* A field is as long as its text, and each of its halves has a NUL. */
	form.size = 2 * body.len + 2;
	form.memory = mem_alloc(form.size);
	memory = form.memory;
	while (body.len && !why) {
		const uint8_t *end = memchr(body.ptr, '&', body.len);
		size_t len = end ? (size_t)(end - body.ptr) : body.len;

		why = len ? add_field(&form, slice_of(body.ptr, len),
				      repeatable, &memory)
			  : "the form has an empty field";
		body.ptr += len + (end != NULL);
		body.len -= len + (end != NULL);
	}
	if (why)
		return why;
	drop_empty(&form);
	*ret_form = form;
	form.memory = NULL;
	return NULL;
}

void form_clear(struct form *form)
{
	if (form->memory)
		mem_wipe(form->memory, form->size);
	free(form->memory);
	*form = (struct form){ .count = 0 };
}

const char *form_get(const struct form *form, const char *name)
{
	for (unsigned i = 0; i < form->count; i++) {
		if (!strcmp(form->fields[i].name, name))
			return form->fields[i].value;
	}
	return NULL;
}

unsigned form_count(const struct form *form, const char *name)
{
	unsigned count = 0;

	for (unsigned i = 0; i < form->count; i++)
		count += !strcmp(form->fields[i].name, name);
	return count;
}
