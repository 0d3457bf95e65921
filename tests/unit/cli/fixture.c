#include "fixture.h"

#include <assert.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/commands.h"
#include "cli/process.h"

static char folder[64];

static void run_program(const char *const *argv)
{
	CLEANUP(buf_clear) struct buf out = BUF_INIT(64 * 1024);
	struct process p = { argv, slice_of(NULL, 0), true, 30000 };
	int status = -1;
	int r = process_run(&p, &out, &status);

	assert(r == 0 && status == 0);
}

void fixture_open(void)
{
	static const char *const clean[] = {
		"WRIT_URL",	   "WRIT_HUMAN",      "WRIT_KEY",
		"WRIT_CONFIG",	   "WRIT_TOKEN_FILE", "WRIT_TOKEN",
		"XDG_CONFIG_HOME", "XDG_STATE_HOME",  "SSH_AUTH_SOCK",
	};

	snprintf(folder, sizeof(folder), "/tmp/writ-cli-XXXXXX");
	if (!mkdtemp(folder))
		abort();
	for (size_t i = 0; i < ARRAY_LEN(clean); i++)
		unsetenv(clean[i]);
	setenv("HOME", folder, 1);
}

void fixture_close(void)
{
	const char *argv[] = { "rm", "-rf", "--", folder, NULL };

	run_program(argv);
}

char *fixture_path(const char *name)
{
	return mem_format("%s/%s", folder, name);
}

void fixture_write(const char *name, const char *text)
{
	CLEANUP(mem_free_p) char *path = fixture_path(name);
	int r = file_write(path, slice_str(text), 0600);

	assert(r == 0);
}

char *fixture_read(const char *name)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 20);
	CLEANUP(mem_free_p) char *path = fixture_path(name);

	return file_read(path, &b) < 0 ? NULL : mem_str(buf_text(&b));
}

void fixture_key(const char *name, const char *passphrase)
{
	CLEANUP(mem_free_p) char *path = fixture_path(name);
	const char *argv[] = { "ssh-keygen", "-q",	 "-t", "ed25519",
			       "-N",	     passphrase, "-C", "",
			       "-f",	     path,	 NULL };

	run_program(argv);
}

struct run run_writ(const char *input, const char *const *words)
{
	CLEANUP(mem_free_p) char *text = mem_format("%s\n", input);
	const char *argv[64] = { "writ" };
	struct run r = { 0 };
	size_t out_len;
	size_t err_len;
	FILE *in = fmemopen(text, strlen(input) + (*input == '\0'), "r");
	FILE *out = open_memstream(&r.out, &out_len);
	FILE *err = open_memstream(&r.err, &err_len);
	int count = 1;

	for (; words[count - 1]; count++)
		argv[count] = words[count - 1];
	r.code = cli_main(&commands, count, argv, in, out, err);
	fclose(in);
	fclose(out);
	fclose(err);
	return r;
}

void run_clear(struct run *r)
{
	free(r->out);
	free(r->err);
}
