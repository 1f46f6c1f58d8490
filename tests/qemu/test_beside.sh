#!/bin/bash
# nft's rules beside programs that empty the ruleset or load it anew. The others of test_beside.py run on
# this machine's own kernel; an emulated one is too slow for all of them.
NAME=test_beside exec "$(dirname "$0")/test_wiring.sh" "${@:-test_nftables}"
