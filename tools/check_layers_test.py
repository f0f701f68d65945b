#!/usr/bin/env python3
"""Tests of tools/check_layers.py on small trees of their own."""

import tempfile
import unittest
from pathlib import Path

import check_layers


class CheckLayersTest(unittest.TestCase):
    def problems(self, files):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            for name, text in self.with_lists(files).items():
                path = root / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
            return check_layers.check(root)[1]

    def with_lists(self, files):
        """Adds the CMakeLists.txt that build all folders of the files, where none is given."""
        lists = {}
        for name in files:
            folder = Path(name).parent
            lists.setdefault(str(folder / "CMakeLists.txt"), "sparsevid_component(x)\n")
            while folder != Path("."):
                key = str(folder.parent / "CMakeLists.txt")
                lists[key] = lists.get(key, "") + f"add_subdirectory({folder.name})\n"
                folder = folder.parent
        return {**lists, **files}

    def assert_one(self, files, text):
        problems = self.problems(files)
        self.assertEqual(len(problems), 1, problems)
        self.assertIn(text, problems[0])

    def test_a_tree_that_keeps_to_its_layers_has_no_problems(self):
        self.assertEqual(
            self.problems(
                {
                    "include/sparsevid/error.h": "",
                    "src/base/error.h": '#include "sparsevid/error.h"\n',
                    "src/core/tensor.h": '#include <vector>\n#include "base/error.h"\n',
                    "src/core/tensor.cc": '#include "core/tensor.h"\n',
                }
            ),
            [],
        )

    def test_an_upward_include_is_named_with_its_line(self):
        self.assert_one(
            {"src/core/tensor.h": "", "src/base/log.h": '#pragma once\n#include "core/tensor.h"\n'},
            "src/base/log.h:2: base may not include core",
        )

    def test_models_do_not_see_methods(self):
        self.assert_one(
            {
                "src/attention/methods/dense.h": "",
                "src/models/dit/wan.cc": '#include "attention/methods/dense.h"\n',
            },
            "models/dit may not include attention/methods",
        )

    def test_only_dispatch_sees_kernels(self):
        files = {"src/ops/cpu/linear.h": "", "src/nn/linear.cc": '#include "ops/cpu/linear.h"\n'}
        self.assert_one(files, "nn may not include ops/cpu")
        files["src/ops/dispatch/linear.cc"] = files.pop("src/nn/linear.cc")
        self.assertEqual(self.problems(files), [])

    def test_the_command_line_sees_only_the_public_headers(self):
        files = {
            "include/sparsevid/sparsevid.h": "",
            "src/base/log.h": "",
            "apps/cli/flags.h": "",
            "apps/cli/main.cc": '#include "flags.h"\n#include "sparsevid/sparsevid.h"\n',
        }
        self.assertEqual(self.problems(files), [])
        files["apps/cli/main.cc"] = '#include "base/log.h"\n'
        self.assert_one(files, "apps/cli may not include base")

    def test_a_public_header_includes_only_public_headers(self):
        self.assert_one(
            {"include/sparsevid/a.h": '#include "base/log.h"\n', "src/base/log.h": ""},
            "include/sparsevid may not include base",
        )

    def test_testing_is_for_tests_and_their_headers(self):
        files = {
            "src/testing/compare.h": "",
            "src/core/shape.h": "",
            "src/core/shape_example.h": '#include "testing/compare.h"\n',
            "src/core/shape_test.cc": '#include "core/shape_example.h"\n#include <gtest/gtest.h>\n',
        }
        self.assertEqual(self.problems(files), [])
        files["src/core/shape.cc"] = '#include "core/shape_example.h"\n'
        self.assert_one(files, "src/core/shape.cc:1: core/shape_example.h is for tests")
        files["src/core/shape.cc"] = "#include <gtest/gtest.h>\n"
        self.assert_one(files, "is for tests")

    def test_benchmarks_share_the_tables_of_cases_and_nothing_else_of_the_tests(self):
        files = {
            "src/testing/random_tensor.h": "",
            "src/testing/compare.h": "",
            "src/ops/linear_cases.h": '#include "testing/random_tensor.h"\n',
            "src/api/bench.cc": '#include "ops/linear_cases.h"\n',
        }
        self.assertEqual(self.problems(files), [])
        files["src/api/bench.cc"] = '#include "testing/compare.h"\n'
        self.assert_one(files, "testing/compare.h is for tests")
        files["src/api/bench.cc"] = '#include "ops/linear_cases.h"\n'
        files["src/ops/linear_cases.h"] = '#include "testing/compare.h"\n'
        files["src/testing/compare.h"] = "#include <gtest/gtest.h>\n"
        self.assert_one(files, "brings in GoogleTest")

    def test_a_test_sees_the_rooms_below_its_own_but_none_above(self):
        files = {
            "include/sparsevid/error.h": "",
            "src/core/shape.h": "",
            "src/text/clean.h": "",
            "src/io/json_test.cc": '#include "core/shape.h"\n#include "sparsevid/error.h"\n',
        }
        self.assertEqual(self.problems(files), [])
        files["src/io/json_test.cc"] = '#include "text/clean.h"\n'
        self.assert_one(files, "io may not include text")

    def test_a_library_stays_behind_its_room(self):
        self.assert_one({"src/nn/linear.cc": "#include <dnnl.hpp>\n"}, "stays behind ops/cpu")

    def test_a_header_that_does_not_exist_is_named(self):
        self.assert_one({"src/nn/linear.cc": '#include "core/lost.h"\n'}, "does not exist")

    def test_a_folder_without_a_rule_is_named(self):
        self.assert_one({"src/utils/x.h": ""}, "the folder utils has no line")

    def test_a_long_file_needs_its_reason(self):
        self.assert_one({"src/base/log.cc": "\n" * 601}, "601 lines")
        self.assertEqual(self.problems({"src/base/log.cc": "// Long because.\n" + "\n" * 600}), [])
        self.assertEqual(self.problems({"src/base/log.cc": "\n" * 600}), [])

    def test_a_source_file_that_nothing_builds_is_named(self):
        files = {"src/base/log.cc": "", "src/CMakeLists.txt": "# add_subdirectory(base)\n"}
        self.assert_one(files, "no CMakeLists.txt reached from the root")
        files = {
            "src/ops/cuda/kmeans/lloyd.cu": "",
            "src/ops/cuda/CMakeLists.txt": "file(GLOB_RECURSE sources *.cu)\n",
            "src/ops/CMakeLists.txt": "add_subdirectory(cuda)\n",
        }
        self.assertEqual(self.problems(files), [])
        files = {"src/base/log.cc": "", "src/base/CMakeLists.txt": "add_library(x other.cc)\n"}
        self.assert_one(files, "does not build it")


if __name__ == "__main__":
    unittest.main()
