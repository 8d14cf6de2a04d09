// SPDX-License-Identifier: Apache-2.0
//! quern/job.rs: what quern/job.h says, for jobs in Rust. A job's crate has this file as its module
//! `quern` (`quern job new NAME -lang rust` puts it there), declares its table once, and is built as
//! a cdylib; nothing is linked, no other crate is needed (Rust 1.63 or later):
//!
//! ```text
//! #[macro_use]
//! mod quern;
//! use quern::*;
//!
//! fn map(task: &mut Task, line: &[u8], _where: &[u8]) -> Answer { task.emit(line, &1u64.to_ne_bytes()) }
//!
//! quern_job! { name: "count", about: "counts lines", map: map, combine_op: Fold::Sum, reduce: ... }
//! ```
//!
//! A function answers Ok(()), or an error: `Err(Failed::because("no date"))`, or `?` on any error of
//! the standard library. A panic fails the task with its words and its place, and does not take the
//! process with it. Slices are borrowed until the function returns; what is emitted is copied.
#![allow(dead_code)]

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::os::raw::{c_char, c_int, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::sync::Once;

/// Why a function could not go on; told with the record it had in hand.
pub struct Failed(String);
impl Failed {
    pub fn because(why: impl Into<String>) -> Failed {
        Failed(why.into())
    }
}
impl<E: std::error::Error> From<E> for Failed {
    fn from(error: E) -> Failed {
        Failed(error.to_string())
    }
}
pub type Answer = Result<(), Failed>;

#[repr(C)]
#[derive(Clone, Copy)]
pub enum Type { Unset, Text, Bytes, U64, I64, F64, None }
#[repr(C)]
#[derive(Clone, Copy)]
pub enum Fold { No, Sum, Min, Max, Count, First, Concat }
#[repr(C)]
#[derive(Clone, Copy)]
pub enum Input { Lines, Records, Rows, CrlfLines, KeyValues, Prefixed, Csv, JsonLines, WholeFiles }
#[repr(C)]
#[derive(Clone, Copy)]
pub enum Output { TextLines, Raw }
#[repr(C)]
#[derive(Clone, Copy)]
pub enum Spread { ByHash, ByRange }

#[repr(C)]
#[derive(Clone, Copy)]
pub struct Slice {
    data: *const c_void,
    len: usize,
}
impl Slice {
    fn of(bytes: &[u8]) -> Slice {
        Slice { data: bytes.as_ptr() as *const c_void, len: bytes.len() }
    }
    /// Of the engine's own: valid as long as the engine says, which is what `'a` stands for.
    pub fn bytes<'a>(self) -> &'a [u8] {
        if self.len == 0 { &[] } else { unsafe { std::slice::from_raw_parts(self.data as *const u8, self.len) } }
    }
}

// The tables of job.h, field by field. What is not used from here stays a plain pointer.
#[repr(C)]
pub struct Host {
    abi: u32,
    size: u32,
    emit: extern "C" fn(*mut RawTask, Slice, Slice) -> c_int,
    next: extern "C" fn(*mut RawValues, *mut Slice) -> c_int,
    option: extern "C" fn(*mut RawTask, *const c_char) -> *const c_char,
    counter: extern "C" fn(*mut RawTask, *const c_char, *const c_char) -> *mut u64,
    status: extern "C" fn(*mut RawTask, *const c_char),
    log: extern "C" fn(*mut RawTask, *const c_char),
    fail: extern "C" fn(*mut RawTask, *const c_char) -> c_int,
    input: extern "C" fn(*mut RawTask) -> *const RawInput,
    format: *const c_void,
    side_file: extern "C" fn(*mut RawTask, *const c_char, *mut Slice) -> c_int,
    setting: *const c_void,
    emit_to: extern "C" fn(*mut RawTask, *const c_char, Slice, Slice) -> c_int,
    emit_keys: *const c_void,
    input_at: *const c_void,
    side_at: *const c_void,
    key_of: extern "C" fn(*const RawValues) -> Slice,
}
#[repr(C)]
pub struct RawTask {
    host: *const Host,
    state: *mut c_void,
    task_index: u32,
    attempt: u32,
    partitions: u32,
    is_reduce: u32,
}
#[repr(C)]
pub struct RawValues {
    host: *const Host,
}
#[repr(C)]
pub struct RawInput {
    path: *const c_char,
    offset: u64,
    split_offset: u64,
    split_length: u64,
    name: *const c_char,
}
#[repr(C)]
pub struct OptionRow {
    pub name: *const c_char,
    pub default_value: *const c_char,
    pub help: *const c_char,
}
unsafe impl Sync for OptionRow {}
#[repr(C)]
pub struct Head {
    magic: u32,
    abi: u32,
    job_size: u32,
    host_size: u32,
    task_size: u32,
    reserved: u32,
}
pub type TaskFn = extern "C" fn(*mut RawTask) -> c_int;
pub type MapFn = extern "C" fn(*mut RawTask, Slice, Slice) -> c_int;
pub type ReduceFn = extern "C" fn(*mut RawTask, Slice, *mut RawValues) -> c_int;
#[repr(C)]
pub struct RawJob {
    pub head: Head,
    pub name: *const c_char,
    pub about: *const c_char,
    pub setup: Option<TaskFn>,
    pub map: Option<MapFn>,
    pub map_lines: Option<MapFn>,
    pub combine_op: Fold,
    pub combine: Option<ReduceFn>,
    pub reduce: Option<ReduceFn>,
    pub cleanup: Option<TaskFn>,
    pub key: Type,
    pub value: Type,
    pub out_key: Type,
    pub out_value: Type,
    pub partition: Option<extern "C" fn(Slice, u32) -> u32>,
    pub compare: Option<extern "C" fn(Slice, Slice) -> c_int>,
    pub group: Option<extern "C" fn(Slice, Slice) -> c_int>,
    pub options: *const OptionRow,
    pub default_reducers: u32,
    pub input: Input,
    pub record_size: u32,
    pub output: Output,
    pub spread: Spread,
    pub concat_with: *const c_char,
    pub concat_limit: u32,
    pub csv_separator: c_char,
    pub then: *const RawJob,
    pub inputs: *const Table,
    pub split_size: u64,
    pub needs_reduce: u32,
    pub check: Option<TaskFn>,
}
unsafe impl Sync for RawJob {}
/// One of `inputs`, a table declared by `quern_job! { static ORDERS; ... }`:
/// `static INPUTS: &[Table] = &[Table(&ORDERS), Table(&PEOPLE), Table::END];`
#[repr(transparent)]
pub struct Table(pub *const RawJob);
unsafe impl Sync for Table {}
impl Table {
    pub const END: Table = Table(std::ptr::null());
}
impl RawJob {
    pub const EMPTY: RawJob = RawJob {
        head: Head {
            magic: 0x6a6e_7271,
            abi: 1,
            job_size: std::mem::size_of::<RawJob>() as u32,
            host_size: std::mem::size_of::<Host>() as u32,
            task_size: std::mem::size_of::<RawTask>() as u32,
            reserved: 0,
        },
        name: std::ptr::null(),
        about: std::ptr::null(),
        setup: None,
        map: None,
        map_lines: None,
        combine_op: Fold::No,
        combine: None,
        reduce: None,
        cleanup: None,
        key: Type::Unset,
        value: Type::Unset,
        out_key: Type::Unset,
        out_value: Type::Unset,
        partition: None,
        compare: None,
        group: None,
        options: std::ptr::null(),
        default_reducers: 0,
        input: Input::Lines,
        record_size: 0,
        output: Output::TextLines,
        spread: Spread::ByHash,
        concat_with: std::ptr::null(),
        concat_limit: 0,
        csv_separator: 0,
        then: std::ptr::null(),
        inputs: std::ptr::null(),
        split_size: 0,
        needs_reduce: 0,
        check: None,
    };
}

/// The attempt a function works for.
pub struct Task<'a> {
    raw: &'a mut RawTask,
}
fn c_text(text: &str) -> CString {
    CString::new(text.replace('\0', "\u{fffd}")).unwrap_or_default()
}
// What the engine refused it has the reason of already.
fn answered(code: c_int) -> Answer {
    if code == 0 { Ok(()) } else { Err(Failed(String::new())) }
}
impl<'a> Task<'a> {
    fn host(&self) -> &'a Host {
        unsafe { &*self.raw.host }
    }
    pub fn index(&self) -> u32 {
        self.raw.task_index
    }
    pub fn is_reduce(&self) -> bool {
        self.raw.is_reduce != 0
    }
    pub fn emit(&mut self, key: &[u8], value: &[u8]) -> Answer {
        answered((self.host().emit)(self.raw, Slice::of(key), Slice::of(value)))
    }
    /// To a further output: `OUT/errors-r-00003`.
    pub fn emit_to(&mut self, output: &str, key: &[u8], value: &[u8]) -> Answer {
        let output = c_text(output);
        answered((self.host().emit_to)(self.raw, output.as_ptr(), Slice::of(key), Slice::of(value)))
    }
    /// The value of a declared option.
    pub fn option(&mut self, name: &str) -> &'a str {
        let value = (self.host().option)(self.raw, c_text(name).as_ptr());
        if value.is_null() { "" } else { unsafe { CStr::from_ptr(value) }.to_str().unwrap_or("") }
    }
    pub fn count(&mut self, group: &str, name: &str, n: u64) {
        let counter = (self.host().counter)(self.raw, c_text(group).as_ptr(), c_text(name).as_ptr());
        if !counter.is_null() {
            unsafe { *counter = (*counter).wrapping_add(n) }
        }
    }
    pub fn status(&mut self, text: &str) {
        (self.host().status)(self.raw, c_text(text).as_ptr())
    }
    pub fn log(&mut self, text: &str) {
        (self.host().log)(self.raw, c_text(text).as_ptr())
    }
    /// The path of the file the record in hand is of, and where it stands there.
    pub fn input(&mut self) -> (&'a [u8], u64) {
        let input = unsafe { &*(self.host().input)(self.raw) };
        (unsafe { CStr::from_ptr(input.path) }.to_bytes(), input.offset)
    }
    /// Which of the job's `inputs` that is, from setup on; "" = none of them.
    pub fn input_name(&mut self) -> &'a [u8] {
        unsafe { CStr::from_ptr((*(self.host().input)(self.raw)).name) }.to_bytes()
    }
    /// The bytes of a file that came with -file.
    pub fn side_file(&mut self, name: &str) -> Result<&'a [u8], Failed> {
        let mut bytes = Slice::of(&[]);
        let code = (self.host().side_file)(self.raw, c_text(name).as_ptr(), &mut bytes);
        answered(code).map(|()| bytes.bytes())
    }
    /// State of the attempt's own: made in setup, given back by take_state in cleanup.
    pub fn set_state<T>(&mut self, state: T) {
        self.raw.state = Box::into_raw(Box::new(state)) as *mut c_void;
    }
    pub fn state<T>(&mut self) -> &'a mut T {
        assert!(!self.raw.state.is_null(), "no state: set_state in setup");
        unsafe { &mut *(self.raw.state as *mut T) }
    }
    pub fn take_state<T>(&mut self) -> Option<Box<T>> {
        let state = std::mem::replace(&mut self.raw.state, std::ptr::null_mut());
        if state.is_null() { None } else { Some(unsafe { Box::from_raw(state as *mut T) }) }
    }
}

/// All values of one key, in the order of the input. Each lives until the next is asked for.
pub struct Values {
    raw: *mut RawValues,
}
impl Values {
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Option<&[u8]> {
        let mut value = Slice::of(&[]);
        let there_is = unsafe { ((*(*self.raw).host).next)(self.raw, &mut value) };
        if there_is != 0 { Some(value.bytes()) } else { None }
    }
    /// The next value and its own whole key, where a group has several.
    pub fn next_with_key(&mut self) -> Option<(&[u8], &[u8])> {
        let mut value = Slice::of(&[]);
        let there_is = unsafe { ((*(*self.raw).host).next)(self.raw, &mut value) };
        if there_is != 0 { Some((value.bytes(), self.key())) } else { None }
    }
    /// The whole key of the value that next gave last. Before the first value, and when there are
    /// no more: the key of the call.
    pub fn key(&self) -> &[u8] {
        unsafe { ((*(*self.raw).host).key_of)(self.raw).bytes() }
    }
}

/// A number as QN_U64 has it; 0 where the slice is none.
pub fn to_u64(bytes: &[u8]) -> u64 {
    let mut eight = [0u8; 8];
    if bytes.len() == 8 {
        eight.copy_from_slice(bytes);
    }
    u64::from_ne_bytes(eight)
}

thread_local! { static PANIC: RefCell<String> = empty_text(); }
fn empty_text() -> RefCell<String> {
    RefCell::new(String::new())
}

fn keep_words_of_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        std::panic::set_hook(Box::new(|info| {
            let words = info.payload().downcast_ref::<&str>().map(|s| s.to_string());
            let words = words.or_else(|| info.payload().downcast_ref::<String>().cloned());
            let place = info.location().map(|l| format!("{}:{}", l.file(), l.line()));
            let told = format!("panicked at {}: {}", place.unwrap_or_default(), words.unwrap_or_default());
            eprintln!("{}", told);
            PANIC.with(|p| *p.borrow_mut() = told);
        }));
    });
}

/// What stands between the engine and each function: errors and panics become the task's failure.
pub fn guard(raw: *mut RawTask, work: impl FnOnce(&mut Task) -> Answer) -> c_int {
    keep_words_of_panics();
    let mut task = Task { raw: unsafe { &mut *raw } };
    let why = match catch_unwind(AssertUnwindSafe(|| work(&mut task))) {
        Ok(Ok(())) => return 0,
        Ok(Err(Failed(why))) => why,
        Err(_) => PANIC.with(|p| p.borrow().clone()),
    };
    if !why.is_empty() {
        unsafe { ((*(*raw).host).fail)(raw, c_text(&why).as_ptr()) };
    }
    -1
}
pub fn values(raw: *mut RawValues) -> Values {
    Values { raw }
}

/// A row of `options`: `option_row!("lengths.max", "80", "longest line that counts")`; the last is
/// `option_row!()`.
#[macro_export]
macro_rules! option_row {
    () => {
        $crate::quern::OptionRow { name: std::ptr::null(), default_value: std::ptr::null(), help: std::ptr::null() }
    };
    ($name:literal, $value:literal, $help:literal) => {
        $crate::quern::OptionRow {
            name: concat!($name, "\0").as_ptr() as *const _,
            default_value: concat!($value, "\0").as_ptr() as *const _,
            help: concat!($help, "\0").as_ptr() as *const _,
        }
    };
}

/// The job's table: fields as in job.h, by name, in any order.
#[macro_export]
macro_rules! quern_job {
    (@set $job:ident name $text:literal) => { $job.name = concat!($text, "\0").as_ptr() as *const _; };
    (@set $job:ident about $text:literal) => { $job.about = concat!($text, "\0").as_ptr() as *const _; };
    (@set $job:ident setup $f:expr) => {{
        extern "C" fn call(task: *mut $crate::quern::RawTask) -> std::os::raw::c_int { $crate::quern::guard(task, $f) }
        $job.setup = Some(call);
    }};
    (@set $job:ident cleanup $f:expr) => {{
        extern "C" fn call(task: *mut $crate::quern::RawTask) -> std::os::raw::c_int { $crate::quern::guard(task, $f) }
        $job.cleanup = Some(call);
    }};
    (@set $job:ident map $f:expr) => { quern_job!(@map $job map $f) };
    (@set $job:ident map_lines $f:expr) => { quern_job!(@map $job map_lines $f) };
    (@set $job:ident combine $f:expr) => { quern_job!(@reduce $job combine $f) };
    (@set $job:ident reduce $f:expr) => { quern_job!(@reduce $job reduce $f) };
    (@set $job:ident inputs $tables:expr) => { $job.inputs = $tables.as_ptr(); };
    (@set $job:ident options $rows:expr) => { $job.options = $rows.as_ptr(); };
    (@set $job:ident $field:ident $value:expr) => { $job.$field = $value; };
    (@map $job:ident $field:ident $f:expr) => {{
        extern "C" fn call(task: *mut $crate::quern::RawTask, record: $crate::quern::Slice, place: $crate::quern::Slice) -> std::os::raw::c_int {
            $crate::quern::guard(task, |task| $f(task, record.bytes(), place.bytes()))
        }
        $job.$field = Some(call);
    }};
    (@reduce $job:ident $field:ident $f:expr) => {{
        extern "C" fn call(task: *mut $crate::quern::RawTask, key: $crate::quern::Slice, values: *mut $crate::quern::RawValues) -> std::os::raw::c_int {
            $crate::quern::guard(task, |task| $f(task, key.bytes(), &mut $crate::quern::values(values)))
        }
        $job.$field = Some(call);
    }};
    (@table $($field:ident : $value:tt $(:: $more:ident)*),*) => {{
        let mut job = $crate::quern::RawJob::EMPTY;
        $( quern_job!(@set job $field $value $(:: $more)*); )*
        job
    }};
    (static $table:ident; $($field:ident : $value:tt $(:: $more:ident)*),* $(,)?) => {
        static $table: $crate::quern::RawJob = quern_job!(@table $($field : $value $(:: $more)*),*);
    };
    ($($field:ident : $value:tt $(:: $more:ident)*),* $(,)?) => {
        #[no_mangle]
        #[allow(non_upper_case_globals)]
        pub static qn_job: $crate::quern::RawJob = quern_job!(@table $($field : $value $(:: $more)*),*);
    };
}
