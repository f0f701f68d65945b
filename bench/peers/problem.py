"""Our ops as functions of torch's tensors, the clock, and the problem of attention between clusters."""

import ctypes
import statistics
import time

import torch


class Library:
    """The functions `prefix...` of a shared library, called with tensors, numbers and flags."""

    def __init__(self, path, prefix):
        self.library = ctypes.CDLL(path)
        self.prefix = prefix

    def __getattr__(self, name):
        function = getattr(self.library, self.prefix + name)

        def call(*arguments):
            converted = []
            for a in arguments:
                if a is None or torch.is_tensor(a):
                    converted.append(ctypes.c_void_p(None if a is None else a.data_ptr()))
                elif isinstance(a, float):
                    converted.append(ctypes.c_double(a))
                else:
                    converted.append(ctypes.c_long(a))
            if function(*converted) != 0:
                raise RuntimeError(f"{self.prefix}{name} failed")

        return call


def seconds_of(call, device):
    if device != "cuda":
        begin = time.perf_counter()
        call()
        return time.perf_counter() - begin
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    begin.record()
    call()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) / 1000


def milliseconds(calls, runs, device, long_seconds=1.0):
    """Medians of several calls, taken in turn. Those longer than `long_seconds` are timed twice only."""
    times = [[] for _ in calls]
    for call in calls:
        call()
    for _ in range(runs):
        for call, of_call in zip(calls, times):
            if len(of_call) < 2 or of_call[-1] < long_seconds:
                of_call.append(seconds_of(call, device))
    return [round(1000 * statistics.median(t), 3) for t in times]


def repeated_milliseconds(call, seconds, device):
    """The mean of calls without a pause for so long, after as many that are not timed."""
    call()
    count = max(2, round(seconds / seconds_of(call, device)))
    for _ in range(count):
        call()

    def again():
        for _ in range(count):
            call()

    return 1000 * seconds_of(again, device) / count


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def directions_and_noise(tokens, heads, head_dim, generator):
    device = generator.device
    x = torch.empty(tokens, heads, head_dim, device=device, dtype=torch.bfloat16)
    for head in range(heads):
        directions = torch.randn(12, head_dim, generator=generator, device=device)
        places = torch.randn(tokens, 12, generator=generator, device=device)
        noise = torch.randn(tokens, head_dim, generator=generator, device=device)
        x[:, head] = (places @ directions + 0.5 * noise).bfloat16()
    return x


class Clusters:
    """What our k-means makes of tokens, after four iterations."""

    def __init__(self, ours, x, count, multiple):
        tokens, heads, head_dim = x.shape

        def integers(*shape):
            return torch.zeros(*shape, device=x.device, dtype=torch.int32)

        self.centroids = torch.zeros(heads, count, head_dim, device=x.device)
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

    def means(self, x):
        """[heads, clusters, head_dim], 0 for an empty cluster."""
        sums = torch.zeros_like(self.centroids)
        for head, labels in enumerate(self.sorted_labels().long()):
            sums[head].index_add_(0, labels, x[self.order[head].long(), head].float())
        return sums / self.sizes.clamp(min=1)[..., None]

    def sorted_labels(self):
        """[heads, tokens]: the cluster of each token in that order."""
        places = torch.arange(self.order.shape[1], device=self.order.device, dtype=torch.int32)
        ends = self.offsets[:, 1:].contiguous()
        return torch.searchsorted(ends, places.expand(len(ends), -1).contiguous(), right=True, out_int32=True)


def choose(q_sizes, k_sizes, density, generator):
    """Of each cluster of queries random clusters of keys, until they hold this share of the keys."""
    priority = torch.rand(*q_sizes.shape, k_sizes.shape[1], generator=generator, device=generator.device)
    ranked = priority.argsort(-1)
    sizes = k_sizes[:, None].expand_as(priority).gather(-1, ranked)
    kept = sizes.cumsum(-1) - sizes / 2 < density * k_sizes.sum(1)[:, None, None]
    return torch.zeros_like(priority, dtype=torch.bool).scatter_(-1, ranked, kept)


class ClusterProblem:
    """Queries, keys, values, their clusters, and which pairs of clusters are kept."""

    def __init__(self, ours, options, multiple, generator):
        self.ours, self.generator = ours, generator
        self.heads, self.tokens, self.head_dim = options.heads, options.tokens, options.head_dim
        self.scale = self.head_dim**-0.5
        self.multiple = multiple
        sizes = (self.tokens, self.heads, self.head_dim)
        self.q, self.k = (directions_and_noise(*sizes, generator) for _ in range(2))
        self.v = torch.randn(*sizes, generator=generator, device=generator.device).bfloat16()
        self.out = torch.empty_like(self.q)
        self.of_q = Clusters(ours, self.q, options.q_clusters, multiple)
        self.of_k = Clusters(ours, self.k, options.k_clusters, 1)
        # What the others take: [heads, tokens, head_dim] in the order of clusters. Sorting is not timed.
        self.sorted_q, self.sorted_k = self.of_q.sorted(self.q), self.of_k.sorted(self.k)
        self.sorted_v = self.of_k.sorted(self.v)
        self.k_mean, self.v_mean = self.of_k.means(self.k), self.of_k.means(self.v)

    def keep(self, density):
        self.chosen = choose(self.of_q.sizes, self.of_k.sizes, density, self.generator)
        pairs = self.of_q.sizes[:, :, None].double() * self.of_k.sizes[:, None] * self.chosen
        self.kept = float(pairs.sum())

    @property
    def density(self):
        return round(self.kept / self.heads / self.tokens**2, 4)

    def run_ours(self, tail=False, bits=16):
        """From token order, in every call."""
        means = (self.k_mean, self.v_mean) if tail else (None, None)
        self.ours.block_sparse(self.q, self.k, self.v, self.out, self.of_q.order, self.of_k.order,
                               self.of_q.offsets, self.of_k.offsets, self.chosen, *means, self.heads, self.tokens,
                               self.head_dim, self.of_q.sizes.shape[1], self.of_k.sizes.shape[1], self.scale, bits)

    def teraflops(self, milliseconds, pairs=None):
        pairs = self.kept if pairs is None else pairs
        return round(4 * self.head_dim * pairs / milliseconds / 1e9, 1)

    def relative_error(self, sorted_out):
        """Against f64, in the largest of some clusters of queries of the last head."""
        cluster = int(self.of_q.sizes[-1, :20].argmax())
        rows = slice(int(self.of_q.offsets[-1, cluster]), int(self.of_q.offsets[-1, cluster + 1]))
        seen = self.chosen[-1, cluster].repeat_interleave(self.of_k.sizes[-1].long())
        logits = self.scale * self.sorted_q[-1, rows].double() @ self.sorted_k[-1, seen].double().T
        exact = logits.softmax(-1) @ self.sorted_v[-1, seen].double()
        return float(f"{float((sorted_out[-1, rows].double() - exact).norm() / exact.norm()):.2e}")
