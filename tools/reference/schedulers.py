"""Time grids and scalar trajectories of the two schedulers."""

import numpy as np
import torch

from .checkpoints import euler, unipc

UNIPC_STEPS = (1, 2, 3, 4, 6, 20, 30, 40, 50)
UNIPC_SHIFTS = (1.0, 3.0, 5.0)
EULER_STEPS = (1, 2, 3, 4, 30, 50)
EULER_SHIFTS = (3.0, 5.0, 7.0)


def velocity(x, sigma):
    return 0.5 * x + sigma - 0.2


def trajectory(scheduler, dtype):
    """x after each step, from x = 1; sigma enters as the scheduler's own fp32 value."""
    scheduler.set_begin_index(0)
    x = torch.ones(1, 1, dtype=dtype)
    values = []
    for timestep, sigma in zip(scheduler.timesteps, scheduler.sigmas.tolist()):
        x = scheduler.step(velocity(x, sigma), timestep, x, return_dict=False)[0]
        values.append(x.item())
    return values


def describe(make, steps, sigmas=None):
    scheduler = make()

    def start():
        if sigmas is None:
            scheduler.set_timesteps(steps)
        else:
            scheduler.set_timesteps(sigmas=sigmas)

    start()
    result = {
        "timesteps": scheduler.timesteps.tolist(),
        "sigmas": scheduler.sigmas.tolist(),
        "x_f32": trajectory(scheduler, torch.float32),
    }
    start()
    result["x_f64"] = trajectory(scheduler, torch.float64)
    return result


def dump():
    cases = []
    for shift in UNIPC_SHIFTS:
        for steps in UNIPC_STEPS:
            found = describe(lambda: unipc(shift), steps)
            cases.append({"scheduler": "UniPCMultistepScheduler", "flow_shift": shift, "steps": steps, **found})
    for shift in EULER_SHIFTS:
        for steps in EULER_STEPS:
            common = {"scheduler": "FlowMatchEulerDiscreteScheduler", "shift": shift, "steps": steps}
            cases.append({**common, "grid": "default", **describe(lambda: euler(shift), steps)})
            explicit = np.linspace(1.0, 0.0, steps + 1)[:-1]
            cases.append({**common, "grid": "explicit", **describe(lambda: euler(shift), steps, explicit)})
    return {
        "velocity": "0.5 * x + sigma - 0.2",
        "x0": 1.0,
        "note": (
            "sigmas are fp32 values printed as fp64. x_f64: the sample is fp64, the scheduler's scalar "
            "coefficients are fp32 all the same; Euler rounds its sample to fp32 before each step. "
            "grid: default = set_timesteps(N) as WanPipeline calls it; "
            "explicit = set_timesteps(sigmas=linspace(1, 0, N + 1)[:-1])."
        ),
        "cases": cases,
    }
