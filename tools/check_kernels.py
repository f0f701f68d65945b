#!/usr/bin/env python3
"""No GPU kernel keeps registers in local memory, but those listed below with the reason, or has an instruction that the
GPU refuses.

    tools/check_kernels.py build/cuda/src/ops/cuda/libsparsevid_ops_*.a

Reads the machine code inside the libraries (fatbin containers of ELF files), for all architectures in them: the size of
a kernel's stack frame is where spilled registers and arrays that are indexed at run time lie. And ptxas 13.0 can write a
cp.async whose cache policy it has loaded into no register: the kernel stops there with "an illegal instruction was
encountered", in whatever sizes reach it. Such an instruction has a form of its own. A small change nearby avoids it.
"""

import re
import struct
import subprocess
import sys

# (pattern of the demangled name, bytes at most, why it does not matter)
ALLOWED = [
    (r"conv::conv_kernel<(32|96|192), ", 40, "coordinates in the loading warps, once a tile and not between products"),
    (r"dense_attention<AttentionTile<128, 192, 2,", 16, "a loading warp of 24 registers, once a tile"),
    (r"block_sparse_kernel<AttentionTile<128, 80, 3,", 16, "loading and packing warps; none in the loops of products"),
    (r"band_attention<AttentionTile<128, (160|80),", 8, "bounds of a tile, read again where it ends"),
    (r"score_kernel<64, 128, 8>", 32, "as the next"),
    (r"score_kernel<64,", 24, "loading warps of 32 registers, once a stretch; places of words and sums, once a chunk"),
    (r"score_kernel<128, (80|96|112), 1>", 16, "loading warps, once a stretch"),
    (r"score_kernel<128, 128, 8>", 24, "what a lane hears of 16 tiles, once a chunk, behind the product"),
    (r"row_products<Assignment<128, (112|128)>", 16, "where the rows of an item are, once an item, while products run"),
]

# Kernels were tuned on this one. On others, where none ever ran, only what is large is a problem: a few registers in
# the portable kernels, up to 72 bytes on sm_120, are not.
TUNED = 90
ELSEWHERE = 128

FATBIN_MAGIC = 0xBA55ED50
KIND_ELF = 2
CUDA_MACHINE = 190
# Of an instruction, 16 bytes: its form, in the lowest bits, where cp.async lacks its policy.
FORM_MASK, COPY_WITHOUT_POLICY = 0xFFF, 0xDAE
CODE = ".text."  # and the kernel's name
# Of the records in .nv.info: two words, a symbol and its value.
FORMAT_SVAL, FRAME_SIZE = 0x04, 0x11
ENTRY = 0x10  # a symbol that is a kernel, and no function that kernels call


class Unreadable(Exception):
    pass


def cubins(data):
    """(architecture, ELF file) of every fatbin container in a library."""
    magic = struct.pack("<I", FATBIN_MAGIC)
    at = data.find(magic)
    while at >= 0:
        version, header, size = struct.unpack_from("<HHQ", data, at + 4)
        if (version, header) == (1, 16):
            place, end = at + header, at + header + size
            while place < end:
                kind, _, entry_header, entry_size = struct.unpack_from("<HHIQ", data, place)
                architecture = struct.unpack_from("<I", data, place + 28)[0]
                if kind == KIND_ELF:
                    code = data[place + entry_header : place + entry_header + entry_size]
                    if code[:4] != b"\x7fELF":
                        raise Unreadable("machine code is compressed: compile without -compress-all")
                    yield architecture, code
                place += entry_header + entry_size
        at = data.find(magic, at + 4)


def text_at(table, offset):
    return table[offset : table.index(b"\0", offset)].decode()


def sections_of(elf):
    """{name: content}"""
    if struct.unpack_from("<H", elf, 18)[0] != CUDA_MACHINE:
        raise Unreadable("a fatbin holds an ELF file of another machine")
    table = struct.unpack_from("<Q", elf, 40)[0]
    entry, count, names_index = struct.unpack_from("<HHH", elf, 58)
    sections = []
    for i in range(count):
        name, _, _, _, offset, size = struct.unpack_from("<IIQQQQ", elf, table + i * entry)
        sections.append((name, elf[offset : offset + size]))
    names = sections[names_index][1]
    return {text_at(names, name): content for name, content in sections}


def refused(by_name):
    """Names of kernels and functions with an instruction that the GPU refuses."""
    for name, content in by_name.items():
        if name.startswith(CODE):
            instructions = memoryview(content).cast("Q")[::2]
            if any(word & FORM_MASK == COPY_WITHOUT_POLICY for word in instructions):
                yield name[len(CODE) :]


def frames(by_name):
    """{mangled name of a kernel: bytes of its stack frame}."""
    symbols, strings, info = by_name[".symtab"], by_name[".strtab"], by_name.get(".nv.info", b"")
    found, at = {}, 0
    while at < len(info):
        form, attribute, size = struct.unpack_from("<BBH", info, at)
        at += 4
        if form != FORMAT_SVAL:
            continue  # the two bytes were its value
        if attribute == FRAME_SIZE:
            symbol, frame = struct.unpack_from("<II", info, at)
            name, _, other = struct.unpack_from("<IBB", symbols, 24 * symbol)
            if other & ENTRY:
                found[text_at(strings, name)] = frame
        at += size
    return found


def demangled(names):
    result = subprocess.run(["c++filt"], input="\n".join(names), capture_output=True, text=True, check=True)
    plain = result.stdout.splitlines()
    return dict(zip(names, (re.sub(r"sparsevid::ops::cuda::|\(anonymous namespace\)::", "", name) for name in plain)))


def check(kernels, allowed=None):
    """Lines about kernels [(architecture, name, bytes)] with more local memory than is allowed."""
    rules = ALLOWED if allowed is None else allowed
    problems = []
    for architecture, name, frame in kernels:
        most = max((limit for pattern, limit, _ in rules if re.search(pattern, name)), default=0)
        if architecture != TUNED:
            most = max(most, ELSEWHERE)
        if frame > most:
            problems.append(f"sm_{architecture}: {frame} bytes of local memory, expected at most {most}: {name}")
    return problems


def main(paths):
    found, stopping = [], []
    for path in paths:
        with open(path, "rb") as file:
            data = file.read()
        for architecture, elf in cubins(data):
            sections = sections_of(elf)
            found += [(architecture, name, frame) for name, frame in frames(sections).items()]
            stopping += [(architecture, name) for name in refused(sections)]
    if not found:
        sys.exit(f"{', '.join(paths)}: expected GPU kernels, found none")
    plain = demangled(sorted({of[1] for of in found + stopping}))
    kernels = [(architecture, plain[name], frame) for architecture, name, frame in found]
    problems = check(kernels)
    problems += [f"sm_{of}: a cp.async without its cache policy, which stops the kernel: {plain[name]}"
                 for of, name in stopping]  # fmt: skip
    for line in problems:
        print(line)
    print(f"kernels: {len(kernels)}, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
