#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/review.h"

static const char plan_text[] =
	"{\"action\":\"AddToGroup\",\"class\":\"sha256:aa\","
	"\"diff\":[{\"attribute\":\"member\",\"op\":\"add\",\"value\":\"uid="
	"x\"}],"
	"\"gains\":[{\"id\":\"uid=x\",\"type\":\"account\"}],"
	"\"request\":\"req_1\",\"resource\":\"cn=admins\",\"undo\":null,\"v\":"
	"1}";

static char *digest_text(const char *text)
{
	struct digest digest = digest_of(slice_str(text));
	char *out = mem_alloc(DIGEST_TEXT_LEN);

	digest_format(&digest, out);
	return out;
}

static int review(const char *text, const char *claimed, const char *id)
{
	CLEANUP(json_put_p) json_t *plan = NULL;
	char digest[DIGEST_TEXT_LEN];

	return review_plan(text, claimed, id, &plan, digest);
}

static void a_plan_with_its_own_digest_is_taken(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *digest = digest_text(plan_text);

	assert_int_equal(review(plan_text, digest, "req_1"), 0);
}

static void a_plan_changed_by_one_byte_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *digest = digest_text(plan_text);
	CLEANUP(mem_free_p) char *text = mem_str(plan_text);

	strstr(text, "admins")[0] = 'A';
	assert_int_equal(review(text, digest, "req_1"), ERR_CORRUPT);
}

static void a_digest_that_is_not_named_is_refused(void **state UNUSED)
{
	assert_int_equal(review(plan_text, NULL, "req_1"), ERR_CORRUPT);
	assert_int_equal(review(plan_text, "", "req_1"), ERR_CORRUPT);
}

static void a_plan_of_another_request_is_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *digest = digest_text(plan_text);

	assert_int_equal(review(plan_text, digest, "req_2"), ERR_CORRUPT);
}

static void a_plan_that_is_not_canonical_is_refused(void **state UNUSED)
{
	static const char loose[] = "{\"request\": \"req_1\", \"a\": 1}";
	CLEANUP(mem_free_p) char *digest = digest_text(loose);

	assert_int_equal(review(loose, digest, "req_1"), ERR_CORRUPT);
	assert_int_equal(review("nonsense", digest, "req_1"), ERR_CORRUPT);
}

static void every_member_of_a_plan_is_shown(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *plan = json_loads(plan_text, 0, NULL);
	CLEANUP(mem_free_p) char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	review_show_plan(out, false, plan, "sha256:bb");
	fclose(out);
	assert_non_null(strstr(text, "AddToGroup"));
	assert_non_null(strstr(text, "cn=admins"));
	assert_non_null(strstr(text, "  + member: uid=x\n"));
	assert_non_null(strstr(text, "account uid=x"));
	assert_non_null(strstr(text, "there is no way back"));
	assert_non_null(strstr(text, "class: sha256:aa"));
	assert_non_null(strstr(text, "v: 1"));
	assert_non_null(strstr(text, "Digest:          sha256:bb\n"));
}

static void a_diff_shows_old_and_new(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *diff = json_loads(
		"[{\"op\":\"update\",\"kind\":\"Agent\",\"name\":\"bot\","
		"\"changes\":[{\"path\":\"/owner\",\"old\":\"alice\","
		"\"new\":\"bob\"},{\"path\":\"/clearance\",\"new\":2}]},"
		"{\"op\":\"unchanged\",\"kind\":\"Human\",\"name\":\"bob\"},"
		"{\"op\":\"create\",\"kind\":\"Group\",\"name\":\"g\\u001b\"}]",
		0, NULL);
	CLEANUP(mem_free_p) char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_int_equal(review_show_diff(out, false, diff), 2);
	fclose(out);
	assert_string_equal(text, "~ update Agent/bot\n"
				  "    - /owner: alice\n"
				  "    + /owner: bob\n"
				  "    + /clearance: 2\n"
				  "= unchanged Human/bob\n"
				  "+ create Group/g\\u{1b}\n");
}

static void manifests_with_another_digest_are_refused(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *m =
		json_loads("[{\"kind\":\"Group\",\"metadata\":{\"name\":\"g\"},"
			   "\"spec\":{}}]",
			   0, NULL);
	char digest[DIGEST_TEXT_LEN];
	char again[DIGEST_TEXT_LEN];

	assert_int_equal(review_manifests(m, false, NULL, digest), 0);
	assert_int_equal(review_manifests(m, false, digest, again), 0);
	assert_string_equal(digest, again);
	json_object_set_new(json_object_get(json_array_get(m, 0), "spec"), "x",
			    json_true());
	assert_int_equal(review_manifests(m, false, digest, again),
			 ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_plan_with_its_own_digest_is_taken),
		cmocka_unit_test(a_plan_changed_by_one_byte_is_refused),
		cmocka_unit_test(a_digest_that_is_not_named_is_refused),
		cmocka_unit_test(a_plan_of_another_request_is_refused),
		cmocka_unit_test(a_plan_that_is_not_canonical_is_refused),
		cmocka_unit_test(every_member_of_a_plan_is_shown),
		cmocka_unit_test(a_diff_shows_old_and_new),
		cmocka_unit_test(manifests_with_another_digest_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
