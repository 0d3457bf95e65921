#include "connectors/ldap/directory_private.h"

#include "base/error.h"
#include "base/mem.h"

enum { SEE_BUDGET_MS = 5 * 1000 }; /* for looking afterwards */

static const struct {
	int code;
	enum change_outcome outcome;
} outcomes[] = {
	{ LDAP_SUCCESS, CHANGE_DONE },
	{ LDAP_TYPE_OR_VALUE_EXISTS, CHANGE_ALREADY },
	{ LDAP_NO_SUCH_ATTRIBUTE, CHANGE_ALREADY },
	/* Active Directory's word for a value that is there. */
	{ LDAP_ALREADY_EXISTS, CHANGE_ALREADY },
	{ LDAP_ASSERTION_FAILED, CHANGE_ASSERTION },
	{ LDAP_CONSTRAINT_VIOLATION, CHANGE_CONSTRAINT },
	{ LDAP_OBJECT_CLASS_VIOLATION, CHANGE_CONSTRAINT },
	{ LDAP_INSUFFICIENT_ACCESS, CHANGE_NOT_ALLOWED },
	{ LDAP_STRONG_AUTH_REQUIRED, CHANGE_NOT_ALLOWED },
	{ LDAP_CONFIDENTIALITY_REQUIRED, CHANGE_NOT_ALLOWED },
	{ LDAP_NO_SUCH_OBJECT, CHANGE_NO_ENTRY },
	{ LDAP_PROTOCOL_ERROR, CHANGE_REFUSED },
	{ LDAP_UNAVAILABLE_CRITICAL_EXTENSION, CHANGE_REFUSED },
	{ LDAP_UNDEFINED_TYPE, CHANGE_REFUSED },
	{ LDAP_INVALID_SYNTAX, CHANGE_REFUSED },
	{ LDAP_INVALID_DN_SYNTAX, CHANGE_REFUSED },
	{ LDAP_REFERRAL, CHANGE_REFUSED },
	{ LDAP_BUSY, CHANGE_REFUSED },
	{ LDAP_UNWILLING_TO_PERFORM, CHANGE_REFUSED },
};

/* A code that a proxy may also send after it lost its own server, and every
 * code we do not know, settles nothing. */
static enum change_outcome outcome_of(int code)
{
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++) {
		if (outcomes[i].code == code)
			return outcomes[i].outcome;
	}
	return CHANGE_UNKNOWN;
}

/* AttributeSelection of RFC 4527: which attributes to show. */
static LDAPControl *post_read_control(void)
{
	BerElement *ber = ber_alloc_t(LBER_USE_DER);
	char name[] = "entryCSN";
	char *names[] = { name, NULL };
	struct berval *value = NULL;
	LDAPControl *control = NULL;

	if (ber && ber_printf(ber, "{v}", names) >= 0 &&
	    ber_flatten(ber, &value) == 0)
		discard(ldap_control_create(LDAP_CONTROL_POST_READ, 0, value, 1,
					    &control));
	ber_bvfree(value);
	if (ber)
		ber_free(ber, 1);
	return control;
}

/* Reads the entry in a post-read answer: its name, then one attribute. */
static void read_version(const struct berval *value,
			 struct change_answer *answer)
{
	struct berval copy = *value;
	BerElement *ber = ber_init(&copy);
	struct berval name, type;
	BerVarray values = NULL;

	if (!ber)
		return;
	if (ber_scanf(ber, "{m{{m[W]", &name, &type, &values) != LBER_ERROR &&
	    values && values[0].bv_val &&
	    values[0].bv_len < sizeof(answer->version))
		memcpy(answer->version, values[0].bv_val, values[0].bv_len);
	ber_bvarray_free(values);
	ber_free(ber, 1);
}

static void take_answer(struct directory *d, LDAPMessage *message,
			struct change_answer *answer)
{
	LDAPControl **controls = NULL;
	LDAPControl *post_read;
	int code = LDAP_OTHER;
	int r = ldap_parse_result(d->ld, message, &code, NULL, NULL, NULL,
				  &controls, 0);

	if (r != LDAP_SUCCESS)
		code = r;
	answer->outcome = outcome_of(code);
	directory_describe(d->ld, code, answer->detail, sizeof(answer->detail));
	post_read = ldap_control_find(LDAP_CONTROL_POST_READ, controls, NULL);
	if (post_read && answer->outcome == CHANGE_DONE)
		read_version(&post_read->ldctl_value, answer);
	ldap_controls_free(controls);
}

struct wire_mod {
	LDAPMod mod;
	struct berval value;
	struct berval *values[2];
	char *attribute; /* owned: the library wants pointers it may write to */
	char *text;	 /* owned */
};

static void fill_mod(const struct directory_mod *from, struct wire_mod *to)
{
	to->attribute = mem_str(from->attribute);
	to->text = mem_str(from->value);
	to->value = (struct berval){ strlen(to->text), to->text };
	to->values[0] = &to->value;
	to->mod.mod_op =
		LDAP_MOD_BVALUES | (from->add ? LDAP_MOD_ADD : LDAP_MOD_DELETE);
	to->mod.mod_type = to->attribute;
	to->mod.mod_bvalues = to->values;
}

static int send_change(struct directory *d,
		       const struct directory_change *change,
		       LDAPControl **controls, int *ret_id)
{
	struct wire_mod mods[DIRECTORY_MODS_MAX] = { 0 };
	LDAPMod *list[DIRECTORY_MODS_MAX + 1] = { NULL };
	size_t count = change->mod_count;
	int r = LDAP_PARAM_ERROR;

	for (size_t i = 0; count <= DIRECTORY_MODS_MAX && i < count; i++) {
		fill_mod(&change->mods[i], &mods[i]);
		list[i] = &mods[i].mod;
	}
	if (list[0])
		r = ldap_modify_ext(d->ld, change->name, list, controls, NULL,
				    ret_id);
	for (size_t i = 0; i < DIRECTORY_MODS_MAX; i++) {
		free(mods[i].attribute);
		free(mods[i].text);
	}
	return r;
}

static int make_assertion(struct directory *d, const char *filter,
			  LDAPControl **ret_control)
{
	CLEANUP(mem_free_p) char *copy = mem_str(filter);

	return ldap_create_assertion_control(d->ld, copy, 1, ret_control);
}

static int start_change(struct directory *d,
			const struct directory_change *change, int *ret_id)
{
	LDAPControl *controls[3] = { NULL, NULL, NULL };
	size_t count = 0;
	int r = LDAP_SUCCESS;

	if (!d->ld)
		return LDAP_SERVER_DOWN;
	if (change->assertion)
		r = make_assertion(d, change->assertion, &controls[count++]);
	if (r == LDAP_SUCCESS && d->can_post_read)
		controls[count] = post_read_control();
	if (r == LDAP_SUCCESS)
		r = send_change(d, change, controls, ret_id);
	for (size_t i = 0; controls[i]; i++)
		ldap_control_free(controls[i]);
	return r;
}

void directory_change(struct directory *d,
		      const struct directory_change *change,
		      struct change_answer *ret_answer)
{
	CLEANUP(message_free_p) LDAPMessage *message = NULL;
	int r, id;

	*ret_answer = (struct change_answer){ .outcome = CHANGE_NOT_SENT };
	directory_hurry(d, DIRECTORY_TIMEOUT_MAX_SECONDS * 1000);
	r = start_change(d, change, &id);
	if (r != LDAP_SUCCESS) {
		directory_describe(d->ld, r, ret_answer->detail,
				   sizeof(ret_answer->detail));
		directory_disconnect(d);
		return;
	}
	ret_answer->outcome = CHANGE_UNKNOWN;
	if (directory_answer(d, id, &message) < 0) {
		snprintf(ret_answer->detail, sizeof(ret_answer->detail), "%s",
			 error_message());
		return;
	}
	take_answer(d, message, ret_answer);
	directory_hurry(d, SEE_BUDGET_MS);
}
