"""A wall clock that is stepped stops arming until it stands still, says so in
two leaves, and holds up no end.  Only the daemon and the keeper see the step (a
library before them changes what they read); the connector is on a machine whose
clock is right."""
import pathlib
import re
import sys
import threading

import pytest

sys.path[:0] = [str(pathlib.Path(__file__).parents[1] / "crash")]

# pylint: disable=wrong-import-position
import harness
import inject
import shim
import stories
from harness import wait_until
from stories import add, grant_state, holds, open_armed, somebody, verified

WHY = "the clock was stepped"
STEPS = [2_000, -2_000, 3_600_000, -3_600_000]  # milliseconds


@pytest.fixture
def lies(tmp_path):
    if not harness.built("writ", "writd", "writ-keeper", "writ-connect-null"):
        pytest.skip("needs a build")
    reason = shim.why_not()
    if reason:
        pytest.skip(reason)
    return shim.Shim(tmp_path)


@pytest.fixture
def authority(lies, tmp_path):
    made = inject.Authority(folder=tmp_path / "authority",
                            bundle_options=("--bench",))
    with lies.over(made, "writd", "keeper"):
        yield made.found()


def said(authority):
    """The daemon's own words: 1 for a step, 0 once the clock stood still."""
    return [int(number) for number in re.findall(
        r"event=clock stepped=(\d)", authority.log())]


def told(authority):
    return [leaf["on"] for leaf in stories.leaves(authority)
            if leaf["kind"] == "degraded" and leaf["why"] == WHY]


def step(authority, lies, ms):
    """A step, and until it is over.  Not by a call: an hour away no token is
    good."""
    before = said(authority)
    lies.step(ms)
    wait_until(lambda: said(authority) == before + [1, 0],
               "a step and its end")


def armed_while_degraded(authority):
    """Requests (not ends) that were armed between the two leaves."""
    found, degraded = [], False
    for leaf in stories.leaves(authority):
        if leaf["kind"] == "degraded":
            degraded = leaf["on"]
        elif (leaf["kind"] == "armed" and degraded
              and leaf["about"].startswith("req_")):
            found.append(leaf["about"])
    return found


def asks_until(authority, stop, done):
    """Somebody who asks all the time, whatever the answer is."""
    bot = authority.agent("hr-bot")
    task = bot.open_task(ttl="4h")
    while not stop.is_set():
        answer = add(bot, task, "lunch-list", somebody(), wait=0)
        done.append(answer.status)


@pytest.mark.parametrize("ms", STEPS)
def test_a_step_and_back_are_two_leaves_each_and_nothing_is_armed_between(
        authority, lies, ms):
    stop, statuses = threading.Event(), []
    asking = threading.Thread(target=asks_until,
                              args=(authority, stop, statuses))
    asking.start()
    try:
        wait_until(lambda: 200 in statuses or 202 in statuses, "some load")
        step(authority, lies, ms)
        step(authority, lies, -ms)
        count = len(statuses)
        wait_until(lambda: set(statuses[count:]) & {200, 202},
                   "arming after the step")
    finally:
        stop.set()
        asking.join(60)
    for name in harness.PEOPLE:  # an hour later sessions were over
        authority.human(name).session = None
    assert told(authority) == [True, False, True, False]
    assert armed_while_degraded(authority) == []
    bot, member = authority.agent("hr-bot"), somebody()
    assert add(bot, bot.open_task(), "lunch-list",
               member).ok(200)["state"] == "done"
    wait_until(lambda: not open_armed(authority), "an end of all")
    assert verified(authority)


@pytest.mark.parametrize("ms", STEPS[2:])
def test_a_grant_lasts_as_long_as_it_was_given_for(authority, lies, ms):
    """An hour more or less on the wall neither ends it nor keeps it."""
    bot, short, long = authority.agent("hr-bot"), somebody(), somebody()
    task = bot.open_task()
    ended = add(bot, task, "lunch-list", short, ttl="5s").ok(200)
    add(bot, task, "lunch-list", long, ttl="15m").ok(200)
    step(authority, lies, ms)
    wait_until(lambda: not holds(authority, "lunch-list", short), "its end")
    assert holds(authority, "lunch-list", long)
    step(authority, lies, -ms)
    for name in harness.PEOPLE:
        authority.human(name).session = None
    grant_state(authority, ended["grant"]["id"], "ended")
    assert holds(authority, "lunch-list", long)
    assert open_armed(authority) == [] and verified(authority)


def test_while_the_clock_keeps_jumping_nothing_is_armed_and_ends_go_on(
        authority, lies):
    bot, member = authority.agent("hr-bot"), somebody()
    task, other = bot.open_task(), bot.open_task()
    held = add(bot, task, "lunch-list", member).ok(200)
    stop = threading.Event()

    def jump():
        while not stop.wait(0.2):
            lies.step(2_000)

    jumping = threading.Thread(target=jump)
    jumping.start()
    try:
        wait_until(lambda: authority.health()["status"] == "degraded",
                   "the step to be noticed")
        assert WHY in authority.health()["why"]
        refused = somebody()
        problem = add(bot, other, "lunch-list", refused).refused(403, "denied")
        assert WHY in problem["detail"]
        assert bot.complete(task).ok(200)["state"] == "completed"
        grant_state(authority, held["grant"]["id"], "ended")
        assert not holds(authority, "lunch-list", member)
        assert authority.health()["status"] == "degraded"
    finally:
        stop.set()
        jumping.join()
    lies.step(-lies.offset_ms)
    wait_until(lambda: authority.health()["status"] == "ok", "the clock")
    assert armed_while_degraded(authority) == []
    assert not holds(authority, "lunch-list", refused)
    assert add(bot, other, "lunch-list", refused).ok(200)["state"] == "done"
    assert open_armed(authority) == [] and verified(authority)
