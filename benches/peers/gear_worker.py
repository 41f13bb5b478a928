"""A peer: workers as one writes them with PyPI's gear. They run until they are killed.

gear_worker.py HOST PORT work FUNCTION
gear_worker.py HOST PORT register WORKERS FUNCTIONS
"""

import sys
import threading

import gear


def make_worker(host, port, name, functions):
    worker = gear.Worker(name)
    # Before the connection is there: all go out as soon as it is.
    for function in functions:
        worker.registerFunction(function)
    worker.addServer(host, int(port))
    return worker


def echo_for_ever(worker):
    while True:
        job = worker.getJob()
        job.sendWorkComplete(job.arguments)


def main():
    host, port, task, *rest = sys.argv[1:]
    if task == "work":
        worker = make_worker(host, port, "bench-worker", rest)
        worker.waitForServer()
        echo_for_ever(worker)
    elif task == "register":
        count, functions = map(int, rest)
        names = ["build:%d" % number for number in range(functions)]
        workers = [make_worker(host, port, "bench-%d" % number, names) for number in range(count)]
        for worker in workers:
            worker.waitForServer()
            threading.Thread(target=echo_for_ever, args=(worker,)).start()


main()
