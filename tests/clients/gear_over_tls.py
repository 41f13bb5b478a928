"""A worker and a client of gear do one job over TLS, and the client prints what it got.

gear_over_tls.py PORT KEY CERTIFICATE CA
"""
import sys
import threading

import gear

port, files = int(sys.argv[1]), sys.argv[2:]


def work():
    job = worker.getJob()
    job.sendWorkData(b'half')
    job.sendWorkComplete(job.arguments[::-1])


class Client(gear.Client):
    def handleWorkComplete(self, packet):
        job = super().handleWorkComplete(packet)
        done.set()
        return job


done = threading.Event()
worker = gear.Worker(b'gear_exec-0')
worker.addServer('127.0.0.1', port, *files)
worker.waitForServer()
worker.registerFunction(b'reverse')
threading.Thread(target=work, daemon=True).start()
client = Client()
client.addServer('127.0.0.1', port, *files)
client.waitForServer()
job = gear.Job(b'reverse', b'over TLS')
client.submitJob(job)
if not done.wait(20):
    sys.exit('the job did not end')
print(b' '.join(job.data).decode())
