"""The demo model's video VAE: a small AutoencoderKLWan, run on whole clips at once while it trains.

diffusers runs this network a few frames at a time with a cache of past frames. `encode` and `decode` here give the same
numbers in one pass, which trains faster. Stages of a training run are written frames:size:batch:seconds, e.g.

    torchrun --nproc-per-node 4 vae.py work 1:192:16:40 17:128:8:150 49:320:1:60
"""

import argparse
import json
import math
import os
import random
import time

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKLWan

import world
from norm_silu import norm_silu as rows_norm_silu
from training import Clock, FlatModel, Workers, cosine_lr, save

CONFIG = dict(base_dim=32, z_dim=16, dim_mult=[1, 2, 3, 3], num_res_blocks=1, attn_scales=[],
              temperal_downsample=[False, True, True], dropout=0.0)
PEAK_LR = 5e-4
KL_WEIGHT = 3e-4


def build(mean=None, std=None):
    """A fresh VAE that starts as one for single frames: its temporal taps pass the newest frame on."""
    vae = AutoencoderKLWan(latents_mean=mean or [0.0] * 16, latents_std=std or [1.0] * 16, **CONFIG)
    with torch.no_grad():
        for name, m in vae.named_modules():
            if not isinstance(m, torch.nn.Conv3d) or m.weight.shape[2] != 3:
                continue
            if name.endswith("time_conv"):
                out, into = m.weight.shape[:2]
                m.weight.mul_(0.1)
                m.weight[:, :, -1, 0, 0] += torch.eye(into).repeat(out // into, 1)
                m.bias.zero_()
            else:
                m.weight[:, :, :2] = 0
                m.weight[:, :, 2] *= math.sqrt(3)
    return vae


# ---------------------------------------------------------------------------------------------- the network, whole clips

def norm_silu(norm, x):
    b, c, t, h, w = x.shape
    y = rows_norm_silu(x.permute(0, 2, 3, 4, 1).reshape(-1, c).contiguous(), norm.gamma.flatten())
    return y.view(b, t, h, w, c).permute(0, 4, 1, 2, 3)


def frames_as_batch(x):
    b, c, t, h, w = x.shape
    return x.permute(0, 2, 1, 3, 4).reshape(b * t, c, h, w)


def batch_as_frames(x, b):
    return x.view(b, -1, *x.shape[1:]).permute(0, 2, 1, 3, 4)


def causal_conv(m, x):
    """A convolution that sees two frames back; for a single frame only its newest tap matters."""
    k = m.weight.shape[2]
    if x.shape[2] == 1 or k == 1:
        y = F.conv2d(frames_as_batch(x), m.weight[:, :, -1], m.bias, padding=m.weight.shape[3] // 2)
        return batch_as_frames(y, x.shape[0])
    return F.conv3d(F.pad(x, (0, 0, 0, 0, k - 1, 0)), m.weight, m.bias, padding=(0, m.weight.shape[3] // 2, m.weight.shape[4] // 2))


def residual(m, x):
    short = x if isinstance(m.conv_shortcut, torch.nn.Identity) else causal_conv(m.conv_shortcut, x)
    return causal_conv(m.conv2, norm_silu(m.norm2, causal_conv(m.conv1, norm_silu(m.norm1, x)))) + short


def middle(m, x):
    return residual(m.resnets[1], m.attentions[0](residual(m.resnets[0], x)))


def down(m, x):
    """Half the height and width; then half the frames, except that the first passes alone."""
    x = batch_as_frames(m.resample(frames_as_batch(x)), x.shape[0])
    if m.mode == "downsample3d" and x.shape[2] > 1:
        x = torch.cat([x[:, :, :1], F.conv3d(x, m.time_conv.weight, m.time_conv.bias, stride=(2, 1, 1))], 2)
    return x


def up(m, x):
    """Twice the frames, except that the first stays single and is not seen by the others; then twice height and width."""
    if m.mode == "upsample3d" and x.shape[2] > 1:
        y = causal_conv(m.time_conv, x[:, :, 1:]) if x.shape[2] > 2 else F.conv3d(
            F.pad(x[:, :, 1:], (0, 0, 0, 0, 2, 0)), m.time_conv.weight, m.time_conv.bias)
        b, c2, t, h, w = y.shape
        y = y.view(b, 2, c2 // 2, t, h, w).permute(0, 2, 3, 1, 4, 5).reshape(b, c2 // 2, 2 * t, h, w)
        x = torch.cat([x[:, :, :1], y], 2)
    return batch_as_frames(m.resample(frames_as_batch(x)), x.shape[0])


def encode(vae, clip):
    """[batch, 3, 4k+1, height, width] in [-1, 1] -> mean and log variance, each [batch, 16, k+1, height/8, width/8]."""
    e = vae.encoder
    x = causal_conv(e.conv_in, clip.contiguous(memory_format=torch.channels_last_3d))
    for block in e.down_blocks:
        x = down(block, x) if hasattr(block, "resample") else residual(block, x)
    x = causal_conv(e.conv_out, norm_silu(e.norm_out, middle(e.mid_block, x)))
    mean, logvar = causal_conv(vae.quant_conv, x).float().chunk(2, dim=1)
    return mean, logvar.clamp(-30, 20)


def decode(vae, latents):
    """[batch, 16, k+1, h, w] -> [batch, 3, 4k+1, 8h, 8w], not clamped."""
    d = vae.decoder
    x = causal_conv(vae.post_quant_conv, latents.contiguous(memory_format=torch.channels_last_3d))
    x = middle(d.mid_block, causal_conv(d.conv_in, x))
    for block in d.up_blocks:
        for m in block.resnets:
            x = residual(m, x)
        if block.upsamplers is not None:
            x = up(block.upsamplers[0], x)
    return causal_conv(d.conv_out, norm_silu(d.norm_out, x)).float()


# ---------------------------------------------------------------------------------------------------------- training

def slopes(x):
    return x.diff(dim=-1), x.diff(dim=-2)


def loss_terms(vae, clip, slope_weight):
    mean, logvar = encode(vae, clip)
    out = decode(vae, mean + torch.exp(0.5 * logvar) * torch.randn_like(mean))
    mse = F.mse_loss(out, clip)
    kl = 0.5 * (mean ** 2 + logvar.exp() - 1 - logvar).mean()
    loss = F.l1_loss(out, clip) + 5 * mse + KL_WEIGHT * kl
    if slope_weight:
        loss = loss + slope_weight * sum(F.l1_loss(a, b) for a, b in zip(slopes(out), slopes(clip)))
    return loss, mse, kl, mean


def psnr(mse):
    return 10 * math.log10(4 / max(mse, 1e-12))


def train(work, stages, resume, clips):
    workers = Workers()
    torch.manual_seed(1 + 1000 * workers.rank)
    vae = build().to(workers.device).train()
    flat = FlatModel([vae], workers, weight_decay=1e-4, betas=(0.9, 0.99))
    if resume:
        flat.load(torch.load(resume, map_location=workers.device, weights_only=True), optimizer=False)
    workers.log(f"vae: {sum(p.numel() for p in vae.parameters()) / 1e6:.2f} M parameters")
    rng = random.Random(f"vae {workers.rank} {resume or ''}")
    total, done, clock = sum(s[3] for s in stages), 0.0, Clock(workers)
    for frames, size, batch, seconds in stages:
        steps = 0
        while True:
            now = clock.now()
            if now >= done + seconds:
                break
            clip = world.training_clips(rng, batch, frames, size, workers.device)
            with workers.autocast():
                loss, mse, kl, mean = loss_terms(vae, clip, 0.5 if now > 0.5 * total else 0.0)
            loss.backward()
            flat.step(cosine_lr(PEAK_LR, flat.steps, 200, now / total), 1.0, 0.998)
            steps += 1
            if steps in (1, 5, 20) or steps % 100 == 0:
                workers.log(f"vae {frames}x{size} step {steps} t {time.time() - clock.start:.0f}s psnr {psnr(mse.item()):.2f} "
                            f"kl {kl.item():.3f} latent std {mean.std().item():.2f}")
        done += seconds
        workers.log(f"vae {frames}x{size}: {steps} steps, t {time.time() - clock.start:.0f}s")
        if workers.first:
            save(os.path.join(work, "vae.pt"), flat.state())
    with flat.averaged():
        if clips:
            measure(workers, work, vae, clips)
        if workers.first:
            save(os.path.join(work, "vae_average.pt"), vae.state_dict())
    workers.barrier()
    workers.close()


# --------------------------------------------------------------------------------------------------------- measuring

@torch.no_grad()
def compare(clip, out):
    """PSNR of a clip, of its last quarter, and the largest shift of a frame's mean colour (in 1/255)."""
    out = out.clamp(-1, 1)
    error = ((out - clip) ** 2).mean(dim=(0, 1, 3, 4))
    shift = (out.mean(dim=(3, 4)) - clip.mean(dim=(3, 4))).abs().max() * 127.5
    return dict(psnr=psnr(error.mean().item()), psnr_worst_frame=psnr(error.max().item()),
                psnr_last_quarter=psnr(error[-len(error) // 4:].mean().item()), colour_shift=shift.item())


def summary(rows):
    of = lambda key: [r[key] for r in rows]
    mean = lambda key: sum(of(key)) / len(rows)
    return dict(clips=len(rows), psnr_mean=mean("psnr"), psnr_worst=min(of("psnr")), psnr_worst_frame=min(of("psnr_worst_frame")),
                psnr_last_quarter_mean=mean("psnr_last_quarter"), colour_shift_mean=mean("colour_shift"),
                colour_shift_worst=max(of("colour_shift")))


def held_out(count, seed=424242):
    rng = random.Random(seed)
    return [world.sample_scene(rng) for _ in range(count)]


@torch.no_grad()
def measure(workers, work, vae, count):
    """PSNR on held-out whole clips, shared among the processes."""
    scenes, rows = held_out(count), []
    for s in scenes[workers.rank::workers.count]:
        clip = world.render([s], 49, 320, 320, workers.device)
        with workers.autocast():
            rows.append(compare(clip, decode(vae, encode(vae, clip)[0])))
    if workers.count > 1:
        gathered = [None] * workers.count
        torch.distributed.all_gather_object(gathered, rows)
        rows = [r for part in gathered for r in part]
    result = summary(rows)
    workers.log("vae held out:", json.dumps({k: round(v, 3) for k, v in result.items()}))
    if workers.first:
        with open(os.path.join(work, "vae.json"), "w") as f:
            json.dump(result, f)
    return result


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Trains the demo model's VAE.")
    options.add_argument("work", help="folder for checkpoints")
    options.add_argument("stages", nargs="+", help="frames:size:batch:seconds")
    options.add_argument("--resume", help="a vae.pt to start from")
    options.add_argument("--clips", type=int, default=32, help="held-out clips to measure at the end")
    options = options.parse_args()
    os.makedirs(options.work, exist_ok=True)
    train(options.work, [tuple(int(n) for n in s.split(":")) for s in options.stages], options.resume, options.clips)
