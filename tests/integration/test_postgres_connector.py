"""writ-connect-postgres against a real PostgreSQL server.

The program is WRIT_CONNECT_POSTGRES, or that of the build folder WRIT_BUILD
(build/release); run by /usr/bin/python3 -m pytest.
"""
import hashlib
import json
import os
import pathlib
import signal
import sys
import threading
import time

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
from authority import digest
from connector_process import Refused
from connector_world import PASSWORD, ConnectorWorld, ids, program, refused
from postgres import AVAILABLE, Postgres, Proxy, Session, literal, name, psql
from postgres import Refused as ServerRefused
from slapd import Certificates

PROGRAM = program("postgres")
TARGET = "app-database"
ROLES = ["app_*", "writ_drill"]

pytestmark = pytest.mark.skipif(
    not (PROGRAM.exists() and AVAILABLE),
    reason="needs a built writ-connect-postgres and an installed PostgreSQL")

# What docs/connectors/postgres.md says the account needs, and no more.
ACCOUNT = f"""
CREATE ROLE writ LOGIN CREATEROLE PASSWORD {literal(PASSWORD)};
CREATE ROLE app_reader;
CREATE ROLE app_writer IN ROLE app_reader;
GRANT app_reader, app_writer TO writ WITH ADMIN OPTION;
CREATE ROLE alice LOGIN;
CREATE ROLE bob LOGIN;
"""

# Takes away everything that a test has left.
CLEAN = """
SET client_min_messages = error;
DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'
           AND rolname <> 'super' LOOP
    EXECUTE format('DROP OWNED BY %I CASCADE', r.rolname);
  END LOOP;
END $$
"""
DROP_ROLES = """
SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
  WHERE usename <> 'super' AND backend_type = 'client backend';
DO $$ DECLARE r record; BEGIN
  FOR r IN SELECT rolname FROM pg_roles WHERE rolname !~ '^pg_'
           AND rolname <> 'super' LOOP
    EXECUTE format('DROP ROLE %I', r.rolname);
  END LOOP;
END $$
"""


@pytest.fixture(scope="module")
def one_server():
    with Postgres() as server:
        for database in ("app", "other"):
            server.ask(f"CREATE DATABASE {database}")
        yield server


@pytest.fixture
def server(one_server):
    """The same server for all tests, as if it were new."""
    one_server.ask(ACCOUNT)
    for database in ("app", "other"):
        one_server.ask("GRANT CREATE ON SCHEMA public TO app_writer",
                       database)
    one_server.ask("CREATE TABLE books (title text); "
                   "INSERT INTO books VALUES ('one'); "
                   "GRANT SELECT ON books TO app_reader; "
                   "GRANT INSERT ON books TO app_writer", "app")
    yield one_server
    one_server.ask("SELECT pg_terminate_backend(pid, 5000) "
                   "FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                   "AND backend_type = 'client backend'")
    for database in ("app", "other", "postgres"):
        one_server.ask(CLEAN, database)
    one_server.ask("DROP TABLE books", "app")
    one_server.ask(DROP_ROLES)


class World(ConnectorWorld):
    """A server, an authority, and a connector between the two."""
    program = PROGRAM
    target = TARGET
    action = "GrantRole"

    def __init__(self, folder, server):
        super().__init__(folder)
        self.server = server

    def config(self, **changes):
        return self.settings({
            "host": "127.0.0.1", "port": self.server.port,
            "database": "postgres", "user": "writ",
            "passwordFile": self.password_file(),
            "caFile": str(self.server.certificates.ca), "roles": ROLES,
            "lend": {"connections": 2, "database": "app"}}, changes)

    def proxy(self, **changes):
        proxy = Proxy(self.server.port)
        self.closing.append(proxy.close)
        self.connect(port=proxy.port, caFile=None, **changes)
        return proxy

    def ask(self, method, action, resource, parameters=None, **more):
        """more: parameters, too."""
        return super().ask(method, action, resource,
                           {**(parameters or {}), **more})

    def grant(self, resource, member):
        """Grants; returns the plan's text, for an end."""
        text = self.text(self.plan(resource, member))
        answer = self.connector.call("apply", order=self.authority.arm(text))
        assert answer["result"] == "applied", answer
        return text

    def end(self, text):
        """Carries out the end of what text gave."""
        undo = text["undo"]
        plan = self.connector.call("plan", brief=True, **undo)
        if plan["noChange"]:
            return {"result": "gone already"}
        base = self.authority.base_of(text)
        return self.apply(plan, undo["action"], base=base, purpose="end")

    # Lending.

    def lend(self, role="app_reader", request="req_lent", **changes):
        """Lends; returns the plan's text and the answer."""
        plan = self.ask("plan", "IssueCredential", role, request=request)
        text = self.text(plan, "IssueCredential", request=request, **changes)
        answer = self.connector.call("apply", order=self.authority.arm(text))
        if "secret" in answer:
            self.secrets.append(answer["secret"]["password"])
        return text, answer

    def lent(self, *arguments, **named):
        text, answer = self.lend(*arguments, **named)
        assert answer["result"] == "applied", answer
        return text, answer["secret"]

    def as_login(self, secret, statement, database=None):
        """Runs a statement as whoever was lent a login would."""
        return psql(["-h", secret["host"], "-p", secret["port"], "-U",
                     secret["user"], "-d", database or secret["database"]],
                    statement, secret["password"],
                    {"PGSSLMODE": "verify-full",
                     "PGSSLROOTCERT": str(self.server.certificates.ca)})

    def session_of(self, secret):
        session = Session(["-h", secret["host"], "-p", secret["port"], "-U",
                           secret["user"], "-d", secret["database"]],
                          secret["password"])
        assert session.say("SELECT 1") == ["1"]
        self.closing.append(session.close)
        return session

    def gone(self, text):
        """The end of what was lent, by a fresh read."""
        return self.connector.call("read", **text["undo"])

    def close(self):
        super().close()
        for secret in self.secrets:
            assert secret not in self.server.logged()


@pytest.fixture
def empty(tmp_path, server):
    world = World(tmp_path, server)
    yield world
    world.close()


@pytest.fixture
def world(empty):
    empty.connect()
    return empty


# ---- describing and checking ----

def test_it_passes_the_run_that_every_connector_passes(empty):
    empty.conforms("--resource", "app_reader", "--member", "bob", "--add",
                   "GrantRole", "--remove", "RevokeRole")


def test_it_describes_its_actions_and_how_they_end(world):
    told = world.connector.call("describe")
    assert told["name"] == "postgres" and told["enforcesPrecondition"] is True
    assert {a["action"]: (a.get("inverse"), a["takes"])
            for a in told["actions"]} == {
        "GrantRole": ("RevokeRole", False), "RevokeRole": ("GrantRole", True),
        "IssueCredential": ("RevokeCredential", False),
        "RevokeCredential": (None, True)}
    assert {a["resourceType"] for a in told["actions"]} == {"Role"}


def test_a_server_it_can_reach_is_ok(world):
    assert world.connector.call("check") == {"ok": True}


def test_the_system_user_is_enough_over_the_socket(empty):
    empty.server.ask("CREATE ROLE peer LOGIN")
    empty.connect(host=empty.server.socket, caFile=None, passwordFile=None,
                  user="peer", lend=None)
    assert empty.connector.call("check") == {"ok": True}


def test_a_client_certificate_is_enough_over_tls(empty):
    empty.server.ask("CREATE ROLE certified LOGIN")
    certificate, key = empty.server.certificates.client
    os.chmod(key, 0o600)
    empty.connect(user="certified", clientCert=str(certificate),
                  clientKey=str(key), passwordFile=None, lend=None)
    assert empty.connector.call("check") == {"ok": True}


@pytest.mark.parametrize("password, why", [
    ("wrong", "password authentication failed"), ("", "empty"),
    ("\nsecond line", "empty")])
def test_a_wrong_or_empty_password_is_told(empty, password, why):
    (empty.folder / "password").touch(mode=0o600)
    (empty.folder / "password").write_text(password)
    empty.connect()
    answer = empty.connector.call("check")
    assert answer["ok"] is False and why in answer["detail"]
    refused("unavailable", empty.plan, "app_reader", "bob")


def test_a_password_that_was_changed_is_read_again(world):
    path = world.folder / "password"
    assert world.connector.call("check")["ok"] is True
    path.write_text("another")
    world.server.ask("ALTER ROLE writ PASSWORD 'another'")
    world.server.ask("SELECT pg_terminate_backend(pid, 5000) "
                     "FROM pg_stat_activity WHERE usename = 'writ'")
    assert world.connector.call("check") == {"ok": True}


def test_a_server_that_another_authority_vouches_for_is_not_trusted(empty):
    other = Certificates(empty.folder / "other")
    empty.connect(caFile=str(other.ca))
    answer = empty.connector.call("check")
    assert answer["ok"] is False and "certificate verify failed" in \
        answer["detail"]


def test_a_server_of_another_name_is_not_trusted(empty):
    certificates = empty.server.certificates
    certificate, key = certificates.issue("elsewhere", "elsewhere",
                                          "DNS:elsewhere.example")
    data = empty.server.data
    own = [(data / n).read_bytes() for n in ("server.pem", "server.key")]

    def use(parts):
        for n, text in zip(("server.pem", "server.key"), parts):
            (data / n).write_bytes(text)
        empty.server.ask("SELECT pg_reload_conf()")

    use([certificate.read_bytes(), key.read_bytes()])
    empty.closing.append(lambda: use(own))
    empty.connect()
    deadline = time.monotonic() + 30
    while empty.connector.call("check")["ok"]:
        # The server takes the files a moment after it was told to.
        assert time.monotonic() < deadline
        empty.connect()
    assert "does not match host name" in \
        empty.connector.call("check")["detail"]


def test_an_account_that_cannot_make_logins_is_told(empty):
    empty.server.ask("ALTER ROLE writ NOCREATEROLE")
    empty.connect()
    assert "CREATEROLE" in empty.connector.call("check")["detail"]
    empty.connect(lend=None)
    assert empty.connector.call("check") == {"ok": True}


@pytest.mark.parametrize("changes, why", [
    ({"host": "db.example.org", "caFile": None}, "caFile"),
    ({"host": "127.0.0.1,127.0.0.2"}, "exactly one server"),
    ({"host": "/run/socket"}, "Unix socket"),
    ({"clientCert": "/c.pem"}, "both or none"),
    ({"caFile": None, "clientCert": "/c", "clientKey": "/k"}, "only with"),
    ({"database": "host=elsewhere"}, "not a name"),
    ({"database": "postgres://elsewhere"}, "not a name"),
    ({"timeoutSeconds": 0}, "timeoutSeconds"),
    ({"timeoutSeconds": 11}, "timeoutSeconds"),
    ({"roles": []}, "roles"), ({"unknown": 1}, "unknown"),
    ({"lend": {"connections": 0}}, "connections"),
    ({"lend": {"owned": "keep"}}, "owned"), ({"user": None}, "user")])
def test_a_configuration_that_does_not_fit_together_does_not_start(
        empty, changes, why):
    path = empty.folder / "bad.yaml"
    path.write_text(json.dumps(empty.config(**changes)))
    done = empty.check(path)
    assert done.returncode == 1 and why in done.stderr, done.stderr


def test_what_stands_in_the_environment_does_not_lead_elsewhere(empty,
                                                                monkeypatch):
    for variable, value in (("PGHOST", "192.0.2.1"), ("PGHOSTADDR", "192.0.2.1"),
                            ("PGOPTIONS", "-c role=nobody"),
                            ("PGSERVICE", "none"), ("PGSSLMODE", "disable"),
                            ("PGDATABASE", "none")):
        monkeypatch.setenv(variable, value)
    empty.connect()
    assert empty.connector.call("check") == {"ok": True}


# ---- planning ----

def test_a_plan_says_who_gains_what(world):
    plan = world.plan("app_writer", "bob")
    assert plan["before"] == {"member": False}
    assert plan["after"] == {"member": True}
    assert plan["diff"] == [{"op": "add", "attribute": "member",
                             "value": "bob"}]
    assert plan["gains"] == [{"type": "account", "id": "bob"}]
    assert plan["loses"] == [] and plan["blastRadius"] == 1
    assert plan["nestedIn"] == ["app_reader"]
    assert plan["noChange"] is False and plan["atomic"] is True
    assert plan["undo"] == {"action": "RevokeRole", "resource": "app_writer",
                            "parameters": {"member": "bob"}}
    assert not world.server.is_member("app_writer", "bob")
    assert {**world.plan("app_writer", "bob"), "targetVersion": ""} == {
        **plan, "targetVersion": ""}


def test_everybody_who_gains_through_the_member_is_named(world):
    world.server.ask("CREATE ROLE team; CREATE ROLE night IN ROLE team; "
                     "GRANT team TO alice; GRANT night TO bob; "
                     "CREATE ROLE carol LOGIN IN ROLE night, team; "
                     "CREATE ROLE off NOLOGIN IN ROLE team")
    plan = world.plan("app_reader", "team")
    assert ids(plan["gains"]) == ["alice", "bob", "carol", "off"]
    assert plan["blastRadius"] == 4


def test_the_powers_behind_a_role_are_told_as_what_it_is_in(world):
    world.server.ask(
        "CREATE ROLE root SUPERUSER; CREATE ROLE maker CREATEROLE CREATEDB; "
        "CREATE ROLE app_ops IN ROLE root; GRANT maker TO root; "
        "GRANT pg_read_all_data TO app_ops; "
        "ALTER ROLE app_ops REPLICATION BYPASSRLS; "
        "GRANT app_reader TO app_ops WITH ADMIN OPTION")
    assert world.plan("app_ops", "bob")["nestedIn"] == [
        "app_reader", "maker", "pg_attribute:admin", "pg_attribute:bypassrls",
        "pg_attribute:createdb", "pg_attribute:createrole",
        "pg_attribute:replication", "pg_attribute:superuser",
        "pg_read_all_data", "root"]
    # No role can take such a name, so none can look like a power.
    with pytest.raises(ServerRefused, match="reserved"):
        world.server.ask('CREATE ROLE "pg_attribute:superuser"')


def test_what_is_so_already_changes_nothing(world):
    world.server.ask("GRANT app_reader TO bob")
    plan = world.plan("app_reader", "bob")
    assert plan["noChange"] is True and plan["diff"] == []
    assert plan["undo"] is None
    assert plan["before"] == {"member": True, "grantedBy": ["super"]}
    plan = world.plan("app_reader", "alice", "RevokeRole")
    assert plan["noChange"] is True


@pytest.mark.parametrize("role, member, reason", [
    ("app_none", "bob", "no-such-resource"),
    ("app_reader", "nobody", "no-such-member"),
    ("super", "bob", "out-of-base"), ("pg_monitor", "bob", "out-of-base"),
    ("app_reader", "app_reader", "invalid"),
    ("app_reader", "writ", "invalid"),
    ("app_writer", "app_reader", "invalid")])
def test_what_cannot_be_granted_is_refused(world, role, member, reason):
    message = refused(reason, world.plan, role, member)
    assert ("circles" in message) == ((role, member) == (
        "app_writer", "app_reader"))


def test_parameters_are_exactly_the_member(world):
    for parameters in ({}, {"member": "bob", "admin": True}, {"member": 7},
                       {"login": "bob"}):
        with pytest.raises(Refused) as caught:
            world.connector.call("plan", action="GrantRole",
                                 resource="app_reader", parameters=parameters)
        assert caught.value.reason == "invalid"


# ---- names ----

ODD = ['app_"quoted"', "app_'single'", "app_; DROP ROLE alice; --",
       "app_Mixed Case", "app_ünïcödé", "app_%I%L%s", "app_$1", "app_日本",
       "app_*", "app_" + "x" * 59]


@pytest.mark.parametrize("role", ODD)
def test_odd_names_are_only_names(world, role):
    world.server.ask(f"CREATE ROLE {name(role)}; "
                     f"GRANT {name(role)} TO writ WITH ADMIN OPTION; "
                     f"CREATE ROLE {name('m' + role[1:])} LOGIN")
    member = "m" + role[1:]
    text = world.grant(role, member)
    assert world.server.is_member(role, member)
    assert ids(text["gains"]) == [member]
    assert world.end(text)["result"] == "applied"
    assert not world.server.is_member(role, member)
    assert world.server.has_role("alice")


def test_backslashes_and_control_characters_have_one_spelling(world):
    for role, spelling in (("app_back\\slash", "app_back\\\\slash"),
                           ("app_new\nline\t", "app_new\\0aline\\09")):
        world.server.ask(f"CREATE ROLE {name(role)}; GRANT {name(role)} "
                         "TO writ WITH ADMIN OPTION")
        text = world.grant(spelling, "bob")
        assert text["resource"] == spelling
        assert world.server.is_member(role, "bob")
    # Another spelling of the same is planned in the one, and refused in orders.
    plan = world.plan("\\61pp_reader", "bob")
    assert plan["resource"] == "app_reader"
    answer = world.apply({**plan, "resource": "\\61pp_reader"})
    assert answer["reason"] == "order" and "normal form" in answer["detail"]


@pytest.mark.parametrize("role, why", [
    ("app_" + "x" * 60, "63 bytes"), ("app_" + "ü" * 30, "63 bytes"),
    ("app_\\00", "NUL"), ("app_\\0", "hex digits"), ("app_\\", "hex digits"),
    ("app_\\zz", "hex digits")])
def test_what_the_server_would_cut_off_or_misread_is_no_name(world, role, why):
    world.server.ask(f"CREATE ROLE {'app_' + 'x' * 59}")
    assert why in refused("invalid", world.plan, role, "bob")
    assert why in refused("invalid", world.plan, "app_reader", role)


def test_a_raw_control_character_is_no_resource_and_nobodys_name(world):
    refused("malformed", world.plan, "app_\n", "bob")
    assert "\\0a" in refused("no-such-member", world.plan, "app_reader",
                             "bo\nb")


# ---- granting ----

def test_what_is_granted_is_there_and_ends(world):
    text = world.grant("app_reader", "bob")
    assert world.server.ask(
        "SELECT grantor::regrole, admin_option FROM pg_auth_members "
        "WHERE member = 'bob'::regrole") == ["writ|f"]
    told = world.read("app_reader", "bob")
    assert told["present"] is True and told["state"] == {"member": True}
    answer = world.end(text)
    assert answer["observed"] == {"member": False}
    assert world.read("app_reader", "bob", "RevokeRole")["present"] is True
    assert not world.server.is_member("app_reader", "bob")


def test_an_account_without_createrole_can_grant_what_it_administers(empty):
    empty.server.ask("ALTER ROLE writ NOCREATEROLE")
    empty.connect(lend=None)
    text = empty.grant("app_reader", "bob")
    assert empty.end(text)["result"] == "applied"


def test_a_superuser_can_be_the_account_and_locks_the_catalog(empty):
    empty.server.ask("ALTER ROLE writ SUPERUSER")
    proxy = empty.proxy()
    text = empty.grant("app_reader", "bob")
    assert any(s.startswith("LOCK TABLE pg_authid") for s in proxy.statements)
    assert empty.end(text)["result"] == "applied"


def test_what_somebody_else_granted_is_not_ours_to_take(world):
    world.server.ask("GRANT app_reader TO bob")
    assert "super" in refused("other-grantor", world.plan, "app_reader", "bob",
                              "RevokeRole")
    told = world.read("app_reader", "bob", "RevokeRole")
    assert told["present"] is True
    assert told["state"] == {"member": True, "grantedBy": ["super"]}


def test_a_grant_that_somebody_made_their_own_is_over_for_us(world):
    text = world.grant("app_reader", "bob")
    world.server.ask("REVOKE app_reader FROM bob; GRANT app_reader TO bob")
    assert world.end(text)["result"] == "gone already"
    assert world.server.is_member("app_reader", "bob")


def test_the_right_to_hand_on_is_seen_and_has_no_way_back(world):
    world.grant("app_reader", "bob")
    world.server.ask("UPDATE pg_auth_members SET admin_option = true "
                     "WHERE member = 'bob'::regrole")
    plan = world.plan("app_reader", "bob", "RevokeRole")
    assert plan["before"] == {"member": True, "admin": True}
    assert plan["after"] == {"member": False} and plan["undo"] is None
    assert world.apply(plan, "RevokeRole")["result"] == "applied"


def test_the_last_login_of_a_ruling_role_stays(empty):
    empty.server.ask("CREATE ROLE app_makers CREATEROLE; "
                     "GRANT app_makers TO writ WITH ADMIN OPTION")
    empty.connect(keepOneMember=["app_reader"])
    for role in ("app_makers", "app_reader"):
        empty.grant(role, "bob")
        assert role in refused("last-member", empty.plan, role, "bob",
                               "RevokeRole")
        empty.grant(role, "alice")
        plan = empty.plan(role, "bob", "RevokeRole")
        assert empty.apply(plan, "RevokeRole")["result"] == "applied"


def test_a_grant_ends_even_if_nobody_is_left(empty):
    empty.connect(keepOneMember=["app_reader"])
    text = empty.grant("app_reader", "bob")
    assert empty.end(text)["result"] == "applied"


def test_a_member_that_is_gone_has_nothing_left_to_end(world):
    text = world.grant("app_reader", "bob")
    world.server.ask("DROP ROLE bob")
    with pytest.raises(Refused) as caught:
        world.end(text)
    assert caught.value.reason == "no-such-member"
    assert world.connector.call("read", **text["undo"])["present"] is True


def test_a_drill_is_given_and_taken(empty):
    empty.server.ask("CREATE ROLE writ_drill; CREATE ROLE writ_dummy; "
                     "GRANT writ_drill TO writ WITH ADMIN OPTION")
    empty.connect(drill={"resource": "writ_drill",
                         "parameters": {"member": "writ_dummy"}})
    for action in ("GrantRole", "RevokeRole"):
        plan = empty.plan("writ_drill", "writ_dummy", action)
        assert empty.apply(plan, action, purpose="drill")["result"] == "applied"
    plan = empty.plan("app_reader", "bob")
    assert empty.apply(plan, purpose="drill")["reason"] == "order"


# ---- what changed between the plan and the order ----

CHANGES = {
    "the role is another of the name":
        "DROP OWNED BY app_reader; DROP ROLE app_reader; "
        "CREATE ROLE app_reader; GRANT app_reader TO writ WITH ADMIN OPTION",
    "the member is another of the name": "DROP ROLE bob; CREATE ROLE bob LOGIN",
    "the role gives more": "GRANT pg_read_all_data TO app_reader",
    "the role became a superuser": "ALTER ROLE app_reader SUPERUSER",
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_order_for_what_has_changed_is_refused(world, what):
    plan = world.plan("app_reader", "bob")
    world.server.ask("DROP OWNED BY app_reader", "app")
    world.server.ask(CHANGES[what])
    answer = world.apply(plan)
    assert answer["reason"] == "precondition", answer
    assert not world.server.is_member("app_reader", "bob")


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_in_the_very_moment_is_found_before_the_commit(empty, what):
    """The change is made after the connector's last look before its own."""
    proxy = empty.proxy()
    plan = empty.plan("app_reader", "bob")
    empty.server.ask("DROP OWNED BY app_reader", "app")
    proxy.before["GRANT "] = lambda: empty.server.ask(CHANGES[what])
    answer = empty.apply(plan)
    assert answer["result"] == "refused", answer
    assert answer["reason"] in ("precondition", "not-allowed"), answer
    assert not empty.server.is_member("app_reader", "bob")


def test_a_grant_that_another_was_quicker_with_is_not_taken_for_ours(empty):
    proxy = empty.proxy()
    plan = empty.plan("app_reader", "bob")
    proxy.before["GRANT "] = lambda: empty.server.ask("GRANT app_reader TO bob")
    assert empty.apply(plan)["reason"] == "precondition"
    assert empty.server.ask("SELECT grantor::regrole FROM pg_auth_members "
                            "WHERE member = 'bob'::regrole") == ["super"]


def test_a_row_that_another_holds_is_waited_for_and_given_up(empty):
    empty.connect(timeoutSeconds=1)
    plan = empty.plan("app_reader", "bob")
    other = empty.server.session()
    other.say("BEGIN")
    other.say("GRANT app_reader TO bob")
    answer = empty.apply(plan)
    assert answer["result"] == "refused", answer
    assert answer["reason"] in ("busy", "unavailable"), answer
    other.say("ROLLBACK")
    assert empty.apply(plan)["result"] == "applied"
    other.close()


def test_two_connectors_do_not_cross(empty):
    """One waits for the other's transaction, by an advisory lock."""
    proxy = empty.proxy()
    plan = empty.plan("app_reader", "bob")
    other = World(empty.folder / "other", empty.server)
    other.folder.mkdir()
    other.connect(timeoutSeconds=1)
    found = []
    proxy.before["GRANT "] = lambda: found.append(
        other.apply(other.plan("app_reader", "alice")))
    assert empty.apply(plan)["result"] == "applied"
    assert found[0]["reason"] == "busy", found
    other.close()


# ---- when things break ----

def test_a_server_that_is_down_is_told_and_comes_back(world):
    world.server.end()
    assert world.connector.call("check")["ok"] is False
    refused("unavailable", world.plan, "app_reader", "bob")
    refused("unavailable", world.read, "app_reader", "bob")
    world.server.start()
    assert world.connector.call("check") == {"ok": True}


def test_an_order_to_a_server_that_is_down_has_no_effect(world):
    plan = world.plan("app_reader", "bob")
    world.server.end()
    answer = world.apply(plan)
    assert answer["result"] == "refused" and answer["reason"] == "unavailable"
    world.server.start()
    assert world.apply(plan)["result"] == "applied"


def test_a_server_that_crashed_in_between_is_found_again(world):
    plan = world.plan("app_reader", "bob")
    world.server.end(signal.SIGQUIT)
    world.server.start()
    assert world.apply(plan)["result"] == "applied"


@pytest.mark.parametrize("where", ["BEGIN", "GRANT ", "COMMIT"])
def test_a_line_that_is_cut_before_the_commit_leaves_nothing(empty, where):
    proxy = empty.proxy()
    plan = empty.plan("app_reader", "bob")
    proxy.lose[where] = "request"
    if where == "COMMIT":
        # It left us, and who knows how far it came: reading tells.
        refused("unknown", empty.apply, plan)
    else:
        answer = empty.apply(plan)
        assert answer["reason"] == "unavailable", answer
    assert empty.read("app_reader", "bob")["present"] is False
    assert not empty.server.is_member("app_reader", "bob")


@pytest.mark.parametrize("how", ["answer", "silence"])
def test_a_commit_without_an_answer_is_unknown_and_reading_tells(empty, how):
    proxy = empty.proxy(timeoutSeconds=1)
    plan = empty.plan("app_reader", "bob")
    proxy.lose["COMMIT"] = how
    refused("unknown", empty.apply, plan)
    assert empty.read("app_reader", "bob")["present"] is True


def test_a_session_that_is_ended_before_its_commit_is_unknown_or_undone(empty):
    proxy = empty.proxy()
    plan = empty.plan("app_reader", "bob")
    proxy.before["COMMIT"] = lambda: empty.server.ask(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE usename = 'writ'")
    refused("unknown", empty.apply, plan)
    assert empty.read("app_reader", "bob")["present"] is False


def test_a_server_that_hangs_is_given_up(empty):
    proxy = empty.proxy(timeoutSeconds=1)
    proxy.lose["SELECT oid, rolname"] = "silence"
    refused("unavailable", empty.plan, "app_reader", "bob")
    assert empty.plan("app_reader", "bob")["noChange"] is False


# ---- lending a login ----

def login_of(request):
    """The name, made again from the words of the document."""
    raw = hashlib.sha256(request.encode()).digest()[:16]
    bits = int.from_bytes(raw, "big") << 2
    return "writ_" + "".join(
        "abcdefghijklmnopqrstuvwxyz234567"[bits >> 5 * (25 - i) & 31]
        for i in range(26))


def test_a_plan_to_lend_knows_the_login_and_no_secret(world):
    plan = world.ask("plan", "IssueCredential", "app_writer", request="req_7")
    login = login_of("req_7")
    assert plan["parameters"] == {"login": login}
    assert plan["before"] == {"login": False}
    assert plan["after"] == {"login": True}
    assert plan["gains"] == [{"type": "account", "id": login}]
    assert plan["nestedIn"] == ["app_reader"]
    assert plan["undo"] == {"action": "RevokeCredential",
                            "resource": "app_writer",
                            "parameters": {"login": login}}
    again = world.ask("plan", "IssueCredential", "app_writer", login=login)
    assert {**again, "targetVersion": ""} == {**plan, "targetVersion": ""}
    assert not world.server.has_role(login)


def test_a_lent_login_can_do_what_its_role_can(world):
    text, secret = world.lent()
    assert secret["user"] == login_of("req_lent")
    assert (secret["host"], secret["port"], secret["database"]) == (
        "127.0.0.1", str(world.server.port), "app")
    assert world.as_login(secret, "SELECT title FROM books") == ["one"]
    for statement in ("INSERT INTO books VALUES ('two')",
                      "CREATE ROLE x", "CREATE DATABASE x",
                      "SET ROLE app_writer", "SELECT * FROM pg_authid"):
        with pytest.raises(ServerRefused, match="permission denied"):
            world.as_login(secret, statement)
    assert text["undo"]["parameters"] == {"login": secret["user"]}


def test_a_lent_login_is_nothing_but_what_was_lent(world):
    _, secret = world.lent(ttl=900)
    row = world.server.ask(
        "SELECT rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, "
        "rolreplication, rolbypassrls, rolconnlimit, "
        "rolvaliduntil BETWEEN now() + interval '890 s' AND "
        f"now() + interval '901 s' FROM pg_roles WHERE rolname = "
        f"'{secret['user']}'")
    assert row == ["f|t|f|f|t|f|f|2|t"]
    assert world.server.ask(
        "SELECT roleid::regrole, admin_option FROM pg_auth_members "
        f"WHERE member = '{secret['user']}'::regrole") == ["app_reader|f"]
    assert world.server.ask("SELECT shobj_description("
                            f"'{secret['user']}'::regrole, 'pg_authid')")[0] \
        .startswith("Lent by Writ for req_lent until 2")


def test_the_server_gets_a_verifier_and_never_the_password(empty):
    proxy = empty.proxy()
    _, secret = empty.lent()
    kept = empty.server.ask("SELECT rolpassword FROM pg_authid WHERE rolname = "
                            f"'{secret['user']}'")[0]
    assert kept.startswith("SCRAM-SHA-256$4096:")
    assert secret["password"].encode() not in proxy.sent
    assert secret["password"] not in empty.server.logged()
    assert secret["user"] in empty.server.logged()


def test_the_secret_is_told_once(world):
    text, secret = world.lent()
    told = world.connector.call("read", action="IssueCredential",
                                resource="app_reader",
                                parameters=text["parameters"])
    assert told["present"] is True and told["state"]["member"] is True
    assert told["state"]["validUntil"] == secret["validUntil"]
    assert secret["password"] not in json.dumps(told)
    answer = world.connector.call("apply", order=world.authority.arm(text))
    assert answer["result"] == "refused" and "secret" not in answer


def test_a_second_issue_takes_the_first_back_and_has_another_password(world):
    """As when the first answer was lost: the same request, planned again."""
    text, first = world.lent()
    session = world.session_of(first)
    plan = world.ask("plan", "IssueCredential", "app_reader",
                     request="req_lent")
    assert plan["before"] == {"login": True} and plan["atomic"] is False
    # The connector's own file is lost: nothing else lets a request come again.
    world.connector.close()
    (world.folder / "seen").unlink()
    world.connector = None
    world.connect()
    text, second = world.lent()
    assert second["user"] == first["user"]
    assert second["password"] != first["password"]
    assert "terminating connection" in session.ended()
    with pytest.raises(ServerRefused, match="password authentication failed"):
        world.as_login(first, "SELECT 1")
    assert world.as_login(second, "SELECT 1") == ["1"]
    assert world.end(text)["result"] == "applied"


def test_connections_of_one_login_are_few(world):
    _, secret = world.lent()
    world.session_of(secret)
    world.session_of(secret)
    with pytest.raises(ServerRefused, match="too many connections"):
        world.as_login(secret, "SELECT 1")


def test_a_login_ends_by_the_servers_own_clock_too(world):
    _, secret = world.lent(ttl=1)
    deadline = time.monotonic() + 30
    while not world.server.flag(f"SELECT now() > '{secret['validUntil']}'"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with pytest.raises(ServerRefused, match="password authentication failed"):
        world.as_login(secret, "SELECT 1")


def test_a_login_is_lent_for_its_own_request_only(world):
    plan = world.ask("plan", "IssueCredential", "app_reader", request="req_a")
    answer = world.apply(plan, "IssueCredential", request="req_b")
    assert answer["reason"] == "order" and "request" in answer["detail"]
    for ttl in (0, -5, None, 10 ** 12):
        answer = world.apply(plan, "IssueCredential", request="req_a", ttl=ttl)
        assert answer["reason"] == "order", answer
    assert not world.server.has_role(login_of("req_a"))


@pytest.mark.parametrize("power, told", [
    ("ALTER ROLE app_reader SUPERUSER", "superuser"),
    ("CREATE ROLE r SUPERUSER; GRANT r TO app_reader", "superuser"),
    ("ALTER ROLE app_reader CREATEROLE", "createrole"),
    ("ALTER ROLE app_reader REPLICATION", "replication"),
    ("GRANT pg_execute_server_program TO app_reader", "server_program"),
    ("GRANT pg_write_server_files TO app_reader", "server_files")])
def test_what_could_outlast_its_task_is_not_lent(world, power, told):
    plan = world.ask("plan", "IssueCredential", "app_reader", request="req_1")
    world.server.ask(power)
    assert told in refused("wrong-type", world.ask, "plan", "IssueCredential",
                           "app_reader", request="req_1")
    answer = world.apply(plan, "IssueCredential", request="req_1")
    assert answer["result"] == "refused", answer
    assert not world.server.has_role(login_of("req_1"))


def test_only_roles_in_reach_are_lent_and_only_where_lending_is_on(empty):
    empty.connect()
    refused("out-of-base", empty.ask, "plan", "IssueCredential", "alice",
            request="r")
    refused("no-such-resource", empty.ask, "plan", "IssueCredential",
            "app_none", request="r")
    for parameters in ({}, {"login": "alice"}, {"request": ""},
                       {"request": "r" * 129}, {"login": "writ_short"},
                       {"login": "writ_" + "A" * 26},
                       {"login": login_of("r"), "request": "r"}):
        refused("invalid", empty.ask, "plan", "IssueCredential", "app_reader",
                **parameters)
    empty.connect(lend=None)
    refused("out-of-base", empty.ask, "plan", "IssueCredential", "app_reader",
            request="r")


def test_a_lent_login_is_given_nothing_else(world):
    _, secret = world.lent()
    refused("invalid", world.plan, "app_writer", secret["user"])
    refused("out-of-base", world.plan, secret["user"], "bob")


@pytest.mark.parametrize("where", ["CREATE ROLE", "COMMIT"])
def test_lending_that_breaks_leaves_no_secret_and_reading_tells(empty, where):
    proxy = empty.proxy(timeoutSeconds=1)
    proxy.lose[where] = "answer"
    if where == "COMMIT":
        refused("unknown", empty.lend)
    else:
        assert empty.lend()[1]["reason"] == "unavailable"
    login = login_of("req_lent")
    there = empty.ask("read", "IssueCredential", "app_reader", login=login)
    assert there["present"] is (where == "COMMIT")
    assert empty.server.has_role(login) is (where == "COMMIT")


# ---- taking it back ----

def test_a_login_that_is_taken_back_is_gone_with_its_sessions(world):
    text, secret = world.lent()
    sessions = [world.session_of(secret), world.session_of(secret)]
    sessions[0].say("BEGIN")
    answer = world.end(text)
    assert answer["result"] == "applied", answer
    assert answer["observed"] == {"login": False, "sessions": 0}
    for session in sessions:
        assert "terminating connection" in session.ended()
    assert not world.server.has_role(secret["user"])
    with pytest.raises(ServerRefused, match="password authentication failed"):
        world.as_login(secret, "SELECT 1")
    assert world.gone(text)["present"] is True
    assert world.end(text)["result"] == "gone already"


def test_a_session_that_took_on_the_role_ends_too(world):
    text, secret = world.lent()
    session = world.session_of(secret)
    session.say("SET ROLE app_reader")
    assert world.end(text)["result"] == "applied"
    assert "terminating connection" in session.ended()


def wait_until(true, seconds=30):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_whoever_is_just_being_let_in_does_not_slip_through(world):
    """A session that was found to be allowed in before its login was shut, and
    is not yet among the sessions."""
    text, secret = world.lent()
    gate = world.server.session()
    world.closing.append(gate.close)
    gate.say("BEGIN")
    # The database is locked on the way in, after the login was looked at.
    gate.say("ALTER DATABASE app RENAME TO elsewhere")
    late = Session(["-h", secret["host"], "-p", secret["port"], "-U",
                    secret["user"], "-d", secret["database"]],
                   secret["password"])
    world.closing.append(late.close)
    wait_until(lambda: gate.say(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND classid = "
        "'pg_database'::regclass") == ["1"])
    assert gate.say("SELECT count(*) FROM pg_stat_activity WHERE usename = "
                    f"'{secret['user']}'") == ["0"]
    done = []
    ending = threading.Thread(target=lambda: done.append(world.end(text)))
    ending.start()
    wait_until(lambda: gate.say("SELECT rolcanlogin FROM pg_roles WHERE "
                                f"rolname = '{secret['user']}'") == ["f"])
    assert not done
    gate.say("ROLLBACK")
    ending.join(60)
    assert done[0]["result"] == "applied", done
    assert "terminating connection" in late.ended()
    assert world.server.ask(
        "SELECT count(*) FROM pg_stat_activity a WHERE usesysid IS NOT NULL "
        "AND NOT EXISTS (SELECT FROM pg_roles r WHERE r.oid = usesysid)") == [
        "0"]


def make_things(world, secret):
    for database in ("app", "other"):
        world.as_login(secret, "CREATE TABLE mine (x int); "
                       "INSERT INTO mine VALUES (7); CREATE VIEW seen AS "
                       "SELECT x FROM mine; GRANT SELECT ON mine TO alice; "
                       "CREATE FUNCTION f() RETURNS int LANGUAGE sql SECURITY "
                       "DEFINER AS 'SELECT x FROM mine'; ALTER DEFAULT "
                       "PRIVILEGES GRANT SELECT ON TABLES TO alice", database)


def test_what_it_owns_goes_to_the_role_in_every_database(world):
    text, secret = world.lent("app_writer")
    make_things(world, secret)
    answer = world.end(text)
    assert answer["result"] == "applied", answer
    left = answer["observed"]["left"]
    assert [(row["database"], row["definers"]) for row in left] == [
        ("app", 1), ("other", 1)]
    for database in ("app", "other"):
        assert world.server.ask(
            "SELECT relowner::regrole FROM pg_class WHERE relname = 'mine'",
            database) == ["app_writer"]
        assert world.server.ask("SELECT x FROM mine", database) == ["7"]
    assert not world.server.has_role(secret["user"])


def test_what_it_owns_goes_away_where_that_is_the_rule(empty):
    empty.connect(lend={"owned": "drop", "database": "app"})
    text, secret = empty.lent("app_writer")
    make_things(empty, secret)
    answer = empty.end(text)
    assert answer["result"] == "applied", answer
    for database in ("app", "other"):
        assert empty.server.ask("SELECT to_regclass('mine') IS NULL",
                                database) == ["t"]


def test_privileges_that_it_has_go_with_it(world):
    text, secret = world.lent()
    login = secret["user"]
    world.server.ask(f"GRANT CONNECT ON DATABASE other TO {login}")
    # Only whoever granted a privilege, and an owner, can take it back.
    world.server.ask("ALTER TABLE books OWNER TO app_writer; "
                     f"GRANT UPDATE ON books TO {login}", "app")
    world.server.ask("ALTER DATABASE other OWNER TO app_writer")
    try:
        answer = world.end(text)
        assert answer["result"] == "applied", answer
    finally:
        world.server.ask("ALTER DATABASE other OWNER TO super")
        world.server.ask("ALTER TABLE books OWNER TO super", "app")
    assert not world.server.has_role(login)


def test_a_login_that_cannot_be_dropped_can_do_nothing(world):
    """A privilege that only somebody else can take back holds the role."""
    text, secret = world.lent()
    session = world.session_of(secret)
    login = secret["user"]
    world.server.ask(f"CREATE TABLE theirs (); GRANT ALL ON theirs TO {login}")
    message = refused("unknown", world.end, text)
    assert login in message or "postgres" in message, message
    assert "terminating connection" in session.ended()
    with pytest.raises(ServerRefused, match="not permitted to log in|failed"):
        world.as_login(secret, "SELECT 1")
    assert not world.server.is_member("app_reader", login)
    told = world.gone(text)
    assert told["present"] is False
    assert told["state"]["canLogin"] is False
    world.server.ask("DROP TABLE theirs")
    assert world.end(text)["result"] == "applied"
    assert world.gone(text)["present"] is True


@pytest.mark.parametrize("where", [
    "ALTER ROLE", "GRANT ", "REVOKE ", "SELECT count(pg_terminate",
    "SELECT DISTINCT coalesce", "BEGIN", "REASSIGN", "DROP OWNED", "COMMIT",
    "DROP ROLE"])
@pytest.mark.parametrize("how", ["request", "answer"])
def test_taking_back_goes_on_wherever_it_was_cut(empty, where, how):
    proxy = empty.proxy()
    text, secret = empty.lent("app_writer")
    # The login's own road is the server's, not the proxy's.
    secret = {**secret, "port": str(empty.server.port)}
    empty.as_login(secret, "CREATE TABLE mine (x int)")
    empty.as_login(secret, "CREATE TABLE mine (x int)", "other")
    proxy.lose[where] = how
    try:
        first = empty.end(text)
        assert first["result"] == "refused", first
    except Refused as error:
        assert error.reason == "unknown"
    last = empty.end(text)["result"]
    assert last in ("applied", "gone already")
    assert not empty.server.has_role(secret["user"])
    assert empty.gone(text)["present"] is True
    assert empty.server.ask("SELECT relowner::regrole FROM pg_class "
                            "WHERE relname = 'mine'", "other") == ["app_writer"]


def test_what_takes_longer_than_an_answer_is_waited_for(empty):
    """Simulated: handing on many objects, by a server that takes its time."""
    empty.server.ask(
        "CREATE FUNCTION slow() RETURNS event_trigger LANGUAGE plpgsql AS "
        "'BEGIN PERFORM pg_sleep(2.5); END'; CREATE EVENT TRIGGER slow ON "
        "ddl_command_start WHEN TAG IN ('DROP OWNED') "
        "EXECUTE FUNCTION slow()", "app")
    try:
        empty.connect(timeoutSeconds=1)
        text, secret = empty.lent("app_writer")
        empty.as_login(secret, "CREATE TABLE mine (x int)")
        assert empty.end(text)["result"] == "applied"
    finally:
        empty.server.ask("DROP EVENT TRIGGER slow; DROP FUNCTION slow", "app")


def test_a_connector_that_is_killed_in_between_goes_on_later(empty):
    proxy = empty.proxy()
    text, secret = empty.lent()
    proxy.before["DROP OWNED"] = empty.connector.process.kill
    empty.session_of({**secret, "port": str(empty.server.port)})
    empty.server.ask(f"GRANT CREATE ON SCHEMA public TO {secret['user']}",
                     "app")
    with pytest.raises((RuntimeError, BrokenPipeError)):
        empty.end(text)
    empty.connector.close()
    empty.connector = None
    empty.server.ask(f"REVOKE CREATE ON SCHEMA public FROM {secret['user']}",
                     "app")
    empty.connect()
    assert empty.end(text)["result"] == "applied"
    assert not empty.server.has_role(secret["user"])


def test_a_login_outlives_neither_its_role_nor_its_reach(empty):
    empty.connect()
    text, secret = empty.lent("app_writer")
    empty.as_login(secret, "CREATE TABLE mine (x int)")
    empty.server.ask("DROP OWNED BY app_writer", "app")
    empty.server.ask("DROP OWNED BY app_writer", "other")
    empty.server.ask("DROP ROLE app_writer")
    empty.connect(lend=None, roles=["none"])
    assert empty.end(text)["result"] == "applied"
    assert empty.server.ask("SELECT relowner::regrole FROM pg_class "
                            "WHERE relname = 'mine'", "app") == ["writ"]


def test_only_what_was_lent_is_taken_back(world):
    for login in ("alice", "writ", "super", "app_reader"):
        refused("invalid", world.ask, "plan", "RevokeCredential", "app_reader",
                login=login)
    plan = world.ask("plan", "RevokeCredential", "app_reader",
                     login=login_of("never"))
    assert plan["noChange"] is True and plan["undo"] is None


def test_another_login_of_the_name_is_not_taken_for_it(world):
    text, secret = world.lent()
    undo = text["undo"]
    plan = world.connector.call("plan", **undo)
    world.server.ask(f"DROP ROLE {secret['user']}; "
                     f"CREATE ROLE {secret['user']} LOGIN")
    answer = world.apply(plan, "RevokeCredential",
                         base=world.authority.base_of(text), purpose="end")
    assert answer["reason"] == "precondition", answer
    assert world.end(text)["result"] == "applied"


def test_a_hundred_logins_end(world):
    lent = [world.lent(request=f"req_many_{n}") for n in range(100)]
    for text, _ in lent:
        assert world.end(text)["result"] == "applied"
    assert world.server.ask("SELECT count(*) FROM pg_roles WHERE rolname "
                            "LIKE 'writ\\_%'") == ["0"]


# ---- who is there, what they may do, what they did ----

def test_accounts_are_told_a_page_at_a_time(world):
    world.server.ask("CREATE ROLE batch LOGIN VALID UNTIL '2001-01-01'; "
                     "CREATE ROLE root LOGIN SUPERUSER; "
                     'CREATE ROLE "Zoë" LOGIN; CREATE ROLE copy LOGIN REPLICATION')
    _, secret = world.lent()
    world.session_of(secret)
    found, cursor, pages = [], {}, 0
    while True:
        page = world.connector.call("discover", limit=3, **cursor)
        assert len(page["accounts"]) <= 3
        found += page["accounts"]
        pages += 1
        if "next" not in page:
            break
        cursor = {"cursor": page["next"]}
    assert pages > 2
    assert ids(found) == ids(world.connector.call("discover")["accounts"])
    assert ids(found) == sorted(ids(found))
    accounts = {account["id"]: account for account in found}
    assert not any(i.startswith("pg_") for i in accounts)
    assert accounts["app_reader"]["kind"] == "group"
    assert accounts["alice"]["kind"] == "account"
    assert accounts["alice"]["flags"] == ["never-expires"]
    assert "lastUsed" not in accounts["alice"]
    assert accounts["batch"]["disabled"] is True
    assert accounts["root"]["flags"] == ["never-expires", "superuser"]
    assert accounts["super"]["kind"] == "account"
    assert accounts["copy"]["kind"] == "service"
    assert accounts["Zoë"]["kind"] == "account"
    lent = accounts[secret["user"]]
    assert lent["kind"] == "service"
    assert lent["flags"] == ["in-use", "lent"] and lent["lastUsed"]
    refused("invalid", world.connector.call, "discover", cursor="\\zz")


def test_entitlements_are_told_with_the_way_to_them(world):
    world.server.ask("CREATE ROLE maker CREATEDB; GRANT maker TO app_writer; "
                     "GRANT app_writer TO bob WITH ADMIN OPTION")
    world.connect(database="app")
    rows = world.connector.call("entitlements", account="bob")["entitlements"]
    assert [(r["id"], r["direct"]) for r in rows if r["type"] == "role"] == [
        ("app_reader", False), ("app_writer", True), ("maker", False)]
    assert {r["id"]: r.get("detail") for r in rows if r["type"] == "role"}[
        "app_writer"] == "with the right to grant it"
    assert [(r["id"], r["detail"]) for r in rows
            if r["type"] == "attribute"] == [("createdb", "through maker")]
    assert [(r["id"], r["detail"]) for r in rows
            if r["type"] == "privilege"] == [
        ("SELECT on 1 table", "through app_reader"),
        ("CREATE on 1 schema", "through app_writer"),
        ("INSERT on 1 table", "through app_writer")]
    assert world.connector.call("entitlements", account="alice") == {
        "account": "alice", "entitlements": []}
    refused("no-such-account", world.connector.call, "entitlements",
            account="nobody")


def deeds(world, account, since, **more):
    return world.connector.call("activity", account=account, since=since,
                                **more)


def logged_deeds(world, account, count):
    """The server writes its log a little later."""
    deadline = time.monotonic() + 30
    while True:
        told = deeds(world, account, "2001-01-01T00:00:00Z")
        if len(told["deeds"]) >= count or time.monotonic() > deadline:
            return told
        time.sleep(0.05)


def test_what_a_login_did_is_told_from_the_servers_log(empty):
    empty.connect(log=str(empty.server.log))
    text, secret = empty.lent("app_writer", "req_of_the_log")
    odd = "INSERT INTO books VALUES ('a \"quoted\", and\nlong one')"
    empty.as_login(secret, "SELECT title FROM books")
    empty.as_login(secret, odd)
    with pytest.raises(ServerRefused):
        empty.as_login(secret, "DROP TABLE books")
    empty.end(text)
    told = logged_deeds(empty, secret["user"], 4)["deeds"]
    assert [(d["command"], d.get("failed", False)) for d in told[:4]] == [
        ("SELECT", False), ("INSERT", False), ("DROP", False), ("DROP", True)]
    assert {d["where"] for d in told} == {"app"}
    assert {d["source"] for d in told} == {"log"}
    assert [d.get("digest") for d in told[:4]] == [
        digest("SELECT title FROM books"), digest(odd),
        digest("DROP TABLE books"), None]
    assert [d["at"] for d in told] == sorted(d["at"] for d in told)
    assert "title" not in json.dumps(told)
    few = deeds(empty, secret["user"], "2001-01-01T00:00:00Z", limit=2)
    assert few["deeds"] == told[-2:] and few["complete"] is False
    assert deeds(empty, secret["user"], "2999-01-01T00:00:00Z")["deeds"] == []
    assert deeds(empty, secret["user"], told[0]["at"])["complete"] is True


def test_without_a_log_sessions_are_a_sample(world):
    world.server.ask("GRANT pg_read_all_stats TO writ")
    _, secret = world.lent()
    session = world.session_of(secret)
    session.say("SELECT count(*) FROM books")
    told = deeds(world, secret["user"], "2001-01-01T00:00:00Z")
    assert told["complete"] is False
    assert [(d["source"], d["command"], d["where"]) for d in told["deeds"]] == [
        ("session", "SELECT", "app")]
    assert deeds(world, "alice", "2001-01-01T00:00:00Z")["deeds"] == []
    refused("invalid", deeds, world, "\\zz", "2001-01-01T00:00:00Z")


def test_a_log_that_is_not_there_is_told(empty):
    empty.connect(log="/nonexistent/log.csv")
    assert "log" in refused("unavailable", deeds, empty, "alice",
                            "2001-01-01T00:00:00Z")
