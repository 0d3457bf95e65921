/*
 * An ssh-agent of our own: it holds a key pair made for one run, with the
 * certificates that were lent for it.  The private key never lies in a file
 * but for the moment in which it is handed to the agent, and that file is in
 * memory.
 */
#pragma once

#include "cli/run/scratch.h"

struct keyring;

/* Starts ssh-agent and makes a key (Ed25519).
 * Errors: ERR_NOT_FOUND (OpenSSH's client programs are not there),
 * ERR_REFUSED, ERR_IO. */
MUST_USE int keyring_open(struct scratch *scratch,
			  struct keyring **ret_keyring);
/* Ends the agent, and with it the key. */
void keyring_close(struct keyring *k);
DEFINE_CLEANUP(struct keyring *, keyring_close)

/* The public key as a line of OpenSSH's; borrowed. */
const char *keyring_public(const struct keyring *k);
/* For SSH_AUTH_SOCK; borrowed. */
const char *keyring_socket(const struct keyring *k);

/* Hands a certificate (its line) with the key to the agent, which forgets it
 * after so many seconds.  Errors: ERR_REFUSED, ERR_IO. */
MUST_USE int keyring_add(struct keyring *k, const char *certificate,
			 int64_t life_s);
