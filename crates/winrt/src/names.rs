//! Names of hosts and of users (`HostName`, `PasswordCredential`).

use std::cmp::Ordering;
use std::fmt;
use std::net::IpAddr;

use wsduo::Credential;

use crate::enums::HostNameType;
use crate::error::Error;

/// A name or an address of a host.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct HostName {
    raw: String,
    canonical: String,
    kind: HostNameType,
}

impl HostName {
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] for an empty name.
    pub fn new(name: &str) -> Result<Self, Error> {
        if name.is_empty() {
            return Err(Error::new(Error::INVALID_ARGUMENT, "a host name cannot be empty"));
        }
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
        let (canonical, kind) = match bare.parse() {
            Ok(address @ IpAddr::V4(_)) => (address.to_string(), HostNameType::Ipv4),
            Ok(address @ IpAddr::V6(_)) => (address.to_string(), HostNameType::Ipv6),
            Err(_) => (name.to_lowercase(), HostNameType::DomainName),
        };
        Ok(Self { raw: name.to_owned(), canonical, kind })
    }

    /// The name in the form in which equal names are equal: in lower case, an address as it is usually
    /// written.
    pub fn canonical_name(&self) -> &str {
        &self.canonical
    }

    /// The name to show to people.
    pub fn display_name(&self) -> &str {
        &self.canonical
    }

    /// The name as it was given.
    pub fn raw_name(&self) -> &str {
        &self.raw
    }

    /// What kind of name it is. The original calls it Type.
    pub fn host_name_type(&self) -> HostNameType {
        self.kind
    }

    /// How two names are in order, to sort them: by their canonical names. In the original the arguments are
    /// the names as text, and null is allowed; its pages do not say which name comes first.
    pub fn compare(first: &str, second: &str) -> Ordering {
        // What is no name is as it is written.
        let canonical = |name: &str| Self::new(name).map_or_else(|_| name.to_owned(), |name| name.canonical);
        canonical(first).cmp(&canonical(second))
    }

    /// Whether both are the same name.
    pub fn is_equal(&self, other: &Self) -> bool {
        self.canonical == other.canonical
    }
}

impl From<IpAddr> for HostName {
    fn from(address: IpAddr) -> Self {
        let kind = if address.is_ipv4() { HostNameType::Ipv4 } else { HostNameType::Ipv6 };
        Self { raw: address.to_string(), canonical: address.to_string(), kind }
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.raw)
    }
}

/// A user's name and password for a resource. Its `Debug` does not show the password.
#[derive(Clone, PartialEq, Eq)]
pub struct PasswordCredential {
    resource: String,
    user_name: String,
    password: String,
}

impl PasswordCredential {
    /// The resource is a name of the program's own; here nothing depends on it.
    ///
    /// # Errors
    /// [`Error::INVALID_ARGUMENT`] for an empty user name or password.
    pub fn new(resource: &str, user_name: &str, password: &str) -> Result<Self, Error> {
        if user_name.is_empty() || password.is_empty() {
            let text = "a credential has a user name and a password, neither of them empty";
            return Err(Error::new(Error::INVALID_ARGUMENT, text));
        }
        let (resource, user_name, password) = (resource.into(), user_name.into(), password.into());
        Ok(Self { resource, user_name, password })
    }

    /// What it is for.
    pub fn resource(&self) -> &str {
        &self.resource
    }

    /// The user's name.
    pub fn user_name(&self) -> &str {
        &self.user_name
    }

    /// The password. In the original it is there only after `retrieve_password`; here it always is.
    pub fn password(&self) -> &str {
        &self.password
    }

    /// Does nothing: see [`password`](Self::password).
    pub fn retrieve_password(&self) {}

    pub(crate) fn credential(&self) -> Credential {
        Credential::new(&self.user_name, &self.password)
    }
}

impl fmt::Debug for PasswordCredential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PasswordCredential")
            .field("resource", &self.resource)
            .field("user_name", &self.user_name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_name_is_a_name_or_an_address() {
        let kind = |name| HostName::new(name).unwrap().host_name_type();
        assert_eq!(kind("Example.ORG"), HostNameType::DomainName);
        assert_eq!(kind("127.0.0.1"), HostNameType::Ipv4);
        assert_eq!(kind("::1"), HostNameType::Ipv6);
        assert_eq!(kind("[::1]"), HostNameType::Ipv6);
        let (name, same) = (HostName::new("Example.ORG").unwrap(), HostName::new("example.org").unwrap());
        assert!(name.is_equal(&same) && name != same);
        assert_eq!((name.raw_name(), name.canonical_name()), ("Example.ORG", "example.org"));
        assert_eq!(HostName::new("").unwrap_err().code(), Error::INVALID_ARGUMENT);
    }

    #[test]
    fn names_are_in_order_by_their_canonical_names() {
        assert_eq!(HostName::compare("Example.ORG", "example.org"), Ordering::Equal);
        assert_eq!(HostName::compare("[::1]", "0:0::1"), Ordering::Equal);
        assert_eq!(HostName::compare("A.example", "b.example"), Ordering::Less);
        assert_eq!(HostName::compare("b.example", "A.example"), Ordering::Greater);
        assert_eq!(HostName::compare("", "a"), Ordering::Less);
    }

    #[test]
    fn a_password_is_not_shown() {
        let credential = PasswordCredential::new("test", "ada", "sesame").unwrap();
        assert!(!format!("{credential:?}").contains("sesame"));
        assert!(PasswordCredential::new("test", "", "x").is_err());
        assert!(PasswordCredential::new("test", "x", "").is_err());
    }
}
