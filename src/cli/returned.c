#include "cli/returned.h"

#include "base/mem.h"
#include "cli/output.h"

enum { KINDS_MAX = 16 * 1024 };

static const struct output_column changed_columns[] = {
	{ "ACTION", "action" },	    { "TARGET", "target" },
	{ "RESOURCE", "resource" }, { "EFFECT", "effect" },
	{ "REQUEST", "id" },
};

static const struct output_column lent_columns[] = {
	{ "TARGET", "target" },
	{ "ROLE", "resource" },
	{ "ENDED", "ended" },
	{ "HOW", "how" },
};

static const struct output_column reported_columns[] = {
	{ "TARGET", "target" }, { "ACTION", "action" }, { "COUNT", "count" },
	{ "OBJECT", "object" }, { "NOTE", "note" },
};

static const struct output_column observed_columns[] = {
	{ "TARGET", "target" },
	{ "DEEDS", "kinds" },
	{ "RECORDS", "records" },
};

/* What the authority said of how it ended; one that is not confirmed is what
 * people must look after. */
static json_t *lent_row(const json_t *lent)
{
	json_t *row = json_copy((json_t *)(uintptr_t)lent);
	const char *open = json_text(lent, "unconfirmed", NULL);
	CLEANUP(mem_free_p)
	char *how = open ? mem_format("not confirmed: %s", open)
			 : mem_str(json_text(lent, "why", NULL));

	json_set_text(row, "how", how);
	return row;
}

/* Each kind of deed once, with how often it was seen. */
static json_t *count_kinds(const json_t *deeds)
{
	json_t *kinds = json_object();
	const json_t *deed;
	size_t i;

	json_array_foreach(deeds, i, deed) {
		const char *kind = json_text(deed, "command", "?");

		json_set_int(kinds, kind,
			     json_int(kinds, kind, 0) +
				     json_int(deed, "count", 1));
	}
	return kinds;
}

static char *kinds_of(const json_t *deeds)
{
	CLEANUP(json_put_p) json_t *kinds = count_kinds(deeds);
	CLEANUP(buf_clear) struct buf b = BUF_INIT(KINDS_MAX);
	const char *kind;
	json_t *count;

	json_object_foreach(kinds, kind, count)
		buf_putf(&b, "%s%s %lld", b.len ? ", " : "", kind,
			 (long long)json_integer_value(count));
	if (b.overflow)
		return mem_str("many kinds");
	return mem_str(b.len ? buf_text(&b) : "nothing");
}

static json_t *observed_row(const json_t *observed)
{
	json_t *row = json_object();
	CLEANUP(mem_free_p)
	char *kinds = kinds_of(json_object_get(observed, "deeds"));
	const char *why = json_text(observed, "why", NULL);
	CLEANUP(mem_free_p)
	char *records = json_flag(observed, "complete", false)
				? mem_str("complete")
			: why ? mem_format("not complete: %s", why)
			      : mem_str("not complete");

	json_set_text(row, "target", json_text(observed, "target", NULL));
	json_set_text(row, "kinds", kinds);
	json_set_text(row, "records", records);
	return row;
}

/* ---- lists ---- */

static const struct {
	const char *title;
	const char *member;
	json_t *(*row)(const json_t *value); /* NULL: as it is */
	const struct output_column *columns;
	size_t count;
} lists[] = {
	{ "Changed", "changed", NULL, changed_columns,
	  ARRAY_LEN(changed_columns) },
	{ "Lent", "lent", lent_row, lent_columns, ARRAY_LEN(lent_columns) },
	{ "Reported", "reported", NULL, reported_columns,
	  ARRAY_LEN(reported_columns) },
	{ "Observed", "observed", observed_row, observed_columns,
	  ARRAY_LEN(observed_columns) },
};

static void show_list(struct cli *cli, const json_t *returned, size_t at)
{
	CLEANUP(json_put_p) json_t *rows = json_array();
	json_t *value;
	size_t i;

	json_array_foreach(json_array_in(returned, lists[at].member), i,
			   value) {
		if (lists[at].row)
			json_array_append_new(rows, lists[at].row(value));
		else
			json_array_append(rows, value);
	}
	if (json_array_size(rows) == 0) {
		fprintf(cli->out, "\n%s: none\n", lists[at].title);
		return;
	}
	fprintf(cli->out, "\n%s:\n", lists[at].title);
	output_table(cli->out, rows, lists[at].columns, lists[at].count);
}

/* ---- where they differ ---- */

static const struct {
	const char *kind;
	bool says_reported;
	bool says_observed;
} differences[] = {
	{ "not-reported", false, true },
	{ "not-observed", true, false },
	{ "count", true, true },
};

static char *often(const json_t *row, const char *member)
{
	int64_t count = json_int(row, member, 0);

	return count == 1 ? mem_str("once")
			  : mem_format("%lld times", (long long)count);
}

static void put_difference(struct cli *cli, const json_t *row, size_t at)
{
	CLEANUP(mem_free_p)
	char *target = output_clean(json_text(row, "target", "?"), false);
	CLEANUP(mem_free_p)
	char *action = output_clean(json_text(row, "action", "?"), false);
	CLEANUP(mem_free_p) char *reported = often(row, "reported");
	CLEANUP(mem_free_p) char *observed = often(row, "observed");

	fprintf(cli->out, "  %s: %s ", target, action);
	if (!differences[at].says_reported)
		fprintf(cli->out, "observed %s, and not reported\n", observed);
	else if (!differences[at].says_observed)
		fprintf(cli->out, "reported %s, and not observed\n", reported);
	else
		fprintf(cli->out, "reported %s, observed %s\n", reported,
			observed);
}

static void show_difference(struct cli *cli, const json_t *row)
{
	const char *kind = json_text(row, "kind", "");
	CLEANUP(mem_free_p) char *text = NULL;
	CLEANUP(mem_free_p) char *clean = NULL;

	for (size_t i = 0; i < ARRAY_LEN(differences); i++) {
		if (!strcmp(kind, differences[i].kind)) {
			put_difference(cli, row, i);
			return;
		}
	}
	text = output_value(row);
	clean = output_clean(text, false);
	fprintf(cli->out, "  %s\n", clean);
}

static void show_differences(struct cli *cli, const json_t *returned)
{
	const json_t *rows = json_array_in(returned, "differences");
	bool missing = json_flag(returned, "reportMissing", false);
	const json_t *row;
	size_t i;

	fprintf(cli->out, "\nDifferences:%s\n",
		json_array_size(rows) > 0 || missing ? "" : " none");
	json_array_foreach(rows, i, row)
		show_difference(cli, row);
	if (missing)
		fputs("  nothing was reported, and the class demands it\n",
		      cli->out);
	if (json_flag(returned, "more", false))
		fputs("\nThere is more than was looked at.\n", cli->out);
}

void returned_show(struct cli *cli, const json_t *task)
{
	const json_t *returned = json_object_in(task, "return");

	if (!returned)
		return;
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		show_list(cli, returned, i);
	show_differences(cli, returned);
}
