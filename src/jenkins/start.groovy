// Layshaft sends this to /scriptText of a controller that is configured as `privileged`, to start one build: with
// parameters that the project does not declare, on one node, at once. What it is about comes as data, as JSON in base64,
// and is never part of the program. It prints one line, which begins with a word of that data.
import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import hudson.model.Cause
import hudson.model.CauseAction
import hudson.model.ParametersAction
import hudson.model.ParametersDefinitionProperty
import hudson.model.Queue
import hudson.model.SimpleParameterDefinition
import hudson.model.StringParameterValue
import hudson.model.TextParameterValue
import jenkins.model.Jenkins

// In pieces, since Java has no longer texts than 65535 bytes.
def wanted = new JsonSlurper().parseText(new String([/* REQUEST */].join('').decodeBase64(), 'UTF-8'))
def answer
def step = 'looking for the project'
def asked = false
try {
    def project = Jenkins.instance.getItemByFullName(wanted.project)
    if (!(project instanceof Queue.Task)) {
        answer = [outcome: 'missing']
    } else if (!project.buildable) {
        answer = [outcome: 'disabled']
    } else {
        def sent = [:]
        wanted.parameters.each { pair -> sent[pair[0]] = pair[1] }
        def declared = project.getProperty(ParametersDefinitionProperty)?.parameterDefinitions ?: []
        def values = []
        declared.each { definition ->
            step = 'setting a declared parameter'
            if (!sent.containsKey(definition.name)) {
                values << definition.defaultParameterValue
            } else if (definition instanceof SimpleParameterDefinition) {
                values << definition.createValue(sent[definition.name])
            } else {
                throw new UnsupportedOperationException()
            }
        }
        step = 'setting an undeclared parameter'
        def names = declared.collect { definition -> definition.name }
        sent.each { name, value ->
            if (!names.contains(name)) {
                // A string shows on one line, a text keeps its lines; both are the same to the build.
                values << (value.contains('\n') ? new TextParameterValue(name, value) : new StringParameterValue(name, value))
            }
        }
        def safe = new ArrayList(sent.keySet())
        def pinned = false
        if (wanted.pin != null) {
            step = 'pinning the build'
            // A class of this program would do, but Jenkins refuses to save a build with it. The plugin's own is saved, and
            // the project need not declare the parameter.
            try {
                def type = Jenkins.instance.pluginManager.uberClassLoader.loadClass(
                    'org.jvnet.jenkins.plugins.nodelabelparameter.LabelParameterValue')
                values << type.getConstructor(String, String, String).newInstance(wanted.pin[0], null, wanted.pin[1])
                safe << wanted.pin[0]
                pinned = true
            } catch (ClassNotFoundException missing) {
                pinned = false
            }
        }
        step = 'scheduling the build'
        def actions = [new CauseAction(new Cause.UserIdCause())]
        values = values.findAll { value -> value != null }
        if (!values.isEmpty()) {
            actions << new ParametersAction(values, safe)
        }
        asked = true
        def result = Queue.getInstance().schedule2(project, 0, actions)
        if (result.refused) {
            answer = [outcome: 'refused']
        } else {
            answer = [outcome: 'queued', item: result.item.id, created: result.created, pinned: pinned]
        }
    }
} catch (Throwable problem) {
    // Without its message, which may repeat a value.
    answer = [outcome: 'failed', step: step, problem: problem.class.name, asked: asked]
}
println('layshaft ' + wanted.nonce + ' ' + JsonOutput.toJson(answer))
return null
