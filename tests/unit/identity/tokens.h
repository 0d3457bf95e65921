/* Keys, bundles and tokens for the tests, made by OpenSSL alone. */
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/evp.h>

#include "base/json.h"
#include "identity/svid.h"

#define TEST_NOW_S 1800000000L
#define TEST_NOW_MS (TEST_NOW_S * 1000)
#define TEST_AUDIENCE "https://writ.example"

struct test_key {
	EVP_PKEY *pkey;
	const char *curve; /* NULL for RSA */
};

/* curve: "P-256" and so on; NULL for RSA of 2048 bits. */
void test_key_make(struct test_key *key, const char *curve);
void test_key_clear(struct test_key *key);

/* kid and use may be NULL; owned. */
json_t *test_jwk(const struct test_key *key, const char *kid, const char *use);

/* A bundle of one key, kid "k1", use "jwt-svid"; owned text. */
char *test_bundle(const struct test_key *key);

/* Signs header "." claims as alg says; owned. */
char *test_token(const struct test_key *key, const char *alg,
		 const char *header, const char *claims);

/* A folder and what lies in it. */
struct test_folder {
	char path[64];
};

void test_folder_make(struct test_folder *f);
void test_folder_remove(struct test_folder *f);
/* The path of a file in it, owned. */
char *test_path(const struct test_folder *f, const char *name);
void test_write(const struct test_folder *f, const char *name,
		const char *text);

/* trust_set() with one domain of one file. */
void test_trust(struct trust *t, const struct test_folder *f,
		const char *domain, const char *file, size_t faults);
