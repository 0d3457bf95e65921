#include "http/problem.h"

#include "base/mem.h"

static const struct {
	unsigned status;
	const char *title;
} titles[] = {
	{ 400, "Bad Request" },
	{ 401, "Unauthorized" },
	{ 403, "Forbidden" },
	{ 404, "Not Found" },
	{ 405, "Method Not Allowed" },
	{ 406, "Not Acceptable" },
	{ 408, "Request Timeout" },
	{ 409, "Conflict" },
	{ 410, "Gone" },
	{ 412, "Precondition Failed" },
	{ 413, "Content Too Large" },
	{ 414, "URI Too Long" },
	{ 415, "Unsupported Media Type" },
	{ 422, "Unprocessable Content" },
	{ 423, "Locked" },
	{ 428, "Precondition Required" },
	{ 429, "Too Many Requests" },
	{ 500, "Internal Server Error" },
	{ 501, "Not Implemented" },
	{ 502, "Bad Gateway" },
	{ 503, "Service Unavailable" },
	{ 504, "Gateway Timeout" },
	{ 505, "HTTP Version Not Supported" },
	{ 507, "Insufficient Storage" },
};

const char *problem_title(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(titles); i++) {
		if (titles[i].status == status)
			return titles[i].title;
	}
	return "Error";
}

json_t *problem_new(unsigned status, const char *code, const char *detail,
		    json_t *more)
{
	CLEANUP(json_put_p) json_t *members = more;
	CLEANUP(mem_free_p)
	char *type = mem_format("urn:writ:problem:%s", code);
	json_t *problem = json_object();

	json_set_text(problem, "type", type);
	json_set_text(problem, "title", problem_title(status));
	json_set_int(problem, "status", (int64_t)status);
	json_set_text(problem, "detail", detail);
	json_set_text(problem, "code", code);
	if (members)
		discard(json_object_update_missing(problem, members));
	return problem;
}
