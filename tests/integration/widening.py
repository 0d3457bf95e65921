#!/usr/bin/python3
"""A connector that passes everything on to another one, except for who gains by
a plan: that stands in a file.

    widening.py GAINS CONNECTOR [ARGUMENT...]

GAINS: a JSON array, read at each plan; without the file nothing is changed.
Simulated is a directory whose groups are nested in each other by the thousand.
Nothing is carried out: the orders are for another build than that of the
connector behind it.
"""
import hashlib
import json
import pathlib
import struct
import subprocess
import sys
import threading


def read_frame(stream):
    head = stream.read(4)
    if len(head) < 4:
        return None
    return json.loads(stream.read(struct.unpack(">I", head)[0]))


def write_frame(stream, message):
    body = json.dumps(message).encode()
    stream.write(struct.pack(">I", len(body)) + body)
    stream.flush()


def main():
    gains = pathlib.Path(sys.argv[1])
    child = subprocess.Popen(sys.argv[2:], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    own = "sha256:" + hashlib.sha256(
        pathlib.Path(__file__).read_bytes()).hexdigest()
    plans = set()

    def answers():
        while (message := read_frame(child.stdout)) is not None:
            result = message.get("result")
            if message.get("id") in plans and result and gains.exists():
                result["gains"] = json.loads(gains.read_text())
            if result and "build" in result:
                result["build"] = own
            write_frame(sys.stdout.buffer, message)

    threading.Thread(target=answers, daemon=True).start()
    while (message := read_frame(sys.stdin.buffer)) is not None:
        if message.get("method") == "plan":
            plans.add(message["id"])
        write_frame(child.stdin, message)
    child.stdin.close()
    child.wait()


if __name__ == "__main__":
    main()
