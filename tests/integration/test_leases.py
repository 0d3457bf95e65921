"""A task that must be kept alive, and what an agent says it did: leases and
reports.  What a lent credential was used for is in test_run.py."""
import json
import time

import stories
from harness import TARGET, moment, wait_until
from stories import add, holds, somebody
from watchers import change

CLASS = "identity-ops"


def opened(bot, lease="5s", **more):
    return bot.call("POST", "/v1/tasks", {
        "class": CLASS, "intent": "new people", "targets": [TARGET],
        "ttl": "1h", "lease": lease, **more}).ok(201)


def renew(bot, task):
    return bot.call("POST", f"/v1/tasks/{task}/lease")


def report(bot, task, *effects, key=None):
    return bot.call("POST", f"/v1/tasks/{task}/effects",
                    {"effects": list(effects)}, key=key)


def state_of(bot, task):
    return bot.get(f"/v1/tasks/{task}").ok()["state"]


def ended(bot, task, how):
    return wait_until(lambda: (lambda t: t if t["state"] == how else None)(
        bot.get(f"/v1/tasks/{task}").ok()), f"{task} to be {how}")


# ---- leases ----

def test_a_task_that_nobody_renews_ends_with_all_it_holds(authority):
    bot = authority.agent("hr-bot")
    task = opened(bot)["id"]
    member = somebody()
    add(bot, task, "lunch-list", member).ok(200)
    assert holds(authority, "lunch-list", member)
    shown = ended(bot, task, "lapsed")
    assert shown["endedHow"] == "lapsed"
    assert not holds(authority, "lunch-list", member)
    add(bot, task, "lunch-list", somebody()).refused(404, "no-such-task")


def test_a_task_that_is_renewed_goes_on_beyond_its_lease(authority):
    bot = authority.agent("hr-bot")
    task = opened(bot)["id"]
    until = time.monotonic() + 8
    while time.monotonic() < until:
        assert renew(bot, task).ok(200)["until"] > moment()
        time.sleep(0.5)
    assert state_of(bot, task) == "open"


def test_a_lease_runs_anew_after_a_restart(authority):
    bot = authority.agent("hr-bot")
    task = opened(bot, lease="10s")["id"]
    authority.restart()
    assert state_of(bot, task) == "open"
    renew(bot, task).ok(200)
    ended(bot, task, "lapsed")


def test_only_who_has_the_task_renews_it(authority):
    bot = authority.agent("hr-bot")
    task = opened(bot, lease="1h")["id"]
    renew(authority.agent("adviser"), task).refused(404, "no-such-task")
    renew(bot, "tsk_0").refused(404, "no-such-task")


def test_a_task_without_a_lease_or_that_has_ended_is_not_renewed(authority):
    bot = authority.agent("hr-bot")
    renew(bot, bot.open_task()).refused(409, "no-lease")
    task = opened(bot, lease="1h")["id"]
    bot.complete(task).ok(200)
    assert renew(bot, task).status in (404, 409)


def test_a_lease_that_is_too_short_or_too_long_is_refused(authority):
    bot = authority.agent("hr-bot")
    for lease in ("1s", "2h", "soon", ""):
        bot.call("POST", "/v1/tasks", {
            "class": CLASS, "intent": "new people", "targets": [TARGET],
            "lease": lease}).refused(422, "invalid")


# ---- reports ----

INSERTS = {"target": TARGET, "action": "INSERT", "object": "people", "count": 3}


def test_what_an_agent_reports_stands_in_the_return_and_in_the_log(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    member = somebody()
    add(bot, task, "lunch-list", member).ok(200)
    leaf = report(bot, task, INSERTS).ok(201)
    report(bot, task, {"target": TARGET, "action": "DELETE"}).ok(201)
    shown = bot.complete(task).ok(200)["return"]
    assert shown["reported"] == [INSERTS, {"target": TARGET,
                                           "action": "DELETE"}]
    assert [(row["action"], row["effect"]) for row in shown["changed"]] == [
        ("AddToGroup", "applied")]
    assert shown["lent"] == shown["observed"] == shown["differences"] == []
    kept = json.loads(authority.leaf(leaf["index"])["leaf"])
    assert kept["kind"] == "record" and kept["record"] == "effects"


def test_a_class_that_wants_a_report_is_not_completed_without_one(authority):
    change(authority, "taskclass", CLASS, requiresEffects=True)
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    bot.complete(task).refused(409, "report-missing")
    assert state_of(bot, task) == "open"
    report(bot, task).ok(201)
    assert bot.complete(task).ok(200)["return"]["reported"] == []
    # By time it ends all the same, and says that the report is missing.
    silent = opened(bot)["id"]
    assert ended(bot, silent, "lapsed")["return"]["reportMissing"] is True


def test_a_report_sent_twice_with_its_key_counts_once(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    first = report(bot, task, INSERTS, key="k" * 8).ok(201)
    assert report(bot, task, INSERTS, key="k" * 8).ok(201) == first
    report(bot, task, key="k" * 8).refused(422, "key-reused")
    assert bot.complete(task).ok(200)["return"]["reported"] == [INSERTS]


def test_reports_that_are_wrong_or_too_many_are_refused(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    for effect in ({}, {"target": TARGET}, {"action": "X"}, "INSERT",
                   {**INSERTS, "count": -1}, {**INSERTS, "action": "x" * 65},
                   {**INSERTS, "more": 1}, {**INSERTS, "note": "n" * 1025}):
        report(bot, task, effect).refused(422, "invalid")
    report(bot, task, *[INSERTS] * 257).refused(422, "invalid")
    report(bot, task, INSERTS, {**INSERTS, "target": "elsewhere"}).refused(
        422, "no-such-target")
    for _ in range(3):
        report(bot, task, *[INSERTS] * 256).ok(201)
    report(bot, task, *[INSERTS] * 256).refused(422, "too-many")
    report(authority.agent("adviser"), task, INSERTS).refused(404)
    bot.complete(task).ok(200)
    report(bot, task, INSERTS).refused(404, "no-such-task")
