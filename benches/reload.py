#!/usr/bin/env python3
"""What a change of policies costs a running site: from a file's arrival to the generation that has it, and the jobs meanwhile.

    cargo build --release
    benches/reload.py target/release/layshaft                          # the demo's fleet and a large one, a Rust policy
    benches/reload.py target/release/layshaft --large policy.wasm      # and a large module, such as one of JavaScript

Each drop is the policy with other bytes behind it, moved into the folder in one step. The quiet period is the default.
Linux only; everything listens on loopback, on free ports.
"""

import argparse
import http.client
import json
import os
import pathlib
import queue
import socket
import statistics
import struct
import subprocess
import tempfile
import threading
import time

from fleet import Process, can_connect, free_port, settle, wait

ROOT = pathlib.Path(__file__).resolve().parent.parent
POLICY = "label-hierarchy"
QUIET = 0.5
JOBS_AT_ONCE = 8


class Socket(http.client.HTTPConnection):
    """The control socket."""

    def __init__(self, path):
        super().__init__("localhost")
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(self.path)

    def read(self, path):
        self.request("GET", path)
        return json.loads(self.getresponse().read())


def node(name, labels):
    return {"name": name, "executors": 2, "labels": labels}


def fleet(controllers, classes, projects):
    """Returns a fleet in which every node has labels of its own and a twin, and projects ask for one of sixty labels."""
    def controller(number):
        nodes = []
        for index in range(classes):
            labels = ["linux", f"ubuntu-{index % 12 + 12}.04", f"gpu-{index % 8}", f"class-{index}"]
            nodes += [node(f"node-{number}-{index}{twin}", labels) for twin in "ab"]
        wanted = [f"ubuntu-{index % 12 + 12}.04 && \"gpu>={index // 12}\"" for index in range(60)]
        offered = [
            {"full_name": f"team-{index % 20}/project-{number}-{index}", "label": wanted[index % 60], "concurrent": True,
             "duration": "0s", "parameters": [{"name": "UUID"}, {"name": "NODE", "kind": "node"}]}
            for index in range(projects)
        ]
        offered.append({"full_name": "probe", "concurrent": True, "duration": "0s", "parameters": [{"name": "UUID"}]})
        return {"quiet_period": "0s", "nodes": nodes, "projects": offered}
    return {"controllers": {f"ci{number}": controller(number) for number in range(controllers)}}


def toml(value):
    """Writes tables within tables inline; JSON's texts and numbers are TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write_fleet(path, value):
    lines = []
    for name, controller in value["controllers"].items():
        lines.append(f"[controllers.{name}]\nquiet_period = {toml(controller['quiet_period'])}")
        for kind in ("nodes", "projects"):
            for item in controller[kind]:
                lines.append(f"[[controllers.{name}.{kind}]]")
                lines += [f"{key} = {toml(entry)}" for key, entry in item.items()]
    path.write_text("\n".join(lines) + "\n")


class Jobs:
    """Clients that submit one job after the other, each a connection of its own."""

    def __init__(self, port, function):
        self.took = queue.SimpleQueue()
        self.ending = threading.Event()
        self.threads = [threading.Thread(target=self.work, args=(port, function, number)) for number in range(JOBS_AT_ONCE)]
        for thread in self.threads:
            thread.start()

    def work(self, port, function, number):
        connection = socket.create_connection(("127.0.0.1", port))
        count = 0
        while not self.ending.is_set():
            unique = f"{os.getpid()}-{number}-{count}"
            body = b"\0".join([function.encode(), unique.encode(), json.dumps({"UUID": unique}).encode()])
            began = time.monotonic()
            connection.sendall(b"\0REQ" + struct.pack(">II", 7, len(body)) + body)
            while True:
                _, kind, length = struct.unpack(">4sII", exactly(connection, 12))
                exactly(connection, length)
                if kind in (13, 14, 25):
                    break
            if kind != 13:
                raise SystemExit(f"a job ended with packet {kind}")
            self.took.put((began, time.monotonic() - began))
            count += 1

    def end(self):
        self.ending.set()
        for thread in self.threads:
            thread.join()
        return [self.took.get() for _ in range(self.took.qsize())]


def exactly(connection, length):
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            raise SystemExit("the server hung up")
        data += more
    return data


def ms(seconds):
    return f"{statistics.median(seconds) * 1e3:.0f} [{min(seconds) * 1e3:.0f}..{max(seconds) * 1e3:.0f}]"


def p99(seconds):
    return sorted(seconds)[max(0, len(seconds) * 99 // 100 - 1)] * 1e3


def drop(module, folder, home, count):
    """A custom section behind it makes it another file that decides the same."""
    beside = home / "next.wasm"
    beside.write_bytes(module + bytes([0, 9, 4]) + b"note" + struct.pack("<I", count))
    beside.rename(folder / f"10-{POLICY}.wasm")


def measure(binary, title, sizes, modules, drops):
    print(f"\n{title}; load {os.getloadavg()[0]:.0f}")
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        folder = home / "policies"
        folder.mkdir()
        example = ROOT / "policies" / POLICY / POLICY
        (folder / f"10-{POLICY}.wasm").write_bytes(example.with_suffix(".wasm").read_bytes())
        (folder / f"10-{POLICY}.toml").write_bytes(example.with_suffix(".toml").read_bytes())
        write_fleet(home / "fleet.toml", fleet(*sizes))
        config = home / "layshaft.toml"
        simulator = Process(binary, "simulate", "--json", "--listen", "127.0.0.1:0", "--config", config, "--token", "t",
                            "--fleet", home / "fleet.toml", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait("the simulated controllers listen", config.exists)
        with config.open("a") as more:
            more.write(f"\n[policies]\nfolder = {json.dumps(str(folder))}\nstate = {json.dumps(str(home / 'state'))}\n"
                       f"[policies.slots.{POLICY}]\ngrants = [\"widen\", \"labels\"]\n")
        port = free_port()
        server = Process(binary, "server", "--port", port, stderr=subprocess.DEVNULL)
        wait("the server listens", lambda: can_connect(port))
        control = home / "control.sock"
        environment = dict(os.environ, LAYSHAFT_GEARMAN_SERVER=f"127.0.0.1:{port}", LAYSHAFT_CONTROL_SOCKET=str(control))
        daemon = Process(binary, "run", "--config", config, env=environment, stderr=(home / "log").open("w"))
        try:
            settle_first(port)
            for name, module in modules:
                measure_module(name, module, folder, home, control, port, drops)
            print(f"  daemon {daemon.memory()[0]:.0f} MiB, at most {daemon.memory()[1]:.0f}")
        finally:
            for process in (daemon, server, simulator):
                process.end()


def settle_first(port):
    from fleet import workers
    wait("the probe is offered", lambda: workers(port).get("build:probe"), patience=900)
    settle(port)


def measure_module(name, module, folder, home, control, port, drops):
    asking = Socket(control)
    generation = lambda: max(slot["generation"] for slot in asking.read("/api/v1/policies"))
    jobs = Jobs(port, "build:probe")
    time.sleep(20)
    idle = [took for _, took in jobs.end()]
    jobs = Jobs(port, "build:probe")
    live, spans, stages = [], [], []
    for count in range(drops):
        time.sleep(1)
        before, began = generation(), time.monotonic()
        drop(module, folder, home, count + len(name) * 1000)
        while generation() == before:
            if time.monotonic() - began > 120:
                raise SystemExit("the file never went live: " + json.dumps(asking.read("/api/v1/policies")))
            time.sleep(0.005)
        live.append(time.monotonic() - began)
        spans.append((began, time.monotonic()))
    done = jobs.end()
    during = [took for began, took in done if any(began < end and began + took > start for start, end in spans)]
    print(f"  {name}, {len(module) / 1e3:.0f} KB: file to live {ms(live)} ms, of it {QUIET * 1e3:.0f} the quiet period")
    print(f"    jobs: p99 {p99(idle):.0f} ms of {len(idle)} while idle, {p99(during):.0f} ms of {len(during)} during reloads")
    for slot in asking.read("/api/v1/policies"):
        if slot.get("reload"):
            print(f"    last reload by stage: {json.dumps(slot['reload'])}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--large", type=pathlib.Path, help="a module for the hook `matching` that abstains")
    parser.add_argument("--drops", type=int, default=5)
    parser.add_argument("--only", choices=["demo", "large"])
    options = parser.parse_args()
    modules = [("Rust", (ROOT / "policies" / POLICY / f"{POLICY}.wasm").read_bytes())]
    if options.large:
        modules.append((options.large.name, options.large.read_bytes()))
    if options.only != "large":
        measure(options.binary, "a small site: 2 controllers, 8 nodes and 20 projects each", (2, 4, 20), modules, options.drops)
    if options.only != "demo":
        measure(options.binary, "a large site: 8 controllers, 100 classes of 2 nodes and 1000 projects each", (8, 100, 1000), modules, options.drops)


if __name__ == "__main__":
    main()
