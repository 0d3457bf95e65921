/* What a connector of the kit still may once it is shut in.  Each try is made
 * in a child of its own. */
#include "connectors/sdk/shut.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/sandbox.h"

enum { DID_IT = 0, FAILED_TO_ENTER = 254 };

static char folder[64];

static const char *const names[] = { "caFile", "bind.passwordFile", NULL };
static const char *const kept[] = { "memberships", NULL };

static const struct connector_info speaks = { .kind = "test",
					      .connects = true,
					      .files = names };
static const struct connector_info keeps = { .kind = "test", .kept = kept };

static char *path_of(const char *name)
{
	return mem_format("%s/%s", folder, name);
}

static void set_path(json_t *config, const char *member, const char *name)
{
	CLEANUP(mem_free_p) char *path = path_of(name);

	json_set_text(config, member, path);
}

/* caFile in one folder, bind.passwordFile in another, the state in a third. */
static json_t *config_with(const char *mode)
{
	json_t *config = json_object();
	json_t *bind = json_object();
	json_t *authority = json_object();

	set_path(config, "caFile", "ca/ca.pem");
	set_path(bind, "passwordFile", "secret/password");
	set_path(authority, "state", "state/seen");
	set_path(config, "memberships", "kept/memberships");
	json_set_new(config, "bind", bind);
	json_set_new(config, "authority", authority);
	json_set_text(config, "sandbox", mode);
	return config;
}

static int try_in(const struct connector_info *info, int (*attempt)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		const struct connector_ops ops = { .info = info };
		struct server server = { .ops = &ops,
					 .config = config_with("required") };

		_exit(shut_in(&server) < 0 ? FAILED_TO_ENTER : attempt());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static int opened(const char *name, int flags)
{
	CLEANUP(mem_free_p) char *path = path_of(name);
	CLEANUP(fd_close_p) int fd = open(path, flags | O_CLOEXEC, 0600);

	return fd < 0 ? errno : DID_IT;
}

static int nothing(void)
{
	return DID_IT;
}

static int read_password(void)
{
	return opened("secret/password", O_RDONLY);
}

static int read_beside_password(void)
{
	return opened("secret/new", O_RDONLY);
}

static int write_password(void)
{
	return opened("secret/password", O_WRONLY);
}

static int read_another(void)
{
	return opened("other/file", O_RDONLY);
}

static int write_state(void)
{
	return opened("state/seen.new", O_WRONLY | O_CREAT);
}

static int write_memberships(void)
{
	return opened("kept/memberships", O_WRONLY | O_CREAT);
}

static int read_hosts(void)
{
	int fd = open("/etc/hosts", O_RDONLY | O_CLOEXEC);

	return fd < 0 ? errno : DID_IT;
}

static int find_localhost(void)
{
	const struct addrinfo hints = { .ai_socktype = SOCK_STREAM };
	struct addrinfo *found = NULL;

	if (getaddrinfo("localhost", "389", &hints, &found) != 0)
		return ENOENT;
	freeaddrinfo(found);
	return DID_IT;
}

static int make_socket(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? errno : DID_IT;
}

static void need_sandbox(void)
{
	if (sandbox_is_sanitized() ||
	    try_in(&keeps, nothing) == FAILED_TO_ENTER)
		skip();
}

static void files_it_names_are_read_and_others_are_not(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(&speaks, read_password), DID_IT);
	/* A password that takes the other's place by rename. */
	assert_int_equal(try_in(&speaks, read_beside_password), DID_IT);
	assert_int_equal(try_in(&speaks, write_password), EACCES);
	assert_int_equal(try_in(&speaks, read_another), EACCES);
}

static void only_what_it_keeps_is_written(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(&speaks, write_state), DID_IT);
	assert_int_equal(try_in(&keeps, write_state), DID_IT);
	assert_int_equal(try_in(&keeps, write_memberships), DID_IT);
	assert_int_equal(try_in(&speaks, write_memberships), EACCES);
}

static void only_a_kind_that_connects_may_ask_for_names(void **state UNUSED)
{
	need_sandbox();
	assert_int_equal(try_in(&speaks, read_hosts), DID_IT);
	assert_int_equal(try_in(&keeps, read_hosts), EACCES);
	assert_int_equal(try_in(&speaks, find_localhost), DID_IT);
	assert_int_equal(try_in(&speaks, make_socket), DID_IT);
	assert_int_equal(try_in(&keeps, make_socket), EPERM);
}

static void off_is_told(void **state UNUSED)
{
	const struct connector_ops ops = { .info = &speaks };
	struct server server = { .ops = &ops };

	server.config = config_with("off");
	assert_int_equal(shut_in(&server), 0);
	assert_string_equal(json_text(server.sandbox, "mode", ""), "off");
	assert_int_equal(read_another(), DID_IT);
	json_decref(server.config);
	json_decref(server.sandbox);
}

static const char *const folders[] = { "ca", "secret", "state", "kept",
				       "other" };
static const char *const files[] = { "ca/ca.pem", "secret/password",
				     "secret/new", "other/file" };

static int make_all(void **state UNUSED)
{
	snprintf(folder, sizeof(folder), "/tmp/writ-shut-XXXXXX");
	if (!mkdtemp(folder))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		CLEANUP(mem_free_p) char *path = path_of(folders[i]);

		if (file_make_folder(path) < 0)
			return -1;
	}
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(mem_free_p) char *path = path_of(files[i]);

		if (file_write(path, slice_str("x"), 0600) < 0)
			return -1;
	}
	return 0;
}

static int remove_all(void **state UNUSED)
{
	static const char *const made[] = { "state/seen.new",
					    "kept/memberships" };

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		CLEANUP(mem_free_p) char *path = path_of(files[i]);

		discard(unlink(path));
	}
	for (size_t i = 0; i < ARRAY_LEN(made); i++) {
		CLEANUP(mem_free_p) char *path = path_of(made[i]);

		discard(unlink(path));
	}
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		CLEANUP(mem_free_p) char *path = path_of(folders[i]);

		discard(rmdir(path));
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_it_names_are_read_and_others_are_not),
		cmocka_unit_test(only_what_it_keeps_is_written),
		cmocka_unit_test(only_a_kind_that_connects_may_ask_for_names),
		cmocka_unit_test(off_is_told),
	};

	return cmocka_run_group_tests(tests, make_all, remove_all);
}
