#!/usr/bin/env python3
"""check_kernels.py on a container made here."""

import struct
import unittest

import check_kernels


def elf_file(frames, machine=check_kernels.CUDA_MACHINE, code=None):
    """As nvcc writes it, as far as is read: {name: (bytes of its frame, is a kernel)}, {name: forms of instructions}."""
    strings, symbols, info = b"\0", bytes(24), b""
    for i, (name, (frame, kernel)) in enumerate(frames.items()):
        symbols += struct.pack("<IBBHQQ", len(strings), 2, 0x10 if kernel else 0, 1, 0, 0)
        strings += name.encode() + b"\0"
        info += struct.pack("<BBH", 0x03, 0x36, 7)  # a record whose value is in its size
        info += struct.pack("<BBHII", 0x04, 0x2F, 8, i + 1, 168)  # of another attribute
        info += struct.pack("<BBHII", 0x04, 0x11, 8, i + 1, frame)
    contents = {".shstrtab": b"", ".symtab": symbols, ".strtab": strings, ".nv.info": info}
    for name, forms in (code or {}).items():
        contents[".text." + name] = b"".join(struct.pack("<QQ", 0x6047000 | form, 0xDAE) for form in forms)
    names = contents[".shstrtab"] = b"\0" + b"".join(name.encode() + b"\0" for name in contents)
    body, table = b"", bytes(64)
    for name, content in contents.items():
        table += struct.pack("<IIQQQQ", names.index(name.encode()), 1, 0, 0, 64 + len(body), len(content)) + bytes(24)
        body += content
    header = b"\x7fELF" + bytes(12) + struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 0, 64 + len(body), 0, 64, 0, 0,
                                                 64, len(contents) + 1, 1)  # fmt: skip
    return header + body + table


def library(*entries):
    """A container with entries of (kind, architecture, content), between other bytes."""
    body = b""
    for kind, architecture, content in entries:
        header = struct.pack("<HHIQ", kind, 0x101, 64, len(content)) + bytes(12) + struct.pack("<I", architecture)
        body += header + bytes(64 - len(header)) + content
    container = struct.pack("<IHHQ", check_kernels.FATBIN_MAGIC, 1, 16, len(body)) + body
    return b"text" + struct.pack("<I", check_kernels.FATBIN_MAGIC) + bytes(40) + container + b"more"


class CheckKernels(unittest.TestCase):
    def test_finds_the_frames_of_all_kernels_and_of_nothing_else(self):
        first = elf_file({"f": (0, True), "g": (24, True), "called": (16, False)})
        second = elf_file({"f": (8, True)})
        found = [(a, check_kernels.frames(check_kernels.sections_of(e))) for a, e in
                 check_kernels.cubins(library((1, 90, b"ptx"), (2, 90, first), (2, 80, second)))]  # fmt: skip
        self.assertEqual(found, [(90, {"f": 0, "g": 24}), (80, {"f": 8})])

    def test_more_than_is_allowed_is_a_problem(self):
        rules = [(r"^f<\d+>", 16, "because")]
        kernels = [(90, "f<1>()", 16), (90, "f<2>()", 24), (90, "g()", 8), (90, "h()", 0), (80, "g()", 64), (80, "g()", 192)]
        problems = check_kernels.check(kernels, rules)
        self.assertEqual(len(problems), 3)
        self.assertIn("sm_90: 24 bytes of local memory, expected at most 16: f<2>()", problems[0])
        self.assertIn("sm_90: 8 bytes", problems[1])
        self.assertIn("sm_80: 192 bytes of local memory, expected at most 128: g()", problems[2])

    def test_finds_a_copy_without_its_policy(self):
        code = {"f": (0xFAE, 0x981), "g": (0xFAE, 0xDAE, 0x94D), "h": ()}
        sections = check_kernels.sections_of(elf_file({}, code=code))
        self.assertEqual(list(check_kernels.refused(sections)), ["g"])

    def test_what_cannot_be_read_is_said(self):
        with self.assertRaises(check_kernels.Unreadable):
            list(check_kernels.cubins(library((2, 90, b"compressed"))))
        with self.assertRaises(check_kernels.Unreadable):
            check_kernels.sections_of(elf_file({}, machine=62))


if __name__ == "__main__":
    unittest.main()
