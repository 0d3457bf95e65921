"""A throw-away PostgreSQL server for tests.

    with Postgres() as server:
        server.ask("SELECT count(*) FROM pg_roles")

It runs in the foreground in its own folder, on a Unix socket and, with TLS and
without, on a free port of 127.0.0.1, and is ended by its own process id.  A
server refuses to be root's: when root runs the test it is that of the user
"postgres" or "nobody".
"""
import os
import pathlib
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

from slapd import Certificates, free_port

_HOMES = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_PATH = os.pathsep.join([*map(str, _HOMES), os.environ["PATH"]])
INITDB = shutil.which("initdb", path=_PATH)
POSTGRES = shutil.which("postgres", path=_PATH)
PSQL = shutil.which("psql", path=_PATH)


def _user():
    """Who the server runs as; None for whoever runs the test."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            pass
    return None


AVAILABLE = bool(INITDB and POSTGRES and PSQL and shutil.which("setpriv")
                 and (os.geteuid() != 0 or _user()))

# Whoever runs the test comes as "super" over the socket, and as "peer" where
# the server sees that it is them.
HBA = """
local all super trust
local all peer peer map=test
local all all scram-sha-256
hostssl all certified 127.0.0.1/32 cert
host all all 127.0.0.1/32 scram-sha-256
"""


class Refused(Exception):
    """The server said no; the text is its own."""


def psql(arguments, statement, password=None, environment=None):
    """Runs statements; the lines that they answer, columns apart by '|'."""
    done = subprocess.run(
        [PSQL, "-XAtq", "-v", "ON_ERROR_STOP=1", *arguments, "-c", statement],
        capture_output=True, text=True, check=False, timeout=60,
        stdin=subprocess.DEVNULL,
        env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8",
             "PGCONNECT_TIMEOUT": "10",
             **({"PGPASSWORD": password} if password else {}),
             **(environment or {})})
    if done.returncode != 0:
        raise Refused(done.stderr.strip())
    return done.stdout.splitlines()


class Session:
    """A psql that stays connected; say() waits until the server has answered."""

    def __init__(self, arguments, password=None):
        self.process = subprocess.Popen(
            [PSQL, "-XAtq", *arguments], text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8",
                 **({"PGPASSWORD": password} if password else {})})

    def say(self, statement):
        """Runs it; the lines up to its end, also what the server refused."""
        self.process.stdin.write(statement + ";\n\\echo said\n")
        self.process.stdin.flush()
        lines = []
        for line in self.process.stdout:
            if line == "said\n":
                return lines
            lines.append(line.rstrip("\n"))
        raise Refused("\n".join(lines))

    def ended(self):
        """Waits for the end of the session; what it said last."""
        self.process.stdin.write("SELECT 1;\n")
        self.process.stdin.close()
        words = self.process.stdout.read()
        self.process.wait(timeout=30)
        return words

    def close(self):
        try:
            self.process.stdin.close()
        except OSError:
            pass
        self.process.stdout.close()
        self.process.wait(timeout=30)


class Postgres:
    """One server.

    settings: lines of postgresql.conf.
    """

    def __init__(self, settings=""):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="pg-", dir="/tmp"))
        self.data = self.folder / "data"
        self.port = free_port()
        self.certificates = Certificates(self.folder / "tls",
                                         client="certified")
        self.process = None
        self.log = self.data / "log" / "server.csv"
        self._user = _user()
        self._lock = threading.Lock()
        try:
            self._make(settings)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    # The server's life.

    def _as_server(self):
        guard = ["setpriv", "--pdeathsig", "TERM"]
        if self._user:
            guard += ["--reuid", str(self._user.pw_uid), "--regid",
                      str(self._user.pw_gid), "--clear-groups"]
        return guard

    def _give(self, path, mode):
        os.chmod(path, mode)
        if self._user:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _make(self, settings):
        # The server may enter, its clients may connect to its socket.
        self.folder.chmod(0o755)
        self.data.mkdir()
        self._give(self.data, 0o700)
        subprocess.run(
            [*self._as_server(), INITDB, "-D", self.data, "-U", "super", "-A",
             "trust", "-E", "UTF8", "--locale", "C", "--no-sync"],
            check=True, stdout=subprocess.DEVNULL, cwd="/",
            env={"PATH": os.environ["PATH"], "LANG": "C", "TZ": "UTC"})
        certificate, key = self.certificates.server
        for name, source, mode in (
                ("server.pem", certificate, 0o600), ("server.key", key, 0o600),
                ("ca.pem", self.certificates.ca, 0o600)):
            shutil.copyfile(source, self.data / name)
            self._give(self.data / name, mode)
        for name, text in (
                ("pg_hba.conf", HBA),
                ("pg_ident.conf",
                 f"test {pwd.getpwuid(os.geteuid()).pw_name} peer\n")):
            (self.data / name).write_text(text)
        with open(self.data / "postgresql.conf", "a", encoding="utf8") as file:
            file.write(self._settings() + settings)

    def _settings(self):
        return f"""
listen_addresses = '127.0.0.1'
port = {self.port}
unix_socket_directories = '{self.data}'
fsync = off
max_connections = 60
shared_buffers = '16MB'
ssl = on
ssl_cert_file = 'server.pem'
ssl_key_file = 'server.key'
ssl_ca_file = 'ca.pem'
password_encryption = 'scram-sha-256'
logging_collector = on
log_destination = 'csvlog'
log_directory = 'log'
log_filename = 'server'
log_rotation_age = 0
log_rotation_size = 0
log_statement = 'all'
log_timezone = 'UTC'
timezone = 'UTC'
restart_after_crash = on
"""

    @property
    def socket(self):
        """The folder of its Unix socket."""
        return str(self.data)

    def start(self):
        with self._lock:
            with open(self.folder / "words", "ab") as words:
                self.process = subprocess.Popen(
                    [*self._as_server(), POSTGRES, "-D", self.data],
                    stdin=subprocess.DEVNULL, stdout=words, stderr=words,
                    cwd="/", env={"PATH": os.environ["PATH"], "LANG": "C",
                                  "TZ": "UTC"})
        deadline = time.monotonic() + 60
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise RuntimeError("postgres does not start: " +
                                   (self.folder / "words").read_text())
            time.sleep(0.02)
        return self

    def _answers(self):
        try:
            self.ask("SELECT 1")
        except Refused:
            return False
        return True

    def end(self, how=signal.SIGINT):
        """Ends the server: fast with SIGINT, as in a crash with SIGQUIT."""
        with self._lock:
            if self.process:
                self.process.send_signal(how)
                self.process.wait(timeout=60)
                self.process = None

    def stop(self):
        self.end(signal.SIGQUIT)
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()

    # What it holds.

    def by_socket(self, user="super", database="postgres"):
        """The arguments of psql."""
        return ["-h", self.socket, "-p", str(self.port), "-U", user, "-d",
                database]

    def ask(self, statement, database="postgres"):
        """Runs statements as the server's superuser."""
        return psql(self.by_socket(database=database), statement)

    def flag(self, question):
        return self.ask(question) == ["t"]

    def session(self, user="super", database="postgres", password=None):
        return Session(self.by_socket(user, database), password)

    def has_role(self, name):
        return self.flag("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = "
                         f"{literal(name)})")

    def is_member(self, role, member):
        return self.flag(
            "SELECT EXISTS (SELECT FROM pg_auth_members m "
            "JOIN pg_roles r ON r.oid = m.roleid "
            "JOIN pg_roles u ON u.oid = m.member "
            f"WHERE r.rolname = {literal(role)} AND "
            f"u.rolname = {literal(member)})")

    def sessions(self, user):
        return int(self.ask("SELECT count(*) FROM pg_stat_activity WHERE "
                            f"usename = {literal(user)}")[0])

    def logged(self):
        """All that the server wrote down; it writes a little later."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""


def literal(text):
    return "'" + text.replace("'", "''") + "'" if "\\" not in text else (
        "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'")


def name(text):
    return '"' + text.replace('"', '""') + '"'


class _Lost(Exception):
    pass


def _exactly(sock, count):
    data = b""
    while len(data) < count:
        more = sock.recv(count - len(data))
        if not more:
            raise _Lost
        data += more
    return data


class Proxy:
    """A proxy without TLS that stops at statements, by how they begin:

        proxy.before["COMMIT"] = function     called first, then it is passed on
        proxy.lose["COMMIT"] = "request"      the line is cut, the server sees
                                              nothing
        proxy.lose["COMMIT"] = "answer"       the server does it, then the line
                                              is cut
        proxy.lose["COMMIT"] = "silence"      the server does it, nothing is cut
                                              and nothing passed on any more
    """

    def __init__(self, port):
        self._server_port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.before = {}
        self.lose = {}
        self.statements = []
        self.sent = b""  # everything that clients have sent
        self._lines = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1",
                                                   self._server_port))
            except OSError:
                return
            self._lines += [client, server]
            for line in (client, server):
                line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            state = {"losing": None}
            for work in (self._upward, self._downward):
                threading.Thread(target=self._pump, daemon=True,
                                 args=(work, client, server, state)).start()

    @staticmethod
    def _pump(work, client, server, state):
        try:
            work(client, server, state)
        except (_Lost, OSError):
            for line in (client, server):
                try:
                    line.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def _pass_on(self, server, data):
        self.sent += data
        server.sendall(data)

    def _upward(self, client, server, state):
        head = _exactly(client, 4)  # of the start, which has no type
        self._pass_on(server, head + _exactly(
            client, int.from_bytes(head, "big") - 4))
        while True:
            head = _exactly(client, 5)
            body = _exactly(client, int.from_bytes(head[1:], "big") - 4)
            if head[:1] == b"P":
                self._stop_at(body.split(b"\0")[1].decode(), state)
            self._pass_on(server, head + body)

    def _stop_at(self, statement, state):
        self.statements.append(statement)
        for start in list(self.before):
            if statement.startswith(start):
                self.before.pop(start)()
        for start in list(self.lose):
            if statement.startswith(start):
                state["losing"] = self.lose.pop(start)
        if state["losing"] == "request":
            raise _Lost

    def _downward(self, client, server, state):
        while True:
            head = _exactly(server, 5)
            body = _exactly(server, int.from_bytes(head[1:], "big") - 4)
            # Ready for the next: the statement was carried out.
            if state["losing"] == "answer" and head[:1] == b"Z":
                raise _Lost
            if not state["losing"]:
                client.sendall(head + body)

    def close(self):
        self._listener.close()
        for line in self._lines:
            line.close()
