#include "evidence/export.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/note.h"
#include "evidence/bundle.h"
#include "evidence/tree.h"
#include "store/cosignature.h"

struct export
{
	struct store *store;
	struct tree *tree;
	const char *folder;
	struct buf note;
	struct checkpoint checkpoint;
	struct buf content;
};

/* Writes folder/path with its parents. */
static int write_file(const char *folder, const char *path,
		      struct slice content)
{
	CLEANUP(mem_free_p) char *file = mem_format("%s/%s", folder, path);
	char *slash = strrchr(file, '/');

	*slash = '\0';
	TRY(file_make_folder(file));
	*slash = '/';
	return file_write(file, content, 0644);
}

static int write_tile(struct export *x, const struct tile_id *id)
{
	CLEANUP(mem_free_p) char *file = NULL;
	char path[TILE_PATH_MAX];
	struct slice content;

	tile_format(id, path);
	file = mem_format("%s/%s", x->folder, path);
	if (id->width == TILE_WIDTH && file_exists(file))
		return 0;
	buf_reset(&x->content);
	if (id->is_entries)
		TRY(entry_bundle_write(x->store, id, &x->content));
	else
		TRY(tree_tile(x->tree, id->level, id->number, id->width,
			      &x->content));
	TRY(buf_finish(&x->content, &content));
	return write_file(x->folder, path, content);
}

static int write_level(struct export *x, bool is_entries, unsigned level)
{
	uint64_t size = tile_level_size(level, x->checkpoint.size);
	struct tile_id id = { is_entries, level, 0, TILE_WIDTH };

	for (; id.number < size / TILE_WIDTH; id.number++)
		TRY(write_tile(x, &id));
	id.width = (unsigned)(size % TILE_WIDTH);
	return id.width > 0 ? write_tile(x, &id) : 0;
}

/* The checkpoint's own lines end at the first empty one. */
static int read_checkpoint(struct export *x)
{
	uint64_t size;
	const char *text;
	const char *end;

	TRY(store_checkpoint_last(x->store, &size, &x->note));
	text = buf_text(&x->note);
	end = strstr(text, "\n\n");
	if (!end ||
	    checkpoint_parse(slice_of(text, (size_t)(end - text) + 1),
			     &x->checkpoint) < 0 ||
	    x->checkpoint.size != size)
		return error_set(ERR_CORRUPT, "the stored checkpoint");
	return 0;
}

/* Appends the lines of the largest checkpoint that has some. */
static void put_lines(const json_t *rows, uint64_t size, struct buf *note)
{
	const json_t *row;
	size_t at;

	json_array_foreach(rows, at, row) {
		if ((uint64_t)json_int(row, "size", 0) == size)
			buf_put_str(note, json_text(row, "line", ""));
	}
}

/* An older checkpoint may be the one that witnesses have cosigned. */
static int write_cosigned(struct export *x)
{
	CLEANUP(json_put_p) json_t *rows = NULL;
	CLEANUP(buf_clear) struct buf note = BUF_INIT(NOTE_MAX);
	uint64_t size;

	TRY(store_cosignatures(x->store, &rows));
	size = (uint64_t)json_int(json_array_get(rows, 0), "size", 0);
	if (size == 0)
		return 0;
	put_lines(rows, x->checkpoint.size, &x->note);
	TRY(store_checkpoint_get(x->store, size, &note));
	put_lines(rows, size, &note);
	return write_file(x->folder, "checkpoint.witnessed", buf_slice(&note));
}

static int write_all(struct export *x, const char *data_folder)
{
	struct digest root;

	TRY(store_open_reader(data_folder, &x->store));
	TRY(read_checkpoint(x));
	TRY(tree_load(x->store, x->checkpoint.size, &x->tree));
	root = tree_root(x->tree);
	if (!digest_equals(&root, &x->checkpoint.root))
		return error_set(ERR_CORRUPT,
				 "the log is not what its checkpoint says");
	TRY(file_make_folder(x->folder));
	TRY(write_level(x, true, 0));
	for (unsigned level = 0; level < TILE_LEVELS; level++)
		TRY(write_level(x, false, level));
	TRY(write_cosigned(x));
	return write_file(x->folder, "checkpoint", buf_slice(&x->note));
}

int evidence_export(const char *data_folder, const char *folder,
		    uint64_t *ret_size)
{
	struct export x = {
		.folder = folder,
		.note = BUF_INIT(NOTE_MAX),
		.content = BUF_INIT(BUNDLE_MAX),
	};
	int r = write_all(&x, data_folder);

	if (r == 0 && ret_size)
		*ret_size = x.checkpoint.size;
	tree_free(x.tree);
	store_close(x.store);
	buf_clear(&x.note);
	buf_clear(&x.content);
	return r < 0 ? error_context(r, "export") : 0;
}
