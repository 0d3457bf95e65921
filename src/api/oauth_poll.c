#include "api/oauth.h"
#include "base/id.h"
#include "base/mem.h"

enum {
	POLLS_MAX = 1024, /* requests that are remembered; the oldest go */
	INTERVAL_S = 5,
	INTERVAL_MAX_S = 60,
	MS_PER_S = 1000,
};

struct poll {
	char request[ID_MAX]; /* "": place is free */
	int64_t interval_s;
	int64_t next_ms; /* boot clock */
};

struct oauth_polls {
	struct poll polls[POLLS_MAX];
	size_t oldest;
};

struct oauth_polls *oauth_polls_new(void)
{
	return mem_new(struct oauth_polls);
}

void oauth_polls_free(struct oauth_polls *polls)
{
	free(polls);
}

static struct poll *find(struct oauth_polls *polls, const char *request)
{
	for (size_t i = 0; i < POLLS_MAX; i++) {
		if (!strcmp(polls->polls[i].request, request))
			return &polls->polls[i];
	}
	return NULL;
}

static struct poll *add(struct oauth_polls *polls, const char *request)
{
	struct poll *poll = &polls->polls[polls->oldest];

	polls->oldest = (polls->oldest + 1) % POLLS_MAX;
	snprintf(poll->request, sizeof(poll->request), "%s", request);
	poll->interval_s = INTERVAL_S;
	poll->next_ms = 0;
	return poll;
}

bool oauth_poll(struct oauth_polls *polls, const char *request, int64_t boot_ms,
		int64_t *ret_interval_s)
{
	struct poll *poll = find(polls, request);
	bool early;

	if (!poll)
		poll = add(polls, request);
	early = boot_ms < poll->next_ms;
	if (early && poll->interval_s < INTERVAL_MAX_S)
		poll->interval_s += INTERVAL_S;
	poll->next_ms = boot_ms + poll->interval_s * MS_PER_S;
	*ret_interval_s = poll->interval_s;
	return !early;
}
