#!/usr/bin/python3
"""The real writ-keeper over its real pipes: what docs/keeper-protocol.md
promises of the process.  usage: keeper.py PROGRAM"""
import base64
import json
import os
import socket
import stat
import struct
import subprocess
import sys
import tempfile

from authority import b64, consistency, leaf_hash, open_checkpoint, root_of

ORIGIN = "keeper.example/log"
PROGRAM = os.path.abspath(sys.argv[1])
LEAVES = [leaf_hash(bytes([n])) for n in range(40)]
PROMISES = []


def promise(function):
    PROMISES.append(function)
    return function


class Keeper:
    def __init__(self, folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE):
        self.child = subprocess.Popen([PROGRAM, "--folder", folder], stdin=stdin,
                                      stdout=stdout, stderr=subprocess.DEVNULL)
        self.put, self.get = self.child.stdin, self.child.stdout

    def ask(self, method, **params):
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                           "params": params}).encode()
        self.put.write(struct.pack(">I", len(body)) + body)
        self.put.flush()
        answer = json.loads(self.get.read(struct.unpack(">I", self.get.read(4))[0]))
        error = answer.get("error")
        return answer["result"] if not error else error["data"]["reason"]

    def checkpoint(self, old, size):
        proof = consistency(old, LEAVES[:size]) if 0 < old < size else []
        return self.ask("checkpoint", size=size, root=b64(root_of(LEAVES[:size])),
                        proof=[b64(node) for node in proof])

    def kill(self):
        self.child.kill()
        self.child.wait()
        for file in self.put, self.get:
            try:
                file.close()
            except BrokenPipeError:
                pass

    def end(self):
        self.put.close()
        code = self.child.wait(60)
        self.get.close()
        return code


def init(folder):
    return subprocess.run([PROGRAM, "--folder", folder, "--init", "--origin",
                           ORIGIN], stderr=subprocess.DEVNULL).returncode


@promise
def it_signs_what_others_can_verify(folder):
    keeper = Keeper(folder)
    vkey = keeper.ask("hello")["vkey"]
    for size in range(1, 20):
        note = keeper.checkpoint(size - 1, size)["note"]
        assert open_checkpoint(note, vkey) == (size, root_of(LEAVES[:size]))
    assert keeper.end() == 0


@promise
def a_killed_keeper_remembers_what_left_it(folder):
    for size in range(1, 12):
        keeper = Keeper(folder)
        assert keeper.ask("hello")["last"]["size"] == size - 1
        assert "note" in keeper.checkpoint(size - 1, size)
        keeper.kill()
    keeper = Keeper(folder)
    assert keeper.checkpoint(0, 5) == "rollback"
    assert keeper.checkpoint(9, 20) == "inconsistent"
    assert "note" in keeper.checkpoint(11, 20)
    assert keeper.end() == 0


@promise
def a_folder_without_its_memory_is_refused(folder):
    os.unlink(os.path.join(folder, "last"))
    assert Keeper(folder).end() == 1
    assert init(folder) == 1


@promise
def a_second_keeper_is_refused(folder):
    keeper = Keeper(folder)
    keeper.ask("hello")
    assert Keeper(folder).end() == 1
    assert keeper.end() == 0


@promise
def its_secrets_are_its_own(folder):
    mode = os.stat(os.path.join(folder, "keys.json")).st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
    keeper = Keeper(folder)
    keeper.ask("hello")
    # Not dumpable: its memory belongs to root, and leaves no core file.
    with open(f"/proc/{keeper.child.pid}/limits", encoding="ascii") as file:
        core = [line for line in file if line.startswith("Max core")][0]
    assert core.split()[4] == "0", core
    assert keeper.end() == 0


@promise
def a_data_key_survives_a_restart(folder):
    keeper = Keeper(folder)
    made = keeper.ask("key", count=64)
    assert len({row["key"] for row in made["keys"]}) == 64
    assert keeper.end() == 0
    keeper = Keeper(folder)
    for row in made["keys"]:
        assert len(base64.b64decode(row["key"])) == 32
        assert keeper.ask("unwrap", kek=made["kek"],
                          wrapped=row["wrapped"])["key"] == row["key"]
    assert keeper.end() == 0


@promise
def a_frame_over_the_limit_ends_it(folder):
    keeper = Keeper(folder)
    keeper.put.write(struct.pack(">I", (4 << 20) + 1))
    keeper.put.flush()
    assert keeper.child.wait(60) == 1
    keeper.put.close()
    keeper.get.close()


@promise
def it_answers_on_the_socket_it_was_given(folder):
    ours, theirs = socket.socketpair()
    with open(os.devnull, "wb") as null:
        keeper = Keeper(folder, stdin=theirs, stdout=null)
    theirs.close()
    keeper.put = keeper.get = ours.makefile("rwb")
    assert keeper.ask("hello")["origin"] == ORIGIN
    keeper.put.close()
    ours.close()
    assert keeper.child.wait(60) == 0


def main():
    failed = 0
    print(f"1..{len(PROMISES)}")
    for number, function in enumerate(PROMISES, 1):
        with tempfile.TemporaryDirectory() as parent:
            folder = os.path.join(parent, "keeper")
            assert init(folder) == 0
            try:
                function(folder)
                print(f"ok {number} {function.__name__}", flush=True)
            except AssertionError as error:
                failed = 1
                print(f"not ok {number} {function.__name__}\n# {error}",
                      flush=True)
    return failed


sys.exit(main())
