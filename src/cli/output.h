/*
 * What people and programs read: tables and records, or JSON.  Text from
 * elsewhere never reaches the terminal with control characters in it, nor with
 * marks that reorder or hide what is read.
 */
#pragma once

#include <stdio.h>

#include "base/json.h"

enum paint { PAINT_PLAIN, PAINT_GOOD, PAINT_BAD, PAINT_CARE, PAINT_DIM };

/* True if stream is a terminal and the environment does not ask for no colour
 * (NO_COLOR, TERM=dumb). */
bool output_wants_colour(FILE *stream);

/*
 * text made safe to show, owned: control, bidirectional and zero-width
 * characters and bytes that are no UTF-8 appear as \xNN or \u{NNNN}; a line
 * feed too, unless lines is set.
 */
char *output_clean(const char *text, bool lines);

/* Prints text cleaned, in colour if that is wanted. */
void output_paint(FILE *out, bool colour, enum paint paint, const char *text);

/* A value as one line of text, owned: strings as they are, lists joined by
 * ", ", objects as JSON, null as "-". */
char *output_value(const json_t *value);

/* Borrowed member by a path such as "decision.cause"; NULL if absent. */
const json_t *output_member(const json_t *object, const char *path);

struct output_column {
	const char *title;
	const char *path; /* of a member */
};

/* One line a row; says "none" for an empty array. */
void output_table(FILE *out, const json_t *rows,
		  const struct output_column *columns, size_t count);

/* One line a member that is there: "title: value". */
void output_record(FILE *out, const json_t *object,
		   const struct output_column *columns, size_t count);

/* Indented JSON and a line feed. */
void output_json(FILE *out, const json_t *value);
