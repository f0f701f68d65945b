"""The band of svg1's heads over space: FlexAttention with that mask, beside ours."""

import time

import torch

from .problem import milliseconds, wait


def band_rows(ours, dense, options, emit):
    with emit(case="band", peer="flex") as row:
        row |= flex_band(ours, options)


def flex_band(ours, options):
    """Ours also has heads over time, for which FlexAttention would need the tokens in another order."""
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    device = options.device
    generator = torch.Generator(device).manual_seed(1)
    heads, dim, frames = options.heads, options.head_dim, options.frames
    positions = options.tokens // frames
    tokens, width = frames * positions, options.band
    scale = dim**-0.5
    q, k, v = (torch.randn(tokens, heads, dim, generator=generator, device=device).bfloat16() for _ in range(3))
    out = torch.empty_like(q)
    over_space = torch.zeros(heads, device=device, dtype=torch.uint8)

    def our_kernel(temporal=over_space):
        ours.band(q, k, v, out, temporal, heads, frames, positions, dim, width, scale)

    def mask(_, __, i, j):
        return ((i - j).abs() <= width) | (j < positions)

    begin = time.perf_counter()
    blocks = torch.compile(create_block_mask)(mask, None, None, tokens, tokens, device=device)
    compiled = torch.compile(flex_attention, dynamic=False)
    views = [x.transpose(0, 1)[None] for x in (q, k, v)]
    theirs = compiled(*views, block_mask=blocks, scale=scale)
    wait(device)
    seconds = time.perf_counter() - begin
    our_kernel()
    difference = (out.transpose(0, 1)[None].float() - theirs.float()).abs().max()
    mixed = (torch.arange(heads, device=device) % 2).to(torch.uint8)
    times = milliseconds([our_kernel, lambda: compiled(*views, block_mask=blocks, scale=scale),
                          lambda: our_kernel(mixed)], options.runs, device)  # fmt: skip
    places = torch.arange(tokens, device=device)
    last, first = (places + width).clamp(max=tokens - 1), (places - width).clamp(min=0)
    seen = last - first + 1 + torch.minimum(first, torch.full_like(first, positions))
    kept = heads * float(seen.sum())
    rates = [4 * dim * kept / t / 1e9 for t in times]
    return {
        "density": round(kept / heads / tokens**2, 4), "width": width, "frames": frames,
        "ours_ms": times[0], "peer_ms": times[1], "ours_half_of_the_heads_over_time_ms": times[2],
        "ours_tflops": round(rates[0], 1), "peer_tflops": round(rates[1], 1), "compile_s": round(seconds, 1),
        "largest_difference": float(difference),
    }  # fmt: skip
