#!/usr/bin/env python3
"""A whole run of diffusers' WanPipeline from a checkpoint folder, timed by stages: what `sparsevid generate --report`
is compared with. Prints one JSON object, and on standard error how far it is.

    bench/diffusers_run.py --model wan-1.3b --height 480 --width 832 --frames 81 --steps 4
    bench/diffusers_run.py --model wan-14b --height 720 --width 1280 --steps 2 --guidance 1 --vae-dtype bf16
    bench/diffusers_run.py --model wan-1.3b --compile --eager-first --vae-dtype f32 bf16   # two lines

`first_step_seconds` counts from the start of this program to the end of the first denoising step: importing the
libraries, loading all parts onto the GPU, encoding the prompts and the step. The clip ends as an array in memory; it is
not written to a file. `step_seconds` is the median of the steps after the first, which under --compile waits for the
compiler; `compiled` then says of how many graphs, and how often one broke off. --eager-first makes a clip before that
with the same pipeline as it was loaded; the second one's `seconds` then begin after encoding the prompts. `peak_gib` is what PyTorch had
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
import sys  # noqa: E402

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
        print(f"{stage}: {self.stages[stage]} s", file=sys.stderr, flush=True)
        return now - STARTED


def load(arguments):
    vae = AutoencoderKLWan.from_pretrained(
        arguments.model, subfolder="vae", dtype=DTYPES[arguments.vae_dtype[0]]
    )
    placed = {"device_map": arguments.device} if arguments.load == "direct" else {}
    pipe = WanPipeline.from_pretrained(
        arguments.model, vae=vae, dtype=DTYPES[arguments.dtype], **placed
    )
    pipe.vae.to(arguments.device)
    if not placed:
        pipe.to(arguments.device)
    pipe.transformer.set_attention_backend(BACKENDS[arguments.attention])
    pipe.set_progress_bar_config(disable=True)
    return pipe


class Clip:
    """One clip of a pipeline from encoded prompts, its steps and their seconds."""

    def __init__(self, pipe, watch, prompts, compiled, vae_dtype, arguments):
        self.watch, self.steps, self.first = watch, [], None
        self.compiled, self.vae_dtype, self.arguments = compiled, vae_dtype, arguments
        if compiled:
            pipe.transformer.compile_repeated_blocks()
        pipe.vae.to(DTYPES[vae_dtype])
        positive, negative = prompts
        self.frames = pipe(
            prompt_embeds=positive, negative_prompt_embeds=negative, height=arguments.height, width=arguments.width,
            num_frames=arguments.frames, num_inference_steps=arguments.steps, guidance_scale=arguments.guidance,
            generator=torch.Generator("cpu").manual_seed(0), callback_on_step_end=self.after_step, output_type="np",
        ).frames  # fmt: skip
        self.ended = watch.end("decoding")

    def after_step(self, pipe, step, timestep, tensors):
        ended = self.watch.end("step")
        self.steps.append(self.watch.stages.pop("step"))
        self.first = self.first or ended
        return tensors

    def row(self, began):
        arguments, cuda = self.arguments, self.watch.cuda
        facts = {"step_seconds": round(statistics.median(self.steps[1:]), 3)} if len(self.steps) > 1 else {}
        if self.compiled:
            counters = torch._dynamo.utils.counters
            graphs = counters["stats"]["unique_graphs"]
            if graphs == 0:
                raise RuntimeError("nothing was compiled")
            facts["compiled"] = {"graphs": graphs, "graph_breaks": sum(counters["graph_break"].values())}
        return {
            "case": f"whole run {arguments.frames} x {arguments.height} x {arguments.width}, {arguments.steps} steps, "
                    f"guidance {arguments.guidance:g}, {arguments.dtype}, decoding in {self.vae_dtype}",
            "seconds": {**self.watch.stages, "total": round(self.ended - began, 3)},
            "seconds_of_steps": self.steps, **facts,
            "first_step_seconds": round(self.first - began, 3),
            "frames": list(self.frames.shape),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if cuda else None,
            "reserved_gib": round(torch.cuda.max_memory_reserved() / 2**30, 2) if cuda else None,
            "baseline": f"diffusers {diffusers.__version__}, transformers {transformers.__version__}, torch "
                        f"{torch.__version__}, {arguments.attention} attention"
                        + (", blocks compiled" if self.compiled else "") + f", weights loaded {arguments.load}",
            "chip": torch.cuda.get_device_name() if cuda else "CPU",
        }  # fmt: skip


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
    parser.add_argument("--vae-dtype", choices=sorted(DTYPES), nargs="+", default=["f32"],
                        help="default: f32, as diffusers advises; of each clip, if several")  # fmt: skip
    parser.add_argument("--attention", choices=sorted(BACKENDS), default="cudnn")
    parser.add_argument("--compile", action="store_true", help="torch.compile of the blocks; the first step waits for it")
    parser.add_argument("--eager-first", action="store_true", help="with --compile: a clip without before")
    parser.add_argument("--load", choices=("direct", "to"), default="direct")
    parser.add_argument("--device", default="cuda")
    arguments = parser.parse_args()
    if arguments.eager_first and not arguments.compile:
        parser.error("--eager-first goes with --compile")
    for library in (diffusers, transformers):
        library.utils.logging.set_verbosity_error()
        library.utils.logging.disable_progress_bar()

    watch = Watch(arguments.device)
    watch.end("importing")
    pipe = load(arguments)
    watch.end("loading")
    with torch.inference_mode():
        prompts = pipe.encode_prompt(
            prompt=arguments.prompt, negative_prompt=arguments.negative_prompt,
            do_classifier_free_guidance=arguments.guidance > 1, max_sequence_length=512,
            device=torch.device(arguments.device),
        )  # fmt: skip
        watch.end("text")
        began = 0
        runs = (False, True) if arguments.eager_first else (arguments.compile,)
        for run, compiled in enumerate(runs):
            clip = Clip(pipe, watch, prompts, compiled, arguments.vae_dtype[min(run, len(arguments.vae_dtype) - 1)],
                        arguments)  # fmt: skip
            print(json.dumps(clip.row(began)), flush=True)
            began = time.perf_counter() - STARTED
            watch.stages = {}
            if watch.cuda:
                torch.cuda.reset_peak_memory_stats()


if __name__ == "__main__":
    main()
