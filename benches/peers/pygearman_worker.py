"""A peer: a worker as one writes it with PyPI's pygearman. It runs until it is killed.

pygearman_worker.py HOST PORT work FUNCTION
"""

import sys

import gearman


def main():
    host, port, task, function = sys.argv[1:]
    assert task == "work"
    worker = gearman.GearmanWorker(["%s:%s" % (host, port)])
    # As bytes: the library compares it with what came over the wire.
    worker.register_task(function.encode(), lambda worker, job: job.data)
    worker.work()


main()
