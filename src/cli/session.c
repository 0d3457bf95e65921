#include "cli/session.h"

#include <sys/stat.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/settings.h"

enum { SESSIONS_FILE_MAX = 256 * 1024, SESSIONS_MAX = 32 };

/* The file is one array of sessions, the newest first. */
static json_t *read_all(const char *path)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(SESSIONS_FILE_MAX);
	json_t *all = NULL;

	if (!path || file_read(path, &text) < 0 ||
	    json_parse(buf_slice(&text), SESSIONS_FILE_MAX, &all) < 0)
		return json_array();
	if (!json_is_array(all)) {
		json_decref(all);
		return json_array();
	}
	return all;
}

/* A session file that others can write or read is not ours alone. */
static bool is_private(const char *path)
{
	struct stat st;

	return path && stat(path, &st) == 0 && (st.st_mode & 077) == 0;
}

static bool is_for(const json_t *session, const char *url, const char *human)
{
	return !strcmp(json_text(session, "url", ""), url) &&
	       (!human || !strcmp(json_text(session, "human", ""), human));
}

json_t *session_find(const char *url)
{
	return session_of(url, NULL);
}

json_t *session_of(const char *url, const char *human)
{
	CLEANUP(mem_free_p) char *path = settings_state_path("sessions.json");
	CLEANUP(json_put_p) json_t *all = NULL;
	json_t *session;
	size_t i;

	if (!url || !is_private(path))
		return NULL;
	all = read_all(path);
	json_array_foreach(all, i, session)
		if (is_for(session, url, human))
			return json_incref(session);
	return NULL;
}

static int make_parent(const char *path)
{
	CLEANUP(mem_free_p) char *folder = mem_str(path);
	char *slash = strrchr(folder, '/');

	*slash = '\0';
	return file_make_folder(folder);
}

int session_keep(const json_t *session)
{
	CLEANUP(mem_free_p) char *path = settings_state_path("sessions.json");
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(json_put_p) json_t *old = read_all(path);
	CLEANUP(json_put_p) json_t *all = json_array();
	const char *url = json_text(session, "url", "");
	json_t *other;
	size_t i;
	int r;

	if (!path)
		return error_set(ERR_IO, "HOME is not set");
	json_array_append_new(all, json_deep_copy(session));
	json_array_foreach(old, i, other)
		if (!is_for(other, url, json_text(session, "human", "")) &&
		    json_array_size(all) < SESSIONS_MAX)
			json_array_append(all, other);
	TRY(make_parent(path));
	text = json_dumps(all, JSON_INDENT(2));
	r = file_write(path, slice_str(text), 0600);
	mem_wipe(text, strlen(text));
	return r;
}
