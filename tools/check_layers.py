#!/usr/bin/python3
"""Fails when a file includes something that its layer may not see.

    check_layers.py [ROOT]

The layers are the folders of src/, low to high; a file includes its own layer
and lower ones, by name of the folder.  Beside them stand programs that see
less.  Outside libraries are fenced into the places that speak to them.
"""
import pathlib
import re
import sys

LAYERS = ["base", "crypto", "config", "net", "store", "evidence", "identity",
          "notify", "policy", "govern", "connect", "flow", "http", "api",
          "daemon"]

# Layers that do not see all that is below them.
BLIND = {
    "http": {"config", "flow", "connect", "govern", "policy", "identity",
             "evidence", "store", "net"},
    "govern": {"config", "net", "store", "evidence", "identity", "policy"},
}

# Programs beside the layers: folder -> what they see, a folder or one header.
BESIDE = {
    "src/cli": ["base", "crypto", "config", "identity", "policy", "govern",
                "store", "evidence", "cli"],
    "keeper": ["base", "crypto", "keeper"],
    "connectors": ["base", "crypto", "connect/protocol.h", "connectors/sdk"],
}

# Libraries, and the places that may include them.
FENCES = {
    r"microhttpd\.h": [r"src/http/"],
    r"gnutls/": [r"src/http/"],
    r"sqlite3\.h": [r"src/store/"],
    r"ldap\.h|lber\.h": [r"connectors/ldap/"],
    r"libpq-fe\.h": [r"connectors/postgres/"],
    r"openssl/": [r"src/crypto/"],
    r"curl/": [r"src/cli/", r"src/net/"],
    r"yaml\.h": [r"src/base/yaml\.c"],
    r"(.*/)?writ_cedar\.h": [r"src/policy/"],
    r"seccomp\.h": [r"src/base/sandbox\.c"],
}

# govern is pure: the same state, facts and event give the same answer.
IMPURE_HEADERS = {"file", "log", "loop", "id", "channel", "random"}
IMPURE_CALLS = re.compile(
    r"\b(clock_wall_ms|clock_boot_ms|random_bytes|time|clock_gettime|getenv"
    r"|fopen|open|printf|rand|getrandom)\s*\(")

# (file, include): why it may.
EXCEPTIONS = {
    ("keeper/", "connect/rpc.h"):
        "the keeper speaks the same framed JSON-RPC as a connector",
    ("connectors/sdk/", "connect/rpc.h"):
        "the kit is the far end of the same framed JSON-RPC",
    ("src/govern/ask.h", "policy/question.h"):
        "the facts of a question are plain data, without an engine",
    ("connectors/null/", "connect/rpc.h"):
        "it sends damaged frames on purpose",
}

# Headers that may stand before a file's own, and why.
BEFORE_OWN = {
    "crypto/evp.h": "OpenSSL's headers use names that base/banned.h forbids",
}

INCLUDE = re.compile(r'\s*#\s*include\s*(["<])([^">]+)[">]')


def is_excepted(name, target):
    return any(name.startswith(place) and target == header
               for place, header in EXCEPTIONS)


def beside(name):
    """The program beside the layers that a file belongs to, or None."""
    return next((folder for folder in BESIDE if name.startswith(folder + "/")),
                None)


def sees(name, target):
    """Why a file may not include a header of the project, or None."""
    side = beside(name)
    if side:
        if pathlib.PurePath(target).parent == pathlib.PurePath(name).parent:
            return None
        if any(target == seen or target.startswith(seen + "/")
               for seen in BESIDE[side]):
            return None
        return f"{side} may not include {target}"
    layer = name.split("/")[1]
    folder = target.split("/")[0]
    if folder not in LAYERS:
        return f"{layer} may not include {target}"
    if LAYERS.index(folder) > LAYERS.index(layer):
        return f"{folder} is above {layer}"
    if folder in BLIND.get(layer, ()):
        return f"{layer} may not include {folder}"
    header = pathlib.PurePath(target).stem
    if layer == "govern" and folder == "base" and header in IMPURE_HEADERS:
        return f"govern is pure and may not include {target}"
    return None


def fenced(name, target):
    for library, places in FENCES.items():
        if re.match(library, target):
            if not any(re.match(place, name) for place in places):
                return f"{target} is fenced"
            return None
    return None


def own_header(root, path, target):
    """A header beside the file, included without its folder."""
    return "/" not in target and (root / path).parent.joinpath(
        target).exists()


def complaint(root, name, quote, target):
    if is_excepted(name, target):
        return None
    why = fenced(name, target)
    if why or quote == "<":
        return why
    if target.startswith("engine/"):
        return None  # fenced above
    if own_header(root, name, target):
        return f"write the folder: {pathlib.PurePath(name).parent.name}/{target}"
    return sees(name, target)


def includes(path, wanted):
    return any(match and match[2] == wanted for match in
               map(INCLUDE.match, path.read_text().splitlines()))


def first_include(root, name, lines):
    """foo.c includes foo.h first, or what its folder's files share and that
    includes foo.h, so that every header stands alone."""
    own = name.removeprefix("src/").removesuffix(".c") + ".h"
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        if not match:
            continue
        shared = next((p for p in (root / match[2], root / "src" / match[2])
                       if p.exists()), None)
        if match[2] in BEFORE_OWN and match[2] != own:
            continue
        good = match[2] == own or (shared and includes(shared, own))
        return None if good else number
    return None


def without_comments(text):
    return re.sub(r"/\*.*?\*/|//[^\n]*",
                  lambda m: "\n" * m[0].count("\n"), text, flags=re.S)


def check(root, path):
    """Complaints about one file, as (line, words)."""
    name = path.relative_to(root).as_posix()
    lines = path.read_text(errors="replace").splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        why = match and complaint(root, name, match[1], match[2])
        if why:
            found.append((number, why))
    if path.suffix == ".c" and path.with_suffix(".h").exists():
        number = first_include(root, name, lines)
        if number:
            found.append((number, f"include {path.stem}.h first"))
    if name.startswith("src/govern/"):
        code = without_comments("\n".join(lines)).splitlines()
        found += [(number, f"govern is pure and may not call {match[1]}()")
                  for number, line in enumerate(code, 1)
                  for match in IMPURE_CALLS.finditer(line)]
    return found


def sources(root):
    for folder in ("src", "keeper", "connectors"):
        yield from sorted((root / folder).rglob("*.[ch]"))


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).resolve().parents[1])
    failed = False
    for path in sources(root):
        for number, why in check(root, path):
            print(f"{path.relative_to(root)}:{number}: {why}")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
