#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "govern/attenuate.h"

#define A "{sub: a, iss: x}"
#define B "{sub: b, iss: x}"
/* who acts, and for whom */
#define ACT(name, inner) "act: {sub: " name ", iss: x, act: " inner "}"
#define DETAIL(members) "authorization_details: [{type: t, " members "}]"
#define RES(uri) "resource: '" uri "'"

enum { SAME_SUBJECT, NEW_ACTOR };

/* What a parent and a child say beside exp and sub; the child of NEW_ACTOR is
 * b's, with a before it. */
static const struct row {
	const char *parent;
	const char *child;
	enum attenuation result;
	int form;
} rows[] = {
	/* scope */
	{ "", "", ATTENUATION_HOLDS },
	{ "scope: read", "scope: read", ATTENUATION_HOLDS },
	{ "scope: read write", "scope: write", ATTENUATION_HOLDS },
	{ "scope: read write", "scope: write read", ATTENUATION_HOLDS },
	{ "scope: read", "", ATTENUATION_HOLDS },
	{ "scope: read", "scope: write", ATTENUATION_SCOPE },
	{ "scope: read", "scope: read write", ATTENUATION_SCOPE },
	{ "", "scope: read", ATTENUATION_SCOPE },
	{ "scope: 'read:*'", "scope: 'read:mail'", ATTENUATION_SCOPE },
	{ "scope: read", "scope: Read", ATTENUATION_SCOPE },
	{ "scope: read", "scope: rea", ATTENUATION_SCOPE },
	{ "scope: read", "scope: 'read  read'", ATTENUATION_MALFORMED },
	{ "scope: read", "scope: 'read '", ATTENUATION_MALFORMED },
	{ "scope: read", "scope: \"re\\\"ad\"", ATTENUATION_MALFORMED },
	{ "scope: read", "scope: [read]", ATTENUATION_MALFORMED },
	{ "scope: 7", "scope: read", ATTENUATION_MALFORMED },

	/* resource */
	{ RES("https://a/x"), RES("https://a/x"), ATTENUATION_HOLDS },
	{ RES("HTTPS://A:443"), RES("https://a/"), ATTENUATION_HOLDS },
	{ RES("https://a/%7ex"), RES("https://a/~x"), ATTENUATION_HOLDS },
	{ RES("https://a/%2f"), RES("https://a/%2F"), ATTENUATION_HOLDS },
	{ "resource: ['https://a/', 'https://b/']", RES("https://b/"),
	  ATTENUATION_HOLDS },
	{ RES("https://a/x"), RES("https://a/x/y"), ATTENUATION_RESOURCE },
	{ RES("https://a/x"), RES("https://a/x/"), ATTENUATION_RESOURCE },
	{ RES("https://a/"), RES("https://a/X"), ATTENUATION_RESOURCE },
	{ RES("https://a/"), RES("http://a/"), ATTENUATION_RESOURCE },
	{ RES("https://a/"), RES("https://a:8443/"), ATTENUATION_RESOURCE },
	{ RES("https://a/"), RES("https://a.b/"), ATTENUATION_RESOURCE },
	{ RES("https://a/?q"), RES("https://a/"), ATTENUATION_RESOURCE },
	{ RES("https://a/"), "resource: ['https://a/', 'https://b/']",
	  ATTENUATION_RESOURCE },
	{ "", RES("https://a/"), ATTENUATION_RESOURCE },
	{ RES("https://a/"), "", ATTENUATION_RESOURCE },
	{ RES("https://a/"), RES("https://a/b/../"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), RES("https://a/%2e/"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), RES("https://a@b/"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), RES("https://a/#f"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), RES("https://a/%zz"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), RES("/x"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), RES("a:"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), RES("https://"), ATTENUATION_MALFORMED },
	{ RES("https://a/"), "resource: [7]", ATTENUATION_MALFORMED },

	/* authorization_details */
	{ DETAIL("actions: [r, w]"), DETAIL("actions: [r]"),
	  ATTENUATION_HOLDS },
	{ DETAIL("actions: [r], locations: [l], datatypes: [d], identifier: i"),
	  DETAIL("actions: [r], locations: [l], datatypes: [d], identifier: i"),
	  ATTENUATION_HOLDS },
	{ "authorization_details: [{type: t, actions: [r]}, {type: t, "
	  "actions: [w]}]",
	  DETAIL("actions: [w]"), ATTENUATION_HOLDS },
	{ DETAIL("actions: [r]"), "", ATTENUATION_HOLDS },
	{ "authorization_details: [{type: writ_task, actions: [r], task: p}]",
	  "authorization_details: [{type: writ_task, actions: [r], task: c}]",
	  ATTENUATION_HOLDS },
	{ "authorization_details: [{type: t, actions: [r]}, {type: t, "
	  "actions: [w]}]",
	  DETAIL("actions: [r, w]"), ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"), DETAIL("actions: [w]"), ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"), DETAIL("locations: [l]"),
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r], locations: [l]"), DETAIL("actions: [r]"),
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"), DETAIL("actions: [r], locations: [l]"),
	  ATTENUATION_DETAILS },
	{ DETAIL("locations: [l]"), DETAIL("locations: [l, m]"),
	  ATTENUATION_DETAILS },
	{ DETAIL("datatypes: [d]"), DETAIL("datatypes: [e]"),
	  ATTENUATION_DETAILS },
	{ DETAIL("identifier: i"), DETAIL("identifier: j"),
	  ATTENUATION_DETAILS },
	{ DETAIL("identifier: i"), DETAIL("actions: [r]"),
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"), DETAIL("actions: [r], privileges: [p]"),
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r], amount: 5"), DETAIL("actions: [r], amount: 5"),
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r], task: p"), DETAIL("actions: [r], task: p"),
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"),
	  "authorization_details: [{type: u, actions: [r]}]",
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"), "authorization_details: [{actions: [r]}]",
	  ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"), DETAIL("actions: r"), ATTENUATION_DETAILS },
	{ "", DETAIL("actions: [r]"), ATTENUATION_DETAILS },
	{ DETAIL("actions: [r]"), "authorization_details: {}",
	  ATTENUATION_MALFORMED },

	/* act: the chain as it is, or one actor more */
	{ "act: " A, "act: " A, ATTENUATION_HOLDS },
	{ "", "act: " B, ATTENUATION_HOLDS },
	{ "", ACT("b", A), ATTENUATION_HOLDS, NEW_ACTOR },
	{ "act: " A, ACT("b", A), ATTENUATION_HOLDS },
	{ "act: " A, ACT("b", A), ATTENUATION_HOLDS, NEW_ACTOR },
	{ ACT("a", B), ACT("b", "{sub: a, iss: x, act: " B "}"),
	  ATTENUATION_HOLDS, NEW_ACTOR },
	{ "act: " A, "", ATTENUATION_ACT },
	{ "act: " A, "act: " B, ATTENUATION_ACT },
	{ "act: " A, ACT("c", "{sub: b, iss: x, act: " A "}"),
	  ATTENUATION_ACT },
	{ "act: " A, ACT("b", "{sub: a, iss: y}"), ATTENUATION_ACT },
	{ "", ACT("b", B), ATTENUATION_ACT },
	{ "", ACT("c", "{sub: b, iss: x, act: " A "}"), ATTENUATION_ACT },
	{ "", "act: {sub: b}", ATTENUATION_MALFORMED },
	{ "", "act: b", ATTENUATION_MALFORMED },
	{ "", "act: {sub: b, iss: x, client_profile: y}",
	  ATTENUATION_MALFORMED },
	{ "may_act: {sub: b}", "act: " B, ATTENUATION_HOLDS },
	{ "may_act: {sub: b, iss: y}", "act: " B, ATTENUATION_ACT },
	{ "may_act: {sub: b, iss: x}", "act: " B, ATTENUATION_HOLDS },
	{ "may_act: {sub: c}", "act: " B, ATTENUATION_ACT },
	{ "may_act: {iss: x}", "act: " B, ATTENUATION_ACT },
	{ "may_act: b", "act: " B, ATTENUATION_ACT },
	{ "may_act: {sub: c, iss: x}", "", ATTENUATION_HOLDS },

	/* sub */
	{ "", "", ATTENUATION_SUB, NEW_ACTOR },
	{ "", "act: " B, ATTENUATION_SUB, NEW_ACTOR },
	{ "act: {sub: c, iss: x}", ACT("b", "{sub: c, iss: x}"),
	  ATTENUATION_SUB, NEW_ACTOR },
	{ "act: " A, "act: " A, ATTENUATION_SUB, NEW_ACTOR },
};

static json_t *claims_of(const char *members, const char *subject, int exp)
{
	CLEANUP(mem_free_p)
	char *text = mem_format("{exp: %d, sub: %s%s%s}", exp, subject,
				*members ? ", " : "", members);

	return support_value(text);
}

static void each_row_of_the_table_holds(void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(json_put_p)
		json_t *parent = claims_of(rows[i].parent, "a", 100);
		CLEANUP(json_put_p)
		json_t *child =
			claims_of(rows[i].child,
				  rows[i].form == NEW_ACTOR ? "b" : "a", 100);
		char why[ATTENUATE_WHY_MAX];
		enum attenuation result = attenuates(parent, child, why);

		if (result != rows[i].result)
			fail_msg("%s -> %s: %s (%s), not %s", rows[i].parent,
				 rows[i].child, attenuation_name(result), why,
				 attenuation_name(rows[i].result));
		assert_int_equal(!*why, result == ATTENUATION_HOLDS);
	}
}

static void a_child_ends_no_later_than_its_parent(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *parent = claims_of("", "a", 100);
	CLEANUP(json_put_p) json_t *shorter = claims_of("", "a", 99);
	CLEANUP(json_put_p) json_t *longer = claims_of("", "a", 101);
	CLEANUP(json_put_p) json_t *endless = support_value("{sub: a}");
	CLEANUP(json_put_p)
	json_t *other = support_value("{sub: a, exp: '99'}");
	char why[ATTENUATE_WHY_MAX];

	assert_int_equal(attenuates(parent, shorter, why), ATTENUATION_HOLDS);
	assert_int_equal(attenuates(parent, longer, why), ATTENUATION_EXP);
	assert_string_equal(why, "the child outlives the parent by 1 s");
	assert_int_equal(attenuates(parent, endless, why),
			 ATTENUATION_MALFORMED);
	assert_int_equal(attenuates(endless, shorter, why),
			 ATTENUATION_MALFORMED);
	assert_int_equal(attenuates(parent, other, why), ATTENUATION_MALFORMED);
}

static void what_is_no_claims_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *claims = claims_of("", "a", 100);
	CLEANUP(json_put_p) json_t *list = json_array();
	CLEANUP(json_put_p) json_t *nobody = support_value("{exp: 100}");
	char why[ATTENUATE_WHY_MAX];

	assert_int_equal(attenuates(claims, list, why), ATTENUATION_MALFORMED);
	assert_int_equal(attenuates(list, claims, why), ATTENUATION_MALFORMED);
	assert_int_equal(attenuates(NULL, NULL, why), ATTENUATION_MALFORMED);
	assert_int_equal(attenuates(nobody, nobody, why),
			 ATTENUATION_MALFORMED);
}

/* act that many deep */
static json_t *deep(int depth)
{
	json_t *act = support_value(A);

	for (int i = 1; i < depth; i++) {
		json_t *outer = support_value(B);

		json_set_new(outer, "act", act);
		act = outer;
	}
	return act;
}

static void a_chain_is_at_most_eight_deep(void **state UNUSED)
{
	for (int depth = 1; depth <= 10; depth++) {
		CLEANUP(json_put_p) json_t *parent = claims_of("", "a", 100);
		CLEANUP(json_put_p) json_t *child = claims_of("", "a", 100);
		char why[ATTENUATE_WHY_MAX];

		json_set_new(parent, "act", deep(depth));
		json_set_new(child, "act", deep(depth + 1));
		assert_int_equal(attenuates(parent, child, why),
				 depth < ATTENUATE_ACTORS_MAX
					 ? ATTENUATION_HOLDS
					 : ATTENUATION_MALFORMED);
	}
}

/* claims with so many values in one list */
static json_t *many(const char *name, const char *value, size_t count)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(64 * 1024);

	buf_putf(&b, "%s: [", name);
	for (size_t i = 0; i < count; i++)
		buf_putf(&b, "%s'%s%zu'", i ? ", " : "", value, i);
	buf_put_str(&b, "]");
	return claims_of(buf_text(&b), "a", 100);
}

static void a_list_has_a_limit(void **state UNUSED)
{
	static const struct {
		size_t count;
		enum attenuation result;
	} sizes[] = {
		{ ATTENUATE_VALUES_MAX, ATTENUATION_HOLDS },
		{ ATTENUATE_VALUES_MAX + 1, ATTENUATION_MALFORMED },
	};

	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(json_put_p)
		json_t *claims = many("resource", "https://a/", sizes[i].count);
		char why[ATTENUATE_WHY_MAX];

		assert_int_equal(attenuates(claims, claims, why),
				 sizes[i].result);
	}
}

static void every_token_attenuates_itself_but_for_what_cannot_be_compared(
	void **state UNUSED)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(json_put_p)
		json_t *claims = claims_of(rows[i].parent, "a", 100);
		char why[ATTENUATE_WHY_MAX];
		enum attenuation result = attenuates(claims, claims, why);

		assert_true(result == ATTENUATION_HOLDS ||
			    result == ATTENUATION_MALFORMED ||
			    result == ATTENUATION_DETAILS);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_row_of_the_table_holds),
		cmocka_unit_test(a_child_ends_no_later_than_its_parent),
		cmocka_unit_test(what_is_no_claims_is_refused),
		cmocka_unit_test(a_chain_is_at_most_eight_deep),
		cmocka_unit_test(a_list_has_a_limit),
		cmocka_unit_test(
			every_token_attenuates_itself_but_for_what_cannot_be_compared),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
