/* Whole commands against a server that plays the authority. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <sys/stat.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/outcome.h"
#include "fixture.h"
#include "govern/manifest.h"
#include "identity/statement.h"
#include "server.h"

static const char plan_text[] =
	"{\"action\":\"AddToGroup\",\"diff\":[],"
	"\"request\":\"req_1\",\"tier\":2,\"undo\":null}";

/* The authority: what it is to answer, and what it took. */
struct authority {
	const char *origin;
	const char *plan;     /* shown; the digest is that of plan_text */
	const char *state;    /* of requests */
	int status;	      /* of POST /v1/requests */
	bool lies;	      /* names another digest of a change */
	bool keeps;	      /* does not see that it is to prune */
	unsigned acts;	      /* signed statements that held */
	unsigned refused;     /* and those that did not */
	char last[64 * 1024]; /* body of the last POST */
	char key[1024];	      /* public key line */
};

static const json_t *keys_of(void *cookie, const char *human)
{
	return strcmp(human, "alice") ? NULL : cookie;
}

static void judge(struct authority *a, const json_t *form,
		  enum statement_type type)
{
	CLEANUP(json_put_p) json_t *keys = json_pack("[s]", a->key);
	struct statement s = { 0 };

	if (statement_verify(form, type, a->origin, clock_wall_ms(), keys_of,
			     keys, &s) != STATEMENT_VALID) {
		a->refused++;
		return;
	}
	a->acts++;
	statement_clear(&s);
}

static char *digest_of_plan(void)
{
	struct digest digest = digest_of(slice_str(plan_text));
	char *text = mem_alloc(DIGEST_TEXT_LEN);

	digest_format(&digest, text);
	return text;
}

static char *answer_approval(struct authority *a)
{
	CLEANUP(mem_free_p) char *digest = digest_of_plan();
	CLEANUP(json_put_p)
	json_t *body = json_pack("{s:s,s:s,s:s,s:{s:{}}}", "request", "req_1",
				 "plan", a->plan ? a->plan : plan_text,
				 "digest", digest, "groups", "leads");

	return json_dumps(body, 0);
}

static char *answer_change(struct authority *a, const json_t *body)
{
	json_t *manifests = json_object_get(body, "manifests");
	bool prune = json_flag(body, "prune", false) && !a->keeps;
	struct digest digest = manifest_set_digest(manifests, prune, NULL);
	char text[DIGEST_TEXT_LEN];

	digest_format(&digest, text);
	if (a->lies)
		text[8] = text[8] == '0' ? '1' : '0';
	if (json_object_get(body, "signed"))
		judge(a, json_object_get(body, "signed"), STATEMENT_CHANGE);
	return mem_format("{\"id\":\"chg_1\",\"digest\":\"%s\",\"needs\":2,"
			  "\"signatures\":[\"alice\"],\"diff\":[{\"op\":"
			  "\"create\",\"kind\":\"Group\",\"name\":\"g\"}]}",
			  text);
}

static char *answer_request(const struct authority *a)
{
	return mem_format("{\"id\":\"req_1\",\"state\":\"%s\"}", a->state);
}

static bool asks(const struct server_request *r, const char *what)
{
	return !strncmp(r->head, what, strlen(what));
}

static char *answer_post(struct authority *a, const struct server_request *r,
			 struct server_reply *reply)
{
	CLEANUP(json_put_p) json_t *body = json_loads(r->body, 0, NULL);

	snprintf(a->last, sizeof(a->last), "%s", r->body);
	if (asks(r, "POST /v1/login ")) {
		judge(a, body, STATEMENT_LOGIN);
		return mem_str("{\"token\":\"writs_secret\",\"human\":"
			       "\"alice\",\"expires\":"
			       "\"2999-01-01T00:00:00.000Z\"}");
	}
	if (asks(r, "POST /v1/requests/req_1/approvals ")) {
		judge(a, body, STATEMENT_APPROVAL);
		return answer_request(a);
	}
	if (asks(r, "POST /v1/requests/req_1/secret")) {
		reply->status = a->status;
		if (a->status != 200)
			return answer_request(a);
		return mem_str("{\"request\":\"req_1\",\"grant\":\"grt_1\","
			       "\"expires\":\"2999-01-01T00:00:00.000Z\","
			       "\"secret\":{\"user\":\"writ_a\","
			       "\"password\":\"hidden\"}}");
	}
	if (asks(r, "POST /v1/grants/grt_1/end ")) {
		judge(a, body, STATEMENT_END_GRANT);
		return mem_str("{\"id\":\"grt_1\",\"state\":\"ending\"}");
	}
	if (asks(r, "POST /v1/requests ")) {
		reply->status = a->status;
		if (a->status == 403)
			return mem_str("{\"title\":\"Denied\",\"code\":"
				       "\"denied\",\"request\":{\"id\":"
				       "\"req_1\",\"state\":\"denied\"}}");
		return answer_request(a);
	}
	if (asks(r, "POST /v1/changes ")) {
		if (json_object_get(body, "signed"))
			reply->status = 202;
		return answer_change(a, body);
	}
	reply->status = 404;
	return mem_str("{\"title\":\"No such thing\"}");
}

static char *answer(void *cookie, const struct server_request *r,
		    struct server_reply *reply)
{
	struct authority *a = cookie;

	if (asks(r, "POST "))
		return answer_post(a, r, reply);
	if (asks(r, "GET /v1/authority "))
		return mem_format("{\"origin\":\"%s\",\"vkey\":\"v\"}",
				  a->origin);
	if (asks(r, "GET /v1/approvals/req_1 "))
		return answer_approval(a);
	if (asks(r, "GET /v1/requests/req_1"))
		return answer_request(a);
	reply->status = 404;
	return mem_str(
		"{\"title\":\"No such thing\",\"detail\":\"\\u001b[2J\"}");
}

static struct authority authority;
static struct server *server;
static char *key;

static int open_all(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *line = NULL;

	fixture_open();
	fixture_key("key", "");
	key = fixture_path("key");
	line = fixture_read("key.pub");
	line[strcspn(line, "\n")] = '\0';
	snprintf(authority.key, sizeof(authority.key), "%s", line);
	server = server_start(NULL, answer, &authority);
	setenv("WRIT_URL", server_url(server), 1);
	setenv("WRIT_KEY", key, 1);
	setenv("WRIT_HUMAN", "alice", 1);
	return 0;
}

static int close_all(void **state UNUSED)
{
	server_stop(server);
	free(key);
	fixture_close();
	return 0;
}

static int reset(void **state UNUSED)
{
	authority.origin = "a.example/writ";
	authority.plan = NULL;
	authority.state = "done";
	authority.status = 200;
	authority.lies = false;
	authority.acts = 0;
	authority.refused = 0;
	authority.last[0] = '\0';
	return 0;
}

/* ---- signing ----------------------------------------------------------------
 */

static void
an_approval_is_signed_over_the_plan_that_was_shown(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "approval", "approve", "req_1", "--yes");
	CLEANUP(mem_free_p) char *digest = digest_of_plan();

	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(authority.acts, 1);
	assert_non_null(strstr(r.err, digest));
	assert_non_null(strstr(authority.last, digest));
	assert_non_null(strstr(authority.last, "\\\"decision\\\":\\\"approve"));
}

static void a_plan_that_is_not_the_digests_is_not_signed(void **state UNUSED)
{
	struct run r;

	authority.plan = "{\"action\":\"AddToGroup\",\"diff\":[],"
			 "\"request\":\"req_1\",\"tier\":1,\"undo\":null}";
	r = RUN("", "approval", "approve", "req_1", "--yes");
	assert_int_equal(r.code, CLI_FINDING);
	assert_int_equal(authority.acts + authority.refused, 0);
	assert_string_equal(authority.last, "");
	run_clear(&r);
}

static void nobody_to_ask_means_nothing_is_signed(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("y", "approval", "approve", "req_1");
	CLEANUP(run_clear)
	struct run s = RUN("y", "approval", "approve", "req_1", "--no-input");

	assert_int_equal(r.code, CLI_FAILED);
	assert_int_equal(s.code, CLI_FAILED);
	assert_non_null(strstr(s.err, "--yes"));
	assert_int_equal(authority.acts + authority.refused, 0);
}

static void a_group_that_is_not_asked_is_refused(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "approval", "deny", "req_1", "--yes", "-r", "no",
			   "--group", "others");

	assert_int_equal(r.code, CLI_USAGE);
	assert_int_equal(authority.acts + authority.refused, 0);
}

static void login_keeps_the_session_for_us_alone(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = RUN("", "login");
	CLEANUP(mem_free_p)
	char *path = fixture_path(".local/state/writ/sessions.json");
	CLEANUP(mem_free_p)
	char *kept = fixture_read(".local/state/writ/sessions.json");
	struct stat st;

	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(authority.acts, 1);
	assert_null(strstr(r.out, "writs_secret"));
	assert_non_null(strstr(kept, "writs_secret"));
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
another_authority_at_the_same_place_gets_no_signature(void **state UNUSED)
{
	struct run r = RUN("", "login");

	run_clear(&r);
	reset(NULL);
	authority.origin = "evil.example/writ";
	r = RUN("", "approval", "approve", "req_1", "--yes");
	assert_int_equal(r.code, CLI_FINDING);
	assert_int_equal(authority.acts + authority.refused, 0);
	run_clear(&r);
}

/* ---- apply ------------------------------------------------------------------
 */

static struct run apply(const char *manifests, const char *extra)
{
	CLEANUP(mem_free_p) char *path = fixture_path("m.yaml");

	fixture_write("m.yaml", manifests);
	return RUN("", "apply", "-f", path, "--yes", extra);
}

static const char group[] = "kind: Group\nmetadata: { name: g }\nspec: {}\n";

static void a_change_is_signed_over_what_the_files_say(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = apply(group, NULL);

	assert_int_equal(r.code, CLI_WAITING);
	assert_int_equal(authority.acts, 1);
	assert_non_null(strstr(r.out, "+ create Group/g"));
	assert_non_null(strstr(r.out, "writ change sign chg_1"));
}

static void a_digest_of_something_else_is_not_signed(void **state UNUSED)
{
	struct run r;

	authority.lies = true;
	r = apply(group, NULL);
	assert_int_equal(r.code, CLI_FINDING);
	assert_int_equal(authority.acts + authority.refused, 0);
	run_clear(&r);
}

static void a_dry_run_signs_nothing(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = apply(group, "--dry-run");

	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(authority.acts + authority.refused, 0);
	assert_non_null(strstr(r.out, "+ create Group/g"));
}

static void faulty_files_are_not_sent(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = apply("kind: Group\nmetadata: { name: g }\n"
			     "spec: { x: 1 }\n",
			     NULL);

	assert_int_equal(r.code, CLI_FAILED);
	assert_non_null(strstr(r.err, "m.yaml:3:9"));
	assert_string_equal(authority.last, "");
}

static void what_is_signed_says_whether_it_removes(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = apply(group, "--prune");

	assert_int_equal(r.code, CLI_WAITING);
	assert_int_equal(authority.acts, 1);
}

static void
a_digest_without_prune_is_not_signed_for_one_with(void **state UNUSED)
{
	struct run r;

	authority.keeps = true;
	r = apply(group, "--prune");
	assert_int_equal(r.code, CLI_FINDING);
	assert_int_equal(authority.acts + authority.refused, 0);
	run_clear(&r);
}

/* ---- exit codes
 * -------------------------------------------------------------- */

static struct run ask_for(const char *extra)
{
	return RUN("", "request", "create", "-t", "tsk_1", "--action",
		   "AddToGroup", "--target", "corp", "--resource", "cn=g", "-p",
		   "member=uid=x,dc=y", extra);
}

static void the_state_of_a_request_is_the_exit_code(void **state UNUSED)
{
	static const struct {
		const char *state;
		int code;
	} rows[] = {
		{ "done", 0 },	      { "no_change", 0 },
		{ "recommended", 0 }, { "rolled_back", 0 },
		{ "adopted", 0 },     { "failed", 1 },
		{ "partial", 1 },     { "cancelled", 1 },
		{ "denied", 3 },      { "expired", 3 },
		{ "waiting", 4 },     { "replanning", 4 },
		{ "planning", 4 },    { "armed", 4 },
		{ "reading", 4 },     { "unknown", 6 },
		{ "conflict", 6 },    { "something else", 1 },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		assert_int_equal(outcome_exit(rows[i].state), rows[i].code);
}

static void a_request_that_waits_ends_with_four(void **state UNUSED)
{
	struct run r;

	authority.state = "waiting";
	authority.status = 202;
	r = ask_for(NULL);
	assert_int_equal(r.code, CLI_WAITING);
	assert_non_null(strstr(authority.last,
			       "\"parameters\":{\"member\":\"uid=x,dc=y\"}"));
	assert_non_null(strstr(authority.last, "\"mode\":\"execute\""));
	run_clear(&r);
}

static void a_denial_ends_with_three_and_shows_the_request(void **state UNUSED)
{
	struct run r;

	authority.status = 403;
	r = ask_for(NULL);
	assert_int_equal(r.code, CLI_DENIED);
	assert_non_null(strstr(r.out, "req_1"));
	assert_non_null(strstr(r.err, "code: denied"));
	run_clear(&r);
}

static void waiting_returns_when_the_request_has_ended(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "request", "wait", "req_1", "-o", "json");
	CLEANUP(json_put_p) json_t *out = json_loads(r.out, 0, NULL);

	assert_int_equal(r.code, CLI_OK);
	assert_string_equal(json_text(out, "state", ""), "done");
}

static void what_was_lent_is_told_as_a_whole_or_one_of_it(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run all = RUN("", "request", "secret", "req_1");
	CLEANUP(run_clear)
	struct run json = RUN("", "request", "secret", "req_1", "-o", "json");
	CLEANUP(run_clear)
	struct run one =
		RUN("", "request", "secret", "req_1", "--field", "password");
	CLEANUP(run_clear)
	struct run none =
		RUN("", "request", "secret", "req_1", "--field", "token");
	CLEANUP(json_put_p) json_t *out = json_loads(json.out, 0, NULL);

	assert_int_equal(all.code, CLI_OK);
	assert_non_null(strstr(all.out, "hidden"));
	/* Nobody reads this over a shoulder: it is no terminal. */
	assert_null(strstr(all.err, "secret"));
	assert_string_equal(
		json_text(json_object_get(out, "secret"), "password", ""),
		"hidden");
	assert_string_equal(one.out, "hidden\n");
	assert_int_not_equal(none.code, CLI_OK);
	assert_string_equal(none.out, "");
	assert_null(strstr(none.err, "hidden"));
}

static void
a_field_that_nothing_has_is_refused_before_the_call(void **state UNUSED)
{
	struct run r;

	authority.last[0] = '\0';
	r = (struct run)RUN("", "request", "secret", "req_1", "--field",
			    "nope");
	assert_int_equal(r.code, CLI_USAGE);
	assert_non_null(strstr(r.err, "'nope'"));
	assert_string_equal(authority.last, "");
	run_clear(&r);
}

static void a_fault_names_the_help_of_its_noun(void **state UNUSED)
{
	CLEANUP(run_clear) struct run task = RUN("", "task", "--nonsense");
	CLEANUP(run_clear) struct run verb = RUN("", "task");
	CLEANUP(run_clear) struct run none = RUN("", "nonsense");

	assert_int_equal(task.code, CLI_USAGE);
	assert_non_null(strstr(task.err, "See 'writ help task'."));
	assert_int_equal(verb.code, CLI_USAGE);
	assert_non_null(strstr(verb.err, "See 'writ help task'."));
	assert_int_equal(none.code, CLI_USAGE);
	assert_non_null(strstr(none.err, "See 'writ help'."));
}

static void what_waits_for_people_is_not_told_yet(void **state UNUSED)
{
	struct run r;

	authority.status = 202;
	authority.state = "waiting";
	r = (struct run)RUN("", "request", "secret", "req_1");
	assert_int_equal(r.code, CLI_WAITING);
	assert_null(strstr(r.out, "hidden"));
	run_clear(&r);
}

static void ending_a_grant_signs_for_this_one(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run no = RUN("y", "grant", "end", "grt_1", "-r", "over");
	CLEANUP(run_clear)
	struct run yes =
		RUN("", "grant", "end", "grt_1", "-r", "over", "--yes");

	/* Nobody to ask: nothing is signed. */
	assert_int_not_equal(no.code, CLI_OK);
	assert_int_equal(yes.code, CLI_OK);
	assert_int_equal(authority.acts, 1);
	assert_int_equal(authority.refused, 0);
	assert_non_null(strstr(authority.last, "grt_1"));
	assert_non_null(strstr(yes.out, "ending"));
}

static void a_key_that_would_add_a_header_is_refused(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "task", "complete", "t", "--idempotency-key",
			   "a\r\nX: y");

	assert_int_equal(r.code, CLI_USAGE);
	assert_string_equal(authority.last, "");
}

static void mistakes_on_the_command_line_end_with_two(void **state UNUSED)
{
	CLEANUP(run_clear) struct run a = RUN("", "frobnicate");
	CLEANUP(run_clear) struct run b = RUN("", "request", "show");
	CLEANUP(run_clear) struct run c = RUN("", "task");

	assert_int_equal(a.code, CLI_USAGE);
	assert_int_equal(b.code, CLI_USAGE);
	assert_int_equal(c.code, CLI_USAGE);
}

static void nobody_there_ends_with_five(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "task", "list", "--url", "unix:/nowhere/x");

	assert_int_equal(r.code, CLI_UNREACHABLE);
}

static void
what_the_authority_says_cannot_drive_the_terminal(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = RUN("", "task", "show", "x");

	assert_int_equal(r.code, CLI_FAILED);
	assert_null(strchr(r.err, '\033'));
	assert_non_null(strstr(r.err, "\\u{1b}[2J"));
}

/* ---- init
 * --------------------------------------------------------------------- */

/* A keeper that makes its folder, as found in PATH. */
static void install_keeper(void)
{
	CLEANUP(mem_free_p) char *folder = fixture_path("bin");
	CLEANUP(mem_free_p) char *program = fixture_path("bin/writ-keeper");
	CLEANUP(mem_free_p) char *path = NULL;

	assert_int_equal(file_make_folder(folder), 0);
	fixture_write("bin/writ-keeper",
		      "#!/bin/sh\n[ \"$3\" = --init ] || exit 1\n"
		      "mkdir -m 700 \"$2\"\n"
		      "echo \"$@\" >\"$2/args\"\n");
	assert_int_equal(chmod(program, 0700), 0);
	path = mem_format("%s:%s", folder, getenv("PATH"));
	setenv("PATH", path, 1);
}

static struct run init(const char *data, const char *keeper, const char *public)
{
	CLEANUP(mem_free_p) char *d = fixture_path(data);
	CLEANUP(mem_free_p) char *k = fixture_path(keeper);
	CLEANUP(mem_free_p) char *p = fixture_path(public);

	return RUN("", "init", "--data", d, "--keeper", k, "--origin",
		   "a.example/writ", "--admin", "alice", "--key", p,
		   "--timezone", "UTC");
}

static void init_makes_what_the_daemon_starts_with(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = { 0 };
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *config = NULL;
	CLEANUP(mem_free_p) char *said = NULL;
	CLEANUP(mem_free_p) char *path = fixture_path("data");
	CLEANUP(json_put_p) json_t *bootstrap = NULL;
	struct stat st;

	install_keeper();
	r = init("data", "keys", "key.pub");
	assert_int_equal(r.code, CLI_OK);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	text = fixture_read("data/bootstrap.json");
	bootstrap = json_loads(text, 0, NULL);
	assert_string_equal(json_text(bootstrap, "origin", ""),
			    "a.example/writ");
	assert_string_equal(json_text(bootstrap, "admin", ""), "alice");
	assert_string_equal(json_text(bootstrap, "timezone", ""), "UTC");
	assert_memory_equal(json_text(bootstrap, "key", ""), "ssh-ed25519 ",
			    12);
	config = fixture_read("data/writd.yaml");
	assert_non_null(strstr(config, "\norigin: \"a.example/writ\"\n"));
	said = fixture_read("keys/args");
	assert_non_null(strstr(said, "--init --origin a.example/writ"));
}

static void init_overwrites_nothing(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *before = fixture_read("data/bootstrap.json");
	CLEANUP(run_clear) struct run r = init("data", "keys2", "key.pub");
	CLEANUP(run_clear) struct run s = init("data2", "keys", "key.pub");
	CLEANUP(mem_free_p) char *after = fixture_read("data/bootstrap.json");
	CLEANUP(mem_free_p) char *keys2 = fixture_path("keys2");
	CLEANUP(mem_free_p) char *data2 = fixture_path("data2");

	assert_int_equal(r.code, CLI_FAILED);
	assert_int_equal(s.code, CLI_FAILED);
	assert_string_equal(before, after);
	assert_false(file_exists(keys2));
	assert_false(file_exists(data2));
}

static void init_refuses_a_private_key(void **state UNUSED)
{
	CLEANUP(run_clear) struct run r = init("data3", "keys3", "key");

	assert_int_equal(r.code, CLI_USAGE);
	assert_non_null(strstr(r.err, "private"));
}

static void init_keeps_the_keys_out_of_the_data(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = init("data4", "data4/keys", "key.pub");
	CLEANUP(run_clear)
	struct run s = init("data4", "bin/../data4/keys", "key.pub");

	assert_int_equal(r.code, CLI_USAGE);
	assert_int_equal(s.code, CLI_USAGE);
	assert_non_null(strstr(s.err, "must not lie"));
}

/* ---- doctor
 * ------------------------------------------------------------------- */

static void doctor_says_what_to_do_next(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "doctor", "--config", "/nowhere/writd.yaml",
			   "--url", "unix:/nowhere/x", "-o", "json");
	CLEANUP(json_put_p) json_t *findings = json_loads(r.out, 0, NULL);
	const json_t *f;
	size_t i;

	assert_int_equal(r.code, CLI_FAILED);
	json_array_foreach(findings, i, f) {
		assert_non_null(json_text(f, "what", NULL));
		if (strcmp(json_text(f, "state", ""), "ok") != 0)
			assert_non_null(json_text(f, "next", NULL));
	}
}

static void doctor_reads_the_configuration_that_init_writes(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = fixture_path("data/writd.yaml");
	CLEANUP(run_clear)
	struct run r =
		RUN("", "doctor", "--config", path, "--url", "unix:/nowhere/x");

	assert_non_null(strstr(r.out, "writd.yaml reads well"));
	assert_non_null(strstr(r.out, "data is private"));
}

/* ---- the manual page
 * ------------------------------------------------------------ */

/* The line of a command, up to the next item. */
static char *section_of(const char *man, const struct command *c)
{
	CLEANUP(mem_free_p)
	char *head = mem_format("\n.It Ic %s%s%s", c->noun, c->verb ? " " : "",
				c->verb ? c->verb : "");
	const char *at = man;
	const char *end;

	do {
		at = strstr(at + 1, head);
	} while (at && at[strlen(head)] != '\n' && at[strlen(head)] != ' ');
	if (!at)
		return NULL;
	end = strstr(at + strlen(head), "\n.It Ic ");
	return end ? mem_format("%.*s", (int)(end - at), at) : mem_str(at);
}

/* True if the text has "Fl -name" followed by the end of the word. */
static bool has_option(const char *text, const char *name)
{
	CLEANUP(mem_free_p) char *flag = mem_format("Fl -%s", name);
	const char *at = text;

	while ((at = strstr(at, flag)) != NULL) {
		at += strlen(flag);
		if (strchr(" \n", *at))
			return true;
	}
	return false;
}

static void every_command_and_option_stands_in_the_manual(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf man = BUF_INIT(1 << 20);
	CLEANUP(mem_free_p) char *path = NULL;

	assert_non_null(getenv("WRIT_MAN"));
	path = mem_format("%s/writ.1", getenv("WRIT_MAN"));
	assert_int_equal(file_read(path, &man), 0);
	for (size_t i = 0; i < commands.count; i++) {
		const struct command *c = &commands.commands[i];
		CLEANUP(mem_free_p)
		char *section = section_of(buf_text(&man), c);
		const struct option_row *o = c->options;

		if (!section)
			fail_msg("%s %s is not in writ(1)", c->noun,
				 c->verb ? c->verb : "");
		for (; o && o->name; o++)
			if (!has_option(section, o->name))
				fail_msg("%s %s --%s is not in writ(1)",
					 c->noun, c->verb ? c->verb : "",
					 o->name);
	}
	for (const struct option_row *o = commands.globals; o->name; o++)
		if (!has_option(buf_text(&man), o->name))
			fail_msg("--%s is not in writ(1)", o->name);
}

static void completion_names_every_command(void **state UNUSED)
{
	CLEANUP(run_clear) struct run bash = RUN("", "completion", "bash");
	CLEANUP(run_clear) struct run zsh = RUN("", "completion", "zsh");
	CLEANUP(run_clear) struct run other = RUN("", "completion", "tcsh");

	assert_int_equal(bash.code, CLI_OK);
	assert_int_equal(zsh.code, CLI_OK);
	assert_int_equal(other.code, CLI_USAGE);
	for (size_t i = 0; i < commands.count; i++) {
		assert_non_null(strstr(bash.out, commands.commands[i].noun));
		assert_non_null(strstr(zsh.out, commands.commands[i].noun));
	}
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_approval_is_signed_over_the_plan_that_was_shown),
		TEST(a_plan_that_is_not_the_digests_is_not_signed),
		TEST(nobody_to_ask_means_nothing_is_signed),
		TEST(a_group_that_is_not_asked_is_refused),
		TEST(login_keeps_the_session_for_us_alone),
		TEST(another_authority_at_the_same_place_gets_no_signature),
		TEST(a_change_is_signed_over_what_the_files_say),
		TEST(a_digest_of_something_else_is_not_signed),
		TEST(a_dry_run_signs_nothing),
		TEST(faulty_files_are_not_sent),
		TEST(what_is_signed_says_whether_it_removes),
		TEST(a_digest_without_prune_is_not_signed_for_one_with),
		TEST(the_state_of_a_request_is_the_exit_code),
		TEST(a_request_that_waits_ends_with_four),
		TEST(a_denial_ends_with_three_and_shows_the_request),
		TEST(waiting_returns_when_the_request_has_ended),
		TEST(what_was_lent_is_told_as_a_whole_or_one_of_it),
		TEST(a_field_that_nothing_has_is_refused_before_the_call),
		TEST(a_fault_names_the_help_of_its_noun),
		TEST(what_waits_for_people_is_not_told_yet),
		TEST(ending_a_grant_signs_for_this_one),
		TEST(a_key_that_would_add_a_header_is_refused),
		TEST(mistakes_on_the_command_line_end_with_two),
		TEST(nobody_there_ends_with_five),
		TEST(what_the_authority_says_cannot_drive_the_terminal),
		TEST(init_makes_what_the_daemon_starts_with),
		TEST(init_overwrites_nothing),
		TEST(init_refuses_a_private_key),
		TEST(init_keeps_the_keys_out_of_the_data),
		TEST(doctor_says_what_to_do_next),
		TEST(doctor_reads_the_configuration_that_init_writes),
		TEST(every_command_and_option_stands_in_the_manual),
		TEST(completion_names_every_command),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
