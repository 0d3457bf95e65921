#include "connect/protocol.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"

enum {
	BUILD_MAX = 256 << 20,
	NAME_MAX_BYTES = 64,
	RESOURCE_MAX = 8 * 1024,
	VALUE_MAX = 64 * 1024,
	WORDS_MAX = 2 * 1024,
	MEMBERS_MAX = 256,	  /* members of a state or of parameters */
	SUBJECTS_MAX = 32 * 1024, /* who gains or loses, groups nested in */
};

/* Rows of tables in which every member must be there are long otherwise. */
#define TEXT(name, max_bytes)                                                  \
	{                                                                      \
		name, SCHEMA_TEXT, true, 1, max_bytes, NULL, NULL, NULL        \
	}
#define OPTIONAL_TEXT(name, max_bytes)                                         \
	{                                                                      \
		name, SCHEMA_TEXT, false, 0, max_bytes, NULL, NULL, NULL       \
	}
#define FLAG(name)                                                             \
	{                                                                      \
		name, SCHEMA_FLAG, true, 0, 0, NULL, NULL, NULL                \
	}
#define ROWS(name, type, required, max, rows)                                  \
	{                                                                      \
		name, type, required, 0, max, NULL, rows, NULL                 \
	}
#define END                                                                    \
	{                                                                      \
		NULL, SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL                \
	}

static const struct schema any[] = {
	{ "any", SCHEMA_ANY, false, 0, 0, NULL, NULL, NULL },
	END,
};

static const struct schema action[] = {
	TEXT("action", NAME_MAX_BYTES),
	TEXT("wire", 128),
	TEXT("resourceType", NAME_MAX_BYTES),
	OPTIONAL_TEXT("inverse", NAME_MAX_BYTES),
	{ "idempotency", SCHEMA_ENUM, true, 0, 0, "natural|none", NULL, NULL },
	FLAG("takes"),
	END,
};

static const struct schema action_row[] = {
	ROWS("action", SCHEMA_OBJECT, true, 0, action),
	END,
};

/* The only entry a drill may touch, where there is one. */
static const struct schema drill[] = {
	{ "resource", SCHEMA_TEXT, true, 1, 4096, NULL, NULL, NULL },
	{ "parameters", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	END,
};

/* The same for one action and its inverse. */
static const struct schema action_drill[] = {
	TEXT("action", NAME_MAX_BYTES),
	{ "resource", SCHEMA_TEXT, true, 1, 4096, NULL, NULL, NULL },
	{ "parameters", SCHEMA_ANY, true, 0, 0, NULL, NULL, NULL },
	END,
};

static const struct schema action_drill_row[] = {
	ROWS("drill", SCHEMA_OBJECT, true, 0, action_drill),
	END,
};

/* The methods it has that a connector need not have. */
static const struct schema method_row[] = {
	{ "method", SCHEMA_ENUM, true, 0, 0, "discover|entitlements|activity",
	  NULL, NULL },
	END,
};

/* What it has shut behind itself; base/sandbox.h. */
static const struct schema sandbox[] = {
	{ "mode", SCHEMA_ENUM, true, 0, 0, "off|on|required", NULL, NULL },
	FLAG("seccomp"),
	{ "landlock", SCHEMA_INT, true, 0, 1000, NULL, NULL, NULL },
	OPTIONAL_TEXT("why", WORDS_MAX),
	END,
};

static const struct schema describe[] = {
	TEXT("name", NAME_MAX_BYTES),
	TEXT("version", NAME_MAX_BYTES),
	{ "build", SCHEMA_TEXT, true, DIGEST_TEXT_LEN - 1, DIGEST_TEXT_LEN - 1,
	  NULL, NULL, NULL },
	{ "protocol", SCHEMA_INT, true, 1, 1000, NULL, NULL, NULL },
	{ "actions", SCHEMA_LIST, true, 0, 256, NULL, action_row, NULL },
	FLAG("enforcesPrecondition"),
	{ "pipeline", SCHEMA_INT, false, 1, 1000, NULL, NULL, NULL },
	{ "drill", SCHEMA_OBJECT, false, 0, 0, NULL, drill, NULL },
	ROWS("drills", SCHEMA_LIST, false, 16, action_drill_row),
	ROWS("reads", SCHEMA_LIST, false, 16, method_row),
	OPTIONAL_TEXT("target", NAME_MAX_BYTES),
	ROWS("sandbox", SCHEMA_OBJECT, false, 0, sandbox),
	END,
};

static const struct schema check[] = {
	FLAG("ok"),
	OPTIONAL_TEXT("detail", WORDS_MAX),
	END,
};

static const struct schema change[] = {
	{ "op", SCHEMA_ENUM, true, 0, 0, "add|delete|replace", NULL, NULL },
	TEXT("attribute", 256),
	{ "value", SCHEMA_TEXT, true, 0, VALUE_MAX, NULL, NULL, NULL },
	END,
};

static const struct schema change_row[] = {
	ROWS("change", SCHEMA_OBJECT, true, 0, change),
	END,
};

static const struct schema subject[] = {
	TEXT("type", NAME_MAX_BYTES),
	TEXT("id", RESOURCE_MAX),
	END,
};

static const struct schema subject_row[] = {
	ROWS("subject", SCHEMA_OBJECT, true, 0, subject),
	END,
};

static const struct schema resource_row[] = {
	TEXT("resource", RESOURCE_MAX),
	END,
};

static const struct schema plan[] = {
	TEXT("resource", RESOURCE_MAX),
	ROWS("parameters", SCHEMA_MAP, true, MEMBERS_MAX, any),
	ROWS("before", SCHEMA_MAP, true, MEMBERS_MAX, any),
	ROWS("after", SCHEMA_MAP, true, MEMBERS_MAX, any),
	ROWS("diff", SCHEMA_LIST, true, 4096, change_row),
	ROWS("gains", SCHEMA_LIST, true, SUBJECTS_MAX, subject_row),
	ROWS("loses", SCHEMA_LIST, true, SUBJECTS_MAX, subject_row),
	ROWS("nestedIn", SCHEMA_LIST, true, SUBJECTS_MAX, resource_row),
	{ "blastRadius", SCHEMA_INT, true, 0, 1LL << 53, NULL, NULL, NULL },
	ROWS("precondition", SCHEMA_MAP, true, MEMBERS_MAX, any),
	FLAG("noChange"),
	FLAG("atomic"),
	/* null where there is no way back; reply.c looks into it otherwise. */
	ROWS("undo", SCHEMA_ANY, true, 0, NULL),
	OPTIONAL_TEXT("targetVersion", 256),
	END,
};

static const struct schema secret_row[] = {
	{ "value", SCHEMA_TEXT, true, 0, 16 * 1024, "multiline", NULL, NULL },
	END,
};

static const struct schema apply[] = {
	{ "result", SCHEMA_ENUM, true, 0, 0, "applied|no-change|refused", NULL,
	  NULL },
	ROWS("observed", SCHEMA_MAP, false, MEMBERS_MAX, any),
	OPTIONAL_TEXT("targetVersion", 256),
	OPTIONAL_TEXT("reason", NAME_MAX_BYTES),
	OPTIONAL_TEXT("detail", WORDS_MAX),
	/* What was lent; handed on once and kept nowhere. */
	ROWS("secret", SCHEMA_MAP, false, 16, secret_row),
	END,
};

static const struct schema read_back[] = {
	FLAG("present"),
	ROWS("state", SCHEMA_MAP, true, MEMBERS_MAX, any),
	OPTIONAL_TEXT("targetVersion", 256),
	END,
};

/* "word" or "word: why" */
static const struct schema flag_row[] = {
	TEXT("flag", 256),
	END,
};

static const struct schema account[] = {
	TEXT("id", RESOURCE_MAX),
	{ "kind", SCHEMA_ENUM, true, 0, 0, "account|service|group", NULL,
	  NULL },
	OPTIONAL_TEXT("login", 1024),
	OPTIONAL_TEXT("description", 1024),
	OPTIONAL_TEXT("manager", RESOURCE_MAX),
	{ "created", SCHEMA_TIME, false, 0, 0, NULL, NULL, NULL },
	{ "lastUsed", SCHEMA_TIME, false, 0, 0, NULL, NULL, NULL },
	FLAG("disabled"),
	ROWS("flags", SCHEMA_LIST, true, 64, flag_row),
	END,
};

static const struct schema account_row[] = {
	ROWS("account", SCHEMA_OBJECT, true, 0, account),
	END,
};

static const struct schema discover[] = {
	ROWS("accounts", SCHEMA_LIST, true, 1000, account_row),
	OPTIONAL_TEXT("next", RESOURCE_MAX),
	END,
};

static const struct schema entitlement[] = {
	TEXT("type", NAME_MAX_BYTES),
	TEXT("id", RESOURCE_MAX),
	FLAG("direct"),
	OPTIONAL_TEXT("detail", WORDS_MAX),
	END,
};

static const struct schema entitlement_row[] = {
	ROWS("entitlement", SCHEMA_OBJECT, true, 0, entitlement),
	END,
};

static const struct schema entitlements[] = {
	/* Whose they are, in the one spelling that the target has for it. */
	TEXT("account", RESOURCE_MAX),
	ROWS("entitlements", SCHEMA_LIST, true, SUBJECTS_MAX, entitlement_row),
	END,
};

static const struct schema deed[] = {
	{ "at", SCHEMA_TIME, true, 0, 0, NULL, NULL, NULL },
	{ "source", SCHEMA_ENUM, true, 0, 0, "log|session", NULL, NULL },
	TEXT("command", NAME_MAX_BYTES),
	{ "failed", SCHEMA_FLAG, false, 0, 0, NULL, NULL, NULL },
	OPTIONAL_TEXT("where", RESOURCE_MAX),
	OPTIONAL_TEXT("digest", DIGEST_TEXT_LEN - 1),
	END,
};

static const struct schema deed_row[] = {
	ROWS("deed", SCHEMA_OBJECT, true, 0, deed),
	END,
};

static const struct schema activity[] = {
	ROWS("deeds", SCHEMA_LIST, true, 1000, deed_row),
	FLAG("complete"),
	{ "source", SCHEMA_ENUM, false, 0, 0, "log|session", NULL, NULL },
	END,
};

static const struct {
	const char *name;
	int64_t timeout_ms;
} methods[CONNECT_METHOD_COUNT] = {
#define METHOD_ROW(name, text, timeout_ms)                                     \
	[CONNECT_##name] = { text, timeout_ms },
	CONNECT_METHODS(METHOD_ROW)
#undef METHOD_ROW
};

static const struct schema *const results[CONNECT_METHOD_COUNT] = {
	[CONNECT_DESCRIBE] = describe,
	[CONNECT_CHECK] = check,
	[CONNECT_PLAN] = plan,
	[CONNECT_APPLY] = apply,
	[CONNECT_READ] = read_back,
	[CONNECT_DISCOVER] = discover,
	[CONNECT_ENTITLEMENTS] = entitlements,
	[CONNECT_ACTIVITY] = activity,
};

const char *connect_method_name(enum connect_method method)
{
	return methods[method].name;
}

int64_t connect_method_timeout_ms(enum connect_method method)
{
	return methods[method].timeout_ms;
}

const struct schema *connect_method_result(enum connect_method method)
{
	return results[method];
}

int connect_build_of(const char *path, char text[DIGEST_TEXT_LEN])
{
	CLEANUP(fd_close_p) int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct digest digest;
	struct stat status;
	void *bytes;

	if (fd < 0)
		return errno == ENOENT ? error_set(ERR_NOT_FOUND,
						   "no program '%s'", path)
				       : error_sys("open '%s'", path);
	if (fstat(fd, &status) < 0)
		return error_sys("stat '%s'", path);
	if (!S_ISREG(status.st_mode) || status.st_size <= 0)
		return error_set(ERR_IO, "'%s' is no program", path);
	if (status.st_size > BUILD_MAX)
		return error_set(ERR_LIMIT, "'%s' is too large", path);
	bytes = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd,
		     0);
	if (bytes == MAP_FAILED)
		return error_sys("map '%s'", path);
	digest = digest_of(slice_of(bytes, (size_t)status.st_size));
	discard(munmap(bytes, (size_t)status.st_size));
	digest_format(&digest, text);
	return 0;
}
