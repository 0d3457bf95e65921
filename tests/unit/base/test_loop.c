#include "base/loop.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"

/* What callbacks did, one letter each. */
struct trace {
	struct loop *loop;
	struct buf letters;
	struct loop_watch *watches[3];
	struct loop_timer *timer;
	int fds[2];
	int count;
};

static int set_up(void **state)
{
	static struct trace trace;

	memset(&trace, 0, sizeof(trace));
	trace.letters = (struct buf)BUF_INIT(1000);
	assert_int_equal(loop_open(&trace.loop), 0);
	assert_int_equal(pipe2(trace.fds, O_CLOEXEC | O_NONBLOCK), 0);
	*state = &trace;
	return 0;
}

static int tear_down(void **state)
{
	struct trace *trace = *state;

	loop_close(trace->loop);
	buf_clear(&trace->letters);
	fd_close_p(&trace->fds[0]);
	fd_close_p(&trace->fds[1]);
	return 0;
}

static void expect(const struct trace *trace, const char *letters)
{
	assert_string_equal(buf_text(&trace->letters), letters);
}

/* For timers nobody cancels. */
static void ignore(const struct loop_timer *timer)
{
	assert_non_null(timer);
}

static void note_a(void *cookie)
{
	buf_put_str(&((struct trace *)cookie)->letters, "a");
}

static void note_b(void *cookie)
{
	buf_put_str(&((struct trace *)cookie)->letters, "b");
}

static void stop(void *cookie)
{
	struct trace *trace = cookie;

	buf_put_str(&trace->letters, ".");
	loop_stop(trace->loop);
}

static void timers_fire_in_the_order_of_their_deadlines(void **state)
{
	struct trace *trace = *state;

	ignore(loop_timer(trace->loop, 20, stop, trace));
	ignore(loop_timer(trace->loop, 10, note_b, trace));
	ignore(loop_timer(trace->loop, 0, note_a, trace));
	ignore(loop_timer(trace->loop, -5, note_a, trace));
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, "aab.");
}

static void a_timer_is_never_early(void **state)
{
	struct trace *trace = *state;
	int64_t start = clock_boot_ms();

	ignore(loop_timer(trace->loop, 15, stop, trace));
	assert_int_equal(loop_run(trace->loop), 0);
	assert_true(clock_boot_ms() - start >= 15);
}

static void a_cancelled_timer_does_not_fire(void **state)
{
	struct trace *trace = *state;
	struct loop_timer *timers[50];

	for (int i = 0; i < 50; i++)
		timers[i] = loop_timer(trace->loop, i * 7 % 10, note_a, trace);
	ignore(loop_timer(trace->loop, 11, stop, trace));
	for (int i = 0; i < 50; i++)
		loop_timer_end(timers[i * 17 % 50]);
	loop_timer_end(NULL);
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, ".");
}

static void many_timers_fire_sorted(void **state)
{
	struct trace *trace = *state;
	struct loop_timer *cancelled[100];

	for (int i = 0; i < 100; i++) {
		cancelled[i] = loop_timer(trace->loop, i % 13, stop, trace);
		ignore(loop_timer(trace->loop, (i * 37 % 100) / 25 * 3,
				  i * 37 % 100 < 50 ? note_a : note_b, trace));
	}
	for (int i = 0; i < 100; i++)
		loop_timer_end(cancelled[i * 29 % 100]);
	ignore(loop_timer(trace->loop, 15, stop, trace));
	assert_int_equal(loop_run(trace->loop), 0);
	assert_int_equal(trace->letters.len, 101);
	assert_int_equal(strspn(buf_text(&trace->letters), "a"), 50);
}

static void rearm(void *cookie)
{
	struct trace *trace = cookie;

	buf_put_str(&trace->letters, "r");
	if (++trace->count < 3)
		trace->timer = loop_timer(trace->loop, 0, rearm, trace);
	else
		stop(trace);
}

static void a_timer_may_set_the_next_one(void **state)
{
	struct trace *trace = *state;

	trace->timer = loop_timer(trace->loop, 0, rearm, trace);
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, "rrr.");
}

static void read_and_stop(void *cookie, uint32_t events)
{
	struct trace *trace = cookie;
	char byte;

	assert_true(events & EPOLLIN);
	assert_int_equal(read(trace->fds[0], &byte, 1), 1);
	buf_put_u8(&trace->letters, (uint8_t)byte);
	stop(trace);
}

static void a_ready_descriptor_is_told(void **state)
{
	struct trace *trace = *state;

	assert_int_equal(loop_watch(trace->loop, trace->fds[0], EPOLLIN,
				    read_and_stop, trace, &trace->watches[0]),
			 0);
	assert_int_equal(write(trace->fds[1], "x", 1), 1);
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, "x.");
	loop_watch_end(trace->watches[0]);
}

static void a_descriptor_that_cannot_be_watched_is_an_error(void **state)
{
	struct trace *trace = *state;

	assert_int_equal(loop_watch(trace->loop, -1, EPOLLIN, read_and_stop,
				    trace, &trace->watches[0]),
			 ERR_IO);
	assert_null(trace->watches[0]);
	loop_watch_end(NULL);
}

static void end_all_watches(void *cookie, uint32_t events UNUSED)
{
	struct trace *trace = cookie;

	buf_put_str(&trace->letters, "w");
	for (size_t i = 0; i < 3; i++)
		loop_watch_end(trace->watches[i]);
	ignore(loop_timer(trace->loop, 5, stop, trace));
}

/* All three are ready in one turn, and the first that is told ends them all. */
static void a_watch_may_end_itself_and_others(void **state)
{
	struct trace *trace = *state;
	int copies[2];

	copies[0] = fcntl(trace->fds[1], F_DUPFD_CLOEXEC, 3);
	copies[1] = fcntl(trace->fds[1], F_DUPFD_CLOEXEC, 3);
	assert_int_equal(loop_watch(trace->loop, trace->fds[1], EPOLLOUT,
				    end_all_watches, trace, &trace->watches[0]),
			 0);
	assert_int_equal(loop_watch(trace->loop, copies[0], EPOLLOUT,
				    end_all_watches, trace, &trace->watches[1]),
			 0);
	assert_int_equal(loop_watch(trace->loop, copies[1], EPOLLOUT,
				    end_all_watches, trace, &trace->watches[2]),
			 0);
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, "w.");
	fd_close_p(&copies[0]);
	fd_close_p(&copies[1]);
}

static void a_watch_can_change_what_it_waits_for(void **state)
{
	struct trace *trace = *state;

	assert_int_equal(loop_watch(trace->loop, trace->fds[0], 0,
				    read_and_stop, trace, &trace->watches[0]),
			 0);
	assert_int_equal(write(trace->fds[1], "y", 1), 1);
	ignore(loop_timer(trace->loop, 3, stop, trace));
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, ".");
	assert_int_equal(loop_watch_change(trace->watches[0], EPOLLIN), 0);
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, ".y.");
}

static void defer_more(void *cookie)
{
	struct trace *trace = cookie;

	loop_defer(trace->loop, note_b, trace);
	loop_defer(trace->loop, stop, trace);
	note_a(trace);
}

static void deferred_work_runs_after_the_callback(void **state)
{
	struct trace *trace = *state;

	loop_defer(trace->loop, defer_more, trace);
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, "ab.");
}

static void end_deferred(void *cookie)
{
	struct trace *trace = cookie;

	buf_put_str(&trace->letters, "e");
	loop_defer_end(trace->loop, &trace->fds);
	loop_defer_end(trace->loop, trace->loop);
}

static void never(void *cookie UNUSED)
{
	fail();
}

/* Both what runs in this turn and what waits for the next. */
static void deferred_work_that_was_taken_back_does_not_run(void **state)
{
	struct trace *trace = *state;

	loop_defer(trace->loop, never, &trace->count);
	loop_defer(trace->loop, note_a, trace);
	loop_defer_end(trace->loop, &trace->count);
	loop_defer(trace->loop, end_deferred, trace);
	loop_defer(trace->loop, never, &trace->fds);
	loop_defer(trace->loop, defer_more, trace);
	assert_int_equal(loop_run(trace->loop), 0);
	expect(trace, "aeab.");
}

enum { POSTS = 1000 };

static void count_posted(void *cookie)
{
	struct trace *trace = cookie;

	if (++trace->count == 2 * POSTS)
		loop_stop(trace->loop);
}

static void *post_many(void *cookie)
{
	struct trace *trace = cookie;

	for (int i = 0; i < POSTS; i++)
		loop_post(trace->loop, count_posted, trace);
	return NULL;
}

static void other_threads_can_post(void **state)
{
	struct trace *trace = *state;
	pthread_t threads[2];

	for (size_t i = 0; i < 2; i++)
		assert_int_equal(
			pthread_create(&threads[i], NULL, post_many, trace), 0);
	assert_int_equal(loop_run(trace->loop), 0);
	for (size_t i = 0; i < 2; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_int_equal(trace->count, 2 * POSTS);
}

static void *stop_from_elsewhere(void *cookie)
{
	loop_stop(((struct trace *)cookie)->loop);
	return NULL;
}

static void another_thread_can_stop_the_loop(void **state)
{
	struct trace *trace = *state;
	pthread_t thread;

	assert_int_equal(
		pthread_create(&thread, NULL, stop_from_elsewhere, trace), 0);
	assert_int_equal(loop_run(trace->loop), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void hooks_run_before_each_wait(void **state)
{
	struct trace *trace = *state;

	loop_before_wait(trace->loop, note_a, trace);
	loop_before_wait(trace->loop, note_b, trace);
	ignore(loop_timer(trace->loop, 1, stop, trace));
	assert_int_equal(loop_run(trace->loop), 0);
	assert_memory_equal(buf_text(&trace->letters), "ab", 2);
	assert_int_equal(trace->letters.data[trace->letters.len - 1], '.');
}

static void a_hook_that_was_taken_back_runs_no_more(void **state)
{
	struct trace *trace = *state;

	loop_before_wait(trace->loop, note_a, trace);
	loop_before_wait(trace->loop, note_b, trace);
	loop_before_wait_end(trace->loop, note_a, trace);
	loop_before_wait_end(trace->loop, note_a, trace);
	ignore(loop_timer(trace->loop, 1, stop, trace));
	assert_int_equal(loop_run(trace->loop), 0);
	assert_null(strchr(buf_text(&trace->letters), 'a'));
	assert_non_null(strchr(buf_text(&trace->letters), 'b'));
}

static void closing_runs_what_asked_for_it(void **state)
{
	struct trace *trace = *state;

	loop_at_close(trace->loop, note_a, trace);
	loop_at_close(trace->loop, note_b, trace);
	loop_at_close(trace->loop, stop, trace);
	loop_at_close_end(trace->loop, stop, trace);
	loop_at_close_end(trace->loop, stop, trace);
	ignore(loop_timer(trace->loop, 1000, stop, trace));
	loop_defer(trace->loop, stop, trace);
	loop_post(trace->loop, stop, trace);
	loop_close(trace->loop);
	trace->loop = NULL;
	expect(trace, "ba");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define LOOP_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
		LOOP_TEST(timers_fire_in_the_order_of_their_deadlines),
		LOOP_TEST(a_timer_is_never_early),
		LOOP_TEST(a_cancelled_timer_does_not_fire),
		LOOP_TEST(many_timers_fire_sorted),
		LOOP_TEST(a_timer_may_set_the_next_one),
		LOOP_TEST(a_ready_descriptor_is_told),
		LOOP_TEST(a_descriptor_that_cannot_be_watched_is_an_error),
		LOOP_TEST(a_watch_may_end_itself_and_others),
		LOOP_TEST(a_watch_can_change_what_it_waits_for),
		LOOP_TEST(deferred_work_runs_after_the_callback),
		LOOP_TEST(deferred_work_that_was_taken_back_does_not_run),
		LOOP_TEST(other_threads_can_post),
		LOOP_TEST(another_thread_can_stop_the_loop),
		LOOP_TEST(hooks_run_before_each_wait),
		LOOP_TEST(a_hook_that_was_taken_back_runs_no_more),
		LOOP_TEST(closing_runs_what_asked_for_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
