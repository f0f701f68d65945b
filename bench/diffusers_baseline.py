#!/usr/bin/env python3
"""Times the models of diffusers on this GPU: what the engine's figures are compared with. One JSON object a line.

    bench/diffusers_baseline.py                                    # all cases; the 14B model with 4 of its 40 layers
    bench/diffusers_baseline.py --cases wan-t2v-1.3b --compile     # and with its blocks compiled
    bench/diffusers_baseline.py --cases vae-480p --vae-dtypes bf16 --seconds 60

Models are built from the published configs, with random weights, on the GPU: no checkpoint is needed. Figures are
medians over --runs calls after a warm-up, by CUDA events; `peak_gib` is what PyTorch had allocated at most, weights
included.

wan-t2v-1.3b  one forward (half a step, with guidance) of 81 frames of 480 x 832, batch 1, bf16 as the pipeline runs it
wan-t2v-14b   the same of 81 frames of 720 x 1280
umt5          512 tokens, bf16
vae-480p      decoding 81 frames of 480 x 832
vae-720p      decoding 81 frames of 720 x 1280

With fewer layers than published, the same model without layers is timed too: `per_layer_ms` is the difference for one
layer, `whole_ms` the extrapolation to all. Attention backends are those of diffusers. Convolutions in fp32 run in TF32,
PyTorch's default. What does not run is reported with its reason: a line with `error` instead of a figure.

A baseline is the fastest of what is offered here: also try --compile, --vae-channels-last and --cudnn-benchmark.

Needs PyTorch, transformers and diffusers.
"""

import argparse
import contextlib
import functools
import gc
import json
import signal
import statistics
import sys
import time

import diffusers
import torch
import transformers
from diffusers import AutoencoderKLWan, WanTransformer3DModel
from transformers import UMT5Config, UMT5EncoderModel

CASES = ("wan-t2v-1.3b", "wan-t2v-14b", "umt5", "vae-480p", "vae-720p")
# Names of this program: those of diffusers.
BACKENDS = {"cudnn": "_native_cudnn", "flash": "_native_flash", "native": "native"}
DTYPES = {"bf16": torch.bfloat16, "f32": torch.float32}
TEXT_ROWS = 512
FRAMES = 81

PUBLISHED = {
    "wan-t2v-1.3b": {"num_attention_heads": 12, "ffn_dim": 8960, "num_layers": 30},
    "wan-t2v-14b": {"num_attention_heads": 40, "ffn_dim": 13824, "num_layers": 40},
}
SIZES = {"wan-t2v-1.3b": (480, 832), "wan-t2v-14b": (720, 1280), "vae-480p": (480, 832), "vae-720p": (720, 1280)}
TEXT_ENCODER = {"vocab_size": 256384, "d_model": 4096, "d_kv": 64, "d_ff": 10240, "num_layers": 24, "num_heads": 64}
TEXT_DIM = TEXT_ENCODER["d_model"]
VAE = {"base_dim": 96}


def shrink():
    """The same program on a CPU within seconds: to see that it runs. Its figures mean nothing."""
    global FRAMES, TEXT_DIM
    FRAMES, TEXT_DIM = 9, 64
    for config in PUBLISHED.values():
        config.update(num_attention_heads=2, ffn_dim=128, num_layers=6)
    for case in SIZES:
        SIZES[case] = (64, 96)
    TEXT_ENCODER.update(vocab_size=512, d_model=TEXT_DIM, d_kv=16, d_ff=128, num_layers=2, num_heads=4)
    VAE["base_dim"] = 8


class TimeIsUp(BaseException):
    """No Exception: the compiler would catch that, and go on without having compiled."""


@contextlib.contextmanager
def time_limit(seconds):
    """Raises TimeIsUp in what runs inside. Compiling is Python, which a signal reaches; a kernel is not."""

    def stop(signum, frame):
        raise TimeIsUp(f"not done within {seconds:.0f} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 0.001))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class Machine:
    def __init__(self, device):
        self.device = torch.device(device)
        self.cuda = self.device.type == "cuda"
        if self.cuda:
            torch.cuda.init()

    @property
    def chip(self):
        return torch.cuda.get_device_name(self.device) if self.cuda else "CPU"

    def wait(self):
        if self.cuda:
            torch.cuda.synchronize()

    def milliseconds(self, call):
        if not self.cuda:
            started = time.perf_counter()
            call()
            return (time.perf_counter() - started) * 1e3
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        return begin.elapsed_time(end)

    def forget(self):
        gc.collect()
        if self.cuda:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()

    def peak(self):
        return round(torch.cuda.max_memory_allocated() / 2**30, 2) if self.cuda else None


class Bench:
    def __init__(self, arguments):
        self.arguments = arguments
        self.machine = Machine(arguments.device)
        self.started = time.monotonic()
        # A generator of its own: figures do not depend on which cases ran before.
        self.generator = torch.Generator(self.machine.device)

    def left(self):
        return self.arguments.seconds - (time.monotonic() - self.started)

    def random(self, shape, dtype=torch.float32):
        return torch.randn(shape, generator=self.generator, device=self.machine.device, dtype=dtype)

    def emit(self, case, baseline, **fields):
        versions = f"diffusers {diffusers.__version__}, torch {torch.__version__}"
        if case.startswith("umt5"):
            versions = f"transformers {transformers.__version__}, torch {torch.__version__}"
        line = {"case": case, **fields, "baseline": f"{versions}, {baseline}" if baseline else versions,
                "chip": self.machine.chip}  # fmt: skip
        if self.arguments.tiny:
            line["tiny"] = True
        print(json.dumps(line), flush=True)

    def time(self, call, warm_up=None):
        """Median and spread. Fewer runs, never none, when they are long."""
        (warm_up or call)()
        self.machine.wait()
        deadline = time.monotonic() + self.arguments.case_seconds
        times = []
        while len(times) < self.arguments.runs and (not times or time.monotonic() < deadline):
            times.append(self.machine.milliseconds(call))
        return {"figure": round(statistics.median(times), 3), "unit": "ms", "runs": len(times),
                "fastest": round(min(times), 3), "slowest": round(max(times), 3)}  # fmt: skip

    def attempt(self, case, baseline, measure):
        """Emits what `measure` returns. Nothing that fails in it ends the other cases."""
        self.machine.forget()
        try:
            if self.left() <= 0:
                raise TimeIsUp(f"left out: the {self.arguments.seconds:.0f} s are over")
            fields = measure()
        except (Exception, TimeIsUp) as error:  # noqa: BLE001
            first_line = (str(error).splitlines() or [""])[0]
            fields = {"error": f"{type(error).__name__}: {first_line[:300]}"}
        self.emit(case, baseline, **fields)

    def build_transformer(self, case, layers):
        """As from_pretrained in bf16 leaves it: all in bf16 but what the class keeps in fp32."""
        config = {**PUBLISHED[case], "num_layers": layers}
        with self.machine.device:
            model = WanTransformer3DModel(**config, attention_head_dim=128, in_channels=16, out_channels=16,
                                          text_dim=TEXT_DIM, freq_dim=256, cross_attn_norm=True)  # fmt: skip
        kept = set(model._keep_in_fp32_modules)
        for name, parameter in model.named_parameters():
            if not kept.intersection(name.split(".")):
                parameter.data = parameter.data.to(torch.bfloat16)
        return model.eval().requires_grad_(False)

    def layers_of(self, case):
        published = PUBLISHED[case]["num_layers"]
        asked = self.arguments.layers
        if asked is None:
            asked = 4 if case == "wan-t2v-14b" else published
        return min(asked, published), published

    def time_transformer(self, case):
        height, width = SIZES[case]
        layers, published = self.layers_of(case)
        name = f"{case} forward {FRAMES} x {height} x {width} bf16, {layers} of {published} layers"
        model_of = functools.cache(lambda: self.build_transformer(case, layers))

        def measure(attention, compiled):
            model = model_of()
            self.machine.forget()  # building took more than running will
            model.set_attention_backend(BACKENDS[attention])
            self.generator.manual_seed(0)
            latents = self.random((1, 16, (FRAMES - 1) // 4 + 1, height // 8, width // 8), torch.bfloat16)
            text = self.random((1, TEXT_ROWS, TEXT_DIM), torch.bfloat16)
            timestep = torch.tensor([700], device=self.machine.device)

            def forward():
                return model(latents, timestep, text, return_dict=False)[0]

            fields = self.compile(model, forward) if compiled else {}
            fields.update(self.time(forward), peak_gib=self.machine.peak())
            self.require_finite(forward())
            if layers == published:
                return fields
            blocks = model.blocks
            try:
                model.blocks = torch.nn.ModuleList()
                rest = self.time(forward)["figure"]
            finally:
                model.blocks = blocks
            per_layer = (fields["figure"] - rest) / layers
            return {**fields, "per_layer_ms": round(per_layer, 3), "without_layers_ms": rest,
                    "whole_ms": round(rest + published * per_layer, 1)}  # fmt: skip

        # Compiled last: a block that was compiled stays so.
        for compiled in (False, True) if self.arguments.compile else (False,):
            for attention in self.arguments.attention.split(","):
                baseline = f"{attention} attention" + (", blocks compiled" if compiled else "")
                self.attempt(name, baseline, functools.partial(measure, attention, compiled))

    def compile(self, model, forward):
        """One block compiled for all, as diffusers advises."""
        started = time.monotonic()
        torch._dynamo.reset()
        counters = torch._dynamo.utils.counters
        counters.clear()
        with time_limit(min(self.arguments.compile_seconds, self.left())):
            model.compile_repeated_blocks()
            forward()
            self.machine.wait()
        if counters["stats"]["unique_graphs"] == 0:
            raise RuntimeError("nothing was compiled")
        return {"compile_seconds": round(time.monotonic() - started, 1), "graphs": counters["stats"]["unique_graphs"],
                "graph_breaks": sum(counters["graph_break"].values())}  # fmt: skip

    def time_text_encoder(self):
        def measure():
            before = torch.get_default_dtype()
            torch.set_default_dtype(torch.bfloat16)
            try:
                with self.machine.device:
                    model = UMT5EncoderModel(UMT5Config(**TEXT_ENCODER, feed_forward_proj="gated-gelu"))
            finally:
                torch.set_default_dtype(before)
            model = model.to(torch.bfloat16).eval().requires_grad_(False)
            self.machine.forget()
            self.generator.manual_seed(0)
            ids = torch.randint(3, TEXT_ENCODER["vocab_size"], (1, TEXT_ROWS), generator=self.generator,
                                device=self.machine.device)  # fmt: skip
            mask = torch.ones_like(ids)

            def encode():
                return model(ids, mask).last_hidden_state

            fields = {**self.time(encode), "peak_gib": self.machine.peak()}
            self.require_finite(encode())
            return fields

        self.attempt(f"umt5 {TEXT_ROWS} tokens bf16", "", measure)

    def time_vae(self, case, dtype_name):
        height, width = SIZES[case]
        dtype = DTYPES[dtype_name]
        arguments = self.arguments
        switches = {"channels last": arguments.vae_channels_last, "cudnn.benchmark": arguments.cudnn_benchmark}

        def measure():
            with self.machine.device:
                model = AutoencoderKLWan(**VAE)
            model = model.to(dtype).eval().requires_grad_(False)
            if arguments.vae_channels_last:
                for module in model.modules():  # the few 2-D convolutions know no such layout
                    if isinstance(module, torch.nn.Conv3d):
                        module.to(memory_format=torch.channels_last_3d)
            self.machine.forget()
            self.generator.manual_seed(0)
            latents = self.random((1, 16, (FRAMES - 1) // 4 + 1, height // 8, width // 8), dtype)
            # Latent frames are decoded one by one: three of them have run every kernel at every size.
            warm_up = latents[:, :, :3]
            fields = self.time(lambda: model.decode(latents, return_dict=False)[0],
                               lambda: model.decode(warm_up, return_dict=False)[0])  # fmt: skip
            fields["peak_gib"] = self.machine.peak()
            self.require_finite(model.decode(warm_up, return_dict=False)[0])
            return fields

        baseline = ", ".join(name for name, on in switches.items() if on)
        self.attempt(f"vae decode {FRAMES} x {height} x {width} {dtype_name}", baseline, measure)

    @staticmethod
    def require_finite(result):
        if not torch.isfinite(result).all():
            raise ValueError("the result is not finite")

    def run(self, cases):
        for case in cases:
            if case in PUBLISHED:
                self.time_transformer(case)
            elif case == "umt5":
                self.time_text_encoder()
            else:
                for dtype in self.arguments.vae_dtypes.split(","):
                    self.time_vae(case, dtype)


def chosen(parser, flag, text, known):
    names = text.split(",")
    for name in names:
        if name not in known:
            parser.error(f"{flag}: expected some of {','.join(known)}, found '{name}'")
    return names


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--attention", default="cudnn,flash", help=f"some of {','.join(BACKENDS)}")
    parser.add_argument("--compile", action="store_true", help="also with torch.compile of the blocks")
    parser.add_argument("--compile-seconds", type=float, default=60, help="give up compiling after these")
    parser.add_argument("--layers", type=int, help="default: all, 4 for the 14B model")
    parser.add_argument("--vae-dtypes", default="bf16,f32")
    parser.add_argument("--vae-channels-last", action="store_true", help="the layout that cudnn computes in")
    parser.add_argument("--cudnn-benchmark", action="store_true", help="let cudnn try its convolutions")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--case-seconds", type=float, default=6, help="start no further run of a case after these")
    parser.add_argument("--seconds", type=float, default=100, help="start no further case after these")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small models and clips: to see that the program runs")
    arguments = parser.parse_args()
    cases = chosen(parser, "--cases", arguments.cases, CASES)
    chosen(parser, "--attention", arguments.attention, BACKENDS)
    chosen(parser, "--vae-dtypes", arguments.vae_dtypes, DTYPES)
    if arguments.device == "cuda" and not torch.cuda.is_available():
        sys.exit("no CUDA device: --device cpu --tiny shows that the program runs")
    if arguments.tiny:
        shrink()
    torch.backends.cudnn.benchmark = arguments.cudnn_benchmark
    diffusers.utils.logging.set_verbosity_error()
    with torch.inference_mode():
        Bench(arguments).run(cases)


if __name__ == "__main__":
    main()
