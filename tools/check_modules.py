#!/usr/bin/python3
"""Fails when a module has no unit test.

    check_modules.py [ROOT]

A module is a .c file with a header of its own.  Its test is
tests/unit/LAYER/test_MODULE.c, or another test of that folder that includes the
module's header, itself or by the folder's harness, and so calls it.
"""
import pathlib
import re
import sys

# Modules and whole layers without a unit test of their own, and why.
EXEMPT = {
    "src/daemon": "started as a whole by tests/integration",
    "src/api": "called over HTTP by tests/integration",
    "connectors/null": "runs in the unit tests of connect and in the "
                       "conformance tests",
    "src/flow": "carries requests between all the others; run as a whole by "
                "tests/integration",
    "src/crypto/evp.c": "what the files of crypto share; run by their tests",
    "src/crypto/sshkrl.c": "runs in test_sshcert, with the certificates it is for",
    "src/evidence/bundle.c": "runs in test_verify",
    "src/evidence/leaf.c": "inner, runs in test_log",
    "src/evidence/txn.c": "inner, runs in test_log and test_fault",
    "src/evidence/verify_leaf.c": "inner, runs in test_verify",
    "src/policy/pack.c": "inner, whatever is asked in test_ask goes through it",
    "src/http/address.c": "inner, runs in test_server",
    "src/http/exchange.c": "inner, runs in test_server",
    "src/cli/run/keyring.c": "runs with a real ssh-agent in test_run_ssh.py and "
                             "the demonstration",
    "src/cli/run/work.c": "runs with a real authority in test_run.py and "
                          "test_run_lends.py",
    "keeper/credential.c": "inner, runs in test_credentials",
    "keeper/issued.c": "inner, runs in test_credentials",
    "keeper/keys.c": "inner, runs in test_requests",
    "keeper/last.c": "inner, runs in test_requests",
    "keeper/slots.c": "inner, runs in test_requests",
    **{f"connectors/ldap/{module}.c":
       "against real servers in tests/integration/test_directory*.py and "
       "test_ldap_connector.py"
       for module in ("account", "account_lock", "action", "discover",
                      "entitlements", "holdings", "membership", "reach")},
    **{f"connectors/postgres/{module}.c":
       "against a real server in tests/integration/test_postgres_connector.py"
       for module in ("activity", "credential", "membership", "roles", "survey",
                      "target")},
    "connectors/sdk/connector.c": "the frame of all connectors, run by "
                                  "tests/integration/conformance",
    "src/cli/cli.c": "the frame of all commands, run by test_commands",
    "src/cli/exchange.c": "run against a server by test_commands",
    "src/cli/process.c": "runs ssh-keygen in test_sign",
}

# Where tests of folders outside src/ are.
TESTS = {"keeper": "keeper", "connectors/sdk": "connectors",
         "connectors/ldap": "ldap", "connectors/null": "connectors",
         "connectors/postgres": "connectors",
         "connectors/sshd": "connectors", "src/cli/run": "cli"}


def modules(root):
    for folder in ("src", "keeper", "connectors"):
        for path in sorted((root / folder).rglob("*.c")):
            if path.with_suffix(".h").exists():
                yield path.relative_to(root)


def exempt(module):
    return any(module.as_posix() == place or
               module.as_posix().startswith(place + "/") for place in EXEMPT)


def has_test(root, module):
    folder = module.parent.as_posix()
    tests = root / "tests/unit" / TESTS.get(folder,
                                            folder.removeprefix("src/"))
    if (tests / f"test_{module.stem}.c").exists():
        return True
    header = module.as_posix().removeprefix("src/").removesuffix(".c") + ".h"
    wanted = re.compile(rf'#include "{re.escape(header)}"')
    shared = (p for p in tests.glob("*.[ch]")
              if p.stem in ("harness", "support"))
    return any(wanted.search(path.read_text())
               for path in [*tests.glob("test_*.c"), *shared])


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else
                        pathlib.Path(__file__).resolve().parents[1])
    failed = False
    for module in modules(root):
        if not exempt(module) and not has_test(root, module):
            print(f"{module}: no unit test")
            failed = True
    for place in EXEMPT:
        if not (root / place).exists():
            print(f"{place}: exempted, but not there")
            failed = True
    return failed


if __name__ == "__main__":
    sys.exit(main())
