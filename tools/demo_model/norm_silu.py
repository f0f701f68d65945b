"""RMS norm over channels followed by SiLU, for rows of channels: one Triton kernel each way on a GPU, plain PyTorch elsewhere."""

import math

import torch
import torch.nn.functional as F

try:
    import triton
    import triton.language as tl
except ImportError:
    triton = None


def plain(x, gamma):
    y = F.normalize(x.float(), dim=-1) * (math.sqrt(x.shape[-1]) * gamma)
    return F.silu(y).to(x.dtype)


if triton:
    @triton.jit
    def forward_kernel(x_ptr, gamma_ptr, y_ptr, rows, scale, C: tl.constexpr, PAD: tl.constexpr, BLOCK: tl.constexpr):
        col = tl.arange(0, PAD)
        row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
        at = row[:, None] * C + col[None, :]
        inside = (row[:, None] < rows) & (col[None, :] < C)
        gamma = tl.load(gamma_ptr + col, mask=col < C, other=0.0)
        x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
        length = tl.maximum(tl.sqrt(tl.sum(x * x, 1)), 1e-12)
        n = x * (scale / length)[:, None] * gamma[None, :]
        tl.store(y_ptr + at, (n * tl.sigmoid(n)).to(y_ptr.dtype.element_ty), mask=inside)

    @triton.jit
    def backward_kernel(x_ptr, gamma_ptr, dy_ptr, dx_ptr, dgamma_ptr, rows, scale, C: tl.constexpr, PAD: tl.constexpr,
                        BLOCK: tl.constexpr):
        col = tl.arange(0, PAD)
        gamma = tl.load(gamma_ptr + col, mask=col < C, other=0.0)
        total = tl.zeros([PAD], tl.float32)
        for start in range(tl.program_id(0) * BLOCK, rows, tl.num_programs(0) * BLOCK):
            row = tl.cast(start, tl.int64) + tl.arange(0, BLOCK)
            at = row[:, None] * C + col[None, :]
            inside = (row[:, None] < rows) & (col[None, :] < C)
            x = tl.load(x_ptr + at, mask=inside, other=0.0).to(tl.float32)
            dy = tl.load(dy_ptr + at, mask=inside, other=0.0).to(tl.float32)
            length = tl.maximum(tl.sqrt(tl.sum(x * x, 1)), 1e-12)
            unit = x / length[:, None]
            n = unit * scale * gamma[None, :]
            s = tl.sigmoid(n)
            dn = dy * s * (1 + n * (1 - s)) * scale
            total += tl.sum(dn * unit, 0)
            du = dn * gamma[None, :]
            dx = (du - unit * tl.sum(du * unit, 1)[:, None]) / length[:, None]
            tl.store(dx_ptr + at, dx.to(dx_ptr.dtype.element_ty), mask=inside)
        tl.store(dgamma_ptr + tl.program_id(0) * C + col, total, mask=col < C)


class NormSilu(torch.autograd.Function):
    BLOCK, PROGRAMS = 64, 1056

    @staticmethod
    def sizes(x):
        return dict(scale=math.sqrt(x.shape[1]), C=x.shape[1], PAD=triton.next_power_of_2(x.shape[1]), BLOCK=NormSilu.BLOCK)

    @staticmethod
    def forward(ctx, x, gamma):
        y = torch.empty_like(x)
        forward_kernel[(triton.cdiv(len(x), NormSilu.BLOCK),)](x, gamma, y, len(x), **NormSilu.sizes(x))
        ctx.save_for_backward(x, gamma)
        return y

    @staticmethod
    def backward(ctx, dy):
        x, gamma = ctx.saved_tensors
        dy, dx = dy.contiguous(), torch.empty_like(x)
        programs = min(NormSilu.PROGRAMS, triton.cdiv(len(x), NormSilu.BLOCK))
        dgamma = torch.empty(programs, x.shape[1], device=x.device)
        backward_kernel[(programs,)](x, gamma, dy, dx, dgamma, len(x), **NormSilu.sizes(x))
        return dx, dgamma.sum(0)


def norm_silu(x, gamma):
    """x: contiguous [rows, channels]; gamma: [channels], float32."""
    return NormSilu.apply(x, gamma) if x.is_cuda and triton else plain(x, gamma)
