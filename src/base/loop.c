#include "base/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

enum {
	EVENTS_PER_TURN = 128,
	HOOKS_MAX = 8,
	WAIT_MAX_MS = 60 * 60 * 1000,
};

struct task {
	void (*fn)(void *cookie);
	void *cookie;
};

struct tasks {
	struct task *items;
	size_t count;
	size_t capacity;
};

struct loop_watch {
	struct loop *loop;
	struct loop_watch *previous, *next;
	int fd;
	bool ended;
	void (*fn)(void *cookie, uint32_t events);
	void *cookie;
};

struct loop_timer {
	struct loop *loop;
	size_t index; /* in the heap */
	int64_t deadline_ms;
	uint64_t number; /* timers of one deadline fire in order */
	struct task task;
};

struct loop {
	int epoll_fd;
	int wake_fd;
	atomic_bool stopped;
	struct loop_watch *watches; /* in use */
	struct loop_watch *ended;   /* freed at the end of the turn */
	struct loop_timer **heap;   /* the next one first */
	size_t timer_count;
	size_t timer_capacity;
	uint64_t timer_number;
	struct tasks deferred;
	struct tasks *running; /* what was deferred and runs now */
	struct tasks at_close;
	struct task hooks[HOOKS_MAX];
	size_t hook_count;
	pthread_mutex_t lock; /* guards posted */
	struct tasks posted;
};

static void tasks_put(struct tasks *tasks, struct task task)
{
	if (tasks->count == tasks->capacity) {
		tasks->capacity = tasks->capacity ? tasks->capacity * 2 : 16;
		tasks->items = mem_grow(tasks->items, tasks->capacity,
					sizeof(*tasks->items));
	}
	tasks->items[tasks->count++] = task;
}

static void tasks_run(const struct tasks *tasks)
{
	for (size_t i = 0; i < tasks->count; i++) {
		if (tasks->items[i].fn)
			tasks->items[i].fn(tasks->items[i].cookie);
	}
}

/* They keep their places, so that a list can be run meanwhile. */
static void tasks_end(struct tasks *tasks, const void *cookie)
{
	for (size_t i = 0; i < tasks->count; i++) {
		if (tasks->items[i].cookie == cookie)
			tasks->items[i].fn = NULL;
	}
}

int loop_open(struct loop **ret_loop)
{
	CLEANUP(loop_close_p) struct loop *loop = mem_new(struct loop);
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = NULL };

	loop->epoll_fd = -1;
	loop->wake_fd = -1;
	pthread_mutex_init(&loop->lock, NULL);
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return error_sys("epoll");
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->wake_fd < 0)
		return error_sys("eventfd");
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) < 0)
		return error_sys("epoll");
	*ret_loop = TAKE(loop);
	return 0;
}

/* Watches. */

int loop_watch(struct loop *loop, int fd, uint32_t events,
	       void (*fn)(void *cookie, uint32_t events), void *cookie,
	       struct loop_watch **ret_watch)
{
	CLEANUP(mem_free_p)
	struct loop_watch *watch = mem_new(struct loop_watch);
	struct epoll_event event = { .events = events, .data.ptr = watch };

	watch->loop = loop;
	watch->fd = fd;
	watch->fn = fn;
	watch->cookie = cookie;
	if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
		return error_sys("watch descriptor %d", fd);
	watch->next = loop->watches;
	if (watch->next)
		watch->next->previous = watch;
	loop->watches = watch;
	*ret_watch = TAKE(watch);
	return 0;
}

int loop_watch_change(struct loop_watch *watch, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	if (epoll_ctl(watch->loop->epoll_fd, EPOLL_CTL_MOD, watch->fd, &event) <
	    0)
		return error_sys("watch descriptor %d", watch->fd);
	return 0;
}

/* Events of this turn may still point here, so it is only freed after it. */
void loop_watch_end(struct loop_watch *watch)
{
	struct epoll_event event = { 0 };
	struct loop *loop;

	if (!watch || watch->ended)
		return;
	loop = watch->loop;
	discard(epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, &event));
	watch->ended = true;
	if (watch->previous)
		watch->previous->next = watch->next;
	else
		loop->watches = watch->next;
	if (watch->next)
		watch->next->previous = watch->previous;
	watch->next = loop->ended;
	loop->ended = watch;
}

static void free_watches(struct loop_watch **list)
{
	while (*list) {
		struct loop_watch *next = (*list)->next;

		free(*list);
		*list = next;
	}
}

/* Timers: a binary heap of deadlines. */

static bool is_before(const struct loop_timer *a, const struct loop_timer *b)
{
	if (a->deadline_ms != b->deadline_ms)
		return a->deadline_ms < b->deadline_ms;
	return a->number < b->number;
}

static void place_timer(struct loop *loop, struct loop_timer *timer,
			size_t index)
{
	loop->heap[index] = timer;
	timer->index = index;
}

static void move_up(struct loop *loop, struct loop_timer *timer, size_t index)
{
	while (index > 0) {
		size_t parent = (index - 1) / 2;

		if (!is_before(timer, loop->heap[parent]))
			break;
		place_timer(loop, loop->heap[parent], index);
		index = parent;
	}
	place_timer(loop, timer, index);
}

static void move_down(struct loop *loop, struct loop_timer *timer, size_t index)
{
	for (;;) {
		size_t child = 2 * index + 1;

		if (child >= loop->timer_count)
			break;
		if (child + 1 < loop->timer_count &&
		    is_before(loop->heap[child + 1], loop->heap[child]))
			child++;
		if (!is_before(loop->heap[child], timer))
			break;
		place_timer(loop, loop->heap[child], index);
		index = child;
	}
	place_timer(loop, timer, index);
}

static void remove_timer(struct loop *loop, const struct loop_timer *timer)
{
	size_t index = timer->index;
	struct loop_timer *last = loop->heap[--loop->timer_count];

	if (last == timer)
		return;
	if (is_before(last, timer))
		move_up(loop, last, index);
	else
		move_down(loop, last, index);
}

struct loop_timer *loop_timer(struct loop *loop, int64_t delay_ms,
			      void (*fn)(void *cookie), void *cookie)
{
	struct loop_timer *timer = mem_new(struct loop_timer);
	int64_t now = clock_boot_ms();

	if (loop->timer_count == loop->timer_capacity) {
		loop->timer_capacity =
			loop->timer_capacity ? loop->timer_capacity * 2 : 16;
		loop->heap = mem_grow(loop->heap, loop->timer_capacity,
				      sizeof(struct loop_timer *));
	}
	if (delay_ms < 0)
		delay_ms = 0;
	timer->loop = loop;
	timer->deadline_ms =
		delay_ms > INT64_MAX - now ? INT64_MAX : now + delay_ms;
	timer->number = loop->timer_number++;
	timer->task = (struct task){ fn, cookie };
	move_up(loop, timer, loop->timer_count++);
	return timer;
}

void loop_timer_end(struct loop_timer *timer)
{
	if (!timer)
		return;
	remove_timer(timer->loop, timer);
	free(timer);
}

/* Timers set meanwhile wait for the next turn, so that input gets its share. */
static void run_timers(struct loop *loop)
{
	int64_t now = loop->timer_count ? clock_boot_ms() : 0;
	uint64_t limit = loop->timer_number;

	while (loop->timer_count) {
		struct loop_timer *timer = loop->heap[0];
		struct task task = timer->task;

		if (timer->deadline_ms > now || timer->number >= limit)
			break;
		remove_timer(loop, timer);
		free(timer);
		task.fn(task.cookie);
	}
}

/* Tasks. */

void loop_defer(struct loop *loop, void (*fn)(void *cookie), void *cookie)
{
	tasks_put(&loop->deferred, (struct task){ fn, cookie });
}

void loop_defer_end(struct loop *loop, const void *cookie)
{
	tasks_end(&loop->deferred, cookie);
	if (loop->running)
		tasks_end(loop->running, cookie);
}

static void wake(struct loop *loop)
{
	uint64_t one = 1;

	discard(write(loop->wake_fd, &one, sizeof(one)));
}

/* Only the first of a batch has to wake the loop. */
void loop_post(struct loop *loop, void (*fn)(void *cookie), void *cookie)
{
	bool first;

	pthread_mutex_lock(&loop->lock);
	first = loop->posted.count == 0;
	tasks_put(&loop->posted, (struct task){ fn, cookie });
	pthread_mutex_unlock(&loop->lock);
	if (first)
		wake(loop);
}

static void run_deferred(struct loop *loop)
{
	struct tasks tasks = loop->deferred;

	if (tasks.count == 0)
		return;
	loop->deferred = (struct tasks){ 0 };
	loop->running = &tasks;
	tasks_run(&tasks);
	loop->running = NULL;
	free(tasks.items);
}

static void run_posted(struct loop *loop)
{
	struct tasks tasks;
	uint64_t count;

	discard(read(loop->wake_fd, &count, sizeof(count)));
	pthread_mutex_lock(&loop->lock);
	tasks = loop->posted;
	loop->posted = (struct tasks){ 0 };
	pthread_mutex_unlock(&loop->lock);
	tasks_run(&tasks);
	free(tasks.items);
}

void loop_before_wait(struct loop *loop, void (*fn)(void *cookie), void *cookie)
{
	assert(loop->hook_count < HOOKS_MAX);
	loop->hooks[loop->hook_count++] = (struct task){ fn, cookie };
}

void loop_before_wait_end(struct loop *loop, void (*fn)(void *cookie),
			  const void *cookie)
{
	size_t kept = 0;

	for (size_t i = 0; i < loop->hook_count; i++) {
		if (loop->hooks[i].fn != fn || loop->hooks[i].cookie != cookie)
			loop->hooks[kept++] = loop->hooks[i];
	}
	loop->hook_count = kept;
}

void loop_at_close(struct loop *loop, void (*fn)(void *cookie), void *cookie)
{
	tasks_put(&loop->at_close, (struct task){ fn, cookie });
}

void loop_at_close_end(struct loop *loop, void (*fn)(void *cookie),
		       const void *cookie)
{
	struct tasks *tasks = &loop->at_close;

	for (size_t i = 0; i < tasks->count; i++) {
		if (tasks->items[i].fn != fn ||
		    tasks->items[i].cookie != cookie)
			continue;
		tasks->items[i] = tasks->items[--tasks->count];
		return;
	}
}

/* Turns. */

static int wait_ms(const struct loop *loop)
{
	int64_t left;

	if (loop->deferred.count || atomic_load(&loop->stopped))
		return 0;
	if (loop->timer_count == 0)
		return -1;
	left = loop->heap[0]->deadline_ms - clock_boot_ms();
	if (left < 0)
		return 0;
	return left > WAIT_MAX_MS ? WAIT_MAX_MS : (int)left;
}

static void dispatch(struct loop *loop, const struct epoll_event *event)
{
	struct loop_watch *watch = event->data.ptr;

	if (!watch)
		run_posted(loop);
	else if (!watch->ended)
		watch->fn(watch->cookie, event->events);
}

static int turn(struct loop *loop)
{
	struct epoll_event events[EVENTS_PER_TURN];
	int count;

	for (size_t i = 0; i < loop->hook_count; i++)
		loop->hooks[i].fn(loop->hooks[i].cookie);
	count = epoll_wait(loop->epoll_fd, events, EVENTS_PER_TURN,
			   wait_ms(loop));
	if (count < 0 && errno != EINTR)
		return error_sys("epoll_wait");
	for (int i = 0; i < count; i++) {
		dispatch(loop, &events[i]);
		run_deferred(loop);
	}
	run_timers(loop);
	run_deferred(loop);
	free_watches(&loop->ended);
	return 0;
}

int loop_run(struct loop *loop)
{
	while (!atomic_load(&loop->stopped))
		TRY(turn(loop));
	atomic_store(&loop->stopped, false);
	return 0;
}

void loop_stop(struct loop *loop)
{
	atomic_store(&loop->stopped, true);
	wake(loop);
}

void loop_close(struct loop *loop)
{
	if (!loop)
		return;
	while (loop->at_close.count) {
		struct task task = loop->at_close.items[--loop->at_close.count];

		task.fn(task.cookie);
	}
	while (loop->timer_count)
		loop_timer_end(loop->heap[loop->timer_count - 1]);
	free_watches(&loop->watches);
	free_watches(&loop->ended);
	free(loop->heap);
	free(loop->deferred.items);
	free(loop->posted.items);
	free(loop->at_close.items);
	fd_close_p(&loop->wake_fd);
	fd_close_p(&loop->epoll_fd);
	pthread_mutex_destroy(&loop->lock);
	free(loop);
}
