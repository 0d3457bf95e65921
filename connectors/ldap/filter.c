#include "connectors/ldap/filter.h"

#include <ldap.h>

#include "base/mem.h"

void filter_put_equals(struct buf *b, const char *attribute, struct slice value)
{
	struct berval in = { value.len, NULL };
	struct berval out = { 0, NULL };
	char *copy = mem_alloc(value.len + 1);

	/* The library wants a pointer that it may write through. */
	if (value.len)
		memcpy(copy, value.ptr, value.len);
	in.bv_val = copy;
	if (ldap_bv2escaped_filter_value(&in, &out) != 0) {
		/* Out of memory: no filter at all rather than half a one. */
		b->overflow = true;
	} else {
		buf_putf(b, "(%s=", attribute);
		buf_put(b, slice_of(out.bv_val, out.bv_len));
		buf_put_str(b, ")");
	}
	if (out.bv_val != copy)
		ber_memfree(out.bv_val);
	free(copy);
}

static void put_value(struct buf *b, const struct filter_change *change)
{
	if (change->uuid)
		filter_put_equals(b, "entryUUID", slice_str(change->uuid));
	if (change->add)
		buf_put_str(b, "(!");
	filter_put_equals(b, change->attribute, slice_str(change->member));
	if (change->add)
		buf_put_str(b, ")");
}

void filter_put_condition(struct buf *b, const struct filter_change *change)
{
	buf_put_str(b, "(&");
	put_value(b, change);
	buf_put_str(b, ")");
}

static void put_others(struct buf *b, const struct filter_change *change)
{
	size_t count = change->other_count;

	if (count > FILTER_OTHERS_MAX)
		count = FILTER_OTHERS_MAX;
	/* An empty "or" is false (RFC 4526): nobody would stay. */
	buf_put_str(b, "(|");
	for (size_t i = 0; i < count; i++)
		filter_put_equals(b, change->attribute,
				  slice_str(change->others[i]));
	buf_put_str(b, ")");
}

/* Ends an assertion so that it holds of every entry but this one. */
static void put_others_are_free(struct buf *b, const char *name)
{
	buf_put_str(b, ")(!");
	filter_put_equals(b, "entryDN", slice_str(name));
	buf_put_str(b, "))");
}

static void put_lock(struct buf *b, const struct filter_lock *lock)
{
	if (lock->uuid)
		filter_put_equals(b, "entryUUID", slice_str(lock->uuid));
	if (lock->value)
		filter_put_equals(b, lock->attribute, slice_str(lock->value));
	else
		buf_putf(b, "(!(%s=*))", lock->attribute);
}

void filter_put_assertion(struct buf *b, const struct filter_change *change)
{
	buf_put_str(b, "(|(&");
	put_value(b, change);
	if (!change->add && change->keeps_one)
		put_others(b, change);
	put_others_are_free(b, change->group);
}

void filter_put_lock_condition(struct buf *b, const struct filter_lock *lock)
{
	buf_put_str(b, "(&");
	put_lock(b, lock);
	buf_put_str(b, ")");
}

void filter_put_lock_assertion(struct buf *b, const struct filter_lock *lock)
{
	buf_put_str(b, "(|(&");
	put_lock(b, lock);
	put_others_are_free(b, lock->account);
}
