"""Does with PyPI's gear what two scripts of others do with it, and prints what they read of their jobs as JSON.

    gear_scripts.py gear-client HOST PORT FUNCTION ITERATIONS PARAMETERS
        as the gear_client.py that comes with the plugin's documentation: so many jobs over one connection, each with
        its unique once more as the parameter `uuid`; when the last has ended, the data of each is printed
    gear_scripts.py jobs-runner HOST PORT PROJECT PARAMETERS
        as Wikimedia's zuul-mw-jobs-runner.py: one job of low precedence; the address comes from the first data, the
        result from the last, and the text of an exception must be text
"""

import json
import sys
import time
import uuid

import gear


def gear_client(client, function, iterations, parameters):
    parameters = json.loads(parameters)
    jobs = []
    for _ in range(int(iterations)):
        unique = uuid.uuid4().hex
        parameters["uuid"] = unique
        jobs.append(gear.Job(function, json.dumps(parameters).encode(), unique=unique.encode()))
        client.submitJob(jobs[-1])
    wait_for(jobs[-1])
    return [{"unique": job.unique.decode(), "failed": bool(job.failure), "data": texts(job)} for job in jobs]


def jobs_runner(client, project, parameters):
    job = gear.Job(f"build:{project}", parameters.encode(), unique=uuid.uuid4().hex.encode())
    client.submitJob(job, precedence=gear.PRECEDENCE_LOW)
    wait_for(job)
    if job.exception:
        return {"exception": job.exception.decode()}
    if job.failure:
        return {"failed": texts(job)}
    return {"url": json.loads(job.data[0])["url"] + "/console", "result": json.loads(job.data[-1])["result"]}


def wait_for(job):
    deadline = time.monotonic() + 30
    while not job.complete:
        if time.monotonic() > deadline:
            sys.exit("the job did not end")
        time.sleep(0.02)


def texts(job):
    return [data.decode() for data in job.data]


def main(script, host, port, *arguments):
    client = gear.Client()
    client.addServer(host, int(port))
    client.waitForServer()
    print(json.dumps({"gear-client": gear_client, "jobs-runner": jobs_runner}[script](client, *arguments)))
    client.shutdown()


if __name__ == "__main__":
    main(*sys.argv[1:])
