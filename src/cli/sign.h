/*
 * A person's signature: the canonical text of a statement, signed by
 * `ssh-keygen -Y sign`.  The private key stays where it is: in its file, in an
 * agent, or in hardware.
 */
#pragma once

#include "identity/statement.h"

/*
 * Signs a statement with the key in key_file; it may be a public key whose
 * private half an agent holds, or the private file's name with only the public
 * one (.pub) there.
 *
 * ask: false keeps ssh-keygen from asking for a passphrase.
 * ret_signed: owned {"statement": text, "signature": armored}.
 * Errors: ERR_NOT_FOUND (no ssh-keygen, no key file), ERR_REFUSED (ssh-keygen
 * did not sign), ERR_SYNTAX (not a statement), ERR_IO.
 */
MUST_USE int sign_statement(enum statement_type type, const json_t *statement,
			    const char *key_file, bool ask,
			    json_t **ret_signed);
