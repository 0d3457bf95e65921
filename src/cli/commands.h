/* The commands of `writ`, and their handlers; one file cmd_NOUN.c a noun. */
#pragma once

#include "cli/cli.h"

extern const struct command_table commands;

int cmd_help(struct cli *cli);
int cmd_login(struct cli *cli);
int cmd_whoami(struct cli *cli);
int cmd_task_open(struct cli *cli);
int cmd_task_show(struct cli *cli);
int cmd_task_list(struct cli *cli);
int cmd_task_complete(struct cli *cli);
int cmd_task_attach(struct cli *cli);
int cmd_request_create(struct cli *cli);
int cmd_request_show(struct cli *cli);
int cmd_request_list(struct cli *cli);
int cmd_request_wait(struct cli *cli);
int cmd_request_cancel(struct cli *cli);
int cmd_request_rollback(struct cli *cli);
int cmd_request_resolve(struct cli *cli);
int cmd_request_adopt(struct cli *cli);
int cmd_request_explain(struct cli *cli);
int cmd_approval_list(struct cli *cli);
int cmd_approval_show(struct cli *cli);
int cmd_approval_approve(struct cli *cli);
int cmd_approval_deny(struct cli *cli);
int cmd_voucher_create(struct cli *cli);
int cmd_inventory_list(struct cli *cli);
int cmd_inventory_show(struct cli *cli);
int cmd_contain(struct cli *cli);
int cmd_agent_release(struct cli *cli);
int cmd_containment_list(struct cli *cli);
int cmd_containment_show(struct cli *cli);
int cmd_containment_release(struct cli *cli);
int cmd_signal_list(struct cli *cli);
int cmd_signal_send(struct cli *cli);
int cmd_exception_create(struct cli *cli);
int cmd_exception_sign(struct cli *cli);
int cmd_exception_list(struct cli *cli);
int cmd_exception_show(struct cli *cli);
int cmd_exception_revoke(struct cli *cli);
int cmd_apply(struct cli *cli);
int cmd_change_list(struct cli *cli);
int cmd_change_show(struct cli *cli);
int cmd_change_sign(struct cli *cli);
int cmd_policy_show(struct cli *cli);
int cmd_policy_explain(struct cli *cli);
int cmd_policy_check(struct cli *cli);
int cmd_policy_test(struct cli *cli);
int cmd_policy_pack(struct cli *cli);
int cmd_policy_activate(struct cli *cli);
int cmd_policy_simulate(struct cli *cli);
int cmd_target_drill(struct cli *cli);
int cmd_agent_import(struct cli *cli);
int cmd_grant_list(struct cli *cli);
int cmd_evidence_show(struct cli *cli);
int cmd_evidence_prove(struct cli *cli);
int cmd_evidence_verify(struct cli *cli);
int cmd_evidence_export(struct cli *cli);
int cmd_evidence_disclose(struct cli *cli);
int cmd_evidence_erase(struct cli *cli);
int cmd_notification_list(struct cli *cli);
int cmd_notification_retry(struct cli *cli);
int cmd_notification_drop(struct cli *cli);
int cmd_doctor(struct cli *cli);
int cmd_init(struct cli *cli);
int cmd_completion(struct cli *cli);
