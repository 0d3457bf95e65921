"""What lending costs: tokens issued and introspected a second, how long after a
task's end everything it had is confirmed to be taken back, and what a chain of
delegation adds to a denial."""
import json
import sqlite3
import tempfile
import time
import urllib.parse

import harness
import issuing
import lending
import scale
from harness import wait_until
from oauth import ASSERTION, GRANT
from postgres import AVAILABLE, Postgres
from tokens import DROP

ROLE = "reports:read"
MANY = "many-api"  # a target of as many roles as are held at once
CONNECTIONS = (1, 16, 64)
TASKS_A_SECOND = {1: 400, 16: 1200, 64: 1500}  # a token for each
LENT = (1, 100, 1000)
LOGINS = (1, 100)
DEPTH = 3


def lowest(**match):
    return {"match": match, "tier": 0, "sensitivity": 0}


def token_authority():
    return harness.Authority(
        bundle_options=("--bench",), connector_changes={"memberships": None},
        config_changes={**scale.CONFIG, **issuing.OAUTH})


def many_api():
    spec = issuing.target(issuing.API)["spec"]
    return {"kind": "Target", "metadata": {"name": MANY}, "spec": {
        **spec, "issues": {"form": "token",
                           "audience": "https://many.example/"},
        "classification": [lowest(resource=f"r{n}")
                           for n in range(max(LENT))]}}


def found(authority):
    def add(given):
        return issuing.manifests(issuing.API)(given) + [many_api()]
    return issuing.found(authority, add)


def open_task(agent):
    return issuing.open_task(agent, issuing.API, MANY, ttl="8h")


def ask_body(task, role, target):
    return {"task": task, "action": "IssueCredential", "target": target,
            "resource": role, "parameters": {}, "mode": "execute"}


def lend(load, authority, agent, body, connections, seconds, **more):
    """By /v1: what is lent is asked for, then its secret is taken."""
    return load(authority, agent, body, connections, seconds,
                then="/v1/requests/{id}/secret", **more)


# ---- what the keeper alone does, and the way to it ----

def measure_keeper(bench, seconds):
    """The rates without anything that decides, by tokens asked for at once."""
    rows = []
    with token_authority() as authority:
        authority.stop()
        for what, alone in (("keeper alone", ["--keeper"]),
                            ("leaf, proof and keeper", [])):
            for waiting in CONNECTIONS:
                done = bench("bench_issue", "--config", authority.config_path,
                             "--waiting", waiting, "--seconds", seconds,
                             "--count", 20000 if waiting > 1 else 4000, *alone)
                rows.append((f"token made: {what}", waiting,
                             {**json.loads(done), "status": {}}))
    return rows


# ---- tokens ----

def open_tasks(load, authority, agent, count):
    """Ids of so many new tasks: in one task a token takes the place of the one
    before."""
    def ids():
        database = sqlite3.connect(authority.data / "state.db")
        rows = database.execute(
            "SELECT id FROM task WHERE state = 'open'").fetchall()
        database.close()
        return {ident for (ident,) in rows}

    before = ids()
    done = load(authority, agent, {
        "class": "lending", "intent": "one of many",
        "targets": [issuing.API], "ttl": "8h"}, 16, 60, requests=count,
        path="/v1/tasks")
    assert done["status"] == {"201": count}, done["status"]
    return sorted(ids() - before)


def token_form(authority, agent, task, role):
    detail = json.dumps([{"type": "writ_task", "task": "TASK"}])
    return urllib.parse.urlencode({
        "grant_type": GRANT + "jwt-bearer", "resource": issuing.AUDIENCE,
        "scope": role, "authorization_details": detail,
        "assertion": authority.issuer.mint(agent.spiffe_id, issuing.ISSUER,
                                           jti=DROP),
    }).replace("TASK", task)


def measure_lending(load, authority, bot, seconds):
    form = token_form(authority, bot, "{line}", ROLE)
    body = ask_body("{line}", ROLE, issuing.API)
    for connections in CONNECTIONS:
        count = seconds * TASKS_A_SECOND[connections]
        tasks = open_tasks(load, authority, bot, count)
        yield ("token lent, /v1 and its secret", connections, lend(
            load, authority, bot, body, connections, seconds, requests=count,
            lines=tasks))
        tasks = open_tasks(load, authority, bot, count)
        yield ("token lent, OAuth", connections, load(
            authority, None, form, connections, seconds, requests=count,
            path="/oauth/token", lines=tasks))
    yield ("token in place of another, OAuth", 16, load(
        authority, None, form, 16, seconds, requests=count,
        path="/oauth/token", lines=tasks))


def measure_introspection(load, authority, bot, seconds):
    gateway = authority.agent("gateway")
    task = open_task(bot)
    _, secret = issuing.lend(bot, task, ROLE, ttl="1h")
    assert issuing.introspect(gateway, secret["token"])["active"]
    form = urllib.parse.urlencode({
        "token": secret["token"], "client_assertion_type":
        ASSERTION + "jwt-spiffe", "client_assertion": authority.issuer.mint(
            gateway.spiffe_id, issuing.ISSUER, jti=DROP)})
    for connections in CONNECTIONS:
        yield ("token introspected", connections, load(
            authority, None, form, connections, seconds,
            path="/oauth/introspect"))


def measure_tokens(load, seconds):
    """Rows of (what, connections, figures)."""
    with token_authority() as authority:
        found(authority)
        bot = authority.agent("hr-bot")
        yield from measure_introspection(load, authority, bot, seconds)
        yield from measure_lending(load, authority, bot, seconds)


# ---- the end ----

def end_of(agent, task):
    """Seconds from the call that completes a task until it is answered that
    all it had is confirmed to be gone."""
    began = time.monotonic()
    answer = agent.complete(task).ok(200, 202)
    if answer["state"] == "ending":
        wait_until(lambda: agent.get(f"/v1/tasks/{task}").ok()["state"]
                   == "completed", "the task to end", patience=300)
    return time.monotonic() - began


def count_ended(authority, task):
    """Grants of a task that were read back as gone."""
    database = sqlite3.connect(authority.data / "state.db")
    grants = [json.loads(doc) for (doc,) in database.execute(
        "SELECT doc FROM \"grant\" WHERE state = 'ended'")]
    database.close()
    return sum(task in grant["heldBy"] for grant in grants)


def end_row(what, count, seconds):
    return {"what": what, "count": count, "confirmed_s": seconds}


def lend_all(load, authority, agent, task, count, role="r{n}", target=MANY):
    done = lend(load, authority, agent, ask_body(task, role, target),
                min(16, count), 120, requests=count)
    assert done["status"] == {"200": count}, done["status"]


def measure_token_ends(load):
    rows = []
    with token_authority() as authority:
        found(authority)
        bot = authority.agent("hr-bot")
        for count in LENT:
            task = open_task(bot)
            lend_all(load, authority, bot, task, count)
            seconds = end_of(bot, task)
            assert count_ended(authority, task) == count
            rows.append(end_row("tokens of a task that ends", count, seconds))
        rows.append(measure_containment(load, authority, bot))
    return rows


def measure_containment(load, authority, bot):
    count = max(LENT)
    task = open_task(bot)
    lend_all(load, authority, bot, task, count)
    ada = authority.human(authority.admin)
    began = time.monotonic()
    answer = ada.contain("agent", bot.name).ok()
    wait_until(lambda: scale.has_ended(ada, answer["id"]),
               "every grant to end", patience=120)
    seconds = time.monotonic() - began
    assert count_ended(authority, task) == count
    return end_row("tokens of an agent that is contained", count, seconds)


def many_roles(server, world, count):
    """Roles of the database that a task can have at once."""
    names = [f"app_bench{n}" for n in range(count)]
    server.ask("".join(
        f"CREATE ROLE {name}; GRANT {name} TO writ WITH ADMIN OPTION;"
        for name in names))
    spec = lending.TARGET["spec"]
    world.authority.apply([{**lending.TARGET, "spec": {
        **spec, "classification": spec["classification"] +
        [lowest(resource=name) for name in names]}}])
    world.person("ada").drill(lending.DATABASE).ok()


def measure_login_ends(load):
    if not AVAILABLE:
        return []
    rows = []
    with Postgres() as server, tempfile.TemporaryDirectory() as folder:
        lending.prepare(server)
        with lending.Lending(folder, server) as world:
            many_roles(server, world, max(LOGINS))
            for count in LOGINS:
                task = world.open_task()
                lend_all(load, world.authority, world.bot, task, count,
                         "app_bench{n}", lending.DATABASE)
                seconds = end_of(world.bot, task)
                assert count_ended(world.authority, task) == count
                rows.append(end_row("logins of PostgreSQL, of a task that "
                                    "ends", count, seconds))
    return rows


def measure_ends(load):
    return measure_token_ends(load) + measure_login_ends(load)


# ---- delegation ----

def link(number):
    """An agent of the chain."""
    return {"kind": "Agent", "metadata": {"name": f"link-{number}"}, "spec": {
        "owner": "alice", "purpose": "one of a chain",
        "expires": harness.moment(90 * 86400), "clearance": 2,
        "capabilities": ["execute", "delegate"], "maxDelegationDepth": DEPTH,
        "identities": [f"spiffe://example.org/agent/link-{number}"]}}


def chained(manifests):
    return manifests + [link(n) for n in range(DEPTH + 1)] + [
        {"kind": "TaskClass", "metadata": {"name": "chain-ops"}, "spec": {
            "owner": "alice", "purpose": "to hand on", "domain": "corp",
            "planes": ["directory"],
            "openers": [f"link-{n}" for n in range(DEPTH + 1)],
            "actions": ["AddToGroup", "Delegate"], "maxTier": 3,
            "longest": "8h", "approvalWithin": "4h", "softwareKeys": True}}]


def chain_of(authority):
    """A task of the last link, so many delegations below the first one's."""
    task = authority.agent("link-0").open_task("chain-ops", ttl="8h")
    for number in range(DEPTH):
        task = authority.agent(f"link-{number}").call(
            "POST", f"/v1/tasks/{task}/children", {
                "agent": f"link-{number + 1}", "intent": "to hand on",
                "actions": ["AddToGroup", "Delegate"],
                "targets": [harness.TARGET]}).ok(201)["id"]
    return task


def measure_depth(load, seconds):
    """The same denial, of tier 3 for want of evidence, to the same agent."""
    with scale.null_authority() as authority:
        authority.found(chained)
        last = authority.agent(f"link-{DEPTH}")
        for depth, task in ((0, last.open_task("chain-ops", ttl="8h")),
                            (DEPTH, chain_of(authority))):
            body = last.request_body(task, "AddToGroup",
                                     harness.group("domain-admins"),
                                     f"uid=d{{n}},{harness.STAFF}")
            yield (f"denied, {depth} delegations deep", 16,
                   load(authority, last, body, 16, seconds))
