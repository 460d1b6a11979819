"""tests/trace/nbt.py - reads .nbt files for the tests, as src/trace/README.md describes them.

A second reader beside the tool's, so that a mistake of the format's author is not made twice. It is strict: what a file that
was written by the library must not have is an Error. Order between lanes is not needed here: sums do not depend on it,
and the peak is computed for files of one lane only.
"""

import collections
import struct

MAGIC = b"\x89NBT\r\n\x1a\n"
CHUNK = struct.Struct("<IHBBIIQQQQQQ")
PROCESS, MODULES, THREADS, STACKS, EVENTS, SITES, TIMELINE, CLASSES, SLABS, MARKS, END, INDEX, BUCKETS = range(1, 14)
FIXED = {SITES: 256, TIMELINE: 64, CLASSES: 64, BUCKETS: 256}
SITE = collections.namedtuple(
    "SITE",
    "stack lock allocs bytes frees freed_bytes peak usable_bytes last_ns live_blocks_max live_bytes_max peak_blocks peak_bytes"
    " size_max life_ns frees_at_once first_ns reallocs reallocs_moved frees_remote weighted_allocs weighted_bytes weighted_frees"
    " weighted_freed_bytes buckets age size",
)


def site_from(item):
    numbers = struct.unpack("<II15Q", item[:128]) + struct.unpack("<7QII", item[192:])
    return SITE(*numbers[:-1], list(item[128:160]), list(item[160:192]))


class Error(Exception):
    pass


def crc32c_table():
    table = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 & -(i & 1))
        table.append(i)
    return table


TABLE = crc32c_table()


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ TABLE[(crc ^ byte) & 255]
    return crc ^ 0xFFFFFFFF


class Cut(Exception):
    """The data ends in the middle."""


class Reader:
    def __init__(self, data):
        self.data = data
        self.at = 0

    def __bool__(self):
        return self.at < len(self.data)

    def varint(self):
        value = shift = 0
        while True:
            if self.at >= len(self.data):
                raise Cut
            byte = self.data[self.at]
            self.at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value

    def signed(self):
        value = self.varint()
        return value >> 1 ^ -(value & 1)

    def bytes(self):
        count = self.varint()
        if self.at + count > len(self.data):
            raise Cut
        self.at += count
        return self.data[self.at - count : self.at]


class Lane:
    def __init__(self):
        self.blocks = {}  # number -> (size, stack)
        self.next = 0
        self.epoch = 0


class File:
    def __init__(self, data, check_sums=False, is_cut=False):
        self.keys, self.end, self.is_cut = {}, None, is_cut
        self.arguments = []
        self.nodes, self.modules, self.threads, self.marks = {}, {}, [], []
        self.sites, self.buckets, self.points, self.classes, self.lanes = [], [], [], [], {}
        self.slabs = []  # bytes of a block, blocks in use, capacity, blocks by stack
        self.kinds = []
        self.allocs = self.frees = self.reallocs = self.bytes = self.freed_bytes = self.failed = self.dropped = 0
        self.events = self.event_bytes = 0
        self.live = self.peak = 0
        self.ends = []  # (lane, number) of every block that ended
        if len(data) < 4096 or data[:8] != MAGIC:
            raise Error("not an .nbt file")
        major, minor, header, self.state, self.mode, self.pid = struct.unpack_from("<HHIIII", data, 8)
        if major != 2:
            raise Error(f"version {major}")
        self.file_bytes = struct.unpack_from("<Q", data, 32)[0]
        names = "now allocs frees alloc_bytes live_blocks live_bytes peak_bytes peak_ns dropped other rss peak_number"
        self.figures = dict(zip(names.split(), struct.unpack_from("<12Q", data, 64)))
        later = []  # events may name stacks of chunks that stand further behind
        at = header
        while at + CHUNK.size <= len(data):
            magic, kind, codec, flags, checksum, lane, span, stored, _, base, time, epoch = CHUNK.unpack_from(data, at)
            if magic != 0x4354424E or span < CHUNK.size or span % 8:
                at += 4096
                continue
            if stored > span - CHUNK.size or codec != 0:
                raise Error(f"chunk at {at}: {stored} bytes in {span}, codec {codec}")
            payload = data[at + CHUNK.size : at + CHUNK.size + stored]
            if check_sums and flags & 1 and len(payload) == stored and crc32c(payload) != checksum:
                raise Error(f"chunk at {at}: wrong checksum")
            self.kinds.append(kind)
            chunk = at + span <= len(data), kind, payload, lane, base, epoch
            if kind == EVENTS:
                later.append(chunk)
            else:
                self.take(*chunk)
            at += span
        for node, (_, module, _, _) in self.nodes.items():
            if module >= 0 and module not in self.modules and not is_cut:
                raise Error(f"node {node} stands in module {module}, which is not there")
        for chunk in later:
            self.take(*chunk)
        for site in self.sites:
            if 0 < site.buckets <= len(self.buckets):
                full = self.buckets[site.buckets - 1]
                for i in range(32):
                    site.age[i] += 256 * full[i]
                    site.size[i] += 256 * full[32 + i]
        # A free refers to a block by lane and number, wherever its allocation stands.
        for lane, number in self.ends:
            block = self.lanes[lane].blocks.pop(number, None) if lane in self.lanes else None
            if block is None:
                self.unknown = getattr(self, "unknown", 0) + 1
            else:
                self.freed_bytes += block[0]

    def take(self, is_whole, kind, *chunk):
        try:
            self.chunk(kind, *chunk)
        except Cut:
            if is_whole:
                raise Error(f"a chunk of kind {kind} ends in the middle of something") from None

    def chunk(self, kind, payload, lane, base, epoch):
        if kind in (PROCESS, END):
            words = payload.decode().split("\0")[:-1]
            pairs = list(zip(words[::2], words[1::2]))
            if kind == PROCESS:
                self.keys = dict(pairs)
                self.arguments = [value for key, value in pairs if key == "arg"]
            elif pairs:
                self.end = {key: int(value) for key, value in pairs}
        elif kind == STACKS:
            reader = Reader(payload)
            while reader:
                parent, module, address = base - reader.varint(), reader.varint(), reader.varint()
                if parent != 0 and parent != 2 and parent not in self.nodes:
                    raise Error(f"node {base} has the parent {parent}, which is not there")
                self.nodes[base] = (parent, (module >> 1) - 1, address, module & 1)
                base += 1
        elif kind == MODULES:
            for record in self.records(payload):
                operation, number, _, load, start, end = (record.varint() for _ in range(6))
                build, path = record.bytes(), record.bytes()
                if operation != 1 or number != len(self.modules) or not start < end:
                    raise Error(f"module {number}")
                self.modules[number] = (path.decode(), build.hex(), load)
        elif kind == THREADS:
            for record in self.records(payload):
                operation, number, _ = (record.varint() for _ in range(3))
                more = (record.varint(), record.bytes().decode()) if operation == 1 else ()
                self.threads.append((operation, number) + (tuple(record.varint() for _ in range(5)) if operation == 4 else more))
        elif kind == MARKS:
            for record in self.records(payload):
                record.varint()
                self.marks.append(record.data[record.at :].decode())
        elif kind == SLABS:
            for record in self.records(payload):
                size, used, capacity, count = (record.varint() for _ in range(4))
                self.slabs.append((size, used, capacity, {record.varint(): record.varint() for _ in range(count)}))
        elif kind == EVENTS:
            self.lane_events(Reader(payload), lane, base, epoch)
        elif kind in FIXED:
            size = FIXED[kind]
            items = [payload[i : i + size] for i in range(0, len(payload) - size + 1, size)]
            if kind == SITES:
                self.sites += [site_from(item) for item in items]
            elif kind == BUCKETS:
                if base != len(self.buckets) and not self.is_cut:
                    raise Error(f"buckets {base} follow {len(self.buckets)}")
                self.buckets += [struct.unpack("<64I", item) for item in items]
            elif kind == TIMELINE:
                self.points += [struct.unpack("<8Q", item) for item in items]
            else:
                self.classes += [struct.unpack("<II7Q", item) for item in items]

    @staticmethod
    def records(payload):
        reader = Reader(payload)
        while reader:
            yield Reader(reader.bytes())

    def begin(self, lane, stack, size):
        if stack > 2 and stack not in self.nodes and not self.is_cut:
            raise Error(f"an event names the stack {stack}, which is not there")
        lane.blocks[lane.next] = (size, stack)
        lane.next += 1
        self.allocs += 1
        self.bytes += size
        self.live += size
        self.peak = max(self.peak, self.live)

    def finish(self, number, of):
        self.ends.append((number, of))
        self.frees += 1
        block = self.lanes[number].blocks.get(of) if number in self.lanes else None
        self.live -= block[0] if block else 0

    def lane_events(self, reader, number, base, epoch):
        lane = self.lanes.setdefault(number, Lane())
        if base != lane.next:
            raise Error(f"lane {number}: a chunk begins with {base} instead of {lane.next}")
        if epoch < lane.epoch:
            raise Error(f"lane {number}: epoch {epoch} after {lane.epoch}")
        lane.epoch = epoch
        stack = remote = 0
        sizes = [0] * 1024
        self.event_bytes += len(reader.data)
        while reader:
            value = reader.varint()
            kind, value = value & 3, value >> 2
            if kind == 3 and value == 0:
                lane.epoch += reader.varint()
                reader.varint()
                continue
            if kind < 2:
                stack += value >> 1 ^ -(value & 1)
                size = reader.varint() if kind == 1 else sizes[stack % 1024]
                sizes[stack % 1024] = size if size < 1 << 32 else 0
                self.begin(lane, stack, size)
            elif kind == 2:
                self.finish(number, lane.next - value - 1)
            elif value == 1:
                its = reader.varint()
                remote += reader.signed()
                self.finish(its, remote)
            elif value in (2, 3):
                if value == 2:
                    its, old = number, lane.next - reader.varint() - 1
                else:
                    its = reader.varint()
                    remote += reader.signed()
                    old = remote
                stack += reader.signed()
                size = reader.varint() >> 1
                sizes[stack % 1024] = size if size < 1 << 32 else 0
                self.finish(its, old)
                self.begin(lane, stack, size)
                self.reallocs += 1
            elif value == 4:
                stack += reader.signed()
                size = reader.varint()
                reader.varint()
                sizes[stack % 1024] = size if size < 1 << 32 else 0
                self.begin(lane, stack, size)
            elif value == 5:
                stack += reader.signed()
                reader.varint()
                self.failed += 1
            elif value == 6:
                self.dropped += reader.varint()
                continue
            else:
                raise Error(f"lane {number}: event {value}")
            self.events += 1

    def stack(self, node):
        """Frames (path, address), innermost first."""
        while node in self.nodes:
            parent, module, address, _ = self.nodes[node]
            yield (self.modules[module][0] if module >= 0 else None, address)
            node = parent


def load(path, **options):
    with open(path, "rb") as stream:
        return File(stream.read(), **options)
