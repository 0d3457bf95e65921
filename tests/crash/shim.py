"""An authority whose processes are lied to about the machine: see shim.c."""
import os
import shutil
import struct
import subprocess

from inject import ENV, HERE

COMPILER = shutil.which(os.environ.get("CC", "cc")) or shutil.which("gcc")


def why_not():
    """Why nobody can be lied to here; None if one can."""
    return None if COMPILER else "needs a C compiler"


class Shim:
    """The lies, in a file of a folder."""

    def __init__(self, folder):
        self.path = folder / "lies"
        self.library = folder / "shim.so"
        self._tell(0, 0)
        subprocess.run([COMPILER, "-shared", "-fPIC", "-O2", "-o",
                        str(self.library), str(HERE / "shim.c")], check=True)

    def _tell(self, offset_ms, no_sync):
        with open(self.path, "r+b" if self.path.exists() else "wb") as file:
            file.write(struct.pack("=qq", offset_ms, no_sync))
        self.offset_ms, self.no_sync = offset_ms, no_sync

    def step(self, ms):
        """Moves the wall clock that the processes see."""
        self._tell(self.offset_ms + ms, self.no_sync)

    def leave_out_syncs(self, on=True):
        """Whether fsync() and fdatasync() do nothing."""
        self._tell(self.offset_ms, int(on))

    def lead(self):
        """The beginning of a command that is lied to."""
        options = os.environ.get("ASAN_OPTIONS", "")
        return [ENV, f"LD_PRELOAD={self.library}", f"CRASH_SHIM={self.path}",
                f"ASAN_OPTIONS={options}:verify_asan_link_order=0"]

    def over(self, authority, *who):
        """The named processes of an inject.Authority are lied to from their
        next start on: writd, keeper."""
        authority.lead(**{name: self.lead() for name in who})
        return authority
