"""What the programs shut behind themselves, as the kernel and they tell it.
That the sandboxes hold is for tests/unit/base/test_sandbox.c to try."""
import pathlib
import subprocess

import pytest

import harness
from harness import TARGET
from stories import add, connector_pids, restart_connector, somebody


def status_of(pid):
    """What the kernel says of a process, name -> text."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines())


def is_sanitized(report):
    return "sanitizers" in report.get("why", "")


@pytest.fixture
def here(shared_authority):
    return shared_authority


def connector_row(authority):
    rows = authority.health()["connectors"]
    return next(row for row in rows if row["target"] == TARGET)


def test_every_program_says_what_it_has_shut(here):
    report = here.health()["sandbox"]
    if is_sanitized(report):
        pytest.skip("a build with sanitizers has no sandbox")
    assert report["mode"] == "on" and report["seccomp"], report
    assert "why" not in report
    for tight in (report["keeper"], connector_row(here)["sandbox"]):
        assert tight["mode"] == "on" and tight["seccomp"], tight
        # Where the kernel has none it is said.
        assert tight["landlock"] > 0 or "Landlock" in tight["why"]


def test_strangers_are_not_told(here):
    assert "sandbox" not in here.call("GET", "/v1/health").ok()


def test_the_kernel_says_so_too(here):
    if is_sanitized(here.health()["sandbox"]):
        pytest.skip("a build with sanitizers has no sandbox")
    connectors = connector_pids(here)
    family = here._children()  # pylint: disable=protected-access
    # The daemon, its keeper and its connector.
    assert here.process.pid in family and connectors and len(family) >= 3
    for pid in family:
        status = status_of(pid)
        assert status["Seccomp"].strip() == "2"  # a filter
        assert status["NoNewPrivs"].strip() == "1"
    # Theirs are their own, besides the one they were born with.
    for pid in set(family) - {here.process.pid}:
        assert int(status_of(pid)["Seccomp_filters"]) == 2


def test_a_connector_that_died_is_started_again_within_it(here):
    restart_connector(here)
    assert connector_row(here)["sandbox"]["mode"] == "on"


def test_off_is_off_and_doctor_warns(make_authority):
    authority = make_authority(config_changes={"sandbox": "off"},
                               connector_changes={"sandbox": "off"}).found()
    report = authority.health()["sandbox"]
    assert report["mode"] == "off" and not report["seccomp"]
    assert report["why"] == "it is switched off"
    assert not connector_row(authority)["sandbox"]["seccomp"]
    assert status_of(authority.process.pid)["Seccomp"].strip() == "0"
    ada = authority.human("ada")
    ada.writ("login", check=True)
    words = ada.writ("doctor", "--config", authority.config_path).stdout
    assert b"writd: it is switched off" in words
    assert TARGET.encode() + b": it is switched off" in words


def test_doctor_says_what_is_on(here):
    if is_sanitized(here.health()["sandbox"]):
        pytest.skip("a build with sanitizers has no sandbox")
    ada = here.human("ada")
    ada.writ("login", check=True)
    words = ada.writ("doctor", "--config", here.config_path).stdout.decode()
    assert "writd: seccomp; it may write where its user may" in words
    assert "keeper: seccomp and Landlock" in words
    assert f"{TARGET}: seccomp and Landlock" in words


@pytest.fixture
def fenced(tmp_path):
    """One whose connector keeps all it keeps in a folder of its own, and that
    writes only there, in the keeper's folder and in its data."""
    state = tmp_path / "state"
    state.mkdir()
    authority = harness.Authority(folder=tmp_path / "authority")
    authority.write_connector(
        memberships=str(state / "memberships.json"),
        authority={"vkey": authority.vkey, "state": str(state / "seen")})
    authority.write_config(writable=[str(authority.keeper_folder), str(state)])
    yield authority
    authority.close()


def test_all_works_where_only_the_folders_named_are_written(fenced):
    fenced.start().found()
    report = fenced.health()["sandbox"]
    if is_sanitized(report):
        pytest.skip("a build with sanitizers has no sandbox")
    assert report["landlock"] > 0 or "Landlock" in report["why"]
    bot, member = fenced.agent("hr-bot"), somebody()
    done = add(bot, bot.open_task(), "lunch-list", member).ok(200)
    assert done["state"] == "done"
    assert member in (fenced.folder.parent / "state" /
                      "memberships.json").read_text()


def test_who_needs_a_folder_that_is_not_named_is_stopped(fenced):
    fenced.start()
    report = fenced.health()["sandbox"]
    if report["landlock"] == 0:
        pytest.skip(report["why"])
    fenced.stop()
    fenced.write_config(writable=[])
    fenced.start(wait=False)
    assert fenced.process.wait(harness.PATIENCE) != 0
    assert "keeper" in fenced.log()


def test_a_word_that_is_no_mode_is_refused(make_authority, tmp_path):
    authority = harness.Authority(folder=tmp_path / "authority")
    authority.write_config(sandbox="tight")
    done = harness.run(harness.program("writd"), "--config",
                       authority.config_path, "--check-config", check=False)
    assert done.returncode == 2 and b"sandbox" in done.stdout
    done = subprocess.run([harness.program("writ-keeper"), "--folder",
                           str(authority.keeper_folder), "--sandbox", "tight"],
                          stdin=subprocess.DEVNULL, capture_output=True,
                          check=False)
    assert done.returncode == 2
