//! Accepting goes on after the system had nothing to spare. In a program of its own, whose descriptors can be taken away.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "clippy sees helpers as code outside of tests")]

use std::fs::File;

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::TcpStream;
use wsduo::Listener;

#[tokio::test(start_paused = true)]
async fn a_listener_without_descriptors_waits_for_one() {
    let listener = Listener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_address().unwrap();
    let _client = TcpStream::connect(address).await.unwrap();

    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(64);
    setrlimit(Resource::Nofile, limit).unwrap();
    let mut taken: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    let mut accepting = Box::pin(listener.accept());
    for _ in 0..1000 {
        tokio::select! {
            biased;
            _ = &mut accepting => panic!("there was no descriptor for it"),
            () = tokio::task::yield_now() => {}
        }
    }
    taken.pop();
    assert!(accepting.await.remote_address().is_some());
}
