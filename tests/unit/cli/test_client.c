#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/args.h"
#include "cli/client.h"
#include "fixture.h"
#include "server.h"

/* What the server is to do, and what it saw. */
struct scene {
	unsigned failures; /* so many requests fail first */
	int status;	   /* with this status; 0: hangs up */
	const char *answer;
	char head[4096]; /* of the last request */
	char body[4096];
};

static char *play(void *cookie, const struct server_request *request,
		  struct server_reply *reply)
{
	struct scene *scene = cookie;

	snprintf(scene->head, sizeof(scene->head), "%s", request->head);
	snprintf(scene->body, sizeof(scene->body), "%s", request->body);
	if (request->number >= scene->failures)
		return mem_str(scene->answer ? scene->answer : "{\"a\":1}");
	reply->status = scene->status;
	return scene->status ? mem_str("{\"title\":\"no\"}") : NULL;
}

struct connection {
	struct scene scene;
	struct server *server;
	struct settings settings;
	struct client *client;
	struct client_answer answer;
};

static void open_connection(struct connection *c, const char *path)
{
	c->server = server_start(path, play, &c->scene);
	c->settings.url = mem_str(server_url(c->server));
	c->settings.timeout_ms = 20000;
	assert_int_equal(client_open(&c->settings, &c->client), 0);
	client_set_retry_delay(c->client, 1);
}

static void close_connection(struct connection *c)
{
	client_answer_clear(&c->answer);
	client_close(c->client);
	settings_clear(&c->settings);
	server_stop(c->server);
}

static int get(struct connection *c)
{
	struct client_call call = { .method = "GET", .path = "/v1/x" };

	return client_call(c->client, &call, &c->answer);
}

static int post(struct connection *c)
{
	CLEANUP(json_put_p) json_t *body = json_pack("{s:i}", "b", 2);
	struct client_call call = { .method = "POST",
				    .path = "/v1/x",
				    .body = body,
				    .idempotency_key = "idem_1" };

	return client_call(c->client, &call, &c->answer);
}

static void an_answer_is_read(void **state UNUSED)
{
	CLEANUP(close_connection) struct connection c = { 0 };

	open_connection(&c, NULL);
	assert_int_equal(get(&c), 0);
	assert_int_equal(c.answer.status, 200);
	assert_int_equal(json_int(c.answer.json, "a", 0), 1);
	assert_memory_equal(c.scene.head, "GET /v1/x HTTP/1.1\r\n", 20);
	assert_null(strstr(c.scene.head, "Authorization"));
}

static void a_get_is_tried_again(void **state UNUSED)
{
	CLEANUP(close_connection)
	struct connection c = { .scene = { .failures = 2, .status = 503 } };

	open_connection(&c, NULL);
	assert_int_equal(get(&c), 0);
	assert_int_equal(c.answer.status, 200);
	assert_int_equal(server_count(c.server), 3);
}

static void a_get_is_not_tried_for_ever(void **state UNUSED)
{
	CLEANUP(close_connection)
	struct connection c = { .scene = { .failures = 99 } };

	open_connection(&c, NULL);
	assert_int_equal(get(&c), ERR_UNAVAILABLE);
	assert_int_equal(server_count(c.server), CLIENT_TRIES);
}

static void an_acting_call_is_made_once(void **state UNUSED)
{
	CLEANUP(close_connection)
	struct connection c = { .scene = { .failures = 1, .status = 503 } };
	CLEANUP(close_connection)
	struct connection hung = { .scene = { .failures = 1 } };

	open_connection(&c, NULL);
	assert_int_equal(post(&c), 0);
	assert_int_equal(c.answer.status, 503);
	assert_int_equal(server_count(c.server), 1);
	open_connection(&hung, NULL);
	assert_int_equal(post(&hung), ERR_UNAVAILABLE);
	assert_int_equal(server_count(hung.server), 1);
}

static void an_acting_call_carries_key_token_and_body(void **state UNUSED)
{
	CLEANUP(close_connection) struct connection c = { 0 };

	open_connection(&c, NULL);
	client_set_token(c.client, "tok.en");
	assert_int_equal(post(&c), 0);
	assert_non_null(
		strstr(c.scene.head, "\r\nIdempotency-Key: idem_1\r\n"));
	assert_non_null(
		strstr(c.scene.head, "\r\nAuthorization: Bearer tok.en\r\n"));
	assert_string_equal(c.scene.body, "{\"b\":2}");
}

static void a_redirection_is_not_followed(void **state UNUSED)
{
	CLEANUP(close_connection)
	struct connection c = { .scene = { .failures = 1, .status = 302 } };

	open_connection(&c, NULL);
	assert_int_equal(get(&c), 0);
	assert_int_equal(c.answer.status, 302);
}

static void a_damaged_answer_is_refused(void **state UNUSED)
{
	CLEANUP(close_connection)
	struct connection c = { .scene = { .answer = "{\"a\":1,\"a\":2}" } };

	open_connection(&c, NULL);
	assert_int_equal(get(&c), ERR_SYNTAX);
	assert_null(c.answer.json);
}

static void a_unix_socket_is_spoken_to(void **state UNUSED)
{
	CLEANUP(close_connection) struct connection c = { 0 };
	CLEANUP(mem_free_p) char *path = NULL;

	fixture_open();
	path = fixture_path("socket");
	open_connection(&c, path);
	assert_int_equal(get(&c), 0);
	assert_int_equal(c.answer.status, 200);
	fixture_close();
}

static void nobody_there_is_unreachable(void **state UNUSED)
{
	CLEANUP(client_close_p) struct client *client = NULL;
	CLEANUP(settings_clear)
	struct settings s = { .url = mem_str("unix:/nowhere/socket"),
			      .timeout_ms = 1000 };
	struct client_call call = { .method = "GET", .path = "/v1/x" };
	struct client_answer a;

	assert_int_equal(client_open(&s, &client), 0);
	client_set_retry_delay(client, 1);
	assert_int_equal(client_call(client, &call, &a), ERR_UNAVAILABLE);
	client_answer_clear(&a);
}

static void a_client_without_a_url_is_not_opened(void **state UNUSED)
{
	struct settings s = { 0 };
	struct client *client = NULL;

	assert_int_equal(client_open(&s, &client), ERR_USAGE);
}

static void what_would_change_the_path_is_escaped(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *text = client_escape("a/../b?c#d %é");

	assert_string_equal(text, "a%2F..%2Fb%3Fc%23d%20%25%C3%A9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_is_read),
		cmocka_unit_test(a_get_is_tried_again),
		cmocka_unit_test(a_get_is_not_tried_for_ever),
		cmocka_unit_test(an_acting_call_is_made_once),
		cmocka_unit_test(an_acting_call_carries_key_token_and_body),
		cmocka_unit_test(a_redirection_is_not_followed),
		cmocka_unit_test(a_damaged_answer_is_refused),
		cmocka_unit_test(a_unix_socket_is_spoken_to),
		cmocka_unit_test(nobody_there_is_unreachable),
		cmocka_unit_test(a_client_without_a_url_is_not_opened),
		cmocka_unit_test(what_would_change_the_path_is_escaped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
