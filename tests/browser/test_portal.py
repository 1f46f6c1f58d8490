#!/usr/bin/env python3
"""A real browser, behind the gateway, at the portal. Screenshots are left in build/browser/."""
import os
import pathlib
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "live")]
from lab import BUILD  # noqa: E402
from tap import Skip  # noqa: E402
from test_portal import GATE, PASSWORD, portal_lab  # noqa: E402

HOME = BUILD / "browser"


def need():
    for tool in ("chromium", "node", "certutil"):
        if not shutil.which(tool):
            raise Skip(f"needs {tool} (scripts/install-deps browser)")
    for package in ("playwright-core", "axe-core"):
        if not (HOME / "node_modules" / package).exists():
            raise Skip(f"needs {package} of npm (scripts/install-deps browser)")


def trust(home, ca):
    """The lab's certificate in the place where the browser looks for roots."""
    db = home / ".pki/nssdb"
    db.mkdir(parents=True)
    for argv in (["-N", "--empty-password"], ["-A", "-t", "C,,", "-n", "lab", "-i", str(ca)]):
        subprocess.run(["certutil", "-d", f"sql:{db}", *argv], check=True, capture_output=True)


def run():
    need()
    with portal_lab({"segments": []}, logo=HERE / "logo.svg") as lab:
        home = lab.dir / "home"
        trust(home, lab.ca)
        logout = f"ip netns exec {lab.ns('gateway')} {BUILD}/tiergatectl --socket {lab.control} logout --user ann || :"
        env = {**os.environ, "HOME": str(home), "NODE_PATH": str(HOME / "node_modules"), "BASE": GATE,
               "SITE": "www.social.example", "SHOTS": str(HOME), "LOGOUT": logout,
               "PASSWORD": PASSWORD}
        argv = ["ip", "netns", "exec", lab.ns("client"), "node", str(HERE / "portal.js")]
        return subprocess.run(argv, env=env).returncode


if __name__ == "__main__":
    try:
        sys.exit(run())
    except Skip as reason:
        print(f"1..0 # SKIP {reason}")
