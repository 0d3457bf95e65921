/*
 * What libmicrohttpd lets through and RFC 9112 does not: the headers of one
 * request, looked at one by one.  Folded lines and bare line feeds are gone
 * before we see a header; a front proxy must refuse those.
 */
#pragma once

#include "base/slice.h"

struct framing_refusal {
	unsigned status;  /* 0: nothing wrong */
	const char *code; /* static texts */
	const char *detail;
};

struct framing {
	unsigned hosts;
	unsigned lengths;
	unsigned codings;
	unsigned types;
	unsigned authorizations;
	unsigned keys;	       /* Idempotency-Key */
	size_t content_length; /* bytes; SIZE_MAX if it does not fit */
	bool chunked;
	bool json;			/* Content-Type is application/json */
	struct framing_refusal refusal; /* the first */
};

/* Looks at one header; name and value may hold any byte. */
void framing_header(struct framing *f, struct slice name, struct slice value);

/*
 * Judges the whole head.
 *
 * version: "HTTP/1.1" or "HTTP/1.0", others are refused.
 * body_max: what the route takes, 0 for none.
 * any_type: the type of the body is for somebody else to judge.
 */
void framing_finish(struct framing *f, const char *version, size_t body_max,
		    bool any_type);

/* The part of framing_finish() that needs no route. */
void framing_finish_head(struct framing *f, const char *version);
