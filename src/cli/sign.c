#include "cli/sign.h"

#include <unistd.h>

#include "base/error.h"
#include "base/mem.h"
#include "cli/process.h"

static const char armor_start[] = "-----BEGIN SSH SIGNATURE-----\n";

int sign_statement(enum statement_type type, const json_t *statement,
		   const char *key_file, bool ask, json_t **ret_signed)
{
	CLEANUP(buf_clear) struct buf armor = BUF_INIT(SSHSIG_ARMOR_MAX);
	CLEANUP(mem_free_p) char *text = json_canonical(statement);
	const char *argv[] = { "ssh-keygen", "-q",
			       "-Y",	     "sign",
			       "-n",	     statement_namespace(type),
			       "-f",	     key_file,
			       NULL };
	struct process p = { argv, slice_str(text), !ask, 0 };
	json_t *form;
	int status;

	if (strcmp(json_text(statement, "type", ""), statement_type_name(type)))
		return error_set(ERR_SYNTAX, "not a statement of type %s",
				 statement_type_name(type));
	if (strlen(text) > STATEMENT_MAX)
		return error_set(ERR_SYNTAX, "statement of more than %d bytes",
				 STATEMENT_MAX);
	if (access(key_file, R_OK) < 0)
		return error_set(ERR_NOT_FOUND, "cannot read the key '%s'",
				 key_file);
	TRY(process_run(&p, &armor, &status));
	if (status != 0)
		return error_set(ERR_REFUSED,
				 "ssh-keygen did not sign with '%s'", key_file);
	if (strncmp(buf_text(&armor), armor_start, strlen(armor_start)) != 0)
		return error_set(ERR_REFUSED,
				 "what ssh-keygen made is no signature");
	form = json_object();
	json_set_text(form, "statement", text);
	json_set_text(form, "signature", buf_text(&armor));
	*ret_signed = form;
	return 0;
}
