"""The demo model's tokenizer and text encoder: one piece for every word of the world, one for every letter, and a three-layer UMT5."""

import collections
import json
import math
import os
import random
import shutil
import string

import torch
import torch.nn.functional as F
from transformers import AutoTokenizer, UMT5Config, UMT5EncoderModel

import world

ROWS = 512  # rows of text that the transformer attends to


def train_tokenizer(folder, captions=20000):
    """Writes a T5-style tokenizer folder: a piece for every word in captions, and the letters; pad 0, </s> 1, <unk> 2."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2
    from transformers import T5Tokenizer

    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    rng, words = random.Random(5), collections.Counter()
    sentences = [world.sample_scene(rng)["caption"] for _ in range(captions)]
    for s in sentences:
        words.update(s.split())
    sentencepiece.SentencePieceTrainer.train(  # for its normalizer and layout; the pieces are set below
        sentence_iterator=iter(sentences), model_prefix=os.path.join(folder, "spiece"), model_type="unigram", vocab_size=256,
        hard_vocab_limit=False, pad_id=0, eos_id=1, unk_id=2, bos_id=-1, normalization_rule_name="nmt_nfkc_cf",
        minloglevel=2, num_threads=1)
    os.remove(os.path.join(folder, "spiece.vocab"))
    model = os.path.join(folder, "spiece.model")
    with open(model, "rb") as f:
        proto = sentencepiece_model_pb2.ModelProto.FromString(f.read())
    del proto.pieces[3:]
    total = sum(words.values())
    for word, count in sorted(words.items()):
        proto.pieces.add(piece="\u2581" + word, score=math.log(count / total))
    for letter in ["\u2581", *string.ascii_lowercase, *string.digits, *",.-'"]:
        proto.pieces.add(piece=letter, score=-12.0)
    with open(model, "wb") as f:
        f.write(proto.SerializeToString())
    kept = model + ".kept"
    shutil.copy(model, kept)
    T5Tokenizer.from_pretrained(folder, extra_ids=0, model_max_length=ROWS).save_pretrained(folder)
    os.replace(kept, model)
    special = {"eos_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
    with open(os.path.join(folder, "special_tokens_map.json"), "w") as f:
        json.dump(special, f, indent=2)
    with open(os.path.join(folder, "tokenizer_config.json"), "w") as f:
        json.dump({**special, "tokenizer_class": "T5Tokenizer", "extra_ids": 0, "additional_special_tokens": [],
                   "model_max_length": ROWS, "clean_up_tokenization_spaces": False}, f, indent=2)


def load_tokenizer(folder):
    return AutoTokenizer.from_pretrained(folder)


def look_around(encoder, strength=5.0):
    """Points the four heads at the next, previous, second next and second previous word, each way a place to start from.

    T5's own start, almost no preference for any place, stayed a bag of words: which colour belongs to which word was lost.
    """
    half = encoder.config.relative_attention_num_buckets // 2
    with torch.no_grad():
        for block in encoder.encoder.block:
            table = block.layer[0].SelfAttention.relative_attention_bias.weight
            for head, bucket in enumerate((half + 1, 1, half + 2, 2)):
                table[bucket, head] += strength


def build_encoder(vocabulary):
    encoder = UMT5EncoderModel(UMT5Config(
        vocab_size=vocabulary, d_model=256, d_kv=64, num_heads=4, d_ff=512, num_layers=3, feed_forward_proj="gated-gelu",
        relative_attention_num_buckets=32, relative_attention_max_distance=128, dropout_rate=0.0, is_encoder_decoder=False,
        use_cache=False, pad_token_id=0, eos_token_id=1))
    look_around(encoder)
    return encoder


def embed(encoder, ids, mask):
    """States of the true tokens, zeros after them, always ROWS rows."""
    states = encoder(ids, mask).last_hidden_state * mask[..., None]
    return F.pad(states, (0, 0, 0, ROWS - states.shape[1]))


def tokenize(tokenizer, captions, length=32):
    batch = tokenizer(captions, padding="max_length", max_length=length, truncation=True, return_tensors="pt")
    return batch.input_ids, batch.attention_mask
