"""Detectors: what they may say, what it counts for, and who must be heard."""
import copy
import json
import threading

import pytest

import stories
from harness import TARGET, group, moment, wait_until
from stories import (add, change_target, document, holds, leaves, remove,
                     somebody, verified, waiting)
from watchers import Detector, change, enrol, of_kind, reasons


def risk_of(request):
    return request["decision"].get("risk")


def explain(bot, task, name="contractors"):
    return bot.explain(task, "AddToGroup", group(name), somebody()).ok()


def facts_risk(bot, task, name="lunch-list"):
    return explain(bot, task, name)["facts"]["risk"]


# ---- who may say what ----

def test_a_detector_that_is_not_enrolled_says_nothing(authority):
    stranger = Detector(authority, "stranger")
    stranger.signal(50, agent="hr-bot").refused(401, "unknown-signer")
    stranger.beat().refused(401, "unknown-signer")
    edr = enrol(authority, "edr")
    edr.signal(50, agent="hr-bot").ok(201)


@pytest.mark.parametrize("wrong, status, code", [
    ({"kind": "rumour"}, 403, "may-not-signal"),
    ({"score": 81}, 403, "may-not-signal"),
    ({"score": 101}, 400, "malformed"),
    ({"seconds": -1}, 422, "signal"),
    ({"seconds": 90000}, 422, "signal"),
    ({"agent": "nobody"}, 422, "signal"),
    ({"task": "tsk_none"}, 422, "signal"),
    ({"agent": "hr-bot", "target": TARGET}, 422, "signal"),
    ({"resource": "cn=x", "target": "elsewhere"}, 422, "signal"),
    ({"authority": "other.test/writ"}, 401, "other-authority"),
    ({"at": moment(-3600)}, 401, "stale"),
])
def test_a_signal_outside_its_enrolment_is_refused(authority, wrong, status,
                                                   code):
    edr = enrol(authority, "edr", maxScore=80)
    members = {"score": 40, **wrong}
    if not {"agent", "task", "resource"} & set(members):
        members["agent"] = "hr-bot"
    edr.signal(**members).refused(status, code)
    edr.signal(40, agent="hr-bot").ok(201)


def test_a_signal_serves_once_and_in_its_own_namespace(authority):
    edr = enrol(authority, "edr")
    form = edr.sign("signal", kind="anomaly", subject="agent", name="hr-bot",
                    score=30, expires=moment(60), reason="")
    edr.send(form).ok(201)
    edr.send(form).refused(401, "replayed")
    text = edr.statement("signal", kind="anomaly", subject="agent",
                         name="hr-bot", score=30, expires=moment(60), reason="")
    edr.send(edr.sign_text(text, "writ-admin")).refused(401, "signature")
    # Nor does a detector's key open a session.
    authority.call("POST", "/v1/login", edr.sign_text(
        edr.statement("login"), "writ-login")).refused(400, "malformed")


def test_what_was_said_later_stands_against_what_arrives_later(authority):
    edr = enrol(authority, "edr")
    older = moment(-5)
    edr.signal(60, agent="hr-bot").ok(201)
    edr.signal(10, agent="hr-bot", at=older).refused(409, "older")
    edr.signal(20, agent="hr-bot").ok(201)
    rows = authority.human("ada").get("/v1/signals").ok()["signals"]
    assert [row["score"] for row in rows] == [20]


def test_a_suspended_detector_is_not_heard_and_what_it_said_is_void(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr = enrol(authority, "edr")
    edr.signal(90, agent="hr-bot").ok(201)
    assert facts_risk(bot, task)["score"] == 90
    change(authority, "detector", "edr", status="suspended")
    assert facts_risk(bot, task)["score"] == 0
    edr.signal(90, agent="hr-bot").refused(401, "unknown-signer")


def test_what_a_detector_may_no_longer_say_counts_no_more(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr = enrol(authority, "edr")
    edr.signal(90, agent="hr-bot").ok(201)
    change(authority, "detector", "edr", maxScore=40)
    assert facts_risk(bot, task)["score"] == 40
    change(authority, "detector", "edr", signals=["other"])
    assert facts_risk(bot, task)["score"] == 0


def test_each_signal_leaves_a_leaf_that_names_nobody(authority):
    edr = enrol(authority, "edr")
    said = edr.signal(55, resource=group("lunch-list"),
                      reason="nora looks odd").ok(201)
    assert stories.has_leaf(authority, said["evidence"]["signal"])
    leaf, = of_kind(leaves(authority), "signal")
    assert leaf["detector"] == "edr" and leaf["score"] == 55
    assert leaf["subject"] == "resource" and leaf["signal"] == "anomaly"
    assert "lunch" not in str(leaf) and "nora" not in str(leaf)
    assert verified(authority)


def test_only_administrators_and_auditors_see_the_signals(authority):
    edr = enrol(authority, "edr")
    edr.signal(55, agent="hr-bot").ok(201)
    assert len(authority.human("ada").get("/v1/signals").ok()["signals"]) == 1
    assert authority.human("bob").get("/v1/signals").ok()["signals"] == []
    authority.agent("hr-bot").get("/v1/signals").refused(403, "wrong-caller")


# ---- what it counts for ----

def test_the_score_is_the_highest_over_agent_task_and_what_is_touched(
        authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr, dlp = enrol(authority, "edr", "dlp")
    assert facts_risk(bot, task) == {"score": 0, "signals": 0}
    edr.signal(30, resource=group("lunch-list")).ok(201)
    assert facts_risk(bot, task) == {"score": 30, "signals": 1}
    # Spelt otherwise, it is the same group.
    dlp.signal(35, resource="CN=Lunch-List, OU=groups,dc=EXAMPLE,dc=org").ok(201)
    assert facts_risk(bot, task) == {"score": 35, "signals": 2}
    assert facts_risk(bot, task, "contractors") == {"score": 0, "signals": 0}
    dlp.signal(40, task=task).ok(201)
    assert facts_risk(bot, task)["score"] == 40
    edr.signal(50, agent="hr-bot").ok(201)
    assert facts_risk(bot, task)["score"] == 50
    assert facts_risk(bot, bot.open_task())["score"] == 50


def test_high_risk_adds_no_power_until_it_is_taken_back(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr = enrol(authority, "edr")
    edr.signal(70, agent="hr-bot").ok(201)
    answer = add(bot, task, "lunch-list", somebody())
    assert reasons(answer) == ["g102-risk-ceiling"]
    edr.signal(0, agent="hr-bot").ok(201)
    add(bot, task, "lunch-list", somebody()).ok(200)


def test_a_signal_ends_when_it_expires(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr = enrol(authority, "edr")
    edr.signal(70, agent="hr-bot", seconds=2).ok(201)
    assert facts_risk(bot, task)["score"] == 70
    wait_until(lambda: facts_risk(bot, task)["score"] == 0,
               "the signal to expire")


def contractor(authority):
    """Somebody who stands in contractors since before Writ came."""
    member = somebody()
    change_target(authority, (group("contractors"), member))
    return member


def test_two_detectors_that_agree_let_an_agent_contain_without_asking(
        authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr, dlp = enrol(authority, "edr", "dlp")
    member = contractor(authority)
    request = remove(bot, task, "contractors", member).ok(202)
    assert "soc" in request["waitingFor"]
    bot.cancel(request["id"]).ok()
    edr.signal(85, resource=member).ok(201)
    request = remove(bot, task, "contractors", member).ok(202)
    assert "soc" in request["waitingFor"]
    bot.cancel(request["id"]).ok()
    dlp.signal(80, resource=member).ok(201)
    done = remove(bot, task, "contractors", member).ok(200)
    assert done["state"] == "done" and done["route"] == "auto"
    assert risk_of(done) == {"score": 85, "signals": 2}
    assert not holds(authority, "contractors", member)


def test_a_detector_never_speaks_for_the_agent_it_is_part_of(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr = enrol(authority, "edr")
    own = enrol(authority, "own", agent="hr-bot")
    sibling = enrol(authority, "sibling", agent="adviser")
    member = contractor(authority)
    for detector in (edr, own, sibling):
        detector.signal(95, resource=member).ok(201)
    request = remove(bot, task, "contractors", member).ok(202)
    assert "soc" in request["waitingFor"]
    assert risk_of(request) == {"score": 95, "signals": 1}


def test_who_is_suspected_itself_contains_nobody_unasked(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr, dlp = enrol(authority, "edr", "dlp")
    member = contractor(authority)
    edr.signal(90, resource=member).ok(201)
    dlp.signal(90, resource=member).ok(201)
    dlp.signal(10, agent="hr-bot").ok(201)
    request = remove(bot, task, "contractors", member).ok(202)
    assert "soc" in request["waitingFor"]
    assert risk_of(request) == {"score": 90, "signals": 0}


def test_people_see_who_said_what_and_agents_do_not(authority):
    edr = enrol(authority, "edr")
    edr.signal(30, agent="hr-bot").ok(201)
    request = waiting(authority)
    seen = authority.human("ada").get(
        f"/v1/requests/{request['id']}").ok()["decision"]["risk"]["seen"]
    assert [(row["detector"], row["score"]) for row in seen] == [("edr", 30)]
    assert risk_of(request) == {"score": 30, "signals": 0}
    shown = authority.human("ada").writ("login", "--yes")
    assert shown.returncode == 0, shown.stderr
    shown = authority.human("ada").writ("request", "explain", request["id"])
    assert b"edr" in shown.stdout and b"30" in shown.stdout


# ---- what waits ----

def test_a_waiting_request_is_decided_again_when_a_signal_arrives(authority):
    bot = authority.agent("hr-bot")
    edr = enrol(authority, "edr")
    request = waiting(authority, bot=bot)
    edr.signal(90, agent="hr-bot").ok(201)
    ended = bot.wait(request["id"], "denied")
    assert [row["id"] for row in ended["decision"]["policies"]] == [
        "g102-risk-ceiling"]
    assert not stories.armed_for(authority, request["id"])


def test_a_signal_that_changes_nothing_leaves_a_waiting_request_alone(
        authority):
    bot = authority.agent("hr-bot")
    edr = enrol(authority, "edr")
    request = waiting(authority, bot=bot)
    for score in (10, 20, 30):
        edr.signal(score, agent="hr-bot").ok(201)
    authority.human("bob").approve(request["id"], "iam-approvers").ok()
    assert bot.wait(request["id"])["state"] == "done"
    decided = [leaf for leaf in leaves(authority)
               if leaf["kind"] == "decision" and
               leaf["about"] == request["id"]]
    assert len(decided) <= 3, decided


def test_a_restart_keeps_what_is_live(authority):
    bot = authority.agent("hr-bot")
    edr = enrol(authority, "edr")
    edr.signal(60, agent="hr-bot").ok(201)
    edr.signal(65, resource=group("lunch-list")).ok(201)
    task = bot.open_task()
    authority.restart(crash=True)
    assert facts_risk(bot, task) == {"score": 65, "signals": 0}
    edr.signal(0, agent="hr-bot").ok(201)
    authority.restart()
    assert facts_risk(bot, task) == {"score": 65, "signals": 1}


# ---- who must be heard ----

MONITORED = {"monitoring": {"detectors": ["edr", "dlp"], "heardWithin": "5m"}}


def test_a_monitored_class_asks_security_while_a_detector_is_silent(authority):
    bot = authority.agent("hr-bot")
    edr, dlp = enrol(authority, "edr", "dlp")
    change(authority, "taskclass", "identity-ops", **MONITORED)
    task = bot.open_task()
    request = add(bot, task, "lunch-list", somebody()).ok(202)
    assert list(request["waitingFor"]) == ["security"]
    edr.beat().ok(200)
    assert explain(bot, task, "lunch-list")["facts"]["monitored"] is False
    # A signal is a sign of life, too.
    dlp.signal(5, resource="cn=nothing").ok(201)
    assert explain(bot, task, "lunch-list")["facts"]["monitored"] is True
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    assert done["route"] == "auto"


def test_silence_comes_back_and_takes_the_lift_of_signals_away(authority):
    bot = authority.agent("hr-bot")
    edr, dlp = enrol(authority, "edr", "dlp")
    change(authority, "taskclass", "identity-ops", monitoring={
        "detectors": ["edr"], "heardWithin": "1s"})
    task = bot.open_task()
    member = contractor(authority)
    edr.signal(90, resource=member).ok(201)
    dlp.signal(90, resource=member).ok(201)
    wait_until(lambda: explain(bot, task)["facts"]["monitored"] is False,
               "silence")
    request = remove(bot, task, "contractors", member).ok(202)
    assert set(request["waitingFor"]) >= {"soc"}


def test_a_heartbeat_from_the_future_does_not_live_longer(authority):
    bot = authority.agent("hr-bot")
    edr = enrol(authority, "edr")
    change(authority, "taskclass", "identity-ops", monitoring={
        "detectors": ["edr"], "heardWithin": "1s"})
    task = bot.open_task()
    edr.beat(at=moment(200)).ok(200)
    wait_until(lambda: explain(bot, task)["facts"]["monitored"] is False,
               "silence")


def test_a_heartbeat_said_again_is_refused(authority):
    edr = enrol(authority, "edr")
    form = edr.sign("heartbeat")
    edr.send(form).ok(200)
    edr.send(form).refused(401, "replayed")


def test_who_was_heard_is_remembered_over_a_restart_in_one_leaf(authority):
    bot = authority.agent("hr-bot")
    edr, dlp = enrol(authority, "edr", "dlp")
    change(authority, "taskclass", "identity-ops", monitoring={
        "detectors": ["edr", "dlp"], "heardWithin": "1h"})
    task = bot.open_task()
    for _ in range(5):
        edr.beat().ok(200)
        dlp.beat().ok(200)
    wait_until(lambda: of_kind(leaves(authority), "heartbeat"),
               "the leaf of heartbeats", patience=90, pause=1)
    leaf, = of_kind(leaves(authority), "heartbeat")
    assert leaf["heartbeats"] == 10 and leaf["detectors"] == 2
    authority.restart(crash=True)
    assert explain(bot, task)["facts"]["monitored"] is True


# ---- counters ----

def test_requests_at_once_do_not_pass_a_counter_together(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    answers = []

    def ask():
        answers.append(add(bot, task, "lunch-list", somebody(), wait=30))

    threads = [threading.Thread(target=ask) for _ in range(26)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ended = [answer.body for answer in answers]
    done = [request for request in ended if request["state"] == "done"]
    asked = [request for request in ended if request["state"] == "waiting"]
    assert len(done) == 20 and len(asked) == 6
    assert all(list(request["waitingFor"]) == ["security"]
               for request in asked)


def test_what_was_denied_is_not_counted(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    edr = enrol(authority, "edr")
    edr.signal(90, agent="hr-bot").ok(201)
    for _ in range(22):
        add(bot, task, "lunch-list", somebody()).refused(403, "denied")
    edr.signal(0, agent="hr-bot").ok(201)
    counters = explain(bot, task, "lunch-list")["facts"]["counters"]
    assert counters["privileged24h"] == 1
    add(bot, task, "lunch-list", somebody()).ok(200)
    counters = explain(bot, task, "lunch-list")["facts"]["counters"]
    assert counters["privileged24h"] == 2


# ---- the inventory ----

def test_a_detector_needs_two_administrators_and_a_key_that_signs(authority):
    edr = Detector(authority, "edr")
    good = edr.manifest()
    assert authority.human("ada").propose([good]).status == 202
    for wrong in ({"keys": ["ssh-rsa AAAA"]}, {"agent": "nobody"},
                  {"owner": "nobody"}, {"maxScore": 101}, {"signals": []}):
        bad = copy.deepcopy(good)
        bad["spec"].update(wrong)
        authority.human("ada").propose([bad]).refused(422, "manifests")


def test_a_class_names_only_detectors_that_are_there(authority):
    made = authority.inventory("taskclass", "identity-ops").ok()
    made["spec"].update(MONITORED)
    authority.human("ada").propose([made]).refused(422, "manifests")


def test_the_command_line_sends_and_lists_what_detectors_say(authority):
    edr = enrol(authority, "edr")
    ada = authority.human("ada")
    assert ada.writ("login", "--yes").returncode == 0
    sent = authority.writ("signal", "send", "--detector", "edr", "--key",
                          edr.key, "--kind", "anomaly", "--agent", "hr-bot",
                          "--score", "42", "--expires", "10m", "-o", "json")
    assert sent.returncode == 0, sent.stderr
    listed = ada.writ("signal", "list")
    assert b"hr-bot" in listed.stdout and b"42" in listed.stdout
    beat = authority.writ("signal", "send", "--detector", "edr", "--key",
                          edr.key, "--heartbeat")
    assert beat.returncode == 0 and b"Heard" in beat.stdout, beat.stderr
    wrong = authority.writ("signal", "send", "--detector", "edr", "--key",
                           edr.key, "--kind", "anomaly", "--agent", "hr-bot",
                           "--task", "tsk_1", "--score", "1")
    assert wrong.returncode == 2 and b"one thing" in wrong.stderr
    kept = document(authority, "signal", json.loads(sent.stdout)["id"])
    assert kept["score"] == 42
