"""The demo model's video transformer: renders and encodes clips once, then trains WanTransformer3DModel with its text encoder.

Needs the tokenizer and the averaged VAE in the work folder. Every process keeps its own share of the clips on its GPU.

    torchrun --nproc-per-node 4 transformer.py work --clips 10000 --seconds 480 --batch 8
"""

import argparse
import json
import os
import random
import shutil
import time

import torch
from diffusers import WanTransformer3DModel
from safetensors.torch import load_file

import text
import vae as video
import world
from training import Clock, FlatModel, Workers, cosine_lr, save

CONFIG = dict(patch_size=(1, 2, 2), num_attention_heads=4, attention_head_dim=64, in_channels=16, out_channels=16,
              text_dim=256, freq_dim=256, ffn_dim=1024, num_layers=10, cross_attn_norm=True,
              qk_norm="rms_norm_across_heads", eps=1e-6, rope_max_seq_len=1024)
DROP_CAPTION = 0.1
TEXT_LR = 0.1  # of the transformer's; at the full rate the text encoder's attention saturates and it forgets word order


def build():
    model = WanTransformer3DModel(**CONFIG)
    for m in model.modules():
        if isinstance(m, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(m.weight)
            torch.nn.init.zeros_(m.bias)
    torch.nn.init.xavier_uniform_(model.patch_embedding.weight.flatten(1))
    torch.nn.init.zeros_(model.proj_out.weight)
    return model


def sample_sigmas(count, device):
    """Noise levels: a third where details form, a third all over, and a third from .92 to .9997.

    Up there, most of it above .99, a clip this smooth decides layout, colours and motions.
    """
    shifted = lambda u, shift: shift * u / (1 + (shift - 1) * u)
    choose, u = torch.rand(count, device=device), torch.rand(count, device=device)
    middle, layout = torch.sigmoid(torch.randn(count, device=device)), torch.sigmoid(2.5 + 5.5 * u)
    return torch.where(choose < 1 / 3, shifted(middle, 3.0), torch.where(choose < 2 / 3, shifted(u, 5.0), layout))


def level_weight(sigma):
    """One over the root of about the loss to expect: what a caption leaves open must not drown the details' gradients."""
    return (0.2 / (0.02 + 0.5 * torch.exp(-45 * (1 - sigma)))).sqrt() * 0.5


def unpack(folder, work, workers):
    """Turns an exported checkpoint back into what the trainings leave in the work folder."""
    if workers.first:
        read = lambda part, name: {k: v.float() for k, v in load_file(os.path.join(folder, part, name)).items()}
        os.makedirs(work, exist_ok=True)
        shutil.copytree(os.path.join(folder, "tokenizer"), os.path.join(work, "tokenizer"), dirs_exist_ok=True)
        with open(os.path.join(folder, "vae", "config.json")) as f:
            config = json.load(f)
        save(os.path.join(work, "latents.pt"), dict(mean=config["latents_mean"], std=config["latents_std"]))
        save(os.path.join(work, "vae_average.pt"), read("vae", "diffusion_pytorch_model.safetensors"))
        encoder = read("text_encoder", "model.safetensors")
        encoder["encoder.embed_tokens.weight"] = encoder["shared.weight"]
        save(os.path.join(work, "transformer_average.pt"),
             dict(model=read("transformer", "diffusion_pytorch_model.safetensors"), encoder=encoder))
    workers.barrier()


@torch.no_grad()
def encode_clips(workers, vae, count, frames, size, chunk, seed, known):
    """Latents of this process's share of `count` random clips, normalised per channel, with captions and the statistics.

    known: the statistics to normalise with; without them they are measured.
    """
    rng, latents, captions, start = random.Random(f"clips {workers.rank} {seed}"), [], [], time.time()
    while len(captions) < count // workers.count:
        scenes = [world.sample_scene(rng) for _ in range(chunk)]
        clip = world.render(scenes, frames, size, size, workers.device)
        with workers.autocast():
            latents.append(video.encode(vae, clip)[0].to(torch.bfloat16))
        captions += [s["caption"] for s in scenes]
        if len(latents) % 100 == 1:
            workers.log(f"clips {len(captions) * workers.count} t {time.time() - start:.0f}s")
    latents = torch.cat(latents)
    if known:
        mean, std = (torch.tensor(known[k], device=workers.device) for k in ("mean", "std"))
    else:
        some = latents[:256].float()
        mean = workers.mean(some.mean(dim=(0, 2, 3, 4)))
        std = workers.mean((some - mean.view(1, -1, 1, 1, 1)).square().mean(dim=(0, 2, 3, 4))).sqrt()
    for part in latents.split(64):
        part.copy_((part.float() - mean.view(1, -1, 1, 1, 1)) / std.view(1, -1, 1, 1, 1))
    workers.log(f"clips {len(captions) * workers.count} t {time.time() - start:.0f}s; std {[round(v, 2) for v in std.tolist()]}")
    return latents, captions, mean.tolist(), std.tolist()


def train(options):
    workers = Workers()
    torch.manual_seed(7 + 1000 * workers.rank)
    work, device = options.work, workers.device
    if options.model:
        unpack(options.model, work, workers)
    vae = video.build()
    vae.load_state_dict(torch.load(os.path.join(work, "vae_average.pt"), weights_only=True))
    vae.to(torch.bfloat16).float().to(device).eval()  # encode with the weights as they will be stored
    statistics = os.path.join(work, "latents.pt")
    known = torch.load(statistics, weights_only=True) if os.path.exists(statistics) else None
    latents, captions, mean, std = encode_clips(workers, vae, options.clips, options.frames, options.size, options.chunk,
                                                options.seed, known)
    del vae
    torch.cuda.empty_cache()
    if workers.first and not known:
        save(statistics, dict(mean=mean, std=std))
    tokenizer = text.load_tokenizer(os.path.join(work, "tokenizer"))
    ids, mask = (t.to(device) for t in text.tokenize(tokenizer, captions))
    empty_ids, empty_mask = (t.to(device) for t in text.tokenize(tokenizer, [""]))

    model, encoder = build(), text.build_encoder(len(tokenizer))
    if options.model:
        start = torch.load(os.path.join(work, "transformer_average.pt"), map_location="cpu", weights_only=True)
        model.load_state_dict(start["model"])
        if not options.new_text:
            encoder.load_state_dict(start["encoder"])
    model, encoder = model.to(device).train(), encoder.to(device).train()
    flats = FlatModel([model], workers, weight_decay=0.01), FlatModel([encoder], workers, weight_decay=0.0)
    if options.resume:
        for flat, state in zip(flats, torch.load(options.resume, map_location=device, weights_only=True)):
            flat.load(state)
    workers.log(f"transformer {sum(p.numel() for p in model.parameters()) / 1e6:.2f} M, "
                f"text encoder {sum(p.numel() for p in encoder.parameters()) / 1e6:.2f} M parameters")
    if device.type == "cuda":
        for block in model.blocks:
            block.compile()
    backends = [getattr(torch.nn.attention.SDPBackend, name) for name in options.attention.split(",")]

    def keep():
        if workers.first:
            save(os.path.join(work, "transformer.pt"), [flat.state() for flat in flats])
            with flats[0].averaged(), flats[1].averaged():
                save(os.path.join(work, "transformer_average.pt"), dict(model=model.state_dict(), encoder=encoder.state_dict()))

    trained = [(flats[0], 1.0), (flats[1], TEXT_LR)]
    if options.keep_text:  # its launches take as long as all of the transformer's work
        trained = trained[:1]
        with torch.no_grad(), workers.autocast():
            kept = torch.cat([text.embed(encoder, i, m) for i, m in zip(ids.split(256), mask.split(256))])
            empty = text.embed(encoder, empty_ids, empty_mask)

    def states_of(pick, drop):
        if options.keep_text:
            return torch.where(drop[:, :, None], empty, kept[pick])
        return text.embed(encoder, torch.where(drop, empty_ids, ids[pick]), torch.where(drop, empty_mask, mask[pick]))

    clock, losses, saved = Clock(workers), [], 0.0
    while (now := clock.now()) < options.seconds:
        pick = torch.randint(0, len(latents), (options.batch,), device=device)
        drop = torch.rand(options.batch, 1, device=device) < DROP_CAPTION
        clean = latents[pick].float()
        noise = torch.randn_like(clean)
        sigma = sample_sigmas(options.batch, device)
        s = sigma.view(-1, 1, 1, 1, 1)
        with workers.autocast(), torch.nn.attention.sdpa_kernel(backends, set_priority=True):
            # diffusers' schedulers tell the model whole timesteps, which says little of the levels next to 1.
            out = model(hidden_states=(1 - s) * clean + s * noise, timestep=(1000 * sigma).floor().clamp(max=999),
                        encoder_hidden_states=states_of(pick, drop), return_dict=False)[0]
            errors = (out.float() - (noise - clean)).square().mean(dim=(1, 2, 3, 4))
            loss = errors.mean()
            (level_weight(sigma) * errors).mean().backward()
        fraction = (options.spent + now) / (options.total or options.seconds)
        lr, steps = cosine_lr(options.lr, flats[0].steps, 200, fraction), flats[0].steps + 1
        for flat, scale in trained:
            flat.step(scale * lr, 1.0, options.decay)
        losses.append(loss.detach())
        if steps in (1, 5, 20) or steps % 200 == 0:
            average = workers.mean(torch.stack(losses[-200:]).mean()).item() if steps % 200 == 0 else loss.item()
            workers.log(f"transformer step {steps} t {time.time() - clock.start:.0f}s loss {average:.4f}")
            losses = losses[-200:]
        if now - saved > 60:
            keep()
            saved = now
    keep()
    workers.log(f"transformer: {flats[0].steps} steps, t {time.time() - clock.start:.0f}s")
    workers.barrier()
    workers.close()


def arguments():
    options = argparse.ArgumentParser(description="Trains the demo model's transformer and text encoder.")
    options.add_argument("work", help="folder with tokenizer/ and vae_average.pt; checkpoints go there")
    options.add_argument("--clips", type=int, default=10000)
    options.add_argument("--chunk", type=int, default=4, help="clips encoded at once")
    options.add_argument("--frames", type=int, default=49)
    options.add_argument("--size", type=int, default=320)
    options.add_argument("--seconds", type=float, default=480)
    options.add_argument("--batch", type=int, default=8, help="clips per GPU and step")
    options.add_argument("--attention", default="FLASH_ATTENTION,EFFICIENT_ATTENTION,MATH",
                         help="PyTorch attention kernels in order of choice")
    options.add_argument("--lr", type=float, default=1e-3, help="highest learning rate")
    options.add_argument("--decay", type=float, default=0.9995, help="of the averaged weights")
    options.add_argument("--seed", type=int, default=0, help="of the clips")
    options.add_argument("--model", help="an exported checkpoint to go on from, with a fresh optimizer")
    options.add_argument("--new-text", action="store_true", help="with --model: start with a fresh text encoder all the same")
    options.add_argument("--keep-text", action="store_true", help="with --model: leave the text encoder as it is")
    options.add_argument("--resume", help="a transformer.pt to go on from")
    options.add_argument("--spent", type=float, default=0, help="seconds trained before, for the learning rate")
    options.add_argument("--total", type=float, default=0, help="seconds of the whole schedule, for the learning rate")
    return options


if __name__ == "__main__":
    train(arguments().parse_args())
