"""writ-connect-ldap against a real OpenLDAP server: accounts that are suspended,
other kinds of groups, roles, what an account has, and what there is."""
import datetime
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
from ldap_world import (ACCOUNT, GROUPS, PEOPLE, World, group, group_ldif,
                        needs_slapd, person, person_ldif, refused)
from slapd import SUFFIX, entry_ldif, line_ldif

pytestmark = needs_slapd

ROLES = f"ou=roles,{SUFFIX}"
POLICIES = f"ou=policies,{SUFFIX}"
POLICY = f"cn=default,{POLICIES}"
SECRET = "a secret of eve"
LOCKED = "pwdAccountLockedTime"
FOR_GOOD = "000001010000Z"

# What docs/connectors/ldap.md says the account needs for all actions.
ACCESS = f"""
access to dn.base="" by * read
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{GROUPS}" attrs=member,uniqueMember,memberUid by dn.exact="{ACCOUNT}" write by * none
access to dn.subtree="{ROLES}" attrs=roleOccupant by dn.exact="{ACCOUNT}" write by * none
access to dn.subtree="{PEOPLE}" attrs={LOCKED} by dn.exact="{ACCOUNT}" write by * none
access to * by dn.exact="{ACCOUNT}" read by anonymous auth by * none
"""


def role(cn):
    return f"cn={cn},{ROLES}"


def unit_ldif(dn):
    return entry_ldif(dn, {"objectClass": "organizationalUnit",
                           "ou": dn.partition(",")[0].partition("=")[2]})


def policy_ldif(dn=POLICY, **more):
    return entry_ldif(dn, {
        "objectClass": ["organizationalRole", "pwdPolicy"],
        "cn": dn.partition(",")[0].partition("=")[2],
        "pwdAttribute": "userPassword", "pwdLockout": "TRUE",
        "pwdLockoutDuration": "3600", "pwdMaxFailure": "3", **more})


def account_ldif(uid="eve", secret=SECRET, **more):
    return entry_ldif(person(uid), {
        "objectClass": ["inetOrgPerson"], "uid": uid, "cn": uid, "sn": uid,
        "userPassword": secret, **more})


def posix_ldif(uid, gid="5000", dn=None):
    return entry_ldif(dn or person(uid), {
        "objectClass": ["inetOrgPerson", "posixAccount"], "uid": uid,
        "cn": uid, "sn": uid, "uidNumber": "7001", "gidNumber": gid,
        "homeDirectory": f"/home/{uid}"})


def posix_group_ldif(cn, *logins, gid="4000"):
    return entry_ldif(group(cn), {
        "objectClass": "posixGroup", "cn": cn, "gidNumber": gid,
        "memberUid": list(logins)})


class Directory(World):
    """A world with a password policy, accounts and roles."""

    def serve(self, *more, policy=None, **options):
        options.setdefault("access", ACCESS)
        options.setdefault("overlays", {
            "ppolicy": f"ppolicy_default {POLICY}", "memberof": "",
            "refint": "refint_attributes member"})
        options.setdefault("config", "lastbind on")
        return super().serve(unit_ldif(ROLES), unit_ldif(POLICIES),
                             policy or policy_ldif(), *more, **options)

    def config(self, **changes):
        return super().config(**{
            "accounts": {"base": PEOPLE, "policy": POLICY},
            "roles": {"base": ROLES}, **changes})

    def binds(self, dn, secret):
        """Whether somebody gets in."""
        return subprocess.run(
            ["ldapwhoami", "-x", "-H", self.directory.url, "-D", dn, "-w",
             secret], capture_output=True, check=False,
            env=self.directory._env()).returncode == 0

    def do(self, action, resource, parameters=None):
        """Plans and applies; the plan and what came of it."""
        plan = self.ask("plan", action, resource, parameters)
        return plan, self.apply(plan, action)

    def undo(self, plan):
        undo = plan["undo"]
        return self.do(undo["action"], undo["resource"], undo["parameters"])

    def survey(self, limit=500):
        """All pages of discover, by id."""
        rows, cursor = [], {}
        while True:
            page = self.connector.call("discover", limit=limit, **cursor)
            assert len(page["accounts"]) <= limit
            rows += page["accounts"]
            if "next" not in page:
                found = {row["id"]: row for row in rows}
                assert len(found) == len(rows)
                return found
            cursor = {"cursor": page["next"]}

    def entitlements(self, account):
        told = self.connector.call("entitlements", account=account)
        return {row["id"]: row for row in told["entitlements"]}


@pytest.fixture
def empty(tmp_path):
    world = Directory(tmp_path)
    yield world
    world.close()


@pytest.fixture
def world(empty):
    empty.serve(account_ldif())
    empty.connect()
    return empty


def flags(row):
    return {flag.partition(":")[0] for flag in row["flags"]}


# ---- accounts ----

def test_a_suspended_account_is_kept_out_until_it_is_resumed(world):
    eve = person("eve")
    assert world.binds(eve, SECRET)
    plan, done = world.do("SuspendAccount", eve)
    assert done["result"] == "applied" and done["observed"]["suspended"]
    assert not world.binds(eve, SECRET)
    assert world.ask("read", "SuspendAccount", eve)["present"] is True
    assert plan["undo"] == {"action": "ResumeAccount", "resource": eve,
                            "parameters": {}}
    _, done = world.undo(plan)
    assert done["result"] == "applied"
    assert world.binds(eve, SECRET)
    assert world.ask("read", "SuspendAccount", eve)["present"] is False


def test_a_plan_to_suspend_says_who_loses_and_what_it_writes(world):
    plan = world.ask("plan", "SuspendAccount", person("eve"))
    assert plan["loses"] == [{"type": "account", "id": person("eve")}]
    assert plan["gains"] == [] and plan["blastRadius"] == 1
    assert plan["diff"] == [{"op": "add", "attribute": LOCKED,
                             "value": FOR_GOOD}]
    assert plan["before"] == {"suspended": False, "locked": False}
    assert plan["after"] == {"suspended": True, "locked": True,
                             "by": "administration"}
    resumed = world.ask("plan", "ResumeAccount", person("eve"))
    assert resumed["noChange"] is True and resumed["undo"] is None


def test_an_account_is_as_powerful_as_the_groups_it_is_in(empty):
    empty.serve(account_ldif(), group_ldif("admins", person("eve")),
                group_ldif("outer", group("admins")))
    empty.connect()
    plan = empty.ask("plan", "SuspendAccount", person("eve"))
    assert plan["nestedIn"] == [group("admins"), group("outer")]


def test_what_the_server_locked_itself_is_another_state(world):
    eve = person("eve")
    for _ in range(3):
        assert not world.binds(eve, "wrong")
    assert not world.binds(eve, SECRET)
    since, = world.directory.search(eve, attributes=[LOCKED],
                                    scope="base")[0][1][LOCKED.lower()]
    assert since != FOR_GOOD
    plan, done = world.do("ResumeAccount", eve)
    assert plan["before"] == {"suspended": False, "locked": True,
                              "by": "failed logins", "since": since}
    assert plan["gains"] == [{"type": "account", "id": eve}]
    assert plan["diff"] == [{"op": "delete", "attribute": LOCKED,
                             "value": since}]
    # Nobody can place such a lock back.
    assert plan["undo"] is None
    assert done["result"] == "applied" and world.binds(eve, SECRET)


def test_a_lock_by_the_server_becomes_a_suspension(world):
    eve = person("eve")
    for _ in range(3):
        world.binds(eve, "wrong")
    plan, done = world.do("SuspendAccount", eve)
    assert [d["op"] for d in plan["diff"]] == ["delete", "add"]
    assert plan["undo"] is None and done["observed"]["suspended"]
    assert world.directory.search(eve, attributes=[LOCKED], scope="base")[0][
        1][LOCKED.lower()] == [FOR_GOOD]


def test_a_policy_that_does_not_lock_is_told_and_no_word_is_written(empty):
    empty.serve(account_ldif(), policy=policy_ldif(pwdLockout="FALSE"))
    empty.connect()
    message = refused("no-policy", empty.ask, "plan", "SuspendAccount",
                      person("eve"))
    assert "pwdLockout" in message
    # It would have been one: the server lets such an account in.
    empty.directory.modify(
        line_ldif("dn", person("eve")) + "changetype: modify\n"
        f"add: {LOCKED}\n{LOCKED}: {FOR_GOOD}\n")
    assert empty.binds(person("eve"), SECRET)


def test_the_policy_of_the_account_itself_counts(empty):
    own = f"cn=lenient,{POLICIES}"
    empty.serve(account_ldif(pwdPolicySubentry=own),
                policy_ldif(own, pwdLockout="FALSE"))
    empty.connect()
    assert own in refused("no-policy", empty.ask, "plan", "SuspendAccount",
                          person("eve"))


def test_without_a_known_policy_nothing_is_promised(world):
    world.connect(accounts={"base": PEOPLE})
    refused("no-policy", world.ask, "plan", "SuspendAccount", person("eve"))


@pytest.mark.parametrize("resource, reason", [
    (person("nobody"), "no-such-resource"), (ACCOUNT, "out-of-base"),
    (group("ops"), "out-of-base"), ("nonsense", "invalid")])
def test_what_is_no_account_of_ours_is_refused(world, resource, reason):
    for action in "SuspendAccount", "ResumeAccount":
        refused(reason, world.ask, "plan", action, resource)


def test_a_group_is_no_account(world):
    world.connect(accounts={"base": SUFFIX, "policy": POLICY})
    refused("wrong-type", world.ask, "plan", "SuspendAccount", group("ops"))


def test_the_connector_does_not_lock_itself_out(world):
    world.connect(accounts={"base": SUFFIX, "policy": POLICY})
    assert "own account" in refused("invalid", world.ask, "plan",
                                    "SuspendAccount", ACCOUNT)


def test_without_a_base_for_accounts_none_is_ours(world):
    world.connect(accounts=None)
    refused("out-of-base", world.ask, "plan", "SuspendAccount", person("eve"))
    refused("out-of-base", world.connector.call, "entitlements",
            account=person("eve"))


def test_parameters_of_an_account_are_none(world):
    refused("invalid", world.ask, "plan", "SuspendAccount", person("eve"),
            {"member": person("eve")})


def test_a_lock_that_came_after_the_plan_is_not_overwritten(world):
    eve = person("eve")
    plan = world.ask("plan", "SuspendAccount", eve)
    for _ in range(3):
        world.binds(eve, "wrong")
    answer = world.apply(plan, "SuspendAccount")
    assert (answer["result"], answer["reason"]) == ("refused", "precondition")


def test_a_lock_at_the_last_moment_is_caught_by_the_server(world):
    proxy = world.proxy()
    eve = person("eve")
    plan = world.ask("plan", "SuspendAccount", eve)

    def somebody_fails_to_log_in():
        for _ in range(3):
            world.binds(eve, "wrong")

    proxy.before_modify = somebody_fails_to_log_in
    answer = world.apply(plan, "SuspendAccount")
    assert (answer["result"], answer["reason"]) == ("refused", "precondition")
    assert world.directory.search(eve, attributes=[LOCKED], scope="base")[0][
        1][LOCKED.lower()] != [FOR_GOOD]


def test_an_unrelated_change_of_an_account_voids_nothing(world):
    plan = world.ask("plan", "SuspendAccount", person("eve"))
    world.directory.modify(line_ldif("dn", person("eve")) + "changetype: modify\n"
                           "add: description\ndescription: moved\n")
    assert world.apply(plan, "SuspendAccount")["result"] == "applied"


def test_another_account_of_the_same_name_is_not_the_one_suspended(world):
    plan = world.ask("plan", "SuspendAccount", person("eve"))
    world.directory.delete(person("eve"))
    world.directory.add(account_ldif())
    answer = world.apply(plan, "SuspendAccount")
    assert (answer["result"], answer["reason"]) == ("refused", "precondition")
    assert world.binds(person("eve"), SECRET)


def test_an_account_that_may_not_lock_is_told(empty):
    empty.serve(account_ldif(), access=ACCESS.replace(
        f'attrs={LOCKED} by dn.exact="{ACCOUNT}" write',
        f'attrs={LOCKED} by dn.exact="{ACCOUNT}" read'))
    empty.connect()
    plan = empty.ask("plan", "SuspendAccount", person("eve"))
    answer = empty.apply(plan, "SuspendAccount")
    assert (answer["result"], answer["reason"]) == ("refused", "not-allowed")


# ---- other kinds of groups ----

def test_a_member_of_a_group_of_unique_names_is_added_and_removed(empty):
    empty.serve(entry_ldif(group("unique"), {
        "objectClass": "groupOfUniqueNames", "cn": "unique",
        "uniqueMember": person("alice")}))
    empty.connect()
    bob = {"member": person("bob")}
    plan, done = empty.do("AddToGroup", group("unique"), bob)
    assert plan["diff"][0]["attribute"] == "uniqueMember"
    assert done["observed"] == {"member": True}
    assert empty.directory.values(group("unique"), "uniqueMember") == [
        person("alice"), person("bob")]
    assert empty.undo(plan)[1]["result"] == "applied"
    refused("last-member", empty.ask, "plan", "RemoveFromGroup",
            group("unique"), {"member": person("alice")})


def test_a_posix_group_gets_the_login_of_the_account(empty):
    empty.serve(posix_ldif("pia"), posix_group_ldif("unix", "other"))
    empty.connect()
    plan, done = empty.do("AddToGroup", group("unix"),
                          {"member": person("pia")})
    assert plan["diff"] == [{"op": "add", "attribute": "memberUid",
                             "value": "pia"}]
    assert plan["parameters"] == {"member": person("pia"), "login": "pia"}
    assert plan["gains"] == [{"type": "account", "id": person("pia")}]
    assert done["result"] == "applied"
    assert empty.directory.values(group("unix"), "memberUid") == ["other",
                                                                  "pia"]
    assert empty.undo(plan)[1]["result"] == "applied"
    assert empty.directory.values(group("unix"), "memberUid") == ["other"]


def test_a_posix_group_may_become_empty(empty):
    empty.serve(posix_ldif("pia"), posix_group_ldif("unix", "pia"))
    empty.connect()
    assert empty.do("RemoveFromGroup", group("unix"), {
        "member": person("pia")})[1]["result"] == "applied"
    assert empty.directory.values(group("unix"), "memberUid") == []


def test_everybody_who_has_the_login_gains(empty):
    other = f"uid=pia,{GROUPS}"
    empty.serve(posix_ldif("pia"), posix_ldif("pia", dn=other),
                posix_group_ldif("unix"))
    empty.connect()
    plan = empty.plan(group("unix"), person("pia"))
    assert [g["id"] for g in plan["gains"]] == sorted([other, person("pia")])
    assert plan["blastRadius"] == 2


def test_the_login_of_a_posix_group_outlives_its_account(empty):
    empty.serve(posix_ldif("pia"), posix_group_ldif("unix", "pia"))
    empty.connect()
    empty.directory.delete(person("pia"))
    gone = {"member": person("pia")}
    assert "login" in refused("invalid", empty.ask, "plan", "RemoveFromGroup",
                              group("unix"), gone)
    plan, done = empty.do("RemoveFromGroup", group("unix"),
                          {**gone, "login": "pia"})
    assert plan["undo"] is None and done["result"] == "applied"


@pytest.mark.parametrize("parameters, reason", [
    ({"member": person("pia"), "login": "alice"}, "invalid"),
    ({"member": person("pia"), "login": ""}, "invalid"),
    ({"member": group("ops")}, "wrong-type"),
    ({"member": person("two")}, "wrong-type"),
    ({"member": person("nobody")}, "no-such-member")])
def test_a_login_that_cannot_be_told_is_refused(empty, parameters, reason):
    empty.serve(posix_ldif("pia"), posix_group_ldif("unix"),
                entry_ldif(person("two"), {
                    "objectClass": "inetOrgPerson", "uid": ["two", "deux"],
                    "cn": "two", "sn": "two"}))
    empty.connect()
    refused(reason, empty.ask, "plan", "AddToGroup", group("unix"), parameters)


def test_a_login_is_for_posix_groups_only(world):
    refused("invalid", world.ask, "plan", "AddToGroup", group("ops"),
            {"member": person("carol"), "login": "carol"})


def test_a_login_is_data_whatever_it_holds(empty):
    odd = "p*)(uid=*"
    empty.serve(entry_ldif(f"cn=odd,{PEOPLE}", {
        "objectClass": ["inetOrgPerson", "posixAccount"], "uid": odd,
        "cn": "odd", "sn": "odd", "uidNumber": "1", "gidNumber": "1",
        "homeDirectory": "/"}), posix_ldif("pia"), posix_group_ldif("unix"))
    empty.connect()
    # memberUid is IA5 text; what the server takes is written as it is.
    plan, done = empty.do("AddToGroup", group("unix"),
                          {"member": f"cn=odd,{PEOPLE}"})
    assert [g["id"] for g in plan["gains"]] == [f"cn=odd,{PEOPLE}"]
    assert done["result"] == "applied"
    assert empty.directory.values(group("unix"), "memberUid") == [odd]


def test_the_primary_group_of_an_account_is_told(empty):
    empty.serve(posix_ldif("pia", gid="4000"), posix_group_ldif("unix"))
    empty.connect()
    pia = {"member": person("pia")}
    plan = empty.ask("plan", "AddToGroup", group("unix"), pia)
    assert plan["noChange"] is True
    assert plan["before"] == {"member": True, "primary": True}
    refused("primary-group", empty.ask, "plan", "RemoveFromGroup",
            group("unix"), pia)


# ---- roles ----

def role_ldif(cn, *who):
    return entry_ldif(role(cn), {"objectClass": "organizationalRole", "cn": cn,
                                 "roleOccupant": list(who)})


def test_a_role_is_granted_and_revoked(empty):
    empty.serve(role_ldif("oncall"))
    empty.connect()
    bob = {"member": person("bob")}
    plan, done = empty.do("GrantRole", role("oncall"), bob)
    assert plan["gains"] == [{"type": "account", "id": person("bob")}]
    assert plan["undo"]["action"] == "RevokeRole"
    assert done["result"] == "applied"
    assert empty.directory.values(role("oncall"), "roleOccupant") == [
        person("bob")]
    assert empty.ask("read", "GrantRole", role("oncall"), bob)["present"]
    _, done = empty.undo(plan)
    assert done["result"] == "applied"
    assert empty.directory.values(role("oncall"), "roleOccupant") == []


def test_groups_below_the_base_of_roles_are_roles(empty):
    deep = f"cn=dba,{ROLES}"
    empty.serve(entry_ldif(deep, {"objectClass": "groupOfNames", "cn": "dba",
                                  "member": person("alice")}),
                group_ldif("devs", person("bob"), person("carol")),
                access="access to * by * write")
    empty.connect(roles={"base": ROLES, "memberAttribute": "member"})
    plan, done = empty.do("GrantRole", deep, {"member": group("devs")})
    assert [g["id"] for g in plan["gains"]] == [person("bob"),
                                                person("carol")]
    assert done["result"] == "applied"


def test_a_role_is_never_changed_as_a_group(empty):
    inside = f"cn=dba,ou=roles,{GROUPS}"
    empty.serve(unit_ldif(f"ou=roles,{GROUPS}"),
                group_ldif("dba", person("alice"), dn=inside))
    empty.connect(roles={"base": f"ou=roles,{GROUPS}",
                         "memberAttribute": "member"})
    assert "GrantRole" in refused("wrong-type", empty.plan, inside,
                                  person("bob"))
    assert empty.plan(inside, person("bob"), "GrantRole")["noChange"] is False


def test_a_group_is_never_changed_as_a_role(empty):
    empty.serve(group_ldif("plain", person("alice"), dn=role("plain")),
                role_ldif("oncall"))
    empty.connect()
    refused("out-of-base", empty.plan, group("ops"), person("bob"), "GrantRole")
    refused("wrong-type", empty.plan, role("plain"), person("bob"),
            "GrantRole")
    empty.connect(roles=None)
    refused("out-of-base", empty.plan, role("oncall"), person("bob"),
            "GrantRole")


# ---- what an account has ----

def test_what_an_account_has_is_told_along_every_way(empty):
    empty.serve(posix_ldif("pia", gid="4000"),
                posix_group_ldif("main", gid="4000"),
                posix_group_ldif("extra", "pia", gid="4001"),
                group_ldif("team", person("pia")),
                group_ldif("all", group("team")), group_ldif("everything",
                                                             group("all")),
                role_ldif("oncall", person("pia")))
    empty.connect()
    has = empty.entitlements(person("pia"))
    assert {name: row["direct"] for name, row in has.items()} == {
        group("main"): True, group("extra"): True, group("team"): True,
        group("all"): False, group("everything"): False,
        role("oncall"): True}
    assert has[role("oncall")]["type"] == "role"
    assert has[group("team")]["type"] == "group"
    assert "primary" in has[group("main")]["detail"]
    assert "login" in has[group("extra")]["detail"]


def test_an_account_is_told_in_the_directorys_own_spelling(world):
    for spelling in (person("alice"), person("alice").upper(),
                     person("\\61lice"), person("alice").replace(",", " , ")):
        assert world.connector.call("entitlements", account=spelling)[
            "account"] == person("alice")


def test_an_account_in_a_circle_of_groups_is_still_told(empty):
    empty.serve(group_ldif("a", person("bob"), group("b")),
                group_ldif("b", group("a")))
    empty.connect()
    assert set(empty.entitlements(person("bob"))) == {group("a"), group("b"),
                                                      group("ops")}


def test_what_is_no_account_has_nothing_that_is_told(world):
    refused("no-such-account", world.connector.call, "entitlements",
            account=person("nobody"))
    refused("out-of-base", world.connector.call, "entitlements",
            account=group("ops"))
    refused("invalid", world.connector.call, "entitlements", account="x")


# ---- what there is ----

def test_accounts_groups_and_roles_are_found(empty):
    empty.serve(account_ldif(), role_ldif("oncall"))
    empty.connect()
    found = empty.survey()
    assert found[person("eve")]["kind"] == "account"
    assert found[person("eve")]["login"] == "eve"
    assert found[group("ops")]["kind"] == "group"
    assert found[role("oncall")] == {"id": role("oncall"), "kind": "group",
                                     "disabled": False, "flags": ["role"]}


def test_every_page_is_found_once(empty):
    names = [f"many{i:03}" for i in range(60)]
    empty.serve(*[person_ldif(n) for n in names])
    empty.connect()
    few, all_at_once = empty.survey(limit=7), empty.survey()
    assert few == all_at_once
    assert {person(n) for n in names} <= set(few)


def test_other_questions_between_pages_lose_no_page(empty):
    empty.serve(*[person_ldif(f"many{i:03}") for i in range(20)])
    empty.connect()
    page = empty.connector.call("discover", limit=5)
    empty.plan(group("ops"), person("carol"))
    more = empty.connector.call("discover", limit=5, cursor=page["next"])
    assert {r["id"] for r in page["accounts"]}.isdisjoint(
        {r["id"] for r in more["accounts"]})


@pytest.mark.parametrize("cursor", ["x", "9:", "0:AAAA*", "0", "-1:", "0:" +
                                    "QUFB" * 40])
def test_a_cursor_that_is_not_ours_finds_nothing(world, cursor):
    with pytest.raises(Exception):
        world.connector.call("discover", cursor=cursor)
    assert world.connector.call("check") == {"ok": True}


def test_pages_cannot_go_on_after_the_server_was_lost(empty):
    empty.serve(*[person_ldif(f"many{i:03}") for i in range(20)])
    empty.connect()
    page = empty.connector.call("discover", limit=5)
    empty.directory.kill()
    empty.directory.start()
    refused("unavailable", empty.connector.call, "discover",
            cursor=page["next"], limit=5)
    assert len(empty.survey()) > 20


def test_the_last_login_is_told_where_the_server_knows_it(world):
    before = datetime.datetime.now(datetime.timezone.utc)
    assert world.binds(person("eve"), SECRET)
    used = world.survey()[person("eve")]["lastUsed"]
    when = datetime.datetime.fromisoformat(used.replace("Z", "+00:00"))
    assert abs((when - before).total_seconds()) < 120
    assert "lastUsed" not in world.survey()[person("alice")]


def test_who_has_not_logged_in_for_long_is_stale(empty):
    empty.serve(account_ldif("old", pwdLastSuccess="20240101000000Z"),
                account_ldif("never", createTimestamp="20240101000000Z"),
                account_ldif("fresh"))
    empty.connect()
    assert empty.binds(person("fresh"), SECRET)
    found = empty.survey()
    assert "stale" in flags(found[person("old")])
    assert "stale" in flags(found[person("never")])
    assert "stale" not in flags(found[person("fresh")])
    assert "stale" not in flags(found[person("alice")])
    empty.connect(accounts={"base": PEOPLE, "policy": POLICY,
                            "staleDays": 3650})
    assert "stale" not in flags(empty.survey()[person("old")])


def test_where_no_login_is_recorded_nobody_is_called_stale(empty):
    empty.serve(account_ldif("never", createTimestamp="20240101000000Z"),
                config="lastbind off")
    empty.connect()
    assert flags(empty.survey()[person("never")]) == set()


def test_shared_service_and_suspended_accounts_are_flagged(empty):
    empty.serve(
        account_ldif("svc-backup"), account_ldif("team-mail"),
        account_ldif("gone"),
        entry_ldif(f"cn=printer,{PEOPLE}", {
            "objectClass": ["device", "simpleSecurityObject"],
            "cn": "printer", "userPassword": "x"}),
        entry_ldif(person("keys"), {
            "objectClass": ["inetOrgPerson"], "uid": "keys", "cn": "keys",
            "sn": "keys", "userCertificate;binary": ["one", "two"]}))
    empty.connect()
    empty.do("SuspendAccount", person("gone"))
    found = empty.survey()
    backup = found[person("svc-backup")]
    assert backup["kind"] == "service" and "service: its name says 'svc'" in \
        backup["flags"]
    assert "shared" in flags(found[person("team-mail")])
    assert found[person("gone")]["disabled"] is True
    assert found[f"cn=printer,{PEOPLE}"]["kind"] == "service"
    assert flags(found[person("alice")]) == set()


def test_a_server_that_shows_no_more_is_told(empty):
    empty.serve(*[person_ldif(f"many{i:03}") for i in range(30)],
                config="sizelimit size.pr=5 size.prtotal=10")
    empty.connect()
    with pytest.raises(Exception) as caught:
        empty.survey(limit=5)
    assert caught.value.reason == "too-large", caught.value


# ---- names ----

@pytest.mark.parametrize("spelling", [
    "UID=J\u00d6RG,OU=PEOPLE,DC=EXAMPLE,DC=ORG",
    "uid=j\\c3\\b6rg,ou=people,dc=example,dc=org",
    "uid=J\\C3\\96RG, ou=people, dc=example, dc=org",
    "uid=\\6a\u00f6\\72g,ou=people,dc=example,dc=org"])
def test_a_name_is_one_name_however_it_is_written(empty, spelling):
    empty.serve(account_ldif("j\u00f6rg"))
    empty.connect()
    plan = empty.ask("plan", "SuspendAccount", spelling)
    assert plan["resource"] == "uid=j\\C3\\B6rg,ou=people,dc=example,dc=org"
    assert empty.apply(plan, "SuspendAccount")["result"] == "applied"
