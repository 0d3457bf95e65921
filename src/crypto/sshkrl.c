#include "crypto/sshkrl.h"

#include "base/error.h"
#include "base/reader.h"
#include "crypto/sshsig.h"

enum {
	FORMAT_VERSION = 1,
	SECTION_CERTIFICATES = 1,
	SERIAL_LIST = 0x20,
	SERIAL_RANGE = 0x21,
	RANGE_MIN = 4, /* that many in a row are written as a range */
	/* A list of single numbers, and ranges for what is left; either costs
	 * at most 21 bytes for two serials. */
	SERIALS_BYTES_MAX = 32 * SSHKRL_SERIALS_MAX + 64,
	SECTION_MAX = SERIALS_BYTES_MAX + 2048,
};

static const char magic[] = "SSHKRL\n"; /* with its NUL */

static int check(const struct sshkrl *krl)
{
	uint64_t last = 0;

	if (krl->count > SSHKRL_SERIALS_MAX)
		return error_set(ERR_LIMIT, "%zu revoked serials", krl->count);
	for (size_t i = 0; i < krl->count; i++) {
		if (krl->serials[i] <= last)
			return error_set(ERR_SYNTAX,
					 "revoked serials out of order");
		last = krl->serials[i];
	}
	return 0;
}

/* How many serials follow each other from start on. */
static size_t run_at(const struct sshkrl *krl, size_t start)
{
	size_t end = start + 1;

	while (end < krl->count &&
	       krl->serials[end] == krl->serials[end - 1] + 1)
		end++;
	return end - start;
}

/* A section within the section: its type and its bytes. */
static void put_part(struct buf *b, uint8_t type, const struct buf *part)
{
	buf_put_u8(b, type);
	buf_put_string(b, buf_slice(part));
}

static void put_serials(struct buf *b, const struct sshkrl *krl)
{
	CLEANUP(buf_clear) struct buf list = BUF_INIT(SERIALS_BYTES_MAX);
	size_t run;

	for (size_t i = 0; i < krl->count; i += run) {
		CLEANUP(buf_clear) struct buf range = BUF_INIT(16);

		run = run_at(krl, i);
		if (run < RANGE_MIN) {
			for (size_t j = 0; j < run; j++)
				buf_put_u64(&list, krl->serials[i + j]);
			continue;
		}
		buf_put_u64(&range, krl->serials[i]);
		buf_put_u64(&range, krl->serials[i + run - 1]);
		put_part(b, SERIAL_RANGE, &range);
	}
	if (list.len > 0)
		put_part(b, SERIAL_LIST, &list);
}

static int put_section(struct buf *out, const struct sshkrl *krl,
		       const char *line)
{
	CLEANUP(buf_clear) struct buf section = BUF_INIT(SECTION_MAX);
	struct ssh_key authority;
	struct slice all;

	TRY(ssh_key_parse(line, &authority));
	buf_put_string(&section, slice_of(authority.blob, authority.blob_len));
	buf_put_string(&section, slice_of(NULL, 0)); /* reserved */
	put_serials(&section, krl);
	TRY(buf_finish(&section, &all));
	put_part(out, SECTION_CERTIFICATES, &section);
	return 0;
}

int sshkrl_format(const struct sshkrl *krl, struct buf *out)
{
	struct slice all;

	TRY(check(krl));
	buf_put(out, slice_of(magic, sizeof(magic)));
	buf_put_u32(out, FORMAT_VERSION);
	buf_put_u64(out, krl->version);
	buf_put_u64(out, (uint64_t)krl->made);
	buf_put_u64(out, 0);			/* flags */
	buf_put_string(out, slice_of(NULL, 0)); /* reserved */
	buf_put_string(out, slice_of(NULL, 0)); /* comment */
	for (size_t i = 0; i < krl->authority_count; i++)
		TRY(put_section(out, krl, krl->authorities[i]));
	return buf_finish(out, &all);
}

/* ---- reading ---- */

/* Serials one by one, or from and to, ascending. */
static bool are_serials(uint8_t type, struct slice body)
{
	struct reader r = reader_of(body);
	uint64_t last = 0;

	if ((type != SERIAL_LIST && type != SERIAL_RANGE) || !body.len ||
	    body.len % 8 || (type == SERIAL_RANGE && body.len != 16))
		return false;
	while (r.rest.len) {
		uint64_t serial = reader_u64(&r);

		if (serial <= last)
			return false;
		last = serial;
	}
	return reader_finish(&r) == 0;
}

static bool is_section(struct slice body)
{
	struct reader r = reader_of(body);
	struct slice key = reader_string(&r);

	if (reader_string(&r).len || !key.len)
		return false;
	while (!r.failed && r.rest.len) {
		uint8_t type = reader_u8(&r);

		if (!are_serials(type, reader_string(&r)))
			return false;
	}
	return reader_finish(&r) == 0;
}

int sshkrl_check(struct slice list, uint64_t *ret_version, unsigned *ret_count)
{
	struct reader r = reader_of(list);
	struct slice head = reader_bytes(&r, sizeof(magic));
	unsigned count = 0;
	uint64_t version;

	if (head.len != sizeof(magic) ||
	    memcmp(head.ptr, magic, sizeof(magic)) != 0 ||
	    reader_u32(&r) != FORMAT_VERSION)
		return error_set(ERR_SYNTAX, "no list of revoked keys");
	version = reader_u64(&r);
	reader_bytes(&r, 16); /* when it was made; flags */
	if (reader_string(&r).len)
		return error_set(ERR_SYNTAX, "revoked keys: reserved bytes");
	reader_string(&r); /* comment */
	while (!r.failed && r.rest.len) {
		if (reader_u8(&r) != SECTION_CERTIFICATES ||
		    !is_section(reader_string(&r)))
			return error_set(ERR_SYNTAX,
					 "revoked keys: a section that is no "
					 "list of certificates");
		count++;
	}
	TRY(reader_finish(&r));
	*ret_version = version;
	*ret_count = count;
	return 0;
}
