"""Targets that Writ signs credentials for, and what agents do with them.

    with issuing.authority(folder) as authority:
        bot = authority.agent("hr-bot")
        task = issuing.open_task(bot)
        done = issuing.ask(bot, task, "reports:read").ok(200)
        token = issuing.take(bot, done["id"]).ok(200)["secret"]["token"]
"""
import json
import urllib.parse

import harness
import stories
from harness import wait_until

ISSUER = "https://authority.example"
OAUTH = {"oauth": {"issuer": ISSUER}}
API = "reports-api"
BOUND = "ledger-api"
HOSTS = "build-hosts"
AUDIENCE = "https://reports.example/"
LOGIN = "builder"

RULES = {
    API: [{"match": {"resource": "reports:read"}, "tier": 0, "sensitivity": 0},
          {"match": {"resource": "reports:list"}, "tier": 0, "sensitivity": 0},
          {"match": {"resource": "reports:write"}, "tier": 2, "sensitivity": 1}],
    BOUND: [{"match": {"resource": "ledger:read"}, "tier": 0, "sensitivity": 0}],
    HOSTS: [{"match": {"resource": LOGIN}, "tier": 0, "sensitivity": 0}],
}
ISSUES = {
    API: {"form": "token", "audience": AUDIENCE, "verifiers": ["gateway"]},
    BOUND: {"form": "token", "audience": "https://ledger.example/",
            "binding": "required"},
    HOSTS: {"form": "ssh", "hosts": ["build-1.example"],
            "verifiers": ["gateway"]},
}


def target(name, **changes):
    return {"kind": "Target", "metadata": {"name": name}, "spec": {
        "issues": ISSUES[name], "owner": "erin", "plane": "directory",
        "domain": "corp", "environment": "staging",
        "classification": RULES[name], **changes}}


def agent(name):
    return {"kind": "Agent", "metadata": {"name": name}, "spec": {
        "owner": "frank", "purpose": "checks what callers show it",
        "expires": harness.moment(90 * 86400), "capabilities": ["execute"],
        "clearance": 1,
        "identities": [f"spiffe://example.org/agent/{name}"]}}


def lending(**changes):
    return {"kind": "TaskClass", "metadata": {"name": "lending"}, "spec": {
        "owner": "alice", "purpose": "work on what lends credentials",
        "domain": "corp", "planes": ["directory"],
        "openers": ["hr-bot", "gateway"],
        "actions": ["IssueCredential", "RevokeCredential"], "maxTier": 3,
        "longest": "8h", "approvalWithin": "4h", "softwareKeys": True,
        **changes}}


def manifests(*names, **changes):
    """Those of examples/demo, and targets that issue."""
    def add(given):
        return given + [agent("gateway"), agent("stranger"), lending(),
                        *(target(name, **changes)
                          for name in names or (API, BOUND, HOSTS))]
    return add


def found(authority, change=None, **options):
    authority.found(change=change or manifests(), **options)
    wait_until(lambda: is_up(authority), "the targets that issue")
    return authority


def is_up(authority):
    rows = {row["target"]: row["up"]
            for row in authority.health()["connectors"]}
    return any(rows.get(name) for name in ISSUES)


def open_task(bot, *targets, ttl="1h", **more):
    return bot.open_task("lending", "what a test needs",
                         targets or (API, BOUND, HOSTS), ttl=ttl, **more)


def ask(bot, task, role, on=API, ttl=None, wait=20, action="IssueCredential",
        **parameters):
    body = {"task": task, "action": action, "target": on, "resource": role,
            "parameters": parameters, "mode": "execute"}
    if ttl:
        body["ttl"] = ttl
    return bot.call("POST", f"/v1/requests?wait={wait}", body)


def take(bot, request, wait=20):
    """What a request lent; once."""
    return bot.call("POST", f"/v1/requests/{request}/secret?wait={wait}", {})


def lend(bot, task, role, **more):
    """(the request once it is done, what it lent)"""
    done = ask(bot, task, role, **more).ok(200)
    assert done["state"] == "done", done
    return done, take(bot, done["id"]).ok(200)["secret"]


def grant_of(authority, done):
    return stories.grants(authority)[done["grant"]["id"]]


def ended(authority, done):
    return stories.grant_state(authority, done["grant"]["id"], "ended")


def document(authority, done):
    """The document of a credential, while writd may run."""
    return stories.document(authority, "credential",
                            "crd_" + done["id"].removeprefix("req_"))


def is_revoked(authority, done):
    return document(authority, done)["state"] == "revoked"


def restart(authority):
    authority.restart()
    authority.human("ada").login()


# What others are told of a token.

def post_form(agent, path, **form):
    """As OAuth clients do; the agent's own token is the proof of who asks."""
    return agent.authority.call(
        "POST", path, urllib.parse.urlencode(form).encode(),
        bearer=agent.token(), headers={
            "Content-Type": "application/x-www-form-urlencoded"})


def introspect(agent, token):
    return post_form(agent, "/oauth/introspect", token=token).ok(200)


def revoke(agent, token):
    return post_form(agent, "/oauth/revoke", token=token)


# What signs for them.

def fake_keeper(folder, real, **behaviour):
    """The command of a keeper that hands on to a real one, except for what it
    is told to do otherwise with a method: "refuse", "hang", "die"."""
    script = folder / "keeper.py"
    script.write_text(f"""
import json, struct, subprocess, sys
BEHAVIOUR = {json.dumps(behaviour)}
real = subprocess.Popen({json.dumps([str(w) for w in real])},
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
def read(f):
    head = f.read(4)
    if len(head) < 4:
        real.stdin.close()
        sys.exit(real.wait())
    return head + f.read(struct.unpack(">I", head)[0])
while True:
    frame = read(sys.stdin.buffer)
    call = json.loads(frame[4:])
    how = BEHAVIOUR.get(call["method"].replace("-", "_"))
    if how == "die":
        real.kill()
        sys.exit(1)
    if how == "hang":
        continue
    if how == "refuse":
        body = json.dumps({{"jsonrpc": "2.0", "id": call["id"], "error": {{
            "code": -32000, "message": "told to refuse",
            "data": {{"reason": "used"}}}}}}).encode()
        answer = struct.pack(">I", len(body)) + body
    else:
        real.stdin.write(frame)
        real.stdin.flush()
        answer = read(real.stdout)
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
""")
    return ["/usr/bin/python3", str(script)]


def with_keeper(authority, **behaviour):
    """Puts such a keeper between; for the next start."""
    command = [harness.program("writ-keeper"), "--folder",
               authority.keeper_folder]
    authority.write_config(keeper={"command": fake_keeper(
        authority.folder, command, **behaviour)})


def with_own_keeper(authority):
    authority.write_config(keeper={"command": [
        harness.program("writ-keeper"), "--folder",
        str(authority.keeper_folder)]})
