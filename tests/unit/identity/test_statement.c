#include "tokens.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"
#include "identity/statement.h"

#define ORIGIN "writ.example/log"
#define DIGEST_TEXT                                                            \
	"sha256:"                                                              \
	"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static struct test_folder folder;
static json_t *alice; /* her keys */
static struct statement s;

static void run_program(const char *const *argv)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		int null = open("/dev/null", O_RDWR);
		char *const *args;

		memcpy(&args, &argv, sizeof(args));
		dup2(null, STDIN_FILENO);
		dup2(null, STDOUT_FILENO);
		dup2(null, STDERR_FILENO);
		execvp(args[0], args);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static char *read_text(const char *path)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(1 << 16);

	assert_int_equal(file_read(path, &text), 0);
	return buf_take_text(&text);
}

/* Makes a key file; owned line of its public key. */
static char *make_key(const char *name, const char *type)
{
	CLEANUP(mem_free_p) char *path = test_path(&folder, name);
	CLEANUP(mem_free_p) char *pub = mem_format("%s.pub", path);
	const char *const argv[] = { "ssh-keygen", "-q", "-t", type, "-N",
				     "",	   "-f", path, NULL };

	run_program(argv);
	return read_text(pub);
}

/* {"statement", "signature"} over text by ssh-keygen; owned. */
static json_t *sign_text(const char *key, const char *namespace,
			 const char *text)
{
	CLEANUP(mem_free_p) char *path = test_path(&folder, key);
	CLEANUP(mem_free_p) char *message = test_path(&folder, "message");
	CLEANUP(mem_free_p) char *sig = test_path(&folder, "message.sig");
	CLEANUP(mem_free_p) char *armored = NULL;
	const char *const argv[] = { "ssh-keygen", "-Y",    "sign",
				     "-f",	   path,    "-n",
				     namespace,	   message, NULL };

	unlink(sig);
	test_write(&folder, "message", text);
	run_program(argv);
	armored = read_text(sig);
	return json_pack("{s:s, s:s}", "statement", text, "signature", armored);
}

static int setup(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *first = NULL;
	CLEANUP(mem_free_p) char *second = NULL;
	CLEANUP(mem_free_p) char *stranger = NULL;

	test_folder_make(&folder);
	first = make_key("first", "ed25519");
	second = make_key("second", "ecdsa");
	stranger = make_key("stranger", "ed25519");
	alice = json_pack("[s, s, s]", "ssh-dss AAAA", second, first);
	return 0;
}

static int teardown(void **state UNUSED)
{
	json_decref(alice);
	test_folder_remove(&folder);
	return 0;
}

static int clear(void **state UNUSED)
{
	statement_clear(&s);
	return 0;
}

static const json_t *keys_of(void *cookie UNUSED, const char *human)
{
	return strcmp(human, "alice") ? NULL : alice;
}

static json_t *new_login(void)
{
	return statement_new(STATEMENT_LOGIN, ORIGIN, "alice", TEST_NOW_MS);
}

static json_t *new_approval(void)
{
	json_t *body =
		statement_new(STATEMENT_APPROVAL, ORIGIN, "alice", TEST_NOW_MS);

	json_set_text(body, "request", "req_1");
	json_set_text(body, "digest", DIGEST_TEXT);
	json_set_text(body, "group", "security");
	json_set_text(body, "decision", "approve");
	json_set_text(body, "reason", "as agreed");
	return body;
}

static enum statement_verdict verify(const json_t *form,
				     enum statement_type wanted)
{
	statement_clear(&s);
	return statement_verify(form, wanted, ORIGIN, TEST_NOW_MS, keys_of,
				NULL, &s);
}

/* Takes body. */
static enum statement_verdict sign_and_verify(json_t *body, const char *key,
					      const char *namespace,
					      enum statement_type wanted)
{
	CLEANUP(json_put_p) json_t *owned = body;
	CLEANUP(mem_free_p) char *text = json_canonical(owned);
	CLEANUP(json_put_p) json_t *form = sign_text(key, namespace, text);

	return verify(form, wanted);
}

static enum statement_verdict login(json_t *body)
{
	return sign_and_verify(body, "first", "writ-login", STATEMENT_LOGIN);
}

static enum statement_verdict approve(json_t *body)
{
	return sign_and_verify(body, "first", "writ-approval",
			       STATEMENT_APPROVAL);
}

static void what_ssh_keygen_signs_is_taken(void **state UNUSED)
{
	assert_int_equal(login(new_login()), STATEMENT_VALID);
	assert_string_equal(s.human, "alice");
	assert_int_equal(strlen(s.nonce), 32);
	assert_int_equal(strncmp(s.fingerprint, "SHA256:", 7), 0);
	assert_false(s.step_up);
	assert_int_equal(approve(new_approval()), STATEMENT_VALID);
	assert_string_equal(json_text(s.body, "decision", ""), "approve");
}

static void any_of_a_humans_keys_will_do(void **state UNUSED)
{
	assert_int_equal(sign_and_verify(new_login(), "second", "writ-login",
					 STATEMENT_LOGIN),
			 STATEMENT_VALID);
}

static void a_strangers_key_is_refused(void **state UNUSED)
{
	assert_int_equal(sign_and_verify(new_login(), "stranger", "writ-login",
					 STATEMENT_LOGIN),
			 STATEMENT_UNKNOWN);
}

static void an_unknown_human_is_refused(void **state UNUSED)
{
	assert_int_equal(login(statement_new(STATEMENT_LOGIN, ORIGIN, "mallory",
					     TEST_NOW_MS)),
			 STATEMENT_UNKNOWN);
}

static void a_signature_in_another_namespace_is_refused(void **state UNUSED)
{
	static const char *const namespaces[] = {
		"writ-admin", "writ-login", "writ-evidence",
		"git",	      "file",	    "writ-approval2"
	};

	for (size_t i = 0; i < ARRAY_LEN(namespaces); i++)
		assert_int_equal(sign_and_verify(new_approval(), "first",
						 namespaces[i],
						 STATEMENT_APPROVAL),
				 STATEMENT_SIGNATURE);
}

static void a_login_does_not_serve_as_an_approval(void **state UNUSED)
{
	assert_int_equal(sign_and_verify(new_login(), "first", "writ-approval",
					 STATEMENT_APPROVAL),
			 STATEMENT_WRONG_TYPE);
	assert_int_equal(sign_and_verify(new_approval(), "first",
					 "writ-approval", STATEMENT_ADOPT),
			 STATEMENT_WRONG_TYPE);
}

static void a_statement_for_another_authority_is_refused(void **state UNUSED)
{
	assert_int_equal(login(statement_new(STATEMENT_LOGIN, "other/log",
					     "alice", TEST_NOW_MS)),
			 STATEMENT_ELSEWHERE);
}

static void
a_statement_more_than_five_minutes_off_is_refused(void **state UNUSED)
{
	const int64_t limit = STATEMENT_AGE_MAX_MS;
	const int64_t offsets[] = { limit + 1, -limit - 1, 86400000 };

	for (size_t i = 0; i < ARRAY_LEN(offsets); i++)
		assert_int_equal(
			login(statement_new(STATEMENT_LOGIN, ORIGIN, "alice",
					    TEST_NOW_MS + offsets[i])),
			STATEMENT_STALE);
	assert_int_equal(login(statement_new(STATEMENT_LOGIN, ORIGIN, "alice",
					     TEST_NOW_MS + limit)),
			 STATEMENT_VALID);
}

static enum statement_verdict login_text(const char *text)
{
	CLEANUP(json_put_p)
	json_t *form = sign_text("first", "writ-login", text);

	return verify(form, STATEMENT_LOGIN);
}

static void a_statement_that_is_not_canonical_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *body = new_login();
	CLEANUP(mem_free_p) char *text = json_canonical(body);
	CLEANUP(mem_free_p) char *spaced = mem_format("{ %s", text + 1);
	CLEANUP(mem_free_p) char *ended = mem_format("%s\n", text);
	CLEANUP(mem_free_p)
	char *doubled = mem_format("{\"human\":\"bob\",%s", text + 1);

	assert_int_equal(login_text(text), STATEMENT_VALID);
	assert_int_equal(login_text(spaced), STATEMENT_MALFORMED);
	assert_int_equal(login_text(ended), STATEMENT_MALFORMED);
	assert_int_equal(login_text(doubled), STATEMENT_MALFORMED);
	assert_int_equal(login_text("[]"), STATEMENT_MALFORMED);
	assert_int_equal(login_text("{}"), STATEMENT_MALFORMED);
	assert_int_equal(login_text("login"), STATEMENT_MALFORMED);
}

static void a_changed_statement_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *body = new_approval();
	CLEANUP(mem_free_p) char *text = json_canonical(body);
	CLEANUP(json_put_p)
	json_t *form = sign_text("first", "writ-approval", text);

	json_set_text(body, "request", "req_2");
	free(text);
	text = json_canonical(body);
	json_set_text(form, "statement", text);
	assert_int_equal(verify(form, STATEMENT_APPROVAL), STATEMENT_SIGNATURE);
}

static void a_member_that_is_missing_is_refused(void **state UNUSED)
{
	static const char *const names[] = { "request",	 "digest", "group",
					     "decision", "reason", "authority",
					     "human",	 "at",	   "nonce",
					     "type" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_t *body = new_approval();

		json_object_del(body, names[i]);
		assert_int_equal(approve(body), STATEMENT_MALFORMED);
	}
}

static void a_member_of_the_wrong_kind_is_refused(void **state UNUSED)
{
	static const struct {
		const char *name;
		const char *value;
	} rows[] = {
		{ "decision", "maybe" },
		{ "digest", "sha256:00" },
		{ "digest", DIGEST_TEXT "0" },
		{ "at", "yesterday" },
		{ "nonce", "0123" },
		{ "nonce", "0123456789ABCDEF0123456789ABCDEF" },
		{ "human", "Alice Smith" },
		{ "group", "" },
		{ "extra", "member" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *body = new_approval();

		json_set_text(body, rows[i].name, rows[i].value);
		assert_int_equal(approve(body), STATEMENT_MALFORMED);
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		json_t *body = new_approval();

		json_set_int(body, rows[i].name, 1);
		assert_int_equal(approve(body), STATEMENT_MALFORMED);
	}
}

static void a_form_of_another_shape_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *body = new_login();
	CLEANUP(mem_free_p) char *text = json_canonical(body);
	CLEANUP(json_put_p)
	json_t *form = sign_text("first", "writ-login", text);
	CLEANUP(json_put_p) json_t *extra = json_deep_copy(form);
	CLEANUP(json_put_p) json_t *bare = json_deep_copy(form);

	json_set_text(extra, "human", "alice");
	json_object_del(bare, "signature");
	assert_int_equal(verify(NULL, STATEMENT_LOGIN), STATEMENT_MALFORMED);
	assert_int_equal(verify(body, STATEMENT_LOGIN), STATEMENT_MALFORMED);
	assert_int_equal(verify(extra, STATEMENT_LOGIN), STATEMENT_MALFORMED);
	assert_int_equal(verify(bare, STATEMENT_LOGIN), STATEMENT_MALFORMED);
	json_set_text(form, "signature", "no armor");
	assert_int_equal(verify(form, STATEMENT_LOGIN), STATEMENT_MALFORMED);
}

static void what_is_wrong_with_a_form_is_said_at_its_place(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *body = new_login();
	CLEANUP(json_put_p) json_t *form = NULL;
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(json_put_p) json_t *of_nothing = NULL;
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *told = NULL;

	json_set_text(body, "nonce", "00");
	json_object_del(body, "at");
	text = json_canonical(body);
	form = sign_text("first", "writ-login", text);
	json_set_text(form, "signature", "no armor");
	faults = statement_faults(form, STATEMENT_LOGIN);
	told = json_dumps(faults, JSON_COMPACT);
	assert_non_null(strstr(told, "/statement/nonce"));
	assert_non_null(strstr(told, "/statement/at"));
	assert_non_null(strstr(told, "\"/signature\""));
	of_nothing = statement_faults(NULL, STATEMENT_LOGIN);
	assert_int_equal(json_array_size(of_nothing), 1);
}

static void a_statement_that_is_too_long_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *long_text = mem_format("{\"a\":\"%020000d\"}", 1);
	CLEANUP(json_put_p)
	json_t *form = json_pack("{s:s, s:s}", "statement", long_text,
				 "signature", "x");

	assert_int_equal(verify(form, STATEMENT_LOGIN), STATEMENT_MALFORMED);
}

static void each_type_has_its_namespace(void **state UNUSED)
{
	assert_string_equal(statement_namespace(STATEMENT_LOGIN), "writ-login");
	assert_string_equal(statement_namespace(STATEMENT_RESOLVE),
			    "writ-approval");
	assert_string_equal(statement_namespace(STATEMENT_VOUCHER),
			    "writ-evidence");
	for (int i = STATEMENT_CHANGE; i < STATEMENT_TYPE_COUNT; i++) {
		enum statement_type type = (enum statement_type)i;
		bool human = !strcmp(statement_signer(type), "human");

		assert_string_equal(statement_namespace(type),
				    human ? "writ-admin" : "writ-signal");
	}
}

static json_t *new_signal(void)
{
	json_t *body =
		statement_new(STATEMENT_SIGNAL, ORIGIN, "alice", TEST_NOW_MS);

	json_set_text(body, "kind", "anomaly");
	json_set_text(body, "subject", "agent");
	json_set_text(body, "name", "bot");
	json_set_int(body, "score", 50);
	json_set_time(body, "expires", TEST_NOW_MS + 60000);
	json_set_text(body, "reason", "");
	return body;
}

static enum statement_verdict verdict_of(const json_t *body,
					 const char *namespace,
					 enum statement_type wanted)
{
	CLEANUP(mem_free_p) char *text = json_canonical(body);
	CLEANUP(json_put_p) json_t *form = sign_text("first", namespace, text);

	return statement_verify(form, wanted, ORIGIN, TEST_NOW_MS, keys_of,
				NULL, &s);
}

static void a_detector_signs_as_itself_and_not_as_a_human(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *body = new_signal();

	assert_null(json_object_get(body, "human"));
	assert_int_equal(verdict_of(body, "writ-signal", STATEMENT_SIGNAL),
			 STATEMENT_VALID);
	assert_string_equal(s.human, "alice");
	statement_clear(&s);
	assert_int_equal(verdict_of(body, "writ-admin", STATEMENT_SIGNAL),
			 STATEMENT_SIGNATURE);
	assert_int_equal(verdict_of(body, "writ-signal", STATEMENT_HEARTBEAT),
			 STATEMENT_WRONG_TYPE);
	json_set_text(body, "human", "alice");
	assert_int_equal(verdict_of(body, "writ-signal", STATEMENT_SIGNAL),
			 STATEMENT_MALFORMED);
}

static void a_score_is_from_0_to_100(void **state UNUSED)
{
	static const int64_t wrong[] = { -1, 101, INT64_MAX };
	CLEANUP(json_put_p) json_t *body = new_signal();

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		json_set_int(body, "score", wrong[i]);
		assert_int_equal(
			verdict_of(body, "writ-signal", STATEMENT_SIGNAL),
			STATEMENT_MALFORMED);
	}
	json_set_int(body, "score", 100);
	assert_int_equal(verdict_of(body, "writ-signal", STATEMENT_SIGNAL),
			 STATEMENT_VALID);
}

static void a_form_says_of_what_type_it_is(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *body = new_signal();
	CLEANUP(mem_free_p) char *text = json_canonical(body);
	CLEANUP(json_put_p)
	json_t *form =
		json_pack("{s:s, s:s}", "statement", text, "signature", "none");
	CLEANUP(json_put_p)
	json_t *none =
		json_pack("{s:s, s:s}", "statement", "[", "signature", "none");

	assert_true(statement_claims(form, STATEMENT_SIGNAL));
	assert_false(statement_claims(form, STATEMENT_HEARTBEAT));
	assert_false(statement_claims(none, STATEMENT_SIGNAL));
	assert_false(statement_claims(NULL, STATEMENT_SIGNAL));
}

/* Serving once is the caller's business: the same form verifies again. */
static void a_replay_is_left_to_the_caller(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *body = new_login();
	CLEANUP(mem_free_p) char *text = json_canonical(body);
	CLEANUP(json_put_p)
	json_t *form = sign_text("first", "writ-login", text);
	CLEANUP(mem_free_p) char *nonce = NULL;

	assert_int_equal(verify(form, STATEMENT_LOGIN), STATEMENT_VALID);
	nonce = mem_str(s.nonce);
	assert_int_equal(verify(form, STATEMENT_LOGIN), STATEMENT_VALID);
	assert_string_equal(s.nonce, nonce);
}

/* All types, as the tools would make them. */

static json_t *new_of(enum statement_type type, const char *members)
{
	CLEANUP(json_put_p) json_t *own = NULL;
	json_t *body = statement_new(type, ORIGIN, "alice", TEST_NOW_MS);

	assert_int_equal(json_parse(slice_str(members), 4096, &own), 0);
	json_object_update(body, own);
	return body;
}

static void every_type_is_taken_with_its_members(void **state UNUSED)
{
	static const struct {
		enum statement_type type;
		const char *members;
	} rows[] = {
		{ STATEMENT_LOGIN, "{}" },
		{ STATEMENT_ADOPT,
		  "{\"request\":\"r\",\"digest\":\"" DIGEST_TEXT
		  "\",\"task\":\"tsk_1\"}" },
		{ STATEMENT_RESOLVE, "{\"request\":\"r\",\"outcome\":"
				     "\"not-applied\",\"reason\":\"\"}" },
		{ STATEMENT_VOUCHER,
		  "{\"kind\":\"owner_ack\",\"action\":\"AddToGroup\","
		  "\"target\":\"corp\",\"resource\":\"cn=a,dc=b\","
		  "\"reference\":\"T-1\",\"text\":\"yes\","
		  "\"expires\":\"2027-01-16T00:00:00Z\"}" },
		{ STATEMENT_CHANGE, "{\"digest\":\"" DIGEST_TEXT "\"}" },
		{ STATEMENT_ACTIVATE, "{\"digest\":\"" DIGEST_TEXT "\"}" },
		{ STATEMENT_CONTAIN, "{\"kind\":\"agent\",\"name\":\"bot\","
				     "\"reason\":\"r\"}" },
		{ STATEMENT_RELEASE,
		  "{\"containment\":\"ctn_1\",\"reason\":\"r\"}" },
		{ STATEMENT_DRILL, "{\"target\":\"corp\"}" },
		{ STATEMENT_DISCLOSE,
		  "{\"index\":7,\"part\":\"intent\",\"reason\":\"r\"}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		enum statement_type type = rows[i].type;

		print_message("  %s\n", statement_type_name(type));
		assert_int_equal(
			sign_and_verify(new_of(type, rows[i].members), "first",
					statement_namespace(type), type),
			STATEMENT_VALID);
		assert_int_equal(
			sign_and_verify(new_of(type, "{\"other\":1}"), "first",
					statement_namespace(type), type),
			STATEMENT_MALFORMED);
	}
}

/* A security key in software (PROTOCOL.u2f), to say what flags we like. */

static void put_text(struct buf *b, const char *text)
{
	buf_put_string(b, slice_str(text));
}

static void sk_public(const EVP_PKEY *key, struct buf *blob)
{
	uint8_t raw[32];
	size_t len = sizeof(raw);

	assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
	put_text(blob, "sk-ssh-ed25519@openssh.com");
	buf_put_string(blob, slice_of(raw, len));
	put_text(blob, "ssh:");
}

/* What is signed in the name of text (PROTOCOL.sshsig). */
static struct digest sk_message(const char *text)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	struct digest digest = digest_of(slice_str(text));

	buf_put_str(&b, "SSHSIG");
	put_text(&b, "writ-approval");
	put_text(&b, "");
	put_text(&b, "sha256");
	buf_put_string(&b, digest_slice(&digest));
	return digest_of(buf_slice(&b));
}

static void sk_sign(EVP_PKEY *key, const char *text, uint8_t flags,
		    struct buf *out)
{
	CLEANUP(buf_clear) struct buf signed_bytes = BUF_INIT(4096);
	struct digest application = digest_of(slice_str("ssh:"));
	struct digest message = sk_message(text);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t signature[64];
	size_t len = sizeof(signature);

	buf_put(&signed_bytes, digest_slice(&application));
	buf_put_u8(&signed_bytes, flags);
	buf_put_u32(&signed_bytes, 7);
	buf_put(&signed_bytes, digest_slice(&message));
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, NULL, NULL, key), 1);
	assert_int_equal(EVP_DigestSign(ctx, signature, &len, signed_bytes.data,
					signed_bytes.len),
			 1);
	EVP_MD_CTX_free(ctx);
	put_text(out, "sk-ssh-ed25519@openssh.com");
	buf_put_string(out, slice_of(signature, len));
	buf_put_u8(out, flags);
	buf_put_u32(out, 7);
}

static char *sk_armor(EVP_PKEY *key, const char *text, uint8_t flags)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	CLEANUP(buf_clear) struct buf public = BUF_INIT(4096);
	CLEANUP(buf_clear) struct buf signature = BUF_INIT(4096);
	CLEANUP(mem_free_p) char *base64 = NULL;

	sk_public(key, &public);
	sk_sign(key, text, flags, &signature);
	buf_put_str(&b, "SSHSIG");
	buf_put_u32(&b, 1);
	buf_put_string(&b, buf_slice(&public));
	put_text(&b, "writ-approval");
	put_text(&b, "");
	put_text(&b, "sha256");
	buf_put_string(&b, buf_slice(&signature));
	base64 = text_base64(buf_slice(&b));
	return mem_format("-----BEGIN SSH SIGNATURE-----\n%s\n"
			  "-----END SSH SIGNATURE-----\n",
			  base64);
}

static void enrol(const EVP_PKEY *key)
{
	CLEANUP(buf_clear) struct buf public = BUF_INIT(4096);
	CLEANUP(mem_free_p) char *base64 = NULL;
	CLEANUP(mem_free_p) char *line = NULL;

	sk_public(key, &public);
	base64 = text_base64(buf_slice(&public));
	line = mem_format("sk-ssh-ed25519@openssh.com %s", base64);
	json_array_append_new(alice, json_string(line));
}

static enum statement_verdict approve_by_sk(EVP_PKEY *key, uint8_t flags)
{
	CLEANUP(json_put_p) json_t *body = new_approval();
	CLEANUP(mem_free_p) char *text = json_canonical(body);
	CLEANUP(mem_free_p) char *armored = sk_armor(key, text, flags);
	CLEANUP(json_put_p)
	json_t *form = json_pack("{s:s, s:s}", "statement", text, "signature",
				 armored);

	return verify(form, STATEMENT_APPROVAL);
}

static void only_presence_and_verification_are_a_step_up(void **state UNUSED)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");

	enrol(key);
	assert_int_equal(approve_by_sk(key, 0x05), STATEMENT_VALID);
	assert_true(s.step_up);
	assert_int_equal(approve_by_sk(key, 0x01), STATEMENT_VALID);
	assert_false(s.step_up);
	assert_int_equal(approve_by_sk(key, 0x04), STATEMENT_SIGNATURE);
	assert_int_equal(approve_by_sk(key, 0x00), STATEMENT_SIGNATURE);
	EVP_PKEY_free(key);
}

#define TEST(name) cmocka_unit_test_teardown(name, clear)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_ssh_keygen_signs_is_taken),
		TEST(any_of_a_humans_keys_will_do),
		TEST(a_strangers_key_is_refused),
		TEST(an_unknown_human_is_refused),
		TEST(a_signature_in_another_namespace_is_refused),
		TEST(a_login_does_not_serve_as_an_approval),
		TEST(a_statement_for_another_authority_is_refused),
		TEST(a_statement_more_than_five_minutes_off_is_refused),
		TEST(a_statement_that_is_not_canonical_is_refused),
		TEST(a_changed_statement_is_refused),
		TEST(a_member_that_is_missing_is_refused),
		TEST(a_member_of_the_wrong_kind_is_refused),
		TEST(a_form_of_another_shape_is_refused),
		TEST(what_is_wrong_with_a_form_is_said_at_its_place),
		TEST(a_statement_that_is_too_long_is_refused),
		TEST(each_type_has_its_namespace),
		TEST(a_detector_signs_as_itself_and_not_as_a_human),
		TEST(a_score_is_from_0_to_100),
		TEST(a_form_says_of_what_type_it_is),
		TEST(a_replay_is_left_to_the_caller),
		TEST(every_type_is_taken_with_its_members),
		TEST(only_presence_and_verification_are_a_step_up),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
