"""Our attention over kept pairs of clusters in a steady state, beside dense attention in the same state.

A GPU at its power limit lowers its clock within some milliseconds, so a kernel is the faster the cooler what ran before
it. Here every kernel is repeated until the clock has settled, then timed while it is repeated on.
"""

import torch

from .problem import ClusterProblem, repeated_milliseconds


def rate_rows(ours, dense, options, emit):
    """A row for each rounding, density, tail and number of bits; dense attention is timed again before each."""
    for multiple in options.multiples:
        generator = torch.Generator(options.device).manual_seed(1)
        problem = ClusterProblem(ours, options, multiple, generator)
        out = torch.empty_like(problem.q)
        tensors = (problem.q, problem.k, problem.v, out)
        sizes = (options.heads, options.tokens, options.head_dim)
        all_pairs = options.heads * options.tokens**2

        def of(name, call, pairs, problem=problem):
            time_of = repeated_milliseconds(call, options.seconds, options.device)
            return {f"{name}_ms": round(time_of, 3), f"{name}_tflops": problem.teraflops(time_of, pairs)}

        def dense_rate(tensors=tensors, problem=problem, of=of, all_pairs=all_pairs):
            return of("dense", lambda: dense(*tensors, problem.scale), all_pairs) if dense else {}

        for bits in options.bits:
            with emit(case="rates", kernel="dense", bits=bits) as row:
                row |= dense_rate()
                row |= of("ours", lambda bits=bits: ours.attention(*tensors, *sizes, problem.scale, bits), all_pairs)
        for density in options.densities:
            problem.keep(density)
            for tail in (False, True):
                for bits in options.bits:
                    with emit(case="rates", kernel="clusters", rounded=multiple, density=problem.density, tail=tail,
                              bits=bits) as row:  # fmt: skip
                        row |= dense_rate()
                        row |= of("ours", lambda tail=tail, bits=bits: problem.run_ours(tail, bits), problem.kept)
                        if not tail:
                            row["relative_error"] = problem.relative_error(problem.of_q.sorted(problem.out))
