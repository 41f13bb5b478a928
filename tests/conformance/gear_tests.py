"""The functional tests of PyPI's gear, with its own server replaced by another one."""

import json
import subprocess
import pathlib

import sources

TITLE = "gear 0.16.0, functional tests"
ABOUT = """\
The twelve tests of `gear/tests/test_functional.py`. `gear.Server` is replaced by a server process; where a test reads
`server.normal_queue`, it gets the jobs that `show jobs` lists. Certificates of clients and servers are made with X.509
version 3: the suite makes version 1, which rustls takes from authorities only."""
NEEDS = []

SDIST = ("gear-0.16.0.tar.gz", "8397fb81592e2732a92991585339a6d82cf58b8b1e026296464d7745e5ff5f40", "gear==0.16.0")
PACKAGES = [
    "gear==0.16.0", "testtools==2.9.1", "fixtures==4.3.2", "testscenarios==0.7.0", "testresources==2.1.2",
    "pyOpenSSL==26.4.0"]

NO_TLS = "Debian's gearmand is built without TLS: it takes --ssl and speaks none"
WHY = {
    **{f"TestFunctional.{test}(ssl)": NO_TLS for test in (
        "test_bg_job", "test_job", "test_text_job_name", "test_worker_termination")},
    "TestFunctionalText.test_text_job_exception":
        "gear's client never asks for exceptions (OPTION_REQ), so the server turns them into WORK_FAIL; geard sends them unasked",
}


def prepare():
    archive, digest, requirement = SDIST
    return {"root": sources.unpacked(archive, digest, sources.from_pypi(requirement)),
            "python": sources.python_with(PACKAGES)}


def run(prepared, kind, layshaft):
    here = pathlib.Path(__file__).parent
    words = [prepared["python"], here / "gear_process.py", prepared["root"], kind, layshaft]
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"gear's tests against {kind} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout)
