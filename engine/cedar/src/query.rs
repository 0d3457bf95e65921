//! One question, prepared once and answered for many variants of the facts that
//! people and agents can better.

use crate::packed::Packed;
use crate::rules::{Atoms, Facts, Key, Memo, Outcome, Reads, APPROVALS, EVIDENCE, MODE, TTL};
use crate::snapshot::{Lane, Ready, Remedies, Rule, Rules, Shape, Snapshot};
use crate::types::{entity_references, references, Vocabulary};
use crate::world::World;
use cedar_policy::{Authorizer, Decision, Effect, PolicySet};
use cedar_policy_core::ast::{
    Context, Entity, EntityUID, EntityUIDEntry, Literal, PartialValue, Request, Value, ValueKind,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::evaluator::Evaluator;
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;
use std::borrow::Cow;
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
    pub mode: Option<&'a str>,
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

/// struct writ_cedar_shadow
#[repr(C)]
#[derive(Clone, Copy)]
pub struct Shadow {
    id: *const c_char,
    would: *const c_char,
}

/// What could be bettered, as texts for C.
#[derive(Default)]
pub struct RemedyTexts {
    pub groups: Vec<CString>,
    pub evidence: Vec<CString>,
    pub quorum: i64,
}

/// The facts that variants replace, as they are now.
struct Now {
    context: Value,
    entities: Entities,
    /// Tags of the ledger if they are a variant's.
    tags: Option<Vec<(SmolStr, i64)>>,
    memo: Memo,
}

pub struct Query {
    snapshot: Arc<Snapshot>,
    /// None for what is not in the index.
    lane: Option<Arc<Lane>>,
    principal: Value,
    action: Value,
    resource: Value,
    /// The question's own.
    context: Value,
    /// Everything but the ledger, once a variant has replaced that.
    others: Option<Entities>,
    ledger: Option<Arc<Entity>>,
    now: Now,
}

/// What a question consists of, checked or correct by construction.
pub struct Whole {
    pub principal: EntityUID,
    pub action: EntityUID,
    pub resource: EntityUID,
    pub context: BTreeMap<SmolStr, Value>,
    pub others: Entities,
    pub ledger: Option<Arc<Entity>>,
}

/// The ask's own entities and what they reach in the world.
pub struct Gathered<'w> {
    own: HashMap<EntityUID, Arc<Entity>>,
    world: Option<&'w World>,
    found: HashMap<EntityUID, Arc<Entity>>,
    waiting: Vec<EntityUID>,
}

impl<'w> Gathered<'w> {
    /// Of the world alone.
    pub fn new(world: Option<&'w World>) -> Self {
        Gathered {
            own: HashMap::new(),
            world,
            found: HashMap::new(),
            waiting: Vec::new(),
        }
    }

    /// All that was waited for and what it reaches.
    pub fn take(mut self) -> Result<Vec<Arc<Entity>>, String> {
        self.collect()?;
        Ok(self.found.into_values().collect())
    }

    pub fn wait(&mut self, uid: &EntityUID) {
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

pub fn entities_of(list: Vec<Arc<Entity>>, close: bool) -> Result<Entities, String> {
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

pub fn check_world(vocabulary: &Arc<Vocabulary>, world: Option<&World>) -> Result<(), String> {
    let Some(world) = world else { return Ok(()) };
    let same =
        Arc::ptr_eq(&world.vocabulary, vocabulary) || world.vocabulary.source == vocabulary.source;
    if same {
        return Ok(());
    }
    Err("the world was built for another schema".into())
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
        check_world(vocabulary, world)?;
        ask.check_members(
            "ask",
            &["principal", "action", "resource", "context", "entities"],
        )?;
        let member = |name: &str| ask.get(name).ok_or_else(|| format!("ask without {name}"));
        let principal = vocabulary.uid(member("principal")?)?;
        let action = vocabulary.action(member("action")?, &principal)?;
        let resource = vocabulary.uid(member("resource")?)?;
        let context = context_of(vocabulary, ask)?;
        vocabulary.request(&principal, action.uid(), &resource, &context)?;

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
        Query::of(
            snapshot,
            Whole {
                principal,
                action: action.uid().clone(),
                resource,
                context,
                others,
                ledger,
            },
        )
    }

    /// Makes a question of its parts.
    pub fn of(snapshot: &Arc<Snapshot>, whole: Whole) -> Result<Self, String> {
        let shape: Shape = (
            whole.principal.entity_type().clone(),
            whole.action.clone(),
            whole.resource.entity_type().clone(),
        );
        let lane = snapshot.index.get(&shape).cloned();
        let memo = lane
            .as_ref()
            .map_or_else(Memo::default, |lane| Memo::new(&lane.bucket.atoms));
        let context = Value::record_arc(Arc::new(whole.context), None);
        let entities = with_ledger(whole.others, whole.ledger.clone())?;
        Ok(Query {
            snapshot: snapshot.clone(),
            lane,
            principal: Value::from(whole.principal),
            action: Value::from(whole.action),
            resource: Value::from(whole.resource),
            now: Now {
                context: context.clone(),
                entities,
                tags: None,
                memo,
            },
            context,
            others: None,
            ledger: whole.ledger,
        })
    }

    /// Whether another query asks the same.
    pub fn is_same(&self, other: &Query) -> bool {
        self.principal == other.principal
            && self.action == other.action
            && self.resource == other.resource
            && self.now.context == other.now.context
            && self.now.entities.deep_eq(&other.now.entities)
    }

    /// The ledger with other tags.
    fn ledger_of(&self, approvals: &[(SmolStr, i64)]) -> Result<Arc<Entity>, String> {
        let ledger = self.ledger.as_ref().ok_or("the ask has no ledger")?;
        Ok(Arc::new(Entity::new_with_attr_partial_value(
            ledger.uid().clone(),
            ledger.attrs().map(|(k, v)| (k.clone(), v.clone())),
            ledger.indirect_ancestors().cloned().collect(),
            ledger.parents().cloned().collect::<HashSet<_>>(),
            approvals
                .iter()
                .map(|(group, n)| (group.clone(), PartialValue::Value(Value::from(*n)))),
        )))
    }

    /// Sets a member of the context to a variant's value or to the question's
    /// own; true if that changed it.  A member the ask lacks is not made up.
    fn set_member(&mut self, name: &str, varied: Option<Value>) -> Result<bool, String> {
        let own = member_of(&self.context, name);
        let wanted = match (&varied, own) {
            (None, None) => return Ok(false),
            (Some(_), None) => return Err(format!("the ask has no {name}")),
            (Some(varied), Some(_)) => varied,
            (None, Some(own)) => own,
        };
        if member_of(&self.now.context, name) == Some(wanted) {
            return Ok(false);
        }
        let wanted = wanted.clone();
        if let ValueKind::Record(members) = &mut self.now.context.value {
            Arc::make_mut(members).insert(SmolStr::new(name), wanted);
        }
        Ok(true)
    }

    /// The entities without the ledger.
    fn others(&mut self) -> Result<Entities, String> {
        if let Some(others) = &self.others {
            return Ok(others.clone());
        }
        let ledger = self.ledger.iter().map(|ledger| ledger.uid().clone());
        let others = std::mem::take(&mut self.now.entities)
            .remove_entities(ledger, TCComputation::AssumeAlreadyComputed)
            .map_err(|e| e.to_string())?;
        self.others = Some(others.clone());
        Ok(others)
    }

    fn set_tags(&mut self, tags: Option<Vec<(SmolStr, i64)>>) -> Result<bool, String> {
        if self.now.tags == tags {
            return Ok(false);
        }
        let ledger = match &tags {
            None => self.ledger.clone(),
            Some(tags) => Some(self.ledger_of(tags)?),
        };
        let entities = self.others().and_then(|others| with_ledger(others, ledger));
        if entities.is_err() {
            // Nothing is left to be asked about: from here on it denies.
            self.lane = None;
        }
        self.now.entities = entities?;
        self.now.tags = tags;
        Ok(true)
    }

    fn evidence_of(&self, kinds: &[&str]) -> Result<Value, String> {
        let items: Option<Vec<_>> = kinds
            .iter()
            .map(|id| self.snapshot.vocabulary.evidence_value(id))
            .collect();
        Ok(Value::set(items.ok_or("the schema has no evidence")?, None))
    }

    /// Another member of the enumerated type of a member of the context.
    fn mode_of(&self, id: &str) -> Result<Value, String> {
        match member_of(&self.context, "mode").map(Value::value_kind) {
            Some(ValueKind::Lit(Literal::EntityUID(uid))) => self
                .snapshot
                .vocabulary
                .member(uid.entity_type(), id)
                .ok_or_else(|| format!("the schema has no mode '{id}'")),
            _ => Err("the ask has no mode".into()),
        }
    }

    /// Makes the facts those of a variant.  Members keep their types, so the
    /// question stays valid.
    fn vary(&mut self, variant: &Variant) -> Result<(), String> {
        let ttl = match variant.ttl {
            None => None,
            Some(text) => Some(self.snapshot.vocabulary.extension("duration", text)?),
        };
        let mode = variant.mode.map(|id| self.mode_of(id)).transpose()?;
        let evidence = match &variant.evidence {
            None => None,
            Some(kinds) => Some(self.evidence_of(kinds)?),
        };
        let tags = variant.approvals.as_ref().map(|approvals| {
            let tags = approvals.iter();
            tags.map(|(group, n)| (SmolStr::new(group), *n)).collect()
        });
        let mut changed: Reads = 0;
        let result = self.set_all(ttl, mode, evidence, tags, &mut changed);
        if let Some(lane) = &self.lane {
            self.now.memo.forget(&lane.bucket.atoms, changed);
        }
        result
    }

    fn set_all(
        &mut self,
        ttl: Option<Value>,
        mode: Option<Value>,
        evidence: Option<Value>,
        tags: Option<Vec<(SmolStr, i64)>>,
        changed: &mut Reads,
    ) -> Result<(), String> {
        for (bit, name, value) in [
            (TTL, "ttl", ttl),
            (MODE, "mode", mode),
            (EVIDENCE, "evidence", evidence),
        ] {
            if self.set_member(name, value)? {
                *changed |= bit;
            }
        }
        if self.set_tags(tags)? {
            *changed |= APPROVALS;
        }
        Ok(())
    }

    fn request(&self) -> Request {
        let context = match &self.now.context.value {
            ValueKind::Record(members) => Context::Value(members.clone()),
            _ => Context::empty(),
        };
        Request::new_unchecked(
            entry(&self.principal),
            entry(&self.action),
            entry(&self.resource),
            Some(context),
        )
    }

    fn facts(&self) -> Facts<'_> {
        Facts {
            evaluator: Evaluator::new(
                self.request(),
                &self.now.entities,
                Extensions::all_available(),
            ),
            principal: &self.principal,
            action: &self.action,
            resource: &self.resource,
            context: &self.now.context,
            entities: &self.now.entities,
        }
    }

    /// What a key could be equal to: principal and resource, and, if there are
    /// keys of groups, what they are within.
    fn keys(&self, facts: &Facts, within: bool) -> Vec<Key> {
        let mut keys = Vec::new();
        for value in [&self.principal, &self.resource] {
            let Some(uid) = uid_of(value) else { continue };
            keys.push(Key::Is(uid.clone()));
            if !within {
                continue;
            }
            keys.push(Key::Within(uid.clone()));
            if let Some(entity) = facts.entity(value) {
                keys.extend(entity.ancestors().cloned().map(Key::Within));
            }
        }
        let mut seen = HashSet::new();
        keys.retain(|key| seen.insert(key.clone()));
        keys
    }

    fn linked<'b>(&self, lane: &'b Lane) -> impl Iterator<Item = &'b Arc<Rule>> {
        let mut keys: Vec<&EntityUID> = Vec::new();
        if !lane.links.is_empty() {
            keys.extend(uid_of(&self.principal));
            keys.extend(uid_of(&self.resource).filter(|uid| !keys.contains(uid)));
        }
        let found: Vec<_> = keys.iter().filter_map(|k| lane.links.get(*k)).collect();
        lane.loose.iter().chain(found.into_iter().flatten())
    }

    /// Evaluates as it is, or a variant of it.
    pub fn run(&mut self, variant: Option<&Variant>, parts: Parts) -> Result<Answer, String> {
        self.vary(variant.unwrap_or(&Variant::default()))?;
        let Some(lane) = self.lane.clone() else {
            return Ok(Answer::default());
        };
        let mut memo = std::mem::take(&mut self.now.memo);
        let answer = self.answer(&lane, parts, &mut memo);
        self.now.memo = memo;
        Ok(answer)
    }

    fn answer(&self, lane: &Lane, parts: Parts, memo: &mut Memo) -> Answer {
        let bucket = &lane.bucket;
        let facts = self.facts();
        let mut answer = Answer {
            allow: true,
            ..Answer::default()
        };
        if parts.policies {
            let mut tally = Tally::default();
            self.count(&bucket.policies, &bucket.atoms, &facts, memo, &mut tally);
            for (at, rule) in self.linked(lane).enumerate() {
                let outcome = match facts.evaluator.interpret(&rule.condition, &rule.slots) {
                    Ok(value) => truth(&value),
                    Err(_) => Outcome::Error,
                };
                tally.add(u64::from(u32::MAX) + at as u64, rule, outcome);
            }
            answer = tally.answer();
            self.note(&answer);
        }
        if parts.invariants && answer.allow {
            let mut tally = Tally::default();
            self.count(&bucket.invariants, &bucket.atoms, &facts, memo, &mut tally);
            let ceiling = tally.answer();
            self.note(&ceiling);
            if !parts.policies {
                return ceiling;
            }
            if !ceiling.allow {
                answer.allow = false;
                answer.reasons.clear();
                answer.errors = ceiling.errors;
                answer.errors.push(CEILING.as_ptr());
            }
        }
        answer
    }

    /// Tells a snapshot that is watched what decided.
    fn note(&self, answer: &Answer) {
        let Some(watch) = &self.snapshot.watch else {
            return;
        };
        let Ok(mut ids) = watch.lock() else { return };
        for id in answer.reasons.iter().chain(&answer.errors) {
            // SAFETY: it points to the id of a rule that the snapshot holds.
            let id = unsafe { CStr::from_ptr(*id) };
            ids.insert(id.to_string_lossy().into_owned());
        }
    }

    /// What the shadows say of the question as it was asked: those that hold
    /// or err.  Nothing obeys them.
    pub fn shadows(&mut self) -> Result<Vec<Shadow>, String> {
        self.vary(&Variant::default())?;
        let Some(lane) = self.lane.clone() else {
            return Ok(Vec::new());
        };
        let bucket = &lane.bucket;
        let mut memo = std::mem::take(&mut self.now.memo);
        let mut tally = Tally::default();
        let facts = self.facts();
        self.count(
            &bucket.shadows,
            &bucket.atoms,
            &facts,
            &mut memo,
            &mut tally,
        );
        drop(facts);
        self.now.memo = memo;
        let told = |would: &'static CStr| {
            move |(_, rule): (u64, &Arc<Rule>)| Shadow {
                id: rule.id.as_ptr(),
                would: would.as_ptr(),
            }
        };
        let permits = tally.permits.into_iter().map(told(c"permit"));
        let forbids = tally.forbids.into_iter().map(told(c"forbid"));
        let errors = tally.errors.into_iter().map(told(c"error"));
        Ok(forbids.chain(permits).chain(errors).collect())
    }

    fn count<'b>(
        &self,
        rules: &'b Rules,
        atoms: &Atoms,
        facts: &Facts,
        memo: &mut Memo,
        tally: &mut Tally<'b>,
    ) {
        for group in &rules.always {
            let lead = match group.lead {
                None => Outcome::True,
                Some((number, wanted)) => match (atoms.ask(number, facts, memo), wanted) {
                    (Outcome::Error, _) => Outcome::Error,
                    (outcome, wanted) => (outcome == Outcome::from(wanted)).into(),
                },
            };
            if lead == Outcome::False {
                continue;
            }
            for ready in &group.list {
                if self.snapshot.lacks(&ready.rule) {
                    continue;
                }
                let outcome = match lead {
                    Outcome::Error => lead,
                    _ => atoms.outcome(&ready.tree, facts, memo),
                };
                tally.add(ready.place.into(), &ready.rule, outcome);
            }
        }
        for (ready, _) in self.keyed(rules, facts) {
            if self.snapshot.lacks(&ready.rule) {
                continue;
            }
            let outcome = atoms.outcome(&ready.tree, facts, memo);
            tally.add(ready.place.into(), &ready.rule, outcome);
        }
    }

    fn keyed<'b>(&self, rules: &'b Rules, facts: &Facts) -> Vec<&'b (Ready, Remedies)> {
        if rules.keyed.is_empty() {
            return Vec::new();
        }
        let keys = self.keys(facts, rules.within);
        keys.iter()
            .filter_map(|key| rules.keyed.get(key))
            .flatten()
            .collect()
    }

    /// The same question to the whole sets, by the official authorizer.
    pub fn run_whole(&self, parts: Parts) -> Result<bool, String> {
        let request = cedar_policy::Request::from(self.request());
        let entities = cedar_policy::Entities::from(self.now.entities.clone());
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
        let Some(lane) = &self.lane else {
            return RemedyTexts::default();
        };
        let facts = self.facts();
        let mut remedies = Cow::Borrowed(&lane.bucket.remedies);
        for (_, more) in self.keyed(&lane.bucket.policies, &facts) {
            remedies.to_mut().merge(more);
        }
        if let Cow::Owned(merged) = &mut remedies {
            merged.sort(&self.snapshot.vocabulary);
        }
        let mut groups = remedies.groups.clone();
        for named in &remedies.named {
            let value = facts.evaluator.interpret(named, &HashMap::new());
            if let Ok(ValueKind::Lit(Literal::String(name))) = value.map(|value| value.value) {
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

fn uid_of(value: &Value) -> Option<&EntityUID> {
    match value.value_kind() {
        ValueKind::Lit(Literal::EntityUID(uid)) => Some(uid),
        _ => None,
    }
}

fn entry(value: &Value) -> EntityUIDEntry {
    match value.value_kind() {
        ValueKind::Lit(Literal::EntityUID(uid)) => EntityUIDEntry::Known {
            euid: uid.clone(),
            loc: None,
        },
        _ => EntityUIDEntry::unknown(),
    }
}

fn member_of<'v>(record: &'v Value, name: &str) -> Option<&'v Value> {
    match record.value_kind() {
        ValueKind::Record(members) => members.get(name),
        _ => None,
    }
}

fn with_ledger(others: Entities, ledger: Option<Arc<Entity>>) -> Result<Entities, String> {
    others
        .add_entities(
            ledger,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .map_err(|e| e.to_string())
}

fn truth(value: &Value) -> Outcome {
    match value.value_kind() {
        ValueKind::Lit(Literal::Bool(flag)) => (*flag).into(),
        _ => Outcome::Error,
    }
}

const CEILING: &CStr = c"ceiling";

/// Policies that hold and that err, with their places.
#[derive(Default)]
struct Tally<'b> {
    permits: Vec<(u64, &'b Arc<Rule>)>,
    forbids: Vec<(u64, &'b Arc<Rule>)>,
    errors: Vec<(u64, &'b Arc<Rule>)>,
}

impl<'b> Tally<'b> {
    fn add(&mut self, place: u64, rule: &'b Arc<Rule>, outcome: Outcome) {
        match (outcome, rule.effect) {
            (Outcome::False, _) => {}
            (Outcome::True, Effect::Permit) => self.permits.push((place, rule)),
            (Outcome::True, Effect::Forbid) => self.forbids.push((place, rule)),
            (Outcome::Error, _) => self.errors.push((place, rule)),
        }
    }

    /// Cedar's rule: some permit and no forbid; and, beyond Cedar, nothing
    /// erred, because a forbid that errs would be skipped.
    fn answer(self) -> Answer {
        let ids = |mut list: Vec<(u64, &Arc<Rule>)>| {
            list.sort_unstable_by_key(|(place, _)| *place);
            list.into_iter().map(|(_, rule)| rule.id.as_ptr()).collect()
        };
        let allowed = self.forbids.is_empty() && !self.permits.is_empty();
        Answer {
            allow: allowed && self.errors.is_empty(),
            reasons: ids(if allowed { self.permits } else { self.forbids }),
            errors: ids(self.errors),
        }
    }
}
