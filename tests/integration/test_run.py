"""writ run: a command with a task around it.  What it is lent, it has as long
as it runs; whatever way it ends, the task ends with it."""
import json
import signal
import subprocess

import pytest

import harness
from desk import Desk
from harness import TARGET
from stories import holds, somebody

OK, FAILED, USAGE, DENIED = range(4)


@pytest.fixture(name="desk")
def _desk(authority):
    return Desk(authority)


# ---- the command ----

def test_the_command_runs_in_its_task_and_its_status_is_ours(desk):
    done = desk.run("sh", "-c", "echo task $WRIT_TASK; exit 7")
    assert done.returncode == 7, done.stderr
    task = desk.only_task()
    assert done.stdout == f"task {task['id']}\n"
    assert task["state"] == "completed" and task["intent"] == "a night's work"


def test_who_we_are_is_not_handed_on_to_the_command(desk):
    done = desk.run("env", WRIT_TOKEN="never-used")
    assert done.returncode == OK, done.stderr
    names = {row.partition("=")[0] for row in done.stdout.splitlines()}
    assert not names & {"WRIT_TOKEN", "WRIT_TOKEN_FILE", "WRIT_TOKEN_COMMAND"}
    assert {"WRIT_TASK", "WRIT_URL", "WRIT_EFFECTS_FILE"} <= names


def test_the_command_cannot_read_who_we_are_out_of_our_process(desk):
    """As anybody but root, who can read everything."""
    plain = ["unshare", "--user", "--map-user=1000"]
    if subprocess.run([*plain, "true"], check=False).returncode:
        pytest.skip("no user namespaces here")
    done = subprocess.run(
        [*plain, *desk.words("--target", TARGET), "--", "sh", "-c",
         "cat /proc/$PPID/environ /proc/$PPID/mem; cat /proc/self/environ"],
        capture_output=True, text=True, check=False, timeout=60,
        env={**desk.environment, "WRIT_TOKEN": "never-used"})
    assert done.returncode == OK, done.stderr
    assert "WRIT_TASK=" in done.stdout and "WRIT_TOKEN" not in done.stdout
    assert done.stderr.count("Permission denied") == 2, done.stderr


def test_the_command_gets_our_input_and_its_output_is_unchanged(desk):
    done = subprocess.run([*desk.words("--target", TARGET), "--", "cat"],
                          input=b"\x00\xff bytes", capture_output=True,
                          check=False, timeout=60, env=desk.environment)
    assert done.stdout == b"\x00\xff bytes"


def test_a_program_that_is_not_there_ends_its_task_with_127(desk):
    done = desk.run("no-such-program")
    assert done.returncode == 127 and "no program" in done.stderr
    assert desk.only_task()["state"] == "completed"


def test_a_file_that_is_no_program_ends_its_task_with_126(desk):
    done = desk.run("/etc")
    assert done.returncode == 126, done
    assert desk.only_task()["state"] == "completed"


def test_a_command_that_is_killed_ends_its_task(desk):
    done = desk.run("sh", "-c", "kill -KILL $$")
    assert done.returncode == 128 + signal.SIGKILL
    assert desk.only_task()["state"] == "completed"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT,
                                    signal.SIGHUP, signal.SIGUSR1])
def test_a_signal_reaches_the_command_and_the_task_is_completed(desk, number):
    name = signal.Signals(number).name[3:]
    process = desk.start("sh", "-c", f"trap 'echo got; exit 9' {name}; "
                         "echo ready; while :; do sleep 0.1; done")
    assert desk.first_line(process) == "ready"
    process.send_signal(number)
    status, out, err = desk.finish(process)
    assert (status, out) == (9, "got\n"), err
    assert desk.only_task()["state"] == "completed"


# ---- who it is for ----

def test_the_identity_of_another_agent_begins_nothing(desk):
    done = desk.run("true", agent="adviser")
    assert done.returncode == DENIED and "'hr-bot'" in done.stderr
    assert not desk.tasks()


def test_without_an_identity_nothing_is_begun(desk):
    del desk.environment["WRIT_TOKEN_COMMAND"]
    done = desk.run("true")
    assert done.returncode == USAGE and "--token-command" in done.stderr
    assert not desk.tasks()


def test_a_token_command_that_fails_is_told(desk):
    done = desk.run("true", WRIT_TOKEN_COMMAND="echo lost >&2; exit 3")
    assert done.returncode == FAILED and "ended with 3" in done.stderr
    assert not desk.tasks()


def test_a_target_or_class_that_there_is_not_runs_nothing(desk):
    done = desk.run("echo", "ran", options=("--target", "nowhere"))
    assert done.returncode == USAGE and not done.stdout
    assert "no-such-target" in done.stderr
    desk.task_class = "nothing"
    done = desk.run("echo", "ran")
    assert done.returncode == USAGE and not done.stdout
    assert "no-such-class" in done.stderr
    assert not desk.tasks()


def test_a_run_about_no_system_names_the_options_that_say_which(desk):
    done = desk.run("echo", "ran", options=("--ttl", "30m"))
    assert done.returncode == USAGE and not done.stdout
    assert "--with TARGET:ROLE" in done.stderr and "--target" in done.stderr
    assert not desk.tasks()


def test_an_option_of_the_command_without_two_dashes_is_explained(desk):
    done = subprocess.run(
        [*desk.words("--target", TARGET), "echo", "hi", "-n"],
        capture_output=True, text=True, check=False, timeout=60,
        env=desk.environment)
    assert done.returncode == USAGE and not done.stdout
    assert "put -- before 'echo'" in done.stderr
    assert "See 'writ help run'" in done.stderr
    assert not desk.tasks()


def test_the_same_loan_twice_is_refused(desk):
    twice = ("--with", "a-database:reader") * 2
    done = desk.run("true", options=twice)
    assert done.returncode == USAGE and "stands twice" in done.stderr
    assert not desk.tasks()


@pytest.mark.parametrize("words", [
    ("--with", TARGET), ("--with", ":role"), ("--with", f"{TARGET}:")])
def test_a_loan_that_names_no_target_or_no_role_is_refused(desk, words):
    done = desk.run("true", options=words)
    assert done.returncode == USAGE and "TARGET:ROLE" in done.stderr
    assert not desk.tasks()


def test_a_target_that_lends_nothing_is_said_and_the_task_ended(desk):
    done = desk.run("echo", "ran", options=("--with", f"{TARGET}:reader"))
    assert done.returncode == USAGE and "lends nothing" in done.stderr
    assert not done.stdout
    assert desk.only_task()["state"] == "completed"


# ---- the end from outside ----

def test_a_run_that_is_killed_ends_its_task_and_what_it_holds(desk):
    process = desk.start("sh", "-c", "echo ready; exec sleep 300")
    assert desk.first_line(process) == "ready"
    task = desk.only_task()["id"]
    member = somebody()
    desk.bot.ask(task, "AddToGroup", harness.group("lunch-list"),
                 member).ok(200)
    process.kill()
    process.wait()
    desk.ended("lapsed", patience=45)
    assert not holds(desk.authority, "lunch-list", member)


def test_a_task_that_is_contained_takes_the_command_with_it(desk):
    process = desk.start("sh", "-c", "echo ready; exec sleep 300")
    assert desk.first_line(process) == "ready"
    desk.authority.human("ada").contain("agent", "hr-bot").ok()
    status, _, err = desk.finish(process)
    assert status == 128 + signal.SIGTERM, err
    assert "the authority has ended the task" in err


def test_a_command_longer_than_its_lease_goes_on(desk):
    done = desk.run("sh", "-c", "sleep 34; echo still here")
    assert done.stdout == "still here\n", done.stderr
    assert desk.only_task()["state"] == "completed"


# ---- what the command says it did ----

def test_what_the_command_reports_stands_in_the_return(desk):
    effects = {"effects": [{"target": TARGET, "action": "read", "count": 2}]}
    done = desk.run("sh", "-c", f"echo '{json.dumps(effects)}' "
                    '> "$WRIT_EFFECTS_FILE"')
    assert done.returncode == OK, done.stderr
    assert desk.only_task()["return"]["reported"] == effects["effects"]


def test_a_report_that_is_none_is_said_and_the_task_still_ends(desk):
    done = desk.run("sh", "-c", 'echo "[" > "$WRIT_EFFECTS_FILE"; exit 4')
    assert done.returncode == 4 and "not taken" in done.stderr
    assert desk.only_task()["state"] == "completed"


# ---- nothing is left ----

def test_nothing_of_a_run_is_left_and_the_next_clears_what_a_kill_left(desk):
    process = desk.start("sh", "-c", "echo ready; exec sleep 300")
    assert desk.first_line(process) == "ready"
    (made,) = desk.memory.iterdir()
    assert made.stat().st_mode & 0o777 == 0o700
    process.kill()
    process.wait()
    assert made.exists()
    assert desk.run("true").returncode == OK
    assert not list(desk.memory.iterdir())
