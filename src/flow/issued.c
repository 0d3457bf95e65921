/*
 * What the keeper signed, one document each, from its leaf until a week after
 * its time.  The list of revoked certificates follows from them: it is kept in
 * memory, since every host asks for it every minute.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "crypto/sshkrl.h"
#include "flow/mint.h"

enum {
	KEPT_S = 7 * 24 * 3600, /* after its end */
	FORGET_EVERY_MS = 60 * 1000,
	PAGE = 256,
};

struct issued {
	json_t *revoked; /* id -> {"serial", "expires"}: certificates */
	/* When that list changed, milliseconds: so it grows over restarts, and
	 * a host that was told of a newer one can tell. */
	uint64_t version;
	struct buf list;  /* as hosts are told it */
	uint64_t list_of; /* the version of that; 0: none is made */
	int64_t look_ms;  /* boot clock: when documents are forgotten */
};

struct issued *issued_new(void)
{
	struct issued *issued = mem_new(struct issued);

	issued->revoked = json_object();
	issued->version = (uint64_t)clock_wall_ms();
	issued->list = (struct buf)BUF_INIT(SSHKRL_BYTES_MAX);
	return issued;
}

void issued_free(struct issued *issued)
{
	if (!issued)
		return;
	json_decref(issued->revoked);
	buf_clear(&issued->list);
	free(issued);
}

int issued_get(struct flow *f, const char *id, json_t **ret_doc)
{
	*ret_doc = NULL;
	return store_get(evidence_reader(f->evidence), NOUN_CREDENTIAL, id,
			 ret_doc, NULL);
}

json_t *issued_find(struct flow *f, const char *id)
{
	json_t *doc = NULL;

	return issued_get(f, id, &doc) < 0 ? NULL : doc;
}

bool issued_stands(const json_t *doc, int64_t now_ms)
{
	return !strcmp(json_text(doc, "state", ""), "active") &&
	       now_ms < json_int(doc, "expires", 0) * 1000;
}

struct grant *issued_grant(const struct flow *f, const json_t *doc)
{
	CLEANUP(json_put_p) json_t *parameters = json_object();
	CLEANUP(mem_free_p) char *place = NULL;

	json_set_text(parameters, "credential", json_text(doc, "id", ""));
	place = place_key(json_text(doc, "target", ""),
			  json_text(doc, "resource", ""), parameters);
	return map_get(f->places, place);
}

bool issued_counts(const struct flow *f, const json_t *doc, int64_t now_ms)
{
	return issued_stands(doc, now_ms) &&
	       grant_is_live(issued_grant(f, doc));
}

/* ---- taken back ---- */

static bool is_ssh(const json_t *doc)
{
	return !strcmp(json_text(doc, "form", ""), "ssh");
}

static void list_changed(struct issued *issued)
{
	uint64_t now = (uint64_t)clock_wall_ms();

	issued->version = now > issued->version ? now : issued->version + 1;
}

static void list(struct flow *f, const json_t *doc)
{
	json_t *row;

	if (!is_ssh(doc) ||
	    json_int(doc, "expires", 0) <= clock_wall_ms() / 1000)
		return;
	row = json_object();
	json_set_int(row, "serial", json_int(doc, "serial", 0));
	json_set_int(row, "expires", json_int(doc, "expires", 0));
	json_set_new(f->issued->revoked, json_text(doc, "id", ""), row);
	list_changed(f->issued);
}

void issued_revoke(struct flow *f, struct evidence_txn *t, json_t *doc,
		   const char *why)
{
	if (strcmp(json_text(doc, "state", ""), "active") != 0)
		return;
	json_set_text(doc, "state", "revoked");
	json_set_time(doc, "revoked", clock_wall_ms());
	json_set_text(doc, "why", why);
	evidence_put(t, NOUN_CREDENTIAL, json_text(doc, "id", ""), doc);
	list(f, doc);
}

/* ---- at the start ---- */

/* Recorded, and nobody can tell whether it was made; or made, and its outcome
 * was not recorded.  Nobody has it, and it is never made again. */
static void take_up(struct flow *f, json_t *doc)
{
	struct evidence_txn *t;

	if (issued_grant(f, doc) || !issued_stands(doc, clock_wall_ms()))
		return;
	t = evidence_begin(f->evidence);
	issued_revoke(f, t, doc, "cut short by a stop");
	evidence_commit(t, NULL, NULL);
}

static int each(struct flow *f, const char *state,
		void (*fn)(struct flow *f, json_t *doc))
{
	CLEANUP(mem_free_p) char *after = NULL;
	size_t count = PAGE;

	while (count == PAGE) {
		CLEANUP(json_put_p) json_t *docs = NULL;
		json_t *doc;
		size_t at;

		TRY(store_find(evidence_reader(f->evidence), NOUN_CREDENTIAL,
			       "state", state, after, PAGE, &docs));
		count = json_array_size(docs);
		json_array_foreach(docs, at, doc) {
			fn(f, doc);
			free(after);
			after = mem_str(json_text(doc, "id", ""));
		}
	}
	return 0;
}

static void list_loaded(struct flow *f, json_t *doc)
{
	list(f, doc);
}

int issued_take_up(struct flow *f)
{
	TRY(each(f, "revoked", list_loaded));
	return each(f, "active", take_up);
}

/* ---- forgetting ---- */

static void forget_listed(struct issued *issued, int64_t now_s)
{
	const char *id;
	json_t *row;
	void *next;

	json_object_foreach_safe(issued->revoked, next, id, row) {
		if (json_int(row, "expires", 0) <= now_s)
			json_object_del(issued->revoked, id);
	}
}

/* Their ids are those of their requests, so the oldest come first. */
static void forget_documents(struct flow *f, int64_t now_s)
{
	CLEANUP(json_put_p) json_t *docs = NULL;
	struct evidence_txn *t = NULL;
	json_t *doc;
	size_t at;

	if (store_find(evidence_reader(f->evidence), NOUN_CREDENTIAL, NULL,
		       NULL, NULL, PAGE, &docs) < 0)
		return;
	json_array_foreach(docs, at, doc) {
		if (json_int(doc, "expires", 0) + KEPT_S > now_s ||
		    issued_grant(f, doc))
			continue;
		if (!t)
			t = evidence_begin(f->evidence);
		evidence_delete(t, NOUN_CREDENTIAL, json_text(doc, "id", ""));
	}
	if (t)
		evidence_commit(t, NULL, NULL);
}

void issued_tick(struct flow *f, int64_t now_ms)
{
	if (clock_boot_ms() < f->issued->look_ms)
		return;
	f->issued->look_ms = clock_boot_ms() + FORGET_EVERY_MS;
	/* A list without what is over says the same to hosts. */
	forget_listed(f->issued, now_ms / 1000);
	forget_documents(f, now_ms / 1000);
}

/* ---- the list of revoked certificates ---- */

static int by_number(const void *left, const void *right)
{
	const uint64_t *a = left;
	const uint64_t *b = right;

	return (*a > *b) - (*a < *b);
}

static int make_list(struct flow *f, struct issued *issued)
{
	const json_t *keys = json_array_in(flow_ssh_authorities(f), "keys");
	size_t count = json_object_size(issued->revoked);
	CLEANUP(mem_free_p)
	uint64_t *serials = mem_array(count + 1, sizeof(*serials));
	const char *lines[SSHKRL_AUTHORITIES_MAX];
	struct sshkrl krl = {
		.authorities = lines,
		.version = issued->version,
		.made = (int64_t)(issued->version / 1000),
		.serials = serials,
	};
	const char *id;
	json_t *row;

	for (size_t i = 0;
	     i < json_array_size(keys) && i < SSHKRL_AUTHORITIES_MAX; i++)
		lines[krl.authority_count++] =
			json_string_value(json_array_get(keys, i));
	if (!krl.authority_count)
		return error_set(ERR_UNAVAILABLE,
				 "the keeper issues no certificates");
	json_object_foreach(issued->revoked, id, row)
		serials[krl.count++] = (uint64_t)json_int(row, "serial", 0);
	qsort(serials, krl.count, sizeof(*serials), by_number);
	buf_cut(&issued->list, 0);
	return sshkrl_format(&krl, &issued->list);
}

/* Anybody may ask, so it is made once for each change. */
int flow_ssh_krl(struct flow *f, struct slice *ret_list, uint64_t *ret_version)
{
	struct issued *issued = f->issued;

	if (issued->list_of != issued->version) {
		issued->list_of = 0;
		TRY(make_list(f, issued));
		issued->list_of = issued->version;
	}
	*ret_list = buf_slice(&issued->list);
	*ret_version = issued->version;
	return 0;
}

const json_t *flow_ssh_authorities(const struct flow *f)
{
	const struct evidence_keeper *keeper = mint_keeper(f->mint);

	return keeper ? keeper_ssh_keys(keeper) : NULL;
}

const json_t *flow_jwks(const struct flow *f)
{
	const struct evidence_keeper *keeper = mint_keeper(f->mint);

	return keeper ? keeper_jwks(keeper) : NULL;
}
