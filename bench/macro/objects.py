"""objects.py N - Python: many small objects with mixed lifetimes; run with PYTHONMALLOC=malloc.

Builds and drops records (instances, dictionaries, lists, tuples, strings, large integers), sorts and groups them,
keeps a least-recently-used cache, and prints a checksum of all of it.
"""

import collections
import random
import sys
import zlib


class Record:
    def __init__(self, key, name, values):
        self.key = key
        self.name = name
        self.values = values


def make_records(rng, count):
    names = ["".join(rng.choices("abcdefghij", k=rng.randrange(3, 30))) for _ in range(200)]
    return [Record(rng.getrandbits(40), rng.choice(names), [rng.random() for _ in range(rng.randrange(8))])
            for _ in range(count)]


def group_by_name(records):
    groups = collections.defaultdict(list)
    for record in records:
        groups[record.name].append((record.key, tuple(record.values)))
    return {name: sorted(group) for name, group in groups.items()}


def churn_cache(rng, records, limit=1000):
    cache = collections.OrderedDict()
    for record in records:
        cache[record.key % 4096] = {"name": record.name.upper(), "sum": sum(record.values)}
        if len(cache) > limit:
            cache.popitem(last=False)
    return sum(entry["sum"] for entry in cache.values())


def factorial_digits(n):
    product = 1
    for i in range(2, n):
        product *= i
    return product % (10**9 + 7)


def main(count):
    rng = random.Random(1)
    checksum = 0
    for _ in range(3):
        records = make_records(rng, count)
        groups = group_by_name(records)
        result = repr((len(groups), churn_cache(rng, records), sorted(groups)[:10], factorial_digits(count // 20)))
        checksum = zlib.crc32(result.encode(), checksum)
    print(f"{checksum:08x}")


if __name__ == "__main__":
    main(int(sys.argv[1]))
