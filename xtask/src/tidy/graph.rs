//! Rules about crates: who may depend on whom, and what each must inherit.

use std::fs;

use serde_json::Value;

use crate::shell::{Outcome, cargo, metadata, output};

/// What brings a runtime, sockets, a clock or chance into the core, which takes time and randomness as arguments.
const NOT_IN_THE_CORE: &[&str] = &[
    "async-io",
    "async-std",
    "chrono",
    "coarsetime",
    "compio",
    "embassy-executor",
    "fastrand",
    "futures-executor",
    "futures-timer",
    "getrandom",
    "glommio",
    "hyper",
    "hyper-util",
    "instant",
    "jiff",
    "mio",
    "monoio",
    "nanorand",
    "oorandom",
    "polling",
    "quanta",
    "rand",
    "rand_chacha",
    "rand_core",
    "rand_pcg",
    "rand_xoshiro",
    "ring",
    "smol",
    "socket2",
    "time",
    "tokio",
    "tokio-util",
    "uuid",
    "web-time",
];

/// Every rule of this module that is broken.
pub(super) fn broken() -> Outcome<Vec<String>> {
    let mut broken = Vec::new();
    // Offline and for this platform only: whoever runs this has built the workspace, and so has what it takes.
    let arguments = ["tree", "--offline", "--package", "wsduo-proto", "--all-features", "--edges", "no-dev"];
    let tree = output(cargo().args(arguments).args(["--prefix", "none", "--format", "{p}"]))?;
    broken.extend(in_the_core(&tree).map(|name| {
        format!("wsduo-proto depends on {name} (cargo tree -p wsduo-proto -e no-dev -i {name}): the core takes time, chance and bytes as arguments")
    }));
    let metadata = metadata()?;
    for package in metadata["packages"].as_array().into_iter().flatten() {
        broken.extend(in_manifest(package)?);
    }
    Ok(broken)
}

/// Names in `tree`, one package a line, that the core must not depend on.
fn in_the_core(tree: &str) -> impl Iterator<Item = &str> {
    let names = tree.lines().filter_map(|line| line.split(' ').next());
    names.filter(|name| NOT_IN_THE_CORE.contains(name))
}

fn in_manifest(package: &Value) -> Outcome<Vec<String>> {
    let mut broken = Vec::new();
    let name = package["name"].as_str().unwrap_or_default();
    let path =
        package["manifest_path"].as_str().ok_or("cargo metadata gives a package without a manifest")?;
    let manifest = fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    if !inherits_lints(&manifest) {
        broken.push(format!("{name} does not inherit the workspace's lints ([lints] workspace = true)"));
    }
    let mut dependencies = package["dependencies"].as_array().into_iter().flatten();
    if dependencies.any(|dependency| dependency["name"] == "wsduo-cli") {
        broken.push(format!("{name} depends on wsduo-cli: nothing may, code for others goes to wsduo"));
    }
    Ok(broken)
}

fn inherits_lints(manifest: &str) -> bool {
    let mut lines = manifest.lines().map(str::trim).skip_while(|line| *line != "[lints]").skip(1);
    lines.find(|line| !line.is_empty()) == Some("workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_runtime_below_the_core_is_found() {
        let tree =
            "wsduo-proto v0.1.0 (/w)\nbytes v1.12.2\ntokio v1.54.0\ntime-core v0.1.0\nrand_core v0.9.0 (*)\n";
        assert_eq!(in_the_core(tree).collect::<Vec<_>>(), ["tokio", "rand_core"]);
    }

    #[test]
    fn lints_must_be_inherited() {
        assert!(inherits_lints("[package]\nname = \"x\"\n\n[lints]\nworkspace = true\n"));
        assert!(!inherits_lints("[package]\nworkspace = true\n"));
        assert!(!inherits_lints("[lints]\n[dependencies]\nworkspace = true\n"));
    }
}
