#!/usr/bin/python3
"""Each check of tools/ finds what it is there for, in a tree made for it."""
import pathlib
import subprocess
import tempfile
import unittest

TOOLS = pathlib.Path(__file__).resolve().parents[2] / "tools"
FINE_HEADER = "#pragma once\n\n/* What it does. */\nint base_do(void);\n"


class Checks(unittest.TestCase):
    """A small tree that passes, and what breaks it."""

    def setUp(self):
        self._folder = tempfile.TemporaryDirectory()
        self.addCleanup(self._folder.cleanup)
        self.root = pathlib.Path(self._folder.name)
        for folder in ("src", "keeper", "connectors", "tests/unit/base"):
            (self.root / folder).mkdir(parents=True)
        self.write("src/base/thing.h", FINE_HEADER)
        self.write("src/base/thing.c", '#include "base/thing.h"\n')
        self.write("tests/unit/base/test_thing.c", '#include "base/thing.h"\n')

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def run_check(self, name):
        done = subprocess.run([str(TOOLS / name), str(self.root)],
                              capture_output=True, check=False)
        return done.returncode, done.stdout.decode() + done.stderr.decode()

    def passes(self, name):
        status, words = self.run_check(name)
        self.assertEqual(status, 0, words)

    def finds(self, name, what):
        status, words = self.run_check(name)
        self.assertNotEqual(status, 0)
        self.assertIn(what, words)

    def test_a_sound_tree_passes(self):
        self.passes("check_layers.py")
        self.passes("check_headers.py")

    def test_an_upward_include_is_found(self):
        self.write("src/base/up.c", '#include "store/store.h"\n')
        self.finds("check_layers.py", "src/base/up.c:1: store is above base")

    def test_http_does_not_see_flow(self):
        self.write("src/http/x.c", '#include "flow/flow.h"\n')
        self.finds("check_layers.py", "http may not include flow")

    def test_flow_does_not_see_http(self):
        self.write("src/flow/x.c", '#include "http/server.h"\n')
        self.finds("check_layers.py", "http is above flow")

    def test_api_sees_both(self):
        self.write("src/api/x.c", '#include "flow/flow.h"\n'
                                  '#include "http/server.h"\n')
        self.passes("check_layers.py")

    def test_a_fenced_library_is_found(self):
        self.write("src/flow/x.c", "#include <sqlite3.h>\n")
        self.finds("check_layers.py", "sqlite3.h is fenced")

    def test_the_place_of_a_library_passes(self):
        self.write("src/store/x.c", "#include <sqlite3.h>\n")
        self.passes("check_layers.py")

    def test_a_program_beside_the_layers_sees_less(self):
        self.write("keeper/x.c", '#include "store/store.h"\n')
        self.finds("check_layers.py", "keeper may not include store/store.h")

    def test_a_connector_does_not_see_another(self):
        self.write("connectors/a/x.c", '#include "connectors/b/y.h"\n')
        self.finds("check_layers.py", "may not include connectors/b/y.h")

    def test_a_clock_in_govern_is_found(self):
        self.write("src/govern/x.c", '#include "base/clock.h"\n'
                                     "long now(void) {\n"
                                     "\treturn clock_wall_ms();\n}\n")
        self.finds("check_layers.py", "x.c:3: govern is pure")

    def test_a_clock_in_a_comment_of_govern_passes(self):
        self.write("src/govern/x.c", "/* not clock_wall_ms() */\n")
        self.passes("check_layers.py")

    def test_a_file_header_in_govern_is_found(self):
        self.write("src/govern/x.c", '#include "base/file.h"\n')
        self.finds("check_layers.py", "govern is pure")

    def test_a_header_that_does_not_stand_first_is_found(self):
        self.write("src/base/thing.c", "#include <stdio.h>\n"
                                       '#include "base/thing.h"\n')
        self.finds("check_layers.py", "include thing.h first")

    def test_a_header_without_once_is_found(self):
        self.write("src/base/x.h", "/* Fine. */\nint x_do(void);\n")
        self.finds("check_headers.py", "#pragma once is missing")

    def test_a_prototype_without_words_is_found(self):
        self.write("src/base/x.h", FINE_HEADER +
                   "\nMUST_USE int x_more(const char *name,\n"
                   "\t\t    int *ret_value);\n")
        self.finds("check_headers.py", "x.h:6: x_more() has no comment")

    def test_a_group_under_one_comment_passes(self):
        self.write("src/base/x.h", FINE_HEADER +
                   "int x_more(int a);\nvoid x_free(struct x *x);\n")
        self.passes("check_headers.py")

    def test_a_module_without_a_test_is_found(self):
        self.write("src/base/lonely.h", FINE_HEADER)
        self.write("src/base/lonely.c", '#include "base/lonely.h"\n')
        self.finds("check_modules.py", "src/base/lonely.c: no unit test")

    def test_a_script_that_does_not_parse_is_found(self):
        self.write("tools/x.sh", "#!/bin/sh\nif true; then\n")
        self.finds("check_scripts.sh", "x.sh")

    def test_python_that_does_not_parse_is_found(self):
        self.write("tools/x.py", "def f(:\n")
        self.finds("check_scripts.sh", "x.py")


if __name__ == "__main__":
    unittest.main()
