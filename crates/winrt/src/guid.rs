//! Globally unique identifiers: numbers to be carried, not made.

use std::fmt;

/// A globally unique identifier, in the parts in which it is written to a stream.
///
/// `Uuid::from_u128(guid.to_u128())` of the crate `uuid` is the same identifier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid {
    /// The first eight digits.
    pub data1: u32,
    /// The four digits of the second group.
    pub data2: u16,
    /// The four digits of the third group.
    pub data3: u16,
    /// The last sixteen digits, in the order in which they are written down.
    pub data4: [u8; 8],
}

impl Guid {
    /// The identifier with these 32 digits.
    ///
    /// # Examples
    /// ```
    /// use wsduo_winrt::Guid;
    ///
    /// let guid = Guid::from_u128(0x01020304_0506_0708_090a_0b0c0d0e0f10);
    /// assert_eq!(guid.data2, 0x0506);
    /// assert_eq!(guid.to_string(), "01020304-0506-0708-090a-0b0c0d0e0f10");
    /// ```
    pub const fn from_u128(value: u128) -> Self {
        let [a, b, c, d, e, f, g, h, data4 @ ..] = value.to_be_bytes();
        Self {
            data1: u32::from_be_bytes([a, b, c, d]),
            data2: u16::from_be_bytes([e, f]),
            data3: u16::from_be_bytes([g, h]),
            data4,
        }
    }

    /// Its 32 digits as one number.
    pub const fn to_u128(self) -> u128 {
        (self.data1 as u128) << 96
            | (self.data2 as u128) << 80
            | (self.data3 as u128) << 64
            | u64::from_be_bytes(self.data4) as u128
    }

    /// With the bytes of its three numbers in the other order.
    pub(crate) fn with_swapped_numbers(self) -> Self {
        Self {
            data1: self.data1.swap_bytes(),
            data2: self.data2.swap_bytes(),
            data3: self.data3.swap_bytes(),
            data4: self.data4,
        }
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = u64::from_be_bytes(self.data4);
        let (fourth, fifth) = (tail >> 48, tail & 0xffff_ffff_ffff);
        write!(f, "{:08x}-{:04x}-{:04x}-{fourth:04x}-{fifth:012x}", self.data1, self.data2, self.data3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_comes_back_as_it_was() {
        for value in [0, 1, u128::MAX, 0x01020304_0506_0708_090a_0b0c0d0e0f10] {
            assert_eq!(Guid::from_u128(value).to_u128(), value);
        }
    }
}
