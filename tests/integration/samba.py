"""A throw-away Active Directory domain controller for tests: Samba.

    with Samba() as domain:
        domain.add_user("alice", "Pass-word-1")
        domain.search(domain.base, "(sAMAccountName=alice)")

Its LDAP ports are fixed (389, 636), so it listens on a loopback address of its
own.  It needs root for that and for its files, and Debian's packages
samba-ad-dc and samba-ad-provision; nothing but LDAP is served.
"""
import base64
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).parent
sys.path.insert(0, str(HERE))

# pylint: disable=wrong-import-position
from slapd import Certificates, entry_ldif, line_ldif, parse_ldif

REALM = "ad.example.org"
BASE = "DC=ad,DC=example,DC=org"
ADMIN = f"Administrator@{REALM}"
ADMIN_PASSWORD = "Adm1n-pass-word"

_PROGRAMS = ("samba", "samba-tool", "ldapsearch", "openssl")


def missing():
    """What keeps it from running here, in words; "" for nothing."""
    path = os.environ["PATH"] + ":/usr/sbin"
    gone = [p for p in _PROGRAMS if not shutil.which(p, path=path)]
    if gone:
        return ("needs " + ", ".join(gone) +
                " (Debian: samba-ad-dc samba-ad-provision winbind)")
    if not os.path.isdir("/usr/share/samba/setup"):
        return "needs /usr/share/samba/setup (Debian: samba-ad-provision)"
    if os.geteuid() != 0:
        return "a domain controller listens on port 389: needs root"
    return ""


def _address():
    """A loopback address that nobody else who tests at the same time has."""
    number = os.getpid() % 60000
    return f"127.77.{number // 250}.{number % 250 + 2}"


class Samba:
    """One domain controller of one domain, in a folder of its own."""

    def __init__(self, folder=None):
        self._own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="samba-"))
        self.base = BASE
        self.address = _address()
        self.process = None
        self.certificates = Certificates(self.folder / "tls",
                                         alternatives=f"IP:{self.address}")
        self._provision()

    @property
    def url(self):
        return f"ldaps://{self.address}"

    # The server's life.

    def _provision(self):
        done = subprocess.run(
            ["samba-tool", "domain", "provision", f"--realm={REALM.upper()}",
             "--domain=AD", "--server-role=dc", "--dns-backend=NONE",
             "--use-rfc2307", f"--adminpass={ADMIN_PASSWORD}",
             f"--targetdir={self.folder}/domain", "--host-name=dc1",
             f"--host-ip={self.address}"],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False,
            stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError("samba-tool: " +
                               done.stdout.decode(errors="replace")[-2000:])

    def _conf(self):
        domain = self.folder / "domain"
        certificate, key = self.certificates.server
        os.chmod(key, 0o600)  # it refuses a key that others may read
        path = self.folder / "smb.conf"
        path.write_text("\n".join([
            "[global]", "bind interfaces only = yes",
            f"interfaces = {self.address}/24", "netbios name = DC1",
            "workgroup = AD", f"realm = {REALM.upper()}",
            "server role = active directory domain controller",
            "server services = ldap", f"private dir = {domain}/private",
            *(f"{name} = {domain}" for name in (
                "lock directory", "pid directory")),
            f"state directory = {domain}/state",
            f"cache directory = {domain}/cache",
            f"ncalrpc dir = {domain}/ncalrpc",
            f"winbindd socket directory = {domain}/winbindd",
            f"ntp signd socket directory = {domain}/ntp",
            f"log file = {domain}/log", "logging = file", "tls enabled = yes",
            f"tls cafile = {self.certificates.ca}",
            f"tls certfile = {certificate}", f"tls keyfile = {key}",
            # For tests that look at what goes by; this is loopback.
            "ldap server require strong auth = no",
            "idmap_ldb:use rfc2307 = yes"]) + "\n")
        return str(path)

    def start(self):
        guard = ["setpriv", "--pdeathsig", "TERM"] if shutil.which(
            "setpriv") else []
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*guard, "samba", "-i", "-M", "single",
                 f"--configfile={self._conf()}"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={"PATH": os.environ["PATH"] + ":/usr/sbin", "LANG": "C"})
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError("samba does not start: " +
                                   (self.folder / "log").read_text())
            time.sleep(0.1)
        return self

    def _answers(self):
        return self.binds(ADMIN, ADMIN_PASSWORD)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait()
            self.process = None
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # What it holds.

    def _env(self):
        return {"PATH": os.environ["PATH"], "LDAPNOINIT": "1", "LANG": "C",
                "LDAPTLS_CACERT": str(self.certificates.ca)}

    def _run(self, name, *arguments, data=None, user=ADMIN,
             password=ADMIN_PASSWORD):
        # LDAPNOINIT would make the tools overlook the CA as well.
        env = {k: v for k, v in self._env().items() if k != "LDAPNOINIT"}
        return subprocess.run(
            [name, "-x", "-H", self.url, "-D", user, "-w", password,
             *arguments], input=data, capture_output=True, check=False,
            env=env)

    def _tool(self, name, *arguments, data=None, quiet=()):
        done = self._run(name, *arguments, data=data)
        if done.returncode not in (0, *quiet):
            raise RuntimeError(f"{name}: {done.returncode} "
                               f"{done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def binds(self, user, password):
        """Whether somebody gets in by a name and a password."""
        return self._run("ldapsearch", "-b", "", "-s", "base", "1.1",
                         user=user, password=password).returncode == 0

    def search(self, base, filter="(objectClass=*)", attributes=("*",),
               scope="sub"):
        return parse_ldif(self._tool(
            "ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", base, "-s",
            scope, filter, *attributes, quiet=(32,)))

    def values(self, dn, attribute):
        found = self.search(dn, attributes=[attribute], scope="base")
        return sorted(found[0][1].get(attribute.lower(), [])) if found else None

    def modify(self, ldif):
        self._tool("ldapmodify", data=ldif.encode())

    def add(self, dn, attributes):
        self._tool("ldapadd", data=entry_ldif(dn, attributes).encode())

    def delete(self, dn):
        self._tool("ldapdelete", dn)

    def add_unit(self, name, parent=BASE):
        dn = f"OU={name},{parent}"
        self.add(dn, {"objectClass": "organizationalUnit"})
        return dn

    def add_user(self, name, unit, password, login=None, **more):
        """Returns the DN of a new account that is not disabled."""
        dn = f"CN={name},{unit}"
        quoted = f'"{password}"'.encode("utf-16-le").decode("latin-1")
        self._tool("ldapadd", data=(
            line_ldif("dn", dn) + "objectClass: user\n" +
            line_ldif("sAMAccountName", login or name) +
            "userAccountControl: 512\n" +
            "".join(line_ldif(k, v) for k, v in more.items()) +
            _binary_line("unicodePwd", quoted.encode("latin-1"))).encode())
        return dn

    def add_group(self, name, unit, *members):
        dn = f"CN={name},{unit}"
        self.add(dn, {"objectClass": "group", "sAMAccountName": name,
                      "member": list(members)})
        return dn

    def add_many(self, unit, mark, count):
        """Accounts, straight into the database in one go, which is much
        quicker; returns their DNs."""
        names = [f"CN=m{i},{unit}" for i in range(count)]
        script = "\n".join([
            "import sys", "from samba.param import LoadParm",
            "from samba.auth import system_session",
            "from samba.samdb import SamDB", "lp = LoadParm()",
            "lp.load(sys.argv[1])",
            "db = SamDB(url=sys.argv[2], session_info=system_session(), lp=lp)",
            "db.transaction_start()",
            "for i, dn in enumerate(sys.stdin.read().splitlines()):",
            "    db.add({'dn': dn, 'objectClass': 'user',",
            "            'sAMAccountName': 'm%d.%s' % (i, sys.argv[3])})",
            "db.transaction_commit()"])
        done = subprocess.run(
            ["/usr/bin/python3", "-c", script, self._conf(),
             f"{self.folder}/domain/private/sam.ldb", mark],
            input="\n".join(names).encode(), capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode(errors="replace"))
        return names

    def _sid(self, login):
        text = self._tool("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b",
                          self.base, f"(sAMAccountName={login})", "objectSid")
        value = base64.b64decode(
            text.partition("objectSid:: ")[2].splitlines()[0])
        parts = struct.unpack(f"<{value[1]}I", value[8:])
        return "S-%d-%d-" % (value[0], int.from_bytes(value[2:8], "big")) + \
            "-".join(str(part) for part in parts)

    def delegate(self, unit, login):
        """Lets an account write members and the state of accounts below a
        unit, and nothing else: what docs/connectors/ldap.md says."""
        sid = self._sid(login)
        rights = "".join(
            f"(OA;CI;WP;{attribute};{kind};{sid})" for attribute, kind in (
                ("bf9679c0-0de6-11d0-a285-00aa003049e2",   # member
                 "bf967a9c-0de6-11d0-a285-00aa003049e2"),  # of groups
                ("bf967a68-0de6-11d0-a285-00aa003049e2",   # userAccountControl
                 "bf967aba-0de6-11d0-a285-00aa003049e2"))) # of users
        done = subprocess.run(
            ["samba-tool", "dsacl", "set", f"--objectdn={unit}",
             f"--sddl={rights}", "--action=allow", "-H",
             f"{self.folder}/domain/private/sam.ldb",
             f"--configfile={self._conf()}"], capture_output=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.decode(errors="replace"))

    def change(self, dn, op, attribute, *values):
        self.modify(line_ldif("dn", dn) + f"changetype: modify\n{op}: "
                    f"{attribute}\n" + "".join(
                        line_ldif(attribute, value) for value in values))


def _binary_line(name, value):
    return f"{name}:: {base64.b64encode(value).decode()}\n"
