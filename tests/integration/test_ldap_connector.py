"""writ-connect-ldap against a real OpenLDAP server: groups, and everything that
can go wrong on the way (see ldap_world.py)."""
import json
import os
import pathlib
import socket
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
from authority import Authority
from connector_process import Connector, Refused
from ldap_world import (ACCESS, ACCOUNT, GROUPS, PASSWORD, PEOPLE, PROGRAM,
                        World, group, group_ldif, ids, needs_slapd, person,
                        person_ldif, refused)
from slapd import SUFFIX, Certificates, entry_ldif

pytestmark = needs_slapd


@pytest.fixture
def empty(tmp_path):
    world = World(tmp_path)
    yield world
    world.close()


@pytest.fixture
def world(empty):
    empty.serve()
    empty.connect()
    return empty


# ---- describing and checking ----

def test_it_passes_the_run_that_every_connector_passes(empty):
    empty.serve()
    empty.config()
    empty.conforms("--resource", group("ops"), "--member", person("carol"))


def test_it_describes_its_actions(world):
    told = world.connector.call("describe")
    assert told["name"] == "ldap" and told["enforcesPrecondition"] is True
    inverse = {a["action"]: a["inverse"] for a in told["actions"]}
    assert inverse == {
        "AddToGroup": "RemoveFromGroup", "RemoveFromGroup": "AddToGroup",
        "GrantRole": "RevokeRole", "RevokeRole": "GrantRole",
        "SuspendAccount": "ResumeAccount", "ResumeAccount": "SuspendAccount"}
    assert {a["action"] for a in told["actions"] if a["takes"]} == {
        "RemoveFromGroup", "RevokeRole", "SuspendAccount"}
    assert set(told["reads"]) == {"discover", "entitlements"}


def test_a_directory_it_can_reach_is_ok(world):
    assert world.connector.call("check") == {"ok": True}


@pytest.mark.parametrize("password, why", [
    ("wrong", "Invalid credentials"), ("", "empty"), ("\nsecond line", "empty")])
def test_a_wrong_or_empty_password_does_not_become_an_anonymous_bind(
        empty, password, why):
    empty.serve(access="access to * by * write")
    (empty.folder / "password").touch(mode=0o600)
    (empty.folder / "password").write_text(password)
    empty.connect()
    answer = empty.connector.call("check")
    assert answer["ok"] is False and why in answer["detail"]
    refused("unavailable", empty.plan, group("ops"), person("carol"))


def test_a_password_that_was_changed_is_read_again(world):
    path = world.folder / "password"
    path.write_text("wrong")
    world.directory.kill()
    world.directory.start()
    assert world.connector.call("check")["ok"] is False
    path.write_text(PASSWORD)
    assert world.connector.call("check")["ok"] is True


def test_a_base_that_is_not_there_is_told(empty):
    empty.serve()
    empty.connect(base=f"ou=nowhere,{SUFFIX}")
    answer = empty.connector.call("check")
    assert answer["ok"] is False and "ou=nowhere" in answer["detail"]


def test_a_server_that_is_down_is_told_and_comes_back(world):
    world.directory.kill()
    assert world.connector.call("check")["ok"] is False
    refused("unavailable", world.plan, group("ops"), person("carol"))
    refused("unavailable", world.read, group("ops"), person("carol"))
    world.directory.start()
    assert world.connector.call("check")["ok"] is True


@pytest.mark.parametrize("changes", [
    {"url": "ldap://directory.example.org"}, {"base": "nonsense"},
    {"base": ""}, {"bind": {"method": "simple"}}, {"bind": {"method": "none"}},
    {"url": "ldaps://127.0.0.1"}, {"startTls": True}, {"unknown": 1},
    {"timeoutSeconds": 0}, {"bind": {"method": "external"}}])
def test_a_configuration_that_does_not_fit_together_does_not_start(
        empty, changes):
    empty.directory = type("None", (), {"url": "ldap://127.0.0.1:1"})
    path = empty.folder / "bad.yaml"
    path.write_text(json.dumps(empty.config(**changes)))
    done = subprocess.run([PROGRAM, "--check", path], capture_output=True,
                          text=True, check=False)
    assert done.returncode != 0 and PASSWORD not in done.stderr


def test_the_documented_example_is_a_right_configuration(tmp_path):
    example = (HERE / "../../connectors/ldap/example.yaml").read_text()
    vkey = Authority("authority.example/writ").vkey
    approvers = tmp_path / "approvers"
    approvers.write_text("")
    (tmp_path / "password").touch(mode=0o600)
    lines = []
    for line in example.splitlines():
        if line.strip().startswith("vkey:"):
            line = line.partition(":")[0] + f": {vkey}"
        if line.strip().startswith("state:"):
            line = line.partition(":")[0] + f": {tmp_path}/seen"
        if line.strip().startswith("file:"):
            line = line.partition(":")[0] + f": {approvers}"
        if line.strip().startswith("passwordFile:"):
            line = line.partition(":")[0] + f": {tmp_path}/password"
        lines.append(line)
    path = tmp_path / "example.yaml"
    path.write_text("\n".join(lines))
    done = subprocess.run([PROGRAM, "--check", path], capture_output=True,
                          text=True, check=False)
    assert done.returncode == 0, done.stderr


# ---- planning ----

def test_a_plan_says_what_would_change(world):
    plan = world.plan(group("ops"), person("carol"))
    version = world.directory.values(group("ops"), "entryCSN")[0]
    assert plan["resource"] == group("ops")
    assert plan["parameters"] == {"member": person("carol")}
    assert plan["before"] == {"member": False}
    assert plan["after"] == {"member": True}
    assert plan["diff"] == [{"op": "add", "attribute": "member",
                             "value": person("carol")}]
    assert plan["gains"] == [{"type": "account", "id": person("carol")}]
    assert plan["loses"] == [] and plan["nestedIn"] == []
    assert plan["blastRadius"] == 1 and plan["atomic"] is True
    assert plan["noChange"] is False and plan["targetVersion"] == version
    assert plan["undo"] == {"action": "RemoveFromGroup",
                            "resource": group("ops"),
                            "parameters": {"member": person("carol")}}


def test_a_plan_for_a_removal_says_who_loses(world):
    plan = world.plan(group("ops"), person("alice"), "RemoveFromGroup")
    assert plan["diff"] == [{"op": "delete", "attribute": "member",
                             "value": person("alice")}]
    assert plan["loses"] == [{"type": "account", "id": person("alice")}]
    assert plan["gains"] == [] and plan["undo"]["action"] == "AddToGroup"


def test_planning_changes_nothing(world):
    before = world.directory.search(SUFFIX, attributes=["*", "+"])
    world.plan(group("ops"), person("carol"))
    world.plan(group("ops"), person("alice"), "RemoveFromGroup")
    assert world.directory.search(SUFFIX, attributes=["*", "+"]) == before


@pytest.mark.parametrize("resource", [
    "CN=Ops,OU=Groups,DC=Example,DC=ORG",
    "cn = ops , ou = groups , dc = example , dc = org",
    "cn=\\6fps," + GROUPS, "commonName=ops," + GROUPS, "2.5.4.3=ops," + GROUPS])
def test_every_spelling_of_a_group_gives_the_same_plan(world, resource):
    expected = world.plan(group("ops"), person("carol"))
    assert world.plan(resource, person("carol").upper()) == expected


def test_what_is_written_is_the_entrys_own_spelling(empty):
    empty.serve(person_ldif("Zoe", dn=f"uid=Zoe,{PEOPLE}"))
    empty.connect()
    plan = empty.plan(group("ops"), person("zoe"))
    assert plan["parameters"]["member"] == person("zoe")
    assert plan["diff"][0]["value"] == f"uid=Zoe,{PEOPLE}"
    assert empty.apply(plan)["result"] == "applied"
    assert f"uid=Zoe,{PEOPLE}" in empty.directory.values(group("ops"), "member")


def test_what_is_already_so_is_no_change(world):
    for member, action in ((person("alice"), "AddToGroup"),
                           (person("carol"), "RemoveFromGroup")):
        plan = world.plan(group("ops"), member, action)
        assert plan["noChange"] is True and plan["undo"] is None
        assert plan["diff"] == plan["gains"] == plan["loses"] == []
        assert plan["blastRadius"] == 0


NESTED = (group_ldif("inner", person("carol"), person("dave")) +
          group_ldif("middle", group("inner"), person("bob")) +
          group_ldif("outer", group("middle")))


def test_everybody_nested_below_the_member_gains(empty):
    empty.serve(NESTED)
    empty.connect()
    plan = empty.plan(group("ops"), group("outer"))
    assert ids(plan["gains"]) == [person("bob"), person("carol"), person("dave")]
    assert plan["blastRadius"] == 3
    assert empty.apply(plan)["result"] == "applied"
    plan = empty.plan(group("ops"), group("outer"), "RemoveFromGroup")
    assert ids(plan["loses"]) == [person("bob"), person("carol"), person("dave")]
    assert plan["blastRadius"] == 3


def test_every_group_that_the_resource_is_nested_in_is_named(empty):
    unique = entry_ldif(group("unique"), {
        "objectClass": "groupOfUniqueNames", "cn": "unique",
        "uniqueMember": group("outer")})
    elsewhere = group_ldif("far", group("unique"), dn=f"cn=far,{PEOPLE}")
    empty.serve(NESTED, unique, elsewhere)
    empty.connect()
    plan = empty.plan(group("inner"), person("alice"))
    assert plan["nestedIn"] == sorted([
        group("middle"), group("outer"), group("unique"), f"cn=far,{PEOPLE}"])


def test_circles_of_groups_end(empty):
    empty.serve(group_ldif("a", group("b"), person("carol")),
                group_ldif("b", group("c")),
                group_ldif("c", group("a"), group("c"), person("dave")))
    empty.connect()
    plan = empty.plan(group("ops"), group("a"))
    assert ids(plan["gains"]) == [person("carol"), person("dave")]
    plan = empty.plan(group("a"), person("alice"))
    assert plan["nestedIn"] == [group("b"), group("c")]
    # The very edge that closes a circle.
    assert empty.apply(empty.plan(group("ops"), group("a")))["result"] == "applied"
    plan = empty.plan(group("b"), group("ops"))
    assert ids(plan["gains"]) == [person(u) for u in
                                  ("alice", "bob", "carol", "dave")]


def test_a_group_of_too_many_is_refused(empty):
    # None of them needs to be there to count.
    many = [f"uid=u{n},{PEOPLE}" for n in range(10000)]
    empty.serve(group_ldif("many", *many), group_ldif("most", *many[:9999]),
                overlays=())
    empty.connect()
    refused("too-large", empty.plan, group("ops"), group("many"))
    assert empty.plan(group("ops"), group("most"))["blastRadius"] == 9999


def test_more_holders_than_the_server_shows_is_refused(empty):
    holders = [group_ldif(f"holder{n}", group("ops")) for n in range(6)]
    empty.serve(*holders, config="sizelimit 5")
    empty.connect()
    refused("too-large", empty.plan, group("ops"), person("carol"))
    empty.directory.delete(group("holder0"))
    assert len(empty.plan(group("ops"), person("carol"))["nestedIn"]) == 5


def test_an_end_of_too_many_is_still_planned_and_carried_out(empty):
    many = [f"uid=u{n},{PEOPLE}" for n in range(10000)]
    holders = [group_ldif(f"holder{n}", group("ops")) for n in range(6)]
    empty.serve(group_ldif("many", *many), *holders, overlays=(),
                config="sizelimit 5")
    empty.connect()
    for member in group("many"), person("alice"):
        empty.directory.add_member(group("ops"), person("dave"))
        if member == group("many"):
            empty.directory.add_member(group("ops"), member)
        refused("too-large", empty.plan, group("ops"), member,
                "RemoveFromGroup")
        plan = empty.plan(group("ops"), member, "RemoveFromGroup", brief=True)
        assert plan["gains"] == plan["loses"] == plan["nestedIn"] == []
        assert plan["diff"] == [{"op": "delete", "attribute": "member",
                                 "value": member}]
        assert empty.apply(plan, "RemoveFromGroup")["result"] == "applied"
        empty.directory.remove_member(group("ops"), person("dave"))
    refused("invalid", empty.plan, group("ops"), group("many"), brief=True)


def test_a_group_that_hides_its_members_cannot_be_added(empty):
    empty.serve(entry_ldif(group("unix"), {
        "objectClass": "posixGroup", "cn": "unix", "gidNumber": "1000",
        "memberUid": "alice"}), group_ldif("wrapper", group("unix")))
    empty.connect()
    refused("wrong-type", empty.plan, group("ops"), group("unix"))
    refused("wrong-type", empty.plan, group("ops"), group("wrapper"))
    empty.directory.add_member(group("ops"), group("wrapper"))
    plan = empty.plan(group("ops"), group("wrapper"), "RemoveFromGroup")
    assert plan["loses"] == [{"type": "unresolved", "id": group("unix")}]


def test_what_is_no_group_is_the_wrong_type(empty):
    empty.serve(
        entry_ldif(group("oncall"), {"objectClass": "organizationalRole",
                                     "cn": "oncall"}))
    empty.connect(base=SUFFIX)
    for resource, words in ((group("oncall"), "organizationalRole"),
                            (person("bob"), "no group")):
        for action in "AddToGroup", "RemoveFromGroup":
            message = refused("wrong-type", empty.plan, resource,
                              person("carol"), action)
            assert words in message


@pytest.mark.parametrize("resource", [
    f"cn=nobody,{GROUPS}", f"cn=ops,ou=x,{GROUPS}", f"made-up=ops,{GROUPS}"])
def test_a_group_that_is_not_there_is_refused(world, resource):
    refused("no-such-resource", world.plan, resource, person("carol"))


@pytest.mark.parametrize("resource", [
    f"cn=ops,{PEOPLE}", SUFFIX, "cn=config", "cn=monitor",
    "cn=ops\\,ou=groups\\,dc=example\\,dc=org"])
def test_what_is_not_below_the_base_is_not_told_as_gone(world, resource):
    for action in "AddToGroup", "RemoveFromGroup":
        refused("out-of-base", world.plan, resource, person("carol"), action)
        refused("out-of-base", world.read, resource, person("carol"), action)
    refused("out-of-base", world.plan, resource, person("carol"),
            "RemoveFromGroup", brief=True)


@pytest.mark.parametrize("member", [
    person("nobody"), "uid=carol", "cn=carol,dc=elsewhere", f"madeup=x,{PEOPLE}"])
def test_a_member_that_is_not_there_cannot_be_added(world, member):
    refused("no-such-member", world.plan, group("ops"), member)
    plan = world.plan(group("ops"), member, "RemoveFromGroup")
    assert plan["noChange"] is True


@pytest.mark.parametrize("name", ["carol", "uid=a,,b=c", "uid=#0403616263",
                                  "uid=\"a\"", "x" * 5000, " ",
                                  "uid=a;dc=x", "uid=\\"])
def test_what_is_no_name_is_invalid(world, name):
    refused("invalid", world.plan, group("ops"), name)
    refused("invalid", world.plan, name, person("carol"))
    refused("invalid", world.read, group("ops"), name)


@pytest.mark.parametrize("parameters", [
    {}, {"member": 7}, {"member": None}, {"member": [person("carol")]},
    {"member": person("carol"), "force": True}])
def test_parameters_are_the_member_and_nothing_else(world, parameters):
    refused("invalid", world.connector.call, "plan", action="AddToGroup",
            resource=group("ops"), parameters=parameters)


def test_a_group_cannot_be_its_own_member(world):
    refused("invalid", world.plan, group("ops"), group("OPS"))


def test_the_last_member_stays(world):
    world.directory.remove_member(group("ops"), person("bob"))
    message = refused("last-member", world.plan, group("ops"), person("alice"),
                      "RemoveFromGroup")
    assert "last member" in message


def test_a_member_whose_account_is_gone_can_still_be_removed(empty):
    empty.serve(overlays=())
    empty.connect()
    empty.directory.delete(person("alice"))
    plan = empty.plan(group("ops"), person("alice"), "RemoveFromGroup")
    assert plan["loses"] == [{"type": "unresolved", "id": person("alice")}]
    assert plan["undo"] is None
    assert empty.apply(plan, "RemoveFromGroup")["result"] == "applied"
    assert empty.directory.values(group("ops"), "member") == [person("bob")]


# ---- applying ----

def test_an_order_is_carried_out_and_read_back(world):
    plan = world.plan(group("ops"), person("carol"))
    assert world.read(group("ops"), person("carol"))["present"] is False
    answer = world.apply(plan)
    version = world.directory.values(group("ops"), "entryCSN")[0]
    assert answer == {"result": "applied", "observed": {"member": True},
                      "targetVersion": version}
    assert version != plan["targetVersion"]
    assert person("carol") in world.directory.values(group("ops"), "member")
    assert world.read(group("ops"), person("carol")) == {
        "present": True, "state": {"member": True}, "targetVersion": version}


def test_the_back_link_of_the_memberof_overlay_is_written_and_removed(world):
    dave = person("dave")
    assert world.apply(world.plan(group("ops"), dave))["result"] == "applied"
    assert world.directory.values(dave, "memberOf") == [group("ops")]
    plan = world.plan(group("ops"), dave, "RemoveFromGroup")
    assert world.apply(plan, "RemoveFromGroup")["result"] == "applied"
    assert world.directory.values(dave, "memberOf") == []


def test_what_is_hidden_from_the_account_is_not_told_as_gone(empty):
    empty.serve(access=ACCESS)
    empty.connect()
    hidden = ACCESS.replace("access to * by", f"""
access to dn.subtree="{GROUPS}" by * none
access to * by""")
    empty.directory.kill()
    empty.directory.access = hidden
    empty.directory.start()
    for action in "AddToGroup", "RemoveFromGroup":
        refused("unavailable", empty.read, group("ops"), person("alice"), action)
        refused("unavailable", empty.plan, group("ops"), person("alice"), action)
    # The group's entry is in sight, its members are not.
    empty.directory.kill()
    empty.directory.access = ACCESS.replace(" write ", " none ")
    empty.directory.start()
    refused("unavailable", empty.read, group("ops"), person("alice"),
            "RemoveFromGroup")


def test_an_end_undoes_what_was_done(world):
    carol = person("carol")
    before = world.directory.values(group("ops"), "member")
    plan, order = world.order(world.plan(group("ops"), carol))
    assert world.connector.call("apply", order=order)["result"] == "applied"
    ended, order = world.order(
        world.plan(group("ops"), carol, "RemoveFromGroup"), "RemoveFromGroup",
        purpose="end", base=world.authority.base_of(plan))
    assert ended["resource"] == plan["undo"]["resource"]
    assert world.connector.call("apply", order=order)["result"] == "applied"
    assert world.directory.values(group("ops"), "member") == before
    assert world.read(group("ops"), carol, "RemoveFromGroup")["present"] is True


def test_an_unrelated_change_voids_nothing(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.add_member(group("ops"), person("dave"))
    again = world.plan(group("ops"), person("carol"))
    assert again["targetVersion"] != plan["targetVersion"]
    assert {**again, "targetVersion": ""} == {**plan, "targetVersion": ""}
    assert world.apply(plan)["result"] == "applied"
    plan = world.plan(group("ops"), person("carol"), "RemoveFromGroup")
    world.directory.remove_member(group("ops"), person("alice"))
    again = world.plan(group("ops"), person("carol"), "RemoveFromGroup")
    assert again["precondition"] == plan["precondition"]
    assert world.apply(plan, "RemoveFromGroup")["result"] == "applied"


def test_what_somebody_else_did_meanwhile_is_no_change(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.add_member(group("ops"), person("carol"))
    assert world.apply(plan) == {"result": "no-change"}
    plan = world.plan(group("ops"), person("carol"), "RemoveFromGroup")
    world.directory.remove_member(group("ops"), person("carol"))
    assert world.apply(plan, "RemoveFromGroup") == {"result": "no-change"}


def test_a_change_at_the_last_moment_is_caught_by_the_server(world):
    proxy = world.proxy()
    plan = world.plan(group("ops"), person("carol"))
    proxy.before_modify = lambda: world.directory.add_member(
        group("ops"), person("carol"))
    answer = world.apply(plan)
    assert proxy.modify_requests == 1
    assert answer["result"] == "refused" and answer["reason"] == "precondition"
    plan = world.plan(group("ops"), person("carol"), "RemoveFromGroup")
    proxy.before_modify = lambda: world.directory.remove_member(
        group("ops"), person("carol"))
    answer = world.apply(plan, "RemoveFromGroup")
    assert answer["result"] == "refused" and answer["reason"] == "precondition"


def test_a_removal_that_would_empty_the_group_is_caught_by_the_server(world):
    proxy = world.proxy()
    plan = world.plan(group("ops"), person("alice"), "RemoveFromGroup")
    proxy.before_modify = lambda: world.directory.remove_member(
        group("ops"), person("bob"))
    answer = world.apply(plan, "RemoveFromGroup")
    assert answer["result"] == "refused" and answer["reason"] == "precondition"
    assert world.directory.values(group("ops"), "member") == [person("alice")]


def test_a_member_that_became_the_last_stays(world):
    plan = world.plan(group("ops"), person("alice"), "RemoveFromGroup")
    world.directory.remove_member(group("ops"), person("bob"))
    answer = world.apply(plan, "RemoveFromGroup")
    assert answer["result"] == "refused" and answer["reason"] == "last-member"
    assert world.directory.values(group("ops"), "member") == [person("alice")]


def test_another_group_of_the_same_name_is_not_the_one_planned(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.delete(group("ops"))
    world.directory.add(group_ldif("ops", person("alice"), person("bob")))
    answer = world.apply(plan)
    assert answer["result"] == "refused" and answer["reason"] == "precondition"
    assert person("carol") not in world.directory.values(group("ops"), "member")


def test_a_group_exchanged_at_the_last_moment_is_caught_by_the_server(world):
    proxy = world.proxy()
    plan = world.plan(group("ops"), person("carol"))

    def exchange():
        world.directory.delete(group("ops"))
        world.directory.add(group_ldif("ops", person("alice")))

    proxy.before_modify = exchange
    answer = world.apply(plan)
    assert answer["result"] == "refused" and answer["reason"] == "precondition"
    assert world.directory.values(group("ops"), "member") == [person("alice")]


def test_another_account_of_the_same_name_is_not_the_one_planned(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.delete(person("carol"))
    world.directory.add(person_ldif("carol"))
    answer = world.apply(plan)
    assert answer["result"] == "refused" and answer["reason"] == "precondition"


def test_an_account_that_is_gone_is_not_added(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.delete(person("carol"))
    answer = world.apply(plan)
    assert answer["result"] == "refused" and answer["reason"] == "no-such-member"


def test_a_group_that_is_gone_is_told(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.delete(group("ops"))
    answer = world.apply(plan)
    assert answer["result"] == "refused"
    assert answer["reason"] == "no-such-resource"
    assert world.read(group("ops"), person("carol"))["present"] is False
    assert world.read(group("ops"), person("carol"), "RemoveFromGroup") == {
        "present": True, "state": {"member": False}}


@pytest.mark.parametrize("precondition", [
    {}, {"filter": "(objectClass=*)"},
    {"filter": f"(&(!(member={person('carol')})))"}])
def test_a_precondition_that_was_weakened_is_refused(world, precondition):
    plan = world.plan(group("ops"), person("carol"))
    answer = world.apply(plan, precondition=precondition)
    assert answer["result"] == "refused" and answer["reason"] == "precondition"
    assert person("carol") not in world.directory.values(group("ops"), "member")


@pytest.mark.parametrize("resource", [
    f"CN=ops,{GROUPS}", f"cn=ops, {GROUPS}", f"commonname=ops,{GROUPS}",
    f"2.5.4.3=ops,{GROUPS}"])
def test_a_second_spelling_of_a_group_is_not_obeyed(world, resource):
    plan = world.plan(group("ops"), person("carol"))
    answer = world.apply(plan, resource=resource)
    assert answer["result"] == "refused" and answer["reason"] == "order"
    answer = world.apply(plan, parameters={"member": f"userid=carol,{PEOPLE}"})
    assert answer["result"] == "refused" and answer["reason"] == "order"
    assert person("carol") not in world.directory.values(group("ops"), "member")


def test_an_order_outside_the_base_is_refused(empty):
    empty.serve(group_ldif("far", person("alice"), dn=f"cn=far,{PEOPLE}"))
    empty.connect(base=SUFFIX)
    plan = empty.plan(f"cn=far,{PEOPLE}", person("carol"))
    empty.connect()
    answer = empty.apply(plan)
    assert answer["result"] == "refused"
    assert answer["reason"] == "out-of-base"


def test_an_account_without_the_right_is_refused(empty):
    empty.serve(access=ACCESS.replace(" write ", " read "))
    empty.connect()
    answer = empty.apply(empty.plan(group("ops"), person("carol")))
    assert answer["result"] == "refused" and answer["reason"] == "not-allowed"
    assert person("carol") not in empty.directory.values(group("ops"), "member")


def test_a_rule_of_the_directory_is_a_refusal(empty):
    empty.serve(overlays={"constraint":
                          "constraint_attribute member count 2"})
    empty.connect()
    answer = empty.apply(empty.plan(group("ops"), person("carol")))
    assert answer["result"] == "refused" and answer["reason"] == "constraint"


# ---- lost connections ----

def test_a_server_that_is_down_before_the_change_is_certainly_no_effect(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.kill()
    answer = world.apply(plan)
    assert answer["result"] == "refused" and answer["reason"] == "unavailable"
    world.directory.start()
    assert world.apply(plan)["result"] == "applied"


def test_a_server_that_was_restarted_is_reached_again(world):
    plan = world.plan(group("ops"), person("carol"))
    world.directory.kill()
    world.directory.start()
    assert world.apply(plan)["result"] == "applied"


@pytest.mark.parametrize("lose, happened", [
    ("request", False), ("silence", False), ("answer", True)])
def test_a_line_lost_after_sending_is_unknown_until_read(world, lose, happened):
    proxy = world.proxy()
    plan = world.plan(group("ops"), person("carol"))
    proxy.lose = lose
    refused("unknown", world.apply, plan)
    assert proxy.modify_requests == 1, "an unknown effect is never tried again"
    answer = world.read(group("ops"), person("carol"))
    assert answer["present"] is happened


def test_a_server_that_never_answers_is_unavailable(world):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        world.connect(url=f"ldap://127.0.0.1:{port}", timeoutSeconds=1)
        unreachable(world)
        world.connect(url=f"ldap://127.0.0.1:{port}", timeoutSeconds=1,
                      startTls=True,
                      caFile=str(Certificates(world.folder / "tls").ca))
        unreachable(world)


def test_a_server_killed_during_the_change_is_unknown(world):
    proxy = world.proxy()
    plan = world.plan(group("ops"), person("carol"))
    proxy.before_modify = world.directory.kill
    refused("unknown", world.apply, plan)
    world.directory.start()
    assert world.read(group("ops"), person("carol"))["present"] is False
    proxy.before_modify = None
    assert world.apply(plan)["result"] == "applied"


# ---- TLS and EXTERNAL ----

@pytest.fixture
def secure(empty):
    empty.serve(tls=True)
    return empty


def works(world):
    assert world.connector.call("check") == {"ok": True}
    plan = world.plan(group("ops"), person("carol"))
    assert world.apply(plan)["result"] == "applied"


def unreachable(world):
    assert world.connector.call("check")["ok"] is False
    refused("unavailable", world.plan, group("ops"), person("carol"))


def test_ldaps_with_the_right_ca(secure):
    secure.connect(url=secure.directory.tls_url,
                   caFile=str(secure.directory.certificates.ca))
    works(secure)


def test_start_tls_with_the_right_ca(secure):
    secure.connect(startTls=True,
                   caFile=str(secure.directory.certificates.ca))
    works(secure)


def test_start_tls_with_a_wrong_ca_is_refused(secure):
    other = Certificates(secure.folder / "other")
    secure.connect(startTls=True, caFile=str(other.ca))
    unreachable(secure)


def test_ldaps_with_a_wrong_ca_is_refused(secure):
    other = Certificates(secure.folder / "other")
    secure.connect(url=secure.directory.tls_url, caFile=str(other.ca))
    unreachable(secure)


def test_a_certificate_for_another_host_is_refused(empty):
    certificates = Certificates(empty.folder / "tls")
    certificates.server = certificates.issue("elsewhere", "elsewhere.example",
                                             "DNS:elsewhere.example")
    empty.serve(certificates=certificates)
    empty.connect(startTls=True, caFile=str(certificates.ca))
    unreachable(empty)
    empty.connect(url=empty.directory.tls_url, caFile=str(certificates.ca))
    unreachable(empty)


def test_a_server_without_start_tls_never_sees_the_password(world):
    ca = Certificates(world.folder / "tls").ca
    proxy = world.proxy()
    world.connect(url=proxy.url, startTls=True, caFile=str(ca))
    unreachable(world)
    assert PASSWORD.encode() not in proxy.seen


def test_a_file_that_is_no_ca_is_refused(secure):
    path = secure.folder / "no-ca.pem"
    path.write_text("nothing")
    secure.connect(startTls=True, caFile=str(path))
    unreachable(secure)


def test_settings_of_the_environment_do_not_weaken_tls(secure, monkeypatch):
    other = Certificates(secure.folder / "other")
    monkeypatch.setenv("LDAPTLS_REQCERT", "never")
    monkeypatch.setenv("LDAPTLS_CACERT",
                       str(secure.directory.certificates.ca))
    secure.connect(startTls=True, caFile=str(other.ca))
    unreachable(secure)


def test_settings_of_the_environment_are_not_looked_at(world, monkeypatch):
    # With this one, no line could be opened.
    monkeypatch.setenv("LDAPSOCKET_BIND_ADDRESSES", "192.0.2.1")
    world.connect()
    works(world)


@pytest.mark.parametrize("how", ["ldaps", "startTls"])
def test_external_with_a_client_certificate(secure, how):
    certificates = secure.directory.certificates
    changes = {"url": secure.directory.tls_url} if how == "ldaps" else {
        "startTls": True}
    secure.connect(caFile=str(certificates.ca), bind={"method": "external"},
                   clientCert=str(certificates.client[0]),
                   clientKey=str(certificates.client[1]), **changes)
    works(secure)


def test_a_certificate_that_was_replaced_is_loaded_again(secure):
    certificates = secure.directory.certificates
    key_and_certificate = [path.read_bytes() for path in certificates.client]
    secure.connect(caFile=str(certificates.ca), startTls=True,
                   bind={"method": "external"},
                   clientCert=str(certificates.client[0]),
                   clientKey=str(certificates.client[1]))
    certificates.issue("client", "stranger", None)
    unreachable(secure)
    for path, content in zip(certificates.client, key_and_certificate):
        path.write_bytes(content)
    secure.directory.kill()
    secure.directory.start()
    works(secure)
    # The line is cut, nothing was replaced: what is loaded serves again.
    secure.directory.kill()
    secure.directory.start()
    assert secure.connector.call("check") == {"ok": True}


def test_external_with_a_certificate_of_another_ca_is_refused(secure):
    other = Certificates(secure.folder / "other")
    secure.connect(caFile=str(secure.directory.certificates.ca),
                   bind={"method": "external"}, startTls=True,
                   clientCert=str(other.client[0]),
                   clientKey=str(other.client[1]))
    unreachable(secure)


def test_external_over_ldapi(world):
    world.connect(url=world.directory.ldapi_url, bind={"method": "external"})
    works(world)


def test_simple_bind_over_ldapi(world):
    world.connect(url=world.directory.ldapi_url)
    works(world)


# ---- values are data ----

ODD = ["*", "*)(objectClass=*", "a(b", "a)b", "a\\b", "a\\2a", "a,b", "a=b",
       "a+b", 'a"b', "a<b>c", "a;b", "#a", "a#b", " x", "y ", "a  b", "a/b",
       "a%s%n", "a&b|c!d", "a~=b", "a:=b", "Jörg", "李", "a'b", "$(a)", "a\tb",
       "ou=groups", "\\", '"', "-", "a" * 150]


def escaped(value):
    text = "".join("\\%02X" % b if b < 0x20 or b > 0x7e or chr(b) in
                   '\\,+"<>;=#' else chr(b) for b in value.encode())
    for at in (0, -1):
        if text[at] == " ":
            text = "\\20" + text[1:] if at == 0 else text[:-1] + "\\20"
    return text


def test_no_character_of_a_name_is_more_than_data(empty):
    names = [(value, f"uid={escaped(value)},{PEOPLE}",
              f"cn={escaped(value)},{GROUPS}") for value in ODD]
    empty.serve(*(entry_ldif(who, {"objectClass": "inetOrgPerson", "uid": value,
                                   "cn": "x", "sn": "x"}) +
                  entry_ldif(where, {"objectClass": "groupOfNames", "cn": value,
                                     "member": person("alice")})
                  for value, who, where in names))
    empty.connect()
    for value, who, where in names:
        others = {dn: attributes for dn, attributes in
                  empty.directory.search(GROUPS, attributes=["member"])}
        for action in "AddToGroup", "RemoveFromGroup":
            plan = empty.plan(where, who, action)
            assert plan["noChange"] is False, value
            subjects = plan["gains"] + plan["loses"]
            assert ids(subjects) == [plan["parameters"]["member"]], value
            assert plan["nestedIn"] == [], value
            assert empty.apply(plan, action)["result"] == "applied", value
            values = empty.directory.search(
                where, attributes=["member"], scope="base")[0][1]["member"]
            assert len(values) == (2 if action == "AddToGroup" else 1), value
        after = {dn: attributes for dn, attributes in
                 empty.directory.search(GROUPS, attributes=["member"])}
        assert after == others, value


@pytest.mark.parametrize("value", [
    "*", "a*", "al*ce", "*)(uid=*", "\\2a", "\\00", "alice\\00", "\\00alice",
    ")(|(uid=*)", "alice)(uid=*", "\\28", "\\C3\\28", "alice\\0A"])
def test_no_name_widens_a_search(world, value):
    with pytest.raises(Refused) as caught:
        world.plan(group("ops"), f"uid={value},{PEOPLE}")
    assert caught.value.reason in ("no-such-member", "invalid")
    with pytest.raises(Refused) as caught:
        world.plan(f"cn={value},{GROUPS}", person("carol"))
    assert caught.value.reason in ("no-such-resource", "invalid")


def test_a_group_with_an_odd_name_is_found_in_what_it_is_nested_in(empty):
    odd = f"cn={escaped('*)(cn=#a, b+c')},{GROUPS}"
    empty.serve(group_ldif("*)(cn=#a, b+c", person("alice"), dn=odd),
                group_ldif("holder", odd))
    empty.connect()
    plan = empty.plan(odd, person("carol"))
    assert plan["nestedIn"] == [group("holder")]
    plan = empty.plan(group("ops"), group("holder"))
    assert ids(plan["gains"]) == [person("alice")]
