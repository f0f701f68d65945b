"""Runs the exported checkpoint through diffusers' WanPipeline: prompt check, VAE check and contact sheet.

Under torchrun the prompts are shared among the GPUs.

    torchrun --nproc-per-node 4 generate.py assets/demo-model out --prompts 50 --steps 25 --guidance 4 --vae-clips 32
"""

import argparse
import json
import os
import time

import numpy as np
import torch
from diffusers import AutoencoderKLWan, WanPipeline

import check_prompts
import vae as video
import world
from training import Workers

SHEET = [
    "a large red circle moving right over a checkered blue background",
    "a large green heart bouncing over a dotted pink background",
    "a small yellow star circling over a cloudy purple background",
    "a large orange square spinning over a striped cyan background",
    "a large blue star growing over a gradient yellow background",
    "a large white ring moving up and a small red triangle moving left over a plain green background",
]


def pipeline(folder, device):
    """The checkpoint as Wan 2.1 is run: VAE in float32, the rest in bfloat16 on a GPU and float32 on a CPU."""
    vae = AutoencoderKLWan.from_pretrained(folder, subfolder="vae", torch_dtype=torch.float32)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    pipe = WanPipeline.from_pretrained(folder, vae=vae, torch_dtype=dtype).to(device)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def clip_of(pipe, prompt, seed, o):
    """Frames [n, height, width, 3] in [0, 1]."""
    generator = torch.Generator().manual_seed(seed)
    out = pipe(prompt=prompt, negative_prompt="", height=o.size, width=o.size, num_frames=o.frames,
               num_inference_steps=o.steps, guidance_scale=o.guidance, generator=generator, output_type="np")
    return out.frames[0]


def sheet(clips, path, columns=6, width=160):
    """A picture with one row per clip and frames spread over its time."""
    from PIL import Image
    rows = []
    for clip in clips:
        picks = np.linspace(0, len(clip) - 1, columns).round().astype(int)
        frames = [Image.fromarray((clip[i] * 255).round().astype(np.uint8)).resize((width, width), Image.LANCZOS) for i in picks]
        rows.append(np.concatenate([np.asarray(f) for f in frames], 1))
    picture = Image.fromarray(np.concatenate(rows))
    few = picture.quantize(256, method=Image.Quantize.MAXCOVERAGE, kmeans=3, dither=Image.Dither.NONE)  # small things keep their colours
    few.save(path, optimize=True)


@torch.no_grad()
def check_vae(vae, device, count, size, frames, rank, workers):
    """Reconstruction of held-out clips by diffusers' own frame-by-frame path."""
    rows = []
    for scene in video.held_out(count)[rank::workers]:
        clip = world.render([scene], frames, size, size, device)
        rows.append(video.compare(clip, vae.decode(vae.encode(clip).latent_dist.mode()).sample))
    return rows


def gather(workers, rows):
    if workers.count == 1:
        return rows
    parts = [None] * workers.count
    torch.distributed.all_gather_object(parts, rows)
    return [r for i in range(max(map(len, parts))) for part in parts for r in part[i:i + 1]]


def main(o):
    workers, start = Workers(), time.time()
    os.makedirs(o.out, exist_ok=True)
    pipe = pipeline(o.folder, workers.device)
    if o.vae_clips:
        rows = gather(workers, check_vae(pipe.vae, workers.device, o.vae_clips, o.size, o.frames, workers.rank, workers.count))
        if workers.first:
            totals = video.summary(rows)
            print("vae:", json.dumps({k: round(v, 3) for k, v in totals.items()}), flush=True)
            with open(os.path.join(o.out, "demo_model_vae.json"), "w") as f:
                json.dump(dict(totals=totals, clips=rows), f, indent=1)
                f.write("\n")
    if o.prompts:
        prompts = check_prompts.standard_prompts(o.prompts)
        rows = []
        for i in range(workers.rank, len(prompts), workers.count):
            rows.append(check_prompts.check(prompts[i], clip_of(pipe, prompts[i], 1000 + i, o)))
        rows = gather(workers, rows)
        if workers.first:
            totals = check_prompts.report(rows)
            check_prompts.write(os.path.join(o.out, "demo_model_prompts.json"), rows, totals, steps=o.steps, guidance=o.guidance,
                                engine="diffusers WanPipeline")
    if o.sheet:
        clips = [clip_of(pipe, p, o.seed, o) for p in SHEET[workers.rank::workers.count]]
        clips = gather(workers, clips)
        if workers.first:
            sheet(clips, os.path.join(o.out, "sheet.png"), width=o.cell)
    workers.log(f"generate: {time.time() - start:.0f}s")
    workers.barrier()
    workers.close()


def arguments():
    options = argparse.ArgumentParser(description="Generates from the demo checkpoint with diffusers and measures it.")
    options.add_argument("folder")
    options.add_argument("out")
    options.add_argument("--prompts", type=int, default=0)
    options.add_argument("--vae-clips", type=int, default=0)
    options.add_argument("--sheet", action="store_true")
    options.add_argument("--seed", type=int, default=42)
    options.add_argument("--cell", type=int, default=160, help="size of a picture on the sheet")
    options.add_argument("--steps", type=int, default=25)
    options.add_argument("--guidance", type=float, default=4.0)
    options.add_argument("--size", type=int, default=320)
    options.add_argument("--frames", type=int, default=49)
    return options


if __name__ == "__main__":
    main(arguments().parse_args())
