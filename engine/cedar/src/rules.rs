//! Conditions taken apart so that what policies have in common is evaluated
//! once per question.
//!
//! A condition is a tree of `&&`, `||`, `!` and `if` over tests.  Equal tests of
//! one bucket are one, and its outcome is kept while the facts it reads stay the
//! same.  The tree follows Cedar's own order and short cuts, so that what errs
//! there errs here.  Tests of the common forms are evaluated by Cedar's values
//! and relations directly, all others by its evaluator; the tests compare every
//! outcome with that of the official authorizer over whole sets.

use cedar_policy_core::ast::{
    BinaryOp, Entity, EntityType, EntityUID, EntityUIDEntry, Expr, ExprKind, Literal, PartialValue,
    Request, UnaryOp, Value, ValueKind, Var,
};
use cedar_policy_core::entities::{Dereference, Entities};
use cedar_policy_core::evaluator::{binary_relation, Evaluator};
use cedar_policy_core::extensions::Extensions;
use smol_str::SmolStr;
use std::borrow::Cow;
use std::collections::HashMap;

/// Facts that variants of a question replace, as a set of bits.
pub type Reads = u8;
pub const TTL: Reads = 1;
pub const EVIDENCE: Reads = 2;
pub const APPROVALS: Reads = 4;
pub const MODE: Reads = 8;
const ALL: Reads = TTL | EVIDENCE | APPROVALS | MODE;

/// Deeper conditions are left to Cedar's evaluator, which watches its stack.
const DEPTH_MAX: usize = 64;

/// What a condition or a part of it came to; what is no Bool is an error.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    False,
    True,
    Error,
}

impl From<bool> for Outcome {
    fn from(value: bool) -> Self {
        if value {
            Outcome::True
        } else {
            Outcome::False
        }
    }
}

/// Something that is evaluated to a value.
#[derive(PartialEq, Eq, Clone)]
enum Operand {
    Known(Value),
    Path(Var, Vec<SmolStr>),
    Tag(Box<Operand>, Box<Operand>),
    Other(Expr),
}

enum Test {
    Truth(Operand),
    Relation(BinaryOp, Operand, Operand),
    Within(Operand, Vec<EntityUID>),
    Contains(Operand, Operand),
    ContainsAll(Operand, Operand),
    ContainsAny(Operand, Operand),
    HasTag(Operand, Operand),
    Other(Expr),
}

struct Atom {
    test: Test,
    reads: Reads,
}

/// A condition over the tests of its bucket.
pub enum Tree {
    Const(bool),
    Atom(u32),
    Not(Box<Tree>),
    And(Vec<Tree>),
    Or(Vec<Tree>),
    If(Box<[Tree; 3]>),
}

/// The tests of one bucket.
#[derive(Default)]
pub struct Atoms {
    list: Vec<Atom>,
    known: HashMap<Expr, u32>,
}

/// The facts of one question, for evaluation.
pub struct Facts<'q> {
    pub evaluator: Evaluator<'q>,
    pub principal: &'q Value,
    pub action: &'q Value,
    pub resource: &'q Value,
    pub context: &'q Value,
    pub entities: &'q Entities,
}

/// Outcomes of tests so far; 0 where a test was not needed yet.
#[derive(Default, Clone)]
pub struct Memo(Vec<u8>);

impl Memo {
    pub fn new(atoms: &Atoms) -> Self {
        Memo(vec![0; atoms.list.len()])
    }

    /// Forgets what depends on facts that changed.
    pub fn forget(&mut self, atoms: &Atoms, changed: Reads) {
        if changed == 0 {
            return;
        }
        for (known, atom) in self.0.iter_mut().zip(&atoms.list) {
            if atom.reads & changed != 0 {
                *known = 0;
            }
        }
    }
}

/// An evaluator for expressions that look at no entity and at no fact.
fn evaluate_constant(expr: &Expr) -> Option<Value> {
    let entities = Entities::new();
    let request = Request::new_unchecked(
        EntityUIDEntry::unknown(),
        EntityUIDEntry::unknown(),
        EntityUIDEntry::unknown(),
        None,
    );
    Evaluator::new(request, &entities, Extensions::all_available())
        .interpret(expr, &HashMap::new())
        .ok()
}

fn is_constant(expr: &Expr) -> bool {
    match expr.expr_kind() {
        ExprKind::Lit(_) => true,
        ExprKind::Set(items) => items.iter().all(is_constant),
        ExprKind::ExtensionFunctionApp { args, .. } => args.iter().all(is_constant),
        _ => false,
    }
}

impl Operand {
    fn of(expr: &Expr) -> Self {
        if is_constant(expr) {
            if let Some(value) = evaluate_constant(expr) {
                return Operand::Known(value);
            }
        }
        match expr.expr_kind() {
            ExprKind::Var(var) => Operand::Path(*var, Vec::new()),
            ExprKind::GetAttr { expr: inner, attr } => match Operand::of(inner) {
                Operand::Path(var, mut attrs) => {
                    attrs.push(attr.clone());
                    Operand::Path(var, attrs)
                }
                _ => Operand::Other(expr.clone()),
            },
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag,
                arg1,
                arg2,
            } => Operand::Tag(Box::new(Operand::of(arg1)), Box::new(Operand::of(arg2))),
            _ => Operand::Other(expr.clone()),
        }
    }

    fn value<'a>(&'a self, facts: &'a Facts) -> Option<Cow<'a, Value>> {
        match self {
            Operand::Known(value) => Some(Cow::Borrowed(value)),
            Operand::Path(var, attrs) => {
                let mut at = match var {
                    Var::Principal => facts.principal,
                    Var::Action => facts.action,
                    Var::Resource => facts.resource,
                    Var::Context => facts.context,
                };
                for attr in attrs {
                    at = facts.attribute(at, attr)?;
                }
                Some(Cow::Borrowed(at))
            }
            Operand::Tag(entity, key) => {
                let entity = entity.value(facts)?;
                let key = key.value(facts)?;
                match facts.entity(&entity)?.get_tag(text_of(&key)?)? {
                    PartialValue::Value(value) => Some(Cow::Owned(value.clone())),
                    PartialValue::Residual(_) => None,
                }
            }
            Operand::Other(expr) => facts
                .evaluator
                .interpret(expr, &HashMap::new())
                .ok()
                .map(Cow::Owned),
        }
    }
}

fn text_of(value: &Value) -> Option<&SmolStr> {
    match value.value_kind() {
        ValueKind::Lit(Literal::String(text)) => Some(text),
        _ => None,
    }
}

fn uid_of(value: &Value) -> Option<&EntityUID> {
    match value.value_kind() {
        ValueKind::Lit(Literal::EntityUID(uid)) => Some(uid),
        _ => None,
    }
}

fn set_of(value: &Value) -> Option<&cedar_policy_core::ast::Set> {
    match value.value_kind() {
        ValueKind::Set(set) => Some(set),
        _ => None,
    }
}

impl Facts<'_> {
    /// The entity a value names; None if it is none or is not at hand.
    pub fn entity(&self, value: &Value) -> Option<&Entity> {
        match self.entities.entity(uid_of(value)?) {
            Dereference::Data(entity) => Some(entity),
            _ => None,
        }
    }

    fn attribute<'a>(&'a self, of: &'a Value, attr: &SmolStr) -> Option<&'a Value> {
        if let ValueKind::Record(record) = of.value_kind() {
            return record.get(attr);
        }
        match self.entity(of)?.get(attr)? {
            PartialValue::Value(value) => Some(value),
            PartialValue::Residual(_) => None,
        }
    }

    fn test(&self, test: &Test) -> Option<bool> {
        match test {
            Test::Truth(operand) => as_bool(&*operand.value(self)?),
            Test::Relation(op, left, right) => {
                let (left, right) = (left.value(self)?, right.value(self)?);
                binary_relation(*op, &left, &right, Extensions::all_available())
                    .ok()
                    .and_then(|value| as_bool(&value))
            }
            Test::Within(entity, others) => {
                let value = entity.value(self)?;
                let uid = uid_of(&value)?;
                let entity = self.entity(&value);
                Some(others.iter().any(|other| {
                    uid == other || entity.is_some_and(|entity| entity.is_descendant_of(other))
                }))
            }
            Test::Contains(set, item) => {
                let (set, item) = (set.value(self)?, item.value(self)?);
                Some(set_of(&set)?.contains(&item))
            }
            Test::ContainsAll(set, items) => {
                let (set, items) = (set.value(self)?, items.value(self)?);
                let set = set_of(&set)?;
                Some(set_of(&items)?.is_subset(set))
            }
            Test::ContainsAny(set, items) => {
                let (set, items) = (set.value(self)?, items.value(self)?);
                let set = set_of(&set)?;
                Some(!set.is_disjoint(set_of(&items)?))
            }
            Test::HasTag(entity, key) => {
                let (value, key) = (entity.value(self)?, key.value(self)?);
                uid_of(&value)?;
                let key = text_of(&key)?;
                Some(
                    self.entity(&value)
                        .is_some_and(|entity| entity.get_tag(key).is_some()),
                )
            }
            Test::Other(expr) => self
                .evaluator
                .interpret(expr, &HashMap::new())
                .ok()
                .and_then(|value| as_bool(&value)),
        }
    }
}

fn as_bool(value: &Value) -> Option<bool> {
    match value.value_kind() {
        ValueKind::Lit(Literal::Bool(flag)) => Some(*flag),
        _ => None,
    }
}

/// The uids of one literal entity or a literal set of them.
fn literal_uids(expr: &Expr) -> Option<Vec<EntityUID>> {
    match expr.expr_kind() {
        ExprKind::Lit(Literal::EntityUID(uid)) => Some(vec![(**uid).clone()]),
        ExprKind::Set(items) => items
            .iter()
            .map(|item| match item.expr_kind() {
                ExprKind::Lit(Literal::EntityUID(uid)) => Some((**uid).clone()),
                _ => None,
            })
            .collect(),
        _ => None,
    }
}

impl Test {
    fn of(expr: &Expr) -> Self {
        let ExprKind::BinaryApp { op, arg1, arg2 } = expr.expr_kind() else {
            return match Operand::of(expr) {
                Operand::Other(_) => Test::Other(expr.clone()),
                operand => Test::Truth(operand),
            };
        };
        let (left, right) = (|| Operand::of(arg1), || Operand::of(arg2));
        match op {
            BinaryOp::Eq | BinaryOp::Less | BinaryOp::LessEq => {
                Test::Relation(*op, left(), right())
            }
            BinaryOp::In => match literal_uids(arg2) {
                Some(others) => Test::Within(left(), others),
                None => Test::Other(expr.clone()),
            },
            BinaryOp::Contains => Test::Contains(left(), right()),
            BinaryOp::ContainsAll => Test::ContainsAll(left(), right()),
            BinaryOp::ContainsAny => Test::ContainsAny(left(), right()),
            BinaryOp::HasTag => Test::HasTag(left(), right()),
            BinaryOp::GetTag => Test::Truth(Operand::of(expr)),
            BinaryOp::Add | BinaryOp::Sub | BinaryOp::Mul => Test::Other(expr.clone()),
        }
    }
}

/// Which varied facts an expression could read.  A context that is not taken
/// apart at once could be any of them; tags are always the approvals.
fn reads_of(expr: &Expr) -> Reads {
    let is_context = |expr: &Expr| matches!(expr.expr_kind(), ExprKind::Var(Var::Context));
    let mut reads = 0;
    let (mut contexts, mut members) = (0, 0);
    for part in expr.subexpressions() {
        let member = match part.expr_kind() {
            ExprKind::Var(Var::Context) => {
                contexts += 1;
                None
            }
            ExprKind::GetAttr { expr, attr } if is_context(expr) => Some(attr),
            ExprKind::HasAttr { expr, attr } if is_context(expr) => Some(attr),
            ExprKind::ExtHasAttr { expr, attrs } if is_context(expr) => Some(attrs.first()),
            ExprKind::BinaryApp {
                op: BinaryOp::GetTag | BinaryOp::HasTag,
                ..
            } => {
                reads |= APPROVALS;
                None
            }
            _ => None,
        };
        if let Some(member) = member {
            members += 1;
            reads |= match member.as_str() {
                "ttl" => TTL,
                "evidence" => EVIDENCE,
                "approvals" => APPROVALS,
                "mode" => MODE,
                _ => 0,
            };
        }
    }
    if contexts == members {
        reads
    } else {
        ALL
    }
}

/// What every request of a bucket has in common.
pub struct Kinds<'b> {
    pub principal: &'b EntityType,
    pub action: &'b Entity,
    pub resource: &'b EntityType,
}

impl Kinds<'_> {
    /// The outcome of a test that is the same for all of the bucket: of the
    /// action, and of the types of principal and resource.
    fn settle(&self, expr: &Expr) -> Option<bool> {
        match expr.expr_kind() {
            ExprKind::Lit(Literal::Bool(flag)) => Some(*flag),
            ExprKind::Is { expr, entity_type } => match expr.expr_kind() {
                ExprKind::Var(Var::Principal) => Some(self.principal == entity_type),
                ExprKind::Var(Var::Resource) => Some(self.resource == entity_type),
                _ => None,
            },
            ExprKind::BinaryApp { op, arg1, arg2 }
                if matches!(arg1.expr_kind(), ExprKind::Var(Var::Action)) =>
            {
                let others = literal_uids(arg2)?;
                let single = matches!(arg2.expr_kind(), ExprKind::Lit(_));
                match op {
                    BinaryOp::Eq if single => Some(self.action.uid() == &others[0]),
                    BinaryOp::In => Some(others.iter().any(|other| {
                        self.action.uid() == other || self.action.is_descendant_of(other)
                    })),
                    _ => None,
                }
            }
            _ => None,
        }
    }
}

impl Atoms {
    fn atom(&mut self, expr: &Expr) -> Tree {
        if let Some(known) = self.known.get(expr) {
            return Tree::Atom(*known);
        }
        let number = self.list.len() as u32;
        self.list.push(Atom {
            test: Test::of(expr),
            reads: reads_of(expr),
        });
        self.known.insert(expr.clone(), number);
        Tree::Atom(number)
    }

    pub fn tree(&mut self, expr: &Expr, kinds: &Kinds) -> Tree {
        self.grow(expr, kinds, 0)
    }

    fn grow(&mut self, expr: &Expr, kinds: &Kinds, depth: usize) -> Tree {
        if let Some(settled) = kinds.settle(expr) {
            return Tree::Const(settled);
        }
        if depth > DEPTH_MAX {
            return self.atom(expr);
        }
        let depth = depth + 1;
        match expr.expr_kind() {
            ExprKind::And { left, right } => {
                let left = self.grow(left, kinds, depth);
                if matches!(left, Tree::Const(false)) {
                    return left;
                }
                let right = self.grow(right, kinds, depth);
                join(left, right, true)
            }
            ExprKind::Or { left, right } => {
                let left = self.grow(left, kinds, depth);
                if matches!(left, Tree::Const(true)) {
                    return left;
                }
                let right = self.grow(right, kinds, depth);
                join(left, right, false)
            }
            ExprKind::UnaryApp {
                op: UnaryOp::Not,
                arg,
            } => match self.grow(arg, kinds, depth) {
                Tree::Const(flag) => Tree::Const(!flag),
                tree => Tree::Not(Box::new(tree)),
            },
            ExprKind::If {
                test_expr,
                then_expr,
                else_expr,
            } => match self.grow(test_expr, kinds, depth) {
                Tree::Const(true) => self.grow(then_expr, kinds, depth),
                Tree::Const(false) => self.grow(else_expr, kinds, depth),
                test => Tree::If(Box::new([
                    test,
                    self.grow(then_expr, kinds, depth),
                    self.grow(else_expr, kinds, depth),
                ])),
            },
            _ => self.atom(expr),
        }
    }

    pub fn outcome(&self, tree: &Tree, facts: &Facts, memo: &mut Memo) -> Outcome {
        match tree {
            Tree::Const(flag) => (*flag).into(),
            Tree::Atom(number) => self.ask(*number, facts, memo),
            Tree::Not(inner) => match self.outcome(inner, facts, memo) {
                Outcome::True => Outcome::False,
                Outcome::False => Outcome::True,
                Outcome::Error => Outcome::Error,
            },
            Tree::And(list) => self.first_but(Outcome::True, list, facts, memo),
            Tree::Or(list) => self.first_but(Outcome::False, list, facts, memo),
            Tree::If(parts) => match self.outcome(&parts[0], facts, memo) {
                Outcome::True => self.outcome(&parts[1], facts, memo),
                Outcome::False => self.outcome(&parts[2], facts, memo),
                Outcome::Error => Outcome::Error,
            },
        }
    }

    fn first_but(
        &self,
        neutral: Outcome,
        list: &[Tree],
        facts: &Facts,
        memo: &mut Memo,
    ) -> Outcome {
        for tree in list {
            let outcome = self.outcome(tree, facts, memo);
            if outcome != neutral {
                return outcome;
            }
        }
        neutral
    }

    pub fn ask(&self, number: u32, facts: &Facts, memo: &mut Memo) -> Outcome {
        const OUTCOMES: [Outcome; 3] = [Outcome::False, Outcome::True, Outcome::Error];
        let slot = &mut memo.0[number as usize];
        if *slot == 0 {
            *slot = match facts.test(&self.list[number as usize].test) {
                Some(false) => 1,
                Some(true) => 2,
                None => 3,
            };
        }
        OUTCOMES[usize::from(*slot) - 1]
    }
}

/// Both in order, flattened; `all` for `&&`.  What follows a constant that ends
/// it is never evaluated.
fn join(left: Tree, right: Tree, all: bool) -> Tree {
    let mut list = Vec::new();
    for tree in [left, right] {
        match (tree, all) {
            (Tree::And(items), true) | (Tree::Or(items), false) => list.extend(items),
            (tree, _) => list.push(tree),
        }
    }
    let ends = |tree: &Tree| matches!(tree, Tree::Const(flag) if *flag != all);
    let end = list.iter().position(ends).map_or(list.len(), |at| at + 1);
    list.truncate(end);
    list.retain(|tree| !matches!(tree, Tree::Const(flag) if *flag == all));
    match list.len() {
        0 => Tree::Const(all),
        1 => list.remove(0),
        _ if all => Tree::And(list),
        _ => Tree::Or(list),
    }
}

/// The entity that principal or resource must be, or be within, for a condition
/// to be more than false.
#[derive(PartialEq, Eq, Hash, Clone, Debug)]
pub enum Key {
    Is(EntityUID),
    Within(EntityUID),
}

/// Looks for it among the leading conjuncts, past those that cannot err.
pub fn key_of(expr: &Expr) -> Option<Key> {
    let mut list = Vec::new();
    conjuncts(expr, &mut list);
    for conjunct in list {
        match conjunct.expr_kind() {
            ExprKind::Lit(Literal::Bool(true)) | ExprKind::Is { .. } if is_harmless(conjunct) => {}
            ExprKind::BinaryApp { op, arg1, arg2 } => {
                let ExprKind::Var(var) = arg1.expr_kind() else {
                    return None;
                };
                let others = literal_uids(arg2)?;
                match (var, op) {
                    (Var::Action, BinaryOp::Eq | BinaryOp::In) => {}
                    (Var::Principal | Var::Resource, BinaryOp::Eq | BinaryOp::In)
                        if others.len() == 1 && matches!(arg2.expr_kind(), ExprKind::Lit(_)) =>
                    {
                        let uid = others.into_iter().next()?;
                        return Some(match op {
                            BinaryOp::Eq => Key::Is(uid),
                            _ => Key::Within(uid),
                        });
                    }
                    _ => return None,
                }
            }
            _ => return None,
        }
    }
    None
}

fn is_harmless(expr: &Expr) -> bool {
    match expr.expr_kind() {
        ExprKind::Lit(_) => true,
        ExprKind::Is { expr, .. } => {
            matches!(expr.expr_kind(), ExprKind::Var(var) if *var != Var::Context)
        }
        _ => false,
    }
}

fn conjuncts<'e>(expr: &'e Expr, list: &mut Vec<&'e Expr>) {
    let mut waiting = vec![expr];
    while let Some(expr) = waiting.pop() {
        match expr.expr_kind() {
            ExprKind::And { left, right } => {
                waiting.push(right);
                waiting.push(left);
            }
            _ => list.push(expr),
        }
    }
}
