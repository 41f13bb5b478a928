"""{{name}}: keeps projects with a certain ending off nodes with a certain label.

What is asked and answered is in wit/policy.wit. A verdict follows from the question and the settings alone: keep nothing
between calls but the settings.
"""

import json

from componentize_py_types import Err
from wit_world import exports
from wit_world.exports import matching, meta

settings = {"label": "gpu", "ending": "-docs"}


class Meta(exports.Meta):
    def describe(self):
        return meta.Description(
            name="{{name}}",
            version="0.1.0",
            summary="Keeps projects with a certain ending off nodes with a certain label.",
            needs=meta.Needs(project=True, node_name=False, labels=[], parameter_values=meta.ParameterValues_None_()),
        )

    def configure(self, text):
        """Settings come as JSON text. What is raised refuses the policy, and the operator reads it."""
        read = json.loads(text)
        unknown = sorted(set(read) - set(settings))
        if unknown:
            raise Err(f"settings has no {unknown[0]}; it takes label, ending")
        if any(not isinstance(value, str) or not value for value in read.values()):
            raise Err("settings.label and settings.ending are texts that are not empty")
        settings.update(read)


class Matching(exports.Matching):
    def matches(self, question):
        label, ending = settings["label"], settings["ending"]
        project = question.project
        if project and project.short_name.endswith(ending) and label in question.node.labels:
            return matching.Verdict(matching.Answer_Veto(), f"projects ending in {ending} keep off {label}", [])
        return matching.Verdict(matching.Answer_Abstain(), "nothing against it", [])
