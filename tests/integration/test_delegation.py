"""Agents that hand parts of their tasks to each other: what a child task may do,
who is asked, and what ends it."""
import base64
import json
import os

import pytest

import harness
import issuing
import stories
from harness import TARGET, group, moment, person, wait_until
from stories import (add, change_target, grant_state, holds, leaves, remove,
                     set_faults, somebody, vouch, waiting)
from tokens import Issuer

OK, DENIED, FINDING = 0, 3, 7
ALL = ["analyze", "recommend", "execute", "delegate"]
LENDING = ["AddToGroup", "RemoveFromGroup", "Delegate"]


def agent(name, owner="alice", **spec):
    return {"kind": "Agent", "metadata": {"name": name}, "spec": {
        "owner": owner, "purpose": "helps another agent",
        "expires": moment(86400), "capabilities": ["execute", "delegate"],
        "clearance": 2, "maxDelegationDepth": 3,
        "identities": [f"spiffe://example.org/agent/{name}"], **spec}}


def class_(name, **spec):
    return {"kind": "TaskClass", "metadata": {"name": name}, "spec": {
        "owner": "alice", "purpose": "a part of the work", "domain": "corp",
        "planes": ["directory"], "openers": ["hr-bot", "helper"],
        "actions": LENDING, "maxTier": 3, "longest": "8h",
        "softwareKeys": True, **spec}}


def world(manifests):
    """hr-bot leads; helper (of dave), deputy (of frank) and others follow."""
    for manifest in manifests:
        name, spec = manifest["metadata"]["name"], manifest["spec"]
        if name == "hr-bot":
            spec.update(capabilities=ALL, maxDelegationDepth=3)
        if name == "identity-ops":
            spec["actions"] = LENDING
        if name == "small-ops":
            spec["actions"] = LENDING
        if name == "corp-directory":
            target = spec
    return manifests + [
        {"kind": "Target", "metadata": {"name": "spare-directory"},
         "spec": target},
        agent("helper", "dave"), agent("deputy", "frank"),
        agent("fourth", "frank"), agent("far", maxDelegationDepth=0),
        agent("busy", limits={"openTasks": 1}),
        agent("strong", capabilities=ALL),
        agent("cleared", clearance=4),
        agent("parked", status="suspended"),
        agent("late", expires=moment(-60)),
        class_("narrow-ops", maxTier=0, longest="10m"),
        class_("low-ops", maxTier=1),
        class_("prod-ops", domain="prod"),
        class_("plain-ops", actions=["AddToGroup"]),
        class_("asleep-ops", status="suspended"),
    ]


@pytest.fixture(name="here", scope="module")
def _here(tmp_path_factory):
    if not harness.built("writ", "writd", "writ-keeper", "writ-connect-null"):
        pytest.skip("needs a build")
    with harness.Authority(
            folder=tmp_path_factory.mktemp("here") / "authority") as authority:
        yield authority.found(world)


@pytest.fixture(name="own")
def _own(make_authority):
    """One that a test may disturb."""
    return make_authority().found(world)


def body(to="helper", actions=("AddToGroup", "RemoveFromGroup"),
         targets=(TARGET,), **more):
    return {"agent": to, "intent": "a part of the work",
            "actions": list(actions), "targets": list(targets), **more}


def delegate(bot, task, to="helper", key=None, **more):
    return bot.call("POST", f"/v1/tasks/{task}/children", body(to, **more),
                    key=key)


def child_of(bot, task, to="helper", **more):
    """The id of a child task."""
    return delegate(bot, task, to, **more).ok(201)["id"]


def denied(answer, *words):
    """The decision of a denied delegation, which says these words."""
    problem = answer.refused(403, "denied")
    decision = problem["decision"]
    for word in words:
        assert word in decision["forAgent"], decision
    return decision


def ids_of(decision):
    return [row["id"] for row in decision["policies"]]


def show(who, task):
    return who.get(f"/v1/tasks/{task}").ok()


def ended(who, task, how):
    return wait_until(
        lambda: (lambda row: row if row["state"] == how else None)(
            show(who, task)), f"{task} to be {how}")


def manifest(authority, kind, name, **spec):
    found = authority.inventory(kind, name).ok()
    return {**found, "spec": {**found["spec"], **spec}}


def approve(authority, request, name="bob", group_name="iam-approvers"):
    return authority.human(name).approve(request["id"], group_name)


# What a child may do.

def test_a_child_does_its_part_and_says_where_it_came_from(here):
    bot, helper, member = here.agent("hr-bot"), here.agent("helper"), somebody()
    task = bot.open_task()
    child = delegate(bot, task, ttl="10m").ok(201)
    assert (child["parent"], child["chain"], child["depth"]) == (
        task, ["hr-bot"], 1)
    assert (child["agent"], child["actions"]) == (
        "helper", ["AddToGroup", "RemoveFromGroup"])
    assert show(bot, task)["children"] == [
        {"id": child["id"], "agent": "helper"}]
    assert add(helper, child["id"], "lunch-list", member).ok(200)[
        "state"] == "done"
    assert holds(here, "lunch-list", member)


def test_decision_plan_and_leaf_have_the_chain(here):
    bot, helper, deputy = (here.agent(n) for n in ("hr-bot", "helper",
                                                   "deputy"))
    task = bot.open_task()
    first = child_of(bot, task, actions=LENDING)
    second = delegate(helper, first, "deputy").ok(201)
    assert second["chain"] == ["hr-bot", "helper"] and second["depth"] == 2
    request = waiting(here, bot=deputy, task=second["id"])
    plan = json.loads(here.human("bob").get(
        f"/v1/approvals/{request['id']}").ok()["plan"])
    assert plan["chain"] == ["hr-bot", "helper"]
    facts = deputy.explain(second["id"], "AddToGroup", group("lunch-list"),
                           somebody()).ok()["facts"]
    assert facts["delegation"]["depth"] == 2
    assert [a["__entity"]["id"] for a in facts["delegation"]["chain"]] == [
        "hr-bot", "helper"]
    log = leaves(here)
    opened = [leaf for leaf in log if leaf["kind"] == "task"
              and leaf["about"] == second["id"]]
    decided = [leaf for leaf in log if leaf["kind"] == "decision"
               and leaf["about"] == second["id"]]
    assert [leaf["parent"] for leaf in opened] == [first]
    assert [(leaf["action"], leaf["route"], leaf["task"]) for leaf in decided
            ] == [("Delegate", "auto", first)]


def test_a_child_cannot_do_an_action_that_it_was_not_given(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    child = child_of(bot, bot.open_task(), actions=["AddToGroup"])
    refused = remove(helper, child, "lunch-list", somebody()).refused(403)
    assert ids_of(refused["request"]["decision"]) == ["g05-not-covered"]
    assert denied(delegate(helper, child, "deputy"))


def test_a_child_cannot_touch_a_target_that_it_was_not_given(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    task = bot.open_task(targets=(TARGET, "spare-directory"))
    child = child_of(bot, task)
    add(helper, child, "lunch-list", somebody(),
        target="spare-directory").refused(422, "target-not-declared")


@pytest.mark.parametrize("more, words", [
    ({"actions": ["GrantRole"]}, "action 'GrantRole'"),
    ({"actions": ["AddToGroup", "Everything"]}, "action 'Everything'"),
    ({"targets": [TARGET, "spare-directory"]}, "target 'spare-directory'"),
    ({"class": "prod-ops"}, "domain"),
    ({"class": "narrow-ops", "to": "deputy"}, "may not open"),
    ({"class": "plain-ops", "actions": ["RemoveFromGroup"]},
     "does not list action 'RemoveFromGroup'"),
    ({"to": "parked"}, "parked"), ({"to": "late"}, "late"),
])
def test_what_would_be_wider_or_to_nobody_fit_is_denied_with_words(
        here, more, words):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    decision = denied(delegate(bot, task, **more), words)
    assert decision["cause"] == "policy"
    assert "children" not in show(bot, task)


@pytest.mark.parametrize("to, words", [
    ("strong", "analyze"), ("cleared", "clearance")])
def test_no_agent_that_could_do_more_is_given_anything(here, to, words):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    child = child_of(bot, bot.open_task(), actions=LENDING)
    decision = denied(delegate(helper, child, to), words)
    assert "g93-unattenuated-chain" in ids_of(decision)


def test_a_denied_delegation_leaves_a_leaf(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    before = here.health()["leaves"]
    denied(delegate(bot, task, actions=["GrantRole"]))
    leaf = leaves(here)[before:][-1]
    assert (leaf["kind"], leaf["action"], leaf["route"], leaf["task"]) == (
        "decision", "Delegate", "deny", task)


@pytest.mark.parametrize("more, status, code", [
    ({"to": "nobody"}, 422, "no-such-agent"),
    ({"class": "no-ops"}, 422, "no-such-class"),
    ({"class": "asleep-ops"}, 409, "class-not-active"),
    ({"targets": ["nowhere"]}, 422, "no-such-target"),
    ({"actions": []}, 422, "invalid"), ({"targets": []}, 422, "invalid"),
    ({"ttl": "soon"}, 422, "invalid"), ({"depth": 0}, 422, "invalid"),
    ({"chain": []}, 422, "invalid"),
])
def test_a_call_that_is_wrong_delegates_nothing(here, more, status, code):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    delegate(bot, task, **more).refused(status, code)
    assert "children" not in show(bot, task)


def test_a_child_lasts_no_longer_than_its_parent_or_its_class(here):
    bot = here.agent("hr-bot")
    task = bot.open_task(ttl="30m")
    parent = show(bot, task)
    longer = delegate(bot, task, ttl="8h").ok(201)
    unsaid = delegate(bot, task).ok(201)
    narrow = delegate(bot, task, **{"class": "narrow-ops"}).ok(201)
    shorter = delegate(bot, task, ttl="1m").ok(201)
    assert longer["expires"] <= parent["expires"]
    assert unsaid["expires"] <= parent["expires"]
    assert shorter["expires"] < narrow["expires"] < longer["expires"]


def test_a_child_of_a_lower_class_cannot_reach_the_tier_of_its_parent(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    child = child_of(bot, bot.open_task(), **{"class": "low-ops"})
    refused = add(helper, child, "mail-admins", somebody()).refused(403)
    assert ids_of(refused["request"]["decision"]) == [
        "g06-tier-above-the-class"]


def test_a_child_of_a_higher_class_reaches_no_higher_than_its_parent(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    task = bot.open_task("low-ops")
    child = child_of(bot, task, **{"class": "narrow-ops"})
    assert show(helper, child)["state"] == "open"
    wider = bot.open_task("narrow-ops", ttl="5m")
    up = child_of(bot, wider, **{"class": "low-ops"})
    refused = add(helper, up, "contractors", somebody()).refused(403)
    assert "g05-not-covered" in ids_of(refused["request"]["decision"])


def test_what_the_class_above_demands_is_demanded_below(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    child = child_of(bot, bot.open_task("small-ops"),
                     **{"class": "low-ops"})
    refused = add(helper, child, "lunch-list", somebody()).refused(403)
    assert refused["request"]["decision"]["requires"]["evidence"] == ["prompt"]
    helper.attach(child, "do this").ok(201)
    assert add(helper, child, "lunch-list", somebody()).ok(200)


def test_a_class_that_is_narrowed_narrows_the_children_of_its_tasks(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    child = child_of(bot, bot.open_task(), **{"class": "narrow-ops"})
    assert add(helper, child, "lunch-list", member).ok(200)
    own.apply([manifest(own, "TaskClass", "identity-ops",
                        actions=["RemoveFromGroup", "Delegate"])])
    refused = add(helper, child, "lunch-list", somebody()).refused(403)
    assert ids_of(refused["request"]["decision"]) == ["g05-not-covered"]


def test_an_agent_above_that_may_do_less_takes_it_from_those_below(own):
    bot, helper = own.agent("hr-bot"), own.agent("helper")
    child = child_of(bot, bot.open_task())
    own.apply([manifest(own, "Agent", "hr-bot",
                        capabilities=["analyze", "delegate"])])
    refused = add(helper, child, "lunch-list", somebody()).refused(403)
    assert "g93-unattenuated-chain" in ids_of(
        refused["request"]["decision"])


def test_an_agent_above_that_is_suspended_stops_those_below(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    child = child_of(bot, bot.open_task())
    done = add(helper, child, "lunch-list", member, ttl="1h").ok(200)
    own.apply([manifest(own, "Agent", "hr-bot", status="suspended")])
    grant_state(own, done["grant"]["id"], "ended")
    wait_until(lambda: show(helper, child)["state"] == "expired",
               "the child to end")
    answer = add(helper, child, "lunch-list", somebody())
    assert answer.status in (404, 409), answer


def test_a_parent_that_is_cut_short_cuts_its_children_short(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    task = bot.open_task()
    child = child_of(bot, task, **{"class": "low-ops"})
    done = add(helper, child, "lunch-list", member, ttl="1h").ok(200)
    own.apply([manifest(own, "TaskClass", "identity-ops", longest="1m")])
    assert show(bot, task)["state"] == "open"
    grant_state(own, done["grant"]["id"], "active")
    short, long = (helper.explain(child, "AddToGroup", group("lunch-list"),
                                  somebody(), ttl=ttl).ok()["decision"]
                   for ttl in ("10s", "30m"))
    assert short["ttlSeconds"] == 10
    assert long.get("ttlSeconds", 0) <= 60


# Circles and depth.

def test_nobody_delegates_in_a_circle(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    task = bot.open_task()
    child = child_of(bot, task, actions=LENDING)
    for answer in (delegate(bot, task, "hr-bot"),
                   delegate(helper, child, "helper"),
                   delegate(helper, child, "hr-bot")):
        assert "g92-no-delegation-cycle" in ids_of(denied(answer))


def test_a_chain_is_three_deep_and_no_deeper_than_an_agent_may_be(here):
    bot, helper, deputy, fourth = (here.agent(n) for n in (
        "hr-bot", "helper", "deputy", "fourth"))
    task = bot.open_task()
    denied(delegate(bot, task, "far"))
    first = child_of(bot, task, actions=LENDING)
    second = child_of(helper, first, "deputy", actions=LENDING)
    third = child_of(deputy, second, "fourth", actions=LENDING)
    assert show(fourth, third)["depth"] == 3
    assert add(fourth, third, "lunch-list", somebody()).ok(200)
    denied(delegate(fourth, third, "cleared"))


def test_an_agent_without_the_capability_delegates_nothing(here):
    adviser = here.agent("adviser")
    denied(delegate(adviser, adviser.open_task(), "helper"))


def test_a_class_that_does_not_list_it_delegates_nothing(here):
    bot = here.agent("hr-bot")
    task = bot.open_task("plain-ops")
    decision = denied(delegate(bot, task, actions=["AddToGroup"]))
    assert "g05-not-covered" in ids_of(decision)


# Who is asked.

def test_the_highest_tier_in_a_chain_counts_for_all_of_it(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    alone, task = bot.open_task(), bot.open_task()
    child = child_of(bot, task)
    assert add(helper, child, "lunch-list", somebody()).ok(200)
    request = waiting(here, bot=bot, task=task)
    approve(here, request).ok()
    bot.wait(request["id"], "done")
    vouch(here, "lunch-list")
    asked = add(helper, child, "lunch-list", somebody()).ok(202)
    assert asked["waitingFor"] == {"iam-approvers": 1}
    assert asked["tier"] == 2
    approve(here, asked).ok()
    assert helper.wait(asked["id"], "done")
    # A task that shares nothing with the chain is what it was.
    request = waiting(here, bot=bot, task=alone)
    approve(here, request).ok()
    bot.wait(request["id"], "done")
    assert add(bot, alone, "lunch-list", somebody()).ok(200)


def test_what_a_child_did_counts_for_its_parent_and_siblings(here):
    bot, helper, deputy = (here.agent(n) for n in ("hr-bot", "helper",
                                                   "deputy"))
    task = bot.open_task()
    child, sibling = child_of(bot, task), child_of(bot, task, "deputy")
    request = waiting(here, bot=helper, task=child)
    approve(here, request).ok()
    helper.wait(request["id"], "done")
    vouch(here, "lunch-list")
    for who, at in ((bot, task), (deputy, sibling)):
        assert add(who, at, "lunch-list", somebody()).ok(202)["tier"] == 2


def test_what_a_child_did_counts_in_the_day_of_each_agent_above(own):
    bot, helper = own.agent("hr-bot"), own.agent("helper")
    task = bot.open_task()
    child = child_of(bot, task)
    for _ in range(11):
        add(helper, child, "lunch-list", somebody()).ok(200)
    for _ in range(9):
        add(bot, task, "lunch-list", somebody()).ok(200)
    for who, at in ((bot, task), (helper, child)):
        asked = add(who, at, "lunch-list", somebody()).ok(202)
        assert asked["waitingFor"] == {"security": 1}
    own.restart()
    wait_until(lambda: stories.is_up(own), "the connector")
    asked = add(bot, task, "lunch-list", somebody()).ok(202)
    assert asked["waitingFor"] == {"security": 1}


ASKING = """
@id("r99-delegation-is-approved")
@title("Security approves what is delegated")
forbid (
  principal is Gov::Agent,
  action == Gov::Action::"Delegate",
  resource is Gov::Agent
)
unless
{
  context.approvals.hasTag("security") &&
  context.approvals.getTag("security") >= 1
};
"""


def test_a_delegation_that_people_would_have_to_approve_is_denied(
        make_authority, tmp_path):
    bundle = tmp_path / "bundle"
    harness.run("/usr/bin/python3", harness.ROOT / "tools" / "demo_bundle.py",
                harness.ROOT / "policy", bundle)
    with open(bundle / "policies.cedar", "a", encoding="utf-8") as file:
        file.write(ASKING)
    authority = make_authority(bundle=bundle).found(world)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    decision = denied(delegate(bot, task), "does not wait for people")
    assert decision["requires"]["approvals"] == {"security": 1}
    assert "children" not in show(bot, task)


def test_owners_of_the_agents_above_do_not_approve(here):
    bot, helper, deputy = (here.agent(n) for n in ("hr-bot", "helper",
                                                   "deputy"))
    first = child_of(bot, bot.open_task(), actions=LENDING)
    second = child_of(helper, first, "deputy")
    request = waiting(here, bot=deputy, task=second)
    approve(here, request, "dave").refused(403, "may-not-approve")
    approve(here, request, "alice").refused(403, "may-not-approve")
    approve(here, request, "bob").ok()
    assert deputy.wait(request["id"], "done")


def test_power_to_an_owner_above_is_self_dealing(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    own = helper.open_task("low-ops")
    assert add(helper, own, "lunch-list", person("alice")).ok(200)
    helper.complete(own).ok(200)
    child = child_of(bot, bot.open_task())
    refused = add(helper, child, "lunch-list", person("alice")).refused(403)
    assert ids_of(refused["request"]["decision"]) == ["g36-no-self-dealing"]


# Whose task it is.

def test_only_the_agent_of_an_open_task_delegates_from_it(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    task = bot.open_task()
    delegate(helper, task, "deputy").refused(404, "no-such-task")
    bot.complete(task).ok(200)
    delegate(bot, task).refused(404, "no-such-task")


def test_agents_above_and_their_owners_see_a_child_and_strangers_do_not(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    child = child_of(bot, bot.open_task())
    for reader in (bot, helper, here.human("dave"), here.human("alice")):
        assert show(reader, child)["id"] == child
    for stranger in (here.agent("deputy"), here.human("frank")):
        stranger.get(f"/v1/tasks/{child}").refused(404)
    here.agent("deputy").complete(child).refused(404)


def test_an_agent_above_ends_what_it_delegated_and_no_other(here):
    bot, helper, member = here.agent("hr-bot"), here.agent("helper"), somebody()
    task = bot.open_task()
    child = child_of(bot, task)
    add(helper, child, "lunch-list", member).ok(200)
    helper.complete(task).refused(404)
    assert bot.complete(child).ok(200)["state"] == "completed"
    assert not holds(here, "lunch-list", member)
    assert show(bot, task)["state"] == "open"


def test_a_repeated_key_delegates_once(here):
    bot = here.agent("hr-bot")
    task, key = bot.open_task(), os.urandom(8).hex()
    first = delegate(bot, task, key=key).ok(201)
    again = delegate(bot, task, key=key).ok(201)
    assert again["id"] == first["id"]
    assert len(show(bot, task)["children"]) == 1
    delegate(bot, task, "deputy", key=key).refused(422, "key-reused")
    key = os.urandom(8).hex()
    once = denied(delegate(bot, task, "far", key=key))
    assert denied(delegate(bot, task, "far", key=key)) == once
    bot.call("POST", f"/v1/tasks/{task}/children", body(),
             key=" ").refused(400)


def test_an_agent_is_given_no_more_tasks_than_it_may_have(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    child = child_of(bot, task, "busy")
    delegate(bot, task, "busy").refused(429, "quota")
    bot.complete(child).ok(200)
    assert child_of(bot, task, "busy") != child


def test_a_task_delegates_so_often_and_no_more(here):
    bot = here.agent("hr-bot")
    task = bot.open_task()
    for _ in range(256):
        child_of(bot, task)
    delegate(bot, task).refused(409, "too-many-children")
    assert bot.complete(task).ok()
    ended(bot, task, "completed")


def test_a_decision_in_a_chain_can_be_made_again(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    child = child_of(bot, bot.open_task())
    done = add(helper, child, "lunch-list", somebody()).ok(200)
    again = here.human("ada").post(f"/v1/requests/{done['id']}/replay").ok()
    assert again["same"]


def test_a_token_delegates_once(here):
    bot = here.agent("hr-bot")
    task, token = bot.open_task(), bot.token()
    bot.call("POST", f"/v1/tasks/{task}/children", body(),
             token=token).ok(201)
    bot.call("POST", f"/v1/tasks/{task}/children", body(),
             token=token).refused(401, "replayed")


# Ends.

def test_the_end_of_a_parent_ends_all_below_the_deepest_first(here):
    bot, helper, deputy = (here.agent(n) for n in ("hr-bot", "helper",
                                                   "deputy"))
    task = bot.open_task()
    first = child_of(bot, task, actions=LENDING)
    second = child_of(helper, first, "deputy")
    members = [somebody() for _ in range(3)]
    for who, at, member in zip((bot, helper, deputy), (task, first, second),
                               members):
        add(who, at, "lunch-list", member).ok(200)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert not any(holds(here, "lunch-list", member) for member in members)
    assert show(bot, first)["endedWith"] == task
    assert show(bot, second)["endedWith"] == first
    for event in ("ending", "ended"):
        order = [leaf["about"] for leaf in leaves(here)
                 if leaf["kind"] == "task" and leaf["event"] == event
                 and leaf["about"] in (task, first, second)]
        assert order == [second, first, task]
    add(deputy, second, "lunch-list", somebody()).refused(404)
    assert here.verify().returncode == 0


def test_a_child_that_ends_leaves_its_parent_open(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    task = bot.open_task()
    child = child_of(bot, task)
    assert helper.complete(child).ok(200)["state"] == "completed"
    assert show(bot, task)["state"] == "open"
    assert add(bot, task, "lunch-list", somebody()).ok(200)
    assert bot.complete(task).ok(200)["state"] == "completed"


def test_a_parent_whose_time_is_over_takes_its_children_with_it(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    task = bot.open_task(ttl="3s")
    child = child_of(bot, task)
    done = add(helper, child, "lunch-list", member, ttl="1s").ok(200)
    ended(bot, task, "expired")
    assert ended(helper, child, "expired")
    grant_state(own, done["grant"]["id"], "ended")
    assert not holds(own, "lunch-list", member)


def test_a_parent_is_not_over_before_its_children_are(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    task = bot.open_task()
    child = child_of(bot, task)
    done = add(helper, child, "lunch-list", member).ok(200)
    set_faults(own, apply="unavailable")
    bot.call("POST", f"/v1/tasks/{child}/complete", {})
    grant_state(own, done["grant"]["id"], "ending")
    assert show(bot, task)["state"] == "open"
    bot.call("POST", f"/v1/tasks/{task}/complete", {})
    assert show(bot, task)["state"] == "ending"
    set_faults(own)
    ended(bot, task, "completed")
    assert show(bot, child)["state"] == "completed"
    assert not holds(own, "lunch-list", member)


def test_what_waits_for_people_is_withdrawn_with_the_parent(own):
    bot, helper = own.agent("hr-bot"), own.agent("helper")
    task = bot.open_task()
    child = child_of(bot, task)
    request = waiting(own, bot=helper, task=child)
    bot.complete(task).ok(200)
    assert helper.show(request["id"])["state"] == "cancelled"
    own.human("bob").approve(request["id"], "iam-approvers",
                             digest=request["digest"]).refused(
                                 409, "not-waiting")


def test_containing_an_agent_ends_what_it_delegated_point_by_point(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    task = bot.open_task()
    child = child_of(bot, task, actions=LENDING)
    done = add(helper, child, "lunch-list", member).ok(200)
    asked = waiting(own, bot=helper, task=child)
    contained = own.human("ada").contain("agent", "hr-bot").ok(201)
    ended(own.human("ada"), child, "contained")
    ended(own.human("ada"), task, "contained")
    assert not holds(own, "lunch-list", member)
    points = {point["id"]: point for point in own.human("ada").get(
        f"/v1/containments/{contained['id']}").ok()["points"]}
    assert points[child]["state"] == points[task]["state"] == "ended"
    assert points[done["grant"]["id"]]["state"] == "ended"
    assert points[asked["id"]]["state"] == "cancelled"
    assert all("evidence" in point for point in points.values())
    add(helper, child, "lunch-list", somebody()).refused(404)
    # It is not delegated to, either.
    other = helper.open_task("low-ops")
    decision = denied(delegate(helper, other, "hr-bot"))
    assert decision["cause"] == "policy"


def test_containing_a_task_ends_its_children_and_no_other(own):
    bot, helper = own.agent("hr-bot"), own.agent("helper")
    task, other = bot.open_task(), bot.open_task()
    child, spared = child_of(bot, task), child_of(bot, other)
    own.human("ada").contain("task", task).ok(201)
    ended(helper, child, "contained")
    assert show(helper, spared)["state"] == "open"
    assert add(helper, spared, "lunch-list", somebody()).ok(200)


def test_containing_who_was_delegated_to_leaves_the_parent(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    task = bot.open_task()
    child = child_of(bot, task)
    add(helper, child, "lunch-list", member).ok(200)
    own.human("dave").contain("agent", "helper").ok(201)
    ended(bot, child, "contained")
    assert not holds(own, "lunch-list", member)
    assert add(bot, task, "lunch-list", somebody()).ok(200)
    denied(delegate(bot, task), "contained")


# After a crash.

def test_a_crash_after_delegating_loses_neither_child_nor_limits(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    task = bot.open_task()
    child = child_of(bot, task, actions=["AddToGroup"])
    request = waiting(own, bot=bot, task=task)
    approve(own, request).ok()
    bot.wait(request["id"], "done")
    own.restart(crash=True)
    wait_until(lambda: stories.is_up(own), "the connector")
    assert show(helper, child)["state"] == "open"
    remove(helper, child, "lunch-list", member).refused(403)
    vouch(own, "lunch-list")
    assert add(helper, child, "lunch-list", member).ok(202)["tier"] == 2
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert show(helper, child)["state"] == "completed"


def test_a_crash_between_the_end_of_a_parent_and_of_its_child_ends_both(own):
    bot, helper, members = (own.agent("hr-bot"), own.agent("helper"),
                            [somebody(), somebody()])
    task = bot.open_task()
    child = child_of(bot, task)
    add(bot, task, "lunch-list", members[0]).ok(200)
    add(helper, child, "lunch-list", members[1]).ok(200)
    set_faults(own, apply="unavailable")
    human = own.human("ada")
    human.login()
    human.contain("task", task).ok(201)
    assert show(human, task)["state"] == "ending"
    own.kill()
    own._end_children()  # pylint: disable=protected-access
    own.write_connector(faults=None)
    own.start()
    human.login()
    ended(human, child, "contained")
    ended(human, task, "contained")
    assert not any(holds(own, "lunch-list", member) for member in members)
    assert own.verify().returncode == 0


def test_children_of_a_parent_that_expired_while_it_was_down_end(own):
    bot, helper, member = own.agent("hr-bot"), own.agent("helper"), somebody()
    task = bot.open_task(ttl="5s")
    child = child_of(bot, task)
    add(helper, child, "lunch-list", member, ttl="2s").ok(200)
    until = show(bot, task)["expires"]
    own.kill()
    own._end_children()  # pylint: disable=protected-access
    wait_until(lambda: moment() > until, "the window's end")
    own.start()
    ended(helper, child, "expired")
    ended(bot, task, "expired")
    wait_until(lambda: not holds(own, "lunch-list", member), "its end")


# A real directory.

def test_the_end_of_a_parent_is_read_back_in_the_directory(directory,
                                                           make_authority):
    authority = make_authority(directory=directory).found(world)
    bot, helper = authority.agent("hr-bot"), authority.agent("helper")
    member = person("nora")
    task = bot.open_task()
    child = child_of(bot, task)
    done = add(helper, child, "lunch-list", member).ok(200)
    assert member in directory.values(group("lunch-list"), "member")
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert member not in directory.values(group("lunch-list"), "member")
    assert grant_state(authority, done["grant"]["id"], "ended")
    add(helper, child, "lunch-list", member).refused(404)
    assert authority.verify().returncode == 0


# What is lent.

def lending(manifests):
    """hr-bot may delegate what it does at reports-api, to the gateway."""
    manifests = issuing.manifests(issuing.API)(manifests)
    for manifest_ in manifests:
        name, spec = manifest_["metadata"]["name"], manifest_["spec"]
        if name == "hr-bot":
            spec.update(capabilities=ALL, maxDelegationDepth=1)
        if name == "gateway":
            spec.update(maxDelegationDepth=1)
        if name == "lending":
            spec["actions"] = [*spec["actions"], "Delegate"]
    return manifests


def test_what_a_child_is_lent_names_the_chain_and_ends_with_the_parent(
        make_authority, tmp_path):
    authority = issuing.found(make_authority(config_changes=issuing.OAUTH),
                              lending)
    bot, gateway = authority.agent("hr-bot"), authority.agent("gateway")
    task = issuing.open_task(bot, issuing.API)
    child = delegate(bot, task, "gateway", actions=["IssueCredential"],
                     targets=[issuing.API]).ok(201)["id"]
    bare = delegate(bot, task, "gateway", actions=["RevokeCredential"],
                    targets=[issuing.API]).ok(201)["id"]
    issuing.ask(gateway, bare, "reports:read").refused(403)
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps(authority.call("GET", "/oauth/jwks").ok(200)))
    paths, lent = {}, {}
    for name, who, at, role, ttl in (
            ("parent", bot, task, "reports:read", "5m"),
            ("child", gateway, child, "reports:read", "1m"),
            ("other", gateway, child, "reports:list", "1m")):
        lent[name], secret = issuing.lend(who, at, role, ttl=ttl)
        paths[name] = tmp_path / name
        paths[name].write_text(secret["token"])
    part = paths["child"].read_text().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    assert claims["sub"] == claims["act"]["sub"] == gateway.spiffe_id
    assert claims["act"]["act"]["sub"] == bot.spiffe_id
    assert "act" not in claims["act"]["act"]
    checked = check(authority, paths["parent"], paths["child"], "--jwks", keys)
    assert checked.returncode == OK, checked
    refused = check(authority, paths["parent"], paths["other"], "--jwks", keys,
                    "--output", "json")
    assert json.loads(refused.stdout)["dimension"] == "scope"
    assert bot.complete(task).ok(200)["state"] == "completed"
    for done in lent.values():
        grant_state(authority, done["grant"]["id"], "ended")


# The command line.

def test_the_command_line_delegates_and_shows_the_children(here):
    bot, helper = here.agent("hr-bot"), here.agent("helper")
    task = bot.open_task()
    made = bot.writ("task", "delegate", task, "--agent", "helper", "--intent",
                    "a part", "--action", "AddToGroup", "--target", TARGET,
                    "--output", "json")
    assert made.returncode == OK, made
    child = json.loads(made.stdout)["id"]
    text = bot.writ("task", "show", task).stdout.decode()
    assert child in text and "helper" in text and "open" in text
    helper.complete(child).ok()
    assert "completed" in bot.writ("task", "show", task).stdout.decode()
    shown = helper.writ("task", "show", child).stdout.decode()
    assert task in shown and "hr-bot" in shown
    refused = bot.writ("task", "delegate", task, "--agent", "far", "--intent",
                       "a part", "--action", "AddToGroup", "--target", TARGET)
    assert refused.returncode == DENIED


@pytest.fixture(name="tokens")
def _tokens(tmp_path):
    """write(name, claims) -> path of a token; and the path of the key set."""
    issuer = Issuer(kid="as-1")
    keys = tmp_path / "jwks.json"
    keys.write_text(json.dumps({"keys": [
        {**issuer.jwk(), "use": "sig", "alg": "ES256"}]}))

    def write(name, signer=issuer, typ="at+jwt", **claims):
        path = tmp_path / name
        path.write_text(signer.sign(
            {"alg": "ES256", "kid": "as-1", "typ": typ},
            {"exp": 2000000000, "sub": "lead", "scope": "read write",
             **claims}) + "\n")
        return path

    write.keys = keys
    return write


def check(authority, parent, child, *more):
    return authority.writ("token", "check", "--parent", parent, "--child",
                          child, *more)


def test_a_token_is_checked_offline_against_the_one_it_was_made_from(
        here, tokens):
    parent = tokens("parent")
    act = {"sub": "helper", "iss": "x", "act": {"sub": "lead", "iss": "x"}}
    child = tokens("child", sub="helper", scope="read", act=act)
    wider = tokens("wider", sub="helper", scope="read admin", act=act)
    done = check(here, parent, child, "--jwks", tokens.keys)
    assert done.returncode == OK and b"verified" in done.stdout
    assert check(here, parent, child).returncode == OK
    refused = check(here, parent, wider, "--output", "json")
    assert refused.returncode == FINDING
    assert json.loads(refused.stdout)["dimension"] == "scope"
    assert check(here, child, parent).returncode == FINDING


def test_a_token_that_nobody_signed_is_refused(here, tokens):
    parent, stranger = tokens("parent"), Issuer(kid="as-1")
    forged = tokens("forged", signer=stranger)
    refused = check(here, parent, forged, "--jwks", tokens.keys, "--output",
                    "json")
    assert refused.returncode == FINDING
    assert json.loads(refused.stdout)["dimension"] == "signature"
    assert check(here, forged, parent, "--jwks",
                 tokens.keys).returncode == FINDING


def test_what_is_no_access_token_is_not_compared(here, tokens, tmp_path):
    parent = tokens("parent")
    other = tokens("id-token", typ="JWT")
    two = tmp_path / "two"
    two.write_text(parent.read_text() * 2)
    for wrong in (other, two, tokens.keys, tmp_path / "missing"):
        assert check(here, parent, wrong).returncode not in (OK, FINDING)
    assert check(here, parent, parent, "--jwks",
                 parent).returncode not in (OK, FINDING)
