"""Drives a Jenkins controller with other people's clients, and says what does not hold.

Usage: jenkins_clients.py URL USER TOKEN

The controller needs an online agent named `agent-1` with the label `linux`, and nothing else; what this makes, it
removes again. Prints a line for each check; ends with 1 at the first that fails, with 77 if a client is not installed.
"""

import sys
import time

try:
    import api4jenkins
    import jenkins
except ImportError as missing:
    print(f"skipped: {missing}")
    sys.exit(77)

FREESTYLE = """<?xml version='1.1' encoding='UTF-8'?>
<project>
  <description>made by a client</description>
  <properties>%s</properties>
  <assignedNode>linux</assignedNode>
  <canRoam>false</canRoam>
  <disabled>false</disabled>
  <concurrentBuild>true</concurrentBuild>
  <builders><hudson.tasks.Shell><command>sleep %d</command></hudson.tasks.Shell></builders>
</project>"""

PARAMETERS = """<hudson.model.ParametersDefinitionProperty><parameterDefinitions>
  <hudson.model.StringParameterDefinition><name>WORD</name><defaultValue>hello</defaultValue></hudson.model.StringParameterDefinition>
  <hudson.model.BooleanParameterDefinition><name>LOUD</name><defaultValue>true</defaultValue></hudson.model.BooleanParameterDefinition>
  <hudson.model.ChoiceParameterDefinition><name>COLOUR</name><choices class="java.util.Arrays$ArrayList"><a class="string-array"><string>red</string><string>blue</string></a></choices></hudson.model.ChoiceParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty>"""

PIPELINE = """<?xml version='1.1' encoding='UTF-8'?>
<flow-definition plugin="workflow-job">
  <definition class="org.jenkinsci.plugins.workflow.cps.CpsFlowDefinition">
    <script>node('linux') { sleep %d }</script><sandbox>true</sandbox>
  </definition>
</flow-definition>"""


def check(name, holds):
    print(("ok    " if holds else "FAIL  ") + name, flush=True)
    if not holds:
        sys.exit(1)


def wait(name, condition, seconds=20):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            check(name, True)
            return found
        time.sleep(0.05)
    check(name + " (waited in vain)", False)


def raises(kind, action):
    try:
        action()
    except kind:
        return True
    return False


def python_jenkins(url, user, token):
    server = jenkins.Jenkins(url, username=user, password=token)
    # In this order: its version query goes without a login unless another one went before.
    check("python-jenkins: the user is known", server.get_whoami()["id"] == user)
    check("python-jenkins: the version is told", server.get_version()[0].isdigit())
    stranger = jenkins.Jenkins(url, username=user, password="wrong")
    check("python-jenkins: a wrong token is refused", raises(jenkins.JenkinsException, stranger.get_whoami))

    server.create_folder("pj-folder")
    check("python-jenkins: a folder is a folder", server.is_folder("pj-folder"))
    check("python-jenkins: a folder is made once",
          raises(jenkins.JenkinsException, lambda: server.create_folder("pj-folder")))
    server.create_job("pj-folder/plain", FREESTYLE % ("", 0))
    server.create_job("pj-asked", FREESTYLE % (PARAMETERS, 0))
    server.create_job("pj-long", FREESTYLE % ("", 600))
    server.create_job("pj-pipeline", PIPELINE % 600)
    names = {job["fullname"] for job in server.get_all_jobs()}
    check("python-jenkins: all projects are listed, with folders",
          {"pj-folder", "pj-folder/plain", "pj-asked", "pj-long", "pj-pipeline"} <= names)
    check("python-jenkins: projects in folders are found when asked level by level",
          "pj-folder/plain" in {job["fullname"] for job in server.get_all_jobs(folder_depth_per_request=1)})
    info = server.get_job_info("pj-asked")
    check("python-jenkins: a project describes itself", info["buildable"] and info["description"] == "made by a client")
    definitions = [d for p in info["property"] for d in p.get("parameterDefinitions", [])]
    check("python-jenkins: parameters are declared", [d["name"] for d in definitions] == ["WORD", "LOUD", "COLOUR"])
    check("python-jenkins: config.xml is given back", "<assignedNode>linux</assignedNode>" in server.get_job_config("pj-asked"))

    item = server.build_job("pj-asked", {"WORD": "a b&c", "COLOUR": "blue", "UNDECLARED": "x"})
    left = wait("python-jenkins: a queue item gets its build",
                lambda: (i := server.get_queue_item(item)).get("executable") and i)
    number = left["executable"]["number"]
    build = wait("python-jenkins: a build ends",
                 lambda: not (b := server.get_build_info("pj-asked", number))["building"] and b)
    check("python-jenkins: it succeeds on its node", (build["result"], build["builtOn"]) == ("SUCCESS", "agent-1"))
    check("python-jenkins: it knows its queue item", build["queueId"] == item)
    values = {p["name"]: p["value"] for a in build["actions"] for p in a.get("parameters", [])}
    check("python-jenkins: declared parameters arrive, others do not",
          values == {"WORD": "a b&c", "LOUD": True, "COLOUR": "blue"})
    check("python-jenkins: the console is there",
          "Finished: SUCCESS" in server.get_build_console_output("pj-asked", number))
    check("python-jenkins: builds of a project are listed",
          [b["number"] for b in server.get_job_info("pj-asked", fetch_all_builds=True)["builds"]] == [number])
    check("python-jenkins: parameters need a project that declares them",
          raises(Exception, lambda: server.build_job("pj-long", {"WORD": "x"})))
    check("python-jenkins: an illegal choice is refused",
          raises(Exception, lambda: server.build_job("pj-asked", {"COLOUR": "green"})))

    item = server.build_job("pj-long")
    number = wait("python-jenkins: a long build starts",
                  lambda: server.get_queue_item(item).get("executable"))["number"]
    running = [b for b in server.get_running_builds() if b["name"] == "pj-long"]
    check("python-jenkins: it shows as running on its node",
          [(b["number"], b["node"]) for b in running] == [(number, "agent-1")])
    server.stop_build("pj-long", number)
    stopped = wait("python-jenkins: a stopped build ends",
                   lambda: not (b := server.get_build_info("pj-long", number))["building"] and b)
    check("python-jenkins: it is aborted", stopped["result"] == "ABORTED")
    server.stop_build("pj-long", number)
    check("python-jenkins: stopping it again does no harm", True)

    item = server.build_job("pj-pipeline")
    number = wait("python-jenkins: a pipeline leaves the queue at once",
                  lambda: server.get_queue_item(item).get("executable"))["number"]
    placeholder = wait("python-jenkins: a pipeline's step occupies an executor",
                       lambda: [b for b in server.get_running_builds() if b["name"] == "pj-pipeline"])
    check("python-jenkins: of the node with the label", placeholder[0]["node"] == "agent-1")
    check("python-jenkins: a pipeline was built on no node", "builtOn" not in server.get_build_info("pj-pipeline", number))
    server.stop_build("pj-pipeline", number)
    wait("python-jenkins: a stopped pipeline frees its executor", lambda: not server.get_running_builds())

    server.disable_node("agent-1", "for a test")
    node = server.get_node_info("agent-1")
    check("python-jenkins: a node goes offline for a reason",
          node["offline"] and node["temporarilyOffline"] and node["offlineCauseReason"] == "for a test")
    waiting = server.build_job("pj-long")
    wait("python-jenkins: a build waits for a node that is offline",
         lambda: any(i["id"] == waiting and i["why"] for i in server.get_queue_info()))
    server.cancel_queue(waiting)
    check("python-jenkins: a cancelled item is gone", all(i["id"] != waiting for i in server.get_queue_info()))
    check("python-jenkins: and remembered as cancelled", server.get_queue_item(waiting)["cancelled"])
    server.enable_node("agent-1")
    check("python-jenkins: a node comes back", not server.get_node_info("agent-1")["offline"])

    server.create_node("pj-agent", numExecutors=3, labels="one two", exclusive=True, nodeDescription="by a client",
                       launcher=jenkins.LAUNCHER_JNLP)
    check("python-jenkins: a node is listed", {"name": "pj-agent", "offline": False} in server.get_nodes())
    labels = {label["name"] for label in server.get_node_info("pj-agent")["assignedLabels"]}
    check("python-jenkins: with its labels and its own", labels == {"one", "two", "pj-agent"})
    config = server.get_node_config("pj-agent")
    server.reconfig_node("pj-agent", config.replace("<numExecutors>3<", "<numExecutors>1<"))
    check("python-jenkins: a node is reconfigured", server.get_node_info("pj-agent")["numExecutors"] == 1)
    server.delete_node("pj-agent")
    check("python-jenkins: a node is deleted", not server.node_exists("pj-agent"))

    server.disable_job("pj-long")
    check("python-jenkins: a disabled project is not buildable", not server.get_job_info("pj-long")["buildable"])
    check("python-jenkins: and is not built", raises(Exception, lambda: server.build_job("pj-long")))
    server.enable_job("pj-long")
    server.copy_job("pj-long", "pj-copy")
    server.rename_job("pj-copy", "pj-renamed")
    check("python-jenkins: a project is copied and renamed",
          server.job_exists("pj-renamed") and not server.job_exists("pj-copy"))
    server.set_next_build_number("pj-renamed", 42)
    check("python-jenkins: the next number is set", server.get_job_info("pj-renamed")["nextBuildNumber"] == 42)
    server.reconfig_job("pj-renamed", FREESTYLE % (PARAMETERS, 1))
    check("python-jenkins: a project is reconfigured", "WORD" in server.get_job_config("pj-renamed"))
    for name in ["pj-folder", "pj-asked", "pj-long", "pj-pipeline", "pj-renamed"]:
        server.delete_job(name)
    check("python-jenkins: projects are deleted", not server.job_exists("pj-folder/plain"))


def api_for_jenkins(url, user, token):
    server = api4jenkins.Jenkins(url, auth=(user, token))
    check("api4jenkins: the version is told", server.version[0].isdigit())
    check("api4jenkins: the server is there", server.exists())
    stranger = api4jenkins.Jenkins(url, auth=(user, "wrong"))
    check("api4jenkins: a wrong token is refused",
          raises(api4jenkins.exceptions.AuthenticationError, stranger.exists))

    server.create_job("aj-folder/inner/asked", FREESTYLE % (PARAMETERS, 0), recursive=True)
    server.create_job("aj-long", FREESTYLE % ("", 600))
    server.create_job("aj-pipeline", PIPELINE % 0)
    check("api4jenkins: an unknown project is none", server.get_job("aj-nothing") is None)
    check("api4jenkins: an illegal name is refused",
          raises(api4jenkins.exceptions.BadRequestError, lambda: server.create_job("aj?", FREESTYLE % ("", 0))))
    check("api4jenkins: projects are found below folders",
          "aj-folder/inner/asked" in {job.full_name for job in server.iter(2)})

    job = server.get_job("aj-folder/inner/asked")
    check("api4jenkins: parameters are declared", [p["name"] for p in job.get_parameters()] == ["WORD", "LOUD", "COLOUR"])
    check("api4jenkins: a project's own fields are read", job.buildable and job.next_build_number == 1)
    item = job.build(WORD="hi", COLOUR="blue")
    build = wait("api4jenkins: a queue item gets its build", item.get_build)
    wait("api4jenkins: a build ends", lambda: not build.building)
    check("api4jenkins: it succeeds", build.result == "SUCCESS")
    check("api4jenkins: it has its parameters",
          {(p.name, p.value) for p in build.get_parameters()} == {("WORD", "hi"), ("LOUD", True), ("COLOUR", "blue")})
    check("api4jenkins: it has its cause", build.get_causes()[0]["userId"] == user)
    check("api4jenkins: it belongs to its project", build.project == job)
    build.set_description("seen")
    check("api4jenkins: a description is set", build.description == "seen")
    check("api4jenkins: the console is there", "Finished: SUCCESS" in list(build.console_text()))
    check("api4jenkins: the console can be followed", "Finished: SUCCESS" in list(build.progressive_output()))
    check("api4jenkins: builds are listed", list(job) == [build] and job.get(1) == build)
    check("api4jenkins: the last build is found", job.get_last_build() == build)

    item = server.build_job("aj-long")
    build = wait("api4jenkins: a long build starts", item.get_build)
    check("api4jenkins: it runs on its node", build in list(server.nodes.get("agent-1").iter_builds()))
    again = server.build_job("aj-long", delay="60sec")
    check("api4jenkins: a second request waits", again.get_job() == server.get_job("aj-long"))
    check("api4jenkins: an equal request is the same item", server.build_job("aj-long").id == again.id)
    again.cancel()
    check("api4jenkins: a cancelled item is gone", server.queue.get(again.id) is None)
    build.stop()
    wait("api4jenkins: a stopped build ends", lambda: not build.building)
    check("api4jenkins: it is aborted", build.result == "ABORTED")

    item = server.build_job("aj-pipeline")
    build = wait("api4jenkins: a pipeline starts", item.get_build)
    check("api4jenkins: it is a pipeline's", type(build).__name__ == "WorkflowRun")
    wait("api4jenkins: it ends", lambda: not build.building)

    server.nodes.create("aj-agent", numExecutors=2, labelString="three")
    node = server.nodes.get("aj-agent")
    check("api4jenkins: nodes are found by label", node in list(server.nodes.filter_node_by_label("three")))
    node.disable("for a test")
    check("api4jenkins: a node goes offline", node.offline and node.offline_cause_reason == "for a test")
    node.enable()
    check("api4jenkins: a node comes back", not node.offline)
    node.delete()
    check("api4jenkins: a node is deleted", server.nodes.get("aj-agent") is None)
    own = [node for node in server.nodes if type(node).__name__ == "MasterComputer"]
    check("api4jenkins: the controller's own node is one of them", len(own) == 1 and own[0].exists())

    job = server.get_job("aj-long")
    job.disable()
    check("api4jenkins: a project is disabled", not job.buildable)
    job.enable()
    job.rename("aj-renamed")
    check("api4jenkins: a project is renamed", job.exists() and server.get_job("aj-long") is None)
    server.copy_job("aj-renamed", "aj-copy")
    check("api4jenkins: a project is copied", server.get_job("aj-copy") is not None)
    for name in ["aj-folder", "aj-renamed", "aj-copy", "aj-pipeline"]:
        server.delete_job(name)
    check("api4jenkins: projects are deleted", server.get_job("aj-folder") is None)


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    python_jenkins(*sys.argv[1:])
    api_for_jenkins(*sys.argv[1:])
