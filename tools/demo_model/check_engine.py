"""The standard prompts through the engine itself, and what the clips show of them.

    python check_engine.py --program build/release/bin/sparsevid --model assets/demo-model out --json result.json
    python check_engine.py ... out --jobs 4 -- --device cuda --attention semantic-tail --density 0.15

What follows `--` goes to `sparsevid generate`. Clips are folders of PNG under `out`; those that are there are not made again.
"""

import argparse
import json
import pathlib
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import check_prompts


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("out", type=pathlib.Path, help="folder for the clips")
    options.add_argument("--program", required=True, help="sparsevid")
    options.add_argument("--model", required=True, help="checkpoint folder")
    options.add_argument("--prompts", type=int, default=50)
    options.add_argument("--jobs", type=int, default=1, help="clips made at once")
    options.add_argument("--json", help="where to write the result")
    arguments = sys.argv[1:]
    split = arguments.index("--") if "--" in arguments else len(arguments)
    o, flags = options.parse_args(arguments[:split]), arguments[split + 1 :]

    def make(numbered):
        number, prompt = numbered
        folder = o.out / f"{number:03}"
        if not folder.exists():
            subprocess.run([o.program, "generate", "--quiet", "--model", o.model, "--prompt", prompt,
                            "--seed", str(number), "--output", str(folder), *flags], check=True)  # fmt: skip
        return prompt, check_prompts.load_frames(str(folder))

    o.out.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(o.jobs) as pool:
        clips = pool.map(make, enumerate(check_prompts.standard_prompts(o.prompts)))
        rows = [check_prompts.check(prompt, frames) for prompt, frames in clips]
    totals = check_prompts.report(rows)
    if o.json:
        check_prompts.write(o.json, rows, totals, engine="sparsevid", flags=flags)


if __name__ == "__main__":
    main()
