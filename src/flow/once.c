/*
 * What serves once: idempotency keys, nonces of signed statements, ids of
 * tokens.  The database remembers; until a transaction is durable, and for as
 * long as it costs little, "recent" does.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/state.h"

enum {
	/* How long a key stands for its reply. */
	KEY_LIFE_MS = 24 * 3600 * 1000,
	RECENT_MS = 5 * 1000,	  /* far longer than a commit takes */
	HOLD_MS = 10 * 60 * 1000, /* longer than a plan may take */
};

static char *key_name(const struct caller *caller, const struct acting *acting)
{
	return mem_format("key %s %s %s", caller->name, acting->route,
			  acting->key);
}

static char *key_scope(const struct caller *caller, const struct acting *acting)
{
	return mem_format("%s %s", caller->name, acting->route);
}

/* The entry not yet durable, or NULL. */
static const json_t *recent(const struct flow *f, const char *name)
{
	return json_object_get(f->recent, name);
}

enum once once_key(struct flow *f, const struct caller *caller,
		   const struct acting *acting, char **ret_about)
{
	CLEANUP(mem_free_p) char *name = NULL;
	CLEANUP(mem_free_p) char *scope = NULL;
	char text[DIGEST_TEXT_LEN];
	const json_t *entry;
	struct digest stored;
	int r;

	if (!acting->key)
		return ONCE_NEW;
	name = key_name(caller, acting);
	digest_format(&acting->body, text);
	entry = recent(f, name);
	if (entry) {
		*ret_about = mem_str(json_text(entry, "about", ""));
		return strcmp(json_text(entry, "body", ""), text) ? ONCE_OTHER
								  : ONCE_AGAIN;
	}
	scope = key_scope(caller, acting);
	r = store_reply_get(evidence_reader(f->evidence), scope, acting->key,
			    &stored, ret_about);
	if (r < 0)
		return r == ERR_NOT_FOUND ? ONCE_NEW : ONCE_UNKNOWN;
	return digest_equals(&stored, &acting->body) ? ONCE_AGAIN : ONCE_OTHER;
}

static void remember(struct flow *f, const char *name, json_t *entry,
		     int64_t for_ms)
{
	json_set_int(entry, "until", clock_boot_ms() + for_ms);
	json_set_new(f->recent, name, entry);
}

static void remember_key(struct flow *f, const struct caller *caller,
			 const struct acting *acting, const char *about,
			 int64_t for_ms)
{
	CLEANUP(mem_free_p) char *name = key_name(caller, acting);
	char text[DIGEST_TEXT_LEN];
	json_t *entry = json_object();

	digest_format(&acting->body, text);
	json_set_text(entry, "body", text);
	json_set_text(entry, "about", about);
	remember(f, name, entry, for_ms);
}

static void remember_seen(struct flow *f, const char *scope, const char *value,
			  int64_t for_ms)
{
	CLEANUP(mem_free_p) char *name = mem_format("seen %s %s", scope, value);

	remember(f, name, json_object(), for_ms);
}

void once_hold(struct flow *f, const struct caller *caller,
	       const struct acting *acting, const char *about)
{
	if (acting->key)
		remember_key(f, caller, acting, about, HOLD_MS);
	if (*caller->jti)
		remember_seen(f, "jti", caller->jti, HOLD_MS);
}

void once_key_put(struct flow *f, struct evidence_txn *t,
		  const struct caller *caller, const struct acting *acting,
		  const char *about)
{
	CLEANUP(mem_free_p) char *scope = NULL;

	if (!acting->key)
		return;
	scope = key_scope(caller, acting);
	remember_key(f, caller, acting, about, RECENT_MS);
	evidence_reply(t, scope, acting->key, &acting->body, about,
		       clock_wall_ms() + KEY_LIFE_MS);
}

enum seen once_seen(struct flow *f, const char *scope, const char *value)
{
	CLEANUP(mem_free_p) char *name = mem_format("seen %s %s", scope, value);
	bool seen = true;

	if (recent(f, name))
		return SEEN_BEFORE;
	if (store_seen_get(evidence_reader(f->evidence), scope, value, &seen) <
	    0)
		return SEEN_UNKNOWN;
	return seen ? SEEN_BEFORE : SEEN_NEVER;
}

void answer_unreadable(struct reply_to reply)
{
	log_error("cannot-read", "why=\"%s\"", error_message());
	answer_problem(reply, ANSWER_UNAVAILABLE, "unavailable",
		       "Whether this has been used before cannot be read just "
		       "now; try again.");
}

bool answered_as_replayed(struct flow *f, const struct caller *caller,
			  struct reply_to reply)
{
	if (!*caller->jti)
		return false;
	switch (once_seen(f, "jti", caller->jti)) {
	case SEEN_NEVER:
		return false;
	case SEEN_UNKNOWN:
		answer_unreadable(reply);
		return true;
	case SEEN_BEFORE:
		break;
	}
	answer_problem(reply, ANSWER_UNPROVED, "replayed",
		       "This token has served an acting call.");
	return true;
}

void once_seen_put(struct flow *f, struct evidence_txn *t, const char *scope,
		   const char *value, int64_t expires_ms)
{
	remember_seen(f, scope, value, RECENT_MS);
	evidence_seen(t, scope, value, expires_ms);
}

void once_tick(struct flow *f, int64_t now_ms)
{
	const char *name;
	json_t *entry;
	void *next;

	json_object_foreach_safe(f->recent, next, name, entry) {
		if (json_int(entry, "until", 0) < now_ms)
			json_object_del(f->recent, name);
	}
}
