"""A throw-away OpenLDAP server for tests.

    with Slapd(seed=LDIF, tls=True) as directory:
        directory.search("ou=groups,dc=example,dc=org", "(cn=ops)", ["member"])

It runs in the foreground as whoever runs the test, in its own folder, on a free
port of 127.0.0.1 and a Unix socket, and is ended by its own process id.
"""
import base64
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import urllib.parse

SUFFIX = "dc=example,dc=org"
SLAPD = shutil.which("slapd", path=os.environ["PATH"] + ":/usr/sbin")
SLAPADD = shutil.which("slapadd", path=os.environ["PATH"] + ":/usr/sbin")
MODULES = next((p for p in ("/usr/lib/ldap", "/usr/lib/openldap",
                            "/usr/lib64/openldap", "/usr/libexec/openldap")
                if os.path.isdir(p)), None)
SCHEMAS = next((p for p in ("/etc/ldap/schema", "/etc/openldap/schema")
                if os.path.isdir(p)), None)

AVAILABLE = bool(SLAPD and SLAPADD and MODULES and SCHEMAS
                 and shutil.which("ldapsearch"))


def _run(*command, data=None):
    done = subprocess.run(command, input=data, capture_output=True,
                          check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout.decode()


class Certificates:
    """A small certificate authority: ca.pem, server.*, client.* in folder."""

    def __init__(self, folder, client="writ-client",
                 alternatives="IP:127.0.0.1,DNS:localhost"):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca = self.folder / "ca.pem"
        _run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=Test CA", "-keyout", str(self.folder / "ca.key"), "-out",
             str(self.ca))
        self.server = self.issue("server", "127.0.0.1",
                                 alternatives)
        self.client = self.issue("client", client, None)

    def issue(self, name, common_name, alternatives):
        """Makes a key and a certificate; returns their two paths."""
        key, request, certificate, extension = (
            self.folder / f"{name}.{end}" for end in
            ("key", "csr", "pem", "ext"))
        _run("openssl", "req", "-newkey", "ec", "-pkeyopt",
             "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={common_name}",
             "-keyout", str(key), "-out", str(request))
        extension.write_text("basicConstraints=CA:FALSE\n" + (
            f"subjectAltName={alternatives}\n" if alternatives else ""))
        _run("openssl", "x509", "-req", "-in", str(request), "-CA",
             str(self.ca), "-CAkey", str(self.folder / "ca.key"),
             "-CAcreateserial", "-days", "2", "-extfile", str(extension),
             "-out", str(certificate))
        return certificate, key


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Slapd:
    """One server with one database.

    seed: LDIF text loaded before the start; the suffix entry must be in it.
    overlays: overlay modules, loaded and set on the database: names, or
        {name: its lines of slapd.conf}.
    access: access lines of slapd.conf; without them, everything to everyone.
    config: further lines of the database section.
    tls: StartTLS and ldaps with certificates of its own (self.certificates),
        or those given as certificates.
    """

    def __init__(self, seed, overlays=("memberof", "refint"), access="",
                 config="", tls=False, suffix=SUFFIX, folder=None,
                 certificates=None):
        self._own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="slapd-"))
        self.suffix = suffix
        self.root_dn = f"cn=root,{suffix}"
        self.root_password = "root-secret"
        self.overlays = overlays
        self.access = access
        self.config = config
        self.certificates = certificates or (
            Certificates(self.folder / "tls") if tls else None)
        self.socket = self.folder / "ldapi"
        self.port = self.tls_port = None
        self.process = None
        self._lock = threading.Lock()
        try:
            self._load(seed)
        except RuntimeError:
            self.stop()
            raise

    # The server's life.

    def _conf(self):
        path = self.folder / "slapd.conf"
        lines = [f"modulepath {MODULES}", "moduleload back_mdb"]
        lines += [f"moduleload {name}" for name in self.overlays]
        lines += [f"include {SCHEMAS}/{name}.schema" for name in
                  ("core", "cosine", "inetorgperson", "nis")]
        lines += [f"pidfile {self.folder}/slapd.pid"]
        if self.certificates:
            certificate, key = self.certificates.server
            lines += [f"TLSCACertificateFile {self.certificates.ca}",
                      f"TLSCertificateFile {certificate}",
                      f"TLSCertificateKeyFile {key}",
                      "TLSVerifyClient try"]
        # Whoever runs the test and comes by the Unix socket, and whoever has
        # the client certificate, is the connector's account.
        for name in ("gidNumber=[0-9]+[+]uidNumber=[0-9]+,cn=peercred,"
                     "cn=external,cn=auth", "cn=writ-client"):
            lines += [f'authz-regexp "^{name}$" "cn=writ,{self.suffix}"']
        lines += ["database mdb", f'suffix "{self.suffix}"',
                  f'rootdn "{self.root_dn}"', f"rootpw {self.root_password}",
                  f"directory {self.folder}/db", "maxsize 67108864", "dbnosync",
                  "index objectClass,member,uniqueMember,entryUUID eq"]
        lines += [self.access, self.config]
        for name in self.overlays:
            lines += [f"overlay {name}"]
            if isinstance(self.overlays, dict):
                lines += [self.overlays[name]]
            elif name == "refint":
                lines += ["refint_attributes member"]
        path.write_text("\n".join(lines) + "\n")
        return str(path)

    def _load(self, seed):
        (self.folder / "db").mkdir(exist_ok=True)
        path = self.folder / "seed.ldif"
        path.write_text(seed)
        _run(SLAPADD, "-q", "-f", self._conf(), "-l", str(path))

    @property
    def url(self):
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self):
        return f"ldaps://127.0.0.1:{self.tls_port}"

    @property
    def ldapi_url(self):
        return "ldapi://" + urllib.parse.quote(str(self.socket), safe="")

    def start(self):
        with self._lock:
            self._start()
        return self

    def _start(self):
        self.port = self.port or free_port()
        urls = [self.url, self.ldapi_url]
        if self.certificates:
            self.tls_port = self.tls_port or free_port()
            urls += [self.tls_url]
        # It goes when the test run goes, however that ends.
        guard = ["setpriv", "--pdeathsig", "TERM"] if shutil.which(
            "setpriv") else []
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(
                [*guard, SLAPD, "-f", self._conf(), "-h", " ".join(urls), "-d", "0"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        deadline = time.monotonic() + 30
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError("slapd does not start: " +
                                   (self.folder / "log").read_text())
            time.sleep(0.02)

    def _answers(self):
        return subprocess.run(
            ["ldapwhoami", "-x", "-H", self.url, "-D", self.root_dn, "-w",
             self.root_password], capture_output=True, check=False,
            env=self._env()).returncode == 0

    def kill(self, how=signal.SIGKILL):
        """Ends the server; start() brings it back on the same port."""
        with self._lock:
            if self.process:
                self.process.send_signal(how)
                self.process.wait()
                self.process = None

    def stop(self):
        self.kill(signal.SIGTERM)
        if self._own_folder:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # What it holds.

    @staticmethod
    def _env():
        return {"PATH": os.environ["PATH"], "LDAPNOINIT": "1", "LANG": "C"}

    def _tool(self, name, *arguments, data=None, quiet=()):
        done = subprocess.run(
            [name, "-x", "-H", self.url, "-D", self.root_dn, "-w",
             self.root_password, *arguments], input=data, capture_output=True,
            check=False, env=self._env())
        if done.returncode not in (0, *quiet):
            raise RuntimeError(f"{name}: {done.returncode} "
                               f"{done.stderr.decode(errors='replace')}")
        return done.stdout.decode()

    def search(self, base, filter="(objectClass=*)", attributes=("*",),
               scope="sub"):
        """[(dn, {attribute in lower case: [value, ...]}), ...] as the
        directory's root; [] if there is no such base."""
        text = self._tool("ldapsearch", "-LLL", "-o", "ldif-wrap=no", "-b", base,
                          "-s", scope, filter, *attributes, quiet=(32,))
        return parse_ldif(text)

    def values(self, dn, attribute):
        """The sorted values of one attribute of one entry; None if absent."""
        found = self.search(dn, attributes=[attribute], scope="base")
        return sorted(found[0][1].get(attribute.lower(), [])) if found else None

    def modify(self, ldif):
        """Runs LDIF change records as the directory's root."""
        self._tool("ldapmodify", data=ldif.encode())

    def add(self, ldif):
        self._tool("ldapadd", data=ldif.encode())

    def delete(self, dn):
        self._tool("ldapdelete", dn)

    def add_member(self, group, member):
        self.modify(change_ldif(group, "add", member))

    def remove_member(self, group, member):
        self.modify(change_ldif(group, "delete", member))


def line_ldif(name, value):
    """One line of LDIF for any value."""
    return f"{name}:: {base64.b64encode(value.encode()).decode()}\n"


def change_ldif(group, op, member):
    return (line_ldif("dn", group) + f"changetype: modify\n{op}: member\n" +
            line_ldif("member", member))


def entry_ldif(dn, attributes):
    """One entry; attributes: {name: value or list of values}."""
    text = line_ldif("dn", dn)
    for name, values in attributes.items():
        for value in [values] if isinstance(values, str) else values:
            text += line_ldif(name, value)
    return text + "\n"


def parse_ldif(text):
    entries = []
    for block in text.split("\n\n"):
        dn, attributes = None, {}
        for line in block.splitlines():
            name, colon, value = line.partition(":")
            if not colon or line.startswith("#"):
                continue
            if value.startswith(":"):
                value = base64.b64decode(value[1:]).decode(errors="replace")
            else:
                value = value.lstrip()
            if name == "dn":
                dn = value
            else:
                attributes.setdefault(name.lower(), []).append(value)
        if dn is not None:
            entries.append((dn, attributes))
    return entries
