"""Whole runs on a GPU against the same runs on the CPU. Skipped, with the reason, where there is none."""

import array
import json
import math
import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "cli"))
from support import CliTest, read_header  # noqa: E402


def latents_of(path):
    """The sampled latents as floats."""
    header, data = read_header(path)
    begin, end = header["latents"]["data_offsets"]
    values = array.array("f")
    values.frombytes(data[begin:end])
    return values


def relative_error(actual, expected):
    distance = math.fsum((a - b) ** 2 for a, b in zip(actual, expected))
    return math.sqrt(distance / math.fsum(b * b for b in expected))


class GpuTest(CliTest):
    def setUp(self):
        super().setUp()
        result = self.run_cli("bench", "--list", "--device", "cuda")
        if result.returncode != 0:
            self.skipTest(result.stderr.strip())


class Gpu(GpuTest):
    def latents(self, device, *arguments):
        clip = self.folder / f"{device}.mp4"
        report = self.folder / f"{device}.json"
        self.assert_success(
            self.generate("--device", device, "--save-latents", "--report", report, *arguments,
                          output=clip)
        )
        return latents_of(self.folder / f"{device}.latents.safetensors"), json.loads(
            report.read_text()
        )

    def test_f32_latents_are_those_of_the_cpu(self):
        on_gpu, report = self.latents("cuda")
        on_cpu, _ = self.latents("cpu")
        # Sums of other orders through a few layers and two steps.
        self.assertLess(relative_error(on_gpu, on_cpu), 1e-4)
        self.assertEqual(report["settings"]["device"], "cuda")

    def test_f32_frames_are_those_of_the_cpu(self):
        exact = self.folder / "exact"
        self.assert_success(self.generate("--device", "cpu", output=exact))
        default = self.folder / "default.json"
        self.assert_success(self.generate("--device", "cuda", "--report", default))
        rounds = json.loads(default.read_text())["settings"]["vae_dtype"] != "f32"
        # tf32 keeps 11 bits of each factor: a tenth of the pixels may fall to the other side of a step of 1/255.
        for name, least in (("f32", 60), ("auto", 60), *((("bf16x3", 60), ("tf32", 50)) if rounds else ())):
            with self.subTest(vae_dtype=name):
                frames = self.folder / name
                self.assert_success(self.generate("--device", "cuda", "--vae-dtype", name, output=frames))
                result = self.run_cli("compare", exact, frames, "--json")
                self.assert_success(result)
                psnr = json.loads(result.stdout)["overall_psnr"]
                # Equal frames have none.
                self.assertTrue(psnr is None or psnr >= least, psnr)

    def test_bf16_latents_are_as_far_from_f32_as_the_cpus(self):
        exact, _ = self.latents("cpu")
        on_gpu, _ = self.latents("cuda", "--dtype", "bf16")
        on_cpu, _ = self.latents("cpu", "--dtype", "bf16")
        self.assertLess(relative_error(on_gpu, exact), 1.1 * relative_error(on_cpu, exact))

    def test_sparse_methods_run_and_report_their_density(self):
        for method in ("svg1", "svg2", "semantic-tail"):
            with self.subTest(method=method):
                _, report = self.latents(
                    "cuda", "--attention", method, "--density", "0.5", "--min-tokens", "0",
                    "--dense-steps", "0", "--dense-layers", "0", "--dtype", "bf16",
                    *(("--query-clusters", 4, "--key-clusters", 8) if method != "svg1" else ()),
                )
                density = report["attention"]["sparse_density"]
                self.assertGreater(density, 0.1)
                self.assertLess(density, 1)

    def test_the_trace_shows_one_op_after_the_other(self):
        trace = self.folder / "trace.json"
        _, report = self.latents("cuda", "--trace", trace)
        events = [e for e in json.loads(trace.read_text())["traceEvents"] if e["ph"] == "X"]
        ops = sorted((e["ts"], e["dur"]) for e in events if e["cat"] == "op")
        self.assertEqual(len(ops), sum(kernel["calls"] for kernel in report["kernels"]))
        for (begin, seconds), (following, _) in zip(ops, ops[1:]):
            # A microsecond: events of a GPU are about as fine.
            self.assertLessEqual(begin + seconds, following + 1)
        sampling = next(e for e in events if e["name"] == "sampling" and e["tid"] == 1)
        blocks = [e for e in events if e["name"].startswith("dit.block ")]
        self.assertGreater(len(blocks), 0)
        for block in blocks:
            # Two clocks, which met once.
            self.assertGreater(block["ts"], sampling["ts"] - 5e3)
            self.assertLess(block["ts"] + block["dur"], sampling["ts"] + sampling["dur"] + 5e3)

    def test_fp8_linears_stay_near_f32(self):
        exact, _ = self.latents("cpu")
        fp8, report = self.latents("cuda", "--dtype", "bf16", "--linear", "fp8")
        self.assertEqual(report["settings"]["linear"], "fp8")
        # e4m3 rounds each factor by up to 1/16; bf16 alone is about .02 away on these weights.
        self.assertLess(relative_error(fp8, exact), 0.2)


class WithoutGpu(CliTest):
    def test_asking_for_a_gpu_that_is_not_there_says_why(self):
        if self.run_cli("bench", "--list", "--device", "cuda").returncode == 0:
            self.skipTest("there is a GPU")
        self.assert_refused(self.generate("--device", "cuda"), "--device cuda")


if __name__ == "__main__":
    unittest.main()
