// {{name}}: keeps projects with a certain ending off nodes with a certain label.
//
// What is asked and answered is in wit/policy.wit. A verdict follows from the question and the settings alone: keep
// nothing between calls but the settings.

let settings = { label: "gpu", ending: "-docs" };

export const meta = {
  describe() {
    return {
      name: "{{name}}",
      version: "0.1.0",
      summary: "Keeps projects with a certain ending off nodes with a certain label.",
      needs: { project: true, nodeName: false, labels: [], parameterValues: { tag: "none" } },
    };
  },

  // Settings come as JSON text. What is thrown refuses the policy, and the operator reads it.
  configure(json) {
    const { label = settings.label, ending = settings.ending, ...unknown } = JSON.parse(json);
    for (const name of Object.keys(unknown)) {
      throw `settings has no ${name}; it takes label, ending`;
    }
    if (typeof label !== "string" || typeof ending !== "string" || !label || !ending) {
      throw "settings.label and settings.ending are texts that are not empty";
    }
    settings = { label, ending };
  },
};

export const matching = {
  matches({ project, node }) {
    const unwanted = project?.shortName.endsWith(settings.ending) && node.labels.includes(settings.label);
    return unwanted
      ? { answer: { tag: "veto" }, reason: `projects ending in ${settings.ending} keep off ${settings.label}`, trace: [] }
      : { answer: { tag: "abstain" }, reason: "nothing against it", trace: [] };
  },
};
