#!/usr/bin/env python3
"""Times other projects' sparse attention and k-means beside ours, at the same clusters in one process.

    bench/gpu_peers.py --ours libours.so                         # gpu_peers.cc says how to build it
    bench/gpu_peers.py --ours libours.so --dense libfa3.so --cases clusters --densities .1 .2 .3 --multiples 64 1
    bench/gpu_peers.py --ours libours.so --original Sparse-VideoGen --cases kmeans permute
    bench/gpu_peers.py --ours libours.so --device cpu --tiny     # to see that it runs; its figures mean nothing

clusters  kept pairs of clusters, whose sizes for the queries are rounded to --multiples (1: as k-means gives them).
          Peers: FlashInfer's VariableBlockSparseAttentionWrapper; PyTorch's FlexAttention, compiled, by blocks of 128
          x 128 tokens; and of the original (Sparse VideoGen) its Triton kernel and its path through FlashInfer. They
          take tensors sorted by cluster: sorting is not timed. Ours gathers from token order, in every call.
          `plan_ms`, where there is one, is not in `peer_ms`. With --dense, FlashAttention-3 on all pairs.
band      svg1's heads over space. Peer: FlexAttention with that mask.
kmeans    two iterations of queries and keys. Peers: flash-kmeans' and the original's batch_kmeans_Euclid; their rows
          are contiguous.
permute   the original's permuting of a layer, beside the orders that ours reads and writes through.
rates     no peer: our kernels for kept pairs, with and without a tail, in bf16 and 8 bits, and dense, each repeated
          for --seconds until the clock has settled and timed for as long, after --dense in the same way.

Data are a few random directions and noise, clusters those that our k-means finds, pairs drawn at random. Medians over
--runs calls by CUDA events, ours and theirs in turn. The largest difference of the outputs, and each one's error
against f64 in one cluster, are reported with them. One JSON object a line. A peer that does not run is reported as
such.

Needs PyTorch and whichever of the others is wanted.
"""

import argparse
import contextlib
import json

import torch
from peers.band import band_rows
from peers.clusters import PEERS as CLUSTER_PEERS
from peers.clusters import cluster_rows
from peers.kmeans import PEERS as KMEANS_PEERS
from peers.kmeans import kmeans_rows, permute_rows
from peers.problem import Library
from peers.rates import rate_rows

CASES = {"clusters": cluster_rows, "band": band_rows, "kmeans": kmeans_rows, "permute": permute_rows,
         "rates": rate_rows}  # fmt: skip


def dense_attention(path):
    """FlashAttention-3 on tokens as models hold them; gpu_peers_fa3.cu says how to build it."""
    library = Library(path, "fa3_")

    def run(q, k, v, out, scale):
        tokens, heads, head_dim = q.shape
        sums = torch.empty(heads, tokens, device=q.device)
        library.dense(q, k, v, out, sums, heads, tokens, head_dim, scale)

    return run


def emitter(options):
    size = f"{options.heads}x{options.tokens}x{options.head_dim}"

    @contextlib.contextmanager
    def emit(**names):
        row = {**names, "size": size}
        if options.tiny:
            row["tiny"] = True
        try:
            yield row
        except Exception as e:  # noqa: BLE001 - a peer that does not run is a result
            first_line = (str(e).splitlines() or [""])[0]
            row["error"] = f"{type(e).__name__}: {first_line[:300]}"
        print(json.dumps(row), flush=True)
        if options.device == "cuda":
            torch.cuda.empty_cache()

    return emit


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", required=True, help="the library of gpu_peers.cc")
    parser.add_argument("--dense", help="the library of gpu_peers_fa3.cu")
    parser.add_argument("--original", help="a folder of Sparse VideoGen's repository")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=[case for case in CASES if case != "rates"])
    parser.add_argument("--cluster-peers", nargs="*", choices=CLUSTER_PEERS, default=list(CLUSTER_PEERS))
    parser.add_argument("--kmeans-peers", nargs="*", choices=KMEANS_PEERS, default=list(KMEANS_PEERS))
    parser.add_argument("--heads", type=int, default=40)
    parser.add_argument("--tokens", type=int, default=75600)
    parser.add_argument("--head-dim", type=int, default=128)
    parser.add_argument("--q-clusters", type=int, default=300)
    parser.add_argument("--k-clusters", type=int, default=1000)
    parser.add_argument("--densities", type=float, nargs="+", default=[0.2])
    parser.add_argument("--multiples", type=int, nargs="+", default=[64])
    parser.add_argument("--frames", type=int, default=21)
    parser.add_argument("--band", type=int, default=10800, help="keys to either side")
    parser.add_argument("--bits", type=int, nargs="+", choices=(16, 8), default=[16, 8], help="of rates")
    parser.add_argument("--seconds", type=float, default=0.3, help="of rates")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="few tokens")
    options = parser.parse_args()
    if options.tiny:
        options.heads, options.tokens, options.head_dim = 3, 1260, 64
        options.q_clusters, options.k_clusters, options.band = 7, 24, 180
    ours = Library(options.ours, "ours_")
    dense = dense_attention(options.dense) if options.dense else None
    for case in options.cases:
        CASES[case](ours, dense, options, emitter(options))


if __name__ == "__main__":
    main()
