/* Receipts: nothing unsigned is ever taken. */
#include "base/json.h"
#include "evidence/verify.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const char vkey[] = "example.com/foo+530d903a+AekyeRrm0z01nuHmi"
				   "2QAjYj96qr/ohvtSRBNk2bUi2gQ";
	struct verify_receipt receipt;
	json_t *report = NULL;

	if (verify_receipt_parse(slice_of(data, size), &receipt) == 0 &&
	    (receipt.count > 64 || receipt.note.ptr < data ||
	     receipt.note.ptr + receipt.note.len != data + size))
		abort();
	if (verify_proof(vkey, NULL, 0, slice_of(data, size), slice_str("{}"),
			 &report) == 0)
		json_decref(report);
	return 0;
}
