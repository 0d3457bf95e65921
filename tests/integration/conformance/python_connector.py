#!/usr/bin/python3
"""A connector in Python: its directory is a JSON file of groups and members.
It shows that the protocol needs no C; docs/connector-protocol.md explains it."""
import base64
import json
import os
import struct
import sys

import authority as crypto

ACTIONS = {"AddToGroup": (True, "RemoveFromGroup", "add_member"),
           "RemoveFromGroup": (False, "AddToGroup", "remove_member")}


class Fault(Exception):
    def __init__(self, reason, message, code=-32000):
        super().__init__(message)
        self.code, self.reason = code, reason


class Refusal(Exception):
    def __init__(self, reason, detail):
        super().__init__(detail)
        self.reason = reason


class Connector:
    def __init__(self, config):
        self.config = config
        self.seen_path = config["authority"]["state"]
        self.build = "sha256:" + crypto.hashlib.sha256(
            open(__file__, "rb").read()).hexdigest()
        self.methods = {"describe": ((), self.describe), "check": ((), self.check),
                        "plan": (("action", "resource", "parameters"), self.plan),
                        "read": (("action", "resource", "parameters"), self.read),
                        "apply": (("order",), self.apply)}

    # The directory and the orders that have served.
    def load(self, path):
        return json.load(open(path)) if os.path.exists(path) else {}

    def save(self, path, value):
        with open(path + ".new", "w") as file:
            json.dump(value, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(path + ".new", path)

    def holds(self, resource, member):
        return member in self.load(self.config["directory"]).get(resource, [])

    def change(self, resource, member, present):
        groups = self.load(self.config["directory"])
        members = set(groups.get(resource, [])) - {member}
        groups[resource] = sorted(members | ({member} if present else set()))
        self.save(self.config["directory"], groups)

    # What an order is held against.
    def need(self, condition, why):
        if not condition:
            raise Refusal("order", why)

    def parse(self, text):
        plan = json.loads(text)
        self.need(crypto.canonical(plan) == text, "not in canonical form")
        return plan

    def verify(self, order):
        config, text = self.config, order["plan"]
        head = crypto.open_checkpoint(order["checkpoint"], config["authority"]["vkey"])
        self.need(head, "the checkpoint is not the authority's")
        proof = [base64.b64decode(node, validate=True) for node in order["proof"]]
        self.need(crypto.included(order["index"], head[0], crypto.leaf_hash(
            order["leaf"].encode()), proof, head[1]), "the leaf is not in the log")
        leaf, digest = json.loads(order["leaf"]), crypto.digest(text)
        self.need(leaf["kind"] == "armed", "the leaf arms nothing")
        self.need(leaf["digest"] == digest, "the leaf arms another plan")
        plan = self.parse(text)
        self.need(plan["target"] == config["target"], "another target")
        self.need(plan["connectorBuild"] == self.build, "another build")
        self.need(plan["action"] in ACTIONS and plan["mode"] == "execute", "action or mode")
        base = order["base"]
        self.need((base is not None) == (plan["purpose"] == "end"), "base is for ends")
        what = {name: plan[name] for name in ("action", "resource", "parameters")}
        if plan["purpose"] == "end":
            undone = self.parse(base["plan"])
            self.need(undone["undo"] == what and undone["purpose"] == "request" and
                      undone["target"] == config["target"], "not the undo of its plan")
            self.approved(undone, plan, base["signatures"], crypto.digest(base["plan"]))
        elif plan["purpose"] == "drill":
            del what["action"]
            self.need(config.get("drill") == what, "not this connector's drill")
        else:
            self.need(plan["purpose"] == "request", "purpose")
            self.approved(plan, plan, order["signatures"], digest)
        self.once(order["index"], plan.get("execution", plan["request"]))
        return plan

    def approved(self, plan, order, signatures, digest):
        rules = self.config.get("approvers")
        if not rules or (plan["tier"] < rules["fromTier"] and
                         order["resource"] not in rules.get("always", [])):
            return
        keys = [line.split(" ", 1) for line in open(rules["file"]).read().splitlines()]
        humans = set()
        for row in signatures:
            says = json.loads(row["statement"])
            if (says["type"], says["decision"], says["digest"], says["authority"],
                says["human"]) == ("approval/v1", "approve", digest, self.config[
                    "authority"]["vkey"].split("+")[0], row["human"]) and any(
                    crypto.ssh_verify(key, "writ-approval", row["statement"].encode(),
                                      row["signature"])
                    for human, key in keys if human == row["human"]):
                humans.add(row["human"])
        self.need(len(humans) >= rules["needed"], "too few approvers have signed it")

    def once(self, index, execution):
        seen = self.load(self.seen_path)
        self.need(str(index) not in seen, "its leaf has served already")
        self.need(all(int(i) < index for i, e in seen.items() if e == execution),
                  "a later leaf of its execution has served")
        self.save(self.seen_path, {**seen, str(index): execution})

    # The methods.
    def describe(self):
        return {"name": "python", "version": "1", "build": self.build, "protocol": 1,
                "enforcesPrecondition": True, "actions": [
                    {"action": action, "wire": "directory.group." + wire, "inverse": inverse,
                     "resourceType": "DirectoryGroup", "idempotency": "natural"}
                    for action, (_, inverse, wire) in ACTIONS.items()]}

    def check(self):
        return {"ok": True}

    def asked(self, action, resource, parameters):
        if not isinstance(resource, str):
            raise Fault("malformed", "resource is no text", -32602)
        if action not in ACTIONS or set(parameters) != {"member"}:
            raise Fault("invalid", "no such action, or not one member")
        add, inverse, _ = ACTIONS[action]
        return add, inverse, parameters["member"], self.holds(resource, parameters["member"])

    def plan(self, action, resource, parameters):
        add, inverse, member, before = self.asked(action, resource, parameters)
        changes, who = before != add, [{"type": "account", "id": member}]
        return {"resource": resource, "parameters": parameters,
                "before": {"member": before}, "after": {"member": add},
                "diff": [{"op": "add" if add else "delete", "attribute": "member",
                          "value": member}] if changes else [],
                "gains": who if add and changes else [], "nestedIn": [],
                "loses": who if not add and changes else [], "blastRadius": int(changes),
                "precondition": {"member": before}, "noChange": not changes, "atomic": True,
                "undo": {"action": inverse, "resource": resource,
                         "parameters": parameters} if changes else None}

    def read(self, action, resource, parameters):
        add, _, _, now = self.asked(action, resource, parameters)
        return {"present": now == add, "state": {"member": now}}

    def apply(self, order):
        try:
            plan = self.verify(order)
            add, _, member, now = self.asked(plan["action"], plan["resource"],
                                             plan["parameters"])
            if now == add:
                return {"result": "no-change"}
            if plan["precondition"].get("member", now) != now:
                raise Refusal("precondition", "the membership is not as planned")
        except Refusal as no:
            return {"result": "refused", "reason": no.reason, "detail": str(no)}
        except (Fault, KeyError, TypeError, ValueError) as no:
            return {"result": "refused", "reason": "order", "detail": f"malformed: {no!r}"[:500]}
        self.change(plan["resource"], member, add)
        return {"result": "applied", "observed": {"member": add}}

    # One message.
    def answer(self, body):
        number = None
        try:
            message = json.loads(body)
            number = message["id"]
            if message["method"] not in self.methods:
                raise Fault("unsupported", "no such method", -32601)
            names, method = self.methods[message["method"]]
            params = message.get("params", {})
            if set(params) != set(names):
                raise Fault("malformed", "other params than the protocol's", -32602)
            return {"jsonrpc": "2.0", "id": number, "result": method(**params)}
        except Fault as fault:
            code, words, reason = fault.code, str(fault), fault.reason
        except (KeyError, TypeError, ValueError) as fault:
            code, words, reason = -32700 if number is None else -32602, repr(fault), "malformed"
        return {"jsonrpc": "2.0", "id": number,
                "error": {"code": code, "message": words, "data": {"reason": reason}}}


def main():
    connector = Connector(json.load(open(sys.argv[sys.argv.index("--config") + 1])))
    while True:
        head = sys.stdin.buffer.read(4)
        if len(head) < 4:
            return
        body = sys.stdin.buffer.read(struct.unpack(">I", head)[0])
        reply = json.dumps(connector.answer(body)).encode()
        sys.stdout.buffer.write(struct.pack(">I", len(reply)) + reply)
        sys.stdout.buffer.flush()


main()
