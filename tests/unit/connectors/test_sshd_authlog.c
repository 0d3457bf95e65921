#include "connectors/sshd/authlog.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"

#define TIME "2026-11-23T10:00:01.120Z"
#define ACCEPTED "Accepted publickey for deploy from 127.0.0.1 port 4021 "
#define CERTIFICATE "ssh2: ED25519-CERT SHA256:aAbB ID "
#define SIGNED " (serial 41) CA ED25519 SHA256:cCdD"

static void expect_slice(struct slice is, const char *text)
{
	if (!slice_is(is, text))
		fail_msg("'%.*s' is not '%s'", (int)is.len,
			 (const char *)is.ptr, text);
}

/* ---- lines ---- */

static void lines_are_taken_one_after_the_other(void **state UNUSED)
{
	struct slice text = slice_str(
		TIME
		" build-1 sshd[77]: one\n" TIME " build-1 cron[8]: two\n"
		"2026-11-23T12:00:02+02:00 build-2 sshd-session[9]: three\n");
	struct authlog_line line;

	assert_int_equal(authlog_next(&text, &line), AUTHLOG_SSHD);
	expect_slice(line.host, "build-1");
	expect_slice(line.message, "one");
	assert_int_equal(line.at_ms % 1000, 120);
	assert_int_equal(authlog_next(&text, &line), AUTHLOG_OTHER);
	assert_int_equal(authlog_next(&text, &line), AUTHLOG_SSHD);
	expect_slice(line.host, "build-2");
	expect_slice(line.message, "three");
	assert_int_equal(authlog_next(&text, &line), AUTHLOG_END);
}

static void what_is_no_whole_line_waits(void **state UNUSED)
{
	static const char *const parts[] = { "", "2026",
					     TIME " build-1 sshd[77]: one" };

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		struct slice text = slice_str(parts[i]);
		struct authlog_line line;

		assert_int_equal(authlog_next(&text, &line), AUTHLOG_END);
		assert_int_equal(text.len, strlen(parts[i]));
	}
}

static void
lines_of_others_and_without_a_time_are_told_apart(void **state UNUSED)
{
	static const struct {
		const char *line;
		enum authlog_kind kind;
	} rows[] = {
		{ "\n", AUTHLOG_ODD },
		{ " \n", AUTHLOG_ODD },
		{ "build-1 sshd[77]: one\n", AUTHLOG_ODD },
		{ "Nov 23 10:00:01 build-1 sshd[77]: one\n", AUTHLOG_ODD },
		{ "2026-11-31T10:00:01Z build-1 sshd[77]: one\n", AUTHLOG_ODD },
		{ TIME "\n", AUTHLOG_ODD },
		{ TIME TIME TIME " build-1 sshd[77]: one\n", AUTHLOG_ODD },
		{ TIME " \n", AUTHLOG_OTHER },
		{ TIME " build-1\n", AUTHLOG_OTHER },
		{ TIME " build-1 sshd: one\n", AUTHLOG_OTHER },
		{ TIME " build-1 sshd[77 one\n", AUTHLOG_OTHER },
		{ TIME " build-1 sshd[77]one\n", AUTHLOG_OTHER },
		{ TIME " build-1 not-sshd[77]: one\n", AUTHLOG_OTHER },
		{ TIME " build-1  sshd[77]: one\n", AUTHLOG_OTHER },
		{ TIME " build-1 sshd[]: \n", AUTHLOG_SSHD },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice text = slice_str(rows[i].line);
		struct authlog_line line;

		if (authlog_next(&text, &line) != rows[i].kind)
			fail_msg("line: %s", rows[i].line);
		assert_int_equal(text.len, 0);
	}
}

static void a_line_with_a_nul_is_odd(void **state UNUSED)
{
	static const char bytes[] = TIME " build-1\0x sshd[77]: one\n";
	struct slice text = slice_of(bytes, sizeof(bytes) - 1);
	struct authlog_line line;

	assert_int_equal(authlog_next(&text, &line), AUTHLOG_ODD);
	assert_int_equal(text.len, 0);
}

static void a_huge_line_is_one_line(void **state UNUSED)
{
	static const char head[] =
		TIME " build-1 sshd[77]: " ACCEPTED CERTIFICATE;
	size_t size = (size_t)4 << 20;
	CLEANUP(mem_free_p) char *bytes = mem_alloc(size);
	struct slice text = slice_of(bytes, size);
	struct slice peer = { 0 };
	struct slice key_id = { 0 };
	struct authlog_line line;

	memset(bytes, ' ', size);
	memcpy(bytes, head, sizeof(head) - 1);
	bytes[size - 1] = '\n';
	assert_int_equal(authlog_next(&text, &line), AUTHLOG_SSHD);
	assert_int_equal(authlog_read(line.message, &peer, &key_id),
			 AUTHLOG_LOGIN);
	assert_int_equal(key_id.len, 0);
	assert_int_equal(authlog_next(&text, &line), AUTHLOG_END);
}

/* ---- messages ---- */

static void what_a_certificate_did_is_read(void **state UNUSED)
{
	static const struct {
		const char *message;
		enum authlog_event event;
		const char *peer;
		const char *key_id;
	} rows[] = {
		{ ACCEPTED CERTIFICATE "tsk_1/crd_2" SIGNED, AUTHLOG_LOGIN,
		  "127.0.0.1 port 4021", "tsk_1/crd_2" },
		/* Keys and passwords of people. */
		{ ACCEPTED "ssh2: ED25519 SHA256:aAbB", AUTHLOG_LOGIN,
		  "127.0.0.1 port 4021", "" },
		{ "Accepted password for bob from ::1 port 9 ssh2",
		  AUTHLOG_LOGIN, "::1 port 9", "" },
		{ "Accepted keyboard-interactive/pam for bob from ::1 port 9 "
		  "ssh2",
		  AUTHLOG_LOGIN, "::1 port 9", "" },
		{ "Starting session: shell on pts/0 for bob from fe80::1%eth0 "
		  "port 9 id 0",
		  AUTHLOG_SHELL, "fe80::1%eth0 port 9", NULL },
		{ "Starting session: shell for bob from ::1 port 9 id 0",
		  AUTHLOG_SHELL, "::1 port 9", NULL },
		{ "Starting session: command for bob from ::1 port 9 id 3",
		  AUTHLOG_EXEC, "::1 port 9", NULL },
		{ "Starting session: command on pts/1 for bob from ::1 port 9 "
		  "id 3",
		  AUTHLOG_EXEC, "::1 port 9", NULL },
		{ "Starting session: forced-command (key-option) 'a from b "
		  "port 1' for bob from ::1 port 9 id 3",
		  AUTHLOG_EXEC, "::1 port 9", NULL },
		{ "Starting session: subsystem 'sftp' for bob from ::1 port 9 "
		  "id 0",
		  AUTHLOG_SFTP, "::1 port 9", NULL },
		{ "Starting session: subsystem 'netconf' for bob from ::1 port "
		  "9 id 0",
		  AUTHLOG_SUBSYSTEM, "::1 port 9", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice peer = { 0 };
		struct slice key_id = { 0 };

		if (authlog_read(slice_str(rows[i].message), &peer, &key_id) !=
		    rows[i].event)
			fail_msg("message: %s", rows[i].message);
		expect_slice(peer, rows[i].peer);
		if (rows[i].key_id)
			expect_slice(key_id, rows[i].key_id);
	}
}

static void a_key_id_is_taken_whole_whatever_it_says(void **state UNUSED)
{
	static const char *const ids[] = {
		"tsk_1/crd_2 (serial 41) CA ED25519 SHA256:cCdD",
		" (serial ",
		"a from 10.0.0.1 port 1 ssh2: ED25519-CERT SHA256:x ID b",
		"two words",
		"",
	};

	for (size_t i = 0; i < ARRAY_LEN(ids); i++) {
		CLEANUP(mem_free_p)
		char *message =
			mem_format(ACCEPTED CERTIFICATE "%s" SIGNED, ids[i]);
		struct slice peer = { 0 };
		struct slice key_id = { 0 };

		assert_int_equal(
			authlog_read(slice_str(message), &peer, &key_id),
			AUTHLOG_LOGIN);
		expect_slice(peer, "127.0.0.1 port 4021");
		expect_slice(key_id, ids[i]);
	}
}

static void a_user_name_does_not_move_the_peer(void **state UNUSED)
{
	struct slice message = slice_str(
		"Accepted publickey for a from 10.0.0.1 port 22 from ::1 port "
		"9 " CERTIFICATE "tsk_1/crd_2" SIGNED);
	struct slice peer = { 0 };
	struct slice key_id = { 0 };

	assert_int_equal(authlog_read(message, &peer, &key_id), AUTHLOG_LOGIN);
	expect_slice(peer, "::1 port 9");
	expect_slice(key_id, "tsk_1/crd_2");
}

static void other_messages_tell_nothing(void **state UNUSED)
{
	static const char *const messages[] = {
		"",
		"Accepted ",
		"Accepted publickey",
		"Accepted publickey for ",
		"Accepted publickey for deploy",
		"Accepted publickey for deploy from ",
		"Accepted publickey for deploy from port 9 ssh2",
		"Accepted certificate ID \"a\" (serial 0) signed by ED25519 CA",
		"Accepted key ED25519 SHA256:aAbB found at /x:1",
		("Failed publickey for Accepted publickey for a from ::1 port "
		 "9 ssh2: ED25519-CERT SHA256:a ID tsk_1/crd_2 (serial 1) CA "
		 "b c"),
		"Invalid user Starting session: command for a from ::1 port 9",
		"Starting session: ",
		"Starting session: nothing for a from ::1 port 9 id 0",
		"Starting session: command for a",
		"Starting session: command for a from ",
		"Starting session: command for a from  port ",
		"Connection closed by ::1 port 9",
	};

	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		struct slice peer = { 0 };
		struct slice key_id = { 0 };

		if (authlog_read(slice_str(messages[i]), &peer, &key_id) !=
		    AUTHLOG_NOTHING)
			fail_msg("message: %s", messages[i]);
		assert_null(peer.ptr);
	}
}

static void a_certificate_without_its_serial_is_nobodys(void **state UNUSED)
{
	static const char *const messages[] = {
		ACCEPTED "ssh2: ED25519-CERT",
		ACCEPTED "ssh2: ED25519-CERT SHA256:aAbB",
		ACCEPTED "ssh2: ED25519-CERT SHA256:aAbB ID",
		ACCEPTED CERTIFICATE,
		ACCEPTED CERTIFICATE "tsk_1/crd_2",
		ACCEPTED CERTIFICATE "tsk_1/crd_2 (serial",
		ACCEPTED "ssh2: ED25519 SHA256:aAbB ID tsk_1/crd_2" SIGNED,
	};

	for (size_t i = 0; i < ARRAY_LEN(messages); i++) {
		struct slice peer = { 0 };
		struct slice key_id = slice_str("before");

		assert_int_equal(
			authlog_read(slice_str(messages[i]), &peer, &key_id),
			AUTHLOG_LOGIN);
		assert_int_equal(key_id.len, 0);
	}
}

static void each_event_has_a_word(void **state UNUSED)
{
	assert_string_equal(authlog_event_name(AUTHLOG_LOGIN), "login");
	assert_string_equal(authlog_event_name(AUTHLOG_SUBSYSTEM), "subsystem");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_are_taken_one_after_the_other),
		cmocka_unit_test(what_is_no_whole_line_waits),
		cmocka_unit_test(
			lines_of_others_and_without_a_time_are_told_apart),
		cmocka_unit_test(a_line_with_a_nul_is_odd),
		cmocka_unit_test(a_huge_line_is_one_line),
		cmocka_unit_test(what_a_certificate_did_is_read),
		cmocka_unit_test(a_key_id_is_taken_whole_whatever_it_says),
		cmocka_unit_test(a_user_name_does_not_move_the_peer),
		cmocka_unit_test(other_messages_tell_nothing),
		cmocka_unit_test(a_certificate_without_its_serial_is_nobodys),
		cmocka_unit_test(each_event_has_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
