"""What runs on a GPU take of its memory, against the plan. Skipped, with the reason, where there is no GPU."""

import json
import unittest

from gpu_test import GpuTest, latents_of
from support import GOLDEN

DEMO = GOLDEN.parent.parent / "assets/demo-model"

LARGER = ("--height", 128, "--width", 128, "--frames", 17, "--steps", 3)


class Memory(GpuTest):
    def report_of(self, *arguments, name="run", **options):
        report = self.folder / f"{name}.json"
        self.assert_success(
            self.generate("--device", "cuda", "--attention", "dense", "--save-latents", "--report", report,
                          *arguments, output=self.folder / f"{name}.mp4", **options)
        )
        return json.loads(report.read_text())

    def assert_as_planned(self, memory):
        for phase, used in memory["used"].items():
            with self.subTest(phase=phase):
                items = memory["plan"][phase]
                planned = sum(items.values()) - items["GPU libraries"]
                # Vectors of some bytes each are not in the plan.
                self.assertLessEqual(used["held_bytes"], planned + 65536)
                self.assertGreaterEqual(used["held_bytes"], 0.95 * planned)

    def test_every_phase_takes_what_the_plan_says_and_steps_take_nothing_new(self):
        for words in ((), ("--dtype", "bf16"), ("--dtype", "bf16", "--linear", "fp8"),
                      ("--dtype", "bf16", "--vae-dtype", "bf16"), ("--vae-dtype", "f32"), ("--offload", "text"),
                      ("--offload", "blocks", "--guidance", 1)):
            with self.subTest(words=words):
                memory = self.report_of(*LARGER, *words)["memory"]
                self.assert_as_planned(memory)
                self.assertEqual(memory["allocations_after_first_step"], 0)

    def test_weights_that_come_when_they_are_due_give_the_same_latents(self):
        for types in (("f32",), ("bf16",), ("bf16", "--linear", "fp8")):
            types = ("--dtype", *types)
            report = self.report_of(*types, model=DEMO, name="all")
            sampling = sum(report["memory"]["plan"]["sampling"].values())
            for offload, less in (("text", 0), ("blocks", 0), ("blocks", 1), ("blocks", 5e6)):
                with self.subTest(types=types, offload=offload, less=less):
                    limit = f"{(sampling - less) / 1024}K"
                    memory = self.report_of(*types, "--offload", offload, "--max-vram", limit,
                                            model=DEMO, name="other")["memory"]
                    self.assertEqual(memory["planned_host_bytes"] > 0, less > 0)
                    self.assert_as_planned(memory)
                    self.assertEqual(
                        latents_of(self.folder / "all.latents.safetensors"),
                        latents_of(self.folder / "other.latents.safetensors"),
                    )

    def test_sparse_attention_takes_nothing_new_after_the_first_step(self):
        methods = {"svg1": (), **dict.fromkeys(("svg2", "semantic-tail"), ("--query-clusters", 8, "--key-clusters", 16))}
        for method, words in methods.items():
            # Of three steps none, then the first, is dense.
            for dense in (0, 0.3):
                with self.subTest(method=method, dense=dense):
                    report = self.report_of(*LARGER, "--attention", method, "--density", 0.5, "--min-tokens", 0,
                                            "--dense-steps", dense, "--dense-layers", 0, *words, "--dtype", "bf16")
                    self.assertGreater(report["attention"]["calls"], report["attention"]["dense_calls"])
                    self.assertEqual(report["attention"]["dense_calls"] > 0, dense > 0)
                    self.assertEqual(report["memory"]["allocations_after_first_step"], 0)

    def test_a_limit_that_is_too_small_is_refused_with_what_would_fit(self):
        result = self.generate("--device", "cuda", *LARGER, "--max-vram", "130M")
        self.assert_refused(result, "not enough GPU memory", "130 MiB are free", code=1)


if __name__ == "__main__":
    unittest.main()
