"""Records conversations with real servers as seeds for the fuzz targets.

    PATH=$PATH:/usr/sbin python3 fuzz/record.py

Starts gearmand and geard, lets PyPI's gear and the gearman tools talk to each through a proxy, and writes what passed to
corpus/{codec,session,server}/*.seed. What the bytes of a seed mean is said by the `play` of each target.
"""

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading
import time

import gear

CORPUS = pathlib.Path(__file__).parent / "corpus"
# As in session/fuzzing.rs.
FUNCTIONS = [b"a", b"b", b"build:c", b"build:c:d e", b"", b"\xff\xfe", b"A", b"stop:h"]
LONGEST_SEED = 4096


class Tape:
    """What passed on all connections, in order: (connection, is upstream, bytes); no bytes are an end."""

    def __init__(self):
        self.lock = threading.Lock()
        self.entries = []
        self.connections = 0

    def connection(self):
        with self.lock:
            self.connections += 1
            return self.connections - 1

    def write(self, connection, upstream, data):
        with self.lock:
            self.entries.append((connection, upstream, data))


class Proxy:
    def __init__(self, port, tape):
        self.upstream, self.tape = port, tape
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                server = socket.create_connection(("127.0.0.1", self.upstream))
                number = self.tape.connection()
                for source, target, upstream in [(client, server, True), (server, client, False)]:
                    threading.Thread(target=self.carry, args=(source, target, number, upstream), daemon=True).start()

    def carry(self, source, target, number, upstream):
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.tape.write(number, upstream, data)
                target.sendall(data)
        self.tape.write(number, upstream, b"")
        with contextlib.suppress(OSError):
            target.shutdown(socket.SHUT_WR)


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def server(kind):
    port = free_port()
    if kind == "gearmand":
        command = ["gearmand", "--listen", "127.0.0.1", "--port", str(port), "--log-file", "none"]
    else:
        command = ["geard", "-d", "--listen-address", "127.0.0.1", "-p", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until(lambda: answers(port))
        yield port
    finally:
        process.kill()
        process.wait()


def answers(port):
    with contextlib.suppress(OSError):
        with socket.create_connection(("127.0.0.1", port), timeout=1) as admin:
            admin.sendall(b"status\r\n")
            return b"." in admin.recv(1000)


def until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        if time.monotonic() > deadline:
            sys.exit("a conversation got stuck")
        time.sleep(0.02)


class Talk:
    """One conversation: gear's worker and client, and an administrator, through a proxy."""

    def __init__(self, port):
        self.port = port

    def worker(self, *functions):
        worker = gear.Worker("node_exec-0")
        worker.addServer("127.0.0.1", self.port)
        worker.waitForServer()
        for function in functions:
            worker.registerFunction(function)
        return worker

    def client(self):
        client = gear.Client("client")
        client.addServer("127.0.0.1", self.port)
        client.waitForServer()
        return client

    def admin(self, *lines):
        answers = []
        with socket.create_connection(("127.0.0.1", self.port)) as admin:
            for line in lines:
                admin.sendall(line.encode() + b"\r\n")
                admin.settimeout(1)
                with contextlib.suppress(TimeoutError):
                    answers.append(admin.recv(1 << 16))
        return answers

    def raw(self, *packets):
        connection = socket.create_connection(("127.0.0.1", self.port))
        for kind, *arguments in packets:
            body = b"\0".join(arguments)
            connection.sendall(b"\0REQ" + struct.pack(">II", kind, len(body)) + body)
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                connection.recv(1 << 16)
        return connection


def build(talk):
    worker, client = talk.worker("a", "build:c"), talk.client()
    job = gear.TextJob("build:c", json.dumps({"UUID": "u-1", "LINES": "one\ntwo"}), unique="u-1")
    client.submitJob(job)
    assigned = worker.getJob()
    assigned.sendWorkData(b'{"name":"c","number":1}')
    assigned.sendWorkStatus(0, 60000)
    talk.admin("status", "workers")
    worker.unRegisterFunction("a")
    assigned.sendWorkComplete(b'{"result":"SUCCESS"}')
    until(lambda: job.complete)
    worker.shutdown()
    client.shutdown()


def ends(talk):
    worker, client = talk.worker("a", "b"), talk.client()
    for end in [lambda job: job.sendWorkFail(), lambda job: job.sendWorkException(b"why\0not")]:
        job = gear.TextJob("b", "\0binary\xff")
        client.submitJob(job, precedence=gear.PRECEDENCE_HIGH)
        assigned = worker.getJob()
        assigned.sendWorkWarning(b"careful")
        end(assigned)
        until(lambda: job.complete)
    worker.setFunctions([])
    worker.shutdown()
    client.shutdown()


def cancel(talk):
    client = talk.client()
    job = gear.TextJob("a", "{}", unique="u-1")
    client.submitJob(job, precedence=gear.PRECEDENCE_LOW)
    talk.admin("status", "show jobs", "cancel job " + job.handle.decode(), "cancel job " + job.handle.decode())
    worker = talk.worker("a")
    second = gear.TextJob("a", "{}", unique="u-2")
    client.submitJob(second)
    assigned = worker.getJob()
    talk.admin("cancel job " + second.handle.decode())
    assigned.sendWorkComplete(b"late")
    until(lambda: second.complete)
    worker.shutdown()
    client.shutdown()


def loss(talk):
    client = talk.client()
    job = gear.TextJob("a", "payload", unique="u-1")
    client.submitJob(job, background=True)
    first = talk.worker("a")
    first.getJob()
    first.shutdown()
    second = talk.worker("a")
    second.active_connections[0].sendRaw(b"\0REQ\0\0\0\x01\0\0\0\x01b")
    talk.admin("workers", "show unique jobs", "prioritystatus")
    second.shutdown()
    client.shutdown()


def questions(talk):
    asking = talk.raw(
        (16, b"echo"), (26, b"exceptions"), (26, b"nonsense"), (22, b"asker"),
        (7, b"f", b"u", b"p"), (21, b"f", b"u", b"q"), (33, b"f", b"-", b"p"), (18, b"g", b"", b"p"),
        (15, b"H:h:1"), (41, b"u"), (24,), (2, b"f"),
    )
    talk.admin("maxqueue f 1", "create function F", "drop function F", "drop function f", "verbose", "version", "foo")
    working = talk.raw((1, b"f"), (23, b"g", b"5000"), (30,), (4,), (9,), (39,), (3,), (4,))
    asking.close()
    working.close()


def tools(talk):
    where = ["-h", "127.0.0.1", "-p", str(talk.port)]
    worker = subprocess.Popen(["gearman", "-w", *where, "-f", "b", "-c", "2", "--", "rev"])
    subprocess.run(["gearman", *where, "-f", "b", "hello"], stdout=subprocess.DEVNULL, timeout=20, check=True)
    subprocess.run(["gearman", *where, "-b", "-f", "b", "background"], stdout=subprocess.DEVNULL, timeout=20, check=True)
    with contextlib.suppress(subprocess.TimeoutExpired):
        worker.wait(5)
    worker.kill()


def packets(stream):
    """Cuts a stream into packets and lines of text."""
    while stream:
        if stream[:1] != b"\0":
            line, _, stream = stream.partition(b"\n")
            yield None, line + b"\n"
        else:
            length = 12 + struct.unpack(">I", stream[8:12])[0]
            yield struct.unpack(">I", stream[4:8])[0], stream[:length]
            stream = stream[length:]


def with_handles(raw, handles):
    """Gives jobs the handles that the server under test would give them."""
    for number, handle in enumerate(handles, 1):
        raw = raw.replace(handle, b"H:h:%d" % number)
    return raw[:8] + struct.pack(">I", len(raw) - 12) + raw[12:] if raw[:1] == b"\0" else raw


def handles_of(tape):
    seen = []
    for _, upstream, data in tape.entries:
        if not upstream:
            seen += [raw[12:] for kind, raw in packets(data) if kind == 8 and raw[12:] not in seen]
    return sorted(seen, key=len, reverse=True) and seen


def chunks(tag, raw):
    """Steps that say bytes, 255 at a time."""
    return b"".join(tag + bytes([len(part)]) + part for part in (raw[i : i + 255] for i in range(0, len(raw), 255)))


def as_server_play(tape, handles):
    play, places = b"\0\1", {}
    for connection, upstream, data in tape.entries:
        place = places.setdefault(connection, len(places) % 4)
        if not upstream:
            continue
        if data:
            play += b"".join(chunks(bytes([place + 4]), with_handles(raw, handles)) for _, raw in packets(data))
        else:
            play += bytes([place])
    return play


def as_session_plays(tape, handles):
    """A play for each connection of a worker: what its owner must have wanted, and what the server said."""
    for connection in range(tape.connections):
        own = [(upstream, data) for number, upstream, data in tape.entries if number == connection]
        if not any(kind == 1 for upstream, data in own if upstream for kind, _ in packets(data)):
            continue
        play, offered = bytes([0, 3]), 0
        for upstream, data in own:
            for kind, raw in packets(data):
                raw = with_handles(raw, handles)
                if not upstream:
                    play += chunks(b"\x09\0", raw)
                elif kind in (1, 2, 23) and raw[12:].split(b"\0")[0] in FUNCTIONS:
                    bit = 1 << FUNCTIONS.index(raw[12:].split(b"\0")[0])
                    offered = offered & ~bit if kind == 2 else offered | bit
                    play += bytes([2, offered, 255])
                elif kind == 3:
                    offered = 0
                    play += bytes([2, 0, 0])
                elif kind in (13, 14, 25, 28, 29, 12):
                    what = {28: 0, 29: 1, 12: 2, 13: 3, 14: 4, 25: 5}[kind]
                    said = raw[12:].partition(b"\0")[2][:7]
                    play += bytes([5, what]) + (b"" if kind == 14 else b"\0" if kind == 12 else bytes([len(said)]) + said)
            if upstream:
                play += bytes([7])
        yield play + bytes([4, 7, 1])


def as_streams(tape):
    for connection in range(tape.connections):
        for upstream in (True, False):
            stream = b"".join(data for number, up, data in tape.entries if (number, up) == (connection, upstream))
            if stream:
                # The largest limit, lines of text between packets, cut into pieces of 41 bytes.
                yield bytes([3, 1, 40]) + stream


def save(target, name, play):
    play = play[:LONGEST_SEED]
    digest = hashlib.sha256(play).digest()
    if digest not in saved:
        saved.add(digest)
        (CORPUS / target / f"{name}.seed").write_bytes(play)


saved = set()
logging.disable(logging.CRITICAL)
for target in ("codec", "session", "server"):
    (CORPUS / target).mkdir(parents=True, exist_ok=True)
for kind in ("gearmand", "geard"):
    if not shutil.which(kind):
        sys.exit(f"{kind} is not installed")
    for converse in (build, ends, cancel, loss, questions, tools):
        if kind == "geard" and converse is tools:
            continue  # libgearman asks for an echo, which geard never answers.
        tape = Tape()
        with server(kind) as port:
            proxy = Proxy(port, tape)
            converse(Talk(proxy.port))
            time.sleep(0.2)
        name, handles = f"{kind}-{converse.__name__}", handles_of(tape)
        save("server", name, as_server_play(tape, handles))
        for number, play in enumerate(as_session_plays(tape, handles)):
            save("session", f"{name}-{number}", play)
        for number, stream in enumerate(as_streams(tape)):
            save("codec", f"{name}-{number}", stream)
        print(name, tape.connections, "connections", os.linesep, end="")
os._exit(0)
