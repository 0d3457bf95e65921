#include "config/bundle.h"

#include <dirent.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/text.h"

static const char *const parts[] = { "schema", "policies", "invariants",
				     "templates" };

static bool ends_in(const char *text, const char *end)
{
	size_t len = strlen(text);
	size_t end_len = strlen(end);

	return len > end_len && !strcmp(text + len - end_len, end);
}

static int read_text(const char *folder, const char *name, char **ret_text)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(BUNDLE_FILE_MAX);
	CLEANUP(mem_free_p) char *path = mem_format("%s/%s", folder, name);

	TRY(file_read(path, &b));
	if (!text_is_utf8(buf_slice(&b)) || strlen(buf_text(&b)) != b.len)
		return error_set(ERR_SYNTAX, "%s is not UTF-8 text", path);
	*ret_text = mem_str(buf_text(&b));
	return 0;
}

static int add_file(const char *folder, const char *name, json_t *files)
{
	CLEANUP(mem_free_p) char *text = NULL;
	json_t *into = files;
	const char *member = name;

	if (ends_in(name, ".cedarschema"))
		member = "schema";
	else if (!strcmp(name, "invariants.cedar"))
		member = "invariants";
	else if (!strcmp(name, "templates.cedar"))
		member = "templates";
	else if (ends_in(name, ".cedar"))
		into = json_object_get(files, "policies");
	else
		return 0;
	if (json_object_get(into, member))
		return error_set(ERR_SYNTAX, "%s: more than one %s", folder,
				 member);
	TRY(read_text(folder, name, &text));
	json_set_text(into, member, text);
	return 0;
}

static int add_entries(const char *folder, struct dirent **entries, int count,
		       json_t *files)
{
	for (int i = 0; i < count; i++)
		if (entries[i]->d_name[0] != '.')
			TRY(add_file(folder, entries[i]->d_name, files));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (!json_object_get(files, parts[i]))
			return error_set(ERR_NOT_FOUND,
					 "%s has no %s of a policy bundle",
					 folder, parts[i]);
	return 0;
}

static int read_files(const char *folder, json_t *files)
{
	struct dirent **entries = NULL;
	int count = scandir(folder, &entries, NULL, alphasort);
	int r;

	if (count < 0)
		return error_sys("%s", folder);
	r = add_entries(folder, entries, count, files);
	for (int i = 0; i < count; i++)
		free(entries[i]);
	free(entries);
	return r;
}

static int read_scenarios(const char *folder, json_t **ret_scenarios)
{
	CLEANUP(mem_free_p) char *text = NULL;
	int r;

	TRY(read_text(folder, "scenarios.json", &text));
	r = json_parse(slice_str(text), BUNDLE_FILE_MAX, ret_scenarios);
	return r < 0 ? error_context(r, "%s/scenarios.json", folder) : 0;
}

int bundle_read(const char *folder, json_t **ret_files, json_t **ret_scenarios)
{
	CLEANUP(json_put_p) json_t *files = json_object();

	json_set_new(files, "policies", json_object());
	TRY(read_files(folder, files));
	if (ret_scenarios)
		TRY(read_scenarios(folder, ret_scenarios));
	*ret_files = TAKE(files);
	return 0;
}

void bundle_digest(const json_t *files, char text[DIGEST_TEXT_LEN])
{
	CLEANUP(mem_free_p) char *canonical = json_canonical(files);
	struct digest digest = digest_of(slice_str(canonical));

	digest_format(&digest, text);
}

json_t *bundle_files_of(const json_t *spec)
{
	json_t *files = json_object();

	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		if (json_object_get(spec, parts[i]))
			json_object_set(files, parts[i],
					json_object_get(spec, parts[i]));
	return files;
}
