"""What people and agents are told: by the command line in words and exit codes,
by the API in the shape of a refusal."""
import json
import os

import pytest

import harness
import stories
from harness import TARGET, canonical, group, program
from stories import somebody
from test_cli import (CONFLICT, DENIED, ENV, FAILED, OK, UNREACHABLE, USAGE,
                      WAITING, commands_of_help, document, ended, words)


@pytest.fixture(name="here")
def _here(shared_authority):
    return shared_authority


def open_body(**more):
    return {"class": "identity-ops", "intent": "new people",
            "targets": [TARGET], "ttl": "1h", **more}


# Who one is.


def test_whoami_says_that_a_session_is_dead(here):
    frank = here.human("frank")
    ended(frank.writ("login"), OK)
    who = document(frank.writ("whoami", "-o", "json"))
    assert who["session"] == "accepted" and who["agentToken"] == "none"
    for _ in range(16):  # one more than a person has ends the oldest
        here.human("frank").login()
    done = frank.writ("whoami", "-o", "json")
    who = document(done, DENIED)
    assert who["session"] == "refused" and who["reason"] == "unknown-session"
    assert "proved" not in who and b"writ login" in done.stderr


def test_whoami_says_that_a_token_is_refused(here):
    done = here.writ("whoami", env={"WRIT_TOKEN": "a.b.c"})
    assert "Agent token:     refused" in ended(done, DENIED)
    bot = here.agent("hr-bot")
    old = "eyJhbGciOiJub25lIn0.e30.e30"
    who = document(here.writ("whoami", "-o", "json", env={"WRIT_TOKEN": old}),
                   DENIED)
    assert who["agentToken"] == "refused" and who["reason"]
    assert document(bot.writ("whoami", "-o", "json"))["agentToken"] == \
        "accepted"


def test_a_person_who_is_named_is_not_taken_for_the_environments_agent(here):
    ada, bot = here.human("ada"), here.agent("hr-bot")
    ended(ada.writ("login"), OK)
    ended(ada.writ("approval", "list", env={"WRIT_TOKEN": bot.token()}), OK)
    both = ada.writ("approval", "list", "--token-command", "true")
    assert "--token-command" in ended(both, USAGE) + both.stderr.decode()


@pytest.mark.parametrize("token", ["good", "none"])
def test_a_refusal_names_the_variable_whose_token_was_sent(here, token):
    sent = here.agent("hr-bot").token() if token == "good" else "a.b.c"
    done = here.writ("approval", "list", env={"WRIT_TOKEN": sent})
    ended(done, DENIED)
    said = done.stderr.decode()
    assert "(403)" in said if token == "good" else "(401)" in said
    assert "token of WRIT_TOKEN was sent" in said and "--human" in said
    assert sent not in said


def test_whoami_does_not_call_good_what_nobody_was_asked_about(tmp_path):
    done = harness.run(
        program("writ"), "--url", "http://127.0.0.1:1", "whoami", check=False,
        env={**ENV, "WRIT_TOKEN": "a.b.c", "HOME": str(tmp_path)})
    assert done.returncode == UNREACHABLE
    alone = harness.run(
        program("writ"), "--url", "http://127.0.0.1:1", "whoami", "-o", "json",
        check=False, env={**ENV, "HOME": str(tmp_path)})
    assert document(alone)["session"] == "none"


# Options that do something.


@pytest.mark.parametrize("command", [
    ("approval", "approve", "req_1"), ("approval", "deny", "req_1", "-r", "no"),
    ("change", "sign", "chg_1"), ("apply", "-f", "x"),
    ("agent", "contain", "hr-bot", "-r", "why"),
    ("containment", "release", "con_1", "-r", "why"),
    ("evidence", "erase", "agent:x", "-r", "why"),
    ("exception", "sign", "exc_1"), ("policy", "activate", "x"),
    ("task", "complete", "tsk_1"), ("request", "cancel", "req_1"),
    ("task", "list"), ("login",)])
def test_a_key_is_not_taken_where_it_would_do_nothing(here, command):
    done = here.human("ada").writ(*command, "--idempotency-key", "k")
    ended(done, USAGE)
    assert b"unknown option --idempotency-key" in done.stderr


def test_a_key_makes_two_openings_one_task(here):
    bot = here.agent("hr-bot")
    key = os.urandom(8).hex()
    first, second = (document(bot.writ(
        "task", "open", "-c", "identity-ops", "-i", "new people", "--target",
        TARGET, "--ttl", "1h", "--idempotency-key", key, "-o", "json"))
        for _ in range(2))
    assert first["id"] == second["id"]


# What would help.


def test_a_task_that_would_last_too_long_is_told_the_longest(here):
    bot = here.agent("hr-bot")
    key = os.urandom(8).hex()
    denied = bot.call("POST", "/v1/tasks", open_body(ttl="9h"),
                      key=key).refused(403, "denied")
    decision = denied["decision"]
    assert decision["remedy"] == "ask for a ttl of at most 8h"
    assert decision["requires"] == {"maxTtl": "8h"}
    assert decision["cause"] == "policy"
    assert "8h" in decision["forAgent"] and "8h" in decision["forHuman"]
    assert isinstance(decision["policies"], list)
    # The same call is told the same.
    again = bot.call("POST", "/v1/tasks", open_body(ttl="9h"),
                     key=key).refused(403, "denied")
    assert again["decision"] == decision
    done = bot.writ("task", "open", "-c", "identity-ops", "-i", "new people",
                    "--target", TARGET, "--ttl", "9h")
    ended(done, DENIED)
    assert b"remedy: ask for a ttl of at most 8h" in done.stderr
    bot.open_task(ttl="8h")


def test_a_denied_task_names_the_rules_as_a_denied_request_does(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    denied = bot.ask(task, "AddToGroup", group("contractors"),
                     somebody()).refused(403)["request"]["decision"]
    authority.human("ada").contain("agent", "hr-bot").ok(200, 201)
    told = bot.call("POST", "/v1/tasks",
                    open_body()).refused(403, "denied")["decision"]
    assert {"cause", "policies", "forAgent", "forHuman", "remedy"} <= set(told)
    assert {"cause", "policies", "forAgent", "forHuman"} <= set(denied)
    assert told["cause"] == "contained" and "release" in told["remedy"]


def test_in_a_tasks_last_minute_the_time_that_is_left_is_told(here):
    bot = here.agent("hr-bot")
    task = bot.open_task(ttl="45s")
    denied = bot.ask(task, "AddToGroup", group("lunch-list"), somebody(),
                     ttl="15m").refused(403)["request"]["decision"]
    longest = denied["requires"]["maxTtl"]
    assert denied["remedy"] == f"ask for a ttl of at most {longest}"
    seconds = int(longest.removesuffix("s"))
    assert 1 <= seconds <= 45
    done = bot.ask(task, "AddToGroup", group("lunch-list"), somebody(),
                   ttl=f"{seconds - 15}s")
    assert done.ok(200)["state"] == "done"


def test_less_time_is_not_offered_where_it_would_not_help(here):
    adviser = here.agent("adviser")
    denied = adviser.ask(adviser.open_task(ttl="45s"), "AddToGroup",
                         group("lunch-list"), somebody(), ttl="15m")
    decision = denied.refused(403)["request"]["decision"]
    assert "ttl" not in decision.get("remedy", "")
    assert "maxTtl" not in decision.get("requires", {})


# Signing.


def test_signing_a_prune_shows_what_goes_and_not_all_that_stays(authority):
    ada, heidi = authority.human("ada"), authority.human("heidi")
    for one in (ada, heidi):
        one.writ("login", check=True)
    made = [m for m in authority.manifests()
            if (m["kind"], m["metadata"]["name"]) != ("Agent", "adviser")]
    for manifest in made:
        if manifest["kind"] == "TaskClass":
            openers = manifest["spec"]["openers"]
            manifest["spec"]["openers"] = [o for o in openers
                                           if o != "adviser"]
        if manifest["metadata"]["name"] == "frank":  # takes two signatures
            manifest["spec"]["email"] = "frank@example.org"
    change = ada.propose(made, prune=True).ok(202)["id"]
    seen = heidi.writ("change", "sign", change)  # nobody can be asked here
    text = words(seen)
    assert "adviser" in text and "Agent" in text and "--verbose" in text
    assert '"apiVersion"' not in text and '"metadata"' not in text
    full = words(heidi.writ("change", "sign", change, "--verbose"))
    assert full.count('"metadata"') == len(made)
    assert '"metadata"' in ended(heidi.writ("change", "show", change), OK)
    ended(heidi.writ("change", "sign", change, "--yes"), OK)


def test_who_is_one_of_several_to_sign_is_told_that_it_waits(authority):
    bob = authority.human("bob")
    bob.writ("login", check=True)
    # Three people sign for this one.
    waits = stories.waiting(authority, "domain-admins")["id"]
    asked = bob.writ("approval", "show", waits, "-o", "json")
    own = next(name for name in document(asked)["groups"]
               if name == "iam-approvers")
    done = bob.writ("approval", "approve", waits, "--group", own, "--reason",
                    "known", "--yes")
    ended(done, WAITING)
    assert authority.agent("hr-bot").show(waits)["state"] == "waiting"


def test_who_signs_what_is_decided_is_told_so(authority):
    bot, bob = authority.agent("hr-bot"), authority.human("bob")
    bob.writ("login", check=True)
    waits = stories.waiting(authority, bot=bot)["id"]
    ended(bob.writ("approval", "approve", waits, "--yes"), OK)
    bot.wait(waits, "done")
    late = bob.writ("approval", "approve", waits, "--yes")
    ended(late, CONFLICT)
    assert b"decided already" in late.stderr
    bob.approve(waits, "iam-approvers", digest="sha256:" + "0" * 64).refused(
        409, "not-waiting")


# Exit codes.


WRONG = [
    ("task",), ("nothing",), ("task", "nothing"), ("task", "list", "--colour"),
    ("task", "open"), ("task", "show"), ("task", "show", "a", "b"),
    ("task", "list", "-o", "xml"), ("task", "list", "--state", "asleep"),
    ("request", "list", "--state", "asleep"), ("change", "list", "-s", "gone"),
    ("task", "list", "--timeout", "soon"), ("task", "list", "--timeout", "2h"),
    ("task", "list", "--url", "ftp://x"), ("request", "wait", "r", "--for",
                                           "ever"),
    ("request", "rollback", "r", "--ttl", "long"),
    ("evidence", "show", "first"), ("evidence", "prove", "1", "--wait", "2m"),
    ("evidence", "prove", "1", "--strength", "iron"),
    ("evidence", "disclose", "1", "-r", "why", "--part", "x"),
    ("evidence", "erase", "bob", "-r", "they left"),
    ("erasure", "sign", "bob"),
    ("exception", "create", "-t", "t", "--tier-cap", "9", "-r", "why"),
    ("exception", "create", "-t", "t", "--tier-cap", "1", "-r", "why",
     "--expires", "never"),
    ("signal", "send", "-d", "edr"), ("signal", "send", "-d", "edr", "--kind",
                                      "x", "--agent", "a", "--score", "900"),
    ("voucher", "create", "--kind", "ticket", "--action", "a", "--target", "t",
     "--resource", "r", "--expires", "late"),
    ("policy", "simulate", "x", "--limit", "some"),
    ("completion", "tcsh"), ("help", "nothing"), ("help", "task", "nothing"),
    ("init", "--data", "d", "--keeper", "k", "--origin", "a b", "--admin",
     "ada", "--key", "k.pub"),
]


@pytest.mark.parametrize("command", WRONG, ids=" ".join)
def test_what_is_wrong_on_the_command_line_ends_with_two(here, command):
    ada = here.human("ada")
    if not getattr(here, "ada_is_in", False):
        ended(ada.writ("login"), OK)
        here.ada_is_in = True
    done = ada.writ(*command)
    ended(done, USAGE)
    assert done.stderr


def test_no_command_takes_an_option_that_it_does_not_know(here):
    for command in sorted(commands_of_help(here)):
        done = here.writ(*command.split(), "--no-such-option")
        ended(done, USAGE)
        assert b"unknown option --no-such-option" in done.stderr, command


def test_who_does_not_say_who_they_are_ends_with_two(here):
    done = here.writ("agent", "contain", "hr-bot", "-r", "why", "--yes")
    ended(done, USAGE)
    assert b"who are you" in done.stderr
    done = harness.run(program("writ"), "task", "list", check=False, env=ENV)
    ended(done, USAGE)


def test_what_is_not_there_ends_with_one(here):
    ada = here.human("ada")
    ended(ada.writ("login"), OK)
    for command in (("agent", "show", "nobody"), ("change", "show", "chg_1"),
                    ("containment", "show", "con_1"),
                    ("exception", "show", "exc_1"), ("task", "show", "tsk_1"),
                    ("evidence", "show", "99999999"),
                    ("apply", "-f", "/nowhere"),
                    ("agent", "release", "hr-bot", "-r", "why"),
                    ("erasure", "sign", "agent:nobody")):
        ended(ada.writ(*command), FAILED)


# What a client could have seen by itself.


def challenge(answer):
    return answer.headers["www-authenticate"]


def test_nothing_but_a_challenge_is_told_to_who_shows_nothing(here):
    answer = here.call("GET", "/v1/tasks")
    assert answer.refused(401, "unproved")["reason"] == "missing"
    assert challenge(answer) == 'Bearer realm="writ"'


@pytest.mark.parametrize("value", ["Bearer", "Bearer ", "Bearer a b",
                                   "bearer a, b"])
def test_a_header_without_one_token_is_a_wrong_request(here, value):
    answer = here.call("GET", "/v1/tasks", headers={"Authorization": value})
    answer.refused(400, "bearer")
    assert 'error="invalid_request"' in challenge(answer)


@pytest.mark.parametrize("token, part", [
    ("abc", "three parts"), ("a.b", "three parts"), ("a.b.c.d", "three parts"),
    ("a!.e30.e30", "header is not base64url"), ("e30=.e30.e30", "header"),
    ("bm8.e30.e30", "header is not a JSON"),
    ("eyJhbGciOiJFUzI1NiJ9.!.e30", "claims are not base64url"),
    ("eyJhbGciOiJFUzI1NiJ9.bm8.e30", "claims are not a JSON"),
    ("eyJhbGciOiJFUzI1NiJ9.e30.!", "signature"),
    ("eyJhbGciOiJFUzI1NiJ9.e30.", "signature")])
def test_of_a_malformed_token_the_wrong_part_is_named(here, token, part):
    answer = here.call("GET", "/v1/tasks", bearer=token)
    told = answer.refused(401, "unproved")
    assert told["reason"] == "malformed" and part in told["part"]
    assert 'error="invalid_token"' in challenge(answer)


def test_of_a_malformed_statement_each_fault_is_named(here):
    ada = here.human("ada")
    text = json.loads(ada.statement("contain", kind="agent", name="hr-bot",
                                    reason="why"))
    text.update(nonce="00", kind="human")
    del text["at"]
    form = ada.sign_text(canonical(text), "writ-admin")
    form["signature"] = form["signature"].replace("BEGIN", "BEGUN")
    told = here.call("POST", "/v1/containments", form).refused(400,
                                                               "malformed")
    places = {fault["at"] for fault in told["errors"]}
    assert places == {"/statement/nonce", "/statement/kind", "/statement/at",
                      "/signature"}
    for text in ("", "{}", "[]", "no", '{"type": "contain/v1"}'):
        told = here.call("POST", "/v1/containments", {
            "statement": text or "{ }", "signature": "none"}).refused(
                400, "malformed")
        assert all(f["at"] and f["detail"] for f in told["errors"])


def test_a_whole_statement_by_a_stranger_stays_unproved(here):
    mallory = here.human("mallory")
    here.call("POST", "/v1/containments", mallory.sign(
        "contain", kind="agent", name="hr-bot",
        reason="why")).refused(401, "unknown-signer")


# Waiting.


def test_a_call_that_waits_is_told_at_once_that_people_are_asked(here):
    bot = here.agent("hr-bot")
    request = stories.waiting(here, bot=bot, wait=30)
    assert request["waitingFor"]
    bot.cancel(request["id"]).ok(200)
