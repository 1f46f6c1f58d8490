#!/usr/bin/env python3
"""History: each policy that was in force is kept, with who loaded it, and can be put in force again."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab  # noqa: E402
from tap import check, equal, main  # noqa: E402

GUEST, OTHER = "10.77.1.2", [{"tiers": ["guest"], "sites": ["social"]}]


def history(lab):
    done = lab.ctl("history", "--config", lab.config_file, "--json", socket=False)
    equal(done.returncode, 0, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def allowed(lab):
    return [n for n in ("www.allowed.example", "www.social.example") if lab.curl(f"https://{n}/", GUEST).ok]


def test_history(lab):
    "a start and each reload that changes something is kept, with who asked; what changes nothing is not"
    with lab.gateway():
        first = history(lab)
        equal([(h["number"], h["by"], h["policy"]) for h in first], [(1, "the start", lab.status()["policy"])])
        lab.reload()
        equal(len(history(lab)), 1, "a reload that changes nothing")
        lab.configure(allow=OTHER)
        lab.wire()
        equal(lab.ctl("reload").returncode, 0)
        second = history(lab)[1:]
        equal([(h["number"], h["by"], h["policy"]) for h in second], [(2, "root", lab.status()["policy"])])
        shown = lab.ctl("history", "show", "1", "--config", lab.config_file, socket=False).stdout
        check('hosts = [ "allowed.example"' in shown or "allowed.example" in shown, shown)
        equal(lab.ctl("history", "show", "9", "--config", lab.config_file, socket=False).returncode, 1)
        equal(oct((lab.dir / "state/history/000001.conf").stat().st_mode & 0o777), "0o600")


def test_bad_reload(lab):
    "a refused reload is not kept"
    with lab.gateway():
        lab.configure('modus = "x";\n')
        check(lab.ctl("reload").returncode != 0)
        lab.configure()
        equal(len(history(lab)), 1)


def test_rollback(lab):
    "rollback puts an earlier policy in force, keeps the file that it replaces, and is a load like any other"
    with lab.gateway():
        lab.reload(allow=OTHER)
        equal(allowed(lab), ["www.social.example"])
        was = lab.config_file.read_text()
        done = lab.ctl("rollback", "1", "--config", lab.config_file)
        equal(done.returncode, 0, done.stdout + done.stderr)
        equal(allowed(lab), ["www.allowed.example"])
        equal(pathlib.Path(f"{lab.config_file}.before-rollback").read_text(), was)
        equal([h["number"] for h in history(lab)], [1, 2, 3])
        equal(lab.ctl("rollback", "7", "--config", lab.config_file).returncode, 1)
        kept = lab.dir / "state/history/000002.conf"
        kept.write_text(kept.read_text() + 'modus = "x";\n')
        now = lab.config_file.read_text()
        done = lab.ctl("rollback", "2", "--config", lab.config_file)
        equal(done.returncode, 1, done.stdout)
        check("modus" in done.stderr, done.stderr)
        equal(lab.config_file.read_text(), now, "a bad one was written")


def test_refused_rollback(lab):
    "what the daemon refuses is taken back: the file is as it was"
    with lab.gateway():
        lab.reload(allow=OTHER)
        kept = lab.dir / "state/history/000001.conf"
        kept.write_text(kept.read_text().replace("lan0", "lan9"))  # other rules than those that are loaded
        was = lab.config_file.read_text()
        done = lab.ctl("rollback", "1", "--config", lab.config_file)
        check(done.returncode != 0, done.stdout)
        equal(lab.config_file.read_text(), was)
        equal(allowed(lab), ["www.social.example"])


def test_bound(lab):
    "a hundred are kept, the oldest go"
    folder = lab.dir / "state/history"
    with lab.gateway():
        text = (folder / "000001.conf").read_text()
        for n in range(2, 151):
            (folder / f"{n:06}.conf").write_text(text.replace("# history 1\n", f"# history {n}\n").replace("lan0", f"l{n}"))
        lab.reload(allow=OTHER)
        numbers = sorted(int(p.stem) for p in folder.glob("*.conf"))
        equal((numbers[0], numbers[-1], len(numbers)), (52, 151, 100))


if __name__ == "__main__":
    main(globals(), lab)
