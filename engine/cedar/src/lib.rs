//! Cedar behind a C interface: include/writ_cedar.h is its document.
//!
//! Every function catches panics; one that panicked says WRIT_CEDAR_BROKEN and
//! nothing it would have returned is set.

// writ_cedar.h says what callers owe each function.
#![allow(clippy::missing_safety_doc)]

mod packed;
mod query;
mod question;
mod rules;
mod snapshot;
mod types;
mod world;

use packed::Packed;
use query::{Answer, Parts, Query, RemedyTexts, Shadow, Variant};
use question::{Classification, Question, Untyped};
use snapshot::{Faults, Snapshot};
use std::ffi::{c_char, c_int, CStr, CString};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;
use std::sync::Arc;
use world::World;

/// Several threads ask one snapshot and one world at the same time.
const fn shared<T: Send + Sync>() {}
const _: () = shared::<Snapshot>();
const _: () = shared::<World>();

const SYNTAX: c_int = -1;
const BROKEN: c_int = -2;
const GENERAL: c_int = -3;

/// struct writ_cedar_error
#[repr(C)]
pub struct ErrorText {
    text: [c_char; 400],
}

/// struct writ_cedar_tag
#[repr(C)]
pub struct Tag {
    name: *const c_char,
    value: i64,
}

/// struct writ_cedar_variant
#[repr(C)]
pub struct CVariant {
    ttl: *const c_char,
    mode: *const c_char,
    evidence: *const *const c_char,
    evidence_count: usize,
    vary_evidence: bool,
    approvals: *const Tag,
    approval_count: usize,
    vary_approvals: bool,
}

/// struct policy_names
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CNames {
    list: *const *const c_char,
    count: usize,
}

/// struct policy_counts
#[repr(C)]
#[derive(Clone, Copy)]
pub struct CCounts {
    list: *const Tag,
    count: usize,
}

/// struct policy_question, in the same order.
#[repr(C)]
pub struct CQuestion {
    size: usize,
    agent: *const c_char,
    action: *const c_char,
    resource_type: *const c_char,
    resource: *const c_char,
    plane: *const c_char,
    domain: *const c_char,
    environment: *const c_char,
    tier: i64,
    sensitivity: i64,
    task: *const c_char,
    task_class: *const c_char,
    declared_planes: CNames,
    task_expires_ms: i64,
    now_ms: i64,
    weekday: i64,
    hour: i64,
    ttl_s: i64,
    blast_radius: i64,
    risk_score: i64,
    risk_signals: i64,
    privileged_24h: i64,
    irreversible_24h: i64,
    planes_24h: i64,
    request_expires_ms: i64,
    gains_humans: CNames,
    gains_agents: CNames,
    evidence: CNames,
    planes: CNames,
    barred: CNames,
    approvals: CCounts,
    classified: bool,
    sign_off: bool,
    change_freeze: bool,
    attested: bool,
    recommend: bool,
    covered: bool,
    monitored: bool,
    reversible: bool,
    self_dealing: bool,
    own_rollback: bool,
}

/// struct writ_cedar_answer
#[repr(C)]
pub struct CAnswer {
    allow: bool,
    reasons: *const *const c_char,
    reason_count: usize,
    errors: *const *const c_char,
    error_count: usize,
}

/// struct writ_cedar_remedies
#[repr(C)]
pub struct CRemedies {
    groups: *const *const c_char,
    group_count: usize,
    evidence: *const *const c_char,
    evidence_count: usize,
    quorum: i64,
}

/// struct writ_cedar_query: a question with the texts last handed out.
pub struct CQuery {
    query: Query,
    answer: Answer,
    remedies: RemedyTexts,
    groups: Vec<*const c_char>,
    evidence: Vec<*const c_char>,
    shadows: Vec<Shadow>,
}

impl CQuery {
    fn boxed(query: Query) -> *mut Self {
        Box::into_raw(Box::new(CQuery {
            query,
            answer: Answer::default(),
            remedies: RemedyTexts::default(),
            groups: Vec::new(),
            evidence: Vec::new(),
            shadows: Vec::new(),
        }))
    }
}

fn tell(error: *mut ErrorText, message: &str) {
    if error.is_null() {
        return;
    }
    // SAFETY: the caller gives room for one struct writ_cedar_error.
    let room = unsafe { &mut (*error).text };
    let mut end = message.len().min(room.len() - 1);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    for (to, from) in room.iter_mut().zip(message.as_bytes()[..end].iter()) {
        *to = (if *from == 0 { b'?' } else { *from }) as c_char;
    }
    room[end] = 0;
}

fn guard(error: *mut ErrorText, body: impl FnOnce() -> Result<(), String>) -> c_int {
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(Ok(())) => 0,
        Ok(Err(message)) => {
            tell(error, &message);
            SYNTAX
        }
        Err(_) => {
            tell(error, "the policy engine broke off");
            BROKEN
        }
    }
}

/// SAFETY: ptr points to len bytes that outlive the call, or len is 0.
unsafe fn bytes<'a>(ptr: *const u8, len: usize) -> &'a [u8] {
    if len == 0 {
        return &[];
    }
    std::slice::from_raw_parts(ptr, len)
}

/// SAFETY: ptr points to count elements that outlive the call, or count is 0.
unsafe fn elements<'a, T>(ptr: *const T, count: usize) -> &'a [T] {
    if count == 0 {
        return &[];
    }
    std::slice::from_raw_parts(ptr, count)
}

/// SAFETY: text is NUL-terminated and outlives the call.
unsafe fn utf8<'a>(text: *const c_char) -> Result<&'a str, String> {
    if text.is_null() {
        return Err("a text is missing".into());
    }
    CStr::from_ptr(text)
        .to_str()
        .map_err(|_| "text is not UTF-8".into())
}

fn give_json(value: &serde_json::Value) -> Result<*mut c_char, String> {
    let text = CString::new(value.to_string()).map_err(|e| e.to_string())?;
    Ok(text.into_raw())
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_build(
    files: *const u8,
    len: usize,
    ret_snapshot: *mut *const Snapshot,
    ret_faults: *mut *mut c_char,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let files = Packed::read(bytes(files, len))?;
        let mut faults = Faults::default();
        let built = Snapshot::build(&files, &mut faults)?;
        *ret_faults = give_json(&faults.0.into())?;
        *ret_snapshot = built.map_or(ptr::null(), |s| Arc::into_raw(Arc::new(s)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_link(
    snapshot: *const Snapshot,
    links: *const u8,
    len: usize,
    ret_snapshot: *mut *const Snapshot,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let links = Packed::read(bytes(links, len))?;
        let linked = (*snapshot).link(&links)?;
        *ret_snapshot = Arc::into_raw(Arc::new(linked));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_without(
    snapshot: *const Snapshot,
    id: *const c_char,
    ret_snapshot: *mut *const Snapshot,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        *ret_snapshot = Arc::into_raw(Arc::new((*snapshot).without(utf8(id)?)));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_watch(
    snapshot: *const Snapshot,
    ret_snapshot: *mut *const Snapshot,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        *ret_snapshot = Arc::into_raw(Arc::new((*snapshot).watched()));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_watched(
    snapshot: *const Snapshot,
    ret_json: *mut *mut c_char,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let ids: Vec<String> = (*snapshot).take_watched().into_iter().collect();
        *ret_json = give_json(&ids.into())?;
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_query_shadows(
    query: *mut CQuery,
    ret_shadows: *mut *const Shadow,
    ret_count: *mut usize,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let query = &mut *query;
        query.shadows = query.query.shadows()?;
        *ret_shadows = query.shadows.as_ptr();
        *ret_count = query.shadows.len();
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_ref(snapshot: *const Snapshot) -> *const Snapshot {
    if !snapshot.is_null() {
        Arc::increment_strong_count(snapshot);
    }
    snapshot
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_unref(snapshot: *const Snapshot) {
    if !snapshot.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Arc::from_raw(snapshot))));
    }
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_describe(
    snapshot: *const Snapshot,
    ret_json: *mut *mut c_char,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        *ret_json = give_json(&(*snapshot).describe())?;
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_text_free(text: *mut c_char) {
    if !text.is_null() {
        drop(CString::from_raw(text));
    }
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_world_build(
    snapshot: *const Snapshot,
    entities: *const u8,
    len: usize,
    ret_world: *mut *mut World,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let entities = Packed::read(bytes(entities, len))?;
        let world = World::build(&(*snapshot).vocabulary, &entities)?;
        *ret_world = Box::into_raw(Box::new(world));
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_world_free(world: *mut World) {
    if !world.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(world))));
    }
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_query_new(
    snapshot: *const Snapshot,
    world: *const World,
    ask: *const u8,
    len: usize,
    ret_query: *mut *mut CQuery,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let ask = Packed::read(bytes(ask, len))?;
        let snapshot = shared_snapshot(snapshot);
        *ret_query = CQuery::boxed(Query::new(&snapshot, world.as_ref(), &ask)?);
        Ok(())
    })
}

unsafe fn names_of<'a>(names: CNames) -> Result<Vec<&'a str>, String> {
    let list = elements(names.list, names.count).iter();
    list.map(|text| utf8(*text)).collect()
}

unsafe fn counts_of<'a>(counts: CCounts) -> Result<Vec<(&'a str, i64)>, String> {
    let list = elements(counts.list, counts.count).iter();
    list.map(|tag| Ok((utf8(tag.name)?, tag.value))).collect()
}

unsafe fn question_of<'a>(q: &CQuestion) -> Result<Question<'a>, String> {
    if q.size != std::mem::size_of::<CQuestion>() {
        return Err("a question of another build".into());
    }
    let class = if q.classified {
        Some(Classification {
            plane: utf8(q.plane)?,
            domain: utf8(q.domain)?,
            environment: utf8(q.environment)?,
            tier: q.tier,
            sensitivity: q.sensitivity,
            sign_off: q.sign_off,
        })
    } else {
        None
    };
    Ok(Question {
        agent: utf8(q.agent)?,
        action: utf8(q.action)?,
        resource_type: utf8(q.resource_type)?,
        resource: utf8(q.resource)?,
        class,
        task: utf8(q.task)?,
        task_class: utf8(q.task_class)?,
        declared_planes: names_of(q.declared_planes)?,
        task_expires_ms: q.task_expires_ms,
        now_ms: q.now_ms,
        weekday: q.weekday,
        hour: q.hour,
        change_freeze: q.change_freeze,
        attested: q.attested,
        recommend: q.recommend,
        covered: q.covered,
        monitored: q.monitored,
        ttl_s: q.ttl_s,
        reversible: q.reversible,
        blast_radius: q.blast_radius,
        gains_humans: names_of(q.gains_humans)?,
        gains_agents: names_of(q.gains_agents)?,
        self_dealing: q.self_dealing,
        own_rollback: q.own_rollback,
        evidence: names_of(q.evidence)?,
        approvals: counts_of(q.approvals)?,
        risk_score: q.risk_score,
        risk_signals: q.risk_signals,
        planes: names_of(q.planes)?,
        privileged_24h: q.privileged_24h,
        irreversible_24h: q.irreversible_24h,
        planes_24h: q.planes_24h,
        barred: names_of(q.barred)?,
        request_expires_ms: q.request_expires_ms,
    })
}

/// Like guard(), for what may have to be asked in the general form.
fn guard_typed(
    error: *mut ErrorText,
    ret_query: *mut *mut CQuery,
    body: impl FnOnce() -> Result<Query, Untyped>,
) -> c_int {
    let mut general = false;
    let code = guard(error, || {
        let query = body().map_err(|why| match why {
            Untyped::Wrong(text) => text,
            Untyped::General => {
                general = true;
                "to be asked in the general form".into()
            }
        })?;
        // SAFETY: the caller gives room for one pointer.
        unsafe { *ret_query = CQuery::boxed(query) };
        Ok(())
    });
    if general {
        GENERAL
    } else {
        code
    }
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_question_new(
    snapshot: *const Snapshot,
    world: *const World,
    question: *const CQuestion,
    ret_query: *mut *mut CQuery,
    error: *mut ErrorText,
) -> c_int {
    guard_typed(error, ret_query, || {
        let snapshot = shared_snapshot(snapshot);
        let typed = snapshot.typed.clone().ok_or(Untyped::General)?;
        typed.ask(&snapshot, world.as_ref(), &question_of(&*question)?)
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_question_approve(
    snapshot: *const Snapshot,
    world: *const World,
    question: *const CQuestion,
    human: *const c_char,
    group: *const c_char,
    step_up: bool,
    ret_query: *mut *mut CQuery,
    error: *mut ErrorText,
) -> c_int {
    guard_typed(error, ret_query, || {
        let snapshot = shared_snapshot(snapshot);
        let typed = snapshot.typed.clone().ok_or(Untyped::General)?;
        let question = question_of(&*question)?;
        let (human, group) = (utf8(human)?, utf8(group)?);
        typed.ask_approve(&snapshot, world.as_ref(), &question, human, group, step_up)
    })
}

/// SAFETY: snapshot is one that the caller holds.
unsafe fn shared_snapshot(snapshot: *const Snapshot) -> Arc<Snapshot> {
    Arc::increment_strong_count(snapshot);
    Arc::from_raw(snapshot)
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_query_is_same(
    query: *const CQuery,
    other: *const CQuery,
) -> bool {
    let same = || (*query).query.is_same(&(*other).query);
    catch_unwind(AssertUnwindSafe(same)).unwrap_or(false)
}

unsafe fn variant_of<'a>(variant: &'a CVariant) -> Result<Variant<'a>, String> {
    let mut told = Variant::default();
    if !variant.ttl.is_null() {
        told.ttl = Some(utf8(variant.ttl)?);
    }
    if !variant.mode.is_null() {
        told.mode = Some(utf8(variant.mode)?);
    }
    if variant.vary_evidence {
        let list = elements(variant.evidence, variant.evidence_count).iter();
        told.evidence = Some(list.map(|text| utf8(*text)).collect::<Result<_, _>>()?);
    }
    if variant.vary_approvals {
        let list = elements(variant.approvals, variant.approval_count).iter();
        let list = list.map(|tag| Ok((utf8(tag.name)?, tag.value)));
        told.approvals = Some(list.collect::<Result<_, String>>()?);
    }
    Ok(told)
}

fn parts_of(parts: c_int) -> Parts {
    Parts {
        policies: parts & 1 != 0,
        invariants: parts & 2 != 0,
    }
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_query_run(
    query: *mut CQuery,
    variant: *const CVariant,
    parts: c_int,
    ret_answer: *mut CAnswer,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let query = &mut *query;
        let variant = match variant.as_ref() {
            None => None,
            Some(variant) => Some(variant_of(variant)?),
        };
        query.answer = query.query.run(variant.as_ref(), parts_of(parts))?;
        *ret_answer = CAnswer {
            allow: query.answer.allow,
            reasons: query.answer.reasons.as_ptr(),
            reason_count: query.answer.reasons.len(),
            errors: query.answer.errors.as_ptr(),
            error_count: query.answer.errors.len(),
        };
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_query_run_whole(
    query: *const CQuery,
    parts: c_int,
    ret_allow: *mut bool,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        *ret_allow = (*query).query.run_whole(parts_of(parts))?;
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_query_remedies(
    query: *mut CQuery,
    ret_remedies: *mut CRemedies,
    error: *mut ErrorText,
) -> c_int {
    guard(error, || {
        let query = &mut *query;
        query.remedies = query.query.remedies();
        query.groups = query.remedies.groups.iter().map(|t| t.as_ptr()).collect();
        query.evidence = query.remedies.evidence.iter().map(|t| t.as_ptr()).collect();
        *ret_remedies = CRemedies {
            groups: query.groups.as_ptr(),
            group_count: query.groups.len(),
            evidence: query.evidence.as_ptr(),
            evidence_count: query.evidence.len(),
            quorum: query.remedies.quorum,
        };
        Ok(())
    })
}

#[no_mangle]
pub unsafe extern "C" fn writ_cedar_query_free(query: *mut CQuery) {
    if !query.is_null() {
        let _ = catch_unwind(AssertUnwindSafe(|| drop(Box::from_raw(query))));
    }
}

/// The crate's version, which the build file pins.
#[no_mangle]
pub extern "C" fn writ_cedar_version() -> *const c_char {
    static NAME: std::sync::OnceLock<CString> = std::sync::OnceLock::new();
    NAME.get_or_init(|| {
        let name = format!("cedar-policy {}", cedar_policy::get_sdk_version());
        CString::new(name).unwrap_or_default()
    })
    .as_ptr()
}
