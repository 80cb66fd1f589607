//! The WebSockets that Microsoft documents for UWP (`Windows.Networking.Sockets`), by their own names and with their own
//! rules, on every platform: a thin face over [`wsduo`].

mod error;
mod operation;
mod streams;

pub use error::Error;
pub use operation::AsyncOperation;
pub use streams::{Buffer, IInputStream, IOutputStream, InputStreamOptions};
pub use wsduo::{HResult, WebErrorStatus};
