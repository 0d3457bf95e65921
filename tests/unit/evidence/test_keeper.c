/* The daemon's end of a real writ-keeper: what it issues. */
#include "evidence/keeper.h"

#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

enum { LEAVES = 4, LIMIT_MS = 30 * 1000 };

#define PUBLIC_KEY                                                             \
	"ssh-ed25519 "                                                         \
	"AAAAC3NzaC1lZDI1NTE5AAAAIEX/"                                         \
	"dQ0v4127bEo8eeG1EV0ApO2lWbSnN6RWusn/NjqI"

static char folder[] = "/tmp/test-keeper-XXXXXX";
static struct loop *loop;
static struct evidence_keeper *keeper;

/* ---- a log of four leaves ---- */

static const char salt[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
static char *leaves[LEAVES]; /* owned */
static char *note;	     /* owned; of all of them */

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

static json_t *token_payload(void)
{
	return json_pack("{s:s,s:s,s:s,s:s}", "iss",
			 "https://authority.example", "sub",
			 "spiffe://ex/agent/a", "aud", "https://target.example",
			 "client_id", "spiffe://ex/agent/a");
}

static json_t *ssh_payload(void)
{
	return json_pack("{s:s,s:[s]}", "publicKey", PUBLIC_KEY, "principals",
			 "app");
}

/* The text of a leaf that commits to a payload; owned. */
static char *leaf_of(const char *form, const json_t *payload)
{
	static const uint8_t zeros[DIGEST_LEN];
	CLEANUP(mem_free_p) char *text = json_canonical(payload);
	const struct slice parts[] = { slice_of("evc1", 5),
				       slice_of(zeros, sizeof(zeros)),
				       slice_str(text) };
	struct digest digest = digest_of_parts(parts, ARRAY_LEN(parts));
	CLEANUP(mem_free_p) char *said = text_base64url(digest_slice(&digest));
	CLEANUP(mem_free_p) char *commitment = mem_format("c:%s", said);
	int64_t now = clock_wall_ms();
	CLEANUP(json_put_p)
	json_t *leaf =
		json_pack("{s:i,s:s,s:s,s:s,s:s,s:I,s:I,s:[s]}", "v", 1, "kind",
			  "issued", "form", form, "about", "crd_1", "task",
			  "tsk_1", "at", (json_int_t)now, "expires",
			  (json_int_t)(now / 1000 + 300), "commit", commitment);

	return json_canonical(leaf);
}

static void got_note(void *cookie UNUSED, struct slice signed_note,
		     const char *why)
{
	assert_null(why);
	note = mem_format("%.*s", (int)signed_note.len,
			  (const char *)signed_note.ptr);
	loop_stop(loop);
}

static void too_late(void *cookie UNUSED)
{
	fail_msg("waited in vain");
}

/* Runs the loop until somebody stops it. */
static void await(void)
{
	struct loop_timer *timer = loop_timer(loop, LIMIT_MS, too_late, NULL);

	assert_int_equal(loop_run(loop), 0);
	loop_timer_end(timer);
}

/* ---- asking ---- */

static char *credential; /* owned; NULL when it was refused */
static char *reason;	 /* owned */

static void got_credential(void *cookie, const char *text, const char *why)
{
	assert_ptr_equal(cookie, &credential);
	assert_true((text == NULL) != (why == NULL));
	free(credential);
	free(reason);
	credential = mem_str(text);
	reason = mem_str(why);
	loop_stop(loop);
}

static int ask(enum keeper_form form, uint64_t index, json_t *owned_payload)
{
	CLEANUP(json_put_p) json_t *payload = owned_payload;
	struct merkle_proof proof;
	const struct keeper_issue issue = {
		.form = form,
		.leaf = leaves[index],
		.index = index,
		.proof = &proof,
		.note = slice_str(note),
		.salt = salt,
		.payload = payload,
	};

	assert_int_equal(
		merkle_inclusion_prove(node_of, NULL, index, LEAVES, &proof),
		0);
	TRY(keeper_issue(keeper, &issue, got_credential, &credential));
	await();
	return 0;
}

static void the_keeper_tells_its_public_keys(void **state UNUSED)
{
	assert_int_equal(
		json_array_size(json_array_in(keeper_jwks(keeper), "keys")), 1);
	assert_int_equal(
		json_array_size(json_array_in(keeper_ssh_keys(keeper), "keys")),
		1);
}

static void a_leaf_gives_its_token_once(void **state UNUSED)
{
	assert_int_equal(ask(KEEPER_TOKEN, 1, token_payload()), 0);
	assert_non_null(credential);
	assert_int_equal(ask(KEEPER_TOKEN, 1, token_payload()), 0);
	assert_null(credential);
	assert_non_null(strstr(reason, "used"));
}

static void a_leaf_gives_its_certificate(void **state UNUSED)
{
	assert_int_equal(ask(KEEPER_SSH, 2, ssh_payload()), 0);
	assert_non_null(strstr(credential, "-cert-v01@openssh.com "));
}

static void what_a_leaf_does_not_commit_to_is_refused(void **state UNUSED)
{
	assert_int_equal(ask(KEEPER_TOKEN, 3, ssh_payload()), 0);
	assert_null(credential);
	assert_non_null(strstr(reason, "payload"));
	assert_int_equal(ask(KEEPER_SSH, 3, token_payload()), 0);
	assert_non_null(strstr(reason, "leaf"));
}

static void what_is_too_large_does_not_reach_the_keeper(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *large = mem_alloc(100 * 1024);

	memset(large, 'x', 100 * 1024 - 1);
	assert_int_equal(ask(KEEPER_TOKEN, 3, json_pack("{s:s}", "sub", large)),
			 ERR_LIMIT);
	assert_int_equal(ask(KEEPER_TOKEN, 3, json_pack("{s:f}", "sub", 0.5)),
			 ERR_SYNTAX);
	/* The keeper is as well as before. */
	assert_int_equal(ask(KEEPER_TOKEN, 3, token_payload()), 0);
	assert_non_null(credential);
}

static void run_keeper(const char *more)
{
	CLEANUP(mem_free_p)
	char *command = mem_format("%s --folder %s %s", KEEPER, folder, more);

	assert_int_equal(system(command), 0);
}

static void fill_log(void)
{
	CLEANUP(json_put_p) json_t *token = token_payload();
	CLEANUP(json_put_p) json_t *ssh = ssh_payload();
	struct digest root;

	leaves[0] = mem_str("{\"kind\":\"genesis\",\"v\":1}");
	leaves[1] = leaf_of("token", token);
	leaves[2] = leaf_of("ssh", ssh);
	leaves[3] = leaf_of("token", token);
	assert_int_equal(merkle_root(node_of, NULL, LEAVES, &root), 0);
	keeper_sign(keeper, LEAVES, &root, NULL, got_note, NULL);
	await();
}

static int set_up(void **state UNUSED)
{
	const char *const command[] = { KEEPER, "--folder", folder, NULL };
	struct keeper_config config = { .command = command };

	assert_non_null(mkdtemp(folder));
	run_keeper("--init --origin writ.example/log");
	TRY(loop_open(&loop));
	config.loop = loop;
	TRY(keeper_open(&config, &keeper));
	fill_log();
	return 0;
}

static int tear_down(void **state UNUSED)
{
	static const char *const names[] = { "keys.json", "last", "issued" };

	keeper_close(keeper);
	loop_close(loop);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", folder, names[i]);

		discard(unlink(path));
	}
	for (size_t i = 0; i < LEAVES; i++)
		free(leaves[i]);
	free(note);
	free(credential);
	free(reason);
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_keeper_tells_its_public_keys),
		cmocka_unit_test(a_leaf_gives_its_token_once),
		cmocka_unit_test(a_leaf_gives_its_certificate),
		cmocka_unit_test(what_a_leaf_does_not_commit_to_is_refused),
		cmocka_unit_test(what_is_too_large_does_not_reach_the_keeper),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
