//! The one engine in which all policies of the daemon run.
//!
//! It must never allow what would make the same question cost or answer differently: threads, unfixed NaN bits,
//! relaxed SIMD.

use std::time::Duration;

use tokio::time::Instant;
use tracing::warn;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::config::Limits;

/// How often the epoch moves; deadlines are counted in ticks.
pub(super) const TICK: Duration = Duration::from_millis(10);

/// More than these do not pass at once.
const MOST_TICKS: u128 = 10;

/// Deep enough for interpreters compiled to WebAssembly, and far from the end of a host thread's own stack.
const STACK: usize = 512 << 10;

/// Most core modules, memories and tables of one component. Python guests have 38 modules, JavaScript ones 3 memories.
pub(super) const MAX_INSTANCES: u32 = 100;
pub(super) const MAX_MEMORIES: u32 = 8;
pub(super) const MAX_TABLES: u32 = 50;

/// Most elements of one table; the largest guest measured has 7,688.
pub(super) const MAX_TABLE_ELEMENTS: usize = 20_000;

/// How many instances may be alive at once: far more than there are jobs being decided and slots in a pass.
const MAX_ALIVE: u32 = 200;

/// Builds the engine and starts its ticker, which ends with the engine.
pub(super) fn start(limits: &Limits) -> wasmtime::Result<Engine> {
    let engine = match Engine::new(config().allocation_strategy(pool(limits))) {
        Ok(engine) => engine,
        // Where address space is rationed (ulimit -v, some containers), instances are dearer but everything works.
        Err(error) => {
            warn!(%error, "no room for a pool of policy instances, each will be allocated by itself");
            Engine::new(&config())?
        }
    };
    let weak = engine.weak();
    let tick = move || {
        let mut woken = Instant::now();
        while let Some(engine) = weak.upgrade() {
            let (ticks, rest) = ticks_in(woken.elapsed());
            woken = Instant::now() - rest;
            (0..ticks).for_each(|_| engine.increment_epoch());
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("policy-ticker".into()).spawn(tick)?;
    Ok(engine)
}

/// Returns how many ticks a sleep has lasted, and what is left over: where timers are coarse, a sleep of one tick lasts two.
/// A machine that was asleep itself has not let policies compute meanwhile.
fn ticks_in(slept: Duration) -> (u128, Duration) {
    let ticks = slept.as_nanos() / TICK.as_nanos();
    match ticks {
        0..MOST_TICKS => (ticks, slept - TICK * u32::try_from(ticks).unwrap_or(0)),
        _ => (MOST_TICKS, Duration::ZERO),
    }
}

fn config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .consume_fuel(true)
        .epoch_interruption(true)
        .max_wasm_stack(STACK)
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .concurrency_support(false)
        .wasm_backtrace_max_frames(None);
    config
}

fn pool(limits: &Limits) -> InstanceAllocationStrategy {
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(MAX_ALIVE)
        .total_core_instances(MAX_ALIVE * 16)
        .total_memories(MAX_ALIVE * 2)
        .total_tables(MAX_ALIVE * 4)
        .max_core_instances_per_component(MAX_INSTANCES)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_memory_size(limits.memory.clamp(1 << 16, 1 << 32))
        .table_elements(MAX_TABLE_ELEMENTS)
        // What a guest has touched is put back by copying and not by the kernel, which would have every page faulted in
        // again by the next instance; and the kernel (Linux 6.7) tells which pages these are. A third off a fresh instance.
        .linear_memory_keep_resident(256 << 10)
        .table_keep_resident(16 << 10)
        .pagemap_scan(Enabled::Auto);
    InstanceAllocationStrategy::Pooling(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_goes_by_in_ticks_however_long_a_sleep_lasts() {
        let ms = Duration::from_millis;
        let table =
            [(0, (0, 0)), (9, (0, 9)), (10, (1, 0)), (21, (2, 1)), (99, (9, 9)), (100, (10, 0)), (60_000, (10, 0))];
        for (slept, (ticks, rest)) in table {
            assert_eq!(ticks_in(ms(slept)), (ticks, ms(rest)), "{slept} ms");
        }
    }
}
