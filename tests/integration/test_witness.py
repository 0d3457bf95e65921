"""Witnesses: the log's checkpoints are cosigned by somebody outside, receipts
say so, and a log that went back is caught by who has seen more of it."""
import json
import shutil
import threading

import pytest

import harness
import stories
import tlog
import witness as witnesses_
from harness import wait_until
from stories import add, holds, somebody
from witness import Witness

# pylint: disable=redefined-outer-name

FINDING = 7  # exit code of writ(1)
DEMAND = "witnessed-ops"  # a class that demands witnesses


def demanding(manifests):
    """The inventory with a class more, whose receipts must be witnessed."""
    copy = json.loads(json.dumps(next(
        m for m in manifests if m["kind"] == "TaskClass"
        and m["metadata"]["name"] == "identity-ops")))
    copy["metadata"]["name"] = DEMAND
    copy["spec"]["requiresReceipt"] = "witnessed"
    return manifests + [copy]


class House:
    """An authority and its witnesses."""

    def __init__(self, folder, count=1, quorum="all"):
        self.folder = folder
        self.witnesses = [Witness(folder / "witnesses", f"w{i + 1}").start()
                          for i in range(count)]
        self.authority = harness.Authority(folder=folder / "authority")
        for one in self.witnesses:
            one.trust(self.authority.vkey)
        self.policy = self.authority.folder / "witnesses.policy"
        self.write_policy(self.witnesses, quorum)

    def write_policy(self, witnesses, quorum="all"):
        self.policy.write_text(witnesses_.policy_text(
            self.authority.vkey, witnesses, quorum))
        self.authority.write_config(
            witnesses=str(self.policy),
            outgoing={"allow": ["127.0.0.1/32"]})

    def start(self, found=True):
        self.authority.start()
        if found:
            self.authority.found(demanding)
        return self

    def restart(self, **how):
        """Until it may arm again."""
        self.authority.restart(**how)
        self.authority.human("ada").login()
        wait_until(lambda: self.authority.health()["status"] == "ok"
                   and self.authority.target_is_up(), "health")

    def close(self):
        self.authority.close()
        for one in self.witnesses:
            one.stop()

    # What is published.

    def published(self, path="checkpoint"):
        """(checkpoint, the witnesses that cosigned it)."""
        answer = self.authority.call("GET", f"/log/{path}")
        if answer.status != 200:
            return None, []
        note = tlog.Checkpoint(answer.raw, tlog.VKey(self.authority.vkey))
        return note, [w for w in self.witnesses
                      if w.cosigner.cosigned(answer.raw)]

    def witnessed(self, index, by=None):
        """Waits until the checkpoint with a quorum covers a leaf."""
        def covered():
            note, who = self.published("checkpoint.witnessed")
            return (note and note.size > index
                    and (by is None or len(who) >= by) and (note, who))

        return wait_until(covered, f"leaf {index} to be witnessed")

    def proof(self, index, strength="witnessed", wait=20):
        return self.authority.call(
            "GET", f"/v1/evidence/{index}/proof?strength={strength}"
            f"&wait={wait}")

    def entry(self, index):
        return self.authority.leaf(index)["leaf"].encode()

    def report(self):
        """{witness: what health says of it}."""
        return {row["name"]: row for row in
                self.authority.health()["witnesses"]["witnesses"]}

    def verify(self, *more, policy=None):
        return self.authority.verify("--policy", policy or self.policy, *more)


@pytest.fixture
def house(tmp_path):
    """house(count, quorum) as House, started and closed."""
    opened = []

    def make(count=1, quorum="all", found=True):
        made = House(tmp_path / f"house-{len(opened)}", count, quorum)
        opened.append(made)
        return made.start(found)

    yield make
    for one in opened:
        one.close()


def last_leaf(here):
    return here.authority.health()["leaves"] - 1


# Cosignatures and receipts.

def test_what_is_published_is_cosigned_by_its_witnesses(house):
    here = house(2)
    index = last_leaf(here)
    note, who = here.witnessed(index, by=2)
    assert len(who) == 2
    # At rest the newest checkpoint itself has the lines, too.
    wait_until(lambda: len(here.published()[1]) == 2, "a cosigned checkpoint")
    for one in here.witnesses:
        assert one.seen(note.origin)[0] >= note.size
        sizes = [size for _, size in one.calls]
        assert sizes == sorted(sizes) and one.calls[0][0] == 0
    rows = here.report()
    assert all(row.get("why") is None and row["at"] for row in rows.values())


def test_a_receipt_comes_in_three_strengths(house, tmp_path):
    here = house()
    bot = here.authority.agent("hr-bot")
    done = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    leaf = done["evidence"]["outcome"]
    vkey = tlog.VKey(here.authority.vkey)
    assert here.proof(leaf["index"], "durable").ok() == leaf
    signed = here.proof(leaf["index"], "signed")
    assert tlog.check_proof(signed.raw, here.entry(leaf["index"]),
                            vkey)[0] == leaf["index"]
    cosigned = here.proof(leaf["index"])
    assert cosigned.status == 200, cosigned
    assert tlog.check_proof(cosigned.raw, here.entry(leaf["index"]),
                            vkey)[0] == leaf["index"]
    note = cosigned.raw.partition(b"\n\n")[2]
    assert here.witnesses[0].cosigner.cosigned(note)
    # The same on the command line, and checked there without the authority.
    receipt, entry = tmp_path / "r.tlog-proof", tmp_path / "leaf.json"
    entry.write_bytes(here.entry(leaf["index"]))
    ada = here.authority.human("ada")
    ada.writ("evidence", "prove", str(leaf["index"]), "--strength",
             "witnessed", "--wait", "20s", "--to", receipt, check=True)
    check = ("evidence", "verify", receipt, "--leaf", entry, "--vkey",
             here.authority.vkey, "--policy", here.policy)
    assert ada.writ(*check).returncode == 0
    entry.write_bytes(here.entry(leaf["index"]) + b" ")
    assert ada.writ(*check).returncode == FINDING
    entry.write_bytes(here.entry(leaf["index"]))
    receipt.write_bytes(receipt.read_bytes().replace(
        note.splitlines(True)[-1], b""))
    stripped = ada.writ(*check)
    assert stripped.returncode == FINDING and b"no quorum" in stripped.stdout


def test_what_nobody_has_is_no_receipt(house):
    here = house(found=False)
    here.proof(10 ** 9, "signed", 0).refused(404, "not-signed")
    here.proof(10 ** 9, "witnessed", 1).refused(404, "not-witnessed")
    here.proof(10 ** 9, "durable", 0).refused(404)
    here.proof(0, "sworn", 0).refused(400, "strength")
    here.proof(0, "witnessed", 31).refused(400)


def test_without_witnesses_there_is_no_witnessed_receipt(make_authority):
    authority = make_authority()
    wait_until(lambda: authority.call("GET", "/log/checkpoint").status == 200,
               "a checkpoint")
    answer = authority.call(
        "GET", "/v1/evidence/0/proof?strength=witnessed&wait=20")
    answer.refused(404, "not-witnessed")
    assert "no witnesses" in answer.body["detail"]
    authority.call("GET", "/log/checkpoint.witnessed").refused(404)


def test_the_verifier_demands_the_quorum_of_a_policy(house, tmp_path):
    here = house(2)
    here.witnessed(last_leaf(here), by=2)
    done = here.verify("-o", "json")
    report = json.loads(done.stdout)
    assert done.returncode == 0, report
    assert report["witnessed"]["quorum"]
    assert {row["name"] for row in report["witnessed"]["witnesses"]} == {
        "w1", "w2"}
    other = tmp_path / "policy"
    stranger = Witness(tmp_path / "stranger", "w1")
    for text, words in (
            # Somebody who has never seen this log.
            (witnesses_.policy_text(here.authority.vkey, [stranger], "all"),
             "no quorum"),
            # The right name with another key.
            (here.policy.read_text().replace(here.witnesses[0].vkey,
                                             stranger.vkey), "no quorum"),
            # Another log.
            (here.policy.read_text().replace(
                f"log {here.authority.vkey}",
                "log example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2"
                "LKaANYcrnKv3U2k"), "not for this log")):
        other.write_text(text)
        done = here.verify("-o", "json", policy=other)
        report = json.loads(done.stdout)
        assert done.returncode == FINDING, report
        assert words in json.dumps(report["findings"])
    other.write_text(here.policy.read_text() + "quorum w1\n")
    assert b"line" in here.verify(policy=other).stderr


def test_an_exported_log_keeps_its_cosignatures(house, tmp_path):
    here = house()
    here.witnessed(last_leaf(here))
    ada = here.authority.human("ada")
    folder = tmp_path / "log"
    ada.writ("evidence", "export", folder, "--vkey", here.authority.vkey,
             check=True)
    check = ("evidence", "verify", folder, "--vkey", here.authority.vkey,
             "--policy", here.policy)
    done = ada.writ(*check)
    assert done.returncode == 0, done.stdout
    for name in ("checkpoint", "checkpoint.witnessed"):
        path = folder / name
        if path.exists():
            raw = path.read_bytes()
            path.write_bytes(raw.replace(raw.splitlines(True)[-1], b"")
                             if raw.count(b"\xe2\x80\x94") > 1 else raw)
    assert ada.writ(*check).returncode == FINDING


# Quorum.

def test_a_quorum_is_as_many_as_the_policy_says(house):
    here = house(3, quorum="2")
    here.witnesses[2].stop()
    note, who = here.witnessed(last_leaf(here), by=2)
    assert here.witnesses[2] not in who
    here.witnesses[1].stop()
    bot = here.authority.agent("hr-bot")
    done = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    index = done["evidence"]["outcome"]["index"]
    here.proof(index, wait=2).refused(404, "not-witnessed")
    assert here.published("checkpoint.witnessed")[0].size <= index
    wait_until(lambda: here.report()["w2"].get("why"), "a word about w2")
    assert here.authority.health()["status"] == "ok"
    here.witnesses[1].start()
    assert here.proof(index, wait=30).status == 200
    assert here.published("checkpoint.witnessed")[0].size > note.size


@pytest.mark.parametrize("fault", sorted(witnesses_.FAULTS))
def test_what_a_bad_witness_says_counts_for_nothing(house, fault):
    here = house(found=False)
    one = here.witnesses[0]
    here.witnessed(last_leaf(here))
    before = here.published("checkpoint.witnessed")[0].size
    one.fault = fault
    one.calls.clear()
    here.authority.found(demanding, drill=False)
    wait_until(lambda: one.calls, "the witness to be asked")
    wait_until(lambda: here.report()["w1"].get("why"), "a word about it")
    note, who = here.published("checkpoint.witnessed")
    assert note.size == before and who  # the last good one goes on standing
    assert here.published()[1] == [] or here.published()[0].size == before
    assert here.authority.health()["status"] == "ok"
    one.fault = None
    here.witnessed(last_leaf(here))
    assert here.report()["w1"].get("why") is None


# Coming back.

def test_a_witness_and_the_log_find_each_other_again(house):
    here = house()
    here.witnessed(last_leaf(here))
    origin = here.authority.origin
    # The log has forgotten how far the witness is.
    here.authority.stop()
    stories.sqlite3.connect(here.authority.data / "state.db").executescript(
        "DELETE FROM cosignature")
    here.restart()
    here.witnesses[0].calls.clear()
    bot = here.authority.agent("hr-bot")
    done = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    index = done["evidence"]["outcome"]["index"]
    assert here.proof(index).status == 200
    # The witness has forgotten a part of what it saw: it is behind.
    size = here.witnesses[0].seen(origin)[0]
    _, entries = stories.tree(here.authority, size - 1)
    hashes = [tlog.leaf_hash(entry) for entry in entries]
    here.witnesses[0].see(origin, 3, tlog.root_of(hashes[:3]))
    here.witnesses[0].calls.clear()
    done = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    assert here.proof(done["evidence"]["outcome"]["index"]).status == 200
    assert (3, here.witnesses[0].seen(origin)[0]) in here.witnesses[0].calls
    assert here.authority.health()["status"] == "ok"


def test_what_was_witnessed_outlasts_a_crash_and_a_silent_witness(house):
    here = house()
    index = last_leaf(here)
    note, _ = here.witnessed(index)
    here.witnesses[0].stop()
    here.authority.restart(crash=True)
    kept, who = here.published("checkpoint.witnessed")
    assert kept.size >= note.size and who
    # A witness that is down stops nothing that does not ask for it.
    wait_until(lambda: here.authority.health()["status"] == "ok"
               and here.authority.target_is_up(), "the start to be over")
    bot = here.authority.agent("hr-bot")
    add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)


# A class that demands it.

def test_nothing_is_carried_out_before_its_witnesses_have_cosigned(house):
    here = house()
    bot = here.authority.agent("hr-bot")
    task = bot.open_task(class_name=DEMAND)
    member = somebody()
    done = add(bot, task, "lunch-list", member, wait=30).ok(200)
    assert done["state"] == "done"
    assert holds(here.authority, "lunch-list", member)
    armed = done["evidence"]["armed"]["index"]
    assert here.published("checkpoint.witnessed")[0].size > armed
    assert here.proof(armed, wait=0).status == 200
    # Its end waits for nobody outside.
    here.witnesses[0].stop()
    bot.complete(task).ok(200, 202)
    wait_until(lambda: not holds(here.authority, "lunch-list", member),
               "the membership to end")


def test_what_no_quorum_covers_fails_visibly_and_is_not_carried_out(house):
    here = house(2)
    here.witnesses[1].stop()
    bot = here.authority.agent("hr-bot")
    task = bot.open_task(class_name=DEMAND)
    member = somebody()
    asked = add(bot, task, "lunch-list", member, wait=1)
    ident = asked.body["id"]
    shown = bot.wait(ident, "failed")
    assert "witnesses" in shown["outcome"]["detail"], shown
    assert not holds(here.authority, "lunch-list", member)
    # It is the class that demands it, and nobody else.
    other = add(bot, bot.open_task(), "lunch-list", member).ok(200)
    assert other["state"] == "done"
    assert stories.open_armed(here.authority) == []


def stop_tolerant(call):
    """The same call, whose answer a stop may take away."""
    def tolerant(*arguments):
        try:
            call(*arguments)
        except OSError:
            pass

    return tolerant


def test_a_stop_does_not_wait_for_witnesses_and_says_what_became_of_it(house):
    here = house()
    here.witnessed(last_leaf(here))
    here.witnesses[0].stop()
    bot = here.authority.agent("hr-bot")
    task = bot.open_task(class_name=DEMAND)
    member = somebody()
    armed = set(stories.open_armed(here.authority))
    call = threading.Thread(target=stop_tolerant(add), args=(
        bot, task, "lunch-list", member), daemon=True)
    call.start()
    index = wait_until(lambda: set(stories.open_armed(here.authority)) - armed,
                       "it to be armed").pop()
    ident = stories.leaves(here.authority)[index]["about"]
    assert here.authority.stop() == 0
    call.join(60)
    # Not by the deadline that ends a stop in any case.
    assert "not everything ended in time" not in here.authority.log()
    here.authority.start()
    shown = bot.wait(ident, "failed")
    assert "closing" in shown["outcome"]["detail"], shown
    assert not holds(here.authority, "lunch-list", member)
    assert stories.open_armed(here.authority) == []


def test_without_witnesses_what_demands_them_fails(make_authority):
    authority = make_authority().found(demanding)
    bot = authority.agent("hr-bot")
    member = somebody()
    asked = add(bot, bot.open_task(class_name=DEMAND), "lunch-list", member)
    shown = bot.wait(asked.body["id"], "failed")
    assert "no witnesses" in shown["outcome"]["detail"]
    assert not holds(authority, "lunch-list", member)


# Going back.

def refused_to_arm(authority):
    bot = authority.agent("hr-bot")
    answer = bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "after the restore",
        "targets": [harness.TARGET], "ttl": "1h"})
    return answer.status == 503, answer


def doctor_says(here):
    ada = here.authority.human("ada")
    ada.writ("login", check=True)
    done = ada.writ("doctor", "--config", here.authority.config_path)
    return (done.stdout + done.stderr).decode()


def test_yesterdays_folders_restored_together_are_caught_by_the_witness(
        house, tmp_path):
    here = house()
    authority = here.authority
    bot = authority.agent("hr-bot")
    add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    authority.stop()
    for name, folder in (("data", authority.data),
                         ("keeper", authority.keeper_folder)):
        shutil.copytree(folder, tmp_path / name)
    here.restart()
    for _ in range(3):
        add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    here.witnessed(last_leaf(here))
    authority.stop()
    # Both go back, so the log's own keeper notices nothing.
    for name, folder in (("data", authority.data),
                         ("keeper", authority.keeper_folder)):
        shutil.rmtree(folder)
        shutil.copytree(tmp_path / name, folder)
    authority.restart()
    health = wait_until(
        lambda: (lambda h: h if "witness" in h.get("why", "")
                 and "restored" in h["why"] else None)(authority.health()),
        "the witness to object")
    assert health["status"] == "degraded"
    refused, answer = refused_to_arm(authority)
    assert refused, answer
    assert "restored" in doctor_says(here)
    # New leaves do not make it well: it is asked again, and again says no.
    asked = len(here.witnesses[0].calls)
    authority.human("ada").login()
    wait_until(lambda: len(here.witnesses[0].calls) > asked + 1,
               "the witness to be asked again")
    assert authority.health()["status"] == "degraded"
    authority.restart()
    wait_until(lambda: "restored" in authority.health().get("why", ""),
               "the witness to object again")


def test_a_witness_of_another_tree_stops_arming_until_it_is_let_go(house):
    here = house(2, quorum="any")
    here.witnessed(last_leaf(here), by=1)
    one = here.witnesses[0]
    size, _ = one.seen(here.authority.origin)
    one.see(here.authority.origin, size, b"\x07" * 32)
    here.authority.human("ada").login()
    health = wait_until(
        lambda: (lambda h: h if h["status"] == "degraded" else None)(
            here.authority.health()), "the witness to object")
    assert "w1" in health["why"] and "forked" in health["why"]
    assert refused_to_arm(here.authority)[0]
    # An operator who knows better takes it out of the policy.
    here.write_policy(here.witnesses[1:])
    here.restart()
    bot = here.authority.agent("hr-bot")
    add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)


# The policy file.

@pytest.mark.parametrize("text,words", [
    ("witness w1 nonsense http://127.0.0.1:1/\nquorum w1\n", "line 1"),
    ("quorum w9\n", "line 1"),
    ("# nothing\n", "quorum"),
    ("log example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3"
     "U2k\nquorum none\n", "not for this log"),
])
def test_a_policy_that_makes_no_sense_is_not_started_with(tmp_path, text,
                                                          words):
    authority = harness.Authority(folder=tmp_path / "authority")
    try:
        (authority.folder / "witnesses").write_text(text)
        authority.write_config(
            witnesses=str(authority.folder / "witnesses"))
        authority.start(wait=False)
        assert authority.wait_for_end() != 0
        assert words in authority.log()
    finally:
        authority.close()
