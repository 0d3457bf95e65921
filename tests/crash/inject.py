#!/usr/bin/python3
"""Makes one system call after the other fail once in a working authority, and
looks whether anything is missing afterwards.

    WRIT_BUILD=build/release WRIT_CRASH_ROUNDS=200 tests/crash/inject.py
    tests/crash/inject.py --rounds 50 --seed 7

Each round starts the authority with strace over the daemon, the keeper or the
connector (which keeps its target in a file).  The Nth write, sync, rename
or open of a thread of that process fails with EIO, under the load of kill.py.
Whoever meets it may refuse to start, refuse to arm, or end, but only with
words.  Then all is ended and started again without strace, and what kill.py
looks at after a kill must hold.
"""
import argparse
import pathlib
import random
import shlex
import shutil
import subprocess
import sys
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"),
                str(HERE.parent / "integration" / "conformance")]

# pylint: disable=wrong-import-position
import harness
import kill

PROGRAM = harness.program
STRACE = shutil.which("strace")
ENV = shutil.which("env") or "/usr/bin/env"
INJECTED = "(INJECTED)"
STARTS = 20  # seconds a start that met a fault has
UP = 5  # seconds in which a connector comes up, unless it met a fault
# What a process that met a fault says before it ends.
WORDS = ("cannot-run", "cannot make the log durable", "keeper-lost",
         "connector-lost", "Input/output error", "disk I/O error")

# (who, system call, largest N).  Opening is only looked at in the folders of
# the authority, or no program would load.  Keeper and connector talk through
# pipes with writev(), and may lose them.  The connector is traced from when it
# is up, as the daemon starts no other program in its place; what it does at its
# start is met by tracing the daemon's children, for its own files.
PLACES = (
    ("writd", "fdatasync", 60), ("writd", "pwrite64", 400),
    ("writd", "openat", 16), ("writd", "ftruncate", 2),
    ("keeper", "fdatasync", 60), ("keeper", "pwrite64", 60),
    ("keeper", "openat", 3), ("keeper", "writev", 60),
    ("connector", "fdatasync", 40), ("connector", "fsync", 40),
    ("connector", "write", 80), ("connector", "rename", 20),
    ("connector", "writev", 80), ("connector", "openat", 40),
    ("connector's start", "openat", 4), ("connector's start", "rename", 1),
)


def why_not():
    """Why nothing can be injected here; None if it can."""
    if not STRACE:
        return "needs an installed strace"
    done = harness.run(STRACE, "-f", "-e", "trace=none", "true", check=False)
    return None if done.returncode == 0 else "strace may not trace here"


def paths(authority):
    """The authority's folders and the files in them."""
    found = [authority.folder]
    for folder in (authority.data, authority.keeper_folder):
        found += [folder, *folder.rglob("*")]
    return found + [authority.data / name for name in (
        "state.db-wal", "state.db-shm", "ballast", "lock")]


def connector_paths(authority):
    return [authority.folder / name for name in (
        "memberships.json", "connector-state", "connector.yaml", "approvers")]


def only(found):
    return [word for path in found for word in ("-P", str(path))]


class Suffering:
    """While it is entered, who is named starts under strace."""

    def __init__(self, authority, who, syscall, number):
        self.authority = authority
        self.trace = authority.folder / "trace"
        self.trace.unlink(missing_ok=True)
        self.who = who
        self.words = [STRACE, "-f", "-o", str(self.trace), "-e",
                      f"trace={syscall}", "-e", "signal=none", "-e",
                      f"inject={syscall}:error=EIO:when={number}"]
        self.by_path = syscall == "openat"
        self.attached = None

    def __enter__(self):
        # -DDD: strace is nobody's parent; -b: children are left alone.
        lead = [ENV, "ASAN_OPTIONS=detect_leaks=0", *self.words, "-DDD"]
        if self.who == "connector's start":
            self.authority.lead(writd=[*lead, *only(
                connector_paths(self.authority))])
        elif self.who != "connector":
            lead += ["-b", "execve"]
            if self.by_path:
                lead += only(paths(self.authority))
            self.authority.lead(**{self.who: lead})
        return self

    def attach(self):
        """Once the authority is up."""
        pids = kill.children(self.authority, "writ-connect-")
        if self.who != "connector" or not pids:
            return
        self.attached = subprocess.Popen(
            [*self.words, "-p", str(pids[0])], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.attached.stderr.readline()  # "attached", or why not

    def __exit__(self, *_):
        self.authority.lead()
        if self.attached:
            self.attached.terminate()
            self.attached.communicate()

    def count(self):
        """How often a call was made to fail."""
        if not self.trace.exists():
            return 0
        return self.trace.read_text(errors="replace").count(INJECTED)


class Authority(harness.Authority):
    """One whose programs can be started by another program."""

    _before_writd = ()

    def lead(self, writd=(), keeper=()):
        """From the next start on these commands stand before the programs."""
        self._before_writd = writd
        self.write_config(keeper={"command": [
            self._led("keeper", keeper, "writ-keeper"), "--folder",
            str(self.keeper_folder)]})

    def _led(self, who, lead, name):
        """A program with others before it."""
        real = PROGRAM(name)
        if not lead:
            return real
        path = self.folder / f"led-{who}"
        words = shlex.join([str(part) for part in (*lead, real)])
        path.write_text(f"#!/bin/sh\nexec {words} \"$@\"\n")
        path.chmod(0o700)
        return str(path)

    def start(self, wait=True):
        harness.program = lambda name: (
            self._led(name, self._before_writd, name) if name == "writd"
            else PROGRAM(name))
        try:
            return super().start(wait)
        finally:
            harness.program = PROGRAM


def started(authority):
    """Starts it; false if it refused, which it must do with words."""
    authority.start(wait=False)
    deadline = time.monotonic() + STARTS
    while True:
        try:
            authority.port = authority._listens()
            if authority.port and authority._is_healthy():
                await_connector(authority)
                return True
        except RuntimeError:  # it has ended
            assert any(word in authority.log() for word in WORDS), \
                f"it ended without a word:\n{authority.log()}"
            return False
        if time.monotonic() > deadline:
            return authority.port is not None
        time.sleep(0.02)


def await_connector(authority):
    """There would be little load without it."""
    until = time.monotonic() + UP
    while ("connector-up" not in authority.log()
           and time.monotonic() < until and authority.process.poll() is None):
        time.sleep(0.02)


def end(authority, orderly):
    """Ends it, in order or not; one that has ended by itself said why."""
    status = authority.process.poll()
    if status is None and orderly:
        status = authority.stop(patience=30)
    if status not in (None, 0):
        assert any(word in authority.log() for word in WORDS), (
            f"it ended with {status} and without a word:\n"
            + authority.log()[-2000:])
    kill.kill_everything(authority)


def load(authority, ledger, seconds, seed):
    """Calls of all agents for a while, or until the daemon ends."""
    stop = threading.Event()
    threads = [kill.Worker(authority, ledger, agent, stop, f"{seed}/{agent}")
               for agent in kill.AGENTS]
    threads.append(kill.Watch(authority, ledger, stop))
    for thread in threads:
        thread.start()
    until = time.monotonic() + seconds
    while time.monotonic() < until and authority.process.poll() is None:
        time.sleep(0.02)
    return stop, threads


def run_round(check, place, number, chance, seed):
    """One fault; how often it was met."""
    authority = check.authority
    who, syscall, _ = place
    kill.kill_everything(authority)
    for name in harness.PEOPLE:
        authority.human(name).session = None
    with Suffering(authority, who, syscall, number) as suffering:
        if started(authority):
            suffering.attach()
            stop, threads = load(authority, check.ledger,
                                 chance.uniform(0.3, 1.0), seed)
            stop.set()
            end(authority, chance.random() < 0.5)
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive(), "a call that is never answered"
        else:
            kill.kill_everything(authority)
    for name in harness.PEOPLE:
        authority.human(name).session = None
    kill.restart(authority)
    assert not check.ledger.faults, check.ledger.faults[:5]
    check.all()
    return suffering.count()


def crash(authority, count, seed, say=None, seconds=None):
    """count rounds, through all places in a shuffled order, no further one
    after so many seconds; the sum of all faults that were met."""
    until = time.monotonic() + seconds if seconds else float("inf")
    chance = random.Random(seed)
    kill.prepare(authority)
    check = kill.Check(authority, kill.Ledger(), kill.held_by_null(authority),
                       kill.held_by_null(authority)())
    order, met = [], 0
    for round_number in range(count):
        if time.monotonic() > until:
            break
        if not order:
            order = chance.sample(PLACES, len(PLACES))
        place = order.pop()
        # Small numbers as often as large ones.
        number = max(1, int(place[2] ** chance.random() + 0.5))
        before = time.monotonic()
        try:
            faults = run_round(check, place, number, chance,
                               f"{seed}/{round_number}")
        except BaseException:
            print(f"in round {round_number + 1}: {place[:2]} {number}",
                  flush=True)
            raise
        met += faults
        if say:
            say(f"round {round_number + 1}: {place[1]} {number} of "
                f"{place[0]}, met {faults} times, {len(check.ledger.calls)} "
                f"calls, {time.monotonic() - before:.1f} s: nothing is missing")
    done = authority.verify()
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    return met


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=kill.rounds(30))
    parser.add_argument("--seed", default=str(time.time_ns()))
    options = parser.parse_args()
    reason = why_not()
    if reason:
        sys.exit(reason)
    print(f"seed {options.seed}", flush=True)
    with Authority(bundle_options=("--bench",)) as authority:
        met = crash(authority, options.rounds, options.seed,
                    lambda text: print(text, flush=True))
    print(f"{options.rounds} rounds, {met} faults were met")


if __name__ == "__main__":
    main()
