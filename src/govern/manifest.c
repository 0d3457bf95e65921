/*
 * The tables of manifest kinds.
 */
#include "govern/manifest.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"

/* Element rows of lists. */
static const struct schema name_row = { "name", SCHEMA_NAME };
static const struct schema text_row = { "text", SCHEMA_TEXT };
static const struct schema capability_row = {
	"capability", SCHEMA_ENUM,
	.choices = "analyze|recommend|execute|delegate"
};
static const struct schema action_row = {
	"action", SCHEMA_ENUM,
	.choices = "AddToGroup|RemoveFromGroup|GrantRole|RevokeRole|"
		   "SuspendAccount|ResumeAccount|ReadEntitlements|Delegate|"
		   "IssueCredential|RevokeCredential"
};
static const struct schema key_row = { "key", SCHEMA_TEXT, .min = 16,
				       .max = 2048 };

#define STATUS_ROW                                                             \
	{                                                                      \
		"status", SCHEMA_ENUM,                                         \
			.choices = "active|suspended|retired",                 \
			.help = "only an active one counts (default: active)"  \
	}

static const struct schema plane_spec[] = {
	{ "sensitivity", SCHEMA_INT, .required = true, .min = 0, .max = 4,
	  .help = "how much it discloses, 0 to 4" },
	{ 0 },
};

static const struct schema domain_spec[] = {
	{ "approvers", SCHEMA_NAME, .required = true,
	  .help = "the group that answers for this domain" },
	{ 0 },
};

static const struct schema escalation_members[] = {
	{ "to", SCHEMA_NAME, .required = true,
	  .help = "the group that may then sign in the place of the silent" },
	{ "after", SCHEMA_DURATION, .min = 1, .max = 7 * 86400,
	  .help = "how long silence lasts (default: half the time there is)" },
	{ 0 },
};

static const struct schema group_spec[] = {
	{ "parents", SCHEMA_LIST, .max = 32, .rows = &name_row,
	  .help = "groups whose members the members of this one also are" },
	{ "description", SCHEMA_TEXT, .max = 1024, .help = "for people" },
	{ "escalation", SCHEMA_OBJECT, .rows = escalation_members,
	  .help = "what happens when it is asked and says nothing" },
	{ 0 },
};

static const struct schema human_spec[] = {
	STATUS_ROW,
	{ "groups", SCHEMA_LIST, .max = 64, .rows = &name_row,
	  .help = "the groups this person is in" },
	{ "keys", SCHEMA_LIST, .max = 16, .rows = &key_row,
	  .help = "SSH public keys: type and base64" },
	{ "email", SCHEMA_TEXT, .max = 254, .help = "where notices go" },
	{ "timezone", SCHEMA_TEXT, .max = 64,
	  .help = "IANA zone for business hours (default: UTC)" },
	{ "accounts", SCHEMA_LIST, .max = 64, .rows = &text_row,
	  .help = "this person's own accounts, as target/id" },
	{ 0 },
};

static const struct schema endpoint_members[] = {
	{ "profile", SCHEMA_ENUM, .required = true,
	  .choices = "https_web|https_spiffe",
	  .help = "by what the endpoint itself is believed" },
	{ "url", SCHEMA_TEXT, .required = true, .min = 1, .max = 2048 },
	{ "spiffeId", SCHEMA_TEXT, .min = 1, .max = 2048,
	  .help = "of the endpoint, for https_spiffe" },
	{ 0 },
};

static const struct schema issuer_members[] = {
	{ "issuer", SCHEMA_TEXT, .required = true, .min = 1, .max = 1024,
	  .help = "URL, exactly as tokens have it in iss" },
	{ "jwksUri", SCHEMA_TEXT, .min = 1, .max = 2048,
	  .help = "its key set (default: found by discovery)" },
	{ "caFile", SCHEMA_TEXT, .min = 1, .max = 1024,
	  .help = "PEM of the authorities of its servers" },
	{ "subjectClaim", SCHEMA_TEXT, .min = 1, .max = 256,
	  .help = "claim that every rule of an agent names (default: sub)" },
	{ "longestToken", SCHEMA_DURATION, .min = 60, .max = 86400,
	  .help = "how long a token may live (default: 1h)" },
	{ "singleUse", SCHEMA_FLAG,
	  .help = "a token's jti serves one acting call (default: true)" },
	{ 0 },
};

static const struct schema trust_domain_spec[] = {
	{ "trustDomain", SCHEMA_TEXT, .min = 1, .max = 255,
	  .help = "SPIFFE trust domain; or else oidc" },
	{ "bundleFile", SCHEMA_TEXT, .min = 1, .max = 1024,
	  .help = "its SPIFFE bundle, read again when it changes" },
	{ "endpoint", SCHEMA_OBJECT, .rows = endpoint_members,
	  .help = "where its bundle is fetched instead" },
	{ "longestCertificate", SCHEMA_DURATION, .min = 60, .max = 398 * 86400,
	  .help = "how long an X.509-SVID may live (default: 25h)" },
	{ "oidc", SCHEMA_OBJECT, .rows = issuer_members,
	  .help = "an issuer of workload tokens" },
	{ "staleAfter", SCHEMA_DURATION, .min = 300, .max = 30 * 86400,
	  .help = "age at which what was fetched counts no more "
		  "(default: 1d)" },
	{ 0 },
};

static const struct schema claim_row = { "value", SCHEMA_ANY };

static const struct schema oidc_members[] = {
	{ "issuer", SCHEMA_TEXT, .required = true, .min = 1, .max = 1024,
	  .help = "that of a TrustDomain" },
	{ "claims", SCHEMA_MAP, .required = true, .min = 1, .max = 16,
	  .rows = &claim_row,
	  .help = "what a token must say, by name or JSON pointer: a text, or "
		  "a list of which one is enough" },
	{ 0 },
};
static const struct schema oidc_row = { "rule", SCHEMA_OBJECT,
					.rows = oidc_members };

static const struct schema limits_members[] = {
	{ "openTasks", SCHEMA_INT, .min = 1, .max = 1000000,
	  .help = "tasks that are open at once" },
	{ "openRequests", SCHEMA_INT, .min = 1, .max = 1000000,
	  .help = "requests that wait or run at once" },
	{ "requestsPerMinute", SCHEMA_INT, .min = 1, .max = 100000000,
	  .help = "requests, rollbacks and explanations a minute" },
	{ "recordBytes", SCHEMA_INT, .min = 1, .max = INT64_C(1) << 40,
	  .help = "bytes of prompts and traces of one task" },
	{ 0 },
};

static const struct schema agent_spec[] = {
	{ "owner", SCHEMA_NAME, .required = true,
	  .help = "the human who answers for it" },
	{ "purpose", SCHEMA_TEXT, .required = true, .min = 3, .max = 1024,
	  .help = "what it is for, in words" },
	{ "expires", SCHEMA_TIME, .required = true,
	  .help = "after this it may do nothing" },
	STATUS_ROW,
	{ "capabilities", SCHEMA_LIST, .required = true, .min = 1, .max = 4,
	  .rows = &capability_row, .help = "what it can do" },
	{ "clearance", SCHEMA_INT, .required = true, .min = 0, .max = 4,
	  .help = "highest sensitivity it may read" },
	{ "maxDelegationDepth", SCHEMA_INT, .min = 0, .max = 3,
	  .help = "how deep in a chain it may act (default: 0)" },
	{ "identities", SCHEMA_LIST, .min = 1, .max = 8, .rows = &text_row,
	  .help = "its SPIFFE IDs" },
	{ "oidc", SCHEMA_LIST, .min = 1, .max = 8, .rows = &oidc_row,
	  .help = "which OIDC tokens are its" },
	{ "accounts", SCHEMA_LIST, .max = 64, .rows = &text_row,
	  .help = "accounts it uses itself, as target/id" },
	{ "limits", SCHEMA_OBJECT, .rows = limits_members,
	  .help = "its quotas, where other than the configuration's" },
	{ 0 },
};

static const struct schema rule_match[] = {
	{ "resource", SCHEMA_TEXT, .max = 1024,
	  .help = "exact id of the resource" },
	{ "suffix", SCHEMA_TEXT, .max = 1024,
	  .help = "what the id ends in, from a comma on" },
	{ "type", SCHEMA_TEXT, .max = 64, .help = "type of the resource" },
	{ 0 },
};

static const struct schema permit_row = {
	"permit", SCHEMA_ENUM,
	.choices = "pty|port-forwarding|agent-forwarding|X11-forwarding|"
		   "user-rc"
};

static const struct schema ssh_members[] = {
	{ "sourceAddress", SCHEMA_TEXT, .min = 1, .max = 1024,
	  .help = "addresses it can be used from, in CIDR form, separated by "
		  "commas (default: any)" },
	{ "forceCommand", SCHEMA_TEXT, .min = 1, .max = 4096,
	  .help = "what runs, whatever is asked for (default: what is asked)" },
	{ "permit", SCHEMA_LIST, .max = 5, .rows = &permit_row,
	  .help = "what a session may do beside running a command (default: "
		  "nothing)" },
	{ 0 },
};

static const struct schema rule_members[] = {
	{ "match", SCHEMA_OBJECT, .required = true, .rows = rule_match,
	  .help = "all of what is given must fit" },
	{ "tier", SCHEMA_INT, .required = true, .min = 0, .max = 3,
	  .help = "how much power it gives, 0 to 3" },
	{ "sensitivity", SCHEMA_INT, .required = true, .min = 0, .max = 4,
	  .help = "how much it discloses, 0 to 4" },
	{ "environment", SCHEMA_ENUM, .choices = "dev|test|staging|prod",
	  .help = "if other than the target's" },
	{ "signOff", SCHEMA_FLAG,
	  .help = "regulated: the domain's approvers always sign" },
	{ "ssh", SCHEMA_OBJECT, .rows = ssh_members,
	  .help = "what a certificate for this principal is held to" },
	{ 0 },
};
static const struct schema rule_row = { "rule", SCHEMA_OBJECT,
					.rows = rule_members };

static const struct schema issues_members[] = {
	{ "form", SCHEMA_ENUM, .required = true, .choices = "token|ssh",
	  .help = "OAuth access tokens, or OpenSSH certificates" },
	{ "audience", SCHEMA_TEXT, .min = 8, .max = 2048,
	  .help = "URL of whom tokens are for, as it checks it in aud" },
	{ "binding", SCHEMA_ENUM, .choices = "required|optional",
	  .help = "whether a token must be bound to a key, by DPoP or a "
		  "client certificate (default: optional)" },
	{ "hosts", SCHEMA_LIST, .max = 256, .rows = &text_row,
	  .help = "the hosts that take certificates, for people" },
	{ "verifiers", SCHEMA_LIST, .max = 64, .rows = &name_row,
	  .help = "agents that may introspect and revoke what is issued" },
	{ 0 },
};

static const struct schema target_spec[] = {
	{ "connector", SCHEMA_NAME,
	  .help = "kind of connector: ldap, postgres, sshd, null; or else "
		  "issues" },
	{ "issues", SCHEMA_OBJECT, .rows = issues_members,
	  .help = "credentials that Writ signs for it, without a connector" },
	{ "owner", SCHEMA_NAME, .required = true,
	  .help = "the human who answers for it" },
	{ "plane", SCHEMA_NAME, .required = true },
	{ "domain", SCHEMA_NAME, .required = true },
	{ "environment", SCHEMA_ENUM, .required = true,
	  .choices = "dev|test|staging|prod" },
	{ "classification", SCHEMA_LIST, .required = true, .min = 1,
	  .max = 1024, .rows = &rule_row,
	  .help = "first rule that fits decides; none: the highest tier" },
	{ "drillDays", SCHEMA_INT, .min = 1, .max = 90,
	  .help = "how long a passed drill counts (default: 7)" },
	{ "drillEvery", SCHEMA_DURATION, .min = 300, .max = 90 * 86400,
	  .help = "drills are repeated by themselves (default: they are not)" },
	{ 0 },
};

static const struct schema monitoring_members[] = {
	{ "detectors", SCHEMA_LIST, .required = true, .min = 1, .max = 16,
	  .rows = &name_row, .help = "all of them must have been heard" },
	{ "heardWithin", SCHEMA_DURATION, .required = true, .min = 1,
	  .max = 86400, .help = "how long ago at most" },
	{ 0 },
};

static const struct schema task_class_spec[] = {
	{ "owner", SCHEMA_NAME, .required = true },
	STATUS_ROW,
	{ "purpose", SCHEMA_TEXT, .required = true, .min = 3, .max = 1024 },
	{ "domain", SCHEMA_NAME, .required = true },
	{ "planes", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &name_row },
	{ "openers", SCHEMA_LIST, .required = true, .min = 1, .max = 256,
	  .rows = &name_row, .help = "agents that may open a task of it" },
	{ "actions", SCHEMA_LIST, .required = true, .min = 1, .max = 32,
	  .rows = &action_row },
	{ "maxTier", SCHEMA_INT, .required = true, .min = 0, .max = 3 },
	{ "longest", SCHEMA_DURATION, .required = true, .min = 60,
	  .max = 30 * 86400, .help = "how long a task of it may last" },
	{ "requiresEvidence", SCHEMA_LIST, .max = 8, .rows = &text_row,
	  .help = "evidence every request of it carries: prompt, tool_trace" },
	{ "requiresReceipt", SCHEMA_ENUM, .choices = "signed|witnessed",
	  .help = "what the log must have for an armed leaf before anything "
		  "is carried out (default: signed)" },
	{ "requiresEffects", SCHEMA_FLAG,
	  .help = "a task is completed only once it was reported what was "
		  "done with what was lent (default: false)" },
	{ "approvalWithin", SCHEMA_DURATION, .min = 60, .max = 7 * 86400,
	  .help = "how long a request waits for people (default: 4h)" },
	{ "softwareKeys", SCHEMA_FLAG,
	  .help = "approvals by software keys count as step-up; for "
		  "demonstrations (default: false)" },
	{ "monitoring", SCHEMA_OBJECT, .rows = monitoring_members,
	  .help = "detectors that must be live while it is carried out" },
	{ "escalation", SCHEMA_OBJECT, .rows = escalation_members,
	  .help = "to whom silence goes, whichever group is asked" },
	{ 0 },
};

static const struct schema detector_spec[] = {
	{ "owner", SCHEMA_NAME, .required = true,
	  .help = "the human who answers for it" },
	STATUS_ROW,
	{ "keys", SCHEMA_LIST, .required = true, .min = 1, .max = 4,
	  .rows = &key_row,
	  .help = "SSH public keys that sign for it: type and base64" },
	{ "signals", SCHEMA_LIST, .required = true, .min = 1, .max = 64,
	  .rows = &name_row, .help = "the kinds of signals it may send" },
	{ "maxScore", SCHEMA_INT, .required = true, .min = 1, .max = 100,
	  .help = "the highest score it may give" },
	{ "agent", SCHEMA_NAME,
	  .help = "the agent it is part of: it never counts for that one" },
	{ 0 },
};

static const struct schema change_freeze_spec[] = {
	{ "begin", SCHEMA_TIME, .required = true },
	{ "end", SCHEMA_TIME, .required = true },
	{ "reason", SCHEMA_TEXT, .required = true, .min = 3, .max = 1024 },
	{ "domains", SCHEMA_LIST, .min = 1, .max = 64, .rows = &name_row,
	  .help = "only changes in these (default: everywhere)" },
	{ 0 },
};

static const struct schema file_row = { "text", SCHEMA_TEXT, .max = 256 * 1024,
					.choices = "multiline" };

static const struct schema policy_bundle_spec[] = {
	{ "schema", SCHEMA_TEXT, .required = true, .max = 256 * 1024,
	  .choices = "multiline" },
	{ "policies", SCHEMA_MAP, .required = true, .max = 64,
	  .rows = &file_row, .help = "texts by file name" },
	{ "invariants", SCHEMA_TEXT, .required = true, .max = 256 * 1024,
	  .choices = "multiline" },
	{ "templates", SCHEMA_TEXT, .required = true, .max = 256 * 1024,
	  .choices = "multiline" },
	{ "scenarios", SCHEMA_ANY, .required = true,
	  .help = "what must hold before it is activated" },
	{ 0 },
};

static const struct {
	const char *name;
	const struct schema *spec;
} kinds[MANIFEST_KIND_COUNT] = {
	[MANIFEST_PLANE] = { "Plane", plane_spec },
	[MANIFEST_DOMAIN] = { "Domain", domain_spec },
	[MANIFEST_GROUP] = { "Group", group_spec },
	[MANIFEST_HUMAN] = { "Human", human_spec },
	[MANIFEST_TRUST_DOMAIN] = { "TrustDomain", trust_domain_spec },
	[MANIFEST_AGENT] = { "Agent", agent_spec },
	[MANIFEST_TARGET] = { "Target", target_spec },
	[MANIFEST_TASK_CLASS] = { "TaskClass", task_class_spec },
	[MANIFEST_POLICY_BUNDLE] = { "PolicyBundle", policy_bundle_spec },
	[MANIFEST_DETECTOR] = { "Detector", detector_spec },
	[MANIFEST_CHANGE_FREEZE] = { "ChangeFreeze", change_freeze_spec },
};

const char *manifest_kind_name(enum manifest_kind kind)
{
	return kinds[kind].name;
}

const struct schema *manifest_kind_spec(enum manifest_kind kind)
{
	return kinds[kind].spec;
}

bool manifest_kind_find(const char *name, enum manifest_kind *ret_kind)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (name && !strcmp(name, kinds[i].name)) {
			*ret_kind = (enum manifest_kind)i;
			return true;
		}
	}
	return false;
}

static const struct schema metadata_members[] = {
	{ "name", SCHEMA_NAME, .required = true },
	{ "description", SCHEMA_TEXT, .max = 1024 },
	{ 0 },
};

void manifest_check(const json_t *manifest, const struct yaml_places *places,
		    json_t **ret_faults)
{
	enum manifest_kind kind = MANIFEST_AGENT;
	bool known =
		json_is_object(manifest) &&
		manifest_kind_find(json_text(manifest, "kind", NULL), &kind);
	struct schema spec = { "spec", known ? SCHEMA_OBJECT : SCHEMA_ANY,
			       .required = true,
			       .rows = known ? kinds[kind].spec : NULL };
	const struct schema members[] = {
		{ "kind", SCHEMA_ENUM, .required = true,
		  .choices = "Plane|Domain|Group|Human|TrustDomain|Agent|"
			     "Target|TaskClass|PolicyBundle|Detector|"
			     "ChangeFreeze" },
		{ "metadata", SCHEMA_OBJECT, .required = true,
		  .rows = metadata_members },
		spec,
		{ 0 },
	};

	schema_check(members, manifest, places, ret_faults);
}

char *manifest_id(const json_t *manifest)
{
	const json_t *metadata = json_object_in(manifest, "metadata");

	return mem_format("%s/%s", json_text(manifest, "kind", "?"),
			  json_text(metadata, "name", "?"));
}

void manifests_put(json_t *all, const json_t *manifests)
{
	json_t *manifest;
	size_t at;

	json_array_foreach(manifests, at, manifest) {
		CLEANUP(mem_free_p) char *id = manifest_id(manifest);

		json_object_set(all, id, manifest);
	}
}

static struct digest digest_of_json(const json_t *value)
{
	CLEANUP(mem_free_p) char *text = json_canonical(value);

	return digest_of(slice_str(text));
}

struct digest manifest_digest(const json_t *manifest)
{
	return digest_of_json(manifest);
}

struct sort_row {
	int kind;
	const char *name;
	json_t *manifest;
};

static int compare_rows(const void *left, const void *right)
{
	const struct sort_row *a = left;
	const struct sort_row *b = right;

	return a->kind != b->kind ? a->kind - b->kind
				  : strcmp(a->name, b->name);
}

static json_t *ordered(const json_t *manifests)
{
	size_t count = json_array_size(manifests);
	CLEANUP(mem_free_p)
	struct sort_row *rows = mem_array(count + 1, sizeof(*rows));
	json_t *out = json_array();

	for (size_t i = 0; i < count; i++) {
		json_t *m = json_array_get(manifests, i);
		enum manifest_kind kind = MANIFEST_KIND_COUNT;

		manifest_kind_find(json_text(m, "kind", NULL), &kind);
		rows[i] = (struct sort_row){
			(int)kind,
			json_text(json_object_in(m, "metadata"), "name", ""),
			m,
		};
	}
	qsort(rows, count, sizeof(*rows), compare_rows);
	for (size_t i = 0; i < count; i++)
		json_array_append(out, rows[i].manifest);
	return out;
}

struct digest manifest_set_digest(const json_t *manifests, bool prune,
				  json_t **ret_ordered)
{
	CLEANUP(json_put_p) json_t *list = ordered(manifests);
	CLEANUP(json_put_p) json_t *set = json_object();

	json_object_set(set, "manifests", list);
	json_set_flag(set, "prune", prune);
	if (ret_ordered)
		*ret_ordered = json_incref(list);
	return digest_of_json(set);
}

static void diff_add(json_t *out, const char *path, json_t *old, json_t *new)
{
	json_t *row = json_object();

	json_set_text(row, "path", path);
	if (old)
		json_object_set(row, "old", old);
	if (new)
		json_object_set(row, "new", new);
	json_array_append_new(out, row);
}

/* path and one more token of a JSON pointer (RFC 6901, 3); owned. */
static char *below_of(const char *path, const char *name)
{
	CLEANUP(buf_clear) struct buf b = BUF_INIT(4096);

	buf_putf(&b, "%s/", path);
	text_put_pointer_token(&b, name);
	return buf_take_text(&b);
}

static void diff_objects(json_t *out, const char *path, json_t *old,
			 json_t *new);

static void diff_values(json_t *out, const char *path, json_t *old, json_t *new)
{
	if (old && new &&json_equal(old, new))
		return;
	if (json_is_object(old) && json_is_object(new))
		diff_objects(out, path, old, new);
	else
		diff_add(out, path, old, new);
}

static void diff_objects(json_t *out, const char *path, json_t *old,
			 json_t *new)
{
	const char *name;
	json_t *value;

	json_object_foreach(old, name, value) {
		CLEANUP(mem_free_p) char *below = below_of(path, name);

		diff_values(out, below, value, json_object_get(new, name));
	}
	json_object_foreach(new, name, value) {
		CLEANUP(mem_free_p) char *below = below_of(path, name);

		if (!json_object_get(old, name))
			diff_add(out, below, NULL, value);
	}
}

json_t *manifest_diff(const json_t *old, const json_t *new)
{
	json_t *out = json_array();

	diff_objects(out, "", json_object_get(old, "spec"),
		     json_object_get(new, "spec"));
	return out;
}
