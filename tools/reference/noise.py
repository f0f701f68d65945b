"""torch.randn with a CPU generator: exact values, and a model of the algorithm that must agree with them."""

import math

import numpy as np
import torch

SEEDS = (0, 1, 42, 2**31 + 5, 2**40 + 7, -1)
SIZES = (1, 5, 15, 16, 17, 31, 33, 100)
SUMMED = ((1000,), (1, 16, 3, 8, 12), (1001,))
LARGE = ((1, 16, 21, 60, 104), (2_000_003,))
SEQUENCES = ((3, 3), (3, 16, 3), (17, 5), (1, 1, 16, 1), (5, 33, 2))


class Mersenne:
    """The generator of torch: the standard mt19937, seeded with the low 32 bits of the seed."""

    def __init__(self, seed):
        key = [seed & 0xFFFFFFFF]
        for i in range(1, 624):
            key.append((1812433253 * (key[-1] ^ (key[-1] >> 30)) + i) & 0xFFFFFFFF)
        self._engine = np.random.MT19937()
        state = self._engine.state
        state["state"]["key"] = np.array(key, dtype=np.uint32)
        state["state"]["pos"] = 624
        self._engine.state = state
        self.cached = None  # the second value of the last pair of the scalar path

    def words(self, count):
        return self._engine.random_raw(count).astype(np.uint64)

    def floats(self, count):
        return (self.words(count) & np.uint64(0xFFFFFF)).astype(np.float32) * np.float32(2.0**-24)

    def double(self):
        high, low = (int(word) for word in self.words(2))
        return (((high << 32) | low) & ((1 << 53) - 1)) * 2.0**-53


def fma(a, b, c):
    wide = np.longdouble
    return (np.asarray(a, wide) * np.asarray(b, wide) + np.asarray(c, wide)).astype(np.float32)


def polynomial(x, coefficients):
    y = np.full_like(x, np.float32(coefficients[0]))
    for coefficient in coefficients[1:]:
        y = fma(y, x, np.float32(coefficient))
    return y


def log_simd(x):
    """The logarithm of torch's 8-wide path, for positive normal x."""
    bits = x.view(np.int32)
    exponent = ((bits >> 23) - 126).astype(np.float32)
    x = ((bits & np.int32(0x007FFFFF)) | np.int32(0x3F000000)).view(np.float32)  # [0.5, 1)
    small = x < np.float32(0.707106781186547524)
    exponent = exponent - small.astype(np.float32)
    x = (x - np.float32(1)) + np.where(small, x, np.float32(0))
    z = x * x
    y = polynomial(
        x,
        (
            7.0376836292e-2,
            -1.1514610310e-1,
            1.1676998740e-1,
            -1.2420140846e-1,
            1.4249322787e-1,
            -1.6668057665e-1,
            2.0000714765e-1,
            -2.4999993993e-1,
            3.3333331174e-1,
        ),
    )
    y = fma(y * x, z, exponent * np.float32(-2.12194440e-4))
    y = fma(z, np.float32(-0.5), y)
    return fma(exponent, np.float32(0.693359375), x + y)


def sincos_simd(x):
    """Sine and cosine of torch's 8-wide path, for x in [0, 2 pi)."""
    octant = ((x * np.float32(1.27323954473516)).astype(np.int32) + 1) & ~1
    y = octant.astype(np.float32)
    for part in (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8):
        x = fma(y, np.float32(part), x)
    z = x * x
    c = polynomial(z, (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2))
    c = fma(c * z, z, -(z * np.float32(0.5))) + np.float32(1)
    s = polynomial(z, (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1))
    s = fma(s * z, x, x)
    straight = (octant & 2) == 0
    sine = np.where(straight, s, c)
    cosine = np.where(straight, c, s)
    sine = np.where((octant & 4) != 0, -sine, sine)
    cosine = np.where(((octant - 2) & 4) == 0, -cosine, cosine)
    return sine, cosine


def box_muller_16(uniform):
    """Blocks of 16 uniforms to 16 normals: the first 8 give the radius, the last 8 the angle."""
    pairs = uniform.reshape(-1, 2, 8)
    radius = np.sqrt(np.float32(-2) * log_simd(np.float32(1) - pairs[:, 0]))
    sine, cosine = sincos_simd(np.float32(2 * math.pi) * pairs[:, 1])
    return np.stack([radius * cosine, radius * sine], axis=1).reshape(-1)


def model(engine, count):
    if count < 16:
        values = []
        for _ in range(count):
            if engine.cached is not None:
                values.append(engine.cached)
                engine.cached = None
                continue
            angle = 2.0 * math.pi * engine.double()
            radius = math.sqrt(-2.0 * math.log1p(-engine.double()))
            values.append(radius * math.cos(angle))
            engine.cached = radius * math.sin(angle)
        return np.array(values).astype(np.float32)
    uniform = engine.floats(count)
    whole = count // 16 * 16
    values = uniform.copy()
    values[:whole] = box_muller_16(uniform[:whole])
    if count % 16:
        values[-16:] = box_muller_16(engine.floats(16))
    return values


def check(engine, values):
    """The model must give torch's bits where torch uses its AVX2 path; else stay close."""
    expected = model(engine, len(values))
    if torch.backends.cpu.get_cpu_capability().startswith("AVX"):
        same = np.array_equal(expected.view(np.uint32), values.view(np.uint32))
    else:
        same = np.allclose(expected, values, rtol=0, atol=1e-5)
    if not same:
        raise RuntimeError("the model of torch.randn is wrong")


def draw(seed, *shape, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator("cpu").manual_seed(seed), dtype=dtype)


def summary(values):
    """Enough to check a long array without a digest."""
    bits = values.view(np.uint32)
    return {
        "first": bits[:8].tolist(),
        "last": bits[-24:].tolist(),
        "xor": int(np.bitwise_xor.reduce(bits)),
        "sum_of_bits": int(bits.astype(np.uint64).sum()),
        "sum": math.fsum(values.tolist()),
        "mean_abs": float(np.abs(values.astype(np.float64)).mean()),
    }


def dump():
    full, summed, sequences, half = [], [], [], []
    for seed in SEEDS:
        for size in SIZES:
            values = draw(seed, size).numpy()
            check(Mersenne(seed), values)
            full.append({"seed": seed, "shape": [size], "bits": values.view(np.uint32).tolist()})
        shapes = SUMMED + (LARGE if seed == 42 else ())
        for shape in shapes:
            values = draw(seed, *shape).numpy().reshape(-1)
            check(Mersenne(seed), values)
            summed.append({"seed": seed, "shape": list(shape), **summary(values)})
        for sizes in SEQUENCES:
            generator = torch.Generator("cpu").manual_seed(seed)
            engine = Mersenne(seed)
            bits = []
            for size in sizes:
                values = torch.randn(size, generator=generator).numpy()
                check(engine, values)
                bits.append(values.view(np.uint32).tolist())
            sequences.append({"seed": seed, "sizes": list(sizes), "bits": bits})
    for dtype in (torch.bfloat16, torch.float16):
        for size in (5, 16, 17, 33, 48):
            values = draw(42, size, dtype=dtype)
            bits = values.view(torch.int16).to(torch.int32) & 0xFFFF
            half.append({"seed": 42, "dtype": str(dtype)[6:], "shape": [size], "bits16": bits.tolist()})
    return {
        "note": (
            "torch.randn(shape, generator=torch.Generator('cpu').manual_seed(seed)). bits: IEEE binary32 patterns. "
            "xor and sum_of_bits (64 bit) run over all patterns; sum is exact, rounded once to fp64. "
            "sequences: several calls on one generator."
        ),
        "full": full,
        "summary": summed,
        "sequences": sequences,
        "half": half,
    }
