/* A hash map from text to pointers.  The map owns its keys, not its values. */
#pragma once

#include "base/base.h"

struct map;

struct map *map_new(void);
/* Releases the map; the values are the caller's. */
void map_free(struct map *m);
DEFINE_CLEANUP(struct map *, map_free)

size_t map_count(const struct map *m);
void *map_get(const struct map *m, const char *key); /* NULL if absent */
/* Sets or replaces; value is not NULL. */
void map_put(struct map *m, const char *key, void *value);
/* Removes and returns the value, NULL if absent. */
void *map_remove(struct map *m, const char *key);

/*
 * Walks the map: at starts at 0; returns NULL after the last.  The map must
 * not change meanwhile.
 */
void *map_next(const struct map *m, size_t *at, const char **ret_key);
