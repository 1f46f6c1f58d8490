"""tap: runs a module's test_* functions in the order they stand and prints TAP.

    from tap import main, Skip
    def test_denied_is_reset(lab): "a denied client gets a reset" ...
    if __name__ == "__main__": main(globals(), make_context)

A test is named by the first line of its docstring. What it raises fails it; Skip skips it, with the
reason. `context` (optional) is a context manager whose value every test gets; when it raises Skip,
all are skipped. Arguments on the command line select tests by a part of their function's name.
"""
import contextlib
import signal
import sys
import traceback


class Skip(Exception):
    """This test cannot run here; the message says why."""


def check(condition, *what):
    """Fails the test with what was seen. Unlike assert it stays under python -O."""
    if not condition:
        raise AssertionError(" ".join(str(w) for w in what) or "condition is false")


def equal(got, want, what="value"):
    check(got == want, f"{what}: got {got!r}, want {want!r}")


def note(text):
    for line in str(text).splitlines():
        print("#", line, flush=True)


def name_of(test):
    return (test.__doc__ or test.__name__).strip().splitlines()[0].replace("#", "no.")


def run_one(number, test, arguments):
    try:
        test(*arguments)
    except Skip as reason:
        print(f"ok {number} - {name_of(test)} # SKIP {reason}", flush=True)
    except Exception:
        print(f"not ok {number} - {name_of(test)}", flush=True)
        note(traceback.format_exc())
        return False
    else:
        print(f"ok {number} - {name_of(test)}", flush=True)
    return True


def main(module, context=None):
    tests = [f for n, f in module.items() if n.startswith("test_") and callable(f)]
    if len(sys.argv) > 1:
        tests = [t for t in tests if any(a in t.__name__ for a in sys.argv[1:])]
    print(f"1..{len(tests)}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the runner's timeout: clean up, then go
    good = True
    try:
        with context() if context else contextlib.nullcontext() as value:
            for i, test in enumerate(tests, 1):
                good = run_one(i, test, () if context is None else (value,)) and good
    except Skip as reason:
        for i, test in enumerate(tests, 1):
            print(f"ok {i} - {name_of(test)} # SKIP {reason}", flush=True)
    sys.exit(0 if good else 1)
