#!/usr/bin/env python3
"""A whole run of diffusers' WanPipeline from a checkpoint folder, timed by stages: what `sparsevid generate --report`
is compared with. Prints one JSON object.

    bench/diffusers_run.py --model wan-1.3b --height 480 --width 832 --frames 81 --steps 4
    bench/diffusers_run.py --model wan-14b --height 720 --width 1280 --steps 2 --guidance 1 --vae-dtype bf16

`first_step_seconds` counts from the start of this program to the end of the first denoising step: importing the
libraries, loading all parts onto the GPU, encoding the prompts and the step. The clip ends as an array in memory; it is
not written to a file. `step_seconds` is the median of the steps after the first, which under --compile waits for the
compiler; `compiled` then says of how many graphs, and how often one broke off. `peak_gib` is what PyTorch had
allocated at most, weights included. Weights go straight to the GPU (--load direct), or over the host as most examples
do it (--load to).

A baseline is the fastest of what is offered here: also try --attention flash and --compile.

Needs PyTorch, transformers, accelerate and diffusers.
"""

import time

STARTED = time.perf_counter()

import argparse  # noqa: E402
import json  # noqa: E402
import statistics  # noqa: E402

import diffusers  # noqa: E402
import torch  # noqa: E402
import transformers  # noqa: E402
from diffusers import AutoencoderKLWan, WanPipeline  # noqa: E402

# Names of this program: those of diffusers.
BACKENDS = {"cudnn": "_native_cudnn", "flash": "_native_flash", "native": "native"}
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}


class Watch:
    """Seconds by stage, the GPU's work included."""

    def __init__(self, device):
        self.cuda = device == "cuda"
        self.stages = {}
        self.before = STARTED

    def end(self, stage):
        if self.cuda:
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.stages[stage] = round(now - self.before, 3)
        self.before = now
        return now - STARTED


def load(arguments):
    vae = AutoencoderKLWan.from_pretrained(
        arguments.model, subfolder="vae", dtype=DTYPES[arguments.vae_dtype]
    )
    placed = {"device_map": arguments.device} if arguments.load == "direct" else {}
    pipe = WanPipeline.from_pretrained(
        arguments.model, vae=vae, dtype=DTYPES[arguments.dtype], **placed
    )
    pipe.vae.to(arguments.device)
    if not placed:
        pipe.to(arguments.device)
    pipe.transformer.set_attention_backend(BACKENDS[arguments.attention])
    if arguments.compile:
        pipe.transformer.compile_repeated_blocks()
    pipe.set_progress_bar_config(disable=True)
    return pipe


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="checkpoint folder")
    parser.add_argument("--prompt", default="a red fox in the snow")
    parser.add_argument("--negative-prompt", default="")
    parser.add_argument("--height", type=int, default=480)
    parser.add_argument("--width", type=int, default=832)
    parser.add_argument("--frames", type=int, default=81)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--guidance", type=float, default=5)
    parser.add_argument("--dtype", choices=sorted(DTYPES), default="bf16")
    parser.add_argument("--vae-dtype", choices=sorted(DTYPES), default="f32", help="default: f32, as diffusers advises")
    parser.add_argument("--attention", choices=sorted(BACKENDS), default="cudnn")
    parser.add_argument("--compile", action="store_true", help="torch.compile of the blocks; the first step waits for it")
    parser.add_argument("--load", choices=("direct", "to"), default="direct")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()

    watch = Watch(arguments.device)
    watch.end("importing")
    pipe = load(arguments)
    watch.end("loading")
    steps = []
    first = None

    def after_step(pipe, step, timestep, tensors):
        nonlocal first
        ended = watch.end("step")
        steps.append(watch.stages.pop("step"))
        first = first or ended
        return tensors

    with torch.inference_mode():
        guided = arguments.guidance > 1
        positive, negative = pipe.encode_prompt(
            prompt=arguments.prompt, negative_prompt=arguments.negative_prompt, do_classifier_free_guidance=guided,
            max_sequence_length=512, device=torch.device(arguments.device),
        )  # fmt: skip
        watch.end("text")
        clip = pipe(
            prompt_embeds=positive, negative_prompt_embeds=negative, height=arguments.height, width=arguments.width,
            num_frames=arguments.frames, num_inference_steps=arguments.steps, guidance_scale=arguments.guidance,
            generator=torch.Generator("cpu").manual_seed(0), callback_on_step_end=after_step, output_type="np",
        ).frames  # fmt: skip
    total = watch.end("decoding")
    facts = {"step_seconds": round(statistics.median(steps[1:]), 3)} if len(steps) > 1 else {}
    if arguments.compile:
        counters = torch._dynamo.utils.counters
        graphs = counters["stats"]["unique_graphs"]
        if graphs == 0:
            raise RuntimeError("nothing was compiled")
        facts["compiled"] = {"graphs": graphs, "graph_breaks": sum(counters["graph_break"].values())}
    print(json.dumps({
        "case": f"whole run {arguments.frames} x {arguments.height} x {arguments.width}, {arguments.steps} steps, "
                f"guidance {arguments.guidance:g}, {arguments.dtype}, decoding in {arguments.vae_dtype}",
        "seconds": {**watch.stages, "total": round(total, 3)},
        "seconds_of_steps": steps, **facts,
        "first_step_seconds": round(first, 3),
        "frames": list(clip.shape),
        "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if watch.cuda else None,
        "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2) if watch.cuda else None,
        "baseline": f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch "
                    f"{torch.__version__}, {arguments.attention} attention"
                    + (", blocks compiled" if arguments.compile else "") + f", weights loaded {arguments.load}",
        "chip": torch.cuda.get_device_name() if watch.cuda else "CPU",
    }), flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
