#include "connectors/ldap/directory_private.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/mem.h"
#include "connectors/ldap/dn.h"

/* The host waits 15 s for a plan and 30 s for an apply: looking, then changing
 * (at most DIRECTORY_TIMEOUT_MAX_SECONDS), then looking once more. */
enum { LEAST_PATIENCE_MS = 10, LOOK_BUDGET_MS = 12 * 1000 };

#define ACTIVE_DIRECTORY "1.2.840.113556.1.4.800"

void directory_hurry(struct directory *d, int64_t budget_ms)
{
	d->deadline_ms = clock_boot_ms() + budget_ms;
}

struct timeval directory_patience(const struct directory *d)
{
	int64_t left = d->deadline_ms - clock_boot_ms();
	int64_t most = (int64_t)d->options.timeout_seconds * 1000;

	if (left > most)
		left = most;
	/* Zero would mean "for ever" to some of the library's calls. */
	if (left < LEAST_PATIENCE_MS)
		left = LEAST_PATIENCE_MS;
	return (struct timeval){ left / 1000, (left % 1000) * 1000 };
}

void directory_disconnect(struct directory *d)
{
	if (d->ld)
		discard(ldap_unbind_ext(d->ld, NULL, NULL));
	d->ld = NULL;
}

/* Diagnostic text is the server's: it may hold anything. */
static void make_printable(char *text)
{
	for (; *text; text++) {
		if (*text < 0x20 || *text >= 0x7f)
			*text = '?';
	}
}

void directory_describe(LDAP *ld, int code, char *text, size_t size)
{
	char *more = NULL;

	if (ld)
		discard(ldap_get_option(ld, LDAP_OPT_DIAGNOSTIC_MESSAGE,
					&more));
	snprintf(text, size, "%s%s%s", ldap_err2string(code),
		 more && *more ? ": " : "", more ? more : "");
	make_printable(text);
	ldap_memfree(more);
}

int directory_failure(struct directory *d, int code, const char *what)
{
	char words[DIRECTORY_DETAIL_MAX];

	directory_describe(d->ld, code, words, sizeof(words));
	directory_disconnect(d);
	if (code == LDAP_SIZELIMIT_EXCEEDED || code == LDAP_ADMINLIMIT_EXCEEDED)
		return error_set(ERR_LIMIT, "%s: %s", what, words);
	/* Codes below zero are the library's own: nothing was answered. */
	if (code < 0 || code == LDAP_BUSY || code == LDAP_UNAVAILABLE ||
	    code == LDAP_TIMELIMIT_EXCEEDED)
		return error_set(ERR_UNAVAILABLE, "%s: %s", what, words);
	return error_set(ERR_REFUSED, "%s: %s", what, words);
}

/* Options.  */

struct url_facts {
	bool tls;
	bool local; /* ldapi or loopback: no network in between */
	bool ldapi;
};

static void url_free_p(LDAPURLDesc **url)
{
	if (*url)
		ldap_free_urldesc(*url);
}

static bool is_loopback(const char *host)
{
	return host &&
	       (strcmp(host, "127.0.0.1") == 0 || strcmp(host, "::1") == 0 ||
		strcmp(host, "localhost") == 0);
}

static int read_url(const char *text, struct url_facts *ret)
{
	CLEANUP(url_free_p) LDAPURLDesc *url = NULL;

	if (strchr(text, ' ') || strchr(text, ','))
		return error_set(ERR_SYNTAX, "url: exactly one server");
	if (ldap_url_parse(text, &url) != LDAP_URL_SUCCESS)
		return error_set(ERR_SYNTAX,
				 "url: not ldaps://, ldap:// or ldapi://");
	if ((url->lud_dn && *url->lud_dn) || url->lud_attrs ||
	    url->lud_filter || url->lud_exts)
		return error_set(ERR_SYNTAX, "url: only scheme, host, port");
	if (!url->lud_host || !*url->lud_host)
		return error_set(ERR_SYNTAX, "url: names no host");
	ret->ldapi = strcmp(url->lud_scheme, "ldapi") == 0;
	ret->tls = strcmp(url->lud_scheme, "ldaps") == 0;
	if (!ret->ldapi && !ret->tls && strcmp(url->lud_scheme, "ldap") != 0)
		return error_set(ERR_SYNTAX,
				 "url: not ldaps://, ldap:// or ldapi://");
	ret->local = ret->ldapi || is_loopback(url->lud_host);
	return 0;
}

static int check_tls(const struct directory_options *o,
		     const struct url_facts *url)
{
	bool tls = url->tls || o->start_tls;

	if (o->start_tls && (url->tls || url->ldapi))
		return error_set(ERR_SYNTAX, "startTls: only with ldap://");
	if (tls && !o->ca_file)
		return error_set(ERR_SYNTAX, "caFile: needed for TLS");
	if (!o->cert_file != !o->key_file)
		return error_set(ERR_SYNTAX,
				 "clientCert and clientKey: both or none");
	if (o->cert_file && !tls)
		return error_set(ERR_SYNTAX, "clientCert: only with TLS");
	if (!tls && !url->local)
		return error_set(ERR_SYNTAX,
				 "url: plain ldap:// only to this machine");
	return 0;
}

static int check_bind(const struct directory_options *o,
		      const struct url_facts *url)
{
	if (o->bind == DIRECTORY_BIND_EXTERNAL) {
		if (o->bind_dn || o->password_file)
			return error_set(ERR_SYNTAX, "bind: external takes "
						     "neither dn nor password");
		if (!url->ldapi && !o->cert_file)
			return error_set(ERR_SYNTAX,
					 "bind: external needs ldapi:// or "
					 "clientCert");
		return 0;
	}
	if (!o->bind_dn || !*o->bind_dn || !o->password_file)
		return error_set(ERR_SYNTAX,
				 "bind: simple needs dn and passwordFile");
	return 0;
}

int directory_open(const struct directory_options *options,
		   struct directory **ret_directory)
{
	CLEANUP(directory_close_p) struct directory *d = NULL;
	struct url_facts url = { false, false, false };

	TRY(read_url(options->url, &url));
	TRY(check_tls(options, &url));
	TRY(check_bind(options, &url));
	if (options->timeout_seconds < 1 ||
	    options->timeout_seconds > DIRECTORY_TIMEOUT_MAX_SECONDS)
		return error_set(ERR_SYNTAX, "timeoutSeconds: 1 to %d",
				 DIRECTORY_TIMEOUT_MAX_SECONDS);
	/* No ldap.conf, no ~/.ldaprc, no LDAP* variables. */
	if (setenv("LDAPNOINIT", "1", 1) < 0)
		return error_sys("setenv");
	d = mem_new(struct directory);
	d->options = *options;
	*ret_directory = TAKE(d);
	return 0;
}

static void forget_contexts(struct directory *d)
{
	for (size_t i = 0; i < d->context_count; i++)
		free(d->contexts[i]);
	d->context_count = 0;
}

void directory_close(struct directory *d)
{
	if (!d)
		return;
	directory_disconnect(d);
	forget_contexts(d);
	free(d->tls_stamp);
	free(d);
}

/* Connecting.  */

static int set_option(LDAP *ld, int option, const void *value)
{
	if (ldap_set_option(ld, option, value) != LDAP_OPT_SUCCESS)
		return error_set(ERR_UNAVAILABLE, "LDAP option 0x%x",
				 (unsigned)option);
	return 0;
}

static int limit_answers(LDAP *ld)
{
	Sockbuf *sockbuf = NULL;
	ber_len_t max = DIRECTORY_ANSWER_MAX;

	if (ldap_get_option(ld, LDAP_OPT_SOCKBUF, &sockbuf) !=
		    LDAP_OPT_SUCCESS ||
	    ber_sockbuf_ctrl(sockbuf, LBER_SB_OPT_SET_MAX_INCOMING, &max) < 0)
		return error_set(ERR_UNAVAILABLE, "LDAP answer limit");
	return 0;
}

static int set_behaviour(struct directory *d)
{
	const int version = LDAP_VERSION3;
	const int deref = LDAP_DEREF_NEVER;
	struct timeval patience = directory_patience(d);

	TRY(set_option(d->ld, LDAP_OPT_PROTOCOL_VERSION, &version));
	TRY(set_option(d->ld, LDAP_OPT_REFERRALS, LDAP_OPT_OFF));
	TRY(set_option(d->ld, LDAP_OPT_DEREF, &deref));
	TRY(set_option(d->ld, LDAP_OPT_NETWORK_TIMEOUT, &patience));
	TRY(set_option(d->ld, LDAP_OPT_TIMEOUT, &patience));
	return limit_answers(d->ld);
}

/* Changes when one of the files does; owned. */
static char *stamp_tls_files(const struct directory_options *o)
{
	CLEANUP(mem_free_p) char *ca = file_stamp(o->ca_file);
	CLEANUP(mem_free_p)
	char *cert = o->cert_file ? file_stamp(o->cert_file) : NULL;
	CLEANUP(mem_free_p)
	char *key = o->key_file ? file_stamp(o->key_file) : NULL;

	return mem_format("%s|%s|%s", ca ? ca : "", cert ? cert : "",
			  key ? key : "");
}

/* Loads the files.  The library loses some memory each time it does so with a
 * client certificate, so that is done once per change of the files. */
static int make_tls_context(struct directory *d)
{
	const struct directory_options *o = &d->options;
	const int client = 0;

	TRY(set_option(d->ld, LDAP_OPT_X_TLS_CACERTFILE, o->ca_file));
	if (o->cert_file) {
		TRY(set_option(d->ld, LDAP_OPT_X_TLS_CERTFILE, o->cert_file));
		TRY(set_option(d->ld, LDAP_OPT_X_TLS_KEYFILE, o->key_file));
	}
	/* The last one: it builds the context from the others. */
	if (ldap_set_option(d->ld, LDAP_OPT_X_TLS_NEWCTX, &client) !=
	    LDAP_OPT_SUCCESS)
		return error_set(ERR_UNAVAILABLE,
				 "TLS: caFile, clientCert or clientKey cannot "
				 "be used");
	discard(ldap_get_option(d->ld, LDAP_OPT_X_TLS_CTX, &d->tls));
	return 0;
}

static int set_tls(struct directory *d)
{
	const int demand = LDAP_OPT_X_TLS_DEMAND;
	const int least = LDAP_OPT_X_TLS_PROTOCOL_TLS1_2;
	CLEANUP(mem_free_p) char *stamp = NULL;

	if (!d->options.ca_file)
		return 0;
	TRY(set_option(d->ld, LDAP_OPT_X_TLS_REQUIRE_CERT, &demand));
	TRY(set_option(d->ld, LDAP_OPT_X_TLS_PROTOCOL_MIN, &least));
	stamp = stamp_tls_files(&d->options);
	if (d->tls && strcmp(stamp, d->tls_stamp) == 0)
		return set_option(d->ld, LDAP_OPT_X_TLS_CTX, d->tls);
	d->tls = NULL;
	TRY(make_tls_context(d));
	free(d->tls_stamp);
	d->tls_stamp = TAKE(stamp);
	return 0;
}

/* The file's first line. */
static struct slice first_line(struct slice text)
{
	size_t len = 0;

	while (len < text.len && text.ptr[len] != '\n' && text.ptr[len] != '\r')
		len++;
	return slice_of(text.ptr, len);
}

static int bind_simple(struct directory *d)
{
	CLEANUP(buf_clear) struct buf file = BUF_INIT(DIRECTORY_PASSWORD_MAX);
	struct berval credential;
	struct slice password;
	int r;

	TRY(file_read_private(d->options.password_file, &file));
	password = first_line(buf_slice(&file));
	/* With an empty password the bind would succeed and be anonymous
	 * (RFC 4513, 5.1.2). */
	if (password.len == 0)
		return error_set(ERR_REFUSED, "the password file is empty");
	credential.bv_len = password.len;
	credential.bv_val = (char *)file.data;
	r = ldap_sasl_bind_s(d->ld, d->options.bind_dn, LDAP_SASL_SIMPLE,
			     &credential, NULL, NULL, NULL);
	return r == LDAP_SUCCESS ? 0 : directory_failure(d, r, "bind");
}

static int bind_external(struct directory *d)
{
	/* An empty answer, not an absent one: nobody else's rights are asked
	 * for (RFC 4422, appendix A). */
	char nothing[] = "";
	struct berval credential = { 0, nothing };
	int r = ldap_sasl_bind_s(d->ld, NULL, "EXTERNAL", &credential, NULL,
				 NULL, NULL);

	return r == LDAP_SUCCESS ? 0 : directory_failure(d, r, "bind EXTERNAL");
}

static int log_in(struct directory *d)
{
	if (d->options.start_tls) {
		int r = ldap_start_tls_s(d->ld, NULL, NULL);

		if (r != LDAP_SUCCESS)
			return directory_failure(d, r, "StartTLS");
	}
	if (d->options.bind == DIRECTORY_BIND_EXTERNAL)
		return bind_external(d);
	return bind_simple(d);
}

static int connect_anew(struct directory *d)
{
	if (ldap_initialize(&d->ld, d->options.url) != LDAP_SUCCESS)
		return error_set(ERR_UNAVAILABLE, "LDAP handle");
	TRY(set_behaviour(d));
	TRY(set_tls(d));
	return log_in(d);
}

/* The root DSE: what the server can do, and where its trees begin.  */

static bool has_value(struct berval **values, const char *text)
{
	for (size_t i = 0; values && values[i]; i++) {
		if (slice_is(slice_of(values[i]->bv_val, values[i]->bv_len),
			     text))
			return true;
	}
	return false;
}

static int take_context(struct directory *d, const char *name)
{
	if (d->context_count >= DIRECTORY_CONTEXTS_MAX)
		return error_set(ERR_LIMIT, "more than %d naming contexts",
				 DIRECTORY_CONTEXTS_MAX);
	TRY(dn_normalise(name, &d->contexts[d->context_count]));
	d->context_count++;
	return 0;
}

static int take_contexts(struct directory *d, struct berval **values)
{
	bool has_base = false;

	forget_contexts(d);
	for (size_t i = 0; values && values[i]; i++) {
		if (values[i]->bv_len > 0)
			TRY(take_context(d, values[i]->bv_val));
	}
	for (size_t i = 0; i < d->context_count; i++)
		has_base |= dn_is_under(d->options.base, d->contexts[i]);
	if (!has_base)
		d->contexts[d->context_count++] = mem_str(d->options.base);
	return 0;
}

static int take_root(struct directory *d, LDAPMessage *root)
{
	CLEANUP(values_free_p) struct berval **controls = NULL;
	CLEANUP(values_free_p) struct berval **contexts = NULL;
	CLEANUP(values_free_p) struct berval **abilities = NULL;
	LDAPMessage *entry = root ? ldap_first_entry(d->ld, root) : NULL;

	if (!entry)
		return error_set(ERR_REFUSED,
				 "the root DSE cannot be read by this account");
	controls = ldap_get_values_len(d->ld, entry, "supportedControl");
	contexts = ldap_get_values_len(d->ld, entry, "namingContexts");
	abilities = ldap_get_values_len(d->ld, entry, "supportedCapabilities");
	/* There a change is made sure of by naming entries by their GUID and
	 * by removing the value that was seen. */
	d->is_ad = has_value(abilities, ACTIVE_DIRECTORY);
	if (!d->is_ad && !has_value(controls, LDAP_CONTROL_ASSERT))
		return error_set(ERR_REFUSED,
				 "the server has no assertion control "
				 "(RFC 4528)");
	d->can_post_read = has_value(controls, LDAP_CONTROL_POST_READ);
	return take_contexts(d, contexts);
}

static int read_root(struct directory *d)
{
	static const char *const wanted[] = { "supportedControl",
					      "supportedCapabilities",
					      "namingContexts", NULL };
	const struct directory_query query = { "", LDAP_SCOPE_BASE,
					       "(objectClass=*)", wanted, 0 };
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	int id;

	TRY(directory_send(d, &query, NULL, &id));
	TRY(directory_wait(d, id, &message));
	return take_root(d, message);
}

bool directory_is_ad(const struct directory *d)
{
	return d->is_ad;
}

const char *directory_bind_dn(const struct directory *d)
{
	return d->options.bind_dn;
}

size_t directory_contexts(const struct directory *d,
			  const char *const **ret_names)
{
	*ret_names = (const char *const *)d->contexts;
	return d->context_count;
}

int directory_go_on(struct directory *d)
{
	directory_hurry(d, LOOK_BUDGET_MS);
	if (!d->ld)
		return error_set(ERR_UNAVAILABLE,
				 "the connection was lost: begin again");
	return 0;
}

int directory_connect(struct directory *d)
{
	int r;

	directory_hurry(d, LOOK_BUDGET_MS);
	if (d->ld && read_root(d) == 0)
		return 0;
	directory_disconnect(d);
	r = connect_anew(d);
	if (r == 0)
		r = read_root(d);
	if (r < 0)
		directory_disconnect(d);
	return r;
}
