"""The little world the demo model knows: shaded shapes that move over patterned backgrounds, with captions.

A scene is a plain dict with every random number already drawn, so rendering it is deterministic. `render` draws a batch of
scenes, or windows of them, with tensor operations only, on whatever device it is given.

Lengths are fractions of the picture's height, x to the right and y down; times are seconds.
"""

import math
import random

import torch

FPS = 16
COLOURS = ["red", "orange", "yellow", "green", "cyan", "blue", "purple", "pink", "white", "black"]
OBJECT_RGB = {
    "red": (0.92, 0.16, 0.18), "orange": (1.00, 0.52, 0.08), "yellow": (1.00, 0.87, 0.14), "green": (0.16, 0.72, 0.28),
    "cyan": (0.12, 0.82, 0.90), "blue": (0.14, 0.32, 0.95), "purple": (0.56, 0.22, 0.84), "pink": (1.00, 0.46, 0.72),
    "white": (0.97, 0.97, 0.97), "black": (0.08, 0.08, 0.10),
}
BACKGROUND_RGB = {  # (dark tone, light tone)
    "red": ((0.62, 0.26, 0.26), (0.80, 0.43, 0.41)), "orange": ((0.79, 0.50, 0.30), (0.92, 0.68, 0.46)),
    "yellow": ((0.84, 0.74, 0.38), (0.95, 0.88, 0.58)), "green": ((0.34, 0.56, 0.38), (0.54, 0.75, 0.55)),
    "cyan": ((0.36, 0.64, 0.68), (0.58, 0.82, 0.84)), "blue": ((0.28, 0.40, 0.66), (0.48, 0.60, 0.84)),
    "purple": ((0.47, 0.37, 0.64), (0.67, 0.57, 0.82)), "pink": ((0.85, 0.59, 0.69), (0.95, 0.77, 0.83)),
    "white": ((0.79, 0.79, 0.81), (0.96, 0.96, 0.95)), "black": ((0.13, 0.13, 0.16), (0.29, 0.30, 0.33)),
}
SHAPES = ["circle", "square", "triangle", "star", "ring", "heart"]
SIZES = ["small", "large"]
MOTIONS = ["moving left", "moving right", "moving up", "moving down", "circling", "bouncing", "spinning", "growing",
           "shrinking", "standing still"]
PATTERNS = ["plain", "striped", "checkered", "dotted", "gradient", "cloudy"]
ROUND = ("circle", "ring")  # a spin of these cannot be seen


# ---------------------------------------------------------------------------------------------------------- captions

def caption(scene, rng=None):
    """The scene in words. With an rng, now and then a size, the word `plain` or `standing still` is left out."""
    def skip(chance):
        return rng is not None and rng.random() < chance

    phrases = []
    for o in scene["objects"]:
        words = ([] if skip(0.12) else [o["size"]]) + [o["colour"], o["shape"]]
        if not (o["motion"] == "standing still" and skip(0.25)):
            words.append(o["motion"])
        phrases.append(("an " if words[0][0] == "o" else "a ") + " ".join(words))
    words = ([] if scene["pattern"] == "plain" and skip(0.3) else [scene["pattern"]]) + [scene["background"]]
    return " and ".join(phrases) + (" over an " if words[0][0] == "o" else " over a ") + " ".join(words) + " background"


# ------------------------------------------------------------------------------------------------------------ scenes

def sample_object(rng, colours, anchor, alone):
    """What the caption leaves open stays in a narrow range: all of it has to be decided in the first steps of sampling."""
    shape = rng.choice(SHAPES)
    motion = rng.choice([m for m in MOTIONS if m != "spinning" or shape not in ROUND])
    size = rng.choice(SIZES)
    radius = {"small": 0.105, "large": 0.195}[size] if alone else {"small": 0.085, "large": 0.15}[size]
    x, y = anchor
    if alone and motion in ("moving left", "moving right"):
        x = 0.5
    if alone and motion in ("moving up", "moving down"):
        y = 0.5
    return dict(shape=shape, motion=motion, size=size, colour=rng.choice(colours), anchor=(x, y),
                radius=radius * rng.uniform(0.93, 1.07), travel=(0.5 if alone else 0.33) * rng.uniform(0.9, 1.1),
                tilt=rng.uniform(-0.15, 0.15), phase=rng.uniform(-0.5, 0.5), orbit=0.19 if alone else 0.12)


def sample_scene(rng, objects=None):
    """Draws a scene of one or two objects from a random.Random."""
    count = objects or rng.choice((1, 2))
    background = rng.choice(COLOURS)
    jitter = lambda c, j: c + rng.uniform(-j, j)
    if count == 1:
        anchors = [(jitter(0.5, 0.1), jitter(0.5, 0.1))]
    else:  # the first above and to the left: were that open, the model would often draw one object in both places
        anchors = [(jitter(c, 0.03), jitter(c, 0.03)) for c in (0.29, 0.71)]
    left, chosen = [c for c in COLOURS if c != background], []
    for anchor in anchors:
        chosen.append(sample_object(rng, left, anchor, count == 1))
        left = [c for c in left if c != chosen[-1]["colour"]]
    scene = dict(objects=chosen, background=background, pattern=rng.choice(PATTERNS),
                 scale=rng.uniform(2.6, 3.8), angle=rng.uniform(0, math.pi), drift=rng.choice((-1, 1)) * rng.uniform(0.05, 0.12),
                 phases=[rng.uniform(0, 2 * math.pi) for _ in range(6)])
    scene["caption"] = caption(scene, rng)
    return scene


def object_path(o, t):
    """Centre x, centre y, radius and angle of an object at times t (a 1-D tensor)."""
    one = torch.ones_like(t)
    x, y, r, angle = o["anchor"][0] * one, o["anchor"][1] * one, o["radius"] * one, o["tilt"] * one
    u = (t - 1.5) / 3.0  # -1/2 .. 1/2 over the clip
    motion = o["motion"]
    if motion == "moving left":
        x = x - o["travel"] * u
    elif motion == "moving right":
        x = x + o["travel"] * u
    elif motion == "moving up":
        y = y - o["travel"] * u
    elif motion == "moving down":
        y = y + o["travel"] * u
    elif motion == "circling":
        turn = 2 * math.pi / 2.6 * t + o["phase"]
        x, y = x + o["orbit"] * torch.cos(turn), y + o["orbit"] * torch.sin(turn)
    elif motion == "bouncing":
        y = 0.86 - r - 0.40 * torch.sin(2 * math.pi / 2.4 * t + o["phase"]).abs()
    elif motion == "spinning":
        angle = angle + 2.2 * t
    elif motion == "growing":
        r = r * (0.95 + 0.8 * u)
    elif motion == "shrinking":
        r = r * (0.95 - 0.8 * u)
    return torch.stack([x, y, r, angle])


# --------------------------------------------------------------------------------------------------------- rendering

def shape_distance(shape, x, y, r):
    """Signed distance to each shape of radius r about the origin, chosen by the index `shape` (broadcast)."""
    q = torch.sqrt(x * x + y * y + 1e-12)
    circle = q - 0.95 * r
    square = torch.maximum(x.abs(), y.abs()) - 0.84 * r
    yt = y - 0.18 * r
    triangle = torch.maximum(yt, math.sqrt(3) / 2 * x.abs() - yt / 2) - 0.56 * r
    triangle = torch.maximum(triangle, torch.sqrt(x * x + yt * yt + 1e-12) - 1.09 * r)
    ring = (q - 0.72 * r).abs() - 0.27 * r
    fold = torch.remainder(torch.atan2(x, -y) + math.pi / 5, 2 * math.pi / 5) - math.pi / 5
    tip, dent = 1.12, 0.52  # radii of the star's outer and inner corners
    dx, dy = dent * math.cos(math.pi / 5) - tip, dent * math.sin(math.pi / 5)
    star = ((q * torch.cos(fold) - tip * r) * dy - q * torch.sin(fold).abs() * dx) / math.hypot(dx, dy)
    star = torch.maximum(star, q - 1.09 * r)
    half, ys = 0.56 * r, y - 0.08 * r
    diamond = (x.abs() + ys.abs()) / math.sqrt(2) - half
    lobe = torch.sqrt((x.abs() - half / math.sqrt(2)) ** 2 + (ys + half / math.sqrt(2)) ** 2 + 1e-12) - half
    heart = torch.minimum(diamond, lobe)
    out = circle
    for index, d in enumerate((circle, square, triangle, star, ring, heart)):
        out = torch.where(shape == index, d, out)
    return out


def background_mix(pattern, x, y, t, scale, angle, drift, phases):
    """How much of the light tone each point gets, for each pattern, chosen by the index `pattern`."""
    c, s = torch.cos(angle), torch.sin(angle)
    along, across = x * c + y * s, y * c - x * s
    slide = drift * t
    k = 2 * math.pi * scale
    striped = torch.sigmoid(5 * torch.sin(k * (along + slide) + phases[0]))
    u, v = k * 0.75 * (x + slide * c) + phases[0], k * 0.75 * (y + slide * s) + phases[1]
    checkered = torch.sigmoid(9 * torch.sin(u) * torch.sin(v))
    dotted = torch.sigmoid(6 * (torch.cos(1.6 * u) + torch.cos(1.6 * v) - 0.75))
    turn = angle * 2 + 2 * drift * t
    gradient = 0.5 + 0.85 * ((x - 0.5) * torch.cos(turn) + (y - 0.5) * torch.sin(turn))
    wave = lambda a, b, w, p: torch.sin(2 * math.pi * (a * x + b * y + w * slide) + p)
    warp = 0.6 * wave(0.9, -0.7, 1.0, phases[2])
    cloud = (wave(1.3, 0.5, 1.6, phases[0] + warp) + 0.8 * wave(-0.8, 1.6, -1.8, phases[1] - warp)
             + 0.5 * wave(2.1, 1.9, 2.2, phases[3] + warp) + 0.35 * wave(-2.6, 1.7, 2.6, phases[4]))
    cloudy = torch.sigmoid(1.5 * cloud)
    out = 0.6 + 0 * cloudy
    for index, m in enumerate((out, striped, checkered, dotted, gradient, cloudy)):
        out = torch.where(pattern == index, m, out)
    return out


def pack(scenes, times):
    """Scenes as tensors on the CPU. times: [batch, frames]."""
    count = max(len(s["objects"]) for s in scenes)
    paths = torch.zeros(len(scenes), count, 4, times.shape[1])
    paths[:, :, 0] = 9.0  # an absent object waits far outside
    paths[:, :, 2] = 0.01
    shape, colour = torch.zeros(len(scenes), count, dtype=torch.long), torch.zeros(len(scenes), count, 3)
    for b, s in enumerate(scenes):
        for i, o in enumerate(s["objects"]):
            paths[b, i] = object_path(o, times[b])
            shape[b, i] = SHAPES.index(o["shape"])
            colour[b, i] = torch.tensor(OBJECT_RGB[o["colour"]])
    return dict(paths=paths, shape=shape, colour=colour, times=times,
                pattern=torch.tensor([PATTERNS.index(s["pattern"]) for s in scenes]),
                tones=torch.tensor([BACKGROUND_RGB[s["background"]] for s in scenes]),
                numbers=torch.tensor([[s["scale"], s["angle"], s["drift"], *s["phases"]] for s in scenes]))


def draw(p, x, y, pixel):
    """Pictures [batch, 3, frames, h, w] in [0, 1] of packed scenes at points x [batch,1,1,w], y [batch,1,h,1]."""
    wide = lambda a: a.reshape(-1, 1, 1, 1)
    t = p["times"][:, :, None, None]
    scale, angle, drift, *phases = (wide(a) for a in p["numbers"].unbind(1))
    mix = background_mix(wide(p["pattern"]), x, y, t, scale, angle, drift, phases)[:, None]
    dark, light = (p["tones"][:, i, :, None, None, None] for i in (0, 1))
    vignette = 1.05 - 0.3 * ((x - 0.5) ** 2 + (y - 0.5) ** 2)[:, None]
    picture = (dark + (light - dark) * mix) * vignette
    for i in range(p["shape"].shape[1]):
        cx, cy, r, turn = (a[:, :, None, None] for a in p["paths"][:, i].unbind(1))
        c, s, shape = torch.cos(turn), torch.sin(turn), wide(p["shape"][:, i])

        def distance(dx, dy):
            px, py = x - cx - dx, y - cy - dy
            return shape_distance(shape, c * px + s * py, c * py - s * px, r)

        shadow = 0.38 * torch.sigmoid(-distance(0.14 * r, 0.22 * r) / 0.022)
        picture = picture * (1 - shadow[:, None])
        d, px, py = distance(0, 0), (x - cx) / r, (y - cy) / r
        cover = torch.sigmoid(-1.7 * d / pixel)
        depth = (-d / r).clamp(min=0)
        shade = 1.0 - 0.13 * (0.6 * px + 0.8 * py).clamp(-1, 1) - 0.22 * torch.exp(-depth / 0.10)
        gleam = 0.42 * torch.exp(-((px + 0.32) ** 2 + (py + 0.38) ** 2) / 0.10) * (depth / 0.12).clamp(max=1)
        body = p["colour"][:, i, :, None, None, None] * shade[:, None]
        body = body + (1 - body) * gleam[:, None]
        picture = picture + (body - picture) * cover[:, None]
    return picture.clamp(0, 1)


def render(scenes, frames, height, width, device="cpu", window=None, corners=None, starts=None):
    """Draws scenes as [batch, 3, frames, h, w] in [-1, 1].

    window (h, w) with corners [(top, left)] draws only that part of the height x width picture; starts gives the first
    frame of each clip.
    """
    h, w = window or (height, width)
    corners = torch.tensor(corners if corners is not None else [(0, 0)] * len(scenes))
    starts = torch.tensor(starts if starts is not None else [0] * len(scenes))
    packed = pack(scenes, (starts[:, None] + torch.arange(frames)) / FPS)
    packed = {k: v.to(device, non_blocking=True) for k, v in packed.items()}
    corners = corners.to(device)
    y = (torch.arange(h, device=device) + corners[:, :1] + 0.5) / height
    x = (torch.arange(w, device=device) + corners[:, 1:] + 0.5) / height
    return draw(packed, x[:, None, None, :], y[:, None, :, None], 1.0 / height) * 2 - 1


def random_window(scene, rng, frames, size, total_frames, full):
    """A start frame and a (top, left) corner for a size x size window that mostly looks at an object."""
    start = rng.randrange(total_frames - frames + 1)
    if rng.random() < 0.8:
        path = object_path(rng.choice(scene["objects"]), torch.tensor([(start + frames / 2) / FPS]))
        cx, cy = path[0].item() * full, path[1].item() * full
    else:
        cx, cy = rng.uniform(0, full), rng.uniform(0, full)
    place = lambda c: int(min(max(c - size / 2 + rng.uniform(-0.4, 0.4) * size, 0), full - size))
    return start, (place(cy), place(cx))


def training_clips(rng, batch, frames, size, device, total_frames=49, full=320):
    """A batch of random clips: whole pictures if size == full, else windows of them."""
    scenes = [sample_scene(rng) for _ in range(batch)]
    places = [random_window(s, rng, frames, size, total_frames, full) for s in scenes]
    return render(scenes, frames, full, full, device, (size, size), [c for _, c in places], [s for s, _ in places])


if __name__ == "__main__":  # a contact sheet of random scenes, to look at
    import sys
    from PIL import Image
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    rows = []
    for _ in range(8):
        scene = sample_scene(rng)
        print(scene["caption"])
        clip = render([scene], 49, 320, 320)[0, :, ::12]
        rows.append(torch.cat(list(clip.permute(1, 2, 3, 0)), 1))
    Image.fromarray(((torch.cat(rows) + 1) * 127.5).round().byte().numpy()).save(sys.argv[1])
