/*
 * Inside the verifier: what leaves must say, one after another.  The rules are
 * those of docs/leaves.md.
 */
#pragma once

#include "base/json.h"

struct leaf_rules;

/* Gets what is wrong with a leaf. */
typedef void (*leaf_fault_fn)(void *cookie, uint64_t index, const char *what);

struct leaf_rules *leaf_rules_new(leaf_fault_fn fault, void *cookie);
void leaf_rules_free(struct leaf_rules *r);
DEFINE_CLEANUP(struct leaf_rules *, leaf_rules_free)

/* The next leaf. */
void leaf_rules_add(struct leaf_rules *r, uint64_t index, struct slice body);

/* After the last leaf: what should have come and has not. */
void leaf_rules_finish(struct leaf_rules *r);

/* Credentials without a recorded end, [{"index", "about", "expires": seconds}];
 * owned. */
json_t *leaf_rules_lent(const struct leaf_rules *r);

/* Effects that were armed and have no end yet, [{"index", "about"}]; owned. */
json_t *leaf_rules_open(const struct leaf_rules *r);
