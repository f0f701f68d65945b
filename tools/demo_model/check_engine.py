"""The standard prompts through the engine itself, and what the clips show of them.

    python check_engine.py --program build/release/bin/sparsevid --model assets/demo-model out --json result.json
    python check_engine.py ... out --jobs 4 -- --device cuda --attention semantic-tail --density 0.15

What follows `--` goes to `sparsevid generate`. Clips are folders of PNG under `out`; those that are there are not made again.
"""

import argparse
import multiprocessing
import pathlib
import subprocess
import sys

import torch

import check_prompts


def make_and_check(job):
    o, flags, number, prompt = job
    folder = o.out / f"{number:03}"
    if not folder.exists():
        subprocess.run([o.program, "generate", "--quiet", "--model", o.model, "--prompt", prompt, "--seed", str(number),
                        "--output", str(folder), *flags], check=True)  # fmt: skip
    return check_prompts.check(prompt, check_prompts.load_frames(str(folder)))


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("out", type=pathlib.Path, help="folder for the clips")
    options.add_argument("--program", required=True, help="sparsevid")
    options.add_argument("--model", required=True, help="checkpoint folder")
    options.add_argument("--prompts", type=int, default=50)
    options.add_argument("--jobs", type=int, default=1, help="clips made and read at once, each by a process of its own")
    options.add_argument("--json", help="where to write the result")
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    o, flags = options.parse_args(arguments[:split]), arguments[split + 1 :]

    o.out.mkdir(parents=True, exist_ok=True)
    jobs = [(o, flags, *numbered) for numbered in enumerate(check_prompts.standard_prompts(o.prompts))]
    with multiprocessing.get_context("spawn").Pool(o.jobs, torch.set_num_threads, [1]) as pool:
        rows = pool.map(make_and_check, jobs, chunksize=1)
    totals = check_prompts.report(rows)
    if o.json:
        check_prompts.write(o.json, rows, totals, engine="sparsevid", flags=flags)


if __name__ == "__main__":
    main()
