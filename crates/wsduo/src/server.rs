//! The accepting side: a listener with its limits, requests to look at, and the answer to them.

mod admission;
mod binding;
pub(crate) mod credentials;
pub(crate) mod forwarded;
mod handshakes;
mod incoming;
mod listener;
mod origin;
pub(crate) mod proxy_protocol;
pub(crate) mod registry;
mod request;
#[cfg(unix)]
mod unix;

pub use admission::RequestControl;
pub use binding::{Endpoint, ListenerBuilder};
pub use credentials::{Denial, is_same_secret};
pub use forwarded::ForwardedHeader;
#[cfg(feature = "hyper")]
pub(crate) use forwarded::Told;
pub use incoming::Incoming;
pub use listener::Listener;
pub use request::Request;
