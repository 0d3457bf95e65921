"""A real sshd of this user on a port of loopback, that trusts an authority's
certificates and looks into a list of revoked ones."""
import getpass
import os
import shutil
import socket
import subprocess

import harness

SSHD = shutil.which("sshd", path="/usr/sbin:/usr/bin:/usr/local/sbin")
ME = getpass.getuser()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def run(*command, **options):
    return subprocess.run([str(word) for word in command], check=True,
                          capture_output=True, text=True, **options).stdout


def make_key(path, kind="ed25519", *more):
    """The public key's line of a new one."""
    run("ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path, *more)
    return path.with_suffix(".pub").read_text().strip()


class Sshd:
    """trusted, revoked: the files it reads; not made here."""

    def __init__(self, folder):
        self.folder = folder
        self.port = free_port()
        self.trusted = folder / "trusted"
        self.revoked = folder / "revoked"
        folder.mkdir(parents=True, exist_ok=True)
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", folder / "host")
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {folder}/host\n"
            f"TrustedUserCAKeys {self.trusted}\nRevokedKeys {self.revoked}\n"
            "AuthorizedKeysFile none\nPasswordAuthentication no\n"
            "KbdInteractiveAuthentication no\nUsePAM no\nStrictModes no\n"
            "PermitRootLogin prohibit-password\nPidFile none\n"
            "LogLevel VERBOSE\n"
            f"AuthorizedPrincipalsFile {folder}/principals\n")
        (folder / "principals").write_text(f"{ME}\nbuilder\n")
        self.log = None
        self.child = None

    def start(self):
        if os.getuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)
        self.log = open(self.folder / "sshd.log", "ab")
        self.child = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", self.folder / "config"], stderr=self.log)
        harness.wait_until(self.listens, "sshd")
        return self

    def listens(self):
        assert self.child.poll() is None, self.said()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", self.port)) == 0

    def said(self):
        return (self.folder / "sshd.log").read_text()

    def login(self, key, command="echo in"):
        """What a command says over ssh; None where nobody is let in."""
        done = subprocess.run(
            ["ssh", "-F", "none", "-i", key, "-p", str(self.port),
             "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
             "-o", "StrictHostKeyChecking=no",
             "-o", "UserKnownHostsFile=/dev/null", "-o", "IdentityAgent=none",
             "127.0.0.1", command], capture_output=True, text=True, check=False)
        return None if done.returncode == 255 else done.stdout.strip()

    def close(self):
        if self.child:
            self.child.terminate()
            self.child.wait()
            self.log.close()
