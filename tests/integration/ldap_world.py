"""A directory, an authority that arms orders, and writ-connect-ldap between the
two: what the tests of that connector stand on.

The program is WRIT_CONNECT_LDAP, or that of the build folder WRIT_BUILD
(build/release).
"""
import os
import pathlib
import sys

import pytest

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE / "conformance")]

# pylint: disable=wrong-import-position
from authority import Authority, digest
from connector_process import Connector, Refused
from ldap_proxy import Proxy
from slapd import AVAILABLE, SUFFIX, Slapd, entry_ldif

BUILD = pathlib.Path(os.environ.get("WRIT_BUILD",
                                    HERE.parents[1] / "build" / "release"))
PROGRAM = pathlib.Path(os.environ.get(
    "WRIT_CONNECT_LDAP", BUILD / "connectors/ldap/writ-connect-ldap")).resolve()
PASSWORD = "pa$$ word: 'quoted'"
PEOPLE, GROUPS = f"ou=people,{SUFFIX}", f"ou=groups,{SUFFIX}"
ACCOUNT = f"cn=writ,{SUFFIX}"
TARGET = "corp-directory"

needs_slapd = pytest.mark.skipif(
    not (PROGRAM.exists() and AVAILABLE),
    reason="needs a built writ-connect-ldap and an installed slapd")

# What docs/connectors/ldap.md says the account needs, and no more.
ACCESS = f"""
access to dn.base="" by * read
access to attrs=userPassword by anonymous auth by * none
access to dn.subtree="{GROUPS}" attrs=member by dn.exact="{ACCOUNT}" write by * none
access to * by dn.exact="{ACCOUNT}" read by anonymous auth by * none
"""


def person(uid):
    return f"uid={uid},{PEOPLE}"


def group(cn):
    return f"cn={cn},{GROUPS}"


def person_ldif(uid, dn=None):
    return entry_ldif(dn or person(uid), {
        "objectClass": ["inetOrgPerson"], "uid": uid, "cn": uid, "sn": uid})


def group_ldif(cn, *members, dn=None):
    return entry_ldif(dn or group(cn), {
        "objectClass": ["groupOfNames"], "cn": cn, "member": list(members)})


def seed(*more):
    return (entry_ldif(SUFFIX, {"objectClass": ["dcObject", "organization"],
                                "dc": "example", "o": "Example"}) +
            entry_ldif(PEOPLE, {"objectClass": "organizationalUnit",
                                "ou": "people"}) +
            entry_ldif(GROUPS, {"objectClass": "organizationalUnit",
                                "ou": "groups"}) +
            entry_ldif(ACCOUNT, {"objectClass": ["organizationalRole",
                                                 "simpleSecurityObject"],
                                 "cn": "writ", "userPassword": PASSWORD}) +
            "".join(person_ldif(u) for u in ("alice", "bob", "carol", "dave")) +
            group_ldif("ops", person("alice"), person("bob")) + "".join(more))


class World:
    """A directory, an authority, and a connector between the two."""

    def __init__(self, folder):
        self.folder = folder
        self.authority = Authority()
        self.directory = self.connector = self.build = None
        self.closing = []
        self.orders = 0

    def serve(self, *more, **options):
        options.setdefault("access", ACCESS)
        self.directory = Slapd(seed(*more), **options).start()
        self.closing.append(self.directory.stop)
        return self.directory

    def config(self, **changes):
        password = self.folder / "password"
        if not password.exists():
            password.write_text(PASSWORD + "\n")
        config = {
            "target": TARGET, "url": self.directory.url, "base": GROUPS,
            "bind": {"method": "simple", "dn": ACCOUNT,
                     "passwordFile": str(password)},
            "timeoutSeconds": 5,
            "authority": {"vkey": self.authority.vkey,
                          "state": str(self.folder / "seen")},
        }
        config.update(changes)
        return {k: v for k, v in config.items() if v is not None}

    def connect(self, **changes):
        if self.connector:
            self.connector.close()
        self.connector = Connector(PROGRAM, self.config(**changes), self.folder)
        self.build = self.connector.call("describe")["build"]
        return self.connector

    def proxy(self):
        proxy = Proxy(self.directory.port)
        self.closing.append(proxy.close)
        self.connect(url=proxy.url, timeoutSeconds=2)
        return proxy

    # What the protocol asks.

    def ask(self, method, action, resource, parameters=None, **more):
        return self.connector.call(method, action=action, resource=resource,
                                   parameters=parameters or {}, **more)

    def plan(self, resource, member, action="AddToGroup", **more):
        return self.ask("plan", action, resource, {"member": member}, **more)

    def read(self, resource, member, action="AddToGroup"):
        return self.ask("read", action, resource, {"member": member})

    def order(self, plan, action="AddToGroup", base=None, **changes):
        self.orders += 1
        text = {
            "v": 1, "purpose": "request", "request": f"req_{self.orders}",
            "execution": f"exe_{self.orders}", "agent": "a", "chain": [],
            "task": "tsk_1", "class": digest("class"), "intent": "c:0",
            "action": action, "target": TARGET, "targetDigest": digest("t"),
            "connectorBuild": self.build, "tier": 1, "mode": "execute",
            "ttl": 900, "notAfter": "2999-01-01T00:00:00.000Z",
            **{name: plan[name] for name in (
                "resource", "parameters", "diff", "gains", "loses",
                "blastRadius", "undo", "precondition")}, **changes}
        return text, self.authority.arm(text, base=base)

    def apply(self, plan, action="AddToGroup", **changes):
        _, order = self.order(plan, action, **changes)
        return self.connector.call("apply", order=order)

    def close(self):
        status = self.connector.close() if self.connector else 0
        for close in reversed(self.closing):
            close()
        if self.connector:
            log = self.connector.log()
            assert status == 0 and "Sanitizer" not in log, log
            assert PASSWORD not in log


def refused(reason, call, *arguments, **named):
    with pytest.raises(Refused) as caught:
        call(*arguments, **named)
    assert caught.value.reason == reason, caught.value
    return caught.value.message


def ids(subjects):
    return [s["id"] for s in subjects]
