"""inputs.py - the files that the real programs work on, made from a seed and never checked in.

    directory(scale) / query.sql, unit.c, unit.cc, pages.ps, problems.smt2, repository/      made once in the build directory, then reused

Law: the same scale gives the same bytes, whatever the machine; a directory that was half made is not used.
"""

import os
import random
import shutil
import subprocess

GIT_FACTS = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": os.devnull}


def sql(scale):
    """Tables, indices, joins, grouping, text functions, updates and deletes, all in memory."""
    rows = max(500, int(60000 * scale))
    return f"""
create table item(id integer primary key, name text, price integer, maker integer);
create table maker(id integer primary key, name text);
with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows // 50})
  insert into maker select i, printf('maker %d', i * 7919 % 10007) from n;
with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
  insert into item select i, hex(i * 2654435761 % 4294967296) || '-' || printf('%.*c', i % 40, 'x'),
    i * 7919 % 100003, 1 + i * 31 % {rows // 50} from n;
create index by_name on item(name);
create index by_maker on item(maker, price);
select count(*), sum(price), max(name) from item;
select maker.name, count(*), group_concat(price) from item join maker on maker.id = item.maker
  group by maker.name having count(*) > 3 order by sum(price) desc limit 20;
select a.name, b.name from item a join item b on a.price = b.price and a.id < b.id order by 1, 2 limit 50;
update item set name = lower(name) || '/' || price where id % 3 = 0;
delete from item where id % 7 = 0;
select upper(substr(name, 1, 4)) as head, count(*), avg(price) from item group by head order by 2 desc, 1 limit 50;
select json_group_array(json_object('id', id, 'name', name)) from (select * from item where id % 50 = 1 order by id);
"""


def c_function(rng, i):
    terms = " + ".join(f"a[{rng.randrange(16)}] * {rng.randrange(1, 99)}" for _ in range(rng.randrange(3, 8)))
    return f"""
struct s{i} {{ int a[16]; struct s{i} *next; double weight; }};
static int f{i}(struct s{i} *s, int n)
{{
    int *a = s->a, sum = 0;
    for (int i = 0; i < n; i++) {{
        switch (i & 3) {{
        case 0: sum += {terms}; break;
        case 1: sum ^= a[i & 15] << {rng.randrange(1, 9)}; break;
        case 2: if (s->next) sum += s->next->a[i & 15]; break;
        default: s->weight *= 1.5 + sum; a[i & 15] = sum;
        }}
    }}
    return sum;
}}
int g{i}(int n) {{ struct s{i} s = {{ {{ {i} }}, 0, 1.0 }}; return f{i}(&s, n); }}
"""


def c_source(scale):
    rng = random.Random(3)
    return "".join(c_function(rng, i) for i in range(max(20, int(130 * scale))))


def cc_class(i):
    return f"""
template <class T> struct holder{i} {{
    std::map<T, std::vector<std::string>> index; std::unordered_map<std::string, T> back;
    void add(T key, std::string text) {{ index[key].push_back(text); back.emplace(std::move(text), key); }}
    std::size_t total() const {{
        return std::accumulate(index.begin(), index.end(), std::size_t({i}),
            [](std::size_t sum, const auto &entry) {{ return sum + entry.second.size(); }});
    }}
}};
std::size_t use{i}(int n) {{
    holder{i}<std::array<int, {i % 7 + 1}>> h;
    for (int i = 0; i < n; i++) h.add({{ {{ i }} }}, std::to_string(i));
    return h.total();
}}
"""


def cc_source(scale):
    heads = ["array", "functional", "map", "memory", "numeric", "string", "unordered_map", "vector"]
    return "".join(f"#include <{head}>\n" for head in heads) + "".join(
        cc_class(i) for i in range(max(1, int(12 * scale))))


POSTSCRIPT_HEAD = """%!PS-Adobe-3.0
/line { 72 exch moveto show } bind def
/leaf { gsave translate rotate newpath 0 0 moveto 10 20 30 20 40 0 curveto 30 -20 10 -20 0 0 curveto
  gsave setrgbcolor fill grestore 0 setgray stroke grestore } bind def
"""
FONTS = ("Times-Roman", "Helvetica-Bold", "Courier", "Palatino-Italic", "Symbol")


def ps_line(rng, y):
    words = ("".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randrange(2, 9))) for _ in range(11))
    return f"/{rng.choice(FONTS)} findfont {rng.randrange(7, 13)} scalefont setfont ({' '.join(words)}) {y} line\n"


def ps_leaf(rng):
    colour = " ".join(f"{rng.random():.2f}" for _ in range(3))
    return f"{colour} {rng.randrange(360)} {rng.randrange(600)} {rng.randrange(780)} leaf\n"


def ps_shading(rng):
    x, y = rng.randrange(300), rng.randrange(400)
    return (f"gsave {x} {y} 200 200 rectclip << /ShadingType 3 /ColorSpace /DeviceRGB /Coords [{x} {y} 0 250 350 300]\n"
            "  /Function << /FunctionType 2 /Domain [0 1] /C0 [1 0.9 0.2] /C1 [0.1 0.2 0.7] /N 1.5 >> >> shfill grestore\n")


def ps_page(rng, number):
    lines = [f"%%Page: {number} {number}\n", *(ps_line(rng, 760 - row * 18) for row in range(40)),
             *(ps_leaf(rng) for _ in range(300)), ps_shading(rng), "showpage\n"]
    return "".join(lines)


def postscript(scale):
    rng = random.Random(5)
    return POSTSCRIPT_HEAD + "".join(ps_page(rng, 1 + i) for i in range(max(2, int(24 * scale)))) + "%%EOF\n"


def smt_schedule(rng, jobs):
    """Jobs of which no two overlap, before a deadline: linear arithmetic with many alternatives."""
    lines = [f"(declare-const s{i} Real) (assert (<= 0 s{i} {jobs * 4}))\n" for i in range(jobs)]
    for i in range(jobs):
        lines += [f"(assert (or (<= (+ s{i} {rng.randrange(1, 9)}) s{j}) (<= (+ s{j} {rng.randrange(1, 9)}) s{i})))\n"
                  for j in range(i)]
    return "".join(lines)


def smt_product(bits):
    """Multiplication distributes over addition, bit by bit."""
    return "".join(f"(declare-const {name} (_ BitVec {bits}))\n" for name in "xyz") + (
        "(assert (distinct (bvmul x (bvadd y z)) (bvadd (bvmul x y) (bvmul z x))))\n")


def smt_stores(count):
    """An array written in one order and in the other is the same, where no index comes twice."""
    lines = ["(declare-const a0 (Array Int Int)) (declare-const b0 (Array Int Int)) (assert (= a0 b0))\n"]
    lines += [f"(declare-const i{k} Int) (declare-const v{k} Int)\n" for k in range(count)]
    for name, order in (("a", range(count)), ("b", range(count - 1, -1, -1))):
        lines += [f"(define-fun {name}{k + 1} () (Array Int Int) (store {name}{k} i{at} v{at}))\n"
                  for k, at in enumerate(order)]
    lines += [f"(assert (< i{k} i{k + 1}))\n" for k in range(count - 1)]
    return "".join(lines) + f"(assert (distinct a{count} b{count}))\n"


def smt(scale):
    problems = (smt_schedule(random.Random(6), max(4, int(36 * scale))), smt_product(10), smt_stores(max(20, int(250 * scale))))
    return "".join(f"(push)\n{problem}(check-sat)\n(pop)\n" for problem in problems)


def commit_text(rng, number, files):
    """One commit of a fast-import stream: it changes a few of the files."""
    lines = [f"commit refs/heads/main\ncommitter A Writer <a@example.org> {1600000000 + number * 60} +0000\n",
             data_text(f"Change {number}\n")]
    for name in rng.sample(sorted(files), min(4, len(files))):
        content = files[name]
        content[rng.randrange(len(content))] = f"line {rng.getrandbits(64):x} of {name} at {number}"
        content.insert(rng.randrange(len(content)), f"new {number}")
        lines.append(f"M 100644 inline {name}\n" + data_text("\n".join(content)))
    return "".join(lines)


def data_text(text):
    return f"data {len(text)}\n{text}\n"


def git_stream(scale):
    rng = random.Random(4)
    files = {f"dir{i % 9}/file{i}.txt": [f"line {rng.getrandbits(40):x}" for _ in range(150)] for i in range(60)}
    return "".join(commit_text(rng, number, files) for number in range(max(30, int(900 * scale))))


def make_repository(path, scale):
    environment = dict(os.environ, **GIT_FACTS)
    run = lambda *words, **more: subprocess.run(["git", *words], check=True, capture_output=True, env=environment,
                                                **more)
    run("init", "--bare", "--initial-branch=main", path)
    run("-C", path, "-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", input=git_stream(scale).encode())


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def make(directory, scale):
    """Makes everything under `directory`, unless it is there already."""
    if os.path.isdir(directory):
        return
    half = directory + ".half"
    shutil.rmtree(half, ignore_errors=True)
    os.makedirs(half)
    write(os.path.join(half, "query.sql"), sql(scale))
    write(os.path.join(half, "unit.c"), c_source(scale))
    write(os.path.join(half, "unit.cc"), cc_source(scale))
    write(os.path.join(half, "pages.ps"), postscript(scale))
    write(os.path.join(half, "problems.smt2"), smt(scale))
    if shutil.which("git"):
        make_repository(os.path.join(half, "repository"), scale)
    os.rename(half, directory)
