/*
 * Chained buckets, doubled when they fill.  Keys are hashed by FNV-1a with a
 * random start, so that outsiders cannot choose collisions.
 */
#include "base/map.h"

#include "base/id.h"
#include "base/mem.h"

struct entry {
	struct entry *next;
	uint64_t hash;
	char *key;
	void *value;
};

struct map {
	struct entry **buckets;
	size_t size; /* a power of two */
	size_t count;
	uint64_t start;
};

static uint64_t hash_of(const struct map *m, const char *key)
{
	uint64_t hash = m->start;

	for (; *key; key++)
		hash = (hash ^ (uint8_t)*key) * 1099511628211u;
	return hash ^ (hash >> 29);
}

struct map *map_new(void)
{
	struct map *m = mem_new(struct map);

	m->size = 16;
	m->buckets = mem_array(m->size, sizeof(struct entry *));
	random_bytes(&m->start, sizeof(m->start));
	return m;
}

void map_free(struct map *m)
{
	if (!m)
		return;
	for (size_t i = 0; i < m->size; i++) {
		while (m->buckets[i]) {
			struct entry *e = m->buckets[i];

			m->buckets[i] = e->next;
			free(e->key);
			free(e);
		}
	}
	free(m->buckets);
	free(m);
}

size_t map_count(const struct map *m)
{
	return m->count;
}

/* The place that points to the entry, or to NULL at the end of its chain. */
static struct entry **find(const struct map *m, uint64_t hash, const char *key)
{
	struct entry **place = &m->buckets[hash & (m->size - 1)];

	while (*place &&
	       ((*place)->hash != hash || strcmp((*place)->key, key) != 0))
		place = &(*place)->next;
	return place;
}

void *map_get(const struct map *m, const char *key)
{
	struct entry *e = key ? *find(m, hash_of(m, key), key) : NULL;

	return e ? e->value : NULL;
}

static void double_size(struct map *m)
{
	size_t old_size = m->size;
	struct entry **old = m->buckets;

	m->size = old_size * 2;
	m->buckets = mem_array(m->size, sizeof(struct entry *));
	for (size_t i = 0; i < old_size; i++) {
		while (old[i]) {
			struct entry *e = old[i];
			struct entry **place =
				&m->buckets[e->hash & (m->size - 1)];

			old[i] = e->next;
			e->next = *place;
			*place = e;
		}
	}
	free(old);
}

void map_put(struct map *m, const char *key, void *value)
{
	uint64_t hash = hash_of(m, key);
	struct entry **place = find(m, hash, key);

	if (!*place) {
		struct entry *e = mem_new(struct entry);

		e->hash = hash;
		e->key = mem_str(key);
		*place = e;
		m->count++;
	}
	(*place)->value = value;
	if (m->count > m->size)
		double_size(m);
}

void *map_remove(struct map *m, const char *key)
{
	struct entry **place = find(m, hash_of(m, key), key);
	struct entry *e = *place;
	void *value;

	if (!e)
		return NULL;
	value = e->value;
	*place = e->next;
	free(e->key);
	free(e);
	m->count--;
	return value;
}

/* at: bucket in the high bits, place in its chain in the low 16. */
void *map_next(const struct map *m, size_t *at, const char **ret_key)
{
	size_t bucket = *at >> 16;
	size_t skip = *at & 0xffff;

	for (; bucket < m->size; bucket++, skip = 0) {
		struct entry *e = m->buckets[bucket];

		for (size_t i = 0; e && i < skip; i++)
			e = e->next;
		if (!e)
			continue;
		*at = (bucket << 16) + skip + 1;
		if (ret_key)
			*ret_key = e->key;
		return e->value;
	}
	return NULL;
}
