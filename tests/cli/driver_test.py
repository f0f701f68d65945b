"""A build with CUDA where the driver is too old, or its GPU is gone: a driver of our own says so."""

import os
import shutil
import subprocess

from support import CliTest

DRIVER = """
#include <stdlib.h>
#include <string.h>
int cuDriverGetVersion(int* version) { *version = atoi(getenv("DRIVER_VERSION")); return 0; }
int cuInit(unsigned flags) { return atoi(getenv("DRIVER_INIT")); }
static int unknown(void) { return 999; }
int cuGetProcAddress_v2(const char* name, void** entry, int version, unsigned long long flags, int* found) {
  *entry = !strcmp(name, "cuDriverGetVersion")    ? (void*)cuDriverGetVersion
           : !strcmp(name, "cuInit")              ? (void*)cuInit
           : !strcmp(name, "cuGetProcAddress")    ? (void*)cuGetProcAddress_v2
                                                  : (void*)unknown;
  if (found) *found = 0;
  return 0;
}
"""
NO_DEVICE = 100


class Driver(CliTest):
    def setUp(self):
        super().setUp()
        refusal = self.generate("--device", "cuda").stderr
        if "without CUDA" in refusal:
            self.skipTest("this build is without CUDA")
        compiler = shutil.which("cc")
        if compiler is None:
            self.skipTest("there is no C compiler")
        words = [compiler, "-shared", "-fPIC", "-x", "c", "-", "-o", self.folder / "libcuda.so.1"]
        subprocess.run(words, input=DRIVER, text=True, check=True)

    def with_driver(self, version, init, *arguments):
        environment = {**os.environ, "LD_LIBRARY_PATH": f"{self.folder}:{os.environ.get('LD_LIBRARY_PATH', '')}",
                       "DRIVER_VERSION": str(version), "DRIVER_INIT": str(init)}
        return self.generate("--quiet", *arguments, env=environment)

    def test_a_driver_that_is_too_old_is_named_and_leaves_the_cpu(self):
        reason = "the NVIDIA driver is made for CUDA 11.4, expected 1"
        self.assert_refused(self.with_driver(11040, 0, "--device", "cuda"), "--device cuda", reason)
        result = self.with_driver(11040, 0)
        self.assert_success(result)
        self.assertIn(f"warning: the CPU computes, since {reason}", result.stderr)
        self.assertEqual(self.with_driver(11040, 0, "--device", "cpu").stderr, "")

    def test_a_driver_without_a_gpu_says_nothing_unless_asked(self):
        result = self.with_driver(99000, NO_DEVICE, "--output", self.folder / "first.mp4")
        self.assert_success(result)
        self.assertEqual(result.stderr, "")
        self.assert_refused(self.with_driver(99000, NO_DEVICE, "--device", "cuda"), "there is no NVIDIA GPU")
