#!/usr/bin/python3
"""Kills a working authority at random moments, again and again, and looks
whether anything is missing afterwards.

    WRIT_BUILD=build/release WRIT_CRASH_ROUNDS=500 tests/crash/kill.py
    tests/crash/kill.py --rounds 50 --seed 7 --ldap

Several agents ask, sign, complete and undo at once, each call with an
idempotency key.  At a random moment of a round something is killed with
SIGKILL: the daemon, the daemon with all its children, the keeper or the
connector; or the connector is stopped for a while.  Then, after a restart:

  - every leaf that was acknowledged is in the log, with the same bytes;
  - the log continues every checkpoint that was ever seen;
  - every request that was answered is there and tells the same;
  - a call that is sent again with its key has the same answer, and none was
    carried out twice;
  - every armed leaf has an end, or is visibly open and then gets one;
  - the target holds exactly what grants say, and the log explains it;
  - the verifier that ships finds nothing.

The daemon's own check at its start is part of each round.  --seed repeats the
choices of a run, though not its timing.
"""
import argparse
import http.client
import json
import os
import pathlib
import random
import signal
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "integration"),
                str(HERE.parent / "integration" / "conformance")]

# pylint: disable=wrong-import-position
import harness
import stories
import tlog
from harness import GROUPS, TARGET, group, person, wait_until

AGENTS = ("hr-bot", "hr-bot-2", "hr-bot-3")
OLD_CALLS = 30  # of earlier rounds, sent again after each round
FRESH_CALLS = 1000  # looked at after each round
MEMBERS = 12  # accounts each agent moves in and out
SHARED = "crash-shared"  # the account that all of them add
LOST = (OSError, http.client.HTTPException)  # no answer: nobody was told
FINAL = {"no_change", "failed", "conflict", "denied", "cancelled", "expired",
         "adopted", "rolled_back"}
LATER = {"done": {"done", "rolled_back"},
         "partial": {"partial", "rolled_back"},
         "recommended": {"recommended", "adopted"}}
TELLING_OUTCOMES = ("outcome", "recovery")


def rounds(default=3):
    return int(os.environ.get("WRIT_CRASH_ROUNDS", default))


def account(agent, number):
    return person(f"crash-{agent}-{number}")


def accounts():
    return [account(agent, n) for agent in AGENTS for n in range(MEMBERS)] + [
        person(SHARED)]


def more_agents(manifests):
    """Two more agents like hr-bot, who may open what it may."""
    bot = next(m for m in manifests if m["metadata"]["name"] == "hr-bot"
               and m["kind"] == "Agent")
    for name in AGENTS[1:]:
        twin = json.loads(json.dumps(bot))
        twin["metadata"]["name"] = name
        twin["spec"]["identities"] = [f"spiffe://example.org/agent/{name}"]
        twin["spec"].pop("accounts", None)
        manifests.append(twin)
    for m in manifests:
        if m["kind"] == "TaskClass":
            m["spec"]["openers"] += AGENTS[1:]
    return manifests


def references(value):
    """Every {"index", "hash"} in an answer."""
    if isinstance(value, dict):
        if set(value) == {"index", "hash"}:
            yield value["index"], value["hash"]
        for one in value.values():
            yield from references(one)
    elif isinstance(value, list):
        for one in value:
            yield from references(one)


def cut_short(leaves):
    """Armed leaves that had no end when the daemon started last."""
    started = max(index for index, leaf in enumerate(leaves)
                  if leaf["kind"] == "config")
    still = {}
    for leaf in leaves[:started]:
        if leaf["kind"] == "armed":
            still[leaf["about"]] = leaf
        elif (leaf["kind"] in ("outcome", "ended", "recovery", "drill")
              and leaf.get("effect") != "unknown"):
            still.pop(leaf.get("about"), None)
    return still


class Call:
    """An acting call of an agent: what was asked, and what was answered."""

    def __init__(self, agent, path, body):
        self.agent = agent
        self.path = path
        self.body = body
        self.key = os.urandom(16).hex()
        self.status = None
        self.answer = None

    def send(self, authority, wait=5):
        """None if no answer came, or one that says to try again."""
        path = self.path + (f"?wait={wait}" if "requests" in self.path else "")
        answer = authority.agent(self.agent).call("POST", path, self.body,
                                                  key=self.key)
        if answer.status == 503:
            return None
        return answer

    @property
    def request(self):
        """The request of the answer, also of one that was denied."""
        if not self.answer:
            return None
        found = self.answer.get("request", self.answer)
        return found if isinstance(found, dict) and str(
            found.get("id", "")).startswith("req_") else None


class Ledger:
    """What was acknowledged, by whom asked, which checkpoints were seen."""

    def __init__(self):
        self.lock = threading.Lock()
        self.calls = []
        self.leaves = {}  # index -> hash
        self.checkpoints = {}  # size -> root
        self.completed = set()  # tasks
        self.signed = {}  # request -> who signed it
        self.faults = []  # answers that should not have been

    def note(self, value):
        with self.lock:
            for index, hash_ in references(value):
                assert self.leaves.setdefault(index, hash_) == hash_, (
                    f"leaf {index} was told twice, differently")

    def keep(self, call):
        with self.lock:
            self.calls.append(call)

    def answered(self, call, answer):
        call.status, call.answer = answer.status, answer.body
        self.note(call.answer)

    def fault(self, what):
        with self.lock:
            self.faults.append(what)

    def seen(self, checkpoint):
        with self.lock:
            old = self.checkpoints.setdefault(checkpoint.size, checkpoint.root)
            assert old == checkpoint.root, f"two roots at {checkpoint.size}"


class Worker(threading.Thread):
    """One agent, one call after the other, until told to stop or cut off."""

    def __init__(self, authority, ledger, agent, stop, seed):
        super().__init__(daemon=True)
        self.authority = authority
        self.ledger = ledger
        self.agent = agent
        self.stop = stop
        self.random = random.Random(seed)
        self.task = None
        self.done = None  # the last request that was carried out

    def run(self):
        while not self.stop.is_set():
            try:
                self.turn()
            except LOST:
                if not self.still_there():
                    return
            except Exception as error:  # pylint: disable=broad-except
                self.ledger.fault(f"{self.agent}: {error!r}")
                return

    def still_there(self):
        return self.authority.process.poll() is None

    def turn(self):
        kinds = (self.add, self.remove, self.advise, self.undo, self.sign,
                 self.attach, self.complete)
        if not self.task:
            self.open()
        else:
            self.random.choices(kinds, (60, 12, 6, 8, 6, 4, 4))[0]()

    def send(self, path, body, *good):
        call = Call(self.agent, path, body)
        self.ledger.keep(call)
        answer = call.send(self.authority)
        if answer is None:
            return None
        if answer.status not in good:
            self.ledger.fault(f"{path} {harness.canonical(body)}: {answer!r}")
        self.ledger.answered(call, answer)
        return call

    def open(self):
        call = self.send("/v1/tasks", {"class": "identity-ops", "ttl": "4h",
                                       "intent": "be killed",
                                       "targets": [TARGET]}, 201, 429)
        if call and call.status == 429:
            self.make_room()
        self.task = call.answer["id"] if call and call.status == 201 else None

    def make_room(self):
        """An agent may have so many open tasks; earlier rounds left theirs."""
        agent = self.authority.agent(self.agent)
        for row in agent.get("/v1/tasks").ok()["tasks"]:
            if row["state"] == "open":
                agent.complete(row["id"])

    def ask(self, action, name, member, mode="execute", ttl="15m"):
        body = self.authority.agent(self.agent).request_body(
            self.task, action, group(name), member, mode=mode, ttl=ttl)
        # 409: the task has ended meanwhile.
        call = self.send("/v1/requests", body, 200, 202, 403, 409)
        if call and call.request and call.request["state"] == "done":
            self.done = call.request["id"]
        return call.request if call else None

    def own(self):
        return account(self.agent, self.random.randrange(MEMBERS))

    def add(self):
        member = person(SHARED) if self.random.random() < 0.2 else self.own()
        self.ask("AddToGroup", "lunch-list", member,
                 ttl=self.random.choice(("1s", "3s", "15m", "15m")))

    def remove(self):
        request = self.ask("RemoveFromGroup", "lunch-list", self.own())
        if request and request["state"] == "waiting":
            self.authority.agent(self.agent).cancel(request["id"])

    def advise(self):
        self.ask("AddToGroup", "lunch-list", self.own(), mode="recommend")

    def undo(self):
        if self.done:
            # 404 and 409: its task has ended, or its grant.
            self.send(f"/v1/requests/{self.done}/rollback", {}, 200, 202, 403,
                      404, 409)
            self.done = None

    def sign(self):
        request = self.ask("AddToGroup", "mail-admins", self.own())
        if not request or request["state"] != "waiting":
            return
        answer = self.authority.human("bob").approve(
            request["id"], "iam-approvers", digest=request["digest"])
        if answer.status in (200, 202):
            self.ledger.note(answer.body)
            with self.ledger.lock:
                self.ledger.signed[request["id"]] = "bob"

    def attach(self):
        answer = self.authority.agent(self.agent).attach(self.task, "words")
        if answer.status == 201:
            self.ledger.note(answer.body)

    def complete(self):
        task, self.task = self.task, None
        answer = self.authority.agent(self.agent).complete(task)
        if answer.status == 200:
            self.ledger.note(answer.body)
            with self.ledger.lock:
                self.ledger.completed.add((self.agent, task))


class Watch(threading.Thread):
    """Notes every checkpoint that the public log shows."""

    def __init__(self, authority, ledger, stop):
        super().__init__(daemon=True)
        self.authority = authority
        self.ledger = ledger
        self.stop = stop
        self.vkey = tlog.VKey(authority.vkey)

    def run(self):
        while not self.stop.wait(0.01):
            try:
                answer = self.authority.call("GET", "/log/checkpoint")
            except LOST:
                continue
            if answer.status in (404, 503):  # not signed yet
                continue
            try:
                self.ledger.seen(tlog.Checkpoint(answer.raw, self.vkey))
            except (tlog.Bad, AssertionError) as error:
                self.ledger.fault(f"the public log: {error}")
                return


# What is killed.

def children(authority, name):
    found = []
    for pid in authority._children():  # pylint: disable=protected-access
        try:
            line = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue
        if name.encode() in line.split(b"\0")[0]:
            found.append(pid)
    return found


def send(signal_number, pids):
    for pid in pids:
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            pass


def kill_daemon(authority):
    authority.kill()


def kill_everything(authority):
    pids = authority._children()  # pylint: disable=protected-access
    send(signal.SIGKILL, [authority.process.pid, *pids])
    authority.process.wait()


def kill_keeper(authority):
    """The daemon ends by itself, and says that it did not end well."""
    send(signal.SIGKILL, children(authority, "writ-keeper"))
    status = authority.wait_for_end()
    assert status not in (0, -signal.SIGKILL), f"it ended with {status}"


def kill_connector(authority):
    """The daemon goes on; another connector is started."""
    send(signal.SIGKILL, children(authority, "writ-connect-"))
    time.sleep(0.3)
    assert authority.process.poll() is None
    authority.kill()


def stop_connector(authority):
    """The daemon is killed while an order may lie with a stopped connector,
    which goes on when the next daemon is there."""
    pids = children(authority, "writ-connect-")
    send(signal.SIGSTOP, pids)
    time.sleep(0.2)
    authority.kill()
    threading.Timer(0.5, send, (signal.SIGCONT, pids)).start()


KILLS = (kill_daemon, kill_daemon, kill_everything, kill_keeper,
         kill_connector, stop_connector)


def restart(authority, patience=30):
    """As a service manager does: at once, and again while what is left of the
    old processes holds its locks."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return authority.start()
        except RuntimeError as error:
            words = str(error)
            held = "is locked by" in words or "another keeper has" in words
            if not held or time.monotonic() > deadline:
                raise
            time.sleep(0.1)


# What must hold.

class Check:
    """Everything about one restart; says what does not hold."""

    def __init__(self, authority, ledger, held, preserved=()):
        self.authority = authority
        self.ledger = ledger
        self.held = held  # () -> what the target holds: {(group, member)}
        self.preserved = set(preserved)  # stood there before
        self.checked = 0  # calls that were sent again already
        self.open = 0  # armed leaves that had no end after a restart

    def all(self):
        self.leaves_and_checkpoints()
        self.retried()
        self.answers()
        self.ends()
        self.effects()

    def tree(self):
        leaves = self.authority.health()["leaves"]
        return stories.tree(self.authority, leaves - 1)[1]

    def leaves_and_checkpoints(self):
        entries = self.tree()
        hashes = [tlog.leaf_hash(entry) for entry in entries]
        for size, root in self.ledger.checkpoints.items():
            assert size <= len(hashes), f"checkpoint {size} is gone"
            assert tlog.root_of(hashes[:size]) == root, f"checkpoint {size}"
        for index, hash_ in self.ledger.leaves.items():
            assert index < len(hashes), f"leaf {index} is gone"
            assert "sha256:" + hashes[index].hex() == hash_, f"leaf {index}"

    def retried(self):
        """Calls nobody was answered are sent again with their key; calls that
        were answered once are so again."""
        wait_until(lambda: stories.is_up(self.authority), "the connector")
        fresh, old = self.ledger.calls[self.checked:], \
            self.ledger.calls[:self.checked]
        self.checked = len(self.ledger.calls)
        for call in fresh + random.sample(old, min(OLD_CALLS, len(old))):
            again = wait_until(lambda c=call: c.send(self.authority, wait=0),
                               "an answer to a call sent again")
            # What was refused without a record did nothing: a key stands for
            # nothing yet.
            if call.answer is None or (call.status >= 400
                                       and not call.request):
                self.ledger.answered(call, again)
                continue
            before_id = call.answer.get("id")
            before, call.answer = call.request, again.body
            self.ledger.note(again.body)
            after = call.request
            if before is None:
                assert again.status in (200, 201) and \
                    again.body["id"] == before_id, (call.path, again)
                continue
            assert after and after["id"] == before["id"], (
                f"{call.key} stood for {before['id']}, now {again!r}")
            call.status = again.status

    def answers(self):
        for call in self.ledger.calls[-FRESH_CALLS:]:
            request = call.request
            if not request:
                continue
            shown = self.authority.agent(call.agent).show(request["id"])
            now, then = shown["state"], request["state"]
            assert now in LATER.get(then, {now} if then not in FINAL
                                    else {then}), (then, shown)
            for member in ("action", "resource", "parameters", "task"):
                assert shown[member] == request[member]
        for agent, task in self.ledger.completed:
            shown = self.authority.agent(agent).get(f"/v1/tasks/{task}").ok()
            assert shown["state"] == "completed", shown
        signed = {leaf["about"] for leaf in map(json.loads, self.tree())
                  if leaf["kind"] == "approval"}
        assert set(self.ledger.signed) <= signed

    def requests(self):
        """id -> request, of every call."""
        return {call.request["id"]: call for call in self.ledger.calls
                if call.request}

    def ends(self):
        """What is armed and has no end is visible, and gets one."""
        leaves = [json.loads(entry) for entry in self.tree()]
        self.open += len(cut_short(leaves))
        for index in stories.open_armed(self.authority):
            about = leaves[index]["about"] if index < len(leaves) else None
            call = self.requests().get(about)
            if not call:
                continue  # of a grant, or armed since: below
            state = self.authority.agent(call.agent).show(about)["state"]
            assert (state in ("armed", "reading", "unknown")
                    or index not in stories.open_armed(self.authority)), (
                        about, state)
        wait_until(lambda: not stories.open_armed(self.authority),
                   "an end of everything armed", pause=0.3)
        wait_until(lambda: self.authority.health()["unknown"] == 0,
                   "nothing to be unknown")

    def effects(self):
        """The target, the grants and the log tell the same."""
        wait_until(self.agree, "target and grants to agree", pause=0.2)
        known = set(self.requests())
        for entry in self.tree():
            leaf = json.loads(entry)
            about = leaf.get("about", "")
            if about.startswith("req_"):
                assert about in known, (
                    f"{about} is in the log and stands for no call: {leaf}")
        placed = self.placed_by_log()
        assert self.held() - self.preserved <= placed, "without a leaf"

    def active(self):
        ada = self.authority.human("ada")
        rows = ada.get("/v1/grants?state=active").ok()["grants"]
        assert len(rows) < 500
        return {(row["resource"], row["parameters"]["member"])
                for row in rows}

    def agree(self):
        try:
            ending = self.authority.human("ada").get(
                "/v1/grants?state=ending").ok()["grants"]
        except AssertionError:  # the session was the old daemon's
            self.authority.human("ada").login()
            return False
        if ending:
            return False
        now = self.active()
        held = self.held() - self.preserved
        # A grant may end between two looks: they must agree at one time.
        return now == held and now == self.active()

    def placed_by_log(self):
        """What leaves say was placed, of requests that are known."""
        placed = set()
        known = self.requests()
        for entry in self.tree():
            leaf = json.loads(entry)
            call = known.get(leaf.get("about"))
            if (call and leaf["kind"] in TELLING_OUTCOMES
                    and leaf.get("effect") in ("applied", "differs")
                    and call.request["action"] == "AddToGroup"):
                placed.add((call.request["resource"],
                            call.request["parameters"]["member"]))
        return placed


def run_round(authority, ledger, kill, seconds, seed):
    """Loads the authority for a while, kills, and starts it again."""
    stop = threading.Event()
    threads = [Worker(authority, ledger, agent, stop, f"{seed}/{agent}")
               for agent in AGENTS]
    watch = Watch(authority, ledger, stop)
    for thread in (*threads, watch):
        thread.start()
    time.sleep(seconds)
    kill(authority)
    stop.set()
    for thread in (*threads, watch):
        thread.join(60)
        assert not thread.is_alive(), "a call that is never answered"
    for name in harness.PEOPLE:  # sessions do not outlive the daemon
        authority.human(name).session = None
    restart(authority)
    assert not ledger.faults, ledger.faults


def prepare(authority):
    """The inventory, and what people vouch for."""
    authority.found(more_agents)
    stories.vouch(authority, "mail-admins")
    return authority


def held_by_null(authority):
    return lambda: stories.memberships(authority)


def held_by_directory(directory):
    return lambda: {
        (dn, member) for dn, attributes in directory.search(
            GROUPS, "(objectClass=groupOfNames)", ["member"])
        for member in attributes.get("member", [])}


def crash(authority, held, count, seed, kills=KILLS, say=None):
    """count rounds; the first ones go through all ways to kill."""
    chance = random.Random(seed)
    prepare(authority)
    check = Check(authority, Ledger(), held, held())
    order = list(kills)
    chance.shuffle(order)
    for number in range(count):
        kill = order[number % len(order)]
        seconds = chance.uniform(0.05, 1.2)
        run_round(authority, check.ledger, kill, seconds, f"{seed}/{number}")
        check.all()
        if say:
            say(f"round {number + 1}: {kill.__name__} after {seconds:.2f} s, "
                f"{len(check.ledger.calls)} calls, {check.open} open ends, "
                f"{authority.health()['leaves']} leaves: nothing is missing")
    state = authority.folder / "seen-by-the-test"
    for _ in range(2):
        done = authority.verify("--state", state)
        assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert len(check.ledger.calls) >= count
    return check


def with_directory(count, seed, say):
    from slapd import entry_ldif  # pylint: disable=import-outside-toplevel

    with harness.demo_directory() as directory:
        for dn in accounts():
            uid = dn.split(",")[0].split("=")[1]
            directory.add(entry_ldif(dn, {
                "objectClass": ["inetOrgPerson"], "uid": uid, "cn": uid,
                "sn": uid}))
        with harness.Authority(directory=directory,
                               bundle_options=("--bench",)) as authority:
            crash(authority, held_by_directory(directory), count, seed,
                  say=say)


def with_null(count, seed, say):
    with harness.Authority(bundle_options=("--bench",)) as authority:
        crash(authority, held_by_null(authority), count, seed, say=say)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds())
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--ldap", action="store_true",
                        help="against a real OpenLDAP server")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    run = with_directory if options.ldap else with_null
    run(options.rounds, options.seed, lambda text: print(text, flush=True))


if __name__ == "__main__":
    main()
