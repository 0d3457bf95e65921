#!/usr/bin/python3
"""Drives any connector through docs/connector-protocol.md and checks each of
its promises, with real checkpoints, proofs and signatures.

usage: run.py [--extra FILE] [--resource NAME] [--member NAME] [--build FILE]
              [--add ACTION] [--remove ACTION] -- COMMAND...

--config FILE is added to COMMAND; the file is the common configuration and the
members of the JSON object in --extra, where {folder} is a fresh folder.
RESOURCE must be a group that MEMBER is not in, both spelled as plan names them;
it is left so."""
import argparse
import copy
import datetime
import hashlib
import json
import os
import select
import struct
import subprocess
import sys
import tempfile
import time

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from authority import Authority, b64, canonical, digest, ssh_line, ssh_sign

TARGET = "conformance"
ANSWER_SECONDS = 60
PROMISES = []


def from_now(**ahead):
    """A time in a plan."""
    at = datetime.datetime.now(datetime.timezone.utc)
    at += datetime.timedelta(**ahead)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def promise(function):
    PROMISES.append(function)
    return function


class Connector:
    """The program under test, asked over frames."""

    def __init__(self, command):
        self.command = command
        self.child = None
        self.number = 0
        self.start()

    def start(self):
        self.child = subprocess.Popen(self.command, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE)

    def stop(self):
        self.child.stdin.close()
        self.child.wait(ANSWER_SECONDS)
        self.child.stdout.close()

    def restart(self):
        self.child.kill()
        self.child.wait()
        self.child.stdin.close()
        self.child.stdout.close()
        self.start()

    def read(self, count):
        data = b""
        end = time.monotonic() + ANSWER_SECONDS
        while len(data) < count:
            left = end - time.monotonic()
            ready, _, _ = select.select([self.child.stdout], [], [], max(left, 0))
            assert ready, "no answer in time"
            part = os.read(self.child.stdout.fileno(), count - len(data))
            assert part, "the connector ended"
            data += part
        return data

    def raw(self, body):
        return self.ahead([body])[0]

    def ahead(self, bodies):
        """Sends all before the first answer; the answers in their order."""
        self.child.stdin.write(b"".join(
            struct.pack(">I", len(body)) + body for body in bodies))
        self.child.stdin.flush()
        answers = []
        for _ in bodies:
            size = struct.unpack(">I", self.read(4))[0]
            assert size <= 4 << 20, "an answer over 4 MiB"
            answers.append(json.loads(self.read(size)))
        return answers

    def call(self, method, params=None):
        self.number += 1
        answer = self.raw(json.dumps({
            "jsonrpc": "2.0", "id": self.number, "method": method,
            "params": {} if params is None else params}).encode())
        assert answer.pop("jsonrpc") == "2.0", answer
        assert answer.pop("id") == self.number, answer
        assert len(answer) == 1, answer
        return answer

    def result(self, method, params=None):
        answer = self.call(method, params)
        assert "result" in answer, answer
        return answer["result"]

    def error(self, method, params=None):
        answer = self.call(method, params)
        assert "error" in answer, answer
        error = answer["error"]
        assert set(error) == {"code", "message", "data"}, error
        return error["code"], error["data"]["reason"]


class Run:
    """What the promises share: a connector, its authority, its approvers."""

    def __init__(self, options, folder):
        self.options = options
        self.authority = Authority()
        self.stranger = Authority()
        self.alice = Ed25519PrivateKey.generate()
        self.bob = Ed25519PrivateKey.generate()
        self.mallory = Ed25519PrivateKey.generate()
        self.counter = 0
        approvers = os.path.join(folder, "approvers")
        with open(approvers, "w") as file:
            file.write(f"alice {ssh_line(self.alice)}\nbob {ssh_line(self.bob)}\n")
        config = {
            "target": TARGET,
            "authority": {"vkey": self.authority.vkey,
                          "state": os.path.join(folder, "seen")},
            "approvers": {"fromTier": 2, "needed": 2, "file": approvers,
                          "always": [options.resource + "-always"]},
            "drill": {"resource": options.resource,
                      "parameters": {"member": options.member}},
        }
        if options.extra:
            with open(options.extra) as file:
                extra = file.read().replace("{folder}", folder)
            config.update(json.loads(extra))
        path = os.path.join(folder, "config.yaml")
        with open(path, "w") as file:
            json.dump(config, file)
        self.connector = Connector([*options.command, "--config", path])

    def name(self, action):
        """What the connector calls the addition and the removal."""
        return {"AddToGroup": self.options.add,
                "RemoveFromGroup": self.options.remove}.get(action, action)

    def ask(self, action="AddToGroup", **other):
        return {"action": self.name(action), "resource": self.options.resource,
                "parameters": {"member": self.options.member}, **other}

    def planned(self, action="AddToGroup"):
        return self.connector.result("plan", self.ask(action))

    def plan(self, action="AddToGroup", **other):
        """The plan of an order, as the authority would write it."""
        answer = self.planned(action)
        self.counter += 1
        return {
            "v": 1, "purpose": "request", "request": f"req_{self.counter}",
            "execution": f"exe_{self.counter}", "agent": "a", "chain": [],
            "task": "tsk_1", "class": digest("class"), "intent": "c:0",
            "action": self.name(action), "target": TARGET, "targetDigest": digest("t"),
            "connectorBuild": self.connector.result("describe")["build"],
            "tier": 1, "mode": "execute", "ttl": 900,
            "notAfter": from_now(hours=1),
            **{name: answer[name] for name in (
                "resource", "parameters", "diff", "gains", "loses",
                "blastRadius", "undo", "precondition")}, **other}

    def apply(self, order):
        return self.connector.result("apply", {"order": order})

    def is_member(self):
        return self.connector.result("read", self.ask())["present"]

    def add(self):
        """Makes MEMBER a member; returns the plan that did."""
        plan = self.plan()
        answer = self.apply(self.authority.arm(plan))
        assert answer["result"] == "applied", answer
        return plan

    def remove(self):
        if self.is_member():
            answer = self.apply(self.authority.arm(self.plan("RemoveFromGroup")))
            assert answer["result"] == "applied", answer

    def refused(self, order, reason="order"):
        """The order is refused, and nothing has happened."""
        before = self.is_member()
        answer = self.apply(order)
        assert answer["result"] == "refused", answer
        assert answer["reason"] == reason, answer
        assert "observed" not in answer, answer
        assert self.is_member() == before, "a refused order had an effect"

    def approvals(self, plan):
        return [self.authority.approval("alice", self.alice, plan),
                self.authority.approval("bob", self.bob, plan)]

    def ending(self, plan, action="RemoveFromGroup", **other):
        """The plan that ends what plan did, and its base."""
        ended = {**self.plan(action), "purpose": "end", **other}
        return ended, self.authority.base_of(plan)

    def armed_base(self, plan):
        """The base that an end of plan would have; it is only armed."""
        self.authority.arm(plan)
        return self.authority.base_of(plan)


@promise
def it_describes_itself_and_names_its_build(run):
    told = run.connector.result("describe")
    with open(run.options.build or run.options.command[0], "rb") as file:
        assert told["build"] == "sha256:" + hashlib.sha256(file.read()).hexdigest()
    assert told["protocol"] == 1
    assert isinstance(told["enforcesPrecondition"], bool)
    takes = {row["action"]: row["takes"] for row in told["actions"]}
    assert takes[run.name("AddToGroup")] is False
    assert takes[run.name("RemoveFromGroup")] is True


@promise
def it_checks_its_target(run):
    assert run.connector.result("check")["ok"] is True


@promise
def it_plans_without_effect(run):
    plan = run.planned()
    assert plan["noChange"] is False and plan["atomic"] is True
    assert plan["resource"] == run.options.resource
    assert plan["parameters"] == {"member": run.options.member}
    assert plan["before"]["member"] is False and plan["after"]["member"] is True
    assert plan["undo"] == run.ask("RemoveFromGroup")
    assert plan["gains"] and not plan["loses"]
    assert plan["blastRadius"] >= 1
    assert not run.is_member()
    assert run.planned() == plan, "equal state, equal plan"


@promise
def it_says_that_nothing_would_change(run):
    plan = run.planned("RemoveFromGroup")
    assert plan["noChange"] is True and plan["undo"] is None
    assert plan["diff"] == []


@promise
def it_plans_an_end_without_counting_anybody(run):
    run.add()
    ask = run.ask("RemoveFromGroup")
    full = run.connector.result("plan", ask)
    brief = run.connector.result("plan", {**ask, "brief": True})
    assert brief.pop("gains") == brief.pop("loses") == brief.pop("nestedIn") == []
    assert brief.pop("blastRadius") == 0
    for name, value in brief.items():
        assert full[name] == value, name
    assert brief["diff"] and brief["undo"] and brief["noChange"] is False
    assert run.connector.result("plan", {**ask, "brief": False}) == full
    run.remove()
    assert run.connector.result("plan", {**ask, "brief": True})["noChange"] is True


@promise
def it_counts_whoever_would_gain(run):
    assert run.connector.error(
        "plan", {**run.ask(), "brief": True})[1] == "invalid"
    for method, ask in (("plan", {"brief": "yes"}), ("read", {"brief": True})):
        assert run.connector.error(
            method, {**run.ask("RemoveFromGroup"), **ask})[0] == -32602


@promise
def it_refuses_an_action_it_does_not_know(run):
    for method in "plan", "read":
        assert run.connector.error(method, run.ask("Format"))[1] == "invalid"


@promise
def it_refuses_a_method_it_does_not_know(run):
    assert run.connector.error("levitate")[0] == -32601


@promise
def it_refuses_params_that_are_not_the_protocols(run):
    for params in ({}, run.ask(force=True), {**run.ask(), "resource": 7}):
        before = run.connector.call("plan", params)
        assert "error" in before, before
    assert run.connector.error("apply", {"order": {}, "now": True})[0] == -32602


@promise
def it_survives_what_is_no_json(run):
    for body in (b"", b"{", b"\xff\xfe", b'{"a":1}{"a":1}'):
        answer = run.connector.raw(body)
        assert answer["id"] is None and "error" in answer, answer
    assert run.connector.result("check")["ok"] is True


@promise
def it_carries_out_an_order_and_reads_it_back(run):
    plan = run.plan()
    answer = run.apply(run.authority.arm(plan))
    assert answer["result"] == "applied", answer
    assert answer["observed"]["member"] is True
    assert run.is_member()
    run.remove()
    assert not run.is_member()


@promise
def an_order_serves_once(run):
    order = run.authority.arm(run.plan())
    assert run.apply(order)["result"] == "applied"
    run.remove()
    run.refused(order)


@promise
def what_is_asked_ahead_is_answered_in_order(run):
    most = run.connector.result("describe").get("pipeline", 1)
    assert 1 <= most <= 1000
    if most < 5:
        return
    order = {"order": run.authority.arm(run.plan())}
    asked = [("read", run.ask()), ("apply", order), ("apply", order),
             ("read", run.ask()), ("no-such-method", {})]
    answers = run.connector.ahead([json.dumps({
        "jsonrpc": "2.0", "id": 1000 + number, "method": method,
        "params": params}).encode()
        for number, (method, params) in enumerate(asked)])
    assert [answer["id"] for answer in answers] == [
        1000 + number for number in range(len(asked))]
    assert answers[0]["result"]["present"] is False
    assert answers[1]["result"]["result"] == "applied"
    assert answers[2]["result"]["reason"] == "order", "it has served"
    assert answers[3]["result"]["present"] is True
    assert answers[4]["error"]["code"] == -32601
    run.remove()


@promise
def an_order_serves_once_across_restarts(run):
    order = run.authority.arm(run.plan())
    assert run.apply(order)["result"] == "applied"
    run.connector.restart()
    run.remove()
    run.connector.restart()
    run.refused(order)


@promise
def an_earlier_leaf_of_an_execution_is_refused(run):
    early = run.authority.arm(run.plan(execution="exe_same"))
    late = run.authority.arm(run.plan(execution="exe_same", blastRadius=2))
    assert run.apply(late)["result"] == "applied"
    run.remove()
    run.refused(early)


@promise
def an_approved_request_is_carried_out_once(run):
    plan = run.plan(tier=2)
    signatures = run.approvals(plan)
    assert run.apply(run.authority.arm(plan, signatures))["result"] == "applied"
    run.remove()
    # Another leaf arms the very plan that people signed.
    run.refused(run.authority.arm(plan, signatures))
    run.refused(run.authority.arm({**plan, "execution": "exe_other"}, [
        *run.approvals({**plan, "execution": "exe_other"})]))
    run.connector.restart()
    run.refused(run.authority.arm(plan, signatures))


@promise
def what_was_refused_without_effect_may_come_again(run):
    plan = run.plan(precondition={"member": True})
    for _ in range(2):
        run.refused(run.authority.arm(plan), "precondition")
        run.connector.restart()
    answer = run.apply(run.authority.arm(
        {**plan, "precondition": run.planned()["precondition"]}))
    assert answer["result"] == "applied", answer
    run.remove()


@promise
def a_plan_whose_time_is_over_is_refused(run):
    for over in ({"notAfter": from_now(minutes=-1)}, {"notAfter": "tomorrow"},
                 {"notAfter": 4102444800}, {"notAfter": None}):
        for purpose in "request", "drill":
            run.refused(run.authority.arm(run.plan(purpose=purpose, **over)))
    plan = run.plan()
    del plan["notAfter"]
    run.refused(run.authority.arm(plan))


@promise
def an_end_is_never_too_late(run):
    plan = run.add()
    ended, base = run.ending(plan, notAfter=from_now(days=-9))
    answer = run.apply(run.authority.arm(ended, base=base))
    assert answer["result"] == "applied", answer


@promise
def a_plan_changed_by_one_byte_is_refused(run):
    order = run.authority.arm(run.plan())
    for old, new in (('"ttl":900', '"ttl":901'), ('"tier":1', '"tier":0'),
                     ('"agent":"a"', '"agent":"b"')):
        changed = {**order, "plan": order["plan"].replace(old, new)}
        assert changed["plan"] != order["plan"]
        run.refused(changed)


@promise
def a_leaf_that_arms_another_plan_is_refused(run):
    order = run.authority.arm(run.plan())
    other = run.authority.arm(run.plan())
    run.refused({**other, "plan": order["plan"]})


@promise
def a_leaf_that_arms_nothing_is_refused(run):
    run.refused(run.authority.arm(run.plan(), kind="decision"))


@promise
def a_leaf_outside_the_log_is_refused(run):
    order = run.authority.arm(run.plan())
    run.refused({**order, "leaf": order["leaf"].replace('"at":0', '"at":1')})
    run.refused({**order, "index": order["index"] - 1})
    run.refused({**order, "index": 1 << 40})
    run.refused({**order, "proof": order["proof"][:-1]})
    run.refused({**order, "proof": order["proof"] + [b64(bytes(32))]})
    run.refused({**order, "proof": [b64(bytes(32))] * len(order["proof"])})


@promise
def a_checkpoint_of_somebody_else_is_refused(run):
    order = run.authority.arm(run.plan())
    run.refused({**order, "checkpoint": run.authority.checkpoint(run.mallory)})
    run.refused(run.stranger.arm(run.plan()))
    run.refused({**order, "checkpoint": order["checkpoint"].replace("\n", " ", 1)})
    run.refused({**order, "checkpoint": ""})


@promise
def an_order_for_another_target_or_build_is_refused(run):
    run.refused(run.authority.arm(run.plan(target="elsewhere")))
    run.refused(run.authority.arm(run.plan(connectorBuild=digest("other"))))


@promise
def an_order_that_is_not_to_be_executed_is_refused(run):
    run.refused(run.authority.arm(run.plan(mode="recommend")))
    run.refused(run.authority.arm(run.plan(purpose="wish")))
    run.refused(run.authority.arm({**run.plan(), "action": "Format"}))


@promise
def a_plan_in_another_spelling_is_refused(run):
    text = json.dumps(run.plan())
    leaf = run.authority.add({"kind": "armed", "digest": digest(text)})
    run.refused(run.authority.order(text, leaf))


@promise
def an_order_that_is_not_whole_is_refused(run):
    order = run.authority.arm(run.plan())
    for name in order:
        broken = {k: v for k, v in order.items() if k != name}
        run.refused(broken)
    run.refused({})


@promise
def a_high_tier_without_signatures_is_refused(run):
    plan = run.plan(tier=2)
    run.refused(run.authority.arm(plan))
    run.refused(run.authority.arm(plan, run.approvals(plan)[:1]))


@promise
def one_human_counts_once(run):
    plan = run.plan(tier=2)
    run.refused(run.authority.arm(plan, [
        run.authority.approval("alice", run.alice, plan),
        run.authority.approval("alice", run.alice, plan)]))


@promise
def foreign_and_borrowed_signatures_are_refused(run):
    plan, other = run.plan(tier=2), run.plan(tier=2)
    good = run.authority.approval("bob", run.bob, plan)
    text = run.authority.statement("alice", digest(canonical(plan)))
    for bad in (
            # a key that is not in the file, under a name that is
            run.authority.approval("alice", run.mallory, plan),
            # somebody who is not in the file
            run.authority.approval("mallory", run.mallory, plan),
            # bob's key in alice's name
            run.authority.approval("alice", run.bob, plan),
            # a login signature
            run.authority.approval("alice", run.alice, plan,
                                   namespace="writ-login"),
            # a denial
            run.authority.approval("alice", run.alice, plan, "deny"),
            # for another plan
            run.authority.approval("alice", run.alice, other),
            # for another authority
            Authority("other.example/log").approval("alice", run.alice, plan),
            # the signature of another statement
            {"statement": text, "human": "alice",
             "signature": ssh_sign(run.alice, "writ-approval", b"{}")},
    ):
        run.refused(run.authority.arm(plan, [good, bad]))


@promise
def a_high_tier_with_its_signatures_is_carried_out(run):
    plan = run.plan(tier=2)
    answer = run.apply(run.authority.arm(plan, run.approvals(plan)))
    assert answer["result"] == "applied", answer
    run.remove()


@promise
def a_resource_named_always_needs_signatures_at_any_tier(run):
    always = run.options.resource + "-always"
    plan = run.plan(tier=0, resource=always)
    run.refused(run.authority.arm(plan))
    # With them it is not the order that is refused, whatever the target says.
    answer = run.connector.call("apply", {
        "order": run.authority.arm(plan, run.approvals(plan))})
    assert answer.get("result", {}).get("reason") != "order", answer


@promise
def an_end_stands_on_what_it_undoes(run):
    plan = run.add()
    ended, base = run.ending(plan)
    answer = run.apply(run.authority.arm(ended, base=base))
    assert answer["result"] == "applied", answer
    assert not run.is_member()


@promise
def an_end_of_a_high_tier_needs_no_signatures(run):
    plan = run.plan(tier=2)
    answer = run.apply(run.authority.arm(plan, run.approvals(plan)))
    assert answer["result"] == "applied", answer
    ended, base = run.ending(plan, tier=2)
    answer = run.apply(run.authority.arm(ended, base=base))
    assert answer["result"] == "applied", answer


@promise
def an_end_that_would_give_is_refused(run):
    plan = run.add()
    taken = run.plan("RemoveFromGroup")
    assert run.apply(run.authority.arm(taken))["result"] == "applied"
    assert taken["undo"] == run.ask()
    # The undo of a removal, which was armed and applied as it should be.
    ended, base = run.ending(taken, "AddToGroup")
    run.refused(run.authority.arm(ended, base=base))
    # One that says to undo an addition by another.
    lying = {**plan, "undo": run.ask()}
    run.refused(run.authority.arm(ended, base=run.armed_base(lying)))


@promise
def an_end_stands_on_a_leaf_that_armed_its_beginning(run):
    plan = run.add()
    ended, base = run.ending(plan)
    order = run.authority.arm(ended, base=base)
    whole = order["base"]
    never = {**plan, "request": "req_never"}
    another = run.authority.add({"kind": "decision",
                                 "digest": digest(canonical(plan))})
    wrong = [
        {k: v for k, v in whole.items() if k != name} for name in whole
    ] + [{**whole, **change} for change in (
        {"plan": canonical(never)},
        {"leaf": whole["leaf"].replace('"at":0', '"at":1')},
        {"index": whole["index"] - 1}, {"index": order["index"]},
        {"index": 1 << 40}, {"proof": whole["proof"][:-1]},
        {"proof": whole["proof"] + [b64(bytes(32))]},
        {"leaf": order["leaf"], "index": order["index"],
         "proof": order["proof"]},
    )]
    for base in wrong:
        run.refused({**order, "base": base})
    run.refused(run.authority.arm(ended, base={
        **run.authority.base_of(plan), "leaf": another,
        "index": run.authority.leaves.index(another)}))
    # Proved against a later checkpoint than the order's.
    run.authority.add({"kind": "heartbeat", "about": "later"})
    later = run.authority.arm(run.plan("RemoveFromGroup", purpose="end"),
                              base=run.authority.base_of(plan))["base"]
    run.refused({**order, "base": later})
    answer = run.apply(order)
    assert answer["result"] == "applied", answer


@promise
def an_end_that_is_not_the_undo_is_refused(run):
    plan = run.add()
    ended, base = run.ending(plan)
    run.refused(run.authority.arm({**ended, "parameters": {
        "member": run.options.member + "x"}}, base=base))
    run.refused(run.authority.arm(ended))
    lying = copy.deepcopy(plan)
    lying["undo"]["action"] = run.name("AddToGroup")
    for other in (lying, {**plan, "target": "elsewhere"},
                  {**plan, "purpose": "end"}, {**plan, "action": "Format"},
                  {**plan, "action": run.name("RemoveFromGroup")}):
        run.refused(run.authority.arm(ended, base=run.armed_base(other)))
    run.refused(run.authority.arm({**ended, "purpose": "request"}, base=base))
    run.remove()


@promise
def a_drill_touches_only_what_is_configured(run):
    answer = run.apply(run.authority.arm(run.plan(purpose="drill", tier=4)))
    assert answer["result"] == "applied", answer
    answer = run.apply(run.authority.arm(
        run.plan("RemoveFromGroup", purpose="drill", tier=4)))
    assert answer["result"] == "applied", answer
    run.refused(run.authority.arm(run.plan(purpose="drill", parameters={
        "member": run.options.member + "x"})))


@promise
def what_is_already_so_is_no_change(run):
    first, second = run.plan(), run.plan()
    assert run.apply(run.authority.arm(first))["result"] == "applied"
    answer = run.apply(run.authority.arm(second))
    assert answer["result"] in ("no-change", "refused"), answer
    assert "observed" not in answer
    run.remove()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--extra")
    parser.add_argument("--resource", default="cn=group")
    parser.add_argument("--member", default="uid=member")
    parser.add_argument("--build")
    parser.add_argument("--add", default="AddToGroup")
    parser.add_argument("--remove", default="RemoveFromGroup")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory() as folder:
        run = Run(options, folder)
        print(f"1..{len(PROMISES)}")
        for number, function in enumerate(PROMISES, 1):
            try:
                function(run)
                print(f"ok {number} {function.__name__}", flush=True)
            except AssertionError as error:
                failed += 1
                print(f"not ok {number} {function.__name__}\n# {error}",
                      flush=True)
                if run.connector.child.poll() is not None:
                    run.connector.start()
                run.remove()
        run.connector.stop()
    return 1 if failed else 0


sys.exit(main())
