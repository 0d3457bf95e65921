"""What the log holds, what it does not hold, and that anybody can check it:
the verifier that ships, a second implementation, and stock ssh-keygen."""
import base64
import hashlib
import json
import pathlib
import re
import shutil
import subprocess
import threading
import types

import pytest

import harness
import stories
import tlog
from harness import canonical, group, wait_until
from stories import add, somebody

# pylint: disable=redefined-outer-name

DOCUMENT = harness.ROOT / "docs" / "leaves.md"
INTENT = "bring the peculiar newcomers aboard"
PROMPT = "Please add the zebra-striped colleague; the word is Xylophon-4711."
TRACE = "ldapsearch said: cn=xylophon-4712,ou=groups"
REFERENCE = "TICKET-90817"
REASON = "the reason is plover-33"
FINDING = 7  # exit code of writ(1)


def kinds_of_the_document():
    """The kinds of docs/leaves.md, in order."""
    table = DOCUMENT.read_text().split("## Kinds")[1].split("##")[0]
    return re.findall(r"^\| `(\w+)` \|", table, re.M)


# One story that makes every kind of leaf the main path makes.

def another_bundle(authority):
    """The active bundle under another name, with a comment more."""
    manifest = authority.inventory("PolicyBundle", "governance").ok()
    name, text = sorted(manifest["spec"]["policies"].items())[0]
    manifest["spec"]["policies"][name] = text + "\n// Another one.\n"
    manifest["metadata"]["name"] = "next"
    authority.apply([manifest])
    staged = {row["name"]: row["digest"] for row in
              authority.human("ada").get("/v1/policy").ok()["staged"]}
    authority.human("ada").activate("next", staged["next"]).ok(202)
    return authority.human("heidi").activate("next", staged["next"]).ok(200)


def unknown_request(authority, bot, task):
    """A request nobody can tell the outcome of, until a human does."""
    stories.set_faults(authority, apply="unavailable", read="unavailable")
    request = add(bot, task, "lunch-list", somebody(), wait=1).ok(200, 202)
    bot.wait(request["id"], "unknown")

    def resolve():
        answer = authority.human("alice").resolve(request["id"], "not-applied")
        # It may be being read just now.
        return answer if answer.code != "not-unknown" else None

    wait_until(resolve, "a moment between two reads").ok()
    return request["id"]


def tell(authority):
    """Makes every kind of leaf; what later tests need to know of it."""
    bot = authority.agent("hr-bot")
    told = types.SimpleNamespace(bot=bot)
    authority.call("GET", "/v1/tasks", bearer="not.a.token").refused(401)
    told.task = bot.open_task(intent=INTENT)
    told.prompt = bot.attach(told.task, PROMPT).ok(201)["index"]
    told.trace = bot.attach(told.task, TRACE, "tool_trace",
                            tool="search").ok(201)["index"]
    told.member = somebody()
    told.auto = add(bot, told.task, "lunch-list", told.member).ok(200)
    told.voucher = authority.human("erin").vouch(
        "owner_ack", "AddToGroup", group("mail-admins"),
        reference=REFERENCE).ok(201)
    told.signed = add(bot, told.task, "mail-admins", somebody()).ok(202)
    authority.human("bob").approve(told.signed["id"], "iam-approvers",
                                   reason=REASON).ok(200, 202)
    told.signed = bot.wait(told.signed["id"], "done")
    told.denied = add(bot, told.task, "contractors",
                      somebody()).refused(403)["request"]
    told.closed = stories.waiting(authority, bot=bot, task=told.task)
    bot.cancel(told.closed["id"]).ok()
    stories.set_faults(authority, apply="die-after")
    told.recovered = add(bot, told.task, "lunch-list", somebody(),
                         wait=1).ok(200, 202)["id"]
    bot.wait(told.recovered, "done")
    told.resolved = unknown_request(authority, bot, told.task)
    stories.set_faults(authority)
    told.undone = add(bot, told.task, "lunch-list", somebody()).ok(200)
    bot.rollback(told.undone["id"]).ok(200)
    contained = authority.human("ada").contain("agent", "adviser").ok(201)
    for name in ("ada", "heidi"):
        authority.human(name).release(contained["id"]).ok(200, 202)
    told.activated = another_bundle(authority)
    bot.complete(told.task).ok(200)
    authority.human("ada").disclose(0).ok()
    authority.wait_until_published()
    return told


@pytest.fixture(scope="module")
def here(shared_authority):
    shared_authority.told = tell(shared_authority)
    return shared_authority


@pytest.fixture
def told(here):
    return here.told


def of_kind(authority, kind):
    """(index, leaf) of each leaf of a kind."""
    return [(index, leaf) for index, leaf
            in enumerate(stories.leaves(authority)) if leaf["kind"] == kind]


def disclose(authority, index, part="0", by="ada"):
    """One part of a leaf's payload, opened against its commitment."""
    leaf = json.loads(authority.leaf(index)["leaf"])
    shown = authority.human(by).disclose(index, part).ok()
    assert opens(leaf["commit"][int(part)], shown)
    return shown["payload"]


def unb64url(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def opens(commitment, shown):
    """docs/leaves.md, "Commitments and payloads"."""
    salt = unb64url(shown["salt"])
    assert len(salt) == 32
    digest = hashlib.sha256(b"evc1\0" + salt +
                            canonical(shown["payload"]).encode()).digest()
    return commitment == "c:" + base64.urlsafe_b64encode(
        digest).rstrip(b"=").decode()


# Leaves.

def test_each_kind_of_leaf_of_the_main_path_is_there(here):
    found = {leaf["kind"] for leaf in stories.leaves(here)}
    wanted = set(kinds_of_the_document())
    assert found <= wanted
    # Made by a clock that was stepped or a full disk, once a minute, or not
    # by this path.
    assert wanted - found <= {"degraded", "refused", "incident", "heartbeat",
                              "signal", "exception", "escalated", "erased",
                              "issued", "delivered", "revoked", "read",
                              "notice"}


def test_each_leaf_has_the_documented_form(here):
    kinds = kinds_of_the_document()
    _, entries = stories.tree(here, here.health()["leaves"] - 1)
    last = 0
    for index, entry in enumerate(entries):
        leaf = json.loads(entry)
        assert canonical(leaf).encode() == entry and len(entry) <= 16384
        assert leaf["v"] == 1 and leaf["kind"] in kinds
        assert (leaf["kind"] == "genesis") == (index == 0)
        assert leaf["at"] >= last
        last = leaf["at"]
        for commitment in leaf.get("commit", []):
            assert re.fullmatch("c:[A-Za-z0-9_-]{43}", commitment)
        assert b'"commit":[]' not in entry and b'"about":null' not in entry


def test_each_leaf_is_readable_by_administrators_and_nobody_else(here):
    _, entries = stories.tree(here, here.health()["leaves"] - 1)
    for index, entry in enumerate(entries):
        shown = here.leaf(index)
        assert shown["leaf"].encode() == entry and shown["index"] == index
        assert shown["hash"] == "sha256:" + tlog.leaf_hash(entry).hex()
    here.human("bob").get("/v1/evidence/1").refused(404)
    here.call("GET", "/v1/evidence/1").refused(401)
    here.agent("hr-bot").get("/v1/evidence/1").refused(403)
    for wrong in ("999999", "-1", "1x", "99999999999999999999", "0x1"):
        here.human("ada").get(f"/v1/evidence/{wrong}").refused(404)


def test_an_armed_leaf_names_the_digest_that_was_signed_and_its_approvals(
        here, told):
    index = told.signed["evidence"]["armed"]["index"]
    leaf = json.loads(here.leaf(index)["leaf"])
    assert leaf["digest"] == told.signed["digest"]
    (approval,) = leaf["approvals"]
    signed = json.loads(here.leaf(approval)["leaf"])
    assert signed["kind"] == "approval" and signed["digest"] == leaf["digest"]
    plan = disclose(here, index)
    assert harness.digest(plan) == leaf["digest"]
    outcome = json.loads(
        here.leaf(told.signed["evidence"]["outcome"]["index"])["leaf"])
    assert (outcome["armed"], outcome["effect"]) == (index, "applied")


def test_a_decision_keeps_the_facts_it_was_made_on(here, told):
    index = told.denied["evidence"]["decision"]["index"]
    asked = disclose(here, index, "0")
    facts = disclose(here, index, "1")
    assert asked["resource"] == group("contractors")
    assert facts["context"] and asked["id"] == told.denied["id"]


def words_of(value):
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from words_of(one)
    elif isinstance(value, list):
        for one in value:
            yield from words_of(one)


def test_no_leaf_says_who_what_for_or_on_what(here, told):
    _, entries = stories.tree(here, here.health()["leaves"] - 1)
    for entry in entries:
        for text in words_of(json.loads(entry)):
            assert text not in harness.PEOPLE
            assert "uid=" not in text and "cn=" not in text
        for private in (INTENT, PROMPT, TRACE, REFERENCE, REASON, told.member,
                        "looks right", "for the test"):
            assert private.encode() not in entry


def spellings(text):
    """How a text could stand in a file that does not hide it."""
    raw = text.encode()
    yield raw
    yield json.dumps(text)[1:-1].encode()
    yield raw.hex().encode()
    for shift in range(3):  # base64 of a whole that has it in its middle
        coded = base64.b64encode(b"\0" * shift + raw)
        yield coded[4:-4]
        yield coded[4:-4].translate(bytes.maketrans(b"+/", b"-_"))


def files_below(*folders):
    for folder in folders:
        for path in sorted(pathlib.Path(folder).rglob("*")):
            if path.is_file():
                yield path


def test_prompts_and_traces_stand_in_no_file(here, told):
    """The words are committed to in the log and sealed in the database."""
    searched = set()
    for path in files_below(here.data, here.keeper_folder):
        raw = path.read_bytes()
        searched.add(path.name)
        for text in (PROMPT, TRACE, "Xylophon-4711", "xylophon-4712"):
            for spelling in spellings(text):
                assert spelling not in raw, f"{path} holds {spelling!r}"
    assert {"state.db", "state.db-wal", "state.db-shm", "keys.json",
            "last"} <= searched
    assert b"Xylophon" not in here.log_path.read_bytes()
    for index, text, kind in ((told.prompt, PROMPT, "prompt"),
                              (told.trace, TRACE, "tool_trace")):
        leaf = json.loads(here.leaf(index)["leaf"])
        assert (leaf["kind"], leaf["record"]) == ("record", kind)
        assert disclose(here, index)["content"] == text


# Disclosure.

def test_a_disclosure_leaves_a_leaf_that_says_which(here, told):
    before = len(of_kind(here, "disclosed"))
    disclose(here, told.prompt)
    made = of_kind(here, "disclosed")
    assert len(made) == before + 1
    index, leaf = made[-1]
    assert (leaf["leaf"], leaf["part"]) == (told.prompt, 0)
    who = disclose(here, index)
    assert json.loads(who["statement"])["human"] == "ada"


def test_a_commitment_opens_to_nothing_else(here, told):
    leaf = json.loads(here.leaf(told.prompt)["leaf"])
    shown = here.human("ada").disclose(told.prompt).ok()
    assert opens(leaf["commit"][0], shown)
    shown["payload"]["content"] += " "
    assert not opens(leaf["commit"][0], shown)


def test_what_is_not_there_is_not_disclosed(here, told):
    ada = here.human("ada")
    for part in ("1", "15", "16", "-1", "x"):
        answer = ada.disclose(told.prompt, part)
        assert answer.status in (401, 404, 422), answer
    ada.disclose(told.prompt, "").refused(400, "malformed")
    ada.disclose(10 ** 9).refused(404)


def test_only_auditors_disclose(here, told):
    for name in ("bob", "alice", "erin"):
        here.human(name).disclose(told.prompt).refused(403, "may-not-disclose")


def test_a_disclosure_is_for_one_leaf_and_serves_once(here, told):
    ada = here.human("ada")
    form = ada.sign("disclose", index=told.prompt, part="0", reason="audit")
    other = f"/v1/evidence/{told.trace}/disclose"
    here.call("POST", other, form).refused(403, "may-not-disclose")
    path = f"/v1/evidence/{told.prompt}/disclose"
    before = len(of_kind(here, "disclosed"))
    here.call("POST", path, form).ok()
    here.call("POST", path, form).refused(401, "replayed")
    for namespace in ("writ-login", "writ-approval", "writ-evidence"):
        text = ada.statement("disclose", index=told.prompt, part="0",
                             reason="audit")
        here.call("POST", path, ada.sign_text(text, namespace)).refused(401)
    assert len(of_kind(here, "disclosed")) == before + 1


# Signatures, years later.

def ssh_verifies(folder, form, name, namespace, keys):
    (folder / "allowed_signers").write_text(
        "".join(f"{name} {key}\n" for key in keys))
    (folder / "sig").write_text(form["signature"])
    return subprocess.run(
        ["ssh-keygen", "-Y", "verify", "-f", str(folder / "allowed_signers"),
         "-I", name, "-n", namespace, "-s", str(folder / "sig")],
        input=form["statement"].encode(), capture_output=True,
        check=False).returncode == 0


def keys_in_evidence(authority):
    """{human: keys}, from what the leaves of changes commit to."""
    keys = {}
    for index, leaf in of_kind(authority, "person"):
        manifest = disclose(authority, index)
        keys[manifest["metadata"]["name"]] = manifest["spec"]["keys"]
        told = disclose(authority, leaf["change"])["manifests"]
        assert {"kind": "Human",
                "metadata": manifest["metadata"]} in told
    return keys


def test_ssh_keygen_verifies_what_people_signed_from_the_evidence(here,
                                                                   tmp_path):
    keys = keys_in_evidence(here)
    namespaces = {"approval": "writ-approval", "resolved": "writ-approval",
                  "voucher": "writ-evidence", "login": "writ-login",
                  "contain": "writ-admin", "release": "writ-admin",
                  "disclosed": "writ-admin"}
    seen = set()
    for kind, namespace in namespaces.items():
        for index, leaf in of_kind(here, kind)[:2]:
            form = disclose(here, index)
            says = json.loads(form["statement"])
            name = says["human"]
            assert ssh_verifies(tmp_path, form, name, namespace, keys[name])
            assert not ssh_verifies(tmp_path, form, name, "writ-other",
                                    keys[name])
            changed = {**form, "statement": form["statement"] + " "}
            assert not ssh_verifies(tmp_path, changed, name, namespace,
                                    keys[name])
            if kind == "approval":
                assert says["digest"] == leaf["digest"]
            seen.add(kind)
    assert seen == set(namespaces)


def test_ssh_keygen_verifies_who_changed_the_inventory(here, tmp_path):
    keys = keys_in_evidence(here)
    count = 0
    for index, leaf in of_kind(here, "change") + of_kind(here, "policy"):
        payload = disclose(here, index)
        forms = payload["signatures"] if isinstance(payload, dict) else payload
        assert len(forms) == leaf["signatures"]
        for form in forms:
            name = json.loads(form["statement"])["human"]
            assert ssh_verifies(tmp_path, form, name, "writ-admin", keys[name])
            count += 1
    assert count >= 4


# The public files.

class Watch(threading.Thread):
    """Reads the public log again and again while it grows."""

    def __init__(self, authority):
        super().__init__(daemon=True)
        self.authority = authority
        self.stop = threading.Event()
        self.seen = []
        self.failed = None

    def run(self):
        try:
            while not self.stop.is_set():
                note, entries = stories.tree(self.authority)
                hashes = [tlog.leaf_hash(entry) for entry in entries]
                for old in self.seen:
                    assert old.size <= note.size
                    assert tlog.root_of(hashes[:old.size]) == old.root
                    tlog.check_consistency(
                        old.size, note.size, old.root, note.root,
                        tlog.consistency(old.size, hashes)
                        if old.size < note.size else [])
                if not self.seen or self.seen[-1].size < note.size:
                    self.seen.append(note)
        except BaseException as error:  # pylint: disable=broad-except
            self.failed = error
            raise


def grow(authority, leaves, workers=4):
    """At least so many leaves, from several agents' calls at once."""
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    until = authority.health()["leaves"] + leaves

    def work():
        while authority.health()["leaves"] < until:
            add(bot, task, "lunch-list", somebody(), wait=5).ok(200, 202)

    threads = [threading.Thread(target=work) for _ in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    authority.wait_until_published()


@pytest.fixture(scope="module")
def grown(here):
    """More than one full tile, made while somebody watches."""
    watch = Watch(here)
    watch.start()
    grow(here, max(0, 520 - here.health()["leaves"]))
    watch.stop.set()
    watch.join()
    here.watch = watch
    return here


def test_a_second_implementation_agrees_while_the_log_grows(grown):
    assert grown.watch.failed is None
    assert len(grown.watch.seen) >= 3
    assert grown.watch.seen[-1].size > grown.watch.seen[0].size


def download(authority, folder):
    """Every public file, as the specification names them."""
    note = stories.fetch(authority, "checkpoint")
    size = tlog.Checkpoint(note, tlog.VKey(authority.vkey)).size
    paths = [tlog.tile_path("entries", *at) for at in tlog.tiles(0, size)]
    for level in range(8):
        paths += [tlog.tile_path(level, *at)
                  for at in tlog.tiles(level, size)]
    for path in paths:
        to = folder / path
        to.parent.mkdir(parents=True, exist_ok=True)
        to.write_bytes(stories.fetch(authority, path))
    (folder / "checkpoint").write_bytes(note)
    return size


def test_every_public_file_is_what_the_second_implementation_computes(
        grown, tmp_path):
    size = download(grown, tmp_path)
    log = tlog.Log(tmp_path, tlog.VKey(grown.vkey))
    assert log.checkpoint.size == size and log.levels == 2
    for path in ("tile/0/999", "tile/9/000", "tile/entries/999", "../state.db",
                 "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/0", "state.db",
                 "tile/entries/x000/000"):
        assert grown.call("GET", "/log/" + path).status in (400, 404), path


def test_every_leaf_has_a_receipt_that_verifies(grown):
    vkey = tlog.VKey(grown.vkey)
    note, entries = stories.tree(grown)
    for index, entry in enumerate(entries[:note.size]):
        answer = grown.call("GET", f"/v1/evidence/{index}/proof")
        assert answer.status == 200
        at, checkpoint = tlog.check_proof(answer.raw, entry, vkey)
        assert at == index and checkpoint.size >= note.size
    with pytest.raises(tlog.Bad):
        tlog.check_proof(answer.raw, entry + b" ", vkey)
    grown.call("GET", "/v1/evidence/99999999/proof").refused(404, "not-signed")


# writ evidence verify

def verify(authority, where, state, vkey=None):
    """(exit status, what it said)"""
    done = authority.writ("evidence", "verify", where, "--vkey",
                          vkey or authority.vkey, "--state", state,
                          "--output", "json")
    text = (done.stdout or b"{}").decode()
    return done.returncode, (json.loads(text) if text.strip() else {}), \
        done.stderr.decode()


@pytest.fixture
def exported(grown, tmp_path):
    folder = tmp_path / "log"
    grown.wait_until_published()
    done = grown.writ("evidence", "export", folder, "--vkey", grown.vkey)
    assert done.returncode == 0, done.stderr
    return folder


def test_the_log_verifies_where_it_is_and_where_it_was_exported(
        grown, exported, tmp_path):
    state = tmp_path / "seen"
    code, report, said = verify(grown, grown.url, state)
    assert code == 0 and report["verdict"] == "ok", said
    assert report["open"] == [] and report["findings"] == []
    code, report, said = verify(grown, exported, state)
    assert code == 0 and report["previous"]["size"] == report["size"], said
    log = tlog.Log(exported, tlog.VKey(grown.vkey))
    assert log.checkpoint.size == report["size"]


def flip(path, at=None):
    raw = bytearray(path.read_bytes())
    at = len(raw) // 2 if at is None else at
    raw[at] ^= 1
    path.write_bytes(bytes(raw))


def test_one_flipped_bit_in_each_kind_of_file_is_found(grown, exported,
                                                       tmp_path):
    kinds = {}
    for path in files_below(exported):
        name = str(path.relative_to(exported))
        # One of each: full and partial, of each level.
        kinds.setdefault(re.sub(r"\d+$", "N", name.replace("000", "N")
                                .replace("001", "N").replace("002", "N")),
                         path)
    assert len(kinds) >= 6, kinds
    for path in kinds.values():
        raw = path.read_bytes()
        for at in (0, len(raw) // 2, len(raw) - 1):
            flip(path, at)
            code, report, _ = verify(grown, exported, tmp_path / "seen")
            assert code == FINDING and report["verdict"] == "finding", (path,
                                                                        at)
            path.write_bytes(raw)
    code, report, _ = verify(grown, exported, tmp_path / "seen")
    assert code == 0 and report["verdict"] == "ok"


def test_a_file_that_is_missing_or_cut_is_found(grown, exported, tmp_path):
    for path in list(files_below(exported)):
        raw = path.read_bytes()
        path.unlink()
        code, report, _ = verify(grown, exported, tmp_path / "seen")
        assert (code, report["verdict"]) == (FINDING, "finding"), path
        path.write_bytes(raw[:-1])
        code, report, _ = verify(grown, exported, tmp_path / "seen")
        assert (code, report["verdict"]) == (FINDING, "finding"), path
        path.write_bytes(raw)


def test_an_end_cut_off_is_found_against_what_was_seen(grown, exported,
                                                       tmp_path):
    """A genuine, but older log: only who remembers can tell."""
    state = tmp_path / "seen"
    old = tmp_path / "old"
    shutil.copytree(exported, old)
    grow(grown, 3)
    assert verify(grown, grown.url, state)[0] == 0
    code, report, _ = verify(grown, old, state)
    assert code == FINDING and "cut short" in report["findings"][0]["what"]
    # It is not forgotten, either.
    assert verify(grown, old, state)[0] == FINDING
    assert verify(grown, old, tmp_path / "newcomer")[0] == 0
    assert verify(grown, grown.url, state)[0] == 0


def other_keeper(folder, origin):
    """Keys of somebody else for the same origin."""
    harness.run(harness.program("writ-keeper"), "--folder", folder, "--init",
                "--origin", origin)
    return keeper_asked(folder, "hello")["vkey"]


def keeper_asked(folder, method, **params):
    """One question to a keeper; its answer, or {"reason": ...}."""
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                       "params": params}).encode()
    done = harness.run(harness.program("writ-keeper"), "--folder", folder,
                       input=len(body).to_bytes(4, "big") + body)
    answer = json.loads(done.stdout[4:])
    return answer["error"]["data"] if "error" in answer else answer["result"]


def test_another_key_is_refused(grown, exported, tmp_path):
    vkey = other_keeper(tmp_path / "other", grown.origin)
    for where in (grown.url, exported):
        code, report, _ = verify(grown, where, tmp_path / "seen", vkey)
        assert (code, report["verdict"]) == (FINDING, "finding")
    with pytest.raises(tlog.Bad):
        tlog.Log(exported, tlog.VKey(vkey))


def test_a_log_that_cannot_be_asked_is_unknown_and_not_sound(grown, tmp_path):
    code, report, _ = verify(grown, "http://127.0.0.1:9", tmp_path / "seen")
    assert code not in (0, FINDING) and report.get("verdict") != "ok"


# Two logs, one keeper.

def copy_authority(authority, name):
    """Copies of what a stopped authority has on disk."""
    folder = authority.folder / name
    shutil.copytree(authority.data, folder / "data")
    shutil.copytree(authority.keeper_folder, folder / "keeper")
    return folder


def use(authority, data, keeper):
    authority.write_config(data=str(data), keeper={"command": [
        harness.program("writ-keeper"), "--folder", str(keeper)]})


def test_a_forked_log_is_refused_by_the_keeper(make_authority):
    """Two days that both followed the same yesterday."""
    authority = make_authority().found()
    authority.stop()
    yesterday = copy_authority(authority, "yesterday")
    authority.start()
    grow(authority, 6, workers=1)
    authority.stop()
    signed = keeper_asked(authority.keeper_folder, "hello")["last"]
    # The other day: its own keeper signs it, the true one does not.
    use(authority, yesterday / "data", yesterday / "keeper")
    authority.start()
    while authority.health()["leaves"] < signed["size"] + 2:
        grow(authority, 6, workers=1)
    authority.stop()
    use(authority, yesterday / "data", authority.keeper_folder)
    with pytest.raises(RuntimeError) as refused:
        authority.start()
    assert "fork detected" in str(refused.value)
    # And it does not sign it when it is asked without the daemon's own check.
    forked = keeper_asked(yesterday / "keeper", "hello")["last"]
    for reason, size, root, proof in (
            ("fork", signed["size"], forked["root"], []),
            ("rollback", signed["size"] - 1, forked["root"], []),
            ("inconsistent", forked["size"], forked["root"],
             [forked["root"]])):
        assert keeper_asked(authority.keeper_folder, "checkpoint", size=size,
                            root=root, proof=proof)["reason"] == reason
    assert keeper_asked(authority.keeper_folder, "hello")["last"] == signed
    # The true log goes on as if nothing had been.
    use(authority, authority.data, authority.keeper_folder)
    authority.start()
    assert stories.verified(authority)


# Last: it waits for the leaf of a minute.

def test_calls_refused_before_anybody_is_proved_are_counted(here):
    for _ in range(3):
        here.call("GET", "/v1/tasks", bearer="not.a.token").refused(401)
    wait_until(lambda: of_kind(here, "refused"), "the leaf of a minute",
               patience=90, pause=0.5)
    counts = {}
    for _, leaf in of_kind(here, "refused"):
        assert "about" not in leaf and "commit" not in leaf
        for reason, count in leaf["counts"].items():
            counts[reason] = counts.get(reason, 0) + count
    assert sum(counts.values()) >= 4
    assert stories.verified(here)
