"""machine: a booted systemd on this machine's own files (an overlay, nothing is written to them), in a
network namespace of a lab. Boots in about two seconds; gone with the with block."""
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile

import groups
from lab import Skip, wait_for

SANITIZER = [f"{k}={v}" for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")]  # how tests/run has it
CGROUPS = [c for c in map(pathlib.Path, ("/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd")) if c.is_dir()] \
    or [pathlib.Path("/sys/fs/cgroup")]


class Machine:
    def __init__(self, namespace, prepare=lambda root: None):
        """prepare(root) puts files into the machine before it boots."""
        self.namespace, self.prepare = namespace, prepare
        self.name = f"tgm{os.getpid()}"
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="tiergate-machine-"))
        self.root = self.dir / "root"
        self.boot = None
        self.init = None

    def __enter__(self):
        for tool in ("systemd-nspawn", "nsenter"):
            if not shutil.which(tool):
                raise Skip(f"needs {tool}")
        try:
            self._mount()
            self.prepare(self.root)
            self._boot()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _mount(self):
        def mount(*argv):
            done = subprocess.run(["mount", *argv], capture_output=True, text=True)
            if done.returncode:
                raise Skip(f"cannot mount an overlay: {done.stderr.strip()}")
        # on a tmpfs: the upper folder must not lie within the lower one, which is /
        mount("-t", "tmpfs", "-o", "size=1g", "tmpfs", str(self.dir))
        for d in ("up", "work", "root"):
            (self.dir / d).mkdir()
        mount("-t", "overlay", "overlay", "-o",
              f"lowerdir=/,upperdir={self.dir}/up,workdir={self.dir}/work", str(self.root))
        system = self.root / "etc/systemd/system"
        for wants in system.glob("*.wants"):
            shutil.rmtree(wants)  # none of this machine's own services
        for script in (self.root / "etc/init.d").glob("*"):
            unit = system / f"{script.name.removesuffix('.sh')}.service"
            if unit.name != "dbus.service" and not unit.exists():
                unit.symlink_to("/dev/null")
        for name in ("etc/resolv.conf", "usr/sbin/policy-rc.d"):
            (self.root / name).unlink(missing_ok=True)
        (self.root / "etc/machine-id").write_text("")
        if SANITIZER:
            manager = self.root / "etc/systemd/system.conf.d/sanitizer.conf"
            manager.parent.mkdir(exist_ok=True)
            manager.write_text(f"[Manager]\nDefaultEnvironment={' '.join(SANITIZER)}\n")

    def _boot(self):
        groups.remove_left()
        for c in CGROUPS:
            (c / self.name).mkdir()
        enter = "".join(f"echo $$ >{c / self.name}/cgroup.procs; " for c in CGROUPS)
        self.console = self.dir / "console"
        with self.console.open("w") as console:
            self.boot = subprocess.Popen(
                ["sh", "-c", enter + 'exec "$@"', "boot", "systemd-nspawn", "--quiet", "--register=no",
                 "--keep-unit", "--console=pipe", f"--network-namespace-path=/run/netns/{self.namespace}",
                 "--capability=CAP_NET_ADMIN,CAP_NET_RAW",
                 "--system-call-filter=landlock_create_ruleset landlock_add_rule landlock_restrict_self",
                 "-M", self.name, "-b", "-D", str(self.root), "systemd.unit=multi-user.target"],
                env={**os.environ, "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1",
                     "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"}, start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=console, stderr=console)

        def up():
            if self.boot.poll() is not None:
                raise Skip(f"systemd does not boot here: {self.console.read_text()[-300:]!r}")
            inits = subprocess.run(["pgrep", "-P", str(self.boot.pid)], capture_output=True, text=True)
            self.init = inits.stdout.split()[0] if inits.stdout else None
            return self.init and self.run("systemctl", "is-system-running").stdout.strip() in (
                "running", "degraded")
        wait_for(up, 60, "the boot of systemd")

    def _inside(self, *argv):
        return ["nsenter", "-t", self.init, "-a", "-r", "-w", "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                "HOME=/root", *SANITIZER, *map(str, argv)]

    def run(self, *argv, timeout=90, **more):
        """Runs a command in the machine; its output is text."""
        return subprocess.run(self._inside(*argv), capture_output=True, text=True, timeout=timeout, **more)

    def spawn(self, *argv):
        """Starts a command in the machine; the caller ends it."""
        return subprocess.Popen(self._inside("setpriv", "--pdeathsig", "KILL", *argv))

    def journal(self, unit):
        return self.run("journalctl", "-u", unit, "--no-pager", "-n", "40").stdout

    def __exit__(self, *_):
        if self.boot and self.boot.poll() is None:
            if self.init:
                self.run("systemctl", "poweroff")
            try:
                self.boot.wait(20)
            except subprocess.TimeoutExpired:
                self.boot.send_signal(signal.SIGKILL)
                self.boot.wait()
        groups.remove(self.name)
        subprocess.run(["umount", str(self.root)], capture_output=True)
        subprocess.run(["umount", str(self.dir)], capture_output=True)
        shutil.rmtree(self.dir, ignore_errors=True)
