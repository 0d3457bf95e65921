"""Evidence that is looked up: a ticket at a real HTTPS server, and everything
that makes it absent."""
import json
import threading

import harness
import pytest
import stories
import web
from harness import digest, group, wait_until
from stories import leaves, somebody, verified

TICKET = "CHG-1"


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return web.Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def tickets(ca):
    with web.Server(*ca.issue()) as opened:
        yield opened


@pytest.fixture
def looking(make_authority, ca, tickets, tmp_path):
    """looking(...) as an authority whose class demands a ticket."""

    def make(allow=("127.0.0.1",), url=None, **more):
        (tmp_path / "token").touch(mode=0o600)
        (tmp_path / "token").write_text("ticket-token\n")
        lookup = {
            "kind": "ticket", "timeoutSeconds": 20,
            "url": url or tickets.url("/api/changes/{reference}"),
            "tokenFile": str(tmp_path / "token"),
            "require": [
                {"at": "/status", "in": ["approved", "scheduled"]},
                {"at": "/change/target", "equals": "request.target"},
                {"at": "/change/group", "equals": "request.resource"},
                {"at": "/change/who",
                 "equals": "request.parameters.member"}], **more}
        return make_authority(config_changes={
            "outgoing": {"allow": list(allow), "ca": str(ca.cert)},
            "lookups": [lookup]}).found(change=demanding)

    return make


def demanding(manifests):
    for manifest in manifests:
        if manifest["metadata"]["name"] == "identity-ops":
            manifest["spec"]["requiresEvidence"] = ["ticket"]
    return manifests


def ticket(member, status="approved", target=harness.TARGET,
           name="lunch-list"):
    return {"status": status, "title": "swordfish for the new one",
            "change": {"target": target, "group": group(name), "who": member}}


def put(tickets, member, reference=TICKET, **more):
    tickets.json(f"/api/changes/{reference}", ticket(member, **more))


def ask(bot, task, member, reference=TICKET, name="lunch-list", wait=20,
        **more):
    body = bot.request_body(task, "AddToGroup", group(name), member, **more)
    if reference is not None:
        body["evidence"] = [{"kind": "ticket", "reference": reference}]
    return bot.call("POST", f"/v1/requests?wait={wait}", body)


def words(answer):
    """What a denied request says, to the agent."""
    body = answer.refused(403, "denied")
    decision = body["request"]["decision"]
    assert decision["cause"] == "evidence"
    assert "ticket" in decision["forAgent"]
    return decision["forAgent"]


def test_a_ticket_about_exactly_this_request_lets_it_pass(looking, tickets):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member)
    done = ask(bot, bot.open_task(), member).ok(200)
    assert done["state"] == "done"
    looked, = done["lookups"]
    body = json.dumps(ticket(member))
    assert looked["holds"] and looked["digest"] == digest(body)
    assert {row["at"] for row in looked["verified"]} == {
        "/status", "/change/target", "/change/group", "/change/who"}
    assert "swordfish" not in json.dumps(done)
    assert tickets.asked[f"/api/changes/{TICKET}"] == 1, "once per request"
    assert tickets.headers[0]["Authorization"] == "Bearer ticket-token"
    assert verified(here)


def test_what_was_verified_stands_in_the_evidence_of_the_decision(looking,
                                                                  tickets):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member)
    done = ask(bot, bot.open_task(), member).ok(200)
    leaf = done["evidence"]["decision"]["index"]
    asked = here.human("ada").disclose(leaf).ok()["payload"]
    looked, = asked["lookups"]
    assert looked["reference"] == TICKET and looked["holds"]
    assert looked["digest"] == digest(json.dumps(ticket(member)))
    facts = here.human("ada").disclose(leaf, part="1").ok()["payload"]
    assert "ticket" in json.dumps(facts)
    public = leaves(here)[leaf]
    assert TICKET not in json.dumps(public), "references are private"


def test_an_agents_word_is_no_ticket(looking, tickets):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member)
    assert "Missing evidence: ticket." in words(
        ask(bot, bot.open_task(), member, reference=None))
    assert not tickets.asked


@pytest.mark.parametrize("status, page, why", [
    ("404", (404, {}, b"none"), "it answered 404"),
    ("500", (500, {}, b"{}"), "it answered 500"),
    ("204", (204, {}, b""), "it answered 204"),
    ("html", (200, {"Content-Type": "text/html"}, b"<p>approved"),
     "the answer is not JSON"),
    ("twice", (200, {}, b'{"status":"approved","status":"x"}'),
     "the answer is not JSON"),
    ("empty", (200, {}, b""), "the answer is not JSON"),
    ("list", (200, {}, b"[]"), "the answer has no /status"),
    ("large", (200, {}, b'"' + b"x" * (300 << 10) + b'"'),
     "it could not be looked up"),
    ("redirect", (302, {"Location": "/api/changes/good"}, b""),
     "it could not be looked up"),
])
def test_an_answer_that_is_none_is_no_ticket(looking, tickets, status, page,
                                             why):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member, reference="good")
    tickets.pages[f"/api/changes/{TICKET}"] = page
    said = words(ask(bot, bot.open_task(), member))
    assert f"ticket {TICKET}: {why}" in said, status
    assert not tickets.asked["/api/changes/good"]
    assert not stories.memberships(here)


def test_a_ticket_that_is_not_approved_does_not_hold(looking, tickets):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member, status="draft")
    said = words(ask(bot, bot.open_task(), member))
    assert "its /status is none that is accepted" in said
    assert "draft" not in said


@pytest.mark.parametrize("other, why", [
    ({"target": "another-directory"}, "/change/target"),
    ({"name": "domain-admins"}, "/change/group"),
])
def test_a_ticket_about_another_thing_does_not_hold(looking, tickets, other,
                                                    why):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member, **other)
    assert f"its {why} is not the request." in words(
        ask(bot, bot.open_task(), member))


def test_a_ticket_serves_no_second_person_and_is_looked_up_anew(looking,
                                                                tickets):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    task = bot.open_task()
    put(tickets, member)
    ask(bot, task, member).ok(200)
    assert "its /change/who is not" in words(ask(bot, task, somebody()))
    assert tickets.asked[f"/api/changes/{TICKET}"] == 2
    put(tickets, member, status="closed")
    said = words(ask(bot, task, member, ttl="5m"))
    assert "its /status is none" in said
    assert tickets.asked[f"/api/changes/{TICKET}"] == 3


def test_a_server_that_does_not_answer_is_no_ticket_and_holds_up_nobody(
        looking, tickets):
    here = looking(timeoutSeconds=10)
    bot, member = here.agent("hr-bot"), somebody()
    tickets.pages[f"/api/changes/{TICKET}"] = (
        lambda _: tickets.released.wait(60) and None)
    put(tickets, member, reference="CHG-2")
    slow = bot.request_body(bot.open_task(), "AddToGroup", group("lunch-list"),
                            somebody())
    slow["evidence"] = [{"kind": "ticket", "reference": TICKET}]
    answers = []
    waits = threading.Thread(target=lambda: answers.append(
        bot.call("POST", "/v1/requests?wait=30", slow)))
    waits.start()
    wait_until(lambda: tickets.asked[f"/api/changes/{TICKET}"],
               "the slow look-up to begin")
    assert ask(bot, bot.open_task(), member, "CHG-2").ok(200)["state"] == "done"
    waits.join()
    assert "it could not be looked up" in words(answers[0])


def test_a_server_that_is_not_there_is_no_ticket(looking):
    here = looking(url="https://127.0.0.1:1/{reference}")
    bot = here.agent("hr-bot")
    said = words(ask(bot, bot.open_task(), somebody()))
    assert "it could not be looked up" in said
    assert "127.0.0.1" not in said, "the agent learns nothing of the network"


def test_an_internal_address_that_is_not_named_is_not_asked(looking, tickets):
    here = looking(allow=[])
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member)
    assert "it could not be looked up" in words(
        ask(bot, bot.open_task(), member))
    assert not tickets.asked


def test_a_server_with_a_certificate_of_somebody_else_is_not_believed(
        looking, tickets, tmp_path):
    other = web.Ca(tmp_path / "other-ca")
    here = looking(caFile=str(other.cert))
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member)
    assert "it could not be looked up" in words(
        ask(bot, bot.open_task(), member))
    assert not tickets.asked


@pytest.mark.parametrize("reference", [
    "../admin", "..", "a/b", "a\\b", "%2e%2e", "x?y=1", "a b", "a@b", "a&b",
    "{reference}", "#", "\u00e4", "a..b", "x" * 129, ""])
def test_a_reference_cannot_lead_to_another_path_or_host(
        shared_looking, reference):
    here, tickets = shared_looking
    bot = here.agent("hr-bot")
    before = sum(tickets.asked.values())
    ask(bot, bot.open_task(), somebody(), reference).refused(422)
    assert sum(tickets.asked.values()) == before


@pytest.fixture(scope="module")
def shared_looking(tmp_path_factory, ca):
    folder = tmp_path_factory.mktemp("looking")
    with web.Server(*ca.issue("shared")) as opened:
        with harness.Authority(folder=folder / "authority", config_changes={
                "outgoing": {"allow": ["127.0.0.1"], "ca": str(ca.cert)},
                "lookups": [{
                    "kind": "ticket", "url": opened.url("/api/{reference}?x=1"),
                    "require": [{"at": "/s", "in": ["y"]}]}]}) as here:
            yield here.found(change=demanding), opened


def test_what_a_path_would_read_is_escaped(shared_looking):
    here, tickets = shared_looking
    bot = here.agent("hr-bot")
    tickets.json("/api/ops%3A2026%231?x=1", {"s": "y"})
    assert ask(bot, bot.open_task(), somebody(),
               "ops:2026#1").ok(200)["state"] == "done"


def test_evidence_that_is_not_looked_up_here_is_refused(shared_looking):
    here, _ = shared_looking
    bot = here.agent("hr-bot")
    body = bot.request_body(bot.open_task(), "AddToGroup", group("lunch-list"),
                            somebody())
    for kind, status in (("risk_report", 422), ("owner_ack", 422),
                         ("prompt", 422)):
        body["evidence"] = [{"kind": kind, "reference": "X-1"}]
        bot.call("POST", "/v1/requests", body).refused(status)
    body["evidence"] = [{"kind": "ticket", "reference": f"X-{i}"}
                        for i in range(5)]
    bot.call("POST", "/v1/requests", body).refused(422)
    body["evidence"] = [{"kind": "ticket", "reference": "X-1", "holds": True}]
    bot.call("POST", "/v1/requests", body).refused(422)


def test_explaining_looks_nothing_up(shared_looking):
    here, tickets = shared_looking
    bot = here.agent("hr-bot")
    before = sum(tickets.asked.values())
    body = bot.request_body(bot.open_task(), "AddToGroup", group("lunch-list"),
                            somebody())
    body["evidence"] = [{"kind": "ticket", "reference": "X-1"}]
    assert bot.call("POST", "/v1/explain", body).ok()["route"] != "deny"
    assert sum(tickets.asked.values()) == before


def test_a_person_may_still_vouch_for_what_is_not_looked_up(looking):
    here = looking()
    bot = here.agent("hr-bot")
    here.human("frank").vouch("ticket", "AddToGroup",
                              group("lunch-list")).ok(201)
    assert ask(bot, bot.open_task(), somebody(),
               reference=None).ok(200)["state"] == "done"


def test_a_request_withdrawn_while_it_is_looked_up_ends(looking, tickets):
    here = looking()
    bot = here.agent("hr-bot")
    task = bot.open_task()
    tickets.pages[f"/api/changes/{TICKET}"] = (
        lambda _: tickets.released.wait(60) and None)
    answers = []
    waits = threading.Thread(target=lambda: answers.append(
        ask(bot, task, somebody())))
    waits.start()
    wait_until(lambda: tickets.asked[f"/api/changes/{TICKET}"],
               "the look-up to begin")
    bot.complete(task).ok()
    waits.join()
    assert answers[0].ok(200)["state"] == "cancelled"


def test_a_stop_while_something_is_looked_up_is_orderly(looking, tickets):
    here = looking()
    bot = here.agent("hr-bot")
    task = bot.open_task()
    tickets.pages[f"/api/changes/{TICKET}"] = (
        lambda _: tickets.released.wait(60) and None)

    def ask_in_vain():
        try:
            ask(bot, task, somebody())
        except OSError:
            pass

    waits = threading.Thread(target=ask_in_vain)
    waits.start()
    wait_until(lambda: tickets.asked[f"/api/changes/{TICKET}"],
               "the look-up to begin")
    assert here.stop() == 0
    waits.join()


def test_the_command_line_names_a_ticket(looking, tickets):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member)
    shown = json.loads(bot.writ(
        "-o", "json", "request", "create", "--task", bot.open_task(),
        "--action", "AddToGroup", "--target", harness.TARGET, "--resource",
        group("lunch-list"), "--parameter", f"member={member}", "--ttl", "15m",
        "--evidence", f"ticket={TICKET}", "--wait", "20s", check=True).stdout)
    assert shown["state"] == "done"


def test_the_token_is_in_no_log_and_in_no_file(looking, tickets):
    here = looking()
    bot, member = here.agent("hr-bot"), somebody()
    put(tickets, member)
    ask(bot, bot.open_task(), member).ok(200)
    here.stop()
    files = b"".join(path.read_bytes() for path in here.data.iterdir()
                     if path.is_file())
    assert b"ticket-token" not in files
    assert "ticket-token" not in here.log()
