#include "keeper/credential.h"

#include <stdarg.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/merkle.h"

enum {
	DIGEST_TEXT = 44, /* 32 bytes in base64 */
	SALT_TEXT = 43,	  /* 32 bytes in base64url */
	COMMITMENT_TEXT = 45,
	ID_MAX = 64,
	URI_MAX = 2048,
	SCOPE_MAX = 2048,
	AUDIENCES_MAX = 8,
	DETAILS_MAX = 16,
	PARTS_MAX = 16,
	ACTORS_MAX = 8,	  /* nested */
	BACKDATED_S = 30, /* a certificate, for hosts whose clock is late */
};

/* Milliseconds: the year 2248. */
#define AT_MAX (1LL << 43)

#define END                                                                    \
	{                                                                      \
		NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL                \
	}
#define TEXT(name, required, max)                                              \
	{                                                                      \
		name, SCHEMA_TEXT, required, 1, max, NULL, NULL, NULL          \
	}

/* ---- the request ---- */

static const struct schema node_row[] = {
	{ "node", SCHEMA_TEXT, true, DIGEST_TEXT, DIGEST_TEXT, NULL, NULL,
	  NULL },
	END,
};

const struct schema credential_rows[] = {
	TEXT("leaf", true, CREDENTIAL_LEAF_MAX),
	{ "index", SCHEMA_INT, true, 0, INT64_MAX - 1, NULL, NULL, NULL },
	{ "proof", SCHEMA_LIST, true, 0, MERKLE_PROOF_MAX, NULL, node_row,
	  NULL },
	{ "checkpoint", SCHEMA_TEXT, true, 1, NOTE_MAX, "multiline", NULL,
	  NULL },
	{ "salt", SCHEMA_TEXT, true, SALT_TEXT, SALT_TEXT, NULL, NULL, NULL },
	{ "payload", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	END,
};

PRINTF_LIKE(3, 4)
static void refuse(struct rpc_fault *fault, const char *reason,
		   const char *format, ...)
{
	char words[RPC_MESSAGE_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	discard(rpc_fault_set(fault, RPC_REFUSED, reason, "%s", words));
}

/* Whether value has the shape of rows; the place where not is told. */
static bool has_shape(const struct schema *rows, const json_t *value,
		      const char *reason, struct rpc_fault *fault)
{
	CLEANUP(json_put_p) json_t *faults = NULL;

	schema_check(rows, value, NULL, &faults);
	if (json_array_size(faults) == 0)
		return true;
	refuse(fault, reason, "at '%s'",
	       json_text(json_array_get(faults, 0), "at", "?"));
	return false;
}

/* Decodes exactly 32 bytes. */
static bool get_digest(const char *text,
		       int (*decode)(struct slice text, struct buf *b),
		       uint8_t ret_bytes[DIGEST_LEN])
{
	CLEANUP(buf_clear) struct buf bytes = BUF_INIT(DIGEST_LEN);

	if (decode(slice_str(text), &bytes) < 0 || bytes.len != DIGEST_LEN)
		return false;
	memcpy(ret_bytes, bytes.data, DIGEST_LEN);
	return true;
}

static bool is_included(const json_t *params, const struct checkpoint *head)
{
	const json_t *proof = json_array_in(params, "proof");
	uint64_t index = (uint64_t)json_int(params, "index", 0);
	struct digest leaf =
		merkle_leaf(slice_str(json_text(params, "leaf", "")));
	struct merkle_proof nodes = { 0 };

	for (size_t i = 0; i < json_array_size(proof); i++) {
		const char *node = json_string_value(json_array_get(proof, i));

		if (!get_digest(node, text_from_base64, nodes.nodes[i].bytes))
			return false;
		nodes.count++;
	}
	return index < head->size &&
	       merkle_inclusion_holds(index, head->size, &leaf, nodes.nodes,
				      nodes.count, &head->root);
}

/* ---- the leaf ---- */

static const struct schema commitment_row[] = {
	{ "commitment", SCHEMA_TEXT, true, COMMITMENT_TEXT, COMMITMENT_TEXT,
	  NULL, NULL, NULL },
	END,
};

/* Others may stand beside them. */
static const struct schema leaf_rows[] = {
	{ "v", SCHEMA_INT, true, 1, 1, NULL, NULL, NULL },
	{ "kind", SCHEMA_ENUM, true, 0, 0, "issued", NULL, NULL },
	{ "form", SCHEMA_ENUM, true, 0, 0, "token|ssh", NULL, NULL },
	TEXT("about", true, ID_MAX),
	TEXT("task", true, ID_MAX),
	{ "at", SCHEMA_INT, true, 0, AT_MAX, NULL, NULL, NULL },
	{ "expires", SCHEMA_INT, true, 1, AT_MAX / 1000, NULL, NULL, NULL },
	{ "commit", SCHEMA_LIST, true, 1, PARTS_MAX, NULL, commitment_row,
	  NULL },
	END,
};

static json_t *known_members(const json_t *leaf)
{
	json_t *known = json_object();

	for (const struct schema *row = leaf_rows; row->name; row++)
		json_pick(known, leaf, &row->name, 1);
	return known;
}

static bool read_leaf(const char *text, const char *form,
		      struct credential *credential, struct rpc_fault *fault)
{
	CLEANUP(json_put_p) json_t *known = NULL;

	if (json_parse(slice_str(text), CREDENTIAL_LEAF_MAX,
		       &credential->leaf) < 0) {
		refuse(fault, "leaf", "it is no JSON");
		return false;
	}
	known = known_members(credential->leaf);
	if (!has_shape(leaf_rows, known, "leaf", fault))
		return false;
	if (strcmp(json_text(known, "form", ""), form) != 0) {
		refuse(fault, "leaf", "it is of another form");
		return false;
	}
	credential->id = json_text(credential->leaf, "about", "");
	credential->task = json_text(credential->leaf, "task", "");
	credential->made = json_int(credential->leaf, "at", 0) / 1000;
	credential->expires = json_int(credential->leaf, "expires", 0);
	return true;
}

/* Whether the payload is what the leaf's first commitment is of. */
static bool is_committed(const json_t *leaf, const json_t *payload,
			 const char *salt)
{
	static const char label[] = "evc1";
	CLEANUP(buf_clear) struct buf text = BUF_INIT(CREDENTIAL_PAYLOAD_MAX);
	const char *commitment = json_string_value(
		json_array_get(json_array_in(leaf, "commit"), 0));
	CLEANUP(mem_free_p) char *said = NULL;
	uint8_t bytes[DIGEST_LEN];
	struct slice parts[3];
	struct digest digest;

	if (!get_digest(salt, text_from_base64url, bytes) ||
	    json_put_canonical(&text, payload) < 0 || text.overflow)
		return false;
	parts[0] = slice_of(label, sizeof(label)); /* with its NUL */
	parts[1] = slice_of(bytes, sizeof(bytes));
	parts[2] = buf_slice(&text);
	digest = digest_of_parts(parts, ARRAY_LEN(parts));
	said = text_base64url(digest_slice(&digest));
	return !strncmp(commitment, "c:", 2) && !strcmp(commitment + 2, said);
}

static bool is_in_time(const struct credential *c, int64_t life,
		       struct rpc_fault *fault)
{
	int64_t now = clock_wall_ms() / 1000;

	if (c->made > now + CREDENTIAL_SKEW_S)
		refuse(fault, "time", "the leaf is of the future");
	else if (c->expires <= now)
		refuse(fault, "expired", "its time is over");
	else if (c->expires <= c->made || c->expires - c->made > life)
		refuse(fault, "time", "it may live %lld s at most",
		       (long long)life);
	return !fault->code;
}

static void open_leaf(const json_t *params, const struct checkpoint *head,
		      const char *form, int64_t life, struct credential *c,
		      struct rpc_fault *fault)
{
	if (!is_included(params, head)) {
		refuse(fault, "inclusion", "the leaf is not in the log");
		return;
	}
	if (!read_leaf(json_text(params, "leaf", ""), form, c, fault))
		return;
	c->index = (uint64_t)json_int(params, "index", 0);
	c->payload = json_object_get(params, "payload");
	if (!is_committed(c->leaf, c->payload, json_text(params, "salt", "")))
		refuse(fault, "payload", "the leaf does not commit to it");
	else
		discard(is_in_time(c, life, fault));
}

void credential_open(const json_t *params, const struct checkpoint *head,
		     const char *form, int64_t life,
		     struct credential *ret_credential, struct rpc_fault *fault)
{
	CLEANUP(credential_clear) struct credential c = { 0 };

	open_leaf(params, head, form, life, &c, fault);
	if (fault->code)
		return;
	*ret_credential = c;
	c.leaf = NULL;
}

void credential_clear(struct credential *credential)
{
	json_decref(credential->leaf);
	credential->leaf = NULL;
}

/* ---- access tokens ---- */

static const struct schema any_row[] = {
	{ "value", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	END,
};

static const struct schema audience_row[] = {
	TEXT("audience", true, URI_MAX),
	END,
};

static const struct schema audiences_rows[] = {
	{ "aud", SCHEMA_LIST, true, 1, AUDIENCES_MAX, NULL, audience_row,
	  NULL },
	END,
};

/* What the token is bound to: one of them (RFC 9449, 6.1; RFC 8705, 3.1). */
static const struct schema binding_rows[] = {
	{ "jkt", SCHEMA_TEXT, false, SALT_TEXT, SALT_TEXT, NULL, NULL, NULL },
	{ "x5t#S256", SCHEMA_TEXT, false, SALT_TEXT, SALT_TEXT, NULL, NULL,
	  NULL },
	END,
};

static const struct schema actor_rows[] = {
	TEXT("sub", true, URI_MAX),
	TEXT("iss", true, URI_MAX),
	TEXT("sub_profile", false, 128),
	{ "act", SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
	END,
};

static const struct schema token_rows[] = {
	TEXT("iss", true, URI_MAX),
	TEXT("sub", true, URI_MAX),
	{ "aud", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	TEXT("client_id", true, URI_MAX),
	TEXT("scope", false, SCOPE_MAX),
	{ "authorization_details", SCHEMA_LIST, false, 1, DETAILS_MAX, NULL,
	  any_row, NULL },
	{ "act", SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
	{ "cnf", SCHEMA_OBJECT, false, 0, 0, NULL, binding_rows, NULL },
	END,
};

static bool is_audience(const json_t *payload)
{
	static const char *const name = "aud";
	CLEANUP(json_put_p) json_t *only = json_object();
	CLEANUP(json_put_p) json_t *faults = NULL;
	const char *one = json_text(payload, name, NULL);

	json_pick(only, payload, &name, 1);
	/* One text, or a list of them. */
	if (one)
		json_set_new(only, name, json_pack("[s]", one));
	schema_check(audiences_rows, only, NULL, &faults);
	return json_array_size(faults) == 0;
}

/* Each actor names itself and who says so, to a depth. */
static bool are_actors(const json_t *actor, struct rpc_fault *fault)
{
	for (int depth = 0; actor; depth++) {
		if (depth == ACTORS_MAX) {
			refuse(fault, "payload", "more than %d actors",
			       ACTORS_MAX);
			return false;
		}
		if (!has_shape(actor_rows, actor, "payload", fault))
			return false;
		actor = json_object_get(actor, "act");
	}
	return true;
}

static bool are_details(const json_t *details)
{
	for (size_t i = 0; i < json_array_size(details); i++)
		if (!json_text(json_array_get(details, i), "type", NULL))
			return false;
	return true;
}

static void check_token(const json_t *payload, struct rpc_fault *fault)
{
	const json_t *binding = json_object_get(payload, "cnf");

	if (!has_shape(token_rows, payload, "payload", fault))
		return;
	if (!is_audience(payload))
		refuse(fault, "payload", "aud is a text or a list of them");
	else if (!are_details(json_array_in(payload, "authorization_details")))
		refuse(fault, "payload", "a detail has no type");
	else if (binding && json_object_size(binding) != 1)
		refuse(fault, "payload", "cnf is one binding");
	else
		discard(are_actors(json_object_get(payload, "act"), fault));
}

int credential_token(const struct credential *credential,
		     const struct es256_key *key, struct buf *out,
		     struct rpc_fault *fault)
{
	CLEANUP(json_put_p) json_t *claims = json_object();

	check_token(credential->payload, fault);
	if (fault->code)
		return 0;
	for (const struct schema *row = token_rows; row->name; row++)
		json_pick(claims, credential->payload, &row->name, 1);
	json_set_int(claims, "exp", credential->expires);
	json_set_int(claims, "iat", credential->made);
	json_set_text(claims, "jti", credential->id);
	json_set_text(claims, "writ_task", credential->task);
	json_set_int(claims, "writ_leaf", (int64_t)credential->index);
	return es256_token(key, "at+jwt", claims, out);
}

/* ---- SSH certificates ---- */

static const struct schema principal_row[] = {
	TEXT("principal", true, SSHCERT_NAME_MAX),
	END,
};

static const struct schema permit_row[] = {
	TEXT("permit", true, 32),
	END,
};

static const struct schema ssh_rows[] = {
	TEXT("publicKey", true, SSHSIG_KEY_MAX - 1),
	{ "principals", SCHEMA_LIST, true, 1, SSHCERT_PRINCIPALS_MAX, NULL,
	  principal_row, NULL },
	TEXT("sourceAddress", false, SSHCERT_SOURCES_MAX),
	TEXT("forceCommand", false, SSHCERT_COMMAND_MAX),
	{ "permit", SCHEMA_LIST, false, 0, 8, NULL, permit_row, NULL },
	END,
};

static bool read_permits(const json_t *names, unsigned *ret_permits)
{
	*ret_permits = 0;
	for (size_t i = 0; i < json_array_size(names); i++) {
		unsigned flag = sshcert_permit_find(
			json_string_value(json_array_get(names, i)));

		if (!flag)
			return false;
		*ret_permits |= flag;
	}
	return true;
}

/* Reads what the payload says into cert, which borrows from it. */
static bool read_ssh(const json_t *payload, struct ssh_key *key,
		     const char *principals[SSHCERT_PRINCIPALS_MAX],
		     struct sshcert *cert, struct rpc_fault *fault)
{
	const json_t *names;

	if (!has_shape(ssh_rows, payload, "payload", fault))
		return false;
	if (ssh_key_parse(json_text(payload, "publicKey", ""), key) < 0) {
		refuse(fault, "payload", "%s", error_message());
		return false;
	}
	if (!read_permits(json_array_in(payload, "permit"), &cert->permits)) {
		refuse(fault, "payload", "nothing of this name is permitted");
		return false;
	}
	names = json_array_in(payload, "principals");
	for (size_t i = 0; i < json_array_size(names); i++)
		principals[i] = json_string_value(json_array_get(names, i));
	cert->key = key;
	cert->principals = principals;
	cert->principal_count = json_array_size(names);
	cert->sources = json_text(payload, "sourceAddress", NULL);
	cert->command = json_text(payload, "forceCommand", NULL);
	return true;
}

int credential_ssh(const struct credential *credential,
		   const struct sshcert_authority *authority, struct buf *out,
		   struct rpc_fault *fault)
{
	CLEANUP(mem_free_p)
	char *id = mem_format("%s/%s", credential->task, credential->id);
	const char *principals[SSHCERT_PRINCIPALS_MAX];
	struct ssh_key key;
	struct sshcert cert = {
		.serial = credential->index,
		.id = id,
		.valid_after = credential->made > BACKDATED_S
				       ? credential->made - BACKDATED_S
				       : 0,
		.valid_before = credential->expires,
	};
	int r;

	if (!read_ssh(credential->payload, &key, principals, &cert, fault))
		return 0;
	r = sshcert_sign(authority, &cert, out);
	if (r == ERR_SYNTAX) {
		refuse(fault, "payload", "%s", error_message());
		return 0;
	}
	return r;
}
