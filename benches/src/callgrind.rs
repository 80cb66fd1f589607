//! Instructions that a server spends on a message, counted by callgrind, which noise does not touch.
//!
//! A run of a few messages and one of many, each under callgrind from start to end: the difference,
//! divided by the messages it took, leaves out starting, shaking hands and ending.

use crate::Error;
use crate::server::{Recipe, Server};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Keeps glibc from `rep movsb` and `rep stosb`: callgrind counts an instruction for each byte of those,
/// so that clearing a large buffer would look thirty times as expensive as the same with vectors.
const NO_REP: &str = "GLIBC_TUNABLES=glibc.cpu.x86_rep_movsb_threshold=0x40000000:glibc.cpu.x86_rep_stosb_threshold=0x40000000";

/// A short run and a long one.
#[derive(Clone, Debug)]
pub struct Runs {
    /// Messages of the short run.
    pub short: u64,
    /// Messages of the long run.
    pub long: u64,
    /// Where the profiles stay; without it they go.
    pub keep: Option<PathBuf>,
}

impl Runs {
    /// Instructions per message of the server that `recipe` starts, between the two runs. `load` exchanges as many messages with it
    /// as it is told.
    ///
    /// # Errors
    /// If valgrind is missing, or the server or `load` fails.
    #[allow(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
    pub fn slope(
        &self,
        recipe: &Recipe,
        mut load: impl FnMut(&Server, u64) -> Result<(), Error>,
    ) -> Result<f64, Error> {
        if self.long <= self.short {
            return Err("the long run must be longer than the short one".into());
        }
        let short = self.instructions(recipe, self.short, &mut load)?;
        let long = self.instructions(recipe, self.long, &mut load)?;
        Ok((long as f64 - short as f64) / (self.long - self.short) as f64)
    }

    /// Instructions of a whole run with `messages`.
    fn instructions(
        &self,
        recipe: &Recipe,
        messages: u64,
        load: &mut impl FnMut(&Server, u64) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        let folder = self.keep.clone().unwrap_or_else(std::env::temp_dir);
        let profile = folder.join(format!("callgrind.{}.{messages}.{}", recipe.name, std::process::id()));
        let output = format!("--callgrind-out-file={}", profile.display());
        let wrapper = ["env", NO_REP, "valgrind", "-q", "--tool=callgrind", "--dump-instr=no", &output]
            .map(str::to_owned);
        let result = Server::start_under(&wrapper, recipe).and_then(|server| {
            load(&server, messages)?;
            server.stop()?;
            total(&profile)
        });
        if self.keep.is_none() {
            // Absent if the run failed, and then that is the error to report.
            let _ = fs::remove_file(&profile);
        }
        result
    }
}

/// What valgrind says it is, as in `valgrind-3.24.0`.
///
/// # Errors
/// If it is not installed, with the command that installs it.
pub fn version() -> Result<String, Error> {
    let missing =
        "valgrind is not installed: `apt-get install valgrind` or the like of it, and run this again";
    let output = Command::new("valgrind").arg("--version").output().map_err(|_| missing)?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The figure behind `totals:`, or behind `summary:` in a profile without one.
fn total(profile: &Path) -> Result<u64, Error> {
    let text = fs::read_to_string(profile).map_err(|error| format!("{}: {error}", profile.display()))?;
    let figure = |name| text.lines().rev().find_map(|line| line.strip_prefix(name));
    let total = figure("totals:").or_else(|| figure("summary:")).ok_or("the profile has no total")?;
    Ok(total.split_ascii_whitespace().next().ok_or("the profile has no total")?.parse()?)
}
