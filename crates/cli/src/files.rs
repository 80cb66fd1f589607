//! File transfer: `wsduo send`, `wsduo receive`, `wsduo serve files`.
//!
//! What goes over the wire is written down in `docs/files-protocol.md`. The two halves of a transfer, [`send`] and
//! [`receive`], are the same whether the client or the server is the sender; [`client`] and [`server`] are what differs.

mod client;
mod link;
mod name;
mod partial;
mod plan;
mod progress;
mod protocol;
mod receive;
mod send;
mod server;
mod trouble;

pub(crate) use client::{Transfer, run};
pub(crate) use link::control;
pub(crate) use plan::{receive as plan_receive, send as plan_send, serve as plan_serve};
pub(crate) use protocol::SUBPROTOCOL;
pub(crate) use server::{Client, Files, Plan};
