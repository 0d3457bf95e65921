"""What targets saw of a credential while it was lent: the log of a real sshd,
and samples of the sessions of a real PostgreSQL that writes no CSV log."""
import datetime
import json
import subprocess
import threading

import pytest

import harness
import issuing
import postgres
import sshd
from desk import Desk
from harness import program, wait_until
from issuing import HOSTS, LOGIN
from lending import DATABASE, Lending, prepare

SSH = ["ssh", "-F", "none", "-o", "BatchMode=yes", "-o",
       "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o",
       "LogLevel=ERROR"]


class LoggedSshd(sshd.Sshd):
    """A real sshd whose messages go through a simulated syslog: what `sshd -e`
    says on standard error is stamped with time, host and program, and appended
    to a file."""

    def __init__(self, folder):
        super().__init__(folder)
        self.auth = folder / "auth.log"
        self.auth.touch()
        self.thread = None
        with open(folder / "config", "a", encoding="utf-8") as config:
            config.write("Subsystem sftp internal-sftp\n")

    def start(self):
        self.child = subprocess.Popen(
            [sshd.SSHD, "-D", "-e", "-f", self.folder / "config"],
            stderr=subprocess.PIPE)
        self.log = self.child.stderr
        self.thread = threading.Thread(target=self._syslog)
        self.thread.start()
        wait_until(self.listens, "sshd")
        return self

    def _syslog(self):
        for line in self.log:
            now = datetime.datetime.now(datetime.timezone.utc)
            with open(self.auth, "ab") as to:
                to.write(now.isoformat(timespec="microseconds").encode()
                         + b" build-1 sshd[1]: " + line.rstrip(b"\r\n")
                         + b"\n")

    def said(self):
        return self.auth.read_text()

    def close(self):
        self.child.terminate()
        self.child.wait()
        self.thread.join()
        self.log.close()


@pytest.fixture(name="host")
def the_host(tmp_path):
    if not sshd.SSHD:
        pytest.skip("no sshd here")
    server = LoggedSshd(tmp_path / "host")
    yield server
    if server.child:
        server.close()


def connector(host, folder, **changes):
    path = folder / "build-hosts.yaml"
    path.write_text(json.dumps(
        {"target": HOSTS, "log": str(host.auth), "whole": True, **changes}))
    return {"target": HOSTS,
            "command": [program("writ-connect-sshd"), "--config", str(path)]}


def row_of(authority, target=HOSTS):
    (row,) = [row for row in authority.health()["connectors"]
              if row["target"] == target]
    return row


class World:
    """An authority that issues for a host and reads its log."""

    def __init__(self, folder, host, **changes):
        self.host = host
        self.authority = harness.Authority(folder=folder)
        null = {"target": harness.TARGET, "command": [
            program("writ-connect-null"), "--config",
            str(self.authority.folder / "connector.yaml")]}
        self.authority.write_config(connectors=[
            null, connector(host, self.authority.folder, **changes)])
        self.authority.start()
        issuing.found(self.authority, change=issuing.manifests(HOSTS))
        wait_until(lambda: row_of(self.authority)["connectorUp"],
                   "the connector of the hosts")
        for what, to in (("authorities", host.trusted), ("krl", host.revoked)):
            assert self.authority.writ("ssh", what, "--to",
                                       to).returncode == 0
        host.start()
        self.bot = self.authority.agent("hr-bot")
        self.desk = Desk(self.authority, task_class="lending",
                         targets=("--with", f"{HOSTS}:{LOGIN}"))

    def run(self, *lines, reported=None):
        """A script of an agent; it ends once the log has what it did."""
        if reported is not None:
            lines = (*lines, f"echo '{json.dumps({'effects': reported})}' "
                     '> "$WRIT_EFFECTS_FILE"')
        done = self.desk.run("sh", "-ec", "\n".join(lines))
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done

    def ssh(self, command):
        return " ".join([*SSH, "-p", str(self.host.port), "127.0.0.1",
                         command])

    def sftp(self):
        words = " ".join([*SSH[1:], "-P", str(self.host.port)])
        return f"echo pwd | sftp {words} -b - 127.0.0.1"

    def logged(self, words, count=1):
        """Waits in the script until the log has it so often."""
        return (f"until [ $(grep -c '{words}' {self.host.auth}) -ge {count} ]; "
                "do sleep 0.05; done")

    def shown(self):
        return self.desk.only_task()["return"]


@pytest.fixture(name="world")
def the_world(tmp_path, host):
    world = World(tmp_path / "authority", host)
    yield world
    world.authority.verify()
    world.authority.close()


def counts(row):
    return {deed["command"]: deed["count"] for deed in row["deeds"]}


def test_what_a_certificate_was_used_for_stands_in_the_return(world):
    world.run(world.ssh("true"), world.ssh("true"), world.sftp(),
              world.logged("subsystem .sftp"))
    (seen,) = world.shown()["observed"]
    assert seen["target"] == HOSTS and seen["complete"], seen
    assert counts(seen) == {"login": 3, "exec": 2, "sftp": 1}
    task = world.desk.only_task()["id"]
    assert seen["account"].startswith(f"{task}/crd_")
    assert {deed["source"] for deed in seen["deeds"]} == {"log"}


def test_what_others_did_there_does_not(world, tmp_path):
    """Neither with a certificate of another task nor on our connection."""
    key = tmp_path / "other"
    line = sshd.make_key(key)
    task = issuing.open_task(world.bot, HOSTS)
    _, secret = issuing.lend(world.bot, task, LOGIN, on=HOSTS, publicKey=line)
    (tmp_path / "other-cert.pub").write_text(secret["certificate"] + "\n")
    assert world.host.login(key, "echo other") == "other"
    done = world.desk.run(
        "sh", "-ec", "\n".join([
            world.ssh("true"), world.logged("Starting session: command", 2)]))
    assert done.returncode == 0, done.stderr
    (ours,) = [row for row in world.desk.tasks().values()
               if row["state"] == "completed"]
    (seen,) = ours["return"]["observed"]
    assert counts(seen) == {"login": 1, "exec": 1}


def test_where_the_log_and_the_report_differ_is_told(world):
    world.run(world.ssh("true"), world.sftp(),
              world.logged("subsystem .sftp"),
              reported=[{"target": HOSTS, "action": "exec", "count": 2},
                        {"target": HOSTS, "action": "shell"}])
    told = {(row["kind"], row["action"]): (row["reported"], row["observed"])
            for row in world.shown()["differences"]}
    assert told == {("count", "exec"): (2, 1), ("not-reported", "sftp"): (0, 1),
                    ("not-observed", "shell"): (1, 0)}
    shown = world.bot.writ("task", "show", world.desk.only_task()["id"])
    _, words = shown.stdout.decode().split("Differences:\n")
    assert sorted(words.splitlines()) == [
        f"  {HOSTS}: exec reported 2 times, observed once",
        f"  {HOSTS}: sftp observed once, and not reported",
        f"  {HOSTS}: shell reported once, and not observed"]


def test_a_report_that_is_right_differs_in_nothing(world):
    world.run(world.ssh("true"), world.logged("Starting session: command"),
              reported=[{"target": HOSTS, "action": "exec", "count": 1}])
    assert world.shown()["differences"] == []


def test_a_log_that_is_not_said_to_be_whole_proves_no_silence(tmp_path, host):
    world = World(tmp_path / "authority", host, whole=False)
    try:
        world.run("true", reported=[{"target": HOSTS, "action": "exec"}])
        (seen,) = world.shown()["observed"]
        assert not seen["complete"] and seen["deeds"] == []
        assert world.shown()["differences"] == []
    finally:
        world.authority.close()


def test_a_target_that_issues_goes_on_without_the_connector_that_reads(world):
    row = row_of(world.authority)
    assert row["up"] and row["connectorUp"], row
    assert row["build"].startswith("writ-issuer/"), row
    target = world.bot.get(f"/v1/targets/{HOSTS}").ok()
    assert target["up"] and target["lends"] == "ssh"
    (world.authority.folder / "build-hosts.yaml").write_text("{}")
    world.authority.restart()
    wait_until(lambda: row_of(world.authority).get("connectorWhy",
                                                   "starting") != "starting",
               "the connector to be down")
    row = row_of(world.authority)
    assert row["up"] and not row["connectorUp"], row
    ada = world.authority.human("ada")
    ada.writ("login", check=True)
    words = ada.writ("doctor", "--config", world.authority.config_path).stdout
    assert f"the one that reads {HOSTS} is down".encode() in words, words
    world.desk.environment["WRIT_URL"] = world.authority.url
    world.run("true")
    (seen,) = world.shown()["observed"]
    assert not seen["complete"] and "down" in seen["why"], seen


def readers(manifests):
    """Accounts of the target that issues may be read, as far as policy goes."""
    for manifest in issuing.manifests(HOSTS)(manifests):
        spec = manifest["spec"]
        if manifest["metadata"]["name"] == HOSTS:
            spec["classification"].append(
                {"match": {"resource": "deploy", "type": "Dataset"},
                 "tier": 1, "sensitivity": 1})
        if manifest["metadata"]["name"] == "lending":
            spec["actions"].append("ReadEntitlements")
        yield manifest


def test_what_nobody_can_look_at_is_refused_where_writ_issues(make_authority):
    authority = issuing.found(make_authority(),
                              change=lambda given: list(readers(given)))
    bot = authority.agent("hr-bot")
    task = issuing.open_task(bot, HOSTS)
    done = bot.call("POST", "/v1/requests?wait=20", {
        "task": task, "action": "ReadEntitlements", "target": HOSTS,
        "resource": "deploy", "parameters": {}})
    assert done.ok(200)["state"] == "failed", done.body
    assert "cannot tell" in json.dumps(done.body)
    authority.human("ada").get(f"/v1/targets/{HOSTS}/discovery").refused(
        409, "cannot-discover")
    assert row_of(authority)["up"]


# ---- samples ----

@pytest.fixture(scope="module", name="database")
def the_database():
    if not postgres.AVAILABLE:
        pytest.skip("needs an installed PostgreSQL")
    with postgres.Postgres() as server:
        prepare(server)
        server.ask("GRANT pg_read_all_stats TO writ")
        yield server


@pytest.fixture(name="lending")
def the_lending(tmp_path, database):
    """Its connector has no CSV log to read."""
    with Lending(tmp_path / "authority", database) as world:
        yield world
        world.authority.verify()


def returned(lending, task):
    return wait_until(
        lambda: lending.bot.get(f"/v1/tasks/{task}").ok().get("return"),
        "the return of the task")


def samples(lending, login):
    """How often the connector has looked at the sessions of a login."""
    return len([row for row in lending.server.logged().splitlines()
                if "FROM pg_stat_activity WHERE usename" in row
                and login in row])


def told(lending):
    """A connector answers in order: what it was asked before has arrived."""
    lending.person("ada").get(f"/v1/targets/{DATABASE}/discovery").ok()


def test_what_is_done_with_a_login_is_sampled_where_there_is_no_log(lending):
    task = lending.open_task()
    answer = lending.lend(task)
    login = answer["secret"]["user"]
    session = lending.session(answer)
    session.say("SELECT title FROM books")
    wait_until(lambda: samples(lending, login), "a sample")
    told(lending)
    lending.bot.complete(task)
    shown = returned(lending, task)
    (seen,) = shown["observed"]
    assert seen["account"] == login and not seen["complete"], seen
    assert counts(seen) == {"SELECT": 1}
    assert {deed["source"] for deed in seen["deeds"]} == {"session"}
    assert [(row["kind"], row["action"]) for row in shown["differences"]] == [
        ("not-reported", "SELECT")]


def test_a_login_that_nobody_used_has_no_samples(lending):
    task = lending.open_task()
    login = lending.lend(task)["secret"]["user"]
    wait_until(lambda: samples(lending, login), "a sample")
    told(lending)
    lending.bot.complete(task)
    (seen,) = returned(lending, task)["observed"]
    assert seen["deeds"] == [] and not seen["complete"]


def test_what_is_seen_twice_counts_once(lending):
    """An idle session shows its last statement in every sample."""
    task = lending.open_task()
    answer = lending.lend(task)
    login = answer["secret"]["user"]
    lending.session(answer).say("SELECT title FROM books")
    wait_until(lambda: samples(lending, login) > 1, "two samples", 60)
    told(lending)
    lending.bot.complete(task)
    (seen,) = returned(lending, task)["observed"]
    assert counts(seen) == {"SELECT": 1}


def test_samples_go_on_after_a_restart(lending):
    task = lending.open_task()
    answer = lending.lend(task)
    login = answer["secret"]["user"]
    lending.session(answer).say("SELECT title FROM books")
    lending.authority.stop()
    before = samples(lending, login)
    lending.start()
    wait_until(lambda: samples(lending, login) > before, "a sample")
    told(lending)
    lending.bot.complete(task)
    (seen,) = returned(lending, task)["observed"]
    assert counts(seen) == {"SELECT": 1}
