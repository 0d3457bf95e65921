#include "cmocka_first.h"

#include "crypto/cosignature.h"

#include "base/error.h"
#include "base/mem.h"

#define DASH "\xe2\x80\x94 "
#define NOW 1700000200

/* Made by the witness of the integration tests, from its own code. */
static const char vkey_text[] = "witness.test/w1+34fdc7cf+"
				"BMv7/0gItJ5bHcVT3hx/SGKUPeiJyXvRWbQ2P6fL7jwN";
static const char other_text[] = "witness.test/w2+eea17d0d+"
				 "BNaS6KQgVWuilUTB2YkDvfOemB9R51WRGqF69Ek39VfB";
static const char text[] = "example.com/iam-evidence\n70000\n"
			   "cW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC+Y=\n";
static const char line[] = DASH
	"witness.test/w1 NP3HzwAAAABlU/EAbmCaoD4uNqbGG63zo9mTqFKxcAzDL/p9mncc"
	"xKyxazVCrtAPBSkwj0PYnuDijJEJ8cgNJzdYga7NhEgZPk6iAw==\n";
static const char later[] = DASH
	"witness.test/w1 NP3HzwAAAABlU/FkCCaQfgOD0YwZqOUNrhzq1k91uWBL3L6bBQ/G"
	"lx5bHeeR6vfxrTVbox8xxWkKvQelezVNVLIkpN4gcUgueGqiCA==\n";
static const char forged[] = DASH
	"witness.test/w1 NP3HzwAAAABlU/EBbmCaoD4uNqbGG63zo9mTqFKxcAzDL/p9mncc"
	"xKyxazVCrtAPBSkwj0PYnuDijJEJ8cgNJzdYga7NhEgZPk6iAw==\n";
static const char others[] = DASH
	"witness.test/w2 7qF9DQAAAABlU/EA2bQQJcAikjOu3wfhs3bFI0cNhrUr2x8LA6IA"
	"i5Iiacj32rPPd2EmOjoAD2QFlrTd9Tyvacnwix5GOeQaX9eiDQ==\n";

static struct note_vkey vkey_of(const char *of)
{
	struct note_vkey vkey;

	assert_int_equal(cosignature_vkey_parse(of, &vkey), 0);
	return vkey;
}

/* What the lines say of the first witness. */
static int find(const char *of, const char *lines, int64_t now_s,
		int64_t *ret_at_s)
{
	struct note_vkey vkey = vkey_of(vkey_text);
	struct slice found;

	return cosignature_find(&vkey, slice_str(of), slice_str(lines), now_s,
				&found, ret_at_s);
}

static void a_witness_s_key_is_read_and_written(void **state)
{
	struct note_vkey vkey = vkey_of(vkey_text);
	char written[NOTE_VKEY_MAX];

	(void)state;
	assert_string_equal(vkey.name, "witness.test/w1");
	note_vkey_format(&vkey, written);
	assert_string_equal(written, vkey_text);
}

static void keys_of_logs_and_witnesses_are_not_exchanged(void **state)
{
	static const char log[] =
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4"
		"ZCbV54Id2LKaANYcrnKv3U2k";
	CLEANUP(mem_free_p) char *note = mem_format("%s\n%s", text, line);
	struct note_vkey vkey;
	struct slice opened;

	(void)state;
	assert_int_equal(cosignature_vkey_parse(log, &vkey), ERR_SYNTAX);
	assert_int_equal(note_vkey_parse(vkey_text, &vkey), ERR_SYNTAX);
	vkey = vkey_of(vkey_text);
	assert_int_equal(note_open(slice_str(note), &vkey, &opened),
			 ERR_CORRUPT);
	assert_int_equal(note_vkey_parse(log, &vkey), 0);
	assert_int_equal(cosignature_find(&vkey, slice_str(text),
					  slice_str(line), NOW, &opened,
					  &(int64_t){ 0 }),
			 ERR_CORRUPT);
}

static void a_cosignature_is_found_among_others(void **state)
{
	struct note_vkey vkey = vkey_of(other_text);
	CLEANUP(mem_free_p)
	char *lines = mem_format("%s%s%s", line, others, later);
	struct slice found;
	int64_t at_s = 0;

	(void)state;
	assert_int_equal(cosignature_find(&vkey, slice_str(text),
					  slice_str(lines), NOW, &found, &at_s),
			 0);
	assert_int_equal(at_s, 1700000000);
	assert_true(slice_is(found, others));
}

static void of_several_the_latest_counts(void **state)
{
	CLEANUP(mem_free_p) char *lines = mem_format("%s%s", later, line);
	int64_t at_s = 0;

	(void)state;
	assert_int_equal(find(text, lines, NOW, &at_s), 0);
	assert_int_equal(at_s, 1700000100);
}

static void an_unknown_witness_counts_for_nothing(void **state)
{
	int64_t at_s = -7;

	(void)state;
	assert_int_equal(find(text, others, NOW, &at_s), ERR_NOT_FOUND);
	assert_int_equal(find(text, "", NOW, &at_s), ERR_NOT_FOUND);
	assert_int_equal(at_s, -7);
}

static void a_forged_time_is_found_out(void **state)
{
	CLEANUP(mem_free_p) char *lines = mem_format("%s%s", line, forged);
	int64_t at_s;

	(void)state;
	assert_int_equal(find(text, forged, NOW, &at_s), ERR_CORRUPT);
	/* Beside a right one, too. */
	assert_int_equal(find(text, lines, NOW, &at_s), ERR_CORRUPT);
}

static void a_cosignature_is_of_one_checkpoint(void **state)
{
	CLEANUP(mem_free_p) char *changed = mem_str(text);
	int64_t at_s;

	(void)state;
	for (size_t i = 0; i < strlen(text); i++) {
		changed[i] ^= 1;
		assert_int_equal(find(changed, line, NOW, &at_s), ERR_CORRUPT);
		changed[i] ^= 1;
	}
}

static void a_witness_s_clock_may_be_a_little_ahead(void **state)
{
	int64_t at_s;

	(void)state;
	assert_int_equal(
		find(text, line, 1700000000 - COSIGNATURE_AHEAD_MAX, &at_s), 0);
	assert_int_equal(
		find(text, line, 1700000000 - COSIGNATURE_AHEAD_MAX - 1, &at_s),
		ERR_CORRUPT);
}

static void no_byte_of_a_line_can_change(void **state)
{
	CLEANUP(mem_free_p) char *changed = mem_str(line);
	int64_t at_s;

	(void)state;
	for (size_t i = 0; i < strlen(line); i++) {
		changed[i] ^= 2;
		assert_true(find(text, changed, NOW, &at_s) < 0);
		changed[i] ^= 2;
	}
	for (size_t i = 1; i < strlen(line); i++) {
		CLEANUP(mem_free_p)
		char *cut = mem_format("%.*s", (int)i, line);

		assert_int_equal(find(text, cut, NOW, &at_s), ERR_SYNTAX);
	}
}

static void lines_without_number_are_refused(void **state)
{
	CLEANUP(buf_clear) struct buf lines = BUF_INIT(1 << 20);
	int64_t at_s;

	(void)state;
	for (int i = 0; i < NOTE_SIGNATURES_MAX; i++)
		buf_put_str(&lines, line);
	assert_int_equal(find(text, buf_text(&lines), NOW, &at_s), 0);
	buf_put_str(&lines, line);
	assert_int_equal(find(text, buf_text(&lines), NOW, &at_s), ERR_LIMIT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_witness_s_key_is_read_and_written),
		cmocka_unit_test(keys_of_logs_and_witnesses_are_not_exchanged),
		cmocka_unit_test(a_cosignature_is_found_among_others),
		cmocka_unit_test(of_several_the_latest_counts),
		cmocka_unit_test(an_unknown_witness_counts_for_nothing),
		cmocka_unit_test(a_forged_time_is_found_out),
		cmocka_unit_test(a_cosignature_is_of_one_checkpoint),
		cmocka_unit_test(a_witness_s_clock_may_be_a_little_ahead),
		cmocka_unit_test(no_byte_of_a_line_can_change),
		cmocka_unit_test(lines_without_number_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
