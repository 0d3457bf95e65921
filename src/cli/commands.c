#include "cli/commands.h"

#define END                                                                    \
	{                                                                      \
		NULL                                                           \
	}

static const struct option_row globals[] = {
	{ "url", 0, "URL", .help = "where the authority is (WRIT_URL)" },
	{ "token-file", 0, "FILE",
	  .help = "an agent's token (WRIT_TOKEN_FILE, WRIT_TOKEN)" },
	{ "token-command", 0, "COMMAND",
	  .help = "a shell command that prints a fresh one "
		  "(WRIT_TOKEN_COMMAND)" },
	{ "human", 0, "NAME", .help = "who you are (WRIT_HUMAN)" },
	{ "key", 0, "FILE", .help = "SSH key you sign with (WRIT_KEY)" },
	{ "ca", 0, "FILE", .help = "CA certificates of the authority's TLS" },
	{ "settings", 0, "FILE",
	  .help = "your own settings (WRIT_CONFIG, "
		  "~/.config/writ/config.yaml)" },
	{ "timeout", 0, "DURATION", .help = "of one call (30s)" },
	{ "output", 'o', "FORMAT", .choices = "table|json",
	  .help = "how to answer" },
	{ "yes", 'y', NULL, .help = "sign without asking" },
	{ "no-input", 0, NULL, .help = "never ask anything" },
	{ "help", 'h', NULL, .help = "show help" },
	{ "version", 0, NULL, .help = "show the version" },
	END,
};

#define REASON                                                                 \
	{                                                                      \
		"reason", 'r', "TEXT", .required = true,                       \
				       .help = "why, for the record"           \
	}

#define ASK_ROWS                                                               \
	{ "task", 't', "ID", .required = true,                                 \
	  .help = "the open task it belongs to" },                             \
		{ "action", 0, "NAME", .required = true,                       \
		  .help = "such as AddToGroup" },                              \
		{ "target", 0, "NAME", .required = true,                       \
		  .help = "the governed system" },                             \
		{ "resource", 0, "ID", .required = true,                       \
		  .help = "what is changed or read there" },                   \
		{ "parameter", 'p', "NAME=VALUE", .many = true,                \
		  .help = "of the action, such as member=uid=..." },           \
		{ "mode", 0, "MODE", .choices = "execute|recommend",           \
		  .help = "do it, or only advise" },                           \
	{                                                                      \
		"ttl", 0, "DURATION", .help = "how long it is needed"          \
	}

/* Of calls that would otherwise do a thing twice. */
#define ONCE                                                                   \
	{                                                                      \
		"idempotency-key", 0, "KEY",                                   \
			.help = "the same key makes a repeated call one act"   \
	}

#define WAIT                                                                   \
	{                                                                      \
		"wait", 'w', "DURATION", .help = "wait so long for its end"    \
	}

static const struct option_row task_open[] = {
	{ "class", 'c', "NAME", .required = true, .help = "the task class" },
	{ "intent", 'i', "TEXT", .required = true,
	  .help = "what is to be done, in words" },
	{ "target", 0, "NAME", .required = true, .many = true,
	  .help = "a system it will touch" },
	{ "ttl", 0, "DURATION", .required = true, .help = "how long it lasts" },
	ONCE,
	END,
};

static const struct option_row run_options[] = {
	{ "agent", 'a', "NAME", .required = true,
	  .help = "the agent that the identity is of" },
	{ "class", 'c', "NAME", .required = true, .help = "the task class" },
	{ "intent", 'i', "TEXT", .required = true,
	  .help = "what is to be done, in words" },
	{ "with", 'w', "TARGET:ROLE", .many = true,
	  .help = "what is lent to the command" },
	{ "target", 0, "NAME", .many = true,
	  .help = "a further system it will touch" },
	{ "ttl", 0, "DURATION", .help = "how long it may last" },
	{ "token-life", 0, "DURATION",
	  .help = "how long an access token lives; it is replaced before" },
	END,
};

static const struct option_row task_attach[] = {
	{ "kind", 0, "KIND", .required = true, .choices = "prompt|tool_trace",
	  .help = "what it is" },
	{ "file", 'f', "FILE", .help = "the text; - is standard input (-)" },
	{ "tool", 0, "NAME", .help = "the tool that a trace is of" },
	ONCE,
	END,
};

static const struct option_row task_delegate[] = {
	{ "agent", 0, "NAME", .required = true,
	  .help = "who gets a part of the task" },
	{ "intent", 'i', "TEXT", .required = true,
	  .help = "what is to be done, in words" },
	{ "action", 0, "NAME", .required = true, .many = true,
	  .help = "what it may ask for, of what the task may" },
	{ "target", 0, "NAME", .required = true, .many = true,
	  .help = "a system it will touch, of those of the task" },
	{ "ttl", 0, "DURATION",
	  .help = "how long it lasts (as long as the task)" },
	{ "class", 'c', "NAME",
	  .help = "a narrower task class (that of the task)" },
	ONCE,
	END,
};

static const struct option_row token_check[] = {
	{ "parent", 0, "FILE", .required = true,
	  .help = "the access token that the other was made from" },
	{ "child", 0, "FILE", .required = true,
	  .help = "the access token of the delegated work" },
	{ "jwks", 0, "FILE",
	  .help = "key set that must have signed both (RFC 7517)" },
	END,
};

static const struct option_row by_state[] = {
	{ "state", 's', "STATE", .help = "only those in this state" },
	END,
};

static const struct option_row request_create[] = {
	ASK_ROWS,
	{ "evidence", 0, "KIND=REFERENCE", .many = true,
	  .help = "what the authority looks up, such as ticket=CHG-1" },
	WAIT,
	ONCE,
	END,
};
static const struct option_row policy_explain[] = { ASK_ROWS, END };

static const struct option_row request_wait[] = {
	{ "for", 0, "DURATION", .help = "how long at most (15m)" },
	END,
};

static const struct option_row request_secret[] = {
	{ "for", 0, "DURATION", .help = "how long to wait at most (0s)" },
	{ "field", 0, "NAME", .help = "print this of it alone" },
	END,
};

static const struct option_row request_rollback[] = {
	{ "task", 't', "ID",
	  .help = "an open task to do it in, if not the "
		  "same" },
	{ "ttl", 0, "DURATION", .help = "how long the undo lasts" },
	WAIT,
	ONCE,
	END,
};

static const struct option_row request_resolve[] = {
	{ "as", 0, "OUTCOME", .required = true,
	  .choices = "applied|not-applied",
	  .help = "what you found at the target" },
	REASON,
	END,
};

static const struct option_row request_adopt[] = {
	{ "task", 't', "ID", .help = "the task it becomes part of" },
	END,
};

static const struct option_row approval_decide[] = {
	{ "group", 'g', "NAME", .help = "the group you sign for" },
	{ "reason", 'r', "TEXT", .help = "why, for the record" },
	END,
};

static const struct option_row approval_deny[] = {
	{ "group", 'g', "NAME", .help = "the group you sign for" },
	REASON,
	END,
};

static const struct option_row voucher_create[] = {
	{ "kind", 0, "KIND", .required = true,
	  .choices = "ticket|justification|change_plan|rollback_plan|"
		     "risk_report|owner_ack|session_recording",
	  .help = "what it is" },
	{ "action", 0, "NAME", .required = true, .help = "the action" },
	{ "target", 0, "NAME", .required = true, .help = "the target" },
	{ "resource", 0, "ID", .required = true, .help = "the resource" },
	{ "reference", 0, "TEXT", .help = "such as the ticket's number" },
	{ "text", 0, "TEXT", .help = "in words" },
	{ "expires", 0, "WHEN",
	  .help = "a time, or a duration from now (24h)" },
	END,
};

static const struct option_row reason_only[] = { REASON, END };

static const struct option_row apply[] = {
	{ "file", 'f', "PATH", .required = true,
	  .help = "a YAML file, or a folder of them" },
	{ "dry-run", 0, NULL, .help = "show what would change, sign nothing" },
	{ "prune", 0, NULL,
	  .help = "remove what is not there, once what it holds has ended" },
	END,
};

static const struct option_row change_sign[] = {
	{ "verbose", 'v', NULL, .help = "show every manifest of a prune, too" },
	END,
};

static const struct option_row agent_import[] = {
	{ "all", 0, NULL, .help = "people's accounts, too, not only services" },
	END,
};

static const struct option_row policy_test[] = {
	{ "mutants", 0, NULL,
	  .help = "also delete each policy: a scenario must notice" },
	END,
};

static const struct option_row policy_pack[] = {
	{ "name", 0, "NAME", .required = true, .help = "of the bundle" },
	END,
};

static const struct option_row policy_simulate[] = {
	{ "from", 0, "INDEX", .help = "the first leaf to look at (0)" },
	{ "to", 0, "INDEX", .help = "the leaf to end before (all)" },
	{ "limit", 0, "N", .help = "decisions to make again (1000)" },
	END,
};

static const struct option_row request_explain[] = {
	{ "replay", 0, NULL,
	  .help = "make the decision again, from what was kept of it" },
	END,
};

static const struct option_row policy_activate[] = {
	{ "from", 0, "FOLDER",
	  .help = "the folder that the staged bundle must equal" },
	END,
};

static const struct option_row to_file[] = {
	{ "to", 0, "FILE",
	  .help = "replace it, only by what is whole (default: print)" },
	END,
};

static const struct option_row evidence_prove[] = {
	{ "strength", 0, "STRENGTH", .choices = "durable|signed|witnessed",
	  .help = "of the receipt (signed)" },
	{ "wait", 'w', "DURATION", .help = "wait so long for it (0s)" },
	{ "to", 0, "FILE", .help = "write it there" },
	END,
};

static const struct option_row evidence_verify[] = {
	{ "vkey", 0, "KEY", .help = "the key that the log must have" },
	{ "vkey-file", 0, "FILE", .help = "the same, in a file" },
	{ "state", 0, "FILE", .help = "where you remember what you saw" },
	{ "policy", 0, "FILE",
	  .help = "whose cosignatures it must have (C2SP tlog-policy)" },
	{ "leaf", 0, "FILE", .help = "the leaf that a receipt is of" },
	END,
};

static const struct option_row evidence_export[] = {
	{ "vkey", 0, "KEY", .help = "the key that the log must have" },
	{ "vkey-file", 0, "FILE", .help = "the same, in a file" },
	END,
};

static const struct option_row evidence_disclose[] = {
	{ "part", 0, "N", .help = "number of the payload part (0)" },
	REASON,
	END,
};

static const struct option_row doctor[] = {
	{ "config", 'c', "FILE",
	  .help = "writd's configuration (/etc/writ/writd.yaml)" },
	END,
};

static const struct option_row init[] = {
	{ "data", 0, "DIR", .required = true, .help = "the log and the state" },
	{ "keeper", 0, "DIR", .required = true, .help = "the keys" },
	{ "origin", 0, "NAME", .required = true,
	  .help = "the authority's name, for good" },
	{ "admin", 0, "NAME", .required = true,
	  .help = "the first administrator" },
	{ "key", 0, "FILE.pub", .required = true,
	  .help = "the administrator's SSH public key" },
	{ "listen", 0, "ADDR", .help = "address and port (127.0.0.1:7480)" },
	{ "config", 0, "FILE", .help = "where writd.yaml goes (in the data)" },
	{ "policy", 0, "DIR",
	  .help = "the policy bundle to begin with (the installed one)" },
	{ "timezone", 0, "ZONE", .help = "of business hours (this machine's)" },
	END,
};

static const struct option_row signal_send[] = {
	{ "detector", 'd', "NAME", .required = true,
	  .help = "the detector that speaks; --key signs for it" },
	{ "kind", 0, "NAME", .help = "what kind of signal" },
	{ "agent", 0, "NAME", .help = "it is about this agent" },
	{ "task", 't', "ID", .help = "it is about this task" },
	{ "resource", 0, "TARGET/ID", .help = "it is about this resource" },
	{ "score", 0, "N", .help = "0 (takes it back) to 100" },
	{ "expires", 0, "WHEN",
	  .help = "a time, or a duration from now (15m; at most 24h)" },
	{ "reason", 'r', "TEXT", .help = "what was seen, for the record" },
	{ "heartbeat", 0, NULL, .help = "only say that it lives" },
	END,
};

static const struct option_row exception_create[] = {
	{ "task", 't', "ID", .required = true, .help = "the task it is for" },
	{ "tier-cap", 0, "N", .required = true,
	  .help = "the highest tier it reaches, 0 to 3" },
	{ "expires", 0, "WHEN",
	  .help = "a time, or a duration from now (1h; at most 24h)" },
	REASON,
	END,
};

/* noun, verb, handler, options, operands, least, most, help */
static const struct command rows[] = {
	{ "login", NULL, cmd_login, NULL, "", 0, 0,
	  "Open a session that reads" },
	{ "whoami", NULL, cmd_whoami, NULL, "", 0, 0,
	  "Show who you are here and to the authority" },
	{ "task", "open", cmd_task_open, task_open, "", 0, 0,
	  "Declare a piece of work" },
	{ "task", "list", cmd_task_list, by_state, "", 0, 0, "List tasks" },
	{ "task", "show", cmd_task_show, NULL, "ID", 1, 1, "Show a task" },
	{ "task", "attach", cmd_task_attach, task_attach, "ID", 1, 1,
	  "Add a prompt or a tool trace as evidence" },
	{ "task", "delegate", cmd_task_delegate, task_delegate, "ID", 1, 1,
	  "Hand a part of a task to another agent" },
	{ "task", "complete", cmd_task_complete, NULL, "ID", 1, 1,
	  "End a task and what it holds" },
	{ "task", "contain", cmd_contain, reason_only, "ID", 1, 1,
	  "Stop a task at once" },
	{ "request", "create", cmd_request_create, request_create, "", 0, 0,
	  "Ask for one action" },
	{ "request", "list", cmd_request_list, by_state, "", 0, 0,
	  "List requests" },
	{ "request", "show", cmd_request_show, NULL, "ID", 1, 1,
	  "Show a request" },
	{ "request", "explain", cmd_request_explain, request_explain, "ID", 1,
	  1, "Say which rules decided it and what would help" },
	{ "request", "wait", cmd_request_wait, request_wait, "ID", 1, 1,
	  "Wait for a request's end" },
	{ "request", "secret", cmd_request_secret, request_secret, "ID", 1, 1,
	  "Tell what a request lent, once" },
	{ "request", "cancel", cmd_request_cancel, NULL, "ID", 1, 1,
	  "Withdraw a request that waits" },
	{ "request", "rollback", cmd_request_rollback, request_rollback, "ID",
	  1, 1, "Ask to undo what a request did" },
	{ "request", "adopt", cmd_request_adopt, request_adopt, "ID", 1, 1,
	  "Make a recommendation a request of yours" },
	{ "request", "resolve", cmd_request_resolve, request_resolve, "ID", 1,
	  1, "Close an unknown outcome by what you found" },
	{ "approval", "list", cmd_approval_list, NULL, "", 0, 0,
	  "List what people are asked" },
	{ "approval", "show", cmd_approval_show, NULL, "REQUEST", 1, 1,
	  "Show the plan that would be signed" },
	{ "approval", "approve", cmd_approval_approve, approval_decide,
	  "REQUEST", 1, 1, "Sign for exactly this plan" },
	{ "approval", "deny", cmd_approval_deny, approval_deny, "REQUEST", 1, 1,
	  "Sign against it" },
	{ "voucher", "create", cmd_voucher_create, voucher_create, "", 0, 0,
	  "Vouch for evidence" },
	{ "agent", "list", cmd_inventory_list, NULL, "", 0, 0, "List agents" },
	{ "agent", "show", cmd_inventory_show, NULL, "NAME", 1, 1,
	  "Show an agent" },
	{ "agent", "import", cmd_agent_import, agent_import, "TARGET", 1, 1,
	  "Propose manifests for the accounts that a target holds" },
	{ "agent", "contain", cmd_contain, reason_only, "NAME", 1, 1,
	  "Stop an agent at once" },
	{ "agent", "release", cmd_agent_release, reason_only, "NAME", 1, 1,
	  "Let a contained agent act again" },
	{ "human", "list", cmd_inventory_list, NULL, "", 0, 0, "List people" },
	{ "human", "show", cmd_inventory_show, NULL, "NAME", 1, 1,
	  "Show a person" },
	{ "group", "list", cmd_inventory_list, NULL, "", 0, 0,
	  "List approver groups" },
	{ "group", "show", cmd_inventory_show, NULL, "NAME", 1, 1,
	  "Show a group" },
	{ "target", "list", cmd_inventory_list, NULL, "", 0, 0,
	  "List governed systems" },
	{ "target", "show", cmd_inventory_show, NULL, "NAME", 1, 1,
	  "Show a governed system" },
	{ "target", "drill", cmd_target_drill, NULL, "NAME", 1, 1,
	  "Try the way back at a governed system" },
	{ "class", "list", cmd_inventory_list, NULL, "", 0, 0,
	  "List task classes" },
	{ "class", "show", cmd_inventory_show, NULL, "NAME", 1, 1,
	  "Show a task class" },
	{ "grant", "list", cmd_grant_list, by_state, "", 0, 0,
	  "List what was granted and when it ends" },
	{ "grant", "show", cmd_grant_show, NULL, "ID", 1, 1, "Show a grant" },
	{ "grant", "end", cmd_grant_end, reason_only, "ID", 1, 1,
	  "Take back what was granted or lent, before its time" },
	{ "containment", "list", cmd_containment_list, by_state, "", 0, 0,
	  "List containments" },
	{ "containment", "show", cmd_containment_show, NULL, "ID", 1, 1,
	  "Show a containment, point by point" },
	{ "containment", "release", cmd_containment_release, reason_only, "ID",
	  1, 1, "Lift a containment" },
	{ "signal", "list", cmd_signal_list, NULL, "", 0, 0,
	  "List what detectors say now" },
	{ "signal", "send", cmd_signal_send, signal_send, "", 0, 0,
	  "Send a signal or heartbeat with a detector's key" },
	{ "detector", "list", cmd_inventory_list, NULL, "", 0, 0,
	  "List detectors" },
	{ "detector", "show", cmd_inventory_show, NULL, "NAME", 1, 1,
	  "Show a detector" },
	{ "freeze", "list", cmd_inventory_list, NULL, "", 0, 0,
	  "List change freezes" },
	{ "freeze", "show", cmd_inventory_show, NULL, "NAME", 1, 1,
	  "Show a change freeze" },
	{ "exception", "create", cmd_exception_create, exception_create, "", 0,
	  0, "Propose break-glass for a task, with your signature" },
	{ "exception", "sign", cmd_exception_sign, NULL, "ID", 1, 1,
	  "Sign an exception that waits" },
	{ "exception", "list", cmd_exception_list, by_state, "", 0, 0,
	  "List exceptions" },
	{ "exception", "show", cmd_exception_show, NULL, "ID", 1, 1,
	  "Show an exception" },
	{ "exception", "revoke", cmd_exception_revoke, reason_only, "ID", 1, 1,
	  "Take an exception back" },
	{ "run", NULL, cmd_run, run_options, "-- COMMAND [ARGUMENT...]", 1,
	  ARGS_OPERANDS_MAX,
	  "Run a command with what it needs lent for its task" },
	{ "apply", NULL, cmd_apply, apply, "", 0, 0,
	  "Change the inventory to what files say" },
	{ "change", "list", cmd_change_list, by_state, "", 0, 0,
	  "List proposed changes" },
	{ "change", "show", cmd_change_show, NULL, "ID", 1, 1,
	  "Show a proposed change" },
	{ "change", "sign", cmd_change_sign, change_sign, "ID", 1, 1,
	  "Sign a proposed change" },
	{ "policy", "show", cmd_policy_show, NULL, "", 0, 0,
	  "Show what decides now" },
	{ "policy", "explain", cmd_policy_explain, policy_explain, "", 0, 0,
	  "Say what an action would take, without asking for it" },
	{ "policy", "check", cmd_policy_check, NULL, "DIR", 1, 1,
	  "Validate a bundle's folder, offline" },
	{ "policy", "test", cmd_policy_test, policy_test, "DIR", 1, 1,
	  "Run a bundle's scenarios, offline" },
	{ "policy", "pack", cmd_policy_pack, policy_pack, "DIR", 1, 1,
	  "Write a bundle's folder as a manifest" },
	{ "policy", "activate", cmd_policy_activate, policy_activate, "NAME", 1,
	  1, "Let a staged bundle decide" },
	{ "policy", "simulate", cmd_policy_simulate, policy_simulate, "BUNDLE",
	  1, 1, "List what another bundle would have decided otherwise" },
	{ "ssh", "krl", cmd_ssh_krl, to_file, "", 0, 0,
	  "Fetch the list of revoked SSH certificates, for a host" },
	{ "ssh", "authorities", cmd_ssh_authorities, to_file, "", 0, 0,
	  "Fetch the keys that SSH certificates are checked by" },
	{ "evidence", "show", cmd_evidence_show, NULL, "INDEX", 1, 1,
	  "Show a leaf" },
	{ "evidence", "prove", cmd_evidence_prove, evidence_prove, "INDEX", 1,
	  1, "Fetch the proof that a leaf is in the log" },
	{ "evidence", "verify", cmd_evidence_verify, evidence_verify,
	  "URL|FOLDER|RECEIPT", 1, 1,
	  "Verify a whole log or a receipt, trusting its key alone" },
	{ "evidence", "export", cmd_evidence_export, evidence_export, "FOLDER",
	  1, 1, "Fetch the log's public files" },
	{ "evidence", "disclose", cmd_evidence_disclose, evidence_disclose,
	  "INDEX", 1, 1, "Read a payload, which leaves a leaf" },
	{ "evidence", "erase", cmd_evidence_erase, reason_only, "SUBJECT", 1, 1,
	  "Erase what is kept of a human or an agent, for good" },
	{ "erasure", "list", cmd_erasure_list, NULL, "", 0, 0,
	  "List erasures that wait for a signature" },
	{ "erasure", "sign", cmd_erasure_sign, NULL, "SUBJECT", 1, 1,
	  "Sign an erasure that waits" },
	{ "token", "check", cmd_token_check, token_check, "", 0, 0,
	  "Say offline whether a token carries no more than another" },
	{ "notification", "list", cmd_notification_list, by_state, "", 0, 0,
	  "List notices that wait, and those that nobody took" },
	{ "notification", "retry", cmd_notification_retry, NULL, "ID", 1, 1,
	  "Send a notice again" },
	{ "notification", "drop", cmd_notification_drop, NULL, "ID", 1, 1,
	  "Let go of a notice" },
	{ "doctor", NULL, cmd_doctor, doctor, "", 0, 0,
	  "Find what is wrong with this installation" },
	{ "init", NULL, cmd_init, init, "", 0, 0, "Make a new authority" },
	{ "completion", NULL, cmd_completion, NULL, "bash|zsh", 1, 1,
	  "Write a shell completion script" },
	{ "help", NULL, cmd_help, NULL, "[NOUN [VERB]]", 0, 2, "Show help" },
};

const struct command_table commands = { rows, ARRAY_LEN(rows), globals };
