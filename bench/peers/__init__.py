"""What bench/gpu_peers.py compares this engine's kernels with, a file for each kind of problem."""
