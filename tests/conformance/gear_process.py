"""Runs gear's functional tests in a Python that has what they need; prints their outcomes as JSON.

    gear_process.py SDIST KIND LAYSHAFT
"""

import json
import os
import sys
import unittest
import warnings

sdist, kind, layshaft = sys.argv[1:]
sys.path.insert(0, sdist)
os.environ["OS_TEST_TIMEOUT"] = "20"
warnings.simplefilter("ignore", DeprecationWarning)

import gear  # noqa: E402
import testtools  # noqa: E402
from OpenSSL import crypto  # noqa: E402

import servers  # noqa: E402

running = []


class ServerProcess(servers.Server):
    """Stands where the suite makes a gear.Server."""

    def __init__(self, port=0, key=None, certificate=None, authority=None):
        tls = []
        if key:
            tls = servers.tls_arguments(key, certificate, authority)
        super().__init__(kind, layshaft, tls)
        running.append(self)

    @property
    def normal_queue(self):
        return self.ask("show jobs").splitlines()[:-1]


class Certificate(crypto.X509):
    """The suite leaves certificates at version 1, which rustls takes from authorities only."""

    def sign(self, key, digest):
        if self.get_issuer().CN != self.get_subject().CN:
            self.set_version(2)
        super().sign(key, digest)


gear.Server = ServerProcess
crypto.X509 = Certificate

from gear.tests import test_functional  # noqa: E402


class Outcomes(unittest.TestResult):
    def __init__(self):
        super().__init__()
        self.outcomes = {}

    def startTest(self, test):
        super().startTest(test)
        self.outcomes[self.name(test)] = "pass"

    def addError(self, test, *error):
        self.record(test, "fail", *error)

    def addFailure(self, test, *error):
        self.record(test, "fail", *error)

    def addSkip(self, test, *reason):
        self.record(test, "skip", *reason)

    def record(self, test, outcome, *why):
        self.outcomes[self.name(test)] = outcome
        print(test.id(), *why, file=sys.stderr)

    def stopTest(self, test):
        super().stopTest(test)
        while running:
            running.pop().stop()

    @staticmethod
    def name(test):
        return test.id().removeprefix("gear.tests.test_functional.")


suite = test_functional.load_tests(
    unittest.defaultTestLoader, unittest.defaultTestLoader.loadTestsFromModule(test_functional), None)
outcomes = Outcomes()
for test in testtools.iterate_tests(suite):
    if test.id().endswith("(ssl)") and kind == "gearmand":
        outcomes.outcomes[Outcomes.name(test)] = "not run"
    else:
        test.run(outcomes)
print(json.dumps(outcomes.outcomes))
sys.stdout.flush()
# Threads of the suite's clients and workers may be left; they would keep the process.
os._exit(0)
