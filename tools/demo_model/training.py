"""What both trainings share: processes and GPUs, flat parameters with an exponential average, and a schedule by the clock."""

import contextlib
import math
import os
import time

import torch
import torch.distributed as dist


class Workers:
    """The processes of this run: one per GPU under torchrun, else a single one."""

    def __init__(self):
        self.rank, self.count = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
        self.device = torch.device("cpu")
        if torch.cuda.is_available():
            self.device = torch.device("cuda", int(os.environ.get("LOCAL_RANK", 0)))
            torch.cuda.set_device(self.device)
            torch.backends.cudnn.benchmark = True
            torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = True
        if self.count > 1:
            dist.init_process_group("nccl" if self.device.type == "cuda" else "gloo")

    @property
    def first(self):
        return self.rank == 0

    def log(self, *words):
        if self.first:
            print(*words, flush=True)

    def share(self, tensor):
        """Copies the first process's tensor to all, in place."""
        if self.count > 1:
            dist.broadcast(tensor, 0)
        return tensor

    def mean(self, tensor):
        """Averages a tensor over the processes, in place."""
        if self.count > 1:
            dist.all_reduce(tensor)
            tensor /= self.count
        return tensor

    def barrier(self):
        if self.count > 1:
            dist.barrier()

    def close(self):
        if self.count > 1:
            dist.destroy_process_group()

    def autocast(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == "cuda")


class FlatModel:
    """All parameters of some modules as views into one tensor, their gradients into another.

    So gradients are averaged over the GPUs in one call, and clipping, AdamW and the exponential average are one kernel each.
    """

    def __init__(self, modules, workers, weight_decay, betas=(0.9, 0.98)):
        self.workers, params = workers, [p for m in modules for p in m.parameters()]
        offsets, total = [], 0
        for p in params:
            offsets.append(total)
            total += -(-p.numel() // 8) * 8
        self.data = torch.zeros(total, device=workers.device)
        self.grad = torch.zeros_like(self.data)
        for p, at in zip(params, offsets):
            view = self.data[at:at + p.numel()].view(p.shape)
            view.copy_(p.data)
            p.data, p.grad = view, self.grad[at:at + p.numel()].view(p.shape)
        workers.share(self.data)
        self.average, self.steps = self.data.clone(), 0
        handle = torch.nn.Parameter(self.data)
        handle.grad = self.grad
        self.optimizer = torch.optim.AdamW([handle], lr=0.0, betas=betas, weight_decay=weight_decay,
                                           fused=workers.device.type == "cuda")

    def step(self, lr, clip, decay):
        """Averages the gradients over the processes, updates the weights and their exponential average."""
        self.workers.mean(self.grad)
        self.grad.nan_to_num_(0.0, 0.0, 0.0)
        norm = self.grad.norm()
        self.grad *= (clip / (norm + 1e-6)).clamp(max=1.0)
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()
        self.grad.zero_()
        self.steps += 1
        self.average.lerp_(self.data, 1 - min(decay, (self.steps + 1) / (self.steps + 12)))
        return norm

    @contextlib.contextmanager
    def averaged(self):
        """Within this context the modules hold the averaged weights."""
        kept = self.data.clone()
        self.data.copy_(self.average)
        try:
            yield
        finally:
            self.data.copy_(kept)

    def state(self):
        return dict(data=self.data, average=self.average, steps=self.steps, optimizer=self.optimizer.state_dict())

    def load(self, state, optimizer=True):
        self.data.copy_(state["data"])
        self.average.copy_(state["average"])
        self.steps = state["steps"]
        if optimizer:
            self.optimizer.load_state_dict(state["optimizer"])


class Clock:
    """Time since the start in seconds, the same in every process; refreshed every few steps."""

    def __init__(self, workers, every=10):
        self.workers, self.every, self.calls, self.start, self.value = workers, every, 0, time.time(), 0.0

    def now(self):
        if self.calls % self.every == 0:
            self.value = self.workers.share(torch.tensor([time.time() - self.start], device=self.workers.device,
                                                         dtype=torch.float64)).item()
        self.calls += 1
        return self.value


def cosine_lr(peak, step, warmup, fraction, floor=0.02):
    """Linear warm-up by steps, then a cosine down to floor * peak as fraction goes to 1."""
    return peak * min(1.0, (step + 1) / warmup) * (floor + (1 - floor) * (0.5 + 0.5 * math.cos(math.pi * min(1.0, fraction))))


def save(path, value):
    """torch.save that never leaves half a file."""
    torch.save(value, path + ".part")
    os.replace(path + ".part", path)
