#!/usr/bin/python3
"""The demonstration: an authority, a directory, agents and people.

Everything happens in one folder that is removed at the end; --stay leaves it
running until Enter is pressed.  Each command is shown as a person types it.
"""
import argparse
import json
import os
import pathlib
import shlex
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "tests" / "integration")]
sys.dont_write_bytecode = True

# pylint: disable=wrong-import-position
import harness
import slapd
from harness import TARGET, group, person

BOLD, PLAIN = ("\033[1m", "\033[0m") if sys.stdout.isatty() else ("", "")
OK, DENIED, WAITING = 0, 3, 4


def say(title, *lines):
    print(f"\n{BOLD}{title}{PLAIN}")
    for line in lines:
        print(line)
    sys.stdout.flush()


def indented(raw):
    return "".join(f"    {line}\n" for line in raw.decode().splitlines())


class Demo:
    """Runs commands and checks that each ends as the story says."""

    def __init__(self, authority):
        self.authority = authority

    def run(self, who, *arguments, wanted=(OK,), quiet=False):
        """A command of a human or an agent; its standard output."""
        words = [a for a in arguments if a not in ("--yes", "-o", "json")]
        if not quiet:
            print(f"\n  {who.name}$ writ {shlex.join(map(str, words))}")
        done = who.writ("--yes", *arguments)
        if not quiet:
            print(indented(done.stdout) + indented(done.stderr), end="")
        sys.stdout.flush()
        if done.returncode not in wanted:
            if quiet:
                print(indented(done.stdout) + indented(done.stderr), end="")
            sys.exit(f"demo: ended with {done.returncode}, "
                     f"wanted {' or '.join(map(str, wanted))}")
        return done.stdout

    def human(self, name):
        who = self.authority.human(name)
        self.run(who, "login", quiet=True)
        return who

    def open_task(self, agent, intent):
        print(f"\n  {agent.name}$ writ task open --class identity-ops "
              f"--intent {intent!r} --target {TARGET} --ttl 1h")
        out = self.run(agent, "task", "open", "--class", "identity-ops",
                       "--intent", intent, "--target", TARGET, "--ttl", "1h",
                       "-o", "json", quiet=True)
        task = json.loads(out)["id"]
        print(f"    {task}")
        return task

    def ask(self, agent, task, resource, member, wanted, ttl="10m"):
        """Asks for a membership; the request's id."""
        words = ["request", "create", "--task", task, "--action",
                 "AddToGroup", "--target", TARGET, "--resource", resource,
                 "--parameter", f"member={member}", "--ttl", ttl,
                 "--wait", "20s"]
        key = os.urandom(8).hex()
        self.run(agent, *words, "--idempotency-key", key, wanted=(wanted,))
        if wanted == DENIED:
            return None
        # The same key again is the same request, told as JSON.
        out = self.run(agent, *words, "--idempotency-key", key, "-o", "json",
                       wanted=(wanted,), quiet=True)
        return json.loads(out)["id"]


def write_manifests(authority):
    folder = authority.folder / "manifests"
    folder.mkdir()
    for path in sorted((harness.EXAMPLE / "manifests").glob("*.yaml")):
        (folder / path.name).write_text(harness.fill(path.read_text(),
                                                     authority.values))
    return folder


def tell(demo, directory):
    authority = demo.authority
    ada, bot = demo.human("ada"), authority.agent("hr-bot")

    say("1. The first administrator brings in people, agents and a directory.",
        "While she is the only one, her signature is enough; then two sign.")
    demo.run(ada, "apply", "-f", write_manifests(authority))
    harness.wait_until(authority._target_is_up, "the connector")

    say("2. The way back is tried before anything runs by itself.")
    demo.run(ada, "target", "drill", TARGET)

    say("3. Low risk with a drilled way back: done without asking anybody.")
    task = demo.open_task(bot, "onboard the new people")
    demo.ask(bot, task, group("lunch-list"), person("nora"), OK)
    print("    in the directory: "
          f"{directory.values(group('lunch-list'), 'member')}")

    say("4. helpdesk stands in mail-admins, so this is tier 2: the directory's",
        "owner acknowledges, and an approver signs exactly this plan.")
    erin, bob = demo.human("erin"), demo.human("bob")
    demo.run(erin, "voucher", "create", "--kind", "owner_ack", "--action",
             "AddToGroup", "--target", TARGET, "--resource", group("helpdesk"),
             "--reference", "HR-1042", "--text", "omar joins the help desk",
             "--expires", "1h")
    request = demo.ask(bot, task, group("helpdesk"), person("omar"), WAITING)
    demo.run(bob, "approval", "show", request)
    demo.run(bob, "approval", "approve", request, "--reason", "HR-1042")
    demo.run(bot, "request", "wait", request)
    print("    in the directory: "
          f"{directory.values(group('helpdesk'), 'member')}")

    say("5. The agent wants power for itself: no, and why.")
    demo.ask(bot, task, group("domain-admins"),
             "uid=hr-bot,ou=services,dc=example,dc=org", DENIED)

    say("6. The task ends, and with it what it placed.")
    demo.run(bot, "task", "complete", task)
    harness.wait_until(
        lambda: directory.values(group("helpdesk"), "member")
        == [person("oscar")] and
        directory.values(group("lunch-list"), "member") == [person("carol")],
        "the grants to end")
    print("    helpdesk:   "
          f"{directory.values(group('helpdesk'), 'member')}")
    print("    lunch-list: "
          f"{directory.values(group('lunch-list'), 'member')}")

    say("7. The whole log, verified with nothing but its public key.")
    demo.run(ada, "evidence", "verify", authority.url, "--vkey",
             authority.vkey)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--stay", action="store_true",
                        help="leave everything running until Enter")
    options = parser.parse_args()

    if not slapd.AVAILABLE:
        sys.exit("demo: slapd and ldap-utils are not installed; "
                 "run tools/setup.sh")
    with tempfile.TemporaryDirectory(prefix="writ-demo-") as folder:
        with harness.demo_directory() as directory, harness.Authority(
                folder=pathlib.Path(folder) / "authority",
                directory=directory) as authority:
            say("An authority and a directory of its own are running.",
                f"  {authority.url}, {directory.url}",
                "  Policies are those of policy/ without the rule about "
                "business hours;", "  people sign with keys in files, which "
                "the demonstration's classes allow.")
            tell(Demo(authority), directory)
            if options.stay:
                say("Still running; Enter ends it.",
                    f"  export WRIT_URL={authority.url}",
                    f"  keys: {authority.folder / 'people'}",
                    f"  log:  {authority.log_path}")
                sys.stdin.readline()
    say("That was all; everything has been removed.")


if __name__ == "__main__":
    main()
