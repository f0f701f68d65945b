#!/usr/bin/env python3
"""A checkpoint folder as diffusers publishes it, with random weights: for loading, memory and speed at full size.

    tools/synthetic_checkpoint.py wan-t2v-1.3b /dev/shm/wan-1.3b
    tools/synthetic_checkpoint.py wan-t2v-14b /dev/shm/wan-14b --layers 4 --parts transformer,vae,scheduler

Names, shapes, order, shards and configs are those of the published folders. Values are random, of a scale that keeps
activations of order one through all layers; what comes out of such a model is noise. A folder with fewer layers holds
the same values as the full one. Same seed, same bytes (with the same numpy, whatever the number of threads).

--dtype f32 is what the hub holds. --dtype bf16 is what saving the bf16 model gives: half the size, but the tensors that
diffusers keeps in fp32 and the VAE stay fp32.

Needs Python 3.10 and, to write weights, numpy.
"""

import argparse
import dataclasses
import json
import math
import os
import pathlib
import shutil
import struct
import sys
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

ROOT = pathlib.Path(__file__).resolve().parent.parent
PARTS = ("transformer", "text_encoder", "vae", "scheduler", "tokenizer")
ITEM_BYTES = {"F32": 4, "BF16": 2}

MODEL_INDEX = {
    "_class_name": "WanPipeline",
    "_diffusers_version": "0.33.0.dev0",
    "scheduler": ["diffusers", "UniPCMultistepScheduler"],
    "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"],
    "transformer": ["diffusers", "WanTransformer3DModel"],
    "vae": ["diffusers", "AutoencoderKLWan"],
}
TRANSFORMER = {
    "_class_name": "WanTransformer3DModel",
    "_diffusers_version": "0.33.0.dev0",
    "added_kv_proj_dim": None,
    "attention_head_dim": 128,
    "cross_attn_norm": True,
    "eps": 1e-06,
    "freq_dim": 256,
    "image_dim": None,
    "in_channels": 16,
    "out_channels": 16,
    "patch_size": [1, 2, 2],
    "qk_norm": "rms_norm_across_heads",
    "rope_max_seq_len": 1024,
    "text_dim": 4096,
}
KINDS = {
    "wan-t2v-1.3b": {**TRANSFORMER, "ffn_dim": 8960, "num_attention_heads": 12, "num_layers": 30},
    "wan-t2v-14b": {**TRANSFORMER, "ffn_dim": 13824, "num_attention_heads": 40, "num_layers": 40},
}
TEXT_ENCODER = {
    "architectures": ["UMT5EncoderModel"],
    "classifier_dropout": 0.0,
    "d_ff": 10240,
    "d_kv": 64,
    "d_model": 4096,
    "decoder_start_token_id": 0,
    "dense_act_fn": "gelu_new",
    "dropout_rate": 0.1,
    "eos_token_id": 1,
    "feed_forward_proj": "gated-gelu",
    "initializer_factor": 1.0,
    "is_encoder_decoder": True,
    "is_gated_act": True,
    "layer_norm_epsilon": 1e-06,
    "model_type": "umt5",
    "num_decoder_layers": 24,
    "num_heads": 64,
    "num_layers": 24,
    "output_past": True,
    "pad_token_id": 0,
    "relative_attention_max_distance": 128,
    "relative_attention_num_buckets": 32,
    "scalable_attention": True,
    "tie_word_embeddings": False,
    "tokenizer_class": "T5Tokenizer",
    "transformers_version": "4.48.0.dev0",
    "use_cache": True,
    "vocab_size": 256384,
}
VAE = {
    "_class_name": "AutoencoderKLWan",
    "_diffusers_version": "0.33.0.dev0",
    "attn_scales": [],
    "base_dim": 96,
    "dim_mult": [1, 2, 4, 4],
    "dropout": 0.0,
    "latents_mean": [-0.7571, -0.7089, -0.9113, 0.1075, -0.1745, 0.9653, -0.1517, 1.5508,
                     0.4134, -0.0715, 0.5517, -0.3632, -0.1922, -0.9497, 0.2503, -0.2921],
    "latents_std": [2.8184, 1.4541, 2.3275, 2.6558, 1.2196, 1.7708, 2.6052, 2.0743,
                    3.2687, 2.1526, 2.8652, 1.5579, 1.6382, 1.1253, 2.8251, 1.916],
    "num_res_blocks": 2,
    "temperal_downsample": [False, True, True],
    "z_dim": 16,
}  # fmt: skip
SCHEDULER = {
    "_class_name": "UniPCMultistepScheduler",
    "_diffusers_version": "0.33.0.dev0",
    "beta_end": 0.02,
    "beta_schedule": "linear",
    "beta_start": 0.0001,
    "disable_corrector": [],
    "dynamic_thresholding_ratio": 0.995,
    "final_sigmas_type": "zero",
    "flow_shift": 3.0,
    "lower_order_final": True,
    "num_train_timesteps": 1000,
    "predict_x0": True,
    "prediction_type": "flow_prediction",
    "rescale_betas_zero_snr": False,
    "sample_max_value": 1.0,
    "solver_order": 2,
    "solver_p": None,
    "solver_type": "bh2",
    "steps_offset": 0,
    "thresholding": False,
    "timestep_spacing": "linspace",
    "trained_betas": None,
    "use_beta_sigmas": False,
    "use_exponential_sigmas": False,
    "use_flow_sigmas": True,
    "use_karras_sigmas": False,
}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """`rows`: one (mean, standard deviation) per row of the first axis that has several, or one for all."""

    name: str
    shape: tuple
    rows: tuple
    dtype: str = "F32"

    @property
    def elements(self):
        return math.prod(self.shape)

    @property
    def bytes(self):
        return self.elements * ITEM_BYTES[self.dtype]


class Names:
    """Collects tensors. A weight's deviation is gain / sqrt(fan in): unit input gives output of order `gain`."""

    def __init__(self):
        self.tensors = []

    def add(self, name, shape, mean, deviation):
        self.tensors.append(Tensor(name, tuple(shape), ((mean, deviation),)))

    def table(self, name, width, means):
        """Modulation: a little per channel around a mean per row."""
        self.tensors.append(Tensor(name, (1, len(means), width), tuple((mean, 0.1) for mean in means)))

    def norm(self, name, shape, mean=1.0):
        self.add(name, shape, mean, 0.1)  # not constant: a wrong channel must change the result

    def weight(self, name, out, fan_in, gain=1.0):
        self.add(name, (out, *fan_in), 0.0, gain / math.sqrt(math.prod(fan_in)))

    def linear(self, name, fan_in, out, gain=1.0):
        self.layer(name, out, (fan_in,), gain)

    def layer(self, name, out, fan_in, gain=1.0):
        self.weight(name + ".weight", out, fan_in, gain)
        self.add(name + ".bias", (out,), 0.0, 0.02)


def transformer_tensors(config, published_layers):
    """In the order of WanTransformer3DModel's state dict."""
    dim = config["num_attention_heads"] * config["attention_head_dim"]
    # Every block adds three branches to the residual stream; so scaled, all of them together add about one.
    branch = 1 / math.sqrt(3 * published_layers)
    names = Names()
    names.table("scale_shift_table", dim, (0, 0))
    names.layer("patch_embedding", dim, (config["in_channels"], *config["patch_size"]))
    embedder = "condition_embedder."
    names.linear(embedder + "time_embedder.linear_1", config["freq_dim"], dim)
    names.linear(embedder + "time_embedder.linear_2", dim, dim)
    names.linear(embedder + "time_proj", dim, 6 * dim, gain=0.5)
    names.linear(embedder + "text_embedder.linear_1", config["text_dim"], dim)
    names.linear(embedder + "text_embedder.linear_2", dim, dim)
    for block in (f"blocks.{i}." for i in range(config["num_layers"])):
        names.table(block + "scale_shift_table", dim, (0, 0, 1, 0, 0, 1))  # shift, scale, gate, twice
        for attention in ("attn1.", "attn2."):
            for projection in ("to_q", "to_k", "to_v"):
                names.linear(block + attention + projection, dim, dim)
            names.linear(block + attention + "to_out.0", dim, dim, gain=branch)
            # Sharper than 1, with which random queries would average over all keys alike.
            names.norm(block + attention + "norm_q.weight", (dim,), mean=1.5)
            names.norm(block + attention + "norm_k.weight", (dim,), mean=1.5)
        names.norm(block + "norm2.weight", (dim,))
        names.add(block + "norm2.bias", (dim,), 0.0, 0.02)
        names.linear(block + "ffn.net.0.proj", dim, config["ffn_dim"])
        names.linear(block + "ffn.net.2", config["ffn_dim"], dim, gain=branch)
    names.linear("proj_out", dim, config["out_channels"] * math.prod(config["patch_size"]))
    return names.tensors


def text_encoder_tensors(config, published_layers):
    """In the order of UMT5EncoderModel's state dict, the tied copy of the embedding left out."""
    dim, inner = config["d_model"], config["num_heads"] * config["d_kv"]
    branch = 1 / math.sqrt(2 * published_layers)
    names = Names()
    names.add("shared.weight", (config["vocab_size"], dim), 0.0, 1.0)
    for block in (f"encoder.block.{i}." for i in range(config["num_layers"])):
        attention, mlp = block + "layer.0.", block + "layer.1."
        # UMT5 does not divide its scores by sqrt(d_kv).
        names.weight(attention + "SelfAttention.q.weight", inner, (dim,), 1 / math.sqrt(config["d_kv"]))
        names.weight(attention + "SelfAttention.k.weight", inner, (dim,))
        names.weight(attention + "SelfAttention.v.weight", inner, (dim,))
        names.weight(attention + "SelfAttention.o.weight", dim, (inner,), branch)
        buckets = config["relative_attention_num_buckets"]
        bias = attention + "SelfAttention.relative_attention_bias.weight"
        names.add(bias, (buckets, config["num_heads"]), 0.0, 0.5)
        names.norm(attention + "layer_norm.weight", (dim,))
        names.weight(mlp + "DenseReluDense.wi_0.weight", config["d_ff"], (dim,))
        names.weight(mlp + "DenseReluDense.wi_1.weight", config["d_ff"], (dim,))
        names.weight(mlp + "DenseReluDense.wo.weight", dim, (config["d_ff"],), branch)
        names.norm(mlp + "layer_norm.weight", (dim,))
    names.norm("encoder.final_layer_norm.weight", (dim,))
    return names.tensors


def vae_tensors(config):
    """In the order of AutoencoderKLWan's state dict."""
    names = Names()
    z, base, multiples = config["z_dim"], config["base_dim"], config["dim_mult"]
    levels = len(multiples)

    def resnet(name, channels, out):
        names.norm(name + ".norm1.gamma", (channels, 1, 1, 1))
        names.layer(name + ".conv1", out, (channels, 3, 3, 3))
        names.norm(name + ".norm2.gamma", (out, 1, 1, 1))
        names.layer(name + ".conv2", out, (out, 3, 3, 3), gain=0.5)
        if channels != out:
            names.layer(name + ".conv_shortcut", out, (channels, 1, 1, 1))

    def mid_block(name, channels):
        attention = name + ".attentions.0."
        names.norm(attention + "norm.gamma", (channels, 1, 1))
        names.layer(attention + "to_qkv", 3 * channels, (channels, 1, 1))
        names.layer(attention + "proj", channels, (channels, 1, 1), gain=0.5)
        for i in range(2):
            resnet(f"{name}.resnets.{i}", channels, channels)

    channels = base
    names.layer("encoder.conv_in", channels, (3, 3, 3, 3))
    index = 0  # residual blocks and downsamplers share one list
    for level, multiple in enumerate(multiples):
        for _ in range(config["num_res_blocks"]):
            resnet(f"encoder.down_blocks.{index}", channels, base * multiple)
            channels = base * multiple
            index += 1
        if level + 1 < levels:
            names.layer(f"encoder.down_blocks.{index}.resample.1", channels, (channels, 3, 3))
            if config["temperal_downsample"][level]:
                names.layer(f"encoder.down_blocks.{index}.time_conv", channels, (channels, 3, 1, 1))
            index += 1
    mid_block("encoder.mid_block", channels)
    names.norm("encoder.norm_out.gamma", (channels, 1, 1, 1))
    names.layer("encoder.conv_out", 2 * z, (channels, 3, 3, 3))
    names.layer("quant_conv", 2 * z, (2 * z, 1, 1, 1))
    names.layer("post_quant_conv", z, (z, 1, 1, 1))

    names.layer("decoder.conv_in", channels, (z, 3, 3, 3))
    mid_block("decoder.mid_block", channels)
    for i, level in enumerate(reversed(range(levels))):
        name, out = f"decoder.up_blocks.{i}", base * multiples[level]
        for r in range(config["num_res_blocks"] + 1):
            resnet(f"{name}.resnets.{r}", channels, out)
            channels = out
        if level > 0:
            names.layer(name + ".upsamplers.0.resample.1", out // 2, (out, 3, 3))
            if config["temperal_downsample"][level - 1]:
                names.layer(name + ".upsamplers.0.time_conv", 2 * out, (out, 3, 1, 1))
            channels = out // 2
    names.norm("decoder.norm_out.gamma", (channels, 1, 1, 1))
    names.layer("decoder.conv_out", 3, (channels, 3, 3, 3), gain=0.5)  # pixels mostly within -1 .. 1
    return names.tensors


# diffusers compares these with the parts of a dotted name (WanTransformer3DModel._keep_in_fp32_modules).
KEPT_IN_F32 = {"time_embedder", "scale_shift_table", "norm1", "norm2", "norm3"}


def stored_as(tensors, dtype, kept=frozenset()):
    return [
        dataclasses.replace(t, dtype="F32" if kept.intersection(t.name.split(".")) else dtype) for t in tensors
    ]


def shards_of(tensors, most):
    """As save_pretrained fills them: in order, the next one begun when a tensor would not fit."""
    shards, size = [[]], 0
    for tensor in tensors:
        if shards[-1] and size + tensor.bytes > most:
            shards.append([])
            size = 0
        shards[-1].append(tensor)
        size += tensor.bytes
    return shards


def header_of(tensors):
    """(header, [(tensor, offset in the file)]): by width of the type, then by name, as safetensors writes."""
    entries, places, offset = {"__metadata__": {"format": "pt"}}, [], 0
    for tensor in sorted(tensors, key=lambda t: (-ITEM_BYTES[t.dtype], t.name)):
        end = offset + tensor.bytes
        entries[tensor.name] = {"dtype": tensor.dtype, "shape": tensor.shape, "data_offsets": [offset, end]}
        places.append((tensor, offset))
        offset = end
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    header = struct.pack("<Q", len(text)) + text
    return header, [(tensor, len(header) + offset) for tensor, offset in places]


class RandomPool:
    """Normal values drawn once, and scaled once per (mean, deviation, type): what is left is copying."""

    SIZE = 1 << 23
    LONGEST = 1 << 20  # values that are taken in one piece

    def __init__(self, seed):
        import numpy

        self.numpy = numpy
        self.seed = seed
        self.normal = numpy.random.default_rng(seed).standard_normal(self.SIZE, dtype=numpy.float32)
        self.scaled = lru_cache(maxsize=None)(self._scaled)

    def _scaled(self, mean, deviation, dtype):
        numpy = self.numpy
        values = self.normal * numpy.float32(deviation) + numpy.float32(mean)
        if dtype == "F32":
            return values
        bits = values.view(numpy.uint32)
        return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(numpy.uint16)  # to nearest even

    def pieces(self, tensor):
        """(offset in bytes, mean, deviation, begin in the pool, values), by name: no order of writing matters."""
        per_row = tensor.elements // len(tensor.rows)
        for row, (mean, deviation) in enumerate(tensor.rows):
            for begin in range(0, per_row, self.LONGEST):
                count = min(self.LONGEST, per_row - begin)
                at = row * per_row + begin
                key = zlib.crc32(f"{self.seed} {tensor.name} {at}".encode())
                yield at * ITEM_BYTES[tensor.dtype], mean, deviation, key % (self.SIZE - count), count


def write_fully(file, data, offset):
    data = memoryview(data).cast("B")
    while len(data) > 0:
        written = os.pwrite(file, data, offset)
        data, offset = data[written:], offset + written


def write_shards(files, pool, threads):
    """`files`: {path: tensors}. Pieces of all files go round robin: one file at a time is slower on a memory disk."""
    opened, queues = [], []
    try:
        for path, tensors in files.items():
            header, places = header_of(tensors)
            file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
            opened.append(file)
            os.ftruncate(file, len(header) + sum(t.bytes for t in tensors))
            write_fully(file, header, 0)
            queues.append([(file, t, at, piece) for t, at in places for piece in pool.pieces(t)])

        # Scaled here: two threads that miss the cache at once would both compute.
        for key in {(mean, dev, t.dtype) for tensors in files.values() for t in tensors for mean, dev in t.rows}:
            pool.scaled(*key)

        def write(job):
            file, tensor, at, (offset, mean, deviation, begin, count) = job
            write_fully(file, pool.scaled(mean, deviation, tensor.dtype)[begin : begin + count], at + offset)

        longest = max(len(queue) for queue in queues)
        jobs = [queue[i] for i in range(longest) for queue in queues if i < len(queue)]
        with ThreadPoolExecutor(threads) as executor:
            for _ in executor.map(write, jobs):
                pass
    finally:
        for file in opened:
            os.close(file)


def plan_files(folder, stem, tensors, most):
    """({path: tensors}, index or None)."""
    shards = shards_of(tensors, most)
    if len(shards) == 1:
        return {folder / f"{stem}.safetensors": shards[0]}, None
    files, weight_map = {}, {}
    for i, shard in enumerate(shards):
        name = f"{stem}-{i + 1:05}-of-{len(shards):05}.safetensors"
        files[folder / name] = shard
        weight_map.update({tensor.name: name for tensor in shard})
    total = sum(tensor.bytes for tensor in tensors)
    return files, {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}


def write_json(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def weights_of(kind, dtype, layers, text_layers):
    """{part: (config, stem, tensors)}."""
    transformer, text = dict(KINDS[kind]), dict(TEXT_ENCODER)
    depth, text_depth = transformer["num_layers"], text["num_layers"]
    transformer["num_layers"] = layers or depth
    text["num_layers"] = text_layers or text_depth
    text["torch_dtype"] = "bfloat16" if dtype == "BF16" else "float32"
    stem = "diffusion_pytorch_model"
    return {
        "transformer": (transformer, stem, stored_as(transformer_tensors(transformer, depth), dtype, KEPT_IN_F32)),
        "text_encoder": (text, "model", stored_as(text_encoder_tensors(text, text_depth), dtype)),
        "vae": (VAE, stem, vae_tensors(VAE)),
    }


def write_folder(folder, weights, parts, tokenizer, seed, shard_bytes, threads):
    needed = sum(t.bytes for part in parts if part in weights for t in weights[part][2])
    folder.mkdir(parents=True, exist_ok=True)
    present = [part for part in parts if (folder / part).exists()]
    if present:
        sys.exit(f"{folder}: expected no {', '.join(present)} there yet: --replace deletes what is there")
    free = shutil.disk_usage(folder).free
    if needed > free:
        sys.exit(f"{folder}: expected {needed / 1e9:.1f} GB of free space, found {free / 1e9:.1f} GB")
    write_json(folder / "model_index.json", MODEL_INDEX)
    pool = RandomPool(seed) if needed > 0 else None
    for part in parts:
        if part == "tokenizer":
            shutil.copytree(tokenizer, folder / part)
            continue
        (folder / part).mkdir()
        if part == "scheduler":
            write_json(folder / part / "scheduler_config.json", SCHEDULER)
            continue
        config, stem, tensors = weights[part]
        write_json(folder / part / "config.json", config)
        started = time.monotonic()
        files, index = plan_files(folder / part, stem, tensors, shard_bytes)
        if index is not None:
            write_json(folder / part / f"{stem}.safetensors.index.json", index)
        write_shards(files, pool, threads)
        size = sum(tensor.bytes for tensor in tensors)
        seconds = time.monotonic() - started
        print(f"{part}: {len(tensors)} tensors in {len(files)} files, {size / 1e9:.2f} GB, {seconds:.1f} s", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kind", choices=sorted(KINDS))
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--dtype", choices=("bf16", "f32"), default="bf16", help="default: bf16")
    parser.add_argument("--layers", type=int, help="transformer blocks to keep, default: all")
    parser.add_argument("--text-layers", type=int, help="text encoder blocks to keep, default: all")
    parser.add_argument("--parts", default=",".join(PARTS), help="what to write; the rest of the folder stays as it is")
    parser.add_argument("--tokenizer", type=pathlib.Path, default=ROOT / "assets/demo-model/tokenizer",
                        help="folder to copy, default: the demo model's")  # fmt: skip
    parser.add_argument("--replace", action="store_true", help="delete the parts that are there before writing them")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--shard-bytes", type=int, default=5 * 10**9, help="default: 5e9, as published")
    parser.add_argument("--threads", type=int, default=min(16, os.cpu_count() or 1))
    arguments = parser.parse_args()

    parts = arguments.parts.split(",")
    for part in parts:
        if part not in PARTS:
            parser.error(f"--parts: expected some of {','.join(PARTS)}, found '{part}'")
    if "tokenizer" in parts and not (arguments.tokenizer / "spiece.model").is_file():
        parser.error(f"--tokenizer: expected a folder with spiece.model, found {arguments.tokenizer}")
    for flag, value, most in (
        ("--layers", arguments.layers, KINDS[arguments.kind]["num_layers"]),
        ("--text-layers", arguments.text_layers, TEXT_ENCODER["num_layers"]),
    ):
        if value is not None and not 1 <= value <= most:
            parser.error(f"{flag}: expected 1 to {most}, found {value}")
    if arguments.replace:
        for part in parts:
            shutil.rmtree(arguments.folder / part, ignore_errors=True)
    weights = weights_of(arguments.kind, arguments.dtype.upper(), arguments.layers, arguments.text_layers)
    write_folder(arguments.folder, weights, parts, arguments.tokenizer, arguments.seed, arguments.shard_bytes,
                 max(1, arguments.threads))  # fmt: skip


if __name__ == "__main__":
    main()
