"""Flags: help, version, and values that cannot be."""

import os

from support import CliTest, PROMPT, TINY


class Flags(CliTest):
    def test_help_and_version_are_short_and_succeed(self):
        for words in (["--help"], ["--version"], ["generate", "--help"], ["bench", "--help"]):
            result = self.run_cli(*words)
            self.assert_success(result)
            self.assertTrue(result.stdout)
        self.assertLess(len(self.run_cli("generate", "--help").stdout.splitlines()), 90)

    def test_help_names_every_group_and_method(self):
        text = self.run_cli("generate", "--help").stdout
        for word in ("Video:", "Sampling:", "Attention:", "semantic-tail", "--density", "--report"):
            self.assertIn(word, text)

    def test_no_or_unknown_subcommand(self):
        self.assert_refused(self.run_cli(), "subcommand")
        self.assert_refused(self.run_cli("paint"), "paint")

    def test_unknown_flag(self):
        self.assert_refused(self.generate("--colour", "red"), "--colour", "see sparsevid generate --help")
        self.assert_refused(self.run_cli("bench", "attention", "--colour"), "see sparsevid bench attention --help")
        self.assert_refused(self.run_cli("--colour"), "see sparsevid --help")

    def test_missing_model_and_output(self):
        self.assert_refused(self.run_cli("generate", "-p", PROMPT, "-o", "x.mp4"), "--model")
        self.assert_refused(self.run_cli("generate", "-p", PROMPT, "-m", TINY), "--output")

    def test_values_that_are_no_numbers(self):
        for flag, value in (("--steps", "many"), ("--steps", "2.5"), ("--steps", ""),
                            ("--guidance", "nan"), ("--seed", "-1"), ("--height", "1e3"),
                            ("--threads", "two"), ("--density", "half"), ("--max-vram", "24 G"),
                            ("--max-vram", "much"), ("--max-vram", "0"), ("--max-vram", "8X")):
            with self.subTest(flag=flag, value=value):
                result = self.generate(flag, value)
                self.assert_refused(result, flag, "expected", f"found '{value}'")

    def test_values_out_of_range(self):
        for flag, value in (("--steps", "0"), ("--steps", "1001"), ("--guidance", "-3"),
                            ("--guidance", "1000"), ("--flow-shift", "0"), ("--fps", "0"),
                            ("--density", "1.5"), ("--top-p", "-.1"), ("--dense-steps", "2"),
                            ("--threads", "-1")):
            with self.subTest(flag=flag, value=value):
                self.assert_refused(self.generate(f"{flag}={value}"), flag, "expected", "found")

    def test_values_that_are_no_choice(self):
        for flag in ("--attention", "--dtype", "--device", "--sigmas", "--tail", "--offload",
                     "--vae-dtype"):
            with self.subTest(flag=flag):
                self.assert_refused(self.generate(flag, "fast"), flag, "expected one of",
                                    "found 'fast'")

    def test_flags_about_a_gpus_memory_are_refused_on_the_cpu(self):
        for words in (("--offload", "text"), ("--offload", "blocks"), ("--max-vram", "24"),
                      ("--max-vram", "7.5G"), ("--max-vram", "800MiB")):
            with self.subTest(words=words):
                result = self.generate("--device", "cpu", *words)
                self.assert_refused(result, words[0], "expected --device cuda, found cpu")

    def test_products_of_a_gpus_matrix_units_are_refused_on_the_cpu(self):
        for name in ("bf16x3", "tf32"):
            with self.subTest(name=name):
                result = self.generate("--device", "cpu", "--vae-dtype", name)
                self.assert_refused(result, f"--vae-dtype {name}: expected --device cuda, found cpu, where f32 is exact")
                self.assert_refused(self.generate("--dtype", name), "--dtype", "expected one of", f"found '{name}'")

    def test_unknown_log_category(self):
        self.assert_refused(self.generate("--log", "colours"), "--log", "colours")
        result = self.generate(env={**os.environ, "SPARSEVID_LOG": "colours"})
        self.assert_refused(result, "SPARSEVID_LOG", "colours")

    def test_an_op_or_an_implementation_that_there_is_not_cannot_be_forced(self):
        for value, found, known in (("atention:ref", "atention", "attention"), ("attention:fast", "fast", "ref"),
                                    ("attention", "attention", "op:implementation")):
            with self.subTest(value=value):
                environment = {**os.environ, "SPARSEVID_FORCE": value}
                refusal = "SPARSEVID_FORCE", f"found '{found}'", known
                self.assert_refused(self.generate(env=environment), *refusal)
                self.assert_refused(self.run_cli("bench", "--filter", "copy", env=environment), *refusal)

    def test_host_tensors_cannot_be_sent_to_a_device_that_there_is_not(self):
        result = self.generate(env={**os.environ, "SPARSEVID_HOST_TENSORS_ON": "gpu"})
        self.assert_refused(result, "SPARSEVID_HOST_TENSORS_ON: expected cuda, found 'gpu'")

    def test_density_and_top_p_exclude_each_other(self):
        result = self.generate("--attention", "svg2", "--density", ".3", "--top-p", ".9")
        self.assert_refused(result, "--density", "--top-p")

    def test_frames_that_are_not_4k_plus_1_name_the_nearest(self):
        result = self.generate("--frames", "6")
        self.assert_refused(result, "--frames", "4k + 1", "found 6", "5 or 9")

    def test_sizes_that_do_not_divide_name_the_nearest(self):
        self.assert_refused(self.generate("--height", "100"), "--height", "found 100", "96 or 112")
        self.assert_refused(self.generate("--width", "17"), "--width", "found 17", "16 or 32")
        self.assert_refused(self.generate("--width", "65536"), "--width", "found 65536", "8192")

    def test_more_frames_than_the_model_has_positions_for(self):
        result = self.generate("--frames", "4097")
        self.assert_refused(result, "--frames", "up to 4093", "found 4097")
        self.assertNotIn("loading", result.stderr)

    def test_an_empty_prompt(self):
        self.assert_refused(self.generate(prompt=""), "--prompt", "empty")
        for prompt in (" \t\n", "\u00a0\u2003\u3000", "&nbsp;", "\u200b"):
            with self.subTest(prompt=prompt):
                self.assert_refused(self.generate(prompt=prompt), "--prompt", "empty")
