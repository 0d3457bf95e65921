#include "evidence/witness_policy.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/cosignature.h"

enum {
	ITEMS_MAX = WITNESS_MAX + WITNESS_GROUPS_MAX,
	WORDS_MAX = 3 + ITEMS_MAX, /* of a line */
	NONE = -1,		   /* the quorum that asks for nobody */
	UNSET = -2,
};

/* A witness, or a group of what stands before it. */
struct item {
	char *name;
	int witness; /* index, or NONE for a group */
	bool taken;  /* is a member of a group */
	unsigned wanted;
	unsigned count;
	uint8_t members[ITEMS_MAX]; /* indexes of items */
};

struct witness_policy {
	struct note_vkey logs[WITNESS_LOGS_MAX];
	size_t log_count;
	struct witness witnesses[WITNESS_MAX];
	size_t witness_count;
	size_t group_count;
	struct item items[ITEMS_MAX];
	size_t item_count;
	int quorum; /* index of an item, NONE or UNSET */
};

/* ---- lines ----------------------------------------------------------------
 */

struct words {
	char *at[WORDS_MAX]; /* within a copy of the line */
	size_t count;
};

static int split_words(char *line, struct words *ret)
{
	char *rest = line;

	ret->count = 0;
	for (;;) {
		char *word;

		rest += strspn(rest, " \t");
		if (!*rest)
			return 0;
		if (ret->count == WORDS_MAX)
			return error_set(ERR_LIMIT, "too many words");
		word = rest;
		rest += strcspn(rest, " \t");
		if (*rest)
			*rest++ = '\0';
		ret->at[ret->count++] = word;
	}
}

static int find_item(const struct witness_policy *p, const char *name)
{
	for (size_t i = 0; i < p->item_count; i++) {
		if (!strcmp(p->items[i].name, name))
			return (int)i;
	}
	return NONE;
}

static int new_item(struct witness_policy *p, const char *name,
		    struct item **ret_item)
{
	struct item *item;

	if (!strcmp(name, "none") || find_item(p, name) != NONE)
		return error_set(ERR_SYNTAX, "the name '%s' is taken", name);
	item = &p->items[p->item_count++];
	item->name = mem_str(name);
	item->witness = NONE;
	*ret_item = item;
	return 0;
}

/* ---- the four kinds of lines ----------------------------------------------
 */

static int read_log(struct witness_policy *p, const struct words *w)
{
	struct note_vkey *log = &p->logs[p->log_count];

	if (w->count < 2 || w->count > 3)
		return error_set(ERR_SYNTAX, "log <vkey> [<url>] is wanted");
	if (p->log_count == WITNESS_LOGS_MAX)
		return error_set(ERR_LIMIT, "more than %d logs",
				 WITNESS_LOGS_MAX);
	TRY(note_vkey_parse(w->at[1], log));
	for (size_t i = 0; i < p->log_count; i++) {
		if (!memcmp(p->logs[i].key, log->key, sizeof(log->key)))
			return error_set(ERR_SYNTAX, "a log's key given twice");
	}
	p->log_count++;
	return 0;
}

static char *url_of(const char *text)
{
	size_t len = strlen(text);

	while (len > 0 && text[len - 1] == '/')
		len--;
	return mem_format("%.*s", (int)len, text);
}

static int read_witness(struct witness_policy *p, const struct words *w)
{
	struct witness *witness = &p->witnesses[p->witness_count];
	struct item *item;

	if (w->count < 3 || w->count > 4)
		return error_set(ERR_SYNTAX,
				 "witness <name> <vkey> [<url>] is wanted");
	if (p->witness_count == WITNESS_MAX)
		return error_set(ERR_LIMIT, "more than %d witnesses",
				 WITNESS_MAX);
	TRY(cosignature_vkey_parse(w->at[2], &witness->vkey));
	for (size_t i = 0; i < p->witness_count; i++) {
		if (!memcmp(p->witnesses[i].vkey.key, witness->vkey.key,
			    sizeof(witness->vkey.key)))
			return error_set(ERR_SYNTAX,
					 "a witness's key given twice");
	}
	TRY(new_item(p, w->at[1], &item));
	item->witness = (int)p->witness_count;
	witness->name = mem_str(w->at[1]);
	witness->url = w->count == 4 ? url_of(w->at[3]) : NULL;
	p->witness_count++;
	return 0;
}

/* "all", "any", or a number from 1 to count without leading zeros. */
static int read_wanted(const char *word, unsigned count, unsigned *ret_wanted)
{
	unsigned wanted = 0;

	if (!strcmp(word, "all") || !strcmp(word, "any")) {
		*ret_wanted = *(word + 1) == 'l' ? count : 1;
		return 0;
	}
	if (*word >= '1' && *word <= '9' && strlen(word) <= 3 &&
	    strspn(word, "0123456789") == strlen(word))
		wanted = (unsigned)strtoul(word, NULL, 10);
	if (wanted < 1 || wanted > count)
		return error_set(ERR_SYNTAX, "'%s' of %u members", word, count);
	*ret_wanted = wanted;
	return 0;
}

static int read_group(struct witness_policy *p, const struct words *w)
{
	struct item group = { .witness = NONE };
	struct item *item;

	if (w->count < 4)
		return error_set(ERR_SYNTAX,
				 "group <name> <k> <name>... is wanted");
	if (p->group_count == WITNESS_GROUPS_MAX)
		return error_set(ERR_LIMIT, "more than %d groups",
				 WITNESS_GROUPS_MAX);
	for (size_t i = 3; i < w->count; i++) {
		int member = find_item(p, w->at[i]);

		if (member == NONE || p->items[member].taken)
			return error_set(ERR_SYNTAX,
					 "'%s' is not defined before, or in a "
					 "group already",
					 w->at[i]);
		p->items[member].taken = true;
		group.members[group.count++] = (uint8_t)member;
	}
	TRY(read_wanted(w->at[2], group.count, &group.wanted));
	TRY(new_item(p, w->at[1], &item));
	group.name = item->name;
	*item = group;
	p->group_count++;
	return 0;
}

static int read_quorum(struct witness_policy *p, const struct words *w)
{
	if (w->count != 2 || p->quorum != UNSET)
		return error_set(ERR_SYNTAX, "one line quorum <name> is "
					     "wanted");
	p->quorum = find_item(p, w->at[1]);
	if (p->quorum == NONE && strcmp(w->at[1], "none") != 0)
		return error_set(ERR_SYNTAX, "'%s' is not defined before",
				 w->at[1]);
	return 0;
}

static const struct {
	const char *word;
	int (*read)(struct witness_policy *p, const struct words *w);
} kinds[] = {
	{ "log", read_log },
	{ "witness", read_witness },
	{ "group", read_group },
	{ "quorum", read_quorum },
};

static int read_line(struct witness_policy *p, char *line)
{
	struct words w;

	if (line[strspn(line, " \t")] == '#')
		return 0;
	TRY(split_words(line, &w));
	if (w.count == 0)
		return 0;
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (!strcmp(w.at[0], kinds[i].word))
			return kinds[i].read(p, &w);
	}
	return error_set(ERR_SYNTAX, "'%.32s' begins no line", w.at[0]);
}

/* Tab, line feed, 0x20-0x7e, 0x80-0xff; each line ended. */
static int check_bytes(struct slice text)
{
	for (size_t i = 0; i < text.len; i++) {
		uint8_t c = text.ptr[i];

		if ((c < 0x20 && c != '\t' && c != '\n') || c == 0x7f)
			return error_set(ERR_SYNTAX,
					 "a control character in it");
	}
	if (text.len > 0 && text.ptr[text.len - 1] != '\n')
		return error_set(ERR_SYNTAX, "its last line has no end");
	return 0;
}

static int read_lines(struct witness_policy *p, struct slice text)
{
	unsigned number = 0;

	while (text.len > 0) {
		const uint8_t *end = memchr(text.ptr, '\n', text.len);
		size_t len = (size_t)(end - text.ptr);
		CLEANUP(mem_free_p)
		char *line =
			mem_format("%.*s", (int)len, (const char *)text.ptr);
		int r = read_line(p, line);

		number++;
		if (r < 0)
			return error_context(r, "line %u", number);
		text = slice_of(end + 1, text.len - len - 1);
	}
	if (p->quorum == UNSET)
		return error_set(ERR_SYNTAX, "it has no quorum");
	return 0;
}

int witness_policy_parse(struct slice text, struct witness_policy **ret_policy)
{
	CLEANUP(witness_policy_free_p)
	struct witness_policy *p = mem_new(struct witness_policy);

	p->quorum = UNSET;
	if (text.len > WITNESS_POLICY_MAX)
		return error_set(ERR_LIMIT, "a policy of %zu bytes", text.len);
	TRY(check_bytes(text));
	TRY(read_lines(p, text));
	*ret_policy = TAKE(p);
	return 0;
}

int witness_policy_load(const char *path, struct witness_policy **ret_policy)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(WITNESS_POLICY_MAX);
	int r;

	TRY(file_read(path, &text));
	r = witness_policy_parse(buf_slice(&text), ret_policy);
	return r < 0 ? error_context(r, "%s", path) : 0;
}

void witness_policy_free(struct witness_policy *p)
{
	if (!p)
		return;
	for (size_t i = 0; i < p->witness_count; i++) {
		free(p->witnesses[i].name);
		free(p->witnesses[i].url);
	}
	for (size_t i = 0; i < p->item_count; i++)
		free(p->items[i].name);
	free(p);
}

/* ---- asking ---------------------------------------------------------------
 */

size_t witness_policy_count(const struct witness_policy *p)
{
	return p->witness_count;
}

const struct witness *witness_policy_at(const struct witness_policy *p,
					size_t index)
{
	return &p->witnesses[index];
}

bool witness_policy_has_log(const struct witness_policy *p,
			    const struct note_vkey *log)
{
	for (size_t i = 0; i < p->log_count; i++) {
		if (!strcmp(p->logs[i].name, log->name) &&
		    !memcmp(p->logs[i].key, log->key, sizeof(log->key)))
			return true;
	}
	return p->log_count == 0;
}

/* Members stand before their group, so one pass is enough. */
bool witness_policy_is_met(const struct witness_policy *p, uint64_t witnesses)
{
	bool met[ITEMS_MAX] = { false };

	for (size_t i = 0; i < p->item_count; i++) {
		const struct item *item = &p->items[i];
		unsigned count = 0;

		if (item->witness != NONE) {
			met[i] = witnesses >> item->witness & 1;
			continue;
		}
		for (unsigned k = 0; k < item->count; k++)
			count += met[item->members[k]];
		met[i] = count >= item->wanted;
	}
	return p->quorum == NONE || met[p->quorum];
}
