/* Certificates and revocation lists are read by the stock ssh-keygen; a real
 * sshd takes and refuses them in tests/integration/test_credentials.py. */
#include "cmocka_first.h"

#include "crypto/sshcert.h"
#include "crypto/sshkrl.h"

#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/text.h"

enum { OUTPUT_MAX = 64 * 1024 };

static char folder[] = "/tmp/test-sshcert-XXXXXX";
static struct sshcert_authority *authority;

static char *path_of(const char *name)
{
	return mem_format("%s/%s", folder, name);
}

static void write_text(const char *name, struct slice text)
{
	CLEANUP(mem_free_p) char *path = path_of(name);

	assert_int_equal(file_write(path, text, 0600), 0);
}

/* Runs a command in the folder; its exit status, and what it printed. */
static int run(const char *command, struct buf *out)
{
	CLEANUP(mem_free_p)
	char *line = mem_format("cd %s && %s 2>&1", folder, command);
	FILE *pipe = popen(line, "r");
	char part[1024];
	size_t got;

	assert_non_null(pipe);
	do {
		got = fread(part, 1, sizeof(part), pipe);
		buf_put(out, slice_of(part, got));
	} while (got > 0);
	return WEXITSTATUS(pclose(pipe));
}

/* A key pair "key" of a type in the folder. */
static struct ssh_key make_key(const char *type)
{
	CLEANUP(mem_free_p)
	char *command = mem_format("rm -f key key.pub && ssh-keygen -q -t %s "
				   "-N '' -C c -f key",
				   type);
	CLEANUP(mem_free_p) char *path = path_of("key.pub");
	CLEANUP(buf_clear) struct buf out = BUF_INIT(OUTPUT_MAX);
	CLEANUP(buf_clear) struct buf line = BUF_INIT(SSHSIG_KEY_MAX);
	struct ssh_key key;

	assert_int_equal(run(command, &out), 0);
	assert_int_equal(file_read(path, &line), 0);
	assert_int_equal(ssh_key_parse(buf_text(&line), &key), 0);
	return key;
}

static const char *const principals[] = { "app", "deploy" };

static struct sshcert plain_cert(const struct ssh_key *key)
{
	return (struct sshcert){
		.key = key,
		.serial = 41,
		.id = "tsk_1/crd_1",
		.principals = principals,
		.principal_count = 2,
		.valid_after = 1795000000,
		.valid_before = 1795000300,
	};
}

/* Signs and has ssh-keygen print it. */
static void print_cert(const struct sshcert *cert, struct buf *out)
{
	CLEANUP(buf_clear) struct buf line = BUF_INIT(SSHCERT_LINE_MAX);

	assert_int_equal(sshcert_sign(authority, cert, &line), 0);
	write_text("key-cert.pub", buf_slice(&line));
	buf_reset(out);
	assert_int_equal(run("TZ=UTC ssh-keygen -L -f key-cert.pub", out), 0);
}

static void expect_text(const struct buf *out, const char *text)
{
	if (!strstr(buf_text(out), text))
		fail_msg("no \"%s\" in:\n%s", text, buf_text(out));
}

static void ssh_keygen_reads_what_a_certificate_says(void **state UNUSED)
{
	static const char *const kinds[] = { "ed25519", "ecdsa" };
	CLEANUP(buf_clear) struct buf out = BUF_INIT(OUTPUT_MAX);
	CLEANUP(mem_free_p) char *signer = NULL;
	struct ssh_key ca;

	assert_int_equal(ssh_key_parse(sshcert_authority_line(authority), &ca),
			 0);
	signer = ssh_key_fingerprint(&ca);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		struct ssh_key key = make_key(kinds[i]);
		struct sshcert cert = plain_cert(&key);

		print_cert(&cert, &out);
		expect_text(&out, "user certificate");
		expect_text(&out, signer);
		expect_text(&out, "Key ID: \"tsk_1/crd_1\"");
		expect_text(&out, "Serial: 41");
		expect_text(&out, "from 2026-11-18T11:06:40 to "
				  "2026-11-18T11:11:40");
		expect_text(&out,
			    "                app\n                deploy");
		expect_text(&out, "Critical Options: (none)");
		expect_text(&out, "Extensions: (none)");
	}
}

static void options_and_extensions_stand_in_it(void **state UNUSED)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(OUTPUT_MAX);
	struct ssh_key key = make_key("ed25519");
	struct sshcert cert = plain_cert(&key);

	cert.command = "/usr/bin/true --now";
	cert.sources = "10.0.0.0/8,192.0.2.7,2001:db8::/32,::1";
	cert.permits = SSHCERT_PTY | SSHCERT_X11_FORWARDING |
		       SSHCERT_PORT_FORWARDING | SSHCERT_AGENT_FORWARDING |
		       SSHCERT_USER_RC;
	print_cert(&cert, &out);
	expect_text(&out, "force-command /usr/bin/true --now");
	expect_text(&out,
		    "source-address 10.0.0.0/8,192.0.2.7,2001:db8::/32,::1");
	expect_text(&out, "permit-X11-forwarding\n"
			  "                permit-agent-forwarding\n"
			  "                permit-port-forwarding\n"
			  "                permit-pty\n"
			  "                permit-user-rc");
}

static void words_for_what_is_permitted_are_known(void **state UNUSED)
{
	assert_int_equal(sshcert_permit_find("pty"), SSHCERT_PTY);
	assert_int_equal(sshcert_permit_find("user-rc"), SSHCERT_USER_RC);
	assert_int_equal(sshcert_permit_find("permit-pty"), 0);
	assert_int_equal(sshcert_permit_find(""), 0);
}

static int sign_it(const struct sshcert *cert)
{
	CLEANUP(buf_clear) struct buf line = BUF_INIT(SSHCERT_LINE_MAX);

	return sshcert_sign(authority, cert, &line);
}

static void a_certificate_for_anybody_is_refused(void **state UNUSED)
{
	static const char *const bad[] = { "",	  "a,b",  "a b",
					   "a\n", "\x80", "\"a\"" };
	struct ssh_key key = make_key("ed25519");
	struct sshcert cert = plain_cert(&key);

	cert.principal_count = 0;
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	cert.principal_count = SSHCERT_PRINCIPALS_MAX + 1;
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		cert.principals = &bad[i];
		cert.principal_count = 1;
		assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	}
}

static void what_sshd_would_not_take_is_not_signed(void **state UNUSED)
{
	static const char *const sources[] = {
		"",
		"10.0.0.0/8,",
		"10.0.0.1/8",
		"10.0.0.0/33",
		"10.0.0.0/",
		"10.0.0.0/08",
		"host",
		"::/129",
		"10.0.0.0/8 ",
		"!10.0.0.0/8",
		"10.*",
	};
	struct ssh_key key = make_key("ed25519");
	struct sshcert cert = plain_cert(&key);

	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		cert.sources = sources[i];
		assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	}
	cert = plain_cert(&key);
	cert.command = "";
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	cert.command = "a\nb";
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	cert = plain_cert(&key);
	cert.id = "a\nb";
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	cert = plain_cert(&key);
	cert.valid_before = cert.valid_after;
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	cert.valid_before = 9;
	cert.valid_after = -1;
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
	cert = plain_cert(&key);
	cert.serial = 0;
	assert_int_equal(sign_it(&cert), ERR_SYNTAX);
}

/* ---- revocation ---- */

static int format(const uint64_t *serials, size_t count)
{
	CLEANUP(buf_clear) struct buf list = BUF_INIT(32 << 20);
	const char *line = sshcert_authority_line(authority);
	struct sshkrl krl = {
		.authorities = &line,
		.authority_count = 1,
		.version = 7,
		.made = 1795000000,
		.serials = serials,
		.count = count,
	};

	TRY(sshkrl_format(&krl, &list));
	write_text("krl", buf_slice(&list));
	return 0;
}

/* Whether ssh-keygen finds the certificate of a serial revoked. */
static bool is_revoked(const struct ssh_key *key, uint64_t serial)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(OUTPUT_MAX);
	struct sshcert cert = plain_cert(key);
	int status;

	cert.serial = serial;
	print_cert(&cert, &out);
	buf_reset(&out);
	status = run("ssh-keygen -Q -f krl key-cert.pub", &out);
	if (status == 0)
		expect_text(&out, ": ok");
	else
		expect_text(&out, "REVOKED");
	return status != 0;
}

static void revoked_serials_are_refused_and_no_others(void **state UNUSED)
{
	static const uint64_t serials[] = { 1,	5,  6,	 7,   8,   9,
					    20, 22, 100, 101, 102, 1ULL << 40 };
	static const uint64_t others[] = { 2, 4, 10, 19, 21, 23, 99, 103 };
	struct ssh_key key = make_key("ed25519");

	assert_int_equal(format(serials, ARRAY_LEN(serials)), 0);
	for (size_t i = 0; i < ARRAY_LEN(serials); i++)
		assert_true(is_revoked(&key, serials[i]));
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		assert_false(is_revoked(&key, others[i]));
}

static void an_empty_list_revokes_nothing(void **state UNUSED)
{
	struct ssh_key key = make_key("ed25519");

	assert_int_equal(format(NULL, 0), 0);
	assert_false(is_revoked(&key, 1));
}

static void a_list_of_another_authority_revokes_nothing(void **state UNUSED)
{
	static const uint64_t serials[] = { 41 };
	struct ssh_key key = make_key("ed25519");
	struct sshcert_authority *ours = authority;
	uint8_t seed[SSHCERT_SEED_LEN] = { 9 };

	assert_int_equal(sshcert_authority_new(seed, &authority), 0);
	assert_int_equal(format(serials, 1), 0);
	sshcert_authority_free(authority);
	authority = ours;
	assert_false(is_revoked(&key, 41));
}

static void serials_out_of_order_are_refused(void **state UNUSED)
{
	static const uint64_t bad[][2] = { { 0, 1 }, { 2, 1 }, { 3, 3 } };

	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(format(bad[i], 2), ERR_SYNTAX);
	assert_int_equal(format(bad[0], (size_t)SSHKRL_SERIALS_MAX + 1),
			 ERR_LIMIT);
}

static void as_many_as_may_be_fit(void **state UNUSED)
{
	uint64_t *serials = mem_array(SSHKRL_SERIALS_MAX, sizeof(*serials));

	/* Runs that are just long enough to be ranges. */
	for (size_t i = 0; i < SSHKRL_SERIALS_MAX; i++)
		serials[i] = 1 + i + i / 4;
	assert_int_equal(format(serials, SSHKRL_SERIALS_MAX), 0);
	for (size_t i = 0; i < SSHKRL_SERIALS_MAX; i++)
		serials[i] = 1 + 2 * i;
	assert_int_equal(format(serials, SSHKRL_SERIALS_MAX), 0);
	free(serials);
}

static int set_up(void **state UNUSED)
{
	uint8_t seed[SSHCERT_SEED_LEN] = { 5 };

	assert_non_null(mkdtemp(folder));
	return sshcert_authority_new(seed, &authority);
}

static int tear_down(void **state UNUSED)
{
	static const char *const names[] = { "key", "key.pub", "key-cert.pub",
					     "krl" };

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		CLEANUP(mem_free_p) char *path = path_of(names[i]);

		discard(unlink(path));
	}
	sshcert_authority_free(authority);
	return rmdir(folder);
}

static void a_list_revokes_for_each_of_its_authorities(void **state UNUSED)
{
	static const uint64_t serial = 41;
	CLEANUP(buf_clear) struct buf list = BUF_INIT(1 << 16);
	CLEANUP(sshcert_authority_free_p)
	struct sshcert_authority *other = NULL;
	uint8_t seed[SSHCERT_SEED_LEN] = { 9 };
	const char *lines[2];
	struct sshkrl krl = { .authorities = lines,
			      .authority_count = 2,
			      .version = 9,
			      .serials = &serial,
			      .count = 1 };
	struct ssh_key key = make_key("ed25519");
	uint64_t version = 0;
	unsigned count = 0;

	assert_int_equal(sshcert_authority_new(seed, &other), 0);
	lines[0] = sshcert_authority_line(other);
	lines[1] = sshcert_authority_line(authority);
	assert_int_equal(sshkrl_format(&krl, &list), 0);
	assert_int_equal(sshkrl_check(buf_slice(&list), &version, &count), 0);
	assert_int_equal(version, 9);
	assert_int_equal(count, 2);
	write_text("krl", buf_slice(&list));
	assert_true(is_revoked(&key, 41));
	assert_false(is_revoked(&key, 42));
}

/* Also whatever is left of it when it is cut anywhere. */
static void a_list_that_is_not_whole_is_found(void **state UNUSED)
{
	static const uint64_t serials[] = { 1, 5, 6, 7, 8, 9, 20 };
	CLEANUP(buf_clear) struct buf list = BUF_INIT(1 << 16);
	const char *line = sshcert_authority_line(authority);
	struct sshkrl krl = { .authorities = &line,
			      .authority_count = 1,
			      .version = 3,
			      .serials = serials,
			      .count = ARRAY_LEN(serials) };
	uint64_t version = 0;
	unsigned count = 0;

	assert_int_equal(sshkrl_format(&krl, &list), 0);
	assert_int_equal(sshkrl_check(buf_slice(&list), &version, &count), 0);
	assert_int_equal(version, 3);
	for (size_t len = 0; len < list.len; len++) {
		struct slice cut = slice_of(list.data, len);

		/* Before the first section it is a list of nothing. */
		if (sshkrl_check(cut, &version, &count) == 0)
			assert_int_equal(count, 0);
	}
	buf_put_u8(&list, 0);
	assert_int_equal(sshkrl_check(buf_slice(&list), &version, &count),
			 ERR_SYNTAX);
	list.data[0] ^= 1;
	assert_int_equal(sshkrl_check(buf_slice(&list), &version, &count),
			 ERR_SYNTAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ssh_keygen_reads_what_a_certificate_says),
		cmocka_unit_test(options_and_extensions_stand_in_it),
		cmocka_unit_test(words_for_what_is_permitted_are_known),
		cmocka_unit_test(a_certificate_for_anybody_is_refused),
		cmocka_unit_test(what_sshd_would_not_take_is_not_signed),
		cmocka_unit_test(revoked_serials_are_refused_and_no_others),
		cmocka_unit_test(an_empty_list_revokes_nothing),
		cmocka_unit_test(a_list_of_another_authority_revokes_nothing),
		cmocka_unit_test(serials_out_of_order_are_refused),
		cmocka_unit_test(as_many_as_may_be_fit),
		cmocka_unit_test(a_list_revokes_for_each_of_its_authorities),
		cmocka_unit_test(a_list_that_is_not_whole_is_found),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
