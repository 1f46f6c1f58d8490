"""The rules of every mode, for both backends: base.BACKEND is the shipped modes' whole ruleset, modes.BACKEND what each other
combination of mode, on_deny, when_down and portal has in its place."""
import difflib
import itertools
import pathlib
import re
import subprocess
import tempfile

from tap import Skip, check, equal

HERE = pathlib.Path(__file__).resolve().parent / "wiring"
BACKENDS = ("nft", "iptables")
CONFIG = '''inside = [ "lan0", "lan1" ];
internal = [ "10.0.0.0/8", "fd00::/8" ];
resolvers = [ "10.0.0.53", "fd00::53" ];
queues = 2;
tiers = ( );
'''
PORTALS = ('"10.0.0.1:80"', '"[fd00::1]:80"', '[ "10.0.0.1:80", "[fd00::1]:8080" ]')


def combinations():
    """A name and its settings; the first is the base."""
    denials = [("reject", None), ("drop", None)] + [("redirect", p) for p in PORTALS]
    for mode, (deny, portal), down in itertools.product(("enforce", "observe"), denials, ("closed", "open")):
        settings = f'mode = "{mode}"; on_deny = "{deny}"; when_down = "{down}"; when_full = "{down}";'
        yield settings + (f" portal = {portal};" if portal else "")


def printed(ctl, backend, settings):
    if not ctl.exists():
        raise Skip(f"{ctl} is not built")
    with tempfile.NamedTemporaryFile("w", suffix=".conf") as f:
        f.write(CONFIG + settings + "\n")
        f.flush()
        done = subprocess.run([ctl, "wiring", "print", "--backend", backend, "--config", f.name], capture_output=True,
                              text=True, timeout=60)
    check(done.returncode == 0, settings, done.stderr)
    return re.sub(r"TIERGATE-0[01]-[0-9a-f]{16}", "TIERGATE-NAME", done.stdout)


def texts(ctl, backend):
    """What the two files of a backend are to hold."""
    base, modes = None, []
    for settings in combinations():
        text = printed(ctl, backend, settings)
        base = base or text
        changes = list(difflib.unified_diff(base.splitlines(), text.splitlines(), n=0, lineterm=""))[2:]
        modes += [f"# {settings}"] + [re.sub(r"^@@.*", "@@", line) for line in changes]
    return {f"base.{backend}": base, f"modes.{backend}": "\n".join(modes) + "\n"}


def compare(ctl):
    "wiring print gives the rules of every mode, for both backends"
    for backend in BACKENDS:
        for name, text in texts(ctl, backend).items():
            equal(text.splitlines(), (HERE / name).read_text().splitlines(), name)


def update(ctl):
    HERE.mkdir(exist_ok=True)
    for backend in BACKENDS:
        for name, text in texts(ctl, backend).items():
            (HERE / name).write_text(text)
