"""What many tests tell of: who asks, who signs, what the connector does wrong,
and what the log holds afterwards."""
import base64
import collections
import hashlib
import itertools
import json
import os
import signal
import sqlite3
import urllib.parse

import harness
import tlog
from harness import TARGET, group, person, wait_until

_numbers = itertools.count(1)
SOON = 1  # seconds a connector has in tests about one that does not answer


def somebody():
    """The account of a person nobody has used yet and nobody owns."""
    return person(f"guest{next(_numbers)}")


def add(bot, task, name, member, **more):
    return bot.ask(task, "AddToGroup", group(name), member, **more)


def remove(bot, task, name, member, **more):
    return bot.ask(task, "RemoveFromGroup", group(name), member, **more)


def vouch(authority, name, *kinds, action="AddToGroup"):
    """The owner's acknowledgement for a group, and other kinds by frank."""
    for kind in ("owner_ack",) + kinds:
        by = "erin" if kind == "owner_ack" else "frank"
        authority.human(by).vouch(kind, action, group(name)).ok(201)


def waiting(authority, name="mail-admins", member=None, bot=None, task=None,
            **more):
    """A request of tier 2 that waits for one of iam-approvers (or, for
    domain-admins, of tier 3 that waits for three people)."""
    bot = bot or authority.agent("hr-bot")
    task = task or bot.open_task()
    vouch(authority, name, *(("ticket",) if name == "domain-admins" else ()))
    answer = add(bot, task, name, member or somebody(), **more)
    request = answer.ok(202)
    assert request["state"] == "waiting", request
    return request


def states(authority, kind, bot=None):
    """id -> state of what an agent (or ada) sees."""
    reader = bot or authority.human("ada")
    return {row["id"]: row["state"] for row in reader.get(f"/v1/{kind}")
            .ok()[kind]}


def grants(authority):
    return {row["id"]: row for row in
            authority.human("ada").get("/v1/grants").ok()["grants"]}


def grant_state(authority, ident, *wanted):
    """Waits until a grant is in one of these states."""
    return wait_until(
        lambda: (lambda row: row if row["state"] in wanted else None)(
            grants(authority)[ident]), f"{ident} to be {wanted}")


def memberships(authority):
    """What the target of writ-connect-null holds: {(group, member)}."""
    path = authority.folder / "memberships.json"
    held = json.loads(path.read_text()) if path.exists() else {}
    return {(resource, member) for resource, members in held.items()
            for member in members}


def holds(authority, name, member):
    return (group(name), member) in memberships(authority)


# The connector.

def connector_pids(authority):
    name = f"writ-connect-{authority.kind}"
    found = []
    for pid in authority._children():  # pylint: disable=protected-access
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if name.encode() in file.read():
                    found.append(pid)
        except OSError:
            pass
    return found


def is_up(authority):
    return all(row["up"] for row in authority.health()["connectors"])


def restart_connector(authority):
    """Ends the connector as a crash would; writd starts another."""
    before = connector_pids(authority)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: set(connector_pids(authority)) - set(before)
               and is_up(authority), "another connector")


def set_faults(authority, **faults):
    """What writ-connect-null does wrong from now on."""
    authority.write_connector(faults=faults or None)
    restart_connector(authority)


def change_target(authority, *pairs, drop=()):
    """Somebody else changes the target of writ-connect-null."""
    held = (memberships(authority) | set(pairs)) - set(drop)
    doc = collections.defaultdict(dict)
    for resource, member in held:
        doc[resource][member] = True
    (authority.folder / "memberships.json").write_text(json.dumps(doc))
    restart_connector(authority)


def impatient(folder, seconds=SOON, **options):
    """An authority that gives its connector only a second."""
    made = harness.Authority(folder=folder, **options)
    made.write_config(connectors=[{
        "target": TARGET, "timeoutSeconds": seconds, "command": [
            harness.program(f"writ-connect-{made.kind}"), "--config",
            str(made.folder / "connector.yaml")]}])
    return made


# The log.

def fetch(authority, path):
    answer = authority.call("GET", f"/log/{path}")
    assert answer.status == 200, answer
    return answer.raw


def tree(authority, through=0):
    """(checkpoint, entries), verified with the second implementation, once the
    published checkpoint covers leaf through."""
    vkey = tlog.VKey(authority.vkey)

    def covering():
        answer = authority.call("GET", "/log/checkpoint")
        if answer.status == 404:  # nothing has been signed yet
            return None
        note = tlog.Checkpoint(answer.raw, vkey)
        return note if note.size > through else None

    checkpoint = wait_until(covering, f"a checkpoint over leaf {through}")
    entries = []
    for number, width in tlog.tiles(0, checkpoint.size):
        entries += tlog.entries_of(
            fetch(authority, tlog.tile_path("entries", number, width)))
    hashes = [tlog.leaf_hash(entry) for entry in entries]
    assert tlog.root_of(hashes) == checkpoint.root
    return checkpoint, entries


def leaves(authority):
    """All leaves that are durable now, in order, as objects."""
    count = authority.health()["leaves"]
    return [json.loads(entry) for entry in tree(authority, count - 1)[1]]


def has_leaf(authority, reference):
    """Whether {"index", "hash"} is in the log, by two ways."""
    shown = authority.leaf(reference["index"])
    _, entries = tree(authority, reference["index"])
    entry = entries[reference["index"]]
    return (shown["hash"] == reference["hash"]
            and shown["leaf"].encode() == entry
            and "sha256:" + tlog.leaf_hash(entry).hex() == reference["hash"])


def open_armed(authority):
    """Indices of armed leaves that nothing has closed."""
    still = {}
    for index, leaf in enumerate(leaves(authority)):
        if leaf["kind"] == "armed":
            still[index] = leaf["about"]
        elif (leaf["kind"] in ("outcome", "ended", "recovery", "resolved",
                               "drill") and leaf.get("effect") != "unknown"):
            still = {at: about for at, about in still.items()
                     if about != leaf["about"] and at != leaf.get("armed")}
    return sorted(still)


def armed_for(authority, ident):
    return [leaf for leaf in leaves(authority)
            if leaf["kind"] == "armed" and leaf["about"] == ident]


def verified(authority):
    """The verifier that ships finds nothing wrong."""
    tree(authority, authority.health()["leaves"] - 1)
    done = authority.verify()
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return True


def plan_of(authority, request, by="ada"):
    """The plan that was armed, as the evidence holds it."""
    answer = authority.human(by).disclose(
        request["evidence"]["armed"]["index"]).ok()
    return answer["payload"]


def quoted(text):
    return urllib.parse.quote(text, safe="")


def unb64(text):
    return base64.b64decode(text)


# The database, as who owns the machine could change it while writd is down.

def put_documents(authority, noun, docs, like):
    """Writes state documents with their columns and sums; what they have no
    member for is as in the row of the one they are like."""
    database = sqlite3.connect(authority.data / "state.db")
    database.row_factory = sqlite3.Row
    old = dict(database.execute(f"SELECT * FROM {noun} WHERE id = ?",
                                (like,)).fetchone())
    for doc in docs:
        text = harness.canonical(doc)
        head = f"{noun} {old['leaf']} {doc['id']}\0"
        row = {**old, **{name: doc[name] for name in old if name in doc},
               "doc": text,
               "sum": hashlib.sha256((head + text).encode()).digest()}
        database.execute(
            f"REPLACE INTO {noun}({', '.join(row)})"
            f" VALUES({', '.join('?' * len(row))})", tuple(row.values()))
    database.commit()
    database.close()


def edit_document(authority, noun, ident, **members):
    """Replaces members of a state document."""
    put_documents(authority, noun,
                  [{**document(authority, noun, ident), **members}],
                  like=ident)


def document(authority, noun, ident):
    database = sqlite3.connect(authority.data / "state.db")
    (text,), = database.execute(f"SELECT doc FROM {noun} WHERE id = ?",
                                (ident,)).fetchall()
    database.close()
    return json.loads(text)
