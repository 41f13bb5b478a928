//! Random code, valid by construction, where the code of the hooks is in a good policy.

use std::sync::OnceLock;

use arbitrary::Unstructured;

use super::everywhere;

/// Puts random code where the code of the hooks is in a good policy.
pub fn random_code(input: &[u8]) -> Vec<u8> {
    static TEMPLATE: OnceLock<Vec<u8>> = OnceLock::new();
    let template = TEMPLATE.get_or_init(|| everywhere("(i32.const 0x1000)").hooks_apart().build());
    let (hooks, behind) = first_section(template);
    let config = wasm_smith::Config {
        exports: Some(template[hooks.clone()].to_vec()),
        max_imports: 0,
        gc_enabled: false,
        exceptions_enabled: false,
        threads_enabled: false,
        memory64_enabled: false,
        wide_arithmetic_enabled: false,
        custom_page_sizes_enabled: false,
        ..wasm_smith::Config::default()
    };
    let Ok(module) = wasm_smith::Module::new(config, &mut Unstructured::new(input)) else { return Vec::new() };
    let module = module.to_bytes();
    let mut bytes = template[..8].to_vec();
    bytes.push(CORE_MODULE);
    let mut length = module.len();
    while length >= 0x80 {
        bytes.push((length & 0x7f) as u8 | 0x80);
        length >>= 7;
    }
    bytes.push(length as u8);
    bytes.extend(module);
    bytes.extend(&template[behind..]);
    bytes
}

/// The number of the section that is a core module.
const CORE_MODULE: u8 = 1;

/// Returns where the first section's contents are, and where the second section begins.
fn first_section(component: &[u8]) -> (std::ops::Range<usize>, usize) {
    assert_eq!(component[8], CORE_MODULE);
    let (mut at, mut length) = (9, 0);
    for shift in (0..).step_by(7) {
        let byte = component[at];
        at += 1;
        length |= usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    (at..at + length, at + length)
}
