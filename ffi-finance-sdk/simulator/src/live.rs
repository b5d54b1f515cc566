//! Which objects the caller holds, so that misuse is met with a message, not with chance.
//!
//! Freeing twice, using what was freed and destroying a handle during a call on it abort
//! the process: this is where callers of the real library crash.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

/// What an address belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sdk,
    Slice,
    Media,
}

#[derive(Debug, Clone, Copy)]
struct Object {
    kind: Kind,
    is_freed: bool,
    n_calls: u32,
}

static OBJECTS: LazyLock<Mutex<HashMap<usize, Object>>> = LazyLock::new(Mutex::default);

fn objects() -> MutexGuard<'static, HashMap<usize, Object>> {
    OBJECTS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Notes a new object. An address may be used again after it was freed.
pub fn born<T>(object: *mut T, kind: Kind) {
    objects().insert(
        object.addr(),
        Object {
            kind,
            is_freed: false,
            n_calls: 0,
        },
    );
}

/// Notes that the caller gives an object back, or aborts.
pub fn freed<T>(object: *mut T, kind: Kind) {
    let mut objects = objects();
    let found = objects.get_mut(&object.addr());
    match found {
        Some(o) if o.kind == kind && !o.is_freed && o.n_calls == 0 => o.is_freed = true,
        Some(o) if o.kind == kind && o.is_freed => abort(kind, "freed twice"),
        Some(o) if o.kind == kind => abort(kind, "freed while a call on it is running"),
        _ => abort(kind, "freed but never made by this library"),
    }
}

/// Aborts unless the object is there to be read.
pub fn check<T>(object: *mut T, kind: Kind) {
    match objects().get(&object.addr()) {
        Some(o) if o.kind == kind && !o.is_freed => {}
        Some(o) if o.kind == kind => abort(kind, "used after it was freed"),
        _ => abort(kind, "used but never made by this library"),
    }
}

/// A call running on an object, until it is dropped.
pub struct Call(usize);

/// Notes that a call on the object runs, or aborts.
pub fn enter<T>(object: *mut T, kind: Kind) -> Call {
    check(object, kind);
    if let Some(o) = objects().get_mut(&object.addr()) {
        o.n_calls += 1;
    }
    Call(object.addr())
}

impl Drop for Call {
    fn drop(&mut self) {
        if let Some(o) = objects().get_mut(&self.0) {
            o.n_calls = o.n_calls.saturating_sub(1);
        }
    }
}

fn abort(kind: Kind, what: &str) -> ! {
    eprintln!("finance sdk simulator: {kind:?} {what}");
    std::process::abort();
}
