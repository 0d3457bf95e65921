#include "net/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/un.h>

#include <cmocka.h>

#include "base/error.h"

union address {
	struct sockaddr any;
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;
	struct sockaddr_un local;
};

static union address address_of(const char *text, unsigned port)
{
	union address a = { 0 };

	if (inet_pton(AF_INET, text, &a.v4.sin_addr) == 1) {
		a.v4.sin_family = AF_INET;
		a.v4.sin_port = htons((uint16_t)port);
		return a;
	}
	assert_int_equal(inet_pton(AF_INET6, text, &a.v6.sin6_addr), 1);
	a.v6.sin6_family = AF_INET6;
	a.v6.sin6_port = htons((uint16_t)port);
	return a;
}

static struct reach *named(const char *name)
{
	CLEANUP(json_put_p) json_t *names = json_pack("[s]", name);
	struct reach *r = NULL;

	assert_int_equal(reach_new(names, &r), 0);
	return r;
}

static bool allows(const char *name, const char *address, unsigned port)
{
	CLEANUP(reach_free_p) struct reach *r = named(name);
	union address a = address_of(address, port);

	return reach_allows(r, &a.any, false);
}

static void public_addresses_are_reached(void **state)
{
	static const char *const all[] = {
		"1.1.1.1",	   "9.255.255.255",    "11.0.0.1",
		"100.63.255.255",  "100.128.0.1",      "128.0.0.1",
		"172.15.0.1",	   "172.32.0.1",       "192.0.1.1",
		"198.17.255.255",  "198.20.0.1",       "223.255.255.255",
		"2606:4700::1111", "2a00::1",	       "2001:200::1",
		"::ffff:1.1.1.1",  "64:ff9b::101:101", "2002:101:101::1",
	};

	discard(state != NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		union address a = address_of(all[i], 443);

		if (!reach_allows(NULL, &a.any, false))
			fail_msg("%s", all[i]);
		assert_false(reach_allows(NULL, &a.any, true));
	}
}

static void internal_addresses_are_not_reached_unnamed(void **state)
{
	static const char *const all[] = {
		"0.0.0.0",
		"0.1.2.3",
		"10.0.0.1",
		"10.255.255.255",
		"100.64.0.1",
		"100.127.255.255",
		"127.0.0.1",
		"127.255.0.1",
		"169.254.169.254",
		"172.16.0.1",
		"172.31.255.255",
		"192.0.0.8",
		"192.0.2.1",
		"192.88.99.1",
		"192.168.1.1",
		"198.18.0.1",
		"198.19.255.255",
		"198.51.100.1",
		"203.0.113.1",
		"224.0.0.1",
		"239.1.1.1",
		"240.0.0.1",
		"255.255.255.255",
		"::",
		"::1",
		"::127.0.0.1",
		"::ffff:127.0.0.1",
		"::ffff:10.1.2.3",
		"64:ff9b::a00:1",
		"64:ff9b:1::1",
		"100::1",
		"2001::1",
		"2001:db8::1",
		"2002:7f00:1::1",
		"2002:a00:1::1",
		"3fff::1",
		"4000::1",
		"fc00::1",
		"fd12:3456::1",
		"fe80::1",
		"fec0::1",
		"ff02::1",
	};

	discard(state != NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		union address a = address_of(all[i], 443);

		if (reach_allows(NULL, &a.any, false) ||
		    !reach_is_internal(&a.any))
			fail_msg("%s", all[i]);
	}
}

static void a_socket_of_another_kind_is_not_reached(void **state)
{
	union address a = { .local = { AF_UNIX, "/run/some" } };

	discard(state != NULL);
	assert_false(reach_allows(NULL, &a.any, false));
	assert_true(reach_is_internal(&a.any));
	assert_false(reach_is_loopback(&a.any));
}

static void a_named_address_is_reached_and_its_neighbour_is_not(void **state)
{
	discard(state != NULL);
	assert_true(allows("10.1.2.3", "10.1.2.3", 443));
	assert_true(allows("10.1.2.3", "::ffff:10.1.2.3", 443));
	assert_false(allows("10.1.2.3", "10.1.2.4", 443));
	assert_true(allows("fd00::5", "fd00::5", 443));
	assert_false(allows("fd00::5", "fd00::6", 443));
	assert_false(allows("10.1.2.3", "64:ff9b::a01:203", 443));
}

static void a_named_network_ends_where_its_prefix_does(void **state)
{
	discard(state != NULL);
	assert_true(allows("10.1.0.0/16", "10.1.255.255", 443));
	assert_false(allows("10.1.0.0/16", "10.2.0.0", 443));
	assert_true(allows("10.0.0.0/9", "10.127.0.1", 443));
	assert_false(allows("10.0.0.0/9", "10.128.0.1", 443));
	assert_true(allows("fd00::/61", "fd00::7:0:0:0:1", 443));
	assert_false(allows("fd00::/61", "fd00::8:0:0:0:1", 443));
	assert_true(allows("0.0.0.0/0", "127.0.0.1", 443));
	assert_false(allows("0.0.0.0/0", "::1", 443));
}

static void a_named_port_is_the_only_one(void **state)
{
	discard(state != NULL);
	assert_true(allows("127.0.0.1:8443", "127.0.0.1", 8443));
	assert_false(allows("127.0.0.1:8443", "127.0.0.1", 8444));
	assert_true(allows("[::1]:8443", "::1", 8443));
	assert_false(allows("[::1]:8443", "::1", 443));
}

static void only_a_named_loopback_address_is_spoken_to_in_plain(void **state)
{
	CLEANUP(reach_free_p) struct reach *loopback = named("127.0.0.1");
	CLEANUP(reach_free_p) struct reach *private = named("10.0.0.0/8");
	union address here = address_of("127.0.0.1", 80);
	union address there = address_of("10.0.0.1", 80);
	union address mapped = address_of("::ffff:127.0.0.1", 80);

	discard(state != NULL);
	assert_true(reach_allows(loopback, &here.any, true));
	assert_true(reach_allows(loopback, &mapped.any, true));
	assert_false(reach_allows(NULL, &here.any, true));
	assert_true(reach_allows(private, &there.any, false));
	assert_false(reach_allows(private, &there.any, true));
}

static void a_name_that_is_no_address_is_refused(void **state)
{
	static const char *const all[] = {
		"",
		"localhost",
		"10.0.0",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/-1",
		"10.0.0.0/8x",
		"fd00::/129",
		"127.0.0.1:0",
		"127.0.0.1:",
		"127.0.0.1:65536",
		"[::1]",
		"[::1:80",
		"::1]:80",
		"[127.0.0.1]:80",
		"127.0.0.1/8:80",
		"0x7f.1",
		"1.2.3.4.5",
		" 10.0.0.1",
	};

	discard(state != NULL);
	for (size_t i = 0; i < ARRAY_LEN(all); i++) {
		CLEANUP(json_put_p) json_t *names = json_pack("[s]", all[i]);
		struct reach *r = NULL;

		if (reach_new(names, &r) != ERR_SYNTAX)
			fail_msg("'%s'", all[i]);
		assert_null(r);
	}
}

static void more_names_than_the_limit_are_refused(void **state)
{
	CLEANUP(json_put_p) json_t *names = json_array();
	struct reach *r = NULL;

	discard(state != NULL);
	for (int i = 0; i < 65; i++)
		json_array_append_new(names, json_string("10.0.0.1"));
	assert_int_equal(reach_new(names, &r), ERR_LIMIT);
	assert_null(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(public_addresses_are_reached),
		cmocka_unit_test(internal_addresses_are_not_reached_unnamed),
		cmocka_unit_test(a_socket_of_another_kind_is_not_reached),
		cmocka_unit_test(
			a_named_address_is_reached_and_its_neighbour_is_not),
		cmocka_unit_test(a_named_network_ends_where_its_prefix_does),
		cmocka_unit_test(a_named_port_is_the_only_one),
		cmocka_unit_test(
			only_a_named_loopback_address_is_spoken_to_in_plain),
		cmocka_unit_test(a_name_that_is_no_address_is_refused),
		cmocka_unit_test(more_names_than_the_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
