"""Two iterations of k-means of queries and keys, and permuting: flash-kmeans and the original's Triton, beside ours."""

import torch

from .original import original_modules
from .problem import Clusters, directions_and_noise, milliseconds


class KMeansProblem:
    """Both clusterings of a layer, from centroids of four iterations."""

    def __init__(self, ours, options):
        self.ours, self.sizes = ours, (options.heads, options.tokens, options.head_dim)
        generator = torch.Generator(options.device).manual_seed(1)
        self.parts = []
        for count in (options.q_clusters, options.k_clusters):
            x = directions_and_noise(options.tokens, options.heads, options.head_dim, generator)
            start = Clusters(ours, x, count, 1)
            counts = torch.zeros(options.heads, count, device=options.device, dtype=torch.int32)
            # Theirs take contiguous rows of a head and centroids in bf16.
            theirs = (x.transpose(0, 1).contiguous(), start.centroids.bfloat16())
            self.parts.append((x, start, count, counts, *theirs))

    def run_ours(self):
        for x, start, count, counts, _, _ in self.parts:
            self.ours.kmeans(x, start.centroids, start.labels, counts, *self.sizes, count, 2, 1)

    def theirs(self, batch_kmeans):
        def run():
            for _, _, count, _, x, centroids in self.parts:
                batch_kmeans(x, count, max_iters=2, tol=0.0, init_centroids=centroids)

        return run


def flash_kmeans(options):
    from flash_kmeans import batch_kmeans_Euclid

    return batch_kmeans_Euclid


def original_kmeans(options):
    return original_modules(options.original)[0].batch_kmeans_Euclid


PEERS = {"flash-kmeans": flash_kmeans, "original": original_kmeans}


def kmeans_rows(ours, dense, options, emit):
    problem = KMeansProblem(ours, options)
    for name in options.kmeans_peers:
        with emit(case="kmeans", peer=name) as row:
            run = problem.theirs(PEERS[name](options))
            times = milliseconds([problem.run_ours, run], options.runs, options.device)
            row |= {"ours_ms": times[0], "peer_ms": times[1]}


def permute_rows(ours, dense, options, emit):
    """What the original does between clustering and attention, and after it: queries, keys and values into the order
    of clusters, the output back. Ours has no such pass: its kernel reads and writes through the order, which counting
    makes; that is what stands beside theirs."""
    with emit(case="permute", peer="original") as row:
        permute = original_modules(options.original)[1]
        problem = KMeansProblem(ours, options)
        (_, q_start, q_count, _, q, _), (_, k_start, k_count, _, k, _) = problem.parts
        heads, tokens, _ = problem.sizes

        def our_orders():
            for start, count in ((q_start, q_count), (k_start, k_count)):
                ours.cluster_order(start.labels, start.order, start.offsets, heads, tokens, count)

        def theirs():
            sorted_q, q_order = permute.permute_tensor_by_labels_triton(q[None], q_start.labels, 2)
            _, k_order = permute.permute_tensor_by_labels_triton(k[None], k_start.labels, 2)
            permute.permute_tensor_by_labels_triton(k[None], None, 2, sorted_indices=k_order)
            return permute.apply_inverse_permutation_triton(sorted_q, q_order, 2)[0]

        if not torch.equal(theirs(), q):
            raise RuntimeError("what was permuted and put back is not what it was")
        times = milliseconds([our_orders, theirs], options.runs, options.device)
        row |= {"ours_orders_ms": times[0], "peer_ms": times[1]}
