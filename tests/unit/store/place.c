#include "place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>

#include "base/mem.h"

int place_set_up(void **state)
{
	struct place *p = mem_new(struct place);

	snprintf(p->folder, sizeof(p->folder), "/tmp/writ-store-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	assert_int_equal(store_open(p->folder, true, &p->store), 0);
	*state = p;
	return 0;
}

int place_tear_down(void **state)
{
	struct place *p = *state;
	CLEANUP(mem_free_p)
	char *command = mem_format("rm -rf -- '%s'", p->folder);

	store_close(p->store);
	assert_int_equal(system(command), 0);
	free(p);
	return 0;
}
