#!/usr/bin/python3
"""The demonstration of Writ: its main job from end to end, told step by step.

    WRIT_BUILD=build/release tools/demo/demo.py [--keep]

Everything is real: an OpenLDAP server, writd, its keeper and its connector are
started in a folder of their own and taken down again; people use `writ` with
their own SSH keys, agents use HTTP with JWT-SVIDs, and what plain ldapsearch
sees is shown before and after.  Each line "=>" is a promise that was checked;
the first one that is not kept ends the demonstration with status 1.
"""
import argparse
import http.client
import json
import pathlib
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import lend
from stage import (Broken, DemoAuthority, Hold, Story, World, call, leaf_line,
                   lines, say, styled, words)

# pylint: disable=wrong-import-position
import harness
import slapd
import tlog
from harness import TARGET, group, person, wait_until
from ldap_proxy import Proxy

HERE = pathlib.Path(__file__).resolve().parent
GROUPS = ("lunch-list", "contractors", "helpdesk", "mail-admins",
          "domain-admins", "writ-drill")
WAITING, FINDING = 4, 7  # exit codes of writ

AUDITOR = """kind: Group
metadata: {{ name: auditors }}
spec: {{ description: "read every leaf, and change nothing" }}
---
kind: Human
metadata: {{ name: grace, description: "audits" }}
spec: {{ groups: [auditors], keys: ["{key}"], timezone: UTC }}
"""


# ---- 1. an authority ----

def write_manifests(world):
    folder = world.folder / "manifests"
    folder.mkdir()
    for path in sorted((harness.EXAMPLE / "manifests").glob("*.yaml")):
        (folder / path.name).write_text(
            harness.fill(path.read_text(), world.authority.values))
    key = world.authority.human("grace").public_key
    (world.folder / "auditor.yaml").write_text(AUDITOR.format(key=key))


def show_changes(world):
    """The leaves of the newest change."""
    changes = world.read("ada", "change", "list")["changes"]
    newest = max(changes, key=lambda c: c["id"])
    lines(f"{newest['id']} {newest['state']}\n{leaf_line(newest)}")


def vouch(world, name, kind, resource, reference, text):
    world.writ(name, "voucher", "create", "--kind", kind, "--action",
               "AddToGroup", "--target", TARGET, "--resource", resource,
               "--reference", reference, "--text", text, "--expires", "1h",
               "--yes", tell=lambda out: only(out, "Voucher", "By", "Leaf"))


def only(table, *titles):
    """Some rows of what `writ` shows as a table of one thing."""
    return "\n".join(row for row in table.splitlines()
                     if row.partition(":")[0] in titles)


def tell_signed(table):
    """How a request stands."""
    return only(table, "State", "Waiting for", "Effect", "Adopted as",
                "Decision leaf", "Armed leaf", "Outcome leaf")


def begin(world):
    story, authority = world.story, world.authority
    write_manifests(world)
    call("writ", f"writd --config {authority.config_path} &")
    authority.start()
    lines(f"listening on {authority.url}; the keeper and the connector are "
          "its children")
    (world.folder / "log.vkey").write_text(authority.vkey + "\n")
    lines(f"the log's key, for whoever wants to verify: {authority.vkey}")
    words("From here on WRIT is that address, SVID a fresh token of the agent "
          "that calls, and SEARCH is")
    call("anybody", "SEARCH=" + shlex.quote(shlex.join(world.search_words())))

    say()
    words("The first administrator brings in people, agents, a directory and "
          "classes of work. While she is alone, her signature is enough.")
    world.login("ada")
    world.writ("ada", "apply", "-f", "manifests", "--dry-run",
               head=8, tail=2)
    world.writ("ada", "apply", "-f", "manifests", "--yes", head=0, tail=1)
    show_changes(world)
    done = world.writ("ada", "apply", "-f", "manifests", "--yes", head=0,
                      tail=1)
    story.promise(b"0 to change" in done.stdout,
                  "Applied once, the same files change nothing.")

    say()
    words("Now there are two administrators, and both must sign for people "
          "and groups. An auditor joins:")
    world.writ("ada", "apply", "-f", "auditor.yaml", "--yes", wanted=WAITING)
    change = next(c for c in world.read("ada", "change", "list")["changes"]
                  if c["state"] == "waiting")
    story.promise(authority.inventory("Human", "grace").status == 404,
                  "One signature was not enough: there is no grace yet.")
    world.login("heidi")
    world.writ("heidi", "change", "sign", change["id"], "--yes")
    show_changes(world)
    story.promise(authority.inventory("Human", "grace").status == 200,
                  "With the second one there is.")


def drill(world):
    story = world.story
    wait_until(world.connector_is_up, "the connector")
    words("Nothing runs without a person until its way back was tried: one "
          "harmless membership is placed, read, removed and read again.")
    before = world.members("writ-drill")
    world.writ("ada", "target", "drill", TARGET, "--yes")
    story.promise(world.members("writ-drill") == before,
                  "The drill passed, and the directory is as it was.")


def found(world):
    begin(world)
    drill(world)


# ---- 2. by itself ----

def auto(world):
    story = world.story
    story.step("Low risk: done at once, and over by itself", """
        hr-bot asks to put nora on the lunch list, for three seconds. Tier 0
        and a way back that was drilled: nobody is asked.""")
    task = world.open_task("hr-bot", intent="the new people of this week")
    before = world.look("lunch-list", "before")
    status, request = world.ask("hr-bot", task, group("lunch-list"),
                                person("nora"), ttl="3s")
    during = world.look("lunch-list", "after")
    story.promise(status == 200 and request["state"] == "done"
                  and request["route"] == "auto"
                  and during == sorted(before + ["nora"]),
                  "Route auto, done, and the directory shows it.")
    wait_until(lambda: world.members("lunch-list") == before,
               "the membership to end")
    world.look("lunch-list", "a few seconds later, nobody did anything")
    grant = wait_until(
        lambda: next((g for g in world.read("ada", "grant", "list")["grants"]
                      if g["request"] == request["id"]
                      and g["state"] == "ended"), None), "the grant to end")
    lines(f"grant {grant['id']} {grant['state']}: {grant['why']}\n"
          f"{leaf_line(grant)}")
    story.promise(grant["why"] == "expired",
                  "It ended by itself, by an order that is in the log, too.")
    return task


# ---- 3. to 5. with people ----

def ask_for_power(world, task):
    story = world.story
    story.step("Power: denied for want of evidence, then people are asked", """
        hr-bot asks to make nora a domain admin: tier 3. That takes a ticket,
        the acknowledgement of the directory's owner and a rollback plan; the
        last one the authority makes itself, for it has planned the undo.""")
    status, request = world.ask("hr-bot", task, group("domain-admins"),
                                person("nora"), ttl="1h")
    story.promise(status == 403 and request["decision"]["cause"] == "evidence"
                  and "ticket" in request["decision"]["remedy"],
                  "Denied, and the remedy says what is missing.")
    say()
    words("People vouch for it, each by a signature; the agent's word is not "
          "taken.")
    for name, kind, reference in (("heidi", "ticket", "CHG-4711"),
                                  ("erin", "owner_ack", "mail of today")):
        vouch(world, name, kind, group("domain-admins"), reference,
              "nora stands in for ada")
    status, request = world.ask("hr-bot", task, group("domain-admins"),
                                person("nora"), ttl="1h")
    story.promise(status == 202 and request["state"] == "waiting"
                  and request["waitingFor"] == {"iam-approvers": 2,
                                                "security": 1},
                  "Now it waits for two of iam-approvers and one of security.")
    story.promise(request["ttl"] == "15m",
                  "The hour that was asked for was lowered to the fifteen "
                  "minutes of tier 3 before anybody signs.")
    story.promise(world.look("domain-admins", "while it waits") == ["ada"],
                  "Nothing has happened in the directory.")
    return request


def refuse_the_barred(world, request):
    story = world.story
    story.step("A barred approver", """
        alice is a member of iam-approvers, which is asked. She also owns
        hr-bot, so she may not sign for it.""")
    world.login("alice")
    groups = world.authority.inventory("Human", "alice").ok()["spec"]["groups"]
    lines("alice's groups: " + ", ".join(groups))
    done = world.writ("alice", "approval", "approve", request["id"], "--group",
                      "iam-approvers", "--reason", "I know nora", "--yes",
                      wanted=3)
    story.promise("iam-approvers" in groups
                  and b"may-not-approve" in done.stderr,
                  "Refused, although she is asked as a member of the group.")
    still_waits(world, request)


def other_byte(digest):
    """digest with its last character changed."""
    return digest[:-1] + ("0" if digest[-1] != "0" else "1")


def still_waits(world, request):
    shown = world.authority.agent("hr-bot").show(request["id"])
    lines(f"{shown['id']} is {shown['state']}, signed by nobody\n"
          f"{leaf_line(shown)}")
    world.look("domain-admins", "after")
    world.story.promise(
        shown["state"] == "waiting" and not shown["approvals"]
        and world.members("domain-admins") == ["ada"],
        "The request still waits, nobody has signed it, and nothing has "
        "happened.")


def refuse_one_byte(world, request):
    story, bob = world.story, world.authority.human("bob")
    story.step("One byte changed under a signature", """
        bob's signature is good. It is over a digest in which one character is
        another one; then it is over the right one, but one character of what
        he signed is changed on the way.""")
    request_path = f"/v1/requests/{request['id']}/approvals"
    digest = request["digest"]
    call("bob", f"curl -X POST $WRIT{request_path} -d @signed-over-another"
         "-digest.json")
    answer = bob.approve(request["id"], "iam-approvers",
                         digest=other_byte(digest))
    lines(f"waiting: {digest}\nsigned:  {other_byte(digest)}\n"
          f"HTTP {answer.status} {answer.code}: {answer.body['detail']}")
    story.promise(answer.status == 409 and answer.code == "another-plan",
                  "Refused: his signature is over another plan.")

    form = bob.sign("approval", request=request["id"], digest=digest,
                    group="iam-approvers", decision="approve", reason="ok")
    form["statement"] = form["statement"].replace(digest, other_byte(digest))
    call("bob", f"curl -X POST $WRIT{request_path} -d @changed-on-the-way.json")
    answer = world.authority.call("POST", request_path, form)
    lines(f"HTTP {answer.status} {answer.code}: {answer.body['detail']}")
    story.promise(answer.status == 401, "Refused: the signature does not hold.")
    still_waits(world, request)


def sign_and_run(world, request):
    story = world.story
    story.step("Signed by the people it needs, it runs", """
        Each of them sees the plan, and `writ` computes its digest from what is
        on the screen before it signs.""")
    before = world.look("domain-admins", "before")
    world.login("bob", "dave", "carol")
    signers = (("bob", "iam-approvers"), ("dave", "iam-approvers"),
               ("carol", "security"))
    for at, (name, asked) in enumerate(signers):
        world.writ(name, "approval", "approve", request["id"], "--group",
                   asked, "--reason", "CHG-4711", "--yes", review=at == 0,
                   tell=tell_signed,
                   wanted=WAITING if at + 1 < len(signers) else 0)
    shown = world.authority.agent("hr-bot").wait(request["id"], "done")
    world.show_request(shown)
    lines("\n".join(f"signed by {a['human']} for {a['group']}: leaf "
                    f"{a['leaf']}" for a in shown["approvals"]))
    after = world.look("domain-admins", "after")
    story.promise(len(shown["approvals"]) == 3
                  and shown["digest"] == request["digest"]
                  and after == sorted(before + ["nora"]),
                  "Three people signed one digest, and exactly that was done.")
    armed = world.leaf(shown["evidence"]["armed"]["index"])[0]
    story.promise(armed["digest"] == request["digest"],
                  "The armed leaf in the log holds the same digest.")
    return shown


def simulate_compromise(world, request):
    story, authority = world.story, world.authority
    story.step("One byte changed after approval (a simulation)", """
        What if writd itself is taken over after people have signed? A separate
        program has writd's database and log and plays writd towards the real
        connector, with the order that was just approved and one byte of it
        changed. The keeper signs for it whatever it adds to the log; so it also
        uses the approval twice, and gives power by an end, which nobody has to
        sign.""")
    before = {name: world.members(name) for name in GROUPS}
    command = [HERE / "compromised_writd.py", "--database",
               authority.data / "state.db", "--request", request["id"],
               "--connector", harness.program("writ-connect-ldap"),
               "--config", authority.folder / "connector.yaml",
               "--keeper", harness.program("writ-keeper"), "--keeper-folder",
               authority.keeper_folder, "--member", person("petra"),
               "--folder", world.folder / "compromised"]
    call("mallory", "compromised_writd.py " + shlex.join(
        map(str, command[1:5])) + " ...")
    done = subprocess.run(["/usr/bin/python3", *map(str, command)],
                          capture_output=True, check=False)
    for row in done.stdout.decode().splitlines():
        lines(row)
    story.promise(done.returncode == 0,
                  "The connector refused every one, and took the order only "
                  "as it was approved, and once: it had been done already, so "
                  "nothing changed.", done.stderr.decode()[-500:])
    lines(leaf_line(request))
    world.look("domain-admins", "after")
    story.promise({name: world.members(name) for name in GROUPS} == before,
                  "The directory is as it was.")


# ---- 6. to 8. ----

def deny(world, task):
    story = world.story
    story.step("No, with reasons, and what would help", """
        The adviser has looked at memberships and wants to put petra into
        contractors itself; it may only advise. And hr-bot wants power for
        alice, who owns it.""")
    advice = world.open_task("adviser", intent="look at who is missing where")
    status, request = world.ask("adviser", advice, group("contractors"),
                                person("petra"))
    decision = request["decision"]
    story.promise(status == 403 and decision["policies"][0]["id"]
                  == "g11-no-execute-capability"
                  and "recommend" in decision.get("remedy", ""),
                  "Denied by a rule with a name; the remedy: ask in mode "
                  "recommend.")
    status, request = world.ask("hr-bot", task, group("domain-admins"),
                                person("alice"))
    rules = [p["id"] for p in request["decision"]["policies"]]
    story.promise(status == 403 and "g36-no-self-dealing" in rules
                  and not request["decision"].get("remedy"),
                  "Denied, and nothing that people could sign would help.")
    story.promise("petra" not in world.look("contractors", "after")
                  and "alice" not in world.members("domain-admins"),
                  "Nothing has changed.")
    return advice


def adopt(world, advice, task):
    story = world.story
    story.step("A recommendation, adopted by a human", """
        The adviser follows the remedy. Its plan changes nothing. erin, who
        owns the directory, acknowledges; alice, who owns hr-bot, makes the
        plan a request of hr-bot's, decided like any other.""")
    status, plan = world.ask("adviser", advice, group("contractors"),
                             person("petra"), mode="recommend")
    story.promise(status == 200 and plan["state"] == "recommended"
                  and world.members("contractors") == ["frank"],
                  "A plan, and no effect.")
    vouch(world, "erin", "owner_ack", group("contractors"), "mail of today",
          "petra starts on Monday")
    before = world.look("contractors", "before")
    world.login("alice")
    world.writ("alice", "request", "adopt", plan["id"], "--task", task, "--yes",
               tell=tell_signed)
    advised = world.authority.agent("adviser").show(plan["id"])
    done = world.authority.agent("hr-bot").wait(advised["adoptedAs"], "done")
    world.show_request(done)
    after = world.look("contractors", "after")
    story.promise(advised["state"] == "adopted" and done["agent"] == "hr-bot"
                  and done["sponsor"] == "alice"
                  and done["adviceOf"] == plan["id"]
                  and after == sorted(before + ["petra"]),
                  "Done as a request of hr-bot's own, with alice as sponsor.")
    return done


def roll_back(world, request):
    story = world.story
    story.step("A rollback", """
        hr-bot undoes that. It is a request of the inverse action, planned
        afresh and decided again; the token is a name and carries no
        authority.""")
    before = world.look("contractors", "before")
    answer = world.http("hr-bot", "POST",
                        f"/v1/requests/{request['id']}/rollback?wait=20", {})
    status, undo = world.told(answer)
    after = world.look("contractors", "after")
    undone = world.authority.agent("hr-bot").show(request["id"])
    story.promise(status == 200 and undo["state"] == "done"
                  and undo["action"] == "RemoveFromGroup"
                  and undo["rollbackOf"] == request["id"]
                  and undone["state"] == "rolled_back"
                  and after == sorted(set(before) - {"petra"}),
                  "Undone, and the first request says rolled_back.")


# ---- 9. killed ----

class Asking(threading.Thread):
    """An agent whose call is cut off."""

    def __init__(self, world, *arguments, key, **more):
        super().__init__(daemon=True)
        self.answer = None
        self.error = None
        self._world = world
        self._ask = (arguments, {"key": key, **more})
        self.start()

    def run(self):
        agent = self._world.authority.agent("hr-bot")
        try:
            self.answer = agent.ask(*self._ask[0], **self._ask[1])
        except (OSError, http.client.HTTPException) as error:
            self.error = error


def kill_while_held(world, hold, task, member, where):
    """hr-bot asks, the change is held, writd is killed and started again.
    Returns the key of the call and the request's id."""
    key = world.next_key()
    body = world.authority.agent("hr-bot").request_body(
        task, "AddToGroup", group("lunch-list"), member, ttl="10m")
    world.show_http("hr-bot", "POST", "/v1/requests?wait=20", body, key)
    asking = Asking(world, task, "AddToGroup", group("lunch-list"), member,
                    key=key, ttl="10m")
    hold.wait()
    words(f"The change is held {where}.")
    last = world.size() - 1
    lines(f"leaf {last}: {world.leaf(last)[0]['kind']}")
    world.story.promise(world.leaf(last)[0]["kind"] == "armed",
                        "The last leaf of the log is the armed one.")
    held = world.look("lunch-list", "at this moment")
    call("chaos", f"kill -9 {world.authority.process.pid}    # writd")
    world.crash()
    hold.cut()
    asking.join(harness.PATIENCE)
    world.story.promise(asking.answer is None and asking.error is not None,
                        "hr-bot's call broke off: nothing was acknowledged.")
    call("writ", f"writd --config {world.authority.config_path} &")
    world.start_again()
    found_again = [r for r in world.read("ada", "request", "list")["requests"]
                   if r["parameters"]["member"] == member
                   and r["resource"] == group("lunch-list")
                   and "armed" in r.get("evidence", {})]
    world.story.promise(len(found_again) == 1,
                        "Started again, writd knows the request and that it "
                        "was armed.")
    world.show_request(found_again[0], "at once after the start: ")
    return key, found_again[0]["id"], held


def visible_unknown(world, request):
    """Whether the log says that nobody could tell, after the armed leaf."""
    armed = request["evidence"]["armed"]["index"]
    for index in range(armed + 1, request["evidence"]["outcome"]["index"]):
        leaf = world.leaf(index)[0]
        if leaf.get("about") == request["id"] and leaf.get("effect") == \
                "unknown":
            lines(f"leaf {index}: {leaf['kind']}, effect unknown")
            return True
    return False


def settle(world, key, request_id, task, member, state):
    """Waits for the end that reading back finds; asks again with the key."""
    story = world.story
    shown = world.authority.agent("hr-bot").wait(request_id, state)
    world.show_request(shown, "after reading the directory: ")
    story.promise(visible_unknown(world, shown),
                  "In between it was unknown, for all to see; it was read, "
                  "and nothing was done a second time.")
    status, again = world.ask("hr-bot", task, group("lunch-list"), member,
                              key=key, ttl="10m")
    story.promise(status == 200 and again["id"] == request_id
                  and again["state"] == state,
                  "The same call with the same Idempotency-Key is the same "
                  "request, not a second one.")
    return shown


def kill_before(world, proxy, task):
    story, member = world.story, person("omar")
    story.step("Killed between arming and applying", """
        hr-bot asks for omar. A proxy between connector and directory holds the
        change on its way; writd is killed with -9, and the change is lost.""")
    before = world.members("lunch-list")
    hold = Hold(proxy).request()
    key, request_id, held = kill_while_held(
        world, hold, task, member, "before the directory")
    story.promise(held == before, "The directory had not changed.")
    shown = settle(world, key, request_id, task, member, "failed")
    story.promise(shown["outcome"]["effect"] == "none"
                  and world.look("lunch-list", "after") == before,
                  "Found by reading back: it was not applied. Nothing is "
                  "hidden, nothing was guessed.")
    status, request = world.ask("hr-bot", task, group("lunch-list"), member,
                                ttl="10m")
    story.promise(status == 200 and request["state"] == "done"
                  and "omar" in world.look("lunch-list", "after"),
                  "Asked for anew, it is done.")


def kill_after(world, proxy, task):
    story, member = world.story, person("petra")
    story.step("Killed between applying and recording", """
        hr-bot asks for petra. This time the directory makes the change, and
        its answer is held; writd is killed before it can record anything.""")
    before = world.members("lunch-list")
    hold = Hold(proxy).answer()
    key, request_id, held = kill_while_held(
        world, hold, task, member, "after the directory made it")
    story.promise(held == sorted(before + ["petra"]),
                  "The directory had changed, and nothing said so.")
    shown = settle(world, key, request_id, task, member, "done")
    story.promise(shown["outcome"]["effect"] == "applied"
                  and shown["outcome"]["detail"] == "found by reading back"
                  and shown["grant"]["id"]
                  and "petra" in world.look("lunch-list", "after"),
                  "Found by reading back: it was applied, and it has its grant "
                  "and its end. No effect is lost.")


# ---- 10. containment ----

def contained_now(world, containment):
    """The containment once each of its points has ended."""
    shown = world.read("ada", "containment", "show", containment)
    over = all(p["state"] in ("ended", "cancelled") and "evidence" in p
               for p in shown["points"])
    return shown if over else None


def proof_of(world, point):
    """The index of the leaf that proves a point, its proof checked by the
    second implementation of the log that the tests have."""
    index = point["evidence"]["index"]
    world.signed_up_to(index)
    proof = world.authority.human("ada").get(f"/v1/evidence/{index}/proof")
    leaf, raw = world.leaf(index)
    at, checkpoint = tlog.check_proof(proof.raw, raw,
                                      tlog.VKey(world.authority.vkey))
    assert at == index, at
    return leaf, checkpoint


def contain(world, task, initial):
    story = world.story
    story.step("Containment", """
        Something is odd about hr-bot. One administrator stops it: what waits
        is cancelled, what it holds ends and is read back, nothing new
        starts.""")
    status, waiting = world.ask("hr-bot", task, group("domain-admins"),
                                person("omar"))
    story.promise(status == 202, "One more request waits for signatures.")
    for name in ("lunch-list", "domain-admins"):
        world.look(name, "before")
    world.login("ada")
    world.writ("ada", "agent", "contain", "hr-bot", "--reason",
               "odd hours, odd groups", "--yes")
    containment = next(
        c for c in world.read("ada", "containment", "list")["containments"]
        if c["name"] == "hr-bot" and c["state"] != "released")["id"]
    ended = wait_until(lambda: contained_now(world, containment),
                       "every point to end")
    world.writ("ada", "containment", "show", containment)
    for name in ("lunch-list", "domain-admins"):
        world.look(name, "after")
    story.promise({name: world.members(name) for name in GROUPS} == initial,
                  "Every group is as it was before hr-bot did anything; what "
                  "stood before Writ came still stands.")
    check_points(world, ended, waiting)
    answer = world.http("hr-bot", "POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "go on", "targets": [TARGET],
        "ttl": "1h"})
    lines(f"HTTP {answer.status} {answer.code}: {answer.body['detail']}")
    story.promise(answer.status in (401, 403, 409),
                  "hr-bot can begin nothing new.")
    release(world, containment)


def check_points(world, containment, waiting):
    story = world.story
    kinds = [p["kind"] for p in containment["points"]]
    story.promise(kinds.count("grant") == 3 and "task" in kinds
                  and any(p["id"] == waiting["id"]
                          for p in containment["points"]),
                  "It lists the open task, the waiting request and the three "
                  "grants.", str(containment["points"]))
    for point in containment["points"]:
        leaf, checkpoint = proof_of(world, point)
        lines(f"{point['kind']} {point['id']} {point['state']}: leaf "
              f"{point['evidence']['index']} ({leaf['kind']}) is in the log of "
              f"{checkpoint.size}")
    cancelled = world.read("ada", "request", "show", waiting["id"])
    story.promise(cancelled["state"] == "cancelled",
                  "Each point has its leaf, each leaf its proof, and each "
                  "proof holds.")


def tell_released(table):
    return only(table, "State", "Release signed", "Leaf", "Released")


def release(world, containment):
    say()
    words("Letting it go again takes two.")
    world.writ("ada", "containment", "release", containment, "--reason",
               "a test of ours", "--yes", wanted=WAITING,
               tell=tell_released)
    world.login("heidi")
    world.writ("heidi", "containment", "release", containment, "--reason",
               "a test of ours", "--yes", tell=tell_released)
    agent = world.authority.agent("hr-bot")
    world.story.promise(agent.get("/v1/tasks").status == 200,
                        "After the second signature hr-bot may act again.")


# ---- 11. the log ----

def flip_bit(path):
    """Flips one bit in the middle of the leaf in the middle of a file of
    leaves; that leaf's place in the file."""
    data = bytearray(path.read_bytes())
    entries = tlog.entries_of(bytes(data))
    place = len(entries) // 2
    at = sum(2 + len(e) for e in entries[:place]) + 2 + len(entries[place]) // 2
    before = data[at]
    data[at] ^= 1
    path.write_bytes(bytes(data))
    lines(f"leaf {place}, byte {at} of {len(data)}: {before:08b} is now "
          f"{data[at]:08b}")
    return place


def entries_file(folder, size):
    """The file that holds the last leaves of an export."""
    number, width = list(tlog.tiles(0, size))[-1]
    return folder / tlog.tile_path("entries", number, width)


def export(world, folder, show=True):
    world.writ("grace", "evidence", "export", folder, "--vkey-file", "log.vkey",
               show=show)


def verify(world, place, *more, wanted=0):
    """What the auditor finds, shown and as the report says it."""
    arguments = ("evidence", "verify", place, "--vkey-file", "log.vkey", *more)
    world.writ("grace", *arguments, wanted=wanted)
    return json.loads(world.writ("grace", *arguments, "--output", "json",
                                 wanted=wanted, show=False).stdout)


def verify_log(world, early):
    story = world.story
    story.step("The log, verified by somebody who trusts nobody here", """
        grace audits. All she has is the log's public key, which she wrote down
        at the beginning, and her own memory of what she saw last.""")
    vkey = tlog.VKey(world.authority.vkey)
    size = world.size()
    world.signed_up_to(size - 1)
    report = verify(world, world.authority.url)
    story.promise(report["verdict"] == "ok" and report["size"] >= size
                  and not report["open"],
                  "The whole log verifies, and every armed leaf has its end.",
                  str(report["open"]))
    export(world, "log")
    report = verify(world, "log")
    log = tlog.Log(world.folder / "log", vkey)
    story.promise(report["verdict"] == "ok" and len(log.entries) >= size,
                  "So does the exported copy, offline; and a second "
                  "implementation, the one of the tests, agrees.")

    say()
    words("One bit is flipped in a copy of that copy.")
    shutil.copytree(world.folder / "log", world.folder / "log-flipped")
    place = flip_bit(entries_file(world.folder / "log-flipped",
                                  log.checkpoint.size))
    report = verify(world, "log-flipped", wanted=FINDING)
    story.promise(place in [f.get("index") for f in report["findings"]],
                  "Found, and where.", str(report["findings"]))

    say()
    words("Its end is cut off: somebody shows the log as it was before the two "
          "kills, with the checkpoint that was signed then. All that is in it "
          "is genuine.")
    report = verify(world, "log-before", "--state", "no-memory.json")
    story.promise(report["verdict"] == "ok" and report["size"] == early,
                  f"Somebody without a memory sees {early} good leaves.")
    report = verify(world, "log-before", wanted=FINDING)
    story.promise(report["previous"]["size"] > report["size"] == early,
                  "grace remembers the longer one: found.",
                  str(report["findings"]))


# ---- the whole ----

def tell(world, proxy, database, host):
    initial = {name: world.members(name) for name in GROUPS}
    found(world)
    task = auto(world)
    request = ask_for_power(world, task)
    refuse_the_barred(world, request)
    refuse_one_byte(world, request)
    request = sign_and_run(world, request)
    simulate_compromise(world, request)
    advice = deny(world, task)
    roll_back(world, adopt(world, advice, task))
    early = look_early(world)
    kill_before(world, proxy, task)
    kill_after(world, proxy, task)
    contain(world, task, initial)
    lend.tell(world, database, host)
    verify_log(world, early)


def look_early(world):
    """Takes a copy of the log that serves as one whose end was cut off; its
    size."""
    world.signed_up_to(world.size() - 1)
    export(world, "log-before", show=False)
    vkey = tlog.VKey(world.authority.vkey)
    return tlog.Log(world.folder / "log-before", vkey).checkpoint.size


def summarise(story, world):
    say()
    say(styled("heading", "What you have seen"))
    for number, title in enumerate(story.steps, 1):
        say(f"  {number:2}. {title}")
    say()
    words(f"{story.kept} promises, all kept; {world.size()} leaves in the log; "
          f"{time.monotonic() - story.began:.0f} seconds.")


def play(folder):
    """The demonstration in a folder; its exit status."""
    story = Story()
    say(styled("heading", "Writ, from end to end"))
    words(f"Everything happens in {folder}. Lines with a $ are what is typed, "
          "lines with => are promises, checked.")
    with harness.demo_directory() as directory, \
            Proxy(directory.port) as proxy, \
            lend.servers(folder) as (database, host):
        story.step("An authority, its people and a directory", """
            `writ init` makes the keys and the data folder. The policies are
            those of policy/ without the rule about business hours, so that
            this shows the same at night. The people sign with keys in files,
            which their task class allows and says so.""")
        authority = DemoAuthority(
            folder=folder / "authority", directory=directory,
            connector_changes={"url": proxy.url},
            config_changes={"listen": f"127.0.0.1:{slapd.free_port()}"})
        lend.configure(authority, database)
        world = World(story, folder, authority, directory)
        try:
            tell(world, proxy, database, host)
            summarise(story, world)
        except Exception as error:  # pylint: disable=broad-except
            if not isinstance(error, (Broken, AssertionError)):
                traceback.print_exc()
            say()
            say(styled("broken", f"NOT AS PROMISED, in step "
                                 f"{len(story.steps)}: {error}"))
            lines(authority.log()[-3000:], "faint")
            return 1
        finally:
            authority.close()
    return 0


def main():
    parser = argparse.ArgumentParser(
        description="The main job of Writ, told step by step.")
    parser.add_argument("--keep", action="store_true",
                        help="leave the folder with the log, keys and "
                        "configuration there")
    options = parser.parse_args()

    if not slapd.AVAILABLE:
        sys.exit("demo: slapd and ldap-utils are not there; "
                 "run tools/setup.sh")
    if not lend.available():
        sys.exit("demo: PostgreSQL and sshd are not there; "
                 "run tools/setup.sh")
    if not harness.built():
        sys.exit(f"demo: there is no build in {harness.BUILD}; run make, or "
                 "set WRIT_BUILD")
    # Ended from outside, it still takes everything down.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="writ-demo-"))
    status = 1
    try:
        status = play(folder)
    except KeyboardInterrupt:
        say("\n  Interrupted; taking everything down.")
    finally:
        if options.keep:
            say(f"  Kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
    sys.exit(status)


if __name__ == "__main__":
    main()
