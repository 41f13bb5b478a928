"""Debian's command line tools, `gearman` and `gearadmin`, with all their options."""

import os
import re
import signal
import subprocess
import time

import servers

TITLE = "gearman and gearadmin 1.1.20"
ABOUT = """\
What the tools print, and their exit code where it is not 0. Handles, ports and process ids are replaced; workers are
sorted."""
NEEDS = ["gearman", "gearadmin"]

LIMIT = 20
PATIENCE = 20

# A step is what is typed; one that ends in `&` runs beside the next ones until `wait` sees it end. @1 is the handle of
# the first job that `show jobs` listed before the first step that names it.
STEPS = r"""
gearadmin --server-version
gearadmin --server-verbose
gearadmin --getpid
gearadmin --status
gearadmin --create-function made
gearadmin --status
gearadmin --drop-function made
gearadmin --drop-function made
gearadmin --status
gearman -b -f waits -u first one
gearman -b -I -f waits -u second two
gearman -b -L -f waits -u third three
gearadmin --status
gearadmin --priority-status
gearadmin --show-jobs
gearadmin --show-unique-jobs
gearadmin --workers
gearadmin --cancel-job @1
gearadmin --cancel-job @1
gearadmin --show-unique-jobs
gearman -w -f waits -c 2 -- cat &
wait
gearadmin --status
gearman -w -f echo -c 9 -- cat &
gearadmin --workers
gearman -f echo hello
gearman -f echo -P hello
gearman -f echo -I hello
gearman -f echo -L hello
gearman -f echo -u key hello
gearman -f echo -s
printf 'a\nb\n' | gearman -f echo
printf 'a\nb\n' | gearman -f echo -n
wait
printf 'x\ny\n' | gearman -w -f lines -n -c 1 -- cat &
printf 'c\nd\n' | gearman -f lines
wait
gearman -w -f both -f other -c 2 -- cat &
printf 'hello\n' | gearman -P -f both -f other | sort
wait
gearman -w -f fails -c 1 -- false &
gearman -f fails hello
wait
gearman -t 300 -f nobody hello
gearman -f echo -b -v hello
gearadmin --status
gearadmin --drop-function echo
gearadmin --status
gearadmin --cancel-job nonsense
""".strip().splitlines()

NOBODY_WAITS = "a job that nobody waits for is dropped at once; gearmand drops it when a worker next looks at the queue"
CANCELLED = "a job that waited and is cancelled is gone; gearmand lists it until a worker next looks at the queue"
WHY = {
    "01 `gearadmin --server-version`": "each names itself",
    "02 `gearadmin --server-verbose`": "gearmand's level is ERROR unless it is told otherwise; clients only show it",
    "19 `gearadmin --cancel-job @1`": CANCELLED,
    "20 `gearadmin --show-unique-jobs`": CANCELLED,
    "46 `gearadmin --status`": NOBODY_WAITS,
    "48 `gearadmin --status`": NOBODY_WAITS,
}


def prepare():
    return None


def run(_, kind, layshaft):
    with servers.Server(kind, layshaft) as server:
        return dict(steps(server))


def steps(server):
    beside = []
    handles = []
    for number, step in enumerate(STEPS, 1):
        if step == "wait":
            for name, process in beside:
                yield name, shown(process, server)
            beside.clear()
            continue
        if "@" in step and not handles:
            handles = sorted(row.split("\t")[0] for row in server.ask("show jobs").splitlines()[:-1])
        process = start(step.removesuffix(" &"), server, handles)
        if step.endswith(" &"):
            wait_for_worker(server, re.search(r"-w -f (\w+)", step)[1])
            beside.append((f"{number:02} `{shell(step)}`", process))
        else:
            yield f"{number:02} `{shell(step)}`", shown(process, server)


def wait_for_worker(server, function):
    deadline = time.monotonic() + PATIENCE
    while f" {function}" not in server.ask("workers"):
        # One that found all its jobs waiting may have left already.
        if time.monotonic() > deadline or function == "waits":
            return
        time.sleep(0.01)


def shell(step):
    return step.replace("|", "¦")


def start(step, server, handles):
    """Starts a command line with the server's port put behind the name of the tool."""
    line = re.sub(r"\b(gearman|gearadmin) ", rf"\1 -h 127.0.0.1 -p {server.port} ", step, count=1)
    line = re.sub(r"@(\d+)", lambda found: handles[int(found[1]) - 1], line)
    return subprocess.Popen(
        ["sh", "-c", line], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True)


def shown(process, server):
    try:
        text, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        return "does not end"
    text = re.sub(r"H:[^:\s]+:\d+", "H:x:N", text)
    text = re.sub(r"pid\(\d+\)", "pid(N)", text)
    text = re.sub(r"layshaft/[\d.]+", "layshaft/N", text)
    text = re.sub(rf"\b{server.process.pid}\b", "PID", text)
    lines = text.splitlines()
    if "gearadmin" in process.args[-1]:
        # The order of functions, jobs and connections means nothing; connections without functions come and go.
        lines = sorted(re.sub(r"^\d+ 127", "N 127", line) for line in lines if not re.fullmatch(r"\d+ \S+ - :\s*", line))
    text = " ⏎ ".join(line.replace("\t", " → ").replace("|", "¦") for line in lines)
    code = f" exit {process.returncode}" if process.returncode else ""
    return (f"`{text}`" if text else "nothing") + code
