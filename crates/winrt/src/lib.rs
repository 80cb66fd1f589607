//! The WebSockets that Microsoft documents for UWP (`Windows.Networking.Sockets`), by their own names and with their own
//! rules, on every platform: a thin face over [`wsduo`].

mod buffer;
mod error;
mod operation;
mod streams;

pub use buffer::{Buffer, IBuffer};
pub use error::Error;
pub use operation::{AsyncOperation, AsyncStatus};
pub use streams::{IInputStream, IOutputStream, InputStreamOptions};
pub use wsduo::{HResult, WebErrorStatus};
