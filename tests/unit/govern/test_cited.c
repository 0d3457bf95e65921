#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "crypto/digest.h"
#include "govern/cited.h"

static json_t *names(int count)
{
	json_t *list = json_array();

	for (int i = 0; i < count; i++) {
		CLEANUP(mem_free_p) char *name = mem_format("policy-%04d", i);

		json_array_append_new(list, json_string(name));
	}
	return list;
}

static void a_list_that_fits_is_cited_whole(void **state)
{
	CLEANUP(json_put_p) json_t *object = json_object();
	CLEANUP(json_put_p) json_t *list = names(3);

	(void)state;
	/* ["policy-0000","policy-0001","policy-0002"] */
	cited_set(object, "policies", list, 43);
	assert_true(json_equal(json_object_get(object, "policies"), list));
	assert_false(cited_is_cut(object, "policies"));
	assert_int_equal(json_object_size(object), 1);
}

static void of_a_longer_one_its_count_and_digest_are_told(void **state)
{
	CLEANUP(json_put_p) json_t *object = json_object();
	CLEANUP(json_put_p) json_t *list = names(5000);
	CLEANUP(mem_free_p) char *whole = json_canonical(list);
	CLEANUP(mem_free_p) char *kept = NULL;
	struct digest digest = digest_of(slice_str(whole));
	char text[DIGEST_TEXT_LEN];
	const json_t *cut;

	(void)state;
	digest_format(&digest, text);
	cited_set(object, "policies", list, 1024);
	kept = json_canonical(json_object_get(object, "policies"));
	assert_in_range(strlen(kept), 1000, 1024);
	assert_memory_equal(kept, whole, strlen(kept) - 1);
	assert_true(cited_is_cut(object, "policies"));
	cut = json_object_get(object, "policiesCut");
	assert_int_equal(json_int(cut, "count", 0), 5000);
	assert_string_equal(json_text(cut, "digest", ""), text);
}

static void a_row_that_is_too_long_alone_leaves_none(void **state)
{
	CLEANUP(json_put_p) json_t *object = json_object();
	CLEANUP(json_put_p) json_t *list = names(1);

	(void)state;
	cited_set(object, "policies", list, 14);
	assert_int_equal(json_array_size(json_object_get(object, "policies")),
			 0);
	assert_true(cited_is_cut(object, "policies"));
	cited_set(object, "none", NULL, 2);
	assert_int_equal(json_array_size(json_object_get(object, "none")), 0);
	assert_false(cited_is_cut(object, "none"));
}

static void a_text_that_is_cut_stays_utf_8(void **state)
{
	CLEANUP(mem_free_p) char *whole = cited_text("häuser", 7);
	CLEANUP(mem_free_p) char *cut = cited_text("häuser", 6);
	CLEANUP(mem_free_p) char *inside = cited_text("häuser", 5);

	(void)state;
	assert_string_equal(whole, "häuser");
	assert_string_equal(cut, "hä...");
	assert_string_equal(inside, "h...");
}

static void a_name_is_added_once(void **state)
{
	CLEANUP(json_put_p) json_t *list = json_array();
	CLEANUP(json_put_p) json_t *seen = json_object();

	(void)state;
	cited_add_once(list, seen, "b");
	cited_add_once(list, seen, "a");
	cited_add_once(list, seen, "b");
	assert_int_equal(json_array_size(list), 2);
	assert_string_equal(json_string_value(json_array_get(list, 0)), "b");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_that_fits_is_cited_whole),
		cmocka_unit_test(of_a_longer_one_its_count_and_digest_are_told),
		cmocka_unit_test(a_row_that_is_too_long_alone_leaves_none),
		cmocka_unit_test(a_text_that_is_cut_stays_utf_8),
		cmocka_unit_test(a_name_is_added_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
