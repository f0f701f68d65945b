#!/usr/bin/env python3
"""Makes the golden files of tests/golden from the reference implementations.

    python tools/dump_reference.py --out tests/golden           # write everything
    python tools/dump_reference.py --check tests/golden         # re-make and compare byte for byte
    python tools/dump_reference.py --list tests/golden          # names and shapes of all tensors

Needs diffusers, transformers, torch (CPU), sentencepiece, safetensors and ftfy; the versions used are
recorded in tests/golden/versions.json. Everything is seeded and runs on one thread, so that a second
run on the same kind of processor gives the same bytes. What the files hold: tests/golden/README.md.
"""

import argparse
import logging
import os
import pathlib
import shutil
import sys
import tempfile
import warnings

# Only local files; and quiet.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
os.environ.setdefault("DIFFUSERS_VERBOSITY", "error")
warnings.filterwarnings("ignore", category=FutureWarning)

from reference import cases, checkpoints, common, noise, ops, prompts, schedulers  # noqa: E402

GENERATED = (
    "wan_t2v_tiny",
    "wan_t2v_tiny_hd64",
    "cases.json",
    "schedulers.json",
    "noise.json",
    "prompts.json",
    "ops.safetensors",
    "versions.json",
    "manifest.json",
)
LIMIT_BYTES = 20_000_000


def quiet():
    import diffusers
    import transformers

    diffusers.utils.logging.disable_progress_bar()
    transformers.utils.logging.disable_progress_bar()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)


def make(out):
    checkpoints.build(out)
    common.write_json(out / "cases.json", cases.dump(out, out))
    common.write_json(out / "schedulers.json", schedulers.dump())
    common.write_json(out / "noise.json", noise.dump())
    common.write_json(out / "prompts.json", prompts.dump(out / "wan_t2v_tiny" / "tokenizer"))
    common.write_tensors(out / "ops.safetensors", ops.dump(out))
    common.write_json(out / "versions.json", common.versions())
    for path in out.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    files = common.manifest(out)
    common.write_json(out / "manifest.json", files)
    return files


def replace(made, out):
    """Moves the files made into place, leaving anything else (the README) alone."""
    out.mkdir(parents=True, exist_ok=True)
    for name in list(GENERATED) + [p.name for p in out.glob("wan_t2v_tiny*.safetensors")]:
        target = out / name
        if target.is_dir():
            shutil.rmtree(target)
        else:
            target.unlink(missing_ok=True)
    for path in sorted(made.iterdir()):
        shutil.move(path, out / path.name)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--out", type=pathlib.Path, help="folder to write")
    where.add_argument("--check", type=pathlib.Path, help="folder to compare with a fresh run")
    where.add_argument("--list", type=pathlib.Path, help="folder whose tensors to list")
    options = parser.parse_args()

    if options.list:
        common.list_tensors(options.list)
        return
    quiet()
    common.make_deterministic()
    with tempfile.TemporaryDirectory() as temporary:
        made = pathlib.Path(temporary) / "golden"
        made.mkdir()
        files = make(made)
        total = sum(entry["bytes"] for entry in files.values())
        print(f"{len(files)} files, {total / 1e6:.2f} MB")
        if total > LIMIT_BYTES:
            sys.exit(f"more than {LIMIT_BYTES / 1e6:.0f} MB")
        if options.out:
            replace(made, options.out)
            return
        have = common.manifest(options.check)
        changed = sorted(name for name in files.keys() | have.keys() if files.get(name) != have.get(name))
        if changed:
            sys.exit("differs: " + ", ".join(changed))
        print("same bytes")


if __name__ == "__main__":
    main()
