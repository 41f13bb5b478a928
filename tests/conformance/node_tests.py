"""The tests of npm's node-gearman."""

import json
import pathlib
import subprocess

import servers
import sources

TITLE = "node-gearman 0.2.2, test/"
ABOUT = "It connects to port 4730, which is replaced when it dials."
NEEDS = ["node", "npm"]

ARCHIVE = (
    "node-gearman-0.2.2.tgz", "8af9900f853c64db9aab5e67dd4a8b9e491c4f7a665b03b45b8c48255b9d3603", "node-gearman@0.2.2")
PACKAGES = ["nodeunit@0.11.3"]

WHY = {}


def prepare():
    archive, digest, requirement = ARCHIVE
    return {"root": sources.unpacked(archive, digest, sources.from_npm(requirement)), "modules": sources.node_with(PACKAGES)}


def run(prepared, kind, layshaft):
    here = pathlib.Path(__file__).parent
    with servers.Server(kind, layshaft) as server:
        words = ["node", "--no-deprecation", here / "node_process.js", prepared["root"], prepared["modules"], server.port]
        done = subprocess.run([str(word) for word in words], capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise SystemExit(f"node-gearman's tests against {kind} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])
