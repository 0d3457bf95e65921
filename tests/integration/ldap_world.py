"""A directory, an authority that arms orders, and writ-connect-ldap between the
two: what the tests of that connector stand on.

The program is WRIT_CONNECT_LDAP, or that of the build folder WRIT_BUILD
(build/release).
"""
import pytest

# pylint: disable=unused-import
from connector_world import PASSWORD, ConnectorWorld, ids, program, refused
from ldap_proxy import Proxy
from slapd import AVAILABLE, SUFFIX, Slapd, entry_ldif

PROGRAM = program("ldap")
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


class World(ConnectorWorld):
    """A directory, an authority, and a connector between the two."""
    program = PROGRAM
    target = TARGET
    action = "AddToGroup"

    def __init__(self, folder):
        super().__init__(folder)
        self.directory = None

    def serve(self, *more, **options):
        options.setdefault("access", ACCESS)
        self.directory = Slapd(seed(*more), **options).start()
        self.closing.append(self.directory.stop)
        return self.directory

    def config(self, **changes):
        return self.settings({
            "url": self.directory.url, "base": GROUPS,
            "bind": {"method": "simple", "dn": ACCOUNT,
                     "passwordFile": self.password_file()}}, changes)

    def proxy(self):
        proxy = Proxy(self.directory.port)
        self.closing.append(proxy.close)
        self.connect(url=proxy.url, timeoutSeconds=2)
        return proxy
