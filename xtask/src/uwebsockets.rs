//! The echo server of uWebSockets, which is C++: compiled with the sources that a crate carries, whose own build would need clang.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::shell::{Outcome, cargo, command, output, root, run};

/// What its program is called; the source is one of the peers'.
pub(crate) const NAME: &str = "uWebSockets";

const CRATE: &str = "libuwebsockets-sys";

/// As its own build has them, without TLS and compression.
const FLAGS: [&str; 5] = ["-O3", "-flto", "-march=native", "-DLIBUS_NO_SSL", "-DUWS_NO_ZLIB"];

/// What a server on Linux needs of uSockets, the C below it.
const USOCKETS: [&str; 6] = ["bsd.c", "context.c", "loop.c", "socket.c", "udp.c", "eventing/epoll_kqueue.c"];

/// Compiles it into `target/release`; `manifest` is that of the peers, which have the crate among their dependencies.
pub(crate) fn build(manifest: &str, target: &Path) -> Outcome {
    let sources = folder_of_crate(manifest)?.join("uWebSockets");
    let usockets = sources.join("uSockets/src");
    let objects = target.join("uwebsockets");
    fs::create_dir_all(&objects).map_err(|error| format!("{}: {error}", objects.display()))?;
    let mut compile = command("cc");
    compile.current_dir(&objects).args(["-std=c11", "-c"]).args(FLAGS).arg("-I").arg(&usockets);
    run(compile.args(USOCKETS.map(|file| usockets.join(file))))?;
    let object =
        |file: &str| objects.join(Path::new(file).with_extension("o").file_name().unwrap_or_default());
    let mut link = command("c++");
    link.arg("-std=c++20").args(FLAGS).arg("-I").arg(sources.join("src")).arg("-I").arg(&usockets);
    link.arg(root().join("benches/peers/src/bin").join(NAME).with_extension("cpp"));
    link.args(USOCKETS.map(object));
    run(link.arg("-o").arg(target.join("release").join(NAME)))
}

/// Where cargo keeps the sources of the crate; it fetches them if need be.
fn folder_of_crate(manifest: &str) -> Outcome<PathBuf> {
    let mut metadata = cargo();
    metadata.args([
        "metadata",
        "--format-version",
        "1",
        "--locked",
        "--all-features",
        "--manifest-path",
        manifest,
    ]);
    let metadata: Value =
        serde_json::from_str(&output(&mut metadata)?).map_err(|error| format!("cargo metadata: {error}"))?;
    let packages = metadata["packages"].as_array().into_iter().flatten();
    let path = packages
        .filter(|package| package["name"] == CRATE)
        .find_map(|package| Path::new(package["manifest_path"].as_str()?).parent());
    path.map(Path::to_path_buf).ok_or_else(|| format!("{manifest} does not depend on {CRATE}"))
}
