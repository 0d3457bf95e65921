//! Cedar behind a C interface: include/writ_cedar.h is its document.
//!
//! Every function catches panics; one that panicked says WRIT_CEDAR_BROKEN and
//! nothing it would have returned is set.

// writ_cedar.h says what callers owe each function.
#![allow(clippy::missing_safety_doc)]

mod packed;
mod query;
mod snapshot;
mod types;
mod world;

use packed::Packed;
use query::{Answer, Parts, Query, RemedyTexts, Variant};
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
    evidence: *const *const c_char,
    evidence_count: usize,
    vary_evidence: bool,
    approvals: *const Tag,
    approval_count: usize,
    vary_approvals: bool,
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
        Arc::increment_strong_count(snapshot);
        let snapshot = Arc::from_raw(snapshot);
        let query = CQuery {
            query: Query::new(&snapshot, world.as_ref(), &ask)?,
            answer: Answer::default(),
            remedies: RemedyTexts::default(),
            groups: Vec::new(),
            evidence: Vec::new(),
        };
        *ret_query = Box::into_raw(Box::new(query));
        Ok(())
    })
}

unsafe fn variant_of<'a>(variant: &'a CVariant) -> Result<Variant<'a>, String> {
    let mut told = Variant::default();
    if !variant.ttl.is_null() {
        told.ttl = Some(utf8(variant.ttl)?);
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
