"""writ-connect-ldap against a real Active Directory domain controller (Samba)."""
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
import samba
from ldap_proxy import Proxy
from ldap_world import PROGRAM, World, refused

WHY = samba.missing()
pytestmark = [
    pytest.mark.skipif(bool(WHY), reason=WHY or "-"),
    pytest.mark.skipif(not PROGRAM.exists(),
                       reason="needs a built writ-connect-ldap")]

SECRET = "Pass-word-of-1"
WRIT = "writ"
WRIT_SECRET = "Secret-of-writ-1"


@pytest.fixture(scope="module")
def domain(tmp_path_factory):
    """One domain for all tests; each makes a unit of its own in it."""
    with samba.Samba(tmp_path_factory.mktemp("samba")) as server:
        server.services = server.add_unit("services")
        server.account = server.add_user(WRIT, server.services, WRIT_SECRET)
        server.tests = server.add_unit("tests")
        server.delegate(server.tests, WRIT)
        yield server


class Domain(World):
    """A world whose directory is the domain, and a unit of it."""

    def __init__(self, folder, domain, unit):
        super().__init__(folder)
        self.directory = domain
        self.unit = domain.add_unit(unit, domain.tests)
        self.number = unit

    def config(self, **changes):
        password = self.folder / "password"
        password.touch(mode=0o600)
        password.write_text(WRIT_SECRET)
        config = {
            "target": "corp-directory", "url": self.directory.url,
            "caFile": str(self.directory.certificates.ca),
            "bind": {"method": "simple", "dn": self.directory.account,
                     "passwordFile": str(password)},
            "base": self.unit, "accounts": {"base": self.unit},
            "authority": {"vkey": self.authority.vkey,
                          "state": str(self.folder / "seen")},
            **changes}
        return {k: v for k, v in config.items() if v is not None}

    # The accounts and groups of a test have names of their own.

    def user(self, name, **more):
        return self.directory.add_user(name, self.unit, SECRET,
                                       login=f"{name}.{self.number}", **more)

    def group(self, name, *members):
        dn = f"CN={name},{self.unit}"
        self.directory.add(dn, {
            "objectClass": "group", "sAMAccountName": f"{name}.{self.number}",
            "member": list(members)})
        return dn

    def proxy(self):
        proxy = Proxy(389, self.directory.address)
        self.closing.append(proxy.close)
        self.connect(url=proxy.url, caFile=None)
        return proxy

    def binds(self, dn, secret=SECRET):
        return self.directory.binds(dn, secret)

    def members(self, group):
        return self.directory.values(group, "member")

    def do(self, action, resource, parameters=None):
        plan = self.ask("plan", action, resource, parameters)
        return plan, self.apply(plan, action)

    def undo(self, plan):
        undo = plan["undo"]
        return self.do(undo["action"], undo["resource"], undo["parameters"])


_units = iter(range(1, 1000))


@pytest.fixture
def world(tmp_path, domain):
    made = Domain(tmp_path, domain, f"unit{next(_units)}")
    made.connect()
    yield made
    made.close()


def normal(dn):
    return dn.lower()


# ---- reaching it ----

def test_a_domain_controller_is_reached_over_tls(world):
    assert world.connector.call("check") == {"ok": True}


def test_a_domain_controller_is_not_trusted_without_its_ca(world):
    other = samba.Certificates(world.folder / "other")
    world.connect(caFile=str(other.ca))
    assert world.connector.call("check")["ok"] is False


# ---- groups ----

def test_a_member_is_added_read_removed_and_read(world):
    ada, ops = world.user("ada"), world.group("ops")
    plan, done = world.do("AddToGroup", ops, {"member": ada})
    assert plan["resource"] == normal(ops)
    assert plan["gains"] == [{"type": "account", "id": normal(ada)}]
    assert plan["before"] == {"member": False} and plan["undo"]
    assert done["result"] == "applied" and done["observed"] == {"member": True}
    assert world.members(ops) == [ada]
    assert world.read(ops, ada)["present"] is True
    _, done = world.undo(plan)
    assert done["result"] == "applied" and world.members(ops) == []
    assert world.read(ops, ada)["present"] is False


def test_what_is_already_so_is_no_change(world):
    ada = world.user("ada")
    ops = world.group("ops", ada)
    assert world.plan(ops, ada)["noChange"] is True
    bob = world.user("bob")
    assert world.plan(ops, bob, "RemoveFromGroup")["noChange"] is True


def test_nested_groups_are_counted_both_ways(world):
    ada, bob = world.user("ada"), world.user("bob")
    team = world.group("team", ada, bob)
    ops = world.group("ops")
    outer = world.group("outer", ops)
    outermost = world.group("outermost", outer)
    plan = world.plan(ops, team)
    assert [g["id"] for g in plan["gains"]] == [normal(ada), normal(bob)]
    assert plan["nestedIn"] == [normal(outer), normal(outermost)]


def test_circles_of_groups_end(world):
    ada = world.user("ada")
    a = world.group("a", ada)
    b = world.group("b", a)
    world.directory.change(a, "add", "member", b)
    ops = world.group("ops")
    plan = world.plan(ops, b)
    assert [g["id"] for g in plan["gains"]] == [normal(ada)]
    assert normal(b) in world.plan(a, world.user("bob"))["nestedIn"]


def test_everybody_whose_primary_group_it_is_gains(world):
    ada = world.user("ada")
    everybody = f"CN=Domain Users,CN=Users,{samba.BASE}"
    ops = world.group("ops")
    gains = [g["id"] for g in world.plan(ops, everybody)["gains"]]
    assert normal(ada) in gains and len(gains) > 3


def test_the_primary_group_is_noted_and_not_taken(world):
    ada = world.user("ada")
    everybody = f"CN=Domain Users,CN=Users,{samba.BASE}"
    world.connect(base=samba.BASE)
    plan = world.plan(everybody, ada)
    assert plan["noChange"] is True and plan["before"]["primary"] is True
    refused("primary-group", world.plan, everybody, ada, "RemoveFromGroup")


def test_an_empty_group_may_be_nested(world):
    ops, empty = world.group("ops"), world.group("empty")
    plan, done = world.do("AddToGroup", ops, {"member": empty})
    assert plan["gains"] == [] and done["result"] == "applied"


def test_a_group_of_more_than_is_shown_at_once_is_read_in_parts(world):
    """Active Directory shows 1,500 values at a time; asked for 1,000 as the
    connector does, Samba shows them in parts, too."""
    many = world.directory.add_many(world.unit, world.number, 1100)
    big = world.group("big", *many)
    plan = world.plan(world.group("ops"), big)
    assert plan["blastRadius"] == 1100


def test_somebody_of_another_domain_cannot_be_counted(world):
    everyone = f"CN=S-1-5-11,CN=ForeignSecurityPrincipals,{samba.BASE}"
    refused("wrong-type", world.plan, world.group("ops"), everyone)


@pytest.mark.parametrize("name", [
    "a,b", 'q"uote', "plus+", "semi;colon", "back\\slash", "<angle>",
    "\u00c4\u00f6\u00fc \u00df", "star*(x)"])
def test_no_character_of_a_name_is_more_than_data(world, name):
    escaped = "".join("\\" + c if c in ',+"\\<>;=' else c for c in name)
    dn = f"CN={escaped},{world.unit}"
    world.directory.add(dn, {"objectClass": "user",
                             "sAMAccountName": f"odd.{world.number}"})
    ops = world.group("ops")
    plan, done = world.do("AddToGroup", ops, {"member": dn})
    assert done == {**done, "result": "applied", "observed": {"member": True}}
    assert [g["id"] for g in plan["gains"]] == [plan["parameters"]["member"]]
    assert len(world.members(ops)) == 1
    assert world.undo(plan)[1]["result"] == "applied"


@pytest.mark.parametrize("spelling", [
    "cn=j\u00f6rg a", "CN=J\u00d6RG A", "cn=J\\C3\\B6rg a", "CN=\\4A\u00f6rg A"])
def test_a_name_is_one_name_however_it_is_written(world, spelling):
    world.user("J\u00f6rg A")
    ops = world.group("ops")
    plan = world.plan(ops, f"{spelling},{world.unit}")
    assert plan["parameters"]["member"] == (
        "cn=j\\C3\\B6rg a," + normal(world.unit))


# ---- what may not be ----

@pytest.mark.parametrize("resource, reason", [
    ("CN=nobody,{unit}", "no-such-resource"), ("{user}", "wrong-type"),
    ("CN=Domain Admins,CN=Users," + samba.BASE, "out-of-base"),
    ("nonsense", "invalid"), ("<GUID=b6fb7376-c541-40b8-929d-d33fa9b92cad>",
                              "invalid")])
def test_what_is_no_group_of_ours_is_refused(world, resource, reason):
    ada, bob = world.user("ada"), world.user("bob")
    refused(reason, world.plan, resource.format(unit=world.unit, user=bob),
            ada)


def test_a_member_that_is_not_there_cannot_be_added(world):
    refused("no-such-member", world.plan, world.group("ops"),
            f"CN=nobody,{world.unit}")


def test_what_the_account_may_not_do_is_told(world):
    """Everybody reads the domain; writing is delegated for a unit alone."""
    other = world.directory.add_unit(f"closed{world.number}")
    ops = f"CN=ops,{other}"
    world.directory.add(ops, {"objectClass": "group",
                              "sAMAccountName": f"closed.{world.number}"})
    ada = world.user("ada")
    world.connect(base=other)
    plan = world.plan(ops, ada)
    answer = world.apply(plan)
    assert (answer["result"], answer["reason"]) == ("refused", "not-allowed")


# ---- what changed meanwhile ----

def test_another_group_of_the_same_name_is_not_the_one_planned(world):
    ada, ops = world.user("ada"), world.group("ops")
    plan = world.plan(ops, ada)
    world.directory.delete(ops)
    world.group("ops")
    answer = world.apply(plan)
    assert (answer["result"], answer["reason"]) == ("refused", "precondition")


def test_another_account_of_the_same_name_is_not_the_one_planned(world):
    ada, ops = world.user("ada"), world.group("ops")
    plan = world.plan(ops, ada)
    world.directory.delete(ada)
    world.user("ada")
    answer = world.apply(plan)
    assert (answer["result"], answer["reason"]) == ("refused", "precondition")


def test_an_unrelated_change_voids_nothing(world):
    ada, bob, ops = world.user("ada"), world.user("bob"), world.group("ops")
    plan = world.plan(ops, ada)
    world.directory.change(ops, "add", "member", bob)
    world.directory.change(ada, "add", "description", "moved")
    assert world.apply(plan)["result"] == "applied"


def test_what_somebody_else_did_meanwhile_is_no_change(world):
    ada, ops = world.user("ada"), world.group("ops")
    plan = world.plan(ops, ada)
    world.directory.change(ops, "add", "member", ada)
    assert world.apply(plan)["result"] == "no-change"


def test_a_membership_that_came_at_the_last_moment_is_no_change(world):
    proxy = world.proxy()
    ada, ops = world.user("ada"), world.group("ops")
    plan = world.plan(ops, ada)
    proxy.before_modify = lambda: world.directory.change(
        ops, "add", "member", ada)
    assert world.apply(plan)["result"] == "no-change"
    assert proxy.modify_requests == 1


def test_a_group_exchanged_at_the_last_moment_is_not_changed(world):
    proxy = world.proxy()
    ada, ops = world.user("ada"), world.group("ops")
    plan = world.plan(ops, ada)

    def exchange():
        world.directory.delete(ops)
        world.group("ops")

    proxy.before_modify = exchange
    answer = world.apply(plan)
    assert (answer["result"], answer["reason"]) == ("refused",
                                                    "no-such-resource")
    assert world.members(ops) == []


def test_an_account_exchanged_at_the_last_moment_is_not_added(world):
    proxy = world.proxy()
    ada, ops = world.user("ada"), world.group("ops")
    plan = world.plan(ops, ada)

    def exchange():
        world.directory.delete(ada)
        world.user("ada")

    proxy.before_modify = exchange
    assert world.apply(plan)["result"] == "refused"
    assert world.members(ops) == []


def test_a_control_changed_at_the_last_moment_is_not_overwritten(world):
    proxy = world.proxy()
    ada = world.user("ada")
    plan = world.ask("plan", "SuspendAccount", ada)
    proxy.before_modify = lambda: world.directory.change(
        ada, "replace", "userAccountControl", "66048")
    answer = world.apply(plan, "SuspendAccount")
    assert (answer["result"], answer["reason"]) == ("refused", "precondition")
    assert world.directory.values(ada, "userAccountControl") == ["66048"]


@pytest.mark.parametrize("lose, happened", [("request", False),
                                            ("answer", True)])
def test_a_line_lost_after_sending_is_unknown_until_read(world, lose,
                                                         happened):
    proxy = world.proxy()
    ada = world.user("ada")
    plan = world.ask("plan", "SuspendAccount", ada)
    proxy.lose = lose
    refused("unknown", world.apply, plan, "SuspendAccount")
    proxy.lose = None
    assert proxy.modify_requests == 1
    assert world.ask("read", "SuspendAccount", ada)["present"] is happened


# ---- accounts ----

def test_a_suspended_account_is_kept_out_until_it_is_resumed(world):
    ada = world.user("ada")
    assert world.binds(ada)
    plan, done = world.do("SuspendAccount", ada)
    assert done["result"] == "applied" and done["observed"]["suspended"]
    assert plan["diff"] == [{"op": "add", "attribute": "userAccountControl",
                             "value": "ACCOUNTDISABLE"}]
    assert not world.binds(ada)
    assert world.ask("read", "SuspendAccount", ada)["present"] is True
    _, done = world.undo(plan)
    assert done["result"] == "applied" and world.binds(ada)
    assert world.directory.values(ada, "userAccountControl") == ["512"]


def test_other_bits_of_an_account_stay_as_they_are(world):
    ada = world.user("ada")
    world.directory.change(ada, "replace", "userAccountControl", "66048")
    plan, _ = world.do("SuspendAccount", ada)
    assert world.directory.values(ada, "userAccountControl") == ["66050"]
    world.undo(plan)
    assert world.directory.values(ada, "userAccountControl") == ["66048"]


def test_another_bit_that_changed_meanwhile_voids_nothing(world):
    ada = world.user("ada")
    plan = world.ask("plan", "SuspendAccount", ada)
    world.directory.change(ada, "replace", "userAccountControl", "66048")
    assert world.apply(plan, "SuspendAccount")["result"] == "applied"
    assert world.directory.values(ada, "userAccountControl") == ["66050"]


def test_another_account_of_the_same_name_is_not_the_one_suspended(world):
    ada = world.user("ada")
    plan = world.ask("plan", "SuspendAccount", ada)
    world.directory.delete(ada)
    world.user("ada")
    answer = world.apply(plan, "SuspendAccount")
    assert (answer["result"], answer["reason"]) == ("refused", "precondition")
    assert world.binds(ada)


def test_what_the_domain_locked_itself_is_not_lifted_here(world):
    world.directory.change(samba.BASE, "replace", "lockoutThreshold", "2")
    ada = world.user("ada")
    try:
        for _ in range(3):
            assert not world.binds(ada, "wrong")
        assert not world.binds(ada)
        assert "failed logins" in refused("locked-out", world.ask, "plan",
                                          "ResumeAccount", ada)
        plan, done = world.do("SuspendAccount", ada)
        assert plan["before"]["locked"] and not plan["before"]["suspended"]
        # A suspension lifts that lock, and nobody can place it back.
        assert done["observed"] == plan["after"] and plan["undo"] is None
    finally:
        world.directory.change(samba.BASE, "replace", "lockoutThreshold", "0")


def test_an_account_is_as_powerful_as_the_groups_it_is_in(world):
    ada = world.user("ada")
    ops = world.group("ops", ada)
    outer = world.group("outer", ops)
    nested = world.ask("plan", "ResumeAccount", ada)["nestedIn"]
    assert {normal(ops), normal(outer)} <= set(nested)
    assert normal(f"CN=Domain Users,CN=Users,{samba.BASE}") in nested


@pytest.mark.parametrize("name", ["krbtgt", "Administrator"])
def test_parts_of_the_directory_itself_are_not_suspended(world, name):
    world.connect(accounts={"base": samba.BASE})
    refused("wrong-type", world.ask, "plan", "SuspendAccount",
            f"CN={name},CN=Users,{samba.BASE}")
    refused("wrong-type", world.ask, "plan", "SuspendAccount", world.unit)


def test_the_connector_does_not_lock_itself_out(world):
    world.connect(accounts={"base": samba.BASE})
    refused("invalid", world.ask, "plan", "SuspendAccount",
            world.directory.account)


# ---- roles, what an account has, what there is ----

def test_groups_below_the_base_of_roles_are_roles(world):
    ada, role = world.user("ada"), world.group("oncall")
    world.connect(base=world.directory.services,
                  roles={"base": world.unit, "memberAttribute": "member"})
    plan, done = world.do("GrantRole", role, {"member": ada})
    assert plan["undo"]["action"] == "RevokeRole"
    assert done["result"] == "applied" and world.members(role) == [ada]


def test_what_an_account_has_is_told_along_every_way(world):
    ada = world.user("ada")
    ops = world.group("ops", ada)
    outer = world.group("outer", ops)
    told = world.connector.call("entitlements", account=ada)["entitlements"]
    has = {row["id"]: row for row in told}
    assert has[normal(ops)]["direct"] is True
    assert has[normal(outer)]["direct"] is False
    users = has[normal(f"CN=Domain Users,CN=Users,{samba.BASE}")]
    assert users["direct"] is True and "primary" in users["detail"]


def test_accounts_and_groups_are_found_and_flagged(world):
    ada = world.user("ada")
    gone, service = world.user("gone"), world.user("svc-backup")
    ops = world.group("ops", ada)
    world.directory.change(service, "replace", "servicePrincipalName",
                           f"http/{world.number}.example.org")
    world.do("SuspendAccount", gone)
    assert world.binds(ada)
    rows, cursor = [], {}
    while True:
        page = world.connector.call("discover", limit=2, **cursor)
        rows += page["accounts"]
        if "next" not in page:
            break
        cursor = {"cursor": page["next"]}
    found = {row["id"]: row for row in rows}
    assert len(found) == len(rows) == 4
    assert found[normal(ops)]["kind"] == "group"
    assert found[normal(gone)]["disabled"] is True
    assert found[normal(service)]["kind"] == "service"
    assert any("servicePrincipalName" in flag
               for flag in found[normal(service)]["flags"])
    assert found[normal(ada)]["login"] == f"ada.{world.number}"
    assert "lastUsed" in found[normal(ada)]
