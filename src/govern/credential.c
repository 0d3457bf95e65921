#include "govern/credential.h"

#include <stdarg.h>

#include "base/error.h"
#include "base/mem.h"
#include "base/schema.h"
#include "base/text.h"
#include "crypto/sshcert.h"

enum {
	SCOPE_MAX = 128,  /* bytes of a role that is a scope */
	DETAILS_MAX = 16, /* of authorization details */
	VALUES_MAX = 32,  /* in a list of one of them */
	THUMBPRINT = 43,  /* characters of a SHA-256 in base64url */
	ACTORS_MAX = 8,	  /* the keeper takes no longer chain */
};

const char *credential_form_name(enum credential_form form)
{
	static const char *const names[] = {
		[CREDENTIAL_TOKEN] = "token",
		[CREDENTIAL_SSH] = "ssh",
	};

	return names[form];
}

bool credential_form_of(const json_t *spec, enum credential_form *ret_form)
{
	const char *form =
		json_text(json_object_in(spec, "issues"), "form", NULL);

	if (!form)
		return false;
	*ret_form = !strcmp(form, credential_form_name(CREDENTIAL_SSH))
			    ? CREDENTIAL_SSH
			    : CREDENTIAL_TOKEN;
	return true;
}

PRINTF_LIKE(3, 4)
static json_t *refuse(struct credential_fault *fault, const char *reason,
		      const char *format, ...)
{
	va_list args;

	fault->reason = reason;
	va_start(args, format);
	vsnprintf(fault->detail, sizeof(fault->detail), format, args);
	va_end(args);
	return NULL;
}

/* ---- who ---- */

/* "spiffe://DOMAIN" of a SPIFFE ID; owned. */
static char *trust_domain_of(const char *id)
{
	static const char scheme[] = "spiffe://";
	size_t head = sizeof(scheme) - 1;

	if (strncmp(id, scheme, head) != 0)
		return mem_str(id);
	return mem_format("%.*s", (int)(head + strcspn(id + head, "/")), id);
}

/* The subject that a rule on OIDC tokens names, or NULL. */
static const char *claimed_subject(const json_t *rule)
{
	const json_t *claims = json_object_in(rule, "claims");
	const json_t *sub = json_object_get(claims, "sub");

	if (json_is_array(sub))
		sub = json_array_get(sub, 0);
	return json_string_value(sub);
}

char *credential_subject(const struct inventory *inv, const char *agent,
			 char **ret_namespace)
{
	const json_t *spec = inventory_spec(inv, MANIFEST_AGENT, agent);
	const char *id = json_string_value(
		json_array_get(json_array_in(spec, "identities"), 0));
	const json_t *rule = json_array_get(json_array_in(spec, "oidc"), 0);
	const char *issuer = json_text(rule, "issuer", NULL);

	if (!spec)
		return NULL;
	if (id) {
		*ret_namespace = trust_domain_of(id);
		return mem_str(id);
	}
	*ret_namespace = mem_str(issuer ? issuer : "urn:writ:agent");
	if (claimed_subject(rule))
		return mem_str(claimed_subject(rule));
	/* Its issuer names it by something else; here it has a name. */
	return mem_str(agent);
}

char *credential_client(const struct inventory *inv, const char *agent)
{
	const json_t *spec = inventory_spec(inv, MANIFEST_AGENT, agent);
	const char *id = json_string_value(
		json_array_get(json_array_in(spec, "identities"), 0));

	if (!spec)
		return NULL;
	return id ? mem_str(id) : mem_format("urn:writ:agent:%s", agent);
}

/* ---- tokens ---- */

/* An actor of a chain (RFC 8693, 4.1), within it the one above; owned. */
static json_t *actor(const struct inventory *inv, const char *agent,
		     json_t *owned_above)
{
	CLEANUP(mem_free_p) char *namespace = NULL;
	CLEANUP(mem_free_p)
	char *subject = credential_subject(inv, agent, &namespace);
	json_t *act = json_object();

	json_set_text(act, "sub", subject ? subject : agent);
	json_set_text(act, "iss", namespace ? namespace : "urn:writ:agent");
	json_set_text(act, "sub_profile", "ai_agent");
	if (owned_above)
		json_set_new(act, "act", owned_above);
	return act;
}

/* The asking agent outermost, then those above it up to the first. */
static json_t *actors(const struct credential_ask *ask)
{
	json_t *act = NULL;
	const json_t *name;
	size_t at;

	json_array_foreach(ask->chain, at, name)
		act = actor(ask->inventory, json_string_value(name), act);
	return actor(ask->inventory, ask->agent, act);
}

/* A scope-token of RFC 6749, 3.3. */
static bool is_scope(const char *text)
{
	size_t len = strlen(text);

	if (len == 0 || len > SCOPE_MAX)
		return false;
	for (const char *c = text; *c; c++) {
		if (*c <= ' ' || *c >= 0x7f || *c == '"' || *c == '\\')
			return false;
	}
	return true;
}

static const struct schema value_row = { "value", SCHEMA_TEXT, .min = 1,
					 .max = 1024 };

/* A type of RFC 9396, 2, with its common members. */
static const struct schema detail_members[] = {
	{ "type", SCHEMA_ENUM, .required = true, .choices = "writ_task" },
	{ "actions", SCHEMA_LIST, .max = VALUES_MAX, .rows = &value_row },
	{ "locations", SCHEMA_LIST, .max = VALUES_MAX, .rows = &value_row },
	{ "datatypes", SCHEMA_LIST, .max = VALUES_MAX, .rows = &value_row },
	{ "identifier", SCHEMA_TEXT, .min = 1, .max = 1024 },
	{ "task", SCHEMA_TEXT, .min = 1, .max = 64 },
	{ 0 },
};
static const struct schema detail_row = { "detail", SCHEMA_OBJECT,
					  .rows = detail_members };

static const struct schema binding_members[] = {
	{ "jkt", SCHEMA_TEXT, .min = THUMBPRINT, .max = THUMBPRINT },
	{ "x5t#S256", SCHEMA_TEXT, .min = THUMBPRINT, .max = THUMBPRINT },
	{ 0 },
};

static const struct schema token_parameters[] = {
	{ "scope", SCHEMA_TEXT, .min = 1, .max = SCOPE_MAX },
	{ "authorizationDetails", SCHEMA_LIST, .min = 1, .max = DETAILS_MAX,
	  .rows = &detail_row },
	{ "cnf", SCHEMA_OBJECT, .rows = binding_members },
	{ 0 },
};

static const struct schema ssh_parameters[] = {
	{ "publicKey", SCHEMA_TEXT, .required = true, .min = 1,
	  .max = SSHSIG_KEY_MAX - 1 },
	{ 0 },
};

static bool have_shape(const struct schema *rows, const json_t *parameters,
		       struct credential_fault *fault)
{
	CLEANUP(json_put_p) json_t *empty = json_object();
	CLEANUP(json_put_p) json_t *faults = NULL;
	const json_t *first;

	schema_check(rows, parameters ? parameters : empty, NULL, &faults);
	first = json_array_get(faults, 0);
	if (first)
		refuse(fault, "invalid", "parameters%s: %s",
		       json_text(first, "at", ""),
		       json_text(first, "detail", "?"));
	return !first;
}

/* A detail is for this target, this task and the role that was decided on,
 * whether it says so or not. */
static json_t *bounded_detail(const struct credential_ask *ask,
			      const json_t *asked, const char *audience)
{
	json_t *detail = json_deep_copy(asked);

	json_set_new(detail, "locations", json_pack("[s]", audience));
	json_set_text(detail, "identifier", ask->role);
	json_set_text(detail, "task", ask->task);
	return detail;
}

static bool is_within(const struct credential_ask *ask, const json_t *detail,
		      const char *audience)
{
	const json_t *location;
	size_t at;

	json_array_foreach(json_array_in(detail, "locations"), at, location) {
		if (strcmp(json_string_value(location), audience) != 0)
			return false;
	}
	return !strcmp(json_text(detail, "task", ask->task), ask->task) &&
	       !strcmp(json_text(detail, "identifier", ask->role), ask->role);
}

static bool put_details(const struct credential_ask *ask, const char *audience,
			json_t *payload, struct credential_fault *fault)
{
	const json_t *asked =
		json_array_in(ask->parameters, "authorizationDetails");
	json_t *details;
	const json_t *detail;
	size_t at;

	if (!asked)
		return true;
	details = json_array();
	json_set_new(payload, "authorization_details", details);
	json_array_foreach(asked, at, detail) {
		if (!is_within(ask, detail, audience)) {
			refuse(fault, "invalid",
			       "parameters/authorizationDetails/%zu: "
			       "it is for another location, task or role",
			       at);
			return false;
		}
		json_array_append_new(details,
				      bounded_detail(ask, detail, audience));
	}
	return true;
}

static bool binding_holds(const json_t *issues, const json_t *cnf,
			  struct credential_fault *fault)
{
	if (!cnf &&
	    !strcmp(json_text(issues, "binding", "optional"), "required"))
		refuse(fault, "invalid",
		       "parameters/cnf: this target takes only tokens "
		       "that are bound to a key: ask with DPoP or a "
		       "client certificate");
	else if (cnf && json_object_size(cnf) != 1)
		refuse(fault, "invalid",
		       "parameters/cnf: one binding is wanted");
	else
		return true;
	return false;
}

static json_t *token_payload(const struct credential_ask *ask,
			     const json_t *issues,
			     struct credential_fault *fault)
{
	CLEANUP(mem_free_p)
	char *subject = credential_client(ask->inventory, ask->agent);
	CLEANUP(json_put_p) json_t *payload = json_object();
	const char *audience = json_text(issues, "audience", "");
	const char *scope = json_text(ask->parameters, "scope", ask->role);
	json_t *cnf = json_object_in(ask->parameters, "cnf");

	if (!subject)
		return refuse(fault, "invalid", "there is no such agent");
	if (strcmp(scope, ask->role) != 0)
		return refuse(fault, "invalid",
			      "parameters/scope: it is the role asked for, "
			      "'%s'; ask for each by itself",
			      ask->role);
	if (!binding_holds(issues, cnf, fault) ||
	    !put_details(ask, audience, payload, fault))
		return NULL;
	json_set_text(payload, "iss", ask->issuer);
	json_set_text(payload, "sub", subject);
	json_set_text(payload, "client_id", subject);
	json_set_text(payload, "aud", audience);
	json_set_text(payload, "scope", scope);
	if (cnf)
		json_object_set(payload, "cnf", cnf);
	if (json_array_size(ask->chain) + 1 > ACTORS_MAX)
		return refuse(fault, "invalid", "the chain is too long");
	if (json_array_size(ask->chain))
		json_set_new(payload, "act", actors(ask));
	return TAKE(payload);
}

/* ---- certificates ---- */

/* The rule of a Target that names a role, letter by letter; or NULL. */
static const json_t *rule_of(const json_t *spec, const char *role)
{
	const json_t *rule;
	size_t at;

	json_array_foreach(json_array_in(spec, "classification"), at, rule) {
		const char *named = json_text(json_object_in(rule, "match"),
					      "resource", NULL);

		if (named && !strcmp(named, role))
			return rule;
	}
	return NULL;
}

static json_t *ssh_payload(const struct credential_ask *ask, const json_t *rule,
			   struct credential_fault *fault)
{
	static const char *const options[] = { "sourceAddress", "forceCommand",
					       "permit" };
	const char *line = json_text(ask->parameters, "publicKey", "");
	CLEANUP(mem_free_p) char *base64 = NULL;
	CLEANUP(mem_free_p) char *plain = NULL;
	struct ssh_key key;
	json_t *payload;

	if (ssh_key_parse(line, &key) < 0)
		return refuse(fault, "invalid",
			      "parameters/publicKey: %s; wanted is an Ed25519 "
			      "or ECDSA P-256 key as in its .pub file",
			      error_message());
	base64 = text_base64(slice_of(key.blob, key.blob_len));
	plain = mem_format("%s %s", key.type, base64);
	payload = json_object();
	json_set_text(payload, "publicKey", plain);
	json_set_new(payload, "principals", json_pack("[s]", ask->role));
	json_pick(payload, json_object_in(rule, "ssh"), options,
		  ARRAY_LEN(options));
	return payload;
}

/* ---- either ---- */

static bool life_holds(const struct credential_ask *ask,
		       enum credential_form form,
		       struct credential_fault *fault)
{
	int64_t longest =
		form == CREDENTIAL_SSH ? CREDENTIAL_SSH_S : CREDENTIAL_TOKEN_S;

	if (ask->ttl_s > 0 && ask->ttl_s <= longest)
		return true;
	refuse(fault, "invalid",
	       "ttl: %s lives %lld minutes at most, and a moment at "
	       "least",
	       form == CREDENTIAL_SSH ? "a certificate" : "a token",
	       (long long)longest / 60);
	return false;
}

json_t *credential_payload(const struct credential_ask *ask,
			   struct credential_fault *ret_fault)
{
	static const struct schema *const parameters[] = {
		[CREDENTIAL_TOKEN] = token_parameters,
		[CREDENTIAL_SSH] = ssh_parameters,
	};
	const json_t *spec =
		inventory_spec(ask->inventory, MANIFEST_TARGET, ask->target);
	const json_t *rule = rule_of(spec, ask->role);
	enum credential_form form;

	if (!credential_form_of(spec, &form))
		return refuse(ret_fault, "invalid",
			      "nothing is signed for this target");
	if (!rule)
		return refuse(ret_fault, "out-of-base",
			      "the target's manifest has no resource '%.64s'",
			      ask->role);
	if (!have_shape(parameters[form], ask->parameters, ret_fault) ||
	    !life_holds(ask, form, ret_fault))
		return NULL;
	if (form == CREDENTIAL_SSH)
		return ssh_payload(ask, rule, ret_fault);
	return token_payload(ask, json_object_in(spec, "issues"), ret_fault);
}

/* ---- manifests ---- */

static void fault(json_t *faults, const char *at, char *owned_detail)
{
	json_t *row = json_object();

	json_set_text(row, "at", at);
	json_set_text(row, "detail", owned_detail);
	json_array_append_new(faults, row);
	free(owned_detail);
}

static bool begins(const char *text, const char *start)
{
	return !strncmp(text, start, strlen(start));
}

/* http goes nowhere but to this machine. */
static bool is_audience(const char *uri)
{
	static const char *const here[] = { "http://127.0.0.1", "http://[::1]",
					    "http://localhost" };
	bool sound = begins(uri, "https://") && uri[strlen("https://")] > ' ' &&
		     uri[strlen("https://")] != '/';

	for (size_t i = 0; i < ARRAY_LEN(here); i++) {
		const char *rest = uri + strlen(here[i]);

		sound |= begins(uri, here[i]) &&
			 (*rest == '\0' || *rest == ':' || *rest == '/');
	}
	for (const char *c = uri; *c; c++) {
		if (*c <= ' ' || *c >= 0x7f || *c == '#' || *c == '@')
			return false;
	}
	return sound;
}

static void check_token(const char *at, const json_t *issues, json_t *faults)
{
	const char *audience = json_text(issues, "audience", NULL);

	if (!audience)
		fault(faults, at,
		      mem_str("spec.issues.audience: wanted for tokens: the "
			      "https URL of whom they are for"));
	else if (!is_audience(audience))
		fault(faults, at,
		      mem_format("spec.issues.audience: '%.128s' is no https "
				 "URL (http only of this machine), or has a "
				 "fragment",
				 audience));
	if (json_array_in(issues, "hosts"))
		fault(faults, at,
		      mem_str("spec.issues.hosts: only for form ssh"));
}

static void check_ssh(const char *at, const json_t *issues, json_t *faults)
{
	static const char *const others[] = { "audience", "binding" };

	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		if (json_text(issues, others[i], NULL))
			fault(faults, at,
			      mem_format("spec.issues.%s: only for form token",
					 others[i]));
	}
}

static void check_options(const char *at, size_t row, const json_t *ssh,
			  json_t *faults)
{
	const char *sources = json_text(ssh, "sourceAddress", NULL);
	const char *command = json_text(ssh, "forceCommand", NULL);

	if (sources && !sshcert_takes_sources(sources))
		fault(faults, at,
		      mem_format("spec.classification[%zu].ssh.sourceAddress: "
				 "addresses or networks in CIDR form, "
				 "separated by commas",
				 row));
	if (command && !sshcert_takes_command(command))
		fault(faults, at,
		      mem_format("spec.classification[%zu].ssh.forceCommand: "
				 "one line",
				 row));
}

/* A rule that names a role of what is issued, or says more than fits. */
static void check_rule(const char *at, size_t row, const json_t *rule,
		       bool issues, enum credential_form form, json_t *faults)
{
	const char *role =
		json_text(json_object_in(rule, "match"), "resource", NULL);
	const json_t *ssh = json_object_in(rule, "ssh");

	if (ssh && (!issues || form != CREDENTIAL_SSH || !role))
		fault(faults, at,
		      mem_format("spec.classification[%zu].ssh: only for a "
				 "match.resource of a target that issues ssh",
				 row));
	check_options(at, row, ssh, faults);
	if (!issues || !role)
		return;
	if (form == CREDENTIAL_TOKEN && !is_scope(role))
		fault(faults, at,
		      mem_format("spec.classification[%zu].match.resource: "
				 "'%.64s' is no scope (RFC 6749, 3.3)",
				 row, role));
	if (form == CREDENTIAL_SSH && !sshcert_takes_principal(role))
		fault(faults, at,
		      mem_format("spec.classification[%zu].match.resource: "
				 "'%.64s' is no principal: no blanks, commas "
				 "or quotes, %d bytes at most",
				 row, role, SSHCERT_NAME_MAX));
}

void credential_check(const char *at, const json_t *spec, json_t *faults)
{
	const json_t *issues = json_object_in(spec, "issues");
	enum credential_form form = CREDENTIAL_TOKEN;
	const json_t *rule;
	size_t row;

	if (!issues == !json_text(spec, "connector", NULL))
		fault(faults, at,
		      mem_str("spec: a target has either a connector, or "
			      "issues credentials that Writ signs"));
	if (issues && credential_form_of(spec, &form)) {
		if (form == CREDENTIAL_SSH)
			check_ssh(at, issues, faults);
		else
			check_token(at, issues, faults);
	}
	json_array_foreach(json_array_in(spec, "classification"), row, rule)
		check_rule(at, row, rule, issues != NULL, form, faults);
}
