"""A whole authority for tests: keys, configuration, writd and its callers.

    with Authority() as authority:
        authority.found()                       # inventory and policy
        bot = authority.agent("hr-bot")
        task = bot.open_task()
        answer = bot.ask(task, "AddToGroup", "cn=lunch-list,...", "uid=nora,...")

Programs come from the build folder named by WRIT_BUILD (build/release).
Nothing here sleeps where something can be awaited, and everything that is
awaited has a deadline.
"""
import base64
import datetime
import hashlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import urllib.parse

from tokens import Issuer

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("WRIT_BUILD", ROOT / "build" / "release"))
EXAMPLE = ROOT / "examples" / "demo"
PATIENCE = float(os.environ.get("WRIT_TEST_PATIENCE", "60"))  # seconds

PROGRAMS = {
    "writ": "src/cli/writ",
    "writd": "src/daemon/writd",
    "writ-keeper": "keeper/writ-keeper",
    "writ-connect-ldap": "connectors/ldap/writ-connect-ldap",
    "writ-connect-null": "connectors/null/writ-connect-null",
    "writ-connect-postgres": "connectors/postgres/writ-connect-postgres",
    "writ-connect-sshd": "connectors/sshd/writ-connect-sshd",
}

NAMESPACES = {
    "login": "writ-login",
    "approval": "writ-approval", "adopt": "writ-approval",
    "resolve": "writ-approval",
    "voucher": "writ-evidence",
    "change": "writ-admin", "activate": "writ-admin", "contain": "writ-admin",
    "release": "writ-admin", "drill": "writ-admin", "disclose": "writ-admin",
    "erase": "writ-admin", "notice": "writ-admin",
    "exception": "writ-admin", "revoke": "writ-admin",
    "end-grant": "writ-admin",
    "signal": "writ-signal", "heartbeat": "writ-signal",
}

# The people of examples/demo; ada is the first administrator.
PEOPLE = ("ada", "heidi", "alice", "bob", "dave", "carol", "oscar", "erin",
          "frank")
ENDED = {"done", "no_change", "failed", "partial", "rolled_back", "conflict",
         "denied", "recommended", "cancelled", "expired", "adopted"}

TARGET = "corp-directory"
GROUPS = "ou=groups,dc=example,dc=org"
STAFF = "ou=people,dc=example,dc=org"


def group(name):
    return f"cn={name},{GROUPS}"


def person(name):
    return f"uid={name},{STAFF}"


def program(name):
    path = BUILD / PROGRAMS[name]
    if not path.exists():
        raise FileNotFoundError(f"{path}: build it first, or set WRIT_BUILD")
    return str(path)


def built(*names):
    """Whether these programs (all of them if none is named) are there."""
    return all((BUILD / PROGRAMS[n]).exists() for n in names or PROGRAMS)


def canonical(value):
    """RFC 8785 for integers and member names in ASCII."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"),
                      ensure_ascii=False)


def digest(text):
    return "sha256:" + hashlib.sha256(text.encode()).hexdigest()


def moment(seconds=0):
    """A time from now, RFC 3339 in UTC with milliseconds."""
    when = datetime.datetime.now(datetime.timezone.utc)
    when += datetime.timedelta(seconds=seconds)
    return when.strftime("%Y-%m-%dT%H:%M:%S.") + f"{when.microsecond // 1000:03}Z"


def wait_until(true, what, patience=PATIENCE, pause=0.02):
    """The first true value of true(); fails after patience seconds."""
    deadline = time.monotonic() + patience
    while True:
        value = true()
        if value:
            return value
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience:g} s for {what}")
        time.sleep(pause)


def run(*command, check=True, merge=False, **options):
    """Runs a program; merge: its standard error comes in its output."""
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE,
                          stderr=(subprocess.STDOUT if merge else
                                  subprocess.PIPE), check=False, **options)
    if check and done.returncode != 0:
        words = done.stdout if merge else done.stderr
        raise RuntimeError(f"{command[0]}: status {done.returncode}: "
                           f"{words.decode(errors='replace')}")
    return done


def fill(text, values):
    """Replaces @NAME@ by its value; one that is missing is an error."""
    return re.sub(r"@([A-Z_]+)@", lambda m: str(values[m[1]]), text)


def read_yaml(text):
    """Documents of manifests; Debian's python3-yaml, without dates."""
    import yaml  # pylint: disable=import-outside-toplevel

    class Loader(yaml.SafeLoader):
        """YAML's core schema as Writ reads it: times are texts."""

    Loader.yaml_implicit_resolvers = {
        first: [(tag, how) for tag, how in rows if not tag.endswith("timestamp")]
        for first, rows in yaml.SafeLoader.yaml_implicit_resolvers.items()}
    return [d for d in yaml.load_all(text, Loader) if d is not None]


class Answer:
    """What the daemon answered."""

    def __init__(self, status, headers, raw):
        self.status = status
        self.headers = headers
        self.raw = raw

    @property
    def text(self):
        return self.raw.decode()

    @property
    def body(self):
        return json.loads(self.raw)

    @property
    def code(self):
        """The machine-readable word of a problem; None if it is none."""
        kind = self.headers.get("content-type", "")
        return self.body.get("code") if "problem+json" in kind else None

    def ok(self, *statuses):
        """The body, or a failure that says what came instead."""
        good = (self.status in statuses if statuses else
                200 <= self.status < 300)
        assert good, f"{self!r}, wanted {statuses or '2xx'}"
        return self.body if self.raw else None

    def refused(self, status, code=None):
        assert self.status == status, f"{self!r}, wanted {status}"
        assert code is None or self.code == code, f"{self!r}, wanted {code}"
        return self.body

    def __repr__(self):
        return f"<{self.status} {self.raw[:2000].decode(errors='replace')}>"


class Human:
    """A person with a key of their own in a file."""

    def __init__(self, authority, name):
        self.authority = authority
        self.name = name
        self.key = authority.folder / "people" / name
        self.session = None
        if not self.key.exists():
            self.key.parent.mkdir(exist_ok=True)
            run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name,
                "-f", self.key)

    @property
    def public_key(self):
        """Type and base64, without the comment."""
        line = self.key.with_suffix(".pub").read_text()
        return " ".join(line.split()[:2])

    def statement(self, kind, /, **members):
        base = {"type": f"{kind}/v1", "authority": self.authority.origin,
                "human": self.name, "at": moment(),
                "nonce": os.urandom(16).hex()}
        return canonical({**base, **{k: v for k, v in members.items()
                                     if v is not None}})

    def sign_text(self, text, namespace):
        done = run("ssh-keygen", "-q", "-Y", "sign", "-n", namespace, "-f",
                   self.key, input=text.encode())
        return {"statement": text, "signature": done.stdout.decode()}

    def sign(self, kind, /, **members):
        """A signed form; type, human, nonce, ... may be replaced."""
        return self.sign_text(self.statement(kind, **members),
                              NAMESPACES[kind])

    def _send(self, path, body):
        return self.authority.call("POST", path, body)

    # Reading needs a session.

    def login(self):
        answer = self._send("/v1/login", self.sign("login"))
        self.session = answer.ok()["token"]
        return self.session

    def get(self, path):
        return self.authority.call("GET", path,
                                   bearer=self.session or self.login())

    def post(self, path, body=None):
        """What only reads, and leaves a record that it was read."""
        return self.authority.call("POST", path, body,
                                   bearer=self.session or self.login())

    # Everything else is a signature.

    def decide(self, request, group, decision="approve", digest=None,
               reason="looks right"):
        """Signs the plan as it stands when it is read, or digest."""
        digest = digest or self.get(
            f"/v1/approvals/{request}").ok()["digest"]
        return self._send(f"/v1/requests/{request}/approvals", self.sign(
            "approval", request=request, digest=digest, group=group,
            decision=decision, reason=reason))

    def approve(self, request, group, **more):
        return self.decide(request, group, "approve", **more)

    def deny(self, request, group, **more):
        return self.decide(request, group, "deny", **more)

    def adopt(self, request, digest, task=None):
        return self._send(f"/v1/requests/{request}/adopt", self.sign(
            "adopt", request=request, digest=digest, task=task))

    def resolve(self, request, outcome, reason="looked at the target"):
        return self._send(f"/v1/requests/{request}/resolve", self.sign(
            "resolve", request=request, outcome=outcome, reason=reason))

    def vouch(self, kind, action, resource, target=TARGET, reference="T-1",
              text="for the test", hours=1):
        return self._send("/v1/vouchers", self.sign(
            "voucher", kind=kind, action=action, target=target,
            resource=resource, reference=reference, text=text,
            expires=moment(hours * 3600)))

    def preview(self, manifests, prune=False):
        return self.authority.call(
            "POST", "/v1/changes", {"manifests": manifests, "prune": prune,
                                    "dryRun": True},
            bearer=self.session or self.login())

    def propose(self, manifests, prune=False):
        """The first signature under a set of manifests."""
        return self._send("/v1/changes", {
            "manifests": manifests, "prune": prune,
            "signed": self.sign("change",
                                digest=change_digest(manifests, prune))})

    def sign_change(self, change, digest):
        return self._send(f"/v1/changes/{change}/signatures",
                          self.sign("change", digest=digest))

    def activate(self, bundle, digest):
        return self._send("/v1/policy/activate", {
            "bundle": bundle, "signed": self.sign("activate", digest=digest)})

    def contain(self, kind, name, reason="for the test"):
        return self._send("/v1/containments", self.sign(
            "contain", kind=kind, name=name, reason=reason))

    def release(self, containment, reason="it is over"):
        return self._send(f"/v1/containments/{containment}/release", self.sign(
            "release", containment=containment, reason=reason))

    def except_(self, task, tier_cap=1, seconds=3600, reason="it burns",
                expires=None):
        """Signs break-glass; with the same words others add to it."""
        return self._send("/v1/exceptions", self.sign(
            "exception", task=task, tierCap=tier_cap, reason=reason,
            expires=expires or moment(seconds)))

    def revoke(self, exception, reason="it is over"):
        return self._send(f"/v1/exceptions/{exception}/revoke", self.sign(
            "revoke", exception=exception, reason=reason))

    def end_grant(self, grant, reason="it is over", **more):
        return self._send(f"/v1/grants/{grant}/end", self.sign(
            "end-grant", **{"grant": grant, "reason": reason, **more}))

    def drill(self, target=TARGET):
        return self._send(f"/v1/targets/{target}/drill",
                          self.sign("drill", target=target))

    def disclose(self, index, part="0", reason="audit"):
        return self._send(f"/v1/evidence/{index}/disclose", self.sign(
            "disclose", index=index, part=part, reason=reason))

    def erase(self, subject, reason="they asked for it"):
        return self._send(f"/v1/subjects/{subject}/erase", self.sign(
            "erase", subject=subject, reason=reason))

    # The command line.

    def writ(self, *arguments, **options):
        """The command line on this person's own machine."""
        return self.authority.writ("--human", self.name, "--key", self.key,
                                   *arguments, home=self.name, **options)


class Agent:
    """An agent with tokens of its workload platform."""

    def __init__(self, authority, name, spiffe_id=None):
        self.authority = authority
        self.name = name
        self.spiffe_id = spiffe_id or f"spiffe://example.org/agent/{name}"

    def token(self, **changes):
        return self.authority.issuer.mint(self.spiffe_id,
                                          self.authority.audience, **changes)

    def call(self, method, path, body=None, key=None, token=None):
        """key: Idempotency-Key; a fresh one for each POST without."""
        headers = {}
        if method == "POST":
            headers["Idempotency-Key"] = key or os.urandom(16).hex()
        return self.authority.call(method, path, body, headers=headers,
                                   bearer=token or self.token())

    def get(self, path):
        return self.call("GET", path)

    def open_task(self, class_name="identity-ops", intent="new people",
                  targets=(TARGET,), ttl="1h"):
        """The id of a new task."""
        return self.call("POST", "/v1/tasks", {
            "class": class_name, "intent": intent, "targets": list(targets),
            "ttl": ttl}).ok(201)["id"]

    def complete(self, task):
        return self.call("POST", f"/v1/tasks/{task}/complete", {})

    def attach(self, task, content, kind="prompt", tool=None):
        body = {"kind": kind, "content": content}
        if tool:
            body["tool"] = tool
        return self.call("POST", f"/v1/tasks/{task}/records", body)

    def request_body(self, task, action, resource, member, target=TARGET,
                     mode="execute", ttl="15m"):
        return {"task": task, "action": action, "target": target,
                "resource": resource, "parameters": {"member": member},
                "mode": mode, "ttl": ttl}

    def ask(self, *arguments, wait=20, key=None, **more):
        """POST /v1/requests; see request_body()."""
        return self.call("POST", f"/v1/requests?wait={wait}",
                         self.request_body(*arguments, **more), key=key)

    def explain(self, *arguments, **more):
        return self.call("POST", "/v1/explain",
                         self.request_body(*arguments, **more))

    def show(self, request, wait=None):
        more = f"?wait={wait}" if wait else ""
        return self.get(f"/v1/requests/{request}{more}").ok()

    def wait(self, request, *states, patience=PATIENCE):
        """The request once it is in one of states (an ended one)."""
        states = set(states) or ENDED
        deadline = time.monotonic() + patience
        while True:
            shown = self.show(request, wait=5)
            if shown["state"] in states:
                return shown
            if shown["state"] in ENDED or time.monotonic() > deadline:
                raise AssertionError(f"{request} is {shown['state']}, wanted "
                                     f"{sorted(states)}: {canonical(shown)}")
            time.sleep(0.02)

    def cancel(self, request):
        return self.call("POST", f"/v1/requests/{request}/cancel", {})

    def rollback(self, request, wait=20, **body):
        return self.call("POST", f"/v1/requests/{request}/rollback?wait={wait}",
                         body)

    def writ(self, *arguments, **options):
        """The command line with a token in the environment."""
        return self.authority.writ(*arguments, home=self.name, **options,
                                   env={"WRIT_TOKEN": self.token()})


def change_digest(manifests, prune=False):
    """What administrators sign: the set in order of kind and name."""
    kinds = ["Plane", "Domain", "Group", "Human", "TrustDomain", "Agent",
             "Target", "TaskClass", "PolicyBundle", "Detector", "ChangeFreeze"]
    rows = sorted(manifests, key=lambda m: (kinds.index(m["kind"]),
                                            m["metadata"]["name"]))
    return digest(canonical({"manifests": rows, "prune": prune}))


class Authority:
    """writd with its keeper and connectors in a folder of its own.

    directory: a running slapd.Slapd; without one the target is served by
        writ-connect-null.
    bundle: folder of the first policy bundle; without it policy/ as the
        demonstration has it, which does not depend on the time of day.
    connector_changes: members that replace those of the connector's file.
    config_changes: the same for writd.yaml.
    """

    def __init__(self, folder=None, directory=None, bundle=None,
                 connector_changes=None, config_changes=None,
                 origin="authority.test/writ", admin="ada",
                 bundle_options=()):
        self._own_folder = folder is None
        self.folder = pathlib.Path(folder or tempfile.mkdtemp(prefix="writ-"))
        self.folder.mkdir(parents=True, exist_ok=True)
        self.origin = self.audience = origin
        self.admin = admin
        self.directory = directory
        self.kind = "ldap" if directory else "null"
        self.issuer = Issuer()
        self.process = None
        self.port = None
        self.log_path = self.folder / "writd.log"
        self.config_path = self.folder / "writd.yaml"
        self.keeper_folder = self.folder / "keeper"
        self.data = self.folder / "data"
        self._people = {}
        self._agents = {}
        self._log_start = 0
        self._connector_changes = connector_changes or {}
        self._config_changes = config_changes or {}
        self._make_bundle(bundle, bundle_options)
        self._make()

    # Before the first start.

    def _make_bundle(self, bundle, options):
        self.bundle = pathlib.Path(bundle or self.folder / "policy")
        if not bundle:
            run("/usr/bin/python3", ROOT / "tools" / "demo_bundle.py",
                *options, ROOT / "policy", self.bundle)

    def _make(self):
        for name in PEOPLE:
            self.human(name)
        run(program("writ"), "init", "--data", self.data, "--keeper",
            self.keeper_folder, "--origin", self.origin, "--admin", self.admin,
            "--key", self.human(self.admin).key.with_suffix(".pub"),
            "--timezone", "UTC", env=self._env())
        self.vkey = self._ask_keeper("hello")["vkey"]
        (self.folder / "bundle.json").write_text(self.issuer.bundle())
        (self.folder / "password").touch(mode=0o600)
        (self.folder / "password").write_text("connector-secret\n")
        self.write_approvers()
        self.write_connector()
        self.write_config()

    def _ask_keeper(self, method, **params):
        """One question to a keeper of our own, while writd is not there."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                           "params": params}).encode()
        done = run(program("writ-keeper"), "--folder", self.keeper_folder,
                   input=struct.pack(">I", len(body)) + body)
        size = struct.unpack(">I", done.stdout[:4])[0]
        answer = json.loads(done.stdout[4:4 + size])
        if "error" in answer:
            raise RuntimeError(f"keeper: {answer['error']}")
        return answer["result"]

    @property
    def values(self):
        """What the placeholders of examples/demo stand for."""
        values = {
            "BUNDLE_FILE": self.folder / "bundle.json",
            "EXPIRES": moment(90 * 86400), "CONNECTOR": self.kind,
            "VKEY": self.vkey, "STATE_FILE": self.folder / "connector-state",
            "PASSWORD_FILE": self.folder / "password",
            "APPROVERS_FILE": self.folder / "approvers",
            "MEMBERSHIPS_FILE": self.folder / "memberships.json",
            "LDAP_URL": self.directory.url if self.directory else "",
        }
        for name in PEOPLE:
            values[f"KEY_{name.upper()}"] = self.human(name).public_key
        return values

    def write_approvers(self, names=PEOPLE):
        """The connector's own list of people."""
        (self.folder / "approvers").write_text("".join(
            f"{name} {self.human(name).public_key}\n" for name in names))

    def write_connector(self, **changes):
        self._connector_changes.update(changes)
        text = (EXAMPLE / f"connector-{self.kind}.yaml").read_text()
        config = {**read_yaml(fill(text, self.values))[0],
                  **self._connector_changes}
        (self.folder / "connector.yaml").write_text(json.dumps(
            {k: v for k, v in config.items() if v is not None}, indent=1))

    def write_config(self, **changes):
        self._config_changes.update(changes)
        config = {
            "data": str(self.data), "origin": self.origin,
            "audience": self.audience, "listen": "127.0.0.1:0",
            "keeper": {"command": [program("writ-keeper"), "--folder",
                                   str(self.keeper_folder)]},
            "connectors": [{"target": TARGET, "command": [
                program(f"writ-connect-{self.kind}"), "--config",
                str(self.folder / "connector.yaml")]}],
            "policy": str(self.bundle), "log": "debug",
            **self._config_changes,
        }
        self.config_path.write_text(json.dumps(
            {k: v for k, v in config.items() if v is not None}, indent=1))

    # The daemon's life.

    @staticmethod
    def _env():
        keep = ("PATH", "HOME", "TMPDIR", "ASAN_OPTIONS", "UBSAN_OPTIONS",
                "LSAN_OPTIONS")
        env = {k: os.environ[k] for k in keep if k in os.environ}
        folders = {str((BUILD / path).parent) for path in PROGRAMS.values()}
        return {**env, "LANG": "C.UTF-8", "PATH": os.pathsep.join(
            [*sorted(folders), env.get("PATH", os.defpath)])}

    def start(self, wait=True, patience=PATIENCE):
        """patience: seconds until it listens, which grow with its log."""
        self._log_start = (self.log_path.stat().st_size
                           if self.log_path.exists() else 0)
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [program("writd"), "--config", str(self.config_path)],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env=self._env(), start_new_session=True)
        if wait:
            self.port = wait_until(self._listens, "writd to listen",
                                   patience)
            wait_until(self._is_healthy, "writd to be healthy")
        return self

    def log(self, all_starts=False):
        if not self.log_path.exists():
            return ""
        data = self.log_path.read_bytes()
        return data[0 if all_starts else self._log_start:].decode(
            errors="replace")

    def _listens(self):
        found = re.search(r"event=listening\b.*?\bport=(\d+)", self.log())
        if found:
            return int(found[1])
        if self.process.poll() is not None:
            raise RuntimeError(f"writd ended with {self.process.returncode}:\n"
                               f"{self.log()}")
        return None

    def _is_healthy(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"writd ended with {self.process.returncode}:\n"
                               f"{self.log()}")
        try:
            return self.call("GET", "/v1/health").status == 200
        except OSError:
            return False

    def kill(self):
        """kill -9 of the daemon alone, as in a crash."""
        self.process.kill()
        self.process.wait()

    def stop(self, patience=PATIENCE):
        """An orderly end; returns the exit status."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(timeout=patience)
        return self.process.returncode if self.process else None

    def restart(self, crash=False):
        if crash:
            self.kill()
        else:
            self.stop()
        self._end_children()
        return self.start()

    def wait_for_end(self, patience=PATIENCE):
        """Waits for a daemon that ends by itself; its exit status."""
        return self.process.wait(timeout=patience)

    def _children(self):
        """Processes of the daemon's own session that are still there."""
        found = []
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(entry.name))
        return found

    def _end_children(self):
        """Keeper and connectors end when the daemon is gone; those that do
        not are ended."""
        try:
            wait_until(lambda: not self._children(), "children to end",
                       patience=10)
        except TimeoutError:
            for pid in self._children():
                os.kill(pid, signal.SIGKILL)

    def close(self):
        if self.process:
            if self.process.poll() is None:
                try:
                    self.stop(patience=20)
                except subprocess.TimeoutExpired:
                    self.kill()
            self._end_children()
        if self._own_folder and not os.environ.get("WRIT_TEST_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_):
        self.close()

    # Talking to it.

    def call(self, method, path, body=None, bearer=None, headers=None,
             timeout=PATIENCE):
        """One HTTP exchange.  body: JSON, or bytes as they are."""
        send = {"Accept": "application/json", **(headers or {})}
        data = body
        if body is not None and not isinstance(body, bytes):
            data = canonical(body).encode()
            send.setdefault("Content-Type", "application/json")
        if bearer:
            send["Authorization"] = f"Bearer {bearer}"
        connection = http.client.HTTPConnection("127.0.0.1", self.port,
                                                timeout=timeout)
        try:
            connection.request(method, path, data, send)
            answer = connection.getresponse()
            return Answer(answer.status,
                          {k.lower(): v for k, v in answer.getheaders()},
                          answer.read())
        finally:
            connection.close()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def human(self, name):
        if name not in self._people:
            self._people[name] = Human(self, name)
        return self._people[name]

    def agent(self, name):
        if name not in self._agents:
            self._agents[name] = Agent(self, name)
        return self._agents[name]

    def writ(self, *arguments, home="nobody", check=False, env=None,
             input=None, merge=False):
        """Runs the command line in a home folder of its own; stdout and
        stderr are bytes."""
        folder = self.folder / "homes" / home
        folder.mkdir(parents=True, exist_ok=True)
        return run(program("writ"), "--url", self.url, *arguments, check=check,
                   input=input, merge=merge,
                   env={**self._env(), "HOME": str(folder), **(env or {})})

    def health(self, reader=None):
        """What people are told; strangers get less.  The session may be from
        before a restart."""
        reader = self.human(reader or self.admin)
        health = reader.get("/v1/health").ok()
        if "connectors" not in health:
            reader.login()
            health = reader.get("/v1/health").ok()
        return health

    # Inventory and policy.

    def manifests(self, folder=EXAMPLE / "manifests"):
        """The manifests of a folder with the placeholders filled in."""
        values = self.values
        return [manifest for path in sorted(pathlib.Path(folder).glob("*.yaml"))
                for manifest in read_yaml(fill(path.read_text(), values))]

    def apply(self, manifests, by=("ada", "heidi")):
        """Applies manifests with as many signatures as they need."""
        first, *others = (self.human(name) for name in by)
        answer = first.propose(manifests)
        for signer in others:
            if answer.status != 202:
                break
            change = answer.body
            answer = signer.sign_change(change["id"], change["digest"])
        return answer.ok(200)

    def found(self, change=None, drill=True):
        """Brings in the inventory of examples/demo: the first administrator's
        signature is enough while there is no second one.  change(manifests)
        may alter the list first."""
        manifests = self.manifests()
        if change:
            manifests = change(manifests) or manifests
        self.apply(manifests, by=(self.admin,))
        wait_until(self.target_is_up, "the connector of " + TARGET)
        if drill:
            self.human(self.admin).drill().ok()
        return self

    def target_is_up(self):
        return any(row["target"] == TARGET and row["up"]
                   for row in self.health()["connectors"])

    def inventory(self, kind, name=None, reader=None):
        path = f"/v1/inventory/{urllib.parse.quote(kind)}"
        if name:
            path += f"/{urllib.parse.quote(name)}"
        return self.human(reader or self.admin).get(path)

    # Evidence.

    def leaf(self, index, reader=None):
        return self.human(reader or self.admin).get(
            f"/v1/evidence/{index}").ok()

    def checkpoint(self):
        """(origin, size, root, text) of the latest checkpoint."""
        text = self.call("GET", "/log/checkpoint").text
        origin, size, root = text.splitlines()[:3]
        return origin, int(size), base64.b64decode(root), text

    def wait_until_published(self):
        """Waits until the public checkpoint covers what is durable now."""
        leaves = self.health()["leaves"]
        wait_until(  # there is none before the first
            lambda: self.call("GET", "/log/checkpoint").status == 200
            and self.checkpoint()[1] >= leaves, "a checkpoint")

    def verify(self, *more):
        """writ evidence verify against this authority's key."""
        self.wait_until_published()
        return self.writ("evidence", "verify", self.url, "--vkey", self.vkey,
                         *more)


def demo_directory(**options):
    """slapd with the entries of examples/demo; not started yet."""
    from slapd import Slapd  # pylint: disable=import-outside-toplevel

    seed = fill((EXAMPLE / "directory.ldif").read_text(),
                {"PASSWORD": "connector-secret"})
    access = "".join(
        line + "\n" for line in (EXAMPLE / "access.conf").read_text()
        .splitlines() if not line.startswith("#"))
    return Slapd(seed, access=access, **options)
