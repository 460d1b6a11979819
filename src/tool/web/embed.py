#!/usr/bin/env python3
"""web/embed.py TEMPLATE CSS JS D3 OUTPUT - the report's parts as one C file: all before the data, and all behind them."""

import sys


def c_array(name, text):
    data = text.encode("utf-8")
    lines = [",".join(map(str, data[i:i + 32])) for i in range(0, len(data), 32)]
    return f"const unsigned char {name}[] = {{\n" + ",\n".join(lines) + f"}};\nconst size_t {name}_bytes = {len(data)};\n"


def main(template, css, js, d3, output):
    text = {}
    for key, path in (("CSS", css), ("JS", js), ("D3", d3)):
        with open(path, encoding="utf-8") as file:
            text[key] = file.read()
        if key != "CSS" and "</script" in text[key]:
            sys.exit(f"{path} cannot stand within a script element")
    with open(template, encoding="utf-8") as file:
        before, after = file.read().split("@DATA@")
    for key, part in text.items():
        before = before.replace(f"@{key}@", part)
        after = after.replace(f"@{key}@", part)
    with open(output, "w", encoding="utf-8") as file:
        file.write('/* Made by web/embed.py. */\n#include "tool/web.h"\n\n')
        file.write(c_array("web_before", before) + c_array("web_after", after))


if __name__ == "__main__":
    main(*sys.argv[1:])
