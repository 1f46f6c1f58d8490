#!/usr/bin/env python3
"""Completion in real shells against a running daemon: commands and options as the help has them, names
as the policy has them."""
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from lab import BUILD, lab  # noqa: E402
from tap import check, equal, main  # noqa: E402

FILES = pathlib.Path(__file__).resolve().parents[2] / "packaging/completions"
# Presses Tab in an interactive zsh: what it lists is what compadd was given.
ZSH = """
zmodload zsh/zpty; zpty z zsh -f -i
zpty -w z "PS1= PATH=$BIN:$PATH; fpath=($FILES \$fpath); autoload -U compinit; compinit -D -u; zstyle ':completion:*' list-prompt ''; LISTMAX=0; stty columns 400 rows 400"
zpty -w z "compadd () { local -a got; builtin compadd -O got \"\$@\"; print -rl -- COMPLETES:\$^got >>$OUT; builtin compadd \"\$@\" }"
zpty -w z "bindkey '^I' complete-word; echo re''ady"
zpty -r z out '*ready*'
zpty -w -n z "$LINE"$'\t'
for i in {1..300}; do grep -q DONE $OUT 2>/dev/null && break; sleep 0.02; [[ -s $OUT ]] && (( ++seen > 25 )) && break; done
zpty -d z
"""


def wrapper(lab):
    """tiergatectl that asks this lab's daemon, from its namespace."""
    folder = lab.dir / "bin"
    folder.mkdir(exist_ok=True)
    (folder / "tiergatectl").write_text(f'#!/bin/sh\nexec {pathlib.Path(BUILD).resolve()}/tiergatectl --socket {lab.control} "$@"\n')
    (folder / "tiergatectl").chmod(0o755)
    return folder


def bash(lab, line):
    words = line.split(" ")
    script = (f"PATH={wrapper(lab)}:$PATH; . {FILES}/tiergatectl.bash; COMP_WORDS=({' '.join(w or chr(39)*2 for w in words)}); "
              f"COMP_CWORD={len(words) - 1}; cd /; _tiergatectl; printf '%s\\n' \"${{COMPREPLY[@]}}\"")
    return set(subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split("\n"))


def fish(lab, line):
    script = f"set -x PATH {wrapper(lab)} $PATH; source {FILES}/tiergatectl.fish; cd /; complete -C '{line}'"
    done = subprocess.run(["fish", "--no-config", "-c", script], capture_output=True, text=True)
    equal(done.returncode, 0, done.stderr)
    return {x.split("\t")[0] for x in done.stdout.split("\n")}


def zsh(lab, line):
    out = lab.dir / "zsh.out"
    out.unlink(missing_ok=True)
    subprocess.run(["zsh", "-f", "-c", f"BIN={wrapper(lab)} FILES={FILES} OUT={out} LINE={line!r}\n{ZSH}"],
                   capture_output=True, text=True, timeout=60, cwd="/")
    return {x.removeprefix("COMPLETES:") for x in (out.read_text() if out.exists() else "").split("\n")}


def commands():
    text = subprocess.run([BUILD / "tiergatectl", "--help"], capture_output=True, text=True).stdout
    return set(re.findall(r"^  ([a-z]+) ", text, re.M))


def each(lab, shell):
    with lab.gateway():
        offered = shell(lab, "tiergatectl ")
        check(commands() <= offered, f"not offered: {commands() - offered}")
        check({"--segment", "--only", "--until"} <= shell(lab, "tiergatectl lockdown --"), "options")
        check({"guest", "staff"} <= shell(lab, "tiergatectl sessions --tier "), "tiers")
        check({"good", "social"} <= shell(lab, "tiergatectl lockdown --only "), "sites")
        check({"school", "office", "runners"} <= shell(lab, "tiergatectl init --example "), "examples")
        check({"nft", "iptables"} <= shell(lab, "tiergatectl wiring up --backend "), "backends")
        check("staff" not in shell(lab, "tiergatectl lockdown --only "), "a tier is no site")


def options(command):
    text = subprocess.run([BUILD / "tiergatectl", command, "--help"], capture_output=True, text=True).stdout
    return set(re.findall(r"--[a-z-]+", text))


def test_bash(lab):
    "bash; each option of each command, and files only where a command takes some"
    each(lab, bash)
    for command in sorted(commands()):
        check(options(command) <= bash(lab, f"tiergatectl {command} --"), command, options(command))
    equal(bash(lab, "tiergatectl wiring u") - {""}, {"up"})
    for line, files in (("status ", False), ("wiring ", False), ("why --to ", False), ("report ", True), ("restore ", True),
                        ("status --config ", True), ("diff ", True)):
        equal("etc" in bash(lab, "tiergatectl " + line), files, line)


def test_fish(lab):
    "fish"
    each(lab, fish)


def test_zsh(lab):
    "zsh"
    each(lab, zsh)


if __name__ == "__main__":
    main(globals(), lab)
