# python.sh - Debian's python3 with PYTHONMALLOC=malloc, so that every object comes from malloc: json, re, threading,
# multiprocessing, sqlite3, and large lists, texts, pickles.
. "$PRELOAD_DIR/lib.sh"

export PYTHONMALLOC=malloc PYTHONHASHSEED=0 PYTHONDONTWRITEBYTECODE=1

cat >json.work.py <<'END'
import hashlib, json, pickle, random, zlib
r = random.Random(1)
def tree(depth):
    if depth == 0:
        return r.choice([r.random(), r.randrange(10**12), "text %d" % r.randrange(10**6), None, True])
    if depth % 2:
        return {"key %d" % r.randrange(10**6): tree(depth - 1) for _ in range(8)}
    return [tree(depth - 1) for _ in range(8)]
data = tree(5)
text = json.dumps(data, sort_keys=True)
for _ in range(4):
    assert json.loads(text) == data
    assert pickle.loads(pickle.dumps(data)) == data
print(len(text), hashlib.sha256(text.encode()).hexdigest(), zlib.crc32(zlib.compress(text.encode(), 9)))
print(json.dumps(tree(3), indent=1)[:3000])
END
cat >re.work.py <<'END'
import collections, re
words = "amber birch cedar delta ember fjord grove heron iris juniper".split()
text = " ".join(words[i * i % 10] + str(i * 7919 % 10007) for i in range(60000))
print(len(re.findall(r"(?:amber|fjord)(\d+)(?=\s)", text)))
print(re.sub(r"([a-z])([a-z]+)(\d+)", lambda m: m[3] + m[2] + m[1].upper(), text)[-2000:])
print(collections.Counter(re.findall(r"[a-z]+", text)).most_common())
print(sum(len(m.group()) for m in re.finditer(r"(\w+)\s\1?", text)))
END
cat >threads.work.py <<'END'
import concurrent.futures, queue, threading
def primes(n):
    sieve = bytearray([1]) * n
    for i in range(2, int(n ** 0.5) + 1):
        if sieve[i]:
            sieve[i * i :: i] = bytes(len(range(i * i, n, i)))
    return sum(sieve[2:])
q, results = queue.Queue(100), []
def producer(k):
    for i in range(3000):
        q.put([k, i, "x" * (i % 300)])
def consumer():
    while (item := q.get()) is not None:
        results.append(item[0] * 10**6 + item[1] + len(item[2]))
makers = [threading.Thread(target=producer, args=(k,)) for k in range(4)]
takers = [threading.Thread(target=consumer) for _ in range(3)]
for t in makers + takers: t.start()
for t in makers: t.join()
for _ in takers: q.put(None)
for t in takers: t.join()
print(len(results), sum(results))
with concurrent.futures.ThreadPoolExecutor(8) as pool:
    print(list(pool.map(primes, range(10000, 200000, 10000))))
for _ in range(300):
    t = threading.Thread(target=lambda: [str(i) for i in range(100)]); t.start(); t.join()
print(threading.active_count())
END
cat >processes.work.py <<'END'
import multiprocessing as mp, os
def work(n):
    return n, sum(len(str(i * n)) for i in range(20000)), os.getpid() != PARENT
PARENT = os.getpid()
if __name__ == "__main__":
    for method in ("fork", "spawn"):
        with mp.get_context(method).Pool(3) as pool:
            done = pool.map(work, range(12))
            print(method, [d[:2] for d in done], all(d[2] for d in done) or method == "spawn")
    parent, child = mp.Pipe()
    def echo(c):
        while (m := c.recv()) is not None: c.send(m[::-1])
    p = mp.get_context("fork").Process(target=echo, args=(child,)); p.start()
    for n in (1, 100, 100000, 3000000):
        parent.send("ab" * n); print(n, len(parent.recv()))
    parent.send(None); p.join(); print(p.exitcode)
END
cat >sqlite.work.py <<'END'
import sqlite3
db = sqlite3.connect(":memory:")
db.execute("create table t (id integer primary key, name text, n real)")
db.executemany("insert into t (name, n) values (?, ?)", (("name %d" % (i * 7919 % 1009), i / 7) for i in range(60000)))
db.create_function("twice", 1, lambda x: x * 2)
db.create_aggregate("longest", 1, type("L", (), {"__init__": lambda s: setattr(s, "v", ""), "step": lambda s, x: setattr(s, "v", max(s.v, x, key=len)), "finalize": lambda s: s.v}))
print(db.execute("select name, count(*), sum(twice(n)) from t group by name order by 3 desc, 1 limit 20").fetchall())
print(db.execute("select longest(name) from t").fetchone())
print("".join(db.iterdump())[-500:])
END
cat >objects.work.py <<'END'
import gc, decimal, fractions, hashlib, itertools, sys
class Node:
    __slots__ = ("left", "right", "value")
    def __init__(self, v): self.left = self.right = None; self.value = v
def insert(root, v):
    while True:
        side = "left" if v < root.value else "right"
        nxt = getattr(root, side)
        if nxt is None: setattr(root, side, Node(v)); return
        root = nxt
root, x = Node(0), 1
for _ in range(60000):
    x = (x * 69069 + 1) % 2**32; insert(root, x - 2**31)
def walk(n):
    stack, out = [], []
    while stack or n:
        while n: stack.append(n); n = n.left
        n = stack.pop(); out.append(n.value); n = n.right
    return out
print(hashlib.md5(str(walk(root)).encode()).hexdigest())
for _ in range(200):
    a, b = [], []; a.append(b); b.append(a)
del a, b
print(gc.collect() > 0)
decimal.getcontext().prec = 3000
print(str(decimal.Decimal(2).sqrt())[-60:], len(hex(3 ** 60000 // 7 ** 5)), sum(fractions.Fraction(1, i) for i in range(1, 400)).numerator % 10**20)
big = [list(range(i)) for i in range(1500)]
big.sort(key=lambda l: -len(l)); print(sum(map(len, big)), len(list(itertools.permutations(range(8)))))
s = ""
for i in range(60000): s += chr(97 + i % 26)
print(len(s), hash(s) != 0, sys.getsizeof(s) > 60000)
END

for name in json re threads processes sqlite objects; do
    step "$name" /usr/bin/python3 "$name.work.py"
done
step "the same with python's own allocator" env -u PYTHONMALLOC /usr/bin/python3 objects.work.py
step "a program that compiles its library" /usr/bin/python3 -c 'import ast, glob, hashlib
h = hashlib.sha256()
for f in sorted(glob.glob("/usr/lib/python3*/[a-d]*.py")):
    h.update(ast.dump(ast.parse(open(f, "rb").read())).encode())
print(h.hexdigest())'
step_fails 1 "an exception ends it" sh -c 'echo start; /usr/bin/python3 -c "raise ValueError(1)"'
