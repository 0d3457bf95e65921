/* Text forms of what Active Directory keeps as bytes. */
#pragma once

#include "base/slice.h"

/* objectGUID, 16 bytes, as "b6fb7376-c541-..." (MS-DTYP 2.3.4.3); owned, NULL
 * for any other length. */
char *identifier_guid(struct slice bytes);

/* objectSid as "S-1-5-21-..." (MS-DTYP 2.4.2.1); owned, NULL for bytes that are
 * none. */
char *identifier_sid(struct slice bytes);
