//! An immutable snapshot: schema, policies, invariants and templates, strictly
//! validated, indexed by what a request can be.

use crate::packed::Packed;
use crate::question::Typed;
use crate::rules::{key_of, Atoms, Key, Kinds, Tree};
use crate::types::Vocabulary;
use cedar_policy::{
    Effect, EntityUid, Policy, PolicyId, PolicySet, Schema, SlotId, Template, ValidationMode,
    Validator,
};
use cedar_policy_core::ast;
use miette::Diagnostic;
use serde_json::{json, Value as Json};
use smol_str::SmolStr;
use std::collections::{BTreeSet, HashMap};
use std::ffi::CString;
use std::sync::{Arc, Mutex};

/// How far a policy may follow references (Cedar RFC 76).  The entities of an
/// ask are collected without such a bound; what this refuses is a policy that
/// dereferences an entity by its literal name, which no ask would carry.
const LEVEL: u32 = 6;

/// Quorums above this are asked as this, so that looking for remedies ends.
const QUORUM_MAX: i64 = 64;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Part {
    Policies,
    Invariants,
    /// Policies of a shadow file: told about, never obeyed.
    Shadows,
}

/// A static policy or a link.
pub struct Rule {
    pub id: CString,
    pub effect: Effect,
    /// Scope and conditions as one expression.
    pub condition: ast::Expr,
    pub slots: ast::SlotEnv,
}

/// Which better facts could change the answer of a set of policies.
#[derive(Default, Clone)]
pub struct Remedies {
    /// Approver groups named literally, in the order of the policies.
    pub groups: Vec<SmolStr>,
    /// Expressions that name a group, such as `resource.domain.approvers`.
    pub named: Vec<ast::Expr>,
    pub evidence: Vec<SmolStr>,
    pub quorum: i64,
}

/// A policy of a bucket.
pub struct Ready {
    /// Its place among the policies of its set.
    pub place: u32,
    pub rule: Arc<Rule>,
    pub tree: Tree,
}

/// Policies that are all false, or all err, unless one test has one outcome.
pub struct Group {
    pub lead: Option<(u32, bool)>,
    pub list: Vec<Ready>,
}

/// The policies of one set in a bucket.
#[derive(Default)]
pub struct Rules {
    /// For every request of the bucket.
    pub always: Vec<Group>,
    leads: HashMap<(u32, bool), usize>,
    /// For requests of one principal or resource, with what they could better.
    pub keyed: HashMap<Key, Vec<(Ready, Remedies)>>,
    /// Whether `keyed` has keys of groups.
    pub within: bool,
}

/// Everything that can apply to one (principal type, action, resource type).
pub struct Bucket {
    pub action: Arc<ast::Entity>,
    pub atoms: Atoms,
    pub policies: Rules,
    pub invariants: Rules,
    pub shadows: Rules,
    pub remedies: Remedies,
}

/// A bucket with the links that came later.
#[derive(Clone)]
pub struct Lane {
    pub bucket: Arc<Bucket>,
    /// Links whose slot can only be equal to one entity, by that entity.
    pub links: HashMap<ast::EntityUID, Vec<Arc<Rule>>>,
    pub loose: Vec<Arc<Rule>>,
}

pub type Shape = (ast::EntityType, ast::EntityUID, ast::EntityType);

pub struct Snapshot {
    pub vocabulary: Arc<Vocabulary>,
    pub index: HashMap<Shape, Arc<Lane>>,
    /// How the authority's own questions are made, if the schema is for them.
    pub typed: Option<Arc<Typed>>,
    /// The official sets, for comparison and for links.
    pub policies: Arc<PolicySet>,
    pub invariants: Arc<PolicySet>,
    /// Template links, by id.
    links: Vec<(PolicyId, PolicyId, HashMap<SlotId, EntityUid>)>,
    about: Arc<Vec<About>>,
    /// A policy that is treated as if it were not there.
    pub without: Option<String>,
    /// What decided an evaluation, if anybody wants to know.
    pub watch: Option<Arc<Mutex<BTreeSet<String>>>>,
}

/// What people are told about a policy.
#[derive(Clone)]
struct About {
    id: String,
    title: String,
    effect: Effect,
    part: &'static str,
    text: String,
    est: Json,
}

/// Collects what is wrong with a bundle.
#[derive(Default)]
pub struct Faults(pub Vec<Json>);

impl Faults {
    fn add(
        &mut self,
        policy: Option<&str>,
        file: Option<&str>,
        line: Option<usize>,
        detail: String,
    ) {
        let mut fault = json!({ "detail": detail });
        if let Some(policy) = policy {
            fault["policy"] = policy.into();
        }
        if let Some(file) = file {
            fault["file"] = file.into();
        }
        if let Some(line) = line {
            fault["line"] = line.into();
        }
        self.0.push(fault);
    }

    /// A parser's complaint with the line of its first label.
    fn add_diagnostic(&mut self, file: &str, source: &str, error: &dyn Diagnostic) {
        let line = error
            .labels()
            .and_then(|mut labels| labels.next())
            .map(|label| line_of(source, label.offset()));
        let mut detail = error.to_string();
        if let Some(help) = error.help() {
            detail = format!("{detail}; {help}");
        }
        self.add(None, Some(file), line, detail);
        for related in error.related().into_iter().flatten() {
            let line = related
                .labels()
                .and_then(|mut labels| labels.next())
                .map(|label| line_of(source, label.offset()));
            self.add(None, Some(file), line, related.to_string());
        }
    }
}

fn line_of(source: &str, offset: usize) -> usize {
    1 + source
        .bytes()
        .take(offset.min(source.len()))
        .filter(|byte| *byte == b'\n')
        .count()
}

/// A policy or template of a file, named by its @id.
struct Named<T> {
    id: String,
    file: String,
    line: Option<usize>,
    what: T,
}

/// The files of a bundle, parsed and named, not yet validated.
#[derive(Default)]
struct Parsed {
    policies: Vec<Named<Policy>>,
    invariants: Vec<Named<Policy>>,
    shadows: Vec<Named<Policy>>,
    templates: Vec<Named<Template>>,
}

impl Parsed {
    /// Where each policy and template stands.
    fn places(&self) -> impl Iterator<Item = (&String, &String, Option<usize>)> {
        let policies = self.policies.iter().chain(&self.invariants);
        let policies = policies.chain(&self.shadows);
        let places = policies.map(|n| (&n.id, &n.file, n.line));
        places.chain(self.templates.iter().map(|n| (&n.id, &n.file, n.line)))
    }
}

/// Policies of such a file are told about, never obeyed.
fn is_shadow_file(file: &str) -> bool {
    file == "shadow.cedar" || file.ends_with(".shadow.cedar")
}

fn parse_set(file: &str, source: &str, faults: &mut Faults) -> Option<PolicySet> {
    match source.parse::<PolicySet>() {
        Ok(set) => Some(set),
        Err(errors) => {
            for error in errors.iter() {
                faults.add_diagnostic(file, source, error);
            }
            None
        }
    }
}

/// The position of a policy in its file, which is also its order of naming.
fn place(loc: Option<&cedar_policy_core::parser::Loc>, source: &str) -> (usize, Option<usize>) {
    loc.map_or((usize::MAX, None), |loc| {
        (loc.start(), Some(line_of(source, loc.start())))
    })
}

fn take_policies(file: &str, source: &str, faults: &mut Faults) -> Vec<Named<Policy>> {
    let Some(set) = parse_set(file, source, faults) else {
        return Vec::new();
    };
    for template in set.templates() {
        let (_, line) = place(template.as_ref().loc(), source);
        faults.add(
            None,
            Some(file),
            line,
            "a template here: it belongs in templates".into(),
        );
    }
    let mut found: Vec<_> = set
        .policies()
        .map(|policy| (place(policy.as_ref().loc(), source), policy.clone()))
        .collect();
    found.sort_by_key(|((start, _), _)| *start);
    let mut named = Vec::new();
    for ((_, line), policy) in found {
        match policy.annotation("id").filter(|id| is_id(id)) {
            Some(id) => named.push(Named {
                id: id.into(),
                file: file.into(),
                line,
                what: policy.clone(),
            }),
            None => faults.add(None, Some(file), line, NO_ID.into()),
        }
    }
    named
}

fn take_templates(file: &str, source: &str, faults: &mut Faults) -> Vec<Named<Template>> {
    let Some(set) = parse_set(file, source, faults) else {
        return Vec::new();
    };
    for policy in set.policies() {
        let (_, line) = place(policy.as_ref().loc(), source);
        faults.add(
            None,
            Some(file),
            line,
            "a policy without a slot is no template".into(),
        );
    }
    let mut found: Vec<_> = set
        .templates()
        .map(|template| (place(template.as_ref().loc(), source), template.clone()))
        .collect();
    found.sort_by_key(|((start, _), _)| *start);
    let mut named = Vec::new();
    for ((_, line), template) in found {
        match template.annotation("id").filter(|id| is_id(id)) {
            Some(id) => named.push(Named {
                id: id.into(),
                file: file.into(),
                line,
                what: template.clone(),
            }),
            None => faults.add(None, Some(file), line, NO_ID.into()),
        }
    }
    named
}

const NO_ID: &str = "no @id of 1 to 100 letters, digits, '-', '_' and '.'";

fn is_id(id: &str) -> bool {
    (1..=100).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

fn check_twice(parsed: &Parsed, faults: &mut Faults) {
    let mut seen = BTreeSet::new();
    for (id, file, line) in parsed.places() {
        if !seen.insert(id) {
            faults.add(Some(id), Some(file), line, "the @id is taken".into());
        }
    }
}

/// Policies with templates, invariants, shadows.
fn sets(parsed: &Parsed) -> Result<[PolicySet; 3], String> {
    let mut policies = PolicySet::new();
    let mut invariants = PolicySet::new();
    let mut shadows = PolicySet::new();
    for n in &parsed.policies {
        let policy = n.what.new_id(PolicyId::new(&n.id));
        policies.add(policy).map_err(|e| e.to_string())?;
    }
    for n in &parsed.templates {
        let template = n.what.new_id(PolicyId::new(&n.id));
        policies.add_template(template).map_err(|e| e.to_string())?;
    }
    for n in &parsed.invariants {
        let policy = n.what.new_id(PolicyId::new(&n.id));
        invariants.add(policy).map_err(|e| e.to_string())?;
    }
    for n in &parsed.shadows {
        let policy = n.what.new_id(PolicyId::new(&n.id));
        shadows.add(policy).map_err(|e| e.to_string())?;
    }
    Ok([policies, invariants, shadows])
}

fn validate(validator: &Validator, set: &PolicySet, parsed: &Parsed, faults: &mut Faults) {
    let result = validator.validate_with_level(set, ValidationMode::Strict, LEVEL);
    let place = |id: &str| {
        let found = parsed.places().find(|(known, _, _)| *known == id);
        found.map_or((None, None), |(_, file, line)| (Some(file.clone()), line))
    };
    for error in result.validation_errors() {
        let id = error.policy_id().to_string();
        let (file, line) = place(&id);
        faults.add(Some(&id), file.as_deref(), line, error.to_string());
    }
    for warning in result.validation_warnings() {
        let id = warning.policy_id().to_string();
        let (file, line) = place(&id);
        faults.add(
            Some(&id),
            file.as_deref(),
            line,
            format!("warning: {warning}"),
        );
    }
}

fn about(parsed: &Parsed) -> Result<Vec<About>, String> {
    let mut list = Vec::new();
    let title = |t: Option<&str>, id: &str| t.unwrap_or(id).to_string();
    for (part, named) in [
        ("policies", &parsed.policies),
        ("invariants", &parsed.invariants),
        ("shadows", &parsed.shadows),
    ] {
        for n in named {
            list.push(About {
                id: n.id.clone(),
                title: title(n.what.annotation("title"), &n.id),
                effect: n.what.effect(),
                part,
                text: n.what.to_string(),
                est: n.what.to_json().map_err(|e| e.to_string())?,
            });
        }
    }
    for n in &parsed.templates {
        list.push(About {
            id: n.id.clone(),
            title: title(n.what.annotation("title"), &n.id),
            effect: n.what.effect(),
            part: "templates",
            text: n.what.to_string(),
            est: n.what.to_json().map_err(|e| e.to_string())?,
        });
    }
    Ok(list)
}

/// The same policy without source positions, which evaluation would copy with
/// every value it touches.
fn without_positions(policy: &Policy) -> Result<Policy, String> {
    let est = policy.to_json().map_err(|e| e.to_string())?;
    Policy::from_json(Some(policy.id().clone()), est).map_err(|e| e.to_string())
}

fn rule(policy: &Policy) -> Result<Rule, String> {
    let ast: &ast::Policy = policy.as_ref();
    Ok(Rule {
        id: CString::new(policy.id().to_string()).map_err(|e| e.to_string())?,
        effect: policy.effect(),
        condition: ast.condition(),
        slots: ast.env().clone(),
    })
}

impl Rules {
    /// Adds a policy of a bucket; one that is never more than false is left out.
    fn add(&mut self, place: u32, rule: &Arc<Rule>, tree: Tree) {
        let (lead, tree) = split_lead(tree);
        if matches!(tree, Tree::Const(false)) && lead.is_none() {
            return;
        }
        let ready = Ready {
            place,
            rule: rule.clone(),
            tree,
        };
        let known = lead.and_then(|lead| self.leads.get(&lead));
        let at = known.copied().unwrap_or_else(|| {
            self.always.push(Group {
                lead,
                list: Vec::new(),
            });
            self.always.len() - 1
        });
        if let Some(lead) = lead {
            self.leads.insert(lead, at);
        }
        self.always[at].list.push(ready);
    }

    fn add_keyed(&mut self, key: Key, ready: Ready, remedies: Remedies) {
        self.within |= matches!(key, Key::Within(_));
        self.keyed.entry(key).or_default().push((ready, remedies));
    }
}

/// The first test of a conjunction with the outcome it must have, and the rest.
fn split_lead(tree: Tree) -> (Option<(u32, bool)>, Tree) {
    let lead_of = |tree: &Tree| match tree {
        Tree::Atom(number) => Some((*number, true)),
        Tree::Not(inner) => match **inner {
            Tree::Atom(number) => Some((number, false)),
            _ => None,
        },
        _ => None,
    };
    if let Some(lead) = lead_of(&tree) {
        return (Some(lead), Tree::Const(true));
    }
    let Tree::And(mut list) = tree else {
        return (None, tree);
    };
    let Some(lead) = list.first().and_then(lead_of) else {
        return (None, Tree::And(list));
    };
    list.remove(0);
    (Some(lead), Tree::And(list))
}

impl Remedies {
    pub fn merge(&mut self, other: &Remedies) {
        for group in &other.groups {
            add_once(&mut self.groups, group.clone());
        }
        for named in &other.named {
            if !self.named.contains(named) {
                self.named.push(named.clone());
            }
        }
        for kind in &other.evidence {
            add_once(&mut self.evidence, kind.clone());
        }
        self.quorum = self.quorum.max(other.quorum);
    }

    /// Evidence in the order of the schema.
    pub fn sort(&mut self, vocabulary: &Vocabulary) {
        self.evidence.sort_by_key(|kind| {
            let order = &vocabulary.evidence_members;
            order.iter().position(|known| known == kind)
        });
    }

    /// Adds what one policy names: `context.approvals.hasTag(group)`,
    /// `getTag(group) >= n` and members of the evidence vocabulary.
    fn gather(&mut self, condition: &ast::Expr, evidence: Option<&ast::EntityType>) {
        for part in condition.subexpressions() {
            match part.expr_kind() {
                ast::ExprKind::BinaryApp { op, arg1, arg2 } => {
                    if matches!(op, ast::BinaryOp::HasTag | ast::BinaryOp::GetTag)
                        && is_approvals(arg1)
                    {
                        self.add_group(arg2);
                    }
                    self.add_quorum(*op, arg1, arg2);
                }
                ast::ExprKind::Lit(ast::Literal::EntityUID(uid))
                    if Some(uid.entity_type()) == evidence =>
                {
                    add_once(&mut self.evidence, AsRef::<str>::as_ref(uid.eid()).into());
                }
                _ => {}
            }
        }
    }

    fn add_group(&mut self, group: &ast::Expr) {
        if let ast::ExprKind::Lit(ast::Literal::String(name)) = group.expr_kind() {
            add_once(&mut self.groups, name.clone());
        } else if !self.named.contains(group) {
            self.named.push(group.clone());
        }
    }

    /// The number at which a comparison with a tag turns.  `>=` and `>` stand
    /// in the tree as negated `<` and `<=`.
    fn add_quorum(&mut self, op: ast::BinaryOp, left: &ast::Expr, right: &ast::Expr) {
        let turns = match (op, tag_and_number(left, right), tag_and_number(right, left)) {
            (ast::BinaryOp::Less, Some(n), _) => n,
            (ast::BinaryOp::LessEq, _, Some(n)) => n,
            (ast::BinaryOp::LessEq | ast::BinaryOp::Eq, Some(n), _)
            | (ast::BinaryOp::Less | ast::BinaryOp::Eq, _, Some(n)) => n.saturating_add(1),
            _ => return,
        };
        self.quorum = self.quorum.max(turns).min(QUORUM_MAX);
    }
}

/// The number, if one side is an approvals tag and the other a literal.
fn tag_and_number(tag: &ast::Expr, number: &ast::Expr) -> Option<i64> {
    match (tag.expr_kind(), number.expr_kind()) {
        (
            ast::ExprKind::BinaryApp {
                op: ast::BinaryOp::GetTag,
                arg1,
                ..
            },
            ast::ExprKind::Lit(ast::Literal::Long(n)),
        ) if is_approvals(arg1) => Some(*n),
        _ => None,
    }
}

fn add_once(list: &mut Vec<SmolStr>, name: SmolStr) {
    if !list.contains(&name) {
        list.push(name);
    }
}

fn is_approvals(expr: &ast::Expr) -> bool {
    let ast::ExprKind::GetAttr { expr, attr } = expr.expr_kind() else {
        return false;
    };
    attr == "approvals" && matches!(expr.expr_kind(), ast::ExprKind::Var(ast::Var::Context))
}

type Env = cedar_policy::RequestEnv;

fn shape(env: &Env) -> Shape {
    let principal: &ast::EntityType = env.principal().as_ref();
    let action: &ast::EntityUID = env.action().as_ref();
    let resource: &ast::EntityType = env.resource().as_ref();
    (principal.clone(), action.clone(), resource.clone())
}

/// One bucket for each request the schema knows, also those no policy names.
fn empty_buckets(
    schema: &Schema,
    vocabulary: &Vocabulary,
) -> Result<HashMap<Shape, Bucket>, String> {
    let mut index: HashMap<Shape, Bucket> = HashMap::new();
    for env in schema.request_envs() {
        let shape = shape(&env);
        let action = vocabulary.known_action(&shape.1)?;
        index.entry(shape).or_insert_with(|| Bucket {
            action,
            atoms: Atoms::default(),
            policies: Rules::default(),
            invariants: Rules::default(),
            shadows: Rules::default(),
            remedies: Remedies::default(),
        });
    }
    Ok(index)
}

/// Puts a policy where it can apply.
fn add_rule(
    index: &mut HashMap<Shape, Bucket>,
    vocabulary: &Vocabulary,
    part: Part,
    place: u32,
    policy: &Policy,
) -> Result<(), String> {
    let ready = Arc::new(rule(&without_positions(policy)?)?);
    let key = key_of(&ready.condition);
    let mut remedies = Remedies::default();
    if part == Part::Policies {
        remedies.gather(&ready.condition, vocabulary.evidence.as_ref());
    }
    let mut shapes = BTreeSet::new();
    for env in policy.get_valid_request_envs(&vocabulary.schema) {
        let shape = shape(&env);
        if !shapes.insert(shape.clone()) {
            continue;
        }
        let bucket = index
            .get_mut(&shape)
            .ok_or("a policy is for a request that cannot be")?;
        let kinds = Kinds {
            principal: &shape.0,
            action: &bucket.action,
            resource: &shape.2,
        };
        let tree = bucket.atoms.tree(&ready.condition, &kinds);
        let rules = match part {
            Part::Policies => &mut bucket.policies,
            Part::Invariants => &mut bucket.invariants,
            Part::Shadows => &mut bucket.shadows,
        };
        match &key {
            None => {
                rules.add(place, &ready, tree);
                bucket.remedies.merge(&remedies);
            }
            Some(key) => {
                let rule = ready.clone();
                let ready = Ready { place, rule, tree };
                rules.add_keyed(key.clone(), ready, remedies.clone());
            }
        }
    }
    Ok(())
}

fn index(vocabulary: &Vocabulary, parsed: &Parsed) -> Result<HashMap<Shape, Arc<Lane>>, String> {
    let mut index = empty_buckets(&vocabulary.schema, vocabulary)?;
    let parts = [
        (Part::Policies, &parsed.policies),
        (Part::Invariants, &parsed.invariants),
        (Part::Shadows, &parsed.shadows),
    ];
    for (part, named) in parts {
        for (place, n) in named.iter().enumerate() {
            let policy = n.what.new_id(PolicyId::new(&n.id));
            add_rule(&mut index, vocabulary, part, place as u32, &policy)?;
        }
    }
    let lane = |mut bucket: Bucket| {
        bucket.remedies.sort(vocabulary);
        Arc::new(Lane {
            bucket: Arc::new(bucket),
            links: HashMap::new(),
            loose: Vec::new(),
        })
    };
    Ok(index
        .into_iter()
        .map(|(shape, bucket)| (shape, lane(bucket)))
        .collect())
}

impl Snapshot {
    /// Builds from {"schema", "policies": {file: text}, "invariants",
    /// "templates"}; what is wrong goes to faults, and then there is none.
    pub fn build(files: &Packed, faults: &mut Faults) -> Result<Option<Self>, String> {
        files.check_members("bundle", &["schema", "policies", "invariants", "templates"])?;
        let text = |name: &str| match files.get(name) {
            None => Ok(""),
            Some(value) => value
                .text()
                .ok_or_else(|| format!("bundle's {name} is not a text")),
        };
        let source = text("schema")?;
        let schema = match Schema::from_cedarschema_str(source) {
            Ok((schema, warnings)) => {
                for warning in warnings {
                    faults.add(None, Some("schema"), None, format!("warning: {warning}"));
                }
                schema
            }
            Err(error) => {
                faults.add_diagnostic("schema", source, &error);
                return Ok(None);
            }
        };
        let mut parsed = Parsed::default();
        if let Some(policies) = files.get("policies") {
            let policies = policies
                .record()
                .ok_or("bundle's policies is not an object of files")?;
            for (file, source) in policies {
                let source = source
                    .text()
                    .ok_or_else(|| format!("bundle's file {file} is not a text"))?;
                let found = take_policies(file, source, faults);
                match is_shadow_file(file) {
                    true => parsed.shadows.extend(found),
                    false => parsed.policies.extend(found),
                }
            }
        }
        parsed.invariants = take_policies("invariants", text("invariants")?, faults);
        parsed.templates = take_templates("templates", text("templates")?, faults);
        check_twice(&parsed, faults);
        if !faults.0.is_empty() {
            return Ok(None);
        }
        let [policies, invariants, shadows] = sets(&parsed)?;
        let validator = Validator::new(schema.clone());
        for set in [&policies, &invariants, &shadows] {
            validate(&validator, set, &parsed, faults);
        }
        if !faults.0.is_empty() {
            return Ok(None);
        }
        let vocabulary = Arc::new(Vocabulary::new(schema.clone(), source)?);
        let index = index(&vocabulary, &parsed)?;
        Ok(Some(Snapshot {
            typed: Typed::new(&vocabulary, &index).map(Arc::new),
            index,
            vocabulary,
            policies: Arc::new(policies),
            invariants: Arc::new(invariants),
            links: Vec::new(),
            about: Arc::new(about(&parsed)?),
            without: None,
            watch: None,
        }))
    }

    /// A copy with links added: [{"id", "template", "principal" | "resource"}].
    pub fn link(&self, links: &Packed) -> Result<Self, String> {
        let links = links.list().ok_or("links are not an array")?;
        let mut copy = self.copy();
        for link in links {
            copy.add_link(link)?;
        }
        Ok(copy)
    }

    fn copy(&self) -> Self {
        Snapshot {
            vocabulary: self.vocabulary.clone(),
            index: self.index.clone(),
            typed: self.typed.clone(),
            policies: self.policies.clone(),
            invariants: self.invariants.clone(),
            links: self.links.clone(),
            about: self.about.clone(),
            without: self.without.clone(),
            watch: self.watch.clone(),
        }
    }

    /// A copy in which a policy, invariant or template is not there.
    pub fn without(&self, id: &str) -> Self {
        let mut copy = self.copy();
        copy.without = Some(id.into());
        copy
    }

    /// A copy that notes which policies decide what it is asked.
    pub fn watched(&self) -> Self {
        let mut copy = self.copy();
        copy.watch = Some(Arc::default());
        copy
    }

    /// Whether a policy is treated as if it were not there.
    pub fn lacks(&self, rule: &Rule) -> bool {
        match &self.without {
            None => false,
            Some(id) => rule.id.to_bytes() == id.as_bytes(),
        }
    }

    /// What decided since the last time, by id.
    pub fn take_watched(&self) -> BTreeSet<String> {
        let lock = |watch: &Arc<Mutex<BTreeSet<String>>>| {
            watch.lock().map(|mut ids| std::mem::take(&mut *ids)).ok()
        };
        self.watch.as_ref().and_then(lock).unwrap_or_default()
    }

    fn add_link(&mut self, link: &Packed) -> Result<(), String> {
        link.check_members("link", &["id", "template", "principal", "resource"])?;
        let text = |name: &str| {
            link.get(name)
                .and_then(Packed::text)
                .filter(|text| !text.is_empty() && text.len() <= 200)
                .ok_or_else(|| format!("link without {name}"))
        };
        let id = PolicyId::new(text("id")?);
        let template = PolicyId::new(text("template")?);
        let mut values = HashMap::new();
        for (name, slot) in [
            ("principal", SlotId::principal()),
            ("resource", SlotId::resource()),
        ] {
            if let Some(value) = link.get(name) {
                let uid = self.vocabulary.uid(value)?;
                values.insert(slot, EntityUid::from(uid));
            }
        }
        self.add_values(id, template, values)
    }

    fn add_values(
        &mut self,
        id: PolicyId,
        template: PolicyId,
        values: HashMap<SlotId, EntityUid>,
    ) -> Result<(), String> {
        if self.without.as_deref() == Some(template.as_ref()) {
            return Err(format!("link {id}: the template is not there"));
        }
        Arc::make_mut(&mut self.policies)
            .link(template.clone(), id.clone(), values.clone())
            .map_err(|error| format!("link {id}: {error}"))?;
        let (Some(linked), Some(source)) =
            (self.policies.policy(&id), self.policies.template(&template))
        else {
            return Err(format!("link {id} was not made"));
        };
        let ready = Arc::new(rule(linked)?);
        let schema = self.vocabulary.schema.clone();
        let mut shapes = BTreeSet::new();
        for env in source.get_valid_request_envs(&schema) {
            let shape = shape(&env);
            if !shapes.insert(shape.clone()) {
                continue;
            }
            let Some(lane) = self.index.get_mut(&shape) else {
                return Err(format!("link {id} is for a request that cannot be"));
            };
            let lane = Arc::make_mut(lane);
            match key_of_link(source, &values) {
                Some(key) => lane.links.entry(key).or_default().push(ready.clone()),
                None => lane.loose.push(ready.clone()),
            }
        }
        self.links.push((id, template, values));
        Ok(())
    }

    /// Policies, for people and for checks of style.
    pub fn describe(&self) -> Json {
        let mut list: Vec<Json> = self
            .about
            .iter()
            .map(|a| {
                json!({
                    "id": a.id, "title": a.title, "set": a.part, "text": a.text,
                    "effect": effect_name(a.effect),
                    "reads": reads(&a.est["conditions"], None),
                    "readsInUnless": reads(&a.est["conditions"], Some("unless")),
                })
            })
            .collect();
        for (id, template, _) in &self.links {
            if let Some(a) = self.about.iter().find(|a| a.id == template.to_string()) {
                list.push(json!({
                    "id": id.to_string(), "title": a.title, "set": "links",
                    "text": a.text, "effect": effect_name(a.effect),
                }));
            }
        }
        json!({ "policies": list, "enumerations": self.vocabulary.enumerations() })
    }
}

/// The entity a link's scope is `==` to, if it is: such a link is looked at only
/// when that entity is in the request.
fn key_of_link(template: &Template, values: &HashMap<SlotId, EntityUid>) -> Option<ast::EntityUID> {
    use cedar_policy::{TemplatePrincipalConstraint as P, TemplateResourceConstraint as R};
    let slot = if let P::Eq(None) = template.principal_constraint() {
        SlotId::principal()
    } else if let R::Eq(None) = template.resource_constraint() {
        SlotId::resource()
    } else {
        return None;
    };
    values.get(&slot).map(|uid| uid.as_ref().clone())
}

fn effect_name(effect: Effect) -> &'static str {
    match effect {
        Effect::Permit => "permit",
        Effect::Forbid => "forbid",
    }
}

/// The members of context that conditions read, in those of one kind or all.
fn reads(conditions: &Json, kind: Option<&str>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for condition in conditions.as_array().into_iter().flatten() {
        if kind.is_none_or(|kind| condition["kind"] == kind) {
            walk(&condition["body"], &mut found);
        }
    }
    found
}

fn walk(node: &Json, found: &mut BTreeSet<String>) {
    match node {
        Json::Object(members) => {
            if let Some(get) = members.get(".") {
                if get["left"]["Var"] == "context" {
                    found.extend(get["attr"].as_str().map(String::from));
                }
            }
            members.values().for_each(|value| walk(value, found));
        }
        Json::Array(items) => items.iter().for_each(|item| walk(item, found)),
        _ => {}
    }
}
