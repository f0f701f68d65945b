#!/usr/bin/env python3
"""Draws what tools/attention_table.py measured: closeness to dense attention against density, with seconds.

    tools/plot_attention.py bench/results/attention_quality.json docs/images/attention_quality.png \
        --seconds bench/results/attention_seconds.json

For developers: needs matplotlib.
"""

import argparse
import collections
import json
import pathlib
import statistics

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

LABELS = {"svg1": "svg1", "svg2": "svg2", "+ shared-threshold": "semantic-tail"}
COLOURS = {"svg1": "#b07d2b", "svg2": "#4c78a8", "+ shared-threshold": "#c0392b"}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("json")
    parser.add_argument("png")
    parser.add_argument("--seconds", help="take the seconds from this file, e.g. of another machine")
    arguments = parser.parse_args()
    measured = json.loads(pathlib.Path(arguments.json).read_text())
    timed = json.loads(pathlib.Path(arguments.seconds or arguments.json).read_text())["timed"]
    times = {(t["row"], t["density"]): t["attention_seconds"] for t in timed}

    pyplot.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = pyplot.subplots(figsize=(6.4, 3.4), dpi=110)
    for row, label in LABELS.items():
        psnr = collections.defaultdict(list)
        real = collections.defaultdict(list)
        for run in measured["runs"]:
            if run["row"] == row:
                psnr[run["density"]].append(run["psnr"])
                real[run["density"]].append(run["measured_density"])
        densities = sorted(psnr)
        # svg1's bands come in steps: where it lies is what it computed, not what was asked for.
        x = [statistics.mean(real[d]) for d in densities]
        y = [statistics.mean(psnr[d]) for d in densities]
        axes.plot(x, y, "o-", color=COLOURS[row], label=label)
        axes.fill_between(x, [min(psnr[d]) for d in densities], [max(psnr[d]) for d in densities],
                          color=COLOURS[row], alpha=.13, linewidth=0)
        for d, at, height in zip(densities, x, y):
            if (row, d) in times:
                axes.annotate(f"{times[row, d]:.2f} s", (at, height), textcoords="offset points", xytext=(4, 5),
                              fontsize=7, color=COLOURS[row])
    axes.set_xlabel("density of the sparse calls")
    axes.set_ylabel("PSNR against dense, dB")
    axes.grid(alpha=.3)
    prompts = len({run["prompt"] for run in measured["runs"]})
    title = f"the bundled model, mean and range of {prompts} prompts"
    if ("dense", 1) in times:
        title += f"; seconds of attention a clip (dense {times['dense', 1]:.2f} s)"
    axes.set_title(title, fontsize=9)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(arguments.png)


if __name__ == "__main__":
    main()
