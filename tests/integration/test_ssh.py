"""SSH certificates that Writ signs for one task, taken by a real sshd, and the
list by which it refuses them afterwards."""
import subprocess
import time

import pytest

import harness
import issuing
import sshd
import stories
from issuing import HOSTS, LOGIN, ask, lend, open_task

FAILED, UNREACHABLE, FINDING = 1, 5, 7
needs_sshd = pytest.mark.skipif(not sshd.SSHD, reason="no sshd here")

ONLY = [
    {"match": {"resource": LOGIN}, "tier": 0, "sensitivity": 0},
    {"match": {"resource": "stranger"}, "tier": 0, "sensitivity": 0},
    {"match": {"resource": "elsewhere"}, "tier": 0, "sensitivity": 0,
     "ssh": {"sourceAddress": "192.0.2.0/24"}},
    {"match": {"resource": sshd.ME}, "tier": 0, "sensitivity": 0,
     "ssh": {"sourceAddress": "127.0.0.0/8", "forceCommand": "echo only this",
             "permit": ["pty"]}},
]


@pytest.fixture
def authority(make_authority):
    return issuing.found(make_authority(), change=issuing.manifests(
        HOSTS, classification=ONLY))


@pytest.fixture
def bot(authority):
    return authority.agent("hr-bot")


@pytest.fixture
def host(authority, tmp_path):
    """A host that fetched both files with `writ ssh`, as its timer does."""
    server = sshd.Sshd(tmp_path / "host")
    (server.folder / "principals").write_text(f"{sshd.ME}\n{LOGIN}\nelsewhere\n")
    fetch(authority, "authorities", server.trusted)
    fetch(authority, "krl", server.revoked)
    server.start()
    yield server
    server.close()


def fetch(authority, what, to, status=0, **options):
    done = authority.writ("ssh", what, "--to", to, **options)
    assert done.returncode == status, (done.stdout, done.stderr)
    return done


def fetch_from(url, what, to):
    """The same from another server."""
    return harness.run(harness.program("writ"), "--url", url, "ssh", what,
                       "--to", to, check=False)


class Key:
    """A key of the agent's, and the certificates for it."""

    def __init__(self, folder, kind="ed25519", *more):
        folder.mkdir(exist_ok=True)
        self.path = folder / "key"
        self.line = sshd.make_key(self.path, kind, *more)

    def certified(self, secret):
        assert secret["form"] == "ssh"
        self.path.with_name("key-cert.pub").write_text(
            secret["certificate"] + "\n")
        return self.path

    def said(self):
        return sshd.run("ssh-keygen", "-L", "-f",
                        self.path.with_name("key-cert.pub"))


@pytest.fixture
def key(tmp_path):
    return Key(tmp_path / "agent")


def certify(bot, task, key, role=LOGIN, **more):
    done, secret = lend(bot, task, role, on=HOSTS, publicKey=key.line, **more)
    return done, key.certified(secret)


def test_a_certificate_names_its_task_and_its_leaf(authority, bot, key):
    task = open_task(bot, HOSTS)
    done, _ = certify(bot, task, key, role=sshd.ME)
    said = key.said()
    issued = [(index, leaf) for index, leaf
              in enumerate(stories.leaves(authority))
              if leaf["kind"] == "issued"]
    (index, leaf), = issued
    crd = "crd_" + done["id"].removeprefix("req_")
    assert leaf["about"] == crd and leaf["form"] == "ssh"
    for line in (f"Serial: {index}\n", f'Key ID: "{task}/{crd}"',
                 "force-command echo only this",
                 "source-address 127.0.0.0/8", "permit-pty", f"{sshd.ME}\n"):
        assert line in said, line
    assert "permit-agent-forwarding" not in said
    bot.complete(task).ok()
    assert stories.verified(authority)


@needs_sshd
def test_the_holder_is_let_in_until_the_task_ends(authority, bot, key, host):
    assert host.login(key.path) is None, "a key alone opens nothing"
    task = open_task(bot, HOSTS)
    done, path = certify(bot, task, key)
    assert host.login(path) == "in"
    assert f"ID {task}/crd_" in host.said()
    fetch(authority, "krl", host.revoked)
    assert host.login(path) == "in", "it is in force"
    bot.complete(task).ok()
    issuing.ended(authority, done)
    assert host.login(path) == "in", "the host has not asked yet"
    fetch(authority, "krl", host.revoked)
    assert host.login(path) is None
    _, path = certify(bot, open_task(bot, HOSTS), key)
    assert host.login(path) == "in", "another certificate is not revoked"


@needs_sshd
def test_a_host_holds_the_session_to_what_was_granted(bot, key, host):
    task = open_task(bot, HOSTS)
    _, path = certify(bot, task, key, role="stranger")
    assert host.login(path) is None, "a principal that may not log in there"
    _, path = certify(bot, task, key, role="elsewhere")
    assert host.login(path) is None, "from an address other than granted"
    _, path = certify(bot, task, key, role=sshd.ME)
    assert host.login(path, "echo anything") == "only this"
    assert host.login(path, "cat /etc/passwd") == "only this"


@needs_sshd
def test_a_certificate_ends_by_its_time(authority, bot, key, host):
    done, path = certify(bot, open_task(bot, HOSTS), key, ttl="3s")
    ends = time.time() + 3
    assert host.login(path) == "in"
    issuing.ended(authority, done)
    issuing.wait_until(lambda: time.time() > ends + 1, "the end of its time")
    assert host.login(path) is None, "no list is needed for that"


@needs_sshd
def test_containment_and_restart_leave_the_list_right(authority, bot, key,
                                                      host):
    done, path = certify(bot, open_task(bot, HOSTS), key)
    authority.human("ada").contain("agent", bot.name).ok()
    issuing.ended(authority, done)
    fetch(authority, "krl", host.revoked)
    assert host.login(path) is None
    issuing.restart(authority)
    fetch(authority, "krl", host.revoked)
    assert host.login(path) is None, "what is revoked stays so"


@pytest.mark.parametrize("line, words", [
    ("rsa", "publicKey"), ("dsa", "publicKey"), ("garbage", "publicKey"),
    ("options", "publicKey"), ("large", "publicKey"), ("two", "publicKey"),
])
def test_a_key_that_is_no_good_is_refused(bot, tmp_path, line, words):
    good = Key(tmp_path / "good").line
    lines = {
        "rsa": lambda: Key(tmp_path / "rsa", "rsa", "-b", "1024").line,
        "dsa": lambda: "ssh-dss AAAAB3NzaC1kc3MAAACBAP",
        "garbage": lambda: "ssh-ed25519 " + "A" * 68,
        "options": lambda: 'command="/bin/sh" ' + good,
        "large": lambda: good + " " + "x" * 4000,
        "two": lambda: good + "\n" + good,
    }
    answer = ask(bot, open_task(bot, HOSTS), LOGIN, on=HOSTS,
                 publicKey=lines[line]())
    if answer.status == 200:
        assert answer.body["state"] == "failed", answer
        assert words in answer.body["outcome"]["detail"]
    else:
        assert answer.status == 422 and words in answer.text, answer


def test_a_certificate_lives_a_day_at_most(bot, key):
    answer = ask(bot, open_task(bot, HOSTS), LOGIN, on=HOSTS, ttl="25h",
                 publicKey=key.line)
    assert "certificate" in answer.text or answer.status == 403, answer
    assert answer.status != 200 or answer.body["state"] == "failed"


# The list.

def krl(authority, **headers):
    return authority.call("GET", "/ssh/krl", headers=headers)


def test_the_list_is_there_for_everybody_and_says_when_it_is_the_same(
        authority, bot, key):
    first = krl(authority)
    assert first.status == 200 and first.raw.startswith(b"SSHKRL\n")
    tag = first.headers["etag"]
    assert krl(authority, **{"If-None-Match": tag}).status == 304
    task = open_task(bot, HOSTS)
    done, _ = certify(bot, task, key)
    assert krl(authority, **{"If-None-Match": tag}).status == 304
    bot.complete(task).ok()
    issuing.ended(authority, done)
    after = krl(authority, **{"If-None-Match": tag})
    assert after.status == 200 and after.headers["etag"] != tag
    lines = authority.call("GET", "/ssh/authorities").text.splitlines()
    assert lines and all(line.startswith("ssh-ed25519 ") for line in lines)


def test_ssh_keygen_reads_the_list(authority, bot, key, tmp_path):
    task = open_task(bot, HOSTS)
    done, _ = certify(bot, task, key)
    file = tmp_path / "krl"
    fetch(authority, "krl", file)
    cert = key.path.with_name("key-cert.pub")
    query = ["ssh-keygen", "-Q", "-f", str(file), str(cert)]
    assert subprocess.run(query, capture_output=True, check=False).returncode == 0
    bot.complete(task).ok()
    issuing.ended(authority, done)
    fetch(authority, "krl", file)
    said = subprocess.run(query, capture_output=True, text=True, check=False)
    assert said.returncode != 0 and "REVOKED" in said.stdout


def test_a_list_that_is_no_good_leaves_the_file_as_it_was(
        authority, bot, key, tmp_path):
    file = tmp_path / "krl"
    older = krl(authority).raw
    task = open_task(bot, HOSTS)
    done, _ = certify(bot, task, key)
    bot.complete(task).ok()
    issuing.ended(authority, done)
    fetch(authority, "krl", file)
    good = file.read_bytes()
    assert good != older
    for body in (b"", b"nonsense", good[:-1], good + b"x", older,
                 good.replace(b"SSHKRL", b"SSHKRX")):
        with Fake({"/ssh/krl": body}) as url:
            fake = fetch_from(url, "krl", file)
        assert fake.returncode == FINDING, (body, fake)
        assert b"nothing was changed" in fake.stderr, fake
        assert file.read_bytes() == good
    with Fake({}) as url:
        gone = fetch_from(url, "krl", file)
    assert gone.returncode == FAILED, gone
    assert file.read_bytes() == good


def test_lines_that_are_no_keys_leave_the_file_as_it_was(authority, tmp_path):
    file = tmp_path / "trusted"
    fetch(authority, "authorities", file)
    good = file.read_bytes()
    for body in (b"", b"no key\n", good + b"rubbish\n"):
        with Fake({"/ssh/authorities": body}) as url:
            done = fetch_from(url, "authorities", file)
        assert done.returncode == FINDING, done
        assert file.read_bytes() == good


def test_an_authority_that_is_not_there_is_told_by_the_exit_code(
        authority, tmp_path):
    file = tmp_path / "krl"
    file.write_bytes(krl(authority).raw)
    before = file.read_bytes()
    authority.stop()
    assert fetch(authority, "krl", file, status=UNREACHABLE).stderr
    assert file.read_bytes() == before


class Fake:
    """A server that says whatever it is told at a path, and 404 elsewhere."""

    def __init__(self, answers):
        import http.server  # pylint: disable=import-outside-toplevel
        import threading  # pylint: disable=import-outside-toplevel

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):  # pylint: disable=invalid-name
                body = answers.get(self.path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", "application/octet-stream")
                self.send_header("Content-Length", str(len(body or b"")))
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return f"http://127.0.0.1:{self.server.server_port}"

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


def test_there_is_nothing_to_drill_where_writ_signs(authority):
    refused = authority.human("ada").drill(HOSTS)
    assert refused.status == 409, refused.body
    assert refused.body["code"] == "nothing-to-drill"
    assert "takes back itself" in refused.body["detail"]
    denied = authority.human("bob").drill(HOSTS)
    assert denied.status == 403, denied.body
