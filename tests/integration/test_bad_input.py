"""Bad input gets 400, 401, 403, 404, 405, 413, 415 or 422, told where it is
wrong, and nothing is done.

Each row of the table is one call to one authority that all rows share.  After
the last one the log holds nothing but logins and counted refusals, nothing was
asked of the target, and the daemon is as well as before."""
import base64
import dataclasses
import hashlib
import hmac
import json
import os
import re
import socket
import typing

import pytest

import harness
import slapd
import stories
from harness import GROUPS, TARGET, canonical, group, moment, person
from tokens import DROP, Issuer, b64url

ROWS = []


@dataclasses.dataclass
class Row:
    """send(Stage) makes the call; code: of the problem, None for any; at: a
    place among the faults; says: what the answer must hold."""
    name: str
    send: typing.Callable
    status: int
    code: typing.Optional[str] = None
    at: typing.Optional[str] = None
    says: typing.Optional[str] = None


def row(*arguments, **more):
    ROWS.append(Row(*arguments, **more))


class Stage:
    """What rows need: people, an agent with an open task, tokens."""

    def __init__(self, authority):
        self.authority = authority
        self.bot = authority.agent("hr-bot")
        self.ada = authority.human("ada")
        self.ada.login()
        self.task = self.bot.open_task()
        self.tokens = []
        self.memory = self._memberships()
        self.first = len(stories.leaves(authority))
        self.requests = self._seen("requests")
        self.codes = set()

    def _memberships(self):
        path = self.authority.folder / "memberships.json"
        return path.read_bytes() if path.exists() else b""

    def _seen(self, kind):
        return self.ada.get(f"/v1/{kind}").ok()[kind]

    def fresh(self, **changes):
        """A token that is remembered, so that it can be looked for."""
        self.tokens.append(self.bot.token(**changes))
        return self.tokens[-1]

    def call(self, method, path, body=None, token=None, headers=None,
             key="fresh"):
        """As the agent.  body: bytes as they are, or JSON."""
        send = {"Content-Type": "application/json"} if body is not None else {}
        if key:
            send["Idempotency-Key"] = (os.urandom(8).hex() if key == "fresh"
                                       else key)
        send.update(headers or {})
        return self.authority.call(
            method, path, body, bearer=token or self.fresh(),
            headers={k: v for k, v in send.items() if v is not None})

    def request(self, **changes):
        """A body that would be carried out; DROP leaves a member out."""
        body = self.bot.request_body(self.task, "AddToGroup",
                                     group("lunch-list"), person("nora"))
        return {k: v for k, v in {**body, **changes}.items() if v is not DROP}

    def raw(self, data):
        """Bytes as they are; the answer's first line and all of it."""
        with socket.create_connection(("127.0.0.1", self.authority.port),
                                      timeout=harness.PATIENCE) as s:
            s.sendall(data)
            s.shutdown(socket.SHUT_WR)
            parts = []
            while part := s.recv(65536):
                parts.append(part)
        whole = b"".join(parts)
        head, _, body = whole.partition(b"\r\n\r\n")
        found = re.match(rb"HTTP/1\.1 (\d+)", head)
        headers = {}
        for line in head.split(b"\r\n")[1:]:
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        return harness.Answer(int(found[1]) if found else 0, headers, body)


# ---- what is no JSON, or not an object ----

def _deep(depth):
    return b"[" * depth + b"]" * depth


NOT_JSON = {
    "empty": b"", "blank": b" \n", "cut": b'{"class": "identity-ops"',
    "cut-text": b'{"class": "identity', "word": b"hello",
    "single-quotes": b"{'a': 1}", "trailing-comma": b'{"a": 1,}',
    "comment": b'{"a": 1} // x', "two-values": b"{} {}",
    "nan": b'{"a": NaN}', "infinity": b'{"a": -Infinity}',
    "real": b'{"a": 1.5}', "exponent": b'{"a": 1e3}',
    "huge-number": b'{"a": 92233720368547758080}',
    "leading-zero": b'{"a": 01}', "plus": b'{"a": +1}', "hex": b'{"a": 0x1}',
    "duplicate-key": b'{"a": 1, "a": 2}',
    "duplicate-key-escaped": b'{"a": 1, "\\u0061": 2}',
    "duplicate-key-below": b'{"a": {"b": 1, "b": 1}}',
    "bad-utf8": b'{"a": "\xff\xfe"}', "overlong-utf8": b'{"a": "\xc0\xaf"}',
    "utf8-surrogate": b'{"a": "\xed\xa0\x80"}',
    "lone-surrogate": b'{"a": "\\ud800"}', "nul-escape": b'{"a": "\\u0000"}',
    "nul": b'{"a": "\x00"}', "nul-behind": b'{}\x00', "bom": b"\xef\xbb\xbf{}",
    "raw-newline": b'{"a": "x\ny"}', "bad-escape": b'{"a": "\\x41"}',
    "utf16": '{"a": 1}'.encode("utf-16"),
}
NOT_OBJECT = {"null": b"null", "true": b"true", "number": b"7",
              "text": b'"x"', "list": b"[]", "list-of-object": b"[{}]"}
BODIES = {
    "task": "/v1/tasks", "request": "/v1/requests", "explain": "/v1/explain",
    "login": "/v1/login", "change": "/v1/changes",
}

for _route, _path in BODIES.items():
    for _name, _body in NOT_JSON.items():
        row(f"{_route}-json-{_name}",
            lambda s, p=_path, b=_body: s.call("POST", p, b), 400, "not-json")
    for _name, _body in NOT_OBJECT.items():
        row(f"{_route}-is-{_name}",
            lambda s, p=_path, b=_body: s.call("POST", p, b), 422, "invalid",
            says="must be an object")
    row(f"{_route}-too-deep",
        lambda s, p=_path: s.call("POST", p, _deep(33)), 413, "too-large",
        says="nested")
    row(f"{_route}-far-too-deep",
        lambda s, p=_path: s.call("POST", p, _deep(20000)), 413, "too-large")

row("place-of-what-is-no-json",
    lambda s: s.call("POST", "/v1/tasks", b'{\n "class": identity-ops}'),
    400, "not-json", says='"detail":"2:')

# ---- members ----

OF_TYPES = {"null": None, "number": 1, "flag": True, "list": [], "object": {},
            "negative": -1}
TEXTS = ("task", "action", "target", "resource", "mode", "ttl")

for _member in TEXTS:
    for _name, _value in OF_TYPES.items():
        row(f"request-{_member}-{_name}",
            lambda s, m=_member, v=_value: s.call(
                "POST", "/v1/requests", s.request(**{m: v})),
            422, "invalid", at=f"/{_member}")
    row(f"request-{_member}-of-no-bytes",
        lambda s, m=_member: s.call("POST", "/v1/requests",
                                    s.request(**{m: ""})),
        422, "invalid", at=f"/{_member}")
    row(f"request-{_member}-control",
        lambda s, m=_member: s.call("POST", "/v1/requests",
                                    s.request(**{m: "a\x1bb"})),
        422, "invalid", at=f"/{_member}")
for _member in ("task", "action", "target", "resource", "parameters"):
    row(f"request-without-{_member}",
        lambda s, m=_member: s.call("POST", "/v1/requests",
                                    s.request(**{m: DROP})),
        422, "invalid", at=f"/{_member}", says="is required")
for _name, _value in {"null": None, "text": "x", "list": [], "number": 1,
                      }.items():
    row(f"request-parameters-{_name}",
        lambda s, v=_value: s.call("POST", "/v1/requests",
                                   s.request(parameters=v)),
        422, "invalid", at="/parameters")
for _name, _value in {"none": {}, "null": {"member": None},
                      "list": {"member": [person("nora")]},
                      "empty": {"member": ""}, "long": {"member": "x" * 1025},
                      "newline": {"member": "uid=a\nb"}}.items():
    row(f"request-member-{_name}",
        lambda s, v=_value: s.call("POST", "/v1/requests",
                                   s.request(parameters=v)),
        422, "invalid", at="/parameters/member")
row("request-parameters-unknown",
    lambda s: s.call("POST", "/v1/requests", s.request(
        parameters={"member": person("nora"), "force": True})),
    422, "invalid", at="/parameters/force")
for _name in ("state", "approvals", "agent", "decision", "plan", "__proto__",
              "Task", ""):
    row(f"request-unknown-member-{_name or 'empty'}",
        lambda s, n=_name: s.call("POST", "/v1/requests",
                                  s.request(**{n: "x"})),
        422, "invalid", at=f"/{_name}", says="unknown member")
for _name, _action in {"other": "RotateKey", "case": "addtogroup",
                       "both": "AddToGroup|RemoveFromGroup",
                       "wire": "directory.group.add_member"}.items():
    row(f"request-action-{_name}",
        lambda s, a=_action: s.call("POST", "/v1/requests",
                                    s.request(action=a)),
        422, "invalid", at="/action")
for _name, _target in {"slash": "corp/directory", "dots": "../corp-directory",
                       "case": "Corp-Directory", "long": "x" * 64,
                       "blank": "corp directory",
                       "sql": "x' or '1'='1"}.items():
    row(f"request-target-{_name}",
        lambda s, t=_target: s.call("POST", "/v1/requests",
                                    s.request(target=t)),
        422, "invalid", at="/target")
row("request-target-not-declared",
    lambda s: s.call("POST", "/v1/requests", s.request(target="other")),
    422, "target-not-declared")
row("request-resource-long",
    lambda s: s.call("POST", "/v1/requests", s.request(resource="x" * 1025)),
    422, "invalid", at="/resource")
row("request-task-of-nobody",
    lambda s: s.call("POST", "/v1/requests", s.request(task="tsk_0")),
    404, "no-such-task")
row("request-mode-other",
    lambda s: s.call("POST", "/v1/requests", s.request(mode="dry-run")),
    422, "invalid", at="/mode")
row("all-faults-of-a-body-are-told-at-once",
    lambda s: s.call("POST", "/v1/requests", {"task": 1, "odd": 2}),
    422, "invalid", at="/odd", says="/parameters")


def _task(**changes):
    body = {"class": "identity-ops", "intent": "new people",
            "targets": [TARGET], "ttl": "1h", **changes}
    return {k: v for k, v in body.items() if v is not DROP}


for _member, _values in {
        "class": (None, 1, [], "Identity Ops", "x" * 64),
        "intent": (None, 7, "ab", "x" * 4097, "a\x07b"),
        "targets": (None, TARGET, [], {}, [TARGET] * 33),
        "targets/0": ([1], ["A B"]),
        "ttl": (None, 3600)}.items():
    for _index, _value in enumerate(_values):
        row(f"task-{_member}-wrong-{_index}",
            lambda s, m=_member.partition("/")[0], v=_value: s.call(
                "POST", "/v1/tasks", _task(**{m: v})),
            422, "invalid", at=f"/{_member}")
for _member in ("class", "intent", "targets"):
    row(f"task-without-{_member}",
        lambda s, m=_member: s.call("POST", "/v1/tasks", _task(**{m: DROP})),
        422, "invalid", at=f"/{_member}")
row("task-class-of-nobody",
    lambda s: s.call("POST", "/v1/tasks", _task(**{"class": "nothing"})),
    422, "no-such-class")
row("task-target-of-nobody",
    lambda s: s.call("POST", "/v1/tasks", _task(targets=["nothing"])),
    422, "no-such-target")

for _name, _body in {
        "kind": {"kind": "ticket", "content": "x"},
        "content-none": {"kind": "prompt"},
        "content-empty": {"kind": "prompt", "content": ""},
        "content-long": {"kind": "prompt", "content": "x" * (512 * 1024 + 1)},
        "content-list": {"kind": "prompt", "content": ["x"]},
        "tool-number": {"kind": "tool_trace", "content": "x", "tool": 1},
        "unknown": {"kind": "prompt", "content": "x", "verified": True},
        }.items():
    row(f"record-{_name}",
        lambda s, b=_body: s.call("POST", f"/v1/tasks/{s.task}/records", b),
        422, "invalid")
for _what in ("complete", "records"):
    row(f"task-of-nobody-{_what}",
        lambda s, w=_what: s.call(
            "POST", f"/v1/tasks/tsk_0/{w}",
            {"kind": "prompt", "content": "x"} if w == "records" else {}),
        404)
for _name, _body in {"member": b'{"force": true}', "list": b"[]",
                     "no-json": b"{", "text": b'"x"'}.items():
    row(f"complete-with-{_name}",
        lambda s, b=_body: s.call("POST", f"/v1/tasks/{s.task}/complete", b),
        400 if _name == "no-json" else 422)
    row(f"cancel-with-{_name}",
        lambda s, b=_body: s.call("POST", "/v1/requests/req_0/cancel", b),
        400 if _name == "no-json" else 422)
row("rollback-of-nothing",
    lambda s: s.call("POST", "/v1/requests/req_0/rollback", {}), 404)
row("rollback-unknown-member",
    lambda s: s.call("POST", "/v1/requests/req_0/rollback", {"force": True}),
    422, "invalid", at="/force")

# ---- durations ----

DURATIONS = {"no-unit": "1", "no-number": "h", "below-zero": "-1h",
             "fraction": "1.5h", "twice": "1h1h", "order": "1m1h",
             "blank": "1 h", "year": "1y", "iso": "PT1H", "upper": "1H",
             "exponent": "1e3s", "long": "99999999999999999999s",
             "eastern": "\u0663h", "plus": "+1h", "more-than-a-year": "366d"}
for _name, _text in DURATIONS.items():
    row(f"request-ttl-{_name}",
        lambda s, t=_text: s.call("POST", "/v1/requests", s.request(ttl=t)),
        422, "invalid", at="/ttl")
    row(f"task-ttl-{_name}",
        lambda s, t=_text: s.call("POST", "/v1/tasks", _task(ttl=t)),
        422, "invalid", at="/ttl")
row("task-ttl-nothing", lambda s: s.call("POST", "/v1/tasks", _task(ttl="0s")),
    422, "invalid", at="/ttl")
row("task-ttl-a-month", lambda s: s.call("POST", "/v1/tasks",
                                         _task(ttl="31d")),
    422, "invalid", at="/ttl")

# ---- waits ----

for _name, _text in {"negative": "-1", "long": "31", "huge": "9" * 30,
                     "word": "soon", "empty": "", "fraction": "1.5",
                     "blank": "1%20", "hex": "0x1", "plus": "%2B5",
                     "unit": "5s", "eastern": "%D9%A3"}.items():
    row(f"wait-{_name}",
        lambda s, t=_text: s.call("POST", f"/v1/requests?wait={t}",
                                  s.request()), 400, "wait")
    row(f"show-wait-{_name}",
        lambda s, t=_text: s.call("GET", f"/v1/requests/req_0?wait={t}",
                                  key=None), 400, "wait")

# ---- idempotency keys ----

for _name, _key in {"none": None, "empty": "", "blank-in": "a b",
                    "long": "k" * 129, "high": "k\xe9",
                    "only-blank": "  "}.items():
    for _route, _path in (("task", "/v1/tasks"), ("request", "/v1/requests"),
                          ("rollback", "/v1/requests/req_0/rollback")):
        row(f"{_route}-key-{_name}",
            lambda s, p=_path, k=_key: s.call(
                "POST", p, {"/v1/tasks": _task(),
                            "/v1/requests": s.request()}.get(p, {}),
                headers={"Idempotency-Key": k}),
            400, "key-missing" if _key is None else "key")


def _raw_post(s, *lines, path="/v1/tasks", body=b"{}", key=True, token=None):
    head = [f"POST {path} HTTP/1.1", "Host: localhost",
            "Content-Type: application/json", f"Content-Length: {len(body)}",
            f"Authorization: Bearer {token or s.fresh()}", "Connection: close"]
    if key:
        head.append("Idempotency-Key: k1")
    return s.raw("\r\n".join([*head, *lines, "", ""]).encode("latin-1") + body)


row("two-keys", lambda s: _raw_post(s, "Idempotency-Key: k2"), 400)
row("two-lengths", lambda s: _raw_post(s, "Content-Length: 2"), 400)
row("length-and-chunked",
    lambda s: _raw_post(s, "Transfer-Encoding: chunked"), 400)
row("two-types", lambda s: _raw_post(s, "Content-Type: text/plain"), 400)
row("two-hosts", lambda s: _raw_post(s, "Host: elsewhere"), 400)
row("gzip", lambda s: _raw_post(s, "Content-Encoding: gzip"), 415)

# ---- content types, sizes, methods ----

for _name, _type in {"none": None, "form": "application/x-www-form-urlencoded",
                     "text": "text/plain", "charset":
                     "application/json; charset=latin-1",
                     "json-like": "application/jsonx", "xml": "text/xml",
                     "problem": "application/problem+json",
                     "multipart": "multipart/form-data; boundary=x"}.items():
    row(f"type-{_name}",
        lambda s, t=_type: s.call("POST", "/v1/tasks", canonical(
            _task()).encode(), headers={"Content-Type": t}), 415, "media-type")
for _path, _limit in (("/v1/tasks", 64 << 10), ("/v1/requests", 64 << 10),
                      ("/v1/login", 64 << 10), ("/v1/changes", 2 << 20),
                      ("/v1/tasks/tsk_0/records", 1 << 20)):
    row(f"too-large-{_path}", lambda s, p=_path, n=_limit: s.raw((
        f"POST {p} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        f"Content-Length: {n + 1}\r\n\r\n").encode()), 413,
        "body-too-large")
row("too-large-in-chunks", lambda s: s.raw(
    b"POST /v1/tasks HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    b"Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n" +
    b"".join(b"1000\r\n" + b" " * 4096 + b"\r\n" for _ in range(17)) +
    b"0\r\n\r\n"), 413, "body-too-large")
for _path in ("/v1/tasks", "/v1/health", "/v1/approvals", "/log/checkpoint"):
    row(f"body-on-get-{_path}",
        lambda s, p=_path: s.call("GET", p, b"{}", key=None), 413,
        "body-too-large")
for _method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"):
    for _path in ("/v1/tasks", "/v1/requests/req_0", "/v1/changes"):
        row(f"method-{_method}-{_path}",
            lambda s, m=_method, p=_path: s.call(m, p, key=None), 405,
            "method-not-allowed")
for _path in ("/v1/health", "/v1/approvals", "/v1/grants", "/log/checkpoint"):
    row(f"post-on-{_path}",
        lambda s, p=_path: s.call("POST", p, {}), 405, "method-not-allowed")
for _path in ("/v1/login", "/v1/vouchers", "/v1/explain",
              "/v1/requests/req_0/cancel"):
    row(f"get-on-{_path}",
        lambda s, p=_path: s.call("GET", p, key=None), 405,
        "method-not-allowed")

# ---- paths and ids ----

for _path in ("/", "/v1", "/v2/tasks", "/v1/task", "/V1/tasks",
              "/v1/tasks/tsk_0/approve", "/v1/requests/a/b/c", "/metrics",
              "/.git/config", "/v1/tasks;x=1", "/admin"):
    row(f"no-such-path-{_path}",
        lambda s, p=_path: s.call("GET", p, key=None), 404,
        "no-such-resource")
for _name, _path in {
        "empty-segment": "/v1//tasks", "trailing": "/v1/tasks/",
        "dot": "/v1/./tasks", "dots": "/v1/../v1/tasks",
        "encoded-dots": "/v1/%2e%2e/tasks", "mixed-dots": "/v1/.%2e/tasks",
        "nul": "/v1/tasks/%00", "nul-tail": "/v1/tasks/a%00b",
        "newline": "/v1/tasks/a%0d%0aX:y", "escape-cut": "/v1/tasks/%2",
        "escape-not-hex": "/v1/tasks/%zz", "bad-utf8": "/v1/tasks/%ff",
        "overlong": "/v1/tasks/%c0%ae", "backslash": "/v1/tasks\\x",
        "log-dots": "/log/../data/writ.db", "log-encoded":
        "/log/%2e%2e/keeper/keys.json", "query-nul": "/v1/tasks?state=%00",
        "query-bad": "/v1/tasks?state=%"}.items():
    row(f"path-{_name}", lambda s, p=_path: s.raw(
        f"GET {p} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: "
        f"Bearer {s.fresh()}\r\n\r\n".encode()), 400, "target")
row("path-encoded-slash", lambda s: s.call(
    "GET", "/v1%2Ftasks", key=None), 404)
row("log-encoded-slash", lambda s: s.call(
    "GET", "/log/tile%2F0%2F000", key=None), 404)
for _path in ("checkpoint/x", "tile/0", "tile/0/00", "tile/9/000",
              "tile/0/000.p/0", "tile/0/000.p/999", "tile/entries/999",
              "tile/0/x000", "tile/-1/000", "keys.json"):
    row(f"log-{_path}", lambda s, p=_path: s.call("GET", f"/log/{p}",
                                                  key=None), 404)
row("path-long", lambda s: s.call("GET", "/v1/tasks/" + "x" * 9000, key=None),
    414)
row("absolute-target", lambda s: s.raw(
    b"GET http://elsewhere/v1/tasks HTTP/1.1\r\nHost: x\r\n"
    b"Connection: close\r\n\r\n"), 400)

IDS = {"short": "x", "prefix": "tsk_", "other-kind": "req_0", "slash": "a%2Fb",
       "dots": "..%2f..%2fetc", "sql": "'%20OR%201=1--", "percent": "%25",
       "star": "*", "unicode": "%F0%9F%A6%80", "long": "x" * 2000,
       "negative": "-1", "json": "%7B%22a%22:1%7D"}
for _name, _id in IDS.items():
    for _kind in ("tasks", "requests"):
        row(f"id-{_kind}-{_name}",
            lambda s, k=_kind, i=_id: s.call("GET", f"/v1/{k}/{i}", key=None),
            404)
    for _kind in ("approvals", "changes", "containments", "evidence",
                  "inventory", "inventory/Agent"):
        row(f"id-{_kind}-{_name}",
            lambda s, k=_kind, i=_id: s.call(
                "GET", f"/v1/{k}/{i}", key=None, token=s.ada.session), 404)
for _index in ("1.5", "0x1", "99999999999999999999", "1e3", "+1", "%201"):
    row(f"leaf-{_index}",
        lambda s, i=_index: s.call("GET", f"/v1/evidence/{i}", key=None,
                                   token=s.ada.session), 404)
    row(f"proof-{_index}",
        lambda s, i=_index: s.call("GET", f"/v1/evidence/{i}/proof",
                                   key=None), 404)

# ---- tokens ----


def _hs256(s):
    """The issuer's public key as if it were a shared secret."""
    head = {"alg": "HS256", "typ": "JWT", "kid": s.authority.issuer.kid}
    body = json.loads(base64.urlsafe_b64decode(
        s.bot.token().split(".")[1] + "=="))
    text = ".".join(b64url(json.dumps(p).encode()) for p in (head, body))
    key = json.dumps(s.authority.issuer.jwk()).encode()
    return text + "." + b64url(hmac.new(key, text.encode(),
                                        hashlib.sha256).digest())


def _none(s, alg="none"):
    head = b64url(json.dumps({"alg": alg, "typ": "JWT"}).encode())
    return f"{head}.{s.bot.token().split('.')[1]}."


def _other_key(s):
    return Issuer(kid=s.authority.issuer.kid).mint(
        s.bot.spiffe_id, s.authority.audience)


def _swapped(s):
    """Claims of one token under the signature of another."""
    one, two = s.bot.token().split("."), s.bot.token().split(".")
    return ".".join([one[0], one[1], two[2]])


def _claims(**claims):
    return lambda s: s.bot.token(**claims)


def _subject(subject):
    return lambda s: s.authority.issuer.mint(subject, s.authority.audience)


def _duplicate(s):
    issuer = s.authority.issuer
    head, body, _ = s.bot.token().split(".")
    claims = base64.urlsafe_b64decode(body + "==").rstrip(b"}")
    text = f"{head}.{b64url(claims + b',' + claims[1:] + b'}')}"
    return f"{text}.{b64url(issuer.signer.sign(text.encode()))}"


TOKENS = {
    "expired": (lambda s: s.bot.token(lifetime=-60), "expired"),
    "no-exp": (_claims(exp=DROP), "expired"),
    "exp-text": (_claims(exp="2030"), None),
    "exp-huge": (_claims(exp=2**62), None),
    "lives-too-long": (lambda s: s.bot.token(lifetime=7200), "lives-too-long"),
    "not-before": (_claims(nbf=2**31), "not-yet-valid"),
    "issued-later": (_claims(iat=2**31, exp=2**31 + 100), "not-yet-valid"),
    "other-audience": (_claims(aud=["elsewhere"]), "audience"),
    "no-audience": (_claims(aud=DROP), "audience"),
    "empty-audience": (_claims(aud=[]), "audience"),
    "audience-prefix": (_claims(aud=["authority.test/wri"]), "audience"),
    "no-sub": (_claims(sub=DROP), "subject"),
    "sub-number": (_claims(sub=1), "subject"),
    "sub-no-spiffe": (_subject("hr-bot"), "subject"),
    "sub-no-path": (_subject("spiffe://example.org"), "subject"),
    "sub-http": (_subject("http://example.org/agent/hr-bot"), "subject"),
    "sub-dots": (_subject("spiffe://example.org/agent/../hr-bot"), "subject"),
    "sub-query": (_subject("spiffe://example.org/agent/hr-bot?x"), "subject"),
    "sub-case": (_subject("spiffe://EXAMPLE.org/agent/hr-bot"), "subject"),
    "other-domain": (_subject("spiffe://evil.example/agent/hr-bot"),
                     "untrusted"),
    "other-agent": (_subject("spiffe://example.org/agent/nobody"),
                    "unknown-agent"),
    "other-kid": (lambda s: s.bot.token(headers={"kid": "key-9"}),
                  "untrusted"),
    "other-key": (_other_key, "signature"),
    "swapped": (_swapped, "signature"),
    "unsigned": (_none, "algorithm"),
    "unsigned-case": (lambda s: _none(s, "NoNe"), "algorithm"),
    "hs256": (_hs256, "algorithm"),
    "rs-for-es": (lambda s: s.bot.token(headers={"alg": "RS256"}), None),
    "crit": (lambda s: s.bot.token(headers={"crit": ["exp"]}), "header"),
    "typ": (lambda s: s.bot.token(headers={"typ": "at+jwt"}), "header"),
    "duplicate-claims": (_duplicate, "malformed"),
    "two-parts": (lambda s: ".".join(s.bot.token().split(".")[:2]),
                  "malformed"),
    "four-parts": (lambda s: s.bot.token() + ".x", "malformed"),
    "padded": (lambda s: s.bot.token() + "==", "malformed"),
    "cut": (lambda s: s.bot.token()[:-10], None),
    "word": (lambda s: "secret-password-123456", "malformed"),
    "session-of-nobody": (lambda s: "writs_" + "A" * 43, "unknown-session"),
    "session-alone": (lambda s: "writs_", "malformed"),
    "twenty-kilobytes": (lambda s: s.bot.token(pad="x" * 15000), "malformed"),
}


def _with_token(make, path="/v1/tasks"):
    def send(s):
        token = make(s)
        s.tokens.append(token)
        answer = s.call("GET", path, token=token, key=None)
        for part in (token, *token.split(".")):
            assert len(part) < 12 or part not in answer.text
        return answer
    return send


for _name, (_make, _class) in TOKENS.items():
    row(f"token-{_name}", _with_token(_make), 401, "unproved",
        says=_class and f'"reason":"{_class}"')
row("token-none", lambda s: s.authority.call("GET", "/v1/tasks"), 401,
    "unproved", says='"reason":"missing"')
row("token-empty", lambda s: s.authority.call(
    "GET", "/v1/tasks", headers={"Authorization": "Bearer "}), 400, "bearer")
row("token-basic", lambda s: s.authority.call(
    "GET", "/v1/tasks", headers={"Authorization": "Basic YWRhOmFkYQ=="}), 401,
    "unproved")
row("token-two-words", lambda s: s.authority.call(
    "GET", "/v1/tasks", headers={"Authorization": f"Bearer {s.fresh()} x"}),
    400, "bearer")
row("two-tokens", lambda s: _raw_post(
    s, f"Authorization: Bearer {s.fresh()}"), 400)
row("token-in-query", lambda s: s.authority.call(
    "GET", f"/v1/tasks?access_token={s.fresh()}"), 401, "unproved")

for _method, _path, _body in (
        ("POST", "/v1/tasks", _task()), ("POST", "/v1/requests", None),
        ("POST", "/v1/explain", None),
        ("POST", "/v1/tasks/tsk_0/complete", {}),
        ("POST", "/v1/requests/req_0/cancel", {}),
        ("POST", "/v1/requests/req_0/rollback", {}),
        ("POST", "/v1/tasks/tsk_0/records", {})):
    row(f"session-acts-{_path}",
        lambda s, m=_method, p=_path, b=_body: s.call(
            m, p, s.request() if b is None else b, token=s.ada.session),
        403, "wrong-caller")
for _path in ("/v1/approvals", "/v1/approvals/req_0", "/v1/changes",
              "/v1/changes/chg_0", "/v1/inventory/Agent",
              "/v1/inventory/Agent/hr-bot", "/v1/containments", "/v1/policy",
              "/v1/containments/con_0", "/v1/evidence/0"):
    row(f"agent-reads-{_path}",
        lambda s, p=_path: s.call("GET", p, key=None), 403, "wrong-caller")
row("agent-previews-a-change", lambda s: s.call(
    "POST", "/v1/changes", {"manifests": [{}], "dryRun": True}),
    403, "wrong-caller")

# ---- signed forms ----

DIGEST = "sha256:" + "0" * 64


def _form(change):
    """A login whose statement or form is changed before it is sent."""
    def send(s):
        return s.authority.call("POST", "/v1/login", change(s))
    return send


def _changed(s, **members):
    """A login with other members, signed as it then is."""
    body = {**json.loads(s.ada.statement("login")), **members}
    return s.ada.sign_text(canonical({k: v for k, v in body.items()
                                      if v is not DROP}), "writ-login")


def _replay(s):
    form = s.ada.sign("login")
    s.authority.call("POST", "/v1/login", form).ok(200)
    return form


def _stranger(s):
    """Says ada, is signed by bob's key."""
    return s.authority.human("bob").sign_text(s.ada.statement("login"),
                                              "writ-login")


def _armor(edit):
    return lambda s: (lambda f: {**f, "signature": edit(f["signature"])})(
        s.ada.sign("login"))


def _altered(s):
    form = s.ada.sign("login")
    return {**form, "statement": form["statement"].replace(
        '"human":"ada"', '"human":"bob"')}


for _name, (_change, _status, _code) in {
        "namespace": (lambda s: s.ada.sign_text(s.ada.statement("login"),
                                                "writ-admin"), 401,
                      "signature"),
        "file-namespace": (lambda s: s.ada.sign_text(
            s.ada.statement("login"), "file"), 401, "signature"),
        "replayed": (_replay, 401, "replayed"),
        "stale": (lambda s: _changed(s, at=moment(-301)), 401, "stale"),
        "ahead": (lambda s: _changed(s, at=moment(310)), 401, "stale"),
        "at-word": (lambda s: _changed(s, at="now"), 400, "malformed"),
        "no-at": (lambda s: _changed(s, at=DROP), 400, "malformed"),
        "other-authority": (lambda s: _changed(s, authority="evil.test/writ"),
                            401, "other-authority"),
        "other-type": (lambda s: _changed(s, type="contain/v1"), 401,
                       "wrong-type"),
        "no-type": (lambda s: _changed(s, type=DROP), 400, "malformed"),
        "unknown-human": (lambda s: _changed(s, human="nobody"), 401,
                          "unknown-signer"),
        "human-path": (lambda s: _changed(s, human="../ada"), 400,
                       "malformed"),
        "key-of-another": (_stranger, 401, "unknown-signer"),
        "altered": (_altered, 401, "unknown-signer"),
        "extra-member": (lambda s: _changed(s, admin=True), 400, "malformed"),
        "no-nonce": (lambda s: _changed(s, nonce=DROP), 400, "malformed"),
        "short-nonce": (lambda s: _changed(s, nonce="00"), 400, "malformed"),
        "nonce-upper": (lambda s: _changed(s, nonce="A" * 32), 400,
                        "malformed"),
        "not-canonical": (lambda s: s.ada.sign_text(
            json.dumps(json.loads(s.ada.statement("login"))), "writ-login"),
            400, "malformed"),
        "statement-list": (lambda s: s.ada.sign_text("[]", "writ-login"), 400,
                           "malformed"),
        "statement-word": (lambda s: s.ada.sign_text("hello", "writ-login"),
                           400, "malformed"),
        "armor-cut": (_armor(lambda a: a[:len(a) // 2]), 400, "malformed"),
        "armor-no-end": (_armor(lambda a: a.replace("-----END", "-----FIN")),
                         400, "malformed"),
        "armor-longer": (_armor(lambda a: a[:-60] + "A" + a[-60:]), 400,
                         "malformed"),
        "armor-byte": (_armor(lambda a: a[:-90] + (
            "A" if a[-90] != "A" else "B") + a[-89:]), 401, "signature"),
        "armor-twice": (_armor(lambda a: a + a), 401, "signature"),
        "armor-prefixed": (_armor(lambda a: "x\n" + a), 401, "signature"),
        "armor-word": (_armor(lambda a: "no signature"), 400, "malformed"),
        "armor-empty": (_armor(lambda a: ""), 422, "invalid"),
        "armor-null": (_armor(lambda a: None), 422, "invalid"),
        "armor-long": (_armor(lambda a: a + "x" * 20000), 422, "invalid"),
        "no-signature": (lambda s: {"statement": s.ada.statement("login")},
                         422, "invalid"),
        "no-statement": (lambda s: {"signature": "x" * 10}, 422, "invalid"),
        "form-extra": (lambda s: {**s.ada.sign("login"), "human": "ada"}, 422,
                       "invalid"),
        "statement-object": (lambda s: {**s.ada.sign("login"),
                                        "statement": {}}, 422, "invalid"),
        "statement-long": (lambda s: {**s.ada.sign("login"),
                                      "statement": "x" * 17000}, 422,
                           "invalid"),
        }.items():
    row(f"signed-{_name}", _form(_change), _status, _code)

for _name, (_path, _kind, _members, _status, _code) in {
        "approval-of-nothing": ("/v1/requests/req_0/approvals", "approval", {
            "request": "req_0", "digest": DIGEST, "group": "soc",
            "decision": "approve", "reason": ""}, 409, "not-waiting"),
        "approval-of-another": ("/v1/requests/req_0/approvals", "approval", {
            "request": "req_1", "digest": DIGEST, "group": "soc",
            "decision": "approve", "reason": ""}, 422, "another-request"),
        "approval-decision": ("/v1/requests/req_0/approvals", "approval", {
            "request": "req_0", "digest": DIGEST, "group": "soc",
            "decision": "maybe", "reason": ""}, 400, "malformed"),
        "approval-digest": ("/v1/requests/req_0/approvals", "approval", {
            "request": "req_0", "digest": "sha256:zz", "group": "soc",
            "decision": "approve", "reason": ""}, 400, "malformed"),
        "approval-login": ("/v1/requests/req_0/approvals", "login", {}, 401,
                           "wrong-type"),
        "adopt-nothing": ("/v1/requests/req_0/adopt", "adopt", {
            "request": "req_0", "digest": DIGEST}, 404, "no-such-request"),
        "resolve-nothing": ("/v1/requests/req_0/resolve", "resolve", {
            "request": "req_0", "outcome": "applied", "reason": ""}, 404,
            "no-such-request"),
        "resolve-outcome": ("/v1/requests/req_0/resolve", "resolve", {
            "request": "req_0", "outcome": "perhaps", "reason": ""}, 400,
            "malformed"),
        "voucher-target": ("/v1/vouchers", "voucher", {
            "kind": "ticket", "action": "AddToGroup", "target": "nowhere",
            "resource": "x", "reference": "T", "text": "t",
            "expires": "2035-01-01T00:00:00Z"}, 409, "may-not-vouch"),
        "voucher-expired": ("/v1/vouchers", "voucher", {
            "kind": "ticket", "action": "AddToGroup", "target": TARGET,
            "resource": "x", "reference": "T", "text": "t",
            "expires": "2020-01-01T00:00:00Z"}, 409, "may-not-vouch"),
        "voucher-prompt": ("/v1/vouchers", "voucher", {
            "kind": "prompt", "action": "AddToGroup", "target": TARGET,
            "resource": "x", "reference": "T", "text": "t",
            "expires": "2035-01-01T00:00:00Z"}, 400, "malformed"),
        "voucher-owner-ack": ("/v1/vouchers", "voucher", {
            "kind": "owner_ack", "action": "AddToGroup", "target": TARGET,
            "resource": "x", "reference": "T", "text": "t",
            "expires": "2035-01-01T00:00:00Z"}, 409, "may-not-vouch"),
        "contain-kind": ("/v1/containments", "contain", {
            "kind": "human", "name": "bob", "reason": "x"}, 400, "malformed"),
        "release-nothing": ("/v1/containments/con_0/release", "release", {
            "containment": "con_0", "reason": "x"}, 404,
            "no-such-containment"),
        "change-nothing": ("/v1/changes/chg_0/signatures", "change", {
            "digest": DIGEST}, 404, "no-such-change"),
        "drill-nowhere": ("/v1/targets/nowhere/drill", "drill", {
            "target": "nowhere"}, 503, "unavailable"),
        "disclose-far": ("/v1/evidence/999999/disclose", "disclose", {
            "index": 999999, "part": "0", "reason": "x"}, 404, None),
        }.items():
    row(_name, lambda s, p=_path, k=_kind, m=_members: s.authority.call(
        "POST", p, s.ada.sign(k, **m)), _status, _code)
for _name, _who in {"contain": "bob", "drill": "frank"}.items():
    row(f"{_name}-without-right", lambda s, n=_name, w=_who: (
        s.authority.human(w).contain("agent", "hr-bot") if n == "contain"
        else s.authority.human(w).drill()), 403)

# ---- manifests ----


def _agent(**changes):
    spec = {"owner": "alice", "purpose": "tests", "expires":
            "2035-01-01T00:00:00Z", "capabilities": ["execute"],
            "clearance": 1, "identities": ["spiffe://example.org/agent/new"],
            **changes}
    return {"kind": "Agent", "metadata": {"name": "new"},
            "spec": {k: v for k, v in spec.items() if v is not DROP}}


def _group(name, *parents):
    return {"kind": "Group", "metadata": {"name": name},
            "spec": {"parents": list(parents)}}


for _name, (_manifests, _says) in {
        **{f"agent-without-{m}": ([_agent(**{m: DROP})],
                                  f"/manifests/0/spec/{m}")
           for m in ("owner", "purpose", "expires", "capabilities",
                     "clearance")},
        "agent-without-identities": ([_agent(identities=DROP)],
                                     "identities or oidc is wanted"),
        "agent-owner-of-nobody": ([_agent(owner="nobody")],
                                  "there is no Human 'nobody'"),
        "agent-with-identity-of-another": (
            [_agent(identities=["spiffe://example.org/agent/hr-bot"])],
            "is already that of Agent/hr-bot"),
        "agent-capability": ([_agent(capabilities=["root"])],
                             "/manifests/0/spec/capabilities/0"),
        "agent-unknown-member": ([_agent(admin=True)],
                                 "/manifests/0/spec/admin"),
        "second-is-wrong": ([_agent(), _agent(owner=1)],
                            "/manifests/1/spec/owner"),
        "given-twice": ([_agent(), _agent(clearance=2)],
                        "Agent/new is given twice"),
        "kind": ([{"kind": "Robot", "metadata": {"name": "x"}, "spec": {}}],
                 "/manifests/0/kind"),
        "no-object": ([1], "must be an object"),
        "name": ([{"kind": "Group", "metadata": {"name": "../x"},
                   "spec": {}}], "/manifests/0/metadata/name"),
        "cycle": ([_group("a", "b"), _group("b", "a")], "a cycle of groups"),
        "parent-of-nobody": ([_group("a", "b")], "there is no Group 'b'"),
        "key": ([{"kind": "Human", "metadata": {"name": "new"},
                  "spec": {"keys": ["ssh-ed25519 not-a-key"]}}],
                "spec.keys[0]"),
        "last-administrators": ([{"kind": "Human",
                                  "metadata": {"name": "heidi"}, "spec": {}}],
                                "administrators"),
        }.items():
    row(f"change-{_name}",
        lambda s, m=_manifests: s.authority.call("POST", "/v1/changes", {
            "manifests": m, "prune": False,
            "signed": s.ada.sign("change", digest=DIGEST)}), 422, says=_says)
    row(f"preview-{_name}",
        lambda s, m=_manifests: s.ada.preview(m), 422, says=_says)
row("change-unsigned", lambda s: s.authority.call(
    "POST", "/v1/changes", {"manifests": [_agent()]}), 422, "unsigned")
row("change-of-strangers-is-not-told-what-is-there", lambda s:
    s.authority.call("POST", "/v1/changes", {
        "manifests": [_agent(owner="nobody")],
        "signed": {"statement": "{}", "signature": "none"}}), 400, "malformed")
row("change-prune", lambda s: s.authority.call("POST", "/v1/changes", {
    "manifests": [_agent()], "prune": True,
    "signed": {"statement": "{}", "signature": "none"}}), 400, "malformed")
row("change-empty", lambda s: s.ada.preview([]), 422, "invalid",
    at="/manifests")
row("change-other-digest", lambda s: s.authority.call("POST", "/v1/changes", {
    "manifests": [_agent()],
    "signed": s.ada.sign("change", digest=DIGEST)}), 409, "another-change")
row("activate-nothing", lambda s: s.ada.activate("nowhere", DIGEST), 409,
    "bundle")
row("activate-without-name", lambda s: s.authority.call(
    "POST", "/v1/policy/activate", {"signed": s.ada.sign(
        "activate", digest=DIGEST)}), 422, "invalid", at="/bundle")


# ---- signals, exceptions, notifications, erasure, receipts ----

for _name, _path in {
        "signal": "/v1/signals", "exception": "/v1/exceptions",
        "revocation": "/v1/exceptions/exc_0/revoke",
        "notification": "/v1/notifications/ntf_0",
        "erasure": "/v1/subjects/nobody/erase"}.items():
    for _what, (_body, _status, _code) in {
            "empty": (b"", 400, "not-json"),
            "cut": (b"{", 400, "not-json"),
            "list": ([], 422, "invalid"),
            "nothing": ({}, 422, "invalid"),
            "member": ({"statement": "x", "signature": "y", "extra": 1}, 422,
                       "invalid"),
            "numbers": ({"statement": 1, "signature": 2}, 422, "invalid"),
            "unsigned": ({"statement": "{}", "signature": "x"}, 422,
                         "invalid"),
            "large": (b'{"statement":"' + b"x" * 200000 + b'"}', 413,
                      "body-too-large"),
            }.items():
        row(f"{_name}-{_what}", lambda s, p=_path, b=_body: s.authority.call(
            "POST", p, b, headers={"Content-Type": "application/json"}),
            _status, _code)
    row(f"{_name}-login", lambda s, p=_path: s.authority.call(
        "POST", p, s.ada.sign("login")), 401, "wrong-type")
    for _method in ("PUT", "DELETE", "PATCH"):
        row(f"{_name}-{_method}", lambda s, p=_path, m=_method:
            s.authority.call(m, p), 405, "method-not-allowed")

for _name, (_path, _status, _code) in {
        "exception-unknown": ("/v1/exceptions/exc_0", 404, "not-found"),
        "exceptions-state": ("/v1/exceptions?state=x", 400, "state"),
        "exceptions-limit": ("/v1/exceptions?limit=0", 400, "limit"),
        "exceptions-escape": ("/v1/exceptions?after=%00", 400, "target"),
        "notifications-none": ("/v1/notifications?limit=-1", 404,
                               "no-notification"),
        "signals-limit": ("/v1/signals?limit=99999999", 400, "limit"),
        "discovery-unknown": ("/v1/targets/nowhere/discovery", 404,
                              "not-found"),
        "discovery-escape": ("/v1/targets/corp-directory/discovery?cursor=%ff",
                             400, "target"),
        "discovery-kind": ("/v1/targets/corp-directory/discovery?page=x", 409,
                           "cannot-discover"),
        "receipt-strength": ("/v1/evidence/0/proof?strength=perhaps", 400,
                             "strength"),
        "receipt-no-strength": ("/v1/evidence/0/proof?strength=", 400,
                                "strength"),
        "receipt-twice": ("/v1/evidence/0/proof?strength=signed"
                          "&strength=signed", 400, "target"),
        "receipt-far": ("/v1/evidence/999999/proof?strength=durable", 404,
                        "not-found"),
        "receipt-negative": ("/v1/evidence/-1/proof", 404, "not-found"),
        "receipt-over": ("/v1/evidence/18446744073709551616/proof", 404,
                         "not-found"),
        "receipt-unwitnessed": ("/v1/evidence/0/proof?strength=witnessed", 404,
                                "not-witnessed"),
        }.items():
    row(f"newer-{_name}", lambda s, p=_path: s.ada.get(p), _status, _code)

for _name, _path in {
        "exceptions": "/v1/exceptions", "exception": "/v1/exceptions/exc_0",
        "signals": "/v1/signals", "notifications": "/v1/notifications",
        "discovery": "/v1/targets/corp-directory/discovery"}.items():
    row(f"nobody-reads-{_name}", lambda s, p=_path: s.authority.call("GET", p),
        401, "unproved")
    row(f"agent-reads-{_name}", lambda s, p=_path: s.bot.get(p), 403,
        "wrong-caller")


# ---- the table against the authority ----

@pytest.fixture(scope="module")
def stage(shared_authority):
    return Stage(shared_authority)


def test_the_table_is_long_and_its_names_are_its_own():
    names = [r.name for r in ROWS]
    assert len(names) >= 200
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("case", ROWS, ids=lambda r: r.name)
def test_bad_input_is_refused(stage, case):
    answer = case.send(stage)
    body = answer.refused(case.status, case.code)
    assert body["status"] == case.status and body["detail"]
    assert body["type"] == f"urn:writ:problem:{body['code']}"
    stage.codes.add(f"`{body['code']}`")
    if case.status == 405:
        assert answer.headers["allow"]
    if case.status == 401 and case.code == "unproved":
        assert answer.headers["www-authenticate"].startswith("Bearer")
    if case.at is not None:
        assert case.at in [fault["at"] for fault in body["errors"]]
    if case.says:
        assert case.says in answer.text.replace('": "', '":"')


def test_nothing_was_done(stage):
    """Runs after the rows."""
    kinds = {leaf["kind"] for leaf in
             stories.leaves(stage.authority)[stage.first:]}
    assert kinds <= {"login", "refused", "heartbeat"}
    assert stage._seen("requests") == stage.requests
    assert stage._seen("grants") == [] and stage._seen("containments") == []
    assert [t["id"] for t in stage._seen("tasks")] == [stage.task]
    assert stage._memberships() == stage.memory
    assert stage.authority.inventory("Agent", "new").status == 404


def test_the_daemon_is_well_and_goes_on(stage):
    health = stage.authority.health()
    assert health["status"] == "ok"
    assert health["openRequests"] == 0 and health["unknown"] == 0
    done = stage.bot.ask(stage.task, "AddToGroup", group("lunch-list"),
                         stories.somebody()).ok(200)
    assert done["state"] == "done"


def test_the_guide_tells_of_every_code(stage):
    guide = (harness.ROOT / "docs" / "api.md").read_text()
    assert len(stage.codes) > 30
    assert not {code for code in stage.codes if code not in guide}


def test_the_guide_to_the_plan_tells_of_every_member(stage):
    guide = (harness.ROOT / "docs" / "plan.md").read_text()
    done = stage.bot.ask(stage.task, "AddToGroup", group("lunch-list"),
                         stories.somebody()).ok(200)
    plan = json.loads(stories.plan_of(stage.authority, done))
    rows = re.findall(r"^\| `(\w+)` \|", guide, re.MULTILINE)
    assert sorted(plan) == sorted(rows)


def test_the_guide_to_statements_tells_of_every_namespace():
    guide = (harness.ROOT / "docs" / "statements.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)/v1` \| `([\w-]+)` \|", guide,
                           re.MULTILINE))
    assert rows == harness.NAMESPACES


def test_a_signed_form_verifies_later_as_the_guide_says(stage, tmp_path):
    """The drill's signature, too, with ssh-keygen alone."""
    answer = stage.ada.drill().ok(200)
    kept = stage.ada.disclose(answer["evidence"]["index"],
                              part="1").ok()["payload"]
    (tmp_path / "signers").write_text(f"ada {stage.ada.public_key}\n")
    (tmp_path / "signature").write_text(kept["signature"])
    verify = ["ssh-keygen", "-Y", "verify", "-f", tmp_path / "signers", "-I",
              "ada", "-s", tmp_path / "signature", "-n"]
    text = kept["statement"].encode()
    assert b"Good" in harness.run(*verify, "writ-admin", input=text).stdout
    for namespace, other in (("writ-login", text), ("writ-admin", text + b"\n")):
        assert harness.run(*verify, namespace, input=other,
                           check=False).returncode != 0


def test_no_token_stands_in_the_log(stage):
    log = stage.authority.log()
    assert len(stage.tokens) > 200
    for token in stage.tokens:
        for part in (token, *token.split(".")[1:]):
            assert len(part) < 12 or part not in log
    assert stage.ada.session not in log


def test_no_sanitizer_found_anything(stage):
    for words in ("runtime error", "Sanitizer", "assertion", "Assertion"):
        assert words not in stage.authority.log()


# ---- a directory takes metacharacters as data ----

META = ["*", "(objectClass=*)", "x)(uid=*", "a\\2ab", "a\\", "a,b", "a+b=c",
        "a;b", 'a"b', "a#b", "<a>", " a ", "a=b", "\u00e4\u00f6\u00fc",
        "cn=a,ou=groups\\,dc=x"]


def _dn_value(text):
    """RFC 4514: every byte as a hex pair."""
    return "".join(f"\\{byte:02x}" for byte in text.encode())


@pytest.fixture
def open_directory(ldap_authority):
    """Every group of the directory may be asked for without anybody's help."""
    target = next(m for m in ldap_authority.manifests()
                  if m["kind"] == "Target")
    target["spec"]["classification"] = [
        {"match": {}, "tier": 0, "sensitivity": 0}]
    ldap_authority.apply([target])
    return ldap_authority


def test_metacharacters_name_no_other_entry_than_they_spell(open_directory,
                                                            directory):
    bot = open_directory.agent("hr-bot")
    task = bot.open_task()
    before = directory.search(GROUPS)
    reasons = set()
    for text in META:
        for resource, member in ((text, person("nora")),
                                 (group("lunch-list"), text),
                                 (f"cn={_dn_value(text)},{GROUPS}",
                                  person("nora")),
                                 (group("lunch-list"),
                                  person(_dn_value(text)))):
            failed = bot.ask(task, "AddToGroup", resource, member).ok(200)
            assert failed["state"] == "failed", (resource, member)
            reasons.add(failed["outcome"]["detail"])
    assert directory.search(GROUPS) == before
    assert open_directory.health()["status"] == "ok"
    assert len(reasons) >= 3  # no such group, no such member, no DN


def _add_both(directory, text):
    """A group and a person whose name is text; their DNs."""
    name, member = (f"cn={_dn_value(text)},{GROUPS}",
                    person(_dn_value(text)))
    directory.add(slapd.entry_ldif(member, {
        "objectClass": "inetOrgPerson", "uid": text, "cn": text, "sn": text}))
    directory.add(slapd.entry_ldif(name, {
        "objectClass": "groupOfNames", "cn": text, "member": person("nora")}))
    return name, member


def test_metacharacters_that_are_a_name_reach_that_entry_alone(
        open_directory, directory):
    bot = open_directory.agent("hr-bot")
    task = bot.open_task()
    for text in META:
        if text.strip() != text:
            continue  # blanks at the ends are not part of a value
        name, member = _add_both(directory, text)
        before = dict(directory.search(GROUPS))
        done = bot.ask(task, "AddToGroup", name, member).ok(200)
        assert done["state"] == "done", done
        after = dict(directory.search(GROUPS))
        assert len([dn for dn in after if after[dn] != before[dn]]) == 1
        assert len(directory.values(name, "member")) == 2
        bot.rollback(done["id"]).ok(200)
        assert dict(directory.search(GROUPS)) == before
