// A policy of 12 MB that abstains, to see what a change of a large module costs: StarlingMonkey, an engine that no author is
// advised to take, is most of it. benches/README.md says how it is built.

export const meta = {
  describe() {
    return {
      name: "large",
      version: "0.1.0",
      summary: "Abstains, in twelve megabytes.",
      needs: { project: false, nodeName: false, labels: [], parameterValues: { tag: "none" } },
    };
  },

  configure() {},
};

export const matching = {
  matches() {
    return { answer: { tag: "abstain" }, reason: "nothing against it", trace: [] };
  },
};
