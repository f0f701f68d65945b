#!/usr/bin/env python3
"""The op tests on a GPU under compute-sanitizer's memcheck, racecheck and initcheck, in slices, with a table at the end.

    tools/sanitize_gpu.py build/cuda/src/ops/test_ops                  # all of it
    tools/sanitize_gpu.py build/cuda/src/ops/test_ops --seconds 60     # a slice; the same command goes on from there
    tools/sanitize_gpu.py build/cuda/src/ops/test_ops --filter 'Band|BlockSparse' --tools racecheck

What takes long is neither the kernels nor the tests' own work: every launch waits for the tool, and a process loads and
instruments the code anew. Hence a few processes of many tests each, and few beside each other, since a GPU takes turns
among processes and each launch then waits for all others' turns: one test took .7 s by itself, .9 under racecheck, and
3.8 in one of fourteen processes. cuBLAS' kernels are left alone (--kernel-name, by our namespace) but
for initcheck, which would take what they wrote for never written. Tests of many launches are dealt out over the
processes, and come last in each.

Results are kept in --state until the binary changes. A test that fails, dies or takes longer than --test-seconds ends
its process; the others go on in another one. Exit status 0: every test ran and left no finding that is not explained
below.
"""

import argparse
import collections
import hashlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

TOOLS = ("memcheck", "racecheck", "initcheck")
MANY_LAUNCHES = re.compile(r"KMeans|ChooseClusters|RoundClusters|ClusterScores")
# (tool, pattern of the finding, why it is none)
EXPLAINED = [
    ("racecheck", r"score_chunks|score_kernel|chunk_masses", "warps hand rows on by barriers that count bytes, which "
     "racecheck does not follow (docs/kernels/2026-11-21-gpu-kmeans.md)"),
    ("racecheck", r"work_slots|\| apply block_sparse_attention_hopper\S+ \| write_bias"
     r"|\bband_attention band_attention_hopper\S+( \| (band_tile|compute_band|tiles) |$)",
     "all lanes of a warp read or write, then __syncwarp, then one of them arrives at a barrier, which racecheck does not "
     "follow where __syncwarp is no instruction (docs/kernels/2026-11-21-hopper-attention.md)"),
    ("initcheck", r"finish_kernel", "reads what a product of cuBLASLt wrote with the copy engine, which initcheck does "
     "not see"),
]  # fmt: skip

GOOD = ("ok", "skipped")
PLACE = re.compile(r"([\w~]+)(?:<[^>]*>+)?\([^)]*\)[^+]*\+0x[0-9a-f]+(?: in ([\w.]+:\d+))?")
OFFSETS = re.compile(r"0x[0-9a-f]+|\[\d+ hazards\]")


def tests_of(binary):
    listed = subprocess.run([binary, "--gtest_list_tests"], check=True, capture_output=True, text=True).stdout
    tests, suite = [], ""
    for line in listed.splitlines():
        name = line.split("#")[0].rstrip()
        if name.startswith("  "):
            tests.append(suite + name.strip())
        elif name.endswith("."):
            suite = name
    return tests


def batches_of(tests, size):
    """Neighbours, which use the same code, and a share of the tests of many launches behind them."""
    many = [test for test in tests if MANY_LAUNCHES.search(test)]
    others = [test for test in tests if test not in many]
    count = -(-len(tests) // size)
    each = -(-len(others) // count) if count else 0
    batches = [others[at * each : (at + 1) * each] + many[at::count] for at in range(count)]
    return [batch for batch in batches if batch]


def findings_of(lines):
    """One line for each kind of report among the tool's lines: what was found, and the places in the source."""
    found = []
    for line in lines:
        text = line.removeprefix("=========").strip()
        if re.search(r"reported between|^Invalid|^Uninit|^Error:|^Warning:|^Barrier error|^Program hit|access error", text):
            found.append([re.sub(r" (between|at|on|of size).*", "", OFFSETS.sub("", text)), []])
        place = PLACE.search(text)
        if found and place:
            name = " ".join(filter(None, place.groups()))
            if name not in found[-1][1]:
                found[-1][1].append(name)
    return sorted({" | ".join([kind, *sorted(places)]) for kind, places in found})


def explanation(tool, finding):
    return next((why for of, pattern, why in EXPLAINED if of == tool and re.search(pattern, finding)), None)


class State:
    """{tool: {test: {status, seconds, findings}}} in a file, of one binary."""

    def __init__(self, path, binary):
        with open(binary, "rb") as file:
            self.binary = hashlib.sha256(file.read()).hexdigest()
        self.path, self.lock, self.results = path, threading.Lock(), {}
        if os.path.exists(path):
            with open(path) as file:
                saved = json.load(file)
            if saved["binary"] == self.binary:
                self.results = saved["results"]

    def done(self, tool):
        return self.results.get(tool, {})

    def add(self, tool, test, status, seconds, lines):
        result = {"status": status, "seconds": round(seconds, 2), "findings": findings_of(lines)}
        if status not in GOOD:
            result["said"] = " ".join(" ".join(lines).split())[:400]
        with self.lock:
            self.results.setdefault(tool, {})[test] = result
            with open(self.path + ".new", "w") as file:
                json.dump({"binary": self.binary, "results": self.results}, file, indent=1)
            os.replace(self.path + ".new", self.path)


class Sweep:
    def __init__(self, options, state):
        self.options, self.state = options, state
        self.deadline = time.monotonic() + options.seconds
        self.batches = queue.Queue()
        help_text = subprocess.run([options.sanitizer, "--help"], capture_output=True, text=True).stdout
        names = [flag for flag in ("--kernel-name", "--kernel-regex", "--filter") if flag in help_text]
        self.only_ours = [names[0], "kns=sparsevid"] if names else []

    def command(self, tool, tests):
        filters = [] if tool == "initcheck" else self.only_ours
        return [self.options.sanitizer, "--tool", tool, "--print-limit", "20", *filters, self.options.binary,
                "--gtest_filter=" + ":".join(tests)]  # fmt: skip

    def left(self):
        return self.deadline - time.monotonic()

    def run(self):
        for tool in self.options.tools:
            tests = [t for t in tests_of(self.options.binary) if re.search(self.options.filter, t)]
            tests = [t for t in tests if t not in self.state.done(tool)]
            for batch in batches_of(tests, self.options.batch):
                self.batches.put((tool, batch))
        workers = [threading.Thread(target=self.work) for _ in range(self.options.jobs)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    def work(self):
        while self.left() > 0:
            try:
                tool, tests = self.batches.get_nowait()
            except queue.Empty:
                return
            rest = self.run_batch(tool, tests)
            if rest and rest != tests:
                self.batches.put((tool, rest))

    def run_batch(self, tool, tests):
        """Runs tests in one process until one ends it. Those that did not run."""
        threads = str(max(1, (os.cpu_count() or 1) // self.options.jobs))  # of the reference, on the CPU
        environment = {"OMP_NUM_THREADS": threads, "GTEST_COLOR": "no", **os.environ, "SPARSEVID_HOST_TENSORS_ON": "cuda"}
        process = subprocess.Popen(self.command(tool, tests), env=environment, text=True, errors="replace",
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        began, running, lines, left = time.monotonic(), None, [], list(tests)
        patience = [began + self.options.start_seconds]
        timer = threading.Thread(target=self.stop_late, args=(process, patience))
        timer.start()

        def end(status):
            self.state.add(tool, running, status, time.monotonic() - began, lines)
            left.remove(running)

        for line in process.stdout:
            mark = re.match(r"\[ +(RUN|OK|FAILED|SKIPPED) +\] ([^\s,]+)", line)
            if not mark:
                lines.append(line)
            elif mark[1] == "RUN":
                running, began, lines = mark[2], time.monotonic(), []
                patience[0] = began + self.options.test_seconds
            elif running:  # the summary names tests again
                end(mark[1].lower())
                # What a failed test left on the device would fail those after it.
                if mark[1] == "FAILED":
                    running = None
                    os.killpg(process.pid, signal.SIGKILL)
                    break
                running = None
        process.stdout.close()
        process.wait()
        timer.join()
        if running and self.left() > 0:
            end("took too long" if time.monotonic() > patience[0] else f"died with {process.returncode}")
        elif left == tests and self.left() > 0:  # nor will others
            self.deadline = time.monotonic()
            print(f"{tool}: no test began: {''.join(lines[:5]).strip()}", file=sys.stderr)
        return left

    def stop_late(self, process, patience):
        while process.poll() is None:
            if time.monotonic() > min(patience[0], self.deadline):
                os.killpg(process.pid, signal.SIGKILL)
                return
            time.sleep(0.1)


def report(state, options):
    """Prints the table and what was found. Whether all is well."""
    wanted = [t for t in tests_of(options.binary) if re.search(options.filter, t)]
    well = True
    print(f"{'tool':<10} {'tests':>6} {'clean':>6} {'explained':>9} {'found':>6} {'ended otherwise':>15} "
          f"{'not run':>8} {'seconds':>8}")  # fmt: skip
    findings, ends = collections.defaultdict(list), []
    for tool in options.tools:
        done = {t: r for t, r in state.done(tool).items() if t in wanted}
        counts = collections.Counter()
        for test, result in done.items():
            reasons = [explanation(tool, f) for f in result["findings"]]
            for finding, reason in zip(result["findings"], reasons):
                findings[tool, finding, reason].append(test)
            if result["status"] not in GOOD:
                counts["ended"] += 1
                ends.append(f"{tool}: {test} {result['status']} after {result['seconds']} s: {result.get('said', '')}")
            elif result["findings"]:
                counts["explained" if all(reasons) else "found"] += 1
            else:
                counts["clean"] += 1
        not_run = len(wanted) - len(done)
        well &= not (not_run or counts["found"] or counts["ended"])
        print(f"{tool:<10} {len(wanted):>6} {counts['clean']:>6} {counts['explained']:>9} {counts['found']:>6} "
              f"{counts['ended']:>15} {not_run:>8} {sum(r['seconds'] for r in done.values()):>8.0f}")  # fmt: skip
    for (tool, finding, reason), tests in sorted(findings.items(), key=str):
        print(f"{tool}, {len(tests)} tests, first {tests[0]}: {finding}" + (f" (explained: {reason})" if reason else ""))
    print(*ends, sep="\n", end="\n" if ends else "")
    return well


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary", help="test_ops of a build with CUDA")
    parser.add_argument("--tools", nargs="+", choices=TOOLS, default=TOOLS)
    parser.add_argument("--filter", default="", help="regular expression of test names")
    parser.add_argument("--state", default="sanitize_gpu.json", help="results, also of earlier slices")
    parser.add_argument("--seconds", type=float, default=3600, help="stop after these")
    parser.add_argument("--test-seconds", type=float, default=90, help="end a test after these")
    parser.add_argument("--start-seconds", type=float, default=60, help="end a process that began no test by then")
    parser.add_argument("--jobs", type=int, default=4, help="processes at a time")
    parser.add_argument("--batch", type=int, default=30, help="tests of a process")
    parser.add_argument("--sanitizer", default="compute-sanitizer")
    options = parser.parse_args()
    options.binary = os.path.abspath(options.binary)
    if not shutil.which(options.sanitizer):
        sys.exit(f"sanitize_gpu: no {options.sanitizer} here; it comes with CUDA")
    state = State(options.state, options.binary)
    Sweep(options, state).run()
    sys.exit(0 if report(state, options) else 1)


if __name__ == "__main__":
    main()
