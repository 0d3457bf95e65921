"""writ run with what is lent: real SQL with psql and a real PostgreSQL, while
the command runs and not a moment longer."""
import json
import pathlib
import re
import shutil
import subprocess

import pytest

from desk import Desk
from lending import DATABASE, Lending, prepare
from harness import wait_until
from postgres import AVAILABLE, Postgres, Refused, psql

pytestmark = pytest.mark.skipif(not AVAILABLE,
                                reason="needs an installed PostgreSQL")
PSQL = ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1"]
USAGE, DENIED = 2, 3
READER = ("--with", f"{DATABASE}:app_reader")
WRITER = ("--with", f"{DATABASE}:app_writer")
# What an agent's process needs to take with it after the run, for a test.
KEEP = 'cat "$PGPASSFILE"; env | grep "^PG"'


@pytest.fixture(scope="module", name="server")
def the_server():
    with Postgres() as server:
        yield prepare(server)


@pytest.fixture(name="world")
def the_world(tmp_path, server):
    with Lending(tmp_path / "authority", server) as world:
        yield world
        world.authority.verify()


@pytest.fixture(name="desk")
def the_desk(world, server):
    desk = Desk(world.authority, task_class="data-ops", targets=READER)
    desk.environment["PGSSLROOTCERT"] = str(server.certificates.ca)
    desk.environment["PGSSLMODE"] = "verify-full"
    desk.environment["PATH"] = str(pathlib.Path(
        shutil.which("psql") or "/usr/bin/psql").parent) + ":/usr/bin:/bin"
    return desk


def login_in(kept):
    """(arguments for psql, password) from what KEEP printed."""
    host, port, _, user, password = kept.splitlines()[0].split(":")
    return ["-h", host, "-p", port, "-U", user, "-d", "app"], password


def opens(server, kept):
    arguments, password = login_in(kept)
    try:
        psql(arguments, "SELECT 1", password, {
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(server.certificates.ca)})
    except Refused:
        return False
    return True


def lent_logins(server):
    return [row for row in server.ask("SELECT rolname FROM pg_roles")
            if re.fullmatch(r"writ_[a-z2-7]{26}", row)]


def test_psql_runs_without_being_told_anything(desk):
    done = desk.run(*PSQL, "-c", "SELECT title FROM books")
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr
    assert desk.only_task()["state"] == "completed"


def test_a_service_is_named_after_the_target(desk):
    done = desk.run(*PSQL, f"service={DATABASE}", "-c",
                    "SELECT title FROM books")
    assert (done.returncode, done.stdout) == (0, "one\n"), done.stderr


def test_it_can_do_what_the_role_can_and_nothing_else(desk):
    done = desk.run(*PSQL, "-c", "INSERT INTO books VALUES ('mine')")
    assert done.returncode != 0 and "permission denied" in done.stderr


def test_the_login_is_dead_when_the_command_has_ended(desk, server):
    done = desk.run("sh", "-c", KEEP)
    assert done.returncode == 0, done.stderr
    assert not opens(server, done.stdout) and not lent_logins(server)
    (lent,) = desk.only_task()["return"]["lent"]
    assert lent["target"] == DATABASE and lent["why"] == "completed"


def test_the_login_works_while_the_command_runs(desk, server):
    process = desk.start("sh", "-c", f"{KEEP}; echo end; exec sleep 300")
    kept = "".join(iter(lambda: process.stdout.readline(), "end\n"))
    assert opens(server, kept)
    process.kill()
    process.wait()
    desk.ended("lapsed", patience=45)
    assert not opens(server, kept)


def test_two_logins_at_once_are_told_apart_by_their_services(desk, world):
    process = desk.start(
        "sh", "-c", 'env | grep "^PG[HPDU]"; cat "$PGSERVICEFILE"; '
        f"psql -XAtqc 'SELECT 1' service={DATABASE}.app_writer",
        options=(*READER, *WRITER))
    approve(desk, world, process)
    status, out, err = desk.finish(process)
    assert status == 0, err
    lines = out.splitlines()
    assert not [row for row in lines if row.startswith(
        ("PGHOST", "PGPORT", "PGDATABASE", "PGUSER"))]
    assert [row for row in lines if row.startswith("[")] == [
        f"[{DATABASE}]", f"[{DATABASE}.app_reader]", f"[{DATABASE}.app_writer]"]
    assert lines[-1] == "1"


def waiting(process):
    """(request, group) that a run says it waits for."""
    line = ""
    while "waits for approval" not in line:
        line = process.stderr.readline()
        assert line, process.stdout.read()
    (request,) = re.findall(r"req_[0-9a-f]+", line)
    (group,) = line.split(" by ")[1].split()
    return request, group


def approve(desk, world, process):
    request, group = waiting(process)
    world.person("bob").approve(request, group).ok()


def test_where_people_are_asked_it_says_so_and_waits(desk, world):
    process = desk.start(*PSQL, "-c", "INSERT INTO books VALUES ('two') "
                         "RETURNING title", options=WRITER)
    approve(desk, world, process)
    status, out, err = desk.finish(process)
    assert (status, out) == (0, "two\n"), err


def test_people_are_asked_for_everything_at_once(desk, world):
    """Neither of the two waits for the other to be signed."""
    process = desk.start("sh", "-c", 'cat "$PGSERVICEFILE"',
                         options=(*WRITER, *READER))
    request, group = waiting(process)
    asked = world.bot.get("/v1/requests").ok()["requests"]
    assert sorted((row["resource"], row["state"]) for row in asked) == [
        ("app_reader", "done"), ("app_writer", "waiting")]
    # What was ready is taken, though the other still waits.
    wait_until(lambda: world.leaves("delivered"), "the first to be taken")
    assert len(world.leaves("delivered")) == 1
    world.person("bob").approve(request, group).ok()
    status, out, err = desk.finish(process)
    assert status == 0, err
    # Laid out as they were named: the first is the target's.
    assert [row for row in out.splitlines() if row.startswith("[")] == [
        f"[{DATABASE}]", f"[{DATABASE}.app_writer]", f"[{DATABASE}.app_reader]"]


def test_whoever_says_no_is_told_with_what_was_not_lent(desk, world):
    process = desk.start("echo", "ran", options=(*READER, *WRITER))
    request, group = waiting(process)
    world.person("bob").deny(request, group, reason="not tonight").ok()
    status, out, err = desk.finish(process)
    assert status == DENIED and not out
    assert f"--with {DATABASE}:app_writer was not lent: request {request} " \
        "is denied" in err
    assert "denied by: bob" in err and "detail: not tonight" in err
    assert desk.only_task()["state"] == "completed"
    assert not lent_logins(world.server)


def test_a_signal_while_people_are_asked_ends_the_task(desk):
    process = desk.start("echo", "ran", options=WRITER)
    waiting(process)
    process.terminate()
    status, out, _ = desk.finish(process)
    assert status == 128 + 15 and not out
    assert desk.only_task()["state"] == "completed"


def test_a_role_that_is_not_lent_runs_nothing(desk, server):
    done = desk.run("echo", "ran", options=("--with", f"{DATABASE}:postgres"))
    assert done.returncode != 0 and not done.stdout
    assert re.search(f"--with {DATABASE}:postgres was not lent: request "
                     "req_[0-9a-f]+ is (denied|failed)\n  [a-z]+: ",
                     done.stderr), done.stderr
    assert desk.only_task()["state"] == "completed" and not lent_logins(server)


def test_what_the_server_saw_is_held_against_what_was_reported(desk):
    said = {"effects": [{"target": DATABASE, "action": "SELECT", "count": 1},
                        {"target": DATABASE, "action": "DELETE"}]}
    done = desk.run("sh", "-c", " ".join(PSQL) + " -c 'SELECT 1' && "
                    f"echo '{json.dumps(said)}' > \"$WRIT_EFFECTS_FILE\"")
    assert done.returncode == 0, done.stderr
    shown = desk.only_task()["return"]
    assert shown["reported"] == said["effects"]
    (seen,) = shown["observed"]
    assert seen["target"] == DATABASE and seen["account"].startswith("writ_")
    rows = desk.bot.writ("task", "show", desk.only_task()["id"])
    rows = rows.stdout.decode().splitlines()
    assert "Changed: none" in rows
    for title, column, words in (
            ("Lent:", "TARGET", (DATABASE, "app_reader", "completed")),
            ("Reported:", "TARGET", (DATABASE, "SELECT", "1")),
            ("Observed:", "TARGET", (DATABASE, "complete"))):
        at = rows.index(title)
        assert rows[at + 1].startswith(column)
        assert all(word in rows[at + 2] for word in words), rows
    assert any(row.startswith("Differences:") for row in rows)


def test_what_is_not_known_of_a_loan_does_not_use_it_up(desk, world):
    task = world.open_task()
    done = world.ask(task).ok(200)
    wrong = desk.bot.writ("request", "secret", done["id"], "--field", "nope")
    assert wrong.returncode == USAGE and b"validUntil" in wrong.stderr
    right = desk.bot.writ("request", "secret", done["id"], "--field", "user")
    assert right.returncode == 0 and right.stdout.startswith(b"writ_")
    world.bot.complete(task).ok(200)


def test_the_secret_is_in_no_file_outside_of_memory(desk, world):
    done = desk.run("sh", "-c", KEEP)
    _, password = login_in(done.stdout)
    found = subprocess.run(["grep", "-rlF", password, world.authority.folder],
                           capture_output=True, text=True, check=False)
    assert found.stdout == "" and found.returncode == 1
    assert password not in world.server.logged()
    assert not list(desk.memory.iterdir())
