// Drives a Jenkins controller with npm's jenkins, and says what does not hold.
//
//     NODE_PATH=... node npm_jenkins.js URL USER TOKEN
//
// Like jenkins_clients.py: the controller needs an online agent named `agent-1` with the label `linux`, and nothing else;
// what this makes, it removes again. Prints a line for each check; ends with 1 at the first that fails.

"use strict";

const Jenkins = require("jenkins");

const FOLDER = "<com.cloudbees.hudson.plugins.folder.Folder/>";

function freestyle(seconds, parameters = "") {
  return `<?xml version='1.1' encoding='UTF-8'?>
<project>
  <description>made by a client</description>
  <properties>${parameters}</properties>
  <assignedNode>linux</assignedNode>
  <canRoam>false</canRoam>
  <disabled>false</disabled>
  <concurrentBuild>true</concurrentBuild>
  <builders><hudson.tasks.Shell><command>sleep ${seconds}</command></hudson.tasks.Shell></builders>
</project>`;
}

const PARAMETERS = `<hudson.model.ParametersDefinitionProperty><parameterDefinitions>
  <hudson.model.StringParameterDefinition><name>WORD</name><defaultValue>hello</defaultValue></hudson.model.StringParameterDefinition>
</parameterDefinitions></hudson.model.ParametersDefinitionProperty>`;

function check(name, holds) {
  console.log((holds ? "ok    " : "FAIL  ") + name);
  if (!holds) process.exit(1);
}

async function wait(name, condition, seconds = 20) {
  const deadline = Date.now() + seconds * 1000;
  while (Date.now() < deadline) {
    const found = await condition();
    if (found) {
      check(name, true);
      return found;
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  check(`${name} (waited in vain)`, false);
}

/** Returns what an action fails with; nothing if it does not. */
async function failure(action) {
  try {
    await action();
    return undefined;
  } catch (error) {
    return error;
  }
}

async function projects(server) {
  await server.job.create("nj-folder", FOLDER);
  await server.job.create("nj-folder/plain", freestyle(0, PARAMETERS));
  await server.job.create("nj-long", freestyle(600));
  check("a project is made below a folder", await server.job.exists("nj-folder/plain"));
  check("an unknown project is none", !(await server.job.exists("nj-nothing")));
  check("a name is taken once", await failure(() => server.job.create("nj-long", freestyle(0))));
  const names = (await server.job.list()).map((job) => job.name);
  check("projects are listed", names.includes("nj-folder") && names.includes("nj-long"));
  const inner = (await server.job.list("nj-folder")).map((job) => job.name);
  check("and those of a folder", inner.length === 1 && inner[0] === "plain");
  check("config.xml is given back", (await server.job.config("nj-long")).includes("<assignedNode>linux</assignedNode>"));
  await server.job.copy("nj-long", "nj-copy");
  await server.job.config("nj-copy", freestyle(0));
  await server.job.disable("nj-copy");
  check("a disabled project is not buildable", !(await server.job.get("nj-copy")).buildable);
  check("and is not built", await failure(() => server.job.build("nj-copy")));
  await server.job.enable("nj-copy");
  check("an enabled one is", (await server.job.get("nj-copy")).buildable);
}

async function build(server) {
  const item = await server.job.build({ name: "nj-folder/plain", parameters: { WORD: "a b&c", UNDECLARED: "x" } });
  check("a build has a queue item", Number.isInteger(item));
  const left = await wait("which gets its build", async () => {
    const found = await server.queue.item(item);
    return found.executable && found;
  });
  const number = left.executable.number;
  const ended = await wait("which ends", async () => {
    const found = await server.build.get("nj-folder/plain", number);
    return !found.building && found;
  });
  check("well, on its node", ended.result === "SUCCESS" && ended.builtOn === "agent-1");
  const values = ended.actions.flatMap((action) => action.parameters || []).map(({ name, value }) => [name, value]);
  check("with what is declared", JSON.stringify(values) === '[["WORD","a b&c"]]');
  check("the log is there", (await server.build.log("nj-folder/plain", number)).includes("Finished: SUCCESS"));
  const page = await server.build.log({ name: "nj-folder/plain", number, start: 0, meta: true });
  check("with its size, and no more to come", Number(page.size) === page.text.length && !page.more);
  const text = await new Promise((resolve, reject) => {
    let said = "";
    const stream = server.build.logStream({ name: "nj-folder/plain", number, delay: 50 });
    stream.on("data", (part) => (said += part));
    stream.on("error", reject);
    stream.on("end", () => resolve(said));
  });
  check("the log is streamed to its end", text === page.text);
}

async function stop(server) {
  const item = await server.job.build("nj-long");
  const { number } = await wait("a long build starts", async () => (await server.queue.item(item)).executable);
  check("it is building", (await server.build.get("nj-long", number)).building);
  check("its log has more to come", (await server.build.log({ name: "nj-long", number, meta: true })).more);
  await server.build.stop("nj-long", number);
  const ended = await wait("a stopped build ends", async () => {
    const found = await server.build.get("nj-long", number);
    return !found.building && found;
  });
  check("it is aborted", ended.result === "ABORTED");
  const unknown = await failure(() => server.build.get("nj-long", 99));
  check("an unknown build is not found", unknown && unknown.notFound);
}

async function queue(server, version) {
  await server.node.disable("agent-1", "for a test");
  const item = await server.job.build("nj-long");
  await wait("a build waits for a node that is offline", async () =>
    (await server.queue.list()).some((found) => found.id === item && found.why));
  const complaint = await failure(() => server.queue.cancel(item));
  // The client wants a redirect, which the address that it uses gave until 2.211.
  const [major, minor] = version.split(".").map(Number);
  const redirects = major < 2 || (major === 2 && minor < 211);
  check("cancelling is answered as by that release", redirects === (complaint === undefined));
  check("a cancelled item is gone", (await server.queue.list()).every((found) => found.id !== item));
  check("and remembered as cancelled", (await server.queue.item(item)).cancelled);
  await server.node.enable("agent-1");
}

async function nodes(server) {
  await server.node.create({ name: "nj-agent", numExecutors: 3, labelString: "one two", exclusive: true });
  check("a node is made", await server.node.exists("nj-agent"));
  const names = (await server.node.list()).map((node) => node.displayName);
  check("and listed", names.includes("nj-agent") && names.includes("agent-1"));
  const labels = (await server.node.get("nj-agent")).assignedLabels.map((label) => label.name).sort();
  check("with its labels and its own", labels.join() === "nj-agent,one,two");
  check("a label knows its nodes", (await server.label.get("two")).nodes[0].nodeName === "nj-agent");
  const config = await server.node.config("nj-agent");
  await server.node.config("nj-agent", config.replace("<numExecutors>3<", "<numExecutors>1<"));
  check("a node is reconfigured", (await server.node.get("nj-agent")).numExecutors === 1);
  await server.node.disable("nj-agent", "for a test");
  const disabled = await server.node.get("nj-agent");
  check("a node goes offline for a reason", disabled.temporarilyOffline && disabled.offlineCauseReason === "for a test");
  await server.node.disable("nj-agent", "for another");
  check("the reason is changed", (await server.node.get("nj-agent")).offlineCauseReason === "for another");
  await server.node.enable("nj-agent");
  check("a node comes back", !(await server.node.get("nj-agent")).offline);
  await server.node.disconnect("nj-agent", "cut off");
  const cut = await server.node.get("nj-agent");
  check("a node is disconnected", cut.offline && !cut.temporarilyOffline);
  await server.node.destroy("nj-agent");
  check("a node is deleted", !(await server.node.exists("nj-agent")));
  check("the controller's own node is one of them", (await server.node.get("master"))._class.endsWith("$MasterComputer"));
}

async function main(url, user, token) {
  const address = new URL(url);
  address.username = user;
  address.password = token;
  const server = new Jenkins({ baseUrl: address.href.replace(/\/$/, "") });
  check("a crumb is given out", (await server.crumbIssuer.get()).crumb);
  check("the controller describes itself", Array.isArray((await server.info()).jobs));
  address.password = "wrong";
  const stranger = new Jenkins({ baseUrl: address.href.replace(/\/$/, "") });
  check("a wrong token is refused", await failure(() => stranger.info()));
  const version = (await fetch(new URL("login", url))).headers.get("x-jenkins");

  await projects(server);
  await build(server);
  await stop(server);
  await queue(server, version);
  await nodes(server);
  for (const name of ["nj-folder", "nj-long", "nj-copy"]) await server.job.destroy(name);
  check("projects are deleted", !(await server.job.exists("nj-folder/plain")));
}

main(...process.argv.slice(2)).catch((error) => {
  console.log(`FAIL  ${error.stack}`);
  process.exit(1);
});
