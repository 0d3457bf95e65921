#include "connectors/sdk/approvers.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "signatures.h"

#define LINES "# people\n\nalice " KEY_ALICE " laptop\nbob " KEY_BOB "\n"

static const char authority[] = "authority.example/writ";
static char digest[DIGEST_TEXT_LEN];

static struct approvers *approvers_of(const char *text)
{
	struct approvers *approvers = NULL;

	assert_int_equal(approvers_parse(slice_str(text), &approvers), 0);
	return approvers;
}

static int parse_fails(const char *text)
{
	struct approvers *approvers = NULL;
	int r = approvers_parse(slice_str(text), &approvers);

	assert_null(approvers);
	return r;
}

static void add(json_t *list, const char *human, const char *statement,
		const char *signature)
{
	json_t *row = json_object();

	json_set_text(row, "human", human);
	json_set_text(row, "statement", statement);
	json_set_text(row, "signature", signature);
	json_array_append_new(list, row);
}

static size_t count(const char *human, const char *statement,
		    const char *signature)
{
	CLEANUP(approvers_free_p)
	struct approvers *approvers = approvers_of(LINES);
	CLEANUP(json_put_p) json_t *list = json_array();

	add(list, human, statement, signature);
	return approvers_count(approvers, list, authority, digest);
}

static void two_humans_that_signed_are_two(void **state UNUSED)
{
	CLEANUP(approvers_free_p)
	struct approvers *approvers = approvers_of(LINES);
	CLEANUP(json_put_p) json_t *list = json_array();

	add(list, "alice", statement_alice, signature_alice);
	add(list, "bob", statement_bob, signature_bob);
	assert_int_equal(approvers_count(approvers, list, authority, digest),
			 2);
}

static void one_human_who_signed_twice_is_one(void **state UNUSED)
{
	CLEANUP(approvers_free_p)
	struct approvers *approvers = approvers_of(LINES);
	CLEANUP(json_put_p) json_t *list = json_array();

	add(list, "alice", statement_alice, signature_alice);
	add(list, "alice", statement_alice, signature_alice);
	assert_int_equal(approvers_count(approvers, list, authority, digest),
			 1);
}

static void a_bad_signature_does_not_bar_a_good_one(void **state UNUSED)
{
	CLEANUP(approvers_free_p)
	struct approvers *approvers = approvers_of(LINES);
	CLEANUP(json_put_p) json_t *list = json_array();

	add(list, "alice", statement_alice, signature_bob);
	add(list, "alice", statement_alice, signature_alice);
	assert_int_equal(approvers_count(approvers, list, authority, digest),
			 1);
}

static void a_denial_is_no_approval(void **state UNUSED)
{
	assert_int_equal(count("alice", statement_deny, signature_deny), 0);
}

static void a_login_signature_is_no_approval(void **state UNUSED)
{
	assert_int_equal(count("alice", statement_login, signature_login), 0);
}

static void a_key_that_is_not_the_humans_does_not_count(void **state UNUSED)
{
	assert_int_equal(count("alice", statement_foreign, signature_foreign),
			 0);
	assert_int_equal(count("bob", statement_alice, signature_alice), 0);
	assert_int_equal(count("mallory", statement_alice, signature_alice), 0);
}

static void
a_statement_changed_after_signing_does_not_count(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *changed = mem_str(statement_alice);

	assert_int_equal(count("alice", changed, signature_alice), 1);
	*strstr(changed, "2026") = '3';
	assert_int_equal(count("alice", changed, signature_alice), 0);
}

static void another_digest_or_authority_does_not_count(void **state UNUSED)
{
	CLEANUP(approvers_free_p)
	struct approvers *approvers = approvers_of(LINES);
	CLEANUP(json_put_p) json_t *list = json_array();
	struct digest other = digest_of(slice_str("other"));
	char text[DIGEST_TEXT_LEN];

	digest_format(&other, text);
	add(list, "alice", statement_alice, signature_alice);
	assert_int_equal(approvers_count(approvers, list, authority, text), 0);
	assert_int_equal(approvers_count(approvers, list, "other", digest), 0);
}

static void a_damaged_file_is_refused_with_its_line(void **state UNUSED)
{
	static const char *const damaged[] = {
		"alice\n",
		"alice \n",
		" " KEY_ALICE "\n",
		"Alice! " KEY_ALICE "\n",
		"alice ssh-ed25519 AAAA\n",
		"alice " KEY_ALICE "\nbob " KEY_ALICE "\n",
	};

	for (size_t i = 0; i < ARRAY_LEN(damaged); i++)
		assert_int_equal(parse_fails(damaged[i]), ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "line 2"));
}

static int set_up(void **state UNUSED)
{
	struct digest plan = digest_of(slice_str("plan"));

	digest_format(&plan, digest);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_humans_that_signed_are_two),
		cmocka_unit_test(one_human_who_signed_twice_is_one),
		cmocka_unit_test(a_bad_signature_does_not_bar_a_good_one),
		cmocka_unit_test(a_denial_is_no_approval),
		cmocka_unit_test(a_login_signature_is_no_approval),
		cmocka_unit_test(a_key_that_is_not_the_humans_does_not_count),
		cmocka_unit_test(
			a_statement_changed_after_signing_does_not_count),
		cmocka_unit_test(another_digest_or_authority_does_not_count),
		cmocka_unit_test(a_damaged_file_is_refused_with_its_line),
	};

	return cmocka_run_group_tests(tests, set_up, NULL);
}
