"""groups: control groups of a test's own, by a name with its process in it (tgb123): they go with it."""
import contextlib
import os
import pathlib
import re
import time

ROOT = pathlib.Path("/sys/fs/cgroup")


def folders(name):
    """Those of a name, in every hierarchy, the innermost first."""
    found = []
    for top in [*ROOT.glob(name), *ROOT.glob(f"*/{name}")]:
        found += [folder for folder, _, _ in os.walk(top, topdown=False)]
    return found


def remove(name, seconds=20):
    """Removes them once what was in them has ended, which a killed process does in its own time."""
    end = time.monotonic() + seconds
    while folders(name) and time.monotonic() < end:
        for folder in folders(name):
            with contextlib.suppress(OSError):
                os.rmdir(folder)
        time.sleep(0.05)
    return not folders(name)


def remove_left():
    """Those of tests that were killed before they could, and hold nothing any more."""
    tops = {path.name for pattern in ("tg[bm]*", "*/tg[bm]*") for path in ROOT.glob(pattern)}
    for name in tops:
        number = re.fullmatch(r"tg[bm](\d+)", name)
        if number and not pathlib.Path(f"/proc/{number[1]}").exists():
            remove(name, 0.1)
