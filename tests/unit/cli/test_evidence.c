/* Exporting and verifying a small log, from a server and from its files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "crypto/merkle.h"
#include "crypto/note.h"
#include "fixture.h"
#include "server.h"

static const char leaf[] =
	"{\"about\":\"a.example/writ\",\"at\":1700000000000,\"commit\":[],"
	"\"kind\":\"genesis\",\"origin\":\"a.example/writ\",\"v\":1}";

/* The public files of a log with one leaf. */
struct log {
	char vkey[NOTE_VKEY_MAX];
	struct buf checkpoint;
	struct buf tile;
	struct buf entries;
};

static struct log log_files;
static struct server *server;

static void make_log(void)
{
	static const uint8_t seed[32] = { 7 };
	CLEANUP(note_signer_free_p) struct note_signer *signer = NULL;
	CLEANUP(buf_clear) struct buf text = BUF_INIT(1024);
	struct checkpoint c = { .origin = "a.example/writ", .size = 1 };
	struct note_vkey vkey;

	log_files.checkpoint = (struct buf)BUF_INIT(4096);
	log_files.tile = (struct buf)BUF_INIT(4096);
	log_files.entries = (struct buf)BUF_INIT(4096);
	c.root = merkle_leaf(slice_str(leaf));
	buf_put(&log_files.tile, digest_slice(&c.root));
	buf_put_u16(&log_files.entries, (uint16_t)strlen(leaf));
	buf_put_str(&log_files.entries, leaf);
	assert_int_equal(note_signer_new("a.example/writ",
					 slice_of(seed, sizeof(seed)), &signer),
			 0);
	note_signer_vkey(signer, &vkey);
	note_vkey_format(&vkey, log_files.vkey);
	assert_int_equal(checkpoint_format(&c, &text), 0);
	assert_int_equal(
		note_sign(signer, buf_slice(&text), &log_files.checkpoint), 0);
}

static char *serve(void *cookie UNUSED, const struct server_request *r,
		   struct server_reply *reply)
{
	static const struct {
		const char *request;
		const struct buf *file;
	} files[] = {
		{ "GET /log/checkpoint ", &log_files.checkpoint },
		{ "GET /log/tile/0/000.p/1 ", &log_files.tile },
		{ "GET /log/tile/entries/000.p/1 ", &log_files.entries },
	};

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		char *copy;

		if (strncmp(r->head, files[i].request,
			    strlen(files[i].request)) != 0)
			continue;
		copy = mem_alloc(files[i].file->len + 1);
		memcpy(copy, files[i].file->data, files[i].file->len);
		reply->type = "application/octet-stream";
		reply->len = files[i].file->len;
		return copy;
	}
	reply->status = 404;
	return mem_str("{\"title\":\"No such thing\"}");
}

static struct run export_to(const char *name, const char *vkey)
{
	CLEANUP(mem_free_p) char *folder = fixture_path(name);

	return RUN("", "evidence", "export", folder, "--url",
		   server_url(server), "--vkey", vkey);
}

static struct run verify(const char *where)
{
	CLEANUP(mem_free_p) char *state = fixture_path("state.json");

	return RUN("", "evidence", "verify", where, "--vkey", log_files.vkey,
		   "--state", state);
}

static struct run verify_folder(const char *name)
{
	CLEANUP(mem_free_p) char *folder = fixture_path(name);

	return verify(folder);
}

static void a_log_that_was_exported_verifies(void **state UNUSED)
{
	CLEANUP(run_clear) struct run e = export_to("log", log_files.vkey);
	CLEANUP(run_clear) struct run again = export_to("log", log_files.vkey);
	CLEANUP(run_clear) struct run v = verify_folder("log");

	assert_int_equal(e.code, CLI_OK);
	assert_int_equal(again.code, CLI_OK);
	assert_int_equal(v.code, CLI_OK);
	assert_non_null(strstr(v.out, "a.example/writ"));
}

static void a_log_is_verified_over_http(void **state UNUSED)
{
	CLEANUP(run_clear) struct run v = verify(server_url(server));

	assert_int_equal(v.code, CLI_OK);
}

static void a_changed_leaf_is_found(void **state UNUSED)
{
	CLEANUP(run_clear) struct run e = export_to("bad", log_files.vkey);
	CLEANUP(mem_free_p)
	char *path = fixture_path("bad/tile/entries/000.p/1");
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);
	CLEANUP(run_clear) struct run v = { 0 };

	assert_int_equal(e.code, CLI_OK);
	assert_int_equal(file_read(path, &b), 0);
	b.data[20] ^= 1;
	assert_int_equal(file_write(path, buf_slice(&b), 0600), 0);
	v = verify_folder("bad");
	assert_int_equal(v.code, CLI_FINDING);
}

static void a_log_with_another_key_is_not_exported(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run e = export_to("other", "a.example/writ+00000000+AAAA");

	assert_int_not_equal(e.code, CLI_OK);
}

static void the_key_is_never_taken_from_the_log(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run v = RUN("", "evidence", "verify", server_url(server));

	assert_int_equal(v.code, CLI_USAGE);
	assert_non_null(strstr(v.err, "--vkey"));
}

static void a_log_nobody_serves_is_not_called_good(void **state UNUSED)
{
	CLEANUP(run_clear) struct run v = verify("unix:/nowhere/socket");

	assert_int_equal(v.code, CLI_UNREACHABLE);
}

static void an_index_that_is_no_number_is_refused(void **state UNUSED)
{
	CLEANUP(run_clear)
	struct run r = RUN("", "evidence", "show", "1/../2", "--url",
			   server_url(server));

	assert_int_equal(r.code, CLI_USAGE);
	assert_non_null(strstr(r.err, "not the index"));
}

static int open_all(void **state UNUSED)
{
	fixture_open();
	make_log();
	server = server_start(NULL, serve, NULL);
	return 0;
}

static int close_all(void **state UNUSED)
{
	server_stop(server);
	buf_clear(&log_files.checkpoint);
	buf_clear(&log_files.tile);
	buf_clear(&log_files.entries);
	fixture_close();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_log_that_was_exported_verifies),
		cmocka_unit_test(a_log_is_verified_over_http),
		cmocka_unit_test(a_changed_leaf_is_found),
		cmocka_unit_test(a_log_with_another_key_is_not_exported),
		cmocka_unit_test(the_key_is_never_taken_from_the_log),
		cmocka_unit_test(a_log_nobody_serves_is_not_called_good),
		cmocka_unit_test(an_index_that_is_no_number_is_refused),
	};

	return cmocka_run_group_tests(tests, open_all, close_all);
}
