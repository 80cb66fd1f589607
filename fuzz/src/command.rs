//! Files of the command, which is no library, by their paths: the messages and names of file transfers.

#[path = "../../crates/cli/src/files/name.rs"]
pub(crate) mod name;
#[path = "../../crates/cli/src/files/protocol.rs"]
pub(crate) mod protocol;
