"""redis.py N - redis-server under the allocator, redis-benchmark without it, on the loopback interface.

    this script --BENCH_PRELOAD--> redis-server <--127.0.0.1-- redis-benchmark, bounded counts, then a fixed data set

Prints the digest of the data set, which is the checksum. The server keeps nothing on disk and ends with the script.

Debian's redis-server is linked with jemalloc; like any program it uses the preloaded allocator instead.
"""

import contextlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time

WAIT_S = 10.0


def free_port():
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def server_start(port, directory):
    environment = dict(os.environ)
    preload = environment.pop("BENCH_PRELOAD", "")
    if preload:
        environment["LD_PRELOAD"] = preload
    return subprocess.Popen(
        ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--appendonly", "no", "--dir",
         directory, "--enable-debug-command", "yes", "--maxclients", "200"],
        env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def connect(port, server):
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", port), timeout=WAIT_S)
        time.sleep(0.005)
    sys.exit("redis-server did not start")


def command_bytes(*words):
    parts = [f"*{len(words)}\r\n".encode()]
    for word in words:
        data = word.encode()
        parts.append(b"$%d\r\n%s\r\n" % (len(data), data))
    return b"".join(parts)


def data_set(count):
    """Strings, lists, hashes, sets and sorted sets, of random sizes, some deleted again."""
    rng = random.Random(5)
    for i in range(count):
        key = f"key:{rng.randrange(count)}"
        yield ("SET", f"s:{key}", "v" * rng.randrange(8, 600))
        yield ("RPUSH", f"l:{i % 97}", f"{i}" * rng.randrange(1, 9))
        yield ("HSET", f"h:{i % 89}", key, "w" * rng.randrange(4, 60))
        yield ("ZADD", f"z:{i % 83}", str(rng.randrange(1000)), key)
        if i % 3 == 0:
            yield ("DEL", f"s:key:{rng.randrange(count)}")


def fill(connection, count):
    commands = [command_bytes(*words) for words in data_set(count)]
    reader = connection.makefile("rb")
    for start in range(0, len(commands), 200):
        batch = commands[start:start + 200]
        connection.sendall(b"".join(batch))
        for _ in batch:
            if not reader.readline().startswith((b":", b"+")):
                sys.exit("redis-server refused a command")
    return reader


def digest(connection, reader):
    connection.sendall(command_bytes("DEBUG", "DIGEST"))
    return reader.readline().decode().strip()


def load(port, count):
    subprocess.run(["redis-benchmark", "-h", "127.0.0.1", "-p", str(port), "-q", "-n", str(count), "-c", "20",
                    "-P", "16", "-r", "10000", "-d", "100", "-t", "set,get,lpush,lpop,sadd,hset,zadd,lrange_100"],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def run(port, server, count):
    with connect(port, server) as connection:
        load(port, count)
        connection.sendall(command_bytes("FLUSHALL", "SYNC"))
        reader = connection.makefile("rb")
        reader.readline()
        reader = fill(connection, count // 2)
        print(digest(connection, reader))
        connection.sendall(command_bytes("SHUTDOWN", "NOSAVE"))
    server.wait(WAIT_S)


def main(count):
    port = free_port()
    with tempfile.TemporaryDirectory() as directory:
        server = server_start(port, directory)
        try:
            run(port, server, count)
        finally:
            server.kill()
            server.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]))
