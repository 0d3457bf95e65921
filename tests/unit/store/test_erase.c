#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "store/cosignature.h"
#include "store/erase.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "place.h"

/* What the tests look for in the files. */
static const char words[] = "the-words-of-somebody";
static const uint8_t wrapped[40] = "a wrapped key of forty bytes, as it is";

static bool file_holds(const struct place *p, const char *name,
		       struct slice what)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", p->folder, name);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(256 << 20);

	if (file_read(path, &b) < 0)
		return false;
	return memmem(b.data, b.len, what.ptr, what.len) != NULL;
}

static bool is_kept(const struct place *p, struct slice what)
{
	return file_holds(p, "state.db", what) ||
	       file_holds(p, "state.db-wal", what);
}

static void put_doc(struct store *s, unsigned n, const char *text)
{
	CLEANUP(json_put_p) json_t *doc = json_object();
	CLEANUP(mem_free_p) char *id = mem_format("req_%06u", n);

	json_set_text(doc, "id", id);
	json_set_text(doc, "intent", text);
	assert_int_equal(store_put(s, NOUN_REQUEST, id, doc, 0), 0);
}

static void begin(struct store *s)
{
	assert_int_equal(store_begin(s), 0);
}

static void commit(struct store *s)
{
	assert_int_equal(store_commit(s), 0);
}

static void an_erased_subject_has_neither_keys_nor_parts(void **state)
{
	struct place *p = *state;
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);
	struct slice key = slice_of(wrapped, sizeof(wrapped));
	char *subject = NULL;
	uint64_t count = 9;
	unsigned kek;

	begin(p->store);
	assert_int_equal(store_subject_add(p->store, "human:al#1", key, 1), 0);
	assert_int_equal(store_subject_add(p->store, "human:al#9", key, 1), 0);
	assert_int_equal(store_subject_add(p->store, "human:ala#1", key, 1), 0);
	assert_int_equal(store_payload_add(p->store, 1, 0, "human:al#1",
					   slice_str(words)),
			 0);
	assert_int_equal(store_payload_add(p->store, 9, 2, "human:al#9",
					   slice_str(words)),
			 0);
	assert_int_equal(store_payload_add(p->store, 9, 3, "human:ala#1",
					   slice_str("another's")),
			 0);
	commit(p->store);
	assert_int_equal(store_subject_parts(p->store, "human:al", &count), 0);
	assert_int_equal(count, 2);
	begin(p->store);
	assert_int_equal(store_subject_erase(p->store, "human:al"), 0);
	commit(p->store);
	assert_int_equal(store_subject_parts(p->store, "human:al", &count), 0);
	assert_int_equal(count, 0);
	assert_int_equal(store_subject_get(p->store, "human:al#1", &b, &kek),
			 ERR_NOT_FOUND);
	assert_int_equal(store_payload_get(p->store, 9, 2, &subject, &b),
			 ERR_NOT_FOUND);
	/* A name that only begins the same is somebody else. */
	assert_int_equal(store_payload_get(p->store, 9, 3, &subject, &b), 0);
	assert_string_equal(subject, "human:ala#1");
	free(subject);
}

static void what_is_replaced_is_in_no_file_after_a_scrub(void **state)
{
	struct place *p = *state;
	struct slice what = slice_str(words);

	/* Many rows of many sizes, so that pages are split and filled. */
	begin(p->store);
	for (unsigned i = 0; i < 2000; i++) {
		CLEANUP(mem_free_p)
		char *text = mem_format("%.*s%0*d", i % 7 ? 0 : 99, words,
					(int)(i % 900) + 1, 0);

		put_doc(p->store, (i * 7919) % 2000, text);
	}
	commit(p->store);
	assert_true(is_kept(p, what));
	begin(p->store);
	for (unsigned i = 0; i < 2000; i++)
		put_doc(p->store, i, "gone");
	commit(p->store);
	assert_int_equal(store_scrub(p->store), 0);
	assert_false(is_kept(p, what));
	/* It goes on as before. */
	begin(p->store);
	put_doc(p->store, 5000, words);
	commit(p->store);
	assert_true(is_kept(p, what));
}

static void a_scrub_is_refused_within_a_transaction(void **state)
{
	struct place *p = *state;

	begin(p->store);
	put_doc(p->store, 1, "x");
	assert_true(store_scrub(p->store) < 0);
	store_rollback(p->store);
	assert_int_equal(store_scrub(p->store), 0);
}

static void documents_are_found_by_words_page_by_page(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *first = NULL;
	CLEANUP(json_put_p) json_t *rest = NULL;
	CLEANUP(json_put_p) json_t *none = NULL;

	begin(p->store);
	for (unsigned i = 0; i < 10; i++)
		put_doc(p->store, i, i % 2 ? words : "nothing");
	commit(p->store);
	assert_int_equal(store_find_words(p->store, NOUN_REQUEST, "words-of",
					  NULL, 3, &first),
			 0);
	assert_int_equal(json_array_size(first), 3);
	assert_int_equal(store_find_words(p->store, NOUN_REQUEST, "words-of",
					  "req_000005", 9, &rest),
			 0);
	assert_int_equal(json_array_size(rest), 2);
	assert_int_equal(
		store_find_words(p->store, NOUN_REQUEST, "%", NULL, 9, &none),
		0);
	assert_int_equal(json_array_size(none), 0);
}

static void replies_go_by_their_caller(void **state)
{
	struct place *p = *state;
	struct digest digest = digest_of(slice_str("x"));
	CLEANUP(mem_free_p) char *about = NULL;

	begin(p->store);
	assert_int_equal(store_reply_put(p->store, "bot POST /v1/tasks", "k",
					 &digest, "tsk_1", 99),
			 0);
	assert_int_equal(store_reply_put(p->store, "bot2 POST /v1/tasks", "k",
					 &digest, "tsk_2", 99),
			 0);
	assert_int_equal(store_replies_drop(p->store, "bot"), 0);
	commit(p->store);
	assert_int_equal(store_reply_get(p->store, "bot POST /v1/tasks", "k",
					 &digest, &about),
			 ERR_NOT_FOUND);
	assert_int_equal(store_reply_get(p->store, "bot2 POST /v1/tasks", "k",
					 &digest, &about),
			 0);
}

/* ---- cosignatures ---- */

static void put_line(struct store *s, uint64_t size, const char *witness,
		     int64_t at_s, const char *line)
{
	assert_int_equal(
		store_cosignature_put(s, size, witness, at_s, slice_str(line)),
		0);
}

static void cosignatures_of_the_newest_checkpoints_are_kept(void **state)
{
	struct place *p = *state;
	CLEANUP(json_put_p) json_t *rows = NULL;

	begin(p->store);
	put_line(p->store, 5, "w1", 50, "old");
	put_line(p->store, 8, "w2", 80, "eight");
	put_line(p->store, 9, "w1", 90, "nine");
	put_line(p->store, 9, "w1", 91, "nine again");
	assert_int_equal(store_cosignatures_drop(p->store, 8), 0);
	commit(p->store);
	assert_int_equal(store_cosignatures(p->store, &rows), 0);
	assert_int_equal(json_array_size(rows), 2);
	assert_int_equal(json_int(json_array_get(rows, 0), "size", 0), 9);
	assert_string_equal(json_text(json_array_get(rows, 0), "line", ""),
			    "nine again");
	assert_int_equal(json_int(json_array_get(rows, 0), "at", 0), 91);
	assert_string_equal(json_text(json_array_get(rows, 1), "witness", ""),
			    "w2");
}

static void a_checkpoint_is_found_by_its_size(void **state)
{
	struct place *p = *state;
	struct digest root = digest_of(slice_str("root"));
	CLEANUP(buf_clear) struct buf b = BUF_INIT(100);

	begin(p->store);
	assert_int_equal(
		store_checkpoint_add(p->store, 3, &root, 1, slice_str("three")),
		0);
	assert_int_equal(
		store_checkpoint_add(p->store, 7, &root, 1, slice_str("seven")),
		0);
	commit(p->store);
	assert_int_equal(store_checkpoint_get(p->store, 3, &b), 0);
	assert_string_equal(buf_text(&b), "three");
	assert_int_equal(store_checkpoint_get(p->store, 4, &b), ERR_NOT_FOUND);
}

#define TEST(name)                                                             \
	cmocka_unit_test_setup_teardown(name, place_set_up, place_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_erased_subject_has_neither_keys_nor_parts),
		TEST(what_is_replaced_is_in_no_file_after_a_scrub),
		TEST(a_scrub_is_refused_within_a_transaction),
		TEST(documents_are_found_by_words_page_by_page),
		TEST(replies_go_by_their_caller),
		TEST(cosignatures_of_the_newest_checkpoints_are_kept),
		TEST(a_checkpoint_is_found_by_its_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
