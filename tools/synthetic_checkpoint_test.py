#!/usr/bin/env python3
"""Tests of tools/synthetic_checkpoint.py: the published layout, and small folders read back. Those need numpy."""

import contextlib
import importlib.util
import io
import json
import struct
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import synthetic_checkpoint as tool

HAS_NUMPY = importlib.util.find_spec("numpy") is not None
SMALL = {**tool.TRANSFORMER, "attention_head_dim": 16, "num_attention_heads": 2, "ffn_dim": 96, "text_dim": 48,
         "freq_dim": 32}  # fmt: skip
DEPTH = 3


def small(layers, dtype="F32"):
    tensors = tool.transformer_tensors({**SMALL, "num_layers": layers}, DEPTH)
    return {"transformer": (SMALL, "weights", tool.stored_as(tensors, dtype, tool.KEPT_IN_F32))}


class LayoutTest(unittest.TestCase):
    def test_the_published_models_have_their_tensors_parameters_and_shards(self):
        published = {  # as in the state dicts of diffusers and transformers, and on the hub
            ("wan-t2v-1.3b", "transformer"): (825, 1418996800, 2),
            ("wan-t2v-14b", "transformer"): (1095, 14288491584, 12),
            ("wan-t2v-14b", "text_encoder"): (242, 5680910336, 5),
            ("wan-t2v-14b", "vae"): (194, 126892531, 1),
        }
        for (kind, part), expected in published.items():
            tensors = tool.weights_of(kind, "F32", None, None)[part][2]
            shards = tool.shards_of(tensors, 5 * 10**9)
            found = (len(tensors), sum(t.elements for t in tensors), len(shards))
            self.assertEqual(found, expected, (kind, part))
            self.assertEqual(len({t.name for t in tensors}), len(tensors))

    def test_in_bf16_what_diffusers_keeps_in_fp32_stays_fp32(self):
        weights = tool.weights_of("wan-t2v-1.3b", "BF16", 1, 1)
        dtypes = {t.name: t.dtype for part in weights.values() for t in part[2]}
        for name in ("scale_shift_table", "blocks.0.scale_shift_table", "blocks.0.norm2.bias",
                     "condition_embedder.time_embedder.linear_1.weight", "decoder.conv_in.weight"):  # fmt: skip
            self.assertEqual(dtypes[name], "F32", name)
        for name in ("blocks.0.attn1.norm_q.weight", "condition_embedder.time_proj.weight", "shared.weight"):
            self.assertEqual(dtypes[name], "BF16", name)

    def test_a_shard_ends_before_the_tensor_that_would_not_fit(self):
        sizes = {"a": 2, "b": 3, "c": 9, "d": 1}
        tensors = [tool.Tensor(name, (elements,), ((0, 1),)) for name, elements in sizes.items()]
        names = [[t.name for t in shard] for shard in tool.shards_of(tensors, 20)]
        self.assertEqual(names, [["a", "b"], ["c"], ["d"]])


@unittest.skipUnless(HAS_NUMPY, "needs numpy")
class WritingTest(unittest.TestCase):
    def setUp(self):
        temporary = tempfile.TemporaryDirectory()
        self.addCleanup(temporary.cleanup)
        self.root = Path(temporary.name)
        # Small enough to be quick, and for tensors of several pieces.
        for name, value in (("SIZE", 1 << 18), ("LONGEST", 1000)):
            patch = mock.patch.object(tool.RandomPool, name, value)
            patch.start()
            self.addCleanup(patch.stop)

    def write(self, name, weights, seed=0, shard_bytes=10**9, threads=1):
        with contextlib.redirect_stdout(io.StringIO()):
            tool.write_folder(self.root / name, weights, ["transformer"], None, seed, shard_bytes, threads)
        return self.root / name / "transformer"

    def read(self, path):
        """{name: (dtype, values)}; every byte of the file belongs to one tensor."""
        import numpy

        data = path.read_bytes()
        (size,) = struct.unpack("<Q", data[:8])
        self.assertEqual(size % 8, 0)
        header = json.loads(data[8 : 8 + size])
        self.assertEqual(header.pop("__metadata__"), {"format": "pt"})
        body, result, end = data[8 + size :], {}, 0
        for name, entry in sorted(header.items(), key=lambda item: item[1]["data_offsets"]):
            begin, stop = entry["data_offsets"]
            self.assertEqual(begin, end, name)
            end = stop
            raw = body[begin:stop]
            if entry["dtype"] == "BF16":
                values = (numpy.frombuffer(raw, "<u2").astype("<u4") << 16).view("<f4")
            else:
                values = numpy.frombuffer(raw, "<f4")
            result[name] = (entry["dtype"], values.reshape(entry["shape"]))
        self.assertEqual(end, len(body))
        return result

    def test_values_have_the_mean_and_deviation_of_their_tensor(self):
        for dtype in ("F32", "BF16"):
            weights = small(DEPTH, dtype)
            read = self.read(self.write(dtype, weights) / "weights.safetensors")
            for tensor in weights["transformer"][2]:
                found_dtype, values = read[tensor.name]
                self.assertEqual((found_dtype, values.shape), (tensor.dtype, tensor.shape), tensor.name)
                rows = values.reshape(len(tensor.rows), -1)
                for row, (mean, deviation) in zip(rows, tensor.rows):
                    # Five standard errors of a mean and of a deviation.
                    self.assertLess(abs(row.mean() - mean), 5 * deviation / row.size**0.5, tensor.name)
                    self.assertLess(abs(row.std() / deviation - 1), 5 / (2 * row.size) ** 0.5, tensor.name)

    def test_neither_threads_nor_shards_nor_fewer_layers_change_a_value(self):
        whole = self.read(self.write("whole", small(DEPTH)) / "weights.safetensors")
        folder = self.write("sharded", small(2), shard_bytes=30000, threads=4)
        index = json.loads((folder / "weights.safetensors.index.json").read_text())
        shards = {name: self.read(folder / name) for name in set(index["weight_map"].values())}
        self.assertGreater(len(shards), 2)
        self.assertEqual(len(index["weight_map"]), len(small(2)["transformer"][2]))
        self.assertEqual(index["metadata"]["total_size"], sum(v.nbytes for s in shards.values() for _, v in s.values()))
        for name, shard in index["weight_map"].items():
            self.assertEqual(shards[shard][name][1].tobytes(), whole[name][1].tobytes(), name)

    def test_another_seed_gives_other_values(self):
        one, two = (self.read(self.write(str(s), small(1), seed=s) / "weights.safetensors") for s in (1, 2))
        for name in one:
            self.assertNotEqual(one[name][1].tobytes(), two[name][1].tobytes(), name)

    def test_what_is_there_is_not_overwritten(self):
        self.write("twice", small(1))
        with self.assertRaisesRegex(SystemExit, "expected no transformer there"):
            self.write("twice", small(1))


if __name__ == "__main__":
    unittest.main()
