"""Writes the trained parts as a checkpoint folder in the layout of Wan 2.1 for diffusers, in bfloat16.

    python export.py work assets/demo-model
"""

import argparse
import json
import os
import shutil

import torch
from diffusers import UniPCMultistepScheduler

import text
import transformer
import vae as video

INDEX = {
    "_class_name": "WanPipeline", "_diffusers_version": "0.33.0",
    "scheduler": ["diffusers", "UniPCMultistepScheduler"], "text_encoder": ["transformers", "UMT5EncoderModel"],
    "tokenizer": ["transformers", "T5TokenizerFast"], "transformer": ["diffusers", "WanTransformer3DModel"],
    "vae": ["diffusers", "AutoencoderKLWan"],
}


def export(work, out, steps, guidance, shift):
    load = lambda name: torch.load(os.path.join(work, name), map_location="cpu", weights_only=True)
    os.makedirs(out, exist_ok=True)
    shutil.copytree(os.path.join(work, "tokenizer"), os.path.join(out, "tokenizer"), dirs_exist_ok=True)

    statistics, parts = load("latents.pt"), load("transformer_average.pt")
    vae = video.build([round(v, 6) for v in statistics["mean"]], [round(v, 6) for v in statistics["std"]])
    vae.load_state_dict(load("vae_average.pt"))
    vae.to(torch.bfloat16).save_pretrained(os.path.join(out, "vae"))

    model = transformer.build()
    model.load_state_dict(parts["model"])
    model.to(torch.bfloat16).save_pretrained(os.path.join(out, "transformer"))

    encoder = text.build_encoder(len(text.load_tokenizer(os.path.join(out, "tokenizer"))))
    encoder.load_state_dict(parts["encoder"])
    encoder.to(torch.bfloat16).save_pretrained(os.path.join(out, "text_encoder"))

    UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, num_train_timesteps=1000,
                            flow_shift=shift).save_pretrained(os.path.join(out, "scheduler"))
    dump(INDEX, out, "model_index.json")
    # Few enough clusters that their sizes fill a kernel's tiles, and made in few steps: at 5,200 tokens what prepares
    # attention counts. No layer gains much from staying dense.
    attention = dict(method="semantic-tail", dense_layers=0, query_clusters=64, key_clusters=224, kmeans_iterations=4,
                     recluster_every=6)
    dump(dict(height=320, width=320, num_frames=49, fps=16, num_inference_steps=steps, guidance_scale=guidance,
              attention=attention), out, "sparsevid.json")


def dump(value, folder, name):
    with open(os.path.join(folder, name), "w") as f:
        json.dump(value, f, indent=2)
        f.write("\n")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Writes the demo checkpoint folder.")
    options.add_argument("work")
    options.add_argument("out")
    options.add_argument("--steps", type=int, default=20)
    options.add_argument("--guidance", type=float, default=3.0)
    options.add_argument("--shift", type=float, default=3.0)
    o = options.parse_args()
    export(o.work, o.out, o.steps, o.guidance, o.shift)
