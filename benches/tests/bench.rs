//! The whole of `bench` on a tiny load: whoever takes part is in the report, measured or with the reason why not.

use std::fs;
use std::process::Command;

#[test]
fn whoever_fails_is_in_the_report_with_the_reason() {
    let out = std::env::temp_dir().join(format!("wsduo-bench.{}", std::process::id()));
    let status = Command::new(env!("CARGO_BIN_EXE_bench"))
        .args([
            "--sections",
            "echo,connections",
            "--cells",
            "20x1x1,512x2x8",
            "--rounds",
            "2",
            "--seconds",
            "0.002",
        ])
        .args(["--quick", "--peers", "wtx", "--guest", concat!("good=", env!("CARGO_BIN_EXE_bare_echo"))])
        .args(["--guest", "mute=/bin/true", "--guest", "none=/no/such/program"])
        .arg("--out")
        .arg(&out)
        .output()
        .unwrap();
    assert!(status.status.success(), "{status:?}");
    let report = fs::read_to_string(out.join("report.md")).unwrap();
    for cell in ["20 B x 1 x 1", "512 B x 2 x 8"] {
        for (name, why) in
            [("mute", "expected a line with ws://"), ("none", "/no/such/program: No such file")]
        {
            let line = report.lines().find(|line| line.starts_with(&format!("- {name} (echo, {cell}): ")));
            assert!(line.is_some_and(|line| line.contains(why)), "{name} {cell}\n{report}");
        }
        // Its library may not be built here, and the example of ours may not be either; then they have failed.
        for name in ["wsduo", "wsduo again", "bare tokio", "wtx", "good"] {
            let row = report.lines().find(|line| {
                let mut words = line.split('|').map(str::trim).skip(1);
                words.next() == Some(cell) && words.next() == Some(name)
            });
            let is_told = |row: &str| row.contains("failed: ") || row.contains(|c: char| c.is_ascii_digit());
            assert!(row.is_some_and(is_told), "{name} {cell}\n{report}");
        }
    }
    assert!(fs::read_to_string(out.join("scaling.svg")).unwrap().contains("</svg>"));
    let drawn = Command::new(env!("CARGO_BIN_EXE_bench"))
        .arg("--draw")
        .arg(out.join("figures.json"))
        .arg("--out")
        .arg(out.join("again"))
        .output()
        .unwrap();
    assert!(drawn.status.success(), "{drawn:?}");
    assert_eq!(fs::read_to_string(out.join("again/report.md")).unwrap(), report);
    fs::remove_dir_all(&out).unwrap();
}

#[test]
fn a_wrong_cell_or_name_is_refused_before_anything_is_measured() {
    for (option, value, said) in [
        ("--cells", "20x10", "512x10x32"),
        ("--sections", "echos", "echo"),
        ("--peers", "yawcc", "no peer is called `yawcc`"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_bench")).args([option, value]).output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(said), "{option} {value}: {error}");
    }
}
