"""text.py N - Python: text and documents; run with PYTHONMALLOC=malloc.

Writes and parses JSON, splits and joins lines, replaces by regular expressions, compresses, parses and compiles
generated source, and prints a checksum of all of it.
"""

import ast
import json
import random
import re
import sys
import zlib


def make_document(rng, count):
    return [{"id": i, "name": f"item {rng.randrange(10**6)}", "tags": [f"t{rng.randrange(99)}" for _ in range(4)],
             "nested": {"x": rng.random(), "text": "lorem ipsum " * rng.randrange(6)}} for i in range(count)]


def rewrite(text):
    text = re.sub(r"item (\d+)", lambda match: f"<{int(match.group(1)) * 3}>", text)
    return "\n".join(sorted(line.strip().title() for line in text.split(",")))


def make_source(rng, count):
    lines = []
    for i in range(count):
        lines.append(f"def f{i}(a, b={rng.randrange(100)}):")
        lines.append(f"    return [a * x + b for x in range({rng.randrange(1, 9)}) if x % 2 == {i % 2}]")
    return "\n".join(lines)


def main(count):
    rng = random.Random(2)
    checksum = 0
    for _ in range(3):
        text = json.dumps(make_document(rng, count), indent=1)
        again = json.dumps(json.loads(text), sort_keys=True)
        tree = ast.parse(make_source(rng, count // 8))
        compile(tree, "generated", "exec")
        for part in (again, rewrite(again), ast.dump(tree)):
            checksum = zlib.crc32(zlib.compress(part.encode(), 1), checksum)
    print(f"{checksum:08x}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
