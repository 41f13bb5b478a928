"""Drives the launcher of an unchanged Zuul 2, as its scheduler does.

    zuul_launcher.py ZUUL HOST PORT

ZUUL is its wheel, whose launcher and model are used; this stands in for what calls them. Commands come on
standard input and events go to standard output, one JSON value a line. Every command names an item, a change that has
one job to run:

    {"do": "launch", "item": ITEM, "job": NAME, "precedence": "high" | "normal" | "low", "parameters": {...}}
    {"do": "cancel", "item": ITEM}          the newest build of the item
    {"do": "describe", "item": ITEM, "text": HTML}
    {"do": "look for lost builds"}

`parameters` are what a site's parameter function sets. A build that Zuul wants to retry is launched again, as its
pipelines do it. Whatever Zuul logs as an error is an event too. Runs under Python 2.7 and 3.
"""

import json
import logging
import sys
import threading

from six.moves import configparser, queue

import text_gear  # noqa: must come before Zuul

sys.path.insert(0, sys.argv[1])
import zuul.launcher.gearman  # noqa: found where the line above says
from zuul import model  # noqa

PRECEDENCES = {"high": model.PRECEDENCE_HIGH, "normal": model.PRECEDENCE_NORMAL, "low": model.PRECEDENCE_LOW}


def say(event, **facts):
    sys.stdout.write(json.dumps(dict(facts, event=event), sort_keys=True) + "\n")
    sys.stdout.flush()


class Complaints(logging.Handler):
    """Tells what is logged as an error."""

    def emit(self, record):
        say("error", text=self.format(record))


class Tries(dict):
    """For Python 2, nothing is less than any number; Zuul relies on it before a job's first build."""

    def get(self, job):
        return dict.get(self, job, 0)


class Scheduler(object):
    """Takes what the launcher reports, and what it is told to do, and handles one after the other."""

    def __init__(self, host, port):
        self.events = queue.Queue()
        self.items = {}
        self.newest = {}
        config = configparser.ConfigParser()
        config.add_section("gearman")
        config.set("gearman", "server", host)
        config.set("gearman", "port", port)
        self.launcher = zuul.launcher.gearman.Gearman(config, self, swift=None)
        self.launcher.gearman.waitForServer()

    # What the launcher calls, from its own threads.

    def onBuildStarted(self, build):
        self.events.put(lambda: self.started(build))

    def onBuildCompleted(self, build, result=None):
        if result is not None:
            build.result = result  # up to 2.1 the launcher sets it itself
        self.events.put(lambda: self.completed(build))

    # A mutex that every job may have at once.

    def acquire(self, item, job):
        return True

    def run(self):
        while True:
            handle = self.events.get()
            if handle is None:
                return
            handle()

    def command(self, wanted):
        return getattr(self, wanted.pop("do").replace(" ", "_"))(**wanted)

    def launch(self, item, job, precedence="normal", parameters=None):
        pipeline = model.Pipeline("check")
        pipeline.precedence = PRECEDENCES[precedence]
        project = model.Project("openstack/nova")
        job = model.Job(job)
        job.parameter_function = lambda item, params: params.update(parameters or {})
        pipeline.addProject(project).addJob(job)
        change = model.Change(project)
        change.number, change.patchset, change.branch, change.refspec = "1234", "5", "master", "refs/changes/34/1234/5"
        self.items[item] = model.QueueItem(model.ChangeQueue(pipeline), change)
        self.items[item].current_build_set.setConfiguration()
        self.items[item].current_build_set.tries = Tries()
        self.launch_jobs(item)

    def launch_jobs(self, name):
        item = self.items[name]
        knows_mutexes = model.Pipeline.findJobsToRun.__code__.co_argcount == 3
        for job in item.pipeline.findJobsToRun(item, *[self] * knows_mutexes):
            build = self.launcher.launch(job, item, item.pipeline, [])
            build.of = name
            item.addBuild(build)
            self.newest[name] = build
            function = getattr(build, "_Gearman__gearman_job", None)
            say("launched", item=name, uuid=build.uuid, function=function and function.name)

    def started(self, build):
        say("started", item=build.of, uuid=build.uuid, number=build.number, url=build.url,
            manager=build._Gearman__gearman_manager, worker=vars(build.worker))

    def completed(self, build):
        item = self.items[build.of]
        say("completed", item=build.of, uuid=build.uuid, result=build.result, retry=build.retry,
            node_name=getattr(build, "node_name", None), node_labels=getattr(build, "node_labels", None),
            estimated_time=build.estimated_time)
        item.pipeline.setResult(item, build)
        self.launch_jobs(build.of)

    def cancel(self, item):
        build = self.newest[item]
        self.launcher.cancel(build)
        say("cancelled", item=item, forgotten=build.uuid not in self.launcher.builds)

    def describe(self, item, text):
        say("described", item=item, submitted=self.launcher.setBuildDescription(self.newest[item], text))

    def look_for_lost_builds(self):
        self.launcher.lookForLostBuilds()
        say("looked")

    def read_commands(self):
        for line in iter(sys.stdin.readline, ""):
            wanted = json.loads(line)
            self.events.put(lambda wanted=wanted: self.command(wanted))
        self.events.put(None)


def main(host, port):
    complaints = Complaints(logging.ERROR)
    logging.getLogger().addHandler(complaints)
    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
    logging.getLogger().setLevel(logging.DEBUG)
    scheduler = Scheduler(host, port)
    reader = threading.Thread(target=scheduler.read_commands)
    reader.daemon = True
    reader.start()
    scheduler.run()
    scheduler.launcher.stop()


if __name__ == "__main__":
    main(*sys.argv[2:])
