#include "connectors/postgres/statement.h"

#include <assert.h>

#include "base/error.h"
#include "base/mem.h"

static int put_quoted(struct buf *out, char *quoted)
{
	if (!quoted)
		return error_set(ERR_SYNTAX, "a text that the server's "
					     "encoding does not have");
	buf_put_str(out, quoted);
	mem_wipe(quoted, strlen(quoted));
	PQfreemem(quoted);
	return 0;
}

static int put_number(struct buf *out, const char *value)
{
	size_t len = strspn(value, "0123456789");

	if (len == 0 || len > 9 || value[len])
		return error_set(ERR_SYNTAX, "not a number");
	buf_put_str(out, value);
	return 0;
}

static int put_value(PGconn *conn, struct buf *out, char mark,
		     const char *value)
{
	/* A template with more marks than values is ours, and wrong. */
	assert(value);
	if (mark == 'I')
		return put_quoted(
			out, PQescapeIdentifier(conn, value, strlen(value)));
	if (mark == 'L')
		return put_quoted(out,
				  PQescapeLiteral(conn, value, strlen(value)));
	assert(mark == 'N');
	return put_number(out, value);
}

int statement_build(PGconn *conn, const char *template,
		    const char *const *values, struct buf *out)
{
	struct slice whole;

	while (*template) {
		size_t plain = strcspn(template, "%");

		buf_put(out, slice_of(template, plain));
		template += plain;
		if (!*template)
			break;
		TRY(put_value(conn, out, template[1], *values));
		values++;
		template += 2;
	}
	assert(!*values);
	return buf_finish(out, &whole);
}
