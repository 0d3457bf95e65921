#include "connectors/ldap/directory_private.h"

#include "base/error.h"
#include "connectors/ldap/filter.h"

static enum walk_kind kind_of(const struct directory_entry *entry)
{
	const unsigned hidden = DIRECTORY_DYNAMIC_GROUP | DIRECTORY_FOREIGN;

	if (entry->classes & hidden)
		return WALK_OPAQUE;
	/* There a group may be empty, and its members are not hidden. */
	if (entry->member_count > 0 || entry->classes & DIRECTORY_AD_GROUP)
		return WALK_GROUP;
	/* So may a role. */
	if (entry->classes & DIRECTORY_ROLE)
		return WALK_GROUP;
	/* A group that shows no member names them in another way, or hides
	 * them from us. */
	return entry->classes & DIRECTORY_GROUPS ? WALK_OPAQUE : WALK_ACCOUNT;
}

/* Accounts whose primary group this is are its members without being named in
 * it (MS-SAMR 3.1.1.8.2). */
static int add_primary(struct directory *d, struct walk *walk, int64_t rid)
{
	char filter[64];

	if (rid < 0)
		return 0;
	snprintf(filter, sizeof(filter), "(primaryGroupID=%lld)",
		 (long long)rid);
	for (size_t i = 0; i < d->context_count; i++)
		TRY(directory_add_found(d, walk, d->contexts[i], filter));
	return 0;
}

static int expand_node(struct directory *d, struct walk *walk, size_t node,
		       int id)
{
	CLEANUP(directory_entry_clear) struct directory_entry entry = { 0 };
	bool found = false;

	TRY(directory_wait_read(d, id, &entry, &found));
	if (!found) {
		walk->nodes[node].kind = WALK_MISSING;
		return 0;
	}
	walk->nodes[node].kind = kind_of(&entry);
	for (size_t i = 0; i < entry.member_count; i++)
		TRY(walk_add(walk, entry.members[i]));
	return entry.classes & DIRECTORY_AD_GROUP
		       ? add_primary(d, walk, entry.rid)
		       : 0;
}

int directory_walk_down(void *cookie, struct walk *walk, size_t first,
			size_t count)
{
	struct directory *d = cookie;
	int ids[WALK_BATCH];
	int r = 0;

	if (count > WALK_BATCH)
		return error_set(ERR_LIMIT, "batch of %zu", count);
	for (size_t i = 0; i < count; i++)
		TRY(directory_send_read(d, walk->nodes[first + i].name,
					&ids[i]));
	for (size_t i = 0; i < count && r == 0; i++)
		r = expand_node(d, walk, first + i, ids[i]);
	/* Answers that nobody waits for any more must not meet the next
	 * question. */
	if (r < 0)
		directory_disconnect(d);
	return r;
}

static int expand_up(struct directory *d, struct walk *walk, size_t node)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	struct slice name = slice_str(walk->nodes[node].name);

	buf_put_str(&filter, "(|");
	filter_put_equals(&filter, "member", name);
	if (!d->is_ad) {
		filter_put_equals(&filter, "uniqueMember", name);
		filter_put_equals(&filter, "roleOccupant", name);
	}
	buf_put_str(&filter, ")");
	TRY(buf_finish(&filter, &name));
	walk->nodes[node].kind = WALK_GROUP;
	for (size_t i = 0; i < d->context_count; i++)
		TRY(directory_add_found(d, walk, d->contexts[i],
					buf_text(&filter)));
	return 0;
}

int directory_walk_up(void *cookie, struct walk *walk, size_t first,
		      size_t count)
{
	for (size_t i = first; i < first + count; i++)
		TRY(expand_up(cookie, walk, i));
	return 0;
}

/* All groups above one name at once (LDAP_MATCHING_RULE_TRANSITIVE_EVAL,
 * MS-ADTS 3.1.1.3.4.4.3). */
static int add_chain(struct directory *d, struct walk *walk, size_t node)
{
	CLEANUP(buf_clear) struct buf filter = BUF_INIT(FILTER_MAX);
	struct slice name = slice_str(walk->nodes[node].name);

	filter_put_equals(&filter, "member:1.2.840.113556.1.4.1941:", name);
	TRY(buf_finish(&filter, &name));
	for (size_t i = 0; i < d->context_count; i++)
		TRY(directory_add_found(d, walk, d->contexts[i],
					buf_text(&filter)));
	return 0;
}

int directory_nesting(struct directory *d, struct walk *walk)
{
	size_t count = walk->count;

	if (!d->is_ad)
		return walk_run(walk, directory_walk_up, d);
	for (size_t i = 0; i < count; i++)
		TRY(add_chain(d, walk, i));
	return 0;
}
