"""Configuration, start and `writ doctor`: what cannot work is refused at once,
by the check as by the start, in words that say what to do."""
import json
import os
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile

import pytest

import harness
import stories
import web
from harness import TARGET, program, run, wait_until

OK, FAILED, USAGE = 0, 1, 2
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n"
LOOKUP = {"kind": "ticket", "url": "https://t.example/{reference}",
          "require": [{"at": "/status", "in": ["open"]}]}


@pytest.fixture(name="fresh")
def _fresh(tmp_path):
    """An authority with everything made and nothing started."""
    authority = harness.Authority(folder=tmp_path / "authority")
    yield authority
    authority.close()


@pytest.fixture(scope="module", name="ca")
def _ca(tmp_path_factory):
    return web.Ca(tmp_path_factory.mktemp("tls"))


def check(authority):
    """Status and words of writd --check-config."""
    done = run(program("writd"), "--config", authority.config_path,
               "--check-config", check=False)
    return done.returncode, done.stdout.decode()


def start(authority):
    """Status and words of a writd that does not start."""
    authority.start(wait=False)
    return authority.wait_for_end(), authority.log()


def refused(authority, *words):
    """The check and the start refuse a configuration alike."""
    checked, said = check(authority)
    started, log = start(authority)
    assert (checked, started) == (USAGE, USAGE), said + log
    for word in words:
        assert word in said and word in log, said + log
    assert str(authority.config_path) in said


def private(path, text):
    path.touch(mode=0o600)
    path.write_text(text)
    return path


def findings(authority, **options):
    """check -> [finding] of writ doctor."""
    done = authority.writ("doctor", "--config", authority.config_path, "-o",
                          "json", **options)
    rows = json.loads(done.stdout)
    assert done.returncode == (FAILED if any(
        row["state"] == "bad" for row in rows) else OK)
    return {name: [r for r in rows if r["check"] == name]
            for name in {r["check"] for r in rows}}


def told(found, name, *words):
    """The finding of a check that says all of words, with its remedy."""
    for row in found.get(name, []):
        if all(word in row["what"] for word in words):
            return row
    raise AssertionError(f"{name} does not say {words}: {found.get(name)}")


# Secrets that others may read.


@pytest.mark.parametrize("name", ["keys.json", "last", "issued"])
def test_a_keeper_does_not_start_with_a_file_that_is_open_to_others(
        fresh, name):
    path = fresh.keeper_folder / name
    path.chmod(0o644)
    status, log = start(fresh)
    assert status == 1
    assert f"chmod go= '{path}'" in log and "open to others" in log
    assert "writd" in log and "the keeper ended" in log
    path.chmod(0o600)
    fresh.start()


def test_a_keeper_does_not_rotate_keys_that_are_open_to_others(fresh):
    path = fresh.keeper_folder / "keys.json"
    before = path.read_bytes()
    path.chmod(0o640)
    done = run(program("writ-keeper"), "--folder", fresh.keeper_folder,
               "--rotate", "tokens", check=False)
    assert done.returncode == 1 and b"chmod go=" in done.stderr
    assert path.read_bytes() == before


def secret_of(kind, folder, ca):
    """(changes of writd.yaml, the file that must be private)."""
    if kind == "tls":
        cert, key = ca.issue("writd")
        os.chmod(key, 0o600)
        return {"tls": {"cert": str(cert), "key": str(key)}}, key
    notify = {"link": "https://w.example"}
    if kind == "webhook":
        path = private(folder / "hook", SECRET)
        hook = {"name": "hook", "url": "https://h.example/",
                "secretFile": str(path)}
        return {"notify": {**notify, "webhooks": [hook]}}, path
    if kind == "mail":
        path = private(folder / "password", "secret\n")
        smtp = {"url": "smtp://m.example", "from": "writ@example.org",
                "userFile": str(private(folder / "user", "writ\n")),
                "passwordFile": str(path)}
        return {"notify": {**notify, "smtp": smtp}}, path
    path = private(folder / "token", "secret\n")
    return {"lookups": [{**LOOKUP, "tokenFile": str(path)}]}, path


@pytest.mark.parametrize("kind", ["tls", "webhook", "mail", "lookup"])
def test_writd_does_not_start_with_a_secret_that_is_open_or_not_there(
        fresh, tmp_path, ca, kind):
    changes, path = secret_of(kind, tmp_path, ca)
    fresh.write_config(**changes)
    assert check(fresh)[0] == OK
    for mode in (0o604, 0o640):
        os.chmod(path, mode)
        refused(fresh, f"chmod go= '{path}'")
    os.chmod(path, 0o600)
    os.rename(path, tmp_path / "away")
    refused(fresh, f"no file '{path}'")
    os.rename(tmp_path / "away", path)
    fresh.start(wait=False)
    wait_until(lambda: "event=listening" in fresh.log(), "writd to listen")


def test_writd_does_not_start_with_a_log_that_is_open_to_others(fresh):
    fresh.start().stop()
    path = fresh.data / "state.db"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    refused(fresh, f"chmod go= '{path}'")


def test_a_connector_does_not_start_with_a_password_that_is_open_to_others(
        fresh, tmp_path):
    password = private(tmp_path / "password", "secret\n")
    config = tmp_path / "ldap.yaml"
    config.write_text(json.dumps({
        "target": TARGET, "url": "ldap://127.0.0.1:1",
        "base": "dc=example,dc=org",
        "bind": {"method": "simple", "dn": "cn=writ,dc=example,dc=org",
                 "passwordFile": str(password)},
        "authority": {"vkey": fresh.vkey, "state": str(tmp_path / "state")}}))

    def tried():
        done = run(program("writ-connect-ldap"), "--check", config,
                   check=False)
        return done.returncode, done.stderr.decode()

    assert tried()[0] == OK, tried()
    password.chmod(0o644)
    status, said = tried()
    assert status == 1 and "bind.passwordFile: " in said
    assert f"chmod go= '{password}'" in said
    password.unlink()
    status, said = tried()
    assert status == 1 and f"no file '{password}'" in said


# What passes the check starts, what does not start does not pass.


def cases(folder):
    """Changes of writd.yaml and what is said of them."""
    empty = folder / "empty"
    empty.write_text("")
    plain = folder / "program"
    plain.write_text("#!/bin/sh\n")
    plain.chmod(0o644)
    hook = {"name": "hook", "secretFile": str(private(folder / "s", SECRET))}
    link = {"link": "https://w.example"}
    smtp = {"from": "writ@example.org"}
    connector = program("writ-connect-null")
    return {
        "no-tls": ({"listen": "0.0.0.0:0"}, "listen", "without TLS"),
        "no-address": ({"listen": "localhost:80"}, "listen", "no IP address"),
        "no-port": ({"listen": "127.0.0.1:x"}, "listen", "no port"),
        "no-keeper": ({"keeper": {"command": ["/no/keeper"]}},
                      "keeper.command", "/no/keeper"),
        "no-connector": ({"connectors": [
            {"target": "a", "command": [connector]},
            {"target": "b", "command": ["/no/where"]}]},
            "connectors[1].command", "/no/where"),
        "no-program": ({"connectors": [
            {"target": "a", "command": [str(plain)]}]},
            "connectors[0].command", str(plain)),
        "folder": ({"connectors": [
            {"target": "a", "command": [str(folder)]}]},
            "connectors[0].command", "is no program"),
        "no-reader": ({"connectors": [
            {"target": "a", "command": [connector],
             "readCommand": ["/no/reader"]}]},
            "connectors[0].readCommand", "/no/reader"),
        "allow": ({"outgoing": {"allow": ["10.0.0.0/99"]}},
                  "outgoing.allow", "10.0.0.0/99"),
        "ca": ({"outgoing": {"ca": str(empty)}}, "outgoing.ca",
               "no certificates"),
        "no-ca": ({"outgoing": {"ca": "/no/ca"}}, "outgoing.ca", "/no/ca"),
        "http-hook": ({"notify": {**link, "webhooks": [
            {**hook, "url": "http://h.example/"}]}}, "notify",
            "not an https URL"),
        "loopback-hook": ({"notify": {**link, "webhooks": [
            {**hook, "url": "http://127.0.0.1:9/"}]}}, "notify",
            "outgoing.allow"),
        "hook-ca": ({"notify": {**link, "webhooks": [
            {**hook, "url": "https://h.example/", "caFile": str(empty)}]}},
            "notify", "no certificates"),
        "bad-secret": ({"notify": {**link, "webhooks": [
            {"name": "hook", "url": "https://h.example/",
             "secretFile": str(private(folder / "bad", "open sesame\n"))}]}},
            "notify", "bad"),
        "smtp": ({"notify": {**link, "smtp": {
            **smtp, "url": "https://m.example"}}}, "notify", "smtp"),
        "plain-smtp": ({"notify": {**link, "smtp": {
            **smtp, "url": "smtp://m.example", "plain": True}}}, "notify",
            "outgoing.allow"),
        "lookup-ca": ({"lookups": [{**LOOKUP, "caFile": "/no/ca"}]},
                      "lookups", "/no/ca"),
        "witnesses": ({"witnesses": "/no/policy"}, "witnesses", "/no/policy"),
        "data": ({"data": "/no/data"}, "data", "/no/data"),
        "policy": ({"policy": "/no/bundle"}, "policy", "/no/bundle"),
    }


@pytest.mark.parametrize("name", [
    "no-tls", "no-address", "no-port", "no-keeper", "no-connector",
    "no-program", "folder", "no-reader", "allow", "ca", "no-ca", "http-hook",
    "loopback-hook", "hook-ca", "bad-secret", "smtp", "plain-smtp",
    "lookup-ca", "witnesses", "data", "policy"])
def test_what_does_not_start_does_not_pass_the_check(fresh, tmp_path, name):
    all_cases = cases(tmp_path)
    changes, *words = all_cases[name]
    assert check(fresh)[0] == OK
    fresh.write_config(**changes)
    refused(fresh, *words)


def test_a_certificate_of_another_key_does_not_pass_the_check(fresh, ca):
    cert, _ = ca.issue("writd")
    _, key = ca.issue("another")
    fresh.write_config(tls={"cert": str(cert), "key": str(key)})
    refused(fresh, "tls", "no certificate and its key")


def test_loopback_addresses_that_the_configuration_names_need_no_tls(
        fresh, tmp_path):
    hook = {"name": "hook", "url": "http://127.0.0.1:9/",
            "secretFile": str(private(tmp_path / "s", SECRET))}
    smtp = {"from": "writ@example.org", "url": "smtp://127.0.0.1:10",
            "plain": True}
    fresh.write_config(
        outgoing={"allow": ["127.0.0.1:9", "127.0.0.1:10"]},
        notify={"link": "https://w.example", "webhooks": [hook],
                "smtp": smtp})
    assert check(fresh) == (OK, f"{fresh.config_path}: fine\n")
    fresh.start()


def test_everything_that_is_wrong_is_told_at_once(fresh):
    fresh.write_config(listen="0.0.0.0:0", policy=None, witnesses="/no/policy")
    _, said = check(fresh)
    assert [line.split(":")[1] for line in said.splitlines()] == [
        "policy", "listen", "witnesses"]


@pytest.mark.parametrize("listen", ["0.0.0.0:7480", "[::]:1", "192.0.2.1:80",
                                    "localhost:7480", "127.0.0.1"])
def test_init_writes_no_configuration_that_writd_would_refuse(
        fresh, tmp_path, listen):
    key = fresh.human("ada").key.with_suffix(".pub")
    folders = ("--data", tmp_path / "d", "--keeper", tmp_path / "k")
    done = run(program("writ"), "init", *folders, "--origin", "a.test/b",
               "--admin", "ada", "--key", key, "--policy", fresh.bundle,
               "--listen", listen, check=False)
    assert done.returncode == USAGE and b"without TLS" in done.stderr
    assert not (tmp_path / "d").exists() and not (tmp_path / "k").exists()


# The first start.


def test_a_first_start_without_a_policy_says_what_is_wanted(fresh):
    fresh.write_config(policy=None)
    refused(fresh, "policy: it is not set", "set it to the folder of one")
    fresh.write_config(policy=str(fresh.bundle))
    fresh.start()


def test_data_without_a_log_are_not_taken_for_a_new_authority(fresh):
    (fresh.data / "bootstrap.json").unlink()
    refused(fresh, "writ init", "restore the data")


# Connectors and targets.


def test_a_connector_of_another_target_is_not_taken(fresh):
    fresh.write_connector(target="other-directory")
    fresh.start()

    def why():
        row, = fresh.health()["connectors"]
        return "target" in row.get("why", "") and row["why"]

    words = wait_until(why, "the connector to be refused")
    assert "is for target 'other-directory'" in words
    assert "correct target" in words
    fresh.human("ada").writ("login")
    row = told(findings(fresh, home="ada"), "connector", "other-directory")
    assert row["state"] == "bad"


def test_a_second_connector_of_another_target_is_told_too(fresh):
    config = json.loads((fresh.folder / "connector.yaml").read_text())
    other = fresh.folder / "reader.yaml"
    other.write_text(json.dumps({
        **config, "target": "other-directory", "authority": {
            **config["authority"], "state": str(fresh.folder / "reader")}}))
    null = program("writ-connect-null")
    fresh.write_config(connectors=[{
        "target": TARGET, "command": [
            null, "--config", str(fresh.folder / "connector.yaml")],
        "readCommand": [null, "--config", str(other)]}])
    fresh.start()
    wait_until(lambda: "other-directory" in fresh.health()[
        "connectors"][0].get("readerWhy", ""), "the reader to be refused")
    fresh.human("ada").writ("login")
    told(findings(fresh, home="ada"), "connector", "reads back",
         "other-directory")


def test_doctor_names_a_target_without_a_connector(fresh):
    fresh.write_config(connectors=[])
    fresh.start()
    fresh.apply(fresh.manifests(), by=("ada",))
    fresh.human("ada").writ("login")
    row = told(findings(fresh, home="ada"), "connector", TARGET,
               "has no connector")
    assert row["state"] == "bad" and "connectors" in row["next"]


def test_doctor_names_a_connector_without_a_target(fresh):
    fresh.start()
    wait_until(fresh.target_is_up, "the connector")
    fresh.human("ada").writ("login")
    row = told(findings(fresh, home="ada"), "connector", TARGET,
               "no Target of the inventory")
    assert row["state"] == "warning"


# Data that are older than the keeper.


def test_doctor_tells_data_that_are_older_than_the_keeper(fresh):
    fresh.start().stop()
    before = fresh.folder / "before"
    shutil.copytree(fresh.data, before)
    fresh.start()
    fresh.apply(fresh.manifests(), by=("ada",))
    fresh.stop()
    found = findings(fresh)
    assert told(found, "log", "all that the keeper has signed")["state"] == "ok"
    shutil.rmtree(fresh.data)
    before.rename(fresh.data)
    found = findings(fresh)
    row = told(found, "log", "writd does not start", "the keeper has signed")
    assert row["state"] == "bad" and "docs/recovery.md" in row["next"]
    assert not any("starts" in row["what"] for row in found["start"])
    _, log = start(fresh)
    leaves, signed = re.search(r"the log has (\d+) leaves, the keeper has "
                               r"signed (\d+)", log).groups()
    assert f"{leaves} leaves, the keeper has signed {signed}" in row["what"]


def test_doctor_tells_data_that_are_gone_while_the_keeper_is_there(fresh):
    fresh.start().stop()
    (fresh.data / "state.db").unlink()
    row = told(findings(fresh), "log", "has 0 leaves")
    assert row["state"] == "bad" and "docs/recovery.md" in row["next"]


def without_url(*more, **options):
    """check -> [finding] of doctor, which knows the daemon by its config."""
    done = subprocess.run(
        [program("writ"), "doctor", *more, "-o", "json"],
        stdout=subprocess.PIPE, check=False, **options)
    return {row["check"]: [row] for row in json.loads(done.stdout)}


def test_doctor_before_the_first_start_finds_the_log_whole(fresh):
    row = told(without_url("--config", fresh.config_path), "log", "0 leaves")
    assert row["state"] == "ok"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a disk of its own")
def test_doctor_tells_that_there_is_no_room_to_start_with(fresh):
    mounted = run("mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs",
                  fresh.data, check=False)
    if mounted.returncode != 0:
        pytest.skip("nothing can be mounted here")
    try:
        found = without_url("--config", fresh.config_path)
        (fresh.data / "ballast").touch()
        later = without_url("--config", fresh.config_path)
    finally:
        run("umount", fresh.data)
    row = told(found, "disk", "wants 32 MiB", "arms nothing")
    assert row["state"] == "bad"
    assert "wants" not in later["disk"][0]["what"]


def test_doctor_says_what_it_cannot_see_of_another_users_keeper(fresh):
    """Run as root, the stranger is `nobody`; else a folder that is shut."""
    fresh.start().stop()
    root = os.geteuid() == 0
    if not root:
        fresh.keeper_folder.chmod(0)
    with tempfile.TemporaryDirectory() as place:
        config = shutil.copy(fresh.config_path, place)
        for path in (place, config):
            os.chmod(path, 0o755)
        found = without_url("--config", config, cwd=place, env={"HOME": place},
                            user="nobody" if root else None)
    fresh.keeper_folder.chmod(0o700)
    row = told(found, "keeper", "cannot be read", "not known")
    assert row["state"] == "warning" and "as the user" in row["next"]
    assert "log" not in found


# Whose daemon it is.


@pytest.mark.parametrize("origin", ["another.test/writ", None],
                         ids=["another name", "the same name"])
def test_doctor_does_not_take_another_authority_for_its_own(
        make_authority, fresh, origin):
    fresh.start().stop()
    options = {"origin": origin} if origin else {"origin": fresh.origin}
    other = make_authority(**options)
    fresh.write_config(listen=f"127.0.0.1:{other.port}")
    fresh.port = other.port
    found = findings(fresh)
    row = told(found, "authority", "is another")
    assert row["state"] == "bad"
    assert "daemon" not in found or found["daemon"][0]["state"] != "ok"
    assert told(findings(other), "authority", other.origin)["state"] == "ok"


def test_doctor_tells_a_key_that_is_not_the_one_met_at_login(
        make_authority, tmp_path):
    authority = make_authority().found()
    home = authority.folder / "homes" / "ada"
    authority.human("ada").writ("login")
    path, = home.glob(".local/state/writ/session*")
    kept = path.read_text()
    assert authority.vkey in kept
    other = harness.Authority(folder=tmp_path / "other")
    path.write_text(kept.replace(authority.vkey, other.vkey))
    done = authority.writ("doctor", "--config", tmp_path / "none", "-o",
                          "json", home="ada")
    rows = [r for r in json.loads(done.stdout) if r["check"] == "authority"]
    assert rows and rows[0]["state"] == "bad"
    assert other.vkey in rows[0]["what"]


# What could never be fetched.


def issuer_of(url, **more):
    return {"kind": "TrustDomain",
            "metadata": {"name": "platform"},
            "spec": {"oidc": {"issuer": url, **more}}}


def test_an_issuer_that_could_never_be_asked_is_refused_when_it_is_applied(
        make_authority):
    authority = make_authority(config_changes={
        "outgoing": {"allow": ["127.0.0.1:9"]}}).found()
    rows = [
        (issuer_of("http://issuer.example"), "issuer"),
        (issuer_of("http://192.0.2.1"), "issuer"),
        (issuer_of("http://127.0.0.1:10"), "issuer"),
        (issuer_of("http://localhost:9"), "issuer"),
        (issuer_of("https://issuer.example",
                   jwksUri="http://issuer.example/keys"), "jwksUri"),
        ({"kind": "TrustDomain",
          "metadata": {"name": "far"}, "spec": {
              "trustDomain": "far.example", "endpoint": {
                  "profile": "https_web", "url": "http://far.example/b"}}},
         "endpoint/url"),
    ]
    for manifest, place in rows:
        problem = authority.human("ada").propose([manifest]).refused(422)
        text = json.dumps(problem["errors"])
        assert place in text and "outgoing.allow" in text, text
    for good in ("http://127.0.0.1:9", "https://issuer.example"):
        authority.human("ada").preview([issuer_of(good)]).ok(200)


# A keeper that ends, a log that is none.


def keeper_of(authority):
    return next(pid for pid in authority._children()  # pylint: disable=protected-access
                if "writ-keeper" in open(f"/proc/{pid}/cmdline").read())


def test_a_keeper_that_is_gone_is_named_with_what_to_look_at(fresh):
    fresh.start()
    os.kill(keeper_of(fresh), signal.SIGKILL)
    assert fresh.wait_for_end() == 1
    line, = re.findall(r"event=keeper-lost .*", fresh.log())
    assert "the keeper ended" in line and "keeper-ended" in line


def test_a_place_without_a_log_is_a_mistake_and_no_finding(
        fresh, tmp_path):
    def verify(path):
        done = run(program("writ"), "evidence", "verify", path, "--vkey",
                   fresh.vkey, "--state", tmp_path / "seen", check=False)
        return done.returncode, done.stderr.decode()

    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("")
    for name, words in (("nowhere", "No such file"), ("empty", "no log"),
                        ("file", "--leaf")):
        status, said = verify(tmp_path / name)
        assert status == USAGE and words in said, said
    log = tmp_path / "log" / "tile"
    log.mkdir(parents=True)
    status, _ = verify(log.parent)
    assert status == 7
    shutil.rmtree(log)


# Recovery, as docs/recovery.md has it.


@pytest.fixture(name="copied")
def _copied(fresh, tmp_path):
    """An authority that has gone on since it was copied, stopped; the copies
    are folders keeper and data."""
    fresh.start().found()
    bot = fresh.agent("hr-bot")
    task = bot.open_task()
    stories.add(bot, task, "lunch-list", stories.somebody()).ok(200)
    fresh.wait_until_published()
    copies = tmp_path / "copies"
    shutil.copytree(fresh.keeper_folder, copies / "keeper")
    (copies / "data").mkdir()
    live = sqlite3.connect(fresh.data / "state.db")
    live.execute(f"VACUUM INTO '{copies}/data/state.db'")
    live.close()
    (copies / "data" / "state.db").chmod(0o600)
    stories.add(bot, task, "lunch-list", stories.somebody()).ok(200)
    assert seen(fresh) == OK
    fresh.stop()
    return copies


def seen(authority):
    """Verifies with a memory of what was seen; the exit status."""
    return authority.verify("--state", authority.folder /
                            "seen.json").returncode


def put_back(copy, folder):
    shutil.rmtree(folder)
    shutil.copytree(copy, folder)


def test_a_log_goes_on_with_an_older_copy_of_its_keeper(fresh, copied):
    put_back(copied / "keeper", fresh.keeper_folder)
    fresh.start()
    wait_until(fresh.target_is_up, "the connector")
    bot = fresh.agent("hr-bot")
    stories.add(bot, bot.open_task(), "lunch-list",
                stories.somebody()).ok(200)
    assert seen(fresh) == OK


def test_an_older_copy_of_the_data_does_not_start(fresh, copied):
    put_back(copied / "data", fresh.data)
    status, log = start(fresh)
    assert status == 1 and "rollback detected" in log


def test_older_copies_of_both_start_and_show_as_a_log_that_was_cut(
        fresh, copied):
    put_back(copied / "data", fresh.data)
    put_back(copied / "keeper", fresh.keeper_folder)
    fresh.write_config(connectors=[])
    fresh.start()
    fresh.human("ada").login()
    leaves = fresh.human("ada").get("/v1/evidence/0")
    assert leaves.status == 200
    assert seen(fresh) == 7
    (fresh.folder / "seen.json").unlink()
    assert seen(fresh) == OK


def test_a_keeper_without_its_memory_makes_no_new_one(fresh, copied):
    for name in ("last", "issued"):
        (fresh.keeper_folder / name).rename(copied / name)
        status, log = start(fresh)
        assert status == 1 and f"no file '{name}'" in log
        (copied / name).rename(fresh.keeper_folder / name)
    fresh.start()
