"""A whole authority over a real OpenLDAP server: accounts that are suspended by
request, roles, a second account that reads back, drills that repeat, and what a
target holds taken into the inventory."""
import json
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
import harness
import slapd
import stories
from harness import TARGET, group, person, wait_until
from slapd import entry_ldif

SERVICES = "ou=services,dc=example,dc=org"
ROLES = "ou=roles,dc=example,dc=org"
POLICY = f"cn=policy,{SERVICES}"
WRIT, READER = f"cn=writ,{SERVICES}", f"cn=writ-read,{SERVICES}"
BATCH = f"uid=svc-batch,{SERVICES}"
MARKED = f"uid=writ-drill,{SERVICES}"
READER_SECRET, BATCH_SECRET = "reader-secret", "batch-secret"
ONCALL, MARKED_ROLE = f"cn=oncall,{ROLES}", f"cn=writ-drill,{ROLES}"

ACCESS = f"""
access to dn.base="" by * read
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{harness.GROUPS}" attrs=member by dn.exact="{WRIT}" write by dn.exact="{READER}" read by * none
access to dn.subtree="{ROLES}" attrs=roleOccupant by dn.exact="{WRIT}" write by dn.exact="{READER}" read by * none
access to dn.subtree="{SERVICES}" attrs=pwdAccountLockedTime by dn.exact="{WRIT}" write by dn.exact="{READER}" read by * none
access to * by dn.exact="{WRIT}" read by dn.exact="{READER}" read by anonymous auth by * none
"""

DRILLS = [{"action": "SuspendAccount", "resource": MARKED, "parameters": {}},
          {"action": "GrantRole", "resource": MARKED_ROLE,
           "parameters": {"member": MARKED}}]

pytestmark = pytest.mark.skipif(
    not (slapd.AVAILABLE and harness.built()),
    reason="needs a build and an installed slapd")


def role_ldif(dn):
    return entry_ldif(dn, {"objectClass": "organizationalRole",
                           "cn": dn.partition(",")[0][3:]})


def seed():
    text = harness.fill((harness.EXAMPLE / "directory.ldif").read_text(),
                        {"PASSWORD": "connector-secret"})
    return text + "\n" + entry_ldif(ROLES, {
        "objectClass": "organizationalUnit", "ou": "roles"}) + \
        role_ldif(ONCALL) + role_ldif(MARKED_ROLE) + entry_ldif(POLICY, {
            "objectClass": ["organizationalRole", "pwdPolicy"],
            "cn": "policy", "pwdAttribute": "userPassword",
            "pwdLockout": "TRUE"}) + entry_ldif(READER, {
                "objectClass": ["organizationalRole", "simpleSecurityObject"],
                "cn": "writ-read", "userPassword": READER_SECRET}) + \
        entry_ldif(BATCH, {
            "objectClass": ["inetOrgPerson"], "uid": "svc-batch",
            "cn": "nightly batch", "sn": "batch",
            "description": "copies payroll at night",
            "manager": person("erin"), "userPassword": BATCH_SECRET,
            "createTimestamp": "20240101000000Z"})


@pytest.fixture
def served():
    with slapd.Slapd(seed(), access=ACCESS, config="lastbind on", overlays={
            "ppolicy": f"ppolicy_default {POLICY}", "memberof": "",
            "refint": "refint_attributes member"}) as server:
        yield server


def classify(manifests):
    """Accounts of services and the role are tier 1; agents may ask for them."""
    for manifest in manifests:
        spec = manifest["spec"]
        if manifest["kind"] == "Target":
            spec["classification"] += [
                {"match": {"suffix": f",{SERVICES}", "type": "Account"},
                 "tier": 1, "sensitivity": 1},
                {"match": {"suffix": f",{ROLES}", "type": "Role"},
                 "tier": 1, "sensitivity": 1}]
        if manifest["kind"] == "TaskClass":
            spec["actions"] += ["SuspendAccount", "ResumeAccount",
                                "GrantRole", "RevokeRole"]
    return manifests


@pytest.fixture
def make(served, make_authority):
    def authority(drill=True, change=classify, **more):
        made = make_authority(directory=served, connector_changes={
            "accounts": {"base": SERVICES, "policy": POLICY},
            "roles": {"base": ROLES}, "drills": DRILLS}, **more)
        return made.found(change=change, drill=drill)
    return authority


def binds(server, dn, secret):
    return subprocess.run(
        ["ldapwhoami", "-x", "-H", server.url, "-D", dn, "-w", secret],
        capture_output=True, check=False,
        env=server._env()).returncode == 0


def ask(bot, task, action, resource, parameters=None, **more):
    body = {"task": task, "action": action, "target": TARGET,
            "resource": resource, "parameters": parameters or {},
            "mode": "execute", "ttl": more.pop("ttl", "15m")}
    return bot.call("POST", "/v1/requests?wait=20", body)


# ---- accounts and roles by request ----

def sign(authority, request, name):
    """Whether somebody of the group approves it."""
    digest = authority.human("ada").get(f"/v1/requests/{request}").ok()[
        "digest"]
    return any(authority.human(human).approve(
        request, name, digest=digest).status < 300
               for human in ("alice", "bob", "carol", "dave", "oscar"))


def settle(authority, answer):
    """Signs for what waits; the request once it has ended."""
    request = answer.ok(200, 201, 202)
    bot = authority.agent("hr-bot")
    for _ in range(4):
        if request["state"] != "waiting":
            break
        for name in request["waitingFor"]:
            assert sign(authority, request["id"], name)
        request = bot.show(request["id"], wait=10)
    return bot.wait(request["id"])


def test_an_account_is_suspended_by_request_and_resumed_by_its_rollback(
        make, served):
    authority = make()
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    assert binds(served, BATCH, BATCH_SECRET)
    done = settle(authority, ask(bot, task, "SuspendAccount", BATCH))
    assert done["state"] == "done", done
    assert not binds(served, BATCH, BATCH_SECRET)
    # A suspension is no loan: it outlives its task.
    bot.complete(task).ok()
    assert not binds(served, BATCH, BATCH_SECRET)
    again = bot.open_task()
    undone = settle(authority, bot.rollback(done["id"], task=again))
    assert undone["state"] in ("done", "rolled_back"), undone
    assert binds(served, BATCH, BATCH_SECRET)
    assert stories.verified(authority)


def test_a_role_that_was_granted_ends_with_its_task(make, served):
    authority = make()
    stories_task = authority.agent("hr-bot").open_task()
    bot = authority.agent("hr-bot")
    for kind, who in (("owner_ack", "erin"), ("ticket", "frank")):
        authority.human(who).vouch(kind, "GrantRole", ONCALL)
    done = settle(authority, ask(bot, stories_task, "GrantRole", ONCALL,
                                 {"member": person("nora")}))
    assert done["state"] == "done", done
    assert served.values(ONCALL, "roleOccupant") == [person("nora")]
    bot.complete(stories_task).ok()
    wait_until(lambda: served.values(ONCALL, "roleOccupant") == [],
               "the role to end")
    assert stories.verified(authority)


@pytest.mark.parametrize("action, parameters", [
    ("SuspendAccount", {"member": "x"}), ("GrantRole", {})])
def test_parameters_of_another_action_are_refused(make, action, parameters):
    authority = make(drill=False)
    bot = authority.agent("hr-bot")
    resource = BATCH if action == "SuspendAccount" else ONCALL
    refused = ask(bot, bot.open_task(), action, resource, parameters).refused(
        422, "invalid")
    assert refused["errors"][0]["at"].startswith("/parameters")


# ---- drills ----

def test_every_pair_of_actions_is_drilled(make, served):
    authority = make(drill=False)
    told = authority.human("ada").drill().ok()
    assert told["passed"] is True
    assert [row["action"] for row in told["drills"]] == [
        "AddToGroup", "SuspendAccount", "GrantRole"]
    assert all(row["passed"] for row in told["drills"])
    assert all(stories.has_leaf(authority, row["evidence"])
               for row in told["drills"])
    assert served.values(MARKED_ROLE, "roleOccupant") == []
    assert stories.verified(authority)


def test_a_pair_that_cannot_be_undone_fails_and_the_others_count(make, served):
    served.delete(MARKED_ROLE)
    authority = make(drill=False)
    told = authority.human("ada").drill().ok()
    assert told["passed"] is False
    assert [row["passed"] for row in told["drills"]] == [True, True, False]


def test_a_drill_touches_no_account_but_the_marked_one(make):
    """The connector's own file says which; another is refused there."""
    authority = make(drill=False)
    authority.write_connector(drills=[
        {"action": "SuspendAccount", "resource": f"uid=nobody,{SERVICES}",
         "parameters": {}}])
    stories.restart_connector(authority)
    told = authority.human("ada").drill().ok()
    assert told["passed"] is False


def repeated(manifests):
    for manifest in classify(manifests):
        if manifest["kind"] == "Target":
            manifest["spec"]["drillEvery"] = "1h"
    return manifests


def drill_leaves(authority):
    return [leaf for leaf in stories.leaves(authority)
            if leaf["kind"] == "drill"]


def test_drills_repeat_by_themselves_where_the_target_wants_it(make):
    authority = make(drill=False, change=repeated)
    wait_until(lambda: len(drill_leaves(authority)) == 3, "three drills")
    assert all(leaf["passed"] for leaf in drill_leaves(authority))
    # They are not due again, and a restart does not make them so.
    authority.restart()
    wait_until(authority.target_is_up, "the connector")
    assert len(drill_leaves(authority)) == 3
    # An hour later they are.
    authority.stop()
    for action in "SuspendAccount", "ResumeAccount":
        stories.edit_document(authority, "drill", f"{TARGET}/{action}",
                              atMs=1)
    authority.start()
    wait_until(lambda: len(drill_leaves(authority)) == 4, "another drill")
    assert stories.verified(authority)


def test_without_that_no_drill_begins_by_itself(make):
    authority = make(drill=False)
    authority.human("ada").drill().ok()
    assert len(drill_leaves(authority)) == 3


# ---- a second account that reads ----

def reader_config(authority, **changes):
    path = authority.folder / "reader.yaml"
    secret = authority.folder / "reader-password"
    secret.touch(mode=0o600)
    secret.write_text(READER_SECRET)
    path.write_text(json.dumps({
        "target": TARGET, "url": authority.directory.url,
        "base": harness.GROUPS, "bind": {
            "method": "simple", "dn": READER, "passwordFile": str(secret)},
        **changes}))
    return path


def with_reader(authority, **changes):
    path = reader_config(authority, **changes)
    ldap = harness.program("writ-connect-ldap")
    authority.write_config(connectors=[{
        "target": TARGET,
        "command": [ldap, "--config", str(authority.folder / "connector.yaml")],
        "readCommand": [ldap, "--config", str(path)]}])
    authority.restart()
    wait_until(authority.target_is_up, "the connector")
    return authority


def grant_of_tier_2(authority):
    request = stories.waiting(authority, "mail-admins", person("nora"))
    for name in request["waitingFor"]:
        assert sign(authority, request["id"], name)
    return authority.agent("hr-bot").show(request["id"], wait=20)


def test_a_second_account_says_what_was_done_from_tier_2_on(make, served):
    authority = with_reader(make())
    row, = authority.health()["connectors"]
    wait_until(lambda: authority.health()["connectors"][0]["readerUp"],
               "the reader")
    assert row["target"] == TARGET
    done = grant_of_tier_2(authority)
    assert done["state"] == "done", done
    assert person("nora") in served.values(group("mail-admins"), "member")


def test_what_the_second_account_cannot_see_is_unknown(make, served):
    """It is not replaced by the one that made the change."""
    authority = with_reader(make(), base="ou=nothing,dc=example,dc=org")
    done = grant_of_tier_2(authority)
    assert done["state"] == "unknown", done
    assert person("nora") in served.values(group("mail-admins"), "member")


def test_below_tier_2_the_first_account_is_enough(make):
    authority = with_reader(make(), base="ou=nothing,dc=example,dc=org")
    bot = authority.agent("hr-bot")
    done = stories.add(bot, bot.open_task(), "lunch-list",
                       stories.person("nora")).ok()
    assert done["state"] == "done", done


def test_the_second_connector_carries_out_no_order(make, served):
    """It has no authority in its file, and an account that may only read."""
    authority = make()
    from connector_process import Connector  # pylint: disable=import-outside-toplevel
    reader = Connector(harness.program("writ-connect-ldap"),
                       json.loads(reader_config(authority).read_text()),
                       authority.folder / "by-hand")
    answer = reader.call("apply", order={})
    assert answer["result"] == "refused"
    reader.close()


# ---- taking in what there is ----

def test_services_are_proposed_as_agents_without_an_owner(make, served):
    authority = make(drill=False)
    done = authority.human("ada").writ("login")
    assert done.returncode == 0, done.stderr
    done = authority.human("ada").writ("agent", "import", TARGET)
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode()
    docs = {d["metadata"]["name"]: d for d in harness.read_yaml(text)}
    batch = docs["svc-batch"]
    assert batch["kind"] == "Agent" and batch["spec"]["owner"] is None
    assert batch["spec"]["accounts"] == [f"{TARGET}/{BATCH}"]
    assert batch["spec"]["purpose"] == "copies payroll at night"
    # Nobody has used it since it was made: it rests until somebody says so.
    assert "CHECK stale" in text or b"0 of them" in done.stderr
    assert "MISSING" in text and "erin" in text
    # hr-bot's account is in the inventory already.
    assert not any(f"{TARGET}/uid=hr-bot,{SERVICES}" in d["spec"]["accounts"]
                   for d in docs.values())


def test_a_proposal_is_applied_once_its_owner_is_filled_in(make, tmp_path):
    authority = make(drill=False)
    ada = authority.human("ada")
    assert ada.writ("login").returncode == 0
    text = ada.writ("agent", "import", TARGET).stdout.decode()
    batch, = [part for part in text.split("---\n") if "svc-batch" in part]
    path = tmp_path / "batch.yaml"
    path.write_text(batch)
    refused = ada.writ("apply", "-f", path, "--dry-run")
    assert refused.returncode != 0 and b"owner" in refused.stderr + refused.stdout
    path.write_text(batch.replace("owner:   #", "owner: erin #"))
    shown = ada.writ("apply", "-f", path, "--dry-run")
    assert shown.returncode == 0, shown.stderr
    authority.apply(harness.read_yaml(path.read_text()))
    assert authority.inventory("Agent", "svc-batch").ok()["spec"][
        "owner"] == "erin"
    again = ada.writ("agent", "import", TARGET).stdout.decode()
    assert "svc-batch" not in again


def test_only_administrators_look_through_a_target(make):
    authority = make(drill=False)
    path = f"/v1/targets/{TARGET}/discovery"
    assert authority.human("ada").get(path).ok()["target"] == TARGET
    authority.human("bob").get(path).refused(403, "may-not-discover")
    assert authority.agent("hr-bot").get(path).status in (401, 403)
    assert authority.call("GET", path).status == 401
    authority.human("ada").get("/v1/targets/nowhere/discovery").refused(404)
    authority.human("ada").get(f"{path}?limit=0").refused(400, "limit")
    authority.human("ada").get(f"{path}?after=9:").refused(422)


def test_pages_of_what_there_is_follow_each_other(make):
    authority = make(drill=False)
    path, found, after = f"/v1/targets/{TARGET}/discovery?limit=2", [], ""
    while True:
        page = authority.human("ada").get(path + after).ok()
        found += [row["id"] for row in page["accounts"]]
        if "next" not in page:
            break
        after = "&after=" + stories.quoted(page["next"])
    assert len(found) == len(set(found)) and {BATCH, MARKED, group(
        "lunch-list"), ONCALL} <= set(found)


def test_a_target_that_cannot_tell_says_so(authority):
    authority.human("ada").get(f"/v1/targets/{TARGET}/discovery").refused(
        409, "cannot-discover")
