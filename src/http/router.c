#include "http/router.h"

/* The segment of pattern that starts at *at, which moves past it. */
static struct slice next_part(const char **at)
{
	size_t len = strcspn(*at + 1, "/");
	struct slice part = slice_of(*at + 1, len);

	*at += 1 + len;
	return part;
}

static bool is_param(struct slice part)
{
	return part.len > 2 && part.ptr[0] == '{' &&
	       part.ptr[part.len - 1] == '}';
}

/* The name of "{name}" or "{name...}". */
static struct slice param_name(struct slice part, bool *ret_rest)
{
	struct slice name = slice_of(part.ptr + 1, part.len - 2);

	*ret_rest = name.len > 3 && !memcmp(name.ptr + name.len - 3, "...", 3);
	if (*ret_rest)
		name.len -= 3;
	return name;
}

/* Compares without taking anything, so that a row that does not fit leaves the
 * target alone. */
static bool path_fits(const char *pattern, const struct target *t)
{
	unsigned i = 0;

	if (!strcmp(pattern, "/"))
		return t->segment_count == 0;
	while (*pattern) {
		struct slice part = next_part(&pattern);
		bool rest = false;

		if (i >= t->segment_count)
			return false;
		if (is_param(part))
			discard((long long)param_name(part, &rest).len);
		else if (!slice_is(part, t->segments[i]))
			return false;
		if (rest)
			return true;
		i++;
	}
	return i == t->segment_count;
}

/* Fills the parameters; false if one cannot be had. */
static bool take_params(const char *pattern, struct target *t,
			struct route_match *m)
{
	if (!strcmp(pattern, "/"))
		return true;
	for (unsigned i = 0; *pattern; i++) {
		struct slice part = next_part(&pattern);
		struct route_param *p = &m->params[m->param_count];
		bool rest;

		if (!is_param(part))
			continue;
		if (m->param_count == HTTP_PARAMS_MAX)
			return false;
		p->name = param_name(part, &rest);
		p->value = rest ? target_rest(t, i) : t->segments[i];
		if (!p->value)
			return false;
		m->param_count++;
	}
	return true;
}

static bool method_fits(const struct http_route *route, const char *method)
{
	if (!strcmp(route->method, method))
		return true;
	return !strcmp(method, "HEAD") && !strcmp(route->method, "GET");
}

static void allow(struct route_match *m, const char *method)
{
	size_t used = strlen(m->allow);

	if (strstr(m->allow, method))
		return;
	snprintf(m->allow + used, sizeof(m->allow) - used, "%s%s",
		 used ? ", " : "", method);
}

void route_find(const struct http_route *routes, size_t count,
		const char *method, struct target *target,
		struct route_match *ret_match)
{
	struct route_match *m = ret_match;

	m->route = NULL;
	m->param_count = 0;
	m->allow[0] = 0;
	for (size_t i = 0; i < count; i++) {
		if (!path_fits(routes[i].path, target))
			continue;
		if (method_fits(&routes[i], method)) {
			if (take_params(routes[i].path, target, m))
				m->route = &routes[i];
			else
				m->allow[0] = 0;
			return;
		}
		allow(m, routes[i].method);
		if (!strcmp(routes[i].method, "GET"))
			allow(m, "HEAD");
	}
}
