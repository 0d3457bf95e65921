/*
 * make_log FOLDER SIZE...: makes a log that grows through the sizes (ascending)
 * and exports it at each, to FOLDER/export-SIZE, with a receipt of every
 * leaf whose index is a multiple of 7 as FOLDER/export-SIZE/proofs/INDEX and
 * the leaf's bytes beside it as INDEX.leaf.  FOLDER/vkey is the log's key.
 */
#include <inttypes.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "evidence/evidence.h"
#include "evidence/export.h"
#include "evidence/keeper.h"

struct program {
	struct loop *loop;
	struct evidence *evidence;
	const char *folder;
	char *data;
	bool done;
};

static void check(int r)
{
	if (r == 0)
		return;
	fprintf(stderr, "make_log: %s\n", error_message());
	exit(1);
}

static void on_done(void *cookie)
{
	struct program *p = cookie;

	p->done = true;
	loop_stop(p->loop);
}

static void await(struct program *p)
{
	while (!p->done)
		check(loop_run(p->loop));
	p->done = false;
}

static void add_leaf(struct program *p, bool is_last)
{
	struct evidence_txn *t = evidence_begin(p->evidence);
	enum leaf_kind kind = LEAF_HEARTBEAT;
	struct leaf_ref leaf;

	if (evidence_durable_size(p->evidence) == 0 && is_last)
		kind = LEAF_GENESIS;
	check(evidence_leaf(t, kind, NULL, NULL, NULL, 0, &leaf));
	evidence_commit(t, is_last ? on_done : NULL, p);
}

static void look_for_checkpoint(void *cookie)
{
	struct program *p = cookie;
	CLEANUP(mem_free_p)
	char *size = mem_format("\n%" PRIu64 "\n",
				evidence_durable_size(p->evidence));
	struct slice note = evidence_checkpoint(p->evidence);

	if (note.len > 0 && memmem(note.ptr, note.len, size, strlen(size)))
		on_done(p);
	else
		loop_timer(p->loop, 5, look_for_checkpoint, p);
}

static void on_signed(void *cookie, struct slice note, uint64_t size UNUSED)
{
	if (note.len > 0)
		look_for_checkpoint(cookie);
	else
		check(error_set(ERR_REFUSED, "not signed"));
}

/* What is made here need not survive a power cut. */
static void write_plainly(const char *path, struct slice content)
{
	FILE *file = fopen(path, "we");

	if (!file || fwrite(content.ptr, 1, content.len, file) != content.len ||
	    fclose(file) != 0)
		check(error_sys("%s", path));
}

static void write_proof(struct program *p, const char *folder, uint64_t index)
{
	CLEANUP(mem_free_p)
	char *path = mem_format("%s/proofs/%" PRIu64, folder, index);
	CLEANUP(mem_free_p) char *leaf_path = mem_format("%s.leaf", path);
	CLEANUP(buf_clear) struct buf proof = BUF_INIT(1 << 16);
	CLEANUP(buf_clear) struct buf leaf = BUF_INIT(1 << 16);

	check(evidence_receipt(p->evidence, index, RECEIPT_SIGNED, &proof));
	check(store_leaf_get(evidence_reader(p->evidence), index, &leaf, NULL));
	write_plainly(path, buf_slice(&proof));
	write_plainly(leaf_path, buf_slice(&leaf));
}

static void export_at(struct program *p, uint64_t size)
{
	CLEANUP(mem_free_p)
	char *folder = mem_format("%s/export-%" PRIu64, p->folder, size);
	CLEANUP(mem_free_p) char *proofs = mem_format("%s/proofs", folder);
	uint64_t exported;

	evidence_when_signed(p->evidence, size - 1, on_signed, p);
	await(p);
	check(evidence_export(p->data, folder, &exported));
	if (exported != size)
		check(error_set(ERR_BROKEN, "exported %" PRIu64, exported));
	check(file_make_folder(proofs));
	for (uint64_t i = 0; i < size; i += 7)
		write_proof(p, folder, i);
}

static void grow(struct program *p, uint64_t size)
{
	uint64_t have = evidence_durable_size(p->evidence);

	if (have == 0) {
		add_leaf(p, true);
		await(p);
		have = 1;
	}
	for (; have < size; have++)
		add_leaf(p, have + 1 == size);
	if (p->done || evidence_durable_size(p->evidence) < size)
		await(p);
	export_at(p, size);
}

static void write_vkey(struct program *p)
{
	CLEANUP(mem_free_p) char *path = mem_format("%s/vkey", p->folder);
	char vkey[NOTE_VKEY_MAX];

	note_vkey_format(evidence_vkey(p->evidence), vkey);
	check(file_write(path, slice_str(vkey), 0644));
}

int main(int argc, char **argv)
{
	struct program p = { 0 };
	CLEANUP(mem_free_p) char *keys = NULL;
	CLEANUP(keeper_close_p) struct evidence_keeper *keeper = NULL;
	const char *command[] = { TEST_KEEPER, NULL, NULL };
	struct keeper_config keeper_config = { .command = command };
	struct evidence_config config = { .origin = "example.com/writ-test" };

	if (argc < 3)
		return 2;
	p.folder = argv[1];
	p.data = mem_format("%s/data", p.folder);
	keys = mem_format("%s/keeper", p.folder);
	check(file_make_folder(p.data));
	check(file_make_folder(keys));
	command[1] = keys;
	check(loop_open(&p.loop));
	keeper_config.loop = p.loop;
	check(keeper_open(&keeper_config, &keeper));
	config.folder = p.data;
	config.loop = p.loop;
	config.keeper = keeper;
	check(evidence_open(&config, &p.evidence));
	write_vkey(&p);
	for (int i = 2; i < argc; i++)
		grow(&p, strtoull(argv[i], NULL, 10));
	evidence_close(p.evidence);
	keeper_close(TAKE(keeper));
	loop_close(p.loop);
	free(p.data);
	return 0;
}
