"""Containment: one signature stops it, every point is proved, two let go."""
import copy
import socket
import threading

import pytest

import harness
import stories
from harness import TARGET, group, wait_until
from stories import (add, grant_state, grants, holds, impatient, open_armed,
                     somebody, verified, waiting)


def contained(authority, kind, name, by="ada"):
    return authority.human(by).contain(kind, name).ok(201)


def points(authority, containment, **wanted):
    """The points once all of a kind are in one of the states wanted."""
    def settled():
        rows = authority.human("ada").get(
            f"/v1/containments/{containment['id']}").ok()["points"]
        right = all(row["state"] in wanted[row["kind"]] for row in rows
                    if row["kind"] in wanted)
        return rows if right else None
    return wait_until(settled, f"points to be {wanted}")


def open_task(bot):
    return bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "go on", "targets": [TARGET],
        "ttl": "1h"})


def test_an_agent_is_stopped_and_each_point_is_proved(authority):
    bot = authority.agent("hr-bot")
    one, two = bot.open_task(), bot.open_task()
    members = [somebody() for _ in range(3)]
    placed = [add(bot, task, "lunch-list", member).ok(200)
              for task, member in zip((one, one, two), members)]
    request = waiting(authority, bot=bot, task=two)
    stopped = contained(authority, "agent", "hr-bot")
    assert stories.has_leaf(authority, stopped["evidence"])
    rows = points(authority, stopped, grant=["ended"], request=["cancelled"],
                  task=["ended"])
    found = {(row["kind"], row["id"]) for row in rows}
    assert found == ({("grant", done["grant"]["id"]) for done in placed} |
                     {("task", one), ("task", two), ("request", request["id"])})
    assert all(stories.has_leaf(authority, row["evidence"]) for row in rows)
    for member in members:
        assert not holds(authority, "lunch-list", member)
    assert bot.show(request["id"])["state"] == "cancelled"
    assert open_armed(authority) == [] and verified(authority)


def test_nothing_of_it_arms_any_more(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    request = waiting(authority, bot=bot)
    contained(authority, "agent", "hr-bot")
    armed = sum(leaf["kind"] == "armed" for leaf in stories.leaves(authority))
    open_task(bot).refused(403, "denied")
    assert add(bot, task, "lunch-list", somebody()).status in (404, 409)
    authority.human("bob").approve(request["id"], "iam-approvers",
                                   digest=request["digest"]).refused(409)
    assert sum(leaf["kind"] == "armed"
               for leaf in stories.leaves(authority)) == armed
    # It may still see what became of its requests.
    assert bot.show(request["id"])["state"] == "cancelled"


def test_others_go_on(authority):
    other = authority.agent("adviser")
    contained(authority, "agent", "hr-bot")
    advice = add(other, other.open_task(), "lunch-list", somebody(),
                 mode="recommend").ok(200)
    assert advice["state"] == "recommended"
    # A human cannot adopt it into the contained agent.
    authority.human("alice").adopt(advice["id"], advice["digest"],
                                   "tsk_none").refused(409)


def test_a_task_is_stopped_alone(authority):
    bot = authority.agent("hr-bot")
    one, two, member, kept = (bot.open_task(), bot.open_task(), somebody(),
                              somebody())
    add(bot, one, "lunch-list", member).ok(200)
    other = add(bot, two, "lunch-list", kept).ok(200)
    stopped = contained(authority, "task", one)
    points(authority, stopped, grant=["ended"], task=["ended"])
    assert not holds(authority, "lunch-list", member)
    assert holds(authority, "lunch-list", kept)
    assert grants(authority)[other["grant"]["id"]]["state"] == "active"
    assert add(bot, one, "lunch-list", somebody()).status in (404, 409)
    add(bot, two, "lunch-list", somebody()).ok(200)


def test_what_another_task_holds_goes_on_standing(authority):
    bot = authority.agent("hr-bot")
    one, two, member = bot.open_task(), bot.open_task(), somebody()
    done = add(bot, one, "lunch-list", member).ok(200)
    add(bot, two, "lunch-list", member).ok(200)
    stopped = contained(authority, "task", one)
    rows = points(authority, stopped, grant=["held by another task"])
    assert done["grant"]["id"] in [row["id"] for row in rows]
    assert holds(authority, "lunch-list", member)


def test_what_was_in_flight_ends_as_soon_as_it_is_known(tmp_path):
    with impatient(tmp_path / "a", 2) as authority:
        authority.found()
        bot, member, task = (authority.agent("hr-bot"), somebody(), None)
        task = bot.open_task()
        stories.set_faults(authority, apply="hang-after")
        thread = threading.Thread(target=add, args=(bot, task, "lunch-list",
                                                    member))
        thread.start()
        wait_until(lambda: holds(authority, "lunch-list", member), "the effect")
        stopped = contained(authority, "agent", "hr-bot")
        authority.write_connector(faults=None)  # for the next one
        thread.join()
        rows = points(authority, stopped, grant=["ended"], request=["done"],
                      task=["ended"])
        wait_until(lambda: not holds(authority, "lunch-list", member),
                   "what was placed to be gone")
        rows = points(authority, stopped, grant=["ended"], request=["done"],
                      task=["ended"])
        assert {row["kind"] for row in rows} == {"task", "request", "grant"}
        assert all(stories.has_leaf(authority, row["evidence"])
                   for row in rows)
        assert open_armed(authority) == [] and verified(authority)


def test_an_end_that_is_not_confirmed_shows_as_its_point(tmp_path):
    with impatient(tmp_path / "a") as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        done = add(bot, bot.open_task(), "lunch-list", member).ok(200)
        stories.set_faults(authority, plan="unavailable")
        stopped = contained(authority, "agent", "hr-bot")
        rows = points(authority, stopped, grant=["ending"])
        assert [row for row in rows if row["kind"] == "grant"]
        wait_until(lambda: authority.health()["unconfirmedEnds"] == 1,
                   "an end that is not confirmed")
        stories.set_faults(authority)
        points(authority, stopped, grant=["ended"])
        grant_state(authority, done["grant"]["id"], "ended")
        assert not holds(authority, "lunch-list", member)


def test_letting_go_takes_two_administrators(authority):
    bot = authority.agent("hr-bot")
    stopped = contained(authority, "agent", "hr-bot")
    ada, heidi = authority.human("ada"), authority.human("heidi")
    assert ada.release(stopped["id"]).ok(202)["state"] == "in-force"
    # One person twice is not two.
    ada.release(stopped["id"]).refused(409, "signed-already")
    open_task(bot).refused(403, "denied")
    for name in ("alice", "bob", "erin"):
        authority.human(name).release(stopped["id"]).refused(403)
    released = heidi.release(stopped["id"]).ok(200)
    assert released["state"] == "released"
    assert stories.has_leaf(authority, released["released"])
    task = open_task(bot).ok(201)["id"]
    assert add(bot, task, "lunch-list",
               somebody()).ok(200)["state"] == "done"
    heidi.release(stopped["id"]).refused(404)


def test_a_signature_for_one_containment_releases_no_other(authority):
    one = contained(authority, "agent", "hr-bot")
    other = contained(authority, "agent", "adviser")
    heidi = authority.human("heidi")
    form = heidi.sign("release", containment=one["id"], reason="")
    authority.call("POST", f"/v1/containments/{other['id']}/release",
                   form).refused(404)
    form = heidi.sign("contain", kind="agent", name="hr-bot", reason="")
    authority.call("POST", f"/v1/containments/{one['id']}/release",
                   form).refused(401)


def test_the_owner_stops_their_agent_and_nobody_else_does(authority):
    for name in ("bob", "erin", "frank"):
        authority.human(name).contain("agent", "hr-bot").refused(
            403, "may-not-contain")
    contained(authority, "agent", "hr-bot", by="alice")


@pytest.mark.parametrize("kind, name", [("agent", "nobody"),
                                        ("task", "tsk_none")])
def test_what_is_not_there_cannot_be_stopped(authority, kind, name):
    authority.human("ada").contain(kind, name).refused(403, "may-not-contain")


def test_a_released_agent_gets_nothing_back(authority):
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    request = waiting(authority, bot=bot, task=task)
    add(bot, task, "lunch-list", member).ok(200)
    stopped = contained(authority, "agent", "hr-bot")
    points(authority, stopped, grant=["ended"], task=["ended"])
    for name in ("ada", "heidi"):
        authority.human(name).release(stopped["id"]).ok()
    assert bot.show(request["id"])["state"] == "cancelled"
    assert bot.get(f"/v1/tasks/{task}").ok()["state"] == "contained"
    assert (group("lunch-list"), member) not in stories.memberships(authority)


def set_status(authority, name, status, by):
    person = copy.deepcopy(authority.inventory("Human", name, by[0]).ok())
    person["spec"]["status"] = status
    authority.apply([person], by=by)


def test_a_release_by_somebody_who_left_does_not_count(authority):
    carol = copy.deepcopy(authority.inventory("Human", "carol").ok())
    carol["spec"]["groups"].append("administrators")
    authority.apply([carol])
    stopped = contained(authority, "agent", "hr-bot")
    authority.human("ada").release(stopped["id"]).ok(202)
    set_status(authority, "ada", "suspended", ("heidi", "carol"))
    told = authority.human("heidi").release(stopped["id"]).ok(202)
    assert told["signers"] == ["heidi"] and told["state"] == "in-force"
    open_task(authority.agent("hr-bot")).refused(403, "denied")
    authority.human("carol").release(stopped["id"]).ok(200)
    open_task(authority.agent("hr-bot")).ok(201)


def test_a_release_older_than_an_hour_does_not_count(authority):
    stopped = contained(authority, "agent", "hr-bot")
    authority.human("ada").release(stopped["id"]).ok(202)
    authority.stop()
    signed, = stories.document(authority, "containment",
                               stopped["id"])["releases"]
    signed["atMs"] -= 3600 * 1000 + 1
    stories.edit_document(authority, "containment", stopped["id"],
                          releases=[signed])
    authority.restart()
    told = authority.human("heidi").release(stopped["id"]).ok(202)
    assert told["signers"] == ["heidi"]
    # Who signed too early signs again.
    authority.human("ada").release(stopped["id"]).ok(200)


def test_containment_holds_with_a_bundle_that_has_no_quarantine(authority):
    """One that was activated before bundles were tried for it."""
    authority.stop()
    active = stories.document(authority, "bundle", "active")
    spec = active["spec"]
    spec["templates"] = spec["templates"].replace("t01-quarantine", "t01-no")
    files = {name: spec[name] for name in ("schema", "policies", "invariants",
                                           "templates")}
    stories.edit_document(authority, "bundle", "active", spec=spec,
                          digest=harness.digest(harness.canonical(files)))
    authority.restart()
    bot = authority.agent("hr-bot")
    authority.human("ada").session = None
    task = bot.open_task()
    stopped = contained(authority, "agent", "hr-bot")
    points(authority, stopped, task=["ended"])

    def degraded():
        return [leaf["on"] for leaf in stories.leaves(authority)
                if leaf["kind"] == "degraded"]
    assert degraded() == [True]
    open_task(bot).refused(403, "denied")
    assert add(bot, task, "lunch-list", somebody()).status in (404, 409)
    # It starts again, and it is still contained.
    authority.restart()
    authority.human("ada").session = None
    open_task(bot).refused(403, "denied")
    for name in ("ada", "heidi"):
        authority.human(name).release(stopped["id"]).ok()
    assert degraded() == [True, True, False]
    open_task(bot).ok(201)


def test_a_start_that_fails_after_loading_ends_in_order(authority):
    bot = authority.agent("hr-bot")
    tasks = [bot.open_task() for _ in range(3)]
    for task in tasks:
        add(bot, task, "lunch-list", somebody()).ok(200)
    stopped = contained(authority, "agent", "hr-bot")
    authority.stop()
    # As if it had stopped before anything had followed.
    for task in tasks[:2]:
        stories.edit_document(authority, "task", task, state="ending")
    stories.edit_document(authority, "task", tasks[2], state="open")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address, port = taken.getsockname()
        authority.write_config(listen=f"{address}:{port}")
        authority.start(wait=False)
        assert authority.wait_for_end() == 1, authority.log()
    assert "Sanitizer" not in authority.log()
    assert "cannot-run" in authority.log()
    authority.write_config(listen="127.0.0.1:0")
    authority.start()
    authority.human("ada").session = None
    wait_until(lambda: {bot.get(f"/v1/tasks/{task}").ok()["state"]
                        for task in tasks} == {"contained"},
               "the tasks to end")
    assert stopped["id"] and verified(authority)
