//! The stored inputs, and some made on the spot, through every check: needs no nightly toolchain and no fuzzer.

use std::fs;
use std::path::Path;

use wsduo_fuzz::TARGETS;

fn stored(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let entries = fs::read_dir(&folder).expect("each target has stored inputs");
    entries.map(|entry| fs::read(entry.expect("an entry").path()).expect("an input")).collect()
}

#[test]
fn stored_inputs_pass() {
    for (target, check) in TARGETS {
        let inputs = stored(target);
        assert!(!inputs.is_empty(), "{target} has no stored inputs");
        for input in inputs {
            check(&input);
        }
    }
}

#[test]
fn inputs_that_are_cut_off_or_damaged_pass() {
    for (target, check) in TARGETS {
        for input in stored(target) {
            for at in 0..input.len().min(400) {
                check(&input[..at]);
                let mut damaged = input.clone();
                damaged[at] ^= 1 << (at % 8);
                check(&damaged);
            }
        }
    }
}

#[test]
fn every_target_is_listed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz_targets");
    let mut files: Vec<String> = fs::read_dir(folder)
        .expect("the targets")
        .filter_map(|entry| Some(entry.ok()?.path().file_stem()?.to_str()?.to_owned()))
        .collect();
    files.sort();
    assert_eq!(files, TARGETS.map(|(name, _)| name));
}
