//! The `wsduo` command.
fn main() {}
