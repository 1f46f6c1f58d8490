#!/usr/bin/env python3
"""Who reads bytes of others has a fuzz target: READERS is held against daemon/ and tests/fuzz/."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent))
from tap import equal, main  # noqa: E402

# Calls by which bytes come in from outside the process, or are taken apart.
CALLS = re.compile(
    r"\b(p?read|recv|recvfrom|recvmsg|recvmmsg|netlink_receive|netlink_receive_many|netlink_dump|fopen|fgets|"
    r"fread|getline|getdelim|file_read|file_read_text|tool_run|json_loads|json_loadb|call_receive|ctl_receive|"
    r"config_read_string|cursor_of|MHD_lookup_connection_value)\(")

# file -> its fuzz targets. One that begins with "-" says why there is none.
READERS = {
    "base/clock.c": "-the kernel's boot id, a fixed number of bytes",
    "base/file.c": "config store users voucher",
    "base/netlink.c": "netlink neighbour",
    "base/zone.c": "-four bytes of the system's zone file",
    "config/load.c": "config policy",
    "config/named.c": "calendar config policy",
    "config/read.c": "config policy",
    "control/call.c": "call",
    "control/dispatch.c": "control",
    "control/server.c": "control",
    "control/watch.c": "-JSON that record.c has just made",
    "ctl/client.c": "call",
    "ctl/doctor_machine.c": "-numbers of /proc",
    "ctl/doctor_portal.c": "-what our own portal says of itself",
    "ctl/hits.c": "call",
    "ctl/history.c": "-the operator's own files",
    "ctl/init.c": "-/proc, resolv.conf and the operator's terminal",
    "ctl/metrics.c": "metrics",
    "ctl/people.c": "-a password, byte by byte",
    "ctl/probe_cross.c": "-a byte of the probe's own hello",
    "ctl/probe_rig.c": "-what ip(8) says, for people, and a character of /proc/sys",
    "ctl/shipped.c": "-files of configuration, byte for byte against those that were installed",
    "ctl/sessions.c": "call",
    "ctl/suggest.c": "-the operator's own list",
    "ctl/tier.c": "call",
    "ctl/top_feed.c": "call",
    "ctl/try_allowed.c": "allowed",
    "ctl/try_capture.c": "pcap",
    "ctl/strangers.c": "users",
    "ctl/watch.c": "call",
    "ctl/where.c": "call",
    "decision/read.c": "record",
    "decision/records.c": "records",
    "decision/sink.c": "-the last byte of our own log",
    "dns/dns_tcp.c": "dns_tcp",
    "dns/dnstap.c": "dnstap",
    "gateway/gateway.c": "-the operator's secret, taken as it is",
    "gateway/history.c": "-our own files",
    "identity/neighbour.c": "neighbour",
    "identity/users.c": "users",
    "identity/vouchers.c": "voucher",
    "lists/kept.c": "kept",
    "name/http2.c": "http",
    "name/quic_packet.c": "quic",
    "name/tls.c": "tls",
    "packet/packet.c": "packet",
    "packet/stream.c": "stream",
    "portal/asked.c": "-the running portal's own answer, in its own folder",
    "portal/assets.c": "-the operator's own logo",
    "portal/cookie.c": "portal portal_state",
    "portal/form.c": "form",
    "portal/limit.c": "portal_state",
    "portal/metrics.c": "-the operator's token, and a header that is hashed as a whole",
    "portal/redirect.c": "portal",
    "portal/request.c": "portal",
    "portal/server.c": "portal",
    "portal/text.c": "text",
    "radius/accounting_state.c": "accounting",
    "radius/daemon.c": "call",
    "radius/radius.c": "radius accounting",
    "radius/socket.c": "radius_server",
    "source/conntrack.c": "netlink",
    "source/copies.c": "nfqueue",
    "source/dnstap_socket.c": "dnstap",
    "source/link.c": "capture",
    "source/nfqueue.c": "nfqueue",
    "source/pcap_file.c": "pcap capture replay",
    "source/meter.c": "neighbour",
    "source/tally.c": "neighbour",
    "state/encode.c": "state",
    "state/store.c": "store",
    "wiring/links.c": "links",
    "wiring/loaded.c": "loaded",
    "wiring/ruleset.c": "ruleset",
    "wiring/tool.c": "-what a tool says, as it is: loaded.c reads it",
    "wiring/warn.c": "-/proc, and whether nft's listing holds a word",
    "wiring/watch.c": "-notices are thrown away unread: what there is now is asked for anew (ruleset, links)",
    "wiring/wiring.c": "-the status of tools, and numbers of /proc",
    "portal/gate.c": "call",
}


def code(path):
    """A file without its comments."""
    return re.sub(r"/\*.*?\*/", "", path.read_text(), flags=re.S)


def readers():
    return {str(p.relative_to(ROOT / "daemon")) for p in (ROOT / "daemon").glob("*/*.c")
            if CALLS.search(code(p))}


def test_readers_are_listed():
    "each file that reads bytes from outside is in READERS, with its fuzz target or why there is none"
    equal(sorted(readers() - set(READERS)), [])


def test_none_is_owed():
    "what has no target says why, and not that it will come"
    equal([f for f, v in READERS.items() if v[0] == "-" and re.search(r"missing|todo|later|owed", v, re.I)], [])


def test_list_is_true():
    "READERS names no file that reads nothing"
    equal(sorted(set(READERS) - readers()), [])


def test_targets_are_there():
    "each target of READERS is in tests/fuzz, and has a corpus"
    wanted = {t for v in READERS.values() if v[0] != "-" for t in v.split()}
    fuzz = ROOT / "tests/fuzz"
    equal(sorted(t for t in wanted if not (fuzz / f"fuzz_{t}.c").is_file()
                 or not any((fuzz / "corpus" / t).iterdir())), [])


if __name__ == "__main__":
    main(globals())
