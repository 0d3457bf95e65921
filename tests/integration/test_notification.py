"""Who is told what, by signed webhooks and by mail: against real HTTPS and SMTP
servers, with the signature checked by an implementation of this file's own."""
import base64
import email
import hashlib
import hmac
import json
import threading
import time

import harness
import pytest
import web
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding, NoEncryption, PrivateFormat, PublicFormat)
from harness import moment, wait_until
from stories import (add, grant_state, leaves, somebody, verified, waiting)

LINK = "https://console.example.org/app"
SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()
OTHER = "whsec_" + base64.b64encode(bytes(range(32, 64))).decode()
FOR_BOT = {"agents": ["hr-bot"]}
QUICK = {"first": "1s", "longest": "2s"}


class Refused(Exception):
    """A receiver that knows the secret does not take it."""


def receive(secret, headers, body, now=None):
    """What a receiver does, by the words of Standard Webhooks."""
    told = {name.lower(): value for name, value in headers.items()}
    ident, at = told["webhook-id"], told["webhook-timestamp"]
    if abs((now or time.time()) - int(at)) > 300:
        raise Refused("too old")
    signed = b".".join((ident.encode(), at.encode(), body))
    key = base64.b64decode(secret.removeprefix("whsec_"))
    wanted = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest())
    for one in told["webhook-signature"].split(" "):
        version, _, tag = one.partition(",")
        if version == "v1" and hmac.compare_digest(tag.encode(), wanted):
            return json.loads(body)
    raise Refused("no signature is right")


class Hook:
    """A receiver behind a path of a server; what it answers can be changed."""

    def __init__(self, server, name, secret=SECRET):
        self.server, self.path, self.secret = server, f"/{name}", secret
        self.calls = []  # (headers, body)
        self.answer = (204, {}, b"")
        server.pages[self.path] = self._take
        self.name = name

    def _take(self, handler):
        self.calls.append((dict(handler.headers.items()),
                           self.server.bodies[-1]))
        return (self.answer(handler) if callable(self.answer)
                else self.answer)

    def notices(self, kind=None):
        """What was taken, verified."""
        got = [receive(self.secret, *call) for call in list(self.calls)]
        return [n for n in got if kind in (None, n["type"])]

    def await_one(self, kind, about=None):
        return wait_until(
            lambda: next((n for n in self.notices(kind)
                          if about in (None, n["data"]["id"])), None),
            f"{kind} at {self.name}")

    def ids(self):
        return [headers["webhook-id"] for headers, _ in self.calls]

    def config(self, folder, **more):
        path = folder / f"secret-{self.name}"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(self.secret + "\n")
        return {"name": self.name, "url": self.server.url(self.path),
                "secretFile": str(path), **more}


@pytest.fixture(scope="module")
def ca(tmp_path_factory):
    return web.Ca(tmp_path_factory.mktemp("ca"))


@pytest.fixture
def server(ca):
    with web.Server(*ca.issue()) as opened:
        yield opened


@pytest.fixture
def mailbox(ca):
    with web.Mailbox("starttls", *ca.issue()) as opened:
        yield opened


@pytest.fixture
def notifying(make_authority, ca, tmp_path):
    """notifying(hooks, mailbox=None, ...) as an authority that tells them."""

    def make(hooks=(), mailbox=None, found=True, allow=("127.0.0.1",), **more):
        notify = {"link": LINK, "retry": QUICK, "webhooks": [
            h if isinstance(h, dict) else h.config(tmp_path) for h in hooks],
            **more}
        if mailbox:
            (tmp_path / "user").write_text("writ\n")
            (tmp_path / "password").touch(mode=0o600)
            (tmp_path / "password").write_text("mail-password\n")
            notify["smtp"] = {"url": mailbox.url, "from": "writ@example.org",
                              "userFile": str(tmp_path / "user"),
                              "passwordFile": str(tmp_path / "password")}
        made = make_authority(config_changes={
            "outgoing": {"allow": list(allow), "ca": str(ca.cert)},
            "notify": notify})
        return made.found(change=with_addresses) if found else made

    return make


def with_addresses(manifests):
    for manifest in manifests:
        if manifest["kind"] == "Human":
            name = manifest["metadata"]["name"]
            manifest["spec"]["email"] = f"{name}@people.example.org"
    return manifests


def held(authority):
    return authority.health()["notifications"]


def mails_to(mailbox, name):
    return [email.message_from_bytes(text) for _, to, text in mailbox.mails
            if to == [f"{name}@people.example.org"]]


def await_mail(mailbox, name, about):
    return wait_until(lambda: next((m for m in mails_to(mailbox, name)
                                    if about in m.get_payload()), None),
                      f"a mail to {name} about {about}")


def test_a_receiver_checks_a_notice_by_our_public_key_alone(
        notifying, server, tmp_path):
    """With a key (v1a), by the implementation of Python's cryptography."""
    seed = ed25519.Ed25519PrivateKey.generate()
    raw = seed.private_bytes(Encoding.Raw, PrivateFormat.Raw, NoEncryption())
    public = seed.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
    path = tmp_path / "key"
    path.touch(mode=0o600)
    path.write_text("whsk_" + base64.b64encode(raw + public).decode() + "\n")
    alone, both = Hook(server, "alone"), Hook(server, "both")
    here = notifying([
        {"name": "alone", "url": server.url("/alone"), "keyFile": str(path)},
        both.config(tmp_path, keyFile=str(path))])
    request = waiting(here)
    both.await_one("request.waiting", request["id"])  # v1 goes on
    wait_until(lambda: alone.calls, "a notice")
    known = next(row["publicKeys"] for row in here.human("ada").get(
        "/v1/notifications").ok()["endpoints"] if row["name"] == "alone")
    assert known == ["whpk_" + base64.b64encode(public).decode()]
    for hook, count in ((alone, 1), (both, 2)):
        headers, body = hook.calls[0]
        told = {name.lower(): value for name, value in headers.items()}
        tags = told["webhook-signature"].split(" ")
        assert len(tags) == count
        version, _, tag = tags[-1].partition(",")
        assert version == "v1a"
        signed = b".".join((told["webhook-id"].encode(),
                            told["webhook-timestamp"].encode(), body))
        key = ed25519.Ed25519PublicKey.from_public_bytes(
            base64.b64decode(known[0].removeprefix("whpk_")))
        key.verify(base64.b64decode(tag), signed)
        with pytest.raises(InvalidSignature):
            key.verify(base64.b64decode(tag), signed + b" ")


def test_administrators_are_told_of_a_change_that_waits_and_owners_of_what_goes(
        notifying, server, mailbox):
    hook = Hook(server, "pager")
    here = notifying([hook], mailbox)
    made = []
    for manifest in with_addresses(here.manifests()):
        if (manifest["kind"], manifest["metadata"]["name"]) == (
                "Agent", "adviser"):
            owner = manifest["spec"]["owner"]
            continue
        if manifest["kind"] == "TaskClass":
            manifest["spec"]["openers"] = [
                name for name in manifest["spec"]["openers"]
                if name != "adviser"]
        if manifest["metadata"]["name"] == "frank":  # takes two signatures
            manifest["spec"]["email"] = "f@people.example.org"
        made.append(manifest)
    ada, heidi = here.human("ada"), here.human("heidi")
    change = ada.propose(made, prune=True).ok(202)
    told = hook.await_one("change.waiting", change["id"])
    assert told["data"]["role"] == "administrator"
    await_mail(mailbox, "heidi", change["id"])
    heidi.sign_change(change["id"], change["digest"]).ok(200)
    gone = hook.await_one("change.removed", change["id"])
    assert gone["data"]["role"] == "owner"
    wait_until(lambda: len([m for m in mails_to(mailbox, owner)
                            if change["id"] in m.get_payload()]) >= 1,
               "a mail to the owner")
    assert not any(change["id"] in m.get_payload()
                   for m in mails_to(mailbox, "bob"))
    assert len(hook.notices("change.waiting")) == 1


# What is told, and to whom.

def test_who_is_asked_to_sign_is_told_by_a_signed_webhook(notifying, server):
    hook = Hook(server, "pager")
    here = notifying([hook])
    request = waiting(here)
    notice = hook.await_one("request.waiting")
    assert notice["data"] == {"id": request["id"], "role": "approver",
                              "link": f"{LINK}/requests/{request['id']}"}
    headers, body = hook.calls[0]
    assert headers["Content-Type"] == "application/json"
    assert headers["webhook-id"].startswith("ntc_")
    assert harness.canonical(json.loads(body)).encode() == body


def test_a_body_or_a_time_that_was_tampered_with_is_refused(notifying, server):
    hook = Hook(server, "pager")
    waiting(notifying([hook]))
    hook.await_one("request.waiting")
    headers, body = hook.calls[0]
    receive(SECRET, headers, body)
    for changed in (body.replace(b"approver", b"approved"), body + b" ", b""):
        with pytest.raises(Refused):
            receive(SECRET, headers, changed)
    for name, value in (("webhook-id", "ntc_other"),
                        ("webhook-timestamp",
                         str(int(headers["webhook-timestamp"]) + 1))):
        with pytest.raises(Refused):
            receive(SECRET, {**headers, name: value}, body)
    with pytest.raises(Refused):
        receive(OTHER, headers, body)
    with pytest.raises(Refused):
        receive(SECRET, headers, body, now=time.time() + 3600)


def test_notices_hold_no_names_and_no_intents(notifying, server, mailbox):
    hook = Hook(server, "all")
    here = notifying([hook], mailbox)
    bot = here.agent("hr-bot")
    task = bot.open_task(intent="the secret merger")
    request = waiting(here, "mail-admins", bot=bot, task=task)
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    bot.wait(request["id"], "done")
    hook.await_one("request.ended", request["id"])
    await_mail(mailbox, "bob", request["id"])
    said = b"".join(body for _, body in hook.calls)
    said += b"".join(text for _, _, text in mailbox.mails)
    for word in (b"mail-admins", b"merger", b"guest", b"hr-bot", b"AddToGroup",
                 b"corp-directory", b"alice", b"iam-approvers"):
        assert word not in said.replace(b"alice@people.example.org", b"")


def test_the_people_who_can_sign_get_a_mail_over_tls(notifying, mailbox):
    here = notifying([], mailbox)
    request = waiting(here)
    mail = await_mail(mailbox, "bob", request["id"])
    assert mail["From"] == "Writ <writ@example.org>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert f"{LINK}/requests/{request['id']}" in mail.get_payload()
    assert "STARTTLS" in mailbox.said
    assert mailbox.said.index("STARTTLS") < next(
        i for i, line in enumerate(mailbox.said) if line.startswith("MAIL"))
    # The agent's owner may not sign for it, so she is not asked.
    assert not mails_to(mailbox, "alice")
    assert not mails_to(mailbox, "erin")


def test_once_it_is_decided_the_other_approvers_are_told(notifying, mailbox):
    here = notifying([], mailbox)
    request = waiting(here, "domain-admins")
    for name in ("bob", "carol"):
        await_mail(mailbox, name, request["id"])
    here.human("bob").deny(request["id"], "iam-approvers").ok()
    wait_until(lambda: any("is decided" in m["Subject"]
                           for m in mails_to(mailbox, "carol")),
               "carol to hear of it")
    wait_until(lambda: held(here)["waiting"] == 0, "all notices to be taken")
    assert not any("is decided" in m["Subject"]
                   for m in mails_to(mailbox, "bob")), "he decided it"


def test_an_agents_webhook_hears_of_its_own_requests_alone(notifying, server,
                                                           tmp_path):
    own, other = Hook(server, "bot"), Hook(server, "other")
    here = notifying([
        own.config(tmp_path, **{"for": FOR_BOT}),
        other.config(tmp_path, **{"for": {"agents": ["adviser"]}})])
    bot = here.agent("hr-bot")
    task = bot.open_task()
    request = waiting(here, bot=bot, task=task)
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    own.await_one("request.decided", request["id"])
    ended = own.await_one("request.ended", request["id"])
    assert ended["data"]["role"] == "requester"
    assert not own.notices("request.waiting")
    denied = add(bot, task, "no-such-group", somebody())
    assert denied.status != 200
    wait_until(lambda: held(here)["waiting"] == 0, "all notices to be taken")
    assert not other.calls


def test_a_webhook_hears_only_the_events_and_groups_it_asked_for(
        notifying, server, tmp_path):
    asked, silent = Hook(server, "iam"), Hook(server, "leads")
    here = notifying([
        asked.config(tmp_path, events=["request.waiting"],
                     **{"for": {"groups": ["iam-approvers"]}}),
        silent.config(tmp_path, **{"for": {"groups": ["iam-leads"]}})])
    request = waiting(here)
    asked.await_one("request.waiting", request["id"])
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    here.agent("hr-bot").wait(request["id"], "done")
    wait_until(lambda: held(here)["waiting"] == 0, "all notices to be taken")
    assert {n["type"] for n in asked.notices()} == {"request.waiting"}
    assert not silent.calls


def test_nobody_is_told_twice_of_the_same_plan(notifying, mailbox):
    here = notifying([], mailbox)
    request = waiting(here, "domain-admins")
    await_mail(mailbox, "carol", request["id"])
    here.human("bob").approve(request["id"], "iam-approvers").ok()
    wait_until(lambda: held(here)["waiting"] == 0, "all notices to be taken")
    here.restart()
    wait_until(lambda: held(here)["waiting"] == 0, "all notices to be taken")
    assert len(mails_to(mailbox, "carol")) == 1


def test_an_owner_is_told_when_a_grants_time_is_over(notifying, mailbox):
    here = notifying([], mailbox)
    bot = here.agent("hr-bot")
    task = bot.open_task()
    done = add(bot, task, "lunch-list", somebody(), ttl="1s").ok(200)
    grant_state(here, done["grant"]["id"], "ended")
    mail = await_mail(mailbox, "alice", done["grant"]["id"])
    assert f"{LINK}/grants/{done['grant']['id']}" in mail.get_payload()
    kept = add(bot, task, "lunch-list", somebody()).ok(200)
    bot.complete(task).ok()
    grant_state(here, kept["grant"]["id"], "ended")
    assert len(mails_to(mailbox, "alice")) == 1, "nothing ran out"


def test_an_owner_is_told_when_an_agent_is_contained(notifying, mailbox):
    here = notifying([], mailbox)
    made = here.human("ada").contain("agent", "hr-bot").ok(201)
    mail = await_mail(mailbox, "alice", made["id"])
    assert "was contained" in mail["Subject"]


def test_break_glass_tells_who_may_sign_it_and_then_the_owner(notifying,
                                                              mailbox):
    here = notifying([], mailbox)
    task = here.agent("hr-bot").open_task()
    made = here.human("ada").except_(task).ok(202)
    mail = await_mail(mailbox, "heidi", made["id"])
    assert "waits for signatures" in mail["Subject"]
    here.human("heidi").except_(task, expires=made["expires"]).ok(200)
    mail = await_mail(mailbox, "alice", made["id"])
    assert "in force" in mail["Subject"]


def expire(authority, name, seconds):
    agent = next(m for m in authority.manifests() if m["kind"] == "Agent"
                 and m["metadata"]["name"] == name)
    agent["spec"]["expires"] = moment(seconds)
    authority.apply([agent])


def test_an_owner_is_told_once_that_an_agent_is_about_to_expire(notifying,
                                                                server):
    hook = Hook(server, "owners")
    here = notifying([hook])
    expire(here, "adviser", 3600)
    here.restart()  # agents are looked over at the start, then each minute
    notice = hook.await_one("agent.expiring", "adviser")
    assert notice["data"]["role"] == "owner"
    wait_until(lambda: held(here)["waiting"] == 0, "all notices to be taken")
    expire(here, "hr-bot", 3600)
    here.restart()
    hook.await_one("agent.expiring", "hr-bot")
    assert len([n for n in hook.notices("agent.expiring")
                if n["data"]["id"] == "adviser"]) == 1


def test_an_owner_is_told_that_an_agent_has_expired(notifying, server):
    hook = Hook(server, "owners")
    here = notifying([hook])
    over = time.time() + 1
    expire(here, "adviser", 1)
    wait_until(lambda: time.time() > over, "its time to be over")
    here.restart()
    hook.await_one("agent.expired", "adviser")


def test_silence_is_told_to_who_may_then_sign(notifying, mailbox):
    here = notifying([], mailbox)
    classes = next(m for m in here.manifests() if m["kind"] == "TaskClass"
                   and m["metadata"]["name"] == "identity-ops")
    classes["spec"]["escalation"] = {"to": "security", "after": "1s"}
    here.apply([classes])
    request = waiting(here)
    mail = await_mail(mailbox, "carol", request["id"])
    assert "silent" in mail["Subject"]


# What goes wrong.

def test_what_was_written_before_a_crash_is_delivered_after_it(notifying,
                                                               server):
    hook = Hook(server, "pager")
    hold = threading.Event()

    def hang(_):
        hold.wait(harness.PATIENCE)
        return None

    hook.answer = hang
    here = notifying([hook])
    request = waiting(here)
    wait_until(lambda: hook.calls, "the first try")
    here.kill()
    hold.set()
    before = hook.ids()[0]
    hook.answer = (200, {}, b"")
    here.restart()
    wait_until(lambda: len(hook.calls) > 1, "the try after the crash")
    assert hook.ids()[1] == before
    assert hook.notices()[1]["data"]["id"] == request["id"]
    wait_until(lambda: held(here)["waiting"] == 0, "it to be off the outbox")


def test_a_refused_notice_comes_again_with_the_same_id_and_body(notifying,
                                                                server):
    hook = Hook(server, "pager")
    answers = iter([(500, {}, b""), (503, {"Retry-After": "1"}, b"")])
    hook.answer = lambda _: next(answers, (200, {}, b""))
    waiting(notifying([hook]))
    wait_until(lambda: len(hook.calls) == 3, "three tries")
    assert len(set(hook.ids())) == 1
    assert len({body for _, body in hook.calls}) == 1
    hook.notices()  # each is signed for its own time


def test_what_an_endpoint_does_never_holds_up_or_fails_a_decision(
        notifying, server, tmp_path):
    hooks = {name: Hook(server, name) for name in
             ("hangs", "fails", "floods", "elsewhere", "well")}
    hooks["hangs"].answer = lambda _: server.released.wait(60) and None
    hooks["fails"].answer = (500, {}, b"no")
    hooks["floods"].answer = (500, {}, b"x" * (4 << 20))
    hooks["elsewhere"].answer = (307, {"Location": "/trap"}, b"")
    trap = Hook(server, "trap")
    internal = {"name": "internal", "url": "https://127.0.0.2:1/x",
                "secretFile": str(tmp_path / "secret-well")}
    here = notifying([*hooks.values(), internal])
    bot = here.agent("hr-bot")
    task = bot.open_task()
    for _ in range(5):
        assert add(bot, task, "lunch-list", somebody()).ok(200)["state"] == \
            "done"
    wait_until(lambda: len(hooks["well"].notices("request.ended")) == 5,
               "the endpoint that works to have all")
    works = wait_until(
        lambda: (lambda rows: rows if sum(not r["works"]
                                          for r in rows.values()) >= 4
                 else None)({r["name"]: r for r in held(here)["endpoints"]}),
        "the others to be known as broken")
    assert works["well"]["works"]
    assert "address" in works["internal"]["why"] or works["internal"]["why"]
    assert not trap.calls, "a redirect is not followed"
    assert here.stop() == 0


def test_dead_letters_are_shown_by_doctor_and_sent_again_or_let_go(
        notifying, server):
    hook = Hook(server, "pager")
    hook.answer = (500, {}, b"")
    here = notifying([hook], retry={**QUICK, "attempts": 1})
    waiting(here)
    waiting(here)
    wait_until(lambda: held(here)["dead"] == 2, "two dead letters")
    ada = here.human("ada")
    ada.writ("login", check=True)
    told = ada.writ("doctor", "--config", here.config_path).stdout.decode()
    assert "dead letters" in told and "pager takes no notices" in told
    rows = json.loads(ada.writ("notification", "list", "--state", "dead", "-o",
                               "json", check=True).stdout)["notifications"]
    first, second = (row["id"] for row in rows)
    assert rows[0]["why"] == "it answered 500"
    hook.answer = (200, {}, b"")
    ada.writ("--yes", "notification", "retry", first, check=True)
    ada.writ("--yes", "notification", "drop", second, check=True)
    wait_until(lambda: held(here)["dead"] + held(here)["waiting"] == 0,
               "an empty outbox")
    assert hook.ids().count(first) == 2 and hook.ids().count(second) == 1
    acts = [leaf["act"] for leaf in leaves(here) if leaf["kind"] == "notice"]
    assert acts == ["retry", "drop"]
    assert verified(here)


def test_only_administrators_act_on_notices_and_by_their_signature(
        notifying, server):
    hook = Hook(server, "pager")
    hook.answer = (410, {}, b"")
    here = notifying([hook])
    waiting(here)
    wait_until(lambda: held(here)["dead"] == 1, "a dead letter")
    assert len(hook.calls) == 1
    row, = here.human("ada").get("/v1/notifications").ok()["notifications"]
    path = f"/v1/notifications/{row['id']}"
    harness.NAMESPACES["notice"] = "writ-admin"
    bob, ada = here.human("bob"), here.human("ada")
    here.call("POST", path, bob.sign("notice", notification=row["id"],
                                     act="drop")).refused(403)
    here.call("POST", path, ada.sign("notice", notification="ntc_other",
                                     act="drop")).refused(422)
    here.call("POST", path, ada.sign("login")).refused(401)
    here.call("POST", "/v1/notifications/ntc_other",
              ada.sign("notice", notification="ntc_other",
                       act="drop")).refused(404)
    bob.get("/v1/notifications").refused(403)
    here.agent("hr-bot").get("/v1/notifications").refused(403)
    assert held(here)["dead"] == 1


def test_a_full_outbox_drops_the_oldest_notices_and_no_request(notifying,
                                                               server):
    hook = Hook(server, "pager")
    hook.answer = (500, {}, b"")
    here = notifying([hook], keep=10)
    bot = here.agent("hr-bot")
    task = bot.open_task()
    asked = [add(bot, task, "lunch-list", somebody()).ok(200)["id"]
             for _ in range(15)]
    assert len(set(asked)) == 15
    now = wait_until(lambda: (lambda n: n if n["dropped"] == 5 else None)(
        held(here)), "five to be dropped")
    assert now["waiting"] + now["dead"] == 10
    rows = here.human("ada").get("/v1/notifications").ok()["notifications"]
    assert [row["about"] for row in rows] == asked[5:]
    ada = here.human("ada")
    ada.writ("login", check=True)
    assert "dropped notices" in ada.writ(
        "doctor", "--config", here.config_path).stdout.decode()


def test_a_person_without_a_mailbox_is_a_dead_letter(notifying, ca):
    refused = "bob@people.example.org"
    with web.Mailbox("starttls", *ca.issue(), refuse=[refused]) as mailbox:
        here = notifying([], mailbox)
        waiting(here)
        ada = here.human("ada")
        row = wait_until(lambda: next(
            (row for row in ada.get("/v1/notifications?state=dead").ok()[
                "notifications"] if row["human"] == "bob"), None),
                         "bob's dead letter")
        assert row["endpoint"] == "mail"
        assert refused not in row["why"]


def test_a_mail_server_without_tls_gets_no_password(notifying):
    with web.Mailbox("starttls") as mailbox:  # offers no STARTTLS
        here = notifying([], mailbox)
        waiting(here)
        wait_until(lambda: any(not row["works"]
                               for row in held(here)["endpoints"]),
                   "the server to be refused")
        assert not mailbox.mails
        assert not any(line.startswith(("AUTH", "MAIL"))
                       for line in mailbox.said)


# Secrets.

def test_both_secrets_sign_while_one_is_exchanged_for_the_other(
        notifying, server, tmp_path):
    hook = Hook(server, "pager")
    here = notifying([hook])
    first = waiting(here)
    hook.await_one("request.waiting", first["id"])
    (tmp_path / "secret-pager").write_text(f"{OTHER}\n{SECRET}\n")
    second = waiting(here)
    hook.await_one("request.waiting", second["id"])
    call = hook.calls[-1]
    assert receive(OTHER, *call) == receive(SECRET, *call)
    (tmp_path / "secret-pager").write_text(f"{OTHER}\n")
    third = waiting(here)
    hook.secret = OTHER
    wait_until(lambda: len(hook.calls) >= 3, "the third")
    assert receive(OTHER, *hook.calls[-1])["data"]["id"] == third["id"]
    with pytest.raises(Refused):
        receive(SECRET, *hook.calls[-1])


def test_secrets_and_addresses_are_in_no_log_and_secrets_in_no_file(
        notifying, server, mailbox):
    hook = Hook(server, "pager")
    answers = iter([(500, {}, b"")])
    hook.answer = lambda _: next(answers, (200, {}, b""))
    here = notifying([hook], mailbox)
    request = waiting(here)
    await_mail(mailbox, "bob", request["id"])
    wait_until(lambda: len(hook.calls) > 1, "a second try")
    here.stop()
    log = here.log(all_starts=True)
    files = b"".join(path.read_bytes() for path in here.data.iterdir()
                     if path.is_file())
    for secret in (SECRET[6:], "mail-password"):
        assert secret not in log
        assert secret.encode() not in files
    assert bytes(range(32)) not in files
    assert "people.example.org" not in log


@pytest.mark.parametrize("text", ["", "open sesame\n", "whsec_c2hvcnQ=\n"])
def test_a_secret_that_cannot_be_used_is_said_at_the_start(
        notifying, server, tmp_path, text):
    (tmp_path / "secret-pager").write_text(text)
    with pytest.raises(RuntimeError) as failed:
        notifying([Hook(server, "pager")], found=False)
    assert "notify: webhook 'pager'" in str(failed.value)
    assert not text or text.strip()[6:] not in str(failed.value)


def test_without_notify_nothing_is_written_down(authority):
    waiting(authority)
    assert "notifications" not in authority.health()
    authority.human("ada").get("/v1/notifications").refused(404)
