"""Silence: who may then sign in whose place, and what it does not change."""
import stories
from harness import wait_until
from stories import leaves, verified, waiting
from watchers import change, of_kind


def escalating(authority, after="1s", to="security"):
    """The class says to whom silence goes."""
    change(authority, "taskclass", "identity-ops",
           escalation={"to": to, "after": after})


def escalated(authority, request, group="iam-approvers"):
    def shown():
        row = authority.human("ada").get(
            f"/v1/requests/{request['id']}").ok().get("escalated") or {}
        return row.get(group)
    return wait_until(shown, f"{group} to have been silent")


def sign(authority, name, request, group="iam-approvers", **more):
    return authority.human(name).approve(request["id"], group,
                                         digest=request["digest"], **more)


def test_after_silence_another_group_signs_in_its_place(authority):
    escalating(authority)
    bot = authority.agent("hr-bot")
    request = waiting(authority, bot=bot)
    assert escalated(authority, request)["to"] == "security"
    asked = authority.human("oscar").get("/v1/approvals").ok()["approvals"]
    assert [row["request"]["id"] for row in asked] == [request["id"]]
    sign(authority, "oscar", request).ok(200)
    done = bot.wait(request["id"], "done")
    one, = done["approvals"]
    assert (one["human"], one["group"], one["insteadBy"]) == (
        "oscar", "iam-approvers", "security")
    said = leaves(authority)
    leaf, = of_kind(said, "escalated")
    assert (leaf["group"], leaf["to"]) == ("iam-approvers", "security")
    signed = [leaf for leaf in of_kind(said, "approval")
              if leaf["about"] == request["id"]]
    assert [leaf.get("insteadBy") for leaf in signed] == ["security"]
    assert verified(authority)


def test_before_it_nobody_else_signs(authority):
    escalating(authority, after="1h")
    request = waiting(authority)
    sign(authority, "oscar", request).refused(403, "may-not-approve")
    assert authority.human("oscar").get("/v1/approvals").ok()[
        "approvals"] == []
    sign(authority, "bob", request).ok(200)


def test_who_was_asked_may_still_sign(authority):
    escalating(authority)
    bot = authority.agent("hr-bot")
    request = waiting(authority, bot=bot)
    escalated(authority, request)
    sign(authority, "bob", request).ok(200)
    assert "insteadBy" not in bot.wait(request["id"], "done")["approvals"][0]


def test_barred_people_stay_barred(authority):
    escalating(authority)
    request = waiting(authority)
    escalated(authority, request)
    # alice is in security, and owns the agent.
    sign(authority, "alice", request).refused(403, "may-not-approve")
    # frank is in neither group.
    sign(authority, "frank", request).refused(403, "may-not-approve")
    # erin vouched for it.
    change(authority, "human", "erin", groups=["security"])
    sign(authority, "erin", request).refused(403, "may-not-approve")
    sign(authority, "oscar", request).ok(200)


def test_a_person_still_counts_once_whatever_group_they_sign_for(authority):
    escalating(authority)
    bot = authority.agent("hr-bot")
    request = waiting(authority, "domain-admins", bot=bot)
    asked = dict(request["waitingFor"])
    assert asked == {"iam-approvers": 2, "security": 1}
    escalated(authority, request)
    sign(authority, "oscar", request).ok(202)
    sign(authority, "oscar", request, "security").refused(
        409, "signed-already")
    sign(authority, "carol", request, "security").ok(202)
    assert bot.show(request["id"])["state"] == "waiting"
    sign(authority, "bob", request).ok(200)
    bot.wait(request["id"], "done")


def test_one_who_has_spoken_is_not_silent(authority):
    escalating(authority, after="3s", to="platform-owners")
    bot = authority.agent("hr-bot")
    request = waiting(authority, "domain-admins", bot=bot)
    sign(authority, "bob", request).ok(202)
    escalated(authority, request, "security")
    row = authority.human("ada").get(f"/v1/requests/{request['id']}").ok()
    assert list(row["escalated"]) == ["security"]


def test_a_group_says_itself_to_whom_its_silence_goes(authority):
    change(authority, "group", "iam-approvers",
           escalation={"to": "platform-owners", "after": "1s"})
    bot = authority.agent("hr-bot")
    request = waiting(authority, bot=bot)
    assert escalated(authority, request)["to"] == "platform-owners"
    sign(authority, "oscar", request).refused(403, "may-not-approve")


def test_what_a_class_says_only_now_does_not_count_for_older_tasks(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    escalating(authority)
    old = waiting(authority, bot=bot, task=task)
    new = waiting(authority, bot=bot)
    escalated(authority, new)
    assert not authority.human("ada").get(
        f"/v1/requests/{old['id']}").ok().get("escalated")
    sign(authority, "oscar", old).refused(403, "may-not-approve")


def test_a_signature_is_void_when_the_class_takes_the_way_away(authority):
    escalating(authority)
    bot = authority.agent("hr-bot")
    request = waiting(authority, "domain-admins", bot=bot)
    escalated(authority, request)
    sign(authority, "oscar", request).ok(202)
    change(authority, "taskclass", "identity-ops", drop=["escalation"])
    sign(authority, "carol", request, "security").ok(202)
    sign(authority, "bob", request).ok(202)
    shown = bot.show(request["id"])
    assert shown["state"] == "waiting"
    assert {one["human"] for one in shown["approvals"]} == {"carol", "bob"}
    sign(authority, "dave", request).ok(200)
    bot.wait(request["id"], "done")


def test_without_an_answer_the_request_expires_all_the_same(authority):
    change(authority, "taskclass", "identity-ops", approvalWithin="60s",
           escalation={"to": "security", "after": "1s"})
    request = waiting(authority)
    escalated(authority, request)
    assert request["expires"] == authority.human("ada").get(
        f"/v1/requests/{request['id']}").ok()["expires"]


def test_half_its_time_is_silence_where_nothing_is_said(authority):
    change(authority, "taskclass", "identity-ops", approvalWithin="1h",
           escalation={"to": "security"})
    request = waiting(authority)
    row = stories.document(authority, "request", request["id"])
    assert not row.get("escalated") and row["askedMs"]
    sign(authority, "oscar", request).refused(403, "may-not-approve")


def test_silence_goes_on_over_a_restart(authority):
    escalating(authority, after="2s")
    bot = authority.agent("hr-bot")
    request = waiting(authority, bot=bot)
    authority.restart(crash=True)
    authority.human("ada").login()
    escalated(authority, request)
    authority.restart()
    wait_until(authority.target_is_up, "the connector")
    sign(authority, "oscar", request).ok(200)
    bot.wait(request["id"], "done")


def test_escalation_names_a_group_that_is_there(authority):
    made = authority.inventory("taskclass", "identity-ops").ok()
    made["spec"]["escalation"] = {"to": "nobody"}
    authority.human("ada").propose([made]).refused(422, "manifests")
