/*
 * Evidence that is looked up: what a request refers to is fetched from the
 * addresses that the configuration names, once, before the target is read. What
 * came of it stands in the request's document and counts for that request
 * alone.  Whatever goes wrong, the evidence is absent.
 */
#include "govern/lookup.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "flow/request_parts.h"
#include "net/transfer.h"

enum {
	ANSWER_BYTES_MAX = 256 * 1024,
	TOKEN_MAX = 8 * 1024,
	UNDER_WAY_MAX = 32, /* requests that look up at once */
	AGENT_MAX = 8,	    /* the same of one agent */
};

struct lookup_one {
	struct lookup *lookup;
	const json_t *rule;
	json_t *row; /* of the results */
	struct transfer *transfer;
};

struct lookup {
	struct lookup *next; /* of all that are under way */
	struct request *request;
	json_t *rows; /* owned: results in the order of the references */
	struct lookup_one ones[LOOKUPS_MAX];
	size_t count;
	size_t left;
};

static const json_t *references_of(const json_t *doc)
{
	return json_object_get(doc, "references");
}

bool lookup_is_due(const struct request *r)
{
	return json_array_size(references_of(r->doc)) > 0 &&
	       !json_object_get(r->doc, "lookups");
}

const char *lookup_fault(const struct flow *f, const json_t *references)
{
	const json_t *row;
	size_t at;

	json_array_foreach(references, at, row) {
		if (!lookup_reference_is_good(json_text(row, "reference", "")))
			return "A reference is 1 to 128 letters and digits, "
			       "with single '.', '_', '-', ':' or '#' inside.";
		if (!lookup_rule(f->lookup_rules, json_text(row, "kind", "")))
			return "This authority looks up no evidence of that "
			       "kind.";
	}
	return NULL;
}

static void have(json_t *kinds, const char *kind)
{
	if (!json_has_text(kinds, kind))
		json_array_append_new(kinds, json_string(kind));
}

void lookup_kinds(const json_t *doc, json_t *kinds)
{
	const json_t *lookups = json_object_get(doc, "lookups");
	const json_t *row;
	size_t at;

	/* Before it is looked up it is at its best, as the target is. */
	json_array_foreach(lookups ? lookups : references_of(doc), at, row) {
		if (!lookups || json_flag(row, "holds", false))
			have(kinds, json_text(row, "kind", ""));
	}
}

char *lookup_words(const json_t *doc)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	const json_t *row;
	size_t at;

	json_array_foreach(json_object_get(doc, "lookups"), at, row) {
		if (!json_flag(row, "holds", false))
			buf_putf(&b, "%s%s %s: %s", b.len ? "; " : "",
				 json_text(row, "kind", ""),
				 json_text(row, "reference", ""),
				 json_text(row, "why", ""));
	}
	return buf_take_text(&b);
}

/* ---- under way ---- */

static void forget(struct lookup *l)
{
	struct lookup **place = &l->request->flow->lookups;

	while (*place != l)
		place = &(*place)->next;
	*place = l->next;
	l->request->lookup = NULL;
	json_decref(l->rows);
	free(l);
}

void lookup_cancel(struct request *r)
{
	struct lookup *l = r->lookup;

	if (!l)
		return;
	for (size_t i = 0; i < l->count; i++) {
		if (l->ones[i].transfer)
			transfer_cancel(l->ones[i].transfer);
	}
	loop_defer_end(r->flow->loop, l);
	forget(l);
}

static void all_over(void *cookie)
{
	struct lookup *l = cookie;
	struct request *r = l->request;

	json_object_set(r->doc, "lookups", l->rows);
	forget(l);
	request_looked_up(r);
}

static void one_over(struct lookup *l)
{
	if (--l->left == 0)
		loop_defer(l->request->flow->loop, all_over, l);
}

static void fails(struct lookup_one *one, const char *why)
{
	json_set_flag(one->row, "holds", false);
	json_set_text(one->row, "why", why);
}

/* The answer's digest is kept in any case: what was said can be shown later. */
static void judge(struct lookup_one *one, struct slice body)
{
	CLEANUP(json_put_p) json_t *answer = NULL;
	CLEANUP(mem_free_p) char *why = NULL;
	struct digest digest = digest_of(body);
	char text[DIGEST_TEXT_LEN];
	json_t *verified = NULL;

	digest_format(&digest, text);
	json_set_text(one->row, "digest", text);
	if (json_parse(body, ANSWER_BYTES_MAX, &answer) < 0) {
		fails(one, "the answer is not JSON");
		return;
	}
	why = lookup_judge(one->rule, one->lookup->request->doc, answer,
			   &verified);
	if (why) {
		fails(one, why);
		return;
	}
	json_set_flag(one->row, "holds", true);
	json_set_new(one->row, "verified", verified);
}

static void log_why(const struct lookup_one *one, const char *why)
{
	CLEANUP(mem_free_p) char *quoted = log_quote(why);

	log_warning("lookup-failed", "kind=%s request=%s why=%s",
		    json_text(one->row, "kind", ""), one->lookup->request->id,
		    quoted);
}

static void answered(void *cookie, const struct transfer_result *result)
{
	struct lookup_one *one = cookie;
	char why[64];

	one->transfer = NULL;
	json_set_time(one->row, "at", clock_wall_ms());
	if (result->why) {
		/* What the network says is not for the agent. */
		fails(one, "it could not be looked up");
		log_why(one, result->why);
	} else if (result->status != 200) {
		snprintf(why, sizeof(why), "it answered %ld", result->status);
		fails(one, why);
	} else {
		judge(one, result->body);
	}
	one_over(one->lookup);
}

/* "Authorization: Bearer ..." from the first line of a file; b is wiped by
 * whoever clears it. */
static int read_token(const char *path, struct buf *b)
{
	CLEANUP(buf_clear) struct buf token = BUF_INIT(TOKEN_MAX);
	const char *text;
	struct slice all;

	TRY(file_read_private(path, &token));
	text = buf_text(&token);
	buf_put_str(b, "Authorization: Bearer ");
	buf_put(b, slice_of(text, strcspn(text, "\r\n")));
	return buf_finish(b, &all);
}

static int check_rule(const json_t *rule)
{
	CLEANUP(buf_clear) struct buf token = BUF_INIT(2 * TOKEN_MAX);
	CLEANUP(mem_free_p)
	char *url = lookup_url(json_text(rule, "url", ""), "x");
	const char *path = json_text(rule, "tokenFile", NULL);
	const char *ca = json_text(rule, "caFile", NULL);

	TRY(transfer_check_url(url));
	if (path)
		TRY(read_token(path, &token));
	return ca ? transfer_check_ca(ca) : 0;
}

int flow_check_lookups(const json_t *rules)
{
	const json_t *rule;
	size_t at;

	json_array_foreach(rules, at, rule) {
		int r = check_rule(rule);

		if (r < 0)
			return error_context(r, "lookups[%zu]", at);
	}
	return 0;
}

static void fetch(struct lookup_one *one, const char *reference)
{
	CLEANUP(mem_free_p)
	char *url = lookup_url(json_text(one->rule, "url", ""), reference);
	CLEANUP(buf_clear) struct buf token = BUF_INIT(2 * TOKEN_MAX);
	const char *path = json_text(one->rule, "tokenFile", NULL);
	const char *headers[] = { "Accept: application/json", NULL, NULL };

	if (path && read_token(path, &token) < 0) {
		fails(one, "the authority cannot read its token");
		one_over(one->lookup);
		return;
	}
	if (path)
		headers[1] = buf_text(&token);
	one->transfer = transfer_start(
		one->lookup->request->flow->transfers,
		&(struct transfer_request){
			.url = url,
			.headers = headers,
			.ca_file = json_text(one->rule, "caFile", NULL),
			.bytes_max = ANSWER_BYTES_MAX,
			.timeout_ms =
				json_int(one->rule, "timeoutSeconds", 10) *
				1000,
		},
		answered, one);
}

/* How many requests of an agent, or of all, look up just now. */
static size_t under_way(const struct flow *f, const char *agent)
{
	const struct lookup *l;
	size_t count = 0;

	for (l = f->lookups; l; l = l->next)
		count += !agent || !strcmp(agent, json_text(l->request->doc,
							    "agent", ""));
	return count;
}

static bool is_crowded(const struct flow *f, const struct request *r)
{
	return under_way(f, NULL) >= UNDER_WAY_MAX ||
	       under_way(f, json_text(r->doc, "agent", "")) >= AGENT_MAX;
}

static void start_one(struct lookup *l, size_t at, bool crowded)
{
	static const char *const members[] = { "kind", "reference" };
	const struct flow *f = l->request->flow;
	const json_t *reference =
		json_array_get(references_of(l->request->doc), at);
	struct lookup_one *one = &l->ones[at];

	*one = (struct lookup_one){
		.lookup = l,
		.rule = lookup_rule(f->lookup_rules,
				    json_text(reference, "kind", "")),
		.row = json_array_get(l->rows, at),
	};
	json_pick(one->row, reference, members, ARRAY_LEN(members));
	if (one->rule && !crowded) {
		fetch(one, json_text(reference, "reference", ""));
		return;
	}
	fails(one, one->rule ? "too much is looked up just now; ask again"
			     : "nothing of that kind is looked up");
	one_over(l);
}

void lookup_run(struct request *r)
{
	struct flow *f = r->flow;
	bool crowded = is_crowded(f, r);
	struct lookup *l = mem_new(struct lookup);

	l->request = r;
	l->count = json_array_size(references_of(r->doc));
	l->count = l->count < LOOKUPS_MAX ? l->count : LOOKUPS_MAX;
	l->left = l->count;
	l->rows = json_array();
	l->next = f->lookups;
	f->lookups = l;
	r->lookup = l;
	for (size_t i = 0; i < l->count; i++)
		json_array_append_new(l->rows, json_object());
	for (size_t i = 0; i < l->count; i++)
		start_one(l, i, crowded);
}
