#!/usr/bin/env python3
"""A calendar that is changed counts from the next reload on, for what is open, too; one that is broken or
gone takes nothing away and opens nothing."""
import datetime
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import lab  # noqa: E402
from tap import check, equal, main  # noqa: E402
from test_identity import GOOD, SOCIAL, Open  # noqa: E402

GUEST, STAFF = "10.77.1.2", "10.77.1.3"


def ics(lab, first, over, tail="END:VCALENDAR\r\n"):
    """An event of whole days, as many from today as given: midnight is far on either side."""
    day = [f"{datetime.date.today() + datetime.timedelta(days=n):%Y%m%d}" for n in (first, over)]
    (lab.dir / "term.ics").write_text(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nPRODID:-//lab//EN\r\nBEGIN:VEVENT\r\nUID:1\r\n"
        f"DTSTAMP:20260101T000000Z\r\nDTSTART;VALUE=DATE:{day[0]}\r\nDTEND;VALUE=DATE:{day[1]}\r\n"
        f"END:VEVENT\r\n{tail}")


def gateway(lab):
    ics(lab, -5, 5)
    return lab.gateway(schedules=[{"name": "term", "zone": "UTC", "calendar": "term.ics"}],
                       allow=[{"tiers": ["guest"], "sites": ["good"], "when": "term"},
                              {"tiers": ["staff"], "sites": ["social"]}])


def open_now(lab, source=GUEST):
    return lab.curl("https://www.allowed.example/", source).ok


def refused(lab, said):
    before = lab.policy()
    done = lab.ctl("reload")
    equal(done.returncode, 1, done.stdout + done.stderr)
    check(said in done.stdout + done.stderr, done.stdout, done.stderr)
    equal(lab.policy(), before)
    check("reload_refused" in lab.status(), lab.status())


def test_changed(lab):
    "a reload with another calendar ends the open flow, and nobody else's; the first one opens again"
    with gateway(lab):
        goes, stays = Open(lab, GOOD, GUEST, "client"), Open(lab, SOCIAL, STAFF, "client")
        lab.reload()
        goes.ask()
        before = lab.policy()
        ics(lab, 100, 200)
        lab.reload()
        check(lab.policy() != before, "the calendar is not of the policy's digest")
        goes.end(lab, time.monotonic())
        check(not open_now(lab))
        stays.ask()
        why = lab.ctl("why", "--address", GUEST, "--to", GOOD).stdout
        check("the line holds only on" in why, why)
        ics(lab, -5, 5)
        lab.reload()
        check(open_now(lab))
        equal(lab.policy(), before)


def test_broken(lab):
    "a reload with a broken calendar, or without one, is refused by name, and all stays as it was"
    with gateway(lab):
        flow = Open(lab, GOOD, GUEST, "client")
        ics(lab, 100, 200, tail="BEGIN:VEVENT\r\nDTSTART:yesterday\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n")
        refused(lab, "term.ics:11: ")
        flow.ask()
        ics(lab, 100, 200, tail="")  # cut off
        refused(lab, "term.ics")
        (lab.dir / "term.ics").unlink()
        refused(lab, "term.ics")
        flow.ask()
        check(open_now(lab))
        ics(lab, 100, 200)
        equal(lab.ctl("reload").returncode, 0)
        flow.end(lab, time.monotonic())
        check("reload_refused" not in lab.status(), lab.status())


if __name__ == "__main__":
    main(globals(), lab)
