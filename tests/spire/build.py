#!/usr/bin/python3
"""Builds SPIRE's server and agent from source: build.py FOLDER.

The source is the Go module of the version below, as the Go module proxy has it,
checked by Go against the checksum database.  One plug-in, for a certificate
authority that the test has no use for, is left out, since it needs a module that
not every proxy offers.  Says what is missing, with status 77, where it cannot be
built.
"""
import json
import pathlib
import shutil
import subprocess
import sys

MODULE = "github.com/spiffe/spire"
VERSION = "v1.15.3"
PROGRAMS = ("spire-server", "spire-agent")
PLUGIN = "ejbca"
MISSING = 77


def give_up(words):
    print(f"spire: {words}", file=sys.stderr)
    sys.exit(MISSING)


def go(*arguments, **options):
    return subprocess.run(["go", *arguments], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          **options)


def download():
    """The folder of the module, which is read-only."""
    done = go("mod", "download", "-json", f"{MODULE}@{VERSION}")
    try:
        found = json.loads(done.stdout)
    except ValueError:
        found = {"Error": done.stderr.decode(errors="replace")}
    if "Dir" not in found:
        give_up(f"the Go module proxy does not give {MODULE} {VERSION}: "
                f"{found.get('Error', '?')}")
    return pathlib.Path(found["Dir"])


def copy(source, folder):
    shutil.copytree(source, folder, copy_function=shutil.copyfile)
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    catalog = folder / "pkg/server/catalog/upstreamauthority.go"
    catalog.write_text("".join(
        line for line in catalog.read_text().splitlines(keepends=True)
        if PLUGIN not in line))


def main():
    folder = pathlib.Path(sys.argv[1]).resolve()
    stamp = folder / VERSION
    if stamp.exists() and all((folder / p).exists() for p in PROGRAMS):
        return
    if not shutil.which("go"):
        give_up("Go is not there (any version that can fetch the one that "
                f"{MODULE} {VERSION} asks for)")
    if not shutil.which("gcc"):
        give_up("a C compiler is not there")
    source = folder / "source"
    shutil.rmtree(source, ignore_errors=True)
    folder.mkdir(parents=True, exist_ok=True)
    copy(download(), source)
    print(f"spire: building {VERSION}; the first time takes long")
    done = go("build", "-o", f"{folder}/", *[f"./cmd/{p}" for p in PROGRAMS],
              cwd=source)
    if done.returncode:
        give_up("it does not build here:\n"
                + done.stderr.decode(errors="replace")[-2000:])
    shutil.rmtree(source, ignore_errors=True)
    stamp.write_text("")


if __name__ == "__main__":
    main()
