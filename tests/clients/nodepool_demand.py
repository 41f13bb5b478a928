"""Asks a Gearman server, with an unchanged nodepool 0.3, how many nodes of which label are wanted.

    nodepool_demand.py NODEPOOL HOST PORT

NODEPOOL is its wheel. Prints one JSON object: the label and the number of jobs that want it. Of everything that nodepool
drives, only its Gearman client is used; what else it imports is not looked at.
"""

import json
import sys
from unittest import mock

import text_gear  # noqa: must come before nodepool

WHEEL, HOST, PORT = sys.argv[1:]
OTHERS = [
    "apscheduler", "apscheduler.schedulers", "apscheduler.schedulers.background", "apscheduler.triggers",
    "apscheduler.triggers.cron", "paramiko", "zmq", "allocation", "jenkins_manager", "nodedb", "exceptions", "nodeutils",
    "provider_manager", "stats", "config", "jobs",
]
sys.modules.update((name, mock.MagicMock(name=name)) for name in OTHERS)
sys.path.insert(0, WHEEL)

from nodepool import nodepool  # noqa: E402: found where the line above says

client = nodepool.GearmanClient()
client.addServer(HOST, int(PORT))
client.waitForServer()
print(json.dumps(client.getNeededWorkers(), sort_keys=True))
client.shutdown()
