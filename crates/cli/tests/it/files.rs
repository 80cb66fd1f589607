//! Files that are sent and received are the same at both ends, and nothing else is touched.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use serde_json::Value;

use crate::connect::noise;
use crate::support::{Ended, Folder, Running, Server, command, peer, run};

/// `wsduo serve files`, and what it says on standard error.
pub(crate) struct FileServer {
    pub(crate) server: Server,
    pub(crate) folder: Folder,
}

impl FileServer {
    /// Serves a folder of its own.
    pub(crate) fn start(options: &[&str]) -> Self {
        Self::again(Folder::new(), options)
    }

    /// Serves a folder that there was.
    pub(crate) fn again(folder: Folder, options: &[&str]) -> Self {
        let mut command = command();
        let dir = folder.path("");
        command.args(["serve", "files", "--threads", "1", "--dir", &dir]).args(options);
        let server = Server::spawn(silenced(command));
        Self { server, folder }
    }

    /// The URL of a name.
    pub(crate) fn url(&self, name: &str) -> String {
        format!("{}{name}", self.server.url)
    }

    /// The names in the folder, temporary ones too.
    pub(crate) fn names(&self) -> Vec<String> {
        names(&self.folder)
    }

    pub(crate) fn content(&self, name: &str) -> Vec<u8> {
        fs::read(self.folder.path(name)).unwrap()
    }
}

/// Its log is not to be mixed with that of the tests.
fn silenced(mut command: std::process::Command) -> std::process::Command {
    command.stderr(Stdio::null());
    command
}

pub(crate) fn names(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path("")).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    sha2::Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[track_caller]
pub(crate) fn check(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, Some(code), "{ended:?}");
    assert!(ended.stderr.contains(said), "{said:?} was expected: {ended:?}");
}

#[test]
fn files_of_all_sizes_arrive_as_they_left() {
    let server = FileServer::start(&["--write"]);
    let (from, to) = (Folder::new(), Folder::new());
    for size in [0, 1, 70_000, 262_144, 5_000_001] {
        let name = format!("{size}.bin");
        let path = from.write_bytes(&name, noise(size));
        let ended = run(&["send", &server.url(""), &path], b"");
        check(&ended, 0, "checked");
        assert!(ended.stdout.is_empty(), "{ended:?}");
        assert!(server.content(&name) == noise(size), "{size}");

        let ended = run(&["receive", &server.url(&name), "-o", &to.path("")], b"");
        check(&ended, 0, &sha256(&noise(size)));
        assert!(fs::read(to.path(&name)).unwrap() == noise(size), "{size}");
    }
    assert_eq!(server.names(), names(&from));
    assert_eq!(names(&to), names(&from));
}

#[test]
fn several_files_go_over_one_connection_into_a_folder() {
    let server = FileServer::start(&["--write"]);
    let (from, to) = (Folder::new(), Folder::new());
    let paths: Vec<String> = (1..=3).map(|n| from.write_bytes(&format!("{n}.txt"), n.to_string())).collect();
    let ended = run(&["send", &server.url("a/b/"), &paths[0], &paths[1], &paths[2]], b"");
    check(&ended, 0, "checked");
    assert_eq!(server.content("a/b/2.txt"), b"2");
    // Hidden ones stay where they are.
    fs::write(server.folder.path("a/.secret"), "x").unwrap();

    let ended = run(&["receive", &server.url("a/"), "-o", &to.path("new")], b"");
    check(&ended, 0, "3.txt");
    assert_eq!(names(&to), ["new"]);
    assert_eq!(fs::read(to.path("new/b/3.txt")).unwrap(), b"3");
    assert!(!fs::exists(to.path("new/.secret")).unwrap());
    assert_eq!(ended.stderr.lines().count(), 3, "{ended:?}");
}

#[test]
fn a_folder_with_many_files_below_it_arrives_whole() {
    for count in [63, 64, 65, 300] {
        let server = FileServer::start(&[]);
        for number in 0..count {
            server.folder.write(&format!("{}/{}/{number}", number % 7, number % 3), &number.to_string());
        }
        let folder = Folder::new();
        check(&run(&["receive", &server.url(""), "-o", &folder.path("")], b""), 0, "");
        for number in 0..count {
            let name = format!("{}/{}/{number}", number % 7, number % 3);
            assert_eq!(fs::read_to_string(folder.path(&name)).unwrap(), number.to_string());
        }
    }
}

#[test]
fn standard_input_and_output_are_files_too() {
    let server = FileServer::start(&["--write"]);
    let ended = run(&["send", "-q", &server.url("in/x.bin"), "-"], &noise(700_000));
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(server.content("in/x.bin") == noise(700_000));

    let ended = run(&["receive", "-q", &server.url("in/x.bin"), "-o", "-"], b"");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    assert!(ended.stdout == noise(700_000));

    check(&run(&["send", &server.url(""), "-"], b"x"), 2, "no name");
    check(&run(&["send", "--resume", &server.url("x"), "-"], b"x"), 2, "--resume");
    check(&run(&["receive", "--resume", &server.url("x"), "-o", "-"], b""), 2, "--resume");
    check(&run(&["receive", &server.url(""), "-o", "-"], b""), 2, "one file");
}

#[test]
fn one_file_can_get_another_name() {
    let server = FileServer::start(&["--write"]);
    let folder = Folder::new();
    let path = folder.write("a.txt", "a");
    check(&run(&["send", &server.url("photos/b%20c.txt"), &path], b""), 0, "");
    assert_eq!(server.content("photos/b c.txt"), b"a");
    let ended = run(&["receive", &server.url("photos/b%20c.txt"), "-o", &folder.path(".d")], b"");
    check(&ended, 0, "");
    assert_eq!(fs::read(folder.path(".d")).unwrap(), b"a");
    check(&run(&["send", &server.url("x"), &path, &path], b""), 2, "several files");
}

#[test]
fn nothing_is_replaced_unless_both_sides_say_so() {
    let folder = Folder::new();
    let path = folder.write("a.txt", "new");
    for (options, sent, code, content) in [
        (&["--write"][..], &[][..], 9, "old"),
        (&["--write"], &["--overwrite"], 9, "old"),
        (&["--write", "--overwrite"], &[], 9, "old"),
        (&["--write", "--overwrite"], &["--overwrite"], 0, "new"),
    ] {
        let server = FileServer::start(options);
        server.folder.write("a.txt", "old");
        let url = server.url("");
        let ended = run(&[&["send", url.as_str(), path.as_str()], sent].concat(), b"");
        check(&ended, code, if code == 0 { "" } else { "a.txt exists already" });
        let is_told = ended.stderr.contains("this server replaces no files");
        assert_eq!(is_told, code != 0 && !sent.is_empty(), "{ended:?}");
        assert_eq!(server.content("a.txt"), content.as_bytes());
        assert_eq!(server.names(), ["a.txt"]);
    }
    // The same for what is received.
    let server = FileServer::start(&[]);
    server.folder.write("a.txt", "other");
    let to = folder.path("");
    check(&run(&["receive", &server.url("a.txt"), "-o", &to], b""), 9, "exists already");
    assert_eq!(fs::read(&path).unwrap(), b"new");
    check(&run(&["receive", &server.url("a.txt"), "-o", &to, "--overwrite"], b""), 0, "");
    assert_eq!(fs::read(&path).unwrap(), b"other");
    assert_eq!(names(&folder), ["a.txt"]);
}

#[test]
fn a_file_that_is_refused_does_not_keep_the_others() {
    let server = FileServer::start(&["--write"]);
    let (from, to) = (Folder::new(), Folder::new());
    let paths: Vec<String> = (1..=3).map(|n| from.write_bytes(&format!("{n}.txt"), n.to_string())).collect();
    server.folder.write("2.txt", "other");
    let ended = run(&["send", &server.url(""), &paths[0], &paths[1], &paths[2]], b"");
    check(&ended, 9, "2.txt exists already");
    assert_eq!(server.names(), ["1.txt", "2.txt", "3.txt"]);
    assert_eq!(server.content("2.txt"), b"other");

    to.write("1.txt", "mine");
    let ended = run(&["receive", &server.url(""), "-o", &to.path("")], b"");
    check(&ended, 9, "1.txt exists already");
    assert_eq!(names(&to), ["1.txt", "2.txt", "3.txt"]);
}

#[test]
fn resuming_passes_over_what_is_there_and_the_same() {
    let server = FileServer::start(&["--write"]);
    let (from, to) = (Folder::new(), Folder::new());
    let paths = [from.write("a", "same"), from.write("b", "here"), from.write("c", "")];
    server.folder.write("a", "same");
    server.folder.write("b", "ther");
    server.folder.write("c", "");
    let ended = run(&["send", "--resume", &server.url(""), &paths[0], &paths[1], &paths[2]], b"");
    check(&ended, 9, "another file in the place of");
    assert_eq!(server.content("b"), b"ther");
    assert_eq!(server.names(), ["a", "b", "c"]);

    for (name, content) in [("a", "same"), ("b", "longer"), ("c", "")] {
        to.write(name, content);
    }
    let ended = run(&["receive", "--resume", &server.url(""), "-o", &to.path("")], b"");
    check(&ended, 9, "b exists already");
    to.write("b", "here");
    let ended = run(&["receive", "--resume", &server.url(""), "-o", &to.path("")], b"");
    check(&ended, 9, "b exists already");
    fs::remove_file(to.path("b")).unwrap();
    let ended = run(&["receive", "--resume", &server.url(""), "-o", &to.path("")], b"");
    check(&ended, 0, "were there");
    assert_eq!(fs::read(to.path("b")).unwrap(), b"ther");
}

#[test]
fn a_partial_file_is_gone_on_with_only_if_it_is_the_beginning() {
    let server = FileServer::start(&["--write"]);
    let folder = Folder::new();
    let bytes = noise(1_000_000);
    let path = folder.write_bytes("a.bin", &bytes);
    let mut longer = bytes.clone();
    longer.push(0);
    for (partial, offset) in
        [(&bytes[..400_000], 400_000), (&bytes[1..400_001], 0), (&bytes, 1_000_000), (&longer, 0)]
    {
        let _ = fs::remove_file(server.folder.path("a.bin"));
        server.folder.write_bytes(".a.bin.wsduo-part", partial);
        let ended = run(&["send", "--resume", "--json", &server.url(""), &path], b"");
        check(&ended, 0, "");
        let first: Value = serde_json::from_str(ended.text().lines().next().unwrap()).unwrap();
        assert_eq!(first["offset"], offset, "{first}");
        assert!(server.content("a.bin") == bytes);

        let to = Folder::new();
        to.write_bytes(".a.bin.wsduo-part", partial);
        let ended = run(&["receive", "--resume", "--json", &server.url("a.bin"), "-o", &to.path("")], b"");
        check(&ended, 0, "");
        let first: Value = serde_json::from_str(ended.text().lines().next().unwrap()).unwrap();
        assert_eq!(first["offset"], offset, "{first}");
        assert!(fs::read(to.path("a.bin")).unwrap() == bytes);
        assert_eq!(names(&to), ["a.bin"]);
    }
    // Without being asked, it is begun anew.
    fs::remove_file(server.folder.path("a.bin")).unwrap();
    server.folder.write_bytes(".a.bin.wsduo-part", &longer);
    check(&run(&["send", &server.url(""), &path], b""), 0, "");
    assert!(server.content("a.bin") == bytes);
    assert_eq!(server.names(), ["a.bin"]);
}

#[test]
fn a_server_allows_what_it_was_started_for() {
    let folder = Folder::new();
    let path = folder.write("b.txt", "b");
    let server = FileServer::start(&["--read-only"]);
    check(&run(&["send", &server.url(""), &path], b""), 9, "takes no files");
    assert_eq!(server.names(), Vec::<String>::new());
    let server = FileServer::start(&["--write-only"]);
    check(&run(&["send", &server.url(""), &path], b""), 0, "");
    // Not even whether it is the same.
    check(&run(&["send", "--resume", &server.url(""), &path], b""), 9, "b.txt exists already");
    for name in ["b.txt", ""] {
        let ended = run(&["receive", &server.url(name), "-o", &folder.path("new/")], b"");
        check(&ended, 9, "gives no files");
    }
    assert!(names(&folder).contains(&"new".to_owned()));
    let server = FileServer::start(&["--write", "--max-size", "3"]);
    let big = folder.write("big.txt", "four");
    check(&run(&["send", &server.url(""), &path, &big], b""), 9, "limit of 3 bytes");
    check(&run(&["send", &server.url("x"), "-"], b"four"), 9, "limit of 3 bytes");
    assert_eq!(server.names(), ["b.txt"]);
}

#[test]
fn what_is_not_there_is_told() {
    let server = FileServer::start(&["--write"]);
    let folder = Folder::new();
    fs::create_dir(server.folder.path("photos")).unwrap();
    let to = folder.path("");
    check(&run(&["receive", &server.url("none"), "-o", &to], b""), 9, "No such file");
    check(&run(&["receive", &server.url("none/"), "-o", &to], b""), 9, "No such file");
    check(&run(&["receive", &server.url("photos"), "-o", &to], b""), 9, "folder");
    check(&run(&["send", &server.url("photos"), &folder.write("a", "")], b""), 9, "folder");
    check(&run(&["send", &server.url(""), "/no/such/file"], b""), 2, "/no/such/file");
    check(&run(&["send", &server.url(""), &to], b""), 2, "folder");
    check(&run(&["serve", "files"], b""), 2, "--dir");
    check(&run(&["serve", "files", "--dir", "/no/such/folder"], b""), 2, "/no/such/folder");
    assert_eq!(names(&folder), ["a"]);
}

#[test]
fn events_are_json_and_quiet_is_quiet() {
    let server = FileServer::start(&["--write"]);
    let folder = Folder::new();
    let path = folder.write_bytes("a.bin", noise(3_000_000));
    let ended = run(&["send", "--json", &server.url(""), &path], b"");
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""), "{ended:?}");
    let events: Vec<Value> = ended.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [started, between @ .., finished] = events.as_slice() else { panic!("{ended:?}") };
    assert_eq!(
        *started,
        serde_json::json!({ "event": "started", "name": "a.bin", "size": 3_000_000, "offset": 0 })
    );
    assert!(!between.is_empty(), "{ended:?}");
    let mut last = 0;
    for event in between {
        assert_eq!((&event["event"], &event["size"]), (&"progress".into(), &3_000_000.into()));
        let bytes = event["bytes"].as_u64().unwrap();
        assert!(bytes > last, "{ended:?}");
        last = bytes;
    }
    assert_eq!((&finished["event"], &finished["size"]), (&"finished".into(), &3_000_000.into()));
    assert_eq!(finished["sha256"], sha256(&noise(3_000_000)));

    let ended = run(&["send", "--json", &server.url(""), &path], b"");
    check(&ended, 9, "");
    let event: Value = serde_json::from_str(ended.text()).unwrap();
    assert_eq!((&event["event"], &event["name"]), (&"error".into(), &"a.bin".into()));
    assert_eq!((&event["kind"], &event["exit_code"]), (&"check".into(), &9.into()));

    let ended = run(&["receive", "-q", &server.url("a.bin"), "-o", &folder.path("b.bin")], b"");
    assert_eq!((ended.code, ended.text(), ended.stderr.as_str()), (Some(0), "", ""), "{ended:?}");
}

#[test]
fn whoever_does_not_speak_the_protocol_is_told_how() {
    let server = FileServer::start(&[]);
    check(&run(&[&server.url(""), "-m", "x"], b""), 6, "wsduo receive");
    let echo = Server::start(&["echo"]);
    check(&run(&["receive", &format!("{}a", echo.url)], b""), 7, "does not serve files");
    check(&run(&["receive", "ws://no-such-host.invalid/a"], b""), 3, "no-such-host.invalid");
    let gone = peer(async |_| {});
    check(&run(&["receive", &gone], b""), 7, "does not serve files");
}

#[test]
fn files_go_over_tls() {
    let server = FileServer::start(&["--write", "--self-signed"]);
    let folder = Folder::new();
    let path = folder.write_bytes("a.bin", noise(300_000));
    check(&run(&["send", &server.url(""), &path], b""), 5, "TLS");
    check(&run(&["send", "--insecure", &server.url(""), &path], b""), 0, "checked");
    assert!(server.content("a.bin") == noise(300_000));
}

#[cfg(unix)]
#[test]
fn no_link_leads_out_of_the_folder() {
    use std::os::unix::fs::symlink;

    let server = FileServer::start(&["--write", "--overwrite"]);
    let outside = Folder::new();
    let secret = outside.write("secret", "secret");
    symlink(&secret, server.folder.path("link")).unwrap();
    symlink(outside.path(""), server.folder.path("folder")).unwrap();
    symlink(&secret, server.folder.path(".new.wsduo-part")).unwrap();
    let path = outside.write("new", "new");
    let to = Folder::new();
    for name in ["link", "folder/secret", "folder/"] {
        let ended = run(&["receive", &server.url(name), "-o", &to.path("to/")], b"");
        assert_eq!(ended.code, Some(9), "{name} {ended:?}");
    }
    for name in ["folder/secret", "folder/more", "new"] {
        let ended = run(&["send", "--overwrite", "--resume", &server.url(name), &path], b"");
        assert_eq!(ended.code, Some(9), "{name} {ended:?}");
    }
    // The link itself is replaced, and not what it leads to.
    check(&run(&["send", "--overwrite", &server.url("link"), &path], b""), 0, "");
    assert_eq!(fs::read(&secret).unwrap(), b"secret");
    assert_eq!(names(&outside), ["new", "secret"]);
    // Nor do links send a list astray.
    check(&run(&["receive", &server.url(""), "-o", &to.path("all")], b""), 0, "");
    assert_eq!(fs::read_dir(to.path("all")).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_told_at_both_ends_and_what_arrived_is_kept() {
    let folder = Folder::new();
    let path = folder.write_bytes("a.bin", noise(3_000_000));
    let served = Folder::new();
    // No file may grow beyond 1 MiB; `ulimit` counts in 512 bytes or 1,024, by the shell.
    let mut limited = std::process::Command::new("sh");
    let server = format!(
        "trap '' XFSZ; ulimit -f 1024; exec '{}' serve files --threads 1 --write --dir '{}'",
        env!("CARGO_BIN_EXE_wsduo"),
        served.path("")
    );
    limited.args(["-c", &server]).stderr(Stdio::piped());
    let mut server = Server::spawn(limited);
    let mut log = BufReader::new(server.process.0.stderr.take().unwrap()).lines();
    let ended = run(&["send", &server.url, &path], b"");
    check(&ended, 9, "cannot write a.bin: File too large");
    let failure = log.find(|line| line.as_ref().unwrap().contains("was not received")).unwrap().unwrap();
    assert!(failure.contains("cannot write a.bin: File too large"), "{failure}");
    assert_eq!(names(&served), [".a.bin.wsduo-part"]);
    let kept = fs::read(served.path(".a.bin.wsduo-part")).unwrap();
    assert!(!kept.is_empty() && noise(3_000_000).starts_with(&kept));

    // The other way, and to something that is not a file.
    let server = FileServer::start(&[]);
    server.folder.write_bytes("a.bin", noise(3_000_000));
    if fs::exists("/dev/full").unwrap() {
        let ended = run(&["receive", &server.url("a.bin"), "-o", "/dev/full"], b"");
        check(&ended, 1, "cannot write /dev/full: No space left");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_folder_that_may_not_be_written_to_is_told_at_both_ends() {
    // Not even by root.
    let mut command = command();
    command.args(["serve", "files", "--threads", "1", "--write", "--dir", "/sys"]).stderr(Stdio::piped());
    let mut server = Server::spawn(command);
    let mut log = BufReader::new(server.process.0.stderr.take().unwrap()).lines();
    let folder = Folder::new();
    let path = folder.write("a", "a");
    let ended = run(&["send", &server.url, &path], b"");
    check(&ended, 9, "cannot write a: ");
    assert!(ended.stderr.contains("denied") || ended.stderr.contains("Read-only"), "{ended:?}");
    let failure = log.find(|line| line.as_ref().unwrap().contains("was not received")).unwrap().unwrap();
    assert!(failure.contains("cannot write a: "), "{failure}");

    let server = FileServer::start(&[]);
    server.folder.write("a", "a");
    check(&run(&["receive", &server.url("a"), "-o", "/sys/"], b""), 1, "cannot write a: ");
}

#[test]
fn without_a_terminal_there_is_no_bar() {
    let server = FileServer::start(&["--write"]);
    let folder = Folder::new();
    let path = folder.write_bytes("a.bin", noise(3_000_000));
    let ended = run(&["send", &server.url(""), &path], b"");
    check(&ended, 0, "sent a.bin, 2.86 MiB in ");
    assert_eq!(ended.stderr.lines().count(), 1, "{ended:?}");
    assert!(!ended.stderr.contains('\r'), "{ended:?}");
}

#[cfg(unix)]
#[test]
fn whoever_has_read_enough_ends_it_quietly() {
    let server = FileServer::start(&[]);
    server.folder.write_bytes("a.bin", noise(5_000_000));
    let mut command = command();
    command.args(["receive", &server.url("a.bin"), "-o", "-"]);
    let mut child = Running(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap());
    let mut stdout = child.0.stdout.take().unwrap();
    stdout.read_exact(&mut [0; 1000]).unwrap();
    drop(stdout);
    assert_eq!(child.wait(), Some(0));
}
