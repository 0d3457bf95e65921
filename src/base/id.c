#include "base/id.h"

#include <errno.h>
#include <sys/random.h>

enum { UUID_SIZE = 16, UUID_DIGITS = 32, PREFIX_MIN = 2, PREFIX_MAX = 4 };

void random_bytes(void *bytes, size_t size)
{
	uint8_t *place = bytes;

	while (size) {
		ssize_t got = getrandom(place, size, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			abort();
		place += got;
		size -= (size_t)got;
	}
}

static size_t prefix_len(const char *prefix)
{
	size_t len = strnlen(prefix, PREFIX_MAX + 1);

	for (size_t i = 0; i < len; i++)
		if (prefix[i] < 'a' || prefix[i] > 'z')
			return 0;
	return len >= PREFIX_MIN && len <= PREFIX_MAX ? len : 0;
}

/*
 * RFC 9562, 5.7, with rand_a as the fraction of the millisecond (6.2, method
 * 3), so that ids made by one process sort within a millisecond as well.
 */
static void make_uuid(uint8_t uuid[UUID_SIZE])
{
	struct timespec now;
	uint64_t ms;
	unsigned fraction;

	random_bytes(uuid, UUID_SIZE);
	if (clock_gettime(CLOCK_REALTIME, &now) < 0)
		abort();
	ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	fraction = (unsigned)((uint64_t)now.tv_nsec % 1000000 * 4096 / 1000000);
	for (size_t i = 0; i < 6; i++)
		uuid[i] = (uint8_t)(ms >> (40 - 8 * i) & 0xff);
	uuid[6] = (uint8_t)(0x70 | fraction >> 8);
	uuid[7] = (uint8_t)(fraction & 0xff);
	uuid[8] = (uint8_t)(0x80 | (uuid[8] & 0x3f));
}

void id_new(const char *prefix, char id[ID_MAX])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t uuid[UUID_SIZE];
	size_t used = prefix_len(prefix);

	if (used == 0)
		abort();
	make_uuid(uuid);
	memcpy(id, prefix, used);
	id[used++] = '_';
	for (size_t i = 0; i < UUID_SIZE; i++) {
		id[used++] = digits[uuid[i] >> 4];
		id[used++] = digits[uuid[i] & 15];
	}
	id[used] = '\0';
}

bool id_is(const char *prefix, const char *text)
{
	size_t used = prefix_len(prefix);
	const char *digits;

	if (used == 0 || !text || strncmp(text, prefix, used) != 0 ||
	    text[used] != '_')
		return false;
	digits = text + used + 1;
	if (strspn(digits, "0123456789abcdef") != UUID_DIGITS ||
	    digits[UUID_DIGITS] != '\0')
		return false;
	return digits[12] == '7' && strchr("89ab", digits[16]) != NULL;
}
