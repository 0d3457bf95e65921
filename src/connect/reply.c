#include "connect/reply.h"

#include <stdarg.h>

#include "base/error.h"
#include "base/frame.h"
#include "base/schema.h"

/* The same limits as in protocol.c hold for what undo names. */
static const struct schema any_value[] = {
	{ "any", SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema undo_rows[] = {
	{ "action", SCHEMA_TEXT, true, 1, 64, NULL, NULL, NULL },
	{ "resource", SCHEMA_TEXT, true, 1, 8 * 1024, NULL, NULL, NULL },
	{ "parameters", SCHEMA_MAP, true, 0, 256, NULL, any_value, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema data_rows[] = {
	{ "reason", SCHEMA_TEXT, true, 1, REPLY_REASON_MAX - 1, NULL, NULL,
	  NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

static const struct schema error_rows[] = {
	{ "code", SCHEMA_INT, true, INT32_MIN, INT32_MAX, NULL, NULL, NULL },
	{ "message", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	{ "data", SCHEMA_OBJECT, true, 0, 0, NULL, data_rows, NULL },
	{ NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
};

PRINTF_LIKE(2, 3)
static bool malformed(struct reply *reply, const char *format, ...)
{
	va_list args;

	reply->kind = REPLY_MALFORMED;
	va_start(args, format);
	vsnprintf(reply->detail, sizeof(reply->detail), format, args);
	va_end(args);
	return false;
}

/* True when value has the shape of rows; otherwise says where it has not. */
static bool has_shape(struct reply *reply, const struct schema *rows,
		      const json_t *value, const char *what)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *fault;

	schema_check(rows, value, NULL, &faults);
	if (json_array_size(faults) == 0)
		return true;
	fault = json_array_get(faults, 0);
	return malformed(reply, "%s: %s: %s", what, json_text(fault, "at", "?"),
			 json_text(fault, "detail", "?"));
}

/* A reason is a word: it becomes part of states and metrics. */
static bool is_reason(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz-");

	return len > 0 && len < REPLY_REASON_MAX && text[len] == '\0';
}

static bool take_words(struct reply *reply, const char *reason,
		       const char *detail)
{
	if (!reason || !is_reason(reason))
		return malformed(reply, "a reason that is no word");
	snprintf(reply->reason, sizeof(reply->reason), "%s", reason);
	snprintf(reply->detail, sizeof(reply->detail), "%s",
		 detail ? detail : "");
	return true;
}

/* Words of an apply's result stand only beside "refused", and must there. */
static bool apply_holds(struct reply *reply, const json_t *result)
{
	const char *reason = json_text(result, "reason", NULL);
	bool refused = !strcmp(json_text(result, "result", ""), "refused");

	if (!refused && reason)
		return malformed(reply, "a reason without a refusal");
	if (refused && json_object_get(result, "observed"))
		return malformed(reply, "a refusal with an effect");
	if (json_object_get(result, "secret") &&
	    strcmp(json_text(result, "result", ""), "applied") != 0)
		return malformed(reply, "a secret without an effect");
	if (!refused)
		return true;
	return take_words(reply, reason, json_text(result, "detail", ""));
}

static bool plan_holds(struct reply *reply, const json_t *result)
{
	const json_t *undo = json_object_get(result, "undo");

	return json_is_null(undo) || has_shape(reply, undo_rows, undo, "undo");
}

static bool describe_holds(struct reply *reply, const json_t *result)
{
	struct digest build;

	if (digest_parse(json_text(result, "build", ""), &build) < 0)
		return malformed(reply, "build is no digest");
	return true;
}

/* What a shape cannot say, by method; NULL where it says all. */
static bool (*const holds[CONNECT_METHOD_COUNT])(struct reply *,
						 const json_t *) = {
	[CONNECT_DESCRIBE] = describe_holds,
	[CONNECT_PLAN] = plan_holds,
	[CONNECT_APPLY] = apply_holds,
};

static bool take_result(struct reply *reply, enum connect_method method,
			json_t *result)
{
	if (!has_shape(reply, connect_method_result(method), result, "result"))
		return false;
	if (holds[method] && !holds[method](reply, result))
		return false;
	reply->kind = REPLY_RESULT;
	reply->result = json_incref(result);
	return true;
}

static bool take_error(struct reply *reply, const json_t *error)
{
	if (!has_shape(reply, error_rows, error, "error"))
		return false;
	if (!json_text(error, "message", NULL))
		return malformed(reply, "error: no message");
	reply->kind = REPLY_ERROR;
	return take_words(
		reply, json_text(json_object_in(error, "data"), "reason", NULL),
		json_text(error, "message", NULL));
}

/* True when message is the envelope of an answer to id. */
static bool is_answer(struct reply *reply, const json_t *message, int64_t id)
{
	const json_t *answered = json_object_get(message, "id");
	bool has_result = json_object_get(message, "result") != NULL;
	bool has_error = json_object_get(message, "error") != NULL;

	if (!json_is_object(message) || json_object_size(message) != 3 ||
	    strcmp(json_text(message, "jsonrpc", ""), "2.0") != 0 ||
	    has_result == has_error)
		return malformed(reply, "not a JSON-RPC 2.0 answer");
	if (!json_is_integer(answered) || json_integer_value(answered) != id)
		return malformed(reply, "answers what was not asked");
	return true;
}

void reply_parse(struct slice body, enum connect_method method, int64_t id,
		 struct reply *ret_reply)
{
	CLEANUP(json_put_p) json_t *message = NULL;
	json_t *result;

	*ret_reply = (struct reply){ .kind = REPLY_MALFORMED };
	if (json_parse(body, FRAME_MAX, &message) < 0) {
		discard(malformed(ret_reply, "%s", error_message()));
		return;
	}
	if (!is_answer(ret_reply, message, id))
		return;
	result = json_object_get(message, "result");
	if (result)
		discard(take_result(ret_reply, method, result));
	else
		discard(take_error(ret_reply,
				   json_object_get(message, "error")));
}

void reply_clear(struct reply *reply)
{
	json_decref(reply->result);
	reply->result = NULL;
}
