/*
 * What needs no server that answers; real ones are met by
 * tests/integration/test_transfer.py.
 */
#include "net/transfer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

struct fixture {
	struct loop *loop;
	struct reach *reach;
	struct transfers *transfers;
	char why[TRANSFER_TEXT_MAX];
	long status;
	int calls;
};

static int set_up(void **state)
{
	struct fixture *f = mem_new(struct fixture);
	CLEANUP(json_put_p) json_t *names = json_pack("[s]", "127.0.0.1");
	struct transfers_config config;

	assert_int_equal(loop_open(&f->loop), 0);
	assert_int_equal(reach_new(names, &f->reach), 0);
	config = (struct transfers_config){ f->loop, f->reach, NULL };
	assert_int_equal(transfers_open(&config, &f->transfers), 0);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	transfers_close(f->transfers);
	reach_free(f->reach);
	loop_close(f->loop);
	free(f);
	return 0;
}

static void done(void *cookie, const struct transfer_result *result)
{
	struct fixture *f = cookie;

	snprintf(f->why, sizeof(f->why), "%s", result->why ? result->why : "");
	f->status = result->status;
	f->calls++;
	loop_stop(f->loop);
}

static const char *outcome(struct fixture *f,
			   const struct transfer_request *request)
{
	f->calls = 0;
	transfer_start(f->transfers, request, done, f);
	assert_int_equal(f->calls, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->calls, 1);
	return f->why;
}

static const char *mail_outcome(struct fixture *f,
				const struct transfer_mail *mail)
{
	f->calls = 0;
	transfer_mail(f->transfers, mail, done, f);
	assert_int_equal(f->calls, 0);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->calls, 1);
	return f->why;
}

/* A server that takes connections and never says a word; its port. */
static int silent(unsigned *ret_port)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	socklen_t len = sizeof(a);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 8), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	*ret_port = ntohs(a.sin_port);
	return fd;
}

static void an_internal_address_is_refused_in_words(void **state)
{
	static const char *const urls[] = {
		"https://127.0.0.2/",	   "https://[::1]:8443/x",
		"https://169.254.169.254", "https://10.0.0.1:443/",
		"https://2130706434/",	   "https://0x7f000002/",
		"https://0.0.0.0/",	   "https://[::ffff:127.0.0.2]/",
	};

	for (size_t i = 0; i < ARRAY_LEN(urls); i++) {
		struct transfer_request request = { .url = urls[i] };
		const char *why = outcome(*state, &request);

		if (!strstr(why, "internal address"))
			fail_msg("%s: %s", urls[i], why);
	}
}

static void plain_http_goes_to_a_named_loopback_address_alone(void **state)
{
	struct transfer_request request = { .url = "http://192.0.2.1/" };

	assert_non_null(strstr(outcome(*state, &request), "loopback"));
	request.url = "http://[::1]:1/";
	assert_non_null(strstr(outcome(*state, &request), "without TLS"));
	request.url = "http://127.0.0.1:1/";
	assert_null(strstr(outcome(*state, &request), "without TLS"));
}

static void a_request_that_cannot_be_sent_fails_in_words(void **state)
{
	static const char *const bad_header[] = { "A: b\r\nC: d", NULL };
	static const struct {
		struct transfer_request request;
		const char *why;
	} rows[] = {
		{ { .url = "" }, "not an https URL" },
		{ { .url = "file:///etc/passwd" }, "not an https URL" },
		{ { .url = "ftp://127.0.0.1/" }, "not an https URL" },
		{ { .url = "https://" }, "no host" },
		{ { .url = "https:///x" }, "no host" },
		{ { .url = "https://u:p@h/" }, "holds a user" },
		{ { .url = "https://h/#x" }, "fragment" },
		{ { .url = "https://h/a b" }, "printable" },
		{ { .url = "https://h/", .method = "TRACE" },
		  "no such method" },
		{ { .url = "https://h/", .method = "POST", .redirects = 1 },
		  "only GET" },
		{ { .url = "https://h/", .headers = bad_header }, "header" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *why = outcome(*state, &rows[i].request);

		if (!strstr(why, rows[i].why))
			fail_msg("%zu: %s", i, why);
	}
}

static void a_mail_that_cannot_be_sent_fails_in_words(void **state)
{
	static const char *const good[] = { "a@example.org", NULL };
	static const char *const bad[] = { "a@example.org>\r\nRCPT", NULL };
	static const char *const none[] = { NULL };
	static const struct {
		struct transfer_mail mail;
		const char *why;
	} rows[] = {
		{ { .url = "http://127.0.0.1", .from = "w@x.org", .to = good },
		  "smtp://" },
		{ { .url = "smtp://h", .from = "w@x.org", .to = bad },
		  "recipient" },
		{ { .url = "smtp://h", .from = "w@x.org", .to = none },
		  "without recipients" },
		{ { .url = "smtp://h", .from = "nobody", .to = good },
		  "sender" },
		{ { .url = "smtp://u:p@h", .from = "w@x.org", .to = good },
		  "URL" },
		{ { .url = "smtp://127.0.0.1:1",
		    .from = "w@x.org",
		    .to = good,
		    .user = "u",
		    .plain = true },
		  "without TLS" },
		{ { .url = "smtp://192.0.2.1",
		    .from = "w@x.org",
		    .to = good,
		    .plain = true },
		  "no loopback" },
		{ { .url = "smtps://10.0.0.1", .from = "w@x.org", .to = good },
		  "internal address" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const char *why = mail_outcome(*state, &rows[i].mail);

		if (!strstr(why, rows[i].why))
			fail_msg("%zu: %s", i, why);
	}
}

static void a_server_that_says_nothing_is_left_in_time(void **state)
{
	unsigned port;
	CLEANUP(fd_close_p) UNUSED int fd = silent(&port);
	CLEANUP(mem_free_p)
	char *url = mem_format("https://127.0.0.1:%u/", port);
	struct transfer_request request = { .url = url, .timeout_ms = 50 };

	assert_true(*outcome(*state, &request));
}

static void stop(void *cookie)
{
	loop_stop(cookie);
}

static void a_cancelled_transfer_is_never_told(void **state)
{
	struct fixture *f = *state;
	unsigned port;
	CLEANUP(fd_close_p) UNUSED int fd = silent(&port);
	CLEANUP(mem_free_p)
	char *url = mem_format("https://127.0.0.1:%u/", port);
	struct transfer_request request = { .url = url };
	struct transfer_request bad = { .url = "" };

	transfer_cancel(transfer_start(f->transfers, &request, done, f));
	transfer_cancel(transfer_start(f->transfers, &bad, done, f));
	loop_timer(f->loop, 0, stop, f->loop);
	assert_int_equal(loop_run(f->loop), 0);
	assert_int_equal(f->calls, 0);
}

static void closing_ends_what_is_under_way(void **state)
{
	struct fixture *f = *state;
	unsigned port;
	CLEANUP(fd_close_p) UNUSED int fd = silent(&port);
	CLEANUP(mem_free_p)
	char *url = mem_format("https://127.0.0.1:%u/", port);
	struct transfer_request request = { .url = url };

	for (int i = 0; i < 3; i++)
		transfer_start(f->transfers, &request, done, f);
	loop_timer(f->loop, 10, stop, f->loop);
	assert_int_equal(loop_run(f->loop), 0);
	transfers_close(f->transfers);
	f->transfers = NULL;
	assert_int_equal(f->calls, 0);
}

static void a_url_is_checked_before_it_is_kept(void **state)
{
	CLEANUP(mem_free_p) char *long_url = mem_alloc(4096);

	discard(state != NULL);
	memset(long_url, 'a', 4095);
	memcpy(long_url, "https://", 8);
	assert_int_equal(transfer_check_url("https://a.example/x?y=z"), 0);
	assert_int_equal(transfer_check_url("http://127.0.0.1:1/"), 0);
	assert_int_equal(transfer_check_url(long_url), ERR_SYNTAX);
	assert_int_equal(transfer_check_url("https://a.example/\xc3\xa9"),
			 ERR_SYNTAX);
	assert_int_equal(transfer_check_url("https://a.example:99999/"),
			 ERR_SYNTAX);
}

static void
what_can_never_be_fetched_is_refused_by_the_configuration(void **state)
{
	CLEANUP(json_put_p) json_t *names = json_pack("[s]", "127.0.0.1:8443");
	CLEANUP(reach_free_p) struct reach *reach = NULL;

	discard(state != NULL);
	assert_int_equal(reach_new(names, &reach), 0);
	assert_int_equal(transfer_check_reach(reach, "https://a.example/"), 0);
	assert_int_equal(transfer_check_reach(reach, "http://127.0.0.1:8443/x"),
			 0);
	assert_int_equal(transfer_check_reach(reach, "http://127.0.0.1:8444/x"),
			 ERR_REFUSED);
	assert_int_equal(transfer_check_reach(NULL, "http://127.0.0.1:8443/x"),
			 ERR_REFUSED);
	assert_int_equal(transfer_check_reach(reach, "http://[::1]:8443/x"),
			 ERR_REFUSED);
	assert_int_equal(transfer_check_reach(reach, "http://localhost:8443/"),
			 ERR_SYNTAX);
	assert_int_equal(transfer_check_reach(reach, "http://a.example/"),
			 ERR_SYNTAX);
	assert_int_equal(transfer_check_reach(reach, "http://192.0.2.1/"),
			 ERR_SYNTAX);
}

static void a_mail_server_without_tls_is_a_named_loopback_address(void **state)
{
	CLEANUP(json_put_p) json_t *names = json_pack("[s]", "127.0.0.1");
	CLEANUP(reach_free_p) struct reach *reach = NULL;

	discard(state != NULL);
	assert_int_equal(reach_new(names, &reach), 0);
	assert_int_equal(
		transfer_check_mail(reach, "smtp://mail.example", false), 0);
	assert_int_equal(
		transfer_check_mail(reach, "smtp://127.0.0.1:25", true), 0);
	assert_int_equal(
		transfer_check_mail(reach, "smtp://mail.example", true),
		ERR_REFUSED);
	assert_int_equal(transfer_check_mail(NULL, "smtp://127.0.0.1", true),
			 ERR_REFUSED);
	assert_int_equal(transfer_check_mail(reach, "smtps://127.0.0.1", true),
			 ERR_REFUSED);
	assert_int_equal(transfer_check_mail(reach, "smtp://", false),
			 ERR_SYNTAX);
	assert_int_equal(transfer_check_mail(reach, "https://a.example", false),
			 ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_internal_address_is_refused_in_words, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			plain_http_goes_to_a_named_loopback_address_alone,
			set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_request_that_cannot_be_sent_fails_in_words, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_mail_that_cannot_be_sent_fails_in_words, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_server_that_says_nothing_is_left_in_time, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(
			a_cancelled_transfer_is_never_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closing_ends_what_is_under_way,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_url_is_checked_before_it_is_kept, set_up, tear_down),
		cmocka_unit_test(
			what_can_never_be_fetched_is_refused_by_the_configuration),
		cmocka_unit_test(
			a_mail_server_without_tls_is_a_named_loopback_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
