#!/usr/bin/python3
"""A connector in Python: its directory is a JSON file of groups and members.
It shows that the protocol needs no C; docs/connector-protocol.md explains it."""
import base64
import datetime
import json
import os
import struct
import sys
import time

import authority as crypto

LEEWAY = 5  # seconds that clocks may differ by
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
        ask = {"action", "resource", "parameters"}
        # What a method is asked, what it may be asked, and the method.
        self.methods = {"describe": (set(), set(), self.describe),
                        "check": (set(), set(), self.check),
                        "plan": (ask, {"brief"}, self.plan), "read": (ask, set(), self.read),
                        "apply": ({"order"}, set(), self.apply)}

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

    def armed(self, head, holder):
        """The plan of an order or of its base, whose leaf is in the log and arms it."""
        proof = [base64.b64decode(node, validate=True) for node in holder["proof"]]
        self.need(crypto.included(holder["index"], head[0], crypto.leaf_hash(
            holder["leaf"].encode()), proof, head[1]), "the leaf is not in the log")
        leaf = json.loads(holder["leaf"])
        self.need(leaf["kind"] == "armed", "the leaf arms nothing")
        self.need(leaf["digest"] == crypto.digest(holder["plan"]), "the leaf arms another plan")
        return self.parse(holder["plan"])

    def verify(self, order):
        config, base = self.config, order["base"]
        head = crypto.open_checkpoint(order["checkpoint"], config["authority"]["vkey"])
        self.need(head, "the checkpoint is not the authority's")
        plan = self.armed(head, order)
        self.need(plan["target"] == config["target"], "another target")
        self.need(plan["connectorBuild"] == self.build, "another build")
        self.need(plan["action"] in ACTIONS and plan["mode"] == "execute", "action or mode")
        self.need((base is not None) == (plan["purpose"] == "end"), "base is for ends")
        what, ends = {name: plan[name] for name in ("action", "resource", "parameters")}, None
        if plan["purpose"] == "end":
            self.need(not ACTIONS[plan["action"]][0], "an end only takes away")
            undone = self.armed(head, base)
            self.need(undone["undo"] == what and undone["purpose"] == "request" and
                      ACTIONS[undone["action"]][1] == plan["action"] and
                      undone["target"] == config["target"], "not the undo of its plan")
        elif plan["purpose"] == "drill":
            del what["action"]
            self.need(config.get("drill") == what, "not this connector's drill")
            self.in_time(plan)
        else:
            self.need(plan["purpose"] == "request", "purpose")
            ends = self.in_time(plan)
            self.approved(plan, order["signatures"], crypto.digest(order["plan"]))
        self.once(order["index"], plan.get("execution", plan["request"]), plan["request"], ends)
        return plan

    def in_time(self, plan):
        ends = datetime.datetime.fromisoformat(plan["notAfter"].replace("Z", "+00:00"))
        self.need(time.time() <= ends.timestamp() + LEEWAY, "the plan is void by now")
        return ends.timestamp()

    def approved(self, plan, signatures, digest):
        rules = self.config.get("approvers")
        if not rules or (plan["tier"] < rules["fromTier"] and
                         plan["resource"] not in rules.get("always", [])):
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

    def once(self, index, execution, request, ends):
        seen = {"leaves": {}, "spent": {}, "forgotten": 0, **self.load(self.seen_path)}
        leaves, spent = seen["leaves"], seen["spent"]
        self.need(str(index) not in leaves, "its leaf has served already")
        self.need(all(int(i) < index for i, e in leaves.items() if e == execution),
                  "a later leaf of its execution has served")
        if ends:
            self.need(request not in spent, "its request has served already")
            self.need(ends > seen["forgotten"], "its request is older than what is remembered")
            spent[request] = ends
        for name in [name for name, end in spent.items() if end + LEEWAY < time.time()]:
            seen["forgotten"] = max(seen["forgotten"], spent.pop(name))
        self.save(self.seen_path, {**seen, "leaves": {**leaves, str(index): execution}})

    def release(self, request):
        seen = self.load(self.seen_path)
        if seen["spent"].pop(request, None):
            self.save(self.seen_path, seen)

    # The methods.
    def describe(self):
        return {"name": "python", "version": "1", "build": self.build, "protocol": 1,
                "enforcesPrecondition": True, "actions": [
                    {"action": action, "wire": "directory.group." + wire, "inverse": inverse,
                     "resourceType": "DirectoryGroup", "idempotency": "natural",
                     "takes": not adds} for action, (adds, inverse, wire) in ACTIONS.items()]}

    def check(self):
        return {"ok": True}

    def asked(self, action, resource, parameters):
        if not isinstance(resource, str):
            raise Fault("malformed", "resource is no text", -32602)
        if action not in ACTIONS or set(parameters) != {"member"}:
            raise Fault("invalid", "no such action, or not one member")
        add, inverse, _ = ACTIONS[action]
        return add, inverse, parameters["member"], self.holds(resource, parameters["member"])

    def plan(self, action, resource, parameters, brief=False):
        add, inverse, member, before = self.asked(action, resource, parameters)
        if not isinstance(brief, bool):
            raise Fault("malformed", "brief is true or false", -32602)
        if brief and add:
            raise Fault("invalid", "only for what takes away is a plan brief")
        changes, who = before != add, [] if brief else [{"type": "account", "id": member}]
        return {"resource": resource, "parameters": parameters,
                "before": {"member": before}, "after": {"member": add},
                "diff": [{"op": "add" if add else "delete", "attribute": "member",
                          "value": member}] if changes else [],
                "gains": who if add and changes else [], "nestedIn": [],
                "loses": who if not add and changes else [],
                "blastRadius": len(who) if changes else 0,
                "precondition": {"member": before}, "noChange": not changes, "atomic": True,
                "undo": {"action": inverse, "resource": resource,
                         "parameters": parameters} if changes else None}

    def read(self, action, resource, parameters):
        add, _, _, now = self.asked(action, resource, parameters)
        return {"present": now == add, "state": {"member": now}}

    def apply(self, order):
        plan = None
        try:
            plan = self.verify(order)
            add, _, member, now = self.asked(plan["action"], plan["resource"],
                                             plan["parameters"])
            if now == add:
                return {"result": "no-change"}
            if plan["precondition"].get("member", now) != now:
                raise Refusal("precondition", "the membership is not as planned")
        except Refusal as no:
            if plan and plan["purpose"] == "request":
                self.release(plan["request"])
            return {"result": "refused", "reason": no.reason, "detail": str(no)}
        except (AttributeError, Fault, KeyError, TypeError, ValueError) as no:
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
            names, more, method = self.methods[message["method"]]
            params = message.get("params", {})
            if not names <= set(params) <= names | more:
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
