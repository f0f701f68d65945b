#!/usr/bin/env python3
"""clang-tidy over the sources of src/ and apps/ (not the tests), several at a time."""

import argparse
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def tidy(build, path):
    started = time.monotonic()
    command = ["clang-tidy", "--quiet", "-p", str(build), str(path)]
    result = subprocess.run(command, capture_output=True, text=True)
    return path, result.returncode, result.stdout + result.stderr, time.monotonic() - started


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=Path, required=True, help="holds compile_commands.json")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--slowest", type=int, default=0, help="name this many files at the end")
    arguments = parser.parse_args()

    commands = json.loads((arguments.build / "compile_commands.json").read_text(encoding="utf-8"))
    paths = sorted({Path(command["file"]) for command in commands})
    failed, seconds = 0, {}
    with ThreadPoolExecutor(arguments.jobs) as pool:
        for path, code, text, took in pool.map(lambda p: tidy(arguments.build, p), paths):
            seconds[path] = took
            if code != 0:
                failed += 1
                print(f"{path.relative_to(ROOT)}:\n{text}", flush=True)
    for path in sorted(paths, key=lambda p: -seconds[p])[: arguments.slowest]:
        print(f"{seconds[path]:6.1f} s  {path.relative_to(ROOT)}")
    print(f"clang-tidy: {len(paths)} files, {failed} with findings")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
