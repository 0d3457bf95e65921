/* Inside notification: what its files share. */
#pragma once

#include "base/map.h"
#include "notify/notify.h"

/* The name of mail as an endpoint; no webhook has it. */
#define NOTIFY_MAIL "mail"

struct endpoint {
	char *name;
	char *url;
	char *ca_file;	/* may be NULL */
	char *secrets;	/* path of shared secrets, may be NULL; NULL for mail */
	char *keys;	/* path of keys of our own, may be NULL */
	json_t *public; /* owned: public halves of the keys, as last read */
	char *from;	/* of mail only, as the rest */
	char *user;	/* path of a file, may be NULL */
	char *password;
	bool plain;
	bool events[NOTIFY_EVENT_COUNT];
	json_t *only; /* {"humans", "groups", "agents"}; NULL: everybody */
	int64_t rows; /* in the outbox, with those on their way there */
	int64_t not_before_ms; /* boot clock: it failed just now */
	unsigned failures;     /* in a row */
	unsigned flying;
	char why[TRANSFER_TEXT_MAX]; /* of the last failure */
};

struct notifier {
	struct notify_config config;
	char *link;
	struct endpoint *endpoints; /* owned */
	size_t count;
	size_t turn;	     /* which endpoint is next */
	struct map *flights; /* id of a notice -> struct flight */
	struct loop_timer *timer;
	bool called; /* a look is deferred */
	int64_t first_ms;
	int64_t longest_ms;
	int64_t attempts;
	int64_t age_ms;
	int64_t rows_max;
	int64_t swept_ms; /* boot clock: dead letters were looked over */
};

/* Notes the public halves of what was read. */
struct webhook_secrets;
void endpoint_keys(struct endpoint *e, const struct webhook_secrets *secrets);

/* Sends what is due, once this callback is over. */
void courier_wake(struct notifier *n);
/* Ends all flights. */
void courier_close(struct notifier *n);
/* A change of one row by itself. */
void courier_change(struct notifier *n, const struct outbox_change *change,
		    void (*done)(void *cookie), void *cookie);
