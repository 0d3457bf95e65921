"""What the demonstration is told with: words, calls, what came of them, and
promises that are checked."""
import os
import pathlib
import re
import shlex
import subprocess
import sys
import textwrap
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(ROOT / "tests" / "integration"),
                str(ROOT / "tests" / "integration" / "conformance")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import harness
from harness import canonical, group

WIDTH = 78
STYLES = {"heading": "1", "call": "36", "kept": "32", "broken": "1;31",
          "faint": "2"}
# Signing makes ssh-keygen say this each time.
NOISE = re.compile(r"^Signing data on standard input\s*$", re.M)


class Broken(Exception):
    """A promise was not kept."""


def styled(style, text):
    if not sys.stdout.isatty() or os.environ.get("NO_COLOR"):
        return text
    return f"\033[{STYLES[style]}m{text}\033[0m"


def say(text=""):
    print(text, flush=True)


def lines(text, style=None, head=None, tail=0):
    """Output of a program, indented; of what is longer the first head lines
    (all if None) and the last tail ones."""
    rows = text.rstrip().splitlines()
    cut = len(rows) - head - tail if head is not None else 0
    for at, row in enumerate(rows):
        if cut > 1 and at == head:
            say("      " + styled("faint", f"... {cut} lines ..."))
        if cut <= 1 or at < head or at >= head + cut:
            say("      " + (styled(style, row) if style else row))


def words(text):
    say(textwrap.fill(" ".join(text.split()), WIDTH, initial_indent="  ",
                      subsequent_indent="  "))


class Story:
    """Numbers the steps and counts what was promised and kept."""

    def __init__(self):
        self.began = time.monotonic()
        self.steps = []
        self.kept = 0

    def step(self, title, text):
        self.steps.append(title)
        say()
        say(styled("heading", f"{len(self.steps)}. {title}"))
        words(text)

    def promise(self, kept, text, instead=""):
        if not kept:
            raise Broken(f"{text}{f' - instead: {instead}' if instead else ''}")
        self.kept += 1
        say(styled("kept", textwrap.fill(
            text, WIDTH, initial_indent="   => ", subsequent_indent="      ")))


class DemoAuthority(harness.Authority):
    """The tests' authority; it shows how it is made."""

    def _make(self):
        plain = harness.run

        def shown(*command, **options):
            done = plain(*command, **options)
            if str(command[0]).endswith("/writ") and command[1] == "init":
                call("ada", "writ " + shlex.join(map(str, command[1:])))
                lines(done.stdout.decode())
            return done

        harness.run = shown
        try:
            super()._make()
        finally:
            harness.run = plain


# An option with its argument, something quoted, a comment, a word.
WORDS = re.compile(r"(?:--?[\w-]+ )?(?:'[^']*'|\"[^\"]*\"|[^-#\s]\S*)|# .*|\S+")


def call(who, text):
    """A command as it was typed, wrapped between its words."""
    rows, row = [], f"  {who}$"
    for word in WORDS.findall(text):
        if len(row) + 1 + len(word) > WIDTH and len(row) > len(who) + 3:
            rows.append(row + " \\")
            row = "       "
        row += " " + word
    for row in [*rows, row]:
        say(styled("call", row))


class World:
    """The authority, the directory, and everybody who works with them."""

    def __init__(self, story, folder, authority, directory):
        self.story = story
        self.folder = folder
        self.authority = authority
        self.directory = directory
        self.password = folder / "root-password"
        self.password.write_text(directory.root_password)
        self._keys = 0
        self._logged_in = set()
        self._show_login = True

    # People, by the command line.

    def home(self, name):
        """A home folder with the settings of the command line in it."""
        home = self.folder / "home" / name
        settings = home / ".config" / "writ"
        settings.mkdir(parents=True, exist_ok=True)
        (settings / "config.yaml").write_text(
            f'url: "{self.authority.url}"\nhuman: {name}\n'
            f'key: "{self.authority.human(name).key}"\n'
            f'origin: "{self.authority.origin}"\n')
        return home

    def _run(self, name, arguments):
        # What the tests' authority gives its programs, and a home.
        # pylint: disable=protected-access
        return subprocess.run(
            [harness.program("writ"), *map(str, arguments)],
            stdin=subprocess.DEVNULL, capture_output=True, check=False,
            cwd=self.folder, env={**self.authority._env(),
                                  "HOME": str(self.home(name))})

    def writ(self, name, *arguments, wanted=0, show=True, review=False,
             tell=None, head=None, tail=0):
        """Runs `writ` as a person.

        wanted: the exit code that was promised.
        review: also show what the person is shown before signing.
        tell: makes of its output what is shown.
        """
        if show:
            call(name, "writ " + shlex.join(map(str, arguments)))
        done = self._run(name, arguments)
        error = NOISE.sub("", done.stderr.decode())
        if show:
            if review:
                lines(error, "faint")
            elif done.returncode not in (0, 4):
                lines("".join(error.rpartition("writ: ")[1:]))
            text = done.stdout.decode()
            lines(tell(text) if tell and text else text, head=head, tail=tail)
        if done.returncode != wanted:
            raise Broken(f"writ {arguments[0]} by {name} ended with "
                         f"{done.returncode}, wanted {wanted}: {error}"
                         f"{done.stdout.decode()}")
        return done

    def login(self, *names):
        """Sessions for reading; the first one is shown."""
        for name in names:
            if name not in self._logged_in:
                self.writ(name, "login", show=self._show_login)
                self._show_login = False
                self._logged_in.add(name)

    def read(self, name, *arguments):
        """What a reading command answers, not shown."""
        self.login(name)
        done = self.writ(name, *arguments, "--output", "json", show=False)
        return harness.json.loads(done.stdout)

    # Agents, by HTTP.

    def next_key(self):
        self._keys += 1
        return f"demo-{self._keys}"

    def http(self, name, method, path, body=None, key=None):
        """One call of an agent; POST always has an Idempotency-Key."""
        if method == "POST":
            key = key or self.next_key()
        self.show_http(name, method, path, body, key)
        return self.authority.agent(name).call(method, path, body, key=key)

    @staticmethod
    def show_http(name, method, path, body=None, key=None):
        text = "curl" + (" -X POST" if method == "POST" else "")
        text += f" $WRIT{path} -H \"Authorization: Bearer $SVID\""
        if key:
            text += f" -H 'Idempotency-Key: {key}'"
        if body is not None:
            text += " -H 'Content-Type: application/json'"
            # Broken after commas, as curl reads it from several lines, too.
            text += " -d '" + canonical(body).replace(",\"", ", \"") + "'"
        call_http(name, text)

    def open_task(self, name, class_name="identity-ops", intent="", ttl="1h"):
        answer = self.http(name, "POST", "/v1/tasks", {
            "class": class_name, "intent": intent,
            "targets": [harness.TARGET], "ttl": ttl})
        task = answer.ok(201)
        lines(f"HTTP {answer.status}: {task['id']} open until "
              f"{task['expires']}\n{leaf_line(task)}")
        return task["id"]

    def ask(self, name, task, resource, member, key=None, **more):
        """Asks for a membership and shows the answer: (status, request)."""
        body = self.authority.agent(name).request_body(
            task, "AddToGroup", resource, member, **more)
        answer = self.http(name, "POST", "/v1/requests?wait=20", body, key=key)
        return self.told(answer)

    def told(self, answer):
        """Shows an answer about a request; its status and the request."""
        body = answer.body
        request = body.get("request", body)
        if "state" not in request:
            raise Broken(f"no request was answered: {answer!r}")
        self.show_request(request, f"HTTP {answer.status}: ")
        return answer.status, request

    def show_request(self, request, start=""):
        decision = request.get("decision", {})
        rows = [f"{start}{request['id']} is {request['state']}"]
        route = request.get("route")
        if route:
            rows.append(f"route {route}, tier {request.get('tier', '-')}, "
                        f"ttl {request.get('ttl', '-')}")
        for policy in decision.get("policies", []):
            rows.append(f"rule {policy['id']}: {policy['title']}")
        for member, name in (("forAgent", "to the agent"),
                             ("forHuman", "to people"),
                             ("remedy", "remedy")):
            if not decision.get(member, "Allowed").startswith("Allowed"):
                rows.append(f"{name}: {decision[member]}")
        if request.get("waitingFor"):
            rows.append("waits for: " + ", ".join(
                f"{count} of {name}"
                for name, count in request["waitingFor"].items()))
        outcome = request.get("outcome", {})
        if outcome:
            rows.append(": ".join(filter(None, (
                f"effect {outcome['effect']}", outcome.get("detail")))))
        if request.get("grant"):
            rows.append(f"granted until {request['grant']['ends']}")
        rows.append(leaf_line(request))
        for row in filter(None, rows):
            say(textwrap.fill(row, WIDTH, initial_indent="      ",
                              subsequent_indent="        "))

    # The directory, by plain ldapsearch.

    def search_words(self):
        return ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H",
                self.directory.url, "-D", self.directory.root_dn, "-y",
                str(self.password), "-s", "base"]

    def look(self, name, when=""):
        """Shows the members of a group, past Writ; their uids and cns."""
        arguments = ["-b", group(name), "member"]
        call("anybody", "$SEARCH " + shlex.join(arguments) +
             (f"    # {when}" if when else ""))
        members = self.members(name, shown=True)
        return members

    def members(self, name, shown=False):
        done = subprocess.run(
            [*self.search_words(), "-b", group(name), "member"],
            capture_output=True, check=True,
            env={"PATH": os.environ["PATH"], "LDAPNOINIT": "1", "LANG": "C"})
        text = done.stdout.decode()
        if shown:
            lines("\n".join(row for row in text.splitlines() if row))
        return sorted(re.findall(r"^member: \w+=([^,]+),", text, re.M))

    # The daemon's ends and beginnings.

    def crash(self):
        """kill -9, and sessions are gone with it."""
        self.authority.kill()
        self._logged_in.clear()
        for name in harness.PEOPLE:
            self.authority.human(name).session = None

    def start_again(self):
        # Keeper and connector notice that the daemon is gone and end.
        self.authority._end_children()  # pylint: disable=protected-access
        self.authority.start()
        harness.wait_until(self.connector_is_up, "the connector")

    def connector_is_up(self):
        return all(row["up"] for row in
                   self.authority.health()["connectors"])

    # The log.

    def signed_up_to(self, index):
        """Waits until a signed checkpoint covers a leaf."""
        return harness.wait_until(
            lambda: self.authority.checkpoint()[1] > index
            and self.authority.checkpoint(), "the next checkpoint")

    def leaf(self, index):
        """A leaf's own members and its bytes."""
        text = self.authority.leaf(index, "ada")["leaf"]
        return harness.json.loads(text), text.encode()

    def size(self):
        return self.authority.health()["leaves"]


def call_http(who, text):
    """curl with its body on lines of its own."""
    head, mark, body = text.partition(" -d '")
    call(who, head + (" \\" if mark else ""))
    if mark:
        for row in textwrap.wrap("-d '" + body, WIDTH - 8,
                                 break_long_words=False,
                                 break_on_hyphens=False):
            say(styled("call", "        " + row))


def leaf_line(thing):
    """Which leaves of the log a thing has left."""
    evidence = thing.get("evidence")
    if not evidence:
        return ""
    if "index" in evidence:
        return f"leaf {evidence['index']}"
    found = sorted((leaf["index"], name) for name, leaf in evidence.items()
                   if isinstance(leaf, dict) and "index" in leaf)
    return "leaves: " + ", ".join(f"{name} {index}" for index, name in found)


class Hold:
    """Holds the connector's next change on its way to the directory, or the
    directory's answer to it on its way back, until cut() ends the line."""

    def __init__(self, proxy):
        self._proxy = proxy
        self._held = threading.Event()
        self._go = threading.Event()

    def _stop_here(self):
        self._held.set()
        self._go.wait()
        raise ConnectionAbortedError("cut")

    def request(self):
        """The change has left the connector and not reached the directory."""
        self._proxy.before_modify = self._stop_here
        return self

    def answer(self):
        """The directory has made the change, and nobody has been told."""
        self._proxy.before_answer = self._stop_here
        return self

    def wait(self):
        if not self._held.wait(harness.PATIENCE):
            raise Broken("the change never came by")

    def cut(self):
        """Ends the line that was held, and holds nothing any more."""
        self._proxy.before_modify = self._proxy.before_answer = None
        self._go.set()
