//! The one engine in which all policies of the daemon run.
//!
//! It must never allow what would make the same question cost or answer differently: threads, unfixed NaN bits,
//! relaxed SIMD.

use std::time::Duration;

use tracing::warn;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

use super::config::Limits;

/// How often the epoch moves; deadlines are counted in ticks.
pub(super) const TICK: Duration = Duration::from_millis(10);

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
        while let Some(engine) = weak.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    };
    std::thread::Builder::new().name("policy-ticker".into()).spawn(tick)?;
    Ok(engine)
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
