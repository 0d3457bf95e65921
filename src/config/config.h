/*
 * The daemon's one configuration file (writd.yaml), for the daemon and for
 * those who look after it.  Unknown keys are errors.
 */
#pragma once

#include "base/json.h"
#include "base/log.h"
#include "base/sandbox.h"

struct config_connector {
	char *target;	     /* name of a Target */
	char **command;	     /* NULL-terminated */
	int64_t timeout_ms;  /* for one plan, apply or read; 0: its own */
	char **read_command; /* of the one that reads back, or NULL */
};

struct config {
	char *data;	/* folder of the log and the state */
	char *origin;	/* name of the log */
	char *audience; /* that agents' tokens are for */
	/* That tokens for targets are from, an URL; NULL: none are made. */
	char *issuer;
	char *listen;	/* "127.0.0.1:8470", "unix:PATH" */
	char *tls_cert; /* NULL for none */
	char *tls_key;
	char **keeper_command; /* NULL-terminated, or NULL */
	char *keeper_socket;
	struct config_connector *connectors;
	size_t connector_count;
	char *policy; /* folder of the first bundle, NULL for none */
	/* What one agent may have; 0: the default. */
	struct {
		int64_t open_tasks;
		int64_t open_requests;
		int64_t requests_per_minute;
		int64_t record_bytes; /* of one task */
		int64_t secret_seconds;
	} limits;
	json_t *reach; /* addresses that may be connected to, see net/reach.h */
	char *ca;      /* PEM, for what is fetched; NULL: the system's */
	json_t *notify;	 /* as in outward.h, paths of files whole; or NULL */
	json_t *lookups; /* the same */
	char *witnesses; /* policy file of the log's witnesses, or NULL */
	enum log_level log;
	enum sandbox_mode sandbox;
	char **writable; /* folders, NULL-terminated; NULL: not limited */
};

/*
 * Reads and checks path; everything in ret_config is owned by it and released
 * with config_clear(), also after an error.  Programs without a '/' are looked
 * up beside this program and in PATH; relative paths are taken from the file's
 * folder.
 *
 * ret_faults: owned array of {"at", "detail"}; the config is whole only when it
 *   is empty.
 * Errors: ERR_IO, ERR_NOT_FOUND, ERR_LIMIT, ERR_SYNTAX (not YAML).
 */
MUST_USE int config_load(const char *path, struct config *ret_config,
			 json_t **ret_faults);
void config_clear(struct config *config);

/* path as seen from the folder of file; owned, NULL for NULL. */
char *config_beside(const char *file, const char *path);
