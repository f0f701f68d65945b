#!/usr/bin/env python3
"""How close each attention method comes to dense attention, and what it costs: the tables of docs/methods.

    tools/attention_table.py --program build/release/bin/sparsevid --model assets/demo-model \
        --prompts 3 --json bench/results/attention_quality.json

For every prompt one dense run, then one run per method, switch and density with the same seed; PSNR and SSIM are those of
`sparsevid compare`, seconds those of the run reports. Needs nothing but Python's standard library.
"""

import argparse
import json
import pathlib
import statistics
import subprocess
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
    yield "svg2", "svg2", {}
    on = dict(OFF)
    for name in ("tail", "scores-from-queries", "error-per-token", "shared-threshold"):
        on[name] = "on"
        yield "+ " + name, "semantic-tail", dict(on)


def run(program, model, prompt, seed, folder, name, flags):
    output, report = folder / f"{name}.mp4", folder / f"{name}.json"
    command = [program, "generate", "--model", model, "--prompt", prompt, "--seed", str(seed), "--output", output,
               "--report", report, "--quiet"]
    for flag, value in flags.items():
        command += [f"--{flag}", str(value)]
    subprocess.run(command, check=True)
    return output, json.loads(report.read_text())


def compare(program, a, b):
    out = subprocess.run([program, "compare", a, b, "--json"], check=True, capture_output=True, text=True).stdout
    return json.loads(out)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default="build/release/bin/sparsevid")
    parser.add_argument("--model", default="assets/demo-model")
    parser.add_argument("--prompts", type=int, default=3, help="how many of the built-in prompts, 1 to 6")
    parser.add_argument("--densities", default="0.25,0.15,0.08")
    parser.add_argument("--dense-steps", default="0.1")
    parser.add_argument("--svg1", action="store_true", help="also svg1 at each density")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", help="write every run here")
    arguments = parser.parse_args()

    cases = [(row, method, flags) for row, method, flags in variants()]
    if arguments.svg1:
        cases.insert(0, ("svg1", "svg1", {}))
    densities = [float(x) for x in arguments.densities.split(",")]
    results = []
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        for prompt in PROMPTS[: arguments.prompts]:
            dense, dense_report = run(arguments.program, arguments.model, prompt, arguments.seed, folder, "dense",
                                      {"attention": "dense"})
            for row, method, flags in cases:
                for density in densities:
                    sparse, report = run(
                        arguments.program, arguments.model, prompt, arguments.seed, folder, "sparse",
                        {"attention": method, "density": density, "dense-steps": arguments.dense_steps, **flags})
                    quality = compare(arguments.program, dense, sparse)
                    results.append({
                        "row": row, "density": density, "prompt": prompt,
                        "psnr": quality["overall_psnr"], "ssim": quality["mean_ssim"],
                        "measured_density": report["attention"]["sparse_density"],
                        "attention_seconds": report["seconds"]["attention"],
                        "sampling_seconds": report["seconds"]["stages"]["sampling"],
                        "dense_attention_seconds": dense_report["seconds"]["attention"],
                        "dense_sampling_seconds": dense_report["seconds"]["stages"]["sampling"],
                        "machine": report["machine"],
                    })
                    last = results[-1]
                    print(f"# {prompt[:40]:40} {row:22} {density:.2f} {last['psnr']:.2f} dB", flush=True)

    print("| density | " + " | ".join(row for row, _, _ in cases) + " |")
    print("| --- |" + " --- |" * len(cases))
    for density in densities:
        cells = []
        for row, _, _ in cases:
            these = [r for r in results if r["row"] == row and r["density"] == density]
            speed = statistics.median(r["dense_attention_seconds"] / r["attention_seconds"] for r in these)
            cells.append(f"{statistics.mean(r['psnr'] for r in these):.1f} ({speed:.2f}x)")
        print(f"| {density:.2f} | " + " | ".join(cells) + " |")
    if arguments.json:
        pathlib.Path(arguments.json).write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
