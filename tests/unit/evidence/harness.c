#include "harness.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

int world_set_up(void **state)
{
	struct world *w = mem_new(struct world);

	w->note = (struct buf)BUF_INIT(NOTE_MAX);
	snprintf(w->folder, sizeof(w->folder), "/tmp/writ-evidence-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->data, sizeof(w->data), "%s/data", w->folder);
	snprintf(w->keys, sizeof(w->keys), "%s/keeper", w->folder);
	assert_int_equal(mkdir(w->data, 0700), 0);
	assert_int_equal(mkdir(w->keys, 0700), 0);
	*state = w;
	return 0;
}

int world_tear_down(void **state)
{
	struct world *w = *state;

	world_close(w);
	world_shell(w, "rm -rf -- '%s'", w->folder);
	buf_clear(&w->note);
	free(w);
	return 0;
}

static void on_lost(void *cookie, const char *why UNUSED)
{
	((struct world *)cookie)->lost++;
}

static void on_degraded(void *cookie, bool on, const char *why UNUSED)
{
	struct world *w = cookie;

	if (on)
		w->degraded++;
	else
		w->healed++;
}

int world_try_open(struct world *w)
{
	const char *const command[] = { TEST_KEEPER, w->keys, NULL };
	struct keeper_config keeper = { .command = command,
					.lost = on_lost,
					.cookie = w };
	struct evidence_config config = { .folder = w->data,
					  .origin = TEST_ORIGIN,
					  .degraded = on_degraded,
					  .cookie = w };

	TRY(loop_open(&w->loop));
	keeper.loop = w->loop;
	TRY(keeper_open(&keeper, &w->keeper));
	config.loop = w->loop;
	config.keeper = w->keeper;
	config.witnesses = w->witnesses;
	return evidence_open(&config, &w->evidence);
}

void world_open(struct world *w)
{
	if (world_try_open(w) < 0)
		fail_msg("%s", error_message());
}

void world_close(struct world *w)
{
	evidence_close(TAKE(w->evidence));
	keeper_close(TAKE(w->keeper));
	loop_close(TAKE(w->loop));
}

void world_done(void *cookie)
{
	struct world *w = cookie;

	w->flag = true;
	loop_stop(w->loop);
}

static void on_late(void *cookie UNUSED)
{
	fail_msg("%s", "what was awaited did not come in 20 s");
}

void world_wait(struct world *w)
{
	struct loop_timer *timer = loop_timer(w->loop, 20000, on_late, w);

	while (!w->flag)
		assert_int_equal(loop_run(w->loop), 0);
	w->flag = false;
	loop_timer_end(timer);
}

void world_add(struct world *w, unsigned count)
{
	struct leaf_ref leaf;

	for (unsigned i = 0; i < count; i++) {
		struct evidence_txn *t = evidence_begin(w->evidence);
		json_t *fields = json_object();

		json_set_int(fields, "n", i);
		assert_int_equal(evidence_leaf(t, LEAF_HEARTBEAT, "hbt_1",
					       fields, NULL, 0, &leaf),
				 0);
		evidence_commit(t, i + 1 == count ? world_done : NULL, w);
	}
	if (count > 0)
		world_wait(w);
}

static void on_signed(void *cookie, struct slice note, uint64_t size)
{
	struct world *w = cookie;

	buf_reset(&w->note);
	buf_put(&w->note, note);
	w->signed_size = size;
	world_done(w);
}

void world_sign(struct world *w, uint64_t index)
{
	evidence_when_signed(w->evidence, index, on_signed, w);
	world_wait(w);
}

void world_tell_keeper(struct world *w, const char *what, bool on)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", w->keys, what);

	if (on)
		assert_int_equal(file_write(path, slice_str(""), 0600), 0);
	else
		assert_int_equal(unlink(path), 0);
}

void world_shell(struct world *w, const char *format, ...)
{
	CLEANUP(mem_free_p) char *command = NULL;
	va_list arguments;
	char text[4096];

	va_start(arguments, format);
	vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	command = mem_format("cd '%s' && %s", w->folder, text);
	assert_int_equal(system(command), 0);
}

void world_sql(struct world *w, const char *sql)
{
	world_shell(w,
		    "sqlite3 data/state.db \"DROP TRIGGER leaf_no_update;"
		    "DROP TRIGGER leaf_no_delete; DROP TRIGGER tile_no_update;"
		    "DROP TRIGGER checkpoint_no_delete; %s\"",
		    sql);
}

struct checkpoint world_checkpoint(struct world *w, struct slice note)
{
	struct checkpoint c;

	assert_int_equal(checkpoint_open(note, evidence_vkey(w->evidence), &c),
			 0);
	return c;
}
