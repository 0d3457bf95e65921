/* The check of cosignatures against a policy. */
#include "evidence/verify.h"

#include "base/error.h"
#include "base/mem.h"
#include "crypto/cosignature.h"

static json_t *witness_row(const struct witness *who, int64_t at_s,
			   int64_t now_ms)
{
	json_t *row = json_object();

	json_set_text(row, "name", who->name);
	json_set_time(row, "at", at_s * 1000);
	json_set_int(row, "ageSeconds", now_ms / 1000 - at_s);
	return row;
}

/* Who cosigned, as bits; a wrong cosignature of a known witness is a fault. */
static int find_cosigners(const struct witness_policy *policy,
			  struct slice note, int64_t now_ms, json_t *rows,
			  uint64_t *ret_mask)
{
	struct slice text;
	struct slice lines;
	uint64_t mask = 0;

	TRY(note_split(note, &text, &lines));
	for (size_t i = 0; i < witness_policy_count(policy); i++) {
		const struct witness *who = witness_policy_at(policy, i);
		struct slice line;
		int64_t at_s;
		int r = cosignature_find(&who->vkey, text, lines, now_ms / 1000,
					 &line, &at_s);

		if (r == ERR_NOT_FOUND)
			continue;
		if (r < 0)
			return r;
		mask |= 1ULL << i;
		json_array_append_new(rows, witness_row(who, at_s, now_ms));
	}
	*ret_mask = mask;
	return 0;
}

bool verify_witnesses(const struct witness_policy *policy, struct slice note,
		      int64_t now_ms, json_t **ret_report, char **ret_why)
{
	json_t *report = json_object();
	json_t *rows = json_array();
	uint64_t mask = 0;
	int r = find_cosigners(policy, note, now_ms, rows, &mask);
	bool met = r == 0 && witness_policy_is_met(policy, mask);

	json_set_flag(report, "quorum", met);
	json_set_new(report, "witnesses", rows);
	*ret_report = report;
	*ret_why = NULL;
	if (r < 0)
		*ret_why = mem_str(error_message());
	else if (!met)
		*ret_why = mem_format("%zu of %zu witnesses have cosigned it: "
				      "no quorum",
				      json_array_size(rows),
				      witness_policy_count(policy));
	return met;
}
