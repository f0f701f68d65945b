"""End-to-end cases: the genuine WanPipeline with hooks on its parts."""

import dataclasses
import pathlib

import numpy as np
import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    WanPipeline,
    WanTransformer3DModel,
)

from .common import seeded_normal, write_tensors


@dataclasses.dataclass(frozen=True)
class Case:
    name: str
    height: int
    width: int
    frames: int
    steps: int
    guidance: float
    seed: int
    prompt: str
    negative: str
    clip: tuple  # frames, height, width of the random clip given to the VAE encoder
    head_dim_64: bool = False  # wan_t2v_tiny_hd64's transformer and scheduler
    detail: bool = False  # also the insides of block 0, of the text encoder and of the VAE decoder


CASES = (
    Case(
        name="wan_t2v_tiny.case_a",
        height=64,
        width=96,
        frames=9,
        steps=4,
        guidance=5.0,
        seed=42,
        prompt="A red fox\u2019s \u201cquick\u201d run   through the snow &amp; past a caf\u00e9, slow motion.",
        negative="Bright tones, overexposed, static, blurred details, worst quality",
        clip=(9, 32, 32),
        detail=True,
    ),
    Case(
        name="wan_t2v_tiny.case_b",
        height=64,
        width=96,
        frames=17,
        steps=2,
        guidance=5.0,
        seed=7,
        prompt="\u4e00\u53ea\u732b\u5728\u6d77\u8fb9\u3002 A cat walks along the beach.",
        negative="",
        clip=(17, 16, 32),
    ),
    Case(
        name="wan_t2v_tiny.case_c",
        height=64,
        width=64,
        frames=9,
        steps=3,
        guidance=6.0,
        seed=2**31 + 5,
        prompt="Waves break on black rocks, low quality painting",
        negative="ugly, deformed",
        clip=(5, 16, 32),
        head_dim_64=True,
    ),
)


def load(root, case, dtype):
    """As people load it: transformer and UMT5 in the wanted dtype, the VAE always in fp32."""
    root = pathlib.Path(root)
    base = root / "wan_t2v_tiny"
    parts = {"vae": AutoencoderKLWan.from_pretrained(base / "vae", dtype=torch.float32)}
    if case.head_dim_64:
        other = root / "wan_t2v_tiny_hd64"
        parts["transformer"] = WanTransformer3DModel.from_pretrained(other / "transformer", dtype=dtype)
        parts["scheduler"] = FlowMatchEulerDiscreteScheduler.from_pretrained(other / "scheduler")
    pipe = WanPipeline.from_pretrained(base, dtype=dtype, **parts)
    pipe.set_progress_bar_config(disable=True)
    kept = pipe.transformer.condition_embedder.time_embedder.linear_1.weight.dtype
    if kept != torch.float32 or pipe.text_encoder.dtype != dtype:
        raise RuntimeError("unexpected parameter dtypes")
    return pipe


class Recorder:
    """Collects the tensors of one pipeline run. Hooks only read; the run is the library's own."""

    def __init__(self, pipe, case):
        self.case = case
        self.tensors = {}
        self.step = 0
        self.branch = "cond"
        self._stages = {}
        self._watch_text(pipe)
        self._watch_latents(pipe)
        self._watch_transformer(pipe.transformer)
        self._watch_scheduler(pipe.scheduler)
        self._watch_vae(pipe.vae)

    def put(self, name, value):
        if name in self.tensors:
            raise RuntimeError(f"{name} twice")
        self.tensors[name] = value.detach().clone()

    def _watch_text(self, pipe):
        names = iter(("prompt", "negative"))
        state = {}

        def before(module, args):
            ids, mask = args
            state["name"] = next(names)
            state["length"] = int(mask.sum())
            self.put(f"text.{state['name']}.ids", ids[0, : state["length"]])
            self.put(f"text.{state['name']}.mask_sum", mask.sum(dim=1))
            if ids.shape != (1, 512) or mask[0, : state["length"]].min() != 1:
                raise RuntimeError("unexpected token layout")

        def after(module, args, output):
            rows = output.last_hidden_state[0, : state["length"]]
            self.put(f"text.{state['name']}.states", rows)

        pipe.text_encoder.register_forward_pre_hook(before)
        pipe.text_encoder.register_forward_hook(after)
        if not self.case.detail:
            return

        def keep(stage):
            def hook(module, args, output):
                value = output[0] if isinstance(output, tuple) else output
                self.put(f"text.{state['name']}.{stage}", value[0, : state["length"]])

            return hook

        encoder = pipe.text_encoder.encoder
        encoder.embed_tokens.register_forward_hook(keep("embedding"))
        for index, block in enumerate(encoder.block):
            block.register_forward_hook(keep(f"block{index}"))

    def _watch_latents(self, pipe):
        original = pipe.prepare_latents

        def prepare(*args, **kwargs):
            latents = original(*args, **kwargs)
            self.put("noise", latents)
            return latents

        pipe.prepare_latents = prepare

    def _watch_transformer(self, model):
        def name(part):
            return f"step{self.step}.{self.branch}.{part}"

        def before(module, args, kwargs):
            if self.branch == "cond":
                self.put(f"step{self.step}.model_input", kwargs["hidden_states"])
                self.put(f"step{self.step}.model_timestep", kwargs["timestep"])

        def embedded(module, args, output):
            temb, projection, context, _ = output
            if self.branch == "cond":
                self.put(f"step{self.step}.temb", temb)
                self.put(f"step{self.step}.timestep_proj", projection.unflatten(1, (6, -1)))
            if self.step == 0:
                # The true rows and one padding row; all padding rows are the same.
                which = "prompt" if self.branch == "cond" else "negative"
                length = self.tensors[f"text.{which}.ids"].numel()
                self.put(f"context.{self.branch}", context[0, : length + 1])

        def keep_first(part):
            def hook(module, args, output):
                if self.step == 0 and self.branch == "cond":
                    self.put(name(part), output)

            return hook

        def after(module, args, output):
            self.put(name("velocity"), output[0])
            self.branch = "uncond" if self.branch == "cond" else "cond"

        def keep_block(part):
            def hook(module, args, output):
                # To save space: the conditional branch only; first and last step, or the first alone.
                if self.branch == "cond" and self.step in wanted:
                    self.put(name(part), output)

            return hook

        wanted = {0, self.case.steps - 1} if self.case.detail else {0}
        model.register_forward_pre_hook(before, with_kwargs=True)
        model.condition_embedder.register_forward_hook(embedded)
        model.blocks[0].register_forward_hook(keep_block("first_block"))
        model.blocks[-1].register_forward_hook(keep_block("last_block"))
        model.register_forward_hook(after)
        if self.case.detail:
            model.patch_embedding.register_forward_hook(keep_first("patch_embedding"))
            block = model.blocks[0]
            block.attn1.register_forward_hook(keep_first("block0.attn1"))
            block.attn2.register_forward_hook(keep_first("block0.attn2"))
            block.ffn.register_forward_hook(keep_first("block0.ffn"))

    def _watch_scheduler(self, scheduler):
        original = scheduler.step

        def step(velocity, timestep, latents, **kwargs):
            result = original(velocity, timestep, latents, **kwargs)
            self.put(f"step{self.step}.velocity", velocity)
            self.put(f"step{self.step}.latents", result[0])
            self.step += 1
            return result

        scheduler.step = step

    def _watch_vae(self, vae):
        original = vae.decode
        self.decoding = False

        def decode(z, **kwargs):
            self.put("vae.decoder_input", z)
            self.decoding = True
            video = original(z, **kwargs)
            self.decoding = False
            if self.case.detail:
                self.put("vae.output", video[0])
            else:
                self.put("vae.output.every4", video[0][..., ::4, ::4])  # rows 0, 4, ... and columns 0, 4, ...
            return video

        vae.decode = decode
        if not self.case.detail:
            return

        def collect(stage):
            def hook(module, args, output):
                if self.decoding:
                    self._stages.setdefault(stage, []).append(output.clone())

            return hook

        vae.post_quant_conv.register_forward_hook(collect("post_quant"))
        vae.decoder.conv_in.register_forward_hook(collect("conv_in"))
        vae.decoder.mid_block.register_forward_hook(collect("mid"))
        vae.decoder.up_blocks[0].register_forward_hook(collect("up0"))

    def finish(self):
        for stage, chunks in self._stages.items():
            self.put(f"vae.decoder.{stage}", torch.cat(chunks, dim=2))


def to_uint8(frames):
    """As diffusers' export_to_video does for output_type "np": truncation, not rounding."""
    return torch.from_numpy((frames * 255).astype(np.uint8))


def encode_clip(vae, case):
    """The VAE's encoder on a smooth random clip in [-1, 1]."""
    frames, height, width = case.clip
    noise = seeded_normal(case.seed, "clip", (1, 3, frames, height, width))
    clip = torch.tanh(noise + seeded_normal(case.seed, "clip.colour", (1, 3, 1, 1, 1)))
    moments = vae.encode(clip).latent_dist
    return {"vae.encoder_input": clip, "vae.encoder_mean": moments.mean, "vae.encoder_logvar": moments.logvar}


def run(root, case, dtype):
    pipe = load(root, case, dtype)
    recorder = Recorder(pipe, case)
    frames = pipe(
        prompt=case.prompt,
        negative_prompt=case.negative,
        height=case.height,
        width=case.width,
        num_frames=case.frames,
        num_inference_steps=case.steps,
        guidance_scale=case.guidance,
        generator=torch.Generator("cpu").manual_seed(case.seed),
    ).frames[0]
    recorder.finish()
    recorder.put("timesteps", pipe.scheduler.timesteps)
    recorder.put("sigmas", pipe.scheduler.sigmas)
    recorder.put("frames", to_uint8(frames))
    return pipe, recorder.tensors


def trim_f32(tensors):
    """Leaves out what is, by construction, another tensor of the file."""
    previous = tensors["noise"]
    step = 0
    while f"step{step}.model_input" in tensors:
        # In fp32 the model input of a step is bit for bit the latents of the step before.
        if not torch.equal(tensors.pop(f"step{step}.model_input"), previous):
            raise RuntimeError("model input is not the previous latents")
        previous = tensors[f"step{step}.latents"]
        step += 1
    return tensors


BF16_KEEP = (
    "text.prompt.states",
    "text.negative.states",
    "step0.temb",
    "step0.timestep_proj",
    "step0.cond.velocity",
    "step0.uncond.velocity",
    "step0.velocity",
    "step0.latents",
    "timesteps",
    "sigmas",
    "frames",
)


def dump(root, out):
    described = {}
    for case in CASES:
        pipe, tensors = run(root, case, torch.float32)
        tensors.update(encode_clip(pipe.vae, case))
        write_tensors(out / f"{case.name}.f32.safetensors", trim_f32(tensors))

        _, half = run(root, case, torch.bfloat16)
        kept = {name: half[name] for name in BF16_KEEP}
        kept["latents"] = half[f"step{case.steps - 1}.latents"]
        write_tensors(out / f"{case.name}.bf16.safetensors", kept)

        described[case.name] = {
            "prompt": case.prompt,
            "negative_prompt": case.negative,
            "height": case.height,
            "width": case.width,
            "num_frames": case.frames,
            "num_inference_steps": case.steps,
            "guidance_scale": case.guidance,
            "seed": case.seed,
            "max_sequence_length": 512,
            "transformer": "wan_t2v_tiny_hd64" if case.head_dim_64 else "wan_t2v_tiny",
            "scheduler": type(pipe.scheduler).__name__,
            "bf16_against_f32": distance(tensors, half, case.steps),
        }
    return described


def distance(single, half, steps):
    """How far diffusers' own bf16 run is from its fp32 run."""

    def relative(name):
        a, b = single[name].double(), half[name].double()
        return float((a - b).norm() / a.norm())

    error = (single["frames"].double() - half["frames"].double()).pow(2).mean()
    return {
        "prompt_states_rel": relative("text.prompt.states"),
        "first_velocity_rel": relative("step0.velocity"),
        "final_latents_rel": relative(f"step{steps - 1}.latents"),
        "frames_psnr_db": float(20 * torch.log10(torch.tensor(255.0).double()) - 10 * torch.log10(error)),
    }
