"""A directory that stops or dies, and a connector that lies, hangs, floods or
dies, at each step of a request and of an end: what is promised then holds.
test_unknown.py has the steps of the connector that are not here."""
import functools
import pathlib
import signal
import threading
from concurrent import futures

import pytest

import harness
import ldap_proxy
import slapd
import stories
from harness import group, person, wait_until
from stories import (add, grant_state, holds, impatient, open_armed, somebody,
                     verified)

AT_ONCE = 5  # authorities


@pytest.fixture(autouse=True)
def programs():
    if not harness.built("writ", "writd", "writ-keeper", "writ-connect-null",
                         "writ-connect-ldap"):
        pytest.skip("needs a build")


def each(work, rows, folder):
    """All rows, some at once: most of the time of each is waiting."""
    def one(number, row):
        try:
            work(pathlib.Path(folder) / str(number), *row)
        except BaseException as error:
            raise AssertionError(f"{row}: {error!r}") from error

    with futures.ThreadPoolExecutor(AT_ONCE) as pool:
        found = [pool.submit(one, number, row)
                 for number, row in enumerate(rows)]
    for row in found:
        row.result()


def in_background(call, *arguments):
    thread = threading.Thread(target=call, args=arguments, daemon=True)
    thread.start()
    return thread


def all_is_well(authority):
    wait_until(lambda: not open_armed(authority), "an end of all that is armed")
    assert verified(authority)


# The directory.

class Outage:
    """A directory that is killed or stopped when the proxy says so."""

    def __init__(self, directory, proxy, how):
        self.directory = directory
        self.proxy = proxy
        self.how = how
        self.began = threading.Event()

    def begin(self):
        self.proxy.before_modify = self.proxy.before_answer = None
        if self.how == "killed":
            self.directory.kill()
        else:
            self.directory.process.send_signal(signal.SIGSTOP)
        self.began.set()

    def end(self):
        if self.how == "killed":
            self.directory.start()
        else:
            self.directory.process.send_signal(signal.SIGCONT)

    def members(self):
        return self.directory.values(group("lunch-list"), "member")


def outage_at_plan(authority, outage, bot, task, member):
    outage.begin()
    problem = add(bot, task, "lunch-list", member).refused(403, "denied")
    decision = problem["request"]["decision"]
    assert decision["cause"] == "unavailable" and decision["retry"]
    assert stories.armed_for(authority, problem["request"]["id"]) == []
    outage.end()
    wait_until(lambda: stories.is_up(authority), "the connector")

    def again():
        answer = add(bot, task, "lunch-list", member)
        return answer.status == 200 and answer.body["state"] == "done"

    wait_until(again, "the same to be done", pause=0.5)
    assert member in outage.members()


def outage_at_apply(authority, outage, bot, task, member):
    """What was sent to a stopped server it may do when it goes on."""
    outage.proxy.before_modify = outage.begin
    request = add(bot, task, "lunch-list", member).ok(200, 202)
    assert outage.began.is_set() and request["state"] == "unknown", request
    assert len(open_armed(authority)) == 1
    outage.end()
    found = bot.wait(request["id"], "done", "failed")
    assert (member in outage.members()) == (found["state"] == "done")
    if outage.how == "killed":
        assert found["state"] == "failed"
    assert len(stories.armed_for(authority, request["id"])) == 1


def outage_at_read_back(authority, outage, bot, task, member):
    outage.proxy.before_answer = outage.begin
    request = add(bot, task, "lunch-list", member).ok(200, 202)
    assert outage.began.is_set() and request["state"] == "unknown", request
    assert len(open_armed(authority)) == 1
    outage.end()
    bot.wait(request["id"], "done")
    assert member in outage.members()
    assert len(stories.armed_for(authority, request["id"])) == 1


def outage_at_end(hook, authority, outage, bot, task, member):
    done = add(bot, task, "lunch-list", member).ok(200)
    setattr(outage.proxy, hook, outage.begin)
    ending = in_background(bot.complete, task)
    assert outage.began.wait(60)
    wait_until(lambda: grant_state(authority, done["grant"]["id"], "ending")
               .get("unconfirmed"), "an end that is not confirmed")
    assert authority.health()["unconfirmedEnds"] == 1
    outage.end()
    ended = grant_state(authority, done["grant"]["id"], "ended")
    assert "unconfirmed" not in ended and member not in outage.members()
    ending.join(60)
    wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
               == "completed", "the task to complete")


OUTAGES = {
    "plan": outage_at_plan,
    "apply": outage_at_apply,
    "read-back": outage_at_read_back,
    "end": functools.partial(outage_at_end, "before_modify"),
    "the end's read-back": functools.partial(outage_at_end, "before_answer"),
}


def outage(folder, step, how):
    folder.mkdir()
    member = person("petra")
    with harness.demo_directory() as directory, \
            ldap_proxy.Proxy(directory.port) as proxy:
        with impatient(folder / "authority", 3, directory=directory,
                       connector_changes={"url": proxy.url,
                                          "timeoutSeconds": 1}) as authority:
            authority.found()
            bot = authority.agent("hr-bot")
            OUTAGES[step](authority, Outage(directory, proxy, how), bot,
                          bot.open_task(), member)
            all_is_well(authority)


@pytest.mark.skipif(not slapd.AVAILABLE, reason="needs an installed slapd")
@pytest.mark.parametrize("how", ["killed", "stopped"])
def test_a_directory_that_is_gone_at_any_step_leaves_nothing_unexplained(
        tmp_path, how):
    each(outage, [(step, how) for step in OUTAGES], tmp_path)


# The connector.

def wrong_read_back(folder, fault):
    with impatient(folder) as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        stories.set_faults(authority, read=fault)
        request = add(bot, bot.open_task(), "lunch-list", member).ok(200, 202)
        assert request["state"] == "unknown"
        assert len(open_armed(authority)) == 1
        assert authority.health()["unknown"] == 1
        stories.set_faults(authority)
        bot.wait(request["id"], "done")
        assert holds(authority, "lunch-list", member)
        assert len(stories.armed_for(authority, request["id"])) == 1
        all_is_well(authority)


def test_a_connector_that_fails_at_read_back_is_unknown_until_it_reads(
        tmp_path):
    each(wrong_read_back, [(fault,) for fault in (
        "die-before", "flood", "malformed", "unavailable")], tmp_path)


def wrong_end(folder, step, fault):
    with impatient(folder) as authority:
        authority.found()
        bot, member = authority.agent("hr-bot"), somebody()
        task = bot.open_task()
        done = add(bot, task, "lunch-list", member).ok(200)
        grant = done["grant"]["id"]
        stories.set_faults(authority, **{step: fault})
        ending = in_background(bot.complete, task)
        # Some are found ended by a look, although nobody said so.
        grant_state(authority, grant, "ending", "ended")
        stories.set_faults(authority)
        grant_state(authority, grant, "ended")
        assert not holds(authority, "lunch-list", member)
        ending.join(60)
        wait_until(lambda: bot.get(f"/v1/tasks/{task}").ok()["state"]
                   == "completed", "the task to complete")
        all_is_well(authority)


def test_a_connector_that_fails_at_an_end_is_asked_until_it_has_ended(
        tmp_path):
    silent = ("die-before", "hang", "flood", "malformed", "unavailable")
    each(wrong_end, [*(("plan", fault) for fault in silent),
                     *(("apply", fault) for fault in
                       (*silent, "die-after", "hang-after", "lie"))], tmp_path)


# What the keeper keeps.

def refused_with(authority, *words):
    with pytest.raises(RuntimeError) as error:
        authority.start()
    said = str(error.value)
    assert "cannot-run" in said
    assert any(word in said for word in words), said


def stopped(authority):
    stories.tree(authority, authority.health()["leaves"] - 1)
    assert authority.stop() == 0
    authority._end_children()  # pylint: disable=protected-access
    return authority


def works(authority):
    authority.start()
    for name in harness.PEOPLE:
        authority.human(name).session = None
    wait_until(lambda: stories.is_up(authority), "the connector")
    bot = authority.agent("hr-bot")
    assert add(bot, bot.open_task(), "lunch-list",
               somebody()).ok(200)["state"] == "done"
    all_is_well(authority)


@pytest.mark.parametrize("name", ["keys.json", "issued", "last"])
def test_a_file_of_the_keeper_that_is_missing_cut_or_anothers_is_refused(
        authority, make_authority, name):
    other = stopped(make_authority())
    stopped(authority)
    path, word = authority.keeper_folder / name, name.split(".")[0]
    good = path.read_bytes()
    path.unlink()
    refused_with(authority, word)
    path.touch(mode=0o600)
    for damaged in (b"", good[:len(good) // 2], good[:-2],
                    b"\0" * len(good)):
        path.write_bytes(damaged)
        refused_with(authority, word)
    foreign = (other.keeper_folder / name).read_bytes()
    if name != "issued":  # which holds no key of its authority
        path.write_bytes(foreign)
        refused_with(authority, word, "not signed by")
    path.write_bytes(good)
    works(authority)


def test_an_older_memory_of_the_keeper_is_of_the_same_log(authority):
    """It remembers less than it signed, and what it remembers still holds."""
    stopped(authority)
    last = authority.keeper_folder / "last"
    older = last.read_bytes()
    works(authority)
    stopped(authority)
    assert last.read_bytes() != older
    last.write_bytes(older)
    works(authority)
