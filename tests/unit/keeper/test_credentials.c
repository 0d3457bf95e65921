/* Credentials from a whole keeper, for leaves of a log that it signed. */
#include "keeper/requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/jose.h"
#include "crypto/merkle.h"
#include "keeper/credential.h"

enum { LEAVES = 2 * ISSUED_MAX, TOGETHER = 4 };

#define ORIGIN "writ.example/log"
#define PUBLIC_KEY                                                             \
	"ssh-ed25519 "                                                         \
	"AAAAC3NzaC1lZDI1NTE5AAAAIEX/"                                         \
	"dQ0v4127bEo8eeG1EV0ApO2lWbSnN6RWusn/NjqI"
#define THUMBPRINT "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"

static const int64_t now_s = 1795000000;
static char folder[] = "/tmp/test-credentials-XXXXXX";
static struct keeper keeper;

/* The keeper's clock, and its disk. */
static int64_t clock_ms;
static bool sync_fails;
static int syncs;
int64_t __wrap_clock_wall_ms(void);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int64_t __wrap_clock_wall_ms(void)
{
	return clock_ms;
}

int __wrap_fdatasync(int fd)
{
	syncs++;
	return sync_fails ? -1 : __real_fdatasync(fd);
}

/* ---- a log ---- */

static char *leaves[LEAVES]; /* owned */
static size_t leaf_count;
static char *note; /* owned; of the checkpoint of all of them */

static int node_of(void *cookie, unsigned level, uint64_t index,
		   struct digest *ret_node)
{
	struct digest left, right;

	if (level == 0) {
		*ret_node = merkle_leaf(slice_str(leaves[index]));
		return 0;
	}
	TRY(node_of(cookie, level - 1, 2 * index, &left));
	TRY(node_of(cookie, level - 1, 2 * index + 1, &right));
	*ret_node = merkle_node(&left, &right);
	return 0;
}

static struct digest root_of_all(void)
{
	struct merkle_frontier f = { 0 };

	for (size_t i = 0; i < leaf_count; i++) {
		struct digest leaf = merkle_leaf(slice_str(leaves[i]));

		merkle_frontier_add(&f, &leaf);
	}
	return merkle_frontier_root(&f);
}

static const char salt[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/* The commitment to a payload under that salt; owned. */
static char *commitment_of(const json_t *payload)
{
	static const uint8_t zeros[DIGEST_LEN];
	CLEANUP(mem_free_p) char *text = json_canonical(payload);
	const struct slice parts[] = { slice_of("evc1", 5),
				       slice_of(zeros, sizeof(zeros)),
				       slice_str(text) };
	struct digest digest = digest_of_parts(parts, ARRAY_LEN(parts));
	CLEANUP(mem_free_p) char *said = text_base64url(digest_slice(&digest));

	return mem_format("c:%s", said);
}

/* An "issued" leaf of a form that lives so many seconds; owned. */
static json_t *leaf_value(const char *form, const json_t *payload, int64_t life)
{
	CLEANUP(mem_free_p) char *commitment = commitment_of(payload);

	return json_pack("{s:i,s:s,s:s,s:s,s:s,s:I,s:I,s:[s],s:s}", "v", 1,
			 "kind", "issued", "form", form, "about", "crd_1",
			 "task", "tsk_1", "at", now_s * 1000, "expires",
			 now_s + life, "commit", commitment, "more", "x");
}

/* Appends a leaf; its index. */
static uint64_t add_leaf(json_t *owned)
{
	CLEANUP(json_put_p) json_t *leaf = owned;

	assert_true(leaf_count < LEAVES);
	leaves[leaf_count] = json_canonical(leaf);
	return leaf_count++;
}

/* What stands at index 0 of every log. */
static void add_genesis(void)
{
	if (leaf_count == 0)
		add_leaf(json_pack("{s:i,s:s}", "v", 1, "kind", "genesis"));
}

/* ---- asking ---- */

struct answers {
	size_t count;
	json_t *values[TOGETHER]; /* owned */
};

static int gather(void *cookie, struct slice answer)
{
	struct answers *answers = cookie;

	assert_true(answers->count < TOGETHER);
	return json_parse(answer, FRAME_MAX,
			  &answers->values[answers->count++]);
}

static char *message_of(const char *method, json_t *params)
{
	CLEANUP(json_put_p)
	json_t *request = json_pack("{s:s,s:i,s:s,s:o}", "jsonrpc", "2.0", "id",
				    4, "method", method, "params", params);

	return json_canonical(request);
}

static json_t *ask(const char *method, json_t *params)
{
	CLEANUP(mem_free_p) char *body = message_of(method, params);
	const struct slice bodies[] = { slice_str(body) };
	struct answers answers = { 0 };
	const struct rpc_sink sink = { gather, &answers };

	assert_int_equal(keeper_answer(&keeper, bodies, 1, &sink), 0);
	return answers.values[0];
}

static json_t *nodes_of(const struct merkle_proof *proof)
{
	json_t *nodes = json_array();

	for (unsigned i = 0; i < proof->count; i++) {
		CLEANUP(mem_free_p)
		char *node = text_base64(digest_slice(&proof->nodes[i]));

		json_array_append_new(nodes, json_string(node));
	}
	return nodes;
}

/* Has the log as it is now signed. */
static void sign_log(void)
{
	uint64_t old = keeper.last.head.size;
	struct digest root = root_of_all();
	CLEANUP(mem_free_p) char *text = text_base64(digest_slice(&root));
	CLEANUP(json_put_p) json_t *answer = NULL;
	struct merkle_proof proof = { 0 };

	if (old > 0)
		assert_int_equal(merkle_consistency_prove(node_of, NULL, old,
							  leaf_count, &proof),
				 0);
	answer = ask("checkpoint",
		     json_pack("{s:I,s:s,s:o}", "size", (json_int_t)leaf_count,
			       "root", text, "proof", nodes_of(&proof)));
	free(note);
	note = mem_str(
		json_text(json_object_in(answer, "result"), "note", NULL));
	assert_non_null(note);
}

/* The params of a request about a leaf; owned. */
static json_t *params_of(uint64_t index, const json_t *payload)
{
	struct merkle_proof proof;

	assert_int_equal(merkle_inclusion_prove(node_of, NULL, index,
						leaf_count, &proof),
			 0);
	return json_pack("{s:s,s:I,s:o,s:s,s:s,s:O}", "leaf", leaves[index],
			 "index", (json_int_t)index, "proof", nodes_of(&proof),
			 "checkpoint", note, "salt", salt, "payload", payload);
}

static void expect_reason(json_t *owned, const char *reason)
{
	CLEANUP(json_put_p) json_t *value = owned;
	const char *said = json_text(
		json_object_in(json_object_in(value, "error"), "data"),
		"reason", "none");

	assert_null(json_object_get(value, "result"));
	assert_string_equal(said, reason);
}

/* A text of the result; owned. */
static char *expect_text(json_t *owned, const char *name)
{
	CLEANUP(json_put_p) json_t *value = owned;
	const char *text =
		json_text(json_object_in(value, "result"), name, NULL);

	if (!text)
		fail_msg("%s", json_canonical(value));
	return mem_str(text);
}

/* ---- payloads ---- */

static json_t *token_payload(void)
{
	return json_pack(
		"{s:s,s:s,s:s,s:s,s:s,s:[{s:s,s:[s]}],s:{s:s,s:s,s:{s:s,s:s}},"
		"s:{s:s}}",
		"iss", "https://authority.example", "sub", "user:x", "aud",
		"https://target.example", "client_id", "spiffe://ex/agent/a",
		"scope", "group.member.add", "authorization_details", "type",
		"writ_task", "actions", "group.member.add", "act", "sub",
		"spiffe://ex/agent/b", "iss", "spiffe://ex", "act", "sub",
		"spiffe://ex/agent/a", "iss", "spiffe://ex", "cnf", "jkt",
		THUMBPRINT);
}

static json_t *ssh_payload(void)
{
	return json_pack("{s:s,s:[s,s],s:s,s:s,s:[s]}", "publicKey", PUBLIC_KEY,
			 "principals", "app", "deploy", "sourceAddress",
			 "10.0.0.0/8", "forceCommand", "/bin/true", "permit",
			 "pty");
}

/* Asks for a token over one leaf with that payload. */
static json_t *ask_token(json_t *owned_payload, int64_t life)
{
	CLEANUP(json_put_p) json_t *payload = owned_payload;
	uint64_t index = add_leaf(leaf_value("token", payload, life));

	sign_log();
	return ask("token", params_of(index, payload));
}

static json_t *ask_ssh(json_t *owned_payload, int64_t life)
{
	CLEANUP(json_put_p) json_t *payload = owned_payload;
	uint64_t index;

	add_genesis();
	index = add_leaf(leaf_value("ssh", payload, life));
	sign_log();
	return ask("ssh-certificate", params_of(index, payload));
}

/* A leaf for the tests of refusals, signed; its index. */
static uint64_t signed_leaf(json_t *owned)
{
	uint64_t index = add_leaf(owned);

	sign_log();
	return index;
}

/* ---- what is made ---- */

/* The claims of a token that one of the keeper's keys signed; owned. */
static json_t *claims_of(const char *token)
{
	CLEANUP(json_put_p) json_t *answer = ask("jwks", json_object());
	const json_t *keys =
		json_array_in(json_object_in(answer, "result"), "keys");
	struct jose_token parsed;
	json_t *claims = NULL;

	assert_int_equal(jose_token_parse(slice_str(token), &parsed),
			 JOSE_VALID);
	assert_string_equal(json_text(parsed.header, "typ", ""), "at+jwt");
	for (size_t i = 0; i < json_array_size(keys); i++) {
		CLEANUP(jose_key_free_p) struct jose_key *key = NULL;

		assert_null(json_object_get(json_array_get(keys, i), "d"));
		assert_int_equal(jose_key_parse(json_array_get(keys, i), &key),
				 0);
		if (jose_verify(&parsed, key) == JOSE_VALID)
			claims = json_incref(parsed.claims);
	}
	jose_token_clear(&parsed);
	assert_non_null(claims);
	return claims;
}

static void a_token_says_what_its_leaf_says(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *token = expect_text(ask_token(token_payload(), 300), "token");
	CLEANUP(json_put_p) json_t *claims = claims_of(token);
	CLEANUP(json_put_p) json_t *payload = token_payload();
	const char *name;
	json_t *value;

	json_object_foreach(payload, name, value)
		assert_true(json_equal(json_object_get(claims, name), value));
	assert_int_equal(json_int(claims, "iat", 0), now_s);
	assert_int_equal(json_int(claims, "exp", 0), now_s + 300);
	assert_string_equal(json_text(claims, "jti", ""), "crd_1");
	assert_string_equal(json_text(claims, "writ_task", ""), "tsk_1");
	assert_int_equal(json_int(claims, "writ_leaf", -1), leaf_count - 1);
	assert_int_equal(json_object_size(claims),
			 json_object_size(payload) + 5);
}

static void a_certificate_is_for_its_leaf(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *value = ask_ssh(ssh_payload(), 300);
	CLEANUP(mem_free_p)
	char *line = expect_text(json_incref(value), "certificate");

	assert_int_equal(strncmp(line, "ssh-ed25519-cert-v01@openssh.com ", 33),
			 0);
	assert_non_null(strstr(line, " tsk_1/crd_1"));
	assert_int_equal(
		json_int(json_object_in(value, "result"), "serial", -1),
		leaf_count - 1);
}

static void a_leaf_serves_once(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();
	uint64_t index = signed_leaf(leaf_value("token", payload, 300));

	free(expect_text(ask("token", params_of(index, payload)), "token"));
	expect_reason(ask("token", params_of(index, payload)), "used");
	/* Not even after a restart. */
	keeper_clear(&keeper);
	assert_int_equal(keeper_load(folder, &keeper), 0);
	expect_reason(ask("token", params_of(index, payload)), "used");
}

static void
a_leaf_is_on_disk_as_used_before_its_token_leaves(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();
	uint64_t other = add_leaf(leaf_value("token", payload, 299));
	uint64_t index = signed_leaf(leaf_value("token", payload, 300));

	sync_fails = true;
	expect_reason(ask("token", params_of(index, payload)), "storage");
	sync_fails = false;
	/* What the disk holds is not known any more: nothing leaves. */
	expect_reason(ask("token", params_of(index, payload)), "used");
	expect_reason(ask("token", params_of(other, payload)), "storage");
	keeper_clear(&keeper);
	assert_int_equal(keeper_load(folder, &keeper), 0);
	free(expect_text(ask("token", params_of(other, payload)), "token"));
}

static void tokens_asked_together_share_one_sync(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();
	struct answers answers = { 0 };
	const struct rpc_sink sink = { gather, &answers };
	struct slice bodies[TOGETHER];
	char *texts[TOGETHER];

	for (size_t i = 0; i < TOGETHER - 1; i++)
		add_leaf(leaf_value("token", payload, 300));
	sign_log();
	for (size_t i = 0; i < TOGETHER; i++) {
		/* The last one asks again for the first one's leaf. */
		texts[i] = message_of("token",
				      params_of(i % (TOGETHER - 1), payload));
		bodies[i] = slice_str(texts[i]);
	}
	syncs = 0;
	assert_int_equal(keeper_answer(&keeper, bodies, TOGETHER, &sink), 0);
	assert_int_equal(syncs, 1);
	assert_int_equal(answers.count, TOGETHER);
	for (size_t i = 0; i < TOGETHER - 1; i++)
		free(expect_text(answers.values[i], "token"));
	expect_reason(answers.values[TOGETHER - 1], "used");
	for (size_t i = 0; i < TOGETHER; i++)
		free(texts[i]);
}

static void
leaves_older_than_what_is_remembered_are_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();

	for (size_t i = 0; i < ISSUED_MAX + 3; i++)
		add_leaf(leaf_value("token", payload, 300));
	sign_log();
	for (uint64_t i = 1; i < ISSUED_MAX + 2; i++)
		free(expect_text(ask("token", params_of(i, payload)), "token"));
	/* Never used, but whether it was is forgotten. */
	expect_reason(ask("token", params_of(0, payload)), "used");
	expect_reason(ask("token", params_of(1, payload)), "used");
	free(expect_text(ask("token", params_of(ISSUED_MAX + 2, payload)),
			 "token"));
}

/* ---- what is refused ---- */

static void a_leaf_of_another_kind_makes_nothing(void **state UNUSED)
{
	static const char *const kinds[] = { "armed", "decision", "" };
	CLEANUP(json_put_p) json_t *payload = token_payload();

	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		json_t *leaf = leaf_value("token", payload, 300);
		uint64_t index;

		json_set_text(leaf, "kind", kinds[i]);
		index = add_leaf(leaf);
		/* All are in the tree of one checkpoint. */
		if (i == ARRAY_LEN(kinds) - 1)
			sign_log();
		else
			continue;
		for (uint64_t at = 0; at <= index; at++)
			expect_reason(ask("token", params_of(at, payload)),
				      "leaf");
	}
}

static void a_leaf_for_one_form_does_not_make_the_other(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = ssh_payload();
	uint64_t index;

	add_genesis();
	index = signed_leaf(leaf_value("ssh", payload, 300));
	expect_reason(ask("token", params_of(index, payload)), "leaf");
	free(expect_text(ask("ssh-certificate", params_of(index, payload)),
			 "certificate"));
}

static void a_leaf_that_lacks_something_makes_nothing(void **state UNUSED)
{
	static const char *const members[] = {
		"v", "form", "about", "task", "at", "kind", "expires", "commit"
	};
	CLEANUP(json_put_p) json_t *payload = token_payload();

	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		json_t *leaf = leaf_value("token", payload, 300);

		json_object_del(leaf, members[i]);
		add_leaf(leaf);
	}
	sign_log();
	for (uint64_t i = 0; i < ARRAY_LEN(members); i++)
		expect_reason(ask("token", params_of(i, payload)), "leaf");
}

static void a_leaf_outside_the_log_makes_nothing(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();
	CLEANUP(json_put_p) json_t *later = NULL;
	CLEANUP(json_put_p) json_t *params = NULL;
	CLEANUP(mem_free_p) char *text = NULL;

	signed_leaf(leaf_value("token", payload, 300));
	params = params_of(0, payload);
	later = leaf_value("token", payload, 200);
	text = json_canonical(later);
	json_set_text(params, "leaf", text);
	expect_reason(ask("token", json_incref(params)), "inclusion");
	json_set_text(params, "leaf", leaves[0]);
	json_set_int(params, "index", 1);
	expect_reason(ask("token", json_incref(params)), "inclusion");
	json_set_int(params, "index", 0);
	json_set_new(params, "proof",
		     json_pack("[s]", "AAAAAAAAAAAAAAAAAAAAAAA"
				      "AAAAAAAAAAAAAAAAAAAA="));
	expect_reason(ask("token", json_incref(params)), "inclusion");
}

static void a_checkpoint_of_somebody_else_makes_nothing(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();
	CLEANUP(json_put_p) json_t *params = NULL;
	CLEANUP(note_signer_free_p) struct note_signer *other = NULL;
	CLEANUP(buf_clear) struct buf text = BUF_INIT(1024);
	CLEANUP(buf_clear) struct buf forged = BUF_INIT(NOTE_MAX);
	struct checkpoint head = { .size = 1 };
	uint8_t seed[32] = { 3 };

	signed_leaf(leaf_value("token", payload, 300));
	params = params_of(0, payload);
	head.root = root_of_all();
	snprintf(head.origin, sizeof(head.origin), "%s", ORIGIN);
	assert_int_equal(
		note_signer_new(ORIGIN, slice_of(seed, sizeof(seed)), &other),
		0);
	assert_int_equal(checkpoint_format(&head, &text), 0);
	assert_int_equal(note_sign(other, buf_slice(&text), &forged), 0);
	json_set_text(params, "checkpoint", buf_text(&forged));
	expect_reason(ask("token", json_incref(params)), "checkpoint");
	json_set_text(params, "checkpoint", note);
	free(expect_text(ask("token", json_incref(params)), "token"));
}

static void what_the_leaf_does_not_commit_to_makes_nothing(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();
	CLEANUP(json_put_p) json_t *other = token_payload();
	CLEANUP(json_put_p) json_t *params = NULL;

	signed_leaf(leaf_value("token", payload, 300));
	json_set_text(other, "aud", "https://other.example");
	expect_reason(ask("token", params_of(0, other)), "payload");
	params = params_of(0, payload);
	json_set_text(params, "salt",
		      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAE");
	expect_reason(ask("token", json_incref(params)), "payload");
}

static void what_is_over_or_to_come_makes_nothing(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *payload = token_payload();

	signed_leaf(leaf_value("token", payload, 300));
	clock_ms = (now_s + 300) * 1000;
	expect_reason(ask("token", params_of(0, payload)), "expired");
	clock_ms = (now_s - CREDENTIAL_SKEW_S - 1) * 1000;
	expect_reason(ask("token", params_of(0, payload)), "time");
	clock_ms += 1000;
	free(expect_text(ask("token", params_of(0, payload)), "token"));
}

static void nothing_lives_longer_than_it_may(void **state UNUSED)
{
	expect_reason(ask_token(token_payload(), CREDENTIAL_TOKEN_S + 1),
		      "time");
	expect_reason(ask_ssh(ssh_payload(), CREDENTIAL_SSH_S + 1), "time");
	free(expect_text(ask_token(token_payload(), CREDENTIAL_TOKEN_S),
			 "token"));
	free(expect_text(ask_ssh(ssh_payload(), CREDENTIAL_SSH_S),
			 "certificate"));
}

static void a_token_with_a_wrong_payload_is_not_made(void **state UNUSED)
{
	static const struct {
		const char *name;
		const char *value; /* JSON; NULL removes it */
	} wrong[] = {
		{ "iss", NULL },
		{ "sub", NULL },
		{ "aud", NULL },
		{ "aud", "[]" },
		{ "aud", "7" },
		{ "aud", "[\"a\",7]" },
		{ "client_id", NULL },
		{ "exp", "4000000000" },
		{ "jti", "\"other\"" },
		{ "writ_task", "\"other\"" },
		{ "scope", "7" },
		{ "authorization_details", "[]" },
		{ "authorization_details", "[{}]" },
		{ "authorization_details", "[\"type\"]" },
		{ "act", "{}" },
		{ "act", "{\"sub\":\"a\"}" },
		{ "act", "\"a\"" },
		{ "act", "{\"sub\":\"a\",\"iss\":\"b\",\"act\":{\"sub\":7}}" },
		{ "cnf", "{}" },
		{ "cnf", "{\"jkt\":\"short\"}" },
		{ "cnf", "{\"jwk\":{}}" },
		{ "cnf", "{\"jkt\":\"" THUMBPRINT
			 "\",\"x5t#S256\":\"" THUMBPRINT "\"}" },
	};
	json_t *payloads[ARRAY_LEN(wrong)];

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		payloads[i] = token_payload();
		if (wrong[i].value)
			json_object_set_new(payloads[i], wrong[i].name,
					    json_loads(wrong[i].value,
						       JSON_DECODE_ANY, NULL));
		else
			json_object_del(payloads[i], wrong[i].name);
		add_leaf(leaf_value("token", payloads[i], 300));
	}
	sign_log();
	for (uint64_t i = 0; i < ARRAY_LEN(wrong); i++) {
		expect_reason(ask("token", params_of(i, payloads[i])),
			      "payload");
		json_decref(payloads[i]);
	}
}

static void actors_beyond_a_depth_are_refused(void **state UNUSED)
{
	json_t *payload = token_payload();
	json_t *act = NULL;

	for (int i = 0; i < 9; i++) {
		json_t *outer = json_pack("{s:s,s:s}", "sub", "a", "iss", "b");

		if (act)
			json_set_new(outer, "act", act);
		act = outer;
	}
	json_set_new(payload, "act", act);
	expect_reason(ask_token(payload, 300), "payload");
}

static void a_certificate_with_a_wrong_payload_is_not_made(void **state UNUSED)
{
	static const struct {
		const char *name;
		const char *value; /* JSON; NULL removes it */
	} wrong[] = {
		{ "publicKey", NULL },
		{ "publicKey", "\"ssh-rsa AAAA\"" },
		{ "principals", NULL },
		{ "principals", "[]" },
		{ "principals", "[\"a,b\"]" },
		{ "sourceAddress", "\"any\"" },
		{ "forceCommand", "\"\"" },
		{ "permit", "[\"everything\"]" },
		{ "serial", "7" },
	};
	json_t *payloads[ARRAY_LEN(wrong)];

	add_genesis();
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		payloads[i] = ssh_payload();
		if (wrong[i].value)
			json_object_set_new(payloads[i], wrong[i].name,
					    json_loads(wrong[i].value,
						       JSON_DECODE_ANY, NULL));
		else
			json_object_del(payloads[i], wrong[i].name);
		add_leaf(leaf_value("ssh", payloads[i], 300));
	}
	sign_log();
	for (uint64_t i = 0; i < ARRAY_LEN(wrong); i++) {
		expect_reason(
			ask("ssh-certificate", params_of(i + 1, payloads[i])),
			"payload");
		json_decref(payloads[i]);
	}
}

/* ---- keys ---- */

static size_t count_keys(const char *method)
{
	CLEANUP(json_put_p) json_t *answer = ask(method, json_object());

	return json_array_size(
		json_array_in(json_object_in(answer, "result"), "keys"));
}

static void what_a_key_before_signed_still_verifies(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *before = expect_text(ask_token(token_payload(), 300), "token");
	CLEANUP(mem_free_p) char *after = NULL;
	CLEANUP(json_put_p) json_t *payload = token_payload();

	signed_leaf(leaf_value("token", payload, 299));
	assert_int_equal(keeper_rotate(folder, "tokens"), ERR_BUSY);
	keeper_clear(&keeper);
	assert_int_equal(keeper_rotate(folder, "tokens"), 0);
	assert_int_equal(keeper_rotate(folder, "log"), ERR_SYNTAX);
	assert_int_equal(keeper_load(folder, &keeper), 0);
	assert_int_equal(count_keys("jwks"), 2);
	assert_int_equal(count_keys("ssh-authorities"), 1);
	json_decref(claims_of(before));
	after = expect_text(ask("token", params_of(1, payload)), "token");
	json_decref(claims_of(after));
	/* The first parts are the headers, with the keys' ids. */
	assert_true(strncmp(before, after, strcspn(before, ".")) != 0);
}

static void old_keys_go_in_the_end(void **state UNUSED)
{
	keeper_clear(&keeper);
	for (int i = 0; i < KEYS_ISSUER_MAX + 2; i++) {
		assert_int_equal(keeper_rotate(folder, "tokens"), 0);
		assert_int_equal(keeper_rotate(folder, "ssh"), 0);
	}
	assert_int_equal(keeper_load(folder, &keeper), 0);
	assert_int_equal(count_keys("jwks"), KEYS_ISSUER_MAX);
	assert_int_equal(count_keys("ssh-authorities"), KEYS_ISSUER_MAX);
}

static void keys_of_an_earlier_version_are_completed(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *keys = mem_format("%s/keys.json", folder);
	CLEANUP(mem_free_p) char *issued = mem_format("%s/issued", folder);
	CLEANUP(buf_clear) struct buf text = BUF_INIT(KEYS_FILE_MAX);
	CLEANUP(json_put_p) json_t *file = NULL;
	CLEANUP(mem_free_p) char *old = NULL;
	CLEANUP(mem_free_p) char *log = NULL;

	keeper_clear(&keeper);
	assert_int_equal(file_read(keys, &text), 0);
	assert_int_equal(json_parse(buf_slice(&text), KEYS_FILE_MAX, &file), 0);
	log = mem_str(json_text(file, "log", ""));
	json_object_del(file, "ssh");
	json_object_del(file, "tokens");
	json_set_int(file, "v", 1);
	old = json_canonical(file);
	assert_int_equal(file_write(keys, slice_str(old), 0600), 0);
	assert_int_equal(unlink(issued), 0);
	assert_int_equal(keeper_load(folder, &keeper), 0);
	assert_int_equal(count_keys("jwks"), 1);
	assert_int_equal(count_keys("ssh-authorities"), 1);
	free(expect_text(ask_token(token_payload(), 300), "token"));
	/* All else is as it was, and nothing is made a second time. */
	buf_reset(&text);
	assert_int_equal(file_read(keys, &text), 0);
	json_decref(TAKE(file));
	assert_int_equal(json_parse(buf_slice(&text), KEYS_FILE_MAX, &file), 0);
	assert_string_equal(json_text(file, "log", ""), log);
	assert_int_equal(json_int(file, "v", 0), 2);
	keeper_clear(&keeper);
	assert_int_equal(keeper_load(folder, &keeper), 0);
	json_decref(TAKE(file));
	buf_reset(&text);
	assert_int_equal(file_read(keys, &text), 0);
	assert_int_equal(json_parse(buf_slice(&text), KEYS_FILE_MAX, &file), 0);
	assert_int_equal(json_array_size(json_array_in(file, "tokens")), 1);
}

static void keys_without_a_memory_of_leaves_are_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *issued = mem_format("%s/issued", folder);
	struct keeper other = { 0 };

	keeper_clear(&keeper);
	assert_int_equal(file_write(issued, slice_str("x"), 0600), 0);
	assert_int_equal(keeper_load(folder, &other), ERR_CORRUPT);
	assert_int_equal(unlink(issued), 0);
	assert_int_equal(keeper_load(folder, &other), ERR_NOT_FOUND);
	assert_int_equal(keeper_init(folder, ORIGIN), ERR_BUSY);
}

static int stale(void **state UNUSED)
{
	static const char *const names[] = { "keys.json", "keys.json.new",
					     "last",	  "last.new",
					     "issued",	  "issued.new" };

	keeper_clear(&keeper);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", folder, names[i]);

		discard(unlink(path));
	}
	for (size_t i = 0; i < leaf_count; i++)
		free(TAKE(leaves[i]));
	leaf_count = 0;
	free(TAKE(note));
	return 0;
}

static int fresh(void **state UNUSED)
{
	keeper = (struct keeper){ .last.slots.fd = -1,
				  .issued.slots.fd = -1,
				  .lock_fd = -1 };
	sync_fails = false;
	clock_ms = now_s * 1000;
	TRY(keeper_init(folder, ORIGIN));
	return keeper_load(folder, &keeper);
}

static int set_up(void **state UNUSED)
{
	assert_non_null(mkdtemp(folder));
	return 0;
}

static int tear_down(void **state UNUSED)
{
	return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, stale)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_says_what_its_leaf_says),
		TEST(a_certificate_is_for_its_leaf),
		TEST(a_leaf_serves_once),
		TEST(a_leaf_is_on_disk_as_used_before_its_token_leaves),
		TEST(tokens_asked_together_share_one_sync),
		TEST(leaves_older_than_what_is_remembered_are_refused),
		TEST(a_leaf_of_another_kind_makes_nothing),
		TEST(a_leaf_for_one_form_does_not_make_the_other),
		TEST(a_leaf_that_lacks_something_makes_nothing),
		TEST(a_leaf_outside_the_log_makes_nothing),
		TEST(a_checkpoint_of_somebody_else_makes_nothing),
		TEST(what_the_leaf_does_not_commit_to_makes_nothing),
		TEST(what_is_over_or_to_come_makes_nothing),
		TEST(nothing_lives_longer_than_it_may),
		TEST(a_token_with_a_wrong_payload_is_not_made),
		TEST(actors_beyond_a_depth_are_refused),
		TEST(a_certificate_with_a_wrong_payload_is_not_made),
		TEST(what_a_key_before_signed_still_verifies),
		TEST(old_keys_go_in_the_end),
		TEST(keys_of_an_earlier_version_are_completed),
		TEST(keys_without_a_memory_of_leaves_are_refused),
	};

	keys_wipe_json();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
