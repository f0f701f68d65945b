"""Tiny random checkpoints in the diffusers folder layout."""

import io
import json
import math
import pathlib

import diffusers
import sentencepiece
import torch
from diffusers import (
    AutoencoderKLWan,
    FlowMatchEulerDiscreteScheduler,
    UniPCMultistepScheduler,
    WanTransformer3DModel,
)
from transformers import T5Tokenizer, UMT5Config, UMT5EncoderModel

from . import corpus
from .common import seeded_normal

SEED = 20210
VOCAB_ROWS = 512  # rows of the embedding
PIECES = 490  # pieces of spiece.model; the extra ids follow, then unused rows, as in the real UMT5
EXTRA_IDS = 16


def train_tokenizer(path):
    """A unigram model with T5's special ids, byte pieces and the nmt_nfkc normaliser."""
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(corpus.SENTENCES),
        model_writer=model,
        model_type="unigram",
        vocab_size=PIECES,
        character_coverage=1.0,
        byte_fallback=True,
        normalization_rule_name="nmt_nfkc",
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        pad_piece="<pad>",
        eos_piece="</s>",
        unk_piece="<unk>",
        num_threads=1,
        minloglevel=2,
    )
    pathlib.Path(path).write_bytes(model.getvalue())


def save_tokenizer(folder):
    """spiece.model plus its two small json files.

    transformers would also write tokenizer.json; it only repeats the pieces and the (large)
    normaliser table of spiece.model, so it is left out. prompts.py checks that both give the same ids.
    """
    folder.mkdir(parents=True)
    train_tokenizer(folder / "spiece.model")
    extra = [f"<extra_id_{i}>" for i in range(EXTRA_IDS)]
    specials = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    config = {
        **specials,
        "additional_special_tokens": extra,
        "clean_up_tokenization_spaces": True,
        "extra_ids": EXTRA_IDS,
        "model_max_length": 1000000000000000019884624838656,
        "sp_model_kwargs": {},
        "tokenizer_class": "T5Tokenizer",
    }
    _write_config(folder / "tokenizer_config.json", config)
    _write_config(folder / "special_tokens_map.json", {**specials, "additional_special_tokens": extra})
    T5Tokenizer.from_pretrained(folder)  # must load


def _write_config(path, value):
    path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


# How each kind of parameter is drawn: (part of the name, offset, scale). The first match counts.
# A scale of None means 1/sqrt(fan in), so that activations stay of order one.
TRANSFORMER_RULES = (
    ("scale_shift_table", 0.0, 0.3),
    # Sharp cross attention, so that the few text rows are seen among the hundreds of padding rows.
    ("attn2.norm_q.weight", 1.8, 0.2),
    ("attn2.norm_k.weight", 1.8, 0.2),
    ("norm_q.weight", 1.2, 0.2),
    ("norm_k.weight", 1.2, 0.2),
    ("norm2.weight", 1.0, 0.2),
    ("bias", 0.0, 0.1),
    ("", 0.0, None),
)
VAE_RULES = (
    ("gamma", 1.0, 0.2),
    ("bias", 0.0, 0.1),
    ("", 0.0, None),
)
TEXT_RULES = (
    ("layer_norm.weight", 1.0, 0.2),
    ("relative_attention_bias", 0.0, 0.8),
    ("shared", 0.0, 1.0),
    ("embed_tokens", 0.0, 1.0),
    ("", 0.0, None),
)
# Multipliers on the 1/sqrt(fan in) of single tensors.
GAINS = {
    "decoder.conv_out.weight": 0.7,
    "quant_conv.weight": 1.5,
}


def randomise(model, rules, seed):
    for name, parameter in model.named_parameters():
        values = seeded_normal(seed, name, parameter.shape)
        offset, scale = next((o, s) for part, o, s in rules if part in name)
        if scale is None:
            scale = GAINS.get(name, 1.0) / math.sqrt(math.prod(parameter.shape[1:]))
        if name.endswith("SelfAttention.q.weight"):
            scale /= math.sqrt(model.config.d_kv)  # UMT5 does not scale its attention scores
        parameter.copy_(offset + scale * values)
    return model.eval()


def transformer(head_dim, ffn_dim, num_layers, seed):
    model = WanTransformer3DModel(
        patch_size=(1, 2, 2),
        num_attention_heads=2,
        attention_head_dim=head_dim,
        in_channels=16,
        out_channels=16,
        text_dim=64,
        freq_dim=256,
        ffn_dim=ffn_dim,
        num_layers=num_layers,
        cross_attn_norm=True,
        qk_norm="rms_norm_across_heads",
        eps=1e-6,
        rope_max_seq_len=1024,
    )
    return randomise(model, TRANSFORMER_RULES, seed)


def text_encoder(seed):
    config = UMT5Config(
        vocab_size=VOCAB_ROWS,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=3,
        num_heads=4,
        relative_attention_num_buckets=32,
        relative_attention_max_distance=128,
        feed_forward_proj="gated-gelu",
        tokenizer_class="T5Tokenizer",
    )
    return randomise(UMT5EncoderModel(config), TEXT_RULES, seed)


def vae(seed):
    """The real topology, 12 times narrower; the published latents_mean and latents_std are the defaults."""
    model = AutoencoderKLWan(base_dim=8, z_dim=16, dim_mult=[1, 2, 4, 4], num_res_blocks=2)
    return randomise(model, VAE_RULES, seed)


def unipc(flow_shift=5.0):
    return UniPCMultistepScheduler(
        prediction_type="flow_prediction",
        use_flow_sigmas=True,
        num_train_timesteps=1000,
        flow_shift=flow_shift,
    )


def euler(shift):
    return FlowMatchEulerDiscreteScheduler(num_train_timesteps=1000, shift=shift)


def drop_paths(folder):
    """Configs must not record where they were made."""
    for path in folder.rglob("*.json"):
        value = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(value, dict) and value.pop("_name_or_path", None) is not None:
            _write_config(path, value)


def build(root):
    """Writes both checkpoints."""
    base = root / "wan_t2v_tiny"
    index = {
        "_class_name": "WanPipeline",
        "_diffusers_version": diffusers.__version__,
        "scheduler": ["diffusers", "UniPCMultistepScheduler"],
        "text_encoder": ["transformers", "UMT5EncoderModel"],
        "tokenizer": ["transformers", "T5TokenizerFast"],
        "transformer": ["diffusers", "WanTransformer3DModel"],
        "vae": ["diffusers", "AutoencoderKLWan"],
    }
    base.mkdir(parents=True)
    _write_config(base / "model_index.json", index)
    save_tokenizer(base / "tokenizer")
    # Small shards: the sharded path is the one that published checkpoints take.
    transformer(128, 512, 2, SEED + 1).save_pretrained(base / "transformer", max_shard_size="3MB")
    text_encoder(SEED + 2).save_pretrained(base / "text_encoder")
    vae(SEED + 3).save_pretrained(base / "vae")
    unipc().save_pretrained(base / "scheduler")

    # Transformer and scheduler only; the other parts are those of wan_t2v_tiny. One bf16 file, so that
    # the single-file layout and bf16 storage are covered.
    other = root / "wan_t2v_tiny_hd64"
    narrow = transformer(64, 256, 1, SEED + 4)
    for parameter in narrow.parameters():
        parameter.data = parameter.data.to(torch.bfloat16)
    narrow.save_pretrained(other / "transformer")
    euler(7.0).save_pretrained(other / "scheduler")
    for folder in (base, other):
        drop_paths(folder)
