//! One rule about one question, decided by every engine in turns.
//!
//! Nothing is measured before all engines agree with native Rust.

mod engines;
mod question;
mod turns;

use anyhow::{Context, Result, ensure};
use comfy_table::{CellAlignment, Table, presets::ASCII_MARKDOWN};
use serde_json::json;

use engines::Engine;
use question::Question;
use turns::{Figures, Turns};

/// What the others are set against.
const KEPT: &str = "layshaft, kept";
const FRESH: &str = "layshaft, fresh";

fn main() -> Result<()> {
    let mut rounds = 400;
    let mut is_json = false;
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => is_json = true,
            "--rounds" => rounds = arguments.next().context("--rounds N")?.parse()?,
            other => anyhow::bail!("unknown argument {other}; there are --json and --rounds N"),
        }
    }
    let question = question::committed()?;
    let mut engines = engines::all()?;
    compare(&mut engines, &question)?;

    let before = load()?;
    let mut decides = engines.iter_mut().map(|engine| engine.ready(&question)).collect::<Result<Vec<_>>>()?;
    let turns = Turns::take(&mut decides, rounds)?;
    drop(decides);
    let after = load()?;

    let names: Vec<&str> = engines.iter().map(|engine| engine.name()).collect();
    let at = |name: &str| names.iter().position(|&other| other == name).context("ours is not measured");
    let (kept, fresh) = (at(KEPT)?, at(FRESH)?);
    let rows = (0..names.len()).map(|engine| Row {
        name: names[engine],
        figures: turns.figures(engine),
        to_kept: turns.ratio(engine, kept),
        to_fresh: turns.ratio(engine, fresh),
    });
    let rows: Vec<Row<'_>> = rows.collect();
    if is_json {
        let rows: Vec<_> = rows.iter().map(Row::json).collect();
        println!("{:#}", json!({ "rounds": rounds, "load": [before, after], "engines": rows }));
    } else {
        println!(
            "{rounds} rounds, load {before} before and {after} after; microseconds, ratios above 1 are slower than ours"
        );
        println!("{}", table(&rows));
    }
    Ok(())
}

/// A fast wrong answer is no figure.
fn compare(engines: &mut [Box<dyn Engine>], question: &Question) -> Result<()> {
    for question in question::variations(question) {
        let right = engines::native(&question);
        for engine in engines.iter_mut() {
            let name = engine.name();
            let answer = engine.ready(&question).and_then(|mut decide| decide()).with_context(|| name.to_owned())?;
            ensure!(answer == right, "{name} answers\n{answer:#?}\nwhere native Rust answers\n{right:#?}");
        }
    }
    Ok(())
}

struct Row<'a> {
    name: &'a str,
    figures: Figures,
    to_kept: f64,
    to_fresh: f64,
}

impl Row<'_> {
    fn json(&self) -> serde_json::Value {
        let Figures { calls, median, p99 } = self.figures;
        json!({
            "engine": self.name, "calls": calls, "median_nanoseconds": median, "p99_nanoseconds": p99,
            "to_kept": self.to_kept, "to_fresh": self.to_fresh,
        })
    }
}

fn table(rows: &[Row<'_>]) -> Table {
    let mut table = Table::new();
    table.load_style(ASCII_MARKDOWN);
    table.set_header(["engine", "calls", "median", "p99", "to ours, kept", "to ours, fresh"]);
    for row in rows {
        let microseconds = |nanoseconds: u64| format!("{:.2}", nanoseconds as f64 / 1e3);
        table.add_row([
            row.name.to_owned(),
            row.figures.calls.to_string(),
            microseconds(row.figures.median),
            microseconds(row.figures.p99),
            format!("{:.2}", row.to_kept),
            format!("{:.2}", row.to_fresh),
        ]);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// The one-minute load.
fn load() -> Result<String> {
    let load = std::fs::read_to_string("/proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}
