//! The protocol core against RFC 6455 and the known faults of its peers: no sockets, no sleeping.

mod closing;
mod compression;
mod compression_hostile;
mod fragmentation;
mod framing;
mod large;
mod limits;
mod masking;
mod negotiation;
mod oracle;
mod pair;
mod parts;
mod payload;
mod ping_pong;
mod properties;
mod support;
mod timers;
mod utf8;
