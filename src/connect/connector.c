#include "connect/connector.h"

#include <assert.h>
#include <signal.h>

#include "base/channel.h"
#include "base/error.h"
#include "base/frame.h"
#include "base/mem.h"
#include "connect/reply.h"

enum {
	QUEUE_MAX = 256,
	WAIT_MS = 30 * 1000,
	RESTART_MIN_MS = 100,
	RESTART_MAX_MS = 30 * 1000,
	COMMAND_MAX = 64, /* words of a command */
	/* Nothing more is asked ahead beyond so many bytes of requests. */
	AHEAD_MAX = 4 << 20,
};

struct call {
	struct call *next;
	enum connect_method method;
	enum connector_priority priority;
	json_t *params; /* owned; an apply's until it was sent */
	int64_t id;	/* of the request, once it was sent */
	size_t size;	/* bytes of it */
	int64_t timeout_ms;
	struct loop_timer *wait; /* while it waits in a queue */
	struct queue *queue;	 /* the one it waits in */
	connector_done_fn done;	 /* NULL for our own describe */
	void *cookie;
	/* How it ended, while that waits to be told. */
	enum connect_status status;
	char *detail;
};

struct queue {
	struct call *head;
	struct call **end; /* where the next one goes */
	size_t count;
	size_t max;
};

struct connector {
	struct connector_config config;
	char *target;
	char *build_file;
	char **command; /* owned words, NULL-terminated */

	struct channel *channel;   /* NULL while there is no child */
	struct loop_timer *start;  /* the next start, while there is no child */
	struct loop_timer *answer; /* the time that the first of sent has */
	struct loop_timer *tell;   /* tells what is in told */
	int64_t pause_ms;	   /* before the next restart */

	json_t *describe; /* NULL while it is not up */
	char file_build[DIGEST_TEXT_LEN];
	char build[DIGEST_TEXT_LEN];

	struct queue sent; /* in the child's hands, in the order of answers */
	size_t pipeline;   /* of them at most */
	size_t sent_size;  /* bytes of their requests */
	int64_t id;	   /* of the last request sent */
	struct queue first;
	struct queue normal;
	struct queue told; /* ended, but not yet told */
	bool closing;
};

static void start(void *cookie);
static void pump(struct connector *c);

static const char *const status_names[] = {
	[CONNECT_OK] = "ok",
	[CONNECT_REFUSED] = "refused",
	[CONNECT_BUSY] = "busy",
	[CONNECT_UNKNOWN] = "unknown",
	[CONNECT_TIMEOUT] = "timeout",
	[CONNECT_DIED] = "died",
	[CONNECT_MALFORMED] = "malformed",
};

const char *connect_status_name(enum connect_status status)
{
	return status_names[status];
}

/* ---- queues ---- */

static void queue_init(struct queue *queue, size_t max)
{
	*queue = (struct queue){ .end = &queue->head, .max = max };
}

static void queue_push(struct queue *queue, struct call *call)
{
	call->next = NULL;
	call->queue = queue;
	*queue->end = call;
	queue->end = &call->next;
	queue->count++;
}

static void queue_push_front(struct queue *queue, struct call *call)
{
	call->next = queue->head;
	call->queue = queue;
	queue->head = call;
	if (!call->next)
		queue->end = &call->next;
	queue->count++;
}

static struct call *queue_pop(struct queue *queue)
{
	struct call *call = queue->head;

	if (!call)
		return NULL;
	queue->head = call->next;
	if (!queue->head)
		queue->end = &queue->head;
	queue->count--;
	call->queue = NULL;
	return call;
}

static void queue_remove(struct queue *queue, struct call *call)
{
	struct call **at = &queue->head;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	if (!*at)
		queue->end = at;
	queue->count--;
	call->queue = NULL;
}

/* Takes the call whose answer is next; NULL if none is in the child's hands. */
static struct call *pop_sent(struct connector *c)
{
	struct call *call = queue_pop(&c->sent);

	if (call)
		c->sent_size -= call->size;
	return call;
}

/* ---- the ends of calls ---- */

static void call_free(struct call *call)
{
	loop_timer_end(call->wait);
	json_decref(call->params);
	free(call->detail);
	free(call);
}

static void tell_call(struct call *call, enum connect_status status,
		      json_t *json, const char *reason, const char *detail)
{
	const struct connector_result result = {
		.status = status,
		.json = json,
		.reason = reason ? reason : connect_status_name(status),
		.detail = detail ? detail : "",
	};

	if (call->done)
		call->done(call->cookie, &result);
	call_free(call);
}

/* Tells what has ended; what ends meanwhile has its own turn. */
static void tell_all(struct connector *c)
{
	size_t left = c->told.count;

	while (left-- > 0 && c->told.head) {
		struct call *call = queue_pop(&c->told);
		bool refused = call->status == CONNECT_REFUSED;

		tell_call(call, call->status, NULL,
			  refused ? "too-large" : NULL, call->detail);
	}
}

static void tell_now(void *cookie)
{
	struct connector *c = cookie;

	c->tell = NULL;
	tell_all(c);
}

/* Ends a call that was not sent, from within a function of ours. */
static void tell_later(struct connector *c, struct call *call,
		       enum connect_status status, const char *detail)
{
	call->status = status;
	call->detail = mem_str(detail);
	queue_push(&c->told, call);
	if (!c->tell)
		c->tell = loop_timer(c->config.loop, 0, tell_now, c);
}

static void waited_too_long(void *cookie)
{
	struct call *call = cookie;

	call->wait = NULL;
	queue_remove(call->queue, call);
	tell_call(call, CONNECT_BUSY, NULL, NULL,
		  "it waited too long for the connector");
}

/* ---- the child ---- */

static void plan_start(struct connector *c)
{
	c->start = loop_timer(c->config.loop, c->pause_ms, start, c);
	c->pause_ms *= 2;
	if (c->pause_ms > c->config.restart_max_ms)
		c->pause_ms = c->config.restart_max_ms;
}

/* Ends the child so that nothing of it can happen any more. */
static void end_channel(struct connector *c)
{
	if (!c->channel)
		return;
	/* Not asked but killed: what it has in hand must not be done after the
	 * target was read by its successor. */
	if (channel_pid(c->channel) > 0)
		discard(kill(channel_pid(c->channel), SIGKILL));
	channel_close(c->channel);
	c->channel = NULL;
	loop_timer_end(c->answer);
	c->answer = NULL;
	json_decref(c->describe);
	c->describe = NULL;
}

static struct queue *queue_of(struct connector *c, const struct call *call)
{
	return call->priority == CONNECTOR_FIRST ? &c->first : &c->normal;
}

static void begin_waiting(struct connector *c, struct call *call)
{
	call->wait = loop_timer(c->config.loop, c->config.wait_ms,
				waited_too_long, call);
}

/* What was sent and has no effect goes back to the front of its queue; takes
 * from sent, newest first. */
static void ask_again(struct connector *c, struct call *call)
{
	queue_push_front(queue_of(c, call), call);
	begin_waiting(c, call);
}

/* Takes back what a child had besides the call it was at: an apply may have
 * happened, all else is asked again. */
static void take_back(struct connector *c, const char *why)
{
	struct call *newest_first = NULL;

	while (c->sent.head) {
		struct call *call = pop_sent(c);

		if (call->method == CONNECT_APPLY) {
			tell_later(c, call, CONNECT_DIED, why);
			continue;
		}
		call->next = newest_first;
		newest_first = call;
	}
	while (newest_first) {
		struct call *call = newest_first;

		newest_first = call->next;
		ask_again(c, call);
	}
}

/* The child is lost, or never came to be: everyone is told why. */
static void lose(struct connector *c, enum connect_status status,
		 const char *why)
{
	struct call *call = pop_sent(c);

	take_back(c, "the connector ended before it answered");
	end_channel(c);
	plan_start(c);
	if (c->config.down)
		c->config.down(c->config.cookie, why);
	if (call)
		tell_call(call, status, NULL, NULL, why);
}

static void answer_late(void *cookie)
{
	struct connector *c = cookie;
	CLEANUP(mem_free_p)
	char *why = mem_format("no answer to %s in time",
			       connect_method_name(c->sent.head->method));

	c->answer = NULL;
	lose(c, CONNECT_TIMEOUT, why);
}

/* Starts the time of the call whose answer is next. */
static void await_answer(struct connector *c)
{
	loop_timer_end(c->answer);
	c->answer = NULL;
	if (c->sent.head)
		c->answer = loop_timer(c->config.loop, c->sent.head->timeout_ms,
				       answer_late, c);
}

/* What describe says must hold; returns why it does not, owned, NULL if it
 * does. */
static char *judge_describe(const struct connector *c, const json_t *describe)
{
	const char *target = json_text(describe, "target", c->target);

	if (json_int(describe, "protocol", 0) != CONNECT_PROTOCOL)
		return mem_str("it speaks another version of the protocol");
	if (strcmp(json_text(describe, "build", ""), c->file_build) != 0)
		return mem_str("its build is not the digest of its program");
	if (strcmp(target, c->target) != 0)
		return mem_format("its own configuration is for target '%s', "
				  "writd.yaml has it for '%s': correct target "
				  "in one of the two",
				  target, c->target);
	return NULL;
}

static void take_describe(struct connector *c, const struct reply *reply)
{
	CLEANUP(mem_free_p)
	char *why = reply->kind == REPLY_RESULT
			    ? judge_describe(c, reply->result)
			    : mem_str(reply->detail);
	struct call *call;

	if (why) {
		lose(c, CONNECT_MALFORMED, why);
		return;
	}
	call = pop_sent(c);
	assert(call);
	call_free(call);
	await_answer(c);
	c->describe = json_incref(reply->result);
	c->pipeline = (size_t)json_int(c->describe, "pipeline", 1);
	if (c->pipeline > CONNECTOR_PIPELINE_MAX)
		c->pipeline = CONNECTOR_PIPELINE_MAX;
	memcpy(c->build, c->file_build, sizeof(c->build));
	if (c->config.up)
		c->config.up(c->config.cookie);
	pump(c);
}

/* How a well-formed answer ends a call. */
static enum connect_status status_of(const struct call *call,
				     const struct reply *reply)
{
	if (reply->kind == REPLY_RESULT)
		return reply->reason[0] ? CONNECT_REFUSED : CONNECT_OK;
	/* An apply that fails without saying "refused" may have happened. */
	return call->method == CONNECT_APPLY ? CONNECT_UNKNOWN
					     : CONNECT_REFUSED;
}

static void take_answer(struct connector *c, const struct reply *reply)
{
	struct call *call = pop_sent(c);

	assert(call);
	c->pause_ms = c->config.restart_min_ms;
	await_answer(c);
	tell_call(call, status_of(call, reply), reply->result,
		  reply->reason[0] ? reply->reason : NULL, reply->detail);
	pump(c);
}

static void message(void *cookie, struct slice body)
{
	struct connector *c = cookie;
	CLEANUP(reply_clear) struct reply reply = { 0 };
	const struct call *call = c->sent.head;

	if (!call) {
		lose(c, CONNECT_MALFORMED, "it spoke without being asked");
		return;
	}
	reply_parse(body, call->method, call->id, &reply);
	if (reply.kind == REPLY_MALFORMED)
		lose(c, CONNECT_MALFORMED, reply.detail);
	else if (!call->done)
		take_describe(c, &reply);
	else
		take_answer(c, &reply);
}

static void closed(void *cookie, const char *why)
{
	static const char ended[] = "the connector ended: its line "
				    "connector-ended in writd's log says why";
	/* The channel says so of a length that nobody may send. */
	bool oversize = strstr(why, "too large") != NULL;

	lose(cookie, oversize ? CONNECT_MALFORMED : CONNECT_DIED,
	     oversize ? why : ended);
}

static const struct channel_events events = { message, closed };

/* The params of a call for its request; they are kept where it may have to be
 * asked again. */
static json_t *params_of(struct call *call)
{
	return call->method == CONNECT_APPLY ? TAKE(call->params)
					     : json_incref(call->params);
}

/* Sends a call after those in the child's hands.  Errors: ERR_LIMIT when it is
 * too large. */
static int send_call(struct connector *c, struct call *call)
{
	CLEANUP(buf_clear) struct buf body = BUF_INIT(FRAME_MAX);
	CLEANUP(json_put_p) json_t *request = json_object();
	struct slice bytes;

	json_set_text(request, "jsonrpc", "2.0");
	json_set_int(request, "id", c->id + 1);
	json_set_text(request, "method", connect_method_name(call->method));
	json_set_new(request, "params", params_of(call));
	TRY(json_put_canonical(&body, request));
	TRY(buf_finish(&body, &bytes));
	TRY(channel_send(c->channel, bytes));
	call->id = ++c->id;
	call->size = bytes.len;
	c->sent_size += bytes.len;
	queue_push(&c->sent, call);
	if (c->sent.count == 1)
		await_answer(c);
	return 0;
}

/* The next call that may be sent; the last place in the pipeline is for those
 * that go first. */
static struct call *next_call(struct connector *c)
{
	size_t room = c->pipeline - c->sent.count;

	if (c->sent_size > AHEAD_MAX)
		return NULL;
	if (room > 0 && c->first.head)
		return queue_pop(&c->first);
	if (room > 1 || (room > 0 && c->pipeline == 1))
		return queue_pop(&c->normal);
	return NULL;
}

/* Gives the child as many calls as it takes. */
static void pump(struct connector *c)
{
	struct call *call;

	while (c->describe) {
		call = next_call(c);
		if (!call)
			return;
		loop_timer_end(call->wait);
		call->wait = NULL;
		if (send_call(c, call) < 0)
			tell_later(c, call, CONNECT_REFUSED, error_message());
	}
}

static struct call *call_new(struct connector *c, enum connect_method method,
			     json_t *params, int64_t timeout_ms)
{
	struct call *call = mem_new(struct call);

	call->method = method;
	call->params = params;
	call->timeout_ms =
		timeout_ms > 0 ? timeout_ms : c->config.timeout_ms[method];
	return call;
}

/* Starts the child and asks it to describe itself. */
static int start_child(struct connector *c)
{
	const char *const *command = c->config.command;
	struct call *call;
	int r;

	TRY(connect_build_of(c->build_file ? c->build_file : command[0],
			     c->file_build));
	TRY(channel_spawn(c->config.loop, command, &events, c, &c->channel));
	call = call_new(c, CONNECT_DESCRIBE, json_object(), 0);
	r = send_call(c, call);
	if (r < 0)
		call_free(call);
	return r;
}

static void start(void *cookie)
{
	struct connector *c = cookie;

	c->start = NULL;
	if (start_child(c) < 0)
		lose(c, CONNECT_DIED, error_message());
}

/* ---- the life of a connector ---- */

static void copy_command(struct connector *c, size_t count)
{
	c->command = mem_array(count + 1, sizeof(*c->command));
	for (size_t i = 0; i < count; i++)
		c->command[i] = mem_str(c->config.command[i]);
	c->config.command = (const char *const *)c->command;
}

/* Fills in what the configuration leaves open. */
static void set_defaults(struct connector_config *config)
{
	if (config->queue_max == 0)
		config->queue_max = QUEUE_MAX;
	if (config->reserve_max == 0)
		config->reserve_max = config->queue_max;
	if (config->wait_ms == 0)
		config->wait_ms = WAIT_MS;
	if (config->restart_min_ms == 0)
		config->restart_min_ms = RESTART_MIN_MS;
	if (config->restart_max_ms == 0)
		config->restart_max_ms = RESTART_MAX_MS;
	for (size_t i = 0; i < CONNECT_METHOD_COUNT; i++)
		if (config->timeout_ms[i] == 0)
			config->timeout_ms[i] = connect_method_timeout_ms(
				(enum connect_method)i);
}

int connector_open(const struct connector_config *config,
		   struct connector **ret_connector)
{
	struct connector *c;
	size_t count = 0;

	while (config->command[count])
		count++;
	if (count == 0 || count > COMMAND_MAX ||
	    !strchr(config->command[0], '/'))
		return error_set(ERR_SYNTAX,
				 "the command of target '%s' needs the path "
				 "of a program",
				 config->target);
	c = mem_new(struct connector);
	c->config = *config;
	set_defaults(&c->config);
	c->target = mem_str(config->target);
	c->config.target = c->target;
	c->build_file = mem_str(config->build_file);
	copy_command(c, count);
	queue_init(&c->first, c->config.reserve_max);
	queue_init(&c->normal, c->config.queue_max);
	queue_init(&c->sent, SIZE_MAX);
	queue_init(&c->told, SIZE_MAX);
	c->pause_ms = c->config.restart_min_ms;
	c->start = loop_timer(c->config.loop, 0, start, c);
	*ret_connector = c;
	return 0;
}

/* Answers everything that is still open; what the callers ask in their turn is
 * answered too, as long as they learn from it. */
static void close_calls(struct connector *c)
{
	static const char why[] = "the connector is being closed";

	c->closing = true;
	while (c->sent.head)
		tell_call(pop_sent(c), CONNECT_DIED, NULL, NULL, why);
	while (c->first.head)
		tell_call(queue_pop(&c->first), CONNECT_BUSY, NULL, NULL, why);
	while (c->normal.head)
		tell_call(queue_pop(&c->normal), CONNECT_BUSY, NULL, NULL, why);
	while (c->told.head)
		tell_all(c);
}

void connector_close(struct connector *c)
{
	if (!c)
		return;
	loop_timer_end(c->start);
	c->start = NULL;
	end_channel(c);
	close_calls(c);
	loop_timer_end(c->tell);
	for (size_t i = 0; c->command[i]; i++)
		free(c->command[i]);
	free(c->command);
	free(c->target);
	free(c->build_file);
	free(c);
}

void connector_call(struct connector *c, enum connect_method method,
		    json_t *params, enum connector_priority priority,
		    int64_t timeout_ms, connector_done_fn done, void *cookie)
{
	struct call *call = call_new(c, method, params, timeout_ms);
	struct queue *queue;

	call->priority = priority;
	call->done = done;
	call->cookie = cookie;
	queue = queue_of(c, call);
	if (c->closing || queue->count >= queue->max) {
		tell_later(c, call, CONNECT_BUSY,
			   c->closing ? "the connector is being closed"
				      : "its queue is full");
		return;
	}
	queue_push(queue, call);
	begin_waiting(c, call);
	pump(c);
}

const json_t *connector_describe(const struct connector *c)
{
	return c->describe;
}

const char *connector_build(const struct connector *c)
{
	return c->build;
}

bool connector_is_up(const struct connector *c)
{
	return c->describe != NULL;
}

const json_t *connector_action(const struct connector *c, const char *action)
{
	const json_t *actions = json_array_in(c->describe, "actions");

	for (size_t i = 0; i < json_array_size(actions); i++) {
		const json_t *row = json_array_get(actions, i);

		if (!strcmp(json_text(row, "action", ""), action))
			return row;
	}
	return NULL;
}

size_t connector_load(const struct connector *c)
{
	return c->first.count + c->normal.count + c->sent.count;
}
