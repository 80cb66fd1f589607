//! The exercises of the original's own sample for readers and writers (spec §20.3).

use std::sync::Arc;

use wsduo_winrt::{
    ByteOrder, DataReader, DataWriter, Error, InMemoryRandomAccessStream, UnicodeEncoding, input_stream,
};

use crate::streams_support::code;

const STRINGS: [&str; 5] = ["Hello", "", "naïve café", "日本語", "😀 and more"];

/// Writes strings, each behind its number of code units, and reads until nothing is left.
async fn strings_come_back(encoding: UnicodeEncoding) -> Result<(), Error> {
    let stream = Arc::new(InMemoryRandomAccessStream::new());
    let writer = DataWriter::with_stream(stream.clone());
    writer.set_byte_order(ByteOrder::LittleEndian);
    writer.set_unicode_encoding(encoding);
    for text in STRINGS {
        writer.write_uint32(writer.measure_code_units(text)?)?;
        writer.write_string(text)?;
    }
    let stored = writer.store().await?;
    assert!(writer.flush().await?);
    writer.detach_stream()?;
    drop(writer);
    assert_eq!(stream.size(), u64::from(stored));
    assert_eq!(stream.position(), u64::from(stored));

    let reader = DataReader::new(stream.get_input_stream_at(0)?);
    reader.set_byte_order(ByteOrder::LittleEndian);
    reader.set_unicode_encoding(encoding);
    assert_eq!(reader.load(stored).await?, stored);
    let mut read = Vec::new();
    while reader.unconsumed_buffer_length() > 0 {
        let code_units = reader.read_uint32()?;
        read.push(reader.read_string(code_units)?);
    }
    assert_eq!(read, STRINGS);
    Ok(())
}

#[tokio::test]
async fn strings_behind_their_lengths_come_back_in_every_encoding() {
    for encoding in [UnicodeEncoding::Utf8, UnicodeEncoding::Utf16LE, UnicodeEncoding::Utf16BE] {
        strings_come_back(encoding).await.unwrap();
    }
}

#[tokio::test]
async fn a_file_is_read_in_pieces_until_one_is_short() {
    let file: Vec<u8> = (0..10_000_u32).map(|number| u8::try_from(number % 251).unwrap()).collect();
    let reader = DataReader::new(input_stream(std::io::Cursor::new(file.clone())));
    let (mut read, mut loads) = (Vec::new(), Vec::new());
    while loads.last().is_none_or(|loaded| *loaded == 4096) {
        loads.push(reader.load(4096).await.unwrap());
        let mut bytes = vec![0; reader.unconsumed_buffer_length() as usize];
        reader.read_bytes(&mut bytes).unwrap();
        read.extend(bytes);
    }
    assert_eq!(loads, [4096, 4096, 1808]);
    assert_eq!(read, file);
}

#[tokio::test]
async fn a_stream_in_memory_is_read_and_written_at_any_place_of_it() {
    let stream = InMemoryRandomAccessStream::new();
    let writer = DataWriter::with_stream(Arc::new(stream.clone()));
    writer.write_string("abcdef").unwrap();
    writer.store().await.unwrap();
    let over = DataWriter::with_stream(stream.get_output_stream_at(4).unwrap());
    over.write_string("XYZ").unwrap();
    over.store().await.unwrap();
    // A view that is closed leaves the stream open.
    drop(over);
    stream.seek(2).unwrap();
    let reader = DataReader::new(Arc::new(stream.clone()));
    assert_eq!(reader.load(100).await.unwrap(), 5);
    assert_eq!(reader.read_string(5).unwrap(), "cdXYZ");
    assert_eq!(code(stream.seek(8)), Error::INVALID_ARGUMENT);
    assert_eq!(stream.get_output_stream_at(8).err().unwrap().code(), Error::INVALID_ARGUMENT);
}
