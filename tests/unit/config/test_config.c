#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"

/* Lines that every configuration has. */
#define SOUND                                                                  \
	"data: /var/lib/writ\n"                                                \
	"origin: authority.example/writ\n"                                     \
	"audience: authority.example/writ\n"                                   \
	"listen: 127.0.0.1:8470\n"                                             \
	"keeper:\n"                                                            \
	"  command: [/usr/libexec/writ-keeper, --folder, /var/lib/keeper]\n"

struct place {
	char folder[64];
	char *path;
};

static int setup(void **state)
{
	struct place *place = mem_new(struct place);

	snprintf(place->folder, sizeof(place->folder),
		 "/tmp/writ-test-config-XXXXXX");
	assert_non_null(mkdtemp(place->folder));
	place->path = mem_format("%s/writd.yaml", place->folder);
	*state = place;
	return 0;
}

static int teardown(void **state)
{
	struct place *place = *state;

	unlink(place->path);
	assert_int_equal(rmdir(place->folder), 0);
	free(place->path);
	free(place);
	return 0;
}

/* Loads text as a file; the faults as "at: detail\n", owned. */
static char *load(const struct place *place, const char *text,
		  struct config *ret_config)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(1 << 16);
	CLEANUP(json_put_p) json_t *faults = NULL;
	FILE *file = fopen(place->path, "w");
	const json_t *fault;
	size_t at;

	assert_non_null(file);
	fputs(text, file);
	assert_int_equal(fclose(file), 0);
	if (config_load(place->path, ret_config, &faults) < 0)
		return mem_format("error: %s", error_message());
	json_array_foreach(faults, at, fault)
		buf_putf(&b, "%s: %s\n", json_text(fault, "at", "?"),
			 json_text(fault, "detail", "?"));
	return buf_take_text(&b);
}

static void expect_faults(const struct place *place, const char *text,
			  const char *wanted)
{
	struct config config;
	CLEANUP(mem_free_p) char *found = load(place, text, &config);

	config_clear(&config);
	assert_string_equal(found, wanted);
}

static void the_least_configuration_has_sound_defaults(void **state)
{
	struct config c;
	CLEANUP(mem_free_p) char *faults = load(*state, SOUND, &c);

	assert_string_equal(faults, "");
	assert_string_equal(c.data, "/var/lib/writ");
	assert_string_equal(c.origin, "authority.example/writ");
	assert_string_equal(c.audience, "authority.example/writ");
	assert_string_equal(c.listen, "127.0.0.1:8470");
	assert_string_equal(c.keeper_command[0], "/usr/libexec/writ-keeper");
	assert_string_equal(c.keeper_command[2], "/var/lib/keeper");
	assert_null(c.keeper_command[3]);
	assert_null(c.keeper_socket);
	assert_null(c.tls_cert);
	assert_null(c.tls_key);
	assert_null(c.policy);
	assert_int_equal(c.connector_count, 0);
	assert_int_equal(c.log, LOG_LEVEL_INFO);
	config_clear(&c);
}

static void every_key_is_read(void **state)
{
	struct config c;
	CLEANUP(mem_free_p)
	char *faults = load(*state,
			    "data: /d\norigin: o\naudience: a\n"
			    "listen: 'unix:/run/writ.sock'\n"
			    "tls: { cert: /c.pem, key: /k.pem }\n"
			    "keeper: { socket: /run/keeper.sock }\n"
			    "connectors:\n"
			    "- { target: one, command: [/bin/one, -x] }\n"
			    "- { target: two, command: [/bin/two] }\n"
			    "policy: /etc/writ/policy\n"
			    "log: debug\n",
			    &c);

	assert_string_equal(faults, "");
	assert_string_equal(c.tls_cert, "/c.pem");
	assert_string_equal(c.tls_key, "/k.pem");
	assert_null(c.keeper_command);
	assert_string_equal(c.keeper_socket, "/run/keeper.sock");
	assert_int_equal(c.connector_count, 2);
	assert_string_equal(c.connectors[0].target, "one");
	assert_string_equal(c.connectors[0].command[0], "/bin/one");
	assert_string_equal(c.connectors[0].command[1], "-x");
	assert_null(c.connectors[0].command[2]);
	assert_string_equal(c.connectors[1].target, "two");
	assert_string_equal(c.policy, "/etc/writ/policy");
	assert_int_equal(c.log, LOG_LEVEL_DEBUG);
	config_clear(&c);
}

static void unknown_keys_are_errors_with_their_line(void **state)
{
	expect_faults(*state, SOUND "audiance: x\n",
		      "7:1: audiance: unknown member\n");
	expect_faults(*state, SOUND "tls:\n  cert: c\n  key: k\n  ca: x\n",
		      "10:3: tls.ca: unknown member\n");
	expect_faults(*state,
		      SOUND "connectors:\n- target: t\n  command: [c]\n"
			    "  commands: [d]\n",
		      "10:3: connectors[0].commands: unknown member\n");
}

static void what_is_missing_is_named(void **state)
{
	expect_faults(*state, "log: info\n",
		      "1:1: data: is required\n1:1: origin: is required\n"
		      "1:1: audience: is required\n1:1: listen: is required\n"
		      "1:1: keeper: is required\n");
	expect_faults(*state, SOUND "tls: { cert: c }\n",
		      "7:6: tls.key: is required\n");
	expect_faults(*state, SOUND "connectors: [{ target: t }]\n",
		      "7:14: connectors[0].command: is required\n");
}

static void wrong_values_are_refused_with_their_line(void **state)
{
	expect_faults(*state, SOUND "log: loud\n",
		      "7:1: log: must be one of error|warning|info|debug\n");
	expect_faults(*state, SOUND "connectors: [{target: T, command: [c]}]\n",
		      "7:15: connectors[0].target: must be a name: 1 to 63 of "
		      "a-z, 0-9 and inner '-', '.', '_'\n");
	expect_faults(*state, SOUND "connectors: [{target: t, command: c}]\n",
		      "7:26: connectors[0].command: must be a list\n");
	expect_faults(*state, SOUND "connectors: [{target: t, command: []}]\n",
		      "7:26: connectors[0].command: must have from 1 to 32 "
		      "elements\n");
}

static void a_keeper_is_a_command_or_a_socket(void **state)
{
	static const char head[] = "data: d\norigin: o\naudience: a\n"
				   "listen: l\n";
	CLEANUP(mem_free_p) char *neither = mem_format("%skeeper: {}\n", head);
	CLEANUP(mem_free_p)
	char *both =
		mem_format("%skeeper: {command: [/k], socket: /s}\n", head);
	CLEANUP(mem_free_p)
	char *socket = mem_format("%skeeper: {socket: /s}\n", head);

	expect_faults(*state, neither,
		      "keeper: either command or socket, not both\n");
	expect_faults(*state, both,
		      "keeper: either command or socket, not both\n");
	expect_faults(*state, socket, "");
}

static void a_target_has_one_connector(void **state)
{
	expect_faults(*state,
		      SOUND "connectors:\n- {target: t, command: [/a]}\n"
			    "- {target: u, command: [/b]}\n"
			    "- {target: t, command: [/c]}\n",
		      "connectors: a target has one connector\n");
}

static void addresses_that_may_be_connected_to_are_named(void **state)
{
	struct config config;
	CLEANUP(mem_free_p)
	char *found = load(*state,
			   SOUND "outgoing:\n  ca: ca.pem\n"
				 "  allow: [127.0.0.1, '10.0.0.0/8']\n",
			   &config);
	CLEANUP(mem_free_p)
	char *ca =
		mem_format("%s/ca.pem", ((const struct place *)*state)->folder);

	assert_string_equal(found, "");
	assert_int_equal(json_array_size(config.reach), 2);
	assert_string_equal(config.ca, ca);
	config_clear(&config);
	expect_faults(*state, SOUND "outgoing:\n  allow: yes\n",
		      "8:3: outgoing.allow: must be a list\n");
}

static void a_connector_has_the_time_it_is_given(void **state)
{
	struct config c;
	CLEANUP(mem_free_p)
	char *faults = load(*state,
			    SOUND "connectors:\n"
				  "- {target: a, command: [/a]}\n"
				  "- {target: b, command: [/b], "
				  "timeoutSeconds: 7}\n",
			    &c);

	assert_string_equal(faults, "");
	assert_int_equal(c.connectors[0].timeout_ms, 0); /* its own */
	assert_int_equal(c.connectors[1].timeout_ms, 7000);
	config_clear(&c);
	expect_faults(*state,
		      SOUND "connectors: [{target: t, command: [c], "
			    "timeoutSeconds: 0}]\n",
		      "7:40: connectors[0].timeoutSeconds: must be from 1 to "
		      "600\n");
}

static void a_second_connector_reads_back_where_one_is_named(void **state)
{
	struct config c;
	CLEANUP(mem_free_p)
	char *faults = load(*state,
			    SOUND "connectors:\n"
				  "- {target: a, command: [/a]}\n"
				  "- {target: b, command: [/b], "
				  "readCommand: [/r, --config, x]}\n",
			    &c);

	assert_string_equal(faults, "");
	assert_null(c.connectors[0].read_command);
	assert_string_equal(c.connectors[1].read_command[0], "/r");
	assert_string_equal(c.connectors[1].read_command[2], "x");
	assert_null(c.connectors[1].read_command[3]);
	config_clear(&c);
	expect_faults(*state,
		      SOUND "connectors: [{target: t, command: [c], "
			    "readCommand: c}]\n",
		      "7:40: connectors[0].readCommand: must be a list\n");
}

static void relative_paths_are_taken_from_the_folder_of_the_file(void **state)
{
	const struct place *place = *state;
	struct config c;
	CLEANUP(mem_free_p)
	char *faults = load(place,
			    "data: data\norigin: o\naudience: a\nlisten: l\n"
			    "tls: {cert: tls/c.pem, key: /abs/k.pem}\n"
			    "keeper: {command: [bin/keeper, data]}\n"
			    "policy: ../policy\n",
			    &c);
	CLEANUP(mem_free_p) char *data = mem_format("%s/data", place->folder);
	CLEANUP(mem_free_p)
	char *cert = mem_format("%s/tls/c.pem", place->folder);
	CLEANUP(mem_free_p)
	char *keeper = mem_format("%s/bin/keeper", place->folder);
	CLEANUP(mem_free_p)
	char *policy = mem_format("%s/../policy", place->folder);

	assert_string_equal(faults, "");
	assert_string_equal(c.data, data);
	assert_string_equal(c.tls_cert, cert);
	assert_string_equal(c.tls_key, "/abs/k.pem");
	assert_string_equal(c.keeper_command[0], keeper);
	assert_string_equal(c.keeper_command[1], "data"); /* the program's */
	assert_string_equal(c.policy, policy);
	config_clear(&c);
}

static void programs_by_name_are_found_beside_this_one_or_in_path(void **state)
{
	struct config c;
	CLEANUP(mem_free_p)
	char *faults = load(*state,
			    SOUND "connectors:\n"
				  "- {target: beside, command: "
				  "[test_config_config]}\n"
				  "- {target: path, command: [sh]}\n"
				  "- {target: none, command: "
				  "[writ-no-such-program]}\n",
			    &c);

	assert_string_equal(faults, "");
	assert_non_null(
		strstr(c.connectors[0].command[0], "/test_config_config"));
	assert_int_equal(access(c.connectors[0].command[0], X_OK), 0);
	assert_int_equal(access(c.connectors[1].command[0], X_OK), 0);
	assert_int_equal(c.connectors[1].command[0][0], '/');
	assert_string_equal(c.connectors[2].command[0], "writ-no-such-program");
	config_clear(&c);
}

static void what_is_no_configuration_is_an_error(void **state)
{
	const struct place *place = *state;
	struct config c;
	json_t *faults = NULL;
	CLEANUP(mem_free_p) char *yaml = load(place, "data: [\n", &c);
	CLEANUP(mem_free_p) char *two = load(place, SOUND "---\n" SOUND, &c);
	CLEANUP(mem_free_p) char *twice = load(place, SOUND "data: x\n", &c);
	CLEANUP(mem_free_p) char *none = load(place, "", &c);

	assert_true(!strncmp(yaml, "error: ", 7));
	assert_non_null(strstr(two, "one document is wanted"));
	assert_non_null(strstr(twice, "7:1"));
	assert_non_null(strstr(none, "one document is wanted"));
	expect_faults(place, "- data\n", "1:1: must be an object\n");
	unlink(place->path);
	assert_int_equal(config_load(place->path, &c, &faults), ERR_NOT_FOUND);
	config_clear(&c);
}

static void the_issuer_is_what_is_said_or_the_audience(void **state)
{
	static const struct {
		const char *audience;
		const char *more;
		const char *issuer;
	} rows[] = {
		{ "authority.example/writ", "", NULL },
		{ "https://writ.example", "", "https://writ.example" },
		{ "https://writ.example/", "", NULL },
		{ "authority.example/writ",
		  "oauth: { issuer: 'https://writ.example/x' }\n",
		  "https://writ.example/x" },
		{ "https://writ.example",
		  "oauth: { issuer: 'http://127.0.0.1:8470' }\n",
		  "http://127.0.0.1:8470" },
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		CLEANUP(config_clear) struct config c = { 0 };
		CLEANUP(mem_free_p)
		char *text = mem_format("data: d\norigin: o.example\n"
					"audience: %s\nlisten: 127.0.0.1:1\n"
					"keeper: { socket: k }\n%s",
					rows[i].audience, rows[i].more);
		CLEANUP(mem_free_p) char *faults = load(*state, text, &c);

		assert_string_equal(faults, "");
		if (rows[i].issuer)
			assert_string_equal(c.issuer, rows[i].issuer);
		else
			assert_null(c.issuer);
	}
}

static void an_issuer_that_is_no_url_is_a_fault(void **state)
{
	static const char *const issuers[] = {
		"writ.example",
		"http://writ.example",
		"https://writ.example/",
		"https://writ.example?x=y",
	};

	for (size_t i = 0; i < ARRAY_LEN(issuers); i++) {
		CLEANUP(config_clear) struct config c = { 0 };
		CLEANUP(mem_free_p)
		char *text = mem_format(SOUND "oauth: { issuer: '%s' }\n",
					issuers[i]);
		CLEANUP(mem_free_p) char *faults = load(*state, text, &c);

		assert_true(!strncmp(faults, "oauth.issuer:", 13));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_least_configuration_has_sound_defaults),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(unknown_keys_are_errors_with_their_line),
		cmocka_unit_test(what_is_missing_is_named),
		cmocka_unit_test(wrong_values_are_refused_with_their_line),
		cmocka_unit_test(a_keeper_is_a_command_or_a_socket),
		cmocka_unit_test(a_target_has_one_connector),
		cmocka_unit_test(addresses_that_may_be_connected_to_are_named),
		cmocka_unit_test(a_connector_has_the_time_it_is_given),
		cmocka_unit_test(
			a_second_connector_reads_back_where_one_is_named),
		cmocka_unit_test(
			relative_paths_are_taken_from_the_folder_of_the_file),
		cmocka_unit_test(
			programs_by_name_are_found_beside_this_one_or_in_path),
		cmocka_unit_test(what_is_no_configuration_is_an_error),
		cmocka_unit_test(the_issuer_is_what_is_said_or_the_audience),
		cmocka_unit_test(an_issuer_that_is_no_url_is_a_fault),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
