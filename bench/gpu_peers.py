#!/usr/bin/env python3
"""Times other projects' sparse attention and k-means beside ours, at the same clusters in one process.

    bench/gpu_peers.py --ours libours.so                         # gpu_peers.cc says how to build it
    bench/gpu_peers.py --ours libours.so --heads 10 --cases flashinfer

flashinfer   FlashInfer's VariableBlockSparseAttentionWrapper: kept pairs of clusters. It takes queries, keys and values
             sorted by cluster and a list of every key that a cluster of queries sees: sorting is not timed, the plan
             that makes the list is, apart from the kernel. Ours gathers from token order, in every call.
flex         PyTorch's FlexAttention, compiled, with the mask of svg1's heads over space: a band and the first frame.
             Ours also has heads over time, for which FlexAttention would need the tokens in another order.
flash-kmeans its batch_kmeans_Euclid, two iterations of queries and keys; its rows contiguous.

Data are a few random directions and noise, clusters those that our k-means finds, queries rounded to multiples of 64.
Medians over --runs calls by CUDA events, ours and theirs in turn. The largest difference of the outputs from each other
is reported with them. One JSON object a line. What is not installed is reported as such.

Needs PyTorch and whichever of the others is wanted.
"""

import argparse
import ctypes
import json
import statistics
import time

import torch

CASES = ("flashinfer", "flex", "flash-kmeans")


class Ours:
    def __init__(self, path):
        self.library = ctypes.CDLL(path)

    def __getattr__(self, name):
        function = getattr(self.library, "ours_" + name)

        def call(*arguments):
            converted = []
            for a in arguments:
                if torch.is_tensor(a):
                    converted.append(ctypes.c_void_p(a.data_ptr()))
                elif isinstance(a, float):
                    converted.append(ctypes.c_double(a))
                else:
                    converted.append(ctypes.c_long(a))
            if function(*converted) != 0:
                raise RuntimeError(f"ours_{name} failed")

        return call


def milliseconds(calls, runs):
    """Medians of several calls, taken in turn."""
    times = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(runs):
        for call, of_call in zip(calls, times):
            begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            begin.record()
            call()
            end.record()
            end.synchronize()
            of_call.append(begin.elapsed_time(end))
    return [round(statistics.median(t), 3) for t in times]


def directions_and_noise(tokens, heads, head_dim, generator):
    x = torch.empty(tokens, heads, head_dim, device="cuda", dtype=torch.bfloat16)
    for head in range(heads):
        directions = torch.randn(12, head_dim, generator=generator, device="cuda")
        places = torch.randn(tokens, 12, generator=generator, device="cuda")
        noise = torch.randn(tokens, head_dim, generator=generator, device="cuda")
        x[:, head] = (places @ directions + 0.5 * noise).bfloat16()
    return x


class Clusters:
    """What our k-means makes of tokens, after four iterations."""

    def __init__(self, ours, x, count, multiple):
        tokens, heads, head_dim = x.shape

        def integers(*shape):
            return torch.zeros(*shape, device="cuda", dtype=torch.int32)

        self.centroids = torch.zeros(heads, count, head_dim, device="cuda")
        self.labels, self.order = integers(heads, tokens), integers(heads, tokens)
        self.offsets = integers(heads, count + 1)
        sizes = (heads, tokens, head_dim, count)
        ours.kmeans(x, self.centroids, self.labels, integers(heads, count), *sizes, 4, 0)
        ours.cluster_order(self.labels, self.order, self.offsets, heads, tokens, count)
        if multiple > 1:
            ours.round_clusters(x, self.centroids, self.order, self.offsets, self.labels, *sizes, multiple)
            ours.cluster_order(self.labels, self.order, self.offsets, heads, tokens, count)
        self.sizes = self.offsets[:, 1:] - self.offsets[:, :-1]

    def sorted(self, x):
        """[heads, tokens, head_dim] in the order of clusters."""
        order = self.order.long()[..., None].expand(-1, -1, x.shape[-1])
        return x.transpose(0, 1).gather(1, order)


def choose(q_sizes, k_sizes, density, generator):
    """Of each cluster of queries random clusters of keys, until they hold this share of the keys."""
    priority = torch.rand(*q_sizes.shape, k_sizes.shape[1], generator=generator, device="cuda")
    ranked = priority.argsort(-1)
    sizes = k_sizes[:, None].expand_as(priority).gather(-1, ranked)
    kept = sizes.cumsum(-1) - sizes / 2 < density * k_sizes.sum(1)[:, None, None]
    return torch.zeros_like(priority, dtype=torch.bool).scatter_(-1, ranked, kept)


def flashinfer_case(ours, options, generator):
    from flashinfer.sparse import VariableBlockSparseAttentionWrapper

    heads, tokens, dim = options.heads, options.tokens, options.head_dim
    scale = dim**-0.5
    q, k = (directions_and_noise(tokens, heads, dim, generator) for _ in range(2))
    v = torch.randn(tokens, heads, dim, generator=generator, device="cuda").bfloat16()
    of_q = Clusters(ours, q, options.q_clusters, 64)
    of_k = Clusters(ours, k, options.k_clusters, 1)
    chosen = choose(of_q.sizes, of_k.sizes, options.density, generator)
    kept = float((of_q.sizes[:, :, None].double() * of_k.sizes[:, None] * chosen).sum())
    out = torch.empty_like(q)

    def our_kernel():
        ours.block_sparse(q, k, v, out, of_q.order, of_k.order, of_q.offsets, of_k.offsets, chosen, heads, tokens,
                          dim, options.q_clusters, options.k_clusters, scale)

    sorted_q, sorted_k, sorted_v = of_q.sorted(q), of_k.sorted(k), of_k.sorted(v)
    wrapper = VariableBlockSparseAttentionWrapper(torch.empty(512 << 20, device="cuda", dtype=torch.uint8))
    wrapper.reset_workspace_buffer(torch.empty(512 << 20, device="cuda", dtype=torch.uint8),
                                   torch.empty(256 << 20, device="cuda", dtype=torch.uint8))
    plans = []
    for _ in range(2):
        torch.cuda.synchronize()
        begin = time.perf_counter()
        wrapper.plan(chosen, of_q.sizes, of_k.sizes, heads, heads, dim, q_data_type=torch.bfloat16, sm_scale=scale)
        torch.cuda.synchronize()
        plans.append(1000 * (time.perf_counter() - begin))
    theirs = wrapper.run(sorted_q, sorted_k, sorted_v)
    our_kernel()
    difference = (of_q.sorted(out).float() - theirs.float()).abs().max()
    # Against f64 in one cluster of queries of the last head.
    rows = slice(int(of_q.offsets[-1, 0]), int(of_q.offsets[-1, 1]))
    seen = chosen[-1, 0].repeat_interleave(of_k.sizes[-1].long())
    logits = scale * sorted_q[-1, rows].double() @ sorted_k[-1, seen].double().T
    exact = logits.softmax(-1) @ sorted_v[-1, seen].double()
    errors = [float((x[-1, rows].double() - exact).norm() / exact.norm()) for x in (of_q.sorted(out), theirs)]
    times = milliseconds([our_kernel, lambda: wrapper.run(sorted_q, sorted_k, sorted_v)], options.runs)
    rates = [4 * dim * kept / t / 1e9 for t in times]
    return {
        "density": round(kept / heads / tokens**2, 4), "backend": wrapper._backend,
        "ours_ms": times[0], "flashinfer_ms": times[1], "flashinfer_plan_ms": round(plans[-1], 1),
        "ours_tflops": round(rates[0]), "flashinfer_tflops": round(rates[1]),
        "largest_difference": float(difference), "relative_error": [float(f"{e:.2e}") for e in errors],
    }


def flex_case(ours, options, generator):
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    heads, dim, frames = options.heads, options.head_dim, 21
    positions = options.tokens // frames
    tokens, width = frames * positions, options.band
    scale = dim**-0.5
    q, k, v = (torch.randn(tokens, heads, dim, generator=generator, device="cuda").bfloat16() for _ in range(3))
    out = torch.empty_like(q)
    over_space = torch.zeros(heads, device="cuda", dtype=torch.uint8)

    def our_kernel(temporal=over_space):
        ours.band(q, k, v, out, temporal, heads, frames, positions, dim, width, scale)

    def mask(_, __, i, j):
        return ((i - j).abs() <= width) | (j < positions)

    begin = time.perf_counter()
    blocks = create_block_mask(mask, None, None, tokens, tokens, device="cuda", _compile=True)
    compiled = torch.compile(flex_attention, dynamic=False)
    views = [x.transpose(0, 1)[None] for x in (q, k, v)]
    theirs = compiled(*views, block_mask=blocks, scale=scale)
    torch.cuda.synchronize()
    seconds = time.perf_counter() - begin
    our_kernel()
    difference = (out.transpose(0, 1)[None].float() - theirs.float()).abs().max()
    mixed = (torch.arange(heads, device="cuda") % 2).to(torch.uint8)
    times = milliseconds([our_kernel, lambda: compiled(*views, block_mask=blocks, scale=scale),
                          lambda: our_kernel(mixed)], options.runs)
    places = torch.arange(tokens, device="cuda")
    last, first = (places + width).clamp(max=tokens - 1), (places - width).clamp(min=0)
    seen = last - first + 1 + torch.minimum(first, torch.full_like(first, positions))
    kept = heads * float(seen.sum())
    rates = [4 * dim * kept / t / 1e9 for t in times]
    return {
        "density": round(kept / heads / tokens**2, 4), "width": width, "frames": frames,
        "ours_ms": times[0], "flex_ms": times[1], "ours_half_of_the_heads_over_time_ms": times[2],
        "ours_tflops": round(rates[0]), "flex_tflops": round(rates[1]), "flex_compile_s": round(seconds, 1),
        "largest_difference": float(difference),
    }


def flash_kmeans_case(ours, options, generator):
    from flash_kmeans import batch_kmeans_Euclid

    heads, tokens, dim = options.heads, options.tokens, options.head_dim
    problems = []
    for clusters in (options.q_clusters, options.k_clusters):
        x = directions_and_noise(tokens, heads, dim, generator)
        start = Clusters(ours, x, clusters, 1)
        counts = torch.zeros(heads, clusters, device="cuda", dtype=torch.int32)
        problems.append((x, start, clusters, counts, x.transpose(0, 1).contiguous(), start.centroids.bfloat16()))

    def our_kernel():
        for x, start, clusters, counts, _, _ in problems:
            ours.kmeans(x, start.centroids, start.labels, counts, heads, tokens, dim, clusters, 2, 1)

    def theirs():
        for _, _, clusters, _, x, centroids in problems:
            batch_kmeans_Euclid(x, clusters, max_iters=2, tol=0.0, init_centroids=centroids)

    times = milliseconds([our_kernel, theirs], options.runs)
    return {"ours_ms": times[0], "flash_kmeans_ms": times[1]}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the library of gpu_peers.cc")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=CASES)
    parser.add_argument("--heads", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=75600)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--q-clusters", type=int, default=300)
    parser.add_argument("--k-clusters", type=int, default=1000)
    parser.add_argument("--density", type=float, default=0.2)
    parser.add_argument("--band", type=int, default=10800, help="keys to either side")
    parser.add_argument("--runs", type=int, default=7)
    options = parser.parse_args()
    ours = Ours(options.ours)
    runs = dict(zip(CASES, (flashinfer_case, flex_case, flash_kmeans_case)))
    for case in options.cases:
        result = {"case": case, "size": f"{options.heads}x{options.tokens}x{options.head_dim}"}
        try:
            result |= runs[case](ours, options, torch.Generator("cuda").manual_seed(1))
        except Exception as e:  # noqa: BLE001 - a peer that does not run is a result
            result["error"] = f"{type(e).__name__}: {e}"
        print(json.dumps(result), flush=True)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
