#include "identity/trust.h"

#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "crypto/digest.h"

struct domain {
	char *name;	/* owned */
	char *file;	/* owned */
	char *stamp;	/* owned: of the file when last read; NULL: no file */
	bool looked_at; /* stamp is set */
	uint64_t generation;
	struct digest content;	/* of the good bundle */
	struct jose_key **keys; /* owned: of the good bundle; NULL: none yet */
};

struct trust {
	struct domain *domains;
	size_t count;
	uint64_t last_generation;
};

struct trust *trust_new(void)
{
	return mem_new(struct trust);
}

static void clear_domain(struct domain *d)
{
	free(d->name);
	free(d->file);
	free(d->stamp);
	bundle_keys_free(d->keys);
}

static void free_domains(struct domain *domains, size_t count)
{
	for (size_t i = 0; i < count; i++)
		clear_domain(&domains[i]);
	free(domains);
}

void trust_free(struct trust *t)
{
	if (!t)
		return;
	free_domains(t->domains, t->count);
	free(t);
}

static struct domain *find(const struct trust *t, const char *name)
{
	for (size_t i = 0; i < t->count; i++) {
		if (!strcmp(t->domains[i].name, name))
			return &t->domains[i];
	}
	return NULL;
}

static void add_fault(json_t *faults, const struct domain *d)
{
	CLEANUP(mem_free_p)
	char *text = mem_format("trust domain %s: %s: %s", d->name, d->file,
				error_message());

	json_array_append_new(faults, json_string(text));
}

/* Takes the file's content as the domain's bundle.  ret_changed: untouched if
 * the content is what it was. */
static int read_bundle(struct trust *t, struct domain *d, bool *ret_changed)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(JOSE_SET_MAX);
	struct jose_key **keys;
	struct digest content;

	TRY(file_read(d->file, &text));
	content = digest_of(buf_slice(&text));
	if (d->keys && digest_equals(&content, &d->content))
		return 0;
	TRY(bundle_parse(buf_slice(&text), &keys));
	bundle_keys_free(d->keys);
	d->keys = keys;
	d->content = content;
	d->generation = ++t->last_generation;
	*ret_changed = true;
	return 0;
}

static bool same_stamp(const char *a, const char *b)
{
	if (!a || !b)
		return a == b;
	return !strcmp(a, b);
}

/* Reads the file if it is not as it was.  The stamp is taken first: a file that
 * changes while we read it is read once more the next time. */
static bool look_at(struct trust *t, struct domain *d, json_t *faults)
{
	CLEANUP(mem_free_p) char *stamp = file_stamp(d->file);
	bool changed = false;

	if (d->looked_at && same_stamp(stamp, d->stamp))
		return false;
	free(d->stamp);
	d->stamp = TAKE(stamp);
	d->looked_at = true;
	if (read_bundle(t, d, &changed) < 0)
		add_fault(faults, d);
	return changed;
}

bool trust_refresh(struct trust *t, json_t **ret_faults)
{
	CLEANUP(json_put_p) json_t *faults = json_array();
	bool changed = false;

	for (size_t i = 0; i < t->count; i++)
		changed |= look_at(t, &t->domains[i], faults);
	if (ret_faults)
		*ret_faults = TAKE(faults);
	return changed;
}

/* Moves what the old domain of this name knows into d. */
static void inherit(const struct trust *t, struct domain *d)
{
	struct domain *old = find(t, d->name);

	if (!old)
		return;
	d->keys = TAKE(old->keys);
	d->content = old->content;
	d->generation = old->generation;
}

void trust_set(struct trust *t, const json_t *domains, json_t **ret_faults)
{
	size_t count = json_array_size(domains);
	struct domain *fresh = mem_array(count, sizeof(*fresh));

	for (size_t i = 0; i < count; i++) {
		const json_t *row = json_array_get(domains, i);

		fresh[i].name = mem_str(json_text(row, "trustDomain", ""));
		fresh[i].file = mem_str(json_text(row, "bundleFile", ""));
		inherit(t, &fresh[i]);
	}
	free_domains(t->domains, t->count);
	t->domains = fresh;
	t->count = count;
	discard(trust_refresh(t, ret_faults));
}

uint64_t trust_generation(const struct trust *t, const char *domain)
{
	const struct domain *d = find(t, domain);

	return d ? d->generation : 0;
}

struct jose_key *const *trust_keys(const struct trust *t, const char *domain)
{
	const struct domain *d = find(t, domain);

	return d ? d->keys : NULL;
}
