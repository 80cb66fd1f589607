//! The `wsduo` command.
//!
//! [`args`] is what was typed, [`plan`] what it means, [`connect`], [`ping`], [`doctor`], [`files`], [`serve`] and [`demo`] do it,
//! [`manual`] tells shells and `man` what can be typed, [`exit`] says how it ended.

mod args;
mod connect;
mod demo;
mod doctor;
mod exit;
mod files;
mod manual;
mod output;
mod ping;
mod plan;
mod serve;
mod session;
mod signals;
mod terminal;

use std::process::ExitCode;

use clap::Parser;

use exit::Failure;
use plan::Plan;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !failure.is_quiet() {
                terminal::complain(&failure);
            }
            ExitCode::from(failure.code())
        }
    }
}

fn run() -> Result<(), Failure> {
    match plan::plan(args::Typed::parse())? {
        Plan::Connect(plan) => connect::run(*plan),
        Plan::Ping(plan) => ping::run(&plan),
        Plan::Doctor(plan) => doctor::run(&plan),
        Plan::Serve(plan) => serve::run(*plan),
        Plan::Transfer(plan) => files::run(*plan),
        Plan::Demo => demo::run(),
        Plan::Completions(shell) => manual::complete(shell),
        Plan::Man(command) => manual::man(command.as_deref()),
    }
}
