"""Logins of a real PostgreSQL server, lent by a real authority: what they can
do, who is told their secret, and that they end."""
import concurrent.futures
import json
import pathlib

import pytest

from harness import canonical, wait_until
from lending import DATABASE, DRILL_LOGIN, Lending, prepare
from postgres import AVAILABLE, Postgres, Proxy, Refused

CONFLICT = 6  # exit code of writ

pytestmark = pytest.mark.skipif(not AVAILABLE,
                                reason="needs an installed PostgreSQL")


@pytest.fixture(scope="module", name="server")
def the_server():
    with Postgres() as server:
        yield prepare(server)


@pytest.fixture(scope="module", name="world")
def the_world(server):
    with Lending(None, server) as world:
        yield world
        assert_secrets_stand_nowhere(world)
        verified = world.authority.verify()
        assert verified.returncode == 0, verified.stdout


@pytest.fixture(name="alone")
def own_world(tmp_path, server):
    """An authority of its own, for what stops or hinders one."""
    with Lending(tmp_path / "authority", server) as world:
        yield world
        assert_secrets_stand_nowhere(world)


def assert_secrets_stand_nowhere(world):
    """Raw bytes of all files of the authority, and the server's log."""
    assert world.secrets
    files = [path for path in pathlib.Path(world.authority.folder).rglob("*")
             if path.is_file()]
    assert any(path.name == "state.db" for path in files)
    for path in files:
        data = path.read_bytes()
        for secret in world.secrets:
            assert secret.encode() not in data, path
    logged = world.server.logged()
    assert "CREATE ROLE" in logged
    for secret in world.secrets:
        assert secret not in logged


# ---- what is lent works, and no further ----

def test_a_lent_login_runs_what_its_role_allows_and_nothing_else(world):
    task = world.open_task()
    answer = world.lend(task)
    assert world.run(answer, "SELECT title FROM books") == ["one"]
    with pytest.raises(Refused, match="permission denied"):
        world.run(answer, "INSERT INTO books VALUES ('two')")
    with pytest.raises(Refused, match="permission denied"):
        world.run(answer, "CREATE ROLE another LOGIN")
    user = answer["secret"]["user"]
    assert world.server.is_member("app_reader", user)
    grant = world.grant(answer["grant"])
    assert grant["state"] == "active" and grant["delivered"]
    assert grant["parameters"] == {"login": user}
    assert answer["expires"] == grant["ends"]
    world.bot.complete(task).ok(200)
    assert world.is_locked_out(answer)


def test_low_tier_is_lent_without_asking_since_the_way_back_was_drilled(world):
    task = world.open_task()
    request = world.ask(task).ok(200)
    decision = request["decision"]
    assert request["route"] == "auto", canonical(decision)
    assert "secret" not in request and "secret" not in canonical(request)
    world.bot.complete(task).ok(200)
    assert not world.server.has_role(DRILL_LOGIN)


def test_a_high_tier_asks_people_first(world):
    task = world.open_task()
    waiting = world.ask(task, "app_writer").ok(202)
    assert waiting["waitingFor"] == {"iam-approvers": 1}
    logins = world.server.ask("SELECT count(*) FROM pg_roles WHERE rolname "
                              "LIKE 'writ\\_%'")
    # Nothing was made, and there is nothing to be told.
    early = world.take(waiting["id"]).ok(202)
    assert early["state"] == "waiting" and "secret" not in canonical(early)
    assert logins == world.server.ask("SELECT count(*) FROM pg_roles WHERE "
                                      "rolname LIKE 'writ\\_%'")
    world.person("alice").approve(waiting["id"], "iam-approvers").refused(403)
    world.person("bob").approve(waiting["id"], "iam-approvers").ok(200, 202)
    answer = world.take(waiting["id"], wait=20).ok(200)
    world.secrets.append(answer["secret"]["password"])
    world.run(answer, "INSERT INTO books VALUES ('two')")
    world.bot.complete(task).ok(200)
    assert world.is_locked_out(answer)
    world.server.ask("DELETE FROM books WHERE title = 'two'", "app")


def test_what_people_deny_is_never_told(world):
    task = world.open_task()
    waiting = world.ask(task, "app_writer").ok(202)
    world.person("bob").deny(waiting["id"], "iam-approvers").ok(200)
    world.take(waiting["id"]).refused(403, "denied")
    world.bot.complete(task).ok(200)


def test_a_role_that_no_rule_names_is_of_the_highest_tier(world):
    task = world.open_task()
    answer = world.ask(task, "app_nobody")
    assert answer.status != 200 or answer.body["state"] == "failed"
    world.bot.complete(task).ok(200)


# ---- told once, to one ----

def test_a_secret_is_told_once(world):
    task = world.open_task()
    request = world.ask(task).ok(200)["id"]
    answer = world.take(request).ok(200)
    world.secrets.append(answer["secret"]["password"])
    world.take(request).refused(409, "taken")
    world.take(request).refused(409, "taken")
    # Nor by reading, in any way.
    shown = [world.bot.show(request), world.bot.get("/v1/requests").ok(),
             world.bot.get("/v1/grants").ok(), world.grant(answer["grant"])]
    assert answer["secret"]["password"] not in canonical(shown)
    delivered = [leaf for leaf in world.leaves("delivered")
                 if leaf["about"] == answer["grant"]]
    assert [leaf["request"] for leaf in delivered] == [request]
    world.bot.complete(task).ok(200)
    world.take(request).refused(409, "taken")


def test_of_many_who_ask_at_once_one_is_told(world):
    task = world.open_task()
    request = world.ask(task).ok(200)["id"]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: world.take(request), range(16)))
    told = [answer for answer in answers if answer.status == 200]
    assert len(told) == 1
    world.secrets.append(told[0].body["secret"]["password"])
    for answer in answers:
        if answer is not told[0]:
            answer.refused(409, "taken")
    assert world.run(told[0].body, "SELECT 1") == ["1"]
    world.bot.complete(task).ok(200)


def test_who_waits_is_told_when_people_have_decided(world):
    task = world.open_task()
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        denied = world.ask(task, "app_writer").ok(202)["id"]
        held = pool.submit(world.take, denied, wait=30)
        world.person("bob").deny(denied, "iam-approvers").ok(200)
        held.result().refused(403, "denied")
        allowed = world.ask(task, "app_writer").ok(202)["id"]
        held = pool.submit(world.take, allowed, wait=30)
        world.person("bob").approve(allowed, "iam-approvers").ok(200, 202)
        answer = held.result().ok(200)
    world.secrets.append(answer["secret"]["password"])
    assert world.run(answer, "SELECT title FROM books") == ["one"]
    world.bot.complete(task).ok(200)


def test_a_secret_is_told_to_nobody_but_the_agent_that_asked(world):
    task = world.open_task()
    request = world.ask(task).ok(200)["id"]
    path = f"/v1/requests/{request}/secret"
    world.take(request, world.authority.agent("adviser")).refused(404)
    ada = world.person("ada")
    world.authority.call("POST", path, {},
                         bearer=ada.session or ada.login()).refused(403)
    owner = world.person("alice")
    world.authority.call("POST", path, {},
                         bearer=owner.session or owner.login()).refused(403)
    world.authority.call("POST", path, {}).refused(401)
    world.authority.call("GET", path, bearer=world.bot.token()).refused(405)
    # None of them has used it up.
    answer = world.take(request).ok(200)
    world.secrets.append(answer["secret"]["password"])
    assert world.run(answer, "SELECT 1") == ["1"]
    world.bot.complete(task).ok(200)


def test_what_lends_nothing_has_no_secret(world):
    task = world.open_task()
    request = world.ask(task, "writ_drill", "GrantRole", member="bob").ok(200)
    world.take(request["id"]).refused(409, "not-lent")
    world.take("req_unknown").refused(404)
    world.bot.complete(task).ok(200)


def test_an_agent_names_no_login_and_no_member(world):
    task = world.open_task()
    for parameters in ({"login": "bob"}, {"member": "bob"},
                       {"request": "req_1"}, {"credential": "crd_1"}):
        world.ask(task, **parameters).refused(422)
    world.ask(task, action="RevokeCredential").refused(422)
    world.bot.complete(task).ok(200)


def test_another_one_takes_the_place_of_the_first(world):
    task = world.open_task()
    first = world.lend(task)
    second = world.lend(task)
    assert second["secret"]["user"] != first["secret"]["user"]
    assert second["secret"]["password"] != first["secret"]["password"]
    assert world.ended(first["grant"])["why"] == "replaced"
    assert world.is_locked_out(first)
    assert world.run(second, "SELECT 1") == ["1"]
    # Another task's is its own.
    other = world.open_task()
    third = world.lend(other)
    assert world.run(second, "SELECT 1") == ["1"]
    world.bot.complete(task).ok(200)
    assert world.is_locked_out(second)
    assert world.run(third, "SELECT 1") == ["1"]
    world.bot.complete(other).ok(200)


# ---- every end ends it ----

def test_a_running_session_ends_with_the_task(world):
    task = world.open_task()
    answer = world.lend(task)
    session = world.session(answer)
    world.bot.complete(task).ok(200)
    assert "terminating connection" in session.ended()
    assert world.is_locked_out(answer)
    assert world.server.sessions(answer["secret"]["user"]) == 0
    grant = world.grant(answer["grant"])
    assert grant["state"] == "ended" and grant["why"] == "completed"
    ended = [leaf for leaf in world.leaves("ended")
             if leaf["about"] == answer["grant"]]
    assert [leaf["effect"] for leaf in ended] == ["removed"]


def test_it_ends_when_its_time_is_over(world):
    task = world.open_task()
    answer = world.lend(task, ttl="2s")
    session = world.session(answer)
    assert world.ended(answer["grant"])["why"] == "expired"
    assert "terminating connection" in session.ended()
    assert world.is_locked_out(answer)
    world.bot.complete(task).ok(200)


def test_it_ends_when_its_agent_is_contained(world):
    task = world.open_task()
    answer = world.lend(task)
    untaken = world.ask(task, "app_reader").ok(200)
    assert world.ended(answer["grant"])["why"] == "replaced"
    contained = world.person("alice").contain("task", task)
    if contained.status == 403:
        contained = world.person("ada").contain("task", task)
    contained.ok(200, 201, 202)
    grant = world.ended(untaken["grant"]["id"])
    assert grant["why"] == "contained"
    world.take(untaken["id"]).refused(409, "ended")
    assert world.is_locked_out(answer)


def test_what_was_not_taken_when_the_task_ended_is_not_told(world):
    task = world.open_task()
    request = world.ask(task).ok(200)
    login = request["plan"]["parameters"]["login"]
    assert world.server.has_role(login)
    world.bot.complete(task).ok(200)
    world.take(request["id"]).refused(409, "ended")
    assert not world.server.has_role(login)


def test_it_ends_when_its_agent_gives_it_back(world):
    task = world.open_task()
    answer = world.lend(task)
    back = world.ask(task, action="RevokeCredential",
                     login=answer["secret"]["user"]).ok(200)
    assert back["state"] == "done" and back["route"] == "auto", canonical(back)
    assert world.ended(answer["grant"])["why"] == "undone by a request"
    assert world.is_locked_out(answer)
    assert world.bot.show(answer["request"])["state"] == "rolled_back"
    # The other way to say so.
    again = world.lend(task)
    world.bot.rollback(again["request"]).ok(200)
    assert world.is_locked_out(again)
    world.bot.complete(task).ok(200)


def test_what_another_agent_was_lent_is_not_taken_without_the_soc(world):
    task = world.open_task()
    answer = world.lend(task)
    adviser = world.authority.agent("adviser")
    other = world.open_task(adviser)
    refused = world.ask(other, action="RevokeCredential", agent=adviser,
                        login=answer["secret"]["user"])
    refused.refused(403)
    assert world.run(answer, "SELECT 1") == ["1"]
    adviser.complete(other).ok(200)
    world.bot.complete(task).ok(200)


def test_it_ends_when_the_owner_says_so(world):
    task = world.open_task()
    answer = world.lend(task)
    session = world.session(answer)
    grant = answer["grant"]
    world.person("bob").end_grant(grant).refused(403)
    signed = world.person("alice").sign("end-grant", grant="grt_other",
                                        reason="it is over")
    world.authority.call("POST", f"/v1/grants/{grant}/end",
                         signed).refused(404)
    assert world.run(answer, "SELECT 1") == ["1"]
    shown = world.person("alice").end_grant(grant).ok(202)
    assert shown["state"] == "ending"
    assert world.ended(grant)["why"] == "revoked"
    assert "terminating connection" in session.ended()
    assert world.is_locked_out(answer)
    assert grant in [leaf["about"] for leaf in world.leaves("revoked")]
    world.person("alice").end_grant(grant).refused(404)
    # The task goes on without it, and may be lent another.
    world.lend(task)
    world.bot.complete(task).ok(200)


def test_what_nobody_takes_in_time_ends(tmp_path, server):
    with Lending(tmp_path / "authority", server, secret_seconds=1) as world:
        task = world.open_task()
        request = world.ask(task).ok(200)
        grant = world.ended(request["grant"]["id"])
        assert grant["why"] == "never taken" and "delivered" not in grant
        assert not server.has_role(grant["parameters"]["login"])
        world.take(request["id"]).refused(409, "lost")


def test_a_stop_ends_what_was_not_taken_and_keeps_what_was(alone):
    task = alone.open_task()
    other = alone.open_task()
    taken = alone.lend(task)
    untaken = alone.ask(other).ok(200)
    alone.authority.kill()
    alone.start()
    alone.take(untaken["id"]).refused(409, "lost")
    grant = alone.ended(untaken["grant"]["id"])
    assert grant["why"] == "its secret was lost"
    assert not alone.server.has_role(grant["parameters"]["login"])
    # Who has its secret works on, until the task ends.
    assert alone.run(taken, "SELECT 1") == ["1"]
    alone.take(taken["request"]).refused(409, "taken")
    alone.bot.complete(task).ok(200)
    assert alone.is_locked_out(taken)


def test_what_people_allow_after_a_stop_is_lent_and_told(alone):
    task = alone.open_task()
    waiting = alone.ask(task, "app_writer").ok(202)["id"]
    alone.person("bob").login()
    alone.authority.kill()
    alone.start()
    alone.take(waiting).ok(202)
    alone.person("bob").login()
    alone.person("bob").approve(waiting, "iam-approvers").ok(200, 202)
    answer = alone.take(waiting, wait=30).ok(200)
    alone.secrets.append(answer["secret"]["password"])
    assert alone.run(answer, "SELECT 1") == ["1"]
    alone.bot.complete(task).ok(200)
    assert alone.is_locked_out(answer)


def test_a_stop_between_the_effect_and_its_record_ends_what_was_lent(
        tmp_path, server):
    """The login stands, the authority never heard so, and is killed."""
    proxy = Proxy(server.port)
    with Lending(tmp_path / "authority", server, port=proxy.port) as world:
        task = world.open_task()
        proxy.lose["COMMIT"] = "silence"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            held = pool.submit(world.ask, task)
            # Of the list: who asks for one thing waits for what comes of it.
            request = wait_until(
                lambda: world.bot.get("/v1/requests").ok()["requests"],
                "the request to be armed")[0]
            login = request["plan"]["parameters"]["login"]
            request = request["id"]
            wait_until(lambda: server.has_role(login), "the login")
            world.authority.kill()
            with pytest.raises(OSError):
                held.result()
        world.start()
        shown = world.bot.wait(request)
        assert shown["state"] == "done", canonical(shown)
        grant = world.ended(shown["grant"]["id"])
        assert grant["why"] == "its secret was lost"
        assert not server.has_role(login)
        world.take(request).refused(409, "lost")
    proxy.close()


def test_its_time_is_over_though_the_authority_was_not_there(alone):
    task = alone.open_task()
    answer = alone.lend(task, ttl="2s")
    alone.authority.kill()
    # The server itself lets nobody in any more.
    wait_until(lambda: not can_log_in(alone, answer), "VALID UNTIL")
    assert alone.server.has_role(answer["secret"]["user"])
    alone.start()
    assert alone.ended(answer["grant"])["why"] == "expired"
    assert alone.is_locked_out(answer)
    alone.bot.complete(task).ok(200)


def can_log_in(world, answer):
    try:
        return bool(world.run(answer, "SELECT 1"))
    except Refused:
        return False


def test_an_end_that_a_stop_cut_short_is_taken_up_again(alone):
    task = alone.open_task()
    answer = alone.lend(task)
    session = alone.session(answer)
    # The connector goes first, so that the end cannot be confirmed.
    alone.authority.kill()
    away = alone.file.rename(alone.file.with_suffix(".away"))
    alone.start(down=True)
    alone.person("ada").contain("task", task).ok(200, 201, 202)
    wait_until(lambda: alone.grant(answer["grant"]).get("unconfirmed"),
               "an end that is shown as unconfirmed")
    assert session.say("SELECT 1") == ["1"]
    alone.authority.kill()
    away.rename(alone.file)
    alone.start()
    assert alone.ended(answer["grant"])["why"] == "contained"
    assert "terminating connection" in session.ended()
    assert alone.is_locked_out(answer)


def test_a_secret_that_came_with_a_lost_answer_is_no_secret(tmp_path, server):
    """The server made the login, its answer was cut off: nobody knows the
    password, so the login goes."""
    proxy = Proxy(server.port)
    with Lending(tmp_path / "authority", server, port=proxy.port) as world:
        task = world.open_task()
        proxy.lose["COMMIT"] = "answer"
        request = world.ask(task).body
        shown = world.bot.wait(request["id"])
        assert shown["state"] == "done", canonical(shown)
        grant = world.ended(shown["grant"]["id"])
        assert grant["why"] == "its secret was lost"
        world.take(request["id"]).refused(409, "lost")
        assert not server.has_role(shown["plan"]["parameters"]["login"])
    proxy.close()


# ---- roles, as in a directory ----

def test_a_role_is_granted_for_the_task_and_taken_back(world):
    task = world.open_task()
    request = world.ask(task, "app_reader", "GrantRole", member="bob").ok(200)
    assert request["state"] == "done", canonical(request)
    assert request["route"] == "auto"
    assert request["plan"]["gains"] == [{"type": "account", "id": "bob"}]
    assert world.server.is_member("app_reader", "bob")
    world.bot.complete(task).ok(200)
    assert not world.server.is_member("app_reader", "bob")
    assert world.grant(request["grant"]["id"])["state"] == "ended"


def test_a_role_of_a_higher_tier_is_granted_by_people(world):
    task = world.open_task()
    waiting = world.ask(task, "app_writer", "GrantRole", member="bob").ok(202)
    # Bob would gain by it.
    world.person("bob").approve(waiting["id"], "iam-approvers").refused(403)
    assert not world.server.is_member("app_writer", "bob")
    world.person("dave").approve(waiting["id"], "iam-approvers").ok(200, 202)
    assert world.bot.wait(waiting["id"])["state"] == "done"
    assert world.server.is_member("app_writer", "bob")
    rolled = world.bot.rollback(waiting["id"]).ok(200)
    assert rolled["state"] == "done", canonical(rolled)
    assert not world.server.is_member("app_writer", "bob")
    world.bot.complete(task).ok(200)


# ---- by hand ----

def test_the_command_line_lends_and_tells_once(world):
    bot = world.bot
    task = world.open_task()
    done = bot.writ("request", "create", "--task", task, "--action",
                    "IssueCredential", "--target", DATABASE, "--resource",
                    "app_reader", "--wait", "20s", "--output", "json")
    assert done.returncode == 0, done.stderr
    request = json.loads(done.stdout)
    told = bot.writ("request", "secret", request["id"], "--field", "password")
    assert told.returncode == 0, told.stderr
    password = told.stdout.decode().strip()
    world.secrets.append(password)
    grant = world.grant(request["grant"]["id"])
    assert world.run({"secret": {
        "host": "127.0.0.1", "port": world.server.port, "database": "app",
        "user": grant["parameters"]["login"], "password": password}},
        "SELECT 1") == ["1"]
    again = bot.writ("request", "secret", request["id"])
    assert again.returncode == CONFLICT, again.stderr
    assert password.encode() not in again.stdout + again.stderr
    # The owner ends it, and looks whether it has.
    alice = world.person("alice")
    alice.login()
    ended = alice.writ("grant", "end", grant["id"], "--reason", "enough",
                       "--yes")
    assert ended.returncode == 0, ended.stderr
    assert world.ended(grant["id"])["why"] == "revoked"
    bot.complete(task).ok(200)


def test_a_token_that_has_served_does_not_fetch_a_secret(world):
    task = world.open_task()
    token = world.bot.token()
    body = {"task": task, "action": "IssueCredential", "target": DATABASE,
            "resource": "app_reader", "parameters": {}, "mode": "execute",
            "ttl": "15m"}
    request = world.bot.call("POST", "/v1/requests?wait=20", body,
                             token=token).ok(200)
    path = f"/v1/requests/{request['id']}/secret"
    world.bot.call("POST", path, {}, token=token).refused(401, "replayed")
    taken = world.take(request["id"]).ok(200)
    world.secrets.append(taken["secret"]["password"])
    world.bot.complete(task).ok(200)


# ---- what an account may do ----

def read(world, task, account):
    return world.bot.call("POST", "/v1/requests?wait=20", {
        "task": task, "action": "ReadEntitlements", "target": DATABASE,
        "resource": account, "parameters": {}, "mode": "execute"})


def test_an_agent_reads_what_a_login_may_do(world):
    world.server.ask("GRANT app_reader TO bob")
    task = world.open_task()
    done = read(world, task, "bob").ok(200)
    assert done["state"] == "done", canonical(done)
    assert "app_reader" in [row["id"] for row in
                            done["result"]["entitlements"]]
    world.bot.complete(task).ok(200)


@pytest.mark.parametrize("account", ["writ", "nobody-of-this-name"])
def test_an_account_that_no_rule_classifies_is_not_told_of(world, account):
    task = world.open_task()
    denied = read(world, task, account).refused(403, "denied")["request"]
    assert denied["state"] == "denied" and "result" not in denied
    world.bot.complete(task).ok(200)
