"""Servers to run suites against, each on a free port of loopback."""

import os
import socket
import subprocess
import time

PATIENCE = 20


def command(kind, layshaft):
    """Returns what starts a server of a kind; all take --port and --listen."""
    if kind == "layshaft":
        return [layshaft, "--log", "error", "server"]
    return ["gearmand", "--log-file", "stderr"]


class Server:
    """A running server; use it in a `with`, which ends it."""

    def __init__(self, kind, layshaft, arguments=()):
        self.kind = kind
        self.port = free_port()
        listen = ["--port", str(self.port), "--listen", "127.0.0.1"]
        self.process = subprocess.Popen(
            command(kind, layshaft) + listen + list(arguments),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.wait_until_up()

    def wait_until_up(self):
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                if self.process.poll() is not None:
                    raise RuntimeError(f"{self.kind} ended at once: {self.process.stderr.read().decode()}")
                if time.monotonic() > deadline:
                    self.stop()
                    raise RuntimeError(f"{self.kind} does not listen")
                time.sleep(0.01)

    def stop(self):
        self.process.kill()
        self.process.communicate()

    def ask(self, line):
        """Returns the answer to an administrator's command, up to its end."""
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as stream:
            stream.sendall(line.encode() + b"\r\n")
            answer = b""
            while not (answer == b".\n" or answer.endswith(b"\n.\n")):
                answer += stream.recv(65536)
            return answer.decode()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def is_installed(program):
    folders = os.environ["PATH"].split(os.pathsep)
    return any(os.access(os.path.join(folder, program), os.X_OK) for folder in folders)


def tls_arguments(key, certificate, authority):
    return ["--ssl", "--ssl-key", key, "--ssl-certificate", certificate, "--ssl-ca-file", authority]
