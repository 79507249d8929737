#!/usr/bin/env python3
"""Full disks: a run and every plain command with too little room, then with enough.

    tools/hard-use/full_disks.py target/release/cognate --disks 20

As root, each output lies on a tmpfs of some hundred kilobytes that is made larger step by step; otherwise no file may grow beyond a
limit, which shows the same error elsewhere. What must hold, or this ends with 1: the command fails with 1 and says so, never with a
panic or a signal; once there is room it goes on to the bits of what was not disturbed; nothing half-written is left.
"""

import argparse
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

from world import COMMANDS, World, differences, leftovers


class Tmpfs:
    """A small disk at `folder`."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "cognate", folder], check=True)

    def give(self, kib):
        """Room for so much; where more is there already, that stays."""
        subprocess.run(["mount", "-o", f"remount,size={kib}k", self.folder], check=False, stderr=subprocess.DEVNULL)
        return {}

    def close(self):
        subprocess.run(["umount", self.folder], check=True)
        self.folder.rmdir()




class Limit:
    """No file larger than so much, for the process alone."""

    def __init__(self, folder):
        self.folder = folder
        folder.mkdir()

    def give(self, kib):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (kib * 1024, kib * 1024))

        return {"preexec_fn": limit}

    def close(self):
        shutil.rmtree(self.folder)


def fill(world, draw, kind, name, arguments, compared, disks, faults):
    """Lets a command meet `disks` full disks before it has room; how many it met."""
    met = 0
    world.must(arguments("undisturbed"))
    disk = kind(world.folder / "small")
    kib = draw.choice([4, 16, 64])
    while met < disks:
        code, said = world.run(arguments("small"), **disk.give(kib))
        if code == 0:
            break
        met += 1
        if code != 1 or "error" not in said:
            faults.append(f"{name}: {code} with room for {kib} KiB: {said}")
        kib = int(kib * draw.uniform(1.2, 2.5)) + 1
    disk.give(1 << 20)
    world.must(arguments("small"))
    for fault in differences(world.folder / "undisturbed" / compared, world.folder / "small" / compared):
        faults.append(f"{name}: {fault} differs")
    for left in leftovers(world.folder / "small" / compared):
        faults.append(f"{name}: {left} is left")
    disk.close()
    shutil.rmtree(world.folder / "undisturbed", ignore_errors=True)
    return met


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("program")
    flags.add_argument("--disks", type=int, default=20, help="in all, at most; half of them on a run")
    flags.add_argument("--seed", type=int, default=0)
    flags = flags.parse_args()
    kind = Tmpfs if os.geteuid() == 0 else Limit
    if kind is Limit:
        print("no root, so no small disk: files are kept from growing instead", file=sys.stderr)
    met, faults, draw = 0, [], random.Random(flags.seed)
    with tempfile.TemporaryDirectory(prefix="cognate-disks-") as folder:
        world = World(folder, flags.program)
        each = max(1, flags.disks // 2 // len(COMMANDS))
        for name in COMMANDS:
            met += fill(world, draw, kind, name, lambda out: world.line(name, out, "done"), "", each, faults)
            world.must(world.line(name, "done", "done"))
        run = lambda out: ["run", "r.toml", "--out", f"{out}/run"]
        met += fill(world, draw, kind, "run", run, "run", flags.disks - met, faults)
    print(f"{met} full disks on {len(COMMANDS) + 1} commands ({kind.__name__.lower()}); {len(faults)} faults")
    for fault in faults:
        print(f"FAULT {fault}")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
