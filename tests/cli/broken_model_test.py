"""Checkpoints that are missing, broken, or not what their configs say."""

import json
import shutil
import struct

from support import CliTest, TINY, read_header, write_header

TRANSFORMER = "transformer"
SHARD = "transformer/diffusion_pytorch_model-00001-of-00004.safetensors"
VAE = "vae/diffusion_pytorch_model.safetensors"


class BrokenModel(CliTest):
    def assert_both_refuse(self, model, *words):
        self.assert_refused(self.generate(model=model), *words)
        result = self.run_cli("inspect", model)
        self.assertEqual(result.returncode, 2, result.stderr)
        for word in words:
            self.assertIn(word, result.stdout + result.stderr)

    def edit_tensors(self, model, file, change):
        header, data = read_header(model / file)
        change(header)
        write_header(model / file, header, data)

    def test_a_missing_folder(self):
        self.assert_both_refuse(self.folder / "nothing", "nothing")

    def test_an_empty_folder(self):
        empty = self.folder / "empty"
        empty.mkdir()
        self.assert_both_refuse(empty, "empty")

    def test_a_file_instead_of_a_folder(self):
        self.assert_both_refuse(TINY / "model_index.json", "model_index.json")

    def test_a_family_that_is_not_supported(self):
        model = self.copy_model()
        self.edit_json(model / "model_index.json", _class_name="FluxPipeline")
        self.assert_both_refuse(model, "_class_name", "FluxPipeline", "WanPipeline")

    def test_names_out_of_files_keep_the_message_on_one_line(self):
        model = self.copy_model()
        self.edit_json(model / "model_index.json", _class_name="Flux\nPipe\x1b[31m\rline")
        result = self.generate(model=model)
        self.assertEqual(result.returncode, 2)
        self.assertEqual(len(result.stderr.splitlines()), 1, result.stderr)
        self.assertNotIn("\x1b", result.stderr)

    def test_names_out_of_files_send_nothing_to_the_terminal(self):
        model = self.copy_model()

        def change(header):
            header["one\nline\x1b[31m"] = header.pop("decoder.conv_in.bias")

        self.edit_tensors(model, VAE, change)
        self.edit_json(model / "model_index.json", vae=["diffusers", "Auto\x1b[32m\nencoder"])
        result = self.run_cli("inspect", model)
        self.assertEqual(result.returncode, 2)
        self.assertIn("one?line", result.stdout)
        self.assertIn("encoder", result.stdout)
        self.assertNotIn("\x1b", result.stdout + result.stderr)

    def test_wan_2_2_is_refused_by_name(self):
        for changes in ({"transformer_2": ["diffusers", "WanTransformer3DModel"]},
                        {"expand_timesteps": True}):
            with self.subTest(changes=changes):
                model = self.copy_model()
                shutil.copytree(model / "transformer", model / "transformer_2")
                self.edit_json(model / "model_index.json", **changes)
                self.assert_both_refuse(model, "model_index.json", "Wan 2.2 is not supported",
                                        next(iter(changes)))
                shutil.rmtree(model)

    def test_image_to_video_is_refused_by_name(self):
        for changes in ({"image_dim": 1280, "added_kv_proj_dim": 5120}, {"in_channels": 36}):
            with self.subTest(changes=changes):
                model = self.copy_model()
                self.edit_json(model / "transformer/config.json", **changes)
                self.assert_both_refuse(model, "image-to-video", "not supported")
                shutil.rmtree(model)

    def test_a_placeholder_of_git_lfs(self):
        pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{'0' * 64}\nsize 5\n"
        for file in (VAE, "tokenizer/spiece.model"):
            with self.subTest(file=file):
                model = self.copy_model()
                (model / file).write_text(pointer)
                self.assert_both_refuse(model, file, "Git LFS", "git lfs pull")
                shutil.rmtree(model)

    def test_a_missing_component(self):
        for component in ("transformer", "vae", "text_encoder", "tokenizer", "scheduler"):
            with self.subTest(component=component):
                model = self.copy_model()
                shutil.rmtree(model / component)
                self.assert_both_refuse(model, component)
                shutil.rmtree(model)

    def test_broken_json(self):
        for file in ("model_index.json", "transformer/config.json", "scheduler/scheduler_config.json",
                     "transformer/diffusion_pytorch_model.safetensors.index.json"):
            with self.subTest(file=file):
                model = self.copy_model()
                (model / file).write_text('{"_class_name": "Wan')
                self.assert_both_refuse(model, file.rsplit("/", 1)[-1])
                shutil.rmtree(model)

    def test_config_keys_out_of_range(self):
        cases = (("transformer", "num_layers", -1), ("transformer", "num_attention_heads", 10**9),
                 ("transformer", "patch_size", [1, 2]), ("transformer", "num_layers", "two"),
                 ("transformer", "num_layers", None), ("vae", "z_dim", 0), ("vae", "base_dim", 1.5),
                 ("vae", "latents_std", [0.0] * 16), ("text_encoder", "num_heads", 0),
                 ("text_encoder", "vocab_size", 10))
        for component, key, value in cases:
            with self.subTest(component=component, key=key, value=value):
                model = self.copy_model()
                self.edit_json(model / component / "config.json", **{key: value})
                self.assert_both_refuse(model, key)
                shutil.rmtree(model)

    def test_scheduler_settings_that_are_not_supported(self):
        model = self.copy_model()
        self.edit_json(model / "scheduler/scheduler_config.json", use_karras_sigmas=True)
        self.assert_both_refuse(model, "use_karras_sigmas")

    def test_recommendations_out_of_range(self):
        model = self.copy_model()
        (model / "sparsevid.json").write_text('{"height": 100}')
        self.assert_both_refuse(model, "sparsevid.json", "height")
        (model / "sparsevid.json").write_text('{"attention": {"method": "magic"}}')
        self.assert_refused(self.generate(model=model), "magic")

    def test_a_truncated_safetensors_file(self):
        for size in (0, 4, 100, 5000):
            with self.subTest(size=size):
                model = self.copy_model()
                path = model / VAE
                path.write_bytes(path.read_bytes()[:size])
                self.assert_both_refuse(model, "diffusion_pytorch_model.safetensors")
                shutil.rmtree(model)

    def test_a_file_cut_behind_its_header(self):
        model = self.copy_model()
        path = model / VAE
        path.write_bytes(path.read_bytes()[:-100])
        self.assert_both_refuse(model, "diffusion_pytorch_model.safetensors")

    def test_a_header_that_claims_to_be_huge(self):
        model = self.copy_model()
        path = model / VAE
        path.write_bytes(struct.pack("<Q", 2**62) + path.read_bytes()[8:])
        self.assert_both_refuse(model, "header")

    def test_a_header_that_is_no_json(self):
        model = self.copy_model()
        path = model / VAE
        raw = bytearray(path.read_bytes())
        raw[8:40] = b"x" * 32
        path.write_bytes(raw)
        self.assert_both_refuse(model, "diffusion_pytorch_model.safetensors")

    def test_overlapping_offsets(self):
        def overlap(header):
            names = sorted(name for name in header if name != "__metadata__")
            first = min(names, key=lambda n: header[n]["data_offsets"][0])
            size = header[first]["data_offsets"][1]
            for name in names:
                begin, end = header[name]["data_offsets"]
                if begin == size:
                    header[name]["data_offsets"] = [begin - 4, end - 4]

        model = self.copy_model()
        self.edit_tensors(model, VAE, overlap)
        self.assert_both_refuse(model, "diffusion_pytorch_model.safetensors")

    def test_a_type_we_do_not_know(self):
        model = self.copy_model()

        def change(header):
            next(v for k, v in header.items() if k != "__metadata__")["dtype"] = "F99"

        self.edit_tensors(model, VAE, change)
        self.assert_both_refuse(model, "F99")

    def test_integers_where_floats_belong(self):
        model = self.copy_model()

        def change(header):
            header["decoder.conv_in.weight"]["dtype"] = "I32"

        self.edit_tensors(model, VAE, change)
        self.assert_both_refuse(model, "decoder.conv_in.weight")

    def test_recommendations_that_nobody_reads(self):
        model = self.copy_model()
        (model / "sparsevid.json").write_text('{"steps": 20}')
        self.assert_both_refuse(model, "sparsevid.json", "'steps'", "num_inference_steps")

    def test_a_wrong_shape_names_both(self):
        model = self.copy_model()

        def change(header):
            header["decoder.conv_in.bias"]["shape"] = [
                1, header["decoder.conv_in.bias"]["shape"][0]]

        self.edit_tensors(model, VAE, change)
        self.assert_both_refuse(model, "decoder.conv_in.bias", "expected", "found")

    def test_missing_and_unexpected_tensors_are_all_listed(self):
        model = self.copy_model()

        def change(header):
            for i, name in enumerate(("decoder.conv_in.bias", "encoder.conv_in.bias")):
                header[f"stranger.{i}"] = header.pop(name)

        self.edit_tensors(model, VAE, change)
        self.assert_both_refuse(model, "decoder.conv_in.bias", "encoder.conv_in.bias",
                                "stranger.0", "stranger.1")

    def test_a_missing_shard(self):
        model = self.copy_model()
        (model / SHARD).unlink()
        self.assert_both_refuse(model, "00001-of-00004")

    def test_an_index_that_names_a_tensor_no_shard_has(self):
        model = self.copy_model()
        path = model / "transformer/diffusion_pytorch_model.safetensors.index.json"
        index = json.loads(path.read_text())
        index["weight_map"]["stranger"] = SHARD.rsplit("/", 1)[1]
        path.write_text(json.dumps(index))
        self.assert_both_refuse(model, "stranger")

    def test_a_broken_tokenizer(self):
        model = self.copy_model()
        (model / "tokenizer/spiece.model").write_bytes(b"not a model")
        self.assert_both_refuse(model, "spiece.model")

    def assert_stops_at(self, component, tensor, *words):
        """With a NaN in that weight there is an error that names the stage, and no clip; what else is left."""
        model = self.copy_model()
        for path in (model / component).glob("*.safetensors"):
            header, data = read_header(path)
            if tensor in header:
                at = header[tensor]["data_offsets"][0]
                write_header(path, header, data[:at] + struct.pack("<f", float("nan")) + data[at + 4 :])
        result = self.generate("--quiet", model=model)
        self.assertEqual(result.returncode, 1, result.stderr)
        for word in (*words, "not finite"):
            self.assertIn(word, result.stderr)
        return [path.name for path in self.folder.iterdir() if path != model]

    def test_weights_of_the_text_encoder_that_are_no_numbers(self):
        left = self.assert_stops_at("text_encoder", "encoder.block.0.layer.0.SelfAttention.q.weight", "text:")
        self.assertEqual(left, [])

    def test_weights_of_the_transformer_that_are_no_numbers(self):
        left = self.assert_stops_at("transformer", "blocks.0.attn1.to_q.bias", "sampling step 1 of 2", "weights")
        self.assertEqual(left, [])

    def test_weights_of_the_decoder_that_are_no_numbers(self):
        left = self.assert_stops_at("vae", "decoder.conv_out.bias", "decoding frame 1 of 5", "--from-latents")
        self.assertEqual(left, ["clip.latents.safetensors"])
