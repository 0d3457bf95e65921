#!/usr/bin/python3
"""Makes the policy bundle of the demonstration: demo_bundle.py SRC DST.

It is SRC without the rule about business hours, so that a demonstration at
night shows the same as one at noon.  With --bench also without the daily
counters, which a measurement would run into at once.  What is left out is said
on standard output, and nothing else is changed.
"""
import argparse
import json
import pathlib
import re
import sys


def asks(case, group):
    return group in case.get("requires", {}).get("approvals", {})


def counter(case, name):
    return case.get("ctx", {}).get("counters", {}).get(name, 0)


# What is dropped: the policy, why, and which scenarios were there for it.
HOURS = [
    ("r100-outside-business-hours", "it depends on the time of day",
     lambda case: asks(case, "on-call")),
]
COUNTERS = [
    ("r104-many-privileged-in-a-day", "a measurement makes thousands",
     lambda case: counter(case, "privileged24h") > 20 and asks(case, "security")),
    ("r72-many-planes-in-a-day", "a measurement uses one agent for all",
     lambda case: counter(case, "planes24h") > 2
     and asks(case, "platform-owners")),
]

# A comment, a text, the end of a policy, or its id.
TOKEN = re.compile(r'//[^\n]*|@id\("([^"]*)"\)|"(?:[^"\\]|\\.)*"|;')


def without(text, policy):
    """text without one policy, or None if it is not there."""
    start = None
    for token in TOKEN.finditer(text):
        if token[1] == policy:
            start = token.start()
        elif token[0] == ";" and start is not None:
            return text[:start] + text[token.end():].lstrip("\n")
    return None


def write_scenarios(path, scenarios):
    """One case a line, as people write it."""
    members = []
    for name, value in scenarios.items():
        if name == "cases":
            rows = ",\n  ".join(json.dumps(c, ensure_ascii=False) for c in value)
            members.append(f' "cases": [\n  {rows}\n ]')
        else:
            members.append(f" {json.dumps(name)}: "
                           f"{json.dumps(value, ensure_ascii=False)}")
    path.write_text("{\n" + ",\n".join(members) + "\n}\n")


def drop_policy(texts, policy):
    for name, text in texts.items():
        rest = without(text, policy)
        if rest is not None:
            texts[name] = rest
            return
    sys.exit(f"demo_bundle: there is no policy {policy}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bench", action="store_true",
                        help="also drop the daily counters")
    parser.add_argument("source", type=pathlib.Path)
    parser.add_argument("destination", type=pathlib.Path)
    options = parser.parse_args()

    texts = {path.name: path.read_text()
             for path in sorted(options.source.iterdir())
             if path.suffix in (".cedar", ".cedarschema")}
    scenarios = json.loads((options.source / "scenarios.json").read_text())
    for policy, why, is_for_it in HOURS + (COUNTERS if options.bench else []):
        drop_policy(texts, policy)
        gone = [c for c in scenarios["cases"] if is_for_it(c)]
        scenarios["cases"] = [c for c in scenarios["cases"] if c not in gone]
        print(f"without {policy}, because {why}; "
              f"and without {len(gone)} scenarios that show it")

    options.destination.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (options.destination / name).write_text(text)
    write_scenarios(options.destination / "scenarios.json", scenarios)


if __name__ == "__main__":
    main()
