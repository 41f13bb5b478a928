use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::super::{Declaration, Missing, config_xml, jjb, missing, read_payloads};
use super::{both, clean, parameter, seen};
use crate::domain::{ControllerName, ProjectName};

fn declarations() -> Vec<Declaration> {
    [("UUID", true), ("CHANGE", false)].map(|(name, is_marker)| Declaration { name: name.to_owned(), is_marker }).into()
}

#[track_caller]
fn check(document: &str, expected: Expect) {
    let patch = config_xml::patch("config.xml", document, &declarations()[..1]);
    expected.assert_eq(&patch.unwrap_or_else(|| "none\n".to_owned()));
}

#[test]
fn parameters_go_behind_those_that_are_there_and_no_patch_shows_them() {
    check(
        "<?xml version='1.1' encoding='UTF-8'?>\n<project>\n  <!-- <properties/> -->\n  <properties>\n    \
         <hudson.model.ParametersDefinitionProperty>\n      <parameterDefinitions>\n        \
         <hudson.model.PasswordParameterDefinition>\n          <name>P</name>\n          \
         <defaultValue>{hunter2}</defaultValue>\n        </hudson.model.PasswordParameterDefinition>\n      \
         </parameterDefinitions>\n    </hudson.model.ParametersDefinitionProperty>\n  </properties>\n</project>\n",
        expect![[r#"
            --- a/config.xml
            +++ b/config.xml
            @@ -10,2 +10,8 @@
                     </hudson.model.PasswordParameterDefinition>
            +        <hudson.model.StringParameterDefinition>
            +          <name>UUID</name>
            +          <description>Ties a build to its Gearman job.</description>
            +          <defaultValue></defaultValue>
            +          <trim>false</trim>
            +        </hudson.model.StringParameterDefinition>
                   </parameterDefinitions>
        "#]],
    );
}

#[test]
fn a_project_without_parameters_gets_the_property_around_them() {
    check(
        "<project>\n  <keepDependencies>false</keepDependencies>\n  <properties/>\n  <scm class=\"hudson.scm.NullSCM\"/>\n</project>\n",
        expect![[r#"
            --- a/config.xml
            +++ b/config.xml
            @@ -2,3 +2,14 @@
               <keepDependencies>false</keepDependencies>
            -  <properties/>
            +  <properties>
            +    <hudson.model.ParametersDefinitionProperty>
            +      <parameterDefinitions>
            +        <hudson.model.StringParameterDefinition>
            +          <name>UUID</name>
            +          <description>Ties a build to its Gearman job.</description>
            +          <defaultValue></defaultValue>
            +          <trim>false</trim>
            +        </hudson.model.StringParameterDefinition>
            +      </parameterDefinitions>
            +    </hudson.model.ParametersDefinitionProperty>
            +  </properties>
               <scm class="hudson.scm.NullSCM"/>
        "#]],
    );
    check(
        "<flow-definition plugin=\"workflow-job@1\">\n  <properties>\n    <x.Property plugin=\"x@1\"/>\n  </properties>\n</flow-definition>",
        expect![[r#"
            --- a/config.xml
            +++ b/config.xml
            @@ -3,2 +3,12 @@
                 <x.Property plugin="x@1"/>
            +    <hudson.model.ParametersDefinitionProperty>
            +      <parameterDefinitions>
            +        <hudson.model.StringParameterDefinition>
            +          <name>UUID</name>
            +          <description>Ties a build to its Gearman job.</description>
            +          <defaultValue></defaultValue>
            +          <trim>false</trim>
            +        </hudson.model.StringParameterDefinition>
            +      </parameterDefinitions>
            +    </hudson.model.ParametersDefinitionProperty>
               </properties>
        "#]],
    );
}

#[test]
fn a_document_of_another_layout_gets_no_patch_rather_than_a_wrong_one() {
    for document in [
        "",
        "<project><properties/></project>\n",
        "<project>\n</project>\n",
        "<project>\n  <a>\n  <properties/>\n  </a>\n</project>\n",
        "<project>\n  <script><![CDATA[\n  <properties/>\n]]></script>\n</project>\n",
        "<project>\n  <token>hunter2</token>\n  <properties/>\n  <scm/>\n</project>\n",
        "<project>\n  <actions/>\n  <properties>\n  </properties>\n",
        "<project>\n  <actions/>\n  </b>\n  <properties/>\n  <scm/>\n</project>\n",
    ] {
        assert_eq!(config_xml::patch("config.xml", document, &declarations()), None, "{document}");
    }
}

proptest! {
    #[test]
    fn no_document_makes_the_patcher_panic(lines in prop::collection::vec("[ ]{0,2}(</?properties/?>|<[!?a/]?-?-?|[<>\"'/a é\r]{0,9}|<a>|</a>|<!\\[CDATA\\[|\\]\\]>)", 0..12)) {
        let document = lines.join("\n");
        if let Some(patch) = config_xml::patch("config.xml", &document, &declarations()) {
            prop_assert!(patch.contains("@@ -"));
        }
    }
}

#[test]
fn macros_declare_what_is_missing_once_for_all_projects_that_need_the_same() {
    let mut facts = clean();
    both(&mut facts, "lint", |project| drop(project.parameters.as_mut().unwrap().remove(0)));
    seen(&mut facts, 1).projects[1].parameters.as_mut().unwrap().push(parameter("B", "Text"));
    let payloads = "build:lint {\"A\": 1, \"${x}\": 2}\nbuild:test {A: 1, B: 2}\nbuild:team/test {\"UUID\": 1}\n";
    facts.sent = read_payloads(payloads).unwrap();
    let yaml = jjb::macros(&missing(&facts));
    expect![[r#"
        # Written by layshaft doctor. Name the macro among the `parameters` of each project's job.

        # lint on ci1, ci2
        #   left out, since its name is no name of a parameter: ${x}
        - parameter:
            name: 'layshaft-parameters-of-lint'
            parameters:
              - string:
                  name: 'UUID'
                  default: ''
                  description: 'Ties a build to its Gearman job.'
              - text:
                  name: 'A'
                  default: ''
                  description: 'Sent by Gearman clients.'

        # team/test on ci2
        - parameter:
            name: 'layshaft-parameters-of-team-test'
            parameters:
              - text:
                  name: 'A'
                  default: ''
                  description: 'Sent by Gearman clients.'

        # team/test on ci1
        - parameter:
            name: 'layshaft-parameters-of-team-test-2'
            parameters:
              - text:
                  name: 'A'
                  default: ''
                  description: 'Sent by Gearman clients.'
              - text:
                  name: 'B'
                  default: ''
                  description: 'Sent by Gearman clients.'
    "#]]
    .assert_eq(&yaml);
}

#[test]
fn a_hostile_project_name_stays_in_its_comment() {
    let missing = Missing {
        project: ProjectName::new("a\n- job: {name: x}"),
        controllers: [ControllerName::new("ci")].into(),
        declarations: declarations(),
        left_out: vec!["b\n- x".to_owned()],
    };
    let yaml = jjb::macros(&[missing]);
    assert!(yaml.contains("# a?- job: {name: x} on ci\n") && yaml.contains(": b?- x\n"), "{yaml}");
    assert!(yaml.contains("name: 'layshaft-parameters-of-a---job---name--x-'"), "{yaml}");
}
