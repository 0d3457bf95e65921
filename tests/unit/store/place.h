/* A store in a folder of its own, which is removed after each test. */
#pragma once

#include "store/store.h"

struct place {
	char folder[64];
	struct store *store;
};

/* For cmocka_unit_test_setup_teardown(): *state is a struct place. */
int place_set_up(void **state);
int place_tear_down(void **state);
