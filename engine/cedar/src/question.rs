//! The authority's own questions, from typed facts (src/policy/question.h).
//!
//! Values and entities are made directly, without JSON and without being
//! checked against the schema each time.  That they fit is checked when a bundle
//! is built: for each action and resource type a sample made by the same code is
//! validated, and one that does not fit has no typed questions.  Only what a
//! value decides, membership in an enumerated type, is looked at every time.

use crate::query::{check_world, entities_of, Gathered, Query, Whole};
use crate::snapshot::{Lane, Shape, Snapshot};
use crate::types::{shorten, Vocabulary};
use crate::world::World;
use cedar_policy_core::ast::{
    Eid, Entity, EntityType, EntityUID, ExtensionFunction, Name, PartialValue, Value,
};
use cedar_policy_core::entities::{Entities, NoEntitiesSchema, TCComputation};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

/// Prepared parts of the world that are kept; then all are dropped.
const BASES_MAX: usize = 4096;
const DURATIONS_MAX: usize = 256;

/// What clock_format() can write: the years 0 to 9999.
const TIME_MIN_MS: i64 = -62_167_219_200_000;
const TIME_MAX_MS: i64 = 253_402_300_799_999;

/// Facts of one question; names are ids without types.
#[derive(Default, Clone)]
pub struct Question<'a> {
    pub agent: &'a str,
    pub action: &'a str,
    pub resource_type: &'a str,
    pub resource: &'a str,
    /// The resource's own facts; None for one of the world.
    pub class: Option<Classification<'a>>,
    pub task: &'a str,
    pub task_class: &'a str,
    pub declared_planes: Vec<&'a str>,
    pub task_expires_ms: i64,
    pub now_ms: i64,
    pub weekday: i64,
    pub hour: i64,
    pub change_freeze: bool,
    pub attested: bool,
    pub recommend: bool,
    pub covered: bool,
    pub monitored: bool,
    pub ttl_s: i64,
    pub reversible: bool,
    pub blast_radius: i64,
    pub gains_humans: Vec<&'a str>,
    pub gains_agents: Vec<&'a str>,
    pub self_dealing: bool,
    pub own_rollback: bool,
    pub evidence: Vec<&'a str>,
    pub approvals: Vec<(&'a str, i64)>,
    pub risk_score: i64,
    pub risk_signals: i64,
    pub planes: Vec<&'a str>,
    pub privileged_24h: i64,
    pub irreversible_24h: i64,
    pub planes_24h: i64,
    pub barred: Vec<&'a str>,
    pub request_expires_ms: i64,
}

#[derive(Clone)]
pub struct Classification<'a> {
    pub plane: &'a str,
    pub domain: &'a str,
    pub environment: &'a str,
    pub tier: i64,
    pub sensitivity: i64,
    pub sign_off: bool,
}

/// Types and values of the governance schema.
pub struct Typed {
    agent: EntityType,
    human: EntityType,
    group: EntityType,
    plane: EntityType,
    domain: EntityType,
    environment: EntityType,
    task: EntityType,
    task_class: EntityType,
    ledger: EntityType,
    request: EntityType,
    evidence: EntityType,
    modes: [Value; 2],
    this_ledger: EntityUID,
    pending: EntityUID,
    epoch: Value,
    empty: Value,
    delegation: Value,
    /// By the action's name.
    kinds: HashMap<String, Vec<Kind>>,
    approve: Option<Arc<Entity>>,
    make_duration: &'static ExtensionFunction,
    offset: &'static ExtensionFunction,
    durations: Mutex<HashMap<i64, Value>>,
}

/// What can be asked: an action on a type of resource.
struct Kind {
    number: usize,
    action: Arc<Entity>,
    name: String,
    resource: EntityType,
}

/// Prepared parts of a world, by what they were gathered for.
#[derive(Default)]
pub struct Cache(Mutex<HashMap<String, Entities>>);

fn text(name: &'static str) -> SmolStr {
    SmolStr::new_static(name)
}

fn uid(kind: &EntityType, id: &str) -> EntityUID {
    EntityUID::from_components(kind.clone(), Eid::new(id), None)
}

fn entity_value(kind: &EntityType, id: &str) -> Value {
    Value::from(uid(kind, id))
}

fn record(members: impl IntoIterator<Item = (&'static str, i64)>) -> Value {
    let members = members.into_iter();
    Value::record(members.map(|(name, n)| (text(name), Value::from(n))), None)
}

fn entity(
    uid: EntityUID,
    attrs: impl IntoIterator<Item = (&'static str, Value)>,
    tags: &[(&str, i64)],
) -> Arc<Entity> {
    let attrs = attrs.into_iter();
    let tags = tags.iter();
    Arc::new(Entity::new_with_attr_partial_value(
        uid,
        attrs.map(|(name, value)| (text(name), PartialValue::Value(value))),
        HashSet::new(),
        HashSet::new(),
        tags.map(|(name, n)| (SmolStr::new(name), PartialValue::Value(Value::from(*n)))),
    ))
}

fn call(function: &ExtensionFunction, args: &[Value]) -> Result<Value, String> {
    let value = function.call(args).map_err(|e| e.to_string())?;
    Value::try_from(value).map_err(|e| e.to_string())
}

fn function(name: &str) -> Option<&'static ExtensionFunction> {
    let name = Name::parse_unqualified_name(name).ok()?;
    Extensions::all_available().func(&name).ok()
}

/// Why there is no typed question.
pub enum Untyped {
    /// It does not fit, typed or not.
    Wrong(String),
    /// It must be asked in the general form.
    General,
}

impl From<String> for Untyped {
    fn from(text: String) -> Self {
        Untyped::Wrong(text)
    }
}

impl Typed {
    /// None if the schema is not the governance schema.
    pub fn new(vocabulary: &Arc<Vocabulary>, index: &HashMap<Shape, Arc<Lane>>) -> Option<Self> {
        let kind = |name: &str| vocabulary.known_kind(&format!("Gov::{name}"));
        let mode = kind("Mode")?;
        let evidence = kind("Evidence")?;
        let delegation = [
            (text("attenuated"), Value::from(true)),
            (text("chain"), Value::empty_set(None)),
            (text("depth"), Value::from(0)),
        ];
        let ledger = kind("Ledger")?;
        let request = kind("Request")?;
        let mut typed = Typed {
            agent: kind("Agent")?,
            human: kind("Human")?,
            group: kind("Group")?,
            plane: kind("Plane")?,
            domain: kind("Domain")?,
            environment: kind("Environment")?,
            task: kind("Task")?,
            task_class: kind("TaskClass")?,
            this_ledger: uid(&ledger, "this"),
            pending: uid(&request, "pending"),
            ledger,
            request,
            modes: [
                vocabulary.member(&mode, "execute")?,
                vocabulary.member(&mode, "recommend")?,
            ],
            evidence,
            epoch: vocabulary.extension("datetime", "1970-01-01").ok()?,
            empty: Value::empty_set(None),
            delegation: Value::record(delegation, None),
            kinds: HashMap::new(),
            approve: None,
            make_duration: function("duration")?,
            offset: function("offset")?,
            durations: Mutex::default(),
        };
        typed.find_kinds(vocabulary, index);
        Some(typed)
    }

    fn find_kinds(&mut self, vocabulary: &Vocabulary, index: &HashMap<Shape, Arc<Lane>>) {
        let mut kinds: HashMap<String, Vec<Kind>> = HashMap::new();
        let mut count = 0;
        for ((principal, action, resource), lane) in index {
            let kind = Kind {
                number: count,
                action: lane.bucket.action.clone(),
                name: resource.name().basename_as_ref().to_string(),
                resource: resource.clone(),
            };
            if *principal != self.agent || !self.fits(vocabulary, &kind) {
                continue;
            }
            count += 1;
            let action: &str = action.eid().as_ref();
            kinds.entry(action.into()).or_default().push(kind);
        }
        self.kinds = kinds;
        let approve = index.iter().find(|((principal, action, resource), _)| {
            let action: &str = action.eid().as_ref();
            *principal == self.human && action == "Approve" && *resource == self.request
        });
        self.approve = approve
            .map(|(_, lane)| lane.bucket.action.clone())
            .filter(|action| self.approve_fits(vocabulary, action));
    }

    /// One of everything, so that every type is looked at.
    fn sample<'v>(&self, vocabulary: &'v Vocabulary) -> Question<'v> {
        let evidence = vocabulary.evidence_members.iter();
        Question {
            agent: "a",
            resource: "r",
            class: Some(Classification {
                plane: "p",
                domain: "d",
                environment: vocabulary.first_member(&self.environment),
                tier: 1,
                sensitivity: 1,
                sign_off: false,
            }),
            task: "t",
            task_class: "c",
            declared_planes: vec!["p"],
            gains_humans: vec!["h"],
            gains_agents: vec!["a"],
            evidence: evidence.map(SmolStr::as_str).collect(),
            planes: vec!["p"],
            approvals: vec![("g", 1)],
            barred: vec!["h"],
            ..Question::default()
        }
    }

    fn is_of_the_world(&self, kind: &Kind) -> bool {
        kind.resource == self.task_class
    }

    fn fits(&self, vocabulary: &Vocabulary, kind: &Kind) -> bool {
        self.check_sample(vocabulary, kind).is_ok()
    }

    fn check_sample(&self, vocabulary: &Vocabulary, kind: &Kind) -> Result<(), String> {
        let sample = self.sample(vocabulary);
        let mut own = vec![self.task_entity(&sample)?, self.ledger_entity(&sample)];
        if !self.is_of_the_world(kind) {
            let resource = self.resource_entity(vocabulary, kind, &sample);
            own.push(resource.ok_or("no environment")?);
        }
        let context = self.context(vocabulary, &sample)?;
        vocabulary.request(
            &uid(&self.agent, sample.agent),
            kind.action.uid(),
            &uid(&kind.resource, sample.resource),
            &context,
        )?;
        own.iter().try_for_each(|e| vocabulary.check_entity(e))
    }

    fn approve_fits(&self, vocabulary: &Vocabulary, action: &Arc<Entity>) -> bool {
        self.check_approve_sample(vocabulary, action).is_ok()
    }

    fn check_approve_sample(
        &self,
        vocabulary: &Vocabulary,
        action: &Arc<Entity>,
    ) -> Result<(), String> {
        let sample = self.sample(vocabulary);
        let own = [self.task_entity(&sample)?, self.request_entity(&sample)?];
        let context = self.approve_context(&sample, "g", true)?;
        let human = uid(&self.human, "h");
        vocabulary.request(&human, action.uid(), &self.pending, &context)?;
        own.iter().try_for_each(|e| vocabulary.check_entity(e))
    }

    // ---- values ----

    fn duration_ms(&self, ms: i64) -> Result<Value, String> {
        let lock = |poisoned: PoisonError<_>| poisoned.into_inner();
        let mut known = self.durations.lock().unwrap_or_else(lock);
        if let Some(value) = known.get(&ms) {
            return Ok(value.clone());
        }
        let value = call(self.make_duration, &[Value::from(format!("{ms}ms"))])?;
        if known.len() >= DURATIONS_MAX {
            known.clear();
        }
        known.insert(ms, value.clone());
        Ok(value)
    }

    fn time(&self, ms: i64) -> Result<Value, String> {
        let ms = ms.clamp(TIME_MIN_MS, TIME_MAX_MS);
        call(self.offset, &[self.epoch.clone(), self.duration_ms(ms)?])
    }

    fn set(&self, kind: &EntityType, ids: &[&str]) -> Value {
        if ids.is_empty() {
            return self.empty.clone();
        }
        Value::set(ids.iter().map(|id| entity_value(kind, id)), None)
    }

    fn evidence_set(&self, vocabulary: &Vocabulary, kinds: &[&str]) -> Result<Value, String> {
        if kinds.is_empty() {
            return Ok(self.empty.clone());
        }
        let members = kinds.iter().map(|kind| {
            let known = vocabulary.member(&self.evidence, kind);
            known.ok_or_else(|| format!("the schema has no evidence '{}'", shorten(kind)))
        });
        Ok(Value::set(members.collect::<Result<Vec<_>, _>>()?, None))
    }

    fn context(
        &self,
        vocabulary: &Vocabulary,
        q: &Question,
    ) -> Result<BTreeMap<SmolStr, Value>, String> {
        // In the order of the names, in which the tree is built fastest.
        let members = [
            ("approvals", Value::from(self.this_ledger.clone())),
            ("attested", Value::from(q.attested)),
            ("blastRadius", Value::from(q.blast_radius)),
            ("chainHealthy", Value::from(true)),
            ("changeFreeze", Value::from(q.change_freeze)),
            (
                "counters",
                record([
                    ("irreversible24h", q.irreversible_24h),
                    ("planes24h", q.planes_24h),
                    ("privileged24h", q.privileged_24h),
                ]),
            ),
            ("covered", Value::from(q.covered)),
            ("delegation", self.delegation.clone()),
            ("evidence", self.evidence_set(vocabulary, &q.evidence)?),
            ("gainsAgents", self.set(&self.agent, &q.gains_agents)),
            ("gainsHumans", self.set(&self.human, &q.gains_humans)),
            ("local", record([("hour", q.hour), ("weekday", q.weekday)])),
            ("mode", self.modes[usize::from(q.recommend)].clone()),
            ("monitored", Value::from(q.monitored)),
            ("now", self.time(q.now_ms)?),
            ("ownRollback", Value::from(q.own_rollback)),
            ("planeCount", Value::from(q.planes.len() as i64)),
            ("planes", self.set(&self.plane, &q.planes)),
            ("reversible", Value::from(q.reversible)),
            (
                "risk",
                record([("score", q.risk_score), ("signals", q.risk_signals)]),
            ),
            ("selfDealing", Value::from(q.self_dealing)),
            ("task", entity_value(&self.task, q.task)),
            ("ttl", self.duration_ms(q.ttl_s.saturating_mul(1000))?),
        ];
        Ok(members
            .into_iter()
            .map(|(name, value)| (text(name), value))
            .collect())
    }

    fn approve_context(
        &self,
        q: &Question,
        group: &str,
        step_up: bool,
    ) -> Result<BTreeMap<SmolStr, Value>, String> {
        Ok(BTreeMap::from([
            (text("forGroup"), entity_value(&self.group, group)),
            (text("now"), self.time(q.now_ms)?),
            (text("stepUp"), Value::from(step_up)),
        ]))
    }

    // ---- entities ----

    fn task_entity(&self, q: &Question) -> Result<Arc<Entity>, String> {
        Ok(entity(
            uid(&self.task, q.task),
            [
                ("class", entity_value(&self.task_class, q.task_class)),
                ("declaredPlanes", self.set(&self.plane, &q.declared_planes)),
                ("expiresAt", self.time(q.task_expires_ms)?),
            ],
            &[],
        ))
    }

    fn ledger_entity(&self, q: &Question) -> Arc<Entity> {
        entity(self.this_ledger.clone(), [], &q.approvals)
    }

    fn request_entity(&self, q: &Question) -> Result<Arc<Entity>, String> {
        Ok(entity(
            self.pending.clone(),
            [
                ("barred", self.set(&self.human, &q.barred)),
                ("expiresAt", self.time(q.request_expires_ms)?),
                ("requester", entity_value(&self.agent, q.agent)),
                ("task", entity_value(&self.task, q.task)),
            ],
            &[],
        ))
    }

    /// None if its environment is not one of the schema's.
    fn resource_entity(
        &self,
        vocabulary: &Vocabulary,
        kind: &Kind,
        q: &Question,
    ) -> Option<Arc<Entity>> {
        let class = q.class.as_ref()?;
        let environment = vocabulary.member(&self.environment, class.environment)?;
        Some(entity(
            uid(&kind.resource, q.resource),
            [
                ("domain", entity_value(&self.domain, class.domain)),
                ("environment", environment),
                ("plane", entity_value(&self.plane, class.plane)),
                ("sensitivity", Value::from(class.sensitivity)),
                ("signOff", Value::from(class.sign_off)),
                ("tier", Value::from(class.tier)),
            ],
            &[],
        ))
    }

    // ---- questions ----

    /// What the roots reach in the world, and the action.
    fn base(
        &self,
        world: Option<&World>,
        key: String,
        action: &Arc<Entity>,
        own: &[&EntityType],
        roots: &[EntityUID],
    ) -> Result<Entities, Untyped> {
        if let Some(known) = world.and_then(|world| world.cache.get(&key)) {
            return Ok(known);
        }
        // One of the question's own would stand in for one of the world and
        // could change the ancestors of others.
        if world.is_some_and(|world| own.iter().any(|kind| world.kinds.contains(*kind))) {
            return Err(Untyped::General);
        }
        let mut gathered = Gathered::new(world);
        roots.iter().for_each(|uid| gathered.wait(uid));
        let mut list = gathered.take()?;
        list.push(action.clone());
        let entities = entities_of(list, false)?;
        if let Some(world) = world {
            world.cache.put(key, entities.clone());
        }
        Ok(entities)
    }

    /// An agent's question.
    pub fn ask(
        &self,
        snapshot: &Arc<Snapshot>,
        world: Option<&World>,
        q: &Question,
    ) -> Result<Query, Untyped> {
        let vocabulary = &snapshot.vocabulary;
        check_world(vocabulary, world)?;
        let kinds = self.kinds.get(q.action).ok_or(Untyped::General)?;
        let kind = kinds.iter().find(|kind| kind.name == q.resource_type);
        let kind = kind.ok_or(Untyped::General)?;
        if self.is_of_the_world(kind) != q.class.is_none() {
            return Err(Untyped::General);
        }
        let context = self.context(vocabulary, q)?;
        let principal = uid(&self.agent, q.agent);
        let resource = uid(&kind.resource, q.resource);
        let mut roots = vec![principal.clone(), uid(&self.task_class, q.task_class)];
        let mut own = vec![self.task_entity(q)?];
        let mut key = format!("{}\0{}\0{}", kind.number, q.agent, q.task_class);
        let mut kinds = vec![&self.task, &self.ledger, &self.request];
        match &q.class {
            None => {
                key.push('\0');
                key.push_str(q.resource);
                roots.push(resource.clone());
            }
            Some(class) => {
                let entity = self.resource_entity(vocabulary, kind, q);
                own.push(entity.ok_or_else(|| {
                    let name = shorten(class.environment);
                    format!("the schema has no environment '{name}'")
                })?);
                for part in [class.plane, class.domain] {
                    key.push('\0');
                    key.push_str(part);
                }
                roots.push(uid(&self.plane, class.plane));
                roots.push(uid(&self.domain, class.domain));
                kinds.push(&kind.resource);
            }
        }
        let base = self.base(world, key, &kind.action, &kinds, &roots)?;
        Ok(Query::of(
            snapshot,
            Whole {
                principal,
                action: kind.action.uid().clone(),
                resource,
                context,
                others: with(base, own)?,
                ledger: Some(self.ledger_entity(q)),
            },
        )?)
    }

    /// Whether a human approves the question's pending request for a group.
    pub fn ask_approve(
        &self,
        snapshot: &Arc<Snapshot>,
        world: Option<&World>,
        q: &Question,
        human: &str,
        group: &str,
        step_up: bool,
    ) -> Result<Query, Untyped> {
        check_world(&snapshot.vocabulary, world)?;
        let action = self.approve.as_ref().ok_or(Untyped::General)?;
        let principal = uid(&self.human, human);
        let roots = [
            principal.clone(),
            uid(&self.agent, q.agent),
            uid(&self.task_class, q.task_class),
            uid(&self.group, group),
        ];
        let key = format!("a\0{human}\0{}\0{}\0{group}", q.agent, q.task_class);
        let own = [&self.task, &self.request];
        let base = self.base(world, key, action, &own, &roots)?;
        Ok(Query::of(
            snapshot,
            Whole {
                principal,
                action: action.uid().clone(),
                resource: self.pending.clone(),
                context: self.approve_context(q, group, step_up)?,
                others: with(base, vec![self.task_entity(q)?, self.request_entity(q)?])?,
                ledger: None,
            },
        )?)
    }
}

fn with(entities: Entities, more: Vec<Arc<Entity>>) -> Result<Entities, String> {
    entities
        .add_entities(
            more,
            None::<&NoEntitiesSchema>,
            TCComputation::AssumeAlreadyComputed,
            Extensions::all_available(),
        )
        .map_err(|e| e.to_string())
}

impl Cache {
    fn get(&self, key: &str) -> Option<Entities> {
        self.0.lock().ok()?.get(key).cloned()
    }

    fn put(&self, key: String, entities: Entities) {
        if let Ok(mut known) = self.0.lock() {
            if known.len() >= BASES_MAX {
                known.clear();
            }
            known.insert(key, entities);
        }
    }
}
