"""The life of a request: routes, people, time, undoing, and asking twice."""
import os
import threading

import pytest

import harness
import stories
from harness import TARGET, group, moment, person, wait_until
from stories import (add, grant_state, grants, holds, open_armed, remove,
                     somebody, vouch, waiting)

# pylint: disable=redefined-outer-name


@pytest.fixture(scope="module")
def here(tmp_path_factory):
    """One authority for all that does not disturb others; without the rules
    that count what an agent does in a day, which so many tests would meet."""
    folder = tmp_path_factory.mktemp("shared") / "authority"
    with harness.Authority(folder=folder,
                           bundle_options=("--bench",)) as authority:
        yield authority.found()


@pytest.fixture
def bot(here):
    return here.agent("hr-bot")


@pytest.fixture
def task(bot):
    return bot.open_task()


# The four routes.

def test_low_risk_runs_at_once_and_has_a_receipt_and_a_way_back(here, bot, task):
    member = somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    assert (done["state"], done["route"]) == ("done", "auto")
    assert done["outcome"]["observed"]["present"] is True
    assert done["rollbackToken"] and done["grant"]["ends"]
    assert holds(here, "lunch-list", member)
    for name in ("decision", "armed", "outcome"):
        assert stories.has_leaf(here, done["evidence"][name])


def test_power_waits_and_runs_once_the_people_have_signed(here):
    member = somebody()
    request = waiting(here, member=member)
    assert request["route"] == "approval"
    assert request["waitingFor"] == {"iam-approvers": 1}
    assert not holds(here, "mail-admins", member)
    here.human("bob").approve(request["id"], "iam-approvers").ok(200, 202)
    done = here.agent("hr-bot").wait(request["id"], "done")
    assert [a["human"] for a in done["approvals"]] == ["bob"]
    assert holds(here, "mail-admins", member)


def test_advice_executes_nothing(here, bot, task):
    member = somebody()
    before = len(stories.leaves(here))
    advice = add(bot, task, "lunch-list", member, mode="recommend").ok(200)
    assert advice["state"] == "recommended"
    assert advice["decision"]["ifExecutedRoute"] == "auto"
    assert advice["plan"]["after"] == {"member": True}
    assert not holds(here, "lunch-list", member)
    assert all(leaf["kind"] != "armed"
               for leaf in stories.leaves(here)[before:])


def test_a_denial_says_why_and_what_would_help(here, bot, task):
    problem = add(bot, task, "contractors", somebody()).refused(403, "denied")
    decision = problem["request"]["decision"]
    assert decision["cause"] == "evidence"
    assert decision["requires"]["evidence"] == ["owner_ack"]
    assert "owner_ack" in decision["remedy"]
    assert decision["forAgent"] and decision["forHuman"]
    assert stories.has_leaf(here, problem["request"]["evidence"]["decision"])


def test_a_capability_that_is_missing_denies_whoever_would_sign(here):
    adviser = here.agent("adviser")
    problem = add(adviser, adviser.open_task(), "lunch-list",
                  somebody()).refused(403, "denied")
    decision = problem["request"]["decision"]
    assert decision["cause"] == "policy"
    assert "g11-no-execute-capability" in [
        row["id"] for row in decision["policies"]]
    assert not decision.get("requires", {}).get("approvals")


def test_a_resource_that_no_rule_knows_is_of_the_highest_tier(here, bot, task):
    vouch(here, "nobody-knows", "ticket")
    request = add(bot, task, "nobody-knows", somebody()).ok(202)
    assert request["tier"] == 3
    assert request["waitingFor"] == {"iam-approvers": 2, "security": 1}


def test_explaining_decides_and_does_nothing(here, bot, task):
    member = somebody()
    size = here.health()["leaves"]
    told = bot.explain(task, "AddToGroup", group("lunch-list"), member).ok(200)
    assert told["route"] == "auto"
    told = bot.explain(task, "AddToGroup", group("domain-admins"),
                       member).ok(200)
    assert told["route"] == "deny" and told["decision"]["requires"]["evidence"]
    assert not holds(here, "lunch-list", member)
    assert here.health()["leaves"] == size


# Who signs.

def test_tier_3_takes_two_of_one_group_and_one_of_another(here):
    request = waiting(here, "domain-admins")
    assert request["waitingFor"] == {"iam-approvers": 2, "security": 1}
    for name, asked, left in (
            ("bob", "iam-approvers", {"iam-approvers": 1, "security": 1}),
            ("carol", "security", {"iam-approvers": 1})):
        answer = here.human(name).approve(request["id"], asked).ok(202)
        assert answer["state"] == "waiting"
        assert sum(answer["waitingFor"].values()) <= sum(left.values()) + 1
    here.human("dave").approve(request["id"], "iam-approvers").ok(200, 202)
    done = here.agent("hr-bot").wait(request["id"], "done")
    assert {(a["human"], a["group"]) for a in done["approvals"]} == {
        ("bob", "iam-approvers"), ("dave", "iam-approvers"),
        ("carol", "security")}


def test_a_member_of_a_nested_group_signs_for_the_outer_one(here):
    request = waiting(here)
    here.human("dave").approve(request["id"], "iam-approvers").ok(200, 202)
    here.agent("hr-bot").wait(request["id"], "done")


def test_a_human_counts_once(here):
    request = waiting(here, "domain-admins")
    bob = here.human("bob")
    bob.approve(request["id"], "iam-approvers").ok(202)
    bob.approve(request["id"], "iam-approvers").refused(409, "signed-already")
    shown = here.agent("hr-bot").show(request["id"])
    assert shown["state"] == "waiting" and len(shown["approvals"]) == 1


def test_the_owner_of_agent_and_class_may_not_sign_though_a_member(here):
    request = waiting(here)
    here.human("alice").approve(request["id"], "iam-approvers").refused(
        403, "may-not-approve")


def test_who_gains_may_not_sign_though_a_member(here):
    request = waiting(here, member=person("bob"))
    here.human("bob").approve(request["id"], "iam-approvers").refused(
        403, "may-not-approve")
    here.human("dave").approve(request["id"], "iam-approvers").ok(200, 202)
    here.agent("hr-bot").wait(request["id"], "done")


def test_who_vouched_may_not_sign_though_a_member(here, bot, task):
    here.human("erin").vouch("owner_ack", "AddToGroup",
                             group("vouched-admins")).ok(201)
    here.human("oscar").vouch("ticket", "AddToGroup",
                              group("vouched-admins")).ok(201)
    request = add(bot, task, "vouched-admins", somebody()).ok(202)
    here.human("oscar").approve(request["id"], "security").refused(
        403, "may-not-approve")
    here.human("carol").approve(request["id"], "security").ok(202)


def test_who_is_no_member_may_not_sign(here):
    request = waiting(here)
    frank = here.human("frank")
    digest = request["digest"]
    frank.approve(request["id"], "iam-approvers", digest=digest).refused(
        403, "may-not-approve")
    frank.approve(request["id"], "on-call", digest=digest).refused(
        409, "group-not-asked")


def test_one_denial_ends_it(here):
    request = waiting(here)
    denied = here.human("bob").deny(request["id"], "iam-approvers",
                                    reason="no").ok(200)
    assert denied["state"] == "denied"  # which is what bob asked for
    shown = here.agent("hr-bot").show(request["id"])
    assert shown["state"] == "denied"
    assert shown["decision"]["cause"] == "human"
    here.human("dave").approve(
        request["id"], "iam-approvers", digest=request["digest"]).refused(409)


def test_nobody_is_asked_where_too_few_may_sign(make_authority):
    def without_dave(manifests):
        return [m for m in manifests if m["metadata"]["name"] != "dave"]
    authority = make_authority().found(without_dave)
    vouch(authority, "mail-admins")
    bot = authority.agent("hr-bot")
    problem = add(bot, bot.open_task(), "mail-admins",
                  person("bob")).refused(403, "denied")
    assert problem["request"]["decision"]["code"] == "nobody-may-approve"


def test_a_signature_over_another_digest_is_refused(here):
    request = waiting(here)
    digest = request["digest"]
    wrong = digest[:-1] + ("0" if digest[-1] != "0" else "1")
    here.human("bob").approve(request["id"], "iam-approvers",
                              digest=wrong).refused(409, "another-plan")
    assert here.agent("hr-bot").show(request["id"])["state"] == "waiting"


def test_a_signature_for_another_request_is_refused(here):
    one, other = waiting(here), waiting(here)
    bob = here.human("bob")
    form = bob.sign("approval", request=one["id"], digest=one["digest"],
                    group="iam-approvers", decision="approve", reason="")
    path = f"/v1/requests/{other['id']}/approvals"
    here.call("POST", path, form).refused(422, "another-request")
    bob.approve(other["id"], "iam-approvers",
                digest=one["digest"]).refused(409, "another-plan")


def test_a_statement_serves_once(here):
    request = waiting(here, "domain-admins")
    bob = here.human("bob")
    form = bob.sign("approval", request=request["id"],
                    digest=request["digest"], group="iam-approvers",
                    decision="approve", reason="")
    path = f"/v1/requests/{request['id']}/approvals"
    here.call("POST", path, form).ok(202)
    here.call("POST", path, form).refused(401, "replayed")


def test_a_statement_of_another_purpose_approves_nothing(here):
    request = waiting(here)
    bob = here.human("bob")
    text = bob.statement("approval", request=request["id"],
                         digest=request["digest"], group="iam-approvers",
                         decision="approve", reason="")
    path = f"/v1/requests/{request['id']}/approvals"
    for namespace in ("writ-login", "writ-admin", "writ-evidence", "file"):
        here.call("POST", path, bob.sign_text(text, namespace)).refused(401)
    here.call("POST", path, bob.sign("login")).refused(401)
    here.call("POST", path, bob.sign("contain", kind="agent", name="hr-bot",
                                     reason="x")).refused(401)


@pytest.mark.parametrize("what, status", [
    ({"at": moment(-3600)}, 401), ({"at": moment(3600)}, 401),
    ({"authority": "authority.test/other"}, 401), ({"human": "dave"}, 401),
    ({"nonce": "00"}, 400), ({"extra": "1"}, 400), ({"decision": "maybe"}, 400)])
def test_a_statement_that_is_not_exactly_right_is_refused(here, what, status):
    request = waiting(here)
    bob = here.human("bob")
    form = bob.sign("approval", **{
        "request": request["id"], "digest": request["digest"],
        "group": "iam-approvers", "decision": "approve", "reason": "", **what})
    here.call("POST", f"/v1/requests/{request['id']}/approvals",
              form).refused(status)
    assert here.agent("hr-bot").show(request["id"])["approvals"] == []


def test_an_approver_finds_what_waits_for_them(here):
    request = waiting(here)
    bob = here.human("bob")
    assert request["id"] in [row["request"]["id"] for row in
                             bob.get("/v1/approvals").ok()["approvals"]]
    shown = bob.get(f"/v1/approvals/{request['id']}").ok()
    assert harness.digest(shown["plan"]) == shown["digest"]
    oscar = here.human("oscar")
    assert oscar.get(f"/v1/approvals/{request['id']}").status == 404


# Waiting ends.

def test_cancelling_ends_what_waits(here, bot):
    request = waiting(here)
    assert bot.cancel(request["id"]).ok(200)["state"] == "cancelled"
    here.human("bob").approve(request["id"], "iam-approvers",
                              digest=request["digest"]).refused(409)
    assert bot.show(request["id"])["state"] == "cancelled"


def test_another_agent_neither_sees_nor_cancels_it(here):
    request = waiting(here)
    other = here.agent("adviser")
    assert other.cancel(request["id"]).status == 404
    assert other.get(f"/v1/requests/{request['id']}").status == 404
    assert here.agent("hr-bot").show(request["id"])["state"] == "waiting"


def test_the_end_of_its_task_withdraws_what_waits(here, bot):
    task = bot.open_task()
    request = waiting(here, bot=bot, task=task)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert bot.show(request["id"])["state"] == "cancelled"


# Time.

def test_time_is_lowered_before_anybody_signs(here):
    bot = here.agent("hr-bot")
    request = waiting(here, task=bot.open_task(ttl="2h"), ttl="8h")
    assert request["ttl"] == "1h"
    plan = here.human("bob").get(f"/v1/approvals/{request['id']}").ok()["plan"]
    assert '"ttl":3600' in plan


def test_no_time_at_all_is_denied(here, bot, task):
    add(bot, task, "lunch-list", somebody(), ttl="0s").refused(403, "denied")


def test_signing_late_in_a_short_task_still_counts(here, bot):
    """The ttl reaches the end of the task, which comes nearer while people
    think; what they signed is still what runs."""
    task = bot.open_task(ttl="10m")
    request = waiting(here, bot=bot, task=task, ttl="10m")
    deadline = harness.moment(1)
    wait_until(lambda: harness.moment() > deadline, "a second to pass")
    here.human("bob").approve(request["id"], "iam-approvers").ok(200, 202)
    done = bot.wait(request["id"], "done")
    assert done["digest"] == request["digest"]
    assert done["grant"]["ends"] <= bot.get(f"/v1/tasks/{task}").ok()["expires"]


# Changes meanwhile.

def sign_all(authority, request):
    """All that a request without a drilled way back asks for at tier 2."""
    for name, asked in (("bob", "iam-approvers"), ("carol", "security")):
        authority.human(name).decide(request["id"], asked,
                                     digest=request["digest"]).ok()


def other_plan(bot, request):
    """The request as it is once it has another plan, or has ended."""
    shown = bot.show(request["id"])
    moved = (shown["state"], shown["digest"]) != ("waiting", request["digest"])
    return shown if moved and shown["state"] != "replanning" else None


def test_a_changed_target_voids_what_was_signed_and_asks_again(make_authority):
    authority = make_authority(
        connector_changes={"faults": {"plan": "drift"}}).found(drill=False)
    bot, member = authority.agent("hr-bot"), somebody()
    vouch(authority, "mail-admins")
    request = add(bot, bot.open_task(), "mail-admins", member).ok(202)
    stories.set_faults(authority)  # plans come out otherwise now
    sign_all(authority, request)
    again = wait_until(lambda: other_plan(bot, request), "another plan")
    assert again["state"] == "waiting" and again["approvals"] == []
    assert not holds(authority, "mail-admins", member)
    sign_all(authority, again)
    done = bot.wait(request["id"], "done")
    assert done["digest"] == again["digest"] != request["digest"]
    assert holds(authority, "mail-admins", member)
    assert stories.verified(authority)


def test_a_target_that_keeps_changing_fails_after_three_tries(make_authority):
    authority = make_authority(
        connector_changes={"faults": {"plan": "drift"}}).found(drill=False)
    bot = authority.agent("hr-bot")
    vouch(authority, "mail-admins")
    request = add(bot, bot.open_task(), "mail-admins", somebody()).ok(202)
    digests = set()
    while request["state"] == "waiting":
        digests.add(request["digest"])
        sign_all(authority, request)
        request = wait_until(lambda r=request: other_plan(bot, r),
                             "another plan")
    failed = request
    assert failed["outcome"]["cause"] == "changed" and len(digests) == 3
    assert stories.armed_for(authority, request["id"]) == []


def test_what_the_target_refuses_three_times_fails_without_effect(
        make_authority):
    authority = make_authority().found()
    stories.set_faults(authority, apply="precondition")
    bot = authority.agent("hr-bot")
    member = somebody()
    failed = add(bot, bot.open_task(), "lunch-list", member).ok(200)
    assert failed["state"] == "failed"
    assert failed["outcome"]["detail"].startswith("changed")
    assert len(stories.armed_for(authority, failed["id"])) == 3
    assert open_armed(authority) == []
    assert "grant" not in failed and not holds(authority, "lunch-list", member)
    assert stories.verified(authority)


def test_what_is_already_so_is_no_change_and_is_never_removed(make_authority):
    authority = make_authority().found()
    bot, member = authority.agent("hr-bot"), somebody()
    stories.change_target(authority, (group("lunch-list"), member))
    task = bot.open_task()
    answer = add(bot, task, "lunch-list", member).ok(200)
    assert answer["state"] == "no_change" and "grant" not in answer
    bot.rollback(answer["id"]).refused(409, "nothing-to-undo")
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert holds(authority, "lunch-list", member)


# Grants end.

def test_a_grant_ends_by_its_time_and_is_read_back(here, bot, task):
    member = somebody()
    done = add(bot, task, "lunch-list", member, ttl="1s").ok(200)
    ended = grant_state(here, done["grant"]["id"], "ended")
    assert ended["why"] == "expired" and not holds(here, "lunch-list", member)
    assert stories.has_leaf(here, ended["evidence"]["armed"])
    assert stories.has_leaf(here, ended["evidence"]["ended"])


def test_a_grant_ends_with_its_task(here, bot):
    task, member = bot.open_task(), somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert grants(here)[done["grant"]["id"]]["state"] == "ended"
    assert not holds(here, "lunch-list", member)


def test_a_grant_ends_when_the_window_of_its_task_does(here, bot):
    task, member = bot.open_task(ttl="4s"), somebody()
    request = waiting(here, bot=bot, task=task, member=member, ttl="3s")
    late = moment(1.5)
    wait_until(lambda: moment() > late, "most of the window to pass")
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    done = bot.wait(request["id"], "done")
    shown = bot.get(f"/v1/tasks/{task}").ok()
    assert done["grant"]["ends"] == shown["expires"]
    grant_state(here, done["grant"]["id"], "ended")
    assert not holds(here, "mail-admins", member)
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"] == "expired",
               "the task to expire")
    add(bot, task, "lunch-list", member).refused(404)


def test_what_two_tasks_hold_ends_with_the_second(here, bot):
    one, two, member = bot.open_task(), bot.open_task(), somebody()
    first = add(bot, one, "lunch-list", member).ok(200)
    second = add(bot, two, "lunch-list", member).ok(200)
    assert second["state"] == "no_change"
    assert second["outcome"]["cause"] == "held"
    assert second["grant"]["id"] == first["grant"]["id"]
    assert bot.complete(one).ok(200)["state"] == "completed"
    assert holds(here, "lunch-list", member)
    assert grants(here)[first["grant"]["id"]]["state"] == "active"
    assert bot.complete(two).ok(200)["state"] == "completed"
    assert not holds(here, "lunch-list", member)


def test_joining_a_hold_takes_the_same_signatures_as_placing_it(here, bot):
    member = person("frank")
    placed = waiting(here, member=member)
    here.human("bob").approve(placed["id"], "iam-approvers").ok()
    bot.wait(placed["id"], "done")
    joining = waiting(here, member=member)
    assert joining["waitingFor"] == {"iam-approvers": 1}
    here.human("dave").approve(joining["id"], "iam-approvers").ok()
    joined = bot.wait(joining["id"], "no_change")
    assert joined["grant"]["id"] == bot.show(placed["id"])["grant"]["id"]


def test_a_hold_that_expired_first_keeps_its_task_until_the_end_is_confirmed(
        tmp_path):
    with stories.impatient(tmp_path / "a") as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        done = add(bot, task, "lunch-list", member, ttl="1s").ok(200)
        stories.set_faults(authority, plan="unavailable")
        grant_state(authority, done["grant"]["id"], "ending")
        waiter = threading.Thread(target=bot.complete, args=(task,))
        waiter.start()
        wait_until(lambda: authority.health()["unconfirmedEnds"] == 1,
                   "an end that is not confirmed")
        wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
                   == "ending", "the task to wait for it")
        stories.set_faults(authority)
        waiter.join()
        wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
                   == "completed", "the task to complete")
        assert not holds(authority, "lunch-list", member)
        assert authority.health()["unconfirmedEnds"] == 0


def test_an_end_that_fails_is_visible_and_tried_again(tmp_path):
    with stories.impatient(tmp_path / "a") as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        done = add(bot, bot.open_task(), "lunch-list", member,
                   ttl="2s").ok(200)
        stories.set_faults(authority, apply="lie")
        wait_until(lambda: grants(authority)[done["grant"]["id"]].get(
            "unconfirmed"), "an end that did not happen")
        assert holds(authority, "lunch-list", member)
        stories.set_faults(authority)
        grant_state(authority, done["grant"]["id"], "ended")
        assert not holds(authority, "lunch-list", member)
        assert open_armed(authority) == [] and stories.verified(authority)


# Undoing.

def test_undoing_is_a_request_of_the_inverse(here, bot, task):
    member = somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    undo = bot.rollback(done["id"]).ok(200)
    assert (undo["state"], undo["action"]) == ("done", "RemoveFromGroup")
    assert undo["rollbackOf"] == done["id"]
    assert bot.show(done["id"])["state"] == "rolled_back"
    assert not holds(here, "lunch-list", member)
    grant_state(here, done["grant"]["id"], "ended")
    bot.rollback(done["id"]).refused(409, "nothing-to-undo")


def test_undoing_an_undoing_puts_it_back_only_as_policy_lets(here, bot, task):
    member = somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    undo = bot.rollback(done["id"]).ok(200)
    again = bot.rollback(undo["id"]).ok(200)
    assert again["state"] == "done" and holds(here, "lunch-list", member)
    assert again["grant"]["id"] != done["grant"]["id"]


def test_undoing_what_does_not_stand_any_more_is_a_conflict(make_authority):
    authority = make_authority().found()
    bot, member = authority.agent("hr-bot"), somebody()
    done = add(bot, bot.open_task(), "lunch-list", member).ok(200)
    stories.change_target(authority, drop=[(group("lunch-list"), member)])
    assert bot.rollback(done["id"]).ok(200)["state"] == "conflict"
    assert bot.show(done["id"])["state"] == "done"


def test_undoing_what_others_hold_is_refused(here, bot):
    one, two, member = bot.open_task(), bot.open_task(), somebody()
    first = add(bot, one, "lunch-list", member).ok(200)
    add(bot, two, "lunch-list", member).ok(200)
    bot.rollback(first["id"]).refused(409, "held-by-others")
    assert holds(here, "lunch-list", member)
    bot.complete(two).ok(200)
    assert bot.rollback(first["id"]).ok(200)["state"] == "done"


def test_undoing_what_others_came_to_hold_while_people_were_asked_is_a_conflict(
        here, bot):
    one, two, member = bot.open_task(), bot.open_task(), somebody()
    name = "shared-later"
    vouch(here, name, "ticket")
    placed = add(bot, one, name, member).ok(202)
    for who, asked in (("bob", "iam-approvers"), ("dave", "iam-approvers"),
                       ("carol", "security")):
        here.human(who).approve(placed["id"], asked).ok()
    bot.wait(placed["id"], "done")
    undo = bot.rollback(placed["id"]).ok(202)  # sensitive: security is asked
    joining = add(bot, two, name, member).ok(202)
    for who, asked in (("bob", "iam-approvers"), ("dave", "iam-approvers"),
                       ("carol", "security")):
        here.human(who).approve(joining["id"], asked).ok()
    bot.wait(joining["id"], "no_change")
    for asked in undo["waitingFor"]:
        here.human("carol").approve(undo["id"], asked).ok()
    assert bot.wait(undo["id"], "conflict")["outcome"]["cause"] == \
        "held-by-others"
    assert holds(here, name, member)


def test_only_the_agent_that_did_it_asks_to_undo_it(here, bot, task):
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    here.agent("adviser").rollback(done["id"]).refused(404)


def test_removing_asks_the_soc_and_what_was_removed_comes_back_by_undoing(
        make_authority):
    authority = make_authority().found()
    bot, member = authority.agent("hr-bot"), somebody()
    stories.change_target(authority, (group("lunch-list"), member))
    request = remove(bot, bot.open_task(), "lunch-list", member).ok(202)
    assert request["waitingFor"] == {"soc": 1}
    authority.human("carol").approve(request["id"], "soc").ok()
    done = bot.wait(request["id"], "done")
    assert not holds(authority, "lunch-list", member) and "grant" not in done
    assert bot.rollback(done["id"]).ok(200)["state"] == "done"
    assert holds(authority, "lunch-list", member)


# Advice.

def advice(authority, member, adviser="adviser"):
    agent = authority.agent(adviser)
    return add(agent, agent.open_task(), "lunch-list", member,
               mode="recommend").ok(200)


def test_advice_is_adopted_by_the_owner_as_a_request_of_its_own(here, bot,
                                                                task):
    member = somebody()
    advised = advice(here, member)
    answer = here.human("alice").adopt(advised["id"], advised["digest"], task)
    request = answer.ok(200, 202)
    assert request["sponsor"] == "alice" and request["agent"] == "hr-bot"
    assert request["adviceOf"] == advised["id"]
    bot.wait(request["id"], "done")
    assert holds(here, "lunch-list", member)
    shown = here.agent("adviser").show(advised["id"])
    assert (shown["state"], shown["adoptedAs"]) == ("adopted", request["id"])


def test_only_the_owner_adopts_and_only_this_plan(here, task):
    advised = advice(here, somebody())
    here.human("bob").adopt(advised["id"], advised["digest"], task).refused(
        409, "may-not-adopt")
    other = advice(here, somebody())
    here.human("alice").adopt(advised["id"], other["digest"], task).refused(
        409, "may-not-adopt")


def test_advice_is_adopted_once_however_often_it_is_signed(here, task):
    advised = advice(here, somebody())
    alice = here.human("alice")
    forms = [alice.sign("adopt", request=advised["id"],
                        digest=advised["digest"], task=task)
             for _ in range(4)]
    answers = []
    threads = [threading.Thread(target=lambda f=form: answers.append(
        here.call("POST", f"/v1/requests/{advised['id']}/adopt", f).status))
        for form in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(answers)[1:] == [409] * 3, answers


def test_what_ran_is_not_advice(here, bot, task):
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    here.human("alice").adopt(done["id"], done["digest"], task).refused(
        409, "may-not-adopt")


# Evidence.

def test_evidence_counts_for_exactly_its_action_target_and_resource(
        here, bot, task):
    erin = here.human("erin")
    name = "vouched-1"
    erin.vouch("owner_ack", "RemoveFromGroup", group(name)).ok(201)
    erin.vouch("owner_ack", "AddToGroup", group(name + "x")).ok(201)
    problem = add(bot, task, name, somebody()).refused(403, "denied")
    assert "owner_ack" in problem["request"]["decision"]["remedy"]


def test_evidence_that_expired_counts_no_more(here, bot, task):
    erin = here.human("erin")
    expires = moment(1)
    here.call("POST", "/v1/vouchers", erin.sign(
        "voucher", kind="owner_ack", action="AddToGroup", target=TARGET,
        resource=group("contractors"), reference="T-1", text="short",
        expires=expires)).ok(201)
    wait_until(lambda: moment() > expires, "the voucher to expire")
    add(bot, task, "contractors", somebody()).refused(403, "denied")


def test_evidence_that_has_expired_already_is_not_taken(here):
    here.human("erin").vouch("owner_ack", "AddToGroup", group("x"),
                             hours=-1).refused(409, "may-not-vouch")


def test_only_the_targets_owner_acknowledges(here):
    here.human("bob").vouch("owner_ack", "AddToGroup",
                            group("x")).refused(409, "may-not-vouch")


def test_nobody_vouches_for_what_agents_attach(here):
    for kind in ("prompt", "tool_trace"):
        here.human("bob").vouch(kind, "AddToGroup",
                                group("x")).refused(400, "malformed")


def test_an_agent_vouches_for_nothing(here, bot):
    form = here.human("erin").sign(
        "voucher", kind="ticket", action="AddToGroup", target=TARGET,
        resource=group("x"), reference="", text="", expires=moment(600))
    form["statement"] = form["statement"].replace('"erin"', '"hr-bot"')
    bot.call("POST", "/v1/vouchers", form).refused(401)
    bot.call("POST", "/v1/vouchers", {"kind": "ticket"}).refused(422)


def test_a_class_that_wants_the_prompt_gets_it_from_the_agent(here, bot):
    task, member = bot.open_task("small-ops"), somebody()
    problem = add(bot, task, "lunch-list", member).refused(403, "denied")
    assert problem["request"]["decision"]["remedy"] == "prompt"
    secret = "put the new colleague on the lunch list " + os.urandom(8).hex()
    leaf = bot.attach(task, secret).ok(201)
    bot.attach(task, "ldapsearch ...", "tool_trace", "ldap").ok(201)
    add(bot, task, "lunch-list", member).ok(200)
    assert stories.has_leaf(here, leaf)
    # Its text is in no leaf, and not in the clear in the database.
    _, entries = stories.tree(here, leaf["index"])
    assert all(secret.encode() not in entry for entry in entries)
    assert all(secret.encode() not in path.read_bytes()
               for path in here.data.iterdir() if path.is_file())
    told = here.human("ada").disclose(leaf["index"]).ok()
    assert told["payload"]["content"] == secret


def test_a_class_that_covers_less_denies_more(here, bot):
    vouch(here, "mail-admins")
    task = bot.open_task("small-ops")
    bot.attach(task, "why").ok(201)
    problem = add(bot, task, "mail-admins", somebody()).refused(403, "denied")
    assert "g06-tier-above-the-class" in [
        row["id"] for row in problem["request"]["decision"]["policies"]]


# Tasks.

def test_a_class_opens_for_the_agents_it_names(here):
    here.agent("adviser").call("POST", "/v1/tasks", {
        "class": "small-ops", "intent": "for the test", "targets": [TARGET],
        "ttl": "1h"}).refused(403, "denied")


def test_a_task_is_not_opened_for_longer_than_its_class(here, bot):
    bot.call("POST", "/v1/tasks", {
        "class": "small-ops", "intent": "for the test", "targets": [TARGET],
        "ttl": "9h"}).refused(403, "denied")


def test_a_request_stays_inside_its_own_task_and_targets(here, bot, task):
    other = here.agent("adviser")
    add(other, task, "lunch-list", somebody()).refused(404, "no-such-task")
    body = bot.request_body(task, "AddToGroup", group("lunch-list"),
                            somebody(), target="elsewhere")
    bot.call("POST", "/v1/requests", body).refused(422, "target-not-declared")
    bot.complete(task).ok(200)
    add(bot, task, "lunch-list", somebody()).refused(404, "no-such-task")


def test_an_agent_does_not_gain_what_it_asks_for(here, bot, task):
    vouch(here, "mail-admins")
    for account in ("uid=hr-bot,ou=services,dc=example,dc=org",
                    person("alice")):
        problem = add(bot, task, "mail-admins", account).refused(403, "denied")
        assert "g36-no-self-dealing" in [
            row["id"] for row in problem["request"]["decision"]["policies"]]


# Asking twice.

def test_the_same_key_and_body_join(here, bot, task):
    key, member = os.urandom(8).hex(), somebody()
    first = add(bot, task, "lunch-list", member, key=key).ok(200)
    again = add(bot, task, "lunch-list", member, key=key).ok(200)
    assert again["id"] == first["id"]
    assert len(stories.armed_for(here, first["id"])) == 1


def test_the_same_key_repeats_a_denial(here, bot, task):
    key, member = os.urandom(8).hex(), somebody()
    first = add(bot, task, "contractors", member, key=key).refused(403)
    again = add(bot, task, "contractors", member, key=key).refused(403,
                                                                   "denied")
    assert again["request"]["id"] == first["request"]["id"]


def test_the_same_key_at_the_same_time_makes_one_request(here, bot, task):
    key, member, ids = os.urandom(8).hex(), somebody(), []
    threads = [threading.Thread(target=lambda: ids.append(
        add(bot, task, "lunch-list", member, key=key).ok()["id"]))
        for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(ids) == 6 and len(set(ids)) == 1


def test_the_same_key_for_another_body_is_refused(here, bot, task):
    key = os.urandom(8).hex()
    add(bot, task, "lunch-list", somebody(), key=key).ok(200)
    add(bot, task, "lunch-list", somebody(), key=key).refused(422,
                                                              "key-reused")


def test_another_agents_key_is_its_own(here, bot, task):
    key, member = os.urandom(8).hex(), somebody()
    first = add(bot, task, "lunch-list", member, key=key).ok(200)
    other = here.agent("adviser")
    second = add(other, other.open_task(), "lunch-list", member,
                 mode="recommend", key=key).ok(200)
    assert first["id"] != second["id"]


def test_a_key_is_demanded_and_a_task_has_one_too(here, bot):
    body = {"class": "identity-ops", "intent": "for the test", "targets": [TARGET],
            "ttl": "1h"}
    here.call("POST", "/v1/tasks", body, bearer=bot.token()).refused(
        400, "key-missing")
    key = os.urandom(8).hex()
    first = bot.call("POST", "/v1/tasks", body, key=key).ok()
    assert bot.call("POST", "/v1/tasks", body, key=key).ok()["id"] == \
        first["id"]
    bot.call("POST", "/v1/tasks", {**body, "intent": "another"}, key=key).refused(
        422, "key-reused")


def test_a_token_serves_one_acting_call(here, bot, task):
    token = bot.token()
    body = bot.request_body(task, "AddToGroup", group("lunch-list"),
                            somebody())
    key = os.urandom(8).hex()
    bot.call("POST", "/v1/requests?wait=20", body, token=token,
             key=key).ok(200)
    # The same call again is the same call; another one is not.
    bot.call("POST", "/v1/requests?wait=20", body, token=token,
             key=key).ok(200)
    other = {**body, "parameters": {"member": somebody()}}
    bot.call("POST", "/v1/requests", other, token=token).refused(
        401, "replayed")
    bot.call("GET", f"/v1/tasks/{task}", token=token).ok()


def test_the_same_thing_asked_again_while_it_waits_joins(here, bot, task):
    member = somebody()
    first = waiting(here, member=member, task=task)
    again = waiting(here, member=member, task=task, wait=0)
    assert again["id"] == first["id"]
    other = waiting(here, member=member, task=task, ttl="5m")
    assert other["id"] != first["id"]
    bot.cancel(first["id"]).ok()
    anew = waiting(here, member=member, task=task)
    assert anew["id"] not in (first["id"], other["id"])


def test_reading_a_denied_request_is_no_refusal(here, bot, task):
    problem = add(bot, task, "contractors", somebody()).refused(403)
    ident = problem["request"]["id"]
    assert bot.show(ident)["state"] == "denied"
    assert bot.show(ident, wait=5)["state"] == "denied"
    request = waiting(here)
    shown = []
    reader = threading.Thread(target=lambda: shown.append(
        bot.get(f"/v1/requests/{request['id']}?wait=20")))
    reader.start()
    here.human("bob").deny(request["id"], "iam-approvers").ok(200)
    reader.join()
    assert shown[0].ok()["state"] in ("denied", "waiting")


def test_at_the_end_every_armed_leaf_is_closed_and_the_log_verifies(here):
    assert open_armed(here) == [] and stories.verified(here)
