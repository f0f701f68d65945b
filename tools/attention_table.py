#!/usr/bin/env python3
"""How close each attention method comes to dense attention, and what it costs: the tables of docs/methods.

    tools/attention_table.py --program build/release/bin/sparsevid --model assets/demo-model \
        --prompts 4 --json bench/results/attention_quality.json [-- flags of generate]

For every prompt one dense run, then one run per method, switch and density with the same seed; PSNR and SSIM are those of
`sparsevid compare`, seconds those of the run reports; with more than one of --jobs they would say nothing and are left out.
--timed-densities repeats one prompt's runs of the methods one after the other, for seconds that can be compared; with --prompts 0
nothing else is run. Needs nothing but Python's standard library; tools/plot_attention.py draws the result.
"""

import argparse
import concurrent.futures
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

PROMPTS = [
    "a large red star moving right over a checkered blue background",
    "a small yellow circle bouncing over a cloudy purple background",
    "a large green ring circling and a small white square moving up over a striped orange background",
    "a large blue heart growing over a plain yellow background",
    "a small black triangle moving left over a dotted cyan background",
    "a large pink circle spinning over a gradient green background",
]
OFF = {"tail": "off", "scores-from-queries": "off", "error-per-token": "off", "shared-threshold": "off"}


def variants():
    """(row, method, flags): the parts of semantic-tail switched on one after the other."""
    yield "svg1", "svg1", {}
    yield "svg2", "svg2", {}
    on = dict(OFF)
    for name in ("tail", "scores-from-queries", "error-per-token", "shared-threshold"):
        on[name] = "on"
        yield "+ " + name, "semantic-tail", dict(on)


METHODS = ("svg1", "svg2", "+ shared-threshold")  # the last is semantic-tail as it is


class Runner:
    def __init__(self, arguments, folder):
        self.arguments = arguments
        self.folder = folder

    def run(self, prompt, name, flags):
        output, report = self.folder / f"{name}.mp4", self.folder / f"{name}.json"
        command = [self.arguments.program, "generate", "--model", self.arguments.model, "--prompt", prompt, "--seed",
                   str(self.arguments.seed), "--output", output, "--report", report, "--quiet"]
        for flag, value in flags.items():
            command += [f"--{flag}", str(value)]
        subprocess.run(command + self.arguments.flags, check=True)
        return output, json.loads(report.read_text())

    def sparse(self, prompt, name, method, density, flags):
        return self.run(prompt, name, {"attention": method, "density": density,
                                       "dense-steps": self.arguments.dense_steps, **flags})

    def compare(self, a, b):
        command = [self.arguments.program, "compare", a, b, "--json"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def seconds(report):
    return {"attention_seconds": report["seconds"]["attention"],
            "sampling_seconds": report["seconds"]["stages"]["sampling"]}


def measure(runner, number, prompt, row, method, density, flags, dense):
    """One run against the dense one."""
    clip, dense_report = dense
    name = f"{number}_{row}_{density}".replace(" ", "")
    sparse, report = runner.sparse(prompt, name, method, density, flags)
    quality = runner.compare(clip, sparse)
    sparse.unlink()
    print(f"# {prompt[:40]:40} {row:22} {density:.2f} {quality['overall_psnr']:.2f} dB", file=sys.stderr, flush=True)
    found = {"row": row, "density": density, "prompt": prompt, "psnr": quality["overall_psnr"],
             "ssim": quality["mean_ssim"], "measured_density": report["attention"]["sparse_density"]}
    if runner.arguments.jobs == 1:
        found.update(seconds(report))
        found.update({f"dense_{name}": value for name, value in seconds(dense_report).items()})
    return {**found, "machine": report["machine"]}


def timed(runner, prompt, densities):
    """Seconds of dense and of each method, one run at a time; the first run of all only warms up."""
    runner.run(prompt, "timed", {"attention": "dense"})
    _, report = runner.run(prompt, "timed", {"attention": "dense"})
    found = [{"row": "dense", "density": 1, "machine": report["machine"], **seconds(report)}]
    for density in densities:
        for row, method, flags in variants():
            if row in METHODS:
                _, report = runner.sparse(prompt, "timed", method, density, flags)
                found.append({"row": row, "density": density, **seconds(report)})
    return found


def table(results, densities):
    rows = [row for row, _, _ in variants()]
    print("| density | " + " | ".join(rows) + " |")
    print("| --- |" + " --- |" * len(rows))
    for density in densities:
        cells = []
        for row in rows:
            found = [r["psnr"] for r in results if r["row"] == row and r["density"] == density]
            cells.append(f"{statistics.mean(found):.1f} ({min(found):.1f} to {max(found):.1f})")
        print(f"| {density:.2f} | " + " | ".join(cells) + " |")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/bin/sparsevid")
    parser.add_argument("--model", default="assets/demo-model")
    parser.add_argument("--prompts", type=int, default=4, help="how many of the built-in prompts, 0 to 6")
    parser.add_argument("--densities", default="0.25,0.15,0.08")
    parser.add_argument("--dense-steps", default="0.1")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=1, help="runs at the same time")
    parser.add_argument("--timed-densities", default="", help="seconds of the methods there, one run at a time")
    parser.add_argument("--json", help="write every run here")
    parser.add_argument("flags", nargs="*", help="for every run: after --, flags of generate")
    arguments = parser.parse_args()

    densities = [float(x) for x in arguments.densities.split(",")]
    prompts = PROMPTS[: arguments.prompts]
    with tempfile.TemporaryDirectory() as temporary:
        runner = Runner(arguments, pathlib.Path(temporary))
        timed_densities = [float(x) for x in arguments.timed_densities.split(",") if x]
        times = timed(runner, PROMPTS[0], timed_densities) if timed_densities else []
        with concurrent.futures.ThreadPoolExecutor(arguments.jobs) as pool:
            dense = list(pool.map(lambda n: runner.run(prompts[n], f"dense_{n}", {"attention": "dense"}),
                                  range(len(prompts))))
            futures = [pool.submit(measure, runner, n, prompt, row, method, density, flags, dense[n])
                       for density in densities for n, prompt in enumerate(prompts)
                       for row, method, flags in variants()]
            results = [future.result() for future in futures]
    if results:
        table(results, densities)
    if arguments.json:
        text = json.dumps({"runs": results, "timed": times}, indent=1)
        pathlib.Path(arguments.json).write_text(text + "\n")


if __name__ == "__main__":
    main()
