#include "govern/attenuate.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/mem.h"

enum {
	URI_MAX = 2048,
	DETAILS_MAX = 64, /* objects of one token */
};

const char *attenuation_name(enum attenuation result)
{
	static const char *const names[ATTENUATION_COUNT] = {
#define ATTENUATION_TEXT(name, text) text,
		ATTENUATIONS(ATTENUATION_TEXT)
#undef ATTENUATION_TEXT
	};

	return names[result];
}

/* Why not; the result stands in the code that asks. */
PRINTF_LIKE(3, 4)
static enum attenuation refuse(char why[ATTENUATE_WHY_MAX],
			       enum attenuation result, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, ATTENUATE_WHY_MAX, format, args);
	va_end(args);
	return result;
}

/* A list of at most so many non-empty texts; true for none at all. */
static bool is_texts(const json_t *list)
{
	const json_t *value;
	size_t at;

	if (!list)
		return true;
	if (!json_is_array(list) ||
	    json_array_size(list) > ATTENUATE_VALUES_MAX)
		return false;
	json_array_foreach(list, at, value) {
		if (!json_is_string(value) || !*json_string_value(value))
			return false;
	}
	return true;
}

/* The first text of inner that is not in outer, or NULL. */
static const char *not_within(const json_t *inner, const json_t *outer)
{
	const json_t *value;
	size_t at;

	json_array_foreach(inner, at, value) {
		if (!json_has_text(outer, json_string_value(value)))
			return json_string_value(value);
	}
	return NULL;
}

/* ---- scope ---- */

/* %x21 / %x23-5B / %x5D-7E (RFC 6749, 3.3) */
static bool is_scope_char(char c)
{
	return c > ' ' && c < 0x7f && c != '"' && c != '\\';
}

/* The scopes of a token; owned, NULL if they are not well formed. */
static json_t *scopes_of(const json_t *claims)
{
	const json_t *claim = json_object_get(claims, "scope");
	CLEANUP(json_put_p) json_t *list = json_array();
	const char *at = json_string_value(claim);

	if (claim && !at)
		return NULL;
	while (at && *at) {
		size_t length = 0;

		while (is_scope_char(at[length]))
			length++;
		if (length == 0 ||
		    json_array_size(list) == ATTENUATE_VALUES_MAX)
			return NULL;
		json_array_append_new(list, json_stringn(at, length));
		at += length;
		/* One blank between two. */
		if (*at == ' ' && at[1])
			at++;
		else if (*at)
			return NULL;
	}
	return TAKE(list);
}

static enum attenuation compare_scope(const json_t *parent, const json_t *child,
				      char why[ATTENUATE_WHY_MAX])
{
	CLEANUP(json_put_p) json_t *outer = scopes_of(parent);
	CLEANUP(json_put_p) json_t *inner = scopes_of(child);
	const char *more;

	if (!outer || !inner)
		return refuse(why, ATTENUATION_MALFORMED,
			      "a scope is not well formed");
	more = not_within(inner, outer);
	if (more)
		return refuse(why, ATTENUATION_SCOPE,
			      "scope '%.100s' is not one of the parent's",
			      more);
	return ATTENUATION_HOLDS;
}

/* ---- resource ---- */

static bool is_alpha(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

static int hex_of(char c)
{
	if (is_digit(c))
		return c - '0';
	c = lower(c);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool is_unreserved(char c)
{
	return is_alpha(c) || is_digit(c) || c == '-' || c == '.' || c == '_' ||
	       c == '~';
}

/* What may stand in a URI unescaped, and is no delimiter of a fragment. */
static bool is_uri_char(char c)
{
	return is_unreserved(c) || (c && strchr(":/?[]@!$&'()*+,;=", c));
}

/* Appends one character, or escape, of text in its one spelling; how many bytes
 * of text that were, 0 if it is not one. */
static size_t put_char(struct buf *b, const char *text)
{
	int high = *text == '%' ? hex_of(text[1]) : -1;
	int low = high >= 0 ? hex_of(text[2]) : -1;
	char c = (char)(high * 16 + low);

	if (*text != '%') {
		buf_putf(b, "%c", *text);
		return is_uri_char(*text) ? 1 : 0;
	}
	if (low < 0)
		return 0;
	if (is_unreserved(c))
		buf_putf(b, "%c", c);
	else
		buf_putf(b, "%%%X%X", (unsigned)high, (unsigned)low);
	return 3;
}

static bool put_escaped(struct buf *b, const char *text)
{
	while (*text) {
		size_t length = put_char(b, text);

		if (length == 0)
			return false;
		text += length;
	}
	return true;
}

/* Length of "scheme:", 0 if it does not begin with one. */
static size_t scheme_length(const char *uri)
{
	size_t length = 0;

	if (!is_alpha(*uri))
		return 0;
	while (is_alpha(uri[length]) || is_digit(uri[length]) ||
	       uri[length] == '+' || uri[length] == '-' || uri[length] == '.')
		length++;
	return uri[length] == ':' ? length + 1 : 0;
}

/* Without the port that its scheme has anyhow. */
static void drop_port(char *authority, const char *scheme)
{
	const char *port = !strcmp(scheme, "https:")  ? ":443"
			   : !strcmp(scheme, "http:") ? ":80"
						      : ":";
	size_t length = strlen(authority);
	size_t end = strlen(port);

	if (length > end && !strcmp(authority + length - end, port))
		authority[length - end] = '\0';
	else if (length && authority[length - 1] == ':')
		authority[length - 1] = '\0';
}

static bool has_dot_segment(const char *path)
{
	while (*path) {
		size_t length;

		path += *path == '/';
		length = strcspn(path, "/?");
		if ((length == 1 && path[0] == '.') ||
		    (length == 2 && path[0] == '.' && path[1] == '.'))
			return true;
		if (path[length] != '/')
			return false;
		path += length;
	}
	return false;
}

/* The authority of a URI in one spelling, owned; NULL if servers could read it
 * in more than one way. */
static char *canonical_authority(const char *text, size_t length,
				 const char *scheme)
{
	CLEANUP(mem_free_p)
	char *authority = mem_format("%.*s", (int)length, text);

	for (char *c = authority; *c; c++) {
		if (*c == '@' || *c == '%' || !is_uri_char(*c))
			return NULL;
		*c = lower(*c);
	}
	drop_port(authority, scheme);
	return *authority ? TAKE(authority) : NULL;
}

/*
 * An absolute URI in one spelling, owned; NULL for what is none, and for what
 * servers read in more than one way: user names, dot segments.
 */
static char *canonical_uri(const char *uri)
{
	size_t length = strlen(uri) > URI_MAX ? 0 : scheme_length(uri);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(8 * URI_MAX);
	CLEANUP(mem_free_p) char *scheme = NULL;
	CLEANUP(mem_free_p) char *authority = NULL;
	const char *host;
	const char *path;

	if (length == 0 || strncmp(uri + length, "//", 2) != 0)
		return NULL;
	host = uri + length + 2;
	path = host + strcspn(host, "/?");
	scheme = mem_format("%.*s", (int)length, uri);
	for (char *c = scheme; *c; c++)
		*c = lower(*c);
	authority = canonical_authority(host, (size_t)(path - host), scheme);
	if (!authority || !put_escaped(&b, path) ||
	    has_dot_segment(buf_text(&b)))
		return NULL;
	return mem_format("%s//%s%s%s", scheme, authority,
			  *path == '/' ? "" : "/", buf_text(&b));
}

/* The resources of a token, a text or a list; owned, NULL if they are not well
 * formed. */
static json_t *resources_of(const json_t *claims)
{
	json_t *claim = json_object_get(claims, "resource");
	CLEANUP(json_put_p)
	json_t *listed = json_is_string(claim) ? json_pack("[O]", claim)
					       : json_incref(claim);
	CLEANUP(json_put_p) json_t *list = json_array();
	const json_t *value;
	size_t at;

	if (!is_texts(listed))
		return NULL;
	json_array_foreach(listed, at, value) {
		CLEANUP(mem_free_p)
		char *uri = canonical_uri(json_string_value(value));

		if (!uri)
			return NULL;
		json_array_append_new(list, json_string(uri));
	}
	return TAKE(list);
}

static enum attenuation compare_resource(const json_t *parent,
					 const json_t *child,
					 char why[ATTENUATE_WHY_MAX])
{
	CLEANUP(json_put_p) json_t *outer = resources_of(parent);
	CLEANUP(json_put_p) json_t *inner = resources_of(child);
	const char *more;

	if (!outer || !inner)
		return refuse(why, ATTENUATION_MALFORMED,
			      "a resource is no absolute URI, or could be read "
			      "in more than one way");
	more = not_within(inner, outer);
	if (more)
		return refuse(why, ATTENUATION_RESOURCE,
			      "resource '%.150s' is not one of the parent's",
			      more);
	if (json_array_size(outer) && !json_array_size(inner))
		return refuse(why, ATTENUATION_RESOURCE,
			      "the parent names its resources, and the child "
			      "does not");
	return ATTENUATION_HOLDS;
}

/* ---- authorization_details ---- */

enum rule { SAME, WITHIN, NOT_COMPARED };

static const struct {
	const char *name;
	enum rule rule;
	const char *type; /* only of this; NULL for every */
} members[] = {
	{ "type", SAME, NULL },
	{ "identifier", SAME, NULL },
	{ "actions", WITHIN, NULL },
	{ "locations", WITHIN, NULL },
	{ "datatypes", WITHIN, NULL },
	/* The one that the credential belongs to: of a child it is another. */
	{ "task", NOT_COMPARED, "writ_task" },
};

static bool is_known(const char *name, const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		if (!strcmp(members[i].name, name))
			return !members[i].type ||
			       !strcmp(members[i].type, type);
	}
	return false;
}

/* Why an object cannot be compared, or NULL. */
static const char *detail_fault(const json_t *detail)
{
	const char *type = json_text(detail, "type", "");
	const char *name;
	json_t *value;

	if (!*type)
		return "one has no type";
	json_object_foreach((json_t *)(uintptr_t)detail, name, value) {
		if (!is_known(name, type))
			return "one has a member that cannot be compared";
	}
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		value = json_object_get(detail, members[i].name);
		if (members[i].rule == WITHIN ? !is_texts(value)
					      : value && !json_is_string(value))
			return "one has a member of another form";
	}
	return NULL;
}

/* What one says the other says, and no more. */
static bool refines(const json_t *child, const json_t *parent)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const json_t *inner = json_object_get(child, members[i].name);
		const json_t *outer = json_object_get(parent, members[i].name);

		if (members[i].rule == NOT_COMPARED || (!inner && !outer))
			continue;
		if (!inner || !outer)
			return false;
		if (members[i].rule == SAME ? !json_equal(inner, outer)
					    : not_within(inner, outer) != NULL)
			return false;
	}
	return true;
}

static bool refines_one(const json_t *detail, const json_t *details)
{
	const json_t *other;
	size_t at;

	json_array_foreach(details, at, other) {
		if (!detail_fault(other) && refines(detail, other))
			return true;
	}
	return false;
}

static enum attenuation compare_details(const json_t *parent,
					const json_t *child,
					char why[ATTENUATE_WHY_MAX])
{
	static const char name[] = "authorization_details";
	const json_t *outer = json_object_get(parent, name);
	const json_t *inner = json_object_get(child, name);
	const json_t *detail;
	size_t at;

	if ((outer && !json_is_array(outer)) ||
	    (inner && !json_is_array(inner)) ||
	    json_array_size(outer) > DETAILS_MAX ||
	    json_array_size(inner) > DETAILS_MAX)
		return refuse(why, ATTENUATION_MALFORMED,
			      "authorization_details are no list");
	json_array_foreach(inner, at, detail) {
		const char *fault = detail_fault(detail);

		if (fault)
			return refuse(why, ATTENUATION_DETAILS,
				      "authorization_details of the child: %s",
				      fault);
		if (!refines_one(detail, outer))
			return refuse(why, ATTENUATION_DETAILS,
				      "authorization_details/%zu refines none "
				      "of the parent's",
				      at);
	}
	return ATTENUATION_HOLDS;
}

/* ---- time ---- */

static enum attenuation compare_exp(const json_t *parent, const json_t *child,
				    char why[ATTENUATE_WHY_MAX])
{
	const json_t *outer = json_object_get(parent, "exp");
	const json_t *inner = json_object_get(child, "exp");

	if (!json_is_integer(outer) || !json_is_integer(inner))
		return refuse(why, ATTENUATION_MALFORMED,
			      "a token does not say when it ends");
	if (json_integer_value(inner) > json_integer_value(outer))
		return refuse(why, ATTENUATION_EXP,
			      "the child outlives the parent by %lld s",
			      (long long)(json_integer_value(inner) -
					  json_integer_value(outer)));
	return ATTENUATION_HOLDS;
}

/* ---- who acts ---- */

/* What is wrong with a chain of actors, or NULL. */
static const char *actors_fault(const json_t *act)
{
	for (int depth = 0; act; depth++) {
		if (!json_is_object(act))
			return "an actor is no object";
		if (depth == ATTENUATE_ACTORS_MAX)
			return "the chain is too long";
		if (!json_text(act, "sub", NULL) ||
		    !json_text(act, "iss", NULL))
			return "an actor has no sub or no iss";
		if (json_object_get(act, "client_profile"))
			return "an actor has a client_profile";
		act = json_object_get(act, "act");
	}
	return NULL;
}

/* Whether act is inside the outermost actor of child: that of parent, or, where
 * nobody has acted for it yet, its subject. */
static bool nests(const json_t *act, const json_t *parent)
{
	const json_t *before = json_object_get(parent, "act");
	const json_t *inner = json_object_get(act, "act");

	if (before)
		return inner && json_equal(inner, before);
	return !inner || (!json_object_get(inner, "act") &&
			  !strcmp(json_text(inner, "sub", ""),
				  json_text(parent, "sub", "")));
}

/* RFC 8693, 4.4: the one that may act for the parent, if it says so: by its
 * name, and where that comes from if that is said, too. */
static bool may_act(const json_t *act, const json_t *parent)
{
	const json_t *named = json_object_get(parent, "may_act");
	const char *subject = json_text(named, "sub", NULL);
	const json_t *issuer = json_object_get(named, "iss");

	if (!named)
		return true;
	return subject && !strcmp(json_text(act, "sub", ""), subject) &&
	       (!issuer || json_equal(issuer, json_object_get(act, "iss")));
}

static enum attenuation compare_actors(const json_t *parent,
				       const json_t *child,
				       char why[ATTENUATE_WHY_MAX])
{
	const json_t *before = json_object_get(parent, "act");
	const json_t *act = json_object_get(child, "act");
	const char *subject = json_text(child, "sub", NULL);
	const char *was = json_text(parent, "sub", NULL);
	const char *fault = actors_fault(before);
	const json_t *inner = json_object_get(act, "act");
	bool preserved =
		before && act ? json_equal(before, act) : before == act;

	fault = fault ? fault : actors_fault(act);
	if (fault)
		return refuse(why, ATTENUATION_MALFORMED, "act: %s", fault);
	if (!subject || !was)
		return refuse(why, ATTENUATION_MALFORMED,
			      "a token has no subject");
	if (preserved && strcmp(subject, was) != 0)
		return refuse(why, ATTENUATION_SUB,
			      "the subject is another, and nobody acts for the "
			      "parent's");
	if (preserved)
		return ATTENUATION_HOLDS;
	if (!act || !nests(act, parent))
		return refuse(why, ATTENUATION_ACT,
			      "the chain is not the parent's with one actor "
			      "more");
	if (!may_act(act, parent))
		return refuse(why, ATTENUATION_ACT,
			      "the new actor is not the one that may act for "
			      "the parent");
	/* The subject stays, or becomes the new actor, with the one before next
	 * in the chain. */
	if (strcmp(subject, was) != 0 &&
	    (strcmp(subject, json_text(act, "sub", "")) != 0 ||
	     strcmp(json_text(inner, "sub", ""), was) != 0))
		return refuse(why, ATTENUATION_SUB,
			      "the subject is neither the parent's nor the new "
			      "actor, or the parent's is not in the chain");
	return ATTENUATION_HOLDS;
}

enum attenuation attenuates(const json_t *parent, const json_t *child,
			    char ret_why[ATTENUATE_WHY_MAX])
{
	static enum attenuation (*const rules[])(
		const json_t *parent, const json_t *child,
		char why[ATTENUATE_WHY_MAX]) = {
		compare_exp,	 compare_scope,	 compare_resource,
		compare_details, compare_actors,
	};

	ret_why[0] = '\0';
	if (!json_is_object(parent) || !json_is_object(child))
		return refuse(ret_why, ATTENUATION_MALFORMED,
			      "claims are no object");
	for (size_t i = 0; i < ARRAY_LEN(rules); i++) {
		enum attenuation result = rules[i](parent, child, ret_why);

		if (result != ATTENUATION_HOLDS)
			return result;
	}
	return ATTENUATION_HOLDS;
}
