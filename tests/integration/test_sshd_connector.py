"""writ-connect-sshd, spoken to in its protocol.  The log is simulated: lines as
an sshd and a syslog write them, and lines that somebody hostile made up.  What a
real sshd writes is in test_observed.py."""
import os

import pytest

import harness
from connector_process import Connector, Refused

pytestmark = pytest.mark.skipif(
    not harness.built("writ-connect-sshd"),
    reason="needs a built writ-connect-sshd")

SINCE = "2026-11-23T10:00:00.000Z"
OURS = "tsk_1/crd_1"


def line(second, message, host="build-1", program="sshd[7]"):
    return (f"2026-11-23T10:00:{second:02}.000+00:00 {host} {program}: "
            f"{message}\n").encode()


EARLIER = b"2026-11-23T09:59:59.000+00:00 build-1 cron[1]: a job\n"


def login(second, port, key_id=OURS, host="build-1"):
    return line(second, f"Accepted publickey for deploy from 10.0.0.1 port {port}"
                f" ssh2: ED25519-CERT SHA256:aAbB ID {key_id} (serial 4) CA "
                "ED25519 SHA256:cCdD", host)


def session(second, port, what="command", host="build-1"):
    return line(second, f"Starting session: {what} for deploy from 10.0.0.1 port "
                f"{port} id 0", host)


class World:
    def __init__(self, folder, **changes):
        self.log = folder / "auth.log"
        self.log.write_bytes(EARLIER)
        self.connector = Connector(
            harness.program("writ-connect-sshd"),
            {"target": "build-hosts", "log": str(self.log), "whole": True,
             **changes}, folder / "connector")

    def write(self, *lines):
        self.log.write_bytes(EARLIER + b"".join(lines))

    def ask(self, account=OURS, **more):
        return self.connector.call("activity", account=account,
                                   **{"since": SINCE, **more})

    def seen(self, *lines, **more):
        """What was done, as words, and whether that is all."""
        self.write(*lines)
        answer = self.ask(**more)
        assert answer["source"] == "log"
        return [row["command"] for row in answer["deeds"]], answer["complete"]


@pytest.fixture(name="world")
def the_world(tmp_path):
    world = World(tmp_path)
    yield world
    assert world.connector.close() == 0, world.connector.log()


def test_it_only_reads_and_says_so(world):
    told = world.connector.call("describe")
    assert told["actions"] == [] and told["reads"] == ["activity"]
    assert told["sandbox"]["seccomp"] in (True, False)
    for method in ("plan", "read"):
        with pytest.raises(Refused) as refused:
            world.connector.call(method, action="IssueCredential",
                                 resource="deploy", parameters={})
        assert refused.value.reason == "invalid"
    for method in ("discover", "entitlements"):
        with pytest.raises(Refused) as refused:
            world.connector.call(method, **({"account": "deploy"} if
                                            method == "entitlements" else {}))
        assert refused.value.reason == "unsupported"


def test_what_is_done_on_our_connection_is_ours(world):
    assert world.seen(
        login(1, 4021), session(2, 4021), session(3, 4021, "subsystem 'sftp'"),
        session(4, 4021, "shell on pts/0")) == (
            ["login", "exec", "sftp", "shell"], True)


def test_what_is_done_on_others_is_not(world):
    assert world.seen(
        login(1, 4021), session(2, 4022), session(3, 4021, host="build-2"),
        login(4, 4023, "tsk_1/crd_2"), session(5, 4023)) == (["login"], True)


@pytest.mark.parametrize("next_login", [
    login(2, 4021, "tsk_2/crd_9"),
    line(2, "Accepted password for bob from 10.0.0.1 port 4021 ssh2"),
    line(2, "Accepted publickey for bob from 10.0.0.1 port 4021 ssh2: ED25519 "
         "SHA256:eEfF")])
def test_a_port_that_somebody_else_has_next_is_theirs(world, next_login):
    assert world.seen(login(1, 4021), next_login, session(3, 4021)) == (
        ["login"], True)


@pytest.mark.parametrize("key_id", [
    f"{OURS} (serial 4) CA ED25519 SHA256:cCdD", f"x {OURS}", f"{OURS}x", ""])
def test_a_key_id_that_only_begins_as_ours_is_not(world, key_id):
    assert world.seen(login(1, 4021, key_id), session(2, 4021)) == ([], True)


def test_a_user_name_cannot_speak_for_us(world):
    forged = ("Failed password for invalid user Accepted publickey for deploy from "
              "10.0.0.1 port 4021 ssh2: ED25519-CERT SHA256:a ID "
              f"{OURS} (serial 4) CA b c from 10.9.9.9 port 1 ssh2")
    assert world.seen(line(1, forged), session(2, 4021)) == ([], True)


def test_what_was_before_is_left_out_but_its_connection_known(world):
    since = "2026-11-23T10:00:02.000Z"
    assert world.seen(login(1, 4021), session(2, 4021), since=since) == (
        ["exec"], True)


@pytest.mark.parametrize("odd", [
    b"no time at all\n", b"Nov 23 10:00:01 build-1 sshd[7]: old\n", b"\n",
    b"2026-11-23T10:00:01Z build\0-1 sshd[7]: x\n"])
def test_a_line_that_cannot_be_read_leaves_it_incomplete(world, odd):
    assert world.seen(login(1, 4021), odd) == (["login"], False)


def test_a_log_that_begins_later_is_incomplete(world):
    world.log.write_bytes(login(1, 4021))
    assert world.ask()["complete"] is False
    world.log.write_bytes(b"")
    assert world.ask() == {"deeds": [], "complete": False, "source": "log"}


def test_a_line_that_is_half_written_waits(world):
    assert world.seen(login(1, 4021), session(2, 4021)[:-1]) == (
        ["login"], True)


def test_beyond_the_limit_the_oldest_goes(world):
    assert world.seen(login(1, 4021), session(2, 4021),
                      session(3, 4021, "subsystem 'x'"), limit=2) == (
                          ["exec", "subsystem"], False)


def test_of_a_large_log_the_end_is_read(world):
    filling = line(0, "x" * 1000) * (17 * 1024)
    assert world.seen(login(1, 4020), filling, login(2, 4021)) == (
        ["login"], False)


def test_bytes_that_are_no_text_are_taken(world):
    assert world.seen(
        bytes(range(1, 10)) + bytes(range(11, 256)) + b"\n",
        login(1, 4021, host="b\x1b[31m\u00e9")) == (["login"], False)
    assert "\x1b" not in world.ask()["deeds"][0]["where"]


@pytest.mark.parametrize("account", ["bob", "x" * 5000, "a" * 300 + "/b"])
def test_a_name_that_is_no_certificate_is_refused(world, account):
    with pytest.raises(Refused) as refused:
        world.ask(account)
    assert refused.value.reason == "invalid"


def test_a_log_that_is_not_there_is_told(world):
    assert world.connector.call("check")["ok"] is True
    os.remove(world.log)
    told = world.connector.call("check")
    assert told["ok"] is False and "auth.log" in told["detail"]
    with pytest.raises(Refused) as refused:
        world.ask()
    assert refused.value.reason == "unavailable"
    world.write(login(1, 4021))
    assert world.connector.call("check")["ok"] is True


def check_of(folder, config):
    path = folder / "connector.yaml"
    path.write_text(config)
    return harness.run(harness.program("writ-connect-sshd"), "--check", path,
                       check=False)


def test_the_check_warns_of_a_log_that_is_not_there(tmp_path):
    log = tmp_path / "auth.log"
    done = check_of(tmp_path, f"target: build-hosts\nlog: {log}\n")
    said = done.stderr.decode()
    assert done.returncode == 0, said
    assert "level=warning" in said and "file-missing" in said
    assert "member=log" in said and str(log) in said
    log.touch()
    done = check_of(tmp_path, f"target: build-hosts\nlog: {log}\n")
    assert (done.returncode, done.stderr) == (0, b"")


def test_what_changes_nothing_takes_no_drill(tmp_path):
    done = check_of(tmp_path, "target: build-hosts\nlog: /x\ndrill:\n"
                    "  resource: deploy\n  parameters: {}\n")
    said = done.stderr.decode()
    assert done.returncode == 1
    assert "3:1: drill: there is nothing to drill" in said


def test_the_check_tells_all_that_is_left_to_fill_in(tmp_path):
    done = check_of(tmp_path, 'target: build-hosts\nlog: "@LOG@"\n'
                    'authority: { vkey: "@VKEY@", state: "/x/@STATE@" }\n')
    said = done.stderr.decode()
    assert done.returncode == 1
    for name in ("log: '@LOG@'", "vkey: '@VKEY@'", "state: '@STATE@'"):
        assert f"{name} is to be filled in" in said, said


def test_without_whole_nothing_is_complete(tmp_path):
    world = World(tmp_path, whole=False)
    assert world.seen(login(1, 4021)) == (["login"], False)
    assert world.connector.close() == 0
