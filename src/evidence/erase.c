#include "evidence/erase.h"

#include "evidence/internal.h"
#include "store/erase.h"

void evidence_erase(struct evidence_txn *t,
		    const struct evidence_subject *subject)
{
	struct op *op = txn_op(t, OP_ERASE);

	op->name = txn_put_text(t, subject->subject);
	op->about = txn_put_text(t, subject->caller);
	op->values[0] = txn_put_text(t, subject->human);
	/* What comes later of the same subject gets a key of its own. */
	vault_drop(t->evidence->vault, subject->subject);
	t->scrubs = true;
}

void evidence_scrub(struct evidence_txn *t)
{
	t->scrubs = true;
}

int evidence_parts_of(struct evidence *e, const char *subject,
		      uint64_t *ret_count)
{
	return store_subject_parts(e->reader, subject, ret_count);
}
