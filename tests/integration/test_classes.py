"""A class that is changed under open tasks binds them by what it was and what
it is; and regulated targets, which always ask."""
import copy

import stories
from harness import TARGET, group, moment, wait_until
from stories import (add, holds, leaves, remove, somebody, verified, waiting)
from watchers import change, enrol, of_kind, reasons

CLASS = "identity-ops"


def changed(authority, drop=(), **spec):
    return change(authority, "taskclass", CLASS, drop, **spec)


def missing(answer):
    return answer.refused(403, "denied")["request"]["decision"]["requires"][
        "evidence"]


def denied(answer, policy):
    assert policy in reasons(answer), answer


# ---- each limit, narrowed and widened ----

def test_an_action_taken_out_is_not_done_and_one_put_in_neither(authority):
    bot = authority.agent("hr-bot")
    wide = bot.open_task()
    changed(authority, actions=["AddToGroup"])
    narrow = bot.open_task()
    denied(remove(bot, wide, "lunch-list", somebody()), "g05-not-covered")
    changed(authority, actions=["AddToGroup", "RemoveFromGroup"])
    denied(remove(bot, narrow, "lunch-list", somebody()), "g05-not-covered")
    add(bot, narrow, "lunch-list", somebody()).ok(200)


def test_the_lower_of_two_tiers_counts(authority):
    bot = authority.agent("hr-bot")
    high = bot.open_task()
    stories.vouch(authority, "mail-admins")
    changed(authority, maxTier=1)
    low = bot.open_task()
    denied(add(bot, high, "mail-admins", somebody()),
           "g06-tier-above-the-class")
    changed(authority, maxTier=3)
    denied(add(bot, low, "mail-admins", somebody()), "g05-not-covered")
    add(bot, high, "mail-admins", somebody()).ok(202)


def test_evidence_demanded_then_or_now_is_demanded(authority):
    bot = authority.agent("hr-bot")
    free = bot.open_task()
    changed(authority, requiresEvidence=["prompt"])
    bound = bot.open_task()
    assert missing(add(bot, free, "lunch-list", somebody())) == ["prompt"]
    changed(authority, drop=["requiresEvidence"])
    assert missing(add(bot, bound, "lunch-list", somebody())) == ["prompt"]
    add(bot, free, "lunch-list", somebody()).ok(200)
    bot.attach(bound, "do it").ok(201)
    add(bot, bound, "lunch-list", somebody()).ok(200)


def test_detectors_demanded_then_or_now_must_be_heard(authority):
    bot = authority.agent("hr-bot")
    edr = enrol(authority, "edr")
    free = bot.open_task()
    changed(authority, monitoring={"detectors": ["edr"], "heardWithin": "1h"})
    bound = bot.open_task()
    for task in (free, bound):
        asked = add(bot, task, "lunch-list", somebody()).ok(202)
        assert list(asked["waitingFor"]) == ["security"]
    changed(authority, drop=["monitoring"])
    add(bot, free, "lunch-list", somebody()).ok(200)
    asked = add(bot, bound, "lunch-list", somebody()).ok(202)
    assert list(asked["waitingFor"]) == ["security"]
    edr.beat().ok(200)
    add(bot, bound, "lunch-list", somebody()).ok(200)


def test_a_shorter_class_ends_its_tasks_sooner_and_a_longer_one_not_later(
        authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task(ttl="8h")
    member = somebody()
    add(bot, task, "lunch-list", member, ttl="2h").ok(200)
    changed(authority, longest="60s")
    # The opening is moved back, not the clock.
    authority.stop()
    stories.edit_document(authority, "task", task, opened=moment(-120))
    authority.start()
    wait_until(authority.target_is_up, "the connector")
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"] ==
               "expired", "the task to end")
    wait_until(lambda: not holds(authority, "lunch-list", member),
               "what it held to be taken back")
    authority.human("ada").login()
    short = bot.open_task(ttl="1m")
    until = bot.get(f"/v1/tasks/{short}").ok()["expires"]
    changed(authority, longest="8h")
    assert bot.get(f"/v1/tasks/{short}").ok()["expires"] == until


def test_an_open_task_is_cut_short_while_it_runs(authority):
    bot = authority.agent("hr-bot")
    changed(authority, longest="8h")
    task = bot.open_task(ttl="8h")
    authority.stop()
    stories.edit_document(authority, "task", task, opened=moment(-57))
    authority.start()
    authority.human("ada").login()
    assert bot.get(f"/v1/tasks/{task}").ok()["state"] == "open"
    changed(authority, longest="60s")
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"] ==
               "expired", "the task to end")


def test_an_agent_that_may_not_open_it_any_more_does_nothing_in_it(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    changed(authority, openers=["adviser"])
    add(bot, task, "lunch-list", somebody()).refused(409, "task-not-open")
    bot.call("POST", "/v1/tasks", {
        "class": CLASS, "intent": "again", "targets": [TARGET],
        "ttl": "1h"}).refused(403, "denied")
    changed(authority, openers=["adviser", "hr-bot"])
    add(bot, task, "lunch-list", somebody()).ok(200)


def test_a_retired_class_opens_nothing_and_carries_nothing(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    changed(authority, status="retired")
    add(bot, task, "lunch-list", somebody()).refused(409, "task-not-open")
    bot.call("POST", "/v1/tasks", {
        "class": CLASS, "intent": "again", "targets": [TARGET],
        "ttl": "1h"}).refused(409, "class-not-active")
    # What it holds may still be ended.
    bot.complete(task).ok(200)


def test_its_owner_then_and_its_owner_now_do_not_sign(authority):
    bot = authority.agent("hr-bot")
    changed(authority, owner="bob")
    task = bot.open_task()
    changed(authority, owner="dave")
    # Somebody is left who may be asked.
    change(authority, "human", "oscar", groups=["iam-approvers"])
    request = waiting(authority, bot=bot, task=task)
    for name in ("bob", "dave"):
        authority.human(name).approve(
            request["id"], "iam-approvers",
            digest=request["digest"]).refused(403, "may-not-approve")
    authority.human("oscar").approve(request["id"], "iam-approvers",
                                     digest=request["digest"]).ok()


def test_software_keys_must_have_been_let_in_then_and_now(authority):
    bot = authority.agent("hr-bot")
    changed(authority, softwareKeys=False)
    strict = bot.open_task()
    stories.vouch(authority, "mail-admins")
    changed(authority, softwareKeys=True)
    loose = bot.open_task()
    request = add(bot, strict, "mail-admins", somebody()).ok(202)
    bob = authority.human("bob")
    bob.approve(request["id"], "iam-approvers",
                digest=request["digest"]).refused(403, "may-not-approve")
    request = add(bot, loose, "mail-admins", somebody()).ok(202)
    bob.approve(request["id"], "iam-approvers", digest=request["digest"]).ok()


def test_a_domain_or_plane_put_in_later_is_not_the_tasks(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    changed(authority, domain="prod")
    denied(add(bot, task, "lunch-list", somebody()), "g05-not-covered")
    changed(authority, domain="corp")
    add(bot, task, "lunch-list", somebody()).ok(200)


# ---- regulated ----

def regulated(authority, name, **more):
    """The group's rule says that its domain signs off."""
    target = authority.inventory("target", TARGET).ok()
    for rule in target["spec"]["classification"]:
        if rule["match"].get("resource") == group(name):
            rule.update(signOff=True, **more)
    authority.apply([copy.deepcopy(target)])


def test_a_regulated_group_is_never_changed_without_its_domains_signature(
        authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    assert add(bot, task, "lunch-list", somebody()).ok(200)["route"] == "auto"
    regulated(authority, "lunch-list")
    member = somebody()
    request = add(bot, task, "lunch-list", member).ok(202)
    assert request["waitingFor"] == {"corp-domain-owners": 1}
    assert not holds(authority, "lunch-list", member)
    # alice is one of them, and owns the agent.
    authority.human("alice").approve(
        request["id"], "corp-domain-owners",
        digest=request["digest"]).refused(403, "may-not-approve")
    authority.human("erin").approve(request["id"], "corp-domain-owners",
                                    digest=request["digest"]).ok()
    done = bot.wait(request["id"], "done")
    assert done["route"] == "approval" and holds(authority, "lunch-list",
                                                 member)
    routes = [leaf["route"] for leaf in of_kind(leaves(authority), "decision")
              if leaf["about"] == request["id"]]
    assert routes[0] == "approval" and verified(authority)


def test_what_is_nested_in_something_regulated_is_regulated(ldap_authority):
    authority = ldap_authority
    bot = authority.agent("hr-bot")
    regulated(authority, "mail-admins")
    # Somebody of the domain who vouched for nothing.
    change(authority, "human", "oscar", groups=["corp-domain-owners"])
    stories.vouch(authority, "helpdesk")
    request = add(bot, bot.open_task(), "helpdesk",
                  "uid=nora,ou=people,dc=example,dc=org").ok(202)
    assert request["waitingFor"]["corp-domain-owners"] == 1


def test_an_exception_does_not_lift_a_sign_off(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    regulated(authority, "lunch-list")
    expires = moment(600)
    for name in ("ada", "heidi"):
        authority.human(name).except_(task, 3, expires=expires)
    request = add(bot, task, "lunch-list", somebody()).ok(202)
    assert request["waitingFor"] == {"corp-domain-owners": 1}


def test_taking_away_from_a_regulated_group_does_not_wait_for_its_domain(
        authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    regulated(authority, "contractors")
    member = somebody()
    stories.change_target(authority, (group("contractors"), member))
    request = remove(bot, task, "contractors", member).ok(202)
    assert list(request["waitingFor"]) == ["soc"]
