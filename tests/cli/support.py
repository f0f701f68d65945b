"""Running the program on copies of the tiny checkpoint."""

import json
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile
import unittest

PROGRAM = os.environ.get("SPARSEVID", "sparsevid")
GOLDEN = pathlib.Path(__file__).resolve().parent.parent / "golden"
TINY = GOLDEN / "wan_t2v_tiny"
SMALL = ["--height", "32", "--width", "48", "--frames", "5", "--steps", "2", "--dtype", "f32"]
PROMPT = "a red fox in the snow"


class CliTest(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="sparsevid-test-")
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def run_cli(self, *arguments, **options):
        words = [PROGRAM, *map(str, arguments)]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, **options)

    def generate(self, *arguments, model=TINY, prompt=PROMPT, output=None, **options):
        words = ["generate", "-m", model, "-p", prompt, "-o", output or self.folder / "clip.mp4"]
        return self.run_cli(*words, *SMALL, *arguments, **options)

    def assert_success(self, result):
        self.assertEqual(result.returncode, 0, result.stderr)

    def assert_refused(self, result, *words, code=2):
        """The exit code, one line about the error that holds all `words`, and no output left."""
        self.assertEqual(result.returncode, code, f"{result.stdout}\n{result.stderr}")
        lines = [line for line in result.stderr.splitlines() if "error:" in line]
        self.assertEqual(len(lines), 1, result.stderr)
        for word in words:
            self.assertIn(word, lines[0])
        leftovers = [p.name for p in self.folder.glob("*clip*")]
        self.assertEqual(leftovers, [])

    def copy_model(self):
        target = self.folder / "model"
        shutil.copytree(TINY, target)
        return target

    def edit_json(self, path, **changes):
        data = json.loads(path.read_text())
        data.update(changes)
        path.write_text(json.dumps(data))


def read_header(path):
    """The header of a safetensors file, and the bytes after it."""
    raw = path.read_bytes()
    size = struct.unpack("<Q", raw[:8])[0]
    return json.loads(raw[8 : 8 + size]), raw[8 + size :]


def write_header(path, header, data):
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
