"""What the tests of connectors stand on, whatever the target: an authority that
arms orders, and the program between it and a target."""
import json
import os
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
from authority import Authority, digest
from connector_process import Connector, Refused

BUILD = pathlib.Path(os.environ.get("WRIT_BUILD",
                                    HERE.parents[1] / "build" / "release"))
PASSWORD = "pa$$ word: 'quoted'"


def program(kind):
    """Of the build folder WRIT_BUILD (build/release), or what
    WRIT_CONNECT_KIND names."""
    return pathlib.Path(os.environ.get(
        f"WRIT_CONNECT_{kind.upper()}",
        BUILD / f"connectors/{kind}/writ-connect-{kind}")).resolve()


class ConnectorWorld:
    """An authority and a connector; those of a kind say where its target is
    (config())."""
    program = None
    target = None
    action = None  # what is meant where none is named

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority()
        self.connector = self.build = None
        self.closing = []
        self.orders = 0
        self.secrets = []

    def password_file(self):
        """Where the connector's own password is, for its owner alone."""
        path = self.folder / "password"
        if not path.exists():
            path.touch(mode=0o600)
            path.write_text(PASSWORD + "\n")
        return str(path)

    def settings(self, members, changes):
        """A configuration: these, what every kind has, and what a test wants
        otherwise (None: left out)."""
        config = {
            "target": self.target, "timeoutSeconds": 5,
            "authority": {"vkey": self.authority.vkey,
                          "state": str(self.folder / "seen")},
            **members, **changes}
        return {k: v for k, v in config.items() if v is not None}

    def config(self, **changes):
        raise NotImplementedError

    def connect(self, **changes):
        if self.connector:
            self.connector.close()
        self.connector = Connector(self.program, self.config(**changes),
                                   self.folder)
        self.build = self.connector.call("describe")["build"]
        return self.connector

    def check(self, path):
        """The program as it looks at a configuration file."""
        return subprocess.run([self.program, "--check", path],
                              capture_output=True, text=True, check=False)

    def conforms(self, *options):
        """The run that every connector passes."""
        extra = self.folder / "extra.json"
        extra.write_text(json.dumps(self.config(target=None, authority=None)))
        done = subprocess.run(
            ["/usr/bin/python3", HERE / "conformance" / "run.py", "--extra",
             extra, *options, "--", self.program], capture_output=True,
            text=True, check=False, timeout=180)
        assert done.returncode == 0, done.stdout + done.stderr
        assert "not ok" not in done.stdout

    # What the protocol asks.

    def ask(self, method, action, resource, parameters=None, **more):
        return self.connector.call(method, action=action, resource=resource,
                                   parameters=parameters or {}, **more)

    def plan(self, resource, member, action=None, **more):
        return self.ask("plan", action or self.action, resource,
                        {"member": member}, **more)

    def read(self, resource, member, action=None):
        return self.ask("read", action or self.action, resource,
                        {"member": member})

    def text(self, plan, action=None, **changes):
        """A plan as the authority would decide and arm it."""
        self.orders += 1
        return {
            "v": 1, "purpose": "request", "request": f"req_{self.orders}",
            "execution": f"exe_{self.orders}", "agent": "a", "chain": [],
            "task": "tsk_1", "class": digest("class"), "intent": "c:0",
            "action": action or self.action, "target": self.target,
            "targetDigest": digest("t"), "connectorBuild": self.build,
            "tier": 1, "mode": "execute", "ttl": 900,
            "notAfter": "2999-01-01T00:00:00.000Z",
            **{name: plan[name] for name in (
                "resource", "parameters", "diff", "gains", "loses",
                "blastRadius", "undo", "precondition")}, **changes}

    def order(self, plan, action=None, base=None, **changes):
        """(plan's text, order)."""
        text = self.text(plan, action, **changes)
        return text, self.authority.arm(text, base=base)

    def apply(self, plan, action=None, base=None, **changes):
        _, order = self.order(plan, action, base, **changes)
        return self.connector.call("apply", order=order)

    def close(self):
        status = self.connector.close() if self.connector else 0
        for close in reversed(self.closing):
            close()
        if not self.connector:
            return
        log = self.connector.log()
        assert status == 0 and "Sanitizer" not in log, log
        for secret in [PASSWORD, *self.secrets]:
            assert secret not in log


def refused(reason, call, *arguments, **named):
    with pytest.raises(Refused) as caught:
        call(*arguments, **named)
    assert caught.value.reason == reason, caught.value
    return caught.value.message


def ids(subjects):
    return [s["id"] for s in subjects]
