#include "cmocka_first.h"

#include "crypto/note.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

#define DASH "\xe2\x80\x94 "

/* The example of the signed-note specification. */
static const char spec_vkey[] =
	"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
static const char spec_text[] = "This is an example message.\n";
static const char spec_line[] =
	DASH "example.com/foo Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlT"
	     "gK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM=\n";

/* A key that other programs have accepted. */
static const char our_name[] = "example.com/iam-evidence";
static const char our_vkey[] =
	"example.com/iam-evidence+d531b1c8+AR7O+c+zCwemoup36XBKkwIxwligmsfrWbLR"
	"gLndBkNe";

static const char root_text[] = "cW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC+Y=";

static struct note_signer *new_signer(const char *name)
{
	struct digest seed = digest_of(slice_str("interop test key"));
	struct note_signer *signer = NULL;

	assert_int_equal(note_signer_new(name, digest_slice(&seed), &signer),
			 0);
	return signer;
}

static struct note_vkey vkey_of(const char *text)
{
	struct note_vkey vkey;

	assert_int_equal(note_vkey_parse(text, &vkey), 0);
	return vkey;
}

/* text, an empty line and lines. */
static void join(struct buf *note, const char *text, const char *lines)
{
	buf_reset(note);
	buf_put_str(note, text);
	buf_put_str(note, "\n");
	buf_put_str(note, lines);
	assert_false(note->overflow);
}

static int open_parts(const char *text, const char *lines)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(2 * NOTE_MAX);
	struct note_vkey vkey = vkey_of(spec_vkey);
	struct slice opened;

	join(&note, text, lines);
	return note_open(buf_slice(&note), &vkey, &opened);
}

static void the_example_of_the_specification_opens(void **state)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	struct note_vkey vkey = vkey_of(spec_vkey);
	struct slice text;

	(void)state;
	assert_string_equal(vkey.name, "example.com/foo");
	assert_int_equal(vkey.id, 0x530d903a);
	join(&note, spec_text, spec_line);
	assert_int_equal(note_open(buf_slice(&note), &vkey, &text), 0);
	assert_true(slice_is(text, spec_text));
}

static void no_bit_of_the_example_can_change(void **state)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	struct note_vkey vkey = vkey_of(spec_vkey);

	(void)state;
	join(&note, spec_text, spec_line);
	for (size_t bit = 0; bit < note.len * 8; bit++) {
		struct slice text;

		note.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(note_open(buf_slice(&note), &vkey, &text) < 0);
		note.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void no_byte_can_be_missing(void **state)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	struct note_vkey vkey = vkey_of(spec_vkey);
	struct slice text;

	(void)state;
	join(&note, spec_text, spec_line);
	for (size_t len = 0; len < note.len; len++)
		assert_true(note_open(slice_of(note.data, len), &vkey, &text) <
			    0);
}

static void a_verifier_key_is_written_as_it_was_read(void **state)
{
	static const char *const texts[] = { spec_vkey, our_vkey };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct note_vkey vkey = vkey_of(texts[i]);
		char text[NOTE_VKEY_MAX];

		note_vkey_format(&vkey, text);
		assert_string_equal(text, texts[i]);
	}
}

static void damaged_verifier_keys_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"+",
		"++",
		"example.com/foo",
		"example.com/foo+530d903a",
		"example.com/foo+530d903a+",
		"+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k",
		/* another name, hash, or key */
		"example.com/fop+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2k",
		"example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2k",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2l",
		/* upper-case, short and long hash */
		"example.com/foo+530D903A+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2k",
		"example.com/foo+30d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrn"
		"Kv3U2k",
		"example.com/foo+00530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANY"
		"crnKv3U2k",
		/* type 2, a byte less, a byte more, rubbish around */
		"example.com/foo+530d903a+AukyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2k",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U0=",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2kAA==",
		"example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2k\n",
		" example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYc"
		"rnKv3U2k",
		"example.com/foo+530d903a+-ekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcr"
		"nKv3U2k",
	};
	struct note_vkey vkey;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(note_vkey_parse(texts[i], &vkey), ERR_SYNTAX);
}

static void an_overlong_verifier_key_is_refused(void **state)
{
	char text[NOTE_VKEY_MAX + 10];
	struct note_vkey vkey;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(note_vkey_parse(text, &vkey), ERR_LIMIT);
}

static void a_signer_has_the_verifier_key_of_its_seed(void **state)
{
	CLEANUP(note_signer_free_p)
	struct note_signer *signer = new_signer(our_name);
	struct note_vkey vkey;
	char text[NOTE_VKEY_MAX];

	(void)state;
	note_signer_vkey(signer, &vkey);
	note_vkey_format(&vkey, text);
	assert_string_equal(text, our_vkey);
}

static void the_longest_name_still_fits_a_verifier_key(void **state)
{
	char name[NOTE_NAME_MAX];
	char text[NOTE_VKEY_MAX];
	struct note_vkey vkey;
	struct note_vkey read;

	(void)state;
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	CLEANUP(note_signer_free_p)
	struct note_signer *signer = new_signer(name);
	note_signer_vkey(signer, &vkey);
	note_vkey_format(&vkey, text);
	assert_int_equal(note_vkey_parse(text, &read), 0);
	assert_string_equal(read.name, name);
}

static void names_that_would_break_a_note_are_refused(void **state)
{
	static const char *const names[] = {
		"",
		"a b",
		" a",
		"a+b",
		"a\n",
		"a\tb",
		"a\x01",
		"a\xc2\xa0"
		"b", /* no-break space */
		"a\xc2\x85"
		"b",		  /* next line */
		"a\xe1\x9a\x80",  /* ogham space */
		"a\xe2\x80\x83z", /* em space */
		"a\xe2\x80\xa8z", /* line separator */
		"\xe3\x80\x80",	  /* ideographic space */
		"a\xff",	  /* not UTF-8 */
		"\xc0\xa0",	  /* overlong space */
	};
	struct digest seed = digest_of(slice_str("x"));
	struct note_signer *signer = NULL;
	char name[NOTE_NAME_MAX + 1];

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(
			note_signer_new(names[i], digest_slice(&seed), &signer),
			ERR_SYNTAX);
	memset(name, 'n', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(note_signer_new(name, digest_slice(&seed), &signer),
			 ERR_SYNTAX);
	assert_null(signer);
}

static void a_name_may_be_in_any_script(void **state)
{
	CLEANUP(note_signer_free_p)
	struct note_signer *signer =
		new_signer("\xd7\xa9\xd7\x9c\xd7\x95\xd7\x9d/\xf0\x9f\x94\x91");

	(void)state;
	assert_non_null(signer);
}

static void a_seed_of_another_length_is_refused(void **state)
{
	struct note_signer *signer = NULL;

	(void)state;
	assert_int_equal(note_signer_new("a", slice_str("short"), &signer),
			 ERR_CRYPTO);
}

static void a_signed_note_opens(void **state)
{
	static const char *const texts[] = { "x\n", "\n", "one\n\ntwo\n",
					     "one\n\n",
					     "\xc3\xa9 \xe2\x80\x94\n" };
	CLEANUP(note_signer_free_p)
	struct note_signer *signer = new_signer(our_name);
	struct note_vkey vkey = vkey_of(our_vkey);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
		struct slice text;

		assert_int_equal(note_sign(signer, slice_str(texts[i]), &note),
				 0);
		assert_int_equal(note_open(buf_slice(&note), &vkey, &text), 0);
		assert_true(slice_is(text, texts[i]));
	}
}

static void texts_that_are_no_note_are_not_signed(void **state)
{
	static const char *const texts[] = { "",       "x",	 "a\rb\n",
					     "a\tb\n", "\xff\n", "\x1b[m\n" };
	CLEANUP(note_signer_free_p)
	struct note_signer *signer = new_signer(our_name);
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(note_sign(signer, slice_str(texts[i]), &note),
				 ERR_SYNTAX);
	assert_int_equal(note.len, 0);
}

static void a_note_that_would_be_too_long_is_not_signed(void **state)
{
	CLEANUP(note_signer_free_p)
	struct note_signer *signer = new_signer(our_name);
	CLEANUP(buf_clear) struct buf out = BUF_INIT(2 * NOTE_MAX);
	CLEANUP(buf_clear) struct buf small = BUF_INIT(20);
	char *text = mem_alloc(NOTE_MAX);

	(void)state;
	memset(text, 'a', NOTE_MAX);
	text[NOTE_MAX - 1] = '\n';
	assert_int_equal(note_sign(signer, slice_of(text, NOTE_MAX), &out),
			 ERR_LIMIT);
	assert_int_equal(note_sign(signer, slice_str("x\n"), &small),
			 ERR_LIMIT);
	free(text);
}

static void signatures_of_others_are_ignored(void **state)
{
	CLEANUP(buf_clear) struct buf lines = BUF_INIT(NOTE_MAX);

	(void)state;
	/* The same name with another id, and the same id by another name. */
	buf_put_str(&lines, DASH "example.com/foo AAAAAAAA\n");
	buf_put_str(&lines, DASH "example.com/bar Uw2QOgAA\n");
	for (int i = 0; i < 16; i++)
		buf_put_str(&lines, DASH "other AAAAAAAA\n");
	buf_put_str(&lines, spec_line);
	buf_put_str(&lines, DASH "last AAAAAAAA\n");
	assert_int_equal(open_parts(spec_text, buf_text(&lines)), 0);
}

static void a_note_by_others_only_is_not_ours(void **state)
{
	(void)state;
	assert_int_equal(open_parts(spec_text, DASH "other AAAAAAAA\n"),
			 ERR_CORRUPT);
	assert_int_equal(
		open_parts(spec_text, DASH "example.com/foo AAAAAAAA\n"),
		ERR_CORRUPT);
}

static void a_wrong_signature_by_a_known_key_spoils_the_note(void **state)
{
	CLEANUP(buf_clear) struct buf lines = BUF_INIT(NOTE_MAX);

	(void)state;
	assert_int_equal(open_parts("Another message.\n", spec_line),
			 ERR_CORRUPT);
	/* Of a wrong length, before and after the right one. */
	buf_put_str(&lines, spec_line);
	buf_put_str(&lines, DASH "example.com/foo Uw2QOgAA\n");
	assert_int_equal(open_parts(spec_text, buf_text(&lines)), ERR_CORRUPT);
	buf_reset(&lines);
	buf_put_str(&lines, DASH "example.com/foo Uw2QOgAA\n");
	buf_put_str(&lines, spec_line);
	assert_int_equal(open_parts(spec_text, buf_text(&lines)), ERR_CORRUPT);
}

static void damaged_signature_lines_are_refused(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		"- a AAAAAAAA\n",
		"\xe2\x80\x94",
		DASH "\n",
		DASH "a\n",
		DASH "a \n",
		DASH " AAAAAAAA\n",
		DASH "a AAAA\n",     /* three bytes */
		DASH "a AAAAAA==\n", /* an id without a signature */
		DASH "a AAAAAAA\n",  /* no padding */
		DASH "a AAAAAAB=\n", /* dirty last bits */
		DASH "a AAAA_AAA\n",
		DASH "a AAAAAAAA \n",
		DASH "a  AAAAAAAA\n",
		DASH "a+b AAAAAAAA\n",
		DASH "a\xc2\xa0"
		     "b AAAAAAAA\n",
		DASH "a AAAAAAAA", /* cut short */
		DASH "a AAAAAAAA\nmore\n",
		DASH "a AAAAAAAA\r\n",
		DASH "a AAAAAAAA\n\n", /* then nothing is signed */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		CLEANUP(buf_clear) struct buf all = BUF_INIT(NOTE_MAX);

		assert_int_equal(open_parts(spec_text, lines[i]), ERR_SYNTAX);
		buf_put_str(&all, spec_line);
		buf_put_str(&all, lines[i]);
		if (lines[i][0])
			assert_int_equal(open_parts(spec_text, buf_text(&all)),
					 ERR_SYNTAX);
	}
}

static void a_note_without_an_empty_line_is_refused(void **state)
{
	struct note_vkey vkey = vkey_of(spec_vkey);
	struct slice text;

	(void)state;
	assert_int_equal(note_open(slice_str(""), &vkey, &text), ERR_SYNTAX);
	assert_int_equal(note_open(slice_str(spec_line), &vkey, &text),
			 ERR_SYNTAX);
	assert_int_equal(note_open(slice_str("\n"), &vkey, &text), ERR_SYNTAX);
}

static void limits_of_notes_are_kept(void **state)
{
	CLEANUP(buf_clear) struct buf lines = BUF_INIT(2 * NOTE_MAX);

	(void)state;
	buf_put_str(&lines, spec_line);
	for (int i = 1; i < NOTE_SIGNATURES_MAX; i++)
		buf_put_str(&lines, DASH "other AAAAAAAA\n");
	assert_int_equal(open_parts(spec_text, buf_text(&lines)), 0);
	buf_put_str(&lines, DASH "other AAAAAAAA\n");
	assert_int_equal(open_parts(spec_text, buf_text(&lines)), ERR_LIMIT);
	while (lines.len <= NOTE_MAX)
		buf_put_str(&lines, DASH "other AAAAAAAA\n");
	assert_int_equal(open_parts(spec_text, buf_text(&lines)), ERR_LIMIT);
}

static struct checkpoint checkpoint_of(const char *origin, uint64_t size)
{
	CLEANUP(buf_clear) struct buf root = BUF_INIT(DIGEST_LEN);
	struct checkpoint c = { .size = size };

	assert_int_equal(text_from_base64(slice_str(root_text), &root), 0);
	memcpy(c.root.bytes, root.data, DIGEST_LEN);
	assert_in_range(snprintf(c.origin, sizeof(c.origin), "%s", origin), 0,
			sizeof(c.origin) - 1);
	return c;
}

static void a_checkpoint_has_its_three_lines(void **state)
{
	static const char wanted[] =
		"example.com/iam-evidence\n70000\n"
		"cW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC+Y=\n";
	CLEANUP(buf_clear) struct buf text = BUF_INIT(NOTE_MAX);
	struct checkpoint c = checkpoint_of(our_name, 70000);

	(void)state;
	assert_int_equal(checkpoint_format(&c, &text), 0);
	assert_string_equal(buf_text(&text), wanted);
}

static void a_checkpoint_is_read_back(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 9, 10, 70000, UINT64_MAX };

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(sizes); i++) {
		CLEANUP(buf_clear) struct buf text = BUF_INIT(NOTE_MAX);
		struct checkpoint c = checkpoint_of(our_name, sizes[i]);
		struct checkpoint read;

		assert_int_equal(checkpoint_format(&c, &text), 0);
		assert_int_equal(checkpoint_parse(buf_slice(&text), &read), 0);
		assert_string_equal(read.origin, our_name);
		assert_int_equal(read.size, sizes[i]);
		assert_true(digest_equals(&read.root, &c.root));
	}
}

#define ROOT "cW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC+Y="

static void extension_lines_are_passed_over(void **state)
{
	struct checkpoint c;

	(void)state;
	assert_int_equal(
		checkpoint_parse(slice_str("o\n1\n" ROOT "\nmore\nlines\n"),
				 &c),
		0);
	assert_int_equal(c.size, 1);
	/* An origin need not be a key name. */
	assert_int_equal(
		checkpoint_parse(
			slice_str("go.sum database tree\n1\n" ROOT "\n"), &c),
		0);
}

static void damaged_checkpoints_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"\n",
		"o\n",
		"o\n1\n",
		"o\n1\n\n",
		"o\n1\n" ROOT,
		"\n1\n" ROOT "\n",
		"o\n\n" ROOT "\n",
		"o\n01\n" ROOT "\n",
		"o\n00\n" ROOT "\n",
		"o\n+1\n" ROOT "\n",
		"o\n-1\n" ROOT "\n",
		"o\n 1\n" ROOT "\n",
		"o\n1 \n" ROOT "\n",
		"o\n1a\n" ROOT "\n",
		"o\n0x1\n" ROOT "\n",
		"o\n18446744073709551616\n" ROOT "\n",
		"o\n99999999999999999999\n" ROOT "\n",
		"o\n100000000000000000000\n" ROOT "\n",
		"o\n1\ncW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC+Y\n",
		"o\n1\ncW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC+Z=\n",
		"o\n1\ncW1SlQ1++ni97QV7OoIsfQpP96qQEUtS8hMnQUHI\n",
		"o\n1\ncW1SlQ1--ni97QV7OoIsfQpP96qQEUtS8hMnQUHIC-Y=\n",
		"o\n1\n" ROOT "\n\n",
		"o\n1\n" ROOT "\nmore\n\n",
		"o\n1\n" ROOT "\nmore",
		"o\r\n1\r\n" ROOT "\r\n",
		"o\x01\n1\n" ROOT "\n",
		"\xff\n1\n" ROOT "\n",
	};
	struct checkpoint c;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(checkpoint_parse(slice_str(texts[i]), &c),
				 ERR_SYNTAX);
}

static void an_overlong_origin_is_refused(void **state)
{
	char text[NOTE_NAME_MAX + 100];
	struct checkpoint c;

	(void)state;
	memset(text, 'o', NOTE_NAME_MAX);
	assert_in_range(snprintf(text + NOTE_NAME_MAX, 100, "\n1\n%s\n", ROOT),
			1, 99);
	assert_int_equal(checkpoint_parse(slice_str(text), &c), ERR_SYNTAX);
	assert_int_equal(checkpoint_parse(slice_str(text + 1), &c), 0);
}

static void an_origin_that_breaks_the_lines_is_not_written(void **state)
{
	static const char *const origins[] = { "", "a\nb", "a\x02", "\xff" };
	CLEANUP(buf_clear) struct buf text = BUF_INIT(NOTE_MAX);

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(origins); i++) {
		struct checkpoint c = checkpoint_of(origins[i], 1);

		assert_int_equal(checkpoint_format(&c, &text), ERR_SYNTAX);
	}
}

static void sign_checkpoint(const char *origin, struct buf *note)
{
	CLEANUP(note_signer_free_p)
	struct note_signer *signer = new_signer(our_name);
	CLEANUP(buf_clear) struct buf text = BUF_INIT(NOTE_MAX);
	struct checkpoint c = checkpoint_of(origin, 70000);

	assert_int_equal(checkpoint_format(&c, &text), 0);
	assert_int_equal(note_sign(signer, buf_slice(&text), note), 0);
}

static void a_signed_checkpoint_opens(void **state)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	struct note_vkey vkey = vkey_of(our_vkey);
	struct checkpoint c;

	(void)state;
	sign_checkpoint(our_name, &note);
	assert_int_equal(checkpoint_open(buf_slice(&note), &vkey, &c), 0);
	assert_int_equal(c.size, 70000);
}

static void a_checkpoint_of_another_log_is_refused(void **state)
{
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	struct note_vkey vkey = vkey_of(our_vkey);
	struct note_vkey other = vkey_of(spec_vkey);
	struct checkpoint c;

	(void)state;
	sign_checkpoint("example.com/other-log", &note);
	assert_int_equal(checkpoint_open(buf_slice(&note), &vkey, &c),
			 ERR_SYNTAX);
	buf_reset(&note);
	sign_checkpoint(our_name, &note);
	assert_int_equal(checkpoint_open(buf_slice(&note), &other, &c),
			 ERR_CORRUPT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_of_the_specification_opens),
		cmocka_unit_test(no_bit_of_the_example_can_change),
		cmocka_unit_test(no_byte_can_be_missing),
		cmocka_unit_test(a_verifier_key_is_written_as_it_was_read),
		cmocka_unit_test(damaged_verifier_keys_are_refused),
		cmocka_unit_test(an_overlong_verifier_key_is_refused),
		cmocka_unit_test(a_signer_has_the_verifier_key_of_its_seed),
		cmocka_unit_test(the_longest_name_still_fits_a_verifier_key),
		cmocka_unit_test(names_that_would_break_a_note_are_refused),
		cmocka_unit_test(a_name_may_be_in_any_script),
		cmocka_unit_test(a_seed_of_another_length_is_refused),
		cmocka_unit_test(a_signed_note_opens),
		cmocka_unit_test(texts_that_are_no_note_are_not_signed),
		cmocka_unit_test(a_note_that_would_be_too_long_is_not_signed),
		cmocka_unit_test(signatures_of_others_are_ignored),
		cmocka_unit_test(a_note_by_others_only_is_not_ours),
		cmocka_unit_test(
			a_wrong_signature_by_a_known_key_spoils_the_note),
		cmocka_unit_test(damaged_signature_lines_are_refused),
		cmocka_unit_test(a_note_without_an_empty_line_is_refused),
		cmocka_unit_test(limits_of_notes_are_kept),
		cmocka_unit_test(a_checkpoint_has_its_three_lines),
		cmocka_unit_test(a_checkpoint_is_read_back),
		cmocka_unit_test(extension_lines_are_passed_over),
		cmocka_unit_test(damaged_checkpoints_are_refused),
		cmocka_unit_test(an_overlong_origin_is_refused),
		cmocka_unit_test(
			an_origin_that_breaks_the_lines_is_not_written),
		cmocka_unit_test(a_signed_checkpoint_opens),
		cmocka_unit_test(a_checkpoint_of_another_log_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
