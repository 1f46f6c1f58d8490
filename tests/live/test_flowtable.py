#!/usr/bin/env python3
"""A gateway whose allowed connections the kernel forwards past all rules (`flowtable`): whoever signs out, or spends
a quota, is cut off as without. Needs rules that are nft's: tests/qemu."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import wait_for  # noqa: E402
from tap import Skip, check, equal, main  # noqa: E402
from test_identity import SOCIAL, V4, V6, Open, covered, gateway, identity_lab, sign_in  # noqa: E402


def skips(lab, flow):
    """Whether the kernel forwards it past the rules."""
    table = lab.run("gateway", "cat", "/proc/net/nf_conntrack").stdout
    return any(f"sport={flow.port} " in line and "[OFFLOAD]" in line for line in table.splitlines())


def test_sign_out(lab):
    "a sign-out ends what skips the rules at once, at both ends; what opens then is denied"
    with gateway(lab, flowtable=["lan0", "lan1", "wan0"]):
        if "table inet tiergate" not in lab.run("gateway", "nft", "list", "tables").stdout:
            raise Skip("this kernel takes no rules of nft's")
        sign_in(lab)
        wait_for(lambda: covered(lab, V6), 10, "IPv6")
        for source in (V4, V6):
            flow = Open(lab, SOCIAL, source)
            for _ in range(3):
                flow.ask()
            check(skips(lab, flow), f"{source}: not in the flowtable")
            equal(lab.ctl("logout", "--user", "ann").returncode, 0, "logout")
            flow.end(lab, time.monotonic())
            check(not covered(lab, source), "still covered")
            sign_in(lab)
            wait_for(lambda: covered(lab, V6), 10, "IPv6")


if __name__ == "__main__":
    main(globals(), identity_lab)
