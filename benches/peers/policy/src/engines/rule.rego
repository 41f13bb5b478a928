package params

rules := [
	{"name": "team-a", "prefix": "team-a/", "names": {"BRANCH", "VERSION", "TARGET"}},
	{"name": "team-b", "prefix": "team-b/", "names": {"GERRIT_REFSPEC", "GERRIT_BRANCH", "BUILD_TYPE"}},
	{"name": "team-c", "prefix": "team-c/", "names": {"RELEASE_BRANCH", "VERSION", "DEPLOY_TARGET"}},
	{"name": "team-d", "prefix": "team-d/", "names": {"SUITE", "SEED", "RETRIES"}},
]

default rule := {"name": "others", "names": set()}

rule := found if {
	some found in rules
	startswith(input.project.full_name, found.prefix)
}

denied if {
	some parameter in input.requested
	parameter.name == "LD_PRELOAD"
}

passes(name) if startswith(name, "ZUUL_")

passes(name) if name in rule.names

allowed := [parameter.name | some parameter in input.requested; passes(parameter.name)]

verdict := {
	"rejected": true,
	"allowed": [],
	"reason": "parameter `LD_PRELOAD` is denied by deny rule `loader`: it would run code on the node",
} if {
	denied
}

verdict := {
	"rejected": false,
	"allowed": allowed,
	"reason": sprintf("rule `%s` allows %d, leaves out %d", [
		rule.name,
		count(allowed),
		count(input.requested) - count(allowed),
	]),
} if {
	not denied
}
