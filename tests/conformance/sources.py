"""Fetches suites from the registries that publish them, and holds each against its digest.

They are kept in a cache outside the checkout: other people's tests are run here, not copied.
"""

import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile

CACHE = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "layshaft" / "suites"

DEBIAN = "deb-src [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian bookworm main\n"


def unpacked(archive, digest, fetch):
    """Returns the folder with an archive's contents; `fetch(folder)` downloads the archive when it is not there."""
    folder = CACHE / digest[:16]
    if not folder.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            scratch = pathlib.Path(scratch)
            fetch(scratch)
            found = hashlib.sha256((scratch / archive).read_bytes()).hexdigest()
            if found != digest:
                raise SystemExit(f"{archive} has digest {found} instead of {digest}")
            with tarfile.open(scratch / archive) as tar:
                tar.extractall(scratch / "contents")  # the digest says that it is what was read
            (scratch / "contents").rename(folder)
    [root] = folder.iterdir()
    return root


def from_pypi(requirement):
    def fetch(folder):
        name = requirement.split("==")[0]
        run(sys.executable, "-m", "pip", "download", "-q", "--disable-pip-version-check", "--no-deps",
            "--no-binary", name, requirement, cwd=folder)
    return fetch


def from_debian(requirement):
    """Downloads a source package's upstream archive, with a package list of its own: the machine's stays as it is."""
    def fetch(folder):
        state, cache = folder / "state", folder / "cache"
        (state / "lists" / "partial").mkdir(parents=True)
        (cache / "archives" / "partial").mkdir(parents=True)
        (folder / "sources.list").write_text(DEBIAN)
        options = [
            f"Dir::Etc::SourceList={folder / 'sources.list'}", "Dir::Etc::SourceParts=-", f"Dir::State={state}",
            f"Dir::Cache={cache}", "Dir::State::status=/var/lib/dpkg/status", "Acquire::Languages=none",
            f"APT::Sandbox::User={os.environ.get('USER', 'root')}"]
        apt = ["apt-get", "-qq"] + [word for option in options for word in ("-o", option)]
        run(*apt, "update", cwd=folder)
        run(*apt, "source", "--tar-only", "--download-only", requirement, cwd=folder)
    return fetch


def from_npm(requirement):
    def fetch(folder):
        run("npm", "pack", "--silent", requirement, cwd=folder)
    return fetch


def python_with(requirements):
    """Returns a Python that has packages installed beside its own."""
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]
    folder = CACHE / f"python-{digest}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        run(sys.executable, "-m", "venv", folder)
        run(folder / "bin" / "pip", "install", "-q", "--disable-pip-version-check", *requirements)
        (folder / "complete").touch()
    return folder / "bin" / "python"


def node_with(requirements):
    """Returns a folder whose node_modules hold packages."""
    digest = hashlib.sha256("\n".join(requirements).encode()).hexdigest()[:16]
    folder = CACHE / f"node-{digest}"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix", folder, *requirements)
        (folder / "complete").touch()
    return folder


def run(*words, cwd=None):
    done = subprocess.run([str(word) for word in words], cwd=cwd, capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
