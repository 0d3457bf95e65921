"""The command line against the real daemon: what people and agents type, what
they are shown, and the exit codes that scripts rely on."""
import http.server
import json
import os
import pty
import re
import select
import shutil
import subprocess
import threading
import urllib.request

import pytest

import harness
import stories
import watchers
from harness import TARGET, Authority, group, program
from stories import somebody
from tokens import Issuer

OK, FAILED, USAGE, DENIED, WAITING, UNREACHABLE, CONFLICT, FINDING = range(8)
ENOUGH = "20s"  # for a request that ends by itself
ENV = Authority._env()  # pylint: disable=protected-access


@pytest.fixture(name="here")
def _here(shared_authority):
    return shared_authority


@pytest.fixture(name="bot")
def _bot(here):
    return here.agent("hr-bot")


@pytest.fixture(name="task")
def _task(bot):
    return bot.open_task()


def reader(authority, name):
    """A person who has logged in on their own machine."""
    human = authority.human(name)
    ended(human.writ("login"), OK)
    return human


def words(done):
    return (done.stdout + done.stderr).decode()


def ended(done, code):
    """The output of a command that ended with code."""
    assert done.returncode == code, \
        f"status {done.returncode}, wanted {code}:\n{words(done)}"
    return done.stdout.decode()


def document(done, code=OK):
    """The one JSON document that a command with --output json wrote."""
    return json.loads(ended(done, code))


def ask(bot, task, name, *more, member=None, action="AddToGroup", ttl="15m"):
    return bot.writ("request", "create", "--task", task, "--action", action,
                    "--target", TARGET, "--resource", group(name), "-p",
                    f"member={member or somebody()}", "--ttl", ttl, *more)


def only(done, prefix):
    """The id of this kind in what a command showed."""
    found = set(re.findall(rf"\b{prefix}_[0-9a-f]+", done.stdout.decode()))
    assert len(found) == 1, words(done)
    return found.pop()


# init


def init(folder, *more, code=OK):
    key = folder / "admin"
    if not key.exists():
        harness.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key)
    done = harness.run(
        program("writ"), "init", "--data", folder / "data", "--keeper",
        folder / "keys", "--origin", "authority.test/cli", "--admin", "ada",
        "--key", f"{key}.pub", "--policy", harness.ROOT / "policy", *more,
        check=False, env=ENV)
    return ended(done, code), done.stderr.decode()


def check_config(path):
    return harness.run(program("writd"), "--config", path, "--check-config",
                       check=False, merge=True)


def test_init_makes_a_configuration_that_works_as_it_is(tmp_path):
    out, _ = init(tmp_path)
    config = tmp_path / "data" / "writd.yaml"
    assert f"writd --config {config}" in out
    assert ended(check_config(config), 0).endswith(": fine\n")
    for path in (tmp_path / "data", tmp_path / "keys",
                 tmp_path / "keys" / "keys.json"):
        assert path.stat().st_mode & 0o077 == 0


def test_init_overwrites_nothing(tmp_path):
    init(tmp_path)
    keys = (tmp_path / "keys" / "keys.json").read_bytes()
    for more in ((), ("--config", tmp_path / "other.yaml")):
        _, err = init(tmp_path, *more, code=FAILED)
        assert "nothing was changed" in err
    assert (tmp_path / "keys" / "keys.json").read_bytes() == keys
    assert not (tmp_path / "other.yaml").exists()


def test_init_takes_no_private_key(tmp_path):
    init(tmp_path)
    _, err = init(tmp_path, "--data", tmp_path / "d2", "--keeper",
                  tmp_path / "k2", code=USAGE)  # given twice
    assert "--data" in err
    done = harness.run(
        program("writ"), "init", "--data", tmp_path / "d2", "--keeper",
        tmp_path / "k2", "--origin", "x.test/y", "--admin", "ada", "--key",
        tmp_path / "admin", check=False)
    assert done.returncode == USAGE and b"private key" in done.stderr
    assert not (tmp_path / "d2").exists() and not (tmp_path / "k2").exists()


def test_an_unknown_key_of_the_configuration_is_an_error_at_its_line(tmp_path):
    init(tmp_path)
    config = tmp_path / "data" / "writd.yaml"
    text = config.read_text()
    config.write_text(text + "lisen: 127.0.0.1:1\n")
    line = text.count("\n") + 1
    out = ended(check_config(config), USAGE)
    assert f"{config}:{line}:1: lisen: unknown member" in out
    done = harness.run(program("writ"), "doctor", "--config", config,
                       check=False)
    assert f":{line}:1: lisen" in ended(done, FAILED)


# Who one is.


def test_login_opens_a_session_of_its_own(here):
    carol = here.human("carol")
    assert "Session:         none" in ended(carol.writ("whoami"), OK)
    answer = document(carol.writ("login", "-o", "json"))
    assert answer["human"] == "carol" and "token" not in answer
    who = document(carol.writ("whoami", "-o", "json"))
    assert who["session"] == "accepted" and who["origin"] == here.origin
    assert who["proved"]["name"] == "carol"
    kept = here.folder / "homes/carol/.local/state/writ/sessions.json"
    assert kept.stat().st_mode & 0o077 == 0


def test_an_agent_is_proved_by_its_token(here, bot):
    assert "Name:            hr-bot" in ended(bot.writ("whoami"), OK)
    done = here.writ("task", "list", env={"WRIT_TOKEN": "a.b.c"})
    ended(done, DENIED)
    assert b"a.b.c" not in done.stderr


def test_a_stranger_does_not_log_in(here):
    ended(here.human("mallory").writ("login"), DENIED)
    carol, oscar = here.human("carol"), here.human("oscar")
    ended(here.writ("login", "--human", carol.name, "--key", oscar.key), DENIED)


def test_the_key_stays_in_the_agent(here, tmp_path):
    person, key = here.human("frank"), tmp_path / "frank"
    shutil.copy(person.key, key)
    shutil.copy(f"{person.key}.pub", f"{key}.pub")
    socket = tmp_path / "agent"
    with subprocess.Popen(["ssh-agent", "-D", "-a", socket],
                          stdout=subprocess.DEVNULL) as agent:
        try:
            harness.wait_until(socket.exists, "ssh-agent to listen")
            env = {"SSH_AUTH_SOCK": str(socket)}
            harness.run("ssh-add", "-q", key, env={**os.environ, **env})
            key.unlink()
            for name in (f"{key}.pub", key):
                ended(here.writ("login", "--human", "frank", "--key", name,
                                "--no-input", home="agent", env=env), OK)
            who = here.writ("whoami", home="agent", env=env)
            assert "Name:            frank" in ended(who, OK)
        finally:
            agent.terminate()
    done = here.writ("login", "--human", "frank", "--key", f"{key}.pub",
                     "--no-input", home="agent", env=env)
    ended(done, FAILED)


# Tasks and requests.


def test_a_task_from_its_opening_to_its_end(bot):
    done = bot.writ("task", "open", "-c", "identity-ops", "-i", "new people",
                    "--target", TARGET, "--ttl", "1h")
    task = only(done, "tsk")
    ended(done, OK)
    assert task in ended(bot.writ("task", "list", "--state", "open"), OK)
    done = bot.writ("task", "attach", task, "--kind", "prompt",
                    input=b"please add nora")
    assert "Attached 15 bytes as prompt." in ended(done, OK)
    request = document(ask(bot, task, "lunch-list", "--wait", ENOUGH, "-o",
                           "json"))
    assert request["state"] == "done"
    done = bot.writ("task", "complete", task)
    assert done.returncode in (OK, WAITING), words(done)
    harness.wait_until(
        lambda: "completed" in ended(bot.writ("task", "show", task), OK),
        "the task to complete")
    done = bot.writ("task", "attach", task, "--kind", "prompt", input=b"late")
    ended(done, FAILED)


def test_a_task_that_is_not_right_is_not_opened(bot):
    done = bot.writ("task", "open", "-c", "identity-ops", "-i", "x",
                    "--target", TARGET, "--ttl", "1h")
    ended(done, USAGE)
    assert b"/intent: must be at least 3 bytes" in done.stderr
    done = bot.writ("task", "open", "-c", "nothing", "-i", "new people",
                    "--target", TARGET, "--ttl", "1h")
    ended(done, USAGE)
    assert b"no-such-class" in done.stderr
    done = bot.writ("task", "open", "-c", "identity-ops", "-i", "new people",
                    "--target", "nowhere", "--ttl", "1h")
    ended(done, USAGE)
    assert b"no-such-target" in done.stderr
    ended(bot.writ("task", "open", "-c", "identity-ops"), USAGE)


def test_an_auto_request_ends_as_done(bot, task):
    done = ask(bot, task, "lunch-list", "--wait", ENOUGH)
    out = ended(done, OK)
    assert re.search(r"State: +done\b", out) and "Outcome leaf:" in out
    request = only(done, "req")
    assert request in ended(bot.writ("request", "list", "-s", "done"), OK)
    assert "p21-execute" in ended(bot.writ("request", "explain", request), OK)
    ended(bot.writ("request", "wait", request, "--for", "5s"), OK)
    ended(bot.writ("request", "cancel", request), CONFLICT)
    held = ended(bot.writ("grant", "list", "--state", "active"), OK)
    assert "grt_" in held
    undo = bot.writ("request", "rollback", request, "--wait", ENOUGH)
    assert "RemoveFromGroup" in ended(undo, OK)
    assert "rolled_back" in ended(bot.writ("request", "show", request), OK)


def test_a_denial_has_its_reasons_and_its_remedy(bot, task):
    done = ask(bot, task, "contractors", "--wait", ENOUGH)
    out = ended(done, DENIED)
    assert re.search(r"Remedy: +owner_ack", out)
    assert b"Missing evidence: owner_ack" in done.stderr
    request = only(done, "req")
    out = ended(bot.writ("request", "explain", request), OK)
    assert "r40-group-owner-ack" in out and "owner_ack" in out
    small = bot.open_task("small-ops")
    bot.attach(small, "add nora").ok(201)
    done = ask(bot, small, "domain-admins", "--wait", ENOUGH, "-o", "json")
    problem = document(done, DENIED)
    assert problem["code"] == "denied"
    assert problem["request"]["decision"]["policies"][0]["id"].startswith("g06")


def test_explaining_asks_nothing(bot, task):
    before = len(bot.get("/v1/requests").ok()["requests"])
    done = bot.writ("policy", "explain", "--task", task, "--action",
                    "AddToGroup", "--target", TARGET, "--resource",
                    group("contractors"), "-p", f"member={somebody()}",
                    "--ttl", "15m")
    assert "owner_ack" in words(done)
    assert len(bot.get("/v1/requests").ok()["requests"]) == before


def test_a_request_that_waits_can_be_withdrawn(here, bot, task):
    stories.vouch(here, "mail-admins")
    done = ask(bot, task, "mail-admins", "--wait", "1s")
    assert "iam-approvers" in ended(done, WAITING)
    request = only(done, "req")
    ended(bot.writ("request", "wait", request, "--for", "1s"), WAITING)
    assert "cancelled" in ended(bot.writ("request", "cancel", request), OK)
    ended(bot.writ("request", "wait", request), FAILED)
    ended(bot.writ("request", "cancel", request), OK)  # it is


def test_the_same_key_makes_a_repeated_call_one_act(bot, task):
    member, key = somebody(), os.urandom(8).hex()
    first, second = (ask(bot, task, "lunch-list", "--wait", ENOUGH,
                         "--idempotency-key", key, member=member)
                     for _ in range(2))
    assert ended(first, OK) and only(first, "req") == only(second, "req")
    ended(ask(bot, task, "lunch-list", "--idempotency-key", key), FAILED)


def test_another_agents_request_is_not_there(here, bot, task):
    request = only(ask(bot, task, "lunch-list", "--wait", ENOUGH), "req")
    done = here.agent("adviser").writ("request", "show", request)
    ended(done, FAILED)


# Approvals.


def on_terminal(human, answer, *arguments):
    """Runs a command whose questions are asked on a terminal; what stands on
    it, and the exit code."""
    near, far = pty.openpty()
    authority = human.authority
    home = authority.folder / "homes" / human.name
    with subprocess.Popen(
            [program("writ"), "--url", authority.url, "--human", human.name,
             "--key", human.key, *arguments], stdin=far, stdout=far, stderr=far,
            env={**ENV, "HOME": str(home), "TERM": "dumb"}) as process:
        os.close(far)
        seen, answered = b"", False
        while True:
            ready, _, _ = select.select([near], [], [], harness.PATIENCE)
            assert ready, seen
            try:
                part = os.read(near, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            seen += part
            if b"[y/N]" in seen and not answered:
                os.write(near, answer)
                answered = True
        os.close(near)
    assert answered, seen
    return process.returncode, seen.decode()


def test_an_approver_reads_the_plan_and_signs_exactly_it(here, bot):
    request = stories.waiting(here)["id"]
    bob = reader(here, "bob")
    assert request in ended(bob.writ("approval", "list"), OK)
    shown = ended(bob.writ("approval", "show", request), OK)
    view = bob.get(f"/v1/approvals/{request}").ok()
    assert view["digest"] == harness.digest(view["plan"])
    for part in (view["digest"], "+ member: uid=", "Undo:", "iam-approvers",
                 "May not sign:"):
        assert part in shown
    done = bob.writ("approval", "approve", request, "--reason", "known", "--yes")
    assert view["digest"].encode() in done.stderr  # shown before
    assert re.search(r"State: +done\b", ended(done, OK))
    assert "bob" in ended(bot.writ("request", "show", request), OK)
    ended(bob.writ("approval", "approve", request, "--yes"), CONFLICT)


def test_nobody_signs_without_having_been_asked(here):
    request = stories.waiting(here)["id"]
    bob = reader(here, "bob")
    for more in ((), ("--no-input",)):
        done = bob.writ("approval", "approve", request, *more)
        ended(done, FAILED)
        assert b"--yes" in done.stderr
    code, seen = on_terminal(bob, b"n\n", "approval", "approve", request)
    assert code == FAILED and "Nothing was signed." in seen
    code, seen = on_terminal(bob, b"\n", "approval", "approve", request)
    assert code == FAILED and "Nothing was signed." in seen
    assert bob.get(f"/v1/requests/{request}").ok()["state"] == "waiting"
    code, seen = on_terminal(bob, b"y\n", "approval", "approve", request)
    assert code == OK and re.search(r"State: +done\b", seen)


def test_one_who_says_no_ends_it(here, bot):
    request = stories.waiting(here)["id"]
    bob = reader(here, "bob")
    ended(bob.writ("approval", "deny", request, "--yes"), USAGE)  # no reason
    done = bob.writ("approval", "deny", request, "--reason", "not her", "--yes")
    assert re.search(r"State: +denied\b", ended(done, OK))
    ended(bot.writ("request", "wait", request), DENIED)


def test_a_barred_approver_is_refused(here):
    request = stories.waiting(here)["id"]
    alice = reader(here, "alice")
    done = alice.writ("approval", "approve", request, "--yes")
    ended(done, DENIED)
    ended(alice.writ("approval", "approve", request, "--group", "soc",
                     "--yes"), USAGE)


class Liar:
    """Stands between the command line and the authority, and changes what it
    says of an approval."""

    def __init__(self, authority, change):
        target = authority.url

        class Handler(http.server.BaseHTTPRequestHandler):
            """Forwards each call."""

            def log_message(self, *_):  # pylint: disable=arguments-differ
                pass

            def _forward(self):
                size = int(self.headers.get("Content-Length", 0))
                headers = {k: v for k, v in self.headers.items()
                           if k.lower() not in ("host", "content-length",
                                                "connection")}
                call = urllib.request.Request(
                    target + self.path, self.rfile.read(size) or None, headers,
                    method=self.command)
                with urllib.request.urlopen(call) as answer:
                    body = answer.read()
                    if "/approvals/" in self.path or \
                            self.path.startswith("/v1/changes/"):
                        body = json.dumps(change(json.loads(body))).encode()
                    self.send_response(answer.status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(body)))
                    self.end_headers()
                    self.wfile.write(body)

            do_GET = do_POST = _forward

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


def writ_at(url, human, *arguments):
    """A person's command line at another address."""
    home = human.authority.folder / "homes" / human.name
    home.mkdir(parents=True, exist_ok=True)
    return harness.run(
        program("writ"), "--url", url, "--human", human.name, "--key",
        human.key, *arguments, check=False, stdin=subprocess.DEVNULL,
        env={**ENV, "HOME": str(home)})


def another_plan(view):
    """A plan for somebody else under the digest of the real one."""
    plan = json.loads(view["plan"])
    plan["parameters"]["member"] = harness.person("mallory")
    return {**view, "plan": harness.canonical(plan)}


def another_text(view):
    """The same plan written otherwise."""
    return {**view, "plan": view["plan"].replace(",", ", ", 1)}


@pytest.mark.parametrize("change", [another_plan, another_text])
def test_what_is_shown_and_not_what_the_digest_says_is_never_signed(here,
                                                                    change):
    request = stories.waiting(here)["id"]
    with Liar(here, change) as liar:
        bob = here.human("bob")
        ended(writ_at(liar.url, bob, "login"), OK)
        for verb in ("show", "approve", "deny"):
            more = () if verb == "show" else ("--yes", "--reason", "x" * 3)
            done = writ_at(liar.url, bob, "approval", verb, request, *more)
            ended(done, FINDING)
            assert b"mallory" not in done.stdout
    assert bob.get(f"/v1/requests/{request}").ok()["state"] == "waiting"


# Advice, and outcomes nobody knows.


def test_advice_becomes_a_request_when_its_owner_adopts_it(here):
    adviser = here.agent("adviser")
    stories.vouch(here, "contractors")
    done = ask(adviser, adviser.open_task(), "contractors", "--mode",
               "recommend", "--wait", ENOUGH)
    assert re.search(r"State: +recommended\b", ended(done, OK))
    advice = only(done, "req")
    task = here.agent("hr-bot").open_task()
    alice = reader(here, "alice")
    assert "+ member: uid=" in ended(alice.writ("approval", "show", advice), OK)
    ended(alice.writ("request", "adopt", advice, "--task", task), FAILED)
    done = alice.writ("request", "adopt", advice, "--task", task, "--yes")
    assert done.returncode in (OK, WAITING), words(done)
    assert only(done, "req") != advice
    out = ended(alice.writ("request", "show", advice), OK)
    assert re.search(r"State: +adopted\b", out) and "Adopted as:" in out
    ended(alice.writ("request", "adopt", advice, "--task", task, "--yes"),
          CONFLICT)


def test_the_owner_closes_an_unknown_outcome(tmp_path):
    with Authority(folder=tmp_path / "a") as authority:
        authority.found()
        bot, alice = authority.agent("hr-bot"), reader(authority, "alice")
        stories.set_faults(authority, apply="unavailable", read="unavailable")
        done = ask(bot, bot.open_task(), "lunch-list", "--wait", ENOUGH)
        ended(done, CONFLICT)
        request = only(done, "req")
        out = ended(alice.writ("doctor", "--config", authority.config_path), OK)
        assert "unknown outcomes" in out and "writ request resolve" in out
        resolve = ("request", "resolve", request, "--as", "not-applied",
                   "--reason", "looked at it")
        ended(reader(authority, "bob").writ(*resolve, "--yes"), DENIED)
        ended(alice.writ(*resolve), FAILED)  # not asked
        harness.wait_until(
            lambda: alice.writ(*resolve, "--yes").returncode == OK,
            "the outcome to be closed")
        ended(bot.writ("request", "wait", request), FAILED)


# Vouching, containing, trying the way back.


def test_a_voucher_is_what_was_missing(here, bot, task):
    ended(ask(bot, task, "helpdesk", "--wait", ENOUGH), DENIED)
    erin = here.human("erin")
    voucher = ("voucher", "create", "--kind", "owner_ack", "--action",
               "AddToGroup", "--target", TARGET, "--resource",
               group("helpdesk"), "--reference", "T-7", "--text", "mine")
    ended(erin.writ(*voucher), FAILED)  # not asked
    done = erin.writ(*voucher, "--expires", "2h", "--yes")
    assert re.search(r"Reference: +T-7", ended(done, OK))
    ended(ask(bot, task, "helpdesk", "--wait", ENOUGH), OK)
    done = here.human("bob").writ(*voucher, "--yes")
    assert "Only the target's owner" in words(done) and done.returncode != OK


def test_an_agent_is_contained_and_released_by_two(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    granted = document(ask(bot, task, "lunch-list", "--wait", ENOUGH, "-o",
                           "json"))["grant"]["id"]
    waits = stories.waiting(authority, bot=bot, task=task)["id"]
    ada, heidi = reader(authority, "ada"), reader(authority, "heidi")
    ended(ada.writ("agent", "contain", "hr-bot", "--reason", "odd"), FAILED)
    done = ada.writ("agent", "contain", "hr-bot", "--reason", "odd", "--yes")
    ended(done, OK)
    containment = only(done, "ctn")

    def points():
        shown = document(ada.writ("containment", "show", containment, "-o",
                                  "json"))
        return {p["id"]: p for p in shown["points"]}

    harness.wait_until(lambda: all("evidence" in p for p in points().values()),
                       "each point to have its proof")
    assert {granted, waits, task} <= set(points())
    for point in points().values():
        assert stories.has_leaf(authority, point["evidence"])
    table = ended(ada.writ("containment", "show", containment), OK)
    assert all(ident in table for ident in (granted, waits, task))
    assert containment in ended(ada.writ("containment", "list"), OK)
    done = ask(bot, task, "lunch-list", "--wait", ENOUGH)
    assert done.returncode in (FAILED, DENIED, CONFLICT), words(done)

    release = ("agent", "release", "hr-bot", "--reason", "looked into", "--yes")
    done = ada.writ(*release)
    ended(done, WAITING)
    assert f"writ containment release {containment}".encode() in done.stderr
    ended(ada.writ(*release), CONFLICT)
    done = heidi.writ("containment", "release", containment, "--reason",
                      "seen", "--yes")
    assert "ada, heidi" in ended(done, OK)
    ended(heidi.writ(*release), FAILED)
    fresh = bot.open_task()
    ended(ask(bot, fresh, "lunch-list", "--wait", ENOUGH), OK)


def test_a_task_is_contained_alone(here, bot, task):
    ada = reader(here, "ada")
    done = ada.writ("task", "contain", task, "--reason", "odd", "--yes")
    assert task in ended(done, OK)
    assert "contained" in ended(bot.writ("task", "show", task), OK)
    ended(ask(bot, bot.open_task(), "lunch-list", "--wait", ENOUGH), OK)
    done = here.human("bob").writ("task", "contain", bot.open_task(),
                                  "--reason", "odd", "--yes")
    ended(done, DENIED)


def test_a_drill_says_whether_the_way_back_works(here):
    done = here.human("ada").writ("target", "drill", TARGET, "--yes")
    assert re.search(r"Passed: +yes", ended(done, OK))
    ended(here.human("bob").writ("target", "drill", TARGET, "--yes"), DENIED)


# The inventory.


def inventory(authority, folder):
    """The demonstration's manifests as files, with its values."""
    folder.mkdir()
    values = authority.values
    for path in (harness.EXAMPLE / "manifests").glob("*.yaml"):
        (folder / path.name).write_text(harness.fill(path.read_text(), values))
    return folder


def test_an_inventory_is_applied_by_one_and_then_by_two(make_authority,
                                                        tmp_path):
    authority = make_authority()
    files = inventory(authority, tmp_path / "inventory")
    ada = reader(authority, "ada")
    apply = ("apply", "-f", files)
    out = ended(ada.writ(*apply, "--dry-run"), OK)
    assert "+ create Agent/hr-bot" in out and "+ create Human/heidi" in out
    assert document(ada.writ("agent", "list", "-o", "json"))["manifests"] == []
    ended(ada.writ(*apply), FAILED)  # not asked
    assert "Applied." in ended(ada.writ(*apply, "--yes"), OK)
    assert "hr-bot" in ended(ada.writ("agent", "list"), OK)
    out = ended(ada.writ(*apply, "--no-input"), OK)  # nothing to sign
    assert out.splitlines()[-1].startswith("0 to change.")

    # From here on there is a second administrator.
    (files / "70-more.yaml").write_text(
        "kind: Group\nmetadata: { name: extra }\nspec: {}\n")
    done = ada.writ(*apply, "--yes")
    assert "+ create Group/extra" in ended(done, WAITING)
    change = only(done, "chg")
    heidi = reader(authority, "heidi")
    assert change in ended(heidi.writ("change", "list", "-s", "waiting"), OK)
    shown = ended(heidi.writ("change", "show", change), OK)
    assert '"name": "extra"' in shown and "+ create Group/extra" in shown
    ended(ada.writ("change", "sign", change, "--yes"), CONFLICT)
    ended(heidi.writ("change", "sign", change), FAILED)  # not asked
    with Liar(authority, another_manifest) as liar:
        ended(writ_at(liar.url, heidi, "login"), OK)
        ended(writ_at(liar.url, heidi, "change", "sign", change, "--yes"),
              FINDING)
    done = heidi.writ("change", "sign", change, "--yes")
    assert "Applied." in ended(done, OK)
    assert "extra" in ended(heidi.writ("group", "list"), OK)


def another_manifest(change):
    manifests = json.loads(json.dumps(change["manifests"]))
    manifests[0]["metadata"]["description"] = "another"
    return {**change, "manifests": manifests}


WRONG = [
    ("kind: Group\nmetadata: { name: Extra! }\nspec: {}\n",
     "2:13: metadata.name"),
    ("kind: Group\nmetadata: { name: extra }\nspec: { descriptio: x }\n",
     "3:9: spec.descriptio: unknown member"),
    ("kind: Agent\nmetadata: { name: rogue }\nspec: { owner: alice }\n",
     "3:7: spec.purpose: is required"),
    ("kind: Nothing\nmetadata: { name: extra }\nspec: {}\n", "1:1: kind"),
    ("kind: Group\nmetadata: { name: a\nspec: {}\n", "3:"),
]


@pytest.mark.parametrize("text, place", WRONG)
def test_a_wrong_manifest_is_named_by_file_line_and_column(here, tmp_path, text,
                                                           place):
    ada = reader(here, "ada")
    path = tmp_path / "wrong.yaml"
    path.write_text(text)
    done = ada.writ("apply", "-f", tmp_path, "--yes")
    ended(done, FAILED)
    assert f"{path}:{place}" in done.stderr.decode(), words(done)


def test_an_agent_of_nobody_is_refused(here, tmp_path):
    ada = reader(here, "ada")
    agent = next(m for m in here.manifests()
                 if m["metadata"]["name"] == "hr-bot")
    agent["metadata"]["name"] = "stray"
    agent["spec"].update(owner="nobody-here", identities=[
        "spiffe://example.org/agent/stray"], accounts=[])
    (tmp_path / "stray.yaml").write_text(json.dumps(agent))
    done = ada.writ("apply", "-f", tmp_path, "--yes")
    ended(done, FAILED)
    assert b"there is no Human 'nobody-here'" in done.stderr


# Policy.


def test_the_projects_policy_holds_and_a_broken_one_is_found(here, tmp_path):
    folder = tmp_path / "policy"
    shutil.copytree(harness.ROOT / "policy", folder)
    assert "are valid" in ended(here.writ("policy", "check", folder), OK)
    assert "scenarios hold" in ended(here.writ("policy", "test", folder), OK)
    path = folder / "policies.cedar"
    text = path.read_text()
    path.write_text(text.replace("principal.", "principal.nothing", 1))
    done = here.writ("policy", "check", folder)
    ended(done, FINDING)
    path.write_text(re.sub(r"\bforbid\b", "permit", text))
    ended(here.writ("policy", "test", folder), FINDING)


def test_a_bundle_is_staged_and_activated_by_two(authority, tmp_path):
    folder = tmp_path / "policy"
    shutil.copytree(authority.bundle, folder)
    path = folder / "policies.cedar"
    path.write_text(path.read_text() + "\n// reviewed\n")
    manifest = ended(authority.writ("policy", "pack", folder, "--name",
                                    "reviewed"), OK)
    (tmp_path / "bundle.yaml").write_text(manifest)
    ada, heidi = reader(authority, "ada"), reader(authority, "heidi")
    done = ada.writ("apply", "-f", tmp_path / "bundle.yaml", "--yes")
    ended(done, WAITING)
    ended(heidi.writ("change", "sign", only(done, "chg"), "--yes"), OK)
    before = document(ada.writ("policy", "show", "-o", "json"))
    assert "reviewed" in {row["name"] for row in before["staged"]}
    assert "reviewed" in ended(ada.writ("policy", "show"), OK)

    activate = ("policy", "activate", "reviewed", "--yes")
    ended(ada.writ(*activate, "--from", authority.bundle), FINDING)
    done = ada.writ(*activate, "--from", folder)
    ended(done, WAITING)
    assert b"writ policy activate reviewed" in done.stderr
    done = heidi.writ(*activate)
    ended(done, OK)
    after = document(ada.writ("policy", "show", "-o", "json"))
    assert after["bundle"] == "reviewed" and after["digest"] != before["digest"]
    ended(heidi.writ("policy", "activate", "nothing", "--yes"), FAILED)


# Evidence.


def flip(folder, name):
    """Another bit in the middle of one file."""
    path = next(p for p in sorted(folder.rglob("*"))
                if p.is_file() and name in str(p.relative_to(folder)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def test_the_log_is_verified_and_each_damage_found(authority, tmp_path):
    bot = authority.agent("hr-bot")
    auditor = reader(authority, "ada")
    seen = ("--state", tmp_path / "seen.json")
    key = tmp_path / "vkey"
    key.write_text(authority.vkey + "\n")
    short, full = tmp_path / "short", tmp_path / "full"
    stories.tree(authority, authority.health()["leaves"] - 1)
    ended(auditor.writ("evidence", "export", short), OK)
    request = document(ask(bot, bot.open_task(), "lunch-list", "--wait", ENOUGH,
                           "-o", "json"))
    leaf = request["evidence"]["outcome"]["index"]
    stories.tree(authority, leaf)

    shown = document(auditor.writ("evidence", "show", str(leaf)))
    assert shown["hash"] == request["evidence"]["outcome"]["hash"]
    proof = tmp_path / "leaf.tlog-proof"
    ended(auditor.writ("evidence", "prove", str(leaf), "--to", proof), OK)
    text = proof.read_text()
    assert text.startswith(f"c2sp.org/tlog-proof@v1\nindex {leaf}\n")
    assert ended(auditor.writ("evidence", "prove", str(leaf)), OK)

    out = ended(authority.writ("evidence", "verify", authority.url, *seen,
                               "--vkey-file", key), OK)
    assert re.search(r"Verdict: +ok", out)
    ended(auditor.writ("evidence", "verify", authority.url, *seen), OK)
    ended(auditor.writ("evidence", "export", full), OK)
    ended(auditor.writ("evidence", "verify", full, *seen), OK)
    # The end is cut off: what was remembered is longer.
    ended(auditor.writ("evidence", "verify", short, *seen), FINDING)
    ended(auditor.writ("evidence", "verify", short, "--state",
                       tmp_path / "fresh.json"), OK)
    for part in ("tile/entries", "tile/0", "checkpoint"):
        bad = tmp_path / part.replace("/", "-")
        shutil.copytree(full, bad)
        flip(bad, part)
        ended(auditor.writ("evidence", "verify", bad, "--state",
                           tmp_path / "other.json"), FINDING)
    ended(authority.writ("evidence", "verify", "http://127.0.0.1:1", "--vkey",
                         authority.vkey, *seen), UNREACHABLE)
    ended(authority.writ("evidence", "verify", authority.url, *seen), USAGE)


def test_reading_a_payload_leaves_a_leaf(here, bot, task):
    ada = reader(here, "ada")
    request = document(ask(bot, task, "lunch-list", "--wait", ENOUGH, "-o",
                           "json"))
    leaf = request["evidence"]["armed"]["index"]
    before = here.health()["leaves"]
    disclose = ("evidence", "disclose", str(leaf), "--reason", "audit", "--yes")
    answer = document(ada.writ(*disclose, "-o", "json"))
    assert json.loads(answer["payload"])["request"] == request["id"]
    assert here.health()["leaves"] == before + 1
    ended(here.human("bob").writ(*disclose), DENIED)
    ended(ada.writ("evidence", "show", "-1"), USAGE)
    ended(ada.writ("evidence", "show", "99999999"), FAILED)


# doctor.


def findings(authority, code=OK, **options):
    """check -> [finding] of writ doctor."""
    done = authority.writ("doctor", "--config", authority.config_path, "-o",
                          "json", **options)
    rows = document(done, code)
    for row in rows:
        assert row["what"] and (row["state"] == "ok") == ("next" not in row)
    return {name: [r for r in rows if r["check"] == name]
            for name in {r["check"] for r in rows}}


def bad(found):
    return {name for name, rows in found.items()
            if any(row["state"] == "bad" for row in rows)}


def test_a_healthy_authority_has_no_bad_finding(here):
    found = findings(here)
    assert not bad(found)
    assert {"config", "policy", "data folder", "keeper folder", "daemon",
            "keeper", "connector", "clock", "disk", "version"} <= set(found)


def test_doctor_names_what_is_wrong_and_what_to_do(make_authority):
    authority = make_authority().found()
    authority.stop()
    assert bad(findings(authority, FAILED)) == {"daemon"}
    assert findings(authority, FAILED)["keeper"][0]["state"] == "ok"

    authority.keeper_folder.chmod(0o755)
    found = findings(authority, FAILED)
    assert bad(found) == {"daemon", "keeper folder"}
    assert f"chmod go= {authority.keeper_folder}" in \
        found["keeper folder"][0]["next"]
    authority.keeper_folder.chmod(0o700)

    last = authority.keeper_folder / "last"
    last.rename(authority.folder / "last")
    found = findings(authority, FAILED)
    assert bad(found) == {"daemon", "keeper", "keeper files"}
    (authority.folder / "last").rename(last)

    moved = authority.folder / "elsewhere"
    authority.keeper_folder.rename(moved)
    found = findings(authority, FAILED)
    assert bad(found) == {"daemon", "keeper", "keeper folder"}
    moved.rename(authority.keeper_folder)

    authority.write_config(connectors=[{"target": TARGET,
                                        "command": ["/nowhere/connector"]}])
    found = findings(authority, FAILED)
    assert bad(found) == {"daemon", "start"}
    assert "/nowhere/connector" in found["start"][0]["what"]
    authority.write_config(origin="another.test/writ")
    assert "keeper" in bad(findings(authority, FAILED))


# For scripts.


def test_the_exit_codes_are_those_of_the_manual(here, bot, task):
    man = (harness.ROOT / "docs/man/writ.1").read_text()
    section = man[man.index(".Sh EXIT STATUS"):]
    assert re.findall(r"^\.It (\d)$", section, re.M) == list("01234567")
    ended(bot.writ("task", "list"), OK)
    ended(bot.writ("task", "show", "tsk_none"), FAILED)
    ended(bot.writ("task", "nothing"), USAGE)
    ended(here.writ("task", "list"), DENIED)
    ended(bot.writ("request", "wait", stories.waiting(here)["id"], "--for",
                   "0s"), WAITING)
    done = harness.run(program("writ"), "--url", "http://127.0.0.1:1", "task",
                       "list", check=False, env=ENV)
    ended(done, UNREACHABLE)
    request = only(ask(bot, task, "lunch-list", "--wait", ENOUGH), "req")
    ended(bot.writ("request", "cancel", request), CONFLICT)


def commands_of_help(authority):
    lines = ended(authority.writ("help"), OK).split("commands:\n")[1]
    rows = lines.split("\n\n")[0].splitlines()
    return {re.split(r"\s{2,}", row.strip())[0] for row in rows}


# These write text for a shell or a reader, whatever is asked; what `run` writes
# is its command's.
TEXT = {"help", "completion", "run"}


def test_json_is_one_document_for_every_command(authority, tmp_path):
    told = {}

    def tell(who, *command, input=None, code=OK, noun=False):
        done = who.writ(*command, "-o", "json", input=input)
        name = command[0] if noun else " ".join(command[:2])
        told[name] = document(done, code)
        return told[name]

    def by(who, *command, **more):
        return tell(who, *command, "--yes", **more)

    ada, heidi = (authority.human(n) for n in ("ada", "heidi"))
    bob, alice = (authority.human(n) for n in ("bob", "alice"))
    bot = authority.agent("hr-bot")
    for who in (ada, heidi, bob, alice):
        tell(who, "login", noun=True)
    tell(ada, "whoami", noun=True)

    # Work.
    task = tell(bot, "task", "open", "-c", "identity-ops", "-i", "new people",
                "--target", TARGET, "--ttl", "1h")["id"]
    tell(bot, "task", "list")
    tell(bot, "task", "show", task)
    tell(bot, "task", "attach", task, "--kind", "prompt", input=b"add nora")
    tell(bot, "task", "delegate", task, "--agent", "adviser", "--intent",
         "a part", "--action", "AddToGroup", "--target", TARGET, code=DENIED)
    asked = ("--task", task, "--action", "AddToGroup", "--target", TARGET,
             "--ttl", "15m", "-p", f"member={somebody()}", "--resource")
    done = tell(bot, "request", "create", *asked, group("lunch-list"), "--wait",
                ENOUGH)
    tell(bot, "policy", "explain", *asked, group("lunch-list"))
    tell(bot, "request", "list")
    tell(bot, "request", "show", done["id"])
    tell(bot, "request", "explain", done["id"])
    tell(bot, "request", "wait", done["id"])
    tell(bot, "grant", "list")
    tell(bot, "request", "rollback", done["id"], "--wait", ENOUGH)
    tell(bot, "request", "secret", done["id"], code=CONFLICT)  # lends nothing
    again = tell(bot, "request", "create", *asked, group("lunch-list"),
                 "--wait", ENOUGH)["grant"]["id"]
    by(alice, "grant", "end", again, "--reason", "enough")
    harness.wait_until(
        lambda: tell(ada, "grant", "show", again)["state"] == "ended",
        "the end of a grant")
    advice = tell(bot, "request", "create", *asked, group("lunch-list"),
                  "--mode", "recommend", "--wait", ENOUGH)["id"]
    assert by(alice, "request", "adopt", advice)["id"] != advice

    # People.
    waits = stories.waiting(authority, bot=bot, task=task)["id"]
    tell(bob, "approval", "list")
    tell(bob, "approval", "show", waits)
    by(bob, "approval", "approve", waits)
    waits = stories.waiting(authority, bot=bot, task=task)["id"]
    by(bob, "approval", "deny", waits, "--reason", "no")
    waits = stories.waiting(authority, bot=bot, task=task)["id"]
    tell(bot, "request", "cancel", waits)
    by(authority.human("erin"), "voucher", "create", "--kind", "owner_ack",
       "--action", "AddToGroup", "--target", TARGET, "--resource",
       group("contractors"))

    # Detectors, break-glass.
    edr = watchers.enrol(authority, "edr")
    watchers.freeze(authority, "later", begin=3600, end=7200)
    sent = edr.writ("signal", "send", "-d", "edr", "--kind", "anomaly",
                    "--task", task, "--score", "5", "-o", "json")
    told["signal send"] = document(sent, OK)
    assert tell(ada, "signal", "list")["signals"][0]["score"] == 5
    broken = by(ada, "exception", "create", "-t", task, "--tier-cap", "1",
                "--reason", "it burns", code=WAITING)["id"]
    by(heidi, "exception", "sign", broken)
    tell(ada, "exception", "list")
    assert tell(ada, "exception", "show", broken)["state"] == "in-force"
    by(ada, "exception", "revoke", broken, "--reason", "it is out")

    # The inventory.
    for noun, name in (("agent", "hr-bot"), ("human", "ada"),
                       ("group", "soc"), ("target", TARGET),
                       ("class", "small-ops"), ("detector", "edr"),
                       ("freeze", "later")):
        tell(ada, noun, "list")
        assert tell(ada, noun, "show", name)["metadata"]["name"] == name
    extra = tmp_path / "extra.yaml"
    extra.write_text("kind: Group\nmetadata: { name: extra }\nspec: {}\n")
    tell(ada, "apply", "-f", extra, "--dry-run", noun=True)
    change = by(ada, "apply", "-f", extra, code=WAITING, noun=True)["id"]
    tell(ada, "change", "list")
    tell(ada, "change", "show", change)
    by(heidi, "change", "sign", change)
    tell(ada, "apply", "-f", extra, noun=True)  # nothing to do
    by(ada, "target", "drill", TARGET)

    # Policy.
    tell(ada, "policy", "show")
    tell(ada, "policy", "check", authority.bundle)
    tell(ada, "policy", "test", authority.bundle)
    assert tell(ada, "policy", "simulate", authority.bundle)["decisions"]
    assert tell(ada, "request", "explain", done["id"], "--replay")["same"]
    bundle = tmp_path / "bundle.yaml"
    bundle.write_text(json.dumps(tell(ada, "policy", "pack", authority.bundle,
                                      "--name", "again")))
    change = by(ada, "apply", "-f", bundle, code=WAITING, noun=True)["id"]
    by(heidi, "change", "sign", change)
    by(ada, "policy", "activate", "again", code=WAITING)

    # Evidence.
    leaf = str(done["evidence"]["armed"]["index"])
    stories.tree(authority, int(leaf))
    tell(ada, "evidence", "show", leaf)
    assert tell(ada, "evidence", "prove", leaf)["proof"].startswith("c2sp.org")
    tell(ada, "evidence", "verify", authority.url)
    tell(ada, "evidence", "export", tmp_path / "log")
    by(ada, "evidence", "disclose", leaf, "--reason", "audit")
    by(ada, "evidence", "erase", "human:erin", "--reason", "asked for",
       code=CONFLICT)  # she is in the inventory
    by(ada, "evidence", "erase", "agent:adviser", "--reason", "asked for",
       code=WAITING)
    tell(heidi, "erasure", "list")
    by(heidi, "erasure", "sign", "agent:adviser")

    # What this authority's configuration and connector do not have.
    tell(ada, "agent", "import", TARGET, code=CONFLICT)
    tell(ada, "notification", "list", code=FAILED)
    for act in ("retry", "drop"):
        by(ada, "notification", act, "ntc_1", code=FAILED)

    # Stopping.
    tell(bot, "task", "complete", task)
    by(ada, "task", "contain", bot.open_task(), "--reason", "odd")
    contained = by(ada, "agent", "contain", "hr-bot", "--reason", "odd")["id"]
    tell(ada, "containment", "list")
    tell(ada, "containment", "show", contained)
    by(ada, "containment", "release", contained, "--reason", "no", code=WAITING)
    by(heidi, "agent", "release", "hr-bot", "--reason", "no")
    stories.set_faults(authority, apply="unavailable", read="unavailable")
    unknown = tell(bot, "request", "create", "--task", bot.open_task(),
                   *asked[2:], group("lunch-list"), "--wait", ENOUGH,
                   code=CONFLICT)["id"]
    harness.wait_until(
        lambda: alice.writ("request", "resolve", unknown, "--as", "applied",
                           "--reason", "seen", "--yes", "-o",
                           "json").stdout.startswith(b'{\n  "id"'),
        "the outcome to be closed")
    told["request resolve"] = None

    # For hosts and issuers of tokens.
    for what in ("krl", "authorities"):
        tell(ada, "ssh", what, "--to", tmp_path / what)
    token = tmp_path / "token"
    token.write_text(Issuer().sign({"alg": "ES256", "typ": "at+jwt"},
                                   {"exp": 2000000000, "sub": "lead"}))
    tell(ada, "token", "check", "--parent", token, "--child", token)

    # The installation.
    tell(ada, "doctor", "--config", authority.config_path, noun=True)
    done = harness.run(
        program("writ"), "init", "--data", tmp_path / "d", "--keeper",
        tmp_path / "k", "--origin", "x.test/y", "--admin", "ada", "--key",
        ada.key.with_suffix(".pub"), "-o", "json", check=False, env=ENV)
    told["init"] = document(done)

    assert set(told) == commands_of_help(authority) - TEXT


@pytest.mark.parametrize("shell, check", [
    ("bash", ["bash", "-n"]), ("zsh", ["zsh", "-n"])])
def test_a_completion_script_parses(here, tmp_path, shell, check):
    if not shutil.which(shell):
        pytest.skip(f"needs {shell}")
    script = tmp_path / "writ"
    script.write_text(ended(here.writ("completion", shell), OK))
    harness.run(*check, script)


def test_bash_completes_nouns_verbs_options_and_choices(here, tmp_path):
    script = tmp_path / "writ"
    script.write_text(ended(here.writ("completion", "bash"), OK))

    def complete(*line):
        quoted = " ".join(f"'{word}'" for word in line)
        done = harness.run("bash", "-c", f"""
            . '{script}'; COMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}
            _writ; printf '%s\\n' "${{COMPREPLY[@]}}" """)
        return done.stdout.decode().split()

    assert complete("writ", "req") == ["request"]
    assert "rollback" in complete("writ", "request", "")
    assert "--resource" in complete("writ", "request", "create", "--re")
    assert complete("writ", "request", "list", "--output", "") == ["table",
                                                                   "json"]
    assert complete("writ", "task", "attach", "--kind", "") == ["prompt",
                                                                "tool_trace"]
    assert "ticket" in complete("writ", "voucher", "create", "--kind", "")
    assert complete("writ", "completion", "zz") == []


def test_the_command_line_finds_its_way_without_help(here):
    done = here.writ()
    ended(done, USAGE)
    assert b"usage: writ" in done.stderr
    for command in sorted(commands_of_help(here)):
        assert "usage: writ" in ended(here.writ(*command.split(), "--help"), OK)
    assert ended(here.writ("--version"), OK).startswith("writ ")
