#include "support.h"

#include "govern/identity.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

#define ISSUER "https://issuer.example"

/* One TrustDomain with this issuer and these further members of "oidc". */
static json_t *issuer(const char *more)
{
	CLEANUP(mem_free_p)
	char *text = mem_format("{\"kind\":\"TrustDomain\",\"spec\":{\"oidc\":"
				"{\"issuer\":\"" ISSUER "\"%s}}}",
				more);
	json_t *manifest = NULL;

	assert_int_equal(json_parse(slice_str(text), 4096, &manifest), 0);
	return manifest;
}

/* An agent with one rule of these claims. */
static json_t *agent(const char *claims)
{
	CLEANUP(mem_free_p)
	char *text = mem_format("{\"kind\":\"Agent\",\"spec\":{\"oidc\":[{"
				"\"issuer\":\"" ISSUER "\",\"claims\":%s}]}}",
				claims);
	json_t *manifest = NULL;

	assert_int_equal(json_parse(slice_str(text), 4096, &manifest), 0);
	return manifest;
}

static struct identities *ids;
static json_t *manifests;

/* The first fault of agents a and b with these claims, "" if there is none;
 * owned. */
static char *build(const char *oidc, const char *a, const char *b)
{
	CLEANUP(json_put_p) json_t *faults = json_array();

	identities_free(TAKE(ids));
	json_decref(TAKE(manifests));
	manifests = json_object();
	json_set_new(manifests, "TrustDomain/cluster", issuer(oidc));
	json_set_new(manifests, "Agent/a", agent(a));
	if (b)
		json_set_new(manifests, "Agent/b", agent(b));
	ids = identities_new(manifests, faults);
	return mem_str(json_text(json_array_get(faults, 0), "detail", ""));
}

static int teardown(void **state UNUSED)
{
	identities_free(TAKE(ids));
	json_decref(TAKE(manifests));
	return 0;
}

static void expect_fault(const char *a, const char *b, const char *words)
{
	CLEANUP(mem_free_p) char *found = build("", a, b);

	if (*words ? !strstr(found, words) : *found != '\0')
		fail_msg("%s, %s: %s", a, b ? b : "", found);
}

/* The agent of a token with these claims, "" for none, "several". */
static const char *whose(const char *claims)
{
	CLEANUP(json_put_p) json_t *token = NULL;
	bool several = false;
	const char *name;

	assert_int_equal(json_parse(slice_str(claims), 4096, &token), 0);
	name = identities_agent(ids, ISSUER, token, &several);
	if (several) {
		assert_null(name);
		return "several";
	}
	return name ? name : "";
}

static void a_token_is_the_agents_whose_rule_it_fits(void **state UNUSED)
{
	expect_fault("{\"sub\":\"x\"}", "{\"sub\":[\"y\",\"z\"]}", "");
	assert_string_equal(whose("{\"sub\":\"x\"}"), "a");
	assert_string_equal(whose("{\"sub\":\"z\",\"more\":[1]}"), "b");
	assert_string_equal(whose("{\"sub\":\"X\"}"), "");
	assert_string_equal(whose("{\"sub\":\"\"}"), "");
	assert_string_equal(whose("{\"sub\":[\"x\"]}"), "");
	assert_string_equal(whose("{\"sub\":1}"), "");
	assert_string_equal(whose("{}"), "");
}

static void every_claim_of_a_rule_must_fit(void **state UNUSED)
{
	expect_fault("{\"sub\":\"x\",\"/k.io/ns\":\"n\",\"a/b\":\"c\","
		     "\"/d~1e/f~0\":\"g\"}",
		     NULL, "");
	assert_string_equal(whose("{\"sub\":\"x\",\"k.io\":{\"ns\":\"n\"},"
				  "\"a/b\":\"c\",\"d/e\":{\"f~\":\"g\"}}"),
			    "a");
	assert_string_equal(whose("{\"sub\":\"x\",\"k.io\":{\"ns\":\"m\"},"
				  "\"a/b\":\"c\",\"d/e\":{\"f~\":\"g\"}}"),
			    "");
	assert_string_equal(whose("{\"sub\":\"x\",\"/k.io/ns\":\"n\","
				  "\"a/b\":\"c\",\"d/e\":{\"f~\":\"g\"}}"),
			    "");
	assert_string_equal(whose("{\"sub\":\"x\",\"k.io\":[\"n\"],"
				  "\"a/b\":\"c\",\"d/e\":{\"f~\":\"g\"}}"),
			    "");
}

static void another_issuers_token_is_nobodys(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *claims = json_pack("{s:s}", "sub", "x");
	bool several = true;

	expect_fault("{\"sub\":\"x\"}", NULL, "");
	assert_null(identities_agent(ids, ISSUER "/", claims, &several));
	assert_false(several);
}

static void rules_that_one_token_could_fit_are_not_taken(void **state UNUSED)
{
	static const char words[] = "could be that of";

	expect_fault("{\"sub\":\"x\"}", "{\"sub\":\"x\"}", words);
	expect_fault("{\"sub\":\"x\"}", "{\"sub\":[\"w\",\"x\"]}", words);
	expect_fault("{\"sub\":\"x\"}", "{\"/sub\":\"x\"}", words);
	expect_fault("{\"sub\":\"x\"}", "{\"sub\":\"x\",\"ref\":\"m\"}", words);
	expect_fault("{\"sub\":\"x\",\"env\":\"e\"}",
		     "{\"sub\":\"x\",\"ref\":\"m\"}", words);
	expect_fault("{\"sub\":\"x\",\"ref\":[\"m\",\"n\"]}",
		     "{\"sub\":\"x\",\"ref\":[\"n\",\"o\"]}", words);
	expect_fault("{\"sub\":\"x\",\"ref\":\"m\"}",
		     "{\"sub\":\"x\",\"/ref\":\"n\"}", "");
}

/* It cannot be applied, but what was applied by another program's rules might
 * hold it: nobody is chosen at random. */
static void a_token_that_fits_two_agents_is_nobodys(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *fault =
		build("", "{\"sub\":\"x\"}", "{\"sub\":\"x\",\"ref\":\"m\"}");

	assert_true(*fault);
	assert_string_equal(whose("{\"sub\":\"x\",\"ref\":\"m\"}"), "several");
	assert_string_equal(whose("{\"sub\":\"x\"}"), "a");
}

static void every_rule_names_the_claim_that_tells_apart(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *good = build(",\"subjectClaim\":\"/repo/name\"",
			   "{\"/repo/name\":\"r\"}", "{\"/repo/name\":\"s\"}");
	CLEANUP(mem_free_p) char *bad = NULL;

	assert_string_equal(good, "");
	assert_string_equal(whose("{\"repo\":{\"name\":\"s\"}}"), "b");
	bad = build(",\"subjectClaim\":\"repo\"", "{\"sub\":\"x\"}", NULL);
	assert_non_null(strstr(bad, "'repo' is wanted"));
	expect_fault("{\"repo\":\"x\"}", NULL, "'sub' is wanted");
}

static void a_claim_is_compared_with_texts_alone(void **state UNUSED)
{
	static const char *const claims[] = {
		"{\"sub\":1}",
		"{\"sub\":true}",
		"{\"sub\":\"\"}",
		"{\"sub\":[]}",
		"{\"sub\":[1]}",
		"{\"sub\":{}}",
		"{\"sub\":[\"x\",\"\"]}",
		"{\"sub\":null}",
	};

	for (size_t i = 0; i < ARRAY_LEN(claims); i++)
		expect_fault(claims[i], NULL, "is compared with a text");
}

static void
claims_that_say_nothing_of_who_it_is_are_refused(void **state UNUSED)
{
	expect_fault("{\"sub\":\"x\",\"iss\":\"y\"}", NULL, "says nothing");
	expect_fault("{\"sub\":\"x\",\"/jti\":\"y\"}", NULL, "says nothing");
	expect_fault("{\"sub\":\"x\",\"/a~2\":\"y\"}", NULL, "JSON pointer");
	expect_fault("{\"sub\":\"x\",\"/a/\":\"y\"}", NULL, "JSON pointer");
}

static void
more_rules_for_one_value_than_the_limit_are_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *faults = json_array();
	CLEANUP(json_put_p) json_t *all = json_object();
	struct identities *many;

	json_set_new(all, "TrustDomain/cluster", issuer(""));
	for (int i = 0; i <= IDENTITY_SHARED_MAX; i++) {
		CLEANUP(mem_free_p) char *id = mem_format("Agent/a%d", i);
		CLEANUP(mem_free_p)
		char *claims =
			mem_format("{\"sub\":\"x\",\"repo\":\"r%d\"}", i);

		json_set_new(all, id, agent(claims));
	}
	many = identities_new(all, faults);
	assert_int_equal(json_array_size(faults), 1);
	identities_free(many);
}

#define TEST(name) cmocka_unit_test_teardown(name, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_token_is_the_agents_whose_rule_it_fits),
		TEST(every_claim_of_a_rule_must_fit),
		TEST(another_issuers_token_is_nobodys),
		TEST(rules_that_one_token_could_fit_are_not_taken),
		TEST(a_token_that_fits_two_agents_is_nobodys),
		TEST(every_rule_names_the_claim_that_tells_apart),
		TEST(a_claim_is_compared_with_texts_alone),
		TEST(claims_that_say_nothing_of_who_it_is_are_refused),
		TEST(more_rules_for_one_value_than_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
