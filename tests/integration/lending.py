"""A whole authority that lends logins of a real PostgreSQL server.

    with Lending(folder, server) as world:
        task = world.bot.open_task("data-ops", targets=[DATABASE])
        secret = world.lend(task)               # what the agent is told, once
        world.run(secret, "SELECT title FROM books")
"""
import json

from harness import Authority, Human, program, wait_until
from postgres import Refused, Session, literal, psql
from stories import leaves

DATABASE = "app-database"
ACCOUNT = "the connector's own password"
DRILL_LOGIN = "writ_" + "a" * 26

# What docs/connectors/postgres.md says the connector's account needs.
ROLES = f"""
CREATE ROLE writ LOGIN CREATEROLE PASSWORD {literal(ACCOUNT)};
CREATE ROLE app_reader;
CREATE ROLE app_writer;
CREATE ROLE writ_drill;
CREATE ROLE writ_dummy;
CREATE ROLE bob LOGIN;
GRANT app_reader, app_writer, writ_drill TO writ WITH ADMIN OPTION;
"""
BOOKS = """
CREATE TABLE books (title text);
INSERT INTO books VALUES ('one');
GRANT SELECT ON books TO app_reader;
GRANT SELECT, INSERT ON books TO app_writer;
"""

PLANE = {"kind": "Plane", "metadata": {"name": "databases"},
         "spec": {"sensitivity": 2}}
CLASS = {"kind": "TaskClass", "metadata": {"name": "data-ops"}, "spec": {
    "owner": "alice", "purpose": "questions to the application's data",
    "domain": "corp", "planes": ["databases"],
    "openers": ["hr-bot", "adviser"],
    "actions": ["IssueCredential", "RevokeCredential", "GrantRole",
                "RevokeRole", "ReadEntitlements"],
    "maxTier": 3, "longest": "8h", "approvalWithin": "4h",
    "softwareKeys": True}}
TARGET = {"kind": "Target", "metadata": {"name": DATABASE}, "spec": {
    "connector": "postgres", "owner": "erin", "plane": "databases",
    "domain": "corp", "environment": "staging", "drillDays": 7,
    "classification": [
        {"match": {"resource": "app_reader"}, "tier": 1, "sensitivity": 1},
        {"match": {"resource": "app_writer"}, "tier": 2, "sensitivity": 2},
        {"match": {"resource": "writ_drill"}, "tier": 0, "sensitivity": 0},
        {"match": {"resource": "bob", "type": "Dataset"}, "tier": 1,
         "sensitivity": 1}]}}


def prepare(server):
    """Brings the roles and the data of these tests into a new server."""
    server.ask("CREATE DATABASE app")
    server.ask(ROLES)
    server.ask(BOOKS, "app")
    return server


def with_database(manifests):
    """The manifests of the demonstration and those of the database; bob has an
    account there."""
    for manifest in manifests:
        if manifest["metadata"]["name"] == "bob":
            manifest["spec"]["accounts"].append(f"{DATABASE}/bob")
    return manifests + [PLANE, TARGET, CLASS]


class Lending:
    """One authority beside one server; close() ends it.

    secret_seconds: in which a secret must be taken.
    """

    def __init__(self, folder, server, secret_seconds=None, port=None):
        self.server = server
        self.secrets = []
        self._sessions = []
        # One agent does here what is the work of many days.
        self.authority = Authority(folder=folder, bundle_options=("--bench",))
        folder = self.authority.folder
        (folder / "account").touch(mode=0o600)
        (folder / "account").write_text(ACCOUNT + "\n")
        self.file = folder / "database.yaml"
        self.file.write_text(json.dumps(self._connector(folder, port)))
        self.authority.write_config(
            connectors=[
                {"target": "corp-directory", "command": [
                    program("writ-connect-null"), "--config",
                    str(folder / "connector.yaml")]},
                {"target": DATABASE, "command": [
                    program("writ-connect-postgres"), "--config",
                    str(self.file)]}],
            limits={"secretSeconds": secret_seconds} if secret_seconds
            else None)

    def _connector(self, folder, port):
        return {
            "target": DATABASE, "host": "127.0.0.1",
            "port": port or self.server.port, "database": "postgres",
            "user": "writ", "passwordFile": str(folder / "account"),
            **({} if port else {
                "caFile": str(self.server.certificates.ca)}),
            "timeoutSeconds": 5,
            "roles": ["app_*", "writ_drill"],
            "lend": {"connections": 2, "database": "app",
                     "port": self.server.port},
            "drills": [
                {"action": "GrantRole", "resource": "writ_drill",
                 "parameters": {"member": "writ_dummy"}},
                {"action": "IssueCredential", "resource": "writ_drill",
                 "parameters": {"login": DRILL_LOGIN}}],
            "approvers": {"fromTier": 2, "needed": 1,
                          "file": str(folder / "approvers")},
            "authority": {"vkey": self.authority.vkey,
                          "state": str(folder / "database-seen")}}

    def __enter__(self):
        self.authority.start()
        self.authority.found(with_database, drill=False)
        wait_until(self.is_up, "the connector of " + DATABASE)
        self.authority.human("ada").drill(DATABASE).ok()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        for session in self._sessions:
            session.close()
        self.authority.close()

    def start(self, down=False):
        """Starts it again; sessions of people did not outlast the stop.

        down: the connector to the database does not come."""
        self.authority.start()
        self.person("ada").session = None
        if not down:
            wait_until(self.is_up, "the connector of " + DATABASE)

    def is_up(self):
        return any(row["target"] == DATABASE and row["up"]
                   for row in self.authority.health()["connectors"])

    @property
    def bot(self):
        return self.authority.agent("hr-bot")

    def person(self, name) -> Human:
        return self.authority.human(name)

    # Asking.

    def open_task(self, agent=None, ttl="1h"):
        return (agent or self.bot).open_task("data-ops", targets=[DATABASE],
                                             ttl=ttl)

    def ask(self, task, resource="app_reader", action="IssueCredential",
            agent=None, wait=20, ttl="15m", **parameters):
        """POST /v1/requests."""
        return (agent or self.bot).call(
            "POST", f"/v1/requests?wait={wait}",
            {"task": task, "action": action, "target": DATABASE,
             "resource": resource, "parameters": parameters,
             "mode": "execute", "ttl": ttl})

    def take(self, request, agent=None, wait=0):
        """POST /v1/requests/{id}/secret."""
        return (agent or self.bot).call(
            "POST", f"/v1/requests/{request}/secret?wait={wait}", {})

    def lend(self, task, resource="app_reader", **more):
        """The whole answer with the secret of a new credential."""
        request = self.ask(task, resource, **more).ok(200)
        assert request["state"] == "done", request
        answer = self.take(request["id"]).ok(200)
        self.secrets.append(answer["secret"]["password"])
        return answer

    def grant(self, grant):
        return self.person("ada").get(f"/v1/grants/{grant}").ok()

    def ended(self, grant):
        """The grant once it has ended."""
        wait_until(lambda: self.grant(grant)["state"] == "ended",
                   f"the end of {grant}")
        return self.grant(grant)

    def leaves(self, *kinds):
        """The leaves of these kinds, oldest first."""
        return [leaf for leaf in leaves(self.authority)
                if leaf["kind"] in kinds]

    # Using.

    def _arguments(self, secret):
        return ["-h", secret["host"], "-p", str(secret["port"]), "-U",
                secret["user"], "-d", secret["database"]]

    def run(self, answer, statement):
        """Runs a statement as whoever was lent a login."""
        secret = answer["secret"]
        return psql(self._arguments(secret), statement, secret["password"],
                    {"PGSSLMODE": "verify-full",
                     "PGSSLROOTCERT": str(self.server.certificates.ca)})

    def session(self, answer):
        """A session that stays open."""
        secret = answer["secret"]
        session = Session(self._arguments(secret), secret["password"])
        self._sessions.append(session)
        assert session.say("SELECT 1") == ["1"]
        return session

    def is_locked_out(self, answer):
        """Whether the password opens nothing and the login is gone."""
        try:
            self.run(answer, "SELECT 1")
        except Refused:
            return not self.server.has_role(answer["secret"]["user"])
        return False
