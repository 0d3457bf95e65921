/*
 * Values in Cedar's JSON form, in the namespace of the governance schema
 * (policy/governance.cedarschema).  All results are owned by the caller.
 */
#pragma once

#include "base/json.h"

/* {"type": "Gov::type", "id": id} */
json_t *entity_uid(const char *type, const char *id);

/* {"__entity": uid} */
json_t *entity_ref(const char *type, const char *id);

/* A set of references; names: array of strings, may be NULL. */
json_t *entity_refs(const char *type, const json_t *names);

/* Extension values; seconds as Cedar writes durations. */
json_t *entity_duration(const char *text);
json_t *entity_seconds(int64_t seconds);
json_t *entity_time(int64_t wall_ms);

/* An entity without attributes or parents. */
json_t *entity_new(const char *type, const char *id);

/* Sets an attribute; takes ownership of value. */
void entity_attr(json_t *entity, const char *name, json_t *value);

/* Adds parents; names: array of strings, may be NULL. */
void entity_parents(json_t *entity, const char *type, const json_t *names);
