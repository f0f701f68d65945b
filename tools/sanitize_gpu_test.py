#!/usr/bin/env python3
"""sanitize_gpu.py with a program that behaves as compute-sanitizer and the tests do."""

import io
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

import sanitize_gpu

RACE = """========= Error: Race reported between Write access at sparsevid::ops::cuda::copy_bytes(void *, int)+0x10 in tma.h:55
=========     and Read access at void sparsevid::ops::cuda::Softmax8<(int)2>::add_bias<(int)96>(int (&)[T1]) const+0xce0 in softmax.h:42 [96 hazards]
=========     and Read access at void sparsevid::ops::cuda::Softmax8<(int)2>::add_bias<(int)96>(int (&)[T1]) const+0xe10 in softmax.h:42 [96 hazards]
========= """  # fmt: skip
SCORES = """========= Error: Race reported between Write access at void sparsevid::score_chunks<(int)64>(int)+0x10 in a.h:5
=========     and Read access at void sparsevid::score_chunks<(int)64>(int)+0x20 in a.h:7 [8 hazards]"""

# Takes the place of the tool and of the tests: prints what they would, test by test.
FAKE = """#!{python}
import sys, time, os
if "--help" in sys.argv:
    print("--kernel-name"); sys.exit()
if "--gtest_list_tests" in sys.argv:
    print("KMeans.\\n  slow\\nOp.\\n  good\\n  race\\n  bad\\nAll/Cases.\\n  Agree/wan  # GetParam() = wan"); sys.exit()
arguments = sys.argv[1:]
with open({log!r}, "a") as log:
    print(*arguments, file=log)
if {says!r}:
    print("no GPU"); sys.exit(1)
for test in arguments[-1].split("=", 1)[1].split(":"):
    print("[ RUN      ] " + test, flush=True)
    if test in {sleeps!r}: time.sleep(60)
    if test in {dies!r}: os._exit(7)
    print({reports!r}.get(test, ""), flush=True)
    failed = test in {fails!r}
    print(("[  FAILED  ] " if failed else "[       OK ] ") + test + " (3 ms)", flush=True)
print("[  FAILED  ] Op.bad")
"""


class SanitizeGpu(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def sweep(self, *flags, sleeps=(), dies=(), reports=None, fails=(), says=""):
        """(exit status, output, commands) of the program over a fake tool."""
        log = self.folder / "log"
        log.write_text("")
        fake, binary = self.folder / "fake", self.folder / "tests"
        text = FAKE.format(python=sys.executable, log=str(log), sleeps=list(sleeps), dies=list(dies),
                           reports=reports or {}, fails=list(fails), says=says)  # fmt: skip
        fake.write_text(text)
        fake.chmod(0o755)
        if not binary.exists():
            binary.write_text(text)
            binary.chmod(0o755)
        done = subprocess.run([sys.executable, sanitize_gpu.__file__, str(binary), "--sanitizer", str(fake), "--state",
                               str(self.folder / "state"), "--jobs", "2", *flags], capture_output=True, text=True)
        self.assertEqual(done.stderr, says)
        return done.returncode, done.stdout, log.read_text().splitlines()

    def results(self, tool):
        return {test: r["status"] for test, r in json.loads((self.folder / "state").read_text())["results"][tool].items()}

    def test_clean_tests_are_well_and_those_of_many_launches_come_last(self):
        status, output, commands = self.sweep("--tools", "racecheck")
        self.assertEqual(status, 0, output)
        self.assertEqual(len(self.results("racecheck")), 5)
        self.assertEqual(len(commands), 1)
        self.assertTrue(commands[0].endswith(":KMeans.slow"))
        self.assertIn("--kernel-name kns=sparsevid", commands[0])

    def test_those_of_many_launches_are_dealt_out(self):
        names = ["A.1", "A.2", "A.3", "KMeans.1", "KMeans.2", "KMeans.3", "B.1"]
        self.assertEqual(sanitize_gpu.batches_of(names, 4), [["A.1", "A.2", "KMeans.1", "KMeans.3"], ["A.3", "B.1", "KMeans.2"]])
        self.assertEqual(len(sanitize_gpu.batches_of(["A.1", "A.2", "A.3", "A.4", "A.5", *names[3:6]], 2)), 3)
        self.assertEqual(sanitize_gpu.batches_of([], 4), [])

    def test_initcheck_sees_all_kernels(self):
        self.assertNotIn("kns=", self.sweep("--tools", "initcheck")[2][0])

    def test_a_finding_is_reported_once_with_its_places(self):
        status, output, _ = self.sweep("--tools", "racecheck", reports={"Op.race": RACE})
        self.assertEqual(status, 1)
        self.assertIn("1 tests, first Op.race: Error: Race reported | add_bias softmax.h:42 | copy_bytes tma.h:55\n", output)

    def test_an_explained_finding_is_shown_and_forgiven_under_its_tool_alone(self):
        status, output, _ = self.sweep("--tools", "racecheck", reports={"Op.race": SCORES})
        self.assertEqual(status, 0, output)
        self.assertIn("explained: warps", output)
        self.assertEqual(self.sweep("--tools", "memcheck", reports={"Op.race": SCORES})[0], 1)

    def test_tests_after_one_that_fails_or_dies_run_in_another_process(self):
        status, output, commands = self.sweep("--tools", "memcheck", fails=["Op.good"], dies=["Op.race"])
        self.assertEqual(status, 1)
        self.assertEqual(len(commands), 3)
        self.assertEqual(self.results("memcheck"), {"Op.good": "failed", "Op.race": "died with 7", "Op.bad": "ok",
                                                    "All/Cases.Agree/wan": "ok", "KMeans.slow": "ok"})  # fmt: skip
        self.assertIn("memcheck: Op.race died with 7", output)

    def test_a_test_that_takes_too_long_is_ended(self):
        status, _, _ = self.sweep("--tools", "memcheck", "--test-seconds", "1", sleeps=["Op.good"])
        self.assertEqual(status, 1)
        self.assertEqual(self.results("memcheck")["Op.good"], "took too long")
        self.assertEqual(self.results("memcheck")["KMeans.slow"], "ok")

    def test_a_slice_ends_in_time_and_the_next_goes_on_from_there(self):
        arguments = ("--tools", "memcheck", "--jobs", "1", "--seconds")
        status, output, _ = self.sweep(*arguments, "1", sleeps=["Op.bad"])
        self.assertEqual(status, 1)
        self.assertNotIn("Op.bad", self.results("memcheck"))
        before = self.results("memcheck")
        status, output, commands = self.sweep(*arguments, "30")
        self.assertEqual(status, 0, output)
        self.assertEqual(len(commands), 1)
        for test in before:
            self.assertNotIn(test, commands[0])

    def test_where_no_test_begins_it_says_why_and_stops(self):
        status, output, commands = self.sweep("--tools", "memcheck", "--batch", "1", "--jobs", "1",
                                              says="memcheck: no test began: no GPU\n")  # fmt: skip
        self.assertEqual(status, 1)
        self.assertEqual(len(commands), 1)
        self.assertRegex(output, r"memcheck +5 +0 +0 +0 +0 +5 ")

    def test_results_of_another_binary_do_not_count(self):
        self.sweep("--tools", "memcheck")
        self.assertEqual(self.sweep("--tools", "memcheck")[2], [])
        (self.folder / "tests").unlink()
        self.assertEqual(len(self.sweep("--tools", "memcheck", fails=["Op.race"])[2]), 2)


class Findings(unittest.TestCase):
    def test_of_other_tools(self):
        lines = io.StringIO("""========= Invalid __global__ read of size 4 bytes
=========     at sparsevid::ops::cuda::gather(const float *, int)+0x90 in gather.cu:12
=========     by thread (9,0,0) in block (8,0,0)
========= Uninitialized __global__ memory read of size 16 bytes
=========     at sparsevid::ops::cuda::<unnamed>::average_chunks(sparsevid::Average)+0x5d0 in scores.cu:127
""")
        self.assertEqual(sanitize_gpu.findings_of(lines), ["Invalid __global__ read | gather gather.cu:12",
                         "Uninitialized __global__ memory read | average_chunks scores.cu:127"])  # fmt: skip


if __name__ == "__main__":
    unittest.main()
