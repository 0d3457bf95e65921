"""Nothing is lost: processes that are killed or stopped, a directory that goes
away, a full disk, yesterday's data, damaged files, an end under load."""
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE.parent / "crash")]

# pylint: disable=wrong-import-position
import harness
import kill
import ldap_proxy
import stories
from harness import group, person, wait_until
from stories import (add, grant_state, holds, open_armed, somebody, verified,
                     waiting)

SEED = os.environ.get("WRIT_CRASH_SEED", "durability")


@pytest.fixture(autouse=True)
def no_sanitizer_report(tmp_path):
    """No daemon, keeper or connector of a test says anything of the kind."""
    yield
    for path in tmp_path.rglob("writd.log"):
        log = path.read_text(errors="replace")
        for word in ("AddressSanitizer", "LeakSanitizer", "runtime error"):
            assert word not in log, log[log.index(word) - 200:][:3000]


def start_refused(authority):
    """What writd says when it does not start."""
    with pytest.raises(RuntimeError) as refused:
        authority.start()
    return str(refused.value)


def done(authority, name="lunch-list", member=None, **more):
    """A request that is carried out."""
    bot = authority.agent("hr-bot")
    request = add(bot, bot.open_task(), name, member or somebody(),
                  **more).ok(200)
    assert request["state"] == "done", request
    return request


# Killed at any moment.

def test_nothing_is_missing_after_a_kill_at_any_moment(make_authority):
    authority = make_authority(bundle_options=("--bench",))
    check = kill.crash(authority, kill.held_by_null(authority), kill.rounds(),
                       SEED)
    assert check.ledger.checkpoints and check.ledger.leaves


def test_nothing_is_missing_when_a_real_directory_is_behind_it(directory,
                                                               make_authority):
    authority = make_authority(directory=directory,
                               bundle_options=("--bench",))
    kill.crash(authority, kill.held_by_directory(directory), 1, SEED,
               kills=(kill.kill_daemon,))


def test_killed_before_the_plan_of_what_was_adopted_it_goes_on(make_authority):
    """The human who adopted it signed once and is not asked again."""
    authority, member = make_authority().found(), somebody()
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    advice = add(bot, task, "lunch-list", member, mode="recommend").ok(200)
    stories.set_faults(authority, plan="hang")
    alice = authority.human("alice")

    def adopt():
        try:
            alice.adopt(advice["id"], advice["digest"])
        except kill.LOST:
            pass

    caller = threading.Thread(target=adopt, daemon=True)
    caller.start()
    adopted = wait_until(lambda: bot.show(advice["id"]).get("adoptedAs"),
                         "the adoption")
    authority.kill()
    caller.join(30)
    kill.send(signal.SIGKILL, kill.children(authority, "writ-connect-"))
    authority.write_connector(faults=None)
    authority.start()
    wait_until(lambda: stories.is_up(authority), "the connector")
    bot.wait(adopted, "done")
    assert holds(authority, "lunch-list", member)
    assert len(stories.armed_for(authority, adopted)) == 1
    assert not open_armed(authority) and verified(authority)


def test_a_drill_that_is_cut_short_has_an_end_and_leaves_nothing(
        make_authority):
    """Killed when the marked entry was added and not yet removed."""
    authority = make_authority().found(drill=False)
    stories.set_faults(authority, apply="hang-after")
    ada = authority.human("ada")

    def drill():
        try:
            ada.drill()
        except kill.LOST:
            pass

    caller = threading.Thread(target=drill, daemon=True)
    caller.start()
    wait_until(lambda: stories.memberships(authority), "half a drill")
    authority.kill()
    caller.join(30)
    kill.send(signal.SIGKILL, kill.children(authority, "writ-connect-"))
    authority.write_connector(faults=None)
    authority.start()
    ada.login()
    wait_until(lambda: not stories.memberships(authority), "nothing is left")
    wait_until(lambda: not open_armed(authority), "an end of the drill")
    drills = [leaf for leaf in stories.leaves(authority)
              if leaf["kind"] == "drill"]
    # What a stop cut short says nothing of the way back.
    assert [(leaf["run"], leaf["passed"]) for leaf in drills] == [
        (False, False)]
    assert verified(authority)
    told = ada.drill().ok()
    assert told["passed"] and told["run"]


def reversible(authority):
    """Whether a change of the target is one that can be taken back."""
    bot = authority.agent("hr-bot")
    shown = add(bot, bot.open_task(), "lunch-list", somebody()).ok(200, 202)
    decision = shown["evidence"]["decision"]["index"]
    facts = authority.human("ada").disclose(decision, part="1").ok()["payload"]
    return facts["context"]["reversible"]


def test_a_drill_that_a_stop_cut_short_takes_no_way_back_away(make_authority):
    """One that passed stands; the one that was killed halfway was not run."""
    authority = make_authority().found()
    assert reversible(authority)
    standing = len(stories.memberships(authority))
    stories.set_faults(authority, apply="hang-after")
    ada = authority.human("ada")

    def drill():
        try:
            ada.drill()
        except kill.LOST:
            pass

    caller = threading.Thread(target=drill, daemon=True)
    caller.start()
    wait_until(lambda: len(stories.memberships(authority)) > standing,
               "half a drill")
    authority.kill()
    caller.join(30)
    kill.send(signal.SIGKILL, kill.children(authority, "writ-connect-"))
    authority.write_connector(faults=None)
    authority.start()
    ada.login()
    wait_until(lambda: not open_armed(authority), "an end of the drill")
    assert len(stories.memberships(authority)) == standing
    wait_until(lambda: stories.is_up(authority), "the connector")
    assert reversible(authority)
    assert verified(authority)


@pytest.mark.parametrize("faults,run", [({"plan": "unavailable"}, False),
                                        ({"plan": "die-before"}, False),
                                        ({"apply": "precondition"}, True)])
def test_a_drill_whose_target_is_away_was_not_run(make_authority, faults, run):
    authority = make_authority().found()
    ada = authority.human("ada")
    stories.set_faults(authority, **faults)
    told = ada.drill().ok()
    assert (told["run"], told["passed"]) == (run, False)
    assert stories.has_leaf(authority, told["evidence"])
    stories.set_faults(authority)
    # What was known before stands, unless the way back was really refused.
    assert reversible(authority) is not run
    assert verified(authority)


def test_without_a_keeper_nothing_is_armed_and_the_daemon_ends(make_authority):
    authority = make_authority().found()
    before = done(authority)
    status = {}

    def wait_for_an_end():
        try:
            status["answer"] = waiting(authority)["id"]
        except (AssertionError, *kill.LOST) as error:
            status["answer"] = error

    kill.send(signal.SIGKILL, kill.children(authority, "writ-keeper"))
    caller = threading.Thread(target=wait_for_an_end, daemon=True)
    caller.start()
    assert authority.wait_for_end() == 1
    caller.join(30)
    assert "keeper-lost" in authority.log()
    wait_until(lambda: not kill.children(authority, "writ-connect-"),
               "the connector to end")
    authority.start()
    assert authority.agent("hr-bot").show(before["id"])["state"] == "done"
    wait_until(lambda: stories.is_up(authority), "the connector")
    authority.human("ada").login()
    done(authority)
    assert not open_armed(authority) and verified(authority)


def test_a_keeper_that_hangs_shows_as_degraded_and_arms_nothing(make_authority):
    authority = make_authority().found()
    before = done(authority)
    keeper = kill.children(authority, "writ-keeper")
    kill.send(signal.SIGSTOP, keeper)
    try:
        stuck = authority.agent("hr-bot").open_task()
        health = wait_until(
            lambda: next((h for h in [authority.health()]
                          if h["status"] == "degraded"), None),
            "the silence to show")
        assert "keeper" in health["why"]
    finally:
        kill.send(signal.SIGCONT, keeper)
    wait_until(lambda: authority.health()["status"] == "ok", "an answer")
    assert authority.agent("hr-bot").show(before["id"])["state"] == "done"
    assert stuck and verified(authority)


# The connector.

def test_a_connector_that_dies_after_the_effect_is_read_back(make_authority):
    authority, member = make_authority().found(), somebody()
    bot = authority.agent("hr-bot")
    stories.set_faults(authority, apply="die-after")
    request = add(bot, bot.open_task(), "lunch-list", member).ok(200, 202)
    found = bot.wait(request["id"], "done")
    assert holds(authority, "lunch-list", member) and found["grant"]
    kinds = [leaf["kind"] for leaf in stories.leaves(authority)
             if leaf.get("about") == request["id"]]
    assert kinds == ["decision", "armed", "outcome", "recovery"]
    assert verified(authority)


def test_a_stopped_connector_does_nothing_after_it_was_given_up(tmp_path):
    """Its order is not carried out behind the back of a later read."""
    with stories.impatient(tmp_path / "authority") as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        pids = kill.children(authority, "writ-connect-")
        kill.send(signal.SIGSTOP, pids)
        answer = add(bot, task, "lunch-list", member)
        # Its plan was never made: nothing was armed.
        assert answer.refused(403)["request"]["decision"]["cause"] == \
            "unavailable"
        kill.send(signal.SIGCONT, pids)
        wait_until(lambda: stories.is_up(authority), "another connector")
        wait_until(lambda: not set(pids) & set(kill.children(
            authority, "writ-connect-")), "the stopped one to be gone")
        done(authority, member=member)
        assert not open_armed(authority) and verified(authority)


def test_a_connector_stopped_with_an_order_is_ended_and_read_back(tmp_path):
    with stories.impatient(tmp_path / "authority") as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        stories.set_faults(authority, apply="hang-after")
        request = add(bot, bot.open_task(), "lunch-list", member,
                      wait=1).ok(200, 202)
        found = bot.wait(request["id"], "done")
        assert found["outcome"]["detail"] == "found by reading back"
        assert holds(authority, "lunch-list", member)
        assert len(stories.armed_for(authority, request["id"])) == 1
        assert not open_armed(authority) and verified(authority)


def test_advice_on_what_is_being_changed_waits_and_is_given(make_authority):
    """It is planned again once the change is over; nothing falls over it."""
    authority, member = make_authority().found(), somebody()
    bot = authority.agent("hr-bot")
    task = bot.open_task()
    stories.set_faults(authority, apply="unavailable", read="unavailable")
    request = add(bot, task, "lunch-list", member, wait=1).ok(200, 202)
    bot.wait(request["id"], "unknown")
    advice = {}
    caller = threading.Thread(target=lambda: advice.update(
        add(bot, task, "lunch-list", member, mode="recommend").ok(200)))
    caller.start()
    wait_until(lambda: authority.health()["openRequests"] == 2, "both")
    stories.set_faults(authority)
    bot.wait(request["id"], "failed")
    caller.join(60)
    assert advice["state"] == "recommended"
    assert not open_armed(authority) and verified(authority)


# The directory.

def members(directory, name):
    return directory.values(group(name), "member")


def test_a_directory_that_is_down_is_said_and_nothing_is_lost(
        directory, ldap_authority):
    authority = ldap_authority
    bot = authority.agent("hr-bot")
    task, nora, omar = bot.open_task(), person("nora"), person("omar")
    held = add(bot, task, "lunch-list", nora, ttl="2s").ok(200)
    assert nora in members(directory, "lunch-list")
    directory.kill()
    problem = add(bot, task, "lunch-list", omar).refused(403, "denied")
    decision = problem["request"]["decision"]
    assert decision["cause"] == "unavailable" and decision["retry"]
    # The end of what it was granted cannot be confirmed: everybody can see.
    wait_until(lambda: authority.health()["unconfirmedEnds"] == 1,
               "an end that is not confirmed")
    wait_until(lambda: grant_state(authority, held["grant"]["id"], "ending")
               .get("unconfirmed"), "the same of the grant")
    # Nor is it forgotten by a daemon that is killed meanwhile.
    authority.restart(crash=True)
    authority.human("ada").login()
    wait_until(lambda: authority.health()["unconfirmedEnds"] == 1,
               "the same after a restart")
    directory.start()
    ended = grant_state(authority, held["grant"]["id"], "ended")
    assert "unconfirmed" not in ended
    assert nora not in members(directory, "lunch-list")
    wait_until(lambda: authority.health()["unconfirmedEnds"] == 0, "health")
    assert add(bot, task, "lunch-list", omar).ok(200)["state"] == "done"
    assert not open_armed(authority) and verified(authority)


@pytest.mark.parametrize("lose, effect", [("request", False),
                                          ("answer", True)])
def test_a_change_whose_answer_is_lost_is_found_by_reading(
        directory, make_authority, lose, effect):
    """The line is cut before the server sees the change, or after it has done
    it: the connector cannot tell, a look can."""
    with ldap_proxy.Proxy(directory.port) as proxy:
        authority = make_authority(
            directory=directory,
            connector_changes={"url": proxy.url}).found()
        bot = authority.agent("hr-bot")
        proxy.lose = lose
        request = add(bot, bot.open_task(), "lunch-list",
                      person("petra")).ok(200, 202)
        proxy.lose = None
        bot.wait(request["id"], "done" if effect else "failed")
        assert (person("petra") in members(directory, "lunch-list")) == effect
        assert not open_armed(authority) and verified(authority)


# A disk that fills up.

class SmallDisk:
    """A file system of its own, mounted below folder, that can be filled."""

    def __init__(self, folder, mib):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir()
        self.filler = self.folder / "filler"
        self.mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs",
             str(self.folder)], capture_output=True, check=False
        ).returncode == 0

    def fill(self):
        """Takes what is left, to the last page."""
        with open(self.filler, "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 512):
                try:
                    while True:
                        file.write(b"\1" * size)
                except OSError:
                    pass

    def free(self):
        self.filler.unlink(missing_ok=True)

    def close(self):
        if self.mounted:
            subprocess.run(["umount", "-l", str(self.folder)], check=False)


@pytest.fixture
def small_disk(tmp_path):
    if not harness.built("writ", "writd", "writ-keeper", "writ-connect-null"):
        pytest.skip("needs a build")
    if os.geteuid() != 0:
        pytest.skip("only root mounts a small disk")
    disk = SmallDisk(tmp_path / "disk", 96)
    if not disk.mounted:
        disk.close()
        pytest.skip("no file system can be mounted here")
    yield disk
    disk.close()


def degraded_leaves(authority):
    return [(leaf["on"], leaf["why"]) for leaf in stories.leaves(authority)
            if leaf["kind"] == "degraded"]


@pytest.mark.parametrize("moved", [("data",), ("data", "keeper")],
                         ids=" and ".join)
def test_on_a_full_disk_nothing_is_armed_and_what_is_armed_has_its_end(
        small_disk, tmp_path, moved):
    authority = on_the_disk(tmp_path, small_disk, moved)
    try:
        fill_and_free(authority, small_disk)
    finally:
        authority.close()


def on_the_disk(tmp_path, disk, moved):
    """An authority, not started yet, with some of its folders on a disk."""
    authority = harness.Authority(folder=tmp_path / "authority")
    for name in moved:
        shutil.move(authority.folder / name, disk.folder / name)
        (authority.folder / name).symlink_to(disk.folder / name)
    return authority


def it_is_the_disk(authority, bot, task):
    """Who is refused is told that the disk is full, and not that it is busy:
    on the API, on the command line and by doctor."""
    assert "full" in authority.health()["why"]
    bot.call("POST", "/v1/tasks", {
        "class": "identity-ops", "intent": "new people", "targets": [harness.TARGET],
        "ttl": "1h"}).refused(507, "disk-full")
    ada = authority.human("ada")
    said = ada.propose(authority.manifests()).refused(507, "disk-full")
    assert "room" in said["detail"]
    token = authority.folder / "bot-token"
    token.write_text(bot.token())
    done = authority.writ(
        "request", "create", "--task", task, "--action", "AddToGroup",
        "--target", harness.TARGET, "--resource", group("lunch-list"), "-p",
        f"member={somebody()}", env={"WRIT_TOKEN_FILE": str(token)})
    assert done.returncode == 5 and b"disk is full" in done.stderr
    ada.writ("login", check=False)
    done = authority.writ("doctor", "--config", authority.config_path, "-o",
                          "json", home="ada")
    row, = (r for r in json.loads(done.stdout) if r["check"] == "daemon")
    assert row["state"] == "bad" and "disk is full" in row["what"]
    assert "make room" in row["next"]


def fill_and_free(authority, small_disk):
    authority.start().found()
    bot, member = authority.agent("hr-bot"), somebody()
    task = bot.open_task()
    before = add(bot, task, "lunch-list", member).ok(200)
    short = add(bot, task, "lunch-list", somebody(), ttl="4s").ok(200)
    # One that is armed while the disk fills up.
    stories.set_faults(authority, apply="hang-after")
    caught = {}
    caller = threading.Thread(target=lambda: caught.update(
        answer=add(bot, task, "lunch-list", somebody(), wait=1)))
    caller.start()
    wait_until(lambda: open_armed(authority), "an armed leaf")
    small_disk.fill()

    def met():
        """Some write has met the full disk."""
        bot.attach(task, "words").ok(201)
        return authority.health()["status"] == "degraded"

    wait_until(met, "the full disk to be noticed")
    bot.ask(task, "AddToGroup", group("lunch-list"), somebody(),
            wait=0).refused(507, "disk-full")
    it_is_the_disk(authority, bot, task)
    # Reading goes on.
    assert bot.show(before["id"])["state"] == "done"
    armed = [leaf for leaf in stories.leaves(authority)
             if leaf["kind"] == "armed"]
    # The connector dies: its order's outcome is unknown, is read, and lands.
    authority.write_connector(faults=None)
    kill.send(signal.SIGKILL, kill.children(authority, "writ-connect-"))
    caller.join(60)
    caught["answer"].ok(200, 202)
    bot.wait(caught["answer"].body["id"], "done")
    assert open_armed(authority) == []
    assert degraded_leaves(authority) == [(True, "the disk is full")]
    bot.ask(task, "AddToGroup", group("lunch-list"), somebody(),
            wait=0).refused(507, "disk-full")
    assert [leaf for leaf in stories.leaves(authority)
            if leaf["kind"] == "armed"][:len(armed)] == armed
    small_disk.free()
    wait_until(lambda: authority.health()["status"] == "ok", "space")
    wait_until(lambda: degraded_leaves(authority)[-1][0] is False,
               "a leaf that says so")
    # The end that came due meanwhile.
    grant_state(authority, short["grant"]["id"], "ended")
    done(authority)
    assert verified(authority)
    authority.restart()
    assert authority.agent("hr-bot").show(before["id"])["state"] == "done"


# Data that is not what it was.

def stopped_with_a_story(make_authority):
    """An authority that has stopped, and a copy of what it was before."""
    authority = make_authority().found()
    authority.stop()
    yesterday = authority.folder / "yesterday"
    shutil.copytree(authority.data, yesterday)
    authority.start()
    wait_until(lambda: stories.is_up(authority), "the connector")
    request = done(authority)
    authority.wait_until_published()
    authority.stop()
    return authority, yesterday, request


def exchange(authority, folder):
    """Puts another data folder in the place of the authority's."""
    aside = authority.folder / "aside"
    authority.data.rename(aside)
    shutil.copytree(folder, authority.data)
    return aside


def test_a_restored_backup_is_refused_in_words(make_authority):
    authority, yesterday, request = stopped_with_a_story(make_authority)
    today = exchange(authority, yesterday)
    said = start_refused(authority)
    assert "rollback detected" in said and "keeper has signed" in said
    assert authority.process.returncode == 1
    shutil.rmtree(authority.data)
    today.rename(authority.data)
    authority.start()
    assert authority.agent("hr-bot").show(request["id"])["state"] == "done"
    assert verified(authority)


def whole(authority):
    """Moves everything into the main file, as a clean end does."""
    path = authority.data / "state.db"
    wal = authority.data / "state.db-wal"
    assert not wal.exists() or wal.stat().st_size == 0
    return path


def test_a_database_that_was_damaged_is_refused(make_authority):
    authority, _, request = stopped_with_a_story(make_authority)
    path = whole(authority)
    good = path.read_bytes()
    index = request["evidence"]["armed"]["index"]
    leaf = stories_leaf(path, index)

    def damage(raw):
        for old in authority.data.glob("state.db*"):
            old.unlink()
        path.write_bytes(raw)
        path.chmod(0o600)

    flips = {"the body of a leaf": good.find(leaf) + len(leaf) // 2,
             "the file's head": 20,
             "its first table": 100}
    for what, at in flips.items():
        damaged = bytearray(good)
        damaged[at] ^= 4
        damage(bytes(damaged))
        said = start_refused(authority)
        assert "ERR_CORRUPT" in said or "state.db" in said, (what, said)
    for size in (0, 100, 4096, len(good) // 2, len(good) - 4096):
        damage(good[:size])
        said = start_refused(authority)
        assert "cannot-run" in said, (size, said)
    damage(b"")
    path.unlink()
    assert "rollback detected" in start_refused(authority)
    damage(good)
    authority.start()
    assert authority.agent("hr-bot").show(request["id"])["state"] == "done"
    assert verified(authority)


def stories_leaf(path, index):
    """The bytes of a leaf, by SQLite's own hand."""
    import sqlite3  # pylint: disable=import-outside-toplevel

    with sqlite3.connect(f"file:{path}?mode=ro&immutable=1",
                         uri=True) as database:
        return bytes(database.execute("SELECT body FROM leaf WHERE idx = ?",
                                      (index,)).fetchone()[0])


def test_state_that_was_altered_is_refused(make_authority):
    """Not a leaf, but what a request is said to be."""
    import sqlite3  # pylint: disable=import-outside-toplevel

    authority, _, request = stopped_with_a_story(make_authority)
    path = whole(authority)
    good = path.read_bytes()
    with sqlite3.connect(path) as database:
        (doc,) = database.execute(
            "SELECT doc FROM grant WHERE id = ?",
            (request["grant"]["id"],)).fetchone()
    text = b'"member":"' + request["parameters"]["member"].encode()
    assert text in doc.encode()
    at = good.find(doc.encode()) + doc.encode().find(text) + len(text) - 1
    damaged = bytearray(good)
    damaged[at] ^= 1
    path.write_bytes(bytes(damaged))
    said = start_refused(authority)
    assert "state.db" in said and "grant" in said, said
    path.write_bytes(good)
    authority.start()
    assert verified(authority)


def test_a_keeper_without_its_memory_is_refused(make_authority):
    authority, _, _ = stopped_with_a_story(make_authority)
    last = authority.keeper_folder / "last"
    kept = last.read_bytes()
    last.unlink()
    assert "last" in start_refused(authority)
    last.touch(mode=0o600)
    last.write_bytes(kept[:-20])
    assert "last" in start_refused(authority)
    last.write_bytes(kept)
    authority.start()
    assert verified(authority)


def test_a_second_daemon_on_the_same_folder_is_refused(make_authority):
    authority = make_authority().found()
    second = harness.run(harness.program("writd"), "--config",
                         authority.config_path, check=False, merge=True)
    assert second.returncode == 1
    assert b"another keeper has" in second.stdout
    # With another keeper's lock out of the way, too.
    keeper = authority.folder / "keeper-2"
    shutil.copytree(authority.keeper_folder, keeper)
    config = json.loads(authority.config_path.read_text())
    config["keeper"]["command"][-1] = str(keeper)
    other = authority.folder / "second.yaml"
    other.write_text(json.dumps(config))
    second = harness.run(harness.program("writd"), "--config", other,
                         check=False, merge=True)
    assert second.returncode == 1
    assert b"is locked by another process" in second.stdout
    done(authority)
    assert verified(authority)


# An orderly end.

def test_an_orderly_end_under_load_answers_every_call(make_authority):
    authority = make_authority(bundle_options=("--bench",))
    kill.prepare(authority)
    ledger = kill.Ledger()
    bob = authority.human("bob")
    bob.login()
    long_poll = waiting(authority, bot=authority.agent("hr-bot"))
    polled = {}

    def poll():
        polled["answer"] = authority.agent("hr-bot").get(
            f"/v1/requests/{long_poll['id']}?wait=30")

    poller = threading.Thread(target=poll, daemon=True)
    poller.start()
    stop = threading.Event()
    unanswered = []

    class Loud(kill.Worker):
        """Says when a call that was taken had no answer at all."""

        def turn(self):
            try:
                super().turn()
            except ConnectionRefusedError:
                raise
            except kill.LOST as error:
                unanswered.append(error)
                raise

    threads = [Loud(authority, ledger, agent, stop, agent)
               for agent in kill.AGENTS * 2]
    for thread in threads:
        thread.start()
    wait_until(lambda: authority.health()["leaves"] > 150, "some load")
    assert authority.stop(patience=30) == 0
    stop.set()
    for thread in threads:
        thread.join(30)
    poller.join(30)
    assert not ledger.faults
    assert polled["answer"].status in (200, 202, 503)
    # Connections that were not yet taken up may be reset; calls are not.
    assert all(isinstance(error, (ConnectionError, kill.LOST[1]))
               for error in unanswered)
    authority.start()
    check = kill.Check(authority, ledger, kill.held_by_null(authority),
                       {(group("mail-admins"), None)})
    check.leaves_and_checkpoints()
    check.retried()
    check.answers()
    check.ends()
    assert verified(authority)
