"""Break-glass: who signs it, what it lifts, and how it ends."""
import datetime

import pytest

import stories
from harness import ROOT, moment, wait_until
from stories import add, leaves, somebody, verified
from watchers import change, enrol, freeze, of_kind, reasons


def in_force(authority, task, tier_cap=1, seconds=600, by=("ada", "heidi")):
    """An exception that two administrators signed over the same words."""
    expires = moment(seconds)
    for name in by:
        answer = authority.human(name).except_(task, tier_cap, expires=expires)
    return answer.ok(200)


def test_a_freeze_stops_every_change_but_containment(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    member = somebody()
    done = add(bot, task, "lunch-list", member).ok(200)
    freeze(authority)
    answer = add(bot, task, "lunch-list", somebody())
    assert reasons(answer) == ["r101-change-freeze"]
    assert answer.body["request"]["decision"]["changeFreeze"] is True
    # What was lent ends all the same.
    assert bot.rollback(done["id"]).ok(200)["state"] == "done"


def test_a_freeze_holds_between_its_times_and_in_its_domains(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    freeze(authority, "later", begin=3600, end=7200)
    freeze(authority, "before", begin=-7200, end=-3600)
    freeze(authority, "elsewhere", domains=["prod"])
    add(bot, task, "lunch-list", somebody()).ok(200)
    freeze(authority, "here", domains=["corp"])
    assert reasons(add(bot, task, "lunch-list", somebody())) == [
        "r101-change-freeze"]
    authority.human("ada").propose([{
        "kind": "ChangeFreeze", "metadata": {"name": "wrong"},
        "spec": {"begin": moment(60), "end": moment(30),
                 "reason": "backwards"}}]).refused(422, "manifests")


def test_one_signature_is_no_exception_and_two_lift_the_freeze(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    freeze(authority)
    expires = moment(600)
    one = authority.human("ada").except_(task, expires=expires).ok(202)
    assert one["state"] == "waiting" and one["signers"] == ["ada"]
    add(bot, task, "lunch-list", somebody()).refused(403, "denied")
    two = authority.human("heidi").except_(task, expires=expires).ok(200)
    assert two["id"] == one["id"] and two["state"] == "in-force"
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    assert done["state"] == "done"
    assert done["decision"]["exception"] == one["id"]
    # Who reviews it afterwards finds what was done under it.
    shown = authority.human("heidi").get(f"/v1/exceptions/{one['id']}").ok()
    assert done["id"] in shown["uses"]
    assert stories.has_leaf(authority, two["evidence"]["in-force"])
    events = [leaf["event"] for leaf in of_kind(leaves(authority), "exception")]
    assert events == ["signed", "in-force"] and verified(authority)


def test_the_same_person_twice_is_one_signature(authority):
    task = authority.agent("hr-bot").open_task()
    expires = moment(600)
    authority.human("ada").except_(task, expires=expires).ok(202)
    authority.human("ada").except_(task, expires=expires).refused(
        409, "signed-already")


def test_other_words_are_another_exception(authority):
    task = authority.agent("hr-bot").open_task()
    expires = moment(600)
    one = authority.human("ada").except_(task, 1, expires=expires).ok(202)
    two = authority.human("heidi").except_(task, 2, expires=expires).ok(202)
    assert one["id"] != two["id"]


def test_an_exception_is_for_one_task_and_up_to_its_tier(authority):
    bot = authority.agent("hr-bot")
    one, other = bot.open_task(), bot.open_task()
    freeze(authority)
    in_force(authority, one, tier_cap=0)
    add(bot, one, "lunch-list", somebody()).ok(200)
    assert reasons(add(bot, other, "lunch-list", somebody())) == [
        "r101-change-freeze"]
    stories.vouch(authority, "contractors")
    assert reasons(add(bot, one, "contractors", somebody())) == [
        "r101-change-freeze"]


def test_an_exception_lifts_nothing_else(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    freeze(authority)
    in_force(authority, task, tier_cap=3)
    stories.vouch(authority, "mail-admins")
    request = add(bot, task, "mail-admins", somebody()).ok(202)
    assert request["waitingFor"] == {"iam-approvers": 1}
    edr = enrol(authority, "edr")
    edr.signal(95, agent="hr-bot").ok(201)
    assert reasons(add(bot, task, "lunch-list", somebody())) == [
        "g102-risk-ceiling"]


@pytest.mark.parametrize("wrong, status, code", [
    ({"seconds": 90000}, 422, "exception"),
    ({"seconds": -5}, 422, "exception"),
    ({"task": "tsk_none"}, 422, "exception"),
    ({"tier_cap": 4}, 400, "malformed"),
    ({"reason": ""}, 400, "malformed"),
])
def test_an_exception_that_cannot_be_is_refused(authority, wrong, status,
                                                code):
    task = authority.agent("hr-bot").open_task()
    authority.human("ada").except_(**{"task": task, **wrong}).refused(
        status, code)


def test_only_administrators_who_do_not_answer_for_the_task_sign(authority):
    task = authority.agent("hr-bot").open_task()
    authority.human("bob").except_(task).refused(403, "may-not-except")
    change(authority, "human", "alice", groups=["administrators"])
    authority.human("alice").except_(task).refused(403, "may-not-except")


def test_one_signature_takes_it_back_and_it_does_not_come_again(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    freeze(authority)
    made = in_force(authority, task)
    add(bot, task, "lunch-list", somebody()).ok(200)
    authority.human("bob").revoke(made["id"]).refused(403, "may-not-except")
    gone = authority.human("ada").revoke(made["id"]).ok(200)
    assert gone["state"] == "revoked" and gone["revoked"]["by"] == "ada"
    add(bot, task, "lunch-list", somebody()).refused(403, "denied")
    authority.human("ada").revoke(made["id"]).refused(404,
                                                      "no-such-exception")
    authority.restart()
    assert reasons(add(bot, task, "lunch-list", somebody())) == [
        "r101-change-freeze"]


def test_what_waits_on_an_exception_is_denied_when_it_is_taken_back(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    freeze(authority)
    made = in_force(authority, task, tier_cap=2)
    stories.vouch(authority, "mail-admins")
    request = add(bot, task, "mail-admins", somebody()).ok(202)
    authority.human("ada").revoke(made["id"]).ok(200)
    ended = bot.wait(request["id"], "denied")
    assert [row["id"] for row in ended["decision"]["policies"]] == [
        "r101-change-freeze"]


def test_it_outlives_a_restart_and_not_its_time(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    freeze(authority)
    made = in_force(authority, task, seconds=12)
    authority.restart(crash=True)
    wait_until(authority.target_is_up, "the connector")
    add(bot, task, "lunch-list", somebody()).ok(200)

    def shown():
        return authority.human("ada").get(
            f"/v1/exceptions/{made['id']}").ok()["state"]
    wait_until(lambda: shown() == "expired", "the exception to expire")
    assert reasons(add(bot, task, "lunch-list", somebody())) == [
        "r101-change-freeze"]


def test_who_is_no_administrator_any_more_does_not_count(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    freeze(authority)
    authority.apply([{
        "kind": "Human", "metadata": {"name": "bob"}, "spec": {
            "groups": ["administrators"],
            "keys": [authority.human("bob").public_key]}}])
    in_force(authority, task, by=("heidi", "bob"))
    add(bot, task, "lunch-list", somebody()).ok(200)
    change(authority, "human", "bob", groups=[])
    assert reasons(add(bot, task, "lunch-list", somebody())) == [
        "r101-change-freeze"]


def test_exceptions_are_listed_by_state(authority):
    task = authority.agent("hr-bot").open_task()
    made = in_force(authority, task)
    ada = authority.human("ada")
    rows = ada.get("/v1/exceptions?state=in-force").ok()["exceptions"]
    assert [row["id"] for row in rows] == [made["id"]]
    assert ada.get("/v1/exceptions?state=waiting").ok()["exceptions"] == []
    ada.get("/v1/exceptions?state=nonsense").refused(400, "state")
    authority.human("bob").get(f"/v1/exceptions/{made['id']}").refused(404)


def test_the_command_line_signs_and_revokes_an_exception(authority):
    task = authority.agent("hr-bot").open_task()
    ada, heidi = authority.human("ada"), authority.human("heidi")
    for person in (ada, heidi):
        assert person.writ("login", "--yes").returncode == 0
    made = ada.writ("exception", "create", "--task", task, "--tier-cap", "1",
                    "--reason", "the store room is on fire", "--yes")
    assert made.returncode == 4, made.stderr
    ident = made.stdout.decode().split("Exception:")[1].split()[0]
    signed = heidi.writ("exception", "sign", ident, "--yes")
    assert signed.returncode == 0 and b"in-force" in signed.stdout, (
        signed.stderr)
    listed = ada.writ("exception", "list", "--state", "in-force")
    assert ident.encode() in listed.stdout
    gone = ada.writ("exception", "revoke", ident, "--reason", "out", "--yes")
    assert gone.returncode == 0 and b"revoked" in gone.stdout, gone.stderr


def outside_hours():
    """A zone in which it is neither 8 to 18 on a working day."""
    now = datetime.datetime.now(datetime.timezone.utc)
    for offset in range(-12, 15):
        there = now + datetime.timedelta(hours=offset)
        if there.hour in range(1, 6) or there.hour in range(20, 23):
            return f"Etc/GMT{-offset:+d}" if offset else "UTC"
    raise AssertionError("somewhere it is night")


def test_an_exception_lifts_business_hours(make_authority):
    authority = make_authority(bundle=ROOT / "policy").found(drill=True)
    change(authority, "human", "alice", timezone=outside_hours())
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    request = add(bot, task, "lunch-list", somebody()).ok(202)
    assert request["waitingFor"] == {"on-call": 1}
    in_force(authority, task)
    assert add(bot, task, "lunch-list", somebody()).ok(200)["state"] == "done"
