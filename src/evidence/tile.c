#include "evidence/tile.h"

#include <inttypes.h>

#include "base/error.h"

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Steps over prefix if the text starts with it. */
static bool skip(const char **at, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*at, prefix, len) != 0)
		return false;
	*at += len;
	return true;
}

/* A decimal number without leading zeros, at most max. */
static bool read_decimal(const char **at, unsigned max, unsigned *ret_value)
{
	const char *c = *at;
	unsigned value = 0;

	if (!is_digit(*c) || (c[0] == '0' && is_digit(c[1])))
		return false;
	for (; is_digit(*c); c++) {
		value = value * 10 + (unsigned)(*c - '0');
		if (value > max)
			return false;
	}
	*at = c;
	*ret_value = value;
	return true;
}

static bool read_group(const char **at, unsigned *ret_value)
{
	const char *c = *at;

	for (int i = 0; i < 3; i++) {
		if (!is_digit(c[i]))
			return false;
	}
	*ret_value = (unsigned)((c[0] - '0') * 100 + (c[1] - '0') * 10 +
				(c[2] - '0'));
	*at = c + 3;
	return true;
}

/* Groups of three digits, all but the last with an x in front; the first is not
 * x000, so that each number has one form. */
static bool read_number(const char **at, uint64_t *ret_number)
{
	uint64_t number = 0;
	unsigned group;
	bool more = true;

	for (int i = 0; more; i++) {
		more = skip(at, "x");
		if (i == 7 || !read_group(at, &group))
			return false;
		if (i == 0 && more && group == 0)
			return false;
		if (number > (UINT64_MAX - group) / 1000)
			return false;
		number = number * 1000 + group;
		if (more && !skip(at, "/"))
			return false;
	}
	*ret_number = number;
	return true;
}

static bool read_tile(const char *at, struct tile_id *ret_id)
{
	struct tile_id id = { .width = TILE_WIDTH };

	if (!skip(&at, "tile/"))
		return false;
	id.is_entries = skip(&at, "entries/");
	if (!id.is_entries &&
	    (!read_decimal(&at, 63, &id.level) || !skip(&at, "/")))
		return false;
	if (!read_number(&at, &id.number))
		return false;
	if (skip(&at, ".p/") &&
	    (!read_decimal(&at, TILE_WIDTH - 1, &id.width) || id.width == 0))
		return false;
	if (*at != '\0')
		return false;
	*ret_id = id;
	return true;
}

int tile_parse(const char *path, struct tile_id *ret_id)
{
	if (!read_tile(path, ret_id))
		return error_set(ERR_SYNTAX, "no path of a tile");
	return 0;
}

void tile_format(const struct tile_id *id, char path[TILE_PATH_MAX])
{
	char number[48];
	size_t at = sizeof(number) - 1;
	uint64_t rest = id->number;
	int len;

	number[at] = '\0';
	for (bool last = true; last || rest > 0; last = false) {
		char group[8];

		snprintf(group, sizeof(group), last ? "%03u" : "x%03u/",
			 (unsigned)(rest % 1000));
		at -= strlen(group);
		memcpy(number + at, group, strlen(group));
		rest /= 1000;
	}
	if (id->is_entries)
		len = snprintf(path, TILE_PATH_MAX, "tile/entries/%s",
			       number + at);
	else
		len = snprintf(path, TILE_PATH_MAX, "tile/%u/%s", id->level,
			       number + at);
	if (id->width < TILE_WIDTH)
		snprintf(path + len, TILE_PATH_MAX - (size_t)len, ".p/%u",
			 id->width);
}

uint64_t tile_level_size(unsigned level, uint64_t size)
{
	return level < TILE_LEVELS ? size >> (8 * level) : 0;
}

bool tile_is_within(const struct tile_id *id, uint64_t size)
{
	uint64_t here = tile_level_size(id->level, size);

	return id->number <= here / TILE_WIDTH &&
	       here - id->number * TILE_WIDTH >= id->width;
}
