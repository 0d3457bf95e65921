#include "cli/review.h"

#include "base/error.h"
#include "base/mem.h"
#include "cli/output.h"
#include "govern/manifest.h"

enum { PLAN_MAX = 4 << 20 }; /* bytes */

static int check_claim(const char *computed, const char *claimed)
{
	if (!claimed || strcmp(computed, claimed) != 0)
		return error_set(ERR_CORRUPT,
				 "the authority names another digest than that "
				 "of what it shows; nothing was signed");
	return 0;
}

int review_plan(const char *text, const char *claimed, const char *id,
		json_t **ret_plan, char ret_digest[DIGEST_TEXT_LEN])
{
	CLEANUP(json_put_p) json_t *plan = NULL;
	CLEANUP(mem_free_p) char *again = NULL;
	char computed[DIGEST_TEXT_LEN];
	struct digest digest;

	if (json_parse(slice_str(text), PLAN_MAX, &plan) < 0)
		return error_context(ERR_CORRUPT, "the plan is no JSON");
	again = json_canonical(plan);
	if (strcmp(again, text) != 0)
		return error_set(ERR_CORRUPT, "the plan is not in canonical "
					      "form; nothing was signed");
	digest = digest_of(slice_str(text));
	digest_format(&digest, computed);
	TRY(check_claim(computed, claimed));
	if (strcmp(json_text(plan, "request", ""), id) != 0)
		return error_set(ERR_CORRUPT, "the plan belongs to another "
					      "request; nothing was signed");
	memcpy(ret_digest, computed, sizeof(computed));
	*ret_plan = TAKE(plan);
	return 0;
}

int review_manifests(const json_t *manifests, bool prune, const char *claimed,
		     char ret_digest[DIGEST_TEXT_LEN])
{
	struct digest digest = manifest_set_digest(manifests, prune, NULL);
	char computed[DIGEST_TEXT_LEN];

	digest_format(&digest, computed);
	if (claimed)
		TRY(check_claim(computed, claimed));
	memcpy(ret_digest, computed, sizeof(computed));
	return 0;
}

/* ---- showing ---- */

static const struct output_column plan_rows[] = {
	{ "Request", "request" },
	{ "Purpose", "purpose" },
	{ "Agent", "agent" },
	{ "On behalf of", "chain" },
	{ "Task", "task" },
	{ "Action", "action" },
	{ "Target", "target" },
	{ "Resource", "resource" },
	{ "Tier", "tier" },
	{ "Parameters", "parameters" },
	{ "Blast radius", "blastRadius" },
	{ "Mode", "mode" },
	{ "Lasts (s)", "ttl" },
};

static void show_people(FILE *out, bool colour, enum paint paint,
			const char *title, const json_t *list)
{
	const json_t *one;
	size_t i;

	json_array_foreach(list, i, one) {
		CLEANUP(mem_free_p)
		char *line = mem_format("%s %s", json_text(one, "type", ""),
					json_text(one, "id", "?"));

		fprintf(out, "%s:%*s ", title, 15 - (int)strlen(title), "");
		output_paint(out, colour, paint, line);
		fputc('\n', out);
	}
}

static void show_plan_diff(FILE *out, bool colour, const json_t *diff)
{
	const json_t *step;
	size_t i;

	json_array_foreach(diff, i, step) {
		bool add = !strcmp(json_text(step, "op", ""), "add");
		CLEANUP(mem_free_p)
		char *value = output_value(json_object_get(step, "value"));
		CLEANUP(mem_free_p)
		char *line = mem_format(
			"  %s %s: %s",
			add ? "+"
			: !strcmp(json_text(step, "op", ""), "delete")
				? "-"
				: json_text(step, "op", "?"),
			json_text(step, "attribute", "?"), value);

		output_paint(out, colour, add ? PAINT_GOOD : PAINT_BAD, line);
		fputc('\n', out);
	}
}

/* Whatever else is signed with the plan: nothing signed stays unseen. */
static void show_rest(FILE *out, bool colour, const json_t *plan)
{
	static const char *const shown[] = { "gains", "loses", "undo", "diff" };
	const char *name;
	const json_t *value;

	json_object_foreach((json_t *)(uintptr_t)plan, name, value) {
		CLEANUP(mem_free_p) char *text = NULL;
		CLEANUP(mem_free_p) char *line = NULL;
		bool seen = false;

		for (size_t i = 0; i < ARRAY_LEN(plan_rows); i++)
			seen |= !strcmp(plan_rows[i].path, name);
		for (size_t i = 0; i < ARRAY_LEN(shown); i++)
			seen |= !strcmp(shown[i], name);
		if (seen)
			continue;
		text = output_value(value);
		line = mem_format("  %s: %s", name, text);
		output_paint(out, colour, PAINT_DIM, line);
		fputc('\n', out);
	}
}

void review_show_plan(FILE *out, bool colour, const json_t *plan,
		      const char *digest)
{
	const json_t *undo = json_object_get(plan, "undo");
	CLEANUP(mem_free_p) char *way_back = output_value(undo);

	output_record(out, plan, plan_rows, ARRAY_LEN(plan_rows));
	show_people(out, colour, PAINT_CARE, "Gains",
		    json_array_in(plan, "gains"));
	show_people(out, colour, PAINT_CARE, "Loses",
		    json_array_in(plan, "loses"));
	fputs("Undo:            ", out);
	output_paint(out, colour,
		     undo && !json_is_null(undo) ? PAINT_PLAIN : PAINT_BAD,
		     undo && !json_is_null(undo) ? way_back
						 : "there is no way back");
	fputs("\nDiff:\n", out);
	show_plan_diff(out, colour, json_array_in(plan, "diff"));
	fputs("Also signed:\n", out);
	show_rest(out, colour, plan);
	fprintf(out, "Digest:          %s\n", digest);
}

static const struct {
	const char *op;
	const char *mark;
	enum paint paint;
} marks[] = {
	{ "create", "+", PAINT_GOOD },
	{ "update", "~", PAINT_CARE },
	{ "delete", "-", PAINT_BAD },
	{ "unchanged", "=", PAINT_DIM },
};

static void show_operation(FILE *out, bool colour, const json_t *operation)
{
	const char *op = json_text(operation, "op", "?");
	CLEANUP(mem_free_p) char *line = NULL;
	const char *mark = "?";
	enum paint paint = PAINT_BAD;

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		if (strcmp(marks[i].op, op))
			continue;
		mark = marks[i].mark;
		paint = marks[i].paint;
	}
	line = mem_format("%s %s %s/%s", mark, op,
			  json_text(operation, "kind", "?"),
			  json_text(operation, "name", "?"));
	output_paint(out, colour, paint, line);
	fputc('\n', out);
}

static void show_side(FILE *out, bool colour, enum paint paint,
		      const char *mark, const char *path, const json_t *value)
{
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *line = NULL;

	if (!value)
		return;
	text = output_value(value);
	line = mem_format("    %s %s: %s", mark, path, text);
	output_paint(out, colour, paint, line);
	fputc('\n', out);
}

size_t review_show_diff(FILE *out, bool colour, const json_t *diff)
{
	const json_t *operation;
	const json_t *change;
	size_t count = 0;
	size_t i;
	size_t k;

	json_array_foreach(diff, i, operation) {
		show_operation(out, colour, operation);
		count += strcmp(json_text(operation, "op", "?"), "unchanged") !=
			 0;
		json_array_foreach(json_array_in(operation, "changes"), k,
				   change) {
			const char *path = json_text(change, "path", "?");

			show_side(out, colour, PAINT_BAD, "-", path,
				  json_object_get(change, "old"));
			show_side(out, colour, PAINT_GOOD, "+", path,
				  json_object_get(change, "new"));
		}
	}
	return count;
}
