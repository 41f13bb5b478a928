//! Writes what the fuzzer of policies begins with, policies with random code:
//! `RUSTFLAGS='--cfg fuzzing' cargo run --features policy --example seeds`.

use layshaft_fuzz::policy::fuzzing::code::random_code;

fn main() -> std::io::Result<()> {
    std::fs::create_dir_all("corpus/policy")?;
    for seed in 0..12_u64 {
        let mut random = fastrand::Rng::with_seed(seed);
        let chance: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(1000).collect();
        // The first byte says that the rest is a file.
        let input = [&[0], random_code(&chance).as_slice()].concat();
        std::fs::write(format!("corpus/policy/random-code-{seed}.seed"), input)?;
    }
    Ok(())
}
