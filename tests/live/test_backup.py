#!/usr/bin/env python3
"""Backup and restore: on a clean root all is as it was, to the byte, mode and owner; a damaged file changes nothing."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab  # noqa: E402
from tap import check, equal, main  # noqa: E402


def ctl(lab, *words):
    return lab.ctl(*words, "--config", lab.config_file, socket=False)


def tree(folder, start):
    """{path: (mode, owner, group, bytes)}"""
    return {str(p.relative_to(start)): (p.stat().st_mode, p.stat().st_uid, p.stat().st_gid,
                                        p.read_bytes() if p.is_file() else None)
            for p in [folder, *sorted(folder.rglob("*"))] if p.exists()}


def test_whole(lab):
    "configuration, policy files, lists, users, state and history come back on a clean root"
    (lab.dir / "more.sites").write_text("news.example\n")
    (lab.dir / "users").write_text("ann:staff:$y$j9T$salt$hash\n")
    (lab.dir / "users").chmod(0o640)
    sites = [{"name": "good", "hosts": ["allowed.example"]}, {"name": "social", "lists": ["more.sites"]}]
    with lab.gateway(sites=sites):
        lab.reload(sites=sites, allow=[{"tiers": ["staff"], "sites": ["good"]}])  # begins a history; the end saves the state
    file, root = lab.dir / "gateway.tar.gz", lab.dir / "clean"
    done = ctl(lab, "backup", file)
    equal(done.returncode, 0, done.stderr)
    equal(file.stat().st_mode & 0o777, 0o600, "who may read it")
    done = ctl(lab, "restore", file, "--root", root, "--dry-run")
    equal(done.returncode, 0, done.stderr)
    check("more.sites" in done.stdout and "history/000001.conf" in done.stdout, done.stdout)
    root.mkdir()
    equal(list(root.iterdir()), [], "a dry run wrote something")
    done = ctl(lab, "restore", file, "--root", root)
    equal(done.returncode, 0, done.stderr)
    for name in ("tiergate.conf", "more.sites", "users", "state"):
        was = tree(lab.dir / name, lab.dir)
        check(was, name)
        equal(tree(root / str(lab.dir / name)[1:], root / str(lab.dir)[1:]), was, name)


def test_damaged(lab):
    "a file that is cut, or none, changes nothing and is said"
    lab.configure()
    file, root = lab.dir / "cut.tar.gz", lab.dir / "empty"
    root.mkdir()
    equal(ctl(lab, "backup", file).returncode, 0)
    file.write_bytes(file.read_bytes()[:-30])
    for path in (file, lab.config_file, lab.dir / "nothing"):
        done = ctl(lab, "restore", path, "--root", root)
        equal(done.returncode, 3, done.stdout)
        check("nothing was changed" in done.stderr, done.stderr)
        equal(list(root.iterdir()), [], path)
    equal(ctl(lab, "backup", "/nowhere/file").returncode, 3)


if __name__ == "__main__":
    main(globals(), lab)
