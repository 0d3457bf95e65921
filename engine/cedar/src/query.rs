//! One question, prepared once and answered for many variants of the facts that
//! people and agents can better.

use crate::packed::Packed;
use crate::snapshot::{Bucket, Rule, Shape, Snapshot};
use crate::types::{entity_references, references, Vocabulary};
use crate::world::World;
use cedar_policy::{Authorizer, Decision, Effect, PolicySet};
use cedar_policy_core::ast::{
    Context, Entity, EntityUID, EntityUIDEntry, PartialValue, Request, Value, ValueKind,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::ffi::{c_char, CStr, CString};
use std::sync::Arc;

/// Entities one question may bring or reach; a governance ask has about twenty.
const ENTITIES_MAX: usize = 4096;

/// Which sets are asked.
#[derive(Clone, Copy)]
pub struct Parts {
    pub policies: bool,
    pub invariants: bool,
}

/// Facts in place of the ask's own; what is None stays.
#[derive(Default)]
pub struct Variant<'a> {
    pub ttl: Option<&'a str>,
    pub evidence: Option<Vec<&'a str>>,
    pub approvals: Option<Vec<(&'a str, i64)>>,
}

/// What an evaluation said.  The texts belong to the snapshot or are static.
#[derive(Default)]
pub struct Answer {
    pub allow: bool,
    pub reasons: Vec<*const c_char>,
    pub errors: Vec<*const c_char>,
}

/// What could be bettered, as texts for C.
#[derive(Default)]
pub struct RemedyTexts {
    pub groups: Vec<CString>,
    pub evidence: Vec<CString>,
    pub quorum: i64,
}

pub struct Query {
    snapshot: Arc<Snapshot>,
    shape: Shape,
    principal: EntityUIDEntry,
    action: EntityUIDEntry,
    resource: EntityUIDEntry,
    context: BTreeMap<SmolStr, Value>,
    request: Request,
    /// Everything but the ledger, which variants replace.
    others: Entities,
    ledger: Option<Arc<Entity>>,
    entities: Entities,
}

/// The ask's own entities and what they reach in the world.
struct Gathered<'w> {
    own: HashMap<EntityUID, Arc<Entity>>,
    world: Option<&'w World>,
    found: HashMap<EntityUID, Arc<Entity>>,
    waiting: Vec<EntityUID>,
}

impl Gathered<'_> {
    fn wait(&mut self, uid: &EntityUID) {
        if !self.found.contains_key(uid) {
            self.waiting.push(uid.clone());
        }
    }

    fn collect(&mut self) -> Result<(), String> {
        while let Some(uid) = self.waiting.pop() {
            if self.found.contains_key(&uid) {
                continue;
            }
            if self.found.len() >= ENTITIES_MAX {
                return Err("the question reaches too many entities".into());
            }
            if let Some(entity) = self.own.get(&uid) {
                let entity = entity.clone();
                entity_references(&entity, &mut |uid| self.waiting.push(uid.clone()));
                self.found.insert(uid, entity);
            } else if let Some(node) = self.world.and_then(|world| world.nodes.get(&uid)) {
                self.waiting.extend_from_slice(&node.references);
                self.found.insert(uid, node.entity.clone());
            }
        }
        Ok(())
    }

    /// An ask's entity that has parents or stands in for one of the world can
    /// change ancestors of others: then all are computed anew.
    fn must_close(&self) -> bool {
        self.own.iter().any(|(uid, entity)| {
            entity.parents().next().is_some()
                || self
                    .world
                    .is_some_and(|world| world.nodes.contains_key(uid))
        })
    }

    /// The hierarchy, from parents alone, over all that could lie between.
    fn close(mut self) -> Result<Vec<Arc<Entity>>, String> {
        let mut parents: Vec<EntityUID> = self.found.values().flat_map(|e| parents_of(e)).collect();
        while let Some(uid) = parents.pop() {
            if self.found.contains_key(&uid) {
                continue;
            }
            if self.found.len() >= ENTITIES_MAX {
                return Err("the question reaches too many entities".into());
            }
            let world = self.world.and_then(|world| world.nodes.get(&uid));
            let known = self
                .own
                .get(&uid)
                .or_else(|| world.map(|node| &node.entity));
            if let Some(entity) = known {
                parents.extend(parents_of(entity));
                self.found.insert(uid, entity.clone());
            }
        }
        Ok(self
            .found
            .into_values()
            .map(|entity| {
                let mut bare = (*entity).clone();
                bare.remove_all_indirect_ancestors();
                Arc::new(bare)
            })
            .collect())
    }
}

fn parents_of(entity: &Entity) -> Vec<EntityUID> {
    entity.parents().cloned().collect()
}

fn entities_of(list: Vec<Arc<Entity>>, close: bool) -> Result<Entities, String> {
    let computation = if close {
        TCComputation::ComputeNow
    } else {
        TCComputation::AssumeAlreadyComputed
    };
    Entities::new()
        .add_entities(
            list,
            None::<&NoEntitiesSchema>,
            computation,
            Extensions::all_available(),
        )
        .map_err(|e| e.to_string())
}

fn own_entities(
    vocabulary: &Vocabulary,
    ask: &Packed,
) -> Result<HashMap<EntityUID, Arc<Entity>>, String> {
    let mut own = HashMap::new();
    let Some(list) = ask.get("entities") else {
        return Ok(own);
    };
    let list = list.list().ok_or("entities are not an array")?;
    if list.len() > ENTITIES_MAX {
        return Err("too many entities".into());
    }
    for value in list {
        let entity = vocabulary.entity(value)?;
        vocabulary.check_entity(&entity)?;
        let uid = entity.uid().clone();
        if own.insert(uid.clone(), Arc::new(entity)).is_some() {
            return Err(format!("{uid} is given twice"));
        }
    }
    Ok(own)
}

fn context_of(vocabulary: &Vocabulary, ask: &Packed) -> Result<BTreeMap<SmolStr, Value>, String> {
    let Some(value) = ask.get("context") else {
        return Ok(BTreeMap::new());
    };
    let members = value.record().ok_or("context is not an object")?;
    members
        .iter()
        .map(|(name, v)| match vocabulary.value(v) {
            Ok(value) => Ok((SmolStr::new(name), value)),
            Err(error) => Err(format!("context.{name}: {error}")),
        })
        .collect()
}

impl Query {
    /// Reads and validates {"principal", "action", "resource", "context",
    /// "entities"}; a question that does not fit the schema is an error.
    pub fn new(
        snapshot: &Arc<Snapshot>,
        world: Option<&World>,
        ask: &Packed,
    ) -> Result<Self, String> {
        let vocabulary = &snapshot.vocabulary;
        if let Some(world) = world {
            let same = Arc::ptr_eq(&world.vocabulary, vocabulary)
                || world.vocabulary.source == vocabulary.source;
            if !same {
                return Err("the world was built for another schema".into());
            }
        }
        ask.check_members(
            "ask",
            &["principal", "action", "resource", "context", "entities"],
        )?;
        let member = |name: &str| ask.get(name).ok_or_else(|| format!("ask without {name}"));
        let principal = vocabulary.uid(member("principal")?)?;
        let action = vocabulary.action(member("action")?, &principal)?;
        let resource = vocabulary.uid(member("resource")?)?;
        let context = context_of(vocabulary, ask)?;
        let request = vocabulary.request(&principal, action.uid(), &resource, &context)?;

        let mut gathered = Gathered {
            own: own_entities(vocabulary, ask)?,
            world,
            found: HashMap::with_capacity(32),
            waiting: Vec::with_capacity(64),
        };
        gathered.wait(&principal);
        gathered.wait(&resource);
        for value in context.values() {
            references(value, &mut |uid| gathered.wait(uid));
        }
        gathered.collect()?;
        let ledger_uid = match context.get("approvals").map(|v| &v.value) {
            Some(ValueKind::Lit(cedar_policy_core::ast::Literal::EntityUID(uid))) => Some(uid),
            _ => None,
        };
        let close = gathered.must_close();
        let mut list = if close {
            gathered.close()?
        } else {
            gathered.found.into_values().collect()
        };
        list.push(action.clone());
        let ledger = ledger_uid
            .and_then(|uid| list.iter().position(|entity| entity.uid() == uid.as_ref()))
            .map(|at| list.swap_remove(at));
        let others = entities_of(list, close)?;
        let mut query = Query {
            snapshot: snapshot.clone(),
            shape: (
                principal.entity_type().clone(),
                action.uid().clone(),
                resource.entity_type().clone(),
            ),
            principal: EntityUIDEntry::known(principal, None),
            action: EntityUIDEntry::known(action.uid().clone(), None),
            resource: EntityUIDEntry::known(resource, None),
            context,
            request,
            entities: Entities::new(),
            others,
            ledger,
        };
        query.entities = query.with_ledger(query.ledger.clone())?;
        Ok(query)
    }

    fn with_ledger(&self, ledger: Option<Arc<Entity>>) -> Result<Entities, String> {
        self.others
            .clone()
            .add_entities(
                ledger,
                None::<&NoEntitiesSchema>,
                TCComputation::AssumeAlreadyComputed,
                Extensions::all_available(),
            )
            .map_err(|e| e.to_string())
    }

    /// The ledger with other tags.
    fn ledger_of(&self, approvals: &[(&str, i64)]) -> Result<Arc<Entity>, String> {
        let ledger = self.ledger.as_ref().ok_or("the ask has no ledger")?;
        Ok(Arc::new(Entity::new_with_attr_partial_value(
            ledger.uid().clone(),
            ledger.attrs().map(|(k, v)| (k.clone(), v.clone())),
            ledger.indirect_ancestors().cloned().collect(),
            ledger.parents().cloned().collect::<HashSet<_>>(),
            approvals
                .iter()
                .map(|(group, n)| (SmolStr::new(group), PartialValue::Value(Value::from(*n)))),
        )))
    }

    /// The request and entities of a variant.  Members keep their types, so the
    /// request stays valid; a member the ask lacks is not made up.
    fn vary(&self, variant: &Variant) -> Result<(Request, Option<Entities>), String> {
        let vocabulary = &self.snapshot.vocabulary;
        let mut context = self.context.clone();
        if let Some(ttl) = variant.ttl {
            let slot = context.get_mut("ttl").ok_or("the ask has no ttl")?;
            *slot = vocabulary.extension("duration", ttl)?;
        }
        if let Some(evidence) = &variant.evidence {
            let slot = context
                .get_mut("evidence")
                .ok_or("the ask has no evidence")?;
            let items: Option<Vec<_>> = evidence
                .iter()
                .map(|id| vocabulary.evidence_value(id))
                .collect();
            *slot = Value::set(items.ok_or("the schema has no evidence")?, None);
        }
        let entities = match &variant.approvals {
            None => None,
            Some(approvals) => Some(self.with_ledger(Some(self.ledger_of(approvals)?))?),
        };
        let request = Request::new_unchecked(
            self.principal.clone(),
            self.action.clone(),
            self.resource.clone(),
            Some(Context::Value(Arc::new(context))),
        );
        Ok((request, entities))
    }

    fn bucket(&self) -> Option<&Bucket> {
        self.snapshot.index.get(&self.shape)
    }

    fn linked<'b>(&self, bucket: &'b Bucket) -> impl Iterator<Item = &'b Arc<Rule>> {
        let mut keys: Vec<&EntityUID> = Vec::new();
        if !bucket.links.is_empty() {
            keys.extend(self.principal.uid());
            keys.extend(self.resource.uid().filter(|uid| !keys.contains(uid)));
        }
        let found: Vec<_> = keys.iter().filter_map(|k| bucket.links.get(*k)).collect();
        found.into_iter().flatten()
    }

    /// Evaluates as it is, or a variant of it.
    pub fn run(&self, variant: Option<&Variant>, parts: Parts) -> Result<Answer, String> {
        let varied = match variant {
            None => None,
            Some(variant) => Some(self.vary(variant)?),
        };
        let (request, entities) = match &varied {
            None => (&self.request, &self.entities),
            Some((request, None)) => (request, &self.entities),
            Some((request, Some(entities))) => (request, entities),
        };
        let Some(bucket) = self.bucket() else {
            return Ok(Answer::default());
        };
        let evaluator = Evaluator::new(request.clone(), entities, Extensions::all_available());
        let mut answer = Answer {
            allow: true,
            ..Answer::default()
        };
        if parts.policies {
            let rules = bucket.policies.iter().chain(self.linked(bucket));
            answer = decide(&evaluator, rules);
        }
        if parts.invariants && answer.allow {
            let ceiling = decide(&evaluator, bucket.invariants.iter());
            if !parts.policies {
                return Ok(ceiling);
            }
            if !ceiling.allow {
                answer.allow = false;
                answer.reasons.clear();
                answer.errors = ceiling.errors;
                answer.errors.push(CEILING.as_ptr());
            }
        }
        Ok(answer)
    }

    /// The same question to the whole sets, by the official authorizer.
    pub fn run_whole(&self, parts: Parts) -> Result<bool, String> {
        let request = cedar_policy::Request::from(self.request.clone());
        let entities = cedar_policy::Entities::from(self.entities.clone());
        let ask = |set: &PolicySet| {
            let response = Authorizer::new().is_authorized(&request, set, &entities);
            response.decision() == Decision::Allow
                && response.diagnostics().errors().next().is_none()
        };
        Ok((!parts.policies || ask(&self.snapshot.policies))
            && (!parts.invariants || ask(&self.snapshot.invariants)))
    }

    /// What could be bettered, as the policies for this question name it.
    pub fn remedies(&self) -> RemedyTexts {
        let Some(bucket) = self.bucket() else {
            return RemedyTexts::default();
        };
        let remedies = &bucket.remedies;
        let mut groups = remedies.groups.clone();
        let evaluator = Evaluator::new(
            self.request.clone(),
            &self.entities,
            Extensions::all_available(),
        );
        for named in &remedies.named {
            let value = evaluator.interpret(named, &HashMap::new());
            if let Ok(ValueKind::Lit(cedar_policy_core::ast::Literal::String(name))) =
                value.map(|value| value.value)
            {
                if !groups.contains(&name) {
                    groups.push(name);
                }
            }
        }
        let texts = |list: &[SmolStr]| {
            list.iter()
                .filter_map(|text| CString::new(text.as_str()).ok())
                .collect()
        };
        RemedyTexts {
            groups: texts(&groups),
            evidence: texts(&remedies.evidence),
            quorum: remedies.quorum,
        }
    }
}

const CEILING: &CStr = c"ceiling";

/// Cedar's rule: some permit and no forbid; and, beyond Cedar, nothing erred,
/// because a forbid that errs would be skipped.
fn decide<'r>(evaluator: &Evaluator, rules: impl Iterator<Item = &'r Arc<Rule>>) -> Answer {
    let mut permits = Vec::new();
    let mut forbids = Vec::new();
    let mut errors = Vec::new();
    for rule in rules {
        let outcome = evaluator
            .interpret(&rule.condition, &rule.slots)
            .map(|value| value.value);
        match outcome {
            Ok(ValueKind::Lit(cedar_policy_core::ast::Literal::Bool(false))) => {}
            Ok(ValueKind::Lit(cedar_policy_core::ast::Literal::Bool(true))) => match rule.effect {
                Effect::Permit => permits.push(rule.id.as_ptr()),
                Effect::Forbid => forbids.push(rule.id.as_ptr()),
            },
            _ => errors.push(rule.id.as_ptr()),
        }
    }
    let allowed = forbids.is_empty() && !permits.is_empty();
    Answer {
        allow: allowed && errors.is_empty(),
        reasons: if allowed { permits } else { forbids },
        errors,
    }
}
