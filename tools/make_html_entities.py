#!/usr/bin/env python3
"""Writes src/text/html_entities_table.cc: HTML 5's named character references, as Python knows them."""

import html.entities
import pathlib
import textwrap

HEADER = '''// HTML 5's named character references. Written by tools/make_html_entities.py; do not edit.
// "name:hex" or "name:hex+hex"; a leading '*' marks those that browsers accept without a semicolon.
#include "text/html_entities.h"

namespace sparsevid {

const char* const kHtmlEntityTable = R"(
'''
FOOTER = '''
)";

}  // namespace sparsevid
'''


def main():
    names = html.entities.html5
    items = []
    for name in sorted(names):
        if not name.endswith(";"):
            continue
        mark = "*" if name[:-1] in names else ""
        points = "+".join(f"{ord(c):x}" for c in names[name])
        items.append(f"{mark}{name[:-1]}:{points}")
    body = textwrap.fill(" ".join(items), 100, break_long_words=False, break_on_hyphens=False)
    target = pathlib.Path(__file__).parent.parent / "src" / "text" / "html_entities_table.cc"
    target.write_text(HEADER + body + FOOTER)


if __name__ == "__main__":
    main()
