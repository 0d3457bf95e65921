#!/usr/bin/python3
"""Fails when a header lacks #pragma once, or a prototype a comment.

    check_headers.py [ROOT]

A prototype is explained by a comment above it or above the lines it stands
with (no empty line between), by a heading such as "---- answers ----" above
them, or:
  - by the comment at the head of the file, for the first of its prototypes;
  - by the first of a family, all of one form (handlers of a table);
  - by the vocabulary of CODING.md: foo_new(void), foo_free(), foo_clear(),
    foo_close(), foo_ref(), foo_unref(), foo_name(), foo_equals(),
    foo_is_x().
"""
import pathlib
import re
import sys

PROTOTYPE = re.compile(
    r"^(?!typedef|static|extern\s+const|#|struct \w+;|enum \w+;)"
    r"[A-Za-z_][\w\s\*\(\),]*?\b(\w+)\s*\([^;{}]*\)\s*;", re.M | re.S)
COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.S)
HEADING = re.compile(r"/\*\s*-{3,}")

# Macros that declare a function: what they make is documented with them.
MACROS = {"DEFINE_CLEANUP", "MUST_USE", "PRINTF_LIKE"}


def blank(match):
    """A comment as lines of a marker, so that line numbers stay."""
    mark = "\x02" if HEADING.match(match[0]) else "\x01"
    return "\n".join(mark for _ in match[0].split("\n"))


def commented(lines, number):
    """Whether the group that the line is in begins with a comment."""
    at = number - 1
    while at > 0 and lines[at - 1].strip():
        at -= 1
        if "\x01" in lines[at]:
            return True
    return "\x01" in lines[number - 1]


def under_heading(lines, number):
    """The group before has a comment and only a heading stands between: no;
    the group's own heading counts as its comment."""
    at = number - 1
    while at > 0 and lines[at - 1].strip():
        at -= 1
    while at > 0 and not lines[at - 1].strip():
        at -= 1
    return at > 0 and "\x02" in lines[at - 1]


def is_vocabulary(name, form):
    return bool(re.search(r"_(free|clear|close|ref|unref|name|equals)$|_is_", name)
                or name.endswith("_new") and form == "void")


def check(text):
    """Complaints about one header, as (line, words)."""
    found = []
    if "#pragma once" not in text:
        found.append((1, "#pragma once is missing"))
    marked = COMMENT.sub(blank, text)
    lines = marked.splitlines()
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*",
                  lambda m: "\n" * m[0].count("\n"), marked, flags=re.M)
    code = inside_nothing(code)
    families = set()
    head = True  # what the head of the file explains
    last = 0
    for match in PROTOTYPE.finditer(code):
        start = len(match[0]) - len(match[0].lstrip())
        number = code.count("\n", 0, match.start() + start) + 1
        if match[1] in MACROS:
            continue
        form = " ".join(match[0].split("(", 1)[1].split())
        head = head and (not last or all(
            lines[i].strip() for i in range(last, number - 1)))
        last = number
        family = form if "," in form else form + match[1].split("_")[0]
        if (commented(lines, number) or under_heading(lines, number) or head
                or family in families):
            families.add(family)
        elif not is_vocabulary(match[1], form.rstrip("; )")):
            found.append((number, f"{match[1]}() has no comment"))
    return found


def inside_nothing(code):
    """code with everything inside braces blanked, newlines kept."""
    out, depth = [], 0
    for c in code:
        if c == "}":
            depth -= 1
        out.append(c if depth == 0 or c == "\n" else " ")
        if c == "{":
            depth += 1
    return "".join(out)


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).resolve().parents[1])
    failed = False
    for folder in ("src", "keeper", "connectors", "engine"):
        for path in sorted((root / folder).rglob("*.h")):
            if "target" in path.parts:
                continue
            for number, why in check(path.read_text()):
                print(f"{path.relative_to(root)}:{number}: {why}")
                failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
