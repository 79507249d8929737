#!/usr/bin/env python3
"""Runs all mutants of a crate from one build: see README.md."""

import argparse
import collections
import concurrent.futures as futures
import json
import os
import pathlib
import random
import re
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import time

TOOL = pathlib.Path(__file__).resolve().parent
# Errors that say that the changed expression has no such operation, or that an arm is needed: no build would compile it.
NO_SUCH_OPERATION = {"E0004", "E0277", "E0368", "E0369", "E0600", "E0308", "E0614"}
CAP_S = 300


def read(path, default=None):
    return json.loads(path.read_text()) if path.exists() else default


class Campaign:
    def __init__(self, args):
        self.args, self.root, self.out = args, args.tree.resolve(), args.out
        self.out.mkdir(parents=True, exist_ok=True)
        listed = self.out / "mutants.json"
        if not listed.exists():
            only = [part for glob in args.file for part in ("--file", glob)]
            done = subprocess.run([*args.cargo_mutants.split(), "mutants", "--list", "--json", "-p", args.package, *only],
                                  cwd=self.root, check=True, capture_output=True, text=True)
            listed.write_text(done.stdout)
        self.mutants = {n: mutant for n, mutant in enumerate(read(listed), 1)}
        self.crate = self.root / self.mutants[1]["file"].split("/src/")[0]
        self.results_path = self.out / "results.jsonl"
        self.lock = threading.Lock()

    # What is planted

    def restore(self):
        subprocess.run(["git", "checkout", "-q", "--", "."], cwd=self.root, check=True)
        (self.crate / "src/mutant_switch.rs").unlink(missing_ok=True)

    def build(self):
        """Test binaries by target, and errors."""
        command = [*self.args.cargo.split(), "test", "--release", "--locked", "--no-run", "--message-format=json", "-p", self.args.package]
        done = subprocess.run(command, cwd=self.root, capture_output=True, text=True)
        binaries, errors = {}, []
        for line in done.stdout.splitlines():
            message = json.loads(line) if line.startswith("{") else {}
            if message.get("reason") == "compiler-artifact" and message["profile"]["test"] and message["executable"]:
                binaries[message["target"]["name"]] = message["executable"]
            elif message.get("reason") == "compiler-message" and message["message"]["level"] == "error":
                errors.append(message["message"])
        if done.returncode and not errors:
            raise SystemExit(done.stderr[-4000:])
        return binaries, errors

    def culprits(self, error):
        """Which mutants an error is about, and whether it is in a mutant's own code."""
        def outermost(span):
            while span.get("expansion"):
                span = span["expansion"]["span"]
            return span
        spans = [outermost(span) for span in error["spans"]]
        spans.sort(key=lambda span: not span["is_primary"])
        for child in error["children"]:
            spans += [outermost(span) for span in child["spans"]]
        for span in spans:
            path = self.root / span["file_name"]
            if path.is_file() and path.is_relative_to(self.crate):
                text = path.read_bytes()
                around, at = [], 0
                while (at := text.find(b"/*", at)) >= 0 and at <= span["byte_start"]:
                    kind, end = text[at + 2 : at + 3], text.find(b"*/", at)
                    if kind in b"{[" and text[at + 3 : end].replace(b",", b"").isdigit():
                        around.append((kind, [int(n) for n in text[at + 3 : end].split(b",")]))
                    elif text[at:end] in (b"/*}", b"/*]"):
                        around.pop()
                    at += 2
                if around:
                    return around[-1][1], around[-1][0] == b"{"
                inside = text[span["byte_start"] : span["byte_end"]]
                if (at := inside.find(b"/*[")) >= 0:
                    return [int(n) for n in inside[at + 3 : inside.find(b"*/", at)].split(b",")], False
                # A match that no arm covers without the deleted one: the next of these.
                for found in re.finditer(rb"/\*\[([\d,]+)\*/", text[span["byte_end"] :]):
                    arms = [n for n in map(int, found[1].split(b",")) if self.mutants[n]["genre"] == "MatchArm"]
                    if arms and (error["code"] or {}).get("code") == "E0004":
                        return arms, True
        return [], False

    def plant(self):
        plan = read(self.out / "plan.json", {})
        if "binaries" in plan:
            return plan
        dropped = {int(n): why for n, why in plan.get("dropped", {}).items()}
        assert len(self.mutants) < 64 * 256, "room in switch.rs"
        while True:
            self.restore()
            files = collections.defaultdict(list)
            for n, mutant in self.mutants.items():
                if n not in dropped:
                    start = mutant["span"]["start"]
                    files[str(self.root / mutant["file"])].append(dict(
                        id=n, genre=mutant["genre"], line=start["line"], column=start["column"], replacement=mutant["replacement"]))
            asked = json.dumps([dict(path=path, mutants=ms) for path, ms in files.items()])
            done = subprocess.run([TOOL / "target/release/plant-mutants"], input=asked, check=True, capture_output=True, text=True)
            outcome = json.loads(done.stdout)
            for n in outcome["unviable"]:
                dropped[n] = "unviable: no such condition"
            shutil.copy(TOOL / "src/switch.rs", self.crate / "src/mutant_switch.rs")
            with open(self.crate / "src/lib.rs", "a") as lib:
                lib.write("\nmod mutant_switch;\n")
            binaries, errors = self.build()
            if not errors:
                break
            before = len(dropped)
            for error in errors:
                ids, own = self.culprits(error)
                code = (error["code"] or {}).get("code", "")
                for n in ids:
                    mutant = self.mutants[n]
                    value = mutant["genre"] == "FnValue" and "impl " not in mutant["function"]["return_type"]
                    unviable = own and (value or code in NO_SUCH_OPERATION)
                    dropped.setdefault(n, f"{'unviable' if unviable else 'own build'}: {code} {error['message']}")
            print(f"{len(errors)} errors, {len(dropped)} mutants dropped", flush=True)
            if len(dropped) == before:
                raise SystemExit("cannot tell which mutants these are about:\n" + "\n".join(e["rendered"] for e in errors[:20]))
        for n in self.mutants:
            if n not in outcome["planted"]:
                dropped.setdefault(n, "own build: in a constant or a macro")
        plan = dict(dropped=dropped, binaries=self.keep(binaries, "planted"))
        (self.out / "plan.json").write_text(json.dumps(plan, indent=1))
        self.restore()
        return read(self.out / "plan.json")

    def keep(self, binaries, name):
        folder = self.out / name
        folder.mkdir(exist_ok=True)
        return {target: str(shutil.copy(path, folder / target)) for target, path in binaries.items()}

    # Tests

    def test(self, binary, names, limit_s, mutant=0, reached=None):
        """"passed", "failed" or "timeout", and seconds of the processor."""
        with tempfile.TemporaryDirectory(dir=self.args.scratch, ignore_cleanup_errors=True) as scratch:
            env = dict(os.environ, CARGO_MANIFEST_DIR=str(self.crate), CARGO_PKG_NAME=self.args.package, TMPDIR=scratch,
                       PROPTEST_DISABLE_FAILURE_PERSISTENCE="true", PROPTEST_MAX_SHRINK_ITERS="0", COGNATE_MUTANT=str(mutant))
            if reached:
                env["COGNATE_MUTANT_REACHED"] = str(reached)
            def limits():
                resource.setrlimit(resource.RLIMIT_AS, (10 << 30, 10 << 30))
                resource.setrlimit(resource.RLIMIT_FSIZE, (4 << 30, 4 << 30))
                resource.setrlimit(resource.RLIMIT_CPU, (int(limit_s), int(limit_s) + 5))
                resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            child = subprocess.Popen(["nice", "-n", "10", binary, "--exact", "--test-threads=1", *names], cwd=self.crate, env=env,
                                     start_new_session=True, preexec_fn=limits,
                                     stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            # On a busy machine only the processor's time says something; the clock only stops what hangs without working.
            until, ended = time.monotonic() + 60 + 20 * limit_s, 0
            while not ended and time.monotonic() < until:
                time.sleep(0.02)
                ended, status, usage = os.wait4(child.pid, os.WNOHANG)
            if not ended:
                os.killpg(child.pid, signal.SIGKILL)
                _, status, usage = os.wait4(child.pid, 0)
            child.returncode = status
            hung = not ended or os.WIFSIGNALED(status) and os.WTERMSIG(status) in (signal.SIGXCPU, signal.SIGKILL)
            return "timeout" if hung else "failed" if status else "passed", usage.ru_utime + usage.ru_stime

    def baseline(self, binaries):
        """What each test reaches, and how long it takes."""
        path = self.out / "baseline.json"
        if path.exists():
            return read(path)
        tests = []
        for target, binary in binaries.items():
            def listed(*more):
                done = subprocess.run([binary, "--list", "--format", "terse", *more], cwd=self.crate, check=True, capture_output=True, text=True)
                return [line.removesuffix(": test") for line in done.stdout.splitlines() if line.endswith(": test")]
            ignored = set(listed("--ignored"))
            tests += [(target, name) for name in listed() if name not in ignored]
        def run(test):
            with tempfile.TemporaryDirectory(dir=self.args.scratch) as reached:
                outcome, seconds = self.test(binaries[test[0]], [test[1]], 1800, reached=reached)
                ids = {int(n) for file in pathlib.Path(reached).iterdir() for n in file.read_text().split()}
            if outcome != "passed":
                print(f"without a mutant, {test} {outcome}: left out", flush=True)
            return dict(target=test[0], name=test[1], outcome=outcome, seconds=seconds, reached=sorted(ids))
        with futures.ThreadPoolExecutor(self.args.jobs) as pool:
            done = list(pool.map(run, tests))
        if sum(test["outcome"] != "passed" for test in done) > self.args.failing:
            raise SystemExit("tests fail without a mutant")
        done = sorted((test for test in done if test["outcome"] == "passed"), key=lambda test: test["seconds"])
        path.write_text(json.dumps(done))
        return done

    def groups(self, binaries, tests):
        """Slow tests of a module share what they prepare: they run in one process, in the seconds that this gives back."""
        path = self.out / "groups.json"
        groups = read(path)
        if groups is None:
            slow = collections.defaultdict(list)
            for test in tests:
                if test["seconds"] > 5:
                    slow[test["target"] + " " + test["name"].rpartition("::")[0]].append(test)
            groups = {}
            for key, group in slow.items():
                outcome, seconds = self.test(binaries[group[0]["target"]], [test["name"] for test in group], 3600)
                if outcome == "passed" and seconds < 0.6 * sum(test["seconds"] for test in group):
                    groups[key] = seconds
            path.write_text(json.dumps(groups))
        return groups

    def decide(self, n, binaries, tests, groups, active):
        """Runs tests, quickest first, until one notices the mutant."""
        steps = {}  # what runs as one: target, seconds, names
        for test in tests:
            key = test["target"] + " " + test["name"].rpartition("::")[0]
            if test["seconds"] > 5 and key in groups:
                steps.setdefault(key, (test["target"], groups[key], []))[2].append(test["name"])
            else:
                steps[test["target"] + " " + test["name"] + "()"] = (test["target"], test["seconds"], [test["name"]])
        spent = 0
        for target, usual, names in sorted(steps.values(), key=lambda step: step[1]):
            if spent > CAP_S:
                return self.write(n, "undecided", seconds=spent)
            outcome, seconds = self.test(binaries[target], names, 10 + 5 * usual, active)
            spent += seconds
            if outcome != "passed":
                return self.write(n, "timeout" if outcome == "timeout" else "caught", by=names[0], seconds=spent)
        self.write(n, "missed", tests=len(tests), seconds=spent)

    def write(self, n, outcome, **more):
        with self.lock, open(self.results_path, "a") as file:
            file.write(json.dumps(dict(id=n, outcome=outcome, name=self.mutants[n]["name"], **more)) + "\n")
        self.report()

    def results(self):
        lines = self.results_path.read_text().splitlines() if self.results_path.exists() else []
        return {result["id"]: result for result in map(json.loads, lines)}

    def run(self):
        plan = self.plant()
        tests = self.baseline(plan["binaries"])
        groups = self.groups(plan["binaries"], tests)
        print(f"{len(tests)} tests, {sum(test['seconds'] for test in tests):.0f} s", flush=True)
        done = self.results()
        for n, why in plan["dropped"].items():
            if why.startswith("unviable") and int(n) not in done:
                self.write(int(n), "unviable", why=why)
        left = [n for n in self.mutants if str(n) not in plan["dropped"] and n not in done]
        # What is decided when a campaign is stopped is a fair sample of all.
        random.Random(0).shuffle(left)
        with futures.ThreadPoolExecutor(self.args.jobs) as pool:
            jobs = [pool.submit(self.decide, n, plan["binaries"], [t for t in tests if n in t["reached"]], groups, n) for n in left]
            for job in futures.as_completed(jobs):
                job.result()
        self.report()

    def run_own_builds(self):
        """Mutants that no switch could hold, one build each."""
        plan, tests, done = self.plant(), self.baseline(None), self.results()
        groups = self.groups(None, tests)
        for n in map(int, plan["dropped"]):
            if n in done:
                continue
            self.restore()
            mutant = self.mutants[n]
            path = self.root / mutant["file"]
            lines = path.read_text().splitlines(keepends=True)
            def offset(place):
                return sum(map(len, lines[: place["line"] - 1])) + place["column"] - 1
            text, span = "".join(lines), mutant["span"]
            path.write_text(text[: offset(span["start"])] + " " + mutant["replacement"] + " " + text[offset(span["end"]) :])
            binaries, errors = self.build()
            if errors:
                self.write(n, "unviable", why=errors[0]["message"])
                continue
            near = {m for m, other in self.mutants.items() if (other["file"], other["function"]) == (mutant["file"], mutant["function"])}
            reaching = [test for test in tests if near & set(test["reached"])]
            self.decide(n, binaries, reaching or tests, groups, 0)
        self.restore()
        self.report()

    def report(self):
        with self.lock:
            results = self.results()
            counts = collections.Counter(result["outcome"] for result in results.values())
            counts["left"] = len(self.mutants) - len(results)
            caught = counts["caught"] + counts["timeout"]
            decided = caught + counts["missed"]
            text = f"{len(self.mutants)} mutants: {', '.join(f'{n} {outcome}' for outcome, n in sorted(counts.items()))}\n"
            text += f"caught (timeouts among them) of those decided: {caught} of {decided}, {100 * caught / max(decided, 1):.1f} %\n"
            for outcome in ("missed", "undecided", "timeout"):
                names = [(n, r["name"]) for n, r in results.items() if r["outcome"] == outcome]
                text += f"\n{outcome}:\n" + "".join(f"{name}{'' if results[n].get('tests', 1) else ' (no test comes here)'}\n" for n, name in sorted(names))
            (self.out / "missed.txt").write_text("".join(f"{r['name']}\n" for _, r in sorted(results.items()) if r["outcome"] == "missed"))
            pathlib.Path(f"{self.out}.txt").write_text(text)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("package")
    parser.add_argument("out", type=pathlib.Path, help="folder of the campaign; a second call goes on where the first stopped")
    parser.add_argument("--tree", type=pathlib.Path, default=".", help="a work tree of its own: its changes are thrown away")
    parser.add_argument("--file", action="append", default=[], help="as of cargo mutants")
    parser.add_argument("--own-builds", action="store_true", help="then what cannot be switched, one build each")
    parser.add_argument("--cargo", default="nice -n 10 cargo", help="how cargo is called")
    parser.add_argument("--cargo-mutants", default="cargo-mutants")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--failing", type=int, default=0, help="how many tests may fail without a mutant: they are left out")
    parser.add_argument("--scratch", default=None, help="where tests write")
    args = parser.parse_args()
    campaign = Campaign(args)
    campaign.run()
    if args.own_builds:
        campaign.run_own_builds()
    print(pathlib.Path(f"{args.out}.txt").read_text())


if __name__ == "__main__":
    main()
