#!/usr/bin/env python3
"""History: each policy that was in force is kept, with who loaded it, and can be put in force again."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab, wait_for  # noqa: E402
from tap import check, equal, main  # noqa: E402

GUEST, OTHER = "10.77.1.2", [{"tiers": ["guest"], "sites": ["social"]}]


def history(lab):
    done = lab.ctl("history", "--config", lab.config_file, "--json", socket=False)
    equal(done.returncode, 0, done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def allowed(lab):
    return [n for n in ("www.allowed.example", "www.social.example") if lab.curl(f"https://{n}/", GUEST).ok]


def test_history(lab):
    "it begins with the first reload that changes something, with who asked; a start goes on with it"
    with lab.gateway():
        lab.reload()
        check(not (lab.dir / "state/history").exists(), "a reload that changes nothing")
        equal(lab.ctl("history", "--config", lab.config_file, socket=False).returncode, 3)
        first = lab.status()["policy"]
        lab.configure(allow=OTHER)
        lab.wire()
        equal(lab.ctl("reload").returncode, 0)
        want = [(1, "the start", first), (2, "root", lab.status()["policy"])]
        equal([(h["number"], h["by"], h["policy"]) for h in history(lab)], want)
        shown = lab.ctl("history", "show", "1", "--config", lab.config_file, socket=False).stdout
        check("allowed.example" in shown, shown)
        equal(lab.ctl("history", "show", "9", "--config", lab.config_file, socket=False).returncode, 1)
        equal(oct((lab.dir / "state/history/000001.conf").stat().st_mode & 0o777), "0o600")
        lab.stop(wire=False)
        lab.launch()
        wait_for(lambda: lab.told("READY=1"), 15, "the start")
        equal(len(history(lab)), 2, "a start with the same")
        lab.stop()
        lab.configure()
        lab.start()
        equal([h["by"] for h in history(lab)], ["the start", "root", "the start"])


def test_bad_reload(lab):
    "a refused reload is not kept"
    with lab.gateway():
        lab.reload(allow=OTHER)
        lab.configure('modus = "x";\n')
        check(lab.ctl("reload").returncode != 0)
        lab.configure()
        equal(len(history(lab)), 2)


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
        lab.reload(allow=OTHER)
        text = (folder / "000001.conf").read_text()
        for n in range(3, 151):
            (folder / f"{n:06}.conf").write_text(text.replace("# history 1\n", f"# history {n}\n").replace("lan0", f"l{n}"))
        lab.reload(allow=[])
        numbers = sorted(int(p.stem) for p in folder.glob("*.conf"))
        equal((numbers[-1], len(numbers)), (152, 100))


def launch(lab, ends=None):
    """A start with --last-good; ends: the exit status with which it is refused."""
    lab.stop(wire=False)
    lab.log_path.unlink(missing_ok=True)
    lab.launch(options=("--last-good", str(lab.dir / "state")))
    wait_for(lambda: lab.told("READY=1") or lab.daemon.poll() is not None, 15, "the start")
    equal(lab.daemon.poll(), ends, lab.log())


def says_last_good(lab, number):
    "log, status, doctor, metric and service manager"
    status = lab.status()
    check(f"{number} of the history" in status["last_good"], status)
    check(f"{number} of the history" in lab.log() and "mend" in lab.log(), lab.log())
    shown = lab.ctl("status")
    equal(shown.returncode, 1, shown.stdout)
    check("NOT OK" in shown.stdout and "last good policy" in shown.stdout, shown.stdout)
    doctor = lab.ctl("doctor", "--config", lab.config_file)
    check(any(line.startswith("BAD   last good") for line in doctor.stdout.splitlines()), doctor.stdout)
    check("tiergate_last_good_in_force 1\n" in lab.ctl("metrics").stdout)
    check(lab.told("STATUS=policy " + status["policy"] + "; in force is the last good"), lab.messages)


def test_last_good(lab):
    "a file that is bad or not there at the start: the last good policy with its lists is in force and said, until a reload"
    names = lab.dir / "last.sites"
    names.write_text("allowed.example\n")
    sites = [{"name": "good", "lists": [str(names)]}, {"name": "social", "hosts": ["social.example"]}]
    with lab.gateway(sites=sites):
        launch(lab)  # begins a history
        text = lab.config_file.read_text()
        check("last_good" not in lab.status(), lab.status())
        equal(len(history(lab)), 1)
        names.unlink()
        for bad in (text + 'modus = "x";\n', 'mode = "', "", None):
            if bad is None:
                lab.config_file.unlink()
            else:
                lab.config_file.write_text(bad)
            launch(lab)
            equal(allowed(lab), ["www.allowed.example"])
            says_last_good(lab, 1)
            equal(sorted(p.name for p in (lab.dir / "state/history").iterdir()), ["000001.conf"])
        check(lab.ctl("reload").returncode != 0, "a file that is not there is taken")
        says_last_good(lab, 1)
        names.write_text("allowed.example\n")
        lab.config_file.write_text(text)
        done = lab.ctl("reload")
        equal(done.returncode, 0, done.stderr)
        check("last_good" not in lab.status(), lab.status())
        check("NOT OK" not in lab.ctl("status").stdout)
        check("tiergate_last_good_in_force 0\n" in lab.ctl("metrics").stdout)
        check("last good" not in lab.ctl("doctor", "--config", lab.config_file).stdout)


def test_last_good_refused(lab):
    "an entry of the history that is itself refused is passed over, loudly; without one, or without the option, the start is refused"
    with lab.gateway():
        launch(lab)
        text = lab.config_file.read_text()
        lab.reload(allow=OTHER)
        kept = lab.dir / "state/history"
        (kept / "000007.conf").write_text((kept / "000002.conf").read_text() + "modus = 1;\n")  # and a gap before it
        lab.config_file.write_text(text + "modus = 2;\n")
        launch(lab)
        says_last_good(lab, 2)
        check("000007.conf" in lab.log(), lab.log())
        equal(allowed(lab), ["www.social.example"])
        lab.stop(wire=False)
        lab.launch()
        equal(lab.daemon.wait(15), 1, "without the option")
        for entry in kept.glob("*.conf"):
            entry.write_text("modus = 3;\n")
        launch(lab, ends=1)
        check("can be used in its place" in lab.log() and "modus" in lab.log(), lab.log())
        for entry in kept.glob("*.conf"):
            entry.unlink()
        kept.rmdir()
        launch(lab, ends=1)
        check("can be used in its place" in lab.log(), lab.log())
        lab.config_file.write_text(text)
        launch(lab)
        check("last_good" not in lab.status(), lab.status())


if __name__ == "__main__":
    main(globals(), lab)
