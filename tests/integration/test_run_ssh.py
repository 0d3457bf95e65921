"""writ run with what Writ signs itself: a real ssh and sshd, a real ssh-agent,
and access tokens that are replaced while the command runs."""
import base64
import json
import os
import signal
import subprocess

import pytest

import issuing
import sshd
from desk import Desk
from harness import wait_until
from issuing import API, HOSTS
from test_ssh import fetch

needs_sshd = pytest.mark.skipif(not sshd.SSHD, reason="no sshd here")
ONLY = [{"match": {"resource": sshd.ME}, "tier": 0, "sensitivity": 0}]
TOKEN = ("--with", f"{API}:reports:read")
ENDED = 255  # of ssh, where nobody is let in
UNREACHABLE = 2  # of ssh-add, where there is no agent


@pytest.fixture(name="authority")
def _authority(make_authority):
    def add(given):
        return issuing.manifests(API)(given) + [
            issuing.target(HOSTS, classification=ONLY)]
    return issuing.found(make_authority(config_changes=issuing.OAUTH),
                         change=add)


@pytest.fixture(name="host")
def _host(authority, tmp_path):
    server = sshd.Sshd(tmp_path / "host")
    fetch(authority, "authorities", server.trusted)
    fetch(authority, "krl", server.revoked)
    server.start()
    yield server
    server.close()


@pytest.fixture(name="desk")
def _desk(authority):
    return Desk(authority, task_class="lending",
                targets=("--with", f"{HOSTS}:{sshd.ME}"))


def ssh(host):
    return ["ssh", "-F", "none", "-p", str(host.port), "-o", "BatchMode=yes",
            "-o", "StrictHostKeyChecking=no", "-o",
            "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR",
            "127.0.0.1"]


# ---- certificates ----

@needs_sshd
def test_ssh_logs_in_with_nothing_but_its_agent(desk, host):
    done = desk.run(*ssh(host), "echo in as $(id -un)")
    assert (done.returncode, done.stdout) == (0, f"in as {sshd.ME}\n"), done
    assert desk.only_task()["state"] == "completed"
    (lent,) = desk.only_task()["return"]["lent"]
    assert lent["account"].startswith(desk.only_task()["id"] + "/crd_")


@needs_sshd
def test_the_agent_of_the_command_holds_one_key_that_is_for_its_task(desk):
    done = desk.run("sh", "-c", "ssh-add -l; ls $(dirname $SSH_AUTH_SOCK)")
    listed, names = [], []
    for row in done.stdout.splitlines():
        (listed if "SHA256:" in row else names).append(row)
    assert any("CERT" in row for row in listed), done
    assert not [name for name in names if name.startswith("key")], names


@needs_sshd
def test_when_the_task_is_contained_the_same_agent_is_refused(desk, host):
    process = desk.start("sh", "-c", "echo $$; echo $SSH_AUTH_SOCK; "
                         "trap '' TERM; while :; do sleep 0.2; done")
    command = int(desk.first_line(process))
    environment = {**desk.environment,
                   "SSH_AUTH_SOCK": desk.first_line(process)}

    def login():
        return subprocess.run([*ssh(host), "true"], env=environment,
                              capture_output=True, check=False).returncode

    try:
        assert login() == 0
        authority = desk.authority
        authority.human("ada").contain("task", desk.only_task()["id"]).ok()
        desk.ended("contained")
        fetch(authority, "krl", host.revoked)
        assert login() == ENDED
    finally:
        os.kill(command, signal.SIGKILL)
        process.communicate(timeout=60)


@needs_sshd
def test_the_agent_ends_with_the_run_and_with_one_that_is_killed(desk):
    def socket():
        process = desk.start("sh", "-c", "echo $SSH_AUTH_SOCK; exec sleep 300")
        return process, desk.first_line(process)

    def listed(path):
        return subprocess.run(
            ["ssh-add", "-l"], capture_output=True, check=False,
            env={**desk.environment, "SSH_AUTH_SOCK": path}).returncode

    process, path = socket()
    assert listed(path) == 0
    process.terminate()
    desk.finish(process)
    assert listed(path) == UNREACHABLE
    process, path = socket()
    assert listed(path) == 0
    process.kill()
    desk.finish(process)
    wait_until(lambda: listed(path) == UNREACHABLE, "the agent to end")


# ---- tokens ----

KEEP = ('printf "%s\\n" "$WRIT_ACCESS_TOKEN_FILE" "$WRIT_TOKEN_FILE_REPORTS_API" '
        '"$(cat "$WRIT_ACCESS_TOKEN_FILE")"')


def test_a_token_lies_in_a_file_that_variables_name(desk, authority):
    gateway = authority.agent("gateway")
    process = desk.start("sh", "-c", KEEP + "; exec sleep 300", options=TOKEN)
    path, same, token = (desk.first_line(process) for _ in range(3))
    assert path == same
    seen = issuing.introspect(gateway, token)
    assert seen["active"] and seen["scope"] == "reports:read"
    process.terminate()
    status, _, err = desk.finish(process)
    assert status == 128 + 15, err
    assert issuing.introspect(gateway, token) == {"active": False}


def test_a_token_is_replaced_before_it_expires(make_authority):
    """A class whose tasks are short makes tokens that are short."""
    authority = issuing.found(make_authority(config_changes=issuing.OAUTH))
    desk = Desk(authority, task_class="lending", targets=TOKEN)
    process = desk.start("sh", "-c", KEEP + "; while :; do sleep 0.2; done",
                         options=(*TOKEN, "--token-life", "15s"))
    path, _, first = (desk.first_line(process) for _ in range(3))
    second = wait_until(
        lambda: (lambda text: text if text != first else None)(
            open(path, encoding="utf8").read().strip()), "another token")
    gateway = authority.agent("gateway")
    assert issuing.introspect(gateway, second)["active"]
    assert not issuing.introspect(gateway, first)["active"]
    process.terminate()
    desk.finish(process)
    assert issuing.introspect(gateway, second) == {"active": False}


def test_a_token_that_waits_for_people_holds_up_no_end(authority):
    """Its successor is asked for while the command runs, and nobody signs."""
    desk = Desk(authority, task_class="lending", tokens=100,
                targets=("--with", f"{API}:reports:write"))
    process = desk.start("sh", "-c", "sleep 14; exit 3", options=(
        *desk.targets, "--token-life", "15s"))

    def waiting():
        return [row["id"] for row in desk.bot.get("/v1/requests").ok()[
            "requests"] if row["state"] == "waiting"]
    (first,) = wait_until(waiting, "people to be asked")
    authority.human("bob").approve(first, "iam-approvers").ok()
    wait_until(lambda: [i for i in waiting() if i != first],
               "people to be asked again")
    status, _, err = desk.finish(process)
    assert status == 3 and "was not renewed" not in err, err
    assert desk.only_task()["state"] == "completed"
    assert not waiting()


def test_two_that_wait_are_both_asked_for_before_either_is_signed(
        make_authority):
    rules = [{"match": {"resource": f"reports:{name}"}, "tier": 2,
              "sensitivity": 1} for name in ("write", "list")]
    authority = issuing.found(
        make_authority(config_changes=issuing.OAUTH),
        change=issuing.manifests(API, classification=rules))
    desk = Desk(authority, task_class="lending", targets=(
        "--with", f"{API}:reports:write", "--with", f"{API}:reports:list"))
    process = desk.start("sh", "-c", 'cat "$WRIT_TOKEN_FILE_REPORTS_API"')

    def waiting():
        rows = {row["resource"]: row["id"] for row in desk.bot.get(
            "/v1/requests").ok()["requests"] if row["state"] == "waiting"}
        return rows if len(rows) == 2 else None

    asked = wait_until(waiting, "people to be asked for both")
    # The second first: which is laid out first does not hang on that.
    for name in ("reports:list", "reports:write"):
        authority.human("bob").approve(asked[name], "iam-approvers").ok()
    status, token, err = desk.finish(process)
    assert status == 0, err
    for name in asked:
        assert f"--with {API}:{name}: {asked[name]} waits for approval" in err
    body = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
    assert claims["scope"] == "reports:write"
    assert desk.only_task()["state"] == "completed"
