"""Defects that others have shipped.  Each test is named by one of them, and
shows that it is not here."""
import os
import shutil
import sqlite3
import threading

import pytest

import harness
import stories
from harness import TARGET, group, wait_until
from stories import (add, grant_state, grants, holds, somebody, vouch,
                     waiting)


@pytest.fixture
def here(shared_authority):
    return shared_authority


@pytest.fixture
def bot(here):
    return here.agent("hr-bot")


def test_an_approval_that_is_asked_for_and_never_demanded(here, bot):
    member = somebody()
    request = waiting(here, "domain-admins", member)
    task = request["task"]
    here.human("bob").approve(request["id"], "iam-approvers").ok(202)
    here.human("carol").approve(request["id"], "security").ok(202)
    # Nothing that an agent can call makes it run.
    for path, body in (
            (f"/v1/requests/{request['id']}/approvals", {}),
            (f"/v1/requests/{request['id']}/approvals",
             {"statement": "{}", "signature": "x" * 64}),
            (f"/v1/requests/{request['id']}/adopt", {}),
            (f"/v1/requests/{request['id']}/resolve", {}),
            (f"/v1/requests/{request['id']}/execute", {}),
            (f"/v1/requests/{request['id']}/rollback", {})):
        assert bot.call("POST", path, body).status >= 400
    add(bot, task, "domain-admins", member, wait=0).ok(202)
    assert bot.show(request["id"])["state"] == "waiting"
    assert stories.armed_for(here, request["id"]) == []
    assert not holds(here, "domain-admins", member)


def test_an_approval_that_serves_for_other_arguments(here, bot):
    one, other = somebody(), somebody()
    request = waiting(here, member=one)
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    bot.wait(request["id"], "done")
    asked = waiting(here, member=other)
    assert asked["waitingFor"] == {"iam-approvers": 1}
    here.human("bob").approve(asked["id"], "iam-approvers",
                              digest=request["digest"]).refused(
                                  409, "another-plan")
    assert not holds(here, "mail-admins", other)


def test_an_approval_that_is_replayed(here, bot):
    member = somebody()
    request = waiting(here, member=member)
    bob = here.human("bob")
    form = bob.sign("approval", request=request["id"],
                    digest=request["digest"], group="iam-approvers",
                    decision="approve", reason="")
    path = f"/v1/requests/{request['id']}/approvals"
    here.call("POST", path, form).ok()
    done = bot.wait(request["id"], "done")
    here.call("POST", path, form).refused(401, "replayed")
    bob.approve(request["id"], "iam-approvers",
                digest=request["digest"]).refused(409, "not-waiting")
    assert len(stories.armed_for(here, request["id"])) == 1
    # Ended, the same thing is asked anew.
    assert bot.complete(request["task"]).ok(200)["state"] == "completed"
    assert waiting(here, member=member)["id"] != done["id"]


def test_four_tokens_for_one_action(here, bot):
    member, task = somebody(), bot.open_task()
    vouch(here, "mail-admins")
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(
        add(bot, task, "mail-admins", member, wait=1).ok(202)["id"]))
        for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(answers) == 4 and len(set(answers)) == 1
    here.human("bob").approve(answers[0], "iam-approvers").ok()
    bot.wait(answers[0], "done")


def test_an_approval_in_one_list_and_the_call_blocked_in_another(here, bot):
    request = waiting(here)
    shown = here.human("bob").get(f"/v1/approvals/{request['id']}").ok()
    assert shown["request"]["id"] == request["id"]
    assert shown["digest"] == bot.show(request["id"])["digest"]
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    bot.wait(request["id"], "done")
    assert request["id"] not in [
        row["request"]["id"] for row in
        here.human("bob").get("/v1/approvals").ok()["approvals"]]


def test_a_pending_approval_that_nobody_is_told_of(here):
    """Who is asked finds it at once, durable with the decision; nobody else
    does, and those barred are named."""
    request = waiting(here)
    for name, sees in (("bob", True), ("dave", True), ("carol", False),
                       ("frank", False)):
        listed = [row["request"]["id"] for row in
                  here.human(name).get("/v1/approvals").ok()["approvals"]]
        assert (request["id"] in listed) == sees, name
    shown = here.human("bob").get(f"/v1/approvals/{request['id']}").ok()
    assert "alice" in shown["barred"]


@pytest.fixture
def other_policy(tmp_path):
    """A copy of the policy that a test may spoil."""
    folder = tmp_path / "policy"
    harness.run("/usr/bin/python3", harness.ROOT / "tools" / "demo_bundle.py",
                harness.ROOT / "policy", folder)
    return folder


def test_a_policy_that_is_empty_and_therefore_allows(make_authority,
                                                     other_policy):
    (other_policy / "policies.cedar").write_text("")
    authority = make_authority(bundle=other_policy).found(drill=False)
    bot = authority.agent("hr-bot")
    bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "anything", "targets": [TARGET],
        "ttl": "1h"}).refused(403, "denied")


def test_enforcement_that_is_switched_off_by_one_call(here, bot):
    before = here.human("ada").get("/v1/policy").ok()["digest"]
    # No member of a request, no header and no session switches it.
    body = bot.request_body(bot.open_task(), "AddToGroup",
                            group("contractors"), somebody())
    for more in ({"enforce": False}, {"mode": "shadow"}, {"mode": "log-only"},
                 {"force": True}, {"approved": True}, {"approvals": []}):
        bot.call("POST", "/v1/requests", {**body, **more}).refused(422)
    session = here.human("ada").login()
    for method, path in (("POST", "/v1/policy/activate"),
                         ("PUT", "/v1/policy"), ("DELETE", "/v1/policy"),
                         ("PATCH", "/v1/policy")):
        answer = here.call(method, path, {"bundle": "governance"},
                           bearer=session)
        assert answer.status in (404, 405, 422), answer
    # One administrator is not enough either.
    digest = here.human("ada").get("/v1/policy").ok()["digest"]
    assert here.human("ada").activate("governance", digest).status == 202
    assert here.human("ada").get("/v1/policy").ok()["digest"] == before


def test_an_approval_from_a_session_without_the_key(here, bot):
    request = waiting(here)
    session = here.human("bob").login()
    for body in ({"decision": "approve"},
                 {"digest": request["digest"], "decision": "approve",
                  "group": "iam-approvers"}):
        here.call("POST", f"/v1/requests/{request['id']}/approvals", body,
                  bearer=session).refused(422)
    assert bot.show(request["id"])["approvals"] == []


def test_a_link_that_approves_when_a_scanner_follows_it(here, bot):
    request = waiting(here)
    session = here.human("bob").login()
    for path in (f"/v1/requests/{request['id']}/approvals",
                 f"/v1/requests/{request['id']}/approvals?decision=approve",
                 f"/v1/approvals/{request['id']}?decision=approve",
                 f"/v1/approvals/{request['id']}/approve"):
        for method in ("GET", "HEAD"):
            here.call(method, path, bearer=session)
    shown = bot.show(request["id"])
    assert shown["state"] == "waiting" and shown["approvals"] == []


def test_advice_that_is_approved_and_executed(here, bot):
    member, task = somebody(), bot.open_task()
    vouch(here, "mail-admins")
    advice = add(bot, task, "mail-admins", member, mode="recommend").ok(200)
    assert (advice["state"], advice["mode"]) == ("recommended", "recommend")
    here.human("bob").approve(advice["id"], "iam-approvers",
                              digest=advice["digest"]).refused(409)
    assert not holds(here, "mail-admins", member)
    # The mode is in what is signed: as an execution it is another plan.
    request = waiting(here, member=member, task=task)
    assert request["digest"] != advice["digest"]
    plan = here.human("bob").get(f"/v1/approvals/{request['id']}").ok()["plan"]
    assert '"mode":"execute"' in plan


def test_a_credential_that_outlives_its_task(here, bot):
    task, member = bot.open_task(), somebody()
    done = add(bot, task, "lunch-list", member, ttl="8h").ok(200)
    body = bot.request_body(task, "AddToGroup", group("lunch-list"), somebody())
    del body["ttl"]
    short = bot.call("POST", "/v1/requests?wait=20", body).ok(200)
    assert short["ttl"] == "15m"  # where nobody says otherwise
    assert bot.complete(task).ok(200)["state"] == "completed"
    ended = grants(here)[done["grant"]["id"]]
    assert ended["state"] == "ended" and not holds(here, "lunch-list", member)
    leaf = stories.leaves(here)[ended["evidence"]["ended"]["index"]]
    assert leaf["effect"] == "removed"


def test_approved_is_shown_before_it_is_so(make_authority):
    authority = make_authority().found()
    bot = authority.agent("hr-bot")
    for _ in range(5):
        done = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
        # What an answer names is in the log already.
        for row in done["evidence"].values():
            assert authority.leaf(row["index"])["hash"] == row["hash"]
        database = sqlite3.connect(
            f"file:{authority.data / 'state.db'}?mode=ro", uri=True)
        (state,), = database.execute(
            "SELECT state FROM request WHERE id = ?", (done["id"],))
        database.close()
        assert state == "done"


def test_a_log_that_is_called_tamper_evident_and_is_not(make_authority,
                                                        tmp_path):
    authority = make_authority().found()
    bot = authority.agent("hr-bot")
    add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    size = authority.health()["leaves"]
    stories.tree(authority, size - 1)
    exported = tmp_path / "exported"

    def export(folder):
        done = authority.writ("evidence", "export", folder, "--vkey",
                              authority.vkey)
        assert done.returncode == 0, done.stderr.decode()

    def verify(folder):
        return authority.writ("evidence", "verify", folder, "--vkey",
                              authority.vkey).returncode

    export(exported)
    assert verify(exported) == 0
    entries = next((exported / "tile" / "entries").rglob("*.p/*"))
    for name, change in {
            "one-bit": lambda b: b[:40] + bytes([b[40] ^ 1]) + b[41:],
            "cut-off": lambda b: b[:-40],
            "reordered": swap_first_two}.items():
        folder = tmp_path / name
        shutil.copytree(exported, folder)
        path = folder / entries.relative_to(exported)
        path.chmod(0o644)
        path.write_bytes(change(path.read_bytes()))
        assert verify(folder) != 0, name
    # The log as it once was, shown again: who has seen more finds it cut off.
    add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    stories.tree(authority, authority.health()["leaves"] - 1)
    export(tmp_path / "later")
    assert verify(tmp_path / "later") == 0
    assert verify(exported) != 0


def swap_first_two(bundle):
    one = 2 + int.from_bytes(bundle[:2], "big")
    two = one + 2 + int.from_bytes(bundle[one:one + 2], "big")
    return bundle[one:two] + bundle[:one] + bundle[two:]


def test_a_grant_that_is_deleted_while_the_access_stays(tmp_path):
    with stories.impatient(tmp_path / "a") as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        done = add(bot, task, "lunch-list", member).ok(200)
        stories.set_faults(authority, apply="lie")
        waiter = threading.Thread(target=bot.complete, args=(task,))
        waiter.start()
        row = wait_until(lambda: (lambda r: r if r.get("unconfirmed") else None)
                         (grants(authority)[done["grant"]["id"]]),
                         "the end to be found untrue")
        assert row["state"] == "ending" and holds(authority, "lunch-list",
                                                  member)
        assert bot.get(f"/v1/tasks/{task}").ok()["state"] == "ending"
        stories.set_faults(authority)
        waiter.join()
        grant_state(authority, done["grant"]["id"], "ended")
        assert not holds(authority, "lunch-list", member)


def test_a_decision_point_that_fails_and_lets_through(make_authority,
                                                      other_policy):
    """Every question to the policy errs; everything is refused."""
    path = other_policy / "policies.cedar"
    path.write_text(
        '@id("p-all") @title("all") permit (principal, action, resource);\n'
        '@id("f-err") @title("errs") forbid (principal is Gov::Agent, '
        'action, resource) when { context.ttl.toSeconds() + '
        '9223372036854775807 < 0 };\n')
    authority = make_authority(bundle=other_policy).found(drill=False)
    bot = authority.agent("hr-bot")
    answer = bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "anything", "targets": [TARGET],
        "ttl": "1h"})
    if answer.status == 201:  # opening has no ttl to err about
        add(bot, answer.body["id"], "lunch-list", somebody()).refused(
            403, "denied")
    else:
        answer.refused(403, "denied")
    assert os.path.exists(path)
