"""The second half of the demonstration: agents that act themselves, with what
they are lent for one task.  A real PostgreSQL server, a real sshd, `writ run`.
"""
import contextlib
import json
import os
import pathlib
import re
import shlex
import subprocess

from stage import call, lines, say, words

# pylint: disable=wrong-import-position
import harness
import postgres
import sshd
from harness import wait_until

EXAMPLE = harness.ROOT / "examples" / "lending"
DATABASE, HOSTS = "orders-db", "build-hosts"
BOT, CLERK = "night-bot", "clerk-bot"
ACCOUNT = "the connector's own"  # as examples/lending/roles.sql has it
READER = f"{DATABASE}:orders_reader"
LOGIN = f"{HOSTS}:{sshd.ME}"
LOOK = """{ssh} 'echo a shell as $(id -un)'
psql -Atc 'SELECT count(*) FROM orders'
echo kept $(cat $PGPASSFILE) $SSH_AUTH_SOCK
trap '' TERM
while :; do sleep 1; done
"""
LOGIN_NAME = re.compile(r"writ_[a-z2-7]{26}")


def available():
    return postgres.AVAILABLE and sshd.SSHD


@contextlib.contextmanager
def servers(folder):
    """A database with orders in it, and a host that lets certificates in."""
    host = sshd.Sshd(folder / "host")
    with postgres.Postgres() as database:
        database.ask((EXAMPLE / "roles.sql").read_text())
        database.ask("CREATE DATABASE orders")
        database.ask((EXAMPLE / "orders.sql").read_text(), "orders")
        try:
            yield database, host
        finally:
            host.close()


def configure(authority, database):
    """Brings the database's connector into writd.yaml, before the start."""
    folder = authority.folder
    account, path = folder / "orders-account", folder / "orders.yaml"
    account.touch(mode=0o600)
    account.write_text(ACCOUNT + "\n")
    path.write_text(harness.fill(
        (EXAMPLE / "connector-postgres.yaml").read_text(), {
            **authority.values, "PORT": database.port, "FOLDER": folder,
            "CA": database.certificates.ca, "LOG": database.log,
            "VKEY": authority.vkey}))
    config = json.loads(authority.config_path.read_text())
    authority.write_config(connectors=[*config["connectors"], {
        "target": DATABASE, "command": [
            harness.program("writ-connect-postgres"), "--config",
            str(path)]}])


class Night:
    """Who works at night, and on what."""

    def __init__(self, world, database, host):
        self.world = world
        self.story = world.story
        self.database = database
        self.host = host

    # Identities: a file of the workload platform that always holds a fresh
    # token is simulated by a stack of them.

    def simulated_platform(self, name, count=60):
        folder = self.world.folder / f"identity-{name}"
        folder.mkdir()
        agent = self.world.authority.agent(name)
        for number in range(count):
            (folder / f"{number:03}").write_text(agent.token())
        take = folder / "svid"
        take.write_text(f"""#!/bin/sh
cd {folder} || exit 1
for file in [0-9]*; do
    mv "$file" taken.$$ && cat taken.$$ && rm taken.$$ && exit 0
done
exit 1
""")
        take.chmod(0o755)
        return take

    def environment(self, name):
        home = self.world.folder / "home" / name
        home.mkdir(parents=True, exist_ok=True)
        return {**self.world.authority._env(),  # pylint: disable=protected-access
                "HOME": str(home), "WRIT_URL": self.world.authority.url,
                "WRIT_TOKEN_COMMAND": str(
                    self.world.folder / f"identity-{name}" / "svid"),
                "PGSSLMODE": "verify-full",
                "PGSSLROOTCERT": str(self.database.certificates.ca)}

    def start(self, name, intent, loans, *command):
        options = ["--agent", name, "--class", "night-work", "--intent",
                   intent, "--ttl", "10m"]
        for loan in loans:
            options += ["--with", loan]
        call(name, "writ run " + shlex.join([*options, "--", *command]))
        return subprocess.Popen(
            [harness.program("writ"), "run", *options, "--", *command],
            env=self.environment(name), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def run(self, *arguments):
        """(status, output, all that was said), shown."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=120)
        lines(out + err)
        return process.returncode, out, out + err

    def task(self, said):
        """The task that a run tells of."""
        return re.search(r"tsk_[0-9a-f]+", said)[0]

    def shown(self, task):
        return self.world.read("ada", "task", "show", task)

    # What is there, past Writ.

    def logins(self):
        return [row for row in self.database.ask(
            "SELECT rolname FROM pg_roles ORDER BY 1")
                if LOGIN_NAME.fullmatch(row)]

    def look(self, when):
        call("anybody", "psql -c 'SELECT rolname FROM pg_roles'"
             f"    # lent logins, {when}")
        found = self.logins()
        lines("\n".join(found) or "(none)")
        return found

    def opens(self, secret):
        """Whether a password that was kept opens the database."""
        host, port, _, user, password = secret.split(":")
        try:
            return postgres.psql(
                ["-h", host, "-p", port, "-U", user, "-d", "orders"],
                "SELECT 1", password, self.environment(BOT)) == ["1"]
        except postgres.Refused as refusal:
            lines(str(refusal).splitlines()[0])
            return False

    def fetch_host_files(self, show=True):
        """What a timer on the host does: the list of revoked certificates."""
        where = self.host.revoked
        if show:
            call("host", f"writ ssh krl --to {where}")
        self.world.writ("ada", "ssh", "krl", "--to", where, show=False)


# ---- the steps ----

def found(night):
    world, story = night.world, night.story
    story.step("A database, and hosts to log in to", """
        Agents must often act themselves: run SQL, log in to a host. Writ
        lends them what that takes, for one task. The connector of the
        database makes logins; the hosts trust certificates that Writ's keeper
        signs.""")
    authority = world.authority
    path = world.folder / "lending.yaml"
    path.write_text(harness.fill((EXAMPLE / "manifests.yaml").read_text(),
                                 {**authority.values, "LOGIN": sshd.ME}))
    world.writ("ada", "apply", "-f", path, "--yes", wanted=4, show=False)
    call("ada", f"writ apply -f {path} --yes")
    change = next(c for c in world.read("ada", "change", "list")["changes"]
                  if c["state"] == "waiting")["id"]
    world.login("heidi")
    world.writ("heidi", "change", "sign", change, "--yes", head=6)
    wait_until(lambda: all(row["up"] for row in
                           authority.health()["connectors"]),
               "the database and the keeper to be up")
    world.writ("ada", "target", "drill", DATABASE, "--yes")
    call("host", f"writ ssh authorities --to {night.host.trusted}")
    world.writ("ada", "ssh", "authorities", "--to", night.host.trusted,
               show=False)
    night.fetch_host_files()
    night.host.start()
    for name in (BOT, CLERK):
        night.simulated_platform(name)
    story.promise(night.logins() == [],
                  "Nothing is lent: a login was made, taken back and read by "
                  "the drill, and is gone.")


def sql(night):
    story = night.story
    story.step("An agent runs SQL", f"""
        `writ run` opens the task, has a login lent, runs psql with it, and
        ends the task. psql is told nothing: it finds its login where it
        always looks. (Where {BOT}'s identity comes from is simulated: a
        stack of tokens in place of its workload platform.)""")
    status, out, said = night.run(
        BOT, "what was ordered", [READER], "psql", "-c",
        "SELECT item, cents FROM orders ORDER BY number")
    task = night.shown(night.task(said))
    story.promise(status == 0 and "desk" in out,
                  "The orders were read by a login made for this task.")
    story.promise(task["state"] == "completed" and not night.look("after"),
                  "With the command the task ended, and with it the login.")
    observed = task["return"]["observed"]
    lines("return of the task: observed "
          + json.dumps([{k: row[k] for k in ("target", "deeds", "complete")
                         if k in row} for row in observed])[:300])
    story.promise(any(deed["command"] == "SELECT" for row in observed
                      for deed in row.get("deeds", ())),
                  "What the database's own log saw of it stands in the "
                  "task's return.", str(observed))
    status, out, said = night.run(
        BOT, "give myself a discount", [READER], "psql", "-c",
        "UPDATE orders SET cents = 1")
    story.promise(status != 0 and "permission denied" in said,
                  "It can do what its role can, and nothing else.")


def locked_out(night):
    world, story = night.world, night.story
    story.step("Locked out of both, the moment the task ends", """
        Two credentials at once: a login of the database and a certificate for
        the hosts. The command keeps copies of both and refuses to end.""")
    options = ("-F none -p {port} -o BatchMode=yes -o StrictHostKeyChecking=no "
               "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR "
               "127.0.0.1").format(port=night.host.port)
    script = world.folder / "look.sh"
    script.write_text(LOOK.format(ssh=f"ssh {options}"))
    call(BOT, "cat look.sh")
    lines(script.read_text().replace(options, "$HOST"))
    process = night.start(BOT, "look at a build", [READER, LOGIN], "sh",
                          str(script))
    try:
        shell, count, kept = (process.stdout.readline().strip()
                              for _ in range(3))
        _, password, agent = kept.split()
        lines("\n".join((shell, count, "kept (a password) " + agent)))
        story.promise(shell == f"a shell as {sshd.ME}" and count == "3",
                      "A real shell over SSH, a real answer of the database.")
        end_and_try(night, process, options, password, agent)
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def end_and_try(night, process, options, password, agent):
    world, story = night.world, night.story
    task = next(t for t in world.read("ada", "task", "list", "--state",
                                      "open")["tasks"] if t["agent"] == BOT)
    world.writ("ada", "task", "contain", task["id"], "--reason",
               "what is it doing", "--yes", head=4)
    wait_until(lambda: night.shown(task["id"])["state"] == "contained",
               "the task to end")
    story.promise(not night.opens(password) and not night.look("now"),
                  "The password that the command kept opens nothing: the "
                  "login is gone.")
    night.fetch_host_files()
    done = subprocess.run(
        ["ssh", *shlex.split(options), "true"], capture_output=True, text=True,
        check=False, env={**os.environ, "SSH_AUTH_SOCK": agent})
    lines(done.stderr)
    story.promise(done.returncode == 255,
                  "Its ssh-agent still holds key and certificate, and the "
                  "host refuses them: revoked.", done.stderr)
    out, err = process.communicate(timeout=60)
    lines(out + err)
    story.promise(process.returncode != 0
                  and not pathlib.Path(agent).exists(),
                  "`writ run` ended the command, which did not want to, and "
                  "cleared its folder.")


def delegate(night):
    world, story = night.world, night.story
    story.step("A child task cannot do more than its parent, and ends with it",
               """
        night-bot hands a part of its task to another agent. What the child
        asks is decided on both: it can do what both may, no longer than both
        live.""")
    answer = world.http(BOT, "POST", "/v1/tasks", {
        "class": "night-work", "intent": "the night's report",
        "targets": [DATABASE], "ttl": "1h"})
    parent = answer.ok(201)
    lines(f"HTTP {answer.status}: {parent['id']}")
    body = {"agent": CLERK, "intent": "read the orders",
            "actions": ["IssueCredential"], "targets": [DATABASE],
            "ttl": "10m"}
    wide = world.http(BOT, "POST", f"/v1/tasks/{parent['id']}/children",
                      {**body, "targets": [DATABASE, HOSTS]})
    lines(f"HTTP {wide.status} {wide.code}: {wide.body['detail']}")
    story.promise(wide.status in (403, 422),
                  "A child with a target that its parent has not: refused.")
    answer = world.http(BOT, "POST", f"/v1/tasks/{parent['id']}/children",
                        body)
    child = answer.ok(201)
    lines(f"HTTP {answer.status}: {child['id']} of {CLERK}, depth "
          f"{child['depth']}, chain {', '.join(child['chain'])}")
    borrow(night, child, parent)


def lend(night, task, resource):
    """(status, request) of what clerk-bot asks to be lent."""
    answer = night.world.http(CLERK, "POST", "/v1/requests?wait=20", {
        "task": task, "action": "IssueCredential", "target": DATABASE,
        "resource": resource, "parameters": {}, "mode": "execute",
        "ttl": "5m"})
    return night.world.told(answer)


def borrow(night, child, parent):
    world, story = night.world, night.story
    status, request = lend(night, child["id"], "orders_reader")
    story.promise(status == 200 and request["state"] == "done",
                  f"{CLERK} is lent a login in the child task.")
    status, _ = lend(night, child["id"], "orders_writer")
    story.promise(status in (202, 403),
                  "More power than it was lent takes people, or is refused.")
    before = night.look("before")
    answer = world.http(BOT, "POST", f"/v1/tasks/{parent['id']}/complete", {})
    lines(f"HTTP {answer.status}: {answer.body['id']} is "
          f"{answer.body['state']}")
    ended = wait_until(
        lambda: (lambda t: t if t["state"] not in ("open", "ending") else None)(
            night.shown(child["id"])), "the child to end")
    story.promise(len(before) == 1 and not night.look("after"),
                  f"The parent is over, and with it {ended['id']} "
                  f"({ended['state']}) and its login.")


def tell(world, database, host):
    night = Night(world, database, host)
    found(night)
    sql(night)
    locked_out(night)
    delegate(night)
    say()
    words("What was lent has ended, each end was read back, and each is a "
          "leaf of the log that is verified next.")
