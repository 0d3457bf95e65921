#include "evidence/witness.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/cosignature.h"
#include "evidence/internal.h"
#include "net/transfer.h"
#include "store/cosignature.h"

enum {
	ANSWER_MAX = 16 * 1024, /* bytes of a witness's answer */
	CALL_TIMEOUT_MS = 5000,
	BACKOFF_MIN_MS = 1000,
	BACKOFF_MAX_MS = 5 * 60 * 1000,
	PAUSE_MS = 5000,      /* between rounds that nobody waits for */
	START_MAX_MS = 10000, /* arming waits so long for the first answers */
	RESYNCS_MAX = 3,      /* sizes learnt in a row before it is a failure */
};

/* One witness. */
struct peer {
	struct witnesses *all;
	const struct witness *who;
	char id[NOTE_VKEY_MAX]; /* its key as text, for the store */
	uint64_t seen;		/* leaves it has cosigned, as far as we know */
	struct transfer *call;	/* under way, or NULL */
	struct buf asked;	/* the note it was shown */
	uint64_t asked_size;
	uint64_t asked_old;
	bool answered;	    /* or has failed to, since the start */
	bool writing;	    /* its line is not durable yet */
	uint64_t line_size; /* of the checkpoint that line is for */
	struct buf line;    /* its cosignature */
	int64_t line_at_s;  /* when it signed */
	unsigned resyncs;   /* in a row */
	int64_t backoff_ms; /* 0: the last answer was good */
	int64_t due_ms;	    /* boot clock: not to be asked before */
	bool is_inconsistent;
	char why[200]; /* the last answer was of no use, else "" */
};

struct awaiting {
	struct awaiting *next;
	struct witnesses *all;
	uint64_t index;
	enum receipt_strength strength;
	evidence_receipt_fn fn; /* NULL once it was called */
	void *cookie;
	struct loop_timer *timer; /* NULL once it has fired */
	bool is_unsigned;	  /* the signer still has it */
};

struct witnesses {
	struct evidence *evidence;
	const struct witness_policy *policy; /* NULL: there are none */
	struct peer *peers;		     /* owned array */
	size_t count;
	uint64_t round;	  /* size of the checkpoint they are shown, 0: none */
	struct buf note;  /* of the round, signed by the log alone */
	int64_t round_ms; /* boot clock: when it began */
	uint64_t witnessed_size;
	struct buf witnessed; /* with its cosignatures */
	struct awaiting *awaiting;
	const char *over; /* why nobody waits any more; NULL: they may */
	struct loop_timer *timer; /* the next look */
	struct loop_timer *start; /* the first answers are awaited */
};

/* ---- waiting --------------------------------------------------------------
 */

static void awaiting_free(struct awaiting *a)
{
	struct awaiting **link = &a->all->awaiting;

	while (*link != a)
		link = &(*link)->next;
	*link = a->next;
	loop_timer_end(a->timer);
	free(a);
}

/* Calls once; the signer may still hold it.  While the log closes nobody is
 * called: who waited may be gone. */
static void tell(struct awaiting *a, struct slice note, uint64_t size,
		 const char *why)
{
	evidence_receipt_fn fn = a->all->evidence->closing ? NULL : a->fn;
	void *cookie = a->cookie;

	a->fn = NULL;
	if (!a->is_unsigned)
		awaiting_free(a);
	if (fn)
		fn(cookie, note, size, why);
}

static void on_late(void *cookie)
{
	struct awaiting *a = cookie;

	a->timer = NULL;
	tell(a, slice_of(NULL, 0), 0,
	     a->all->over		     ? a->all->over
	     : a->strength == RECEIPT_SIGNED ? "it was not signed in time"
	     : a->all->policy ? "its witnesses have not cosigned it in time"
			      : "no witnesses are configured");
}

/* Who still waits is late from now on, in a turn of the loop of its own. */
void witnesses_give_up(struct witnesses *w, const char *why)
{
	w->over = why;
	for (struct awaiting *a = w->awaiting; a; a = a->next) {
		if (!a->timer)
			continue;
		loop_timer_end(a->timer);
		a->timer = loop_timer(w->evidence->config.loop, 0, on_late, a);
	}
}

/* The checkpoint there is of that strength. */
static struct slice note_for(const struct witnesses *w,
			     enum receipt_strength strength, uint64_t *ret_size)
{
	if (strength == RECEIPT_WITNESSED)
		return witnesses_note(w, ret_size);
	*ret_size = w->evidence->published_size;
	return buf_slice(&w->evidence->published_note);
}

/* Calls if it is covered. */
static bool tell_if_covered(struct awaiting *a)
{
	uint64_t size;
	struct slice note = note_for(a->all, a->strength, &size);

	if (!a->fn || a->index >= size)
		return false;
	tell(a, note, size, NULL);
	return true;
}

static void on_signed(void *cookie, struct slice note, uint64_t size UNUSED)
{
	struct awaiting *a = cookie;
	struct witnesses *w = a->all;

	a->is_unsigned = false;
	if (!a->fn)
		awaiting_free(a);
	else if (note.len == 0)
		tell(a, note, 0, "the keeper did not sign it");
	else if (!tell_if_covered(a))
		witnesses_advance(w);
}

void witnesses_await(struct witnesses *w, uint64_t index,
		     enum receipt_strength strength, int64_t timeout_ms,
		     evidence_receipt_fn fn, void *cookie)
{
	struct awaiting *a = mem_new(struct awaiting);
	bool never = w->over || (strength == RECEIPT_WITNESSED && !w->policy);

	*a = (struct awaiting){ w->awaiting, w, index, strength, fn, cookie };
	w->awaiting = a;
	a->timer = loop_timer(w->evidence->config.loop, never ? 0 : timeout_ms,
			      on_late, a);
	if (never)
		return;
	a->is_unsigned = true;
	evidence_when_signed(w->evidence, index, on_signed, a);
}

/* Calls those whose leaf is covered; fn may ask for more. */
static void tell_covered(struct witnesses *w)
{
	struct awaiting *a = w->awaiting;

	while (a) {
		/* After a call the list may be another. */
		a = tell_if_covered(a) ? w->awaiting : a->next;
	}
}

/* Whether somebody waits for what is published. */
static bool is_awaited(const struct witnesses *w)
{
	for (const struct awaiting *a = w->awaiting; a; a = a->next) {
		if (a->fn && a->strength == RECEIPT_WITNESSED &&
		    a->index >= w->witnessed_size &&
		    a->index < w->evidence->published_size)
			return true;
	}
	return false;
}

/* ---- what cannot be -------------------------------------------------------
 */

static void end_start(struct witnesses *w)
{
	loop_timer_end(TAKE(w->start));
	w->evidence->trouble &= ~(unsigned)TROUBLE_START;
}

static void on_start_over(void *cookie)
{
	struct witnesses *w = cookie;

	w->start = NULL;
	end_start(w);
}

static void look_at_trouble(struct witnesses *w)
{
	bool all_answered = true;

	for (size_t i = 0; i < w->count; i++) {
		const struct peer *p = &w->peers[i];
		CLEANUP(mem_free_p) char *why = NULL;

		all_answered &= p->answered || !p->who->url;
		if (!p->is_inconsistent)
			continue;
		why = mem_format("witness '%s': %s", p->who->name, p->why);
		end_start(w);
		evidence_set_trouble(w->evidence, TROUBLE_WITNESS, true, why);
		return;
	}
	evidence_set_trouble(w->evidence, TROUBLE_WITNESS, false, "");
	if (all_answered && w->start)
		end_start(w);
}

/* ---- rounds ---------------------------------------------------------------
 */

static bool has_line(const struct peer *p, uint64_t size)
{
	return size > 0 && p->line_size == size && !p->writing;
}

static uint64_t who_cosigned(const struct witnesses *w, uint64_t size)
{
	uint64_t mask = 0;

	for (size_t i = 0; i < w->count; i++) {
		if (has_line(&w->peers[i], size))
			mask |= 1ULL << i;
	}
	return mask;
}

/* Later lines of the same round are added. */
static void check_quorum(struct witnesses *w)
{
	if (w->round == 0 ||
	    !witness_policy_is_met(w->policy, who_cosigned(w, w->round)))
		return;
	buf_reset(&w->witnessed);
	buf_put(&w->witnessed, buf_slice(&w->note));
	witnesses_put_lines(w, w->round, &w->witnessed);
	w->witnessed_size = w->round;
	tell_covered(w);
}

static bool can_be_asked(const struct peer *p)
{
	return p->who->url && !p->call && !p->writing &&
	       p->line_size != p->all->round && p->seen <= p->all->round;
}

/* Nothing more comes of it without waiting. */
static bool is_over(const struct witnesses *w, int64_t now_ms)
{
	if (w->round == 0 || w->witnessed_size == w->round)
		return true;
	for (size_t i = 0; i < w->count; i++) {
		const struct peer *p = &w->peers[i];

		if (p->call || p->writing)
			return false;
		if (can_be_asked(p) && p->due_ms <= now_ms)
			return false;
	}
	return true;
}

/* A witness that is ahead of the round waits for the next one. */
static bool is_behind(const struct witnesses *w)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->peers[i].seen > w->round)
			return true;
	}
	return false;
}

static bool wants_round(const struct witnesses *w, int64_t now_ms)
{
	if (w->evidence->published_size <= w->round || !is_over(w, now_ms))
		return false;
	return w->round == 0 || is_awaited(w) || is_behind(w) ||
	       now_ms >= w->round_ms + PAUSE_MS;
}

static void begin_round(struct witnesses *w, int64_t now_ms)
{
	const struct evidence *e = w->evidence;

	w->round = e->published_size;
	w->round_ms = now_ms;
	buf_reset(&w->note);
	buf_put(&w->note, buf_slice(&e->published_note));
	check_quorum(w);
}

/* ---- answers --------------------------------------------------------------
 */

static void fail(struct peer *p, const char *why)
{
	snprintf(p->why, sizeof(p->why), "%s", why);
	p->resyncs = 0;
	p->backoff_ms = p->backoff_ms ? p->backoff_ms * 2 : BACKOFF_MIN_MS;
	if (p->backoff_ms > BACKOFF_MAX_MS)
		p->backoff_ms = BACKOFF_MAX_MS;
	p->due_ms = clock_boot_ms() + p->backoff_ms;
}

static void fail_as_inconsistent(struct peer *p, const char *why)
{
	fail(p, why);
	p->is_inconsistent = true;
}

static void succeed(struct peer *p)
{
	p->why[0] = '\0';
	p->resyncs = 0;
	p->backoff_ms = 0;
	p->due_ms = 0;
	p->is_inconsistent = false;
}

static void on_stored(void *cookie)
{
	struct peer *p = cookie;

	p->writing = false;
	if (p->line_size == p->all->round)
		check_quorum(p->all);
	witnesses_advance(p->all);
}

/* Small ones go when a larger one has its quorum. */
static void store_line(struct peer *p)
{
	struct evidence *e = p->all->evidence;
	struct evidence_txn *t = txn_new(e);
	struct op *op = txn_op(t, OP_COSIGNATURE);

	op->index = p->line_size;
	op->at_ms = p->line_at_s;
	op->name = txn_put_text(t, p->id);
	op->bytes = txn_put(t, buf_slice(&p->line));
	op = txn_op(t, OP_COSIGNATURES_DROP);
	op->index = p->all->witnessed_size;
	t->done = on_stored;
	t->cookie = p;
	p->writing = true;
	e->queued++;
	e->committed++;
	writer_put(e->writer, t);
}

static void on_cosigned(struct peer *p, struct slice body)
{
	struct slice text;
	struct slice lines;
	struct slice line;
	int64_t at_s;
	int64_t now_s = clock_wall_ms() / 1000;
	int r = note_split(buf_slice(&p->asked), &text, &lines);

	if (r == 0)
		r = cosignature_find(&p->who->vkey, text, body, now_s, &line,
				     &at_s);
	if (r < 0) {
		fail(p, error_message());
		return;
	}
	succeed(p);
	if (p->asked_size > p->seen)
		p->seen = p->asked_size;
	if (p->asked_size != p->all->round)
		return; /* too late to count */
	p->line_size = p->asked_size;
	p->line_at_s = at_s;
	buf_reset(&p->line);
	buf_put(&p->line, line);
	store_line(p);
}

/* "<size>\n", decimal without leading zeros. */
static bool read_size(struct slice body, uint64_t *ret_size)
{
	uint64_t size = 0;

	if (body.len < 2 || body.len > 20 || body.ptr[body.len - 1] != '\n' ||
	    (body.ptr[0] == '0' && body.len != 2))
		return false;
	for (size_t i = 0; i + 1 < body.len; i++) {
		if (body.ptr[i] < '0' || body.ptr[i] > '9')
			return false;
		size = size * 10 + (uint64_t)(body.ptr[i] - '0');
	}
	*ret_size = size;
	return size <= INT64_MAX;
}

/* It has cosigned another size than we thought. */
static void on_conflict(struct peer *p, struct slice body)
{
	uint64_t ours = p->all->evidence->durable.size;
	CLEANUP(mem_free_p) char *why = NULL;
	uint64_t size;

	if (!read_size(body, &size)) {
		fail(p, "status 409 without a tree size");
	} else if (size > ours) {
		why = mem_format("it has cosigned %" PRIu64
				 " leaves of this log, which has %" PRIu64
				 ": something was restored or forked",
				 size, ours);
		fail_as_inconsistent(p, why);
	} else if (size == p->asked_size && size == p->asked_old) {
		fail_as_inconsistent(p, "it has cosigned another tree of the "
					"same size: something was restored or "
					"forked");
	} else if (size == p->asked_old || ++p->resyncs > RESYNCS_MAX) {
		fail(p, "it does not agree with itself on what it has seen");
	} else {
		p->seen = size;
		p->due_ms = 0;
	}
}

static void on_unprocessable(struct peer *p, struct slice body UNUSED)
{
	if (p->asked_old == 0)
		fail(p, "it wants a proof where there is none");
	else
		fail_as_inconsistent(p, "this log does not continue what it "
					"has cosigned: something was restored "
					"or forked");
}

static void on_unknown_log(struct peer *p, struct slice body UNUSED)
{
	fail(p, "it does not know this log");
}

static void on_unknown_key(struct peer *p, struct slice body UNUSED)
{
	fail(p, "it does not know this log's key");
}

static const struct {
	long status;
	void (*take)(struct peer *p, struct slice body);
} answers[] = {
	{ 200, on_cosigned },	   { 409, on_conflict },
	{ 422, on_unprocessable }, { 404, on_unknown_log },
	{ 403, on_unknown_key },
};

static void take_answer(struct peer *p, const struct transfer_result *result)
{
	CLEANUP(mem_free_p) char *why = NULL;

	if (result->why) {
		fail(p, result->why);
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
		if (answers[i].status == result->status) {
			answers[i].take(p, result->body);
			return;
		}
	}
	why = mem_format("status %ld", result->status);
	fail(p, why);
}

static void on_answer(void *cookie, const struct transfer_result *result)
{
	struct peer *p = cookie;

	p->call = NULL;
	take_answer(p, result);
	/* What was only learnt is asked again before it is an answer. */
	p->answered = p->answered || p->resyncs == 0;
	look_at_trouble(p->all);
	witnesses_advance(p->all);
}

/* ---- asking ---------------------------------------------------------------
 */

static int put_proof(struct peer *p, struct buf *body)
{
	struct evidence *e = p->all->evidence;
	struct merkle_proof proof = { 0 };

	if (p->seen > 0 && p->seen < p->all->round)
		TRY(merkle_consistency_prove(tree_node, e->tree, p->seen,
					     p->all->round, &proof));
	buf_putf(body, "old %" PRIu64 "\n", p->seen);
	for (unsigned i = 0; i < proof.count; i++) {
		text_put_base64(body, digest_slice(&proof.nodes[i]));
		buf_put_str(body, "\n");
	}
	buf_put_str(body, "\n");
	return 0;
}

static void ask(struct peer *p)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(NOTE_MAX + 8192);
	CLEANUP(mem_free_p)
	char *url = mem_format("%s/add-checkpoint", p->who->url);
	static const char *const headers[] = { "Content-Type: text/plain",
					       NULL };
	struct transfer_request request = {
		.method = "POST",
		.url = url,
		.headers = headers,
		.bytes_max = ANSWER_MAX,
		.timeout_ms = CALL_TIMEOUT_MS,
	};

	if (put_proof(p, &body) < 0) {
		fail(p, error_message());
		return;
	}
	buf_put(&body, buf_slice(&p->all->note));
	request.body = buf_slice(&body);
	p->asked_old = p->seen;
	p->asked_size = p->all->round;
	buf_reset(&p->asked);
	buf_put(&p->asked, buf_slice(&p->all->note));
	p->call = transfer_start(p->all->evidence->config.transfers, &request,
				 on_answer, p);
}

static void on_timer(void *cookie)
{
	struct witnesses *w = cookie;

	w->timer = NULL;
	witnesses_advance(w);
}

/* When there is something to do by itself. */
static void set_timer(struct witnesses *w, int64_t now_ms)
{
	int64_t next_ms = INT64_MAX;

	if (w->evidence->published_size > w->round)
		next_ms = w->round_ms + PAUSE_MS;
	for (size_t i = 0; i < w->count; i++) {
		const struct peer *p = &w->peers[i];

		if (can_be_asked(p) && p->due_ms > now_ms &&
		    p->due_ms < next_ms)
			next_ms = p->due_ms;
	}
	loop_timer_end(TAKE(w->timer));
	if (next_ms == INT64_MAX)
		return;
	/* A round that is not over is looked at when its answers come. */
	w->timer = loop_timer(w->evidence->config.loop,
			      next_ms > now_ms ? next_ms - now_ms : PAUSE_MS,
			      on_timer, w);
}

void witnesses_advance(struct witnesses *w)
{
	int64_t now_ms = clock_boot_ms();

	if (!w || w->evidence->closing || w->evidence->published_size == 0)
		return;
	tell_covered(w);
	if (!w->policy)
		return;
	if (wants_round(w, now_ms))
		begin_round(w, now_ms);
	for (size_t i = 0; i < w->count; i++) {
		struct peer *p = &w->peers[i];

		if (can_be_asked(p) && p->due_ms <= now_ms)
			ask(p);
	}
	set_timer(w, now_ms);
}

/* ---- what there is --------------------------------------------------------
 */

void witnesses_put_lines(const struct witnesses *w, uint64_t size,
			 struct buf *b)
{
	for (size_t i = 0; i < w->count; i++) {
		if (has_line(&w->peers[i], size))
			buf_put(b, buf_slice(&w->peers[i].line));
	}
}

struct slice witnesses_note(const struct witnesses *w, uint64_t *ret_size)
{
	*ret_size = w->witnessed_size;
	return buf_slice(&w->witnessed);
}

static json_t *peer_report(const struct peer *p)
{
	json_t *row = json_object();

	json_set_text(row, "name", p->who->name);
	json_set_text(row, "key", p->who->vkey.name);
	json_set_int(row, "size", (int64_t)p->line_size);
	if (p->line_at_s > 0)
		json_set_time(row, "at", p->line_at_s * 1000);
	json_set_text(row, "why",
		      !p->who->url ? "its address is not known"
		      : p->why[0]  ? p->why
				   : NULL);
	return row;
}

json_t *witnesses_report(const struct witnesses *w)
{
	json_t *report;
	json_t *rows;

	if (!w->policy)
		return NULL;
	report = json_object();
	rows = json_array();
	json_set_int(report, "published", (int64_t)w->evidence->published_size);
	json_set_int(report, "witnessed", (int64_t)w->witnessed_size);
	json_set_new(report, "witnesses", rows);
	for (size_t i = 0; i < w->count; i++)
		json_array_append_new(rows, peer_report(&w->peers[i]));
	return report;
}

/* ---- opening and closing --------------------------------------------------
 */

static struct peer *find_peer(const struct witnesses *w, const char *id)
{
	for (size_t i = 0; i < w->count; i++) {
		if (!strcmp(w->peers[i].id, id))
			return &w->peers[i];
	}
	return NULL;
}

/* Verified again: what is stored may have been made by somebody else. */
static bool take_line(struct peer *p, const json_t *row, struct slice text)
{
	const char *stored = json_text(row, "line", "");
	struct slice line;

	if (cosignature_find(&p->who->vkey, text, slice_str(stored),
			     clock_wall_ms() / 1000, &line, &p->line_at_s) < 0)
		return false;
	buf_reset(&p->line);
	buf_put(&p->line, line);
	p->line_size = (uint64_t)json_int(row, "size", 0);
	if (p->line_size > p->seen)
		p->seen = p->line_size;
	return true;
}

/* Takes the lines that are stored for one checkpoint. */
static int take_stored(struct witnesses *w, const json_t *rows, uint64_t size)
{
	struct slice text;
	struct slice lines;
	const json_t *row;
	size_t at;

	buf_reset(&w->note);
	TRY(store_checkpoint_get(w->evidence->reader, size, &w->note));
	TRY(note_split(buf_slice(&w->note), &text, &lines));
	json_array_foreach(rows, at, row) {
		struct peer *p = find_peer(w, json_text(row, "witness", ""));

		if (p && (uint64_t)json_int(row, "size", 0) == size)
			discard(take_line(p, row, text));
	}
	w->round = size;
	check_quorum(w);
	return 0;
}

/* Smallest first, so that what is kept in the end is the newest. */
static int load(struct witnesses *w)
{
	CLEANUP(json_put_p) json_t *rows = NULL;
	uint64_t last = 0;

	TRY(store_cosignatures(w->evidence->reader, &rows));
	for (size_t i = json_array_size(rows); i > 0; i--) {
		const json_t *row = json_array_get(rows, i - 1);
		uint64_t size = (uint64_t)json_int(row, "size", 0);

		if (size != last && size <= w->evidence->published_size)
			TRY(take_stored(w, rows, size));
		last = size;
	}
	/* They are all asked again: what they have seen meanwhile counts. */
	w->round = 0;
	for (size_t i = 0; i < w->count; i++)
		w->peers[i].line_size = 0;
	return 0;
}

static void make_peers(struct witnesses *w)
{
	w->count = witness_policy_count(w->policy);
	w->peers = mem_array(w->count + 1, sizeof(*w->peers));
	for (size_t i = 0; i < w->count; i++) {
		struct peer *p = &w->peers[i];

		p->all = w;
		p->who = witness_policy_at(w->policy, i);
		p->asked = (struct buf)BUF_INIT(NOTE_MAX);
		p->line = (struct buf)BUF_INIT(ANSWER_MAX);
		note_vkey_format(&p->who->vkey, p->id);
	}
}

static bool has_addresses(const struct witnesses *w)
{
	for (size_t i = 0; i < w->count; i++) {
		if (w->peers[i].who->url)
			return true;
	}
	return false;
}

/* A restored backup is to be found before anything is armed on it. */
static void begin_start(struct witnesses *w)
{
	struct evidence *e = w->evidence;

	if (e->published_size == 0 || !has_addresses(w))
		return;
	e->trouble |= TROUBLE_START;
	snprintf(e->trouble_why, sizeof(e->trouble_why),
		 "the witnesses are being asked what they have seen");
	w->start = loop_timer(e->config.loop, START_MAX_MS, on_start_over, w);
}

int witnesses_open(struct evidence *e, struct witnesses **ret)
{
	struct witnesses *w = mem_new(struct witnesses);

	*ret = w;
	w->evidence = e;
	w->policy = e->config.witnesses;
	w->note = (struct buf)BUF_INIT(NOTE_MAX);
	w->witnessed = (struct buf)BUF_INIT(NOTE_MAX);
	if (!w->policy)
		return 0;
	if (!witness_policy_has_log(w->policy, evidence_vkey(e)))
		return error_set(ERR_SYNTAX,
				 "the witnesses' policy is not for this log");
	make_peers(w);
	TRY(load(w));
	begin_start(w);
	return 0;
}

void witnesses_close(struct witnesses *w)
{
	if (!w)
		return;
	for (size_t i = 0; i < w->count; i++) {
		struct peer *p = &w->peers[i];

		if (p->call)
			transfer_cancel(p->call);
		buf_clear(&p->asked);
		buf_clear(&p->line);
	}
	while (w->awaiting)
		awaiting_free(w->awaiting);
	loop_timer_end(w->timer);
	loop_timer_end(w->start);
	buf_clear(&w->note);
	buf_clear(&w->witnessed);
	free(w->peers);
	free(w);
}
