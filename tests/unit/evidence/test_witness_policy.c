#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "evidence/witness_policy.h"

#include "base/error.h"
#include "base/mem.h"

#define LOG                                                                    \
	"log "                                                                 \
	"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv"    \
	"3U2k https://example.com/log\n"
#define W1                                                                     \
	"witness X1 "                                                          \
	"witness.test/w1+34fdc7cf+BMv7/0gItJ5bHcVT3hx/SGKUPeiJyXvRWbQ2"        \
	"P6fL7jwN https://w1.example/prefix/\n"
#define W2                                                                     \
	"witness X2 "                                                          \
	"witness.test/w2+eea17d0d+BNaS6KQgVWuilUTB2YkDvfOemB9R51WRGqF6"        \
	"9Ek39VfB\n"
#define W3                                                                     \
	"witness Y "                                                           \
	"witness.test/w3+ef37f8fb+BIasbEf5k1C73V3C5Q2A/4X275id2W/jIYs4T"       \
	"eh+kmL4 http://127.0.0.1:1\n"

static struct witness_policy *parse(const char *text)
{
	struct witness_policy *p = NULL;

	if (witness_policy_parse(slice_str(text), &p) < 0)
		fail_msg("%s", error_message());
	return p;
}

static void a_policy_names_its_log_and_witnesses(void **state)
{
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = parse("# comment\n\n \t\n" LOG W1
					 "  #another\n" W2 "\tquorum  X1 \n");
	const struct witness *w;
	struct note_vkey log;

	(void)state;
	assert_int_equal(witness_policy_count(p), 2);
	w = witness_policy_at(p, 0);
	assert_string_equal(w->name, "X1");
	assert_string_equal(w->vkey.name, "witness.test/w1");
	assert_string_equal(w->url, "https://w1.example/prefix");
	assert_null(witness_policy_at(p, 1)->url);
	assert_int_equal(
		note_vkey_parse("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4Z"
				"CbV54Id2LKaANYcrnKv3U2k",
				&log),
		0);
	assert_true(witness_policy_has_log(p, &log));
	log.key[0] ^= 1;
	assert_false(witness_policy_has_log(p, &log));
}

static void a_policy_without_logs_is_for_any(void **state)
{
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = parse("quorum none\n");
	struct note_vkey log = { .name = "any" };

	(void)state;
	assert_true(witness_policy_has_log(p, &log));
	assert_true(witness_policy_is_met(p, 0));
}

static void a_quorum_is_met_by_as_many_as_it_says(void **state)
{
	static const struct {
		const char *lines;
		unsigned met; /* bit n: by the set of witnesses n */
	} rows[] = {
		{ "quorum X1\n", 0xaa },
		{ "group g any X1 X2 Y\nquorum g\n", 0xfe },
		{ "group g 1 X1 X2 Y\nquorum g\n", 0xfe },
		{ "group g 2 X1 X2 Y\nquorum g\n", 0xe8 },
		{ "group g all X1 X2 Y\nquorum g\n", 0x80 },
		{ "group g 3 X1 X2 Y\nquorum g\n", 0x80 },
		/* One of the two, and the third. */
		{ "group x any X1 X2\ngroup g all x Y\nquorum g\n", 0xe0 },
		{ "group x all X1 X2\ngroup g any x Y\nquorum g\n", 0xf8 },
		{ "group unused all X1 X2\nquorum none\n", 0xff },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(mem_free_p)
		char *text = mem_format(W1 W2 W3 "%s", rows[i].lines);
		CLEANUP(witness_policy_free_p)
		struct witness_policy *p = parse(text);

		for (unsigned set = 0; set < 8; set++)
			if (witness_policy_is_met(p, set) !=
			    (bool)(rows[i].met >> set & 1))
				fail_msg("%s set %u", rows[i].lines, set);
	}
}

static void what_makes_no_sense_is_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		W1,
		"quorum none",
		"quorum\n",
		"quorum a b\n",
		"quorum X1\n" W1,
		"quorum none\nquorum none\n",
		W1 "quorum X1\nquorum X1\n",
		W1 W1 "quorum X1\n",
		W1
		"witness Z witness.test/w1+34fdc7cf+BMv7/0gItJ5bHcVT3hx/SGKUP"
		"eiJyXvRWbQ2P6fL7jwN\nquorum Z\n",
		LOG LOG "quorum none\n",
		"log\nquorum none\n",
		"log nonsense\nquorum none\n",
		/* A witness's key is no log's. */
		"log "
		"witness.test/w1+34fdc7cf+BMv7/0gItJ5bHcVT3hx/SGKUPeiJyXvRWbQ"
		"2P6fL7jwN\nquorum none\n",
		"witness X1\nquorum none\n",
		"witness X1 "
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id"
		"2LKaANYcrnKv3U2k\nquorum X1\n",
		W1 "group none any X1\nquorum X1\n",
		W1 "group X1 any X1\nquorum X1\n",
		W1 "group g any\nquorum X1\n",
		W1 "group g any g\nquorum g\n",
		W1 "group g any X2\nquorum g\n",
		W1 W2 "group g any X1 X1\nquorum g\n",
		W1 W2 "group g any X1\ngroup h any X1 X2\nquorum h\n",
		W1 W2 "group g 0 X1 X2\nquorum g\n",
		W1 W2 "group g 3 X1 X2\nquorum g\n",
		W1 W2 "group g 01 X1 X2\nquorum g\n",
		W1 W2 "group g -1 X1 X2\nquorum g\n",
		W1 W2 "group g most X1 X2\nquorum g\n",
		W1 "group g any none\nquorum g\n",
		"mirror x\nquorum none\n",
		"quorum none\r\n",
		"# \x01\nquorum none\n",
		"# \x7f\nquorum none\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct witness_policy *p = NULL;

		if (witness_policy_parse(slice_str(texts[i]), &p) != ERR_SYNTAX)
			fail_msg("taken: %s", texts[i]);
		assert_null(p);
	}
	assert_true(strstr(error_message(), "control") != NULL);
}

static void a_fault_is_told_with_its_line(void **state)
{
	struct witness_policy *p = NULL;

	(void)state;
	assert_int_equal(
		witness_policy_parse(slice_str("# one\n" W1 "quorum X9\n"), &p),
		ERR_SYNTAX);
	assert_non_null(strstr(error_message(), "line 3"));
}

static void names_may_hold_any_bytes_beyond_ascii(void **state)
{
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p =
		parse(W1 "group \xe2\x84\xaa any X1\nquorum \xe2\x84\xaa\n");

	(void)state;
	assert_true(witness_policy_is_met(p, 1));
	assert_false(witness_policy_is_met(p, 0));
}

static void limits_are_kept(void **state)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 20);
	struct witness_policy *p = NULL;

	(void)state;
	buf_put_str(&b, W1 "group g0 any X1\n");
	for (int i = 1; i < WITNESS_GROUPS_MAX; i++)
		buf_putf(&b, "group g%d any g%d\n", i, i - 1);
	buf_put_str(&b, "quorum g63\n");
	assert_int_equal(witness_policy_parse(buf_slice(&b), &p), 0);
	assert_true(witness_policy_is_met(p, 1));
	witness_policy_free(TAKE(p));
	buf_put_str(&b, "group more any g63\n");
	assert_int_equal(witness_policy_parse(buf_slice(&b), &p), ERR_LIMIT);
	buf_reset(&b);
	for (int i = 0; i < WITNESS_POLICY_MAX; i++)
		buf_put_str(&b, "#\n");
	assert_int_equal(witness_policy_parse(buf_slice(&b), &p), ERR_LIMIT);
	buf_reset(&b);
	buf_put_str(&b, "group g any");
	for (int i = 0; i < 1000; i++)
		buf_put_str(&b, " x");
	buf_put_str(&b, "\nquorum none\n");
	assert_int_equal(witness_policy_parse(buf_slice(&b), &p), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_policy_names_its_log_and_witnesses),
		cmocka_unit_test(a_policy_without_logs_is_for_any),
		cmocka_unit_test(a_quorum_is_met_by_as_many_as_it_says),
		cmocka_unit_test(what_makes_no_sense_is_refused),
		cmocka_unit_test(a_fault_is_told_with_its_line),
		cmocka_unit_test(names_may_hold_any_bytes_beyond_ascii),
		cmocka_unit_test(limits_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
