#include "keeper/requests.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/frame.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/merkle.h"

enum { LEAVES = 16 };

static char folder[] = "/tmp/test-keeper-XXXXXX";
static struct keeper keeper;

/* Both are wrapped by the linker so that a test can make them fail, and see
 * that they were called before an answer was made. */
static bool sync_fails;
static int syncs;
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);

int __wrap_fsync(int fd)
{
	syncs++;
	return sync_fails ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
	syncs++;
	return sync_fails ? -1 : __real_fdatasync(fd);
}

/* ---- a log of sixteen leaves ---- */

static struct digest leaf_of(uint64_t index)
{
	uint8_t byte = (uint8_t)index;

	return merkle_leaf(slice_of(&byte, 1));
}

static int get_node(void *cookie, unsigned level, uint64_t index,
		    struct digest *ret_node)
{
	struct digest left, right;

	if (level == 0) {
		*ret_node = leaf_of(index);
		return 0;
	}
	TRY(get_node(cookie, level - 1, 2 * index, &left));
	TRY(get_node(cookie, level - 1, 2 * index + 1, &right));
	*ret_node = merkle_node(&left, &right);
	return 0;
}

static struct digest root_of(uint64_t size)
{
	struct merkle_frontier f = { 0 };

	for (uint64_t i = 0; i < size; i++) {
		struct digest leaf = leaf_of(i);

		merkle_frontier_add(&f, &leaf);
	}
	return merkle_frontier_root(&f);
}

/* ---- asking ---- */

static int take_answer(void *cookie, struct slice answer)
{
	json_t **value = cookie;

	return json_parse(answer, FRAME_MAX, value);
}

/* The answer to a message; owned. */
static json_t *answer(const char *body)
{
	const struct slice bodies[] = { slice_str(body) };
	json_t *value = NULL;
	const struct rpc_sink sink = { take_answer, &value };

	assert_int_equal(keeper_answer(&keeper, bodies, 1, &sink), 0);
	return value;
}

static json_t *ask(const char *method, json_t *params)
{
	CLEANUP(json_put_p)
	json_t *request = json_pack("{s:s,s:i,s:s,s:o}", "jsonrpc", "2.0", "id",
				    4, "method", method, "params", params);
	CLEANUP(mem_free_p) char *body = json_canonical(request);
	json_t *value = answer(body);

	assert_int_equal(json_int(value, "id", -1), 4);
	return value;
}

static void expect_reason(json_t *owned, const char *reason)
{
	CLEANUP(json_put_p) json_t *value = owned;
	const json_t *error = json_object_in(value, "error");

	assert_null(json_object_get(value, "result"));
	assert_string_equal(
		json_text(json_object_in(error, "data"), "reason", ""), reason);
}

static json_t *checkpoint_params(uint64_t size, const struct digest *root,
				 const struct merkle_proof *proof)
{
	CLEANUP(mem_free_p) char *text = text_base64(digest_slice(root));
	json_t *params = json_object();
	json_t *nodes = json_array();

	for (unsigned i = 0; i < proof->count; i++) {
		CLEANUP(mem_free_p)
		char *node = text_base64(digest_slice(&proof->nodes[i]));

		json_array_append_new(nodes, json_string(node));
	}
	json_set_int(params, "size", (int64_t)size);
	json_set_text(params, "root", text);
	json_set_new(params, "proof", nodes);
	return params;
}

/* Asks for the checkpoint of the log at size, with the proof from old. */
static json_t *ask_checkpoint(uint64_t old, uint64_t size)
{
	struct digest root = root_of(size);
	struct merkle_proof proof = { 0 };

	if (old > 0 && old < size)
		assert_int_equal(merkle_consistency_prove(get_node, NULL, old,
							  size, &proof),
				 0);
	return ask("checkpoint", checkpoint_params(size, &root, &proof));
}

static void expect_note(json_t *owned, uint64_t size)
{
	CLEANUP(json_put_p) json_t *value = owned;
	const char *note =
		json_text(json_object_in(value, "result"), "note", "");
	struct digest root = root_of(size);
	struct checkpoint head;

	assert_int_equal(
		checkpoint_open(slice_str(note), &keeper.keys->vkey, &head), 0);
	assert_int_equal(head.size, size);
	assert_true(digest_equals(&head.root, &root));
}

static void restart(void)
{
	keeper_clear(&keeper);
	assert_int_equal(keeper_load(folder, &keeper), 0);
}

static int fails_to_load(void)
{
	struct keeper other = { 0 };

	return keeper_load(folder, &other);
}

static char *path_of(const char *name)
{
	return mem_format("%s/%s", folder, name);
}

/* ---- checkpoints ---- */

static void a_growing_log_is_signed_at_each_size(void **state UNUSED)
{
	for (uint64_t size = 1; size < LEAVES; size++)
		expect_note(ask_checkpoint(size - 1, size), size);
}

static void a_log_may_grow_by_many_leaves(void **state UNUSED)
{
	expect_note(ask_checkpoint(0, 5), 5);
	expect_note(ask_checkpoint(5, 16), 16);
}

static void the_same_head_is_signed_again(void **state UNUSED)
{
	expect_note(ask_checkpoint(0, 0), 0);
	expect_note(ask_checkpoint(0, 7), 7);
	expect_note(ask_checkpoint(7, 7), 7);
}

static void a_shorter_log_is_refused_as_rollback(void **state UNUSED)
{
	expect_note(ask_checkpoint(0, 7), 7);
	expect_reason(ask_checkpoint(0, 6), "rollback");
	expect_reason(ask_checkpoint(0, 0), "rollback");
	expect_note(ask_checkpoint(7, 8), 8);
}

static void another_root_at_the_same_size_is_a_fork(void **state UNUSED)
{
	struct digest other = root_of(6);
	struct merkle_proof none = { 0 };

	expect_note(ask_checkpoint(0, 7), 7);
	expect_reason(ask("checkpoint", checkpoint_params(7, &other, &none)),
		      "fork");
	other = root_of(1);
	keeper_clear(&keeper);
	assert_int_equal(keeper_load(folder, &keeper), 0);
	expect_reason(ask("checkpoint", checkpoint_params(7, &other, &none)),
		      "fork");
}

static void a_proof_that_does_not_hold_is_inconsistent(void **state UNUSED)
{
	struct digest root = root_of(12);
	struct merkle_proof proof = { 0 };

	expect_note(ask_checkpoint(0, 7), 7);
	expect_reason(ask("checkpoint", checkpoint_params(12, &root, &proof)),
		      "inconsistent");
	assert_int_equal(
		merkle_consistency_prove(get_node, NULL, 7, 12, &proof), 0);
	for (unsigned i = 0; i < proof.count; i++) {
		proof.nodes[i].bytes[3] ^= 1;
		expect_reason(
			ask("checkpoint", checkpoint_params(12, &root, &proof)),
			"inconsistent");
		proof.nodes[i].bytes[3] ^= 1;
	}
	root.bytes[0] ^= 1;
	expect_reason(ask("checkpoint", checkpoint_params(12, &root, &proof)),
		      "inconsistent");
	/* The proof of another step. */
	expect_reason(ask_checkpoint(6, 12), "inconsistent");
	expect_note(ask_checkpoint(7, 12), 12);
}

static void what_was_signed_is_remembered_across_restarts(void **state UNUSED)
{
	expect_note(ask_checkpoint(0, 7), 7);
	restart();
	expect_reason(ask_checkpoint(0, 6), "rollback");
	expect_reason(ask_checkpoint(0, 8), "inconsistent");
	expect_note(ask_checkpoint(7, 8), 8);
}

static void a_checkpoint_is_on_disk_before_it_leaves(void **state UNUSED)
{
	syncs = 0;
	expect_note(ask_checkpoint(0, 7), 7);
	assert_int_equal(syncs, 1);
	assert_int_equal(keeper.last.head.size, 7);
	restart();
	assert_int_equal(keeper.last.head.size, 7);
}

static void no_signature_leaves_when_the_disk_fails(void **state UNUSED)
{
	sync_fails = true;
	expect_reason(ask_checkpoint(0, 7), "storage");
	sync_fails = false;
	/* What the disk holds is not known any more: nothing is signed. */
	expect_reason(ask_checkpoint(0, 7), "storage");
	restart();
	expect_note(ask_checkpoint(0, 7), 7);
}

/* ---- keys ---- */

static void a_data_key_comes_back_from_its_wrapped_form(void **state UNUSED)
{
	CLEANUP(json_put_p)
	json_t *made = ask("key", json_pack("{s:i}", "count", 3));
	const json_t *result = json_object_in(made, "result");
	const json_t *keys = json_array_in(result, "keys");

	assert_int_equal(json_array_size(keys), 3);
	restart();
	for (size_t i = 0; i < 3; i++) {
		const json_t *row = json_array_get(keys, i);
		CLEANUP(json_put_p)
		json_t *back =
			ask("unwrap",
			    json_pack("{s:I,s:s}", "kek",
				      json_int(result, "kek", 0), "wrapped",
				      json_text(row, "wrapped", "")));

		assert_string_equal(
			json_text(json_object_in(back, "result"), "key", "-"),
			json_text(row, "key", ""));
	}
}

static void a_wrapped_key_of_somebody_else_is_refused(void **state UNUSED)
{
	const char zeros[] = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
			     "AAAAAA==";

	expect_reason(ask("unwrap",
			  json_pack("{s:i,s:s}", "kek", 1, "wrapped", zeros)),
		      "corrupt");
	expect_reason(ask("unwrap",
			  json_pack("{s:i,s:s}", "kek", 2, "wrapped", zeros)),
		      "unknown-kek");
}

/* ---- the surface ---- */

static void hello_tells_the_origin_and_the_last_checkpoint(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *before = ask("hello", json_object());
	const json_t *result = json_object_in(before, "result");
	struct note_vkey vkey;

	assert_string_equal(json_text(result, "origin", ""),
			    "writ.example/log");
	assert_int_equal(note_vkey_parse(json_text(result, "vkey", ""), &vkey),
			 0);
	assert_int_equal(json_int(result, "kek", 0), 1);
	assert_int_equal(json_int(json_object_in(result, "last"), "size", -1),
			 0);
	expect_note(ask_checkpoint(0, 7), 7);
	restart();
	json_decref(before);
	before = ask("hello", json_object());
	result = json_object_in(before, "result");
	assert_int_equal(json_int(json_object_in(result, "last"), "size", -1),
			 7);
}

static void malformed_requests_are_refused(void **state UNUSED)
{
	static const struct {
		const char *method;
		const char *params;
	} rows[] = {
		{ "sign", "{}" },
		{ "hello", "{\"x\":1}" },
		{ "key", "{}" },
		{ "key", "{\"count\":0}" },
		{ "key", "{\"count\":65}" },
		{ "key", "{\"count\":\"1\"}" },
		{ "unwrap", "{\"kek\":1}" },
		{ "unwrap", "{\"kek\":1,\"wrapped\":\"AAAA\"}" },
		{ "checkpoint", "{\"size\":1}" },
		{ "checkpoint", "{\"size\":-1,\"root\":\"\",\"proof\":[]}" },
		{ "checkpoint", "{\"size\":1,\"root\":\"!AAAAAAAAAAAAAAAAAAAAAA"
				"AAAAAAAAAAAAAAAAAAAA=\",\"proof\":[]}" },
		{ "checkpoint", "{\"size\":1,\"root\":\"AAAAAAAAAAAAAAAAAAAAAAA"
				"AAAAAAAAAAAAAAAAAAAA=\",\"proof\":[7]}" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		expect_reason(ask(rows[i].method,
				  json_loads(rows[i].params, 0, NULL)),
			      "malformed");
	expect_reason(answer(""), "malformed");
	expect_reason(answer("{"), "malformed");
	expect_reason(answer("[]"), "malformed");
	expect_reason(answer("{\"jsonrpc\":\"2.0\",\"method\":\"hello\"}"),
		      "malformed");
	expect_reason(answer("{\"jsonrpc\":\"2.0\",\"method\":\"hello\","
			     "\"id\":1,\"x\":1}"),
		      "malformed");
}

static void oversize_requests_are_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *spaces = mem_alloc(64 * 1024 + 2);
	CLEANUP(mem_free_p) char *body = NULL;
	json_t *nodes = json_array();

	memset(spaces, ' ', 1024);
	body = mem_format("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":"
			  "\"hello\"%s}",
			  spaces);
	expect_reason(answer(body), "too-large");
	memset(spaces, ' ', 64 * 1024 + 1);
	expect_reason(answer(spaces), "too-large");
	for (int i = 0; i < 65; i++)
		json_array_append_new(
			nodes,
			json_string("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
				    "AAAAAAA="));
	expect_reason(
		ask("checkpoint",
		    json_pack("{s:i,s:s,s:o}", "size", 1, "root",
			      "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
			      "proof", nodes)),
		"malformed");
}

/* ---- the folder ---- */

static void keys_without_a_memory_are_refused(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *path = path_of("last");

	expect_note(ask_checkpoint(0, 7), 7);
	keeper_clear(&keeper);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(fails_to_load(), ERR_NOT_FOUND);
	/* Nor does a new beginning hide it. */
	assert_int_equal(keeper_init(folder, "writ.example/log"), ERR_BUSY);
}

/* Where the parts of the file are; keeper/slots.h. */
enum {
	SECTOR = 512,
	SLOT_AT = 4096,
	FILE_LEN = 2 * SLOT_AT,
};

static void read_memory(struct buf *b)
{
	CLEANUP(mem_free_p) char *path = path_of("last");

	buf_reset(b);
	assert_int_equal(file_read(path, b), 0);
	assert_int_equal(b->len, FILE_LEN);
}

static void write_memory(struct slice bytes)
{
	CLEANUP(mem_free_p) char *path = path_of("last");

	assert_int_equal(file_write(path, bytes, 0600), 0);
}

/* Flips a bit of each byte of both slots in turn. */
static void expect_damage_seen(struct buf *file)
{
	for (size_t i = 0; i < FILE_LEN; i++) {
		if (i % SLOT_AT >= 2 * SECTOR)
			continue;
		file->data[i] ^= 1;
		write_memory(buf_slice(file));
		assert_int_equal(fails_to_load(), ERR_CORRUPT);
		file->data[i] ^= 1;
	}
}

static void a_damaged_memory_is_refused(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf file = BUF_INIT(FILE_LEN);

	expect_note(ask_checkpoint(0, 7), 7);
	expect_note(ask_checkpoint(7, 9), 9);
	keeper_clear(&keeper);
	read_memory(&file);
	expect_damage_seen(&file);
	write_memory(slice_str(""));
	assert_int_equal(fails_to_load(), ERR_CORRUPT);
	write_memory(slice_of(file.data, FILE_LEN - 1));
	assert_int_equal(fails_to_load(), ERR_CORRUPT);
	write_memory(slice_of(file.data, SLOT_AT));
	assert_int_equal(fails_to_load(), ERR_CORRUPT);
}

static void slots_that_do_not_follow_each_other_are_refused(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf before = BUF_INIT(FILE_LEN);
	CLEANUP(buf_clear) struct buf after = BUF_INIT(FILE_LEN);

	expect_note(ask_checkpoint(0, 7), 7);
	read_memory(&before);
	for (uint64_t size = 8; size < 12; size++)
		expect_note(ask_checkpoint(size - 1, size), size);
	keeper_clear(&keeper);
	read_memory(&after);
	/* One slot of an older copy of the file. */
	memcpy(after.data, before.data, SLOT_AT);
	write_memory(buf_slice(&after));
	assert_int_equal(fails_to_load(), ERR_CORRUPT);
	/* The newer one twice. */
	read_memory(&after);
	memcpy(after.data, after.data + SLOT_AT, SLOT_AT);
	write_memory(buf_slice(&after));
	assert_int_equal(fails_to_load(), ERR_CORRUPT);
}

static void a_torn_write_leaves_what_was_told_before(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf before = BUF_INIT(FILE_LEN);
	CLEANUP(buf_clear) struct buf after = BUF_INIT(FILE_LEN);

	for (int sector = 0; sector < 2; sector++) {
		uint64_t size = 7 + 2 * (uint64_t)sector;
		size_t slot;

		expect_note(ask_checkpoint(size == 7 ? 0 : size - 1, size),
			    size);
		read_memory(&before);
		expect_note(ask_checkpoint(size, size + 1), size + 1);
		slot = keeper.last.slots.sequence % 2 * SLOT_AT;
		keeper_clear(&keeper);
		read_memory(&after);
		/* Only this sector of the last write came to the disk. */
		memcpy(before.data + slot + (size_t)sector * SECTOR,
		       after.data + slot + (size_t)sector * SECTOR, SECTOR);
		write_memory(buf_slice(&before));
		assert_int_equal(keeper_load(folder, &keeper), 0);
		assert_int_equal(keeper.last.head.size, size);
		/* It goes on from there. */
		expect_note(ask_checkpoint(size, size + 1), size + 1);
		restart();
		assert_int_equal(keeper.last.head.size, size + 1);
	}
}

static void a_memory_of_an_earlier_version_is_taken_over(void **state UNUSED)
{
	CLEANUP(json_put_p) json_t *value = ask_checkpoint(0, 7);
	CLEANUP(mem_free_p)
	char *note =
		mem_str(json_text(json_object_in(value, "result"), "note", ""));
	CLEANUP(buf_clear) struct buf file = BUF_INIT(FILE_LEN);

	keeper_clear(&keeper);
	write_memory(slice_str(note));
	assert_int_equal(keeper_load(folder, &keeper), 0);
	assert_int_equal(keeper.last.head.size, 7);
	read_memory(&file);
	expect_reason(ask_checkpoint(0, 6), "rollback");
	expect_note(ask_checkpoint(7, 8), 8);
	restart();
	assert_int_equal(keeper.last.head.size, 8);
	/* A damaged one is not. */
	keeper_clear(&keeper);
	for (size_t i = 0; note[i]; i++) {
		note[i] ^= 1;
		write_memory(slice_str(note));
		assert_int_equal(fails_to_load(), ERR_CORRUPT);
		note[i] ^= 1;
	}
}

static void a_second_keeper_is_kept_out(void **state UNUSED)
{
	assert_int_equal(fails_to_load(), ERR_BUSY);
	assert_int_equal(keeper_init(folder, "writ.example/log"), ERR_BUSY);
}

static void keys_are_for_their_owner_only(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *keys = path_of("keys.json");
	CLEANUP(mem_free_p) char *last = path_of("last");
	struct stat status;

	assert_int_equal(stat(keys, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
	assert_int_equal(stat(last, &status), 0);
	assert_int_equal(status.st_mode & 07777, 0600);
}

static void damaged_keys_are_refused(void **state UNUSED)
{
	static const char *const damaged[] = {
		"",
		"{}",
		"{\"v\":1,\"origin\":\"o\",\"log\":\"\",\"keks\":[]}",
		"{\"v\":2}",
	};
	CLEANUP(mem_free_p) char *keys = path_of("keys.json");

	keeper_clear(&keeper);
	for (size_t i = 0; i < ARRAY_LEN(damaged); i++) {
		assert_int_equal(file_write(keys, slice_str(damaged[i]), 0600),
				 0);
		assert_int_equal(fails_to_load(), ERR_CORRUPT);
	}
}

static void an_origin_that_no_note_can_bear_is_refused(void **state UNUSED)
{
	static const char *const bad[] = { "", "a b", "a+b", "a\nb" };
	CLEANUP(mem_free_p) char *keys = path_of("keys.json");
	CLEANUP(mem_free_p) char *last = path_of("last");
	CLEANUP(mem_free_p) char *issued = path_of("issued");

	keeper_clear(&keeper);
	discard(unlink(keys));
	discard(unlink(last));
	discard(unlink(issued));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(keeper_init(folder, bad[i]), ERR_SYNTAX);
	assert_false(file_exists(keys));
}

static int stale(void **state UNUSED)
{
	static const char *const names[] = { "keys.json", "keys.json.new",
					     "last",	  "last.new",
					     "issued",	  "issued.new" };

	keeper_clear(&keeper);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p) char *path = path_of(names[i]);

		discard(unlink(path));
	}
	return 0;
}

static int fresh(void **state UNUSED)
{
	keeper = (struct keeper){ .last.slots.fd = -1,
				  .issued.slots.fd = -1,
				  .lock_fd = -1 };
	sync_fails = false;
	TRY(keeper_init(folder, "writ.example/log"));
	return keeper_load(folder, &keeper);
}

static int set_up(void **state UNUSED)
{
	assert_non_null(mkdtemp(folder));
	return 0;
}

static int tear_down(void **state UNUSED)
{
	return rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, stale)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_growing_log_is_signed_at_each_size),
		TEST(a_log_may_grow_by_many_leaves),
		TEST(the_same_head_is_signed_again),
		TEST(a_shorter_log_is_refused_as_rollback),
		TEST(another_root_at_the_same_size_is_a_fork),
		TEST(a_proof_that_does_not_hold_is_inconsistent),
		TEST(what_was_signed_is_remembered_across_restarts),
		TEST(a_checkpoint_is_on_disk_before_it_leaves),
		TEST(no_signature_leaves_when_the_disk_fails),
		TEST(a_data_key_comes_back_from_its_wrapped_form),
		TEST(a_wrapped_key_of_somebody_else_is_refused),
		TEST(hello_tells_the_origin_and_the_last_checkpoint),
		TEST(malformed_requests_are_refused),
		TEST(oversize_requests_are_refused),
		TEST(keys_without_a_memory_are_refused),
		TEST(a_damaged_memory_is_refused),
		TEST(slots_that_do_not_follow_each_other_are_refused),
		TEST(a_torn_write_leaves_what_was_told_before),
		TEST(a_memory_of_an_earlier_version_is_taken_over),
		TEST(a_second_keeper_is_kept_out),
		TEST(keys_are_for_their_owner_only),
		TEST(damaged_keys_are_refused),
		TEST(an_origin_that_no_note_can_bear_is_refused),
	};

	keys_wipe_json();
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
