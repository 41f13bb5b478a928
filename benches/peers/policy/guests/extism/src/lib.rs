//! The rule as a plugin: JSON in, JSON out, over the functions that extism's own kit for plugins calls.

#![no_std]

extern crate alloc;

use alloc::{borrow::Cow, string::String, vec, vec::Vec};

use serde::{Deserialize, Serialize};

#[global_allocator]
static ALLOCATOR: dlmalloc::GlobalDlmalloc = dlmalloc::GlobalDlmalloc;

#[panic_handler]
fn trap(_: &core::panic::PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}

#[link(wasm_import_module = "extism:host/env")]
unsafe extern "C" {
    safe fn input_length() -> u64;
    safe fn input_load_u8(at: u64) -> u32;
    safe fn input_load_u64(at: u64) -> u64;
    safe fn alloc(length: u64) -> u64;
    safe fn store_u8(at: u64, byte: u32);
    safe fn store_u64(at: u64, bytes: u64);
    safe fn output_set(at: u64, length: u64);
}

/// What the rule looks at; the rest of the question is read over.
#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow)]
    project: Project<'a>,
    #[serde(borrow)]
    requested: Vec<Requested<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Project<'a> {
    #[serde(borrow)]
    full_name: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Requested<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

#[derive(Serialize)]
struct Answer {
    rejected: bool,
    allowed: Vec<String>,
    reason: String,
}

#[unsafe(no_mangle)]
extern "C" fn decide() -> i32 {
    let input = read();
    let Ok(question) = serde_json::from_slice::<Question<'_>>(&input) else { return 1 };
    let requested = question.requested.iter().map(|parameter| &*parameter.name);
    let rule::Verdict { rejected, allowed, reason } = rule::decide(&question.project.full_name, requested);
    let Ok(answer) = serde_json::to_vec(&Answer { rejected, allowed, reason }) else { return 2 };
    write(&answer);
    0
}

fn read() -> Vec<u8> {
    let length = input_length();
    let mut input = vec![0; length as usize];
    let words = length & !7;
    for at in (0..words).step_by(8) {
        input[at as usize..at as usize + 8].copy_from_slice(&input_load_u64(at).to_le_bytes());
    }
    for at in words..length {
        input[at as usize] = input_load_u8(at) as u8;
    }
    input
}

fn write(output: &[u8]) {
    let start = alloc(output.len() as u64);
    let (words, rest) = output.as_chunks::<8>();
    for (at, word) in (start..).step_by(8).zip(words) {
        store_u64(at, u64::from_le_bytes(*word));
    }
    for (at, byte) in (start + words.len() as u64 * 8..).zip(rest) {
        store_u8(at, u32::from(*byte));
    }
    output_set(start, output.len() as u64);
}
