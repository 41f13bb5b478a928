#!/usr/bin/env python3
"""What a change of policies costs a running site: from a file's arrival to the generation that has it, and the jobs meanwhile.

    cargo build --release
    benches/reload.py target/release/layshaft                          # the demo's fleet and a large one, a policy in Rust
    benches/reload.py target/release/layshaft --large large.wasm       # and a large module; README.md says how it is built

Each drop is a policy with other bytes behind it, moved into the folder in one step. The quiet period is the default.
Windows with drops and idle ones take turns, so that what else the machine does falls on both.
Linux only; everything listens on loopback, on free ports.
"""

import argparse
import http.client
import json
import os
import pathlib
import queue
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import threading
import time

from fleet import Process, can_connect, free_port, settle, wait, workers

ROOT = pathlib.Path(__file__).resolve().parent.parent
IN_FORCE = ["folder-names", "label-hierarchy", "parameter-allowlist", "single-use-nodes"]
REPLACED = "label-hierarchy"
QUIET = 0.5
JOBS_AT_ONCE = 4
# At most 40 jobs a second in all, more than the largest site that is known: without a pause it would be measured how
# clients, server, controllers and daemon share two cores.
BETWEEN_JOBS = 0.1

# As layshaft demo has them.
DEMO_NODES = {
    "alpha": [("alpha-1", 2, ["ubuntu-22.04"]), ("alpha-2", 2, ["ubuntu-24.04", "gpu-2"]), ("alpha-mac", 1, ["macos"])],
    "beta": [("beta-1", 2, ["ubuntu-24.04"]), ("beta-gpu", 1, ["ubuntu-24.04", "gpu-8"]), ("beta-once", 1, ["single-use"])],
}
DEMO_PROJECTS = [("lint", "ubuntu"), ("shop/web/test", "ubuntu"), ("shop/api/test", "ubuntu"), ("train", '"gpu>=4"'),
                 ("deploy", "single-use"), ("app", "macos")]

ALLOWLIST = """
[[settings.deny]]
name = "internals"
parameter = "JENKINS_*"

[[settings.rules]]
name = "everything else"
projects = ["**"]
allow = ["ZUUL_*", "CHANGE"]
drop = ["DEBUG_*"]
"""


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


def example(policy):
    return (ROOT / "policies" / policy / f"{policy}.wasm").read_bytes()


def node(name, executors, labels):
    return {"name": name, "executors": executors, "labels": labels}


def project(name, label=None):
    # Builds take no time, so that what is measured is the way of a job.
    parameters = [{"name": "ZUUL_UUID"}, {"name": "CHANGE"}, {"name": "NODE", "kind": "node"}]
    offered = {"full_name": name, "concurrent": True, "duration": "0s", "parameters": parameters}
    return dict(offered, label=label) if label else offered


def controllers(nodes_by_controller, projects, probed=None):
    """The jobs that are timed run on nodes with one label, if one is given: a server wakes every worker that could."""
    built = lambda nodes: {"quiet_period": "0s", "nodes": nodes, "projects": projects + [project("probe", probed)]}
    return {name: built(nodes) for name, nodes in nodes_by_controller.items()}


def demo():
    projects = [project(name, label) for name, label in DEMO_PROJECTS]
    return controllers({name: [node(*one) for one in nodes] for name, nodes in DEMO_NODES.items()}, projects)


def large(count, classes, projects):
    """Nodes have labels of their own and a twin each; projects ask for one of sixty labels. All controllers together have
    so many projects."""
    def nodes(number):
        for index in range(classes):
            labels = ["linux", f"ubuntu-{index % 12 + 12}.04", f"gpu-{index % 8}", f"class-{index}"]
            yield from (node(f"node-{number}-{index}{twin}", 2, labels) for twin in "ab")
    wanted = [f"ubuntu-{index % 12 + 12} && \"gpu>={index // 12}\"" for index in range(60)]
    offered = [project(f"team-{index % 20}/project-{index}", wanted[index % 60]) for index in range(projects // count)]
    return controllers({f"ci{number}": list(nodes(number)) for number in range(count)}, offered, "class-7")


def toml(value):
    """Writes tables within tables inline; JSON's texts and numbers are TOML's."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{json.dumps(key)} = {toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(toml, value)) + "]"
    return json.dumps(value)


def write_fleet(path, value):
    lines = []
    for name, controller in value.items():
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
        self.threads = [threading.Thread(target=self.work, args=(port, function, number), daemon=True) for number in range(JOBS_AT_ONCE)]
        for thread in self.threads:
            thread.start()

    def work(self, port, function, number):
        connection = socket.create_connection(("127.0.0.1", port))
        count = 0
        while not self.ending.is_set():
            unique = f"{os.getpid()}-{number}-{count}"
            body = b"\0".join([function.encode(), unique.encode(), json.dumps({"ZUUL_UUID": unique, "CHANGE": "1"}).encode()])
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
            self.ending.wait(BETWEEN_JOBS)

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
    return sorted(seconds)[len(seconds) * 99 // 100] * 1e3


class Site:
    """Simulated controllers, a server, and the daemon with the policies of the demo between them."""

    def __init__(self, home):
        self.home, self.folder, self.count, self.processes = home, home / "policies", 0, []

    def open(self, binary, fleet):
        home = self.home
        self.folder.mkdir()
        for number, name in enumerate(IN_FORCE, 1):
            (self.folder / f"{number}0-{name}.wasm").write_bytes(example(name))
        (self.folder / "30-parameter-allowlist.toml").write_text(ALLOWLIST)
        write_fleet(home / "fleet.toml", fleet)
        config = home / "layshaft.toml"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.start(binary, "simulate", "--json", "--listen", "127.0.0.1:0", "--config", config, "--token", "t",
                   "--fleet", home / "fleet.toml", **quiet)
        wait("the simulated controllers listen", config.exists)
        time.sleep(0.5)
        with config.open("a") as more:
            more.write(f"\n[policies]\nfolder = {json.dumps(str(self.folder))}\nstate = {json.dumps(str(home / 'state'))}\n"
                       "[policies.limits]\ncompile_timeout = \"10m\"\n" # else a busy machine refuses the large one
                       "[policies.slots.label-hierarchy]\ngrants = [\"widen\", \"labels\"]\n"
                       "[policies.slots.single-use-nodes]\ngrants = [\"labels\"]\nsingle_use = true\n")
        self.port = free_port()
        self.start(binary, "server", "--port", self.port, **quiet)
        wait("the server listens", lambda: can_connect(self.port))
        control = home / "control.sock"
        environment = dict(os.environ, LAYSHAFT_GEARMAN_SERVER=f"127.0.0.1:{self.port}", LAYSHAFT_CONTROL_SOCKET=str(control))
        self.daemon = self.start(binary, "run", "--config", config, env=environment, stdout=subprocess.DEVNULL,
                                 stderr=(home / "log").open("w"))
        wait("the probe is offered", lambda: workers(self.port).get("build:probe"), patience=900)
        settle(self.port)
        self.control = Socket(control)

    def start(self, *command, **settings):
        process = Process(*command, **settings)
        self.processes.append(process)
        return process

    def end(self):
        for process in reversed(self.processes):
            process.end()

    def policies(self):
        return self.control.read("/api/v1/policies")

    def drop(self, file, module):
        """Moves a module into the folder, with a custom section behind it that makes it another one which decides the same.

        Returns the time until it was in force, and until the folder was done with."""
        self.count += 1
        beside = self.home / "next.wasm"
        beside.write_bytes(module + bytes([0, 9, 4]) + b"note" + struct.pack("<I", self.count))
        before = self.policies()["generation"]
        began, by_clock = time.monotonic(), time.time()
        beside.rename(self.folder / file)
        while (now := self.policies())["generation"] == before:
            if sum(now["refusals"].values()) or time.monotonic() - began > 600:
                raise SystemExit("the file did not come into force: " + json.dumps(now, indent=1))
            time.sleep(0.02)
        at = now["last_reload"]["at"]
        live = at["secs_since_epoch"] + at["nanos_since_epoch"] / 1e9 - by_clock
        return live, (began, began + live), now["last_reload"]


def measure_module(site, name, file, module, drops):
    live, during, idle, stages = [], [], [], {}
    site.drop(file, module)
    for _ in range(drops):
        jobs = Jobs(site.port, "build:probe")
        time.sleep(1.5)
        took, (began, ended), cost = site.drop(file, module)
        live.append(took)
        for stage, microseconds in [*cost["stages"].items(), ("all stages", cost["microseconds"])]:
            stages.setdefault(stage, []).append(microseconds / 1e6)
        time.sleep(0.5)
        for submitted, took in jobs.end():
            overlaps = submitted < ended and submitted + took > began + QUIET
            before = submitted + took < began
            if overlaps or before:
                (during if overlaps else idle).append(took)
    print(f"  {name}, {len(module) / 1e3:.0f} KB: file to live {ms(live)} ms, of it {QUIET * 1e3:.0f} the quiet period")
    print("    " + ", ".join(f"{stage} {ms(times)}" for stage, times in stages.items()))
    medians = [statistics.median(times) * 1e3 for times in (idle, during)]
    print(f"    jobs: median {medians[0]:.1f} ms and p99 {p99(idle):.1f} ms of {len(idle)} while idle; {medians[1]:.1f} ms and "
          f"{p99(during):.1f} ms of {len(during)} during reloads, p99 {p99(during) / p99(idle):.2f} times the idle one", flush=True)


def measure(binary, title, fleet, modules, drops):
    print(f"\n{title}; load {os.getloadavg()[0]:.0f}", flush=True)
    with tempfile.TemporaryDirectory() as home:
        site = Site(pathlib.Path(home))
        try:
            site.open(binary, fleet)
            for name, file, module in modules:
                measure_module(site, name, file, module, drops)
            print(f"  daemon {site.daemon.memory()[0]:.0f} MiB, at most {site.daemon.memory()[1]:.0f}")
        finally:
            site.end()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--large", type=pathlib.Path, help="a module for the hook `matching` that abstains without settings")
    parser.add_argument("--drops", type=int, default=20)
    parser.add_argument("--only", choices=["demo", "large"], help="one fleet")
    options = parser.parse_args()
    # So that nothing is left running.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    modules = [(REPLACED, f"20-{REPLACED}.wasm", example(REPLACED))]
    if options.large:
        modules.append((options.large.stem, f"50-{options.large.stem}.wasm", options.large.read_bytes()))
    if options.only != "large":
        measure(options.binary, "the demo's fleet: 2 controllers, 3 nodes and 6 projects each", demo(), modules, options.drops)
    if options.only != "demo":
        title = "a large fleet: 8 controllers, each with 100 classes of 2 nodes and 1000 projects"
        measure(options.binary, title, large(8, 100, 8000), modules, options.drops)


if __name__ == "__main__":
    main()
