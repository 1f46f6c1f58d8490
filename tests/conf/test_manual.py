#!/usr/bin/env python3
"""The manual: mandoc finds nothing to say of a page, what a page names is there, and what it shows loads."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
from tap import Skip, check, equal, main  # noqa: E402

BUILD = pathlib.Path(os.environ.get("TIERGATE_BUILD", ROOT / "build")).resolve()
PAGES = sorted((ROOT / "packaging/man").glob("*.[1-9]"))
# Pages of others that ours may name.
OTHERS = {"crypt 5", "ip 8", "logrotate 8", "nft 8", "rsyslogd 8", "systemd 1", "unbound.conf 5"}
# Whether a page is on this machine says nothing of the page that names it: names_are_there looks instead.
ELSEWHERE = re.compile(r"STYLE: referenced manual not found: Xr |^mandoc: outdated mandoc\.db lacks ")


def test_lint():
    "mandoc -Tlint has nothing to say of any page, style and all"
    if not shutil.which("mandoc"):
        raise Skip("no mandoc (scripts/install-deps test)")
    said = []
    for page in PAGES:
        done = subprocess.run(["mandoc", "-Tlint", "-Wall", page], capture_output=True, text=True, timeout=60)
        lines = (done.stdout + done.stderr).splitlines()
        said += [line for line in lines if not ELSEWHERE.search(line)]
    check(not said, "\n".join(said))


def test_names_are_there():
    "a page that another names is there, and has that section"
    ours = {" ".join(page.name.rsplit(".", 1)) for page in PAGES}
    check(len(ours) >= 8, "pages:", ours)
    for page in PAGES:
        for name in re.findall(r"\bXr (\S+ \d)", page.read_text()):
            check(name in ours | OTHERS, page.name, "names", name)


def configurations(page):
    """The literal blocks of a page that are a configuration: each begins with an option or a comment."""
    options = "inside|internal|resolvers|mode|policy|tiers|segments|hosts|sites|allow|deny|url"
    blocks = re.findall(r"^\.Bd -literal[^\n]*\n(.*?)^\.Ed$", page.read_text(), re.M | re.S)
    text = [b.replace("\\&", "").replace("\\(dq", '"').replace("\\e", "\\") for b in blocks]
    return [t for t in text if re.match(rf"(#[^\n]*\n)*({options})\s*=", t)]


# The certificate and key of a portal's example are not on this machine.
UNREAD = re.compile(r"^/\S+: (the file cannot be read|this user cannot read it): ")


def load(text, folder):
    """What is wrong with a text, as the file beside the shipped lists."""
    file = folder / "tiergate.conf"
    file.write_text(text)
    portal = re.search(r"^url\s*=", text, re.M)
    command = [BUILD / "tiergate-portal", "--check"] if portal else [BUILD / "tiergated", "check"]
    done = subprocess.run([*command, "--config", file], capture_output=True, text=True, timeout=60)
    wrong = [line for line in done.stderr.splitlines()
             if not line.startswith("warning: ") and not (portal and UNREAD.match(line))]
    check(portal or bool(done.returncode) == bool(wrong), "exit status", done.returncode, done.stderr)
    return "\n".join(wrong)


def test_examples():
    "every configuration that a page shows loads, its expect lines hold"
    count = {}
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "rules").symlink_to(ROOT / "rules")
        for page in PAGES:
            for text in configurations(page):
                equal(load(text, folder), "", f"{page.name}, errors of\n{text}\n")
                count[page.name] = count.get(page.name, 0) + 1
    equal(count, {"portal.conf.5": 1, "tiergate.7": 1, "tiergate.conf.5": 1}, "examples of each page")


if __name__ == "__main__":
    main(globals())
