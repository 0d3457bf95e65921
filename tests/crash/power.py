#!/usr/bin/python3
"""Cuts the power of the disk that a working authority writes to, again and
again, and looks whether anything is missing afterwards.

    WRIT_BUILD=build/release WRIT_CRASH_ROUNDS=100 tests/crash/power.py
    tests/crash/power.py --rounds 50 --seed 7
    tests/crash/power.py --mutant          # must say that things are missing

The data and keeper folders lie on an ext4 file system of their own, in an image
on a loop device (root only).  Under the load of kill.py the file system is shut
down without writing anything more (what `xfs_io -x -c shutdown` does), so that
what was not synced is gone.  Everything is killed, the image is copied,
checked, mounted, and the authority started on it: what kill.py looks at after a
kill must hold, and the keeper must remember every checkpoint that was seen.
With --mutant the daemon's syncs do nothing, and the check must notice.

The target is not on that disk: it is another machine.
"""
import argparse
import fcntl
import os
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "integration"),
                str(HERE.parent / "integration" / "conformance")]

# pylint: disable=wrong-import-position
import harness
import inject
import kill
import shim

SHUTDOWN = 0x8004587D  # EXT4_IOC_SHUTDOWN
NO_LOG_FLUSH = 2  # nothing more is written, not even the journal
SIZE = 192 << 20  # bytes of the image
SBIN = os.environ.get("PATH", os.defpath) + ":/usr/sbin:/sbin"
MKFS = shutil.which("mkfs.ext4", path=SBIN)
FSCK = shutil.which("e2fsck", path=SBIN)


def quiet(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True,
                          check=False, env={**os.environ, "PATH": SBIN})
    if done.returncode:
        raise OSError(f"{command[0]}: {done.stderr.decode(errors='replace')}")


class Disk:
    """A file system in an image, whose power can be cut."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.image = self.folder / "disk.image"
        self.place = self.folder / "disk"
        self.place.mkdir()
        with open(self.image, "wb") as file:
            file.truncate(SIZE)
        quiet(MKFS, "-q", "-F", "-E", "lazy_itable_init=0", self.image)
        self.mount()

    def mount(self):
        quiet("mount", "-t", "ext4", "-o", "loop,noatime", self.image,
              self.place)

    def cut(self):
        """From here on nothing reaches the image."""
        fd = os.open(self.place, os.O_RDONLY)
        try:
            fcntl.ioctl(fd, SHUTDOWN, struct.pack("I", NO_LOG_FLUSH))
        finally:
            os.close(fd)

    def again(self):
        """As after the power has come back: a copy of what is on the image,
        its journal replayed and found consistent."""
        quiet("umount", self.place)
        copy = self.folder / "disk.copy"
        shutil.copyfile(self.image, copy)
        self.image.unlink()
        copy.rename(self.image)
        self.mount()

    def check(self):
        """What e2fsck finds on an image whose journal was replayed."""
        quiet(FSCK, "-f", "-n", self.image)

    def close(self):
        subprocess.run(["umount", "-l", str(self.place)], check=False,
                       capture_output=True, env={**os.environ, "PATH": SBIN})


def why_not():
    """Why no power can be cut here; None if it can."""
    if os.geteuid() != 0:
        return "only root mounts an image"
    if not MKFS or not FSCK:
        return "needs an installed e2fsprogs"
    with tempfile.TemporaryDirectory(prefix="writ-power-") as folder:
        try:
            disk = Disk(folder)
        except OSError as error:
            return f"no image can be mounted here: {error}"
        try:
            disk.cut()
        except OSError as error:
            return f"this ext4 cannot be shut down: {error}"
        finally:
            disk.close()
    return None


def on_disk(authority, disk):
    """Moves the folders of an authority that is not started to a disk."""
    for name in ("data", "keeper"):
        shutil.move(authority.folder / name, disk.place / name)
        (authority.folder / name).symlink_to(disk.place / name)
    os.sync()
    return authority


def remembered(authority):
    """The size of the newest checkpoint in the keeper's file "last"."""
    raw = (authority.keeper_folder / "last").read_bytes()
    sizes = [0]
    for at in range(0, len(raw), 512):
        sector = raw[at:at + 512]
        if sector.startswith(b"writlast") and sector[16] == 0:
            sizes.append(int(sector[17:].split(b"\n")[1]))
    return max(sizes)


def run_round(check, disk, chance, seed):
    authority = check.authority
    stop, threads = inject.load(authority, check.ledger,
                                chance.uniform(0.1, 1.5), seed)
    assert not check.ledger.faults, check.ledger.faults[:5]
    disk.cut()
    time.sleep(chance.uniform(0, 0.1))
    kill.kill_everything(authority)
    stop.set()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "a call that is never answered"
    for name in harness.PEOPLE:
        authority.human(name).session = None
    harness.wait_until(lambda: not authority._children(), "all to be gone")
    disk.again()
    seen = max(check.ledger.checkpoints, default=0)
    knew = remembered(authority)
    kill.restart(authority)
    # What has served once cannot be looked up without a disk: it is refused.
    wrong = [text for text in check.ledger.faults if '"replayed"' not in text]
    assert not wrong, wrong[:5]
    check.ledger.faults.clear()
    check.all()
    assert knew >= seen, f"the keeper forgot that it signed {seen}: {knew}"


def crash(authority, disk, count, seed, say=None):
    """count rounds; the authority is not started and on the disk."""
    chance = random.Random(seed)
    authority.start()
    kill.prepare(authority)
    check = kill.Check(authority, kill.Ledger(), kill.held_by_null(authority),
                       kill.held_by_null(authority)())
    os.sync()
    for number in range(count):
        before = time.monotonic()
        run_round(check, disk, chance, f"{seed}/{number}")
        if say:
            say(f"round {number + 1}: {len(check.ledger.calls)} calls, "
                f"{authority.health()['leaves']} leaves, "
                f"{time.monotonic() - before:.1f} s: nothing is missing")
    done = authority.verify()
    assert done.returncode == 0, (done.stdout + done.stderr).decode()
    assert authority.stop() == 0
    harness.wait_until(lambda: not authority._children(), "all to be gone")
    quiet("umount", disk.place)
    disk.check()
    disk.mount()
    return check


def mutant(authority, disk, lies, seed, *who):
    """What the check says when syncs of some processes do nothing; None if it
    did not notice."""
    lies.over(authority, *who).start()
    kill.prepare(authority)
    check = kill.Check(authority, kill.Ledger(), kill.held_by_null(authority),
                       kill.held_by_null(authority)())
    os.sync()
    lies.leave_out_syncs()
    try:
        run_round(check, disk, random.Random(seed), seed)
    except (AssertionError, RuntimeError, TimeoutError) as error:
        return str(error) or repr(error)
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--rounds", type=int, default=kill.rounds(10))
    parser.add_argument("--seed", default=str(time.time_ns()))
    parser.add_argument("--mutant", action="store_true",
                        help="the daemon's syncs do nothing")
    options = parser.parse_args()
    reason = why_not()
    if reason:
        sys.exit(reason)
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="writ-power-") as folder:
        folder = pathlib.Path(folder)
        disk = Disk(folder)
        authority = on_disk(inject.Authority(
            folder=folder / "authority", bundle_options=("--bench",)), disk)
        try:
            if options.mutant:
                print(mutant(authority, disk, shim.Shim(folder), options.seed,
                             "writd"))
            else:
                crash(authority, disk, options.rounds, options.seed,
                      lambda text: print(text, flush=True))
        finally:
            authority.close()
            disk.close()


if __name__ == "__main__":
    main()
