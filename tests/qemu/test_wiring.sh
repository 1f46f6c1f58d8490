#!/bin/bash
# The ruleset's nft form on a stock Debian kernel: the live test of this file's name in a guest.
name=${NAME:-$(basename "$0" .sh)}
cd "$(dirname "$0")/../.." || exit 1
skip() { echo "1..1"; echo "ok 1 - $name with nft rules on a stock kernel # SKIP $1"; exit 0; }
[ "$(id -u)" = 0 ] || skip "needs root"
command -v qemu-system-x86_64 >/dev/null || skip "needs qemu-system-x86"
tests/qemu/guest fetch >/dev/null || skip "the kernel's package could not be fetched"
build=$(realpath --relative-to=. "${TIERGATE_BUILD:-build}")
# The console speaks in CR LF, and the machine's firmware before the tests do.
tests/qemu/guest run env TIERGATE_PATIENCE=8 TIERGATE_BACKEND=nft "TIERGATE_BUILD=$PWD/$build" PYTHONDONTWRITEBYTECODE=1 \
	python3 "tests/live/$name.py" "$@" | tr -d '\r' | sed -n '/^1\.\./,$p'
exit "${PIPESTATUS[0]}"
