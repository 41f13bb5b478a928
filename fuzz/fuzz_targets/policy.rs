#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| layshaft_fuzz::policy::fuzzing::play(input));
