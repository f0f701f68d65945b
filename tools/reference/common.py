"""Small helpers shared by the dumpers: seeded tensors, deterministic files, versions."""

import hashlib
import importlib.metadata
import json
import math
import pathlib
import platform
import zlib

import torch
from safetensors import safe_open
from safetensors.torch import save_file

PACKAGES = (
    "diffusers",
    "transformers",
    "torch",
    "tokenizers",
    "sentencepiece",
    "safetensors",
    "ftfy",
    "numpy",
    "accelerate",
)


def make_deterministic():
    """One thread and deterministic kernels, so that a re-run gives the same bytes."""
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    torch.set_grad_enabled(False)


def versions():
    """Everything that can change a golden value."""
    found = {name: importlib.metadata.version(name) for name in PACKAGES}
    found["python"] = platform.python_version()
    found["torch_cpu_capability"] = torch.backends.cpu.get_cpu_capability()
    return found


def seeded_normal(seed, name, shape):
    """Standard normal values that depend on (seed, name, shape) only, not on the order of calls."""
    generator = torch.Generator().manual_seed((seed << 32) ^ zlib.crc32(name.encode()))
    # Below 16 elements torch uses another algorithm; draw 16 so that there is only one here.
    count = math.prod(shape)
    return torch.randn(max(count, 16), generator=generator)[:count].reshape(shape).clone()


def write_json(path, value):
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(value, ensure_ascii=True, indent=1)
    joined = _join_scalar_lists(text) + "\n"  # lists of scalars on one line
    if json.loads(joined) != json.loads(text):
        raise RuntimeError("the layout changed the content")
    path.write_text(joined, encoding="ascii")


def _join_scalar_lists(text):
    out = []
    pending = None
    for line in text.split("\n"):
        stripped = line.strip()
        if pending is not None:
            if stripped.rstrip(",") == "]":
                out.append(pending[0] + " ".join(pending[1:]) + stripped)
                pending = None
            elif stripped.endswith(("[", "{")):
                out.append(pending[0])
                out.extend(pending[1:] and [" " + " ".join(pending[1:])])
                pending = [line] if stripped.endswith("[") else None
                if pending is None:
                    out.append(line)
            else:
                pending.append(stripped)
        elif stripped.endswith("["):
            pending = [line]
        else:
            out.append(line)
    return "\n".join(out)


def write_tensors(path, tensors):
    """safetensors orders tensors by dtype and name, so the bytes depend on the content only."""
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.detach().contiguous().clone() for name, value in tensors.items()}, path)


def sha256(path):
    return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()


def manifest(root):
    """Size and digest of each generated file below root."""
    root = pathlib.Path(root)
    skip = {"manifest.json", "README.md"}
    files = sorted(p for p in root.rglob("*") if p.is_file() and p.name not in skip)
    return {str(p.relative_to(root)): {"bytes": p.stat().st_size, "sha256": sha256(p)} for p in files}


def list_tensors(root):
    """Prints name, dtype and shape of each tensor in the dumps (not in the checkpoints) below root."""
    for path in sorted(pathlib.Path(root).glob("*.safetensors")):
        print(path.name)
        with safe_open(path, "pt") as file:
            for name in sorted(file.keys()):
                part = file.get_slice(name)
                print(f"    {name:32} {part.get_dtype():5} {part.get_shape()}")
