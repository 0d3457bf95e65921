"""What a connector can do wrong, and that every armed execution has an end or
is visibly unknown.  The connector has one second for an answer here."""
import threading
from concurrent import futures

import pytest

import stories
from harness import wait_until
from stories import (add, grant_state, grants, holds, impatient, open_armed,
                     remove, somebody, verified)


@pytest.fixture
def authority(tmp_path):
    with impatient(tmp_path / "authority") as made:
        yield made.found()


def told(bot, task, member, **more):
    """The request, whatever the first answer was."""
    answer = add(bot, task, "lunch-list", member, **more)
    return answer.ok(200, 202)


SILENT = ["die-before", "hang", "flood", "malformed", "unavailable"]


def did_nothing(folder, fault):
    with impatient(folder) as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        stories.set_faults(authority, apply=fault)
        request = told(bot, task, member)
        assert request["state"] == "unknown", fault
        assert request["outcome"]["effect"] == "unknown", fault
        assert authority.health()["unknown"] == 1, fault
        failed = bot.wait(request["id"], "failed")
        assert failed["outcome"]["effect"] == "none", fault
        assert "grant" not in failed, fault
        assert not holds(authority, "lunch-list", member), fault
        # Read, never tried again.
        assert len(stories.armed_for(authority, request["id"])) == 1, fault
        assert open_armed(authority) == [] and verified(authority), fault


def test_an_apply_that_did_nothing_is_unknown_until_it_was_read_and_failed(
        tmp_path):
    """All at once: each takes as long as it takes to be sure."""
    with futures.ThreadPoolExecutor(len(SILENT)) as pool:
        list(pool.map(lambda fault: did_nothing(tmp_path / fault, fault),
                      SILENT))


@pytest.mark.parametrize("fault", ["die-after", "hang-after"])
def test_an_apply_that_did_it_and_said_nothing_is_found_done(authority, fault):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    stories.set_faults(authority, apply=fault)
    request = told(bot, task, member)
    assert request["state"] == "unknown"
    done = bot.wait(request["id"], "done")
    assert holds(authority, "lunch-list", member)
    # What was found is Writ's to end.
    stories.set_faults(authority)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert grants(authority)[done["grant"]["id"]]["state"] == "ended"
    assert not holds(authority, "lunch-list", member)
    assert open_armed(authority) == [] and verified(authority)


def test_an_apply_that_lies_is_partial(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    stories.set_faults(authority, apply="lie")
    partial = told(bot, task, member)
    assert partial["state"] == "partial"
    assert partial["outcome"]["effect"] == "differs"
    assert open_armed(authority) == []
    stories.set_faults(authority)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert verified(authority)


def test_a_removal_that_lies_leaves_the_grant_standing_until_it_is_gone(
        authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    done = told(bot, task, member)
    stories.set_faults(authority, apply="lie")
    undo = bot.rollback(done["id"]).ok(200)
    assert undo["state"] == "partial" and holds(authority, "lunch-list", member)
    assert bot.show(done["id"])["state"] == "done"
    assert grants(authority)[done["grant"]["id"]]["state"] == "active"
    stories.set_faults(authority)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert not holds(authority, "lunch-list", member)


def test_a_read_back_that_fails_is_unknown_until_it_works(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    stories.set_faults(authority, read="hang")
    request = told(bot, bot.open_task(), member)
    assert request["state"] == "unknown"
    assert len(open_armed(authority)) == 1
    stories.set_faults(authority)
    bot.wait(request["id"], "done")
    assert open_armed(authority) == [] and verified(authority)


def test_a_read_back_that_lies_is_partial_and_still_ends(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    stories.set_faults(authority, read="lie")
    assert told(bot, task, member)["state"] == "partial"
    stories.set_faults(authority)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert not holds(authority, "lunch-list", member)


@pytest.mark.parametrize("fault", SILENT)
def test_a_target_that_cannot_be_read_is_a_denial_that_says_so(authority,
                                                               fault):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    stories.set_faults(authority, plan=fault)
    problem = add(bot, task, "lunch-list", member).refused(403, "denied")
    decision = problem["request"]["decision"]
    assert decision["cause"] == "unavailable" and decision["retry"]
    assert stories.armed_for(authority, problem["request"]["id"]) == []
    stories.set_faults(authority)
    assert told(bot, task, member)["state"] == "done"


def stay_unknown(authority, member, task=None):
    """A request whose outcome nobody can read."""
    bot = authority.agent("hr-bot")
    task = task or bot.open_task()
    stories.set_faults(authority, apply="die-before", read="unavailable")
    request = told(bot, task, member)
    assert request["state"] == "unknown"
    return request


def resolve(authority, request, outcome, name="alice"):
    """Between two looks; while one is under way it is a conflict."""
    def once():
        answer = authority.human(name).resolve(request["id"], outcome)
        return None if answer.status == 409 else answer
    return wait_until(once, "a moment between two looks")


def test_what_nobody_can_read_stays_visible_and_only_its_owner_closes_it(
        authority):
    request = stay_unknown(authority, somebody())
    bot = authority.agent("hr-bot")
    for name in ("bob", "ada", "erin"):
        resolve(authority, request, "applied", name).refused(
            403, "not-the-owner")
    bot.cancel(request["id"]).refused(409, "in-flight")
    assert bot.show(request["id"])["state"] == "unknown"
    assert len(open_armed(authority)) == 1
    assert resolve(authority, request, "not-applied").ok()["state"] == "failed"
    closed = bot.show(request["id"])
    assert stories.has_leaf(authority, closed["evidence"]["resolved"])
    assert open_armed(authority) == [] and verified(authority)
    authority.human("alice").resolve(request["id"], "applied").refused(404)
    assert len(stories.armed_for(authority, request["id"])) == 1


def test_what_the_owner_says_was_applied_is_held_and_ended(authority):
    member = somebody()
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    request = stay_unknown(authority, member, task)
    done = resolve(authority, request, "applied").ok()
    assert done["state"] == "done" and done["grant"]["id"]
    stories.set_faults(authority)
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert grants(authority)[done["grant"]["id"]]["state"] == "ended"
    assert verified(authority)


def test_a_task_does_not_end_over_what_is_unknown(authority):
    member = somebody()
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    request = stay_unknown(authority, member, task)
    waiter = threading.Thread(target=bot.complete, args=(task,))
    waiter.start()
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"] == "ending",
               "the task to be ending")
    add(bot, task, "lunch-list", somebody()).refused(409, "task-not-open")
    done = resolve(authority, request, "applied").ok()
    # A grant is never born into a closed task: it ends at once.
    stories.set_faults(authority)
    waiter.join()
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
               == "completed", "the task to complete")
    grant_state(authority, done["grant"]["id"], "ended")


def test_an_unknown_removal_is_found_out_like_an_addition(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    done = told(bot, task, member)
    stories.set_faults(authority, apply="die-after")
    undo = bot.rollback(done["id"]).ok(202)
    assert undo["state"] == "unknown"
    bot.wait(undo["id"], "done")
    assert bot.show(done["id"])["state"] == "rolled_back"
    grant_state(authority, done["grant"]["id"], "ended")
    assert open_armed(authority) == [] and verified(authority)


def test_a_drill_that_fails_makes_no_way_back(authority):
    stories.set_faults(authority, apply="lie")
    assert authority.human("ada").drill().ok()["passed"] is False
    stories.set_faults(authority)
    bot = authority.agent("hr-bot")
    request = add(bot, bot.open_task(), "lunch-list", somebody()).ok(202)
    assert request["waitingFor"] == {"security": 1}
    assert open_armed(authority) == []


def test_removing_what_somebody_took_away_first_is_no_change(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    answer = remove(bot, bot.open_task(), "lunch-list", member).ok(200)
    assert answer["state"] == "no_change"
