#include "identity/domain.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "identity/private.h"
#include "identity/source.h"
#include "identity/svid.h"

enum {
	HINT_DEFAULT_S = 300, /* Trust Domain and Bundle, section 4.1.2 */
	FETCH_LEAST_MS = 5 * 1000,
	STALE_DEFAULT_S = 24 * 3600,
	LONGEST_DEFAULT_S = 25 * 3600, /* a day, and room for dating back */
	KEPT_MAX = 2 * JOSE_SET_MAX + 4096,
	MS_PER_S = 1000,
};

struct domain {
	struct trust *trust;	 /* borrowed */
	json_t *spec;		 /* reference */
	const char *name;	 /* in spec, as all below */
	const char *file;	 /* NULL: none */
	const char *url;	 /* NULL: no endpoint */
	const char *endpoint_id; /* NULL: https_web */
	char *kept_path;	 /* owned; NULL: not kept */
	int64_t longest_s;
	char *stamp;		/* owned: of the file when last read */
	bool looked_at;		/* stamp is set */
	struct bundle *first;	/* owned: of the file */
	struct digest first_is; /* digest of that text */
	struct bundle *fetched; /* owned: of the endpoint */
	struct digest content;	/* of the bundle that counts */
	int64_t kept_ms;	/* wall clock: when it was last kept */
	uint64_t generation;
	struct source source;
};

static int64_t duration_s(const json_t *spec, const char *name,
			  int64_t fallback)
{
	int64_t seconds;

	return clock_parse_duration(json_text(spec, name, ""), &seconds) < 0
		       ? fallback
		       : seconds;
}

static void new_keys(struct domain *d, const struct digest *content)
{
	d->content = *content;
	d->generation = trust_next_generation(d->trust);
	d->source.changed = true;
}

/* ---- the file ---- */

/* Somebody has given the endpoint another first bundle: what it said before
 * counts no more. */
static void begin_anew(struct domain *d)
{
	const struct digest nothing = { 0 };

	/* What is under way was judged by the old one. */
	source_drop(&d->source);
	bundle_free(TAKE(d->fetched));
	d->source.good_wall_ms = 0;
	d->source.refresh = (struct refresh){ 0 };
	new_keys(d, &nothing);
}

static int read_file(struct domain *d)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(JOSE_SET_MAX);
	struct bundle *bundle;
	struct digest content;

	TRY(file_read(d->file, &text));
	content = digest_of(buf_slice(&text));
	if (d->first && digest_equals(&content, &d->first_is))
		return 0;
	TRY(bundle_parse(buf_slice(&text), d->name, &bundle));
	if (d->url && d->first)
		begin_anew(d);
	bundle_free(d->first);
	d->first = bundle;
	d->first_is = content;
	if (!d->url)
		new_keys(d, &content);
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
static void look_at_file(struct domain *d)
{
	CLEANUP(mem_free_p) char *stamp = NULL;
	CLEANUP(mem_free_p) char *why = NULL;

	if (!d->file)
		return;
	stamp = file_stamp(d->file);
	if (d->looked_at && same_stamp(stamp, d->stamp))
		return;
	free(d->stamp);
	d->stamp = TAKE(stamp);
	d->looked_at = true;
	d->source.trouble[0] = '\0';
	if (read_file(d) == 0)
		return;
	why = mem_format("%s: %s", d->file, error_message());
	source_fail(&d->source, why);
}

/* ---- what is kept ---- */

/* What a kept bundle was fetched by; another endpoint, or another first bundle,
 * begins anew. */
static char *how_fetched(const struct domain *d)
{
	char first[DIGEST_TEXT_LEN] = "";

	if (d->first)
		digest_format(&d->first_is, first);
	return mem_format("%s %s %s %s", d->name, d->url,
			  d->endpoint_id ? d->endpoint_id : "", first);
}

static void keep(struct domain *d, struct slice text)
{
	CLEANUP(json_put_p) json_t *kept = json_object();
	CLEANUP(mem_free_p) char *how = how_fetched(d);
	CLEANUP(mem_free_p) char *bytes = NULL;
	CLEANUP(mem_free_p) char *why = NULL;

	if (!d->kept_path)
		return;
	json_set_text(kept, "by", how);
	json_set_int(kept, "fetched", d->source.good_wall_ms);
	json_set_new(kept, "bundle",
		     json_stringn((const char *)text.ptr, text.len));
	bytes = json_canonical(kept);
	if (file_write(d->kept_path, slice_str(bytes), 0600) == 0) {
		d->kept_ms = d->source.good_wall_ms;
		return;
	}
	why = mem_format("the bundle cannot be kept: %s", error_message());
	source_fail(&d->source, why);
}

static int read_kept(struct domain *d, json_t **ret_kept)
{
	CLEANUP(buf_clear) struct buf text = BUF_INIT(KEPT_MAX);

	TRY(file_read(d->kept_path, &text));
	return json_parse(buf_slice(&text), KEPT_MAX, ret_kept);
}

/* Takes up what an earlier process fetched, if it was fetched in the same way;
 * whether it is still fresh enough is seen with the first look. */
static void take_kept(struct domain *d)
{
	CLEANUP(json_put_p) json_t *kept = NULL;
	CLEANUP(mem_free_p) char *how = how_fetched(d);
	const char *text;
	struct digest content;
	int64_t fetched_ms;

	if (!d->kept_path || !file_exists(d->kept_path) ||
	    read_kept(d, &kept) < 0 ||
	    strcmp(json_text(kept, "by", ""), how) != 0)
		return;
	text = json_text(kept, "bundle", "");
	fetched_ms = json_int(kept, "fetched", 0);
	if (fetched_ms <= 0 || fetched_ms > clock_wall_ms())
		return;
	if (bundle_parse(slice_str(text), d->name, &d->fetched) < 0)
		return;
	content = digest_of(slice_str(text));
	source_good(&d->source, fetched_ms, -1);
	d->kept_ms = d->source.good_wall_ms;
	new_keys(d, &content);
}

/* ---- the endpoint ---- */

/* What the endpoint is believed by: the last bundle of its own domain (stale or
 * not: it has to come back by itself), before that the file; or the bundle of
 * the other domain that it is of. */
static const struct x509_roots *roots_of_endpoint(const struct domain *d)
{
	struct spiffe_id id;

	if (spiffe_id_parse(d->endpoint_id, &id) < 0)
		return NULL;
	if (strcmp(id.domain, d->name) != 0)
		return trust_roots(d->trust, id.domain);
	if (d->fetched)
		return d->fetched->roots;
	return d->first ? d->first->roots : NULL;
}

static bool judge_endpoint(void *cookie, const struct slice *chain,
			   size_t count, char why[TRANSFER_TEXT_MAX])
{
	const struct domain *d = cookie;
	const struct x509_roots *roots = roots_of_endpoint(d);
	struct spiffe_id id;
	enum svid_verdict verdict = SVID_UNTRUSTED;

	if (roots)
		verdict = x509_svid_check(roots, chain, count, clock_wall_ms(),
					  d->longest_s, &id, NULL);
	if (verdict == SVID_VALID && !strcmp(id.text, d->endpoint_id))
		return true;
	if (verdict == SVID_VALID)
		snprintf(why, TRANSFER_TEXT_MAX, "the endpoint is not %.200s",
			 d->endpoint_id);
	else
		snprintf(why, TRANSFER_TEXT_MAX,
			 "the endpoint's certificate is refused: %s",
			 svid_verdict_name(verdict));
	return false;
}

static int check_sequence(const struct domain *d, const struct bundle *bundle)
{
	if (d->fetched && bundle->sequence < d->fetched->sequence)
		return error_set(ERR_REFUSED,
				 "spiffe_sequence went back from %lld to %lld",
				 (long long)d->fetched->sequence,
				 (long long)bundle->sequence);
	return 0;
}

static int64_t next_fetch_ms(const struct domain *d)
{
	int64_t hint_s = d->fetched->refresh_hint_s;

	if (hint_s < 0)
		hint_s = HINT_DEFAULT_S;
	if (hint_s > SOURCE_AFTER_MAX_MS / MS_PER_S)
		hint_s = SOURCE_AFTER_MAX_MS / MS_PER_S;
	return source_after(&d->source, hint_s * MS_PER_S, FETCH_LEAST_MS);
}

static int take_fetched(void *owner, const struct transfer_result *result,
			int64_t *ret_after_ms)
{
	struct domain *d = owner;
	CLEANUP(bundle_free_p) struct bundle *bundle = NULL;
	struct digest content = digest_of(result->body);
	bool same;

	TRY(bundle_parse(result->body, d->name, &bundle));
	TRY(check_sequence(d, bundle));
	same = d->fetched && digest_equals(&content, &d->content);
	bundle_free(d->fetched);
	d->fetched = TAKE(bundle);
	source_good(&d->source, clock_wall_ms(), clock_boot_ms());
	if (!same)
		new_keys(d, &content);
	if (!same ||
	    d->source.good_wall_ms - d->kept_ms > d->source.stale_ms / 8)
		keep(d, result->body);
	*ret_after_ms = next_fetch_ms(d);
	return 0;
}

static void fetch(struct domain *d)
{
	const struct transfer_request request = {
		.url = d->url,
		.bytes_max = JOSE_SET_MAX,
		.redirects = SOURCE_REDIRECTS_MAX,
		.peer = d->endpoint_id ? judge_endpoint : NULL,
		.peer_cookie = d,
	};

	source_fetch(&d->source, &request, take_fetched, d);
}

/* ---- the whole ---- */

static void read_endpoint(struct domain *d, const struct trust_means *means)
{
	const json_t *endpoint = json_object_in(d->spec, "endpoint");

	d->url = json_text(endpoint, "url", NULL);
	if (!d->url)
		return;
	d->endpoint_id = json_text(endpoint, "spiffeId", NULL);
	d->source.transfers = means->transfers;
	if (means->folder)
		d->kept_path = mem_format("%s/%s.json", means->folder, d->name);
}

struct domain *domain_new(struct trust *trust, const struct trust_means *means,
			  const json_t *spec)
{
	struct domain *d = mem_new(struct domain);

	d->trust = trust;
	d->spec = json_incref((json_t *)(uintptr_t)spec);
	d->name = json_text(spec, "trustDomain", "");
	d->file = json_text(spec, "bundleFile", NULL);
	d->longest_s =
		duration_s(spec, "longestCertificate", LONGEST_DEFAULT_S);
	d->source.stale_ms =
		duration_s(spec, "staleAfter", STALE_DEFAULT_S) * MS_PER_S;
	read_endpoint(d, means);
	look_at_file(d);
	if (d->url)
		take_kept(d);
	return d;
}

void domain_free(struct domain *d)
{
	if (!d)
		return;
	source_clear(&d->source);
	bundle_free(d->first);
	bundle_free(d->fetched);
	free(d->stamp);
	free(d->kept_path);
	json_decref(d->spec);
	free(d);
}

const char *domain_name(const struct domain *d)
{
	return d->name;
}

const json_t *domain_spec(const struct domain *d)
{
	return d->spec;
}

void domain_inherit(struct domain *d, struct domain *old)
{
	if (d->url || old->url || d->first)
		return;
	d->first = TAKE(old->first);
	d->first_is = old->first_is;
	d->content = old->content;
	d->generation = old->generation;
}

/* A bundle that is too old has another generation, so that what was verified by
 * it is forgotten. */
static void look_at_age(struct domain *d)
{
	bool good = source_is_good(&d->source);

	source_look(&d->source);
	if (good && !source_is_good(&d->source))
		d->generation = trust_next_generation(d->trust);
}

bool domain_refresh(struct domain *d, json_t *faults)
{
	CLEANUP(mem_free_p)
	char *name = mem_format("trust domain %s", d->name);

	look_at_file(d);
	if (d->url)
		look_at_age(d);
	if (d->url && source_is_due(&d->source))
		fetch(d);
	return source_tell(&d->source, name, faults);
}

void domain_hurry(struct domain *d)
{
	if (d->url)
		refresh_hurry(&d->source.refresh, clock_boot_ms());
}

const struct bundle *domain_bundle(const struct domain *d)
{
	if (!d->url)
		return d->first;
	return source_is_good(&d->source) ? d->fetched : NULL;
}

uint64_t domain_generation(const struct domain *d)
{
	return d->generation;
}

int64_t domain_certificate_longest_s(const struct domain *d)
{
	return d->longest_s;
}

json_t *domain_health(const struct domain *d)
{
	json_t *row = json_object();

	json_set_text(row, "name", d->name);
	json_set_text(row, "kind", "spiffe");
	json_set_text(row, "source", d->url ? d->url : d->file);
	json_set_flag(row, "usable", domain_bundle(d) != NULL);
	if (d->source.good_wall_ms)
		json_set_time(row, "fetched", d->source.good_wall_ms);
	if (*d->source.trouble)
		json_set_text(row, "trouble", d->source.trouble);
	return row;
}
