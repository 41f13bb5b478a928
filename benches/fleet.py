#!/usr/bin/env python3
"""What a large site costs: simulated controllers, the embedded Gearman server, and the daemon between them.

    cargo build --release
    benches/fleet.py target/release/layshaft          # F29: 8 controllers, 1000 executors, 3000 projects
    benches/fleet.py target/release/layshaft --nodes 1000 --projects 5000 --simulator-only

Linux only: processor time and memory are read from /proc. Everything listens on loopback, on free ports.
"""

import argparse
import base64
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

NODES = (
    "computer[displayName,offline,temporarilyOffline,offlineCauseReason,numExecutors,assignedLabels[name],"
    "executors[number,idle,currentExecutable[number,url,timestamp,queueId,actions[parameters[name,value]]]],"
    "oneOffExecutors[currentExecutable[number,url,timestamp,queueId,actions[parameters[name,value]]]]]"
)
LIGHT = "fullName,buildable,disabled,concurrentBuild,labelExpression"
FULL = LIGHT + ",property[parameterDefinitions[name,type]]"
TICK = os.sysconf("SC_CLK_TCK")


def jobs(fields):
    return f"quietingDown,useCrumbs,jobs[{fields},jobs[{fields},jobs[{fields},jobs[name]{{0,1}}]]]"


class Process:
    def __init__(self, *command, **settings):
        self.started = time.monotonic()
        self.child = subprocess.Popen(list(map(str, command)), **settings)

    def cpu(self):
        fields = pathlib.Path(f"/proc/{self.child.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICK

    def memory(self):
        """Returns what it has now, and what it had at most, in MiB."""
        lines = pathlib.Path(f"/proc/{self.child.pid}/status").read_text().splitlines()
        sizes = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.startswith("Vm")}
        return sizes["VmRSS"], sizes["VmHWM"]

    def end(self):
        self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(30)
        except subprocess.TimeoutExpired:
            self.child.kill()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def ask(url, token, path, post=False):
    login = base64.b64encode(f"layshaft:{token}".encode()).decode()
    request = urllib.request.Request(url + path, data=b"" if post else None, headers={"Authorization": f"Basic {login}"})
    began = time.monotonic()
    try:
        with urllib.request.urlopen(request) as answer:
            body = answer.read()
    except urllib.error.HTTPError as error:
        # Jenkins answers 302 with a place that is a POST's.
        body = error.read()
    return time.monotonic() - began, body


def workers(port):
    """Returns by function how many workers the server lists."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(b"status\n")
        found = {}
        for line in connection.makefile():
            if line == ".\n":
                return found
            name, _, _, count = line.rstrip("\n").split("\t")
            found[name] = int(count)
    return found


def wait(what, holds, pause=0.1, patience=600):
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            raise SystemExit(f"never came true: {what}")
        time.sleep(pause)


def simulate(binary, options, home):
    config = home / "layshaft.toml"
    process = Process(
        binary, "simulate", "--json", "--listen", "127.0.0.1:0", "--config", config, "--token", "t",
        "--controllers", options.controllers, "--nodes", options.nodes, "--projects", options.projects,
        stdout=subprocess.PIPE, text=True,
    )
    said = ""
    while not said.endswith("\n}\n"):
        line = process.child.stdout.readline()
        if not line:
            raise SystemExit("the simulated controllers ended")
        said += line
    took = time.monotonic() - process.started
    return process, json.loads(said)["controllers"], config, took


def measure_simulator(process, controllers, took):
    now, peak = process.memory()
    print(f"simulate: listens after {took:.2f} s, {now:.0f} MiB")
    url = controllers[0]["url"]
    for what, tree in (("nodes with builds", NODES), ("projects, light", jobs(LIGHT)), ("projects, with parameters", jobs(FULL))):
        path = "computer/api/json" if tree is NODES else "api/json"
        times = []
        for _ in range(7):
            seconds, body = ask(url, "t", f"{path}?tree={urllib.parse.quote(tree)}")
            times.append(seconds)
        times.sort()
        print(f"  {what}: {len(body) / 1e6:.2f} MB in {times[3] * 1e3:.0f} ms [{times[0] * 1e3:.0f}..{times[-1] * 1e3:.0f}]")
    print(f"  afterwards {process.memory()[0]:.0f} MiB, at most {process.memory()[1]:.0f}")


def measure_daemon(binary, options, controllers, config, home):
    port = free_port()
    server = Process(binary, "server", "--port", port, stderr=subprocess.DEVNULL)
    environment = dict(os.environ, LAYSHAFT_GEARMAN_SERVER=f"127.0.0.1:{port}", LAYSHAFT_CONTROL_SOCKET=str(home / "control.sock"))
    wait("the server listens", lambda: can_connect(port))
    daemon = Process(binary, "run", "--config", config, env=environment, stderr=subprocess.DEVNULL)
    # The same nodes as in the sample: two, two, one, two and one executors, and the controller's own, which is exclusive.
    executors = options.controllers * sum((2, 2, 1, 2, 1)[index % 5] for index in range(options.nodes))
    wait("every executor offers what has no label", lambda: workers(port).get("build:test-1") == executors, patience=900)
    settled = settle(port)
    took = settled - daemon.started
    now, peak = daemon.memory()
    registrations = sum(workers(port).values())
    print(f"daemon: {executors} executors, {registrations} registrations {took:.1f} s after its start")
    print(f"  processor {daemon.cpu():.1f} s, {now:.0f} MiB, at most {peak:.0f}; server {server.cpu():.1f} s, {server.memory()[0]:.0f} MiB")
    before = daemon.cpu()
    time.sleep(30)
    print(f"  idle: {(daemon.cpu() - before) / 30 * 100:.1f} % of one core")
    before, functions = daemon.cpu(), workers(port)
    began = time.monotonic()
    for controller in controllers:
        ask(controller["url"], "t", "job/test-1/disable", post=True)
    wait("a disabled project is withdrawn", lambda: not workers(port).get("build:test-1"))
    print(f"  one project disabled on all controllers: withdrawn after {time.monotonic() - began:.1f} s, poll.projects (30 s) included")
    time.sleep(5)
    print(f"    processor for it, with {time.monotonic() - began:.0f} s of polling: {daemon.cpu() - before:.2f} s")
    print(f"  at the end {daemon.memory()[0]:.0f} MiB, at most {daemon.memory()[1]:.0f}")
    for process in (daemon, server):
        process.end()


def settle(port):
    """Returns when the list of functions last changed."""
    known, changed_at = workers(port), time.monotonic()
    while time.monotonic() - changed_at < 3:
        time.sleep(0.2)
        now = workers(port)
        if now != known:
            known, changed_at = now, time.monotonic()
    return changed_at


def can_connect(port):
    try:
        socket.create_connection(("127.0.0.1", port)).close()
        return True
    except OSError:
        return False


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("binary")
    parser.add_argument("--controllers", type=int, default=8)
    # 78 nodes of the sample have 125 executors.
    parser.add_argument("--nodes", type=int, default=78)
    parser.add_argument("--projects", type=int, default=3000)
    parser.add_argument("--simulator-only", action="store_true")
    options = parser.parse_args()
    print(f"{options.controllers} controllers, each with {options.nodes} nodes and {options.projects} projects; load {os.getloadavg()[0]:.0f}")
    with tempfile.TemporaryDirectory() as home:
        home = pathlib.Path(home)
        simulator, controllers, config, took = simulate(options.binary, options, home)
        try:
            measure_simulator(simulator, controllers, took)
            if not options.simulator_only:
                measure_daemon(options.binary, options, controllers, config, home)
        finally:
            simulator.end()


if __name__ == "__main__":
    main()
