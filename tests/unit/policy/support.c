#include "support.h"

#include <assert.h>

#include "base/error.h"
#include "base/mem.h"

static char *text_of(const char *name)
{
	struct buf text = BUF_INIT(1 << 20);
	CLEANUP(mem_free_p)
	char *path = mem_format("%s/%s", POLICY_FOLDER, name);

	assert(file_read(path, &text) == 0);
	return buf_take_text(&text);
}

json_t *support_files(void)
{
	CLEANUP(mem_free_p) char *schema = text_of("governance.cedarschema");
	CLEANUP(mem_free_p) char *policies = text_of("policies.cedar");
	CLEANUP(mem_free_p) char *invariants = text_of("invariants.cedar");
	CLEANUP(mem_free_p) char *templates = text_of("templates.cedar");

	return json_pack("{s:s, s:{s:s}, s:s, s:s}", "schema", schema,
			 "policies", "policies.cedar", policies, "invariants",
			 invariants, "templates", templates);
}

static struct policy_bundle *build(const json_t *files, json_t **ret_faults)
{
	CLEANUP(json_put_p) json_t *faults = NULL;
	struct policy_bundle *bundle = NULL;

	if (policy_bundle_build(files, &bundle, &faults) < 0) {
		fprintf(stderr, "%s\n", error_message());
		return NULL;
	}
	if (!bundle && !ret_faults) {
		CLEANUP(mem_free_p) char *text = json_canonical(faults);

		fprintf(stderr, "%s\n", text);
	}
	if (ret_faults)
		*ret_faults = TAKE(faults);
	return bundle;
}

struct policy_bundle *support_bundle(void)
{
	CLEANUP(json_put_p) json_t *files = support_files();
	struct policy_bundle *bundle = build(files, NULL);

	assert(bundle);
	return bundle;
}

json_t *support_scenarios(void)
{
	CLEANUP(mem_free_p) char *text = text_of("scenarios.json");
	json_t *value = NULL;

	assert(json_parse(slice_str(text), 1 << 20, &value) == 0);
	return value;
}

static const char small_schema[] =
	"namespace Gov {\n"
	"  entity Color enum [\"red\", \"green\"];\n"
	"  entity Evidence enum [\"ticket\", \"plan\"];\n"
	"  entity Group in [Group];\n"
	"  entity Human in [Group] { active: Bool };\n"
	"  entity Agent in [Group] { owner: Human };\n"
	"  entity Thing in [Group] { color: Color, weight: Long };\n"
	"  entity Ledger tags Long;\n"
	"  entity Request { barred: Set<Human> };\n"
	"  action Act appliesTo { principal: [Agent], resource: [Thing],\n"
	"    context: { now: datetime, ttl: duration, evidence: "
	"Set<Evidence>,\n"
	"               approvals: Ledger } };\n"
	"  action Approve appliesTo { principal: [Human], resource: "
	"[Request],\n"
	"    context: { now: datetime, forGroup: Group, stepUp: Bool } };\n"
	"}\n";

struct policy_bundle *support_small(const char *policies,
				    const char *invariants, json_t **ret_faults)
{
	CLEANUP(json_put_p)
	json_t *files = json_pack("{s:s, s:{s:s}, s:s}", "schema", small_schema,
				  "policies", "own.cedar", policies,
				  "invariants", invariants);

	return build(files, ret_faults);
}

json_t *support_json(const char *text)
{
	CLEANUP(mem_free_p) char *quoted = mem_str(text);
	json_t *value = NULL;

	for (char *c = quoted; *c; c++)
		if (*c == '\'')
			*c = '"';
	if (json_parse(slice_str(quoted), 1 << 20, &value) < 0) {
		fprintf(stderr, "%s\n", error_message());
		assert(false);
	}
	return value;
}

json_t *support_ask(void)
{
	return support_json(
		"{'principal': {'type': 'Gov::Agent', 'id': 'a'},"
		" 'action': 'Act',"
		" 'resource': {'type': 'Gov::Thing', 'id': 't'},"
		" 'context': {"
		"  'now': {'__extn': {'fn': 'datetime',"
		"                     'arg': '2026-11-23T10:00:00Z'}},"
		"  'ttl': {'__extn': {'fn': 'duration', 'arg': '1h'}},"
		"  'evidence': [],"
		"  'approvals': {'__entity': {'type': 'Gov::Ledger',"
		"                             'id': 'this'}}},"
		" 'entities': ["
		"  {'uid': {'type': 'Gov::Agent', 'id': 'a'}, 'parents': [],"
		"   'attrs': {'owner': {'__entity': {'type': 'Gov::Human',"
		"                                    'id': 'h'}}}},"
		"  {'uid': {'type': 'Gov::Human', 'id': 'h'}, 'parents': [],"
		"   'attrs': {'active': true}},"
		"  {'uid': {'type': 'Gov::Thing', 'id': 't'}, 'parents': [],"
		"   'attrs': {'weight': 3, 'color': {'__entity':"
		"             {'type': 'Gov::Color', 'id': 'red'}}}},"
		"  {'uid': {'type': 'Gov::Ledger', 'id': 'this'},"
		"   'attrs': {}, 'parents': [], 'tags': {}},"
		"  {'uid': {'type': 'Gov::Request', 'id': 'pending'},"
		"   'attrs': {'barred': []}, 'parents': []}]}");
}
