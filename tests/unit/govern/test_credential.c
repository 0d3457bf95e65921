#include "support.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "base/mem.h"
#include "govern/credential.h"

#define PEOPLE                                                                 \
	"kind: Plane\nmetadata: {name: web}\nspec: {sensitivity: 1}\n---\n"    \
	"kind: Group\nmetadata: {name: owners}\nspec: {}\n---\n"               \
	"kind: Domain\nmetadata: {name: corp}\nspec: {approvers: owners}\n"    \
	"---\nkind: Human\nmetadata: {name: alice}\nspec: {}\n---\n"           \
	"kind: TrustDomain\nmetadata: {name: ci}\nspec: {oidc: {issuer: "      \
	"'https://ci.example'}}\n---\n"
#define AGENT(name, proof)                                                     \
	"kind: Agent\nmetadata: {name: " name                                  \
	"}\nspec: {owner: alice, purpose: tests, expires: "                    \
	"'2030-01-01T00:00:00Z', capabilities: [execute], clearance: "         \
	"2, " proof "}\n---\n"
#define SPIFFE(name) AGENT(name, "identities: ['spiffe://ex/agent/" name "']")
#define TARGET(name, issues, rules)                                            \
	"kind: Target\nmetadata: {name: " name                                 \
	"}\nspec: {owner: alice, plane: web, domain: corp, environment: dev, " \
	"issues: {" issues "}, classification: [" rules "]}\n---\n"
#define RULE(role, more)                                                       \
	"{match: {resource: '" role "'}, tier: 0, sensitivity: 0" more "}"

static const char all[] = PEOPLE SPIFFE("bot") SPIFFE("top") SPIFFE("middle")
	AGENT("runner", "oidc: [{issuer: 'https://ci.example', claims: {sub: "
			"'repo:x'}}]")
		TARGET("api", "form: token, audience: 'https://api.example/'",
		       RULE("read", "") ", {match: {suffix: ',dc=x'}, tier: 1, "
					"sensitivity: 0}")
			TARGET("bound",
			       "form: token, audience: 'https://b.example', "
			       "binding: required",
			       RULE("read", ""))
				TARGET("hosts", "form: ssh",
				       RULE("app",
					    ", ssh: {sourceAddress: "
					    "'10.0.0.0/8', forceCommand: "
					    "'/bin/true', permit: [pty]}"));

static struct inventory *inventory;

static int setup(void **state UNUSED)
{
	inventory = support_inventory(all, NULL);
	return 0;
}

static int teardown(void **state UNUSED)
{
	inventory_unref(inventory);
	return 0;
}

static struct credential_ask ask_of(const char *target, const char *role)
{
	return (struct credential_ask){
		.inventory = inventory,
		.issuer = "https://authority.example",
		.target = target,
		.agent = "bot",
		.task = "tsk_1",
		.role = role,
		.ttl_s = 300,
	};
}

/* The payload as text; parameters and chain in YAML, NULL for none. */
static void expect(struct credential_ask ask, const char *parameters,
		   const char *chain, const char *wanted)
{
	CLEANUP(json_put_p)
	json_t *given = parameters ? support_value(parameters) : NULL;
	CLEANUP(json_put_p) json_t *above = chain ? support_value(chain) : NULL;
	CLEANUP(json_put_p) json_t *payload = NULL;
	CLEANUP(mem_free_p) char *text = NULL;
	struct credential_fault fault = { 0 };

	ask.parameters = given;
	ask.chain = above;
	payload = credential_payload(&ask, &fault);
	if (!payload)
		fail_msg("%s: %s", fault.reason, fault.detail);
	text = json_canonical(payload);
	assert_string_equal(text, wanted);
}

static void expect_refused(struct credential_ask ask, const char *parameters,
			   const char *words)
{
	CLEANUP(json_put_p)
	json_t *given = parameters ? support_value(parameters) : NULL;
	CLEANUP(json_put_p) json_t *payload = NULL;
	struct credential_fault fault = { 0 };

	ask.parameters = given;
	payload = credential_payload(&ask, &fault);
	assert_null(payload);
	assert_non_null(fault.reason);
	if (!strstr(fault.detail, words))
		fail_msg("'%s' does not say '%s'", fault.detail, words);
}

#define BOT "spiffe://ex/agent/bot"
#define PLAIN                                                                  \
	"\"client_id\":\"" BOT "\",\"iss\":\"https://authority.example\","     \
	"\"scope\":\"read\",\"sub\":\"" BOT "\"}"

static void a_token_says_who_may_do_what_where(void **state UNUSED)
{
	expect(ask_of("api", "read"), NULL, NULL,
	       "{\"aud\":\"https://api.example/\"," PLAIN);
	expect(ask_of("api", "read"), "scope: read", NULL,
	       "{\"aud\":\"https://api.example/\"," PLAIN);
}

static void a_binding_stands_in_the_token(void **state UNUSED)
{
	expect(ask_of("bound", "read"),
	       "cnf: {jkt: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
	       NULL,
	       "{\"aud\":\"https://b.example\",\"client_id\":\"" BOT
	       "\",\"cnf\":{\"jkt\":"
	       "\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"},"
	       "\"iss\":\"https://authority.example\",\"scope\":\"read\","
	       "\"sub\":\"" BOT "\"}");
}

static void a_binding_is_one_whole_thumbprint(void **state UNUSED)
{
	expect_refused(ask_of("bound", "read"), NULL, "DPoP");
	expect_refused(ask_of("api", "read"), "cnf: {}", "one binding");
	expect_refused(ask_of("api", "read"), "cnf: {jkt: short}", "jkt");
	expect_refused(ask_of("api", "read"), "cnf: {kid: x}", "cnf");
	expect_refused(
		ask_of("api", "read"),
		"cnf: {jkt: 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA', "
		"'x5t#S256': 'AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'}",
		"one binding");
}

static void the_chain_has_the_current_actor_outermost(void **state UNUSED)
{
	expect(ask_of("api", "read"), NULL, "[top, middle]",
	       "{\"act\":{\"act\":{\"act\":{\"iss\":\"spiffe://ex\","
	       "\"sub\":\"spiffe://ex/agent/top\",\"sub_profile\":"
	       "\"ai_agent\"},\"iss\":\"spiffe://ex\",\"sub\":"
	       "\"spiffe://ex/agent/middle\",\"sub_profile\":\"ai_agent\"},"
	       "\"iss\":\"spiffe://ex\",\"sub\":\"" BOT
	       "\",\"sub_profile\":\"ai_agent\"},"
	       "\"aud\":\"https://api.example/\"," PLAIN);
}

static void a_chain_that_is_too_long_is_refused(void **state UNUSED)
{
	struct credential_ask ask = ask_of("api", "read");
	CLEANUP(json_put_p)
	json_t *chain = support_value("[a, b, c, d, e, f, g, h]");

	ask.chain = chain;
	expect_refused(ask, NULL, "chain");
}

static void details_are_held_to_target_task_and_role(void **state UNUSED)
{
	expect(ask_of("api", "read"),
	       "authorizationDetails: [{type: writ_task, actions: [get]}]",
	       NULL,
	       "{\"aud\":\"https://api.example/\",\"authorization_details\":"
	       "[{\"actions\":[\"get\"],\"identifier\":\"read\","
	       "\"locations\":[\"https://api.example/"
	       "\"],\"task\":\"tsk_1\",\"type\":"
	       "\"writ_task\"}]," PLAIN);
}

static void details_of_another_kind_or_place_are_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"[{type: payment}]",
		"[{actions: [get]}]",
		"[{type: writ_task, colour: red}]",
		"[{type: writ_task, actions: get}]",
		"[{type: writ_task, locations: ['https://other.example/']}]",
		"[{type: writ_task, task: tsk_2}]",
		"[{type: writ_task, identifier: write}]",
		"[]",
		"writ_task",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(mem_free_p)
		char *text = mem_format("authorizationDetails: %s", wrong[i]);

		expect_refused(ask_of("api", "read"), text,
			       "authorizationDetails");
	}
}

static void only_a_role_of_the_manifest_is_signed_for(void **state UNUSED)
{
	expect_refused(ask_of("api", "write"), NULL, "no resource");
	expect_refused(ask_of("api", "READ"), NULL, "no resource");
	expect_refused(ask_of("api", "cn=a,dc=x"), NULL, "no resource");
	expect_refused(ask_of("api", ""), NULL, "no resource");
	expect_refused(ask_of("nowhere", "read"), NULL, "nothing is signed");
	expect_refused(ask_of("api", "read"), "scope: write", "scope");
}

static void a_life_is_held_to_its_form(void **state UNUSED)
{
	struct credential_ask ask = ask_of("api", "read");

	ask.ttl_s = 3600;
	expect(ask, NULL, NULL, "{\"aud\":\"https://api.example/\"," PLAIN);
	ask.ttl_s = 3601;
	expect_refused(ask, NULL, "60 minutes");
	ask.ttl_s = 0;
	expect_refused(ask, NULL, "ttl");
	ask = ask_of("hosts", "app");
	ask.ttl_s = 24 * 3600 + 1;
	expect_refused(ask, "publicKey: '" KEY_A "'", "1440 minutes");
}

static void
a_certificate_is_held_to_the_rule_of_its_principal(void **state UNUSED)
{
	expect(ask_of("hosts", "app"), "publicKey: '" KEY_A " somebody@host'",
	       NULL,
	       "{\"forceCommand\":\"/bin/true\",\"permit\":[\"pty\"],"
	       "\"principals\":[\"app\"],\"publicKey\":\"" KEY_A
	       "\",\"sourceAddress\":\"10.0.0.0/8\"}");
}

static void a_key_that_is_none_of_ours_is_refused(void **state UNUSED)
{
	static const char *const wrong[] = {
		"ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==",
		"ssh-dss AAAAB3NzaC1kc3M=",
		"ssh-ed25519 AAAA",
		"command=x " KEY_A,
		"x",
	};

	expect_refused(ask_of("hosts", "app"), NULL, "publicKey");
	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		CLEANUP(mem_free_p)
		char *text = mem_format("publicKey: '%s'", wrong[i]);

		expect_refused(ask_of("hosts", "app"), text, "publicKey");
	}
	expect_refused(ask_of("hosts", "app"),
		       "{publicKey: '" KEY_A "', scope: app}", "scope");
}

static void an_agent_is_called_as_its_platform_calls_it(void **state UNUSED)
{
	CLEANUP(mem_free_p) char *namespace = NULL;
	CLEANUP(mem_free_p)
	char *subject = credential_subject(inventory, "runner", &namespace);

	assert_string_equal(subject, "repo:x");
	assert_string_equal(namespace, "https://ci.example");
	assert_null(credential_subject(inventory, "nobody", &namespace));
}

static void no_two_agents_are_one_client(void **state UNUSED)
{
	CLEANUP(mem_free_p)
	char *client = credential_client(inventory, "runner");

	/* Another issuer may call one of its own "repo:x", too. */
	assert_string_equal(client, "urn:writ:agent:runner");
	assert_null(credential_client(inventory, "nobody"));
}

/* ---- manifests ---- */

static void expect_faults(const char *target, const char *wanted)
{
	CLEANUP(mem_free_p) char *text = mem_format("%s%s", PEOPLE, target);
	CLEANUP(mem_free_p) char *faults = NULL;
	CLEANUP(inventory_unref_p)
	struct inventory *inv = support_inventory(text, &faults);

	if (*wanted ? !strstr(faults, wanted) : *faults)
		fail_msg("'%s' does not say '%s'", faults, wanted);
	assert_true(!inv == (*wanted != '\0'));
}

static void a_target_issues_what_makes_sense(void **state UNUSED)
{
	expect_faults(TARGET("t", "form: token, audience: 'https://a.example'",
			     RULE("a:b", "")),
		      "");
	expect_faults(TARGET("t",
			     "form: token, audience: 'http://127.0.0.1:8/'",
			     RULE("a", "")),
		      "");
	expect_faults(TARGET("t", "form: ssh, hosts: [a, b]", RULE("app", "")),
		      "");
}

static void a_target_that_makes_no_sense_is_told_why(void **state UNUSED)
{
	static const struct {
		const char *target;
		const char *words;
	} wrong[] = {
		{ TARGET("t", "form: token", RULE("a", "")),
		  "issues.audience: wanted" },
		{ TARGET("t", "form: token, audience: 'http://a.example'",
			 RULE("a", "")),
		  "no https URL" },
		{ TARGET("t", "form: token, audience: 'http://127.0.0.1.evil'",
			 RULE("a", "")),
		  "no https URL" },
		{ TARGET("t", "form: token, audience: 'https:///path'",
			 RULE("a", "")),
		  "no https URL" },
		{ TARGET("t", "form: token, audience: 'https://a.example/#b'",
			 RULE("a", "")),
		  "fragment" },
		{ TARGET("t",
			 "form: token, audience: 'https://a.example', "
			 "verifiers: [nobody]",
			 RULE("a", "")),
		  "there is no Agent 'nobody'" },
		{ TARGET("t",
			 "form: token, audience: 'https://a.example', hosts: "
			 "[a]",
			 RULE("a", "")),
		  "hosts: only for form ssh" },
		{ TARGET("t", "form: ssh, audience: 'https://a.example'",
			 RULE("a", "")),
		  "audience: only for form token" },
		{ TARGET("t", "form: ssh, binding: required", RULE("a", "")),
		  "binding: only for form token" },
		{ TARGET("t", "form: token, audience: 'https://a.example'",
			 RULE("a b", "")),
		  "is no scope" },
		{ TARGET("t", "form: ssh", RULE("a,b", "")), "no principal" },
		{ TARGET("t", "form: ssh",
			 RULE("a", ", ssh: {sourceAddress: 10.0.0.1/8}")),
		  "CIDR" },
		{ TARGET("t", "form: token, audience: 'https://a.example'",
			 RULE("a", ", ssh: {permit: []}")),
		  "ssh: only for" },
		{ "kind: Target\nmetadata: {name: t}\nspec: {owner: alice, "
		  "plane: web, domain: corp, environment: dev, "
		  "classification: [" RULE("a", "") "]}\n---\n",
		  "either a connector" },
		{ "kind: Target\nmetadata: {name: t}\nspec: {connector: ldap, "
		  "issues: {form: ssh}, owner: alice, plane: web, domain: "
		  "corp, environment: dev, classification: [" RULE(
			  "a", "") "]}\n---\n",
		  "either a connector" },
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
		expect_faults(wrong[i].target, wrong[i].words);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_says_who_may_do_what_where),
		cmocka_unit_test(a_binding_stands_in_the_token),
		cmocka_unit_test(a_binding_is_one_whole_thumbprint),
		cmocka_unit_test(the_chain_has_the_current_actor_outermost),
		cmocka_unit_test(a_chain_that_is_too_long_is_refused),
		cmocka_unit_test(details_are_held_to_target_task_and_role),
		cmocka_unit_test(details_of_another_kind_or_place_are_refused),
		cmocka_unit_test(only_a_role_of_the_manifest_is_signed_for),
		cmocka_unit_test(a_life_is_held_to_its_form),
		cmocka_unit_test(
			a_certificate_is_held_to_the_rule_of_its_principal),
		cmocka_unit_test(a_key_that_is_none_of_ours_is_refused),
		cmocka_unit_test(an_agent_is_called_as_its_platform_calls_it),
		cmocka_unit_test(no_two_agents_are_one_client),
		cmocka_unit_test(a_target_issues_what_makes_sense),
		cmocka_unit_test(a_target_that_makes_no_sense_is_told_why),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
