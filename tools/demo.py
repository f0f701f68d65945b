#!/usr/bin/env python3
"""What `make demo` runs: one prompt and seed, with dense and with sparse attention, compared."""

import argparse
import json
import subprocess
import sys
from pathlib import Path

PROMPT = "a large red circle moving right over a checkered blue background"
METHOD = "semantic-tail"


def run(command):
    """Runs it with its messages shown; returns what it printed to stdout."""
    result = subprocess.run([str(word) for word in command], stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(result.returncode if result.returncode > 0 else 128 - result.returncode)
    return result.stdout


def generate(arguments, name, attention):
    print(f"\n{attention} attention: {arguments.output / name}.mp4", flush=True)
    report = arguments.output / f"{name}.json"
    run(
        [arguments.program, "generate", "--model", arguments.model, "--prompt", arguments.prompt]
        + ["--seed", arguments.seed, "--threads", arguments.threads, "--attention", attention]
        + ["--output", arguments.output / f"{name}.mp4", "--report", report]
    )
    return json.loads(report.read_text(encoding="utf-8"))


def table(dense, sparse, quality):
    """Rows of text: title, dense, sparse, speed-up."""
    rows = [("", "dense", METHOD, "speed-up")]

    def add_seconds(title, of):
        rows.append((title, f"{of(dense):.2f} s", f"{of(sparse):.2f} s", f"{of(dense) / of(sparse):.2f}x"))

    add_seconds("whole run", lambda report: report["seconds"]["total"])
    add_seconds("denoising loop", lambda report: report["seconds"]["stages"]["sampling"])
    add_seconds("attention", lambda report: report["seconds"]["attention"])
    densities = [f"{report['attention']['density']:.3f}" for report in (dense, sparse)]
    rows.append(("density", *densities, ""))
    psnr = quality["overall_psnr"]
    rows.append(("PSNR against dense", "", "equal" if psnr is None else f"{psnr:.2f} dB", ""))
    rows.append(("SSIM against dense", "", f"{quality['mean_ssim']:.4f}", ""))
    return rows


def print_table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        first, *others = (cell.rjust(width) for cell, width in zip(row, widths))
        print("  ".join([row[0].ljust(widths[0]), *others]).rstrip())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True, help="folder")
    parser.add_argument("--prompt", default=PROMPT)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=0, help="0: all cores")
    arguments = parser.parse_args()
    arguments.prompt = arguments.prompt or PROMPT
    arguments.output.mkdir(parents=True, exist_ok=True)

    print(f"prompt: {arguments.prompt}\nseed: {arguments.seed}")
    dense = generate(arguments, "dense", "dense")
    sparse = generate(arguments, "sparse", METHOD)
    clips = [arguments.output / "dense.mp4", arguments.output / "sparse.mp4"]
    still = arguments.output / "side_by_side.png"
    quality = json.loads(run([arguments.program, "compare", *clips, "--json", "--sheet", still]))

    print()
    print_table(table(dense, sparse, quality))
    print()
    for path in (*clips, still, *(clip.with_suffix(".json") for clip in clips)):
        print(path)


if __name__ == "__main__":
    main()
