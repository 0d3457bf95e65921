"""Erasure: what is kept of an agent or a person goes for good, from every file,
and every proof that was ever given still verifies."""
import base64
import json
import sqlite3

import pytest

import harness
import stories
import tlog
from harness import canonical, group, wait_until
from stories import add, somebody
from test_evidence import files_below, opens, spellings

# pylint: disable=redefined-outer-name

INTENT = "the quagga needs a letterbox"
PROMPT = "Prompt: the password of the axolotl is gneiss-5512."
TRACE = "trace of the okapi: cn=gneiss-5513"
REASON = "approved as the narwhal asked"
FAILED, WAITING, CONFLICT, FINDING = 1, 4, 6, 7  # exit codes of writ(1)


def erase(authority, subject, by=("ada", "heidi")):
    """As many signatures as it takes; the last answer."""
    first, *others = (authority.human(name) for name in by)
    answer = first.erase(subject)
    for signer in others:
        assert answer.status == 202, answer
        answer = signer.erase(subject)
    return answer


def open_database(authority):
    database = sqlite3.connect(
        f"file:{authority.data / 'state.db'}?mode=ro", uri=True)
    return database


def keys_of(authority, subject):
    """(wrapped data keys, sealed parts) of a subject, as they are stored."""
    with open_database(authority) as database:
        wrapped = [row[0] for row in database.execute(
            "SELECT wrapped FROM subject WHERE name LIKE ?",
            (subject + "#%",))]
        sealed = [row[0] for row in database.execute(
            "SELECT sealed FROM payload WHERE subject LIKE ?",
            (subject + "#%",))]
    database.close()
    return wrapped, sealed


def leaves_of(authority, kinds):
    return [index for index, leaf in enumerate(stories.leaves(authority))
            if leaf["kind"] in kinds and leaf.get("commit")]


def salts_of(authority, indexes):
    """The salts of payload parts, raw: an administrator may read them while
    they are there."""
    salts = []
    for index in indexes:
        shown = authority.human("ada").disclose(index)
        if shown.status == 200:
            text = shown.body["salt"]
            salts.append(base64.urlsafe_b64decode(text + "="))
    return salts


def tell(authority):
    """A story of hr-bot that has ended altogether."""
    bot = authority.agent("hr-bot")
    task = bot.open_task(intent=INTENT)
    prompt = bot.attach(task, PROMPT).ok(201)["index"]
    trace = bot.attach(task, TRACE, "tool_trace",
                       tool="search").ok(201)["index"]
    member = somebody()
    auto = add(bot, task, "lunch-list", member).ok(200)
    signed = stories.waiting(authority, bot=bot, task=task)
    authority.human("bob").approve(signed["id"], "iam-approvers",
                                   reason=REASON).ok(200, 202)
    bot.wait(signed["id"], "done")
    denied = add(bot, task, "contractors",
                 somebody()).refused(403)["request"]["id"]
    bot.complete(task).ok(200, 202)
    wait_until(lambda: stories.states(authority, "tasks").get(task)
               == "completed", "the task to be completed", patience=30)
    wait_until(lambda: all(row["state"] == "ended" for row in
                           stories.grants(authority).values()),
               "its grants to end")
    return {"task": task, "prompt": prompt, "trace": trace, "member": member,
            "auto": auto, "signed": signed["id"], "denied": denied}


def receipts(authority, count):
    """Receipts of all leaves, with the leaves."""
    kept = []
    for index in range(count):
        entry = authority.leaf(index)["leaf"].encode()
        proof = authority.call("GET", f"/v1/evidence/{index}/proof?wait=20")
        assert proof.status == 200, proof
        kept.append((entry, proof.raw))
    return kept


def files_of(authority):
    """Every byte the authority keeps: {path: content}."""
    return {path: path.read_bytes()
            for path in files_below(authority.data, authority.keeper_folder)}


def assert_nowhere(files, texts=(), raws=()):
    for path, content in files.items():
        for text in texts:
            for spelling in spellings(text):
                assert spelling not in content, f"{path} holds {text!r}"
        for raw in raws:
            assert raw not in content, f"{path} holds {raw.hex()}"


def test_an_erased_agent_is_in_no_file_and_every_old_proof_verifies(authority):
    told = tell(authority)
    subject = "agent:hr-bot"
    texts = [INTENT, PROMPT, TRACE, told["member"], "gneiss-551"]
    salts = salts_of(authority, leaves_of(authority, (
        "task", "record", "decision", "armed", "outcome", "ended")))
    wrapped, sealed = keys_of(authority, subject)
    assert len(salts) >= 10 and wrapped and len(sealed) >= 10
    # All of it is there before: the search finds what it should.
    before = files_of(authority)
    joined = b"".join(before.values())
    assert all(raw in joined for raw in wrapped)
    assert INTENT.encode() in joined and told["member"].encode() in joined
    old = receipts(authority, authority.health()["leaves"])
    done = erase(authority, subject).ok(200)
    assert done["state"] == "erased" and done["parts"] == len(sealed)
    assert done["documents"] >= 4
    files = files_of(authority)
    assert {"state.db", "state.db-wal", "keys.json"} <= {
        path.name for path in files}
    assert_nowhere(files, texts, salts + wrapped + sealed)
    # Every receipt ever given, and every leaf.
    vkey = tlog.VKey(authority.vkey)
    for entry, proof in old:
        tlog.check_proof(proof, entry, vkey)
    _, entries = stories.tree(authority, authority.health()["leaves"] - 1)
    assert entries[:len(old)] == [entry for entry, _ in old]
    assert stories.verified(authority)
    # Look-ups say so.
    ada = authority.human("ada")
    for index in (told["prompt"], told["trace"],
                  told["auto"]["evidence"]["armed"]["index"]):
        assert "erased" in ada.disclose(index).refused(404)["detail"]
    for kind, ident in (("requests", told["signed"]),
                        ("requests", told["denied"]), ("tasks", told["task"])):
        shown = ada.get(f"/v1/{kind}/{ident}").ok()
        assert shown["erased"] == done["evidence"] and shown["state"]
        assert not {"intent", "resource", "parameters", "plan"} & set(shown)
    leaf = json.loads(authority.leaf(done["evidence"]["index"])["leaf"])
    assert leaf["kind"] == "erased" and leaf["signatures"] == 2
    assert "hr-bot" not in json.dumps(leaf)
    # It can work again, under a key of its own, also after a restart.
    authority.restart()
    ada.login()
    wait_until(authority.target_is_up, "the connector")
    bot = authority.agent("hr-bot")
    again = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    assert again["state"] == "done"
    index = again["evidence"]["armed"]["index"]
    shown = ada.disclose(index)
    assert opens(json.loads(authority.leaf(index)["leaf"])["commit"][0],
                 shown.ok())
    assert stories.verified(authority)
    assert_nowhere(files_of(authority), texts, salts + wrapped + sealed)


def test_what_was_erased_is_not_undone_by_it(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    bot.complete(task).ok(200, 202)
    wait_until(lambda: all(row["state"] == "ended" for row in
                           stories.grants(authority).values()), "the end")
    wait_until(lambda: stories.states(authority, "tasks").get(task)
               == "completed", "the task to be completed")
    erase(authority, "agent:hr-bot").ok(200)
    bot.rollback(done["id"]).refused(409, "erased")


def test_nothing_is_erased_while_something_of_it_is_open(authority):
    bot = authority.agent("hr-bot")
    task = bot.open_task(intent=INTENT)
    done = add(bot, task, "lunch-list", somebody()).ok(200)
    ada = authority.human("ada")
    refused = ada.erase("agent:hr-bot").refused(409, "still-open")
    listed = " ".join(refused["open"])
    assert task in listed and done["grant"]["id"] in listed
    assert ada.get(f"/v1/tasks/{task}").ok()["intent"] == INTENT
    bot.complete(task).ok(200, 202)
    wait_until(lambda: stories.states(authority, "tasks").get(task)
               == "completed", "the task to be completed")
    erase(authority, "agent:hr-bot").ok(200)
    assert ada.get(f"/v1/tasks/{task}").ok().get("intent") is None


def test_two_administrators_sign_for_an_erasure(authority):
    ada, heidi = authority.human("ada"), authority.human("heidi")
    before = keys_of(authority, "human:ada")
    for name in ("bob", "alice", "erin"):
        authority.human(name).erase("human:frank").refused(403,
                                                           "may-not-erase")
    for _ in range(2):  # one person's two signatures are one
        shown = ada.erase("agent:adviser").ok(202)
        assert shown["signers"] == ["ada"] and shown["state"] == "waiting"
    # What is signed is for one subject, in one namespace, once.
    form = heidi.sign("erase", subject="agent:adviser", reason="x")
    authority.call("POST", "/v1/subjects/agent:hr-bot/erase", form).refused(404)
    for namespace in ("writ-login", "writ-approval", "writ-evidence"):
        text = heidi.statement("erase", subject="agent:adviser", reason="x")
        authority.call("POST", "/v1/subjects/agent:adviser/erase",
                       heidi.sign_text(text, namespace)).refused(401)
    authority.restart()  # a first signature outlasts it
    done = heidi.erase("agent:adviser").ok(200)
    assert sorted(done["signers"]) == ["ada", "heidi"]
    assert keys_of(authority, "human:ada")[0][:len(before[0])] == before[0]


@pytest.mark.parametrize("subject", [
    "inventory", "target", "human:", "human:ADA", "agent:a+b", "group:x",
    "human:" + "a" * 90])
def test_a_subject_is_a_human_or_an_agent(authority, subject):
    answer = authority.human("ada").erase(subject)
    assert answer.status in (400, 401, 404), answer


def test_a_person_of_the_inventory_is_not_erased(authority):
    refused = authority.human("ada").erase("human:bob").refused(409,
                                                                "still-open")
    assert any("Human" in row for row in refused["open"])


def test_who_is_not_known_is_not_erased_and_that_is_said(authority):
    before = authority.health()["leaves"]
    for subject in ("human:nobody", "agent:nobody"):
        refused = authority.human("ada").erase(subject).refused(
            404, "unknown-subject")
        assert subject in refused["detail"]
    assert authority.health()["leaves"] == before


def test_the_command_line_erases(authority):
    ada, heidi = authority.human("ada"), authority.human("heidi")
    arguments = ("evidence", "erase", "agent:adviser", "--reason", "asked for",
                 "--yes")
    for one in (ada, heidi):
        one.writ("login", check=True)
    first = ada.writ(*arguments, "-o", "json")
    assert first.returncode == WAITING, first.stderr
    assert json.loads(first.stdout)["state"] == "waiting"
    assert b"writ erasure sign agent:adviser" in first.stderr
    listed_now = json.loads(heidi.writ("erasure", "list", "-o", "json",
                                       check=True).stdout)["erasures"]
    assert [(row["subject"], row["signers"], row["reason"])
            for row in listed_now] == [("agent:adviser", ["ada"], "asked for")]
    second = heidi.writ("erasure", "sign", "agent:adviser", "--yes", "-o",
                        "json")
    assert json.loads(second.stdout)["state"] == "erased", second.stderr
    assert second.returncode == 0
    assert json.loads(heidi.writ("erasure", "list", "-o", "json",
                                 check=True).stdout)["erasures"] == []
    again = heidi.writ("erasure", "sign", "agent:adviser", "--yes")
    assert again.returncode == FAILED and b"waits" in again.stderr


def test_the_command_line_lists_what_is_still_open(authority):
    bot, ada = authority.agent("hr-bot"), authority.human("ada")
    task = bot.open_task()
    ada.writ("login", check=True)
    done = ada.writ("evidence", "erase", "agent:hr-bot", "--reason", "asked",
                    "--yes")
    assert done.returncode == CONFLICT
    assert f"open: task {task}".encode() in done.stderr


def test_the_second_signs_the_same_words_as_the_first(authority):
    ada, heidi = authority.human("ada"), authority.human("heidi")
    ada.erase("agent:adviser", "they left").ok(202)
    heidi.erase("agent:adviser", "to hide it").refused(409, "another-reason")
    authority.restart()
    heidi.erase("agent:adviser", "to hide it").refused(409, "another-reason")
    # Whoever signed alone may say it anew.
    ada.erase("agent:adviser", "they asked").ok(202)
    heidi.erase("agent:adviser", "they left").refused(409, "another-reason")
    assert heidi.erase("agent:adviser",
                       "they asked").ok(200)["state"] == "erased"


def test_erasures_that_wait_are_shown_to_administrators_and_auditors(authority):
    authority.human("ada").erase("agent:adviser").ok(202)
    for name in ("ada", "heidi"):
        rows = authority.human(name).get("/v1/erasures").ok()["erasures"]
        assert [row["subject"] for row in rows] == ["agent:adviser"]
    authority.human("bob").get("/v1/erasures").refused(403, "may-not-read")
    authority.agent("hr-bot").get("/v1/erasures").refused(403, "wrong-caller")


# A person.

WORDS = "vouched as the tapir asked; see dolomite-77"


NAME = "zebedee"


def with_zebedee(authority):
    """The inventory with a person more."""
    def change(manifests):
        text = next(canonical(m) for m in manifests if m["kind"] == "Human"
                    and m["metadata"]["name"] == "frank")
        key = authority.human("frank").public_key
        text = text.replace(key, authority.human(NAME).public_key)
        return manifests + [json.loads(text.replace("frank", NAME))]
    return change


def listed(authority):
    """Everything that is in the inventory but zebedee."""
    return [manifest for kind in (
        "Plane", "Domain", "Group", "Human", "TrustDomain", "Agent", "Target",
        "TaskClass", "PolicyBundle")
            for manifest in authority.inventory(kind).ok()["manifests"]
            if manifest["metadata"]["name"] != NAME]


def leave(authority):
    """zebedee leaves the house."""
    answer = authority.human("ada").propose(listed(authority), prune=True)
    if answer.status == 202:
        change = answer.body
        answer = authority.human("heidi").sign_change(change["id"],
                                                      change["digest"])
    answer.ok(200)
    wait_until(lambda: authority.inventory("Human", NAME).status == 404,
               "zebedee to be gone")


def test_an_erased_person_is_in_no_file_and_what_they_signed_is_gone(
        make_authority):
    authority = make_authority()
    authority.found(with_zebedee(authority))
    zebedee = authority.human(NAME)
    zebedee.login()
    voucher = zebedee.vouch("ticket", "AddToGroup", group("mail-admins"),
                            text=WORDS, reference="dolomite-78").ok(201)
    ada = authority.human("ada")
    subject = f"human:{NAME}"
    ada.erase(subject).refused(409, "still-open")
    leave(authority)
    vkey = tlog.VKey(authority.vkey)
    old = receipts(authority, authority.health()["leaves"])
    people = [index for index, leaf in enumerate(stories.leaves(authority))
              if leaf["kind"] == "person"]
    theirs = [index for index in people if ada.disclose(index).ok()[
        "payload"]["metadata"]["name"] == NAME]
    signed = voucher["evidence"]["index"]
    assert theirs
    salts = salts_of(authority, [*theirs, signed])
    wrapped, sealed = keys_of(authority, subject)
    key = zebedee.public_key.split()[1]
    texts = [WORDS, "dolomite-7", NAME, key]
    joined = b"".join(files_of(authority).values())
    for text in (WORDS, NAME, key):
        assert text.encode() in joined, text
    done = erase(authority, subject).ok(200)
    assert done["parts"] == len(sealed) and done["documents"] >= 1
    assert_nowhere(files_of(authority), texts, salts + wrapped + sealed)
    for index in (*theirs, signed):
        assert "erased" in ada.disclose(index).refused(404)["detail"]
    others = [index for index in people if index not in theirs]
    assert all(ada.disclose(index).status == 200 for index in others)
    for entry, proof in old:
        tlog.check_proof(proof, entry, vkey)
    assert stories.verified(authority)
    # Nothing of them is written by what comes later, either.
    authority.restart()
    assert_nowhere(files_of(authority), texts, salts + wrapped + sealed)


def test_a_rewriting_that_a_stop_cut_short_is_done_at_the_next_start(
        authority):
    """What is deleted and not yet gone from the file is remembered."""
    authority.stop()
    database = sqlite3.connect(authority.data / "state.db")
    database.execute("PRAGMA secure_delete = OFF")
    database.execute("CREATE TABLE remains(text TEXT)")
    database.execute("INSERT INTO remains VALUES(?)", (PROMPT * 50,))
    database.commit()
    database.execute("DROP TABLE remains")
    database.commit()
    database.close()
    assert PROMPT.encode() in (authority.data / "state.db").read_bytes()
    stories.put_documents(authority, "setting", [{"id": "scrub"}],
                          like="bootstrap")
    authority.restart()
    authority.human("ada").login()

    def is_done():
        with open_database(authority) as there:
            rows = there.execute("SELECT 1 FROM setting WHERE id = 'scrub'")
            return not rows.fetchall()

    wait_until(is_done, "the rewriting")
    assert_nowhere(files_of(authority), [PROMPT])
