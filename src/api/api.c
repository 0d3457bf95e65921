/*
 * The routes, and the OpenAPI document that is made from them.
 */
#include "api/api.h"

#include "api/call.h"
#include "api/oauth.h"
#include "base/mem.h"

enum {
	NO_BODY = 0,
	SMALL = 64 * 1024,
	LARGE = 1 << 20,
	HUGE_BODY = 2 << 20,
};

static const struct http_route routes[] = {
	{ "POST", "/v1/tasks", SMALL, tasks_open, "Open a task" },
	{ "GET", "/v1/tasks", NO_BODY, tasks_list, "List tasks" },
	{ "GET", "/v1/tasks/{id}", NO_BODY, tasks_show, "Read a task" },
	{ "POST", "/v1/tasks/{id}/complete", SMALL, tasks_complete,
	  "Complete a task: what it holds ends" },
	{ "POST", "/v1/tasks/{id}/children", SMALL, tasks_delegate,
	  "Delegate a part of a task to another agent, as a task of its own" },
	{ "POST", "/v1/tasks/{id}/lease", SMALL, tasks_lease,
	  "Renew the lease of a task" },
	{ "POST", "/v1/tasks/{id}/effects", LARGE, tasks_report,
	  "Report what was done with what was lent" },
	{ "POST", "/v1/tasks/{id}/records", LARGE, tasks_attach,
	  "Attach a prompt or a tool trace" },

	{ "POST", "/v1/requests", SMALL, requests_create,
	  "Ask for a governed action" },
	{ "POST", "/v1/explain", SMALL, requests_explain,
	  "What a request would take, without making it" },
	{ "GET", "/v1/requests", NO_BODY, requests_list, "List requests" },
	{ "GET", "/v1/requests/{id}", NO_BODY, requests_show,
	  "Read a request, waiting for its end" },
	{ "POST", "/v1/requests/{id}/replay", SMALL, requests_replay,
	  "Make its last decision again, from what was kept of it" },
	{ "POST", "/v1/requests/{id}/secret", SMALL, requests_secret,
	  "What it lent, handed out once to the agent that asked" },
	{ "POST", "/v1/requests/{id}/cancel", SMALL, requests_cancel,
	  "Withdraw a request" },
	{ "POST", "/v1/requests/{id}/rollback", SMALL, requests_rollback,
	  "Ask for the inverse of what a request did" },
	{ "POST", "/v1/requests/{id}/approvals", SMALL, requests_sign,
	  "Approve or deny a plan, signed" },
	{ "POST", "/v1/requests/{id}/adopt", SMALL, requests_adopt,
	  "Adopt a recommendation, signed" },
	{ "POST", "/v1/requests/{id}/resolve", SMALL, requests_resolve,
	  "Close an unknown outcome, signed by the owner" },

	{ "POST", "/v1/login", SMALL, people_login,
	  "A session that reads, for a signature" },
	{ "GET", "/v1/whoami", NO_BODY, people_whoami, "Who the token is" },
	{ "GET", "/v1/approvals", NO_BODY, approvals_list,
	  "Requests that wait for this person" },
	{ "GET", "/v1/approvals/{id}", NO_BODY, approvals_show,
	  "The plan that is to be signed" },
	{ "POST", "/v1/vouchers", SMALL, people_vouch,
	  "Vouch for evidence, signed" },

	{ "POST", "/v1/changes", HUGE_BODY, changes_post,
	  "Change the inventory, signed; or look what would change" },
	{ "GET", "/v1/changes", NO_BODY, changes_list, "List changes" },
	{ "GET", "/v1/changes/{id}", NO_BODY, changes_show, "Read a change" },
	{ "POST", "/v1/changes/{id}/signatures", SMALL, changes_sign,
	  "Sign a change that waits" },
	{ "GET", "/v1/inventory/{kind}", NO_BODY, inventory_list,
	  "Manifests of a kind" },
	{ "GET", "/v1/inventory/{kind}/{name}", NO_BODY, inventory_show,
	  "One manifest" },
	{ "POST", "/v1/containments", SMALL, containments_post,
	  "Contain an agent or a task, signed" },
	{ "GET", "/v1/containments", NO_BODY, containments_list,
	  "List containments" },
	{ "GET", "/v1/containments/{id}", NO_BODY, containments_show,
	  "A containment, point by point" },
	{ "POST", "/v1/containments/{id}/release", SMALL, containments_release,
	  "Sign for the end of a containment" },
	{ "GET", "/v1/policy", NO_BODY, policy_show, "The active policies" },
	{ "POST", "/v1/policy/activate", SMALL, policy_activate,
	  "Activate a staged bundle, signed" },
	{ "POST", "/v1/policy/simulate", HUGE_BODY, policy_simulate,
	  "What another bundle would have decided" },
	{ "GET", "/v1/targets/{name}", NO_BODY, targets_show,
	  "What a target lends" },
	{ "GET", "/v1/targets/{name}/discovery", NO_BODY, targets_discovery,
	  "The accounts and groups that a target holds" },
	{ "POST", "/v1/targets/{name}/drill", SMALL, targets_drill,
	  "Try the way back on a target, signed" },
	{ "GET", "/v1/grants", NO_BODY, grants_list, "List grants" },
	{ "GET", "/v1/grants/{id}", NO_BODY, grants_show, "Read a grant" },
	{ "POST", "/v1/grants/{id}/end", SMALL, grants_end,
	  "End a grant before its time, signed" },

	{ "POST", "/v1/signals", SMALL, signals_post,
	  "A signal or heartbeat, signed by its detector" },
	{ "GET", "/v1/signals", NO_BODY, signals_list, "List live signals" },
	{ "POST", "/v1/exceptions", SMALL, exceptions_post,
	  "Sign an exception (break-glass) for a task" },
	{ "GET", "/v1/exceptions", NO_BODY, exceptions_list,
	  "List exceptions" },
	{ "GET", "/v1/exceptions/{id}", NO_BODY, exceptions_show,
	  "Read an exception" },
	{ "POST", "/v1/exceptions/{id}/revoke", SMALL, exceptions_revoke,
	  "Take an exception back, signed" },

	{ "GET", "/v1/notifications", NO_BODY, notifications_list,
	  "Notices that wait, and those that nobody took" },
	{ "POST", "/v1/notifications/{id}", SMALL, notifications_act,
	  "Retry or drop a notice, signed" },

	{ "GET", "/v1/evidence/{index}", NO_BODY, evidence_show, "A leaf" },
	{ "GET", "/v1/evidence/{index}/proof", NO_BODY, evidence_proof,
	  "Its proof of inclusion (C2SP tlog-proof)" },
	{ "POST", "/v1/evidence/{index}/disclose", SMALL,
	  evidence_disclose_leaf, "Read a payload, signed" },
	{ "POST", "/v1/subjects/{subject}/erase", SMALL, subjects_erase,
	  "Erase what is kept of a human or an agent, signed by two" },
	{ "GET", "/v1/erasures", NO_BODY, erasures_list,
	  "List erasures that wait for a signature" },
	{ "GET", "/log/{path...}", NO_BODY, log_file,
	  "The public log (C2SP tlog-tiles)" },
	{ "GET", "/ssh/krl", NO_BODY, ssh_krl,
	  "Revoked SSH certificates, for RevokedKeys of sshd" },
	{ "GET", "/ssh/authorities", NO_BODY, ssh_authorities,
	  "The keys of SSH certificates, for TrustedUserCAKeys of sshd" },

	{ "GET", "/v1/health", NO_BODY, health_show, "Is it well" },
	{ "GET", "/v1/authority", NO_BODY, authority_show,
	  "Name and public key of the log" },
	{ "GET", "/v1/openapi.json", NO_BODY, openapi_show, "This document" },

	{ "GET", "/.well-known/oauth-authorization-server", NO_BODY,
	  oauth_metadata, "What tokens can be had here, and how (RFC 8414)" },
	{ "GET", "/.well-known/oauth-authorization-server/{path...}", NO_BODY,
	  oauth_metadata, "The same of an issuer with a path" },
	{ "GET", "/oauth/jwks", NO_BODY, oauth_jwks,
	  "The keys that tokens are verified by (RFC 7517)" },
	{ "POST", "/oauth/token", SMALL, oauth_token,
	  "A token for a task (RFC 6749, 7523, 8693)", .form = true },
	{ "POST", "/oauth/revoke", SMALL, oauth_revoke,
	  "End a token (RFC 7009)", .form = true },
	{ "POST", "/oauth/introspect", SMALL, oauth_introspect,
	  "What a token is worth now (RFC 7662)", .form = true },
};

const struct http_route *api_routes(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(routes);
	return routes;
}

struct api *api_new(const struct api_config *config)
{
	struct api *api = mem_new(struct api);
	CLEANUP(json_put_p) json_t *document = api_openapi();

	api->flow = config->flow;
	api->evidence = config->evidence;
	api->origin = mem_str(config->origin);
	api->audience = mem_str(config->audience);
	api->openapi = json_canonical(document);
	api->sandbox = config->sandbox;
	api->oauth = oauth_new(config->issuer, api->audience);
	return api;
}

void api_free(struct api *api)
{
	if (!api)
		return;
	free(api->origin);
	free(api->audience);
	free(api->openapi);
	json_decref(api->sandbox);
	oauth_free(api->oauth);
	free(api);
}
