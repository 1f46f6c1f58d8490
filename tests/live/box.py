"""box: other programs on a lab's host, with their own view of /etc, /var and /run and their own processes:
what they write there, and what they leave running, is gone with the with block."""
import os
import pathlib
import subprocess

from lab import PATIENCE, Skip

MOUNTS = """set -e
mkdir -p {dir}; mount -t tmpfs tmpfs {dir}
for d in etc var; do
	mkdir {dir}/$d {dir}/$d.w
	mount -t overlay overlay -o lowerdir=/$d,upperdir={dir}/$d,workdir={dir}/$d.w /$d
done
mount -t tmpfs tmpfs /run; mkdir /run/dbus /run/fail2ban
echo ready
exec sleep infinity"""


class Box:
    def __init__(self, lab, host="gateway"):
        self.lab, self.host, self.holder = lab, host, None
        self.dir = lab.dir / "box"

    def __enter__(self):
        # not by `ip netns exec`, whose own /sys has no control groups
        self.unshare = subprocess.Popen(
            ["nsenter", f"--net=/run/netns/{self.lab.ns(self.host)}", "unshare", "--mount", "--pid", "--fork", "--kill-child",
             "--mount-proc", "--propagation", "private", "sh", "-c", MOUNTS.format(dir=self.dir)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if self.unshare.stdout.readline() != "ready\n":
            self.unshare.kill()
            raise Skip(f"no mounts of its own here: {self.unshare.stderr.read().strip()[:120]}")
        children = pathlib.Path(f"/proc/{self.unshare.pid}/task/{self.unshare.pid}/children")
        self.holder = children.read_text().split()[0]
        return self

    def __exit__(self, *_):
        self.unshare.kill()
        self.unshare.wait()
        self.unshare.stdout.close()
        self.unshare.stderr.close()

    def argv(self, *argv):
        return ["nsenter", "-t", self.holder, "-m", "-n", "-p", "-w", "env", "-i",
                "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C.UTF-8", "PYTHONNOUSERSITE=1", *map(str, argv)]

    def run(self, command, check_exit=True, timeout=90):
        """Runs a shell's command; its output, and its errors after it."""
        done = subprocess.run(self.argv("sh", "-c", command), capture_output=True, text=True, timeout=timeout * PATIENCE)
        if check_exit and done.returncode:
            raise AssertionError(f"{command!r} exits {done.returncode}: {done.stdout}{done.stderr}")
        return done.stdout + done.stderr

    def spawn(self, *argv):
        """Starts a program that lasts; it ends with the box at the latest."""
        log = open(self.lab.dir / f"{pathlib.Path(argv[0]).name}.log", "a")  # noqa: SIM115
        p = subprocess.Popen(self.argv(*argv), stdout=log, stderr=log, stdin=subprocess.DEVNULL)
        log.close()
        self.lab.children.append(p)
        return p

    def write(self, path, text):
        subprocess.run(self.argv("sh", "-c", f"mkdir -p {os.path.dirname(path)}; cat >{path}"), input=text, text=True, check=True)
