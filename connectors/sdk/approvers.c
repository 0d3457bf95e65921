#include "connectors/sdk/approvers.h"

#include "base/error.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/sshsig.h"

enum { HUMAN_MAX = 64 }; /* bytes of a name with its NUL */

struct approver {
	char human[HUMAN_MAX];
	struct ssh_key key;
};

struct approvers {
	struct approver *rows; /* owned */
	size_t count;
};

static bool same_key(const struct ssh_key *a, const struct ssh_key *b)
{
	return slice_equals(slice_of(a->blob, a->blob_len),
			    slice_of(b->blob, b->blob_len));
}

static int add_line(struct approvers *approvers, const char *line)
{
	size_t human_len = strcspn(line, " ");
	struct approver *row;

	if (human_len == 0 || human_len >= HUMAN_MAX || !line[human_len])
		return error_set(ERR_SYNTAX, "not \"human type key\"");
	if (approvers->count == APPROVERS_KEYS_MAX)
		return error_set(ERR_LIMIT, "too many keys");
	approvers->rows = mem_grow(approvers->rows, approvers->count + 1,
				   sizeof(*approvers->rows));
	row = &approvers->rows[approvers->count];
	snprintf(row->human, sizeof(row->human), "%.*s", (int)human_len, line);
	if (!text_is_name(row->human))
		return error_set(ERR_SYNTAX, "'%s' is no name", row->human);
	TRY(ssh_key_parse(line + human_len + 1, &row->key));
	for (size_t i = 0; i < approvers->count; i++)
		if (same_key(&approvers->rows[i].key, &row->key))
			return error_set(ERR_SYNTAX, "a key stands twice");
	approvers->count++;
	return 0;
}

int approvers_parse(struct slice text, struct approvers **ret_approvers)
{
	CLEANUP(approvers_free_p)
	struct approvers *approvers = mem_new(struct approvers);
	CLEANUP(mem_free_p)
	char *copy = mem_format("%.*s", (int)text.len, (const char *)text.ptr);
	char *rest = copy;
	int number = 0;
	int r;

	if (!text_is_utf8(text))
		return error_set(ERR_SYNTAX, "not UTF-8 text");
	while (rest) {
		const char *line = strsep(&rest, "\n");

		number++;
		if (!line[0] || line[0] == '#')
			continue;
		r = add_line(approvers, line);
		if (r < 0)
			return error_context(r, "line %d", number);
	}
	*ret_approvers = TAKE(approvers);
	return 0;
}

void approvers_free(struct approvers *approvers)
{
	if (!approvers)
		return;
	free(approvers->rows);
	free(approvers);
}

/* Does the statement approve digest, here, in the name of human? */
static bool approves(const char *text, const char *human, const char *authority,
		     const char *digest)
{
	CLEANUP(json_put_p) json_t *statement = NULL;

	if (json_parse(slice_str(text), APPROVERS_STATEMENT_MAX, &statement) <
	    0)
		return false;
	return !strcmp(json_text(statement, "type", ""), "approval/v1") &&
	       !strcmp(json_text(statement, "decision", ""), "approve") &&
	       !strcmp(json_text(statement, "digest", ""), digest) &&
	       !strcmp(json_text(statement, "authority", ""), authority) &&
	       !strcmp(json_text(statement, "human", ""), human);
}

/* True when one of the human's keys made the signature. */
static bool signed_by(const struct approvers *approvers, const char *human,
		      struct slice armored, struct slice statement)
{
	for (size_t i = 0; i < approvers->count; i++) {
		const struct approver *row = &approvers->rows[i];

		if (!strcmp(row->human, human) &&
		    sshsig_verify(armored, "writ-approval", statement,
				  &row->key)
			    .valid)
			return true;
	}
	return false;
}

static bool holds(const struct approvers *approvers, const json_t *signature,
		  const char *authority, const char *digest)
{
	const char *human = json_text(signature, "human", "");
	const char *statement = json_text(signature, "statement", "");
	const char *armored = json_text(signature, "signature", "");

	return approves(statement, human, authority, digest) &&
	       strlen(armored) <= SSHSIG_ARMOR_MAX &&
	       signed_by(approvers, human, slice_str(armored),
			 slice_str(statement));
}

size_t approvers_count(const struct approvers *approvers,
		       const json_t *signatures, const char *authority,
		       const char *digest)
{
	const char *counted[APPROVERS_SIGNATURES_MAX];
	size_t count = 0;

	for (size_t i = 0; i < json_array_size(signatures); i++) {
		const json_t *signature = json_array_get(signatures, i);
		const char *human = json_text(signature, "human", "");
		bool again = false;

		for (size_t j = 0; j < count; j++)
			again = again || !strcmp(counted[j], human);
		if (again || count == APPROVERS_SIGNATURES_MAX ||
		    !holds(approvers, signature, authority, digest))
			continue;
		counted[count++] = human;
	}
	return count;
}
