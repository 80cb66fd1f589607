//! Packages of other languages, each installed once into a folder of its own.

use std::fs;
use std::path::{Path, PathBuf};

use crate::shell::{Outcome, command, run};

/// The library of Node that is exchanged with.
pub(crate) const NODE_WS: &str = "ws@8.23.0";

/// A Python that has these packages, which are given with their versions.
pub(crate) fn python(folder: &Path, packages: &[&str]) -> Outcome<PathBuf> {
    let venv = folder.join(packages.join("-").replace("==", "-"));
    let interpreter = venv.join("bin/python");
    install(&venv, || {
        run(command("python3").args(["-m", "venv", "--clear"]).arg(&venv))?;
        let pip = ["-m", "pip", "--disable-pip-version-check", "-q", "install"];
        run(command(&interpreter).args(pip).args(packages))
    })?;
    Ok(interpreter)
}

/// Where Node finds this package: its `NODE_PATH`.
pub(crate) fn node(folder: &Path, package: &str) -> Outcome<PathBuf> {
    let prefix = folder.join(package.replace('@', "-"));
    install(&prefix, || {
        let quiet = ["--no-save", "--no-audit", "--no-fund", "--loglevel", "error"];
        run(command("npm").arg("install").args(quiet).arg("--prefix").arg(&prefix).arg(package))
    })?;
    Ok(prefix.join("node_modules"))
}

/// Runs `steps` unless they have succeeded before.
fn install(folder: &Path, steps: impl FnOnce() -> Outcome) -> Outcome {
    let finished = folder.join("finished");
    if finished.is_file() {
        return Ok(());
    }
    println!("installing in {}", folder.display());
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    steps()?;
    fs::write(&finished, "").map_err(|error| format!("{}: {error}", finished.display()))
}
