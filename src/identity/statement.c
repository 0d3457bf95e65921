#include "identity/statement.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/reader.h"
#include "base/text.h"

enum {
	NONCE_BYTES = 16,
	NONCE_LEN = 2 * NONCE_BYTES, /* hex digits */
	AUTHORITY_MAX = 255,	     /* bytes */
	ID_TEXT_MAX = ID_MAX - 1,
	DIGEST_LEN_TEXT = DIGEST_TEXT_LEN - 1,
	REASON_MAX = 2000,    /* bytes */
	RESOURCE_MAX = 2048,  /* bytes */
	REFERENCE_MAX = 1024, /* bytes */
	WORDS_MAX = 8000,     /* bytes of a voucher's text */
};

/* The members of each type.  min and max are bytes of the text. */

#define TEXT(name, min, max)                                                   \
	{                                                                      \
		name, SCHEMA_TEXT, true, min, max                              \
	}
#define NAME(name)                                                             \
	{                                                                      \
		name, SCHEMA_NAME, true                                        \
	}
#define CHOICE(name, words)                                                    \
	{                                                                      \
		name, SCHEMA_ENUM, true, 0, 0, words                           \
	}
#define DIGEST TEXT("digest", DIGEST_LEN_TEXT, DIGEST_LEN_TEXT)
#define REASON TEXT("reason", 0, REASON_MAX)
/* What every statement has, and the end of the table. */
#define COMMON_OF(signer)                                                      \
	TEXT("type", 1, 32), TEXT("authority", 1, AUTHORITY_MAX),              \
		NAME(signer), { "at", SCHEMA_TIME, true },                     \
		TEXT("nonce", NONCE_LEN, NONCE_LEN),                           \
	{                                                                      \
		NULL                                                           \
	}
#define COMMON COMMON_OF("human")
#define COMMON_DETECTOR COMMON_OF("detector")

static const struct schema rows_LOGIN[] = { COMMON };

static const struct schema rows_APPROVAL[] = {
	TEXT("request", 1, ID_TEXT_MAX),    DIGEST, NAME("group"),
	CHOICE("decision", "approve|deny"), REASON, COMMON,
};

static const struct schema rows_ADOPT[] = {
	TEXT("request", 1, ID_TEXT_MAX),
	DIGEST,
	{ "task", SCHEMA_TEXT, false, 1, ID_TEXT_MAX },
	COMMON,
};

static const struct schema rows_RESOLVE[] = {
	TEXT("request", 1, ID_TEXT_MAX),
	CHOICE("outcome", "applied|not-applied"),
	REASON,
	COMMON,
};

static const struct schema rows_VOUCHER[] = {
	CHOICE("kind", "ticket|justification|change_plan|rollback_plan|"
		       "risk_report|owner_ack|session_recording"),
	TEXT("action", 1, 64),
	NAME("target"),
	TEXT("resource", 1, RESOURCE_MAX),
	TEXT("reference", 0, REFERENCE_MAX),
	TEXT("text", 0, WORDS_MAX),
	{ "expires", SCHEMA_TIME, true },
	COMMON,
};

static const struct schema rows_CHANGE[] = { DIGEST, COMMON };

static const struct schema rows_ACTIVATE[] = { DIGEST, COMMON };

static const struct schema rows_CONTAIN[] = {
	CHOICE("kind", "agent|task"),
	TEXT("name", 1, 63),
	REASON,
	COMMON,
};

static const struct schema rows_RELEASE[] = {
	TEXT("containment", 1, ID_TEXT_MAX),
	REASON,
	COMMON,
};

static const struct schema rows_DRILL[] = { NAME("target"), COMMON };

static const struct schema rows_DISCLOSE[] = {
	{ "index", SCHEMA_INT, true, 0, INT64_MAX },
	TEXT("part", 1, 64),
	REASON,
	COMMON,
};

/* "human:NAME" or "agent:NAME". */
static const struct schema rows_ERASE[] = {
	TEXT("subject", 7, 80),
	REASON,
	COMMON,
};

static const struct schema rows_NOTICE[] = {
	TEXT("notification", 1, ID_TEXT_MAX),
	CHOICE("act", "retry|drop"),
	COMMON,
};

static const struct schema rows_EXCEPTION[] = {
	TEXT("task", 1, ID_TEXT_MAX),
	{ "tierCap", SCHEMA_INT, true, 0, 3 },
	{ "expires", SCHEMA_TIME, true },
	TEXT("reason", 3, REASON_MAX),
	COMMON,
};

static const struct schema rows_REVOKE[] = {
	TEXT("exception", 1, ID_TEXT_MAX),
	REASON,
	COMMON,
};

static const struct schema rows_END_GRANT[] = {
	TEXT("grant", 1, ID_TEXT_MAX),
	REASON,
	COMMON,
};

static const struct schema rows_SIGNAL[] = {
	NAME("kind"),
	CHOICE("subject", "agent|task|resource"),
	TEXT("name", 1, RESOURCE_MAX),
	{ "target", SCHEMA_NAME, false },
	{ "score", SCHEMA_INT, true, 0, 100 },
	{ "expires", SCHEMA_TIME, true },
	REASON,
	COMMON_DETECTOR,
};

static const struct schema rows_HEARTBEAT[] = { COMMON_DETECTOR };

struct type_row {
	const char *name;
	const char *namespace;
	const struct schema *rows;
};

/* The columns of STATEMENT_TYPES and the tables above, by name. */
static const struct type_row types[] = {
#define TYPE_ROW(id, text, space) [STATEMENT_##id] = { text, space, rows_##id },
	STATEMENT_TYPES(TYPE_ROW)
#undef TYPE_ROW
};

const char *statement_type_name(enum statement_type type)
{
	return types[type].name;
}

const char *statement_namespace(enum statement_type type)
{
	return types[type].namespace;
}

static const char *const verdict_names[] = {
	[STATEMENT_VALID] = "valid",
	[STATEMENT_MALFORMED] = "malformed",
	[STATEMENT_WRONG_TYPE] = "wrong-type",
	[STATEMENT_ELSEWHERE] = "other-authority",
	[STATEMENT_STALE] = "stale",
	[STATEMENT_UNKNOWN] = "unknown-signer",
	[STATEMENT_SIGNATURE] = "signature",
};

const char *statement_verdict_name(enum statement_verdict verdict)
{
	size_t i = (size_t)verdict;

	return i < ARRAY_LEN(verdict_names) ? verdict_names[i] : "?";
}

const char *statement_signer(enum statement_type type)
{
	return type == STATEMENT_SIGNAL || type == STATEMENT_HEARTBEAT
		       ? "detector"
		       : "human";
}

json_t *statement_new(enum statement_type type, const char *authority,
		      const char *human, int64_t now_ms)
{
	json_t *body = json_object();
	uint8_t random[NONCE_BYTES];
	CLEANUP(mem_free_p) char *nonce = NULL;

	random_bytes(random, sizeof(random));
	nonce = text_hex(slice_of(random, sizeof(random)));
	json_set_text(body, "type", statement_type_name(type));
	json_set_text(body, "authority", authority);
	json_set_text(body, statement_signer(type), human);
	json_set_time(body, "at", now_ms);
	json_set_text(body, "nonce", nonce);
	return body;
}

static bool is_nonce(const char *text)
{
	return strlen(text) == NONCE_LEN &&
	       strspn(text, "0123456789abcdef") == NONCE_LEN;
}

/* Where the schema says text, these say more. */
static bool members_are_right(enum statement_type type, const json_t *body)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	const char *digest = json_text(body, "digest", NULL);
	struct digest ignored;

	schema_check(types[type].rows, body, NULL, &faults);
	if (json_array_size(faults))
		return false;
	if (!is_nonce(json_text(body, "nonce", "")))
		return false;
	return !digest || digest_parse(digest, &ignored) == 0;
}

/* The signed form: two texts and nothing else. */
static bool read_form(const json_t *form, const char **ret_text,
		      const char **ret_signature)
{
	*ret_text = json_text(form, "statement", NULL);
	*ret_signature = json_text(form, "signature", NULL);
	return json_object_size(form) == 2 && *ret_text && *ret_signature &&
	       strlen(*ret_text) <= STATEMENT_MAX &&
	       strlen(*ret_signature) <= SSHSIG_ARMOR_MAX;
}

/* Parses text, which must be the one canonical form of what it says. */
static bool read_body(const char *text, json_t **ret_body)
{
	CLEANUP(json_put_p) json_t *body = NULL;
	CLEANUP(mem_free_p) char *canonical = NULL;

	if (json_parse(slice_str(text), STATEMENT_MAX, &body) < 0 ||
	    !json_is_object(body))
		return false;
	canonical = json_canonical(body);
	if (strcmp(canonical, text) != 0)
		return false;
	*ret_body = TAKE(body);
	return true;
}

bool statement_claims(const json_t *signed_form, enum statement_type type)
{
	CLEANUP(json_put_p) json_t *body = NULL;
	const char *text;
	const char *signature;

	return read_form(signed_form, &text, &signature) &&
	       json_parse(slice_str(text), STATEMENT_MAX, &body) == 0 &&
	       !strcmp(json_text(body, "type", ""), statement_type_name(type));
}

static bool is_fresh(const json_t *body, int64_t now_ms)
{
	int64_t at;

	if (clock_parse(json_text(body, "at", ""), &at) < 0)
		return false;
	return at >= now_ms - STATEMENT_AGE_MAX_MS &&
	       at <= now_ms + STATEMENT_AGE_MAX_MS;
}

static enum statement_verdict check_body(const json_t *body,
					 enum statement_type wanted,
					 const char *authority, int64_t now_ms)
{
	const char *type = json_text(body, "type", NULL);

	if (!type)
		return STATEMENT_MALFORMED;
	if (strcmp(type, statement_type_name(wanted)) != 0)
		return STATEMENT_WRONG_TYPE;
	if (!members_are_right(wanted, body))
		return STATEMENT_MALFORMED;
	if (strcmp(json_text(body, "authority", ""), authority) != 0)
		return STATEMENT_ELSEWHERE;
	return is_fresh(body, now_ms) ? STATEMENT_VALID : STATEMENT_STALE;
}

static const char armor_begin[] = "-----BEGIN SSH SIGNATURE-----";
static const char armor_end[] = "-----END SSH SIGNATURE-----";

/*
 * The public key that the signature itself names (PROTOCOL.sshsig).  It is only
 * a hint which of the human's keys to try; empty if it cannot be found.
 */
static struct slice signing_key(const char *armored, struct buf *raw)
{
	CLEANUP(buf_clear) struct buf base64 = BUF_INIT(SSHSIG_ARMOR_MAX);
	const char *at = strstr(armored, armor_begin);
	const char *end = at ? strstr(at, armor_end) : NULL;
	struct reader r;

	if (!end)
		return slice_of(NULL, 0);
	for (at += strlen(armor_begin); at < end; at++) {
		if (*at != '\n' && *at != '\r')
			buf_put(&base64, slice_of(at, 1));
	}
	if (text_from_base64(buf_slice(&base64), raw) < 0)
		return slice_of(NULL, 0);
	r = reader_of(buf_slice(raw));
	if (!slice_is(reader_bytes(&r, 6), "SSHSIG") || reader_u32(&r) != 1)
		return slice_of(NULL, 0);
	return reader_string(&r);
}

/* Finds the line of lines that holds the key blob. */
static bool find_key(const json_t *lines, struct slice blob,
		     struct ssh_key *ret_key)
{
	const json_t *line;
	size_t i;

	json_array_foreach(lines, i, line) {
		const char *text = json_string_value(line);

		if (text && ssh_key_parse(text, ret_key) == 0 &&
		    slice_equals(blob,
				 slice_of(ret_key->blob, ret_key->blob_len)))
			return true;
	}
	return false;
}

static void set_fingerprint(struct statement *s, const struct ssh_key *key)
{
	CLEANUP(mem_free_p) char *text = ssh_key_fingerprint(key);

	snprintf(s->fingerprint, sizeof(s->fingerprint), "%s", text);
}

/* Verifies s->signature over s->text with the key of lines that made it. */
static enum statement_verdict
check_signature(struct statement *s, const char *namespace, const json_t *lines)
{
	CLEANUP(buf_clear) struct buf raw = BUF_INIT(SSHSIG_ARMOR_MAX);
	struct slice blob = signing_key(s->signature, &raw);
	struct sshsig_outcome outcome;
	struct ssh_key key;

	if (!blob.len)
		return STATEMENT_MALFORMED;
	if (!lines || !find_key(lines, blob, &key))
		return STATEMENT_UNKNOWN;
	outcome = sshsig_verify(slice_str(s->signature), namespace,
				slice_str(s->text), &key);
	if (!outcome.valid)
		return STATEMENT_SIGNATURE;
	set_fingerprint(s, &key);
	s->step_up =
		key.hardware && outcome.user_present && outcome.user_verified;
	return STATEMENT_VALID;
}

/* ---- what is wrong with a form ---- */

static void add_fault(json_t *faults, const char *at, const char *detail)
{
	json_t *fault = json_object();

	json_set_text(fault, "at", at);
	json_set_text(fault, "detail", detail);
	json_array_append_new(faults, fault);
}

/* The schema's faults, their places below "/statement". */
static void member_faults(enum statement_type type, const json_t *body,
			  json_t *faults)
{
	CLEANUP(json_put_p) json_t *found = NULL;
	const char *digest = json_text(body, "digest", NULL);
	const json_t *fault;
	struct digest ignored;
	size_t at;

	schema_check(types[type].rows, body, NULL, &found);
	json_array_foreach(found, at, fault) {
		CLEANUP(mem_free_p)
		char *place =
			mem_format("/statement%s", json_text(fault, "at", ""));

		add_fault(faults, place, json_text(fault, "detail", ""));
	}
	if (!is_nonce(json_text(body, "nonce", "")))
		add_fault(faults, "/statement/nonce", "is 32 hex digits");
	if (digest && digest_parse(digest, &ignored) < 0)
		add_fault(faults, "/statement/digest",
			  "is sha256: and 64 hex digits");
}

static void text_faults(enum statement_type type, const char *text,
			json_t *faults)
{
	CLEANUP(json_put_p) json_t *body = NULL;
	CLEANUP(mem_free_p) char *canonical = NULL;

	if (json_parse(slice_str(text), STATEMENT_MAX, &body) < 0 ||
	    !json_is_object(body)) {
		add_fault(faults, "/statement",
			  "is not the text of a JSON "
			  "object");
		return;
	}
	canonical = json_canonical(body);
	if (strcmp(canonical, text) != 0)
		add_fault(faults, "/statement",
			  "is not in canonical form (RFC 8785)");
	if (!json_text(body, "type", NULL))
		add_fault(faults, "/statement/type", "is required");
	else
		member_faults(type, body, faults);
}

json_t *statement_faults(const json_t *signed_form, enum statement_type wanted)
{
	CLEANUP(buf_clear) struct buf raw = BUF_INIT(SSHSIG_ARMOR_MAX);
	const char *signature;
	const char *text;
	json_t *faults = json_array();

	if (!read_form(signed_form, &text, &signature)) {
		add_fault(faults, "",
			  "is {\"statement\", \"signature\"}, two texts");
		return faults;
	}
	text_faults(wanted, text, faults);
	if (!signing_key(signature, &raw).len)
		add_fault(faults, "/signature",
			  "is not an armored SSH signature: its begin, end or "
			  "base64");
	return faults;
}

enum statement_verdict statement_verify(const json_t *signed_form,
					enum statement_type wanted,
					const char *authority, int64_t now_ms,
					statement_keys_fn keys, void *cookie,
					struct statement *ret_statement)
{
	CLEANUP(statement_clear) struct statement s = { 0 };
	const char *text, *signature;
	enum statement_verdict verdict;

	if (!read_form(signed_form, &text, &signature) ||
	    !read_body(text, &s.body))
		return STATEMENT_MALFORMED;
	verdict = check_body(s.body, wanted, authority, now_ms);
	if (verdict != STATEMENT_VALID)
		return verdict;
	s.text = mem_str(text);
	s.signature = mem_str(signature);
	s.human = json_text(s.body, statement_signer(wanted), "");
	s.nonce = json_text(s.body, "nonce", "");
	verdict = check_signature(&s, statement_namespace(wanted),
				  keys(cookie, s.human));
	if (verdict != STATEMENT_VALID)
		return verdict;
	*ret_statement = s;
	s = (struct statement){ 0 };
	return STATEMENT_VALID;
}

void statement_clear(struct statement *s)
{
	json_decref(s->body);
	free(s->text);
	free(s->signature);
	*s = (struct statement){ 0 };
}
