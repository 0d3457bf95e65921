"""Go's own golang.org/x/mod/sumdb/{note,tlog} accept the log, and refuse it
damaged.  Needs Debian's golang-go and golang-golang-x-mod-dev."""
import os
import pathlib
import shutil
import subprocess

import pytest

import harness
from stories import add, somebody
from test_evidence import grow

# pylint: disable=redefined-outer-name

SOURCES = pathlib.Path("/usr/share/gocode")
PROGRAM = harness.ROOT / "tests" / "go" / "checklog.go"
LEAVES = 300  # more than one full tile


def go():
    """Debian's Go if it is there."""
    return "/usr/bin/go" if os.path.exists("/usr/bin/go") else shutil.which(
        "go")


@pytest.fixture(scope="module")
def checklog(tmp_path_factory):
    """checklog(...) as a finished process."""
    if not go():
        pytest.skip("needs Go: install golang-go")
    if not (SOURCES / "src/golang.org/x/mod/sumdb/tlog").is_dir():
        pytest.skip("needs Go's sumdb: install golang-golang-x-mod-dev")
    folder = tmp_path_factory.mktemp("go")
    built = folder / "checklog"
    env = {"PATH": os.environ["PATH"], "HOME": str(folder),
           "GOCACHE": str(folder / "cache"), "GOPATH": str(SOURCES),
           "GO111MODULE": "off", "GOFLAGS": "", "CGO_ENABLED": "0"}
    harness.run(go(), "build", "-o", built, PROGRAM, env=env)
    return lambda *arguments: subprocess.run(
        [str(built), *map(str, arguments)], capture_output=True, check=False)


@pytest.fixture(scope="module")
def exported(shared_authority, tmp_path_factory):
    """(folder, receipt, leaf) of a log of more than a tile."""
    authority = shared_authority
    bot = authority.agent("hr-bot")
    done = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200)
    grow(authority, max(0, LEAVES - authority.health()["leaves"]))
    folder = tmp_path_factory.mktemp("log")
    authority.human("ada").writ("evidence", "export", folder / "log", "--vkey",
                                authority.vkey, check=True)
    index = done["evidence"]["outcome"]["index"]
    (folder / "leaf").write_text(authority.leaf(index)["leaf"])
    (folder / "receipt").write_bytes(authority.call(
        "GET", f"/v1/evidence/{index}/proof").raw)
    return folder / "log", folder / "receipt", folder / "leaf"


def test_go_accepts_the_log_and_a_receipt(checklog, exported,
                                          shared_authority):
    folder, receipt, leaf = exported
    done = checklog(folder, shared_authority.vkey, receipt, leaf)
    assert done.returncode == 0, done.stderr
    size = (folder / "checkpoint").read_text().splitlines()[1]
    assert done.stdout.startswith(f"{size} leaves".encode())
    assert int(size) >= LEAVES


def turned(path, at=-1):
    """Turns one bit of a file."""
    raw = bytearray(path.read_bytes())
    raw[at] ^= 1
    path.write_bytes(raw)


def files(folder):
    """One of each kind of file: full and partial, hashes and entries."""
    return sorted(path.relative_to(folder) for path in folder.rglob("*")
                  if path.is_file() and path.name != "checkpoint.witnessed")


def test_go_refuses_the_log_with_one_bit_turned(checklog, exported,
                                                shared_authority, tmp_path):
    folder, _, _ = exported
    names = files(folder)
    assert len(names) >= 6
    for name in names:
        copy = tmp_path / "copy"
        shutil.copytree(folder, copy)
        turned(copy / name, at=-6)
        done = checklog(copy, shared_authority.vkey)
        assert done.returncode == 1, f"{name}: {done.stdout}"
        shutil.rmtree(copy)


def test_go_refuses_another_key_a_short_log_and_another_leaf(
        checklog, exported, shared_authority, tmp_path):
    folder, receipt, leaf = exported
    vkey = shared_authority.vkey
    other = ("example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv"
             "3U2k")
    assert checklog(folder, other).returncode == 1
    wrong = tmp_path / "leaf"
    wrong.write_bytes(leaf.read_bytes() + b" ")
    assert checklog(folder, vkey, receipt, wrong).returncode == 1
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    next((copy / "tile/entries").rglob("*.p")).rename(tmp_path / "gone")
    assert checklog(copy, vkey).returncode == 1
