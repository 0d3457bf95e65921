/*
 * The event loop: one thread, epoll, timers on the boot clock.  Everything that
 * has state in writd lives on this thread; other threads only post to it.
 */
#pragma once

#include "base/base.h"

struct loop;
struct loop_watch;
struct loop_timer;

/* Errors: ERR_IO. */
MUST_USE int loop_open(struct loop **ret_loop);

/* Calls fn when fd is ready; events as EPOLLIN, EPOLLOUT, ...  fd is borrowed
 * and must outlive the watch.  Errors: ERR_IO. */
MUST_USE int loop_watch(struct loop *loop, int fd, uint32_t events,
			void (*fn)(void *cookie, uint32_t events), void *cookie,
			struct loop_watch **ret_watch);
MUST_USE int loop_watch_change(struct loop_watch *watch, uint32_t events);
/* Accepts NULL; safe within any callback, also its own. */
void loop_watch_end(struct loop_watch *watch);

/* Calls fn once after delay_ms.  Owned by the loop until it fires; may be
 * cancelled before that. */
struct loop_timer *loop_timer(struct loop *loop, int64_t delay_ms,
			      void (*fn)(void *cookie), void *cookie);
/* Accepts NULL; never call it on a timer that has fired. */
void loop_timer_end(struct loop_timer *timer);

/* Calls fn soon on the loop's thread, after the current callback.  Only from
 * the loop's thread. */
void loop_defer(struct loop *loop, void (*fn)(void *cookie), void *cookie);
/* Takes back all that is deferred with this cookie, for a cookie that goes;
 * safe within any callback. */
void loop_defer_end(struct loop *loop, const void *cookie);

/* The same as loop_defer() from any thread; wakes the loop. */
void loop_post(struct loop *loop, void (*fn)(void *cookie), void *cookie);

/* Calls fn before every wait of the loop (for work that is gathered up in one
 * turn, such as a batch); at most 8 of them.  ..._end() takes it back, not from
 * within such a call. */
void loop_before_wait(struct loop *loop, void (*fn)(void *cookie),
		      void *cookie);
void loop_before_wait_end(struct loop *loop, void (*fn)(void *cookie),
			  const void *cookie);

/* Calls fn within loop_close(), the latest one first, for what must not outlive
 * the loop; ..._end() takes back one such call. */
void loop_at_close(struct loop *loop, void (*fn)(void *cookie), void *cookie);
void loop_at_close_end(struct loop *loop, void (*fn)(void *cookie),
		       const void *cookie);

/* Runs until loop_stop(), which may come from any thread; a stop before the run
 * ends it at once.  It can be run again afterwards.  Errors: ERR_IO. */
MUST_USE int loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Accepts NULL.  Timers and tasks still waiting are dropped uncalled. */
void loop_close(struct loop *loop);
DEFINE_CLEANUP(struct loop *, loop_close)
