#!/usr/bin/env python3
"""Checks what the folders of sparsevid may include (docs/architecture.md), file lengths, and that
every source file is built.

  tools/check_layers.py [ROOT]     exit code 1 when something is found, one line each
"""

import re
import sys
from pathlib import Path

PUBLIC = "include/sparsevid"
TESTING = "testing"

# Room -> the rooms whose headers it may include besides its own; the same as in architecture.md.
ALLOWED = {
    PUBLIC: "",
    "base": PUBLIC,
    "core": "base",
    "io": "base core",
    "metrics": "base core io",
    "text": "base io",
    "sampling": "base core io",
    TESTING: f"base core io {PUBLIC}",
    "ops": "base core",
    "ops/ref": "base core ops",
    "ops/cpu": "base core ops",
    "ops/cuda": "base core ops",
    "ops/dispatch": "base core ops ops/ref ops/cpu ops/cuda",
    "attention": "base core",
    "attention/methods": "base core ops attention",
    "attention/factory": "base core attention attention/methods",
    "nn": "base core io ops",
    "models": "base core nn attention",
    "models/dit": "base core io ops nn attention models",
    "models/text": "base core io ops nn models",
    "models/vae": "base core io ops nn models",
    "pipeline": "base core io text sampling ops nn attention attention/factory models " + PUBLIC,
    "pipeline/recipes": "base core io text sampling ops nn attention models models/dit models/text "
    "models/vae pipeline " + PUBLIC,
    "api": "base core io metrics ops attention attention/factory models pipeline pipeline/recipes "
    + PUBLIC,
    "apps/cli": PUBLIC,
}
ALLOWED = {room: set(rooms.split()) for room, rooms in ALLOWED.items()}

# Libraries that stay behind the interface of a few rooms.
LIBRARIES = {
    "CLI/": {"apps/cli"},
    "spdlog/": {"base"},
    "nlohmann/": {"io", "pipeline", "api"},
    "libav": {"io"},
    "libsw": {"io"},
    "sentencepiece": {"text"},
    "utf8proc": {"text"},
    "dnnl": {"ops/cpu", "ops/dispatch"},
    "oneapi/": {"ops/cpu", "ops/dispatch"},
    "cuda": {"core", "ops/cuda"},
    "cublas": {"ops/cuda"},
}

FRAMEWORK = ("gtest/", "gmock/")

# Seeded tensors and the ops' tables of cases: the benchmarks time what the tests check.
BENCH_ROOM = "api"
BENCH_MAY_INCLUDE = re.compile(r"(testing/random_tensor|ops/\w+_cases)\.h$")

MOST_LINES = 600
REASON = "Long because"

TEST_FILE = re.compile(r"_(test|fuzz)\.cc$")
INCLUDE = re.compile(r'^\s*#\s*include\s+(["<])([^">]+)[">]')


# Kernels that take a folder each are one room with their neighbours.
KERNELS = "ops/cuda"


def room_of(path):
    """The room of a path relative to the root, e.g. src/ops/cpu/x.cc -> ops/cpu."""
    room = path.parent.as_posix().removeprefix("src/")
    return KERNELS if room.startswith(KERNELS + "/") else room


def includes_of(text):
    for number, line in enumerate(text.splitlines(), 1):
        match = INCLUDE.match(line)
        if match:
            yield number, match[1], match[2]


def below(room):
    """All rooms that a room sees, directly or through others."""
    seen, waiting = set(), [room]
    while waiting:
        for lower in ALLOWED.get(waiting.pop(), ()):
            if lower not in seen:
                seen.add(lower)
                waiting.append(lower)
    return seen


class Tree:
    def __init__(self, root):
        self.root = root
        self.files = {}
        for top in ("src", "apps", "include"):
            for path in sorted((root / top).rglob("*")):
                if path.suffix in (".h", ".cc", ".c", ".cu", ".cuh"):
                    self.files[path.relative_to(root)] = path.read_text(encoding="utf-8")
        framework = self.headers_that_reach(lambda name, target: name.startswith(FRAMEWORK))
        self.framework_headers = framework
        # Helpers of tests, closed to other code.
        self.test_headers = {
            path
            for path in self.headers_that_reach(
                lambda name, target: name.startswith(FRAMEWORK)
                or (target is not None and room_of(target) == TESTING)
            )
            if room_of(path) != TESTING
        }

    def headers_that_reach(self, wanted):
        """Headers with an include that is wanted(name, file), directly or through others."""
        found = set()
        changed = True
        while changed:
            changed = False
            for path, text in self.files.items():
                if path.suffix != ".h" or path in found:
                    continue
                for _, _, name in includes_of(text):
                    target = self.resolve(path, name)
                    if wanted(name, target) or target in found:
                        found.add(path)
                        changed = True
                        break
        return found

    def resolve(self, path, name):
        """The file of the tree that an include means, None for one of another project."""
        for candidate in (Path("src") / name, Path("include") / name, path.parent / name):
            if candidate in self.files:
                return candidate
        return None

    def is_test(self, path):
        return bool(TEST_FILE.search(path.name)) or path in self.test_headers


def check_includes(tree):
    for path, text in tree.files.items():
        room = room_of(path)
        if room not in ALLOWED:
            yield f"{path}: the folder {room} has no line in tools/check_layers.py"
            continue
        for number, quote, name in includes_of(text):
            problem = include_problem(tree, path, room, quote, name)
            if problem:
                yield f"{path}:{number}: {problem}"


def include_problem(tree, path, room, quote, name):
    target = tree.resolve(path, name)
    is_test = tree.is_test(path)
    if target is None:
        if quote == '"' and "/" in name and name.split("/")[0] in {r.split("/")[0] for r in ALLOWED}:
            return f"{name} does not exist"
        for prefix, rooms in LIBRARIES.items():
            if name.startswith(prefix) and room not in rooms and not is_test:
                return f"<{name}> stays behind {', '.join(sorted(rooms))}"
        if name.startswith(FRAMEWORK) and not is_test and room != TESTING:
            return f"<{name}> is for tests"
        return None
    if quote == "<" and room_of(target) != PUBLIC:
        return f'<{name}> is a file of this project: write "{name}"'
    other = room_of(target)
    if room == BENCH_ROOM and not is_test and BENCH_MAY_INCLUDE.search(name):
        return f"{name} brings in GoogleTest" if target in tree.framework_headers else None
    if not is_test and (other == TESTING or target in tree.test_headers) and room != TESTING:
        return f"{name} is for tests"
    allowed = ALLOWED[room] | {room}
    if is_test:
        allowed = below(room) | {room, TESTING, PUBLIC}
    if other not in allowed:
        return f"{room} may not include {other} ({name})"
    return None


def check_lengths(tree):
    for path, text in tree.files.items():
        lines = text.count("\n")
        top = "\n".join(text.splitlines()[:30])
        if lines > MOST_LINES and REASON not in top:
            yield f"{path}: {lines} lines; over {MOST_LINES} needs a comment '{REASON} ...' at the top"


def check_built(tree):
    """Every source file lies in a folder whose CMakeLists.txt takes it, reached from the root."""
    reached = {}
    waiting = [Path(".")]
    while waiting:
        folder = waiting.pop()
        lists = tree.root / folder / "CMakeLists.txt"
        if folder in reached or not lists.is_file():
            continue
        reached[folder] = re.sub(r"#.*", "", lists.read_text(encoding="utf-8"))
        for match in re.finditer(r"add_subdirectory\(\s*([\w./-]+)", reached[folder]):
            waiting.append(folder / match[1])
    for path in tree.files:
        if path.suffix == ".h":
            continue
        lists = reached.get(path.parent)
        if lists is None:
            lists = next(
                (reached[up] for up in path.parents if "GLOB_RECURSE" in reached.get(up, "")), None
            )
        if lists is None:
            yield f"{path}: no CMakeLists.txt reached from the root builds this folder"
        elif not re.search(r"sparsevid_component\(|file\(GLOB", lists) and path.name not in lists:
            yield f"{path}: {path.parent}/CMakeLists.txt does not build it"


def check(root):
    tree = Tree(Path(root))
    problems = [*check_includes(tree), *check_lengths(tree), *check_built(tree)]
    return len(tree.files), problems


def main():
    root = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).resolve().parent.parent
    count, problems = check(root)
    for problem in problems:
        print(problem)
    print(f"layers: {count} files, {len(problems)} problems")
    return 1 if problems or count == 0 else 0


if __name__ == "__main__":
    sys.exit(main())
