"""Attention over kept pairs of clusters: FlashInfer, FlexAttention and the original's kernel in Triton, beside ours
and beside dense attention by FlashAttention-3."""

import time

import torch

from .original import original_modules
from .problem import ClusterProblem, milliseconds, wait

FLEX_BLOCK = 128


def flashinfer_peer(problem, options):
    """VariableBlockSparseAttentionWrapper. Its plan lists every key that a cluster of queries sees."""
    from flashinfer.sparse import VariableBlockSparseAttentionWrapper

    def bytes_of(count):
        return torch.empty(count << 20, device=problem.q.device, dtype=torch.uint8)

    wrapper = VariableBlockSparseAttentionWrapper(bytes_of(512))
    wrapper.reset_workspace_buffer(bytes_of(512), bytes_of(256))
    plans = []
    for _ in range(2):
        wait(options.device)
        begin = time.perf_counter()
        wrapper.plan(problem.chosen, problem.of_q.sizes, problem.of_k.sizes, problem.heads, problem.heads,
                     problem.head_dim, q_data_type=torch.bfloat16, sm_scale=problem.scale)
        wait(options.device)
        plans.append(1000 * (time.perf_counter() - begin))
    run = lambda: wrapper.run(problem.sorted_q, problem.sorted_k, problem.sorted_v)  # noqa: E731
    return run, {"plan_ms": round(plans[-1], 1), "backend": wrapper._backend}


def flex_blocks(problem, block):
    """FlexAttention's list of blocks: those in which all pairs are kept need no mask."""
    from torch.nn.attention.flex_attention import BlockMask

    tokens = problem.tokens
    starts = torch.arange(0, tokens, block, device=problem.q.device)
    ends = (starts + block).clamp(max=tokens) - 1
    labels = [clusters.sorted_labels() for clusters in (problem.of_q, problem.of_k)]
    filled = [clusters.sizes > 0 for clusters in (problem.of_q, problem.of_k)]
    first = [of[:, starts].long() for of in labels]
    behind = [of[:, ends].long() + 1 for of in labels]

    # Kept pairs of clusters with tokens, summed over all before each pair.
    kept = problem.chosen & filled[0][:, :, None] & filled[1][:, None]
    before = torch.nn.functional.pad(kept.int().cumsum(1).cumsum(2), (1, 0, 1, 0))
    heads = torch.arange(problem.heads, device=problem.q.device)[:, None, None]

    def sums(rows, columns):
        return before[heads, rows[:, :, None], columns[:, None]]

    count = sums(behind[0], behind[1]) - sums(first[0], behind[1]) - sums(behind[0], first[1]) + sums(*first)
    clusters_before = [torch.nn.functional.pad(f.int().cumsum(1), (1, 0)) for f in filled]
    q_met, k_met = (of.gather(1, b) - of.gather(1, f) for of, b, f in zip(clusters_before, behind, first))
    full = count == q_met[:, :, None] * k_met[:, None]
    partial = (count > 0) & ~full

    def listed(blocks):
        indices = blocks.int().argsort(dim=-1, descending=True, stable=True)
        return blocks.sum(-1, dtype=torch.int32)[None], indices.int()[None]

    chosen, (q_labels, k_labels) = problem.chosen, labels

    def mask(_, head, i, j):
        return chosen[head, q_labels[head, i], k_labels[head, j]]

    blocks = BlockMask.from_kv_blocks(*listed(partial), *listed(full), BLOCK_SIZE=block, mask_mod=mask,
                                      seq_lengths=(tokens, tokens))  # fmt: skip
    return blocks, {"blocks_visited": round(float((partial | full).float().mean()), 4),
                    "blocks_without_mask": round(float(full.float().mean()), 4)}  # fmt: skip


def flex_peer(problem, options):
    """Compiled. Its blocks are of 128 x 128 tokens: where they meet several clusters it masks pair by pair."""
    from torch.nn.attention.flex_attention import flex_attention

    begin = time.perf_counter()
    blocks, facts = flex_blocks(problem, FLEX_BLOCK)
    compiled = torch.compile(flex_attention, dynamic=False)
    views = [x[None] for x in (problem.sorted_q, problem.sorted_k, problem.sorted_v)]
    run = lambda: compiled(*views, block_mask=blocks, scale=problem.scale)[0]  # noqa: E731
    run()
    wait(options.device)
    return run, {"compile_s": round(time.perf_counter() - begin, 1), **facts}


def original_triton_peer(problem, options):
    """dynamic_block_sparse_fwd_triton of Sparse VideoGen's repository."""
    kmeans_utils, _ = original_modules(options.original)
    arguments = [x[None] for x in (problem.sorted_q, problem.sorted_k, problem.sorted_v, problem.chosen,
                                   problem.of_q.sizes, problem.of_k.sizes)]  # fmt: skip
    return (lambda: kmeans_utils.dynamic_block_sparse_fwd_triton(*arguments)[0]), {}


def original_flashinfer_peer(problem, options):
    """dynamic_block_sparse_fwd_flashinfer there, what its pipelines call: it plans in every call."""
    kmeans_utils, _ = original_modules(options.original)
    arguments = [x[None] for x in (problem.sorted_q, problem.sorted_k, problem.sorted_v, problem.chosen,
                                   problem.of_q.sizes, problem.of_k.sizes)]  # fmt: skip
    return (lambda: kmeans_utils.dynamic_block_sparse_fwd_flashinfer(*arguments, is_cpu=False)[0]), {}


PEERS = {
    "flashinfer": flashinfer_peer,
    "flex": flex_peer,
    "original-triton": original_triton_peer,
    "original-flashinfer": original_flashinfer_peer,
}


def cluster_rows(ours, dense, options, emit):
    """A row for each rounding, density and peer; one more without a peer says what ours and dense attention take."""
    for multiple in options.multiples:
        generator = torch.Generator(options.device).manual_seed(1)
        problem = ClusterProblem(ours, options, multiple, generator)
        for density in options.densities:
            problem.keep(density)
            problem.run_ours()
            for name in ("", *options.cluster_peers):
                with emit(case="clusters", peer=name, rounded=multiple, density=problem.density) as row:
                    row |= compare(problem, PEERS.get(name), dense, options)


def compare(problem, peer, dense, options):
    run, facts = peer(problem, options) if peer else (None, {})
    calls = {"ours": problem.run_ours}
    if run:
        calls["peer"] = run
    elif dense:
        dense_out = torch.empty_like(problem.q)
        calls["dense"] = lambda: dense(problem.q, problem.k, problem.v, dense_out, problem.scale)
    problem.run_ours()
    ours = problem.of_q.sorted(problem.out)
    row = {"ours_relative_error": problem.relative_error(ours)}
    if run:
        theirs = run()
        row["largest_difference"] = float((ours.float() - theirs.float()).abs().max())
        row["peer_relative_error"] = problem.relative_error(theirs)
    for name, time_of in zip(calls, milliseconds(list(calls.values()), options.runs, options.device)):
        row[f"{name}_ms"] = time_of
        pairs = problem.heads * problem.tokens**2 if name == "dense" else problem.kept
        row[f"{name}_tflops"] = problem.teraflops(time_of, pairs)
    return row | facts
