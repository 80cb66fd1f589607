//! The bytes of every type (spec §17.5).

use proptest::prelude::*;
use wsduo_winrt::{ByteOrder, DataReader, DataWriter, DateTime, Error, Guid, TimeSpan, UnicodeEncoding};

const ORDERS: [ByteOrder; 2] = [ByteOrder::LittleEndian, ByteOrder::BigEndian];

/// Writes in this order and compares.
#[track_caller]
fn check(order: ByteOrder, write: impl FnOnce(&DataWriter) -> Result<(), Error>, bytes: &[u8]) {
    let writer = DataWriter::new();
    writer.set_byte_order(order);
    write(&writer).unwrap();
    assert_eq!(writer.detach_buffer().unwrap().as_ref(), bytes);
}

#[test]
fn numbers_are_big_endian_by_default() {
    let writer = DataWriter::new();
    writer.write_uint32(0x0102_0304).unwrap();
    let buffer = writer.detach_buffer().unwrap();
    assert_eq!(buffer.as_ref(), [1, 2, 3, 4]);
    assert_eq!(DataReader::from_buffer(buffer).read_uint32().unwrap(), 0x0102_0304);
}

#[test]
fn numbers_have_fixed_widths_in_the_byte_order() {
    use ByteOrder::{BigEndian, LittleEndian};
    check(LittleEndian, |w| w.write_int16(-2), b"\xfe\xff");
    check(BigEndian, |w| w.write_int16(-2), b"\xff\xfe");
    check(LittleEndian, |w| w.write_uint16(0x0102), b"\x02\x01");
    check(BigEndian, |w| w.write_int32(0x0102_0304), b"\x01\x02\x03\x04");
    check(LittleEndian, |w| w.write_int64(1), b"\x01\0\0\0\0\0\0\0");
    check(BigEndian, |w| w.write_uint64(1), b"\0\0\0\0\0\0\0\x01");
    check(BigEndian, |w| w.write_single(1.0), b"\x3f\x80\0\0");
    check(LittleEndian, |w| w.write_single(1.0), b"\0\0\x80\x3f");
    check(BigEndian, |w| w.write_double(1.0), b"\x3f\xf0\0\0\0\0\0\0");
    check(LittleEndian, |w| w.write_double(1.0), b"\0\0\0\0\0\0\xf0\x3f");
    check(BigEndian, |w| w.write_time_span(TimeSpan { duration: -1 }), &[0xff; 8]);
    check(LittleEndian, |w| w.write_time_span(TimeSpan { duration: 1 }), b"\x01\0\0\0\0\0\0\0");
}

#[test]
fn a_boolean_is_one_byte_and_any_but_zero_is_true() {
    for order in ORDERS {
        check(order, |w| w.write_boolean(true), &[1]);
        check(order, |w| w.write_boolean(false), &[0]);
    }
    let reader = DataReader::from_buffer(vec![0, 1, 2]);
    assert_eq!([(); 3].map(|()| reader.read_boolean().unwrap()), [false, true, true]);
}

#[test]
fn date_times_are_as_the_vectors_say() {
    for (universal_time, bytes) in [
        (132_286_731_950_000_000, b"\x80\x87\x60\xf2\x14\xfa\xd5\x01"),
        (-504_911_232_000_000_000, b"\x00\x00\x89\xdd\xe8\x31\xfe\xf8"),
        (2_650_467_743_999_999_999, b"\xff\x3f\xc0\xd1\x5e\x5a\xc8\x24"),
    ] {
        let time = DateTime { universal_time };
        check(ByteOrder::LittleEndian, |w| w.write_date_time(time), bytes);
        let mut swapped = *bytes;
        swapped.reverse();
        check(ByteOrder::BigEndian, |w| w.write_date_time(time), &swapped);
        let reader = DataReader::from_buffer(swapped.to_vec());
        assert_eq!(reader.read_date_time().unwrap(), time);
    }
}

#[test]
fn a_date_of_a_calendar_is_the_vector_of_that_date() {
    // 2020-03-14T15:26:35Z in seconds since 1970.
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_584_199_595);
    let time = DateTime::try_from(time).unwrap();
    check(ByteOrder::LittleEndian, |w| w.write_date_time(time), b"\x80\x87\x60\xf2\x14\xfa\xd5\x01");
}

#[test]
fn the_tail_of_a_guid_is_never_swapped() {
    let guid = Guid::from_u128(0x0102_0304_0506_0708_090a_0b0c_0d0e_0f10);
    let big = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
    let little = [4, 3, 2, 1, 6, 5, 8, 7, 9, 10, 11, 12, 13, 14, 15, 16];
    check(ByteOrder::BigEndian, |w| w.write_guid(guid), &big);
    check(ByteOrder::LittleEndian, |w| w.write_guid(guid), &little);
}

/// Every type, once.
#[derive(Clone, Debug)]
struct Values {
    boolean: bool,
    bytes: Vec<u8>,
    floats: (f32, f64),
    signed: (i16, i32, i64),
    unsigned: (u8, u16, u32, u64),
    times: (i64, i64),
    guid: u128,
    text: String,
}

fn values() -> impl Strategy<Value = Values> {
    let numbers = (
        any::<(u32, u64)>().prop_map(|(f, d)| (f32::from_bits(f), f64::from_bits(d))),
        any::<(i16, i32, i64)>(),
        any::<(u8, u16, u32, u64)>(),
    );
    let rest = any::<(bool, Vec<u8>, (i64, i64), u128, String)>();
    (numbers, rest).prop_map(|((floats, signed, unsigned), (boolean, bytes, times, guid, text))| Values {
        boolean,
        bytes,
        floats,
        signed,
        unsigned,
        times,
        guid,
        text,
    })
}

fn write(writer: &DataWriter, values: &Values) -> Result<u32, Error> {
    writer.write_boolean(values.boolean)?;
    writer.write_bytes(&values.bytes)?;
    writer.write_buffer(&values.bytes.clone().into())?;
    writer.write_single(values.floats.0)?;
    writer.write_double(values.floats.1)?;
    writer.write_int16(values.signed.0)?;
    writer.write_int32(values.signed.1)?;
    writer.write_int64(values.signed.2)?;
    writer.write_byte(values.unsigned.0)?;
    writer.write_uint16(values.unsigned.1)?;
    writer.write_uint32(values.unsigned.2)?;
    writer.write_uint64(values.unsigned.3)?;
    writer.write_date_time(DateTime { universal_time: values.times.0 })?;
    writer.write_time_span(TimeSpan { duration: values.times.1 })?;
    writer.write_guid(Guid::from_u128(values.guid))?;
    let bytes = writer.write_string(&values.text)?;
    assert_eq!(bytes, writer.measure_string(&values.text)?);
    writer.measure_code_units(&values.text)
}

fn read_and_compare(reader: &DataReader, values: &Values, code_units: u32) -> Result<(), Error> {
    let mut bytes = vec![0; values.bytes.len()];
    assert_eq!(reader.read_boolean()?, values.boolean);
    reader.read_bytes(&mut bytes)?;
    assert_eq!(bytes, values.bytes);
    let length = u32::try_from(bytes.len()).unwrap();
    assert_eq!(reader.read_buffer(length)?.as_ref(), values.bytes);
    assert_eq!(reader.read_single()?.to_bits(), values.floats.0.to_bits());
    assert_eq!(reader.read_double()?.to_bits(), values.floats.1.to_bits());
    assert_eq!((reader.read_int16()?, reader.read_int32()?, reader.read_int64()?), values.signed);
    let unsigned = (reader.read_byte()?, reader.read_uint16()?, reader.read_uint32()?, reader.read_uint64()?);
    assert_eq!(unsigned, values.unsigned);
    assert_eq!(reader.read_date_time()?.universal_time, values.times.0);
    assert_eq!(reader.read_time_span()?.duration, values.times.1);
    assert_eq!(reader.read_guid()?.to_u128(), values.guid);
    assert_eq!(reader.read_string(code_units)?, values.text);
    assert_eq!(reader.unconsumed_buffer_length(), 0);
    Ok(())
}

proptest! {
    #[test]
    fn every_type_comes_back_in_every_order_and_encoding(values in values()) {
        for order in ORDERS {
            for encoding in [UnicodeEncoding::Utf8, UnicodeEncoding::Utf16LE, UnicodeEncoding::Utf16BE] {
                let writer = DataWriter::new();
                writer.set_byte_order(order);
                writer.set_unicode_encoding(encoding);
                let code_units = write(&writer, &values).unwrap();
                let reader = DataReader::from_buffer(writer.detach_buffer().unwrap());
                reader.set_byte_order(order);
                reader.set_unicode_encoding(encoding);
                read_and_compare(&reader, &values, code_units).unwrap();
            }
        }
    }

    #[test]
    fn any_bytes_are_text_or_an_error_that_consumes_nothing(bytes: Vec<u8>, encoding in 0..3_usize) {
        let encoding = [UnicodeEncoding::Utf8, UnicodeEncoding::Utf16LE, UnicodeEncoding::Utf16BE][encoding];
        let reader = DataReader::from_buffer(bytes.clone());
        reader.set_unicode_encoding(encoding);
        let per_unit = if encoding == UnicodeEncoding::Utf8 { 1 } else { 2 };
        let units = u32::try_from(bytes.len() / per_unit).unwrap();
        let read = reader.read_string(units);
        let left = reader.unconsumed_buffer_length() as usize;
        prop_assert_eq!(left, if read.is_ok() { bytes.len() % per_unit } else { bytes.len() });
    }
}
