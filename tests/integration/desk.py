"""Where an agent's process works: `writ run` with an identity that a command
renews for each call, since a token serves once."""
import pathlib
import shutil
import subprocess
import tempfile
import weakref

import harness
from harness import program, wait_until


class Desk:
    """task_class: what its tasks are of.  targets: options that name them."""

    def __init__(self, authority, name="hr-bot", task_class="identity-ops",
                 targets=("--target", harness.TARGET), tokens=40):
        self.authority = authority
        self.bot = authority.agent(name)
        self.task_class = task_class
        self.targets = targets
        self.folder = authority.folder / f"desk-{name}"
        self.folder.mkdir()
        for number in range(tokens):
            (self.folder / f"{number:03}.token").write_text(self.bot.token())
        take = self.folder / "take"
        take.write_text(f"""#!/bin/sh
cd {self.folder} || exit 1
for file in [0-9]*.token; do
    mv "$file" taken.$$ && cat taken.$$ && rm taken.$$ && exit 0
done
exit 1
""")
        take.chmod(0o755)
        # One of its own in memory: others may run beside it.
        self.memory = pathlib.Path(tempfile.mkdtemp(prefix="writ-desk-",
                                                    dir="/dev/shm"))
        weakref.finalize(self, shutil.rmtree, self.memory, True)
        self.environment = {
            **harness.Authority._env(),  # pylint: disable=protected-access
            "HOME": str(self.folder), "XDG_RUNTIME_DIR": str(self.memory),
            "WRIT_URL": authority.url,
            "WRIT_TOKEN_COMMAND": str(take)}

    def words(self, *more, agent=None):
        return [program("writ"), "run", "--agent", agent or self.bot.name,
                "--class", self.task_class, "--intent", "a night's work", *more]

    def run(self, *command, options=None, agent=None,
            **environment):
        return subprocess.run(
            [*self.words(*(options or self.targets), agent=agent), "--",
             *command],
            capture_output=True, text=True, check=False, timeout=120,
            env={**self.environment, **environment})

    def start(self, *command, options=None, **environment):
        return subprocess.Popen(
            [*self.words(*(options or self.targets)), "--", *command],
            env={**self.environment, **environment},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def tasks(self):
        return {row["id"]: row for row in
                self.bot.get("/v1/tasks").ok()["tasks"]}

    def only_task(self):
        (task,) = self.tasks().values()
        return task

    def ended(self, how, patience=harness.PATIENCE):
        return wait_until(
            lambda: (lambda t: t if t["state"] == how else None)(
                self.only_task()), f"the task to be {how}", patience)

    @staticmethod
    def first_line(process):
        return process.stdout.readline().strip()

    @staticmethod
    def finish(process, patience=60):
        """(status, output, errors) once it has ended."""
        out, err = process.communicate(timeout=patience)
        return process.returncode, out, err
