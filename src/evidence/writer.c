#include "evidence/writer.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "store/erase.h"

enum {
	FULL_RETRY_MS = 500,	    /* between tries on a full disk */
	FULL_CLOSE_TRIES = 10,	    /* when closing; then the process ends */
	SCRUB_RETRY_MS = 30 * 1000, /* it writes the whole database */
	EXPIRE_EVERY_MS = 10 * 1000,
	EXPIRE_MAX = 256, /* rows at once */
};

struct list {
	struct evidence_txn *first, **last;
};

/* What is posted to the loop outlives the writer. */
struct wake {
	struct writer *writer; /* NULL once it is closed */
	bool posted;
};

struct writer {
	struct loop *loop;
	struct store *store;
	char *ballast; /* path */
	const struct writer_events *events;
	void *cookie;
	struct list put; /* of the loop alone */
	pthread_t thread;
	bool runs;
	/* of the thread alone */
	int64_t expired_ms;
	int64_t scrub_ms;	/* not tried before */
	struct list unscrubbed; /* durable; told after the next scrub */
	bool has_ballast;

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	struct list queue;
	struct list done;
	struct wake *wake;
	bool closing;
	bool is_full;
	bool was_full; /* since the last report, if only for a moment */
	bool is_full_reported;
};

static void list_init(struct list *l)
{
	l->first = NULL;
	l->last = &l->first;
}

static void list_put(struct list *l, struct evidence_txn *t)
{
	t->next = NULL;
	*l->last = t;
	l->last = &t->next;
}

/* Takes at most max from the front. */
static struct list list_take(struct list *l, unsigned max)
{
	struct list taken = { l->first, l->last };
	struct evidence_txn **end = &taken.first;

	for (unsigned i = 0; i < max && *end; i++)
		end = &(*end)->next;
	l->first = *end;
	if (!l->first)
		l->last = &l->first;
	*end = NULL;
	taken.last = end;
	return taken;
}

static void list_append(struct list *l, const struct list *more)
{
	if (!more->first)
		return;
	*l->last = more->first;
	l->last = more->last;
}

static void list_free(struct list *l)
{
	while (l->first) {
		struct evidence_txn *next = l->first->next;

		txn_free(l->first);
		l->first = next;
	}
}

/* ---- reporting ------------------------------------------------------------
 */

static void deliver(void *cookie)
{
	struct wake *wake = cookie;
	struct writer *w = wake->writer;
	struct list done;
	bool is_full;
	bool came;
	bool went;

	if (!w) {
		free(wake);
		return;
	}
	pthread_mutex_lock(&w->lock);
	done = w->done;
	list_init(&w->done);
	wake->posted = false;
	is_full = w->is_full;
	came = w->was_full && !w->is_full_reported;
	went = !is_full && (came || w->is_full_reported);
	w->was_full = is_full;
	w->is_full_reported = is_full;
	pthread_mutex_unlock(&w->lock);
	/* The new trouble first: nobody may go on in good faith. */
	if (came)
		w->events->full(w->cookie, true);
	if (went)
		w->events->full(w->cookie, false);
	if (done.first)
		w->events->written(w->cookie, done.first);
}

/* With the lock held. */
static void wake_loop(struct writer *w)
{
	if (w->wake->posted)
		return;
	w->wake->posted = true;
	loop_post(w->loop, deliver, w->wake);
}

static void set_full(struct writer *w, bool is_full)
{
	pthread_mutex_lock(&w->lock);
	if (w->is_full != is_full) {
		w->is_full = is_full;
		w->was_full |= is_full;
		wake_loop(w);
	}
	pthread_mutex_unlock(&w->lock);
}

static __attribute__((noreturn)) void die(void)
{
	static const char lead[] = "evidence: cannot make the log durable: ";
	const char *message = error_message();

	/* Async-safe and unbuffered: nothing else may run any more. */
	discard(write(STDERR_FILENO, lead, sizeof(lead) - 1));
	discard(write(STDERR_FILENO, message, strlen(message)));
	discard(write(STDERR_FILENO, "\n", 1));
	_exit(WRITER_EXIT);
}

/* ---- ballast --------------------------------------------------------------
 */

/* Makes the file that is given up when the disk is full.  Twice its size must
 * be free, so that it does not come and go. */
static bool fill_ballast(int fd)
{
	struct statvfs fs;
	struct stat st;

	if (fstat(fd, &st) < 0 || fstatvfs(fd, &fs) < 0)
		return false;
	if (st.st_blocks * 512 >= WRITER_BALLAST)
		return true;
	return fs.f_bavail * fs.f_frsize >= 2ULL * WRITER_BALLAST &&
	       posix_fallocate(fd, 0, WRITER_BALLAST) == 0;
}

static void make_ballast(struct writer *w)
{
	CLEANUP(fd_close_p) int fd = -1;

	if (w->has_ballast)
		return;
	fd = open(w->ballast, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	w->has_ballast = fill_ballast(fd);
	if (!w->has_ballast)
		discard(unlink(w->ballast));
}

static void free_ballast(struct writer *w)
{
	discard(unlink(w->ballast));
	w->has_ballast = false;
}

/* ---- the thread -----------------------------------------------------------
 */

static int write_head(struct writer *w, const struct evidence_txn *t)
{
	const struct merkle_frontier *f = &t->frontier;
	struct digest root = merkle_frontier_root(f);

	return store_head_set(w->store, f->size, &root,
			      slice_of(f->nodes, f->count * DIGEST_LEN));
}

static int expire(struct writer *w)
{
	int64_t now = clock_boot_ms();

	if (now - w->expired_ms < EXPIRE_EVERY_MS)
		return 0;
	w->expired_ms = now;
	return store_expire(w->store, clock_wall_ms(), EXPIRE_MAX);
}

static int write_batch(struct writer *w, const struct list *batch)
{
	const struct evidence_txn *last = NULL;

	TRY(store_begin(w->store));
	for (const struct evidence_txn *t = batch->first; t; t = t->next) {
		TRY(txn_apply(w->store, t));
		if (t->leaf_count > 0)
			last = t;
	}
	if (last)
		TRY(write_head(w, last));
	TRY(expire(w));
	return store_commit(w->store);
}

static void wait_ms(struct writer *w, int ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (long)(ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	discard(pthread_cond_timedwait(&w->changed, &w->lock, &until));
}

/* Waits for space; when closing, not for ever. */
static void await_space(struct writer *w, unsigned tries)
{
	bool closing;

	pthread_mutex_lock(&w->lock);
	closing = w->closing;
	wait_ms(w, FULL_RETRY_MS);
	pthread_mutex_unlock(&w->lock);
	if (closing && tries > FULL_CLOSE_TRIES)
		die();
}

static void write_durably(struct writer *w, const struct list *batch)
{
	for (unsigned tries = 0;; tries++) {
		bool had_ballast = w->has_ballast;
		int r = write_batch(w, batch);

		if (r == 0)
			return;
		if (r != ERR_LIMIT)
			die();
		store_rollback(w->store);
		free_ballast(w);
		set_full(w, true);
		if (!had_ballast)
			await_space(w, tries);
	}
}

static bool wants_scrub(const struct list *batch)
{
	for (const struct evidence_txn *t = batch->first; t; t = t->next) {
		if (t->scrubs)
			return true;
	}
	return false;
}

/* Takes out of a batch what is told only once the files were rewritten. */
static void keep_scrubs(struct writer *w, struct list *batch)
{
	struct list rest;

	if (!wants_scrub(batch))
		return;
	list_init(&rest);
	while (batch->first) {
		struct evidence_txn *t = batch->first;

		batch->first = t->next;
		list_put(t->scrubs ? &w->unscrubbed : &rest, t);
	}
	w->scrub_ms = 0;
	list_init(batch);
	list_append(batch, &rest);
}

/* Space, or a reader that is in its way, is waited for, and meanwhile the log
 * goes on: who erases is told when it is true. */
static void scrub(struct writer *w, struct list *done)
{
	int64_t now = clock_boot_ms();
	int r;

	if (!w->unscrubbed.first || now < w->scrub_ms)
		return;
	r = store_scrub(w->store);
	if (r == 0) {
		if (!done->first)
			list_init(done);
		list_append(done, &w->unscrubbed);
		list_init(&w->unscrubbed);
		return;
	}
	if (r != ERR_LIMIT && r != ERR_BUSY)
		die();
	w->scrub_ms = now + (r == ERR_BUSY ? FULL_RETRY_MS : SCRUB_RETRY_MS);
}

static void report_batch(struct writer *w, const struct list *batch)
{
	pthread_mutex_lock(&w->lock);
	list_append(&w->done, batch);
	wake_loop(w);
	pthread_mutex_unlock(&w->lock);
}

/* What is to be tried again though nothing is queued. */
static bool has_chores(const struct writer *w)
{
	return !w->has_ballast || w->unscrubbed.first;
}

/* The next batch; empty at the end, or to look after chores. */
static bool next_batch(struct writer *w, struct list *ret_batch)
{
	bool goes_on;

	pthread_mutex_lock(&w->lock);
	if (!w->queue.first && !w->closing && has_chores(w))
		wait_ms(w, FULL_RETRY_MS);
	while (!w->queue.first && !w->closing && !has_chores(w))
		pthread_cond_wait(&w->changed, &w->lock);
	*ret_batch = list_take(&w->queue, WRITER_BATCH_MAX);
	goes_on = ret_batch->first || !w->closing;
	pthread_mutex_unlock(&w->lock);
	return goes_on;
}

static void *run(void *cookie)
{
	struct writer *w = cookie;
	struct list batch;

	while (next_batch(w, &batch)) {
		if (batch.first) {
			write_durably(w, &batch);
			keep_scrubs(w, &batch);
		}
		scrub(w, &batch);
		if (batch.first)
			report_batch(w, &batch);
		make_ballast(w);
		set_full(w, !w->has_ballast);
	}
	return NULL;
}

/* ---- the loop's side ------------------------------------------------------
 */

/* Signals are the loop's. */
static int start(struct writer *w)
{
	sigset_t all;
	sigset_t before;
	int r;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&w->thread, NULL, run, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (r != 0)
		return error_set(ERR_IO, "thread: %s", strerror(r));
	w->runs = true;
	return 0;
}

int writer_open(struct loop *loop, struct store *store, const char *folder,
		const struct writer_events *events, void *cookie,
		struct writer **ret_writer)
{
	CLEANUP(writer_close_p) struct writer *w = mem_new(struct writer);
	pthread_condattr_t monotonic;

	w->loop = loop;
	w->store = store;
	w->ballast = mem_format("%s/ballast", folder);
	w->events = events;
	w->cookie = cookie;
	w->wake = mem_new(struct wake);
	w->wake->writer = w;
	list_init(&w->unscrubbed);
	list_init(&w->put);
	list_init(&w->queue);
	list_init(&w->done);
	pthread_mutex_init(&w->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&w->changed, &monotonic);
	pthread_condattr_destroy(&monotonic);
	make_ballast(w);
	set_full(w, !w->has_ballast);
	TRY(start(w));
	*ret_writer = TAKE(w);
	return 0;
}

/* Takes what the current callback of the loop has put to the thread. */
static void hand_over(void *cookie)
{
	struct writer *w = cookie;

	pthread_mutex_lock(&w->lock);
	list_append(&w->queue, &w->put);
	list_init(&w->put);
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
}

/* One lock, one wake and one commit for all of a callback. */
void writer_put(struct writer *w, struct evidence_txn *t)
{
	if (!w->put.first)
		loop_defer(w->loop, hand_over, w);
	list_put(&w->put, t);
}

static void stop(struct writer *w)
{
	if (!w->runs)
		return;
	loop_defer_end(w->loop, w);
	hand_over(w);
	pthread_mutex_lock(&w->lock);
	w->closing = true;
	pthread_cond_signal(&w->changed);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
}

void writer_close(struct writer *w)
{
	if (!w)
		return;
	stop(w);
	if (w->wake->posted)
		w->wake->writer = NULL;
	else
		free(w->wake);
	list_free(&w->unscrubbed);
	list_free(&w->done);
	store_close(w->store);
	pthread_cond_destroy(&w->changed);
	pthread_mutex_destroy(&w->lock);
	free(w->ballast);
	free(w);
}
