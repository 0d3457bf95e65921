#include "cli/run/forms.h"

#include <ctype.h>

#include "base/error.h"
#include "base/mem.h"

#define TOKEN_FILE "WRIT_TOKEN_FILE_"

enum { FILE_MAX = 256 * 1024 };

void forms_open(struct forms *f, struct scratch *scratch,
		struct environment *env)
{
	*f = (struct forms){
		.scratch = scratch,
		.env = env,
		.services = BUF_INIT(FILE_MAX),
		.passwords = BUF_INIT(FILE_MAX),
		.variables = json_object(),
	};
}

void forms_clear(struct forms *f)
{
	buf_clear(&f->services);
	buf_clear(&f->passwords);
	json_decref(f->variables);
	f->variables = NULL;
}

/* Names a file of the scratch in a variable. */
static void set_path(struct forms *f, const char *variable, const char *name)
{
	CLEANUP(mem_free_p) char *path = scratch_path(f->scratch, name);

	environment_set(f->env, variable, path);
}

/* ---- logins of PostgreSQL ---- */

static bool is_one_line(const char *text)
{
	return *text && !strpbrk(text, "\r\n");
}

/* One field of a password file (libpq, "The Password File"). */
static void put_field(struct buf *b, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (*p == ':' || *p == '\\')
			buf_put_u8(b, '\\');
		buf_put_u8(b, (uint8_t)*p);
	}
}

struct login {
	const char *user;
	const char *password;
	const char *host;
	const char *database;
	const char *port;
};

static int read_login(const json_t *secret, struct login *ret)
{
	*ret = (struct login){
		.user = json_text(secret, "user", ""),
		.password = json_text(secret, "password", ""),
		.host = json_text(secret, "host", ""),
		.database = json_text(secret, "database", ""),
		.port = json_text(secret, "port", ""),
	};
	if (!is_one_line(ret->user) || !is_one_line(ret->password) ||
	    !is_one_line(ret->host) || !is_one_line(ret->database) ||
	    !is_one_line(ret->port))
		return error_set(ERR_SYNTAX,
				 "the login that was lent cannot be "
				 "written to a service file");
	return 0;
}

static void put_service(struct forms *f, const char *name,
			const struct login *l)
{
	buf_putf(&f->services, "[%s]\nhost=%s\nport=%s\ndbname=%s\nuser=%s\n\n",
		 name, l->host, l->port, l->database, l->user);
}

/* host:port:any database:user:password */
static void put_password(struct forms *f, const char *host,
			 const struct login *l)
{
	const char *const fields[] = { host, l->port, NULL, l->user,
				       l->password };

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		if (i > 0)
			buf_put_u8(&f->passwords, ':');
		if (fields[i])
			put_field(&f->passwords, fields[i]);
		else
			buf_put_u8(&f->passwords, '*');
	}
	buf_put_u8(&f->passwords, '\n');
}

/* The first login of a target is its service; each has one with its role. */
static void put_login(struct forms *f, const struct lent *lent,
		      const struct login *l)
{
	CLEANUP(mem_free_p)
	char *precise = mem_format("%s.%s", lent->target, lent->role);
	CLEANUP(mem_free_p) char *head = mem_format("[%s]\n", lent->target);

	if (!strstr(buf_text(&f->services), head))
		put_service(f, lent->target, l);
	put_service(f, precise, l);
	put_password(f, l->host, l);
	/* libpq looks for its own folder of sockets under this name. */
	if (*l->host == '/')
		put_password(f, "localhost", l);
}

/* With more than one there is no telling which is meant: the service does. */
static void set_login(struct forms *f, const struct login *l)
{
	bool only = f->logins == 1;

	set_path(f, "PGSERVICEFILE", "pg_service.conf");
	set_path(f, "PGPASSFILE", "pgpass");
	environment_set(f->env, "PGPASSWORD", NULL);
	environment_set(f->env, "PGSERVICE", NULL);
	environment_set(f->env, "PGHOST", only ? l->host : NULL);
	environment_set(f->env, "PGPORT", only ? l->port : NULL);
	environment_set(f->env, "PGDATABASE", only ? l->database : NULL);
	environment_set(f->env, "PGUSER", only ? l->user : NULL);
}

static int add_login(struct forms *f, const struct lent *lent,
		     const json_t *secret)
{
	struct slice services;
	struct slice passwords;
	struct login login;

	if (!is_one_line(lent->role) || strchr(lent->role, ']'))
		return error_set(ERR_SYNTAX,
				 "the role '%s' cannot name a "
				 "service",
				 lent->role);
	TRY(read_login(secret, &login));
	f->logins++;
	put_login(f, lent, &login);
	TRY(buf_finish(&f->services, &services));
	TRY(buf_finish(&f->passwords, &passwords));
	TRY(scratch_write(f->scratch, "pg_service.conf", services));
	TRY(scratch_write(f->scratch, "pgpass", passwords));
	set_login(f, &login);
	return 0;
}

/* ---- certificates ---- */

static int add_certificate(struct forms *f, const struct lent *lent,
			   const json_t *secret)
{
	if (!f->keyring)
		return error_set(ERR_SYNTAX, "a certificate that was not asked "
					     "for");
	TRY(keyring_add(f->keyring, json_text(secret, "certificate", ""),
			lent->life_s));
	environment_set(f->env, "SSH_AUTH_SOCK", keyring_socket(f->keyring));
	return 0;
}

/* ---- tokens ---- */

/* "pay-api" is PAY_API in a variable's name; owned. */
static char *variable_of(const char *target, const char *role)
{
	char *name = role ? mem_format(TOKEN_FILE "%s_%s", target, role)
			  : mem_format(TOKEN_FILE "%s", target);

	for (char *p = name; *p; p++)
		*p = isalnum((unsigned char)*p) ? (char)toupper(*p) : '_';
	return name;
}

/* The file of a token has the name of its variable. */
static int write_token(struct forms *f, const char *name, const char *token)
{
	return scratch_write(f->scratch, name, slice_str(token));
}

int forms_renew_token(struct forms *f, const struct lent *lent,
		      const char *token)
{
	CLEANUP(mem_free_p)
	char *name = variable_of(lent->target, lent->role);

	return write_token(f, name, token);
}

/* Whether a variable names a token of this target, or none. */
static bool is_of(const struct forms *f, const char *name, const char *target)
{
	return !strcmp(json_text(f->variables, name, target), target);
}

/* The first token of a target is its file; each has one with its role. */
static int add_token(struct forms *f, const struct lent *lent,
		     const json_t *secret)
{
	CLEANUP(mem_free_p)
	char *precise = variable_of(lent->target, lent->role);
	CLEANUP(mem_free_p) char *first = variable_of(lent->target, NULL);
	bool taken = json_object_get(f->variables, precise) != NULL;

	if (taken || !is_of(f, first, lent->target))
		return error_set(
			ERR_SYNTAX,
			"'%s' of '%s' would be %s, which another token "
			"is already",
			lent->role, lent->target, taken ? precise : first);
	TRY(write_token(f, precise, json_text(secret, "token", "")));
	set_path(f, precise, precise);
	json_set_text(f->variables, precise, lent->target);
	if (!json_object_get(f->variables, first))
		set_path(f, first, precise);
	json_set_text(f->variables, first, lent->target);
	f->tokens++;
	if (f->tokens == 1)
		set_path(f, "WRIT_ACCESS_TOKEN_FILE", precise);
	else
		environment_set(f->env, "WRIT_ACCESS_TOKEN_FILE", NULL);
	return 0;
}

/* ---- all of them ---- */

static const struct {
	const char *member; /* that only this form has */
	int (*add)(struct forms *f, const struct lent *lent,
		   const json_t *secret);
} kinds[] = {
	{ "password", add_login },
	{ "certificate", add_certificate },
	{ "token", add_token },
};

int forms_add(struct forms *f, const struct lent *lent, const json_t *secret)
{
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (json_text(secret, kinds[i].member, NULL))
			return kinds[i].add(f, lent, secret);
	}
	return error_set(ERR_SYNTAX,
			 "what '%s' lends is of a form that this program does "
			 "not know",
			 lent->target);
}
