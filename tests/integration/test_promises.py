"""What must never happen.  Each test is named by one of these sentences (the
last section of the design, in its words) and shows that it does not happen."""
import os
import shutil
import sqlite3
import subprocess
import threading

import pytest

import harness
import stories
from connector_process import Connector, Refused
from harness import TARGET, group, moment, person, wait_until
from stories import (add, grant_state, grants, holds, open_armed, somebody,
                     vouch, waiting)


@pytest.fixture
def here(shared_authority):
    return shared_authority


@pytest.fixture
def bot(here):
    return here.agent("hr-bot")


def executed(authority, ident):
    """Whether anything of a request was armed."""
    return bool(stories.armed_for(authority, ident))


def test_a_request_executes_without_its_approvals_where_its_route_was_approval(
        here, bot):
    for name, signers in (
            ("mail-admins", []),
            ("domain-admins", []),
            ("domain-admins", [("bob", "iam-approvers")]),
            ("domain-admins", [("bob", "iam-approvers"),
                               ("dave", "iam-approvers")]),
            ("domain-admins", [("bob", "iam-approvers"),
                               ("carol", "security")])):
        member = somebody()
        request = waiting(here, name, member)
        for who, asked in signers:
            here.human(who).approve(request["id"], asked).ok(202)
        assert bot.show(request["id"])["state"] == "waiting"
        assert not executed(here, request["id"])
        assert not holds(here, name, member)
        bot.cancel(request["id"]).ok()
    # And of all that ever ran, each has the signatures its tier takes.
    for row in bot.get("/v1/requests").ok()["requests"]:
        if row["route"] == "approval" and row["state"] == "done":
            assert row["approvals"]


def test_one_byte_differs_between_what_was_approved_and_what_ran(here, bot):
    request = waiting(here)
    plan = here.human("bob").get(f"/v1/approvals/{request['id']}").ok()["plan"]
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    done = bot.wait(request["id"], "done")
    armed = stories.leaves(here)[done["evidence"]["armed"]["index"]]
    ran = stories.plan_of(here, done)
    assert ran == plan
    assert harness.digest(ran) == armed["digest"] == request["digest"]
    assert [a["digest"] for a in done["approvals"]] == [armed["digest"]]
    # Nor can the signature be kept for another day.
    until = harness.json.loads(plan)["notAfter"]
    assert done["created"] < until == done["expires"]


def order_of(authority, request):
    """The order for an armed leaf, put together from the evidence alone: what
    a compromised daemon could send again, or change."""
    index = request["evidence"]["armed"]["index"]
    checkpoint, entries = stories.tree(authority, index)
    note = stories.fetch(authority, "checkpoint").decode()
    hashes = [stories.tlog.leaf_hash(entry) for entry in entries]
    vkey = stories.tlog.VKey(authority.vkey)
    again = stories.tlog.Checkpoint(note.encode(), vkey)
    if again.size != checkpoint.size:
        return order_of(authority, request)
    proof = stories.tlog.inclusion(index, hashes)
    signatures = []
    for approval in request["approvals"]:
        kept = authority.human("ada").disclose(approval["leaf"]).ok()["payload"]
        signatures.append({k: kept[k] for k in ("statement", "signature",
                                                "human")})
    return {"plan": stories.plan_of(authority, request),
            "leaf": entries[index].decode(), "index": index,
            "proof": [harness.base64.b64encode(p).decode() for p in proof],
            "checkpoint": note, "signatures": signatures, "base": None}


@pytest.fixture
def other_connector(here, tmp_path):
    """The same connector with the same keys, that has seen no order yet."""
    config = {**harness.json.loads(
        (here.folder / "connector.yaml").read_text())}
    config["memberships"] = str(tmp_path / "memberships.json")
    config["authority"] = {**config["authority"],
                           "state": str(tmp_path / "state")}
    connector = Connector(harness.program("writ-connect-null"), config,
                          tmp_path / "connector")
    yield connector
    connector.close()


def refused_order(connector, order):
    try:
        answer = connector.call("apply", order=order)
    except Refused:
        return True
    return answer["result"] == "refused"


@pytest.fixture
def ran(here, bot):
    """A tier 2 change that people signed and that ran."""
    request = waiting(here)
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    return bot.wait(request["id"], "done")


def test_a_compromised_writd_makes_an_effect_at_a_high_tier(
        here, ran, other_connector):
    """It holds the real evidence, and changes one thing of the order."""
    order = order_of(here, ran)
    member = ran["parameters"]["member"]
    low = order["plan"].replace('"tier":2', '"tier":0')
    changed = [
        {"signatures": []},
        {"signatures": [{**order["signatures"][0], "human": "dave"}]},
        {"plan": order["plan"].replace(member, person("mallory"))},
        {"plan": order["plan"][:-2] + " }"},
        {"plan": low},
        {"plan": low, "leaf": order["leaf"].replace(
            ran["digest"], harness.digest(low)), "signatures": []},
        {"index": order["index"] - 1},
        {"proof": order["proof"][:-1]},
        {"checkpoint": order["checkpoint"].replace(
            here.origin, "authority.test/other")},
    ]
    for change in changed:
        assert refused_order(other_connector, {**order, **change}), change
    assert not (other_connector.folder.parent / "memberships.json").exists()
    # As it was signed it is taken, and only once.
    assert other_connector.call("apply", order=order)["result"] == "applied"
    assert refused_order(other_connector, order)


def test_an_approval_serves_twice(here, bot, ran, other_connector):
    order = order_of(here, ran)
    assert other_connector.call("apply", order=order)["result"] == "applied"
    assert refused_order(other_connector, order)
    # Nor for the same change asked for again.
    assert bot.complete(ran["task"]).ok(200)["state"] == "completed"
    again = waiting(here, member=ran["parameters"]["member"])
    assert again["approvals"] == [] and again["digest"] != ran["digest"]
    for form in order["signatures"]:
        here.call("POST", f"/v1/requests/{again['id']}/approvals",
                  {k: form[k] for k in ("statement", "signature")}).refused(401)
    here.human("bob").approve(again["id"], "iam-approvers",
                              digest=ran["digest"]).refused(409)
    assert not executed(here, again["id"])


def test_a_login_signature_serves_as_an_approval(here, bot):
    request = waiting(here)
    bob = here.human("bob")
    path = f"/v1/requests/{request['id']}/approvals"
    here.call("POST", path, bob.sign("login")).refused(401)
    text = bob.statement("approval", request=request["id"],
                         digest=request["digest"], group="iam-approvers",
                         decision="approve", reason="")
    here.call("POST", path, bob.sign_text(text, "writ-login")).refused(401)
    assert bot.show(request["id"])["approvals"] == []


@pytest.mark.parametrize("policies", [
    pytest.param("", id="empty"),
    pytest.param('@id("p") @title("p") permit (principal, action, resource);\n'
                 '@id("e") @title("e") forbid (principal is Gov::Agent, action,'
                 ' resource) when { context.counters.privileged24h + '
                 '9223372036854775807 > 0 };\n', id="erring"),
    pytest.param('@id("p") @title("p") permit (principal is Gov::Agent, action,'
                 ' resource) when { context.counters.privileged24h + '
                 '9223372036854775807 > 0 };\n', id="erring-permit"),
])
def test_an_empty_failing_or_erring_policy_set_allows(make_authority, tmp_path,
                                                      policies):
    folder = tmp_path / "policy"
    harness.run("/usr/bin/python3", harness.ROOT / "tools" / "demo_bundle.py",
                harness.ROOT / "policy", folder)
    (folder / "policies.cedar").write_text(policies)
    authority = make_authority(bundle=folder)
    try:
        authority.found(drill=False)
    except AssertionError:
        return  # the bundle itself was refused, and so is everything
    bot = authority.agent("hr-bot")
    opened = bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "anything", "targets": [TARGET],
        "ttl": "1h"})
    if opened.status != 403:
        add(bot, opened.ok(201)["id"], "lunch-list",
            somebody()).refused(403, "denied")
    assert not any(leaf["kind"] == "armed" for leaf in
                   stories.leaves(authority))


def test_a_broken_policy_set_begins_a_log(tmp_path):
    folder = tmp_path / "policy"
    harness.run("/usr/bin/python3", harness.ROOT / "tools" / "demo_bundle.py",
                harness.ROOT / "policy", folder)
    (folder / "policies.cedar").write_text("permit (principal")
    made = harness.Authority(folder=tmp_path / "a", bundle=folder)
    try:
        made.start(wait=False)
        assert made.wait_for_end() != 0
    finally:
        made.close()


def test_an_agent_approves(here, bot):
    request = waiting(here)
    path = f"/v1/requests/{request['id']}/approvals"
    # A key of its own, under every name it could try.
    key = here.folder / "people" / "robot"
    if not key.exists():
        harness.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    for name in ("hr-bot", "bob", "ada", "writ"):
        text = here.human("bob").statement(
            "approval", request=request["id"], digest=request["digest"],
            group="iam-approvers", decision="approve", reason="", human=name)
        done = harness.run("ssh-keygen", "-q", "-Y", "sign", "-n",
                           "writ-approval", "-f", key, input=text.encode())
        form = {"statement": text, "signature": done.stdout.decode()}
        bot.call("POST", path, form).refused(401)
    assert bot.get("/v1/approvals").status in (401, 403)
    assert bot.show(request["id"])["approvals"] == []


def test_a_barred_human_approves_though_a_member_of_the_asked_group(here, bot):
    members = here.inventory("Human", "alice").ok()["spec"]["groups"]
    assert "iam-approvers" in members
    request = waiting(here)
    here.human("alice").approve(request["id"], "iam-approvers").refused(
        403, "may-not-approve")
    gaining = waiting(here, member=person("dave"))
    here.human("dave").approve(gaining["id"], "iam-approvers").refused(
        403, "may-not-approve")
    for ident in (request["id"], gaining["id"]):
        assert bot.show(ident)["approvals"] == []
        assert not executed(here, ident)


def test_a_session_alone_changes_anything(here, bot):
    request, task = waiting(here), bot.open_task()
    stopped = here.human("ada").contain("agent", "adviser").ok(201)
    session = here.human("ada").login()
    size = here.health()["leaves"]
    for path in (f"/v1/requests/{request['id']}/approvals",
                 f"/v1/requests/{request['id']}/adopt",
                 f"/v1/requests/{request['id']}/resolve",
                 f"/v1/requests/{request['id']}/cancel",
                 f"/v1/requests/{request['id']}/rollback",
                 f"/v1/tasks/{task}/complete", f"/v1/tasks/{task}/records",
                 "/v1/tasks", "/v1/requests", "/v1/vouchers", "/v1/changes",
                 "/v1/changes/chg_x/signatures", "/v1/containments",
                 f"/v1/containments/{stopped['id']}/release",
                 "/v1/policy/activate", f"/v1/targets/{TARGET}/drill",
                 "/v1/evidence/1/disclose"):
        answer = here.call("POST", path, {"reason": "because"}, bearer=session,
                           headers={"Idempotency-Key": os.urandom(8).hex()})
        assert 400 <= answer.status < 500, (path, answer)
    assert here.health()["leaves"] == size
    assert bot.show(request["id"])["state"] == "waiting"
    for name in ("ada", "heidi"):
        here.human(name).release(stopped["id"]).ok()


def test_a_get_changes_anything(here, bot):
    request = waiting(here)
    session = here.human("bob").login()
    admin = here.human("ada").login()
    size = here.health()["leaves"]
    paths = [path for path, methods in
             here.call("GET", "/v1/openapi.json").ok()["paths"].items()
             for method in methods if method in ("get", "post")]
    for path in sorted(set(paths)):
        for name, value in (("{id}", request["id"]), ("{index}", "1"),
                            ("{kind}", "Agent"), ("{name}", "hr-bot"),
                            ("{request}", request["id"])):
            path = path.replace(name, value)
        for method in ("GET", "HEAD"):
            for bearer in (session, admin, bot.token()):
                answer = here.call(method, path.split("{")[0], bearer=bearer)
                assert answer.status < 500, (path, answer)
    assert here.health()["leaves"] == size
    assert bot.show(request["id"])["state"] == "waiting"


def test_a_recommendation_or_an_explanation_executes(here, bot):
    task, member = bot.open_task(), somebody()
    advice = add(bot, task, "lunch-list", member, mode="recommend").ok(200)
    bot.explain(task, "AddToGroup", group("lunch-list"), member).ok(200)
    assert not executed(here, advice["id"])
    assert not holds(here, "lunch-list", member)
    bot.rollback(advice["id"]).refused(409, "nothing-to-undo")


def test_a_grant_works_after_its_task(make_authority):
    authority = make_authority().found()
    bot = authority.agent("hr-bot")
    ends = {"completed": lambda task: bot.complete(task).ok(200),
            "expired": lambda task: None,
            "contained": lambda task: authority.human("ada").contain(
                "task", task).ok(201)}
    for how, end in ends.items():
        member = somebody()
        task = bot.open_task(ttl="2s" if how == "expired" else "1h")
        done = add(bot, task, "lunch-list", member, ttl="1s" if how == "expired"
                   else "1h").ok(200)
        end(task)
        wait_until(lambda t=task, h=how: bot.get(f"/v1/tasks/{t}").ok()["state"]
                   == h, f"the task to be {how}")
        assert grants(authority)[done["grant"]["id"]]["state"] == "ended"
        assert not holds(authority, "lunch-list", member)


def test_ending_one_task_removes_what_another_holds_or_what_stood_before(
        make_authority):
    authority = make_authority().found()
    bot = authority.agent("hr-bot")
    one, two, shared, before = (bot.open_task(), bot.open_task(), somebody(),
                                somebody())
    stories.change_target(authority, (group("lunch-list"), before))
    add(bot, one, "lunch-list", shared).ok(200)
    add(bot, two, "lunch-list", shared).ok(200)
    assert add(bot, one, "lunch-list", before).ok(200)["state"] == "no_change"
    bot.complete(one).ok(200)
    assert holds(authority, "lunch-list", shared)
    assert holds(authority, "lunch-list", before)
    bot.complete(two).ok(200)
    assert not holds(authority, "lunch-list", shared)
    assert holds(authority, "lunch-list", before)


def test_an_effect_has_no_armed_leaf_or_an_armed_leaf_no_end(here, bot):
    """Everything this module did: what the target was told to do, the log armed
    first; what the log armed, it closed."""
    rows = [row for row in bot.get("/v1/requests").ok()["requests"]
            if row.get("outcome", {}).get("effect") == "applied"]
    kinds = stories.leaves(here)
    for row in rows:
        armed = row["evidence"]["armed"]["index"]
        outcome = row["evidence"]["outcome"]["index"]
        assert kinds[armed]["kind"] == "armed" and armed < outcome
        assert kinds[armed]["about"] == kinds[outcome]["about"] == row["id"]
    assert rows and open_armed(here) == []
    done = here.verify()
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("fault, end", [("die-before", "failed"),
                                        ("die-after", "done")])
def test_a_killed_process_hides_an_effect(tmp_path, fault, end):
    with stories.impatient(tmp_path / "a") as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        stories.set_faults(authority, apply=fault)
        request = add(bot, task, "lunch-list", member).ok(202)
        assert request["state"] == "unknown"
        authority.restart(crash=True)
        bot.wait(request["id"], end)
        assert holds(authority, "lunch-list", member) == (end == "done")
        assert open_armed(authority) == []


def small_disk(folder, size):
    """A file system of its own for a folder; skips where that may not be."""
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "writ",
                           str(folder)], capture_output=True, check=False)
    if done.returncode != 0:
        pytest.skip("may not mount a file system")


def test_a_full_disk_hides_an_effect(tmp_path):
    disk = tmp_path / "disk"
    small_disk(disk, "48m")
    made = harness.Authority(folder=tmp_path / "a",
                             bundle_options=("--bench",))
    try:
        shutil.move(made.data, disk / "data")
        made.data = disk / "data"
        made.write_config(data=str(made.data))
        made.start()
        made.found()
        fill_and_see(made, disk)
    finally:
        made.close()
        subprocess.run(["umount", "-l", str(disk)], check=False)


def fill_and_see(authority, disk):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    first = add(bot, task, "lunch-list", somebody()).ok(200)
    waste = disk / "waste"
    with open(waste, "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"x" * 65536)
        except OSError:
            pass
    told = []
    for _ in range(400):
        member = somebody()
        try:
            answer = add(bot, task, "lunch-list", member, wait=5)
        except OSError:
            break  # it ended rather than go on without its log
        told.append((member, answer))
        if answer.status != 200:
            break
    assert told[-1][1].status != 200 or authority.process.poll() is not None
    waste.unlink()
    if authority.process.poll() is not None:
        authority._end_children()  # pylint: disable=protected-access
        authority.start()
        authority.human("ada").session = None
    wait_until(lambda: authority.health()["status"] == "ok", "it to recover")
    wait_until(lambda: authority.health()["unknown"] == 0, "what was in flight")
    for member, answer in told:
        if answer.status == 200 and answer.body["state"] == "done":
            assert holds(authority, "lunch-list", member)
            assert bot.show(answer.body["id"])["state"] == "done"
    assert bot.show(first["id"])["state"] == "done"
    known = {row["parameters"]["member"] for row in
             grants(authority).values()}
    assert {member for _, member in stories.memberships(authority)} <= known
    assert open_armed(authority) == []
    assert add(bot, task, "lunch-list", somebody()).ok(200)["state"] == "done"


def test_a_restored_backup_or_a_truncated_log_hides_an_effect(make_authority):
    authority = make_authority().found()
    bot = authority.agent("hr-bot")
    done = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    stories.tree(authority, done["evidence"]["outcome"]["index"])
    assert authority.stop() == 0
    authority._end_children()  # pylint: disable=protected-access
    database = sqlite3.connect(authority.data / "state.db")
    for (name,) in database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        database.execute(f"DROP TRIGGER {name}")
    index = done["evidence"]["armed"]["index"]
    entries = [row[0] for row in database.execute(
        "SELECT hash FROM leaf WHERE idx < ? ORDER BY idx", (index,))]
    database.execute("DELETE FROM leaf WHERE idx >= ?", (index,))
    database.execute("DELETE FROM checkpoint WHERE size > ?", (index,))
    database.execute("UPDATE head SET size = ?, root = ?",
                     (index, stories.tlog.root_of(entries)))
    database.commit()
    database.close()
    authority.start(wait=False)
    assert authority.wait_for_end() != 0
    assert "rollback" in authority.log() or "corrupt" in authority.log().lower()


def test_a_connector_takes_the_authoritys_word_for_peoples_signatures(
        make_authority):
    """The connector's own list of people does not have who signed."""
    authority = make_authority()
    authority.write_approvers(["carol", "oscar"])
    authority.found()
    stories.restart_connector(authority)
    bot, member = authority.agent("hr-bot"), somebody()
    request = waiting(authority, member=member)
    authority.human("bob").approve(request["id"], "iam-approvers").ok()
    failed = bot.wait(request["id"], "failed")
    assert failed["outcome"]["effect"] == "none"
    assert not holds(authority, "mail-admins", member)
    assert open_armed(authority) == []


def test_two_at_once_get_what_one_may_have(here, bot):
    """The same signature sent many times at once counts once."""
    request = waiting(here, "domain-admins")
    bob = here.human("bob")
    forms = [bob.sign("approval", request=request["id"],
                      digest=request["digest"], group="iam-approvers",
                      decision="approve", reason="", at=moment())
             for _ in range(4)]
    statuses = []
    threads = [threading.Thread(target=lambda f=form: statuses.append(here.call(
        "POST", f"/v1/requests/{request['id']}/approvals", f).status))
        for form in forms]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [202, 409, 409, 409]
    assert len(bot.show(request["id"])["approvals"]) == 1


def test_a_late_end_of_a_request_brings_a_grant_to_a_closed_task(tmp_path):
    with stories.impatient(tmp_path / "a", 3) as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        stories.set_faults(authority, apply="hang-after")
        thread = threading.Thread(target=add, args=(bot, task, "lunch-list",
                                                    member))
        thread.start()
        wait_until(lambda: holds(authority, "lunch-list", member), "the effect")
        authority.write_connector(faults=None)  # for the next one
        completed = bot.complete(task).ok(200, 202)
        thread.join()
        wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
                   == "completed", "the task to complete")
        assert not holds(authority, "lunch-list", member), completed
        for ident in grants(authority):
            grant_state(authority, ident, "ended")


def test_evidence_is_taken_on_the_agents_word(here, bot):
    task = bot.open_task()
    body = bot.request_body(task, "AddToGroup", group("contractors"),
                            somebody())
    for more in ({"evidence": ["owner_ack"]}, {"ticket": "T-1"},
                 {"owner_ack": True}):
        bot.call("POST", "/v1/requests", {**body, **more}).refused(422)
    bot.attach(task, "erin has acknowledged this").ok(201)
    bot.call("POST", "/v1/requests?wait=5", body).refused(403, "denied")
    vouch(here, "contractors")
    bot.call("POST", "/v1/requests?wait=20", body).ok(200)
