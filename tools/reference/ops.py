"""Single operations, for the pieces that a C++ port fuses or tabulates."""

import torch
import torch.nn.functional as F
from diffusers.models.attention import FeedForward
from diffusers.models.autoencoders.autoencoder_kl_wan import WanRMS_norm
from diffusers.models.embeddings import Timesteps
from diffusers.models.normalization import FP32LayerNorm
from diffusers.models.transformers import transformer_wan
from diffusers.models.transformers.transformer_wan import WanAttention, WanRotaryPosEmbed
from transformers import UMT5EncoderModel
from transformers.models.umt5.modeling_umt5 import UMT5LayerNorm

from .common import seeded_normal

SEED = 977


def buckets(out, root):
    encoder = UMT5EncoderModel.from_pretrained(root / "wan_t2v_tiny" / "text_encoder")
    attention = encoder.encoder.block[1].layer[0].SelfAttention
    distance = torch.arange(-600, 601)
    out["umt5.distance"] = distance
    out["umt5.bucket"] = attention._relative_position_bucket(distance)
    out["umt5.block1.bias"] = attention.compute_bias(20, 20)


def rope(out):
    for head_dim in (128, 64):
        embed = WanRotaryPosEmbed(head_dim, (1, 2, 2), 1024)
        cos, sin = embed(torch.zeros(1, 16, 3, 8, 12))  # a (3, 4, 6) grid of tokens
        out[f"rope{head_dim}.cos"] = cos[0, :, 0]
        out[f"rope{head_dim}.sin"] = sin[0, :, 0]
    # Applied, by the library's own attention with everything else made an identity.
    width = 256
    attention = WanAttention(dim=width, heads=2, dim_head=128, eps=1e-6, processor=transformer_wan.WanAttnProcessor())
    for part in (attention.to_q, attention.to_k, attention.to_v, attention.to_out[0]):
        part.weight.copy_(torch.eye(width))
        part.bias.zero_()
    attention.norm_q = attention.norm_k = torch.nn.Identity()
    embed = WanRotaryPosEmbed(128, (1, 2, 2), 1024)
    tables = embed(torch.zeros(1, 16, 3, 4, 4))
    x = seeded_normal(SEED, "rope.x", (1, 12, width))
    captured = []
    original = transformer_wan.dispatch_attention_fn

    def capture(query, *args, **kwargs):
        captured.append(query.clone())
        return original(query, *args, **kwargs)

    transformer_wan.dispatch_attention_fn = capture
    try:
        attention(x, None, None, tables)
        attention.to(torch.bfloat16)(x.bfloat16(), None, None, tables)
    finally:
        transformer_wan.dispatch_attention_fn = original
    out["rope_apply.x"] = x
    out["rope_apply.f32"] = captured[0].flatten(2, 3)
    out["rope_apply.bf16"] = captured[1].flatten(2, 3)


def sinusoid(out):
    timesteps = torch.tensor([0.0, 1.0, 500.0, 999.0, 876.5137])
    out["sinusoid.t"] = timesteps
    out["sinusoid.embedding"] = Timesteps(256, flip_sin_to_cos=True, downscale_freq_shift=0)(timesteps)


def norms(out):
    x = 2.0 * seeded_normal(SEED, "norm.x", (4, 256))
    weight = 1.0 + 0.3 * seeded_normal(SEED, "norm.w", (256,))
    bias = 0.2 * seeded_normal(SEED, "norm.b", (256,))
    shift, scale, gate = 0.5 * seeded_normal(SEED, "norm.mod", (3, 256))
    y = seeded_normal(SEED, "norm.y", (4, 256))
    out.update({"norm.x": x, "norm.weight": weight, "norm.bias": bias, "norm.y": y})
    out.update({"norm.shift": shift, "norm.scale": scale, "norm.gate": gate})

    rms = torch.nn.RMSNorm(256, eps=1e-6)
    rms.weight.copy_(weight)
    t5 = UMT5LayerNorm(256, eps=1e-6)
    t5.weight.copy_(weight)
    plain = FP32LayerNorm(256, 1e-6, elementwise_affine=False)
    affine = FP32LayerNorm(256, 1e-6, elementwise_affine=True)
    affine.weight.copy_(weight)
    affine.bias.copy_(bias)
    for dtype, tag in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
        h, f = x.to(dtype), y.to(dtype)
        out[f"norm.qk_rms.{tag}"] = rms.to(dtype)(h)  # qk-norm: weight in the compute dtype
        out[f"norm.umt5_rms.{tag}"] = t5.to(dtype)(h)
        out[f"norm.layer_affine.{tag}"] = affine(h.float()).type_as(h)
        out[f"norm.adaln.{tag}"] = (plain(h.float()) * (1 + scale) + shift).type_as(h)
        out[f"norm.gated_residual.{tag}"] = (h.float() + f.float() * gate).type_as(h)

    image = 2.0 * seeded_normal(SEED, "vae.x", (1, 16, 2, 3, 4))
    norm = WanRMS_norm(16, images=False)
    norm.gamma.copy_(1.0 + 0.3 * seeded_normal(SEED, "vae.gamma", norm.gamma.shape))
    out.update({"vae_rms.x": image, "vae_rms.gamma": norm.gamma, "vae_rms.f32": norm(image)})


def activations(out):
    x = torch.linspace(-8, 8, 257)
    gelu = FeedForward(4, inner_dim=8, activation_fn="gelu-approximate").net[0].gelu
    out["act.x"] = x
    for dtype, tag in ((torch.float32, "f32"), (torch.bfloat16, "bf16")):
        out[f"act.gelu_tanh.{tag}"] = gelu(x.to(dtype))
        out[f"act.silu.{tag}"] = F.silu(x.to(dtype))


def dump(root):
    out = {}
    buckets(out, root)
    rope(out)
    sinusoid(out)
    norms(out)
    activations(out)
    return out
