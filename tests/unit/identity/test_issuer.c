/* Documents of issuers; fetching them is in tests/integration. */
#include "tokens.h"

#include "base/error.h"
#include "base/mem.h"
#include "identity/issuer.h"

static const char us[] = "https://issuer.example/tenant";

static int metadata(const char *text)
{
	CLEANUP(mem_free_p) char *uri = NULL;

	return issuer_parse_metadata(slice_str(text), us, &uri);
}

static void metadata_of_exactly_this_issuer_is_taken(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *uri = NULL;

	assert_int_equal(
		issuer_parse_metadata(
			slice_str("{\"issuer\":\"https://issuer.example/"
				  "tenant\",\"jwks_uri\":\"https://k.example/"
				  "keys\",\"other\":[1]}"),
			us, &uri),
		0);
	assert_string_equal(uri, "https://k.example/keys");
}

static void metadata_of_another_issuer_is_refused(void **state UNUSED)
{
	static const char *const texts[] = {
		"{\"jwks_uri\":\"https://k.example/keys\"}",
		"{\"issuer\":\"https://issuer.example/tenant/\","
		"\"jwks_uri\":\"https://k.example/keys\"}",
		"{\"issuer\":\"https://issuer.example\","
		"\"jwks_uri\":\"https://k.example/keys\"}",
		"{\"issuer\":[\"https://issuer.example/tenant\"],"
		"\"jwks_uri\":\"https://k.example/keys\"}",
	};

	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		assert_int_equal(metadata(texts[i]), ERR_REFUSED);
}

static void metadata_without_a_place_of_keys_is_refused(void **state UNUSED)
{
	static const char *const places[] = {
		"",
		",\"jwks_uri\":1",
		",\"jwks_uri\":\"\"",
		",\"jwks_uri\":\"file:///etc/passwd\"",
		",\"jwks_uri\":\"https://u:p@k.example/\"",
	};

	for (size_t i = 0; i < ARRAY_LEN(places); i++) {
		CLEANUP(mem_free_p)
		char *text = mem_format("{\"issuer\":\"%s\"%s}", us, places[i]);

		assert_int_equal(metadata(text), ERR_SYNTAX);
	}
	assert_int_equal(metadata("[]"), ERR_REFUSED);
	assert_int_equal(metadata("{"), ERR_SYNTAX);
}

static size_t count_keys(json_t *owned)
{
	CLEANUP(json_put_p) json_t *document = owned;
	CLEANUP(mem_free_p) char *text = json_canonical(document);
	struct jose_key **keys = NULL;
	size_t count = 0;

	assert_int_equal(issuer_parse_keys(slice_str(text), &keys), 0);
	while (keys[count])
		count++;
	issuer_keys_free(keys);
	return count;
}

static void only_keys_for_signatures_are_taken(void **state UNUSED)
{
	CLEANUP(test_key_clear) struct test_key key;
	json_t *private;

	test_key_make(&key, "P-256");
	private = test_jwk(&key, "p", "sig");
	json_set_text(private, "d", "AQAB");
	assert_int_equal(
		count_keys(json_pack(
			"{s:[o,o,o,o,o,i]}", "keys", test_jwk(&key, "a", "sig"),
			test_jwk(&key, "b", NULL), test_jwk(&key, "c", "enc"),
			test_jwk(&key, "d", "jwt-svid"), private, 1)),
		2);
	assert_int_equal(count_keys(json_pack("{s:[]}", "keys")), 0);
}

static void a_document_that_is_no_key_set_is_refused(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *many = json_pack("{s:[]}", "keys");
	CLEANUP(mem_free_p) char *text = NULL;
	struct jose_key **keys = NULL;

	for (int i = 0; i <= JOSE_KEYS_MAX; i++)
		json_array_append_new(json_array_in(many, "keys"), json_null());
	text = json_canonical(many);
	assert_int_equal(issuer_parse_keys(slice_str(text), &keys), ERR_LIMIT);
	assert_int_equal(issuer_parse_keys(slice_str("{}"), &keys), ERR_SYNTAX);
	assert_int_equal(issuer_parse_keys(slice_str("[]"), &keys), ERR_SYNTAX);
	assert_int_equal(issuer_parse_keys(slice_str("{\"keys\":{}}"), &keys),
			 ERR_SYNTAX);
	assert_null(keys);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_of_exactly_this_issuer_is_taken),
		cmocka_unit_test(metadata_of_another_issuer_is_refused),
		cmocka_unit_test(metadata_without_a_place_of_keys_is_refused),
		cmocka_unit_test(only_keys_for_signatures_are_taken),
		cmocka_unit_test(a_document_that_is_no_key_set_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
