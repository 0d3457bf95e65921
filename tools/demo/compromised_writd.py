#!/usr/bin/python3
"""A SIMULATION of a writd that somebody else has taken over.

    compromised_writd.py --database state.db --request req_... \\
        --connector writ-connect-ldap --config connector.yaml \\
        --keeper writ-keeper --keeper-folder DIR --member DN --folder DIR

It has what writd has: the database with the approved plan, the signatures and
the log, a connector and a keeper to talk to.  It does not have the approvers'
keys, nor the keeper's, but the keeper signs for it whatever is added to the log.
It takes one order that people approved, changes one byte of the plan, and sends
it to the real connector: each byte in turn, then some that would be worth a
crime, then with a forged log around it.  Then it uses the approval twice, and
tries to give power by an `end`, which nobody has to sign.  Keeper and connector
get copies of what they keep, so that the real log is not forked and what the
connector has seen is not in the way.

Ends with 0 if the connector refused all of it and took the order as it was
approved, with 1 otherwise.
"""
import argparse
import base64
import json
import pathlib
import shutil
import sqlite3
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import tlog
from connector_process import Connector, Refused
from harness import digest


def b64(raw):
    return base64.b64encode(raw).decode()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"),
                      ensure_ascii=False)


class Keeper:
    """The real keeper, over its pipes."""

    def __init__(self, program, folder):
        self.process = subprocess.Popen([program, "--folder", folder],
                                        stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE,
                                        stderr=subprocess.DEVNULL)

    def ask(self, method, **params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                           "params": params}).encode()
        self.process.stdin.write(struct.pack(">I", len(body)) + body)
        self.process.stdin.flush()
        size = struct.unpack(">I", self.process.stdout.read(4))[0]
        return json.loads(self.process.stdout.read(size))["result"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(timeout=30)


class Writd:
    """What writd has, from its own database."""

    def __init__(self, path, keeper):
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        self.keeper = keeper
        self.signed = keeper.ask("hello")["last"]["size"]
        self.leaves = [bytes(row[0]) for row in database.execute(
            "SELECT body FROM leaf ORDER BY idx")]
        self.docs = {name: json.loads(doc) for name, doc in database.execute(
            "SELECT id, doc FROM request")}
        database.close()

    def checkpoint(self):
        """Of all that is in the log, signed by the keeper."""
        hashes = [tlog.leaf_hash(leaf) for leaf in self.leaves]
        old, self.signed = self.signed, len(hashes)
        proof = tlog.consistency(old, hashes) if 0 < old < len(hashes) else []
        return self.keeper.ask(
            "checkpoint", size=len(hashes), root=b64(tlog.root_of(hashes)),
            proof=[b64(node) for node in proof])["note"]

    def proved(self, index):
        hashes = [tlog.leaf_hash(leaf) for leaf in self.leaves]
        return {"leaf": self.leaves[index].decode(), "index": index,
                "proof": [b64(n) for n in tlog.inclusion(index, hashes)]}

    def order_of(self, request):
        """The order as writd sent it."""
        doc = self.docs[request]
        return {"plan": doc["planText"], **self.proved(doc["armedLeaf"]),
                "checkpoint": self.checkpoint(), "base": None, "signatures": [
                    {name: one[name] for name in ("statement", "signature",
                                                  "human")}
                    for one in doc["signatures"]]}

    def put(self, plan):
        """Arms a plan in the log; returns the leaf's index."""
        self.leaves.append(canonical({
            "v": 1, "kind": "armed", "about": "forged", "digest": digest(plan),
            "commit": []}).encode())
        return len(self.leaves) - 1

    def arm(self, plan, signatures=(), base=None):
        """A new order for a plan, in a log that the keeper signs."""
        undone = base and self.put(base)
        index = self.put(plan)
        return {"plan": plan, **self.proved(index),
                "checkpoint": self.checkpoint(), "signatures": list(signatures),
                "base": base and {"plan": base, **self.proved(undone)}}


def send(connector, order):
    """(True if the order was accepted, what the connector said)."""
    try:
        answer = connector.call("apply", order=order)
    except Refused as refusal:
        return False, str(refusal)
    said = ": ".join(str(answer[name]) for name in ("result", "reason",
                                                    "detail") if name in answer)
    refused = (answer["result"] == "refused"
               and answer.get("reason") == "order")
    return not refused, said


def with_byte(text, at):
    """text with the byte at a place changed to another visible one."""
    other = chr(ord(text[at]) ^ 1)
    return text[:at] + (other if " " <= other <= "~" else "#") + text[at + 1:]


def once_replaced(text, old, new):
    assert text.count(old) >= 1 and len(old) == len(new), old
    return text.replace(old, new, 1)


def forged_log(order, plan):
    """The order with the plan, and a leaf and a log made to fit it."""
    leaf = order["leaf"].replace(digest(order["plan"]), digest(plan))
    origin, _, _, *rest = order["checkpoint"].split("\n")
    root = base64.b64encode(tlog.leaf_hash(leaf.encode())).decode()
    return {**order, "plan": plan, "leaf": leaf, "index": 0, "proof": [],
            "checkpoint": "\n".join([origin, "1", root, *rest])}


class Attack:
    """Counts what the connector took, or refused for a reason that would not
    stop the next one."""

    def __init__(self, connector):
        self.connector = connector
        self.wrong = 0

    def send(self, order, because):
        accepted, said = send(self.connector, order)
        self.wrong += accepted or because not in said
        return said

    def attempt(self, what, order, because):
        print(f"{what}: {self.send(order, because)}")

    def every_byte(self, order, because):
        plan = order["plan"]
        answers = {self.send({**order, "plan": with_byte(plan, at)}, because)
                   for at in range(len(plan))}
        print(f"each of the {len(plan)} bytes of the plan changed, one at a "
              f"time, {len(plan)} orders: {'; '.join(sorted(answers))}")


def change(it, order):
    """One order, with something else in it than people signed."""
    plan = order["plan"]
    tier = json.loads(plan)["tier"]
    lower = once_replaced(plan, f'"tier":{tier}', '"tier":0')
    it.every_byte(order, "the leaf arms another plan")
    it.attempt(f"tier {tier} made tier 0, as if nobody had to sign",
               {**order, "plan": lower}, "the leaf arms another plan")
    it.attempt("and its leaf changed to fit", {
        **order, "plan": lower,
        "leaf": order["leaf"].replace(digest(plan), digest(lower))},
        "the leaf is not in the log")
    it.attempt("and a log of its own around that leaf",
               forged_log(order, lower), "checkpoint")
    it.attempt("the signatures left out, the plan as it was",
               {**order, "signatures": []}, "approvers have signed")


def give_by_an_end(it, writd, order, member):
    """Power for somebody else, as the end of a removal that is made up."""
    plan = json.loads(order["plan"])
    who = {"parameters": {"member": member}}
    undo = {"action": "AddToGroup", "resource": plan["resource"], **who}
    taken = canonical({**plan, **who, "request": "req_forged",
                       "action": "RemoveFromGroup", "undo": undo})
    given = canonical({**plan, **who, "request": "grt_forged",
                       "purpose": "end"})
    it.attempt("an end that gives, of a removal that the log holds",
               writd.arm(given, base=taken), "an end only takes away")
    lying = canonical({**plan, "undo": undo})
    it.attempt("an end that gives, of an addition that says so",
               writd.arm(given, base=lying), "an end only takes away")


def attack(connector, writd, request, member):
    """True if the connector held."""
    it = Attack(connector)
    order = writd.order_of(request)
    change(it, order)
    give_by_an_end(it, writd, order, member)
    accepted, said = send(connector, order)
    print(f"for comparison, the order as it was approved: {said}")
    it.attempt("the same once more", order, "its leaf has served already")
    it.attempt("the same plan and signatures, armed once more",
               writd.arm(order["plan"], order["signatures"]),
               "its request has served already")
    return accepted and it.wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("database", "request", "connector", "config", "keeper",
                 "keeper-folder", "member", "folder"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()

    config = json.loads(pathlib.Path(options.config).read_text())
    folder = pathlib.Path(options.folder)
    config["authority"]["state"] = str(folder / "seen")
    shutil.copytree(options.keeper_folder, folder / "keeper")
    keeper = Keeper(options.keeper, folder / "keeper")
    connector = Connector(options.connector, config, folder)
    try:
        held = attack(connector, Writd(options.database, keeper),
                      options.request, options.member)
    finally:
        connector.close()
        keeper.close()
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
