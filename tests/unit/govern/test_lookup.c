#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "govern/lookup.h"

static json_t *parse(const char *text)
{
	json_t *value = NULL;

	assert_int_equal(json_parse(slice_str(text), 1 << 16, &value), 0);
	return value;
}

static void references_are_short_and_plain(void **state)
{
	static const char *const good[] = { "CHG-1", "7", "ops:2026#12",
					    "a.b_c-d" };
	static const char *const wrong[] = {
		"",	 "..",	   "../admin", "a/b",	   "a\\b",	  "a b",
		"a?b=c", "%2e%2e", "a..b",     ".a",	   "a.",	  "-a",
		"a\nb",	 "a@b",	   "a&b",      "\xc3\xa4", "{reference}", "#a",
	};
	char longest[LOOKUP_REFERENCE_MAX + 2];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(good); i++)
		assert_true(lookup_reference_is_good(good[i]));
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		assert_false(lookup_reference_is_good(wrong[i]));
	memset(longest, 'a', sizeof(longest));
	longest[LOOKUP_REFERENCE_MAX] = '\0';
	assert_true(lookup_reference_is_good(longest));
	longest[LOOKUP_REFERENCE_MAX] = 'a';
	longest[LOOKUP_REFERENCE_MAX + 1] = '\0';
	assert_false(lookup_reference_is_good(longest));
}

static void a_reference_stays_one_segment_of_the_path(void **state)
{
	CLEANUP(mem_free_p)
	char *url = lookup_url("https://t.example/x/{reference}?full=1",
			       "ops:2026#12");

	(void)state;
	assert_string_equal(url, "https://t.example/x/ops%3A2026%2312?full=1");
}

/* RFC 6901, 5. */
static void pointers_lead_where_the_rfc_says(void **state)
{
	static const struct {
		const char *pointer;
		int64_t value; /* -1: to nothing */
	} rows[] = {
		{ "/foo/0", 10 },   { "/", 0 },	       { "/a~1b", 1 },
		{ "/c%d", 2 },	    { "/e^f", 3 },     { "/g|h", 4 },
		{ "/i\\j", 5 },	    { "/k\"l", 6 },    { "/ ", 7 },
		{ "/m~0n", 8 },	    { "/foo/01", -1 }, { "/foo/2", -1 },
		{ "/foo/-", -1 },   { "/foo/x", -1 },  { "/nothing", -1 },
		{ "foo", -1 },	    { "/m~n", -1 },    { "/m~", -1 },
		{ "/foo/0/0", -1 },
	};
	CLEANUP(json_put_p)
	json_t *doc = parse("{\"foo\":[10,11],\"\":0,\"a/b\":1,\"c%d\":2,"
			    "\"e^f\":3,\"g|h\":4,\"i\\\\j\":5,\"k\\\"l\":6,"
			    "\" \":7,\"m~n\":8}");

	(void)state;
	assert_ptr_equal(lookup_at(doc, ""), doc);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const json_t *at = lookup_at(doc, rows[i].pointer);

		if (rows[i].value < 0)
			assert_null(at);
		else
			assert_int_equal(json_integer_value(at), rows[i].value);
	}
}

static const char rule_text[] =
	"{\"kind\":\"ticket\",\"require\":["
	"{\"at\":\"/status\",\"in\":[\"approved\",\"scheduled\"]},"
	"{\"at\":\"/change/target\",\"equals\":\"request.target\"},"
	"{\"at\":\"/change/who\",\"equals\":\"request.parameters.member\"}]}";

static const char doc_text[] = "{\"target\":\"corp\",\"parameters\":"
			       "{\"member\":\"uid=nora\"}}";

#define SOUND                                                                  \
	"{\"status\":\"approved\",\"change\":{\"target\":\"corp\","            \
	"\"who\":\"uid=nora\"},\"secret\":\"swordfish\"}"

/* Why an answer does not hold; owned, NULL if it holds. */
static char *judged(const char *answer_text)
{
	CLEANUP(json_put_p) json_t *rule = parse(rule_text);
	CLEANUP(json_put_p) json_t *doc = parse(doc_text);
	CLEANUP(json_put_p) json_t *answer = parse(answer_text);
	CLEANUP(json_put_p) json_t *verified = NULL;
	char *why = lookup_judge(rule, doc, answer, &verified);

	assert_true(!why == (json_array_size(verified) == 3));
	return why;
}

static void an_answer_about_this_request_holds(void **state)
{
	(void)state;
	assert_null(judged(SOUND));
}

static void an_answer_about_something_else_does_not_hold(void **state)
{
	static const struct {
		const char *answer;
		const char *why;
	} rows[] = {
		{ "{\"status\":\"draft\",\"change\":{\"target\":\"corp\","
		  "\"who\":\"uid=nora\"}}",
		  "its /status is none that is accepted" },
		{ "{\"status\":\"approved\",\"change\":{\"target\":\"Corp\","
		  "\"who\":\"uid=nora\"}}",
		  "its /change/target is not the request.target" },
		{ "{\"status\":\"approved\",\"change\":{\"target\":\"corp\","
		  "\"who\":\"uid=eve\"}}",
		  "its /change/who is not the request.parameters.member" },
		{ "{\"status\":\"approved\",\"change\":{\"target\":\"corp\"}}",
		  "the answer has no /change/who" },
		{ "{\"status\":[\"approved\"],\"change\":{\"target\":\"corp\","
		  "\"who\":\"uid=nora\"}}",
		  "its /status is none that is accepted" },
		{ "[]", "the answer has no /status" },
		{ "\"approved\"", "the answer has no /status" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(mem_free_p) char *why = judged(rows[i].answer);

		assert_non_null(why);
		assert_string_equal(why, rows[i].why);
	}
}

static void what_the_request_lacks_equals_nothing(void **state)
{
	CLEANUP(json_put_p)
	json_t *rule = parse("{\"require\":[{\"at\":\"/x\",\"equals\":"
			     "\"request.parameters.absent\"}]}");
	CLEANUP(json_put_p) json_t *doc = parse(doc_text);
	CLEANUP(json_put_p) json_t *answer = parse("{\"x\":null}");
	CLEANUP(json_put_p) json_t *verified = NULL;
	CLEANUP(mem_free_p)
	char *why = lookup_judge(rule, doc, answer, &verified);

	(void)state;
	assert_non_null(why);
	assert_null(verified);
}

static void only_what_was_compared_is_kept(void **state)
{
	CLEANUP(json_put_p) json_t *rule = parse(rule_text);
	CLEANUP(json_put_p) json_t *doc = parse(doc_text);
	CLEANUP(json_put_p) json_t *answer = parse(SOUND);
	CLEANUP(json_put_p) json_t *verified = NULL;
	CLEANUP(mem_free_p) char *text = NULL;

	(void)state;
	assert_null(lookup_judge(rule, doc, answer, &verified));
	text = json_canonical(verified);
	assert_null(strstr(text, "swordfish"));
	assert_non_null(strstr(text, "{\"at\":\"/status\",\"value\":"
				     "\"approved\"}"));
}

static void rules_are_found_by_their_kind(void **state)
{
	CLEANUP(json_put_p)
	json_t *rules = parse("[{\"kind\":\"ticket\"},"
			      "{\"kind\":\"risk_report\"}]");

	(void)state;
	assert_ptr_equal(lookup_rule(rules, "risk_report"),
			 json_array_get(rules, 1));
	assert_null(lookup_rule(rules, "owner_ack"));
	assert_null(lookup_rule(NULL, "ticket"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(references_are_short_and_plain),
		cmocka_unit_test(a_reference_stays_one_segment_of_the_path),
		cmocka_unit_test(pointers_lead_where_the_rfc_says),
		cmocka_unit_test(an_answer_about_this_request_holds),
		cmocka_unit_test(an_answer_about_something_else_does_not_hold),
		cmocka_unit_test(what_the_request_lacks_equals_nothing),
		cmocka_unit_test(only_what_was_compared_is_kept),
		cmocka_unit_test(rules_are_found_by_their_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
