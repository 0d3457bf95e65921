#!/usr/bin/python3
"""Runs test files with pytest for meson: run.py FILE...; status 77, skipped, if
there were tests and none of them could run here."""
import sys

import pytest

SKIPPED = 77


class Count:
    """Counts what ran and what was skipped."""

    def __init__(self):
        self.ran = 0
        self.skipped = 0

    def pytest_runtest_logreport(self, report):
        if report.skipped:
            self.skipped += 1
        elif report.when == "call":
            self.ran += 1

    def pytest_collectreport(self, report):
        if report.skipped:
            self.skipped += 1


def main():
    count = Count()
    status = pytest.main(["-q", "-rs", "-p", "no:cacheprovider",
                          "--tb=short", *sys.argv[1:]], plugins=[count])
    if status in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED) \
            and count.skipped and not count.ran:
        return SKIPPED
    return int(status)


if __name__ == "__main__":
    sys.dont_write_bytecode = True
    sys.exit(main())
