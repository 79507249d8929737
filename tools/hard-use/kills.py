#!/usr/bin/env python3
"""SIGKILL, SIGTERM and SIGINT at random moments: a run and every plain command, again and again, until each has ended.

    tools/hard-use/kills.py target/release/cognate --signals 100

What must hold, or this ends with 1: SIGTERM and SIGINT give 143 and 130 (or 0, where the work was done before); what is gone on
with ends with the bits of what was not disturbed; nothing half-written and no lock is left; no signal is heeded later than
`--longest` seconds.
"""

import argparse
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter

from world import COMMANDS, World, differences, leftovers

EXPECTED = {signal.SIGKILL: {-9}, signal.SIGTERM: {143, 0}, signal.SIGINT: {130, 0}}


class Campaign:
    def __init__(self, world, draw, longest):
        self.world, self.draw, self.longest = world, draw, longest
        self.counts, self.codes, self.faults, self.latest = Counter(), Counter(), [], 0.0

    def hit(self, arguments, most_s):
        """Begins a command and sends it a signal; whether it had ended by itself."""
        process = self.world.start(arguments)
        until = time.monotonic() + self.draw.uniform(0, most_s)
        while process.poll() is None and time.monotonic() < until:
            time.sleep(0.001)
        if process.poll() is not None:
            said = process.communicate()[1]
            if process.returncode != 0:
                self.faults.append(f"{arguments[0]}: {process.returncode} by itself: {said}")
            return True
        kind = self.draw.choice(list(EXPECTED))
        process.send_signal(kind)
        since = time.monotonic()
        said = process.communicate()[1]
        took = time.monotonic() - since
        self.counts[kind.name] += 1
        self.codes[f"{kind.name} {process.returncode}"] += 1
        self.latest = max(self.latest, took)
        if process.returncode not in EXPECTED[kind]:
            self.faults.append(f"{arguments[0]}: {process.returncode} after {kind.name}: {said}")
        if took > self.longest:
            self.faults.append(f"{arguments[0]}: {kind.name} heeded after {took:.1f} s")
        return process.returncode == 0

    def go(self, name, arguments, compared, signals):
        """Hits `arguments` so often, then lets it end, and compares its folder."""
        most_s = 1.1 * arguments_s(self.world, arguments("undisturbed"))
        before = sum(self.counts.values())
        while sum(self.counts.values()) < before + signals:
            if self.hit(arguments("disturbed"), most_s):
                # It came to its end: once more from the beginning.
                self.check(name, compared)
                shutil.rmtree(self.world.folder / "disturbed", ignore_errors=True)
        self.world.must(arguments("disturbed"))
        self.check(name, compared)

    def check(self, name, compared):
        first, second = (self.world.folder / out / compared for out in ("undisturbed", "disturbed"))
        for fault in differences(first, second):
            self.faults.append(f"{name}: {fault} differs")
        temporary = [str(path) for path in (self.world.folder / "temporary").iterdir()]
        for left in leftovers(second) + temporary:
            self.faults.append(f"{name}: {left} is left")


def arguments_s(world, arguments):
    since = time.monotonic()
    world.must(arguments)
    return time.monotonic() - since


def main():
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("program")
    flags.add_argument("--signals", type=int, default=100, help="in all; half of them on a run")
    flags.add_argument("--seed", type=int, default=0)
    flags.add_argument("--longest", type=float, default=10.0)
    flags = flags.parse_args()
    with tempfile.TemporaryDirectory(prefix="cognate-kills-") as folder:
        world = World(folder, flags.program)
        campaign = Campaign(world, random.Random(flags.seed), flags.longest)
        each = max(1, flags.signals // 2 // len(COMMANDS))
        for name in COMMANDS:
            campaign.go(name, lambda out: world.line(name, out, "done"), "", each)
            world.must(world.line(name, "done", "done"))
            for out in ("undisturbed", "disturbed"):
                shutil.rmtree(world.folder / out, ignore_errors=True)
        left = flags.signals - sum(campaign.counts.values())
        campaign.go("run", lambda out: ["run", "r.toml", "--out", f"{out}/run"], "run", left)
    print(f"{sum(campaign.counts.values())} signals on {len(COMMANDS) + 1} commands: {dict(campaign.codes)}")
    print(f"the slowest was heeded after {campaign.latest:.2f} s; {len(campaign.faults)} faults")
    for fault in campaign.faults:
        print(f"FAULT {fault}")
    sys.exit(1 if campaign.faults else 0)


if __name__ == "__main__":
    main()
