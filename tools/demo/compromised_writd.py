#!/usr/bin/python3
"""A SIMULATION of a writd that somebody else has taken over.

    compromised_writd.py --database state.db --request req_... \\
        --connector writ-connect-ldap --config connector.yaml --folder DIR

It has what writd has: the database with the approved plan, the signatures and
the log, and a connector to talk to.  It does not have the keeper's key, nor the
approvers' keys.  It takes one order that people approved, changes one byte of
the plan, and sends it to the real connector: each byte in turn, then some that
would be worth a crime, then with a forged log around it.  The connector gets a
file of its own for what it has seen, so that not even this is in the way.

Ends with 0 if the connector refused all of it and took the order as it was
approved, with 1 otherwise.
"""
import argparse
import base64
import json
import pathlib
import sqlite3
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests" / "integration")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import tlog
from connector_process import Connector, Refused
from harness import digest


def order_of(path, request):
    """The order as writd sent it, from writd's own database."""
    database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
    doc = json.loads(database.execute(
        "SELECT doc FROM request WHERE id = ?", (request,)).fetchone()[0])
    size, note = database.execute(
        "SELECT size, note FROM checkpoint ORDER BY size DESC").fetchone()
    bodies = [bytes(row[0]) for row in database.execute(
        "SELECT body FROM leaf WHERE idx < ? ORDER BY idx", (size,))]
    database.close()
    index = doc["armedLeaf"]
    proof = tlog.inclusion(index, [tlog.leaf_hash(body) for body in bodies])
    return {"plan": doc["planText"], "leaf": bodies[index].decode(),
            "index": index, "base": None, "signatures": [
                {name: one[name] for name in ("statement", "signature",
                                              "human")}
                for one in doc["signatures"]],
            "proof": [base64.b64encode(node).decode() for node in proof],
            "checkpoint": bytes(note).decode()}


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


def attack(connector, order):
    """True if the connector held."""
    it = Attack(connector)
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
    accepted, said = send(connector, order)
    print(f"for comparison, the order as it was approved: {said}")
    it.attempt("the same once more", order, "order")
    return accepted and it.wrong == 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("database", "request", "connector", "config", "folder"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()

    config = json.loads(pathlib.Path(options.config).read_text())
    folder = pathlib.Path(options.folder)
    config["authority"]["state"] = str(folder / "seen")
    connector = Connector(options.connector, config, folder)
    try:
        held = attack(connector, order_of(options.database, options.request))
    finally:
        connector.close()
    sys.exit(0 if held else 1)


if __name__ == "__main__":
    main()
