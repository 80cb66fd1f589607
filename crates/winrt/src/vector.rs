//! Lists that are settings.

use std::fmt;
use std::sync::Arc;

use crate::core::Core;
use crate::error::Error;
use crate::settings::Settings;

/// A list that is a setting (`IVector`). What changes it fails with [`Error::ILLEGAL_METHOD_CALL`], or has no
/// effect, once the socket connects: the setting says which.
///
/// # Examples
/// ```
/// use wsduo_winrt::MessageWebSocket;
///
/// # fn main() -> Result<(), wsduo_winrt::Error> {
/// let socket = MessageWebSocket::new();
/// let protocols = socket.control().supported_protocols();
/// protocols.replace_all(["soap".to_owned()])?;
/// protocols.insert_at(0, "wamp")?;
/// assert_eq!(protocols.to_vec(), ["wamp", "soap"]);
/// assert_eq!(protocols.index_of("soap"), Some(1));
/// # Ok(())
/// # }
/// ```
pub struct Vector<T> {
    core: Arc<Core>,
    list: fn(&mut Settings) -> &mut Vec<T>,
    /// Whether a change that comes too late fails, or has no effect.
    fails_late: bool,
}

impl<T: Clone> Vector<T> {
    pub(crate) fn new(core: Arc<Core>, list: fn(&mut Settings) -> &mut Vec<T>, fails_late: bool) -> Self {
        Self { core, list, fails_late }
    }

    /// The values.
    pub fn to_vec(&self) -> Vec<T> {
        let mut settings = self.core.read(Clone::clone);
        std::mem::take((self.list)(&mut settings))
    }

    /// How many values there are.
    pub fn size(&self) -> u32 {
        u32::try_from(self.to_vec().len()).unwrap_or(u32::MAX)
    }

    /// The value at this place; the first is at 0.
    ///
    /// # Errors
    /// [`Error::BOUNDS`] where there is none.
    pub fn get_at(&self, index: u32) -> Result<T, Error> {
        let values = self.to_vec();
        values.get(index as usize).cloned().ok_or_else(|| out_of_bounds(index, values.len()))
    }

    /// Where the first value like this is; `None` if there is none. In the original that is `false` and 0.
    pub fn index_of<V: ?Sized>(&self, value: &V) -> Option<u32>
    where
        T: PartialEq<V>,
    {
        self.to_vec().iter().position(|other| other == value).and_then(|index| u32::try_from(index).ok())
    }

    /// Adds a value.
    ///
    /// # Errors
    /// [`Error::ILLEGAL_METHOD_CALL`] once the socket connects, where the setting says so.
    pub fn append(&self, value: impl Into<T>) -> Result<(), Error> {
        let value = value.into();
        self.change(|list| {
            list.push(value);
            Ok(())
        })
    }

    /// Adds a value at this place, before the one that is there.
    ///
    /// # Errors
    /// [`Error::BOUNDS`] beyond the end, otherwise as [`append`](Self::append).
    pub fn insert_at(&self, index: u32, value: impl Into<T>) -> Result<(), Error> {
        let value = value.into();
        self.change(|list| {
            if index as usize > list.len() {
                return Err(out_of_bounds(index, list.len()));
            }
            list.insert(index as usize, value);
            Ok(())
        })
    }

    /// Puts a value in place of the one that is there.
    ///
    /// # Errors
    /// [`Error::BOUNDS`] where there is none, otherwise as [`append`](Self::append).
    pub fn set_at(&self, index: u32, value: impl Into<T>) -> Result<(), Error> {
        let value = value.into();
        self.change(|list| {
            let len = list.len();
            let place = list.get_mut(index as usize).ok_or_else(|| out_of_bounds(index, len))?;
            *place = value;
            Ok(())
        })
    }

    /// Removes the value at this place.
    ///
    /// # Errors
    /// As [`set_at`](Self::set_at).
    pub fn remove_at(&self, index: u32) -> Result<(), Error> {
        self.change(|list| {
            if index as usize >= list.len() {
                return Err(out_of_bounds(index, list.len()));
            }
            list.remove(index as usize);
            Ok(())
        })
    }

    /// Removes all values and adds these.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn replace_all(&self, values: impl IntoIterator<Item = T>) -> Result<(), Error> {
        let values = values.into_iter().collect();
        self.change(|list| {
            *list = values;
            Ok(())
        })
    }

    /// Removes all values.
    ///
    /// # Errors
    /// As [`append`](Self::append).
    pub fn clear(&self) -> Result<(), Error> {
        self.replace_all([])
    }

    fn change(&self, change: impl FnOnce(&mut Vec<T>) -> Result<(), Error>) -> Result<(), Error> {
        if self.fails_late {
            return self.core.set(|settings| change((self.list)(settings)));
        }
        let mut changed = Ok(());
        self.core.set_early(|settings| changed = change((self.list)(settings)));
        changed
    }
}

impl<T: Clone + fmt::Debug> fmt::Debug for Vector<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.to_vec()).finish()
    }
}

fn out_of_bounds(index: u32, len: usize) -> Error {
    Error::new(Error::BOUNDS, format!("there is no place {index} in a list of {len}; the first is 0"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MessageWebSocket;

    #[test]
    fn a_vector_is_changed_at_its_places() {
        let socket = MessageWebSocket::new();
        let protocols = socket.control().supported_protocols();
        protocols.append("b").unwrap();
        protocols.insert_at(0, "a").unwrap();
        protocols.insert_at(2, "c").unwrap();
        assert_eq!(protocols.to_vec(), ["a", "b", "c"]);
        protocols.set_at(1, "B").unwrap();
        protocols.remove_at(0).unwrap();
        assert_eq!((protocols.to_vec(), protocols.size()), (vec!["B".to_owned(), "c".to_owned()], 2));
        assert_eq!((protocols.get_at(1).unwrap(), protocols.index_of("c")), ("c".to_owned(), Some(1)));
        assert_eq!(protocols.index_of("a"), None);
        protocols.replace_all(["x".to_owned()]).unwrap();
        assert_eq!(format!("{protocols:?}"), r#"["x"]"#);
        protocols.clear().unwrap();
        assert_eq!(protocols.size(), 0);
    }

    #[test]
    fn a_place_that_is_not_there_is_out_of_bounds() {
        let socket = MessageWebSocket::new();
        let control = socket.control();
        let (protocols, errors) =
            (control.supported_protocols(), control.ignorable_server_certificate_errors());
        let expired = crate::ChainValidationResult::Expired;
        let failures = [
            protocols.get_at(0).map(drop),
            protocols.insert_at(1, "x"),
            protocols.set_at(0, "x"),
            protocols.remove_at(0),
            errors.insert_at(1, expired),
            errors.set_at(u32::MAX, expired),
            errors.remove_at(0),
        ];
        for failure in failures {
            assert_eq!(failure.unwrap_err().code(), Error::BOUNDS);
        }
        assert_eq!((protocols.size(), errors.size()), (0, 0));
    }
}
