"""Access tokens that Writ signs for one task: what they say, who can be told of
them, and that every way a task ends takes them back."""
import json
import os
import signal
import sqlite3
import threading
import time

import pytest

import harness
import issuing
import stories
import web
from harness import wait_until
from issuing import (API, AUDIENCE, BOUND, HOSTS, ask, introspect, lend,
                     open_task, revoke, take)

jwt = pytest.importorskip("jwt")


@pytest.fixture
def authority(make_authority):
    return issuing.found(make_authority(config_changes=issuing.OAUTH))


@pytest.fixture
def bot(authority):
    return authority.agent("hr-bot")


@pytest.fixture
def gateway(authority):
    """A verifier of reports-api."""
    return authority.agent("gateway")


def claims_of(authority, token, audience=AUDIENCE):
    """As a resource server takes it: key by kid, then every check."""
    keys = jwt.PyJWKSet.from_dict(authority.call("GET", "/oauth/jwks").ok(200))
    kid = jwt.get_unverified_header(token)["kid"]
    key = next(key.key for key in keys.keys if key.key_id == kid)
    return jwt.decode(token, key, algorithms=["ES256"], audience=audience,
                      issuer=issuing.ISSUER,
                      options={"require": ["exp", "iat", "sub", "jti"]})


def leaves_of(authority, kind):
    return [leaf for leaf in stories.leaves(authority) if leaf["kind"] == kind]


# What a token says.

def test_a_token_is_what_a_resource_server_takes(authority, bot):
    task = open_task(bot)
    done, secret = lend(bot, task, "reports:read")
    assert done["ttl"] == "5m" and done["route"] == "auto"
    assert secret["form"] == "token"
    assert jwt.get_unverified_header(secret["token"])["typ"] == "at+jwt"
    claims = claims_of(authority, secret["token"])
    assert claims["sub"] == claims["client_id"] == bot.spiffe_id
    assert claims["scope"] == "reports:read" and claims["aud"] == AUDIENCE
    assert claims["writ_task"] == task and "act" not in claims
    assert claims["jti"] == "crd_" + done["id"].removeprefix("req_")
    assert 0 < claims["exp"] - claims["iat"] <= 300
    issued = leaves_of(authority, "issued")[-1]
    assert issued["about"] == claims["jti"]
    assert issued["armed"] == done["evidence"]["armed"]["index"]
    assert issued["request"] == done["id"]
    assert stories.leaves(authority)[claims["writ_leaf"]] == issued


def test_a_token_is_narrowed_as_asked(authority, bot):
    asked = [{"type": "writ_task", "actions": ["read"], "datatypes": ["q3"]}]
    task = open_task(bot)
    _, secret = lend(bot, task, "reports:read", scope="reports:read",
                     authorizationDetails=asked)
    claims = claims_of(authority, secret["token"])
    assert claims["authorization_details"] == [
        {**asked[0], "locations": [AUDIENCE], "task": task,
         "identifier": "reports:read"}]


def test_a_token_is_nowhere_in_what_is_kept(authority, bot):
    _, secret = lend(bot, open_task(bot), "reports:read")
    signature = secret["token"].rsplit(".", 1)[1]
    authority.stop()
    for path in authority.folder.rglob("*"):
        if path.is_file() and "homes" not in path.parts:
            assert signature.encode() not in path.read_bytes(), path


def test_the_plan_shows_people_what_is_signed(authority, bot):
    task = open_task(bot)
    asked = ask(bot, task, "reports:write").ok(202)
    assert asked["state"] == "waiting"
    shown = json.loads(authority.human("bob").get(
        f"/v1/approvals/{asked['id']}").ok()["plan"])
    said = {row["attribute"]: row["value"] for row in shown["diff"]}
    assert said["scope"] == "reports:write" and said["aud"] == AUDIENCE
    assert shown["undo"]["action"] == "RevokeCredential"
    take(bot, asked["id"], wait=0).ok(202)
    authority.human("bob").approve(asked["id"], "iam-approvers").ok()
    secret = take(bot, asked["id"]).ok(200)["secret"]
    assert claims_of(authority, secret["token"])["scope"] == "reports:write"


# What is not signed.

@pytest.mark.parametrize("role, more, words", [
    ("reports:delete", {}, "no resource"),
    ("Reports:Read", {}, "no resource"),
    ("reports:read", {"ttl": "2h"}, "60 minutes"),
    ("reports:read", {"scope": "reports:read reports:write"}, "scope"),
    ("reports:read", {"publicKey": "ssh-ed25519 AAAA"}, "publicKey"),
    ("reports:read", {"login": "postgres"}, "login"),
    ("reports:read", {"cnf": {"jkt": "A" * 43}}, "cnf"),
    ("reports:read", {"authorizationDetails": [{"type": "other"}]},
     "authorizationDetails"),
    ("reports:read", {"authorizationDetails": [{
        "type": "writ_task", "locations": ["https://other.example/"]}]},
     "authorizationDetails"),
    ("reports:read", {"authorizationDetails": [{
        "type": "writ_task", "task": "tsk_other"}]}, "authorizationDetails"),
    ("reports:read", {"authorizationDetails": [{
        "type": "writ_task", "identifier": "reports:write"}]},
     "authorizationDetails"),
    ("reports:read", {"authorizationDetails": [{
        "type": "writ_task", "more": 1}]}, "authorizationDetails"),
    ("ledger:read", {"on": BOUND}, "cnf"),
    ("builder", {"on": HOSTS}, "publicKey"),
])
def test_what_cannot_be_signed_is_told_and_leaves_nothing(
        shared, role, more, words):
    bot = shared.agent("hr-bot")
    before = len(leaves_of(shared, "issued"))
    answer = ask(bot, open_task(bot), role, **more)
    if answer.status == 200:
        assert answer.body["state"] == "failed", answer
        assert words in answer.body["outcome"]["detail"], answer
    elif answer.status == 422:
        assert words in answer.text, answer
    else:  # a role that no rule knows is of the highest tier
        assert answer.status == 403, answer
    assert len(leaves_of(shared, "issued")) == before


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("issuer") / "authority"
    with harness.Authority(folder=folder) as made:
        yield issuing.found(made)


def test_an_agent_outside_the_class_is_lent_nothing(shared):
    answer = shared.agent("stranger").call("POST", "/v1/tasks", {
        "class": "lending", "intent": "to look", "targets": [API],
        "ttl": "10m"})
    assert answer.status == 403, answer
    bot = shared.agent("hr-bot")
    task = bot.open_task(targets=(API,))  # its class lists no such action
    ask(bot, task, "reports:read").refused(403)


def test_nothing_but_credentials_is_to_be_had_there(shared):
    bot = shared.agent("hr-bot")
    answer = ask(bot, open_task(bot), "reports:read", action="RevokeCredential",
                 credential="crd_01a204454a437875a309ed2ad0fe8fcd")
    assert answer.status in (200, 202, 403), answer
    assert "grant" not in answer.body


@pytest.mark.parametrize("change, words", [
    ({"connector": "null"}, "either a connector"),
    ({"issues": None}, "either a connector"),
    ({"issues": {"form": "token"}}, "audience"),
    ({"issues": {"form": "token", "audience": "http://api.example/"}},
     "https"),
    ({"issues": {"form": "token", "audience": "https://a.example/#x"}},
     "fragment"),
    ({"issues": {"form": "token", "audience": AUDIENCE, "hosts": ["a"]}},
     "hosts"),
    ({"issues": {"form": "ssh", "audience": AUDIENCE}}, "audience"),
    ({"issues": {"form": "token", "audience": AUDIENCE,
                 "verifiers": ["nobody"]}}, "nobody"),
    ({"issues": {"form": "password"}}, "token"),
    ({"classification": [{"match": {"resource": "two words"}, "tier": 0,
                          "sensitivity": 0}]}, "scope"),
    ({"classification": [{"match": {"resource": "a"}, "tier": 0,
                          "sensitivity": 0, "ssh": {"permit": ["pty"]}}]},
     "ssh"),
    ({"issues": {"form": "ssh"}, "classification": [
        {"match": {"resource": "root,admin"}, "tier": 0, "sensitivity": 0}]},
     "principal"),
    ({"issues": {"form": "ssh"}, "classification": [
        {"match": {"resource": "app"}, "tier": 0, "sensitivity": 0,
         "ssh": {"sourceAddress": "10.0.0.1/8"}}]}, "CIDR"),
])
def test_a_target_that_makes_no_sense_is_refused_in_words(
        shared, change, words):
    manifest = issuing.target(API)
    manifest["spec"].update(change)
    manifest["spec"] = {k: v for k, v in manifest["spec"].items()
                        if v is not None}
    manifest["metadata"]["name"] = "odd"
    answer = shared.human("ada").preview([manifest])
    assert answer.status == 422 and words in answer.text, answer


# How a token ends.

def test_completing_the_task_ends_its_tokens(authority, bot):
    task = open_task(bot)
    first, _ = lend(bot, task, "reports:read")
    second, _ = lend(bot, task, "reports:list")
    bot.complete(task).ok()
    for done in first, second:
        assert issuing.ended(authority, done)["why"] == "completed"
        assert issuing.is_revoked(authority, done)
    assert stories.verified(authority)


def test_a_token_ends_by_its_time(authority, bot):
    done, secret = lend(bot, open_task(bot), "reports:read", ttl="2s")
    assert claims_of_unchecked(secret)["exp"] <= time.time() + 2
    assert issuing.ended(authority, done)["why"] == "expired"
    assert not issuing.document(authority, done)["expires"] > time.time()
    assert stories.verified(authority)


def claims_of_unchecked(secret):
    return jwt.decode(secret["token"], options={"verify_signature": False})


def test_a_token_never_outlives_its_task(authority, bot):
    task = open_task(bot, ttl="30s")
    shown = bot.get(f"/v1/tasks/{task}").ok()
    assert "ttl of at most" in ask(bot, task, "reports:read",
                                   ttl="1h").refused(403)["detail"]
    _, secret = lend(bot, task, "reports:read")
    ends = harness.datetime.datetime.fromisoformat(
        shown["expires"].replace("Z", "+00:00")).timestamp()
    assert claims_of_unchecked(secret)["exp"] <= ends


@pytest.mark.parametrize("kind", ["agent", "task"])
def test_containment_ends_tokens(authority, bot, kind):
    task = open_task(bot)
    done, _ = lend(bot, task, "reports:read")
    authority.human("ada").contain(
        kind, task if kind == "task" else bot.name).ok()
    issuing.ended(authority, done)
    assert issuing.is_revoked(authority, done)


@pytest.mark.parametrize("why", ["suspended", "expires"])
def test_an_agent_that_may_not_act_any_more_loses_what_it_was_lent(
        authority, bot, gateway, why):
    done, secret = lend(bot, open_task(bot), "reports:read")
    assert introspect(gateway, secret["token"])["active"]
    shown = authority.inventory("Agent", bot.name).ok()
    change = ({"status": "suspended"} if why == "suspended"
              else {"expires": harness.moment(2)})
    authority.apply([{**shown, "spec": {**shown["spec"], **change}}])
    issuing.ended(authority, done)
    assert introspect(gateway, secret["token"]) == {"active": False}


def test_what_is_lent_is_listed_by_the_verifier_until_it_ends(authority, bot):
    task = open_task(bot)
    done, _ = lend(bot, task, "reports:read")
    stories.leaves(authority)  # once they are published
    report = json.loads(authority.verify("--output", "json").stdout)
    ident = "crd_" + done["id"].removeprefix("req_")
    assert [row["about"] for row in report["lent"]] == [ident]
    assert ident in authority.verify().stdout.decode()
    bot.complete(task).ok()
    issuing.ended(authority, done)
    report = json.loads(authority.verify("--output", "json").stdout)
    assert report["lent"] == [] and report["verdict"] == "ok"


def test_a_new_token_replaces_the_one_before(authority, bot):
    task = open_task(bot)
    first, old = lend(bot, task, "reports:read")
    second, new = lend(bot, task, "reports:read")
    assert old["token"] != new["token"]
    assert issuing.ended(authority, first)["why"] == "replaced"
    assert issuing.grant_of(authority, second)["state"] == "active"
    assert issuing.is_revoked(authority, first)


def test_a_token_is_handed_out_once(authority, bot):
    task = open_task(bot)
    done, _ = lend(bot, task, "reports:read")
    take(bot, done["id"]).refused(409, "taken")
    take(authority.agent("gateway"), done["id"]).refused(404)
    assert issuing.grant_of(authority, done)["state"] == "active"


def test_the_agent_gives_a_token_back(authority, bot):
    done, _ = lend(bot, open_task(bot), "reports:read")
    back = bot.rollback(done["id"]).ok(200)
    assert back["state"] == "done", back
    issuing.ended(authority, done)
    assert issuing.is_revoked(authority, done)
    assert stories.verified(authority)


def test_a_token_in_use_survives_a_restart_and_ends_with_its_task(
        authority, bot):
    task = open_task(bot)
    done, secret = lend(bot, task, "reports:read")
    issuing.restart(authority)
    assert issuing.grant_of(authority, done)["state"] == "active"
    assert introspect(authority.agent("gateway"), secret["token"])["active"]
    bot.complete(task).ok()
    issuing.ended(authority, done)
    assert issuing.is_revoked(authority, done)


def test_a_token_that_nobody_took_ends_with_a_restart(authority, bot):
    done = ask(bot, open_task(bot), "reports:read").ok(200)
    issuing.restart(authority)
    issuing.ended(authority, done)
    take(bot, done["id"]).refused(409, "lost")
    assert issuing.is_revoked(authority, done)
    assert stories.verified(authority)


def test_the_owner_ends_a_token_by_a_signature(authority, bot, gateway):
    done, secret = lend(bot, open_task(bot), "reports:read")
    authority.human("alice").end_grant(done["grant"]["id"]).ok()
    assert introspect(gateway, secret["token"]) == {"active": False}
    issuing.ended(authority, done)
    assert issuing.is_revoked(authority, done)


def change(authority, kind, name, **spec):
    shown = authority.inventory(kind, name).ok()
    authority.apply([{**shown, "spec": {
        k: v for k, v in {**shown["spec"], **spec}.items() if v is not None}}])


def test_a_credential_is_not_taken_back_by_way_of_another_target(authority,
                                                                 bot):
    """Whoever may take back at one target has no power over another's."""
    task = open_task(bot)
    done, secret = lend(bot, task, "reports:read")
    change(authority, "Target", BOUND, classification=[
        *issuing.RULES[BOUND], *issuing.RULES[API]])
    answer = ask(bot, task, "reports:read", on=BOUND, action="RevokeCredential",
                 credential=issuing.document(authority, done)["id"])
    assert answer.status != 200 or answer.body["state"] != "done", answer
    assert introspect(bot, secret["token"])["active"]
    assert not issuing.is_revoked(authority, done)


def test_a_target_that_is_given_a_connector_still_takes_back_what_was_signed(
        make_authority):
    authority = make_authority(config_changes=issuing.OAUTH)
    null = json.loads((authority.folder / "connector.yaml").read_text())
    null["authority"]["state"] = str(authority.folder / "hosts-state")
    path = authority.folder / "hosts.yaml"
    path.write_text(json.dumps({**null, "target": API}))
    config = json.loads(authority.config_path.read_text())
    authority.write_config(connectors=[*config["connectors"], {
        "target": API, "command": [harness.program("writ-connect-null"),
                                   "--config", str(path)]}])
    authority.restart()
    issuing.found(authority)
    bot = authority.agent("hr-bot")
    task = open_task(bot)
    done, _ = lend(bot, task, "reports:read")
    change(authority, "Target", API, issues=None, connector="null")
    assert bot.complete(task).ok(200)["state"] == "completed"
    assert issuing.ended(authority, done)["state"] == "ended"
    assert issuing.is_revoked(authority, done)


def damage(authority, done, text):
    """Puts text in the place of a credential's document, while writd runs; the
    text that was there."""
    ident = "crd_" + done["id"].removeprefix("req_")
    database = sqlite3.connect(authority.data / "state.db", timeout=30)
    (before,), = database.execute(
        "SELECT doc FROM credential WHERE id = ?", (ident,)).fetchall()
    database.execute("UPDATE credential SET doc = ? WHERE id = ?",
                     (text, ident))
    database.commit()
    database.close()
    return before


def test_what_cannot_be_read_has_not_ended(authority, bot, gateway):
    """A failing disk does not make a credential gone."""
    task = open_task(bot)
    done, secret = lend(bot, task, "reports:read")
    before = damage(authority, done, "{")
    assert revoke(gateway, "crd_" + done["id"].removeprefix("req_")
                  ).status == 503
    authority.human("ada").contain("task", task).ok()
    wait_until(lambda: issuing.grant_of(authority, done).get("unconfirmed"),
               "an end that is not confirmed")
    assert issuing.grant_of(authority, done)["state"] == "ending"
    damage(authority, done, before)
    issuing.ended(authority, done)
    assert issuing.is_revoked(authority, done)
    assert introspect(gateway, secret["token"]) == {"active": False}


def test_an_end_that_waits_is_shown_and_counts_at_once(make_authority):
    """The log cannot be signed for the moment: the end is not confirmed, and
    the token is worth nothing all the same."""
    here = issuing.found(make_authority(config_changes=issuing.OAUTH))
    bot = here.agent("hr-bot")
    task = open_task(bot)
    done, secret = lend(bot, task, "reports:read")
    keeper = next(pid for pid in here._children()  # pylint: disable=W0212
                  if b"writ-keeper" in cmdline(pid))
    os.kill(keeper, signal.SIGSTOP)
    try:
        threading.Thread(target=bot.complete, args=(task,)).start()
        wait_until(lambda: not introspect(here.agent("gateway"),
                                          secret["token"])["active"],
                   "the end to count")
        wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
                   == "ending", "the task to wait for it")
        assert issuing.grant_of(here, done)["state"] == "ending"
    finally:
        os.kill(keeper, signal.SIGCONT)
    issuing.ended(here, done)


def cmdline(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read()


# Who is told of it.

def test_a_verifier_and_the_agent_are_told_what_a_token_is_worth(
        authority, bot, gateway):
    task = open_task(bot)
    done, secret = lend(bot, task, "reports:read")
    said = introspect(gateway, secret["token"])
    claims = claims_of(authority, secret["token"])
    assert said.pop("active") is True and said.pop("token_type") == "Bearer"
    assert said == {k: v for k, v in claims.items() if k != "writ_leaf"}
    assert introspect(bot, secret["token"])["active"]
    stranger = authority.agent("stranger")
    assert introspect(stranger, secret["token"]) == {"active": False}
    assert introspect(gateway, "nonsense") == {"active": False}
    assert introspect(gateway, gateway.token()) == {"active": False}
    head, body, signature = secret["token"].split(".")
    forged = f"{head}.{body}.{signature[:-8]}AAAAAAAA"
    assert introspect(gateway, forged) == {"active": False}
    assert not leaves_of(authority, "incident")
    bot.complete(task).ok()
    assert introspect(gateway, secret["token"]) == {"active": False}
    issuing.ended(authority, done)


def test_a_verifier_revokes_and_so_does_the_agent(authority, bot, gateway):
    task = open_task(bot)
    for who, why in (gateway, "verifier"), (bot, "holder"):
        done, secret = lend(bot, task, "reports:read")
        stranger = revoke(authority.agent("stranger"), secret["token"])
        assert stranger.status == 400, stranger
        assert introspect(gateway, secret["token"])["active"]
        revoke(who, secret["token"]).ok(200)
        assert introspect(bot, secret["token"]) == {"active": False}
        assert why in issuing.ended(authority, done)["why"]
        revoke(who, secret["token"]).ok(200)
    revoke(gateway, "nonsense").ok(200)


def test_a_token_shown_after_its_end_is_an_incident_once_a_minute(
        authority, bot, gateway):
    task = open_task(bot)
    done, secret = lend(bot, task, "reports:read")
    bot.complete(task).ok()
    issuing.ended(authority, done)
    for _ in range(3):
        assert introspect(gateway, secret["token"]) == {"active": False}
    answer = authority.call("GET", "/v1/whoami", bearer=secret["token"])
    assert answer.status == 401, answer
    incident, = wait_until(lambda: leaves_of(authority, "incident"),
                           "the incident's leaf")
    assert incident["about"] == "crd_" + done["id"].removeprefix("req_")
    assert incident["what"] == "ended-credential-shown"
    assert incident["state"] == "revoked" and incident["task"] == task
    assert incident["where"] == "introspection"
    assert "hr-bot" not in json.dumps(incident), "names are in the payload"
    index = stories.leaves(authority).index(incident)
    shown = authority.human("ada").disclose(index).ok()["payload"]
    assert shown["agent"] == "hr-bot" and shown["by"] == "gateway"


def test_an_expired_token_at_the_api_is_an_incident(authority, bot):
    done, secret = lend(bot, open_task(bot), "reports:read", ttl="1s")
    assert authority.call("GET", "/v1/whoami",
                          bearer=secret["token"]).status == 401
    issuing.ended(authority, done)
    assert authority.call("GET", "/v1/whoami",
                          bearer=secret["token"]).status == 401
    incident, = wait_until(lambda: leaves_of(authority, "incident"),
                           "the incident's leaf")
    assert incident["state"] == "expired" and incident["where"] == "call"


def test_the_owner_is_told_of_an_incident(tmp_path):
    with web.Server() as server:
        secret = tmp_path / "secret"
        secret.touch(mode=0o600)
        secret.write_text("whsec_" + "A" * 43 + "=\n")
        here = harness.Authority(
            folder=tmp_path / "authority", config_changes={
                **issuing.OAUTH, "outgoing": {"allow": ["127.0.0.1"]},
                "notify": {"link": "https://console.example", "webhooks": [{
                    "name": "owner", "url": server.url("/hook"),
                    "secretFile": str(secret), "for": {"humans": ["alice"]},
                    "events": ["credential.shown"]}]}})
        with here:
            issuing.found(here)
            bot = here.agent("hr-bot")
            task = open_task(bot)
            done, lent = lend(bot, task, "reports:read")
            bot.complete(task).ok()
            issuing.ended(here, done)
            introspect(here.agent("gateway"), lent["token"])
            body = wait_until(lambda: server.bodies and server.bodies[-1],
                              "the notice")
    told = json.loads(body)
    assert told["type"] == "credential.shown"
    assert told["data"]["id"] == "crd_" + done["id"].removeprefix("req_")


# The keeper.

def test_a_keeper_that_refuses_lends_nothing(make_authority):
    authority = issuing.found(make_authority())
    authority.stop()
    issuing.with_keeper(authority, token="refuse")
    authority.start()
    bot = authority.agent("hr-bot")
    answer = ask(bot, open_task(bot), "reports:read").ok(200)
    assert answer["state"] == "failed" and "grant" not in answer, answer
    assert issuing.is_revoked(authority, answer)
    take(bot, answer["id"]).refused(409, "not-lent")
    assert stories.verified(authority)


def test_a_keeper_that_hangs_lends_nothing(make_authority):
    authority = issuing.found(make_authority())
    authority.stop()
    issuing.with_keeper(authority, token="hang")
    authority.start()
    bot = authority.agent("hr-bot")
    asked = ask(bot, open_task(bot), "reports:read").ok()
    done = bot.wait(asked["id"])
    assert done["state"] == "failed" and "grant" not in done, done
    assert issuing.is_revoked(authority, done)


def test_a_stop_between_leaf_and_token_is_never_made_good(make_authority):
    """The keeper dies with the question in its hands, and writd with it: the
    leaf is in the log, nobody can tell whether a token was made.  After the
    start it is taken back, and none is made of that leaf again."""
    authority = issuing.found(make_authority())
    authority.stop()
    issuing.with_keeper(authority, token="die")
    authority.start()
    bot = authority.agent("hr-bot")
    task = open_task(bot)
    body = {"task": task, "action": "IssueCredential", "target": API,
            "resource": "reports:read", "parameters": {}, "mode": "execute"}
    key = os.urandom(8).hex()
    try:
        bot.call("POST", "/v1/requests?wait=20", body, key=key)
    except (OSError, harness.http.client.HTTPException):
        pass
    authority.process.wait(30)
    issuing.with_own_keeper(authority)
    authority.start()
    again = bot.call("POST", "/v1/requests?wait=20", body, key=key).ok()
    done = bot.wait(again["id"])
    assert done["state"] == "failed" and "grant" not in done, done
    assert issuing.document(authority, done)["state"] == "revoked"
    issued = leaves_of(authority, "issued")
    assert [leaf["request"] for leaf in issued] == [done["id"]]
    take(bot, done["id"]).refused(409, "not-lent")
    assert stories.verified(authority)
    fresh, _ = lend(bot, task, "reports:read")
    assert fresh["id"] != done["id"]


def test_documents_of_a_version_before_are_taken_over(make_authority):
    """A database without the table of credentials, as version 5 had it."""
    authority = issuing.found(make_authority())
    authority.stop()
    database = sqlite3.connect(authority.data / "state.db")
    for statement in ("DROP TABLE credential", "DROP INDEX request_exception",
                      "ALTER TABLE request DROP COLUMN exception",
                      "PRAGMA user_version = 5"):
        database.execute(statement)
    database.commit()
    database.close()
    authority.start()
    wait_until(lambda: issuing.is_up(authority), "the targets that issue")
    bot = authority.agent("hr-bot")
    lend(bot, open_task(bot), "reports:read")


def test_what_has_been_over_for_a_week_is_forgotten(authority, bot):
    done, _ = lend(bot, open_task(bot), "reports:read", ttl="1s")
    issuing.ended(authority, done)
    authority.stop()
    ident = "crd_" + done["id"].removeprefix("req_")
    stories.edit_document(authority, "credential", ident,
                          expires=int(time.time()) - 8 * 86400)
    authority.start()

    def is_gone():
        database = sqlite3.connect(authority.data / "state.db")
        rows = database.execute("SELECT id FROM credential").fetchall()
        database.close()
        return not rows
    wait_until(is_gone, "the document to be forgotten")


def erase(authority, subject):
    authority.human("ada").erase(subject)
    return authority.human("heidi").erase(subject)


def test_what_was_signed_is_erased_with_its_agent_once_its_time_is_over(
        authority, bot):
    """Before that hosts and verifiers must be told of it."""
    task = open_task(bot)
    done, _ = lend(bot, task, "reports:read")
    bot.complete(task).ok()
    issuing.ended(authority, done)
    ident = "crd_" + done["id"].removeprefix("req_")
    answer = erase(authority, "agent:hr-bot")
    assert answer.status == 409 and ident in answer.text, answer
    authority.stop()
    stories.edit_document(authority, "credential", ident,
                          expires=int(time.time()) - 1)
    authority.start()
    assert erase(authority, "agent:hr-bot").ok(200)["state"] == "erased"
    database = sqlite3.connect(authority.data / "state.db")
    assert not database.execute("SELECT id FROM credential").fetchall()
    database.close()
    assert stories.verified(authority)


def test_a_log_that_was_altered_is_found(authority, bot):
    """An issued leaf that names another armed leaf than its own."""
    lend(bot, open_task(bot), "reports:read")
    stories.leaves(authority)  # once they are published
    to = authority.folder / "export"
    authority.writ("evidence", "export", to, "--vkey", authority.vkey,
                   check=True)
    bundle = next(path for path in to.rglob("*") if path.is_file()
                  and "entries" in str(path)
                  and b'"kind":"issued"' in path.read_bytes())
    text = bundle.read_bytes()
    at = text.index(b'"kind":"issued"')
    start = text.rindex(b'"armed":', 0, at) + len(b'"armed":')
    text = text[:start] + bytes([text[start] ^ 1]) + text[start + 1:]
    bundle.write_bytes(text)
    done = authority.writ("evidence", "verify", to, "--vkey", authority.vkey)
    assert done.returncode == 7, done


# ---- how often ----

def test_a_token_in_place_of_another_is_no_further_privileged_act(
        authority, bot):
    task = open_task(bot)
    for _ in range(25):  # more than policy lets pass in a day
        done, _ = lend(bot, task, "reports:read")
        assert done["route"] == "auto"
    # Each task's first counts.
    counts = [ask(bot, open_task(bot), "reports:read").status
              for _ in range(21)]
    assert counts[0] == 200 and counts[-1] == 202, counts
