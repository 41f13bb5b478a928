"""The tests of CPAN's Gearman (Gearman::Client, Gearman::Worker, Gearman::Task)."""

import concurrent.futures
import contextlib
import os
import pathlib
import signal
import subprocess
import tempfile

import servers
import sources

TITLE = "perl-Gearman 2.004.015, t/"
ABOUT = """\
The upstream archive of Debian's source package libgearman-client-perl. Each file starts servers of its own, through
`GEARMAND_PATH` (with `GEARMAND_ADDR` 13-fail calls `job_servers` in scalar context and connects to the address 1)."""
NEEDS = ["perl", "openssl"]

ARCHIVE = (
    "libgearman-client-perl_2.004.015.orig.tar.gz", "7fb87634a5fac5c40ec221489e227b9e7b2e5f0897edada07e5a597ecb4053ec",
    "libgearman-client-perl=2.004.015-1")

AT_ONCE = 6
LIMIT = 60
LONG = {"02", "03", "14", "50"}
HANGS_AFTER = 12

WHY = {
    "t/09-connect.t": "needs addresses that swallow packets",
    "t/14-sleep.t": "sends CAN_DO_TIMEOUT in seconds where the servers read milliseconds: its job of five seconds is "
                    "requeued every second, for ever",
    "t/18-ssl.t": "Debian's gearmand is built without TLS: it takes --ssl and speaks none",
}


def prepare():
    archive, digest, requirement = ARCHIVE
    return sources.unpacked(archive, digest, sources.from_debian(requirement))


def run(root, kind, layshaft):
    with tempfile.TemporaryDirectory() as folder:
        start = pathlib.Path(folder) / "gearmand"
        words = " ".join(f"'{word}'" for word in servers.command(kind, layshaft))
        start.write_text(f'#!/bin/sh\nexec {words} "$@" 2>/dev/null\n')
        start.chmod(0o755)
        environment = {**os.environ, "GEARMAND_PATH": str(start), "PERL_USE_UNSAFE_INC": "1", "AUTHOR_TESTING": "1"}
        # Those that sleep first.
        names = sorted((f"t/{file.name}" for file in root.glob("t/*.t")), key=lambda name: (name[2:4] not in LONG, name))
        with contextlib.ExitStack() as until_the_end, concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            if kind == "layshaft":
                environment.update(tls_server(until_the_end, kind, layshaft, pathlib.Path(folder)))
            return dict(zip(names, pool.map(lambda name: outcome(root, name, environment), names)))


def tls_server(until_the_end, kind, layshaft, folder):
    """Starts a server that speaks TLS; returns what t/18-ssl.t wants to know of it."""
    authority = ["-CA", folder / "authority.crt", "-CAkey", folder / "authority.key"]
    for name, more in [("authority", []), ("server", authority), ("client", authority)]:
        sources.run(
            "openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", folder / f"{name}.key", "-out", folder / f"{name}.crt", *more,
            *(["-addext", "basicConstraints=CA:FALSE", "-addext", "subjectAltName=IP:127.0.0.1"] if more else []))
    files = [str(folder / name) for name in ("server.key", "server.crt", "authority.crt")]
    server = until_the_end.enter_context(servers.Server(kind, layshaft, servers.tls_arguments(*files)))
    return {"SSL_GEARMAND_HOST": "127.0.0.1", "SSL_GEARMAND_PORT": str(server.port),
            "SSL_CERT_FILE": str(folder / "client.crt"), "SSL_KEY_FILE": str(folder / "client.key"),
            "SSL_CA_FILE": str(folder / "authority.crt")}


def outcome(root, name, environment):
    limit = HANGS_AFTER if name == "t/14-sleep.t" else LIMIT
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(
            ["perl", "-w", "-I.", "-Ilib", name], cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.PIPE, start_new_session=True)  # 11-unit expects nothing to read from its standard error
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            code = None
        # Workers that it forked, and servers if it was cut short.
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        process.wait()
        output.seek(0)
        text = output.read() + process.stderr.read().decode()
    lines = text.splitlines()
    if any(line.startswith("1..0 # SKIP") for line in lines):
        return "skip"
    failed = code not in (0, None) or any(line.lstrip().startswith("not ok") and "# TODO" not in line for line in lines)
    if failed:
        print(f"{name}, {code}:\n{text}")
    if failed:
        return "fail"
    return "pass" if code == 0 else "runs without end"
