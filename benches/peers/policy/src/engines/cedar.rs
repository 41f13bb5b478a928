//! cedar-policy 4.14: allows or denies one thing at a time, so it is asked once for each requested parameter. The facts of
//! the question are entities, made once for each question; lists and reasons are put together here.

use std::collections::{HashMap, HashSet};

use anyhow::{Context as _, Result};
use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

use super::{Decide, Engine};
use crate::question::{Answer, Question};

pub(super) struct Cedar {
    authorizer: Authorizer,
    policies: PolicySet,
    client: EntityUid,
    pass: EntityUid,
    project: EntityTypeName,
}

impl Cedar {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            authorizer: Authorizer::new(),
            policies: include_str!("rule.cedar").parse()?,
            client: r#"Client::"gearman""#.parse()?,
            pass: r#"Action::"pass""#.parse()?,
            project: "Project".parse()?,
        })
    }

    fn entities(&self, project: &EntityUid, question: &Question) -> Result<Entities> {
        let labels = question.node.labels.iter().map(|label| text(label));
        let declared = question.declared.iter();
        let declared = declared.map(|parameter| (parameter.name.clone(), text(&parameter.kind)));
        let requested = question.requested.iter();
        let requested = requested.map(|parameter| (parameter.name.clone(), text(&parameter.value)));
        let facts = [
            ("controller", text(&question.controller)),
            ("full_name", text(&question.project.full_name)),
            ("short_name", text(&question.project.short_name)),
            ("kind", text(&question.project.kind)),
            ("function", text(&question.function)),
            ("label", text(&question.label)),
            ("built_in", RestrictedExpression::new_bool(question.node.built_in)),
            ("exclusive", RestrictedExpression::new_bool(question.node.exclusive)),
            ("labels", RestrictedExpression::new_set(labels)),
            ("declared", RestrictedExpression::new_record(declared)?),
            ("requested", RestrictedExpression::new_record(requested)?),
        ];
        let facts: HashMap<_, _> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(Entities::from_entities([Entity::new(project.clone(), facts, HashSet::new())?], None)?)
    }

    fn decide(&self, question: &Question) -> Result<Answer> {
        let id = EntityId::new(&question.project.full_name);
        let project = EntityUid::from_type_name_and_id(self.project.clone(), id);
        let entities = self.entities(&project, question)?;
        let mut allowed = Vec::new();
        let mut rule = None;
        for parameter in &question.requested {
            let context = Context::from_pairs([("name".to_owned(), text(&parameter.name))])?;
            let request = Request::new(self.client.clone(), self.pass.clone(), project.clone(), context, None)?;
            let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
            let policy = response.diagnostics().reason().next();
            match (response.decision(), policy) {
                (Decision::Allow, Some(policy)) => {
                    rule = Some(policy.clone());
                    allowed.push(parameter.name.clone());
                }
                (Decision::Deny, Some(policy)) => {
                    let said = |of: &str| self.policies.annotation(policy, of).unwrap_or_default();
                    let name = &parameter.name;
                    let reason =
                        format!("parameter `{name}` is denied by deny rule `{}`: {}", said("name"), said("reason"));
                    return Ok(Answer { rejected: true, allowed: Vec::new(), reason });
                }
                _ => {}
            }
        }
        let rule = rule.and_then(|policy| self.policies.annotation(&policy, "name"));
        let rule = rule.context("nothing passes, so no policy has said what it is called")?;
        let left_out = question.requested.len() - allowed.len();
        let reason = format!("rule `{rule}` allows {}, leaves out {left_out}", allowed.len());
        Ok(Answer { rejected: false, allowed, reason })
    }
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

impl Engine for Cedar {
    fn name(&self) -> &'static str {
        "cedar-policy 4.14, once per name"
    }

    fn ready<'a>(&'a mut self, question: &'a Question) -> Result<Decide<'a>> {
        Ok(Box::new(|| self.decide(question)))
    }
}
