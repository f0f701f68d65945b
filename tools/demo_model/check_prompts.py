"""Measures whether clips show what their prompts say: background colour, and colour, shape and motion of each object.

    python check_prompts.py clips.json --json result.json     clips.json: [{"prompt": ..., "frames": folder or mp4}, ...]
    python check_prompts.py --prompts 50                      prints the prompts of the standard check, one a line
    python check_prompts.py --truth 50                        checks this check on clips drawn by world.py

`check` does the same for frames in memory. Nothing of the prompt is used to read the frames but the number of objects.
"""

import argparse
import glob
import json
import math
import os
import random
import re

import numpy as np
import torch
import torch.nn.functional as F

import world

CELL = 160  # frames are reduced to this height before they are read


def standard_prompts(count):
    """The first prompts of a fixed list: captions with every word spelled out, one or two objects as they came."""
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "prompts.txt")) as f:
        return f.read().splitlines()[:count]


def parse(prompt):
    """What a caption of world.py says."""
    objects, background = re.split(r" over an? ", prompt)
    find = lambda words, text, default: next((w for w in words if re.search(rf"\b{w}\b", text)), default)
    said = []
    for part in re.split(r" and (?=an? )", objects):
        said.append(dict(colour=find(world.COLOURS, part, None), shape=find(world.SHAPES, part, None),
                         motion=find(world.MOTIONS, part, "standing still")))
    return dict(objects=said, background=find(world.COLOURS, background, None))


def load_frames(path):
    """A folder of pictures, or a video file, as [frames, height, width, 3] in [0, 1]."""
    if os.path.isdir(path):
        from PIL import Image
        names = sorted(glob.glob(os.path.join(path, "*.png")) + glob.glob(os.path.join(path, "*.ppm")))
        return np.stack([np.asarray(Image.open(n).convert("RGB")) for n in names]) / 255.0
    import imageio.v3
    return imageio.v3.imread(path) / 255.0


# ---------------------------------------------------------------------------------------------------- reading colours

def background_shades(name, darkest):
    dark, light = (torch.tensor(c) for c in world.BACKGROUND_RGB[name])
    return torch.stack([((dark + (light - dark) * m) * b).clamp(0, 1)
                        for m in (-0.1, 0.2, 0.5, 0.8, 1.1) for b in np.linspace(darkest, 1.04, 5)])


def object_shades(name):
    colour = torch.tensor(world.OBJECT_RGB[name])
    return torch.stack([(lambda c: c + (1 - c) * g)((colour * b).clamp(0, 1)) for b in (0.72, 0.85, 1.0, 1.1)
                        for g in (0.0, 0.2, 0.4)])


def nearest(pixels, palettes):
    """For each pixel the palette with the nearest shade, and that distance."""
    distance = torch.stack([torch.cdist(pixels, p).min(dim=1).values for p in palettes])
    return distance.argmin(0)


def read_background(frames):
    """The colour name most pixels near the frame's edge are nearest to."""
    n = CELL // 12
    edge = torch.cat([frames[:, :n, ::4].reshape(-1, 3), frames[:, -n:, ::4].reshape(-1, 3),
                      frames[:, ::4, :n].reshape(-1, 3), frames[:, ::4, -n:].reshape(-1, 3)])
    votes = nearest(edge, [background_shades(c, 0.85) for c in world.COLOURS])
    return world.COLOURS[votes.bincount(minlength=len(world.COLOURS)).argmax()]


def read_masks(frames, background, count):
    """The `count` object colours that cover most, with their masks [frames, height, width]."""
    names = [c for c in world.COLOURS if c != background]
    labels = nearest(frames.reshape(-1, 3), [background_shades(background, 0.55)] + [object_shades(c) for c in names])
    labels = labels.reshape(frames.shape[:3])
    masks = []
    for i, name in enumerate(names):
        mask = (labels == i + 1).float()
        opened = (F.avg_pool2d(mask[:, None], 5, 1, 2)[:, 0] > 0.6).float()  # drops thin rims
        masks.append((opened.sum().item(), name, mask * F.max_pool2d(opened[:, None], 7, 1, 3)[:, 0]))
    return [(name, mask) for _, name, mask in sorted(masks, key=lambda m: -m[0])[:count]]


# ------------------------------------------------------------------------------------------- reading shapes and motion

def normalised(mask, size=40):
    """A mask moved to its centroid and scaled to a fixed area, [size, size]."""
    height, width = mask.shape
    area = mask.sum().clamp(min=1)
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing="ij")
    cx, cy, half = (mask * x).sum() / area, (mask * y).sum() / area, 1.25 * area.sqrt()
    line = (torch.arange(size) + 0.5) / size * 2 - 1
    gy, gx = torch.meshgrid((cy + half * line) / height * 2 - 1, (cx + half * line) / width * 2 - 1, indexing="ij")
    return F.grid_sample(mask[None, None], torch.stack([gx, gy], -1)[None], align_corners=False)[0, 0]


def templates():
    y, x = torch.meshgrid(torch.linspace(-1.4, 1.4, 96), torch.linspace(-1.4, 1.4, 96), indexing="ij")
    found = []
    for index, name in enumerate(world.SHAPES):
        for angle in np.arange(0, 360, 7.5 if name != "circle" and name != "ring" else 360):
            c, s = math.cos(math.radians(angle)), math.sin(math.radians(angle))
            distance = world.shape_distance(torch.tensor(index), c * x + s * y, c * y - s * x, torch.tensor(1.0))
            found.append((name, normalised((distance < 0).float())))
    return [n for n, _ in found], torch.stack([t for _, t in found])


TEMPLATES = []


def read_shape(mask):
    """The shape that most frames' masks look like."""
    if not TEMPLATES:
        TEMPLATES.extend(templates())
    names, pictures = TEMPLATES
    votes = []
    for m in mask[::6]:
        if m.sum() >= 30:
            overlap = torch.minimum(normalised(m)[None], pictures).sum(dim=(1, 2)) / \
                torch.maximum(normalised(m)[None], pictures).sum(dim=(1, 2))
            votes.append(names[overlap.argmax()])
    return max(set(votes), key=votes.count) if votes else None


def read_motion(mask):
    area = mask.sum(dim=(1, 2))
    seen = area > 12
    if seen.sum() < len(mask) // 2:
        return None
    height, width = mask.shape[1:]
    x = ((mask.sum(1) * (torch.arange(width) + 0.5)).sum(1) / area.clamp(min=1) / height)[seen]
    y = ((mask.sum(2) * (torch.arange(height) + 0.5)).sum(1) / area.clamp(min=1) / height)[seen]
    radius = area[seen].sqrt()
    fifth = max(1, len(x) // 5)
    ends = lambda v: (v[:fifth].median().item(), v[-fifth:].median().item())
    spread = lambda v: (v.quantile(0.95) - v.quantile(0.05)).item()
    (x0, x1), (y0, y1), (r0, r1) = ends(x), ends(y), ends(radius)
    if spread(x) > 0.13 and spread(y) > 0.13:
        return "circling"
    if spread(x) > 0.2:
        return "moving right" if x1 > x0 else "moving left"
    if spread(y) > 0.2:
        back_and_forth = y.diff().abs().sum().item() > 1.5 * spread(y) * 1.1
        return "bouncing" if back_and_forth else "moving down" if y1 > y0 else "moving up"
    if r1 > 1.5 * r0 or r1 < r0 / 1.5:
        return "growing" if r1 > r0 else "shrinking"
    shots = [normalised(m) for m in mask[seen][::6]]
    change = [(a - shots[0]).abs().sum().item() / shots[0].sum().item() for a in shots[1:]]
    return "spinning" if float(np.mean(change)) > 0.16 else "standing still"


# ------------------------------------------------------------------------------------------------------------ the check

def check(prompt, frames):
    """Reads frames [n, height, width, 3] in [0, 1] and compares with the prompt."""
    said = parse(prompt)
    small = F.interpolate(torch.as_tensor(frames, dtype=torch.float32).permute(0, 3, 1, 2), size=(CELL, CELL), mode="area")
    small = small.permute(0, 2, 3, 1)
    background = read_background(small)
    seen = [dict(colour=name, shape=read_shape(mask), motion=read_motion(mask))
            for name, mask in read_masks(small, background, len(said["objects"]))]
    right = []
    for o in said["objects"]:
        match = next((s for s in seen if s["colour"] == o["colour"]), {})
        right.append({k: match.get(k) == o[k] for k in ("colour", "shape", "motion")})
    return dict(prompt=prompt, background=background, seen=seen, background_right=background == said["background"],
                objects_right=right)


def report(rows):
    """Prints a table of rows from `check` and returns the totals."""
    mark = lambda b: "yes" if b else "NO"
    print(f"{'background':11}{'colour':9}{'shape':9}{'motion':9}prompt")
    for r in rows:
        cells = ["/".join(mark(o[k]) for o in r["objects_right"]) for k in ("colour", "shape", "motion")]
        print(f"{mark(r['background_right']):11}" + "".join(f"{c:9}" for c in cells) + r["prompt"])
        if not all(all(o.values()) for o in r["objects_right"]) or not r["background_right"]:
            print(" " * 38 + f"seen: {r['background']}; " + ", ".join(f"{s['colour']} {s['shape']} {s['motion']}" for s in r["seen"]))
    objects = [o for r in rows for o in r["objects_right"]]
    share = lambda values: round(sum(values) / max(1, len(values)), 4)
    totals = dict(prompts=len(rows), objects=len(objects), background=share([r["background_right"] for r in rows]),
                  **{k: share([o[k] for o in objects]) for k in ("colour", "shape", "motion")})
    print(json.dumps(totals))
    return totals


def write(path, rows, totals, **more):
    with open(path, "w") as f:
        json.dump(dict(totals=totals, **more, clips=rows), f, indent=1)
        f.write("\n")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description="Checks that clips show what their prompts say.")
    options.add_argument("clips", nargs="?", help="JSON list of {prompt, frames}")
    options.add_argument("--json", help="where to write the result")
    options.add_argument("--prompts", type=int, help="print so many standard prompts and stop")
    options.add_argument("--truth", type=int, help="check so many rendered clips instead")
    o = options.parse_args()
    if o.prompts:
        print("\n".join(standard_prompts(o.prompts)))
        raise SystemExit
    if o.truth:
        rng, rows = random.Random(31), []
        for _ in range(o.truth):
            scene = world.sample_scene(rng)
            clip = world.render([scene], 49, CELL, CELL)[0].permute(1, 2, 3, 0) * 0.5 + 0.5
            rows.append(check(world.caption(scene), clip))
    else:
        base = os.path.dirname(os.path.abspath(o.clips))
        with open(o.clips) as f:
            rows = [check(c["prompt"], load_frames(os.path.join(base, c["frames"]))) for c in json.load(f)]
    totals = report(rows)
    if o.json:
        write(o.json, rows, totals)
