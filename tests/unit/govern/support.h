/* Inventories and JSON values written as YAML, for the tests of this folder. */
#pragma once

#include "govern/inventory.h"

/* Keys of ssh-ed25519 that nobody has. */
#define KEY_A                                                                  \
	"ssh-ed25519 "                                                         \
	"AAAAC3NzaC1lZDI1NTE5AAAAIKdR8CVszB1LWReZbSEM9TEwzl97HjfkC+8pV6/THSzD"
#define KEY_B                                                                  \
	"ssh-ed25519 "                                                         \
	"AAAAC3NzaC1lZDI1NTE5AAAAIGP08KJACggtB/kYirBuOg/kaT4cEOJw4QiPMNOyZNc7"

/* The documents of a YAML text as an array; owned.  Ends the test if it is
 * none. */
json_t *support_yaml(const char *text);

/* Its first document; owned. */
json_t *support_value(const char *text);

/* "at: detail\n" for each fault; owned. */
char *support_faults(const json_t *faults);

/*
 * The inventory of the manifests in a YAML text, each of which must pass
 * manifest_check(); NULL if the set has faults.
 *
 * ret_faults: owned, as support_faults(); NULL to end the test when there are
 *   any.
 */
struct inventory *support_inventory(const char *text, char **ret_faults);

/* The text of a file; owned. */
char *support_file(const char *path);
