"""A connector as a child process that is spoken to in frames."""
import json
import os
import pathlib
import struct
import subprocess


SUPPRESSIONS = pathlib.Path(__file__).parent / "lsan.supp"


def sanitizer_environment():
    """The environment in which a build with sanitizers tells only of leaks that
    are ours."""
    return {**os.environ,
            "ASAN_OPTIONS": "fast_unwind_on_malloc=0",
            "LSAN_OPTIONS": f"suppressions={SUPPRESSIONS}:print_suppressions=0"}


class Refused(Exception):
    """An error answer; reason is its machine-readable word."""

    def __init__(self, error):
        super().__init__(f"{error.get('data', {}).get('reason')}: "
                         f"{error['message']}")
        self.reason = error.get("data", {}).get("reason")
        self.message = error["message"]


class Connector:
    """Starts program with config (a dict, written as YAML's subset JSON)."""

    def __init__(self, program, config, folder):
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / "connector.yaml"
        path.write_text(json.dumps(config))
        self.log_path = self.folder / "connector.log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [str(program), "--config", str(path)], stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=log,
                env=sanitizer_environment())
        self._id = 0

    def _read(self, count):
        data = self.process.stdout.read(count)
        if len(data) != count:
            raise RuntimeError("the connector ended: " + self.log())
        return data

    def call(self, method, **params):
        self._id += 1
        body = json.dumps({"jsonrpc": "2.0", "id": self._id, "method": method,
                           "params": params}).encode()
        self.process.stdin.write(struct.pack(">I", len(body)) + body)
        self.process.stdin.flush()
        answer = json.loads(self._read(struct.unpack(">I", self._read(4))[0]))
        assert answer["id"] == self._id
        if "error" in answer:
            raise Refused(answer["error"])
        return answer["result"]

    def log(self):
        return self.log_path.read_text(errors="replace")

    def close(self):
        """Ends it; returns its exit status."""
        for pipe in (self.process.stdin, self.process.stdout):
            pipe.close()
        return self.process.wait(timeout=30)
