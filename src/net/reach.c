/*
 * Addresses are kept in one form: 16 bytes of IPv6, IPv4 as ::ffff:0:0/96.
 */
#include "net/reach.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/error.h"
#include "base/mem.h"

enum {
	NAMES_MAX = 64,
	TEXT_MAX = 64, /* bytes of a name, more than any address */
	MAPPED_BITS = 96,
	ADDRESS_BITS = 128,
	ADDRESS_LEN = 16,
	PORT_MAX = 65535,
};

struct address {
	uint8_t bytes[ADDRESS_LEN];
	unsigned port;
};

/* A named network. */
struct network {
	struct address address; /* port 0: any */
	unsigned bits;
};

struct reach {
	struct network networks[NAMES_MAX];
	size_t count;
};

static const uint8_t mapped[ADDRESS_LEN] = { [10] = 0xff, [11] = 0xff };

static void set_ipv4(struct address *a, const void *ipv4)
{
	memcpy(a->bytes, mapped, sizeof(a->bytes));
	memcpy(a->bytes + 12, ipv4, 4);
}

/* False for other families. */
static bool read_address(const struct sockaddr *from, struct address *ret)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 v6;

	if (from->sa_family == AF_INET) {
		memcpy(&v4, from, sizeof(v4));
		set_ipv4(ret, &v4.sin_addr);
		ret->port = ntohs(v4.sin_port);
		return true;
	}
	if (from->sa_family != AF_INET6)
		return false;
	memcpy(&v6, from, sizeof(v6));
	memcpy(ret->bytes, &v6.sin6_addr, sizeof(ret->bytes));
	ret->port = ntohs(v6.sin6_port);
	return true;
}

static bool within(const uint8_t *address, const uint8_t *network,
		   unsigned bits)
{
	unsigned whole = bits / 8;
	unsigned rest = bits % 8;

	if (memcmp(address, network, whole) != 0)
		return false;
	return !rest ||
	       !((address[whole] ^ network[whole]) >> (8 - rest) & 0xff);
}

/* ---- what is internal ---- */

struct block {
	uint8_t bytes[ADDRESS_LEN];
	unsigned bits;
};

/* The IANA's special-purpose registry of IPv4 (RFC 6890 and its updates). */
static const struct block blocks4[] = {
	{ { 0 }, 8 },
	{ { 10 }, 8 },
	{ { 100, 64 }, 10 },
	{ { 127 }, 8 },
	{ { 169, 254 }, 16 },
	{ { 172, 16 }, 12 },
	{ { 192, 0, 0 }, 24 },
	{ { 192, 0, 2 }, 24 },
	{ { 192, 88, 99 }, 24 },
	{ { 192, 168 }, 16 },
	{ { 198, 18 }, 15 },
	{ { 198, 51, 100 }, 24 },
	{ { 203, 0, 113 }, 24 },
	{ { 224 }, 4 },
	{ { 240 }, 4 },
};

/* Within 2000::/3, the only global unicast there is (RFC 4291, 2.4). */
static const struct block blocks6[] = {
	{ { 0x20, 0x01, 0x00 }, 23 }, /* protocol assignments, Teredo */
	{ { 0x20, 0x01, 0x0d, 0xb8 }, 32 },
	{ { 0x3f, 0xff }, 20 },
};

static const struct block global6 = { { 0x20 }, 3 };

/* Forms of IPv6 that hold an IPv4 address, and where. */
static const struct {
	struct block block;
	unsigned at;
} holders[] = {
	{ { { [10] = 0xff, [11] = 0xff }, MAPPED_BITS }, 12 },
	{ { { 0 }, MAPPED_BITS }, 12 },			  /* compatible */
	{ { { 0, 0x64, 0xff, 0x9b }, MAPPED_BITS }, 12 }, /* RFC 6052 */
	{ { { 0x20, 0x02 }, 16 }, 2 },			  /* RFC 3056 */
};

static bool is_special(const uint8_t *address, const struct block *blocks,
		       size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (within(address, blocks[i].bytes, blocks[i].bits))
			return true;
	}
	return false;
}

static bool is_internal(const struct address *a)
{
	for (size_t i = 0; i < ARRAY_LEN(holders); i++) {
		if (within(a->bytes, holders[i].block.bytes,
			   holders[i].block.bits))
			return is_special(a->bytes + holders[i].at, blocks4,
					  ARRAY_LEN(blocks4));
	}
	return !within(a->bytes, global6.bytes, global6.bits) ||
	       is_special(a->bytes, blocks6, ARRAY_LEN(blocks6));
}

bool reach_is_internal(const struct sockaddr *address)
{
	struct address a;

	return !read_address(address, &a) || is_internal(&a);
}

bool reach_is_loopback(const struct sockaddr *address)
{
	static const struct block loopback4 = {
		{ [10] = 0xff, [11] = 0xff, [12] = 127 }, MAPPED_BITS + 8
	};
	static const struct block loopback6 = { { [15] = 1 }, ADDRESS_BITS };
	struct address a;

	return read_address(address, &a) &&
	       (within(a.bytes, loopback4.bytes, loopback4.bits) ||
		within(a.bytes, loopback6.bytes, loopback6.bits));
}

/* ---- what is named ---- */

static int not_one(const char *name)
{
	return error_set(ERR_SYNTAX,
			 "'%.64s' is no address, ADDRESS/PREFIX or "
			 "ADDRESS:PORT",
			 name);
}

/* Reads a number of at most max and nothing behind it. */
static bool read_number(const char *text, unsigned max, unsigned *ret)
{
	unsigned value = 0;

	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return false;
		value = value * 10 + (unsigned)(*text - '0');
		if (value > max)
			return false;
	}
	*ret = value;
	return true;
}

static bool read_host(const char *host, struct network *n, bool *ret_ipv4)
{
	struct in_addr v4;

	*ret_ipv4 = inet_pton(AF_INET, host, &v4) == 1;
	if (*ret_ipv4)
		set_ipv4(&n->address, &v4);
	else if (inet_pton(AF_INET6, host, n->address.bytes) != 1)
		return false;
	n->bits = ADDRESS_BITS;
	return true;
}

/* "HOST/PREFIX": host ends where the slash was. */
static bool read_prefixed(const char *host, const char *prefix,
			  struct network *n)
{
	bool ipv4;
	unsigned bits;

	if (!read_host(host, n, &ipv4) ||
	    !read_number(prefix, ipv4 ? 32 : ADDRESS_BITS, &bits))
		return false;
	n->bits = ipv4 ? MAPPED_BITS + bits : bits;
	return true;
}

/* "[IPV6]:PORT" or "IPV4:PORT". */
static bool read_with_port(char *host, char *colon, struct network *n)
{
	bool bracketed = *host == '[';
	bool ipv4;

	*colon = '\0';
	if (bracketed && (colon == host || colon[-1] != ']'))
		return false;
	if (bracketed) {
		colon[-1] = '\0';
		host++;
	}
	return read_host(host, n, &ipv4) && ipv4 != bracketed &&
	       read_number(colon + 1, PORT_MAX, &n->address.port) &&
	       n->address.port > 0;
}

static int read_name(const char *name, struct network *n)
{
	char text[TEXT_MAX];
	char *slash, *colon;
	bool ipv4, good;

	if (!name || strlen(name) >= sizeof(text))
		return not_one(name ? name : "");
	memcpy(text, name, strlen(name) + 1);
	slash = strchr(text, '/');
	colon = strrchr(text, ':');
	if (slash) {
		*slash = '\0';
		good = read_prefixed(text, slash + 1, n);
	} else if (colon && (*text == '[' || strchr(text, ':') == colon)) {
		good = read_with_port(text, colon, n);
	} else {
		good = read_host(text, n, &ipv4);
	}
	return good ? 0 : not_one(name);
}

int reach_new(const json_t *names, struct reach **ret_reach)
{
	CLEANUP(reach_free_p) struct reach *r = mem_new(struct reach);
	const json_t *name;
	size_t at;

	if (json_array_size(names) > NAMES_MAX)
		return error_set(ERR_LIMIT, "more than %d addresses are named",
				 NAMES_MAX);
	json_array_foreach(names, at, name)
		TRY(read_name(json_string_value(name),
			      &r->networks[r->count++]));
	*ret_reach = TAKE(r);
	return 0;
}

void reach_free(struct reach *r)
{
	free(r);
}

bool reach_names(const struct reach *r, const struct sockaddr *address)
{
	struct address a;

	if (!r || !read_address(address, &a))
		return false;
	for (size_t i = 0; i < r->count; i++) {
		const struct network *n = &r->networks[i];

		if ((!n->address.port || n->address.port == a.port) &&
		    within(a.bytes, n->address.bytes, n->bits))
			return true;
	}
	return false;
}

bool reach_allows(const struct reach *r, const struct sockaddr *address,
		  bool plain)
{
	if (plain)
		return reach_is_loopback(address) && reach_names(r, address);
	return !reach_is_internal(address) || reach_names(r, address);
}
