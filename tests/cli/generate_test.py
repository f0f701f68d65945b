"""Runs that succeed, outputs that cannot be written, and runs that are stopped."""

import contextlib
import json
import os
import pathlib
import resource
import signal
import subprocess
import time
import unittest

from support import CliTest, PROGRAM, PROMPT, SMALL, TINY, read_header, write_header

MIB = 1 << 20


class Generate(CliTest):
    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def test_an_mp4_and_nothing_else(self):
        result = self.generate()
        self.assert_success(result)
        self.assertEqual(self.names(), ["clip.mp4"])
        self.assertIn(b"ftyp", (self.folder / "clip.mp4").read_bytes()[:16])
        for word in ("sampling 2/2", "decoding 5/5", "left", "time", "memory"):
            self.assertIn(word, result.stderr)
        self.assertNotIn("\r", result.stderr)

    def test_every_format(self):
        for name in ("clip.webm", "clip.gif", "clip_frames"):
            with self.subTest(name=name):
                self.assert_success(self.generate(output=self.folder / name))
        frames = sorted(path.name for path in (self.folder / "clip_frames").iterdir())
        self.assertEqual(len(frames), 5)

    def test_a_closed_standard_error_does_not_let_messages_into_the_clip(self):
        self.assert_success(self.generate("--quiet", output=self.folder / "a.mp4"))
        words = [PROGRAM, "generate", "-m", TINY, "-p", PROMPT, "-o", self.folder / "b.mp4", *SMALL]
        subprocess.run(list(map(str, words)), preexec_fn=lambda: os.close(2), check=True)
        self.assertEqual((self.folder / "a.mp4").read_bytes(), (self.folder / "b.mp4").read_bytes())

    def test_a_closed_standard_output_is_a_failure(self):
        done = subprocess.run([PROGRAM, "inspect", str(TINY)], stderr=subprocess.PIPE, text=True,
                              preexec_fn=lambda: os.close(1))
        self.assertEqual(done.returncode, 1)
        self.assertIn("standard output", done.stderr)

    def test_quiet_says_nothing(self):
        result = self.generate("--quiet")
        self.assert_success(result)
        self.assertEqual(result.stdout + result.stderr, "")

    def test_the_same_seed_gives_the_same_clip_and_another_seed_another(self):
        for name, seed in (("a", "1"), ("b", "1"), ("c", "2")):
            self.assert_success(self.generate("--seed", seed, output=self.folder / name))
        compare = self.run_cli("compare", "--json", self.folder / "a", self.folder / "b")
        self.assert_success(compare)
        self.assertEqual(json.loads(compare.stdout)["identical_frames"], 5)
        compare = self.run_cli("compare", "--json", self.folder / "a", self.folder / "c")
        self.assertLess(json.loads(compare.stdout)["identical_frames"], 5)

    def test_the_report_says_what_ran(self):
        report = self.folder / "run.json"
        self.assert_success(self.generate("--report", report, "--seed", "7"))
        data = json.loads(report.read_text())
        self.assertEqual(data["settings"]["seed"], "7")
        self.assertEqual(data["settings"]["prompt"], PROMPT)
        self.assertEqual(len(data["seconds"]["steps"]), 2)
        self.assertGreater(data["seconds"]["attention"], 0)
        self.assertEqual(data["attention"]["method"], "dense")
        self.assertTrue(any(kernel["op"] == "linear" for kernel in data["kernels"]))
        self.assertGreater(data["memory"]["peak_bytes"], 0)

    def test_the_model_has_its_name_however_its_folder_is_written(self):
        report = self.folder / "run.json"
        for model, here in ((f"{TINY}/", None), (".", TINY), (f"{TINY}/vae/..", None)):
            with self.subTest(model=model):
                self.assert_success(self.generate("--report", report, model=model, cwd=here))
                self.assertEqual(json.loads(report.read_text())["settings"]["model"], TINY.name)

    def test_the_report_says_what_the_decoder_computed_in(self):
        report = self.folder / "run.json"
        for words, name in (((), "f32"), (("--vae-dtype", "auto"), "f32"), (("--vae-dtype", "f32"), "f32"),
                            (("--vae-dtype", "bf16"), "bf16")):
            with self.subTest(words=words):
                self.assert_success(self.generate("--device", "cpu", "--report", report, *words))
                data = json.loads(report.read_text())
                self.assertEqual(data["settings"]["vae_dtype"], name)
                self.assertIn(f"vae weights ({name})", data["memory"]["plan"]["decoding"])

    def test_the_trace_says_when_it_ran(self):
        trace, report = self.folder / "trace.json", self.folder / "run.json"
        self.assert_success(self.generate("--trace", trace, "--report", report))
        events = [e for e in json.loads(trace.read_text())["traceEvents"] if e["ph"] == "X"]
        steps = [e for e in events if e["name"].startswith("step ")]
        self.assertEqual([e["name"] for e in steps], ["step 1", "step 2"])
        blocks = [e for e in events if e["name"].startswith("dit.block ")]
        ops = [e for e in events if e["cat"] == "op"]
        for block in blocks:
            within = [s for s in steps if s["ts"] <= block["ts"] and block["ts"] + block["dur"] <= s["ts"] + s["dur"]]
            self.assertEqual(len(within), 1, block)
        calls = sum(kernel["calls"] for kernel in json.loads(report.read_text())["kernels"])
        self.assertEqual(len(ops), calls)

    def test_sparse_methods_run_and_report_their_density(self):
        for method in ("svg1", "svg2", "semantic-tail"):
            with self.subTest(method=method):
                report = self.folder / "run.json"
                result = self.generate("--attention", method, "--density", ".5", "--dense-steps", "0",
                                       "--dense-layers", "0", "--min-tokens", "0", "--report", report,
                                       "--height", "64", "--width", "64")
                self.assert_success(result)
                density = json.loads(report.read_text())["attention"]["density"]
                self.assertGreater(density, 0)
                self.assertLess(density, 1)

    def test_a_checkpoint_can_recommend_settings(self):
        model = self.copy_model()
        (model / "sparsevid.json").write_text(json.dumps(
            {"height": 32, "width": 32, "num_frames": 5, "num_inference_steps": 3, "fps": 8}))
        report = self.folder / "run.json"
        result = self.run_cli("generate", "-m", model, "-p", PROMPT, "-o", self.folder / "clip.mp4",
                              "--report", report)
        self.assert_success(result)
        settings = json.loads(report.read_text())["settings"]
        self.assertEqual((settings["height"], settings["steps"], settings["fps"]), ("32", "3", "8"))

    def test_latents_are_kept_on_request_and_decode_to_the_same_frames(self):
        first, again = self.folder / "a", self.folder / "b"
        latents = self.folder / "kept.safetensors"
        self.assert_success(self.generate("--save-latents", latents, "--fps", "8", output=first))
        header, _ = read_header(latents)
        self.assertEqual(header["__metadata__"]["prompt"], PROMPT)
        self.assertEqual(header["latents"]["shape"], [16, 2, 4, 6])
        result = self.run_cli("generate", "-m", TINY, "--from-latents", latents, "-o", again)
        self.assert_success(result)
        compare = self.run_cli("compare", "--json", first, again)
        self.assertEqual(json.loads(compare.stdout)["identical_frames"], 5)

    def test_flags_that_saved_latents_leave_without_effect_are_named(self):
        latents = self.folder / "kept.safetensors"
        self.assert_success(self.generate("--save-latents", latents))
        result = self.generate("--from-latents", latents, "--quiet", "--guidance", "3", "--density", ".3")
        self.assert_success(result)
        self.assertEqual(result.stderr, "sparsevid: warning: --prompt, --height, --width, --frames, --steps, "
                         "--guidance, --dtype, --density have no effect with --from-latents\n")

    def test_latents_whose_frame_rate_is_no_number(self):
        latents = self.folder / "kept.safetensors"
        self.assert_success(self.generate("--save-latents", latents, output=self.folder / "first"))
        header, data = read_header(latents)
        for fps in ("16 a second", "23,976", "-1", "nan", ""):
            with self.subTest(fps=fps):
                header["__metadata__"]["fps"] = fps
                write_header(latents, header, data)
                words = ["generate", "-m", TINY, "--from-latents", latents, "-o", self.folder / "clip.mp4"]
                self.assert_refused(self.run_cli(*words), "kept.safetensors", f"found '{fps}'")
                result = self.run_cli(*words, "--fps", "8", "--output", self.folder / "again")
                self.assert_success(result)

    def test_save_latents_without_a_name_writes_beside_the_output(self):
        self.assert_success(self.generate("--save-latents"))
        self.assertEqual(self.names(), ["clip.latents.safetensors", "clip.mp4"])

    def test_latents_that_are_none(self):
        path = self.folder / "bad.safetensors"
        path.write_bytes(b"12345678")
        result = self.run_cli("generate", "-m", TINY, "--from-latents", path, "-o",
                              self.folder / "clip.mp4")
        self.assert_refused(result, "bad.safetensors")
        result = self.run_cli("generate", "-m", TINY, "--from-latents",
                              TINY / "vae/diffusion_pytorch_model.safetensors", "-o",
                              self.folder / "clip.mp4")
        self.assert_refused(result, "latents")

    def test_a_prompt_longer_than_the_window_warns_and_runs(self):
        result = self.generate(prompt="snow and ice " * 400)
        self.assert_success(result)
        self.assertRegex(result.stderr, r"warning: --prompt: .*512 tokens.*last \d+ were cut")

    def test_an_output_folder_that_does_not_exist(self):
        result = self.generate(output=self.folder / "nowhere" / "clip.mp4")
        self.assert_refused(result, "nowhere")
        for flag in ("--report", "--trace"):
            result = self.generate(flag, self.folder / "nowhere" / "run.json")
            self.assert_refused(result, "nowhere")

    def test_a_limit_on_the_size_of_files_is_an_error_that_leaves_nothing_broken(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))

        result = self.generate("--quiet", preexec_fn=limit)
        self.assertEqual(result.returncode, 1, result.stderr)
        self.assertIn("clip.mp4", result.stderr)
        self.assertEqual(self.names(), ["clip.latents.safetensors"])

    def test_nothing_takes_the_place_of_a_file_of_the_model(self):
        model = self.copy_model()
        before = {path: path.read_bytes() for path in model.rglob("*") if path.is_file()}
        places = (("--report", "model_index.json"), ("--trace", "transformer/config.json"),
                  ("--save-latents", "vae/diffusion_pytorch_model.safetensors"),
                  ("--report", "sparsevid.json"), ("--output", "vae"))
        for flag, file in places:
            with self.subTest(flag=flag, file=file):
                refused = self.generate(flag, model / file, model=model)
                self.assert_refused(refused, flag, "the model", file)
        self.assert_refused(self.generate("--report", "sparsevid.json", model=".", cwd=model), "the model")
        self.assertEqual({path: path.read_bytes() for path in model.rglob("*") if path.is_file()}, before)
        self.assert_success(self.generate(model=".", output="clip.mp4", cwd=model))

    def test_an_output_format_we_do_not_write(self):
        self.assert_refused(self.generate(output=self.folder / "clip.avi"), ".avi")

    @unittest.skipIf(os.geteuid() == 0, "root may write everywhere")
    def test_an_output_folder_that_is_read_only(self):
        locked = self.folder / "locked"
        locked.mkdir(mode=0o555)
        self.assert_refused(self.generate(output=locked / "clip.mp4"), "locked")

    def test_a_size_that_does_not_fit_in_memory_is_refused_at_once(self):
        begin = time.monotonic()
        result = self.generate("--height", "1024", "--width", "1024", "--frames", "4093")
        self.assert_refused(result, "not enough memory", "free", "--frames", code=1)
        self.assertLess(time.monotonic() - begin, 10)

    def test_inspect_tells_sizes_and_memory(self):
        result = self.run_cli("inspect", TINY, "--json")
        self.assert_success(result)
        info = json.loads(result.stdout)
        self.assertTrue(info["usable"])
        self.assertEqual(info["size_multiple"], 16)
        self.assertEqual({c["name"] for c in info["components"]},
                         {"transformer", "vae", "text_encoder"})
        f32, bf16 = (info["memory"][dtype]["bytes_by_stage"] for dtype in ("f32", "bf16"))
        self.assertGreater(f32["sampling"], bf16["sampling"])

    def test_compare_writes_a_sheet_of_frames(self):
        self.assert_success(self.generate(output=self.folder / "a.mp4"))
        self.assert_success(self.generate("--seed", "1", output=self.folder / "b.mp4"))
        sheet = self.folder / "sheet.png"
        result = self.run_cli("compare", self.folder / "a.mp4", self.folder / "b.mp4", "--sheet", sheet)
        self.assert_success(result)
        self.assertIn("mean", result.stdout)
        self.assertTrue(sheet.read_bytes().startswith(b"\x89PNG"))

    def test_a_sheet_takes_the_place_of_nothing_it_shows(self):
        for name in ("a.mp4", "frames"):
            self.assert_success(self.generate(output=self.folder / name))
        clip, frame = self.folder / "a.mp4", self.folder / "frames/frame_0000.png"
        for sheet in (clip, frame, self.folder / "frames/new.png", self.folder / "sheet.jpg"):
            with self.subTest(sheet=sheet.name):
                result = self.run_cli("compare", clip, self.folder / "frames", "--sheet", sheet)
                self.assertEqual(result.returncode, 2, result.stdout)
                self.assertIn(sheet.name, result.stderr)
        again = self.run_cli("compare", clip, clip, "--json")
        self.assertEqual(json.loads(again.stdout)["identical_frames"], 5)

    def test_compare_refuses_clips_of_another_length(self):
        self.assert_success(self.generate(output=self.folder / "a"))
        self.assert_success(self.generate("--frames", "9", output=self.folder / "b"))
        result = self.run_cli("compare", self.folder / "a", self.folder / "b")
        self.assertEqual(result.returncode, 2)
        self.assertIn("error:", result.stderr)


class Stopped(CliTest):
    def start(self, *arguments, **options):
        words = [PROGRAM, "generate", "-m", TINY, "-p", PROMPT, "-o", self.folder / "clip.mp4", *SMALL,
                 "--steps", "1000", "--height", "256", "--width", "256", *arguments]
        return subprocess.Popen(list(map(str, words)), stderr=subprocess.PIPE, text=True, **options)

    def wait_for(self, process, word):
        for line in process.stderr:
            if word in line:
                return
        self.fail(f"the program ended before it said {word}")

    def stop(self, which, expected):
        process = self.start()
        self.wait_for(process, "sampling")
        begin = time.monotonic()
        process.send_signal(which)
        _, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, expected, message)
        self.assertLess(time.monotonic() - begin, 10)
        self.assertIn("stopped", message)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_ctrl_c_stops_and_leaves_nothing(self):
        self.stop(signal.SIGINT, 130)

    def test_sigterm_stops_and_leaves_nothing(self):
        self.stop(signal.SIGTERM, 143)

    def test_a_terminal_that_goes_away_stops_it_and_leaves_nothing(self):
        self.stop(signal.SIGHUP, 129)

    def test_signals_that_its_parent_ignores_do_not_stop_it(self):
        def ignore():  # as nohup does, and a shell for what it starts in the background
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            signal.signal(signal.SIGINT, signal.SIG_IGN)

        process = self.start("--steps", "2", preexec_fn=ignore)
        self.wait_for(process, "sampling")
        process.send_signal(signal.SIGHUP)
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, message)

    def test_a_stop_while_decoding_keeps_the_latents_and_says_how_to_go_on(self):
        process = self.start("--steps", "1", "--frames", "81", "--height", "128", "--width", "128")
        self.wait_for(process, "decoding")
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, message)
        self.assertIn("--from-latents", message)
        names = [path.name for path in self.folder.iterdir()]
        self.assertEqual(names, ["clip.latents.safetensors"])


class GonePlaces(CliTest):
    """Places that are there when a run begins, and not when it wants to write."""

    def end_without(self, *arguments):
        """What a run says that loses the folder "gone" while it samples, and the names of what it leaves."""
        gone = self.folder / "gone"
        gone.mkdir()
        process = subprocess.Popen(
            [PROGRAM, "generate", "-m", str(TINY), "-p", PROMPT, "-o", str(self.folder / "clip.mp4"), *SMALL,
             "--steps", "200", *map(str, arguments)],
            stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(self.folder)})
        for line in process.stderr:
            if "sampling" in line:
                break
        gone.rmdir()
        _, message = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, message)
        self.assertIn("gone", message)
        return message.splitlines()[-1], sorted(path.name for path in self.folder.iterdir())

    def test_a_report_that_cannot_be_written_leaves_the_clip_and_the_trace(self):
        message, names = self.end_without("--report", self.folder / "gone/run.json", "--trace", self.folder / "trace.json")
        self.assertIn("the clip is complete in", message)
        self.assertEqual(names, ["clip.mp4", "trace.json"])

    def test_latents_that_cannot_be_kept_at_their_place_are_kept_elsewhere(self):
        message, names = self.end_without("--save-latents", self.folder / "gone/kept.safetensors")
        self.assertIn("the clip is complete in", message)
        self.assertRegex(names[1], r"kept-\d+\.safetensors")
        self.assertIn(names[1], message)
        self.assertEqual(names[0], "clip.mp4")


class FullDisk(CliTest):
    """On a file system of its own, so small that the clip does not fit."""

    def setUp(self):
        super().setUp()
        self.disk = self.folder / "disk"
        self.disk.mkdir()

    def mount(self, size):
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(self.disk)]
        try:
            done = subprocess.run(command, capture_output=True, text=True)
        except FileNotFoundError:
            self.skipTest("there is no mount here")
        if done.returncode != 0:
            self.skipTest(f"mounting is not permitted: {done.stderr.strip()}")
        self.addCleanup(subprocess.run, ["umount", str(self.disk)], check=True)

    def test_no_space_is_found_before_sampling(self):
        self.mount(8192)
        result = self.generate("--height", "256", "--width", "256", output=self.disk / "clip.mp4")
        self.assert_refused(result, "no space")
        self.assertNotIn("sampling", result.stderr)
        self.assertEqual(list(self.disk.iterdir()), [])

    def test_latents_survive_a_disk_that_fills_up_and_the_message_says_how_to_go_on(self):
        self.mount(MIB)
        filler = self.disk / "filler"
        process = subprocess.Popen(
            [PROGRAM, "generate", "-m", str(TINY), "-p", PROMPT, "-o", str(self.disk / "clip.mp4"),
             *SMALL, "--steps", "200"],
            stderr=subprocess.PIPE, text=True)
        for line in process.stderr:
            if "sampling" in line:
                break
        with open(filler, "wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(b"x" * 1024):
                pass
        _, message = process.communicate(timeout=120)
        self.assertEqual(process.returncode, 1, message)
        self.assertIn("--from-latents", message)
        self.assertEqual([p.name for p in self.disk.iterdir()], ["filler"])
        words = message[message.index("--from-latents"):].split()
        latents = pathlib.Path(words[1])
        self.addCleanup(latents.unlink)
        result = self.run_cli("generate", "-m", TINY, "--from-latents", latents, "-o",
                              self.folder / "rescued.mp4")
        self.assert_success(result)
