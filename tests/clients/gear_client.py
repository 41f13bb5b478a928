"""Submits a job with PyPI's gear and prints what it hears, one JSON value a line.

    gear_client.py HOST PORT FUNCTION UNIQUE PAYLOAD
"""

import json
import sys
import time

import gear


class Client(gear.Client):
    """Says what is heard of the job as it is heard."""

    def __init__(self):
        super().__init__()
        self.ended = False

    def say(self, kind, job):
        data = b"".join(job.data[-1:])
        print(json.dumps({"kind": kind, "data": data.decode("utf-8")}), flush=True)

    def handleWorkData(self, packet):
        job = super().handleWorkData(packet)
        self.say("data", job)
        return job

    def handleWorkStatus(self, packet):
        job = super().handleWorkStatus(packet)
        self.say("status", job)
        return job

    def handleWorkComplete(self, packet):
        job = super().handleWorkComplete(packet)
        self.say("complete", job)
        self.ended = True
        return job

    def handleWorkFail(self, packet):
        job = super().handleWorkFail(packet)
        self.say("fail", job)
        self.ended = True
        return job

    def handleWorkException(self, packet):
        job = super().handleWorkException(packet)
        self.say("exception", job)
        self.ended = True
        return job


def main(host, port, function, unique, payload):
    client = Client()
    client.addServer(host, int(port))
    client.waitForServer()
    job = gear.Job(function.encode(), payload.encode(), unique=unique.encode())
    client.submitJob(job)
    deadline = time.time() + 30
    while not client.ended:
        if time.time() > deadline:
            sys.exit("the job did not end")
        time.sleep(0.02)
    client.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
