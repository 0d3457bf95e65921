#include "base/zone.h"

#include <pthread.h>

#include "base/civil.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/reader.h"

enum {
	NAME_MAX_BYTES = 63,
	FILE_MAX_BYTES = 256 * 1024,
	ZONES_KEPT = 32,
	HEADER_REST = 15, /* unused bytes after the version */
	DAY_S = 86400,
	HOUR_S = 3600,
	OFFSET_MAX_S = 26 * HOUR_S,
};

/* When one of the two yearly changes happens, in local time. */
struct change {
	char kind; /* 'M' month.week.day, 'J' day 1..365, '0' day 0..365 */
	int month, week, day;
	int64_t time_s;
};

/* The footer: what holds after the last listed transition. */
struct rule {
	bool present, has_dst;
	int64_t standard_s, dst_s; /* east of UTC */
	struct change start, end;
};

struct zone {
	char name[NAME_MAX_BYTES + 1];
	struct buf file;
	struct slice times;   /* 8 bytes each */
	struct slice indexes; /* 1 byte each: type of a transition */
	struct slice types;   /* 6 bytes each */
	struct rule rule;
};

static void zone_free(struct zone *zone)
{
	if (!zone)
		return;
	buf_clear(&zone->file);
	free(zone);
}
DEFINE_CLEANUP(struct zone *, zone_free)

/* The POSIX TZ string, read from left to right. */

static bool skip_name(const char **at)
{
	const char *p = *at;

	if (*p == '<') {
		p = strchr(p, '>');
		if (!p)
			return false;
		*at = p + 1;
		return true;
	}
	while ((*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z'))
		p++;
	if (p - *at < 3)
		return false;
	*at = p;
	return true;
}

static bool take_number(const char **at, int max, int *ret_number)
{
	const char *p = *at;
	int number = 0;

	for (; *p >= '0' && *p <= '9' && number <= max; p++)
		number = number * 10 + (*p - '0');
	if (p == *at || number > max)
		return false;
	*at = p;
	*ret_number = number;
	return true;
}

static bool take_char(const char **at, char c)
{
	if (**at != c)
		return false;
	(*at)++;
	return true;
}

/* [+-]hh[:mm[:ss]] in seconds */
static bool take_time(const char **at, int64_t *ret_seconds)
{
	bool negative = **at == '-';
	int64_t unit = HOUR_S;
	int64_t seconds = 0;
	int number;

	if (**at == '-' || **at == '+')
		(*at)++;
	do {
		if (!take_number(at, unit == HOUR_S ? 167 : 59, &number))
			return false;
		seconds += number * unit;
		unit /= 60;
	} while (unit && take_char(at, ':'));
	*ret_seconds = negative ? -seconds : seconds;
	return true;
}

static bool take_month_week_day(const char **at, struct change *change)
{
	return take_number(at, 12, &change->month) && change->month >= 1 &&
	       take_char(at, '.') && take_number(at, 5, &change->week) &&
	       change->week >= 1 && take_char(at, '.') &&
	       take_number(at, 6, &change->day);
}

static bool take_change(const char **at, struct change *change)
{
	bool right;

	change->time_s = 2 * HOUR_S;
	change->kind = '0';
	if (!take_char(at, ','))
		return false;
	if (take_char(at, 'M'))
		change->kind = 'M';
	else if (take_char(at, 'J'))
		change->kind = 'J';
	if (change->kind == 'M')
		right = take_month_week_day(at, change);
	else
		right = take_number(at, 365, &change->day) &&
			(change->kind == '0' || change->day >= 1);
	if (right && take_char(at, '/'))
		return take_time(at, &change->time_s);
	return right;
}

static bool read_rule(const char *text, struct rule *rule)
{
	if (*text == '\0')
		return true;
	rule->present = true;
	if (!skip_name(&text) || !take_time(&text, &rule->standard_s))
		return false;
	rule->standard_s = -rule->standard_s;
	if (*text == '\0')
		return true;
	rule->has_dst = true;
	rule->dst_s = rule->standard_s + HOUR_S;
	if (!skip_name(&text))
		return false;
	if (*text != ',') {
		if (!take_time(&text, &rule->dst_s))
			return false;
		rule->dst_s = -rule->dst_s;
	}
	return take_change(&text, &rule->start) &&
	       take_change(&text, &rule->end) && *text == '\0';
}

/* Local seconds since 1970 at which a change happens in a year. */
static int64_t change_at(const struct change *change, int64_t year)
{
	int64_t first = civil_days((struct civil){ year, 1, 1 });
	int64_t day = first + change->day;
	int last;

	if (change->kind == 'J')
		day -= 1 - (civil_is_leap(year) && change->day >= 60);
	if (change->kind == 'M') {
		first = civil_days((struct civil){ year, change->month, 1 });
		last = civil_month_len(year, change->month) - 1;
		day = floor_mod(change->day - civil_weekday(first), 7);
		day += 7 * (change->week - 1);
		day = first + (day > last ? day - 7 : day);
	}
	return day * DAY_S + change->time_s;
}

static int64_t rule_offset(const struct rule *rule, int64_t wall_s)
{
	int64_t year, start, end;
	bool dst;

	if (!rule->has_dst)
		return rule->standard_s;
	year = civil_of(floor_div(wall_s + rule->standard_s, DAY_S)).year;
	start = change_at(&rule->start, year) - rule->standard_s;
	end = change_at(&rule->end, year) - rule->dst_s;
	if (start < end)
		dst = wall_s >= start && wall_s < end;
	else
		dst = wall_s >= start || wall_s < end;
	return dst ? rule->dst_s : rule->standard_s;
}

/* The file. */

struct counts {
	char version;
	size_t is_ut, is_standard, leaps, times, types, chars;
};

static void skip(struct reader *r, size_t count)
{
	discard((long long)reader_bytes(r, count).len);
}

static struct counts read_header(struct reader *r)
{
	struct counts counts = { 0 };

	if (!slice_is(reader_bytes(r, 4), "TZif"))
		r->failed = true;
	counts.version = (char)reader_u8(r);
	skip(r, HEADER_REST);
	counts.is_ut = reader_u32(r);
	counts.is_standard = reader_u32(r);
	counts.leaps = reader_u32(r);
	counts.times = reader_u32(r);
	counts.types = reader_u32(r);
	counts.chars = reader_u32(r);
	return counts;
}

static void skip_rest(struct reader *r, const struct counts *counts,
		      size_t time_size)
{
	skip(r, counts->chars);
	skip(r, counts->leaps * (time_size + 4));
	skip(r, counts->is_standard);
	skip(r, counts->is_ut);
}

static bool read_footer(struct reader *r, struct rule *rule)
{
	char text[128];
	size_t len;

	if (reader_u8(r) != '\n' || r->rest.len < 1 ||
	    r->rest.len > sizeof(text))
		return false;
	len = r->rest.len - 1;
	memcpy(text, r->rest.ptr, len);
	text[len] = '\0';
	return r->rest.ptr[len] == '\n' && strlen(text) == len &&
	       read_rule(text, rule);
}

static bool types_fit(const struct zone *zone)
{
	size_t count = zone->types.len / 6;

	for (size_t i = 0; i < zone->indexes.len; i++)
		if (zone->indexes.ptr[i] >= count)
			return false;
	return count > 0;
}

/* RFC 9636, 3: a block with 4-byte times, skipped, then one with 8-byte times
 * and a footer. */
static bool read_zone(struct zone *zone)
{
	struct reader r = reader_of(buf_slice(&zone->file));
	struct counts old = read_header(&r);
	struct counts counts;

	if (old.version < '2')
		return false;
	skip(&r, old.times * 5 + old.types * 6);
	skip_rest(&r, &old, 4);
	counts = read_header(&r);
	zone->times = reader_bytes(&r, counts.times * 8);
	zone->indexes = reader_bytes(&r, counts.times);
	zone->types = reader_bytes(&r, counts.types * 6);
	skip_rest(&r, &counts, 8);
	return !r.failed && types_fit(zone) && read_footer(&r, &zone->rule);
}

static int64_t time_at(const struct zone *zone, size_t index)
{
	struct reader r = reader_of(slice_of(zone->times.ptr + index * 8, 8));

	return (int64_t)reader_u64(&r);
}

static int64_t type_offset(const struct zone *zone, size_t type)
{
	struct reader r = reader_of(slice_of(zone->types.ptr + type * 6, 4));

	return (int32_t)reader_u32(&r);
}

static int64_t offset_at(const struct zone *zone, int64_t wall_s)
{
	size_t low = 0;
	size_t high = zone->indexes.len;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (time_at(zone, middle) <= wall_s)
			low = middle + 1;
		else
			high = middle;
	}
	/* low: how many transitions lie behind */
	if (low == zone->indexes.len && zone->rule.present)
		return rule_offset(&zone->rule, wall_s);
	return type_offset(zone, low ? zone->indexes.ptr[low - 1] : 0);
}

static int unknown(const char *name)
{
	return error_set(ERR_NOT_FOUND, "no time zone '%.63s'", name);
}

/* No dots at all, so that a name cannot leave the folder. */
static bool name_is_safe(const char *name)
{
	size_t len = strnlen(name, NAME_MAX_BYTES + 1);

	return len > 0 && len <= NAME_MAX_BYTES && name[0] != '/' &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
			    "abcdefghijklmnopqrstuvwxyz0123456789_+-/") == len;
}

static int load(const char *name, struct zone **ret_zone)
{
	CLEANUP(zone_free_p) struct zone *zone = mem_new(struct zone);
	CLEANUP(mem_free_p)
	char *path = mem_format("/usr/share/zoneinfo/%s", name);

	zone->file = (struct buf)BUF_INIT(FILE_MAX_BYTES);
	if (file_read(path, &zone->file) < 0 || !read_zone(zone))
		return unknown(name);
	memcpy(zone->name, name, strlen(name) + 1);
	*ret_zone = TAKE(zone);
	return 0;
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct zone *kept[ZONES_KEPT];
static size_t next_slot;

static void unlock(pthread_mutex_t **mutex)
{
	if (*mutex)
		pthread_mutex_unlock(*mutex);
}

/* Call with the lock held. */
static int find(const char *name, const struct zone **ret_zone)
{
	struct zone *zone = NULL;

	for (size_t i = 0; i < ZONES_KEPT; i++) {
		if (kept[i] && strcmp(kept[i]->name, name) == 0) {
			*ret_zone = kept[i];
			return 0;
		}
	}
	TRY(load(name, &zone));
	zone_free(kept[next_slot]);
	kept[next_slot] = zone;
	next_slot = (next_slot + 1) % ZONES_KEPT;
	*ret_zone = zone;
	return 0;
}

int zone_offset(const char *name, int64_t wall_s, int64_t *ret_offset_s)
{
	CLEANUP(unlock) UNUSED pthread_mutex_t *held = NULL;
	const struct zone *zone = NULL;
	int64_t offset;

	if (!name_is_safe(name))
		return unknown(name);
	if (strcmp(name, "UTC") == 0) {
		*ret_offset_s = 0;
		return 0;
	}
	pthread_mutex_lock(&lock);
	held = &lock;
	TRY(find(name, &zone));
	offset = offset_at(zone, wall_s);
	if (offset < -OFFSET_MAX_S || offset > OFFSET_MAX_S)
		return unknown(name);
	*ret_offset_s = offset;
	return 0;
}
