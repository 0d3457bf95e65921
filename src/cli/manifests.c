#include "cli/manifests.h"

#include <dirent.h>
#include <errno.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/yaml.h"
#include "govern/manifest.h"

struct reading {
	json_t *manifests;
	json_t *faults;
	json_t *seen; /* "Kind/name" to the file that has it */
};

static void add_fault(struct reading *r, char *text)
{
	json_array_append_new(r->faults, json_string(text));
	free(text);
}

static void add_faults(struct reading *r, const char *path,
		       const json_t *faults)
{
	const json_t *fault;
	size_t i;

	json_array_foreach(faults, i, fault)
		add_fault(r, mem_format("%s:%s: %s", path,
					json_text(fault, "at", "?"),
					json_text(fault, "detail", "?")));
}

static void take_document(struct reading *r, const char *path,
			  const json_t *document,
			  const struct yaml_places *places)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	CLEANUP(mem_free_p) char *id = NULL;
	const char *other;

	manifest_check(document, places, &faults);
	add_faults(r, path, faults);
	if (json_array_size(faults) > 0)
		return;
	id = manifest_id(document);
	other = json_text(r->seen, id, NULL);
	if (other)
		add_fault(r, mem_format("%s: %s stands in %s already", path, id,
					other));
	json_set_text(r->seen, id, path);
	json_array_append(r->manifests, (json_t *)(uintptr_t)document);
}

static int take_file(struct reading *r, const char *path)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(YAML_SIZE_MAX);
	CLEANUP(json_put_p) json_t *documents = NULL;
	CLEANUP(yaml_places_free_p) struct yaml_places *places = NULL;
	const json_t *document;
	size_t i;

	TRY(file_read(path, &text));
	if (yaml_parse(buf_slice(&text), &documents, &places) < 0) {
		add_fault(r, mem_format("%s:%s", path, error_message()));
		return 0;
	}
	json_array_foreach(documents, i, document)
		take_document(r, path, document, places);
	return 0;
}

static int is_manifest(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot &&
	       (!strcmp(dot, ".yaml") || !strcmp(dot, ".yml"));
}

static int take_entries(struct reading *r, const char *folder,
			struct dirent **entries, int count)
{
	if (count > MANIFESTS_FILES_MAX)
		return error_set(ERR_LIMIT, "%s: more than %d files", folder,
				 MANIFESTS_FILES_MAX);
	for (int i = 0; i < count; i++) {
		CLEANUP(mem_free_p)
		char *path = mem_format("%s/%s", folder, entries[i]->d_name);

		TRY(take_file(r, path));
	}
	return 0;
}

static int take_folder(struct reading *r, const char *folder)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, is_manifest, alphasort);
	int code;

	if (count < 0)
		return error_sys("%s", folder);
	code = take_entries(r, folder, entries, count);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return code;
}

int manifests_read(const char *path, json_t **ret_manifests,
		   json_t **ret_faults)
{
	CLEANUP(json_put_p) json_t *manifests = json_array();
	CLEANUP(json_put_p) json_t *faults = json_array();
	CLEANUP(json_put_p) json_t *seen = json_object();
	struct reading r = { manifests, faults, seen };
	struct stat st;

	if (stat(path, &st) < 0)
		return errno == ENOENT ? error_set(ERR_NOT_FOUND,
						   "there is no %s", path)
				       : error_sys("%s", path);
	if (S_ISDIR(st.st_mode))
		TRY(take_folder(&r, path));
	else
		TRY(take_file(&r, path));
	*ret_manifests = TAKE(manifests);
	*ret_faults = TAKE(faults);
	return 0;
}
