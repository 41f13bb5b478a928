// Runs node-gearman's tests against a port of loopback; prints their outcomes as JSON.
//
//     node_process.js SUITE MODULES PORT
"use strict";

const Module = require("module");
const net = require("net");
const path = require("path");

const [suite, modules, port] = process.argv.slice(2);

for (const name of ["connect", "createConnection"]) {
    const dial = net[name];
    net[name] = (wanted, ...rest) => dial.call(net, wanted === 4730 ? Number(port) : wanted, ...rest);
}

process.env.NODE_PATH = path.join(modules, "node_modules");
Module._initPaths();

const outcomes = {};
require("nodeunit").runModules({ "": require(path.join(suite, "test", "test.js")) }, {
    testDone: (name, assertions) => {
        outcomes[name.filter(Boolean).join(": ")] = assertions.failures() ? "fail" : "pass";
        for (const assertion of assertions) {
            if (assertion.failed()) console.error(String(name), assertion.error);
        }
    },
    done: () => {
        console.log(JSON.stringify(outcomes));
        process.exit(0);
    },
});
