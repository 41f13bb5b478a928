//! `layshaft demo`: the product itself, on a Gearman server and two simulated controllers of its own.
//!
//! Nothing here is staged: the runtime, the policies, the client and the servers are those of `layshaft run` and
//! `layshaft submit`. It ends with an error if a build was lost or started twice.

mod board;
mod fleet;
mod site;

use std::time::Duration;

use anyhow::{Context, ensure};

use super::Exit;
use super::terminal::{say, say_json};
use board::Board;
use site::Site;

/// How long a build takes here at the most; whatever takes much longer is a failure.
const PATIENCE: Duration = Duration::from_secs(60);

/// So many builds find an executor at once. All of them have started before the policy is replaced, since a job that
/// waits under a name that is withdrawn would wait for somebody else to offer it.
const FIRST: u32 = 8;

#[derive(Debug, clap::Args)]
pub(super) struct Demo {
    /// How many builds are submitted
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(9..=2000))]
    builds: u32,
    /// Print what happened as JSON
    #[arg(long)]
    json: bool,
}

impl Demo {
    pub(super) async fn run(self) -> anyhow::Result<Exit> {
        let story = Story { quiet: self.json };
        let board = tokio::time::timeout(PATIENCE * 2, story.tell(self.builds)).await;
        let board =
            board.context("the demo hung; please report this with the output of `layshaft --log debug demo`")??;
        if self.json {
            say_json(&board)?;
        } else {
            say(board.table())?;
            say(board.summary())?;
        }
        ensure!(board.is_as_promised(), "a build was lost or started twice; please report this");
        Ok(Exit::Ok)
    }
}

struct Story {
    quiet: bool,
}

impl Story {
    fn line(&self, text: &str) -> anyhow::Result<()> {
        if self.quiet { Ok(()) } else { Ok(say(text)?) }
    }

    async fn tell(&self, builds: u32) -> anyhow::Result<Board> {
        self.line("A Gearman server, two simulated Jenkins controllers, four policies in a folder, one Layshaft.\n")?;
        let site = Site::start().await?;
        self.line(&format!("  gearman server  {}", site.server))?;
        for (name, simulator) in &site.controllers {
            self.line(&format!("  controller      {name}  {}", simulator.url()))?;
        }
        self.line(&format!("  policies        {}\n", site.folder().display()))?;
        site.wait_until_ready(PATIENCE).await?;
        let status = site.runtime.status().await?;
        self.line(&format!(
            "Ready: {} workers offer {} functions under policy generation {}.",
            status.gearman.iter().map(|server| server.connected).sum::<usize>(),
            status.functions.len(),
            status.generation
        ))?;

        let mut board = Board::default();
        self.line(&format!("\nSubmitting {builds} builds, as any Gearman client would."))?;
        board.submit(&site, FIRST).await?;
        board.wait_until_started(PATIENCE).await?;

        self.line("While they run, a policy is replaced: folder names with dots instead of slashes.")?;
        let refusal = site.replace_naming_policy(PATIENCE).await?;
        self.line(&format!("  refused: {refusal}"))?;
        let generation = site.accept_naming_policy(PATIENCE).await?;
        self.line(&format!(
            "  accepted: generation {generation} is live; {} builds are under way.",
            site.builds_under_way().await?
        ))?;
        board.submit(&site, builds - FIRST).await?;

        self.line("A broken policy is dropped into the folder.")?;
        let refusal = site.drop_broken_policy(PATIENCE).await?;
        self.line(&format!("  refused: {refusal}"))?;

        self.line("A job with a parameter that the site forbids.")?;
        let rejection = site.submit_forbidden().await?;
        self.line(&format!("  {rejection}"))?;

        board.wait(PATIENCE).await?;
        board.count(&site);
        board.note_offline(&site);
        self.line("")?;
        site.stop().await;
        Ok(board)
    }
}
