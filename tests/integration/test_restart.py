"""kill -9 at the worst moments, restored backups and truncated logs: nothing
acknowledged is missing, everything armed has an end."""
import os
import shutil
import sqlite3
import threading

import pytest

import harness
import stories
from harness import group, wait_until
from stories import (add, connector_pids, grant_state, grants, holds,
                     impatient, open_armed, somebody, verified, waiting)

# Longer than any test waits: the connector is stopped where it hangs.
HANGING = 300


def crash(authority, **faults):
    """Kills the daemon as it is and starts it again; with other faults."""
    pids = connector_pids(authority)
    authority.kill()
    for pid in pids:
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            pass
    authority.write_connector(faults=faults or None)
    authority.restart(crash=True)
    # Sessions do not outlive it.
    for name in harness.PEOPLE:
        authority.human(name).session = None
    wait_until(lambda: stories.is_up(authority), "the connector")


def in_background(call, *arguments, **more):
    """A call whose answer never comes because the daemon is killed."""
    def forgiving():
        try:
            call(*arguments, **more)
        except OSError:
            pass
        except Exception as error:  # pylint: disable=broad-except
            if "RemoteDisconnected" not in repr(error):
                raise
    thread = threading.Thread(target=forgiving)
    thread.start()
    return thread


def references(authority, request):
    return [authority.leaf(row["index"]) for _, row in
            sorted(request["evidence"].items())]


def hold_at(authority, bot, task, member, **faults):
    """A request whose armed order hangs in the connector; its id."""
    stories.set_faults(authority, **faults)
    thread = in_background(add, bot, task, "lunch-list", member)
    found = wait_until(
        lambda: [row for row in bot.get("/v1/requests").ok()["requests"]
                 if row["state"] == "armed"], "an armed request")
    return found[0], thread


@pytest.fixture
def authority(tmp_path):
    with impatient(tmp_path / "authority", HANGING) as made:
        yield made.found()


def test_killed_between_arming_and_applying(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task, kept = bot.open_task(), somebody()
    done = add(bot, task, "lunch-list", kept).ok(200)
    before = references(authority, done)
    armed, thread = hold_at(authority, bot, task, member, apply="hang")
    crash(authority)
    thread.join()
    shown = bot.show(armed["id"])
    assert shown["state"] in ("unknown", "failed")
    assert bot.wait(armed["id"], "failed")["outcome"]["effect"] == "none"
    assert not holds(authority, "lunch-list", member)
    assert len(stories.armed_for(authority, armed["id"])) == 1
    # What had been told is there, byte for byte.
    assert references(authority, bot.show(done["id"])) == before
    assert all(stories.has_leaf(authority, row) for row in before)
    assert holds(authority, "lunch-list", kept)
    assert open_armed(authority) == [] and verified(authority)


def test_killed_between_applying_and_recording(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    armed, thread = hold_at(authority, bot, task, member, apply="hang-after")
    wait_until(lambda: holds(authority, "lunch-list", member), "the effect")
    crash(authority)
    thread.join()
    done = bot.wait(armed["id"], "done")
    assert done["grant"]["id"] and holds(authority, "lunch-list", member)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert not holds(authority, "lunch-list", member)
    assert open_armed(authority) == [] and verified(authority)


def test_killed_while_a_grant_was_being_ended(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    done = add(bot, task, "lunch-list", member).ok(200)
    stories.set_faults(authority, apply="hang-after")
    thread = in_background(bot.complete, task)
    wait_until(lambda: not holds(authority, "lunch-list", member),
               "the end's effect")
    crash(authority)
    thread.join()
    grant_state(authority, done["grant"]["id"], "ended")
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
               == "completed", "the task to complete")
    assert open_armed(authority) == [] and verified(authority)


def test_grants_whose_time_ran_out_while_it_was_down_end_at_once(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    done = add(bot, task, "lunch-list", member, ttl="1s").ok(200)
    authority.kill()
    ends = done["grant"]["ends"]
    wait_until(lambda: harness.moment() > ends, "the grant's time")
    assert holds(authority, "lunch-list", member)
    crash(authority)
    grant_state(authority, done["grant"]["id"], "ended")
    assert not holds(authority, "lunch-list", member)
    assert bot.complete(task).ok(200)["state"] == "completed"


def test_a_tasks_window_that_ran_out_while_it_was_down_ends_it(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task(ttl="2s")
    done = add(bot, task, "lunch-list", member, ttl="1s").ok(200)
    authority.kill()
    expires = harness.moment(2)
    wait_until(lambda: harness.moment() > expires, "the task's window")
    crash(authority)
    grant_state(authority, done["grant"]["id"], "ended")
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"] == "expired",
               "the task to expire")


def test_what_waits_for_people_goes_on_waiting(authority):
    member = somebody()
    bot = authority.agent("hr-bot")
    request = waiting(authority, "domain-admins", member)
    authority.human("bob").approve(request["id"], "iam-approvers").ok(202)
    crash(authority)
    shown = bot.show(request["id"])
    assert (shown["state"], shown["digest"]) == ("waiting", request["digest"])
    assert [a["human"] for a in shown["approvals"]] == ["bob"]
    assert shown["expires"] == request["expires"]
    authority.human("bob").approve(request["id"], "iam-approvers",
                                   digest=shown["digest"]).refused(
                                       409, "signed-already")
    authority.human("dave").approve(request["id"], "iam-approvers").ok(202)
    authority.human("carol").approve(request["id"], "security").ok()
    bot.wait(request["id"], "done")
    assert holds(authority, "domain-admins", member)


def test_what_was_signed_in_full_runs_without_signing_again(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    request = waiting(authority, member=member)
    stories.set_faults(authority, plan="hang")
    thread = in_background(authority.human("bob").approve, request["id"],
                           "iam-approvers", digest=request["digest"])
    wait_until(lambda: [a["human"] for a in
                        authority.human("ada").get(
                            f"/v1/requests/{request['id']}").ok()["approvals"]]
               == ["bob"], "the signature")
    crash(authority)
    thread.join()
    done = bot.wait(request["id"], "done")
    assert done["digest"] == request["digest"]
    assert holds(authority, "mail-admins", member)
    assert verified(authority)


def test_signing_while_the_target_is_down_loses_no_signature(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    request = waiting(authority, member=member)
    good = (authority.folder / "connector.yaml").read_text()
    (authority.folder / "connector.yaml").write_text("not: [right")
    for pid in connector_pids(authority):
        os.kill(pid, 9)
    wait_until(lambda: not stories.is_up(authority), "the connector to be gone")
    answer = authority.human("bob").approve(request["id"], "iam-approvers")
    assert answer.ok(202)["state"] == "waiting"
    (authority.folder / "connector.yaml").write_text(good)
    bot.wait(request["id"], "done")
    assert holds(authority, "mail-admins", member)


def test_what_serves_once_has_served_after_a_crash_too(authority):
    bot = authority.agent("hr-bot")
    task, member, key = bot.open_task(), somebody(), os.urandom(8).hex()
    token = bot.token()
    body = bot.request_body(task, "AddToGroup", group("lunch-list"), member)
    done = bot.call("POST", "/v1/requests?wait=20", body, key=key,
                    token=token).ok(200)
    request = waiting(authority, "domain-admins")
    bob = authority.human("bob")
    form = bob.sign("approval", request=request["id"],
                    digest=request["digest"], group="iam-approvers",
                    decision="approve", reason="")
    path = f"/v1/requests/{request['id']}/approvals"
    authority.call("POST", path, form).ok(202)
    crash(authority)
    again = bot.call("POST", "/v1/requests?wait=20", body, key=key,
                     token=token).ok(200)
    assert again["id"] == done["id"]
    other = {**body, "parameters": {"member": somebody()}}
    bot.call("POST", "/v1/requests", other, token=token).refused(
        401, "replayed")
    bot.call("POST", "/v1/requests", other, key=key).refused(422, "key-reused")
    authority.call("POST", path, form).refused(401, "replayed")


def test_a_key_never_stands_for_what_was_lost(authority):
    """Killed before anything of the request was durable: the same call again
    is a new request, and runs once."""
    bot = authority.agent("hr-bot")
    task, member, key = bot.open_task(), somebody(), os.urandom(8).hex()
    stories.set_faults(authority, plan="hang")
    thread = in_background(add, bot, task, "lunch-list", member, key=key)
    wait_until(lambda: authority.health()["openRequests"] == 1, "the request")
    crash(authority)
    thread.join()
    assert add(bot, task, "lunch-list", member, key=key).ok(200)["state"] == \
        "done"


def test_containment_holds_after_a_crash(authority):
    bot = authority.agent("hr-bot")
    task, member = bot.open_task(), somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    contained = authority.human("ada").contain("agent", "hr-bot").ok(201)
    crash(authority)
    grant_state(authority, done["grant"]["id"], "ended")
    assert not holds(authority, "lunch-list", member)
    bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "go on", "targets": [harness.TARGET],
        "ttl": "1h"}).refused(403)
    shown = authority.human("ada").get(
        f"/v1/containments/{contained['id']}").ok()
    assert shown["state"] == "in-force"
    assert {p["state"] for p in shown["points"] if p["kind"] == "grant"} == {
        "ended"}


def test_changes_that_wait_for_signatures_survive(authority):
    ada, heidi = authority.human("ada"), authority.human("heidi")
    change = [{"kind": "Group", "metadata": {"name": "newcomers"},
               "spec": {"description": "new people"}}]
    proposed = ada.propose(change).ok(202)
    crash(authority)
    heidi.sign_change(proposed["id"], proposed["digest"]).ok(200)
    assert authority.inventory("Group", "newcomers").status == 200


def test_killed_under_load_nothing_acknowledged_is_missing(tmp_path):
    made = harness.Authority(folder=tmp_path / "a",
                             bundle_options=("--bench",))
    with made as authority:
        authority.found()
        bot = authority.agent("hr-bot")
        task, told = bot.open_task(), []
        enough = threading.Event()

        def work():
            while True:
                member = somebody()
                try:
                    answer = add(bot, task, "lunch-list", member)
                except Exception:  # pylint: disable=broad-except
                    return
                if answer.status == 200:
                    told.append((member, answer.body))
                    if len(told) > 60:
                        enough.set()

        threads = [threading.Thread(target=work) for _ in range(6)]
        for thread in threads:
            thread.start()
        assert enough.wait(60)
        authority.kill()
        for thread in threads:
            thread.join()
        crash(authority)
        _, entries = stories.tree(authority, authority.health()["leaves"] - 1)
        for member, request in told:
            assert request["state"] == "done"
            assert bot.show(request["id"])["state"] == "done"
            assert holds(authority, "lunch-list", member)
            for row in request["evidence"].values():
                found = stories.tlog.leaf_hash(entries[row["index"]])
                assert "sha256:" + found.hex() == row["hash"]
        # And nothing stands that the log does not know.
        wait_until(lambda: authority.health()["unknown"] == 0,
                   "what was in flight to be read back")
        known = {bot.show(row["id"])["parameters"]["member"] for row in
                 bot.get("/v1/requests?state=done").ok()["requests"]}
        assert {member for _, member in stories.memberships(authority)} <= known
        assert open_armed(authority) == [] and verified(authority)


# The data folder.

def refuses_to_run(authority):
    authority.start(wait=False)
    status = authority.wait_for_end()
    authority._end_children()  # pylint: disable=protected-access
    assert status != 0, authority.log()
    return authority.log()


def sealed(authority):
    """Waits until the keeper has signed all there is, then stops."""
    stories.tree(authority, authority.health()["leaves"] - 1)
    assert authority.stop() == 0
    authority._end_children()  # pylint: disable=protected-access


def test_a_restored_backup_is_refused_by_the_keeper(authority):
    sealed(authority)
    backup = authority.folder / "backup"
    shutil.copytree(authority.data, backup)
    authority.start()
    authority.human("ada").login()
    sealed(authority)
    shutil.rmtree(authority.data)
    shutil.copytree(backup, authority.data)
    log = refuses_to_run(authority)
    assert "rollback" in log or "behind" in log or "fork" in log, log


def edit(authority, *statements):
    """Edits the database as who owns the machine could."""
    database = authority.data / "state.db"
    connection = sqlite3.connect(database)
    for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


@pytest.mark.parametrize("statement", [
    "DELETE FROM leaf WHERE idx = (SELECT max(idx) FROM leaf)",
    "DELETE FROM leaf WHERE idx = 3",
    "UPDATE leaf SET body = CAST(replace(CAST(body AS TEXT), '\"v\":1',"
    " '\"v\":2') AS BLOB) WHERE idx = 3",
    "UPDATE leaf SET hash = zeroblob(32) WHERE idx = 3",
    "UPDATE head SET root = zeroblob(32)",
    "UPDATE head SET size = size - 1",
])
def test_a_log_that_was_cut_or_changed_is_refused(authority, statement):
    sealed(authority)
    edit(authority, statement)
    refuses_to_run(authority)


def test_a_keeper_that_lost_its_memory_is_no_fresh_start(authority):
    sealed(authority)
    (authority.keeper_folder / "last").unlink()
    refuses_to_run(authority)


def test_an_orderly_stop_leaves_nothing_open(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    done = add(bot, bot.open_task(), "lunch-list", member).ok(200)
    request = waiting(authority)
    sealed(authority)
    authority.start()
    authority.human("ada").session = None
    assert bot.show(request["id"])["state"] == "waiting"
    assert grants(authority)[done["grant"]["id"]]["state"] == "active"
    assert open_armed(authority) == [] and verified(authority)


def test_it_stops_in_order_while_a_grant_is_being_ended(tmp_path):
    with impatient(tmp_path / "a", 3) as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        done = add(bot, task, "lunch-list", member).ok(200)
        stories.set_faults(authority, plan="hang")
        thread = in_background(bot.complete, task)
        grant_state(authority, done["grant"]["id"], "ending")
        assert authority.stop() == 0
        thread.join()
        authority.write_connector(faults=None)
        authority.restart()
        authority.human("ada").session = None
        grant_state(authority, done["grant"]["id"], "ended")
        assert not holds(authority, "lunch-list", member)


# Many at once.

def unknowns(authority):
    """ids of requests whose outcome was recorded as unknown, with repeats."""
    return sorted(leaf["about"] for leaf in stories.leaves(authority)
                  if leaf["kind"] == "outcome"
                  and leaf.get("effect") == "unknown")


def states_of(authority, state):
    return sorted(ident for ident, now in stories.states(
        authority, "requests", authority.agent("hr-bot")).items()
        if now == state)


def test_many_that_were_armed_are_each_recovered_once(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    stories.set_faults(authority, apply="hang")
    # All are armed but one waits in the connector and the others behind it.
    count = 3
    threads = [in_background(add, bot, task, "lunch-list", somebody())
               for _ in range(count)]
    wait_until(lambda: states_of(authority, "armed"), "an armed request")
    armed = states_of(authority, "armed")
    authority.kill()
    for thread in threads:
        thread.join()
    armed = clone(authority, armed[0], 300)
    authority.write_connector(faults=None)
    authority.restart(crash=True)
    authority.human("ada").session = None
    wait_until(lambda: len(unknowns(authority)) >= len(armed),
               "all to be taken up")
    assert unknowns(authority) == armed


def clone(authority, ident, count):
    """Gives the database count requests like ident, each about the data of
    another human; the ids of all that are armed."""
    doc = stories.document(authority, "request", ident)
    doc.pop("asked", None)
    made = [{**doc, "id": f"{ident[:-6]}z{number:05}",
             "gainsHuman": f"somebody-{number:05}"} for number in range(count)]
    stories.put_documents(authority, "request", made, like=ident)
    database = sqlite3.connect(authority.data / "state.db")
    armed = sorted(each for each, in database.execute(
        "SELECT id FROM request WHERE state = 'armed'"))
    database.close()
    return armed


def test_more_that_were_armed_than_there_are_data_keys_at_hand(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    ident, thread = hold_at(authority, bot, task, somebody(), apply="hang")
    authority.kill()
    thread.join()
    armed = clone(authority, ident["id"], 2000)
    authority.write_connector(faults=None)
    authority.restart(crash=True)
    authority.human("ada").session = None
    wait_until(lambda: authority.health()["leaves"] >= 2000,
               "all to be taken up")
    wait_until(lambda: len(unknowns(authority)) >= len(armed),
               "all to be taken up")
    assert unknowns(authority) == armed
    assert authority.process.poll() is None
