#include "base/yaml.h"

#include <yaml.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

struct place {
	const json_t *owner; /* an object or array */
	char *name;	     /* of a member, the index of an element, or NULL */
	int line, column;
};

struct yaml_places {
	json_t *documents; /* held, so that no address is used twice */
	struct place *items;
	size_t count;
	size_t capacity;
};

struct reading {
	yaml_parser_t *parser;
	struct yaml_places *places;
};

static void event_p(yaml_event_t *event)
{
	yaml_event_delete(event);
}

static void parser_p(yaml_parser_t *parser)
{
	yaml_parser_delete(parser);
}

void yaml_places_free(struct yaml_places *places)
{
	if (!places)
		return;
	for (size_t i = 0; i < places->count; i++)
		free(places->items[i].name);
	free(places->items);
	json_decref(places->documents);
	free(places);
}

static void remember(struct yaml_places *places, const json_t *owner,
		     const char *name, const yaml_mark_t *mark)
{
	struct place *place;

	if (places->count == places->capacity) {
		places->capacity = places->capacity ? places->capacity * 2 : 64;
		places->items = mem_grow(places->items, places->capacity,
					 sizeof(*places->items));
	}
	place = &places->items[places->count++];
	place->owner = owner;
	place->name = mem_str(name);
	place->line = (int)mark->line + 1;
	place->column = (int)mark->column + 1;
}

static int compare_places(const void *a, const void *b)
{
	const struct place *left = a;
	const struct place *right = b;

	if (left->owner != right->owner)
		return (uintptr_t)left->owner < (uintptr_t)right->owner ? -1
									: 1;
	if (!left->name || !right->name)
		return (left->name != NULL) - (right->name != NULL);
	return strcmp(left->name, right->name);
}

bool yaml_place(const struct yaml_places *places, const json_t *object,
		const char *name, int *ret_line, int *ret_column)
{
	/* Only compared; the table's own names are owned. */
	struct place wanted = { .owner = object,
				.name = (char *)(uintptr_t)name };
	const struct place *found;

	if (!places || places->count == 0)
		return false;
	found = bsearch(&wanted, places->items, places->count,
			sizeof(*places->items), compare_places);
	if (!found)
		return false;
	*ret_line = found->line;
	*ret_column = found->column;
	return true;
}

/* Refuses something at a place. */
static int refuse(const yaml_mark_t *mark, const char *what)
{
	return error_set(ERR_SYNTAX, "%zu:%zu: %s", mark->line + 1,
			 mark->column + 1, what);
}

static int next(const struct reading *reading, yaml_event_t *ret_event)
{
	const yaml_parser_t *parser = reading->parser;

	if (yaml_parser_parse(reading->parser, ret_event))
		return 0;
	if (parser->error == YAML_MEMORY_ERROR)
		abort();
	if (parser->error == YAML_READER_ERROR)
		return error_set(ERR_SYNTAX, "1:1: %s at byte %zu",
				 parser->problem, parser->problem_offset);
	return refuse(&parser->problem_mark, parser->problem);
}

static bool is_one_of(const char *text, const char *const *words, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(text, words[i]) == 0)
			return true;
	return false;
}

static bool is_decimal(const char *text)
{
	if (*text == '-' || *text == '+')
		text++;
	return *text && text[strspn(text, "0123456789")] == '\0';
}

/* false if it does not fit in 64 bits */
static bool decimal_value(const char *text, int64_t *ret_value)
{
	bool negative = *text == '-';
	int64_t value = 0;

	if (*text == '-' || *text == '+')
		text++;
	for (; *text; text++) {
		int digit = *text - '0';

		if (__builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, negative ? -digit : digit,
					   &value))
			return false;
	}
	*ret_value = value;
	return true;
}

/* YAML 1.2.2, 10.3.2, without octal, hexadecimal and floating point. */
static int plain_value(const yaml_event_t *event, const char *text,
		       json_t **ret_value)
{
	static const char *const nulls[] = { "", "~", "null", "Null", "NULL" };
	static const char *const trues[] = { "true", "True", "TRUE" };
	static const char *const falses[] = { "false", "False", "FALSE" };
	int64_t number;

	if (is_one_of(text, nulls, ARRAY_LEN(nulls))) {
		*ret_value = json_null();
		return 0;
	}
	if (is_one_of(text, trues, ARRAY_LEN(trues)) ||
	    is_one_of(text, falses, ARRAY_LEN(falses))) {
		*ret_value = json_boolean(*text == 't' || *text == 'T');
		return 0;
	}
	if (!is_decimal(text)) {
		*ret_value = json_string(text);
		return 0;
	}
	if (!decimal_value(text, &number))
		return refuse(&event->start_mark, "a number needs more than 64 "
						  "bits; quote it if it is "
						  "text");
	*ret_value = json_integer(number);
	return 0;
}

static int check_scalar(const yaml_event_t *event)
{
	struct slice text =
		slice_of(event->data.scalar.value, event->data.scalar.length);

	if (event->data.scalar.anchor)
		return refuse(&event->start_mark, "anchors are not allowed");
	if (event->data.scalar.tag)
		return refuse(&event->start_mark, "tags are not allowed");
	if (!text_is_utf8(text))
		return refuse(&event->start_mark, "text holds a NUL or is not "
						  "UTF-8");
	return 0;
}

static int scalar_value(const yaml_event_t *event, json_t **ret_value)
{
	const char *text = (const char *)event->data.scalar.value;
	json_t *value = NULL;

	TRY(check_scalar(event));
	if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
		TRY(plain_value(event, text, &value));
	else
		value = json_string(text);
	if (!value)
		abort();
	*ret_value = value;
	return 0;
}

static int node(const struct reading *reading, const yaml_event_t *event,
		int depth, json_t **ret_value);

/* Checks what mappings and sequences have in common. */
static int check_collection(const yaml_event_t *event, const void *anchor,
			    const void *tag, int depth)
{
	if (anchor)
		return refuse(&event->start_mark, "anchors are not allowed");
	if (tag)
		return refuse(&event->start_mark, "tags are not allowed");
	if (depth == JSON_DEPTH_MAX)
		return error_set(ERR_LIMIT, "%zu:%zu: nested more than %d deep",
				 event->start_mark.line + 1,
				 event->start_mark.column + 1, JSON_DEPTH_MAX);
	return 0;
}

static int sequence(const struct reading *reading, const yaml_event_t *event,
		    int depth, json_t **ret_value)
{
	CLEANUP(json_put_p) json_t *array = json_array();

	TRY(check_collection(event, event->data.sequence_start.anchor,
			     event->data.sequence_start.tag, depth));
	remember(reading->places, array, NULL, &event->start_mark);
	for (;;) {
		CLEANUP(event_p) yaml_event_t element = { 0 };
		json_t *value = NULL;
		char index[24];

		TRY(next(reading, &element));
		if (element.type == YAML_SEQUENCE_END_EVENT)
			break;
		TRY(node(reading, &element, depth + 1, &value));
		snprintf(index, sizeof(index), "%zu", json_array_size(array));
		remember(reading->places, array, index, &element.start_mark);
		if (json_array_append_new(array, value) < 0)
			abort();
	}
	*ret_value = TAKE(array);
	return 0;
}

static int check_name(const json_t *object, const yaml_event_t *event)
{
	const char *name;

	if (event->type != YAML_SCALAR_EVENT)
		return refuse(&event->start_mark, "a key must be plain text");
	TRY(check_scalar(event));
	name = (const char *)event->data.scalar.value;
	if (*name == '\0')
		return refuse(&event->start_mark, "a key is empty");
	if (json_object_get(object, name))
		return refuse(&event->start_mark, "a key is given twice");
	return 0;
}

static int mapping(const struct reading *reading, const yaml_event_t *event,
		   int depth, json_t **ret_value)
{
	CLEANUP(json_put_p) json_t *object = json_object();

	TRY(check_collection(event, event->data.mapping_start.anchor,
			     event->data.mapping_start.tag, depth));
	remember(reading->places, object, NULL, &event->start_mark);
	for (;;) {
		CLEANUP(event_p) yaml_event_t key = { 0 };
		CLEANUP(event_p) yaml_event_t member = { 0 };
		json_t *value = NULL;
		const char *name;

		TRY(next(reading, &key));
		if (key.type == YAML_MAPPING_END_EVENT)
			break;
		TRY(check_name(object, &key));
		TRY(next(reading, &member));
		TRY(node(reading, &member, depth + 1, &value));
		name = (const char *)key.data.scalar.value;
		remember(reading->places, object, name, &key.start_mark);
		if (json_object_set_new(object, name, value) < 0)
			abort();
	}
	*ret_value = TAKE(object);
	return 0;
}

static int node(const struct reading *reading, const yaml_event_t *event,
		int depth, json_t **ret_value)
{
	if (event->type == YAML_SCALAR_EVENT)
		return scalar_value(event, ret_value);
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return sequence(reading, event, depth, ret_value);
	if (event->type == YAML_MAPPING_START_EVENT)
		return mapping(reading, event, depth, ret_value);
	if (event->type == YAML_ALIAS_EVENT)
		return refuse(&event->start_mark, "aliases are not allowed");
	return refuse(&event->start_mark, "a value is missing");
}

/* From after its start to its end. */
static int document(const struct reading *reading, json_t *documents)
{
	CLEANUP(event_p) yaml_event_t root = { 0 };
	CLEANUP(event_p) yaml_event_t end = { 0 };
	char index[24];
	json_t *value = NULL;

	if (json_array_size(documents) == YAML_DOCUMENTS_MAX)
		return error_set(ERR_LIMIT, "more than %d documents",
				 YAML_DOCUMENTS_MAX);
	TRY(next(reading, &root));
	TRY(node(reading, &root, 0, &value));
	snprintf(index, sizeof(index), "%zu", json_array_size(documents));
	remember(reading->places, documents, index, &root.start_mark);
	if (json_array_append_new(documents, value) < 0)
		abort();
	return next(reading, &end);
}

static int stream(const struct reading *reading, json_t *documents)
{
	for (;;) {
		CLEANUP(event_p) yaml_event_t event = { 0 };

		TRY(next(reading, &event));
		if (event.type == YAML_STREAM_END_EVENT)
			return 0;
		if (event.type == YAML_DOCUMENT_START_EVENT)
			TRY(document(reading, documents));
	}
}

int yaml_parse(struct slice text, json_t **ret_documents,
	       struct yaml_places **ret_places)
{
	CLEANUP(json_put_p) json_t *documents = json_array();
	CLEANUP(yaml_places_free_p)
	struct yaml_places *places = mem_new(struct yaml_places);
	CLEANUP(parser_p) yaml_parser_t parser = { 0 };
	struct reading reading = { &parser, places };

	if (text.len > YAML_SIZE_MAX)
		return error_set(ERR_LIMIT, "YAML of more than %d bytes",
				 YAML_SIZE_MAX);
	if (!documents || !yaml_parser_initialize(&parser))
		abort();
	yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(
		&parser, text.ptr ? text.ptr : (const uint8_t *)"", text.len);
	TRY(stream(&reading, documents));
	if (places->count)
		qsort(places->items, places->count, sizeof(*places->items),
		      compare_places);
	places->documents = json_incref(documents);
	*ret_documents = TAKE(documents);
	*ret_places = TAKE(places);
	return 0;
}
