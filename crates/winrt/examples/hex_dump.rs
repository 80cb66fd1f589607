//! Dumps a file as hexadecimal numbers: `cargo run -p wsduo-winrt --example hex_dump -- FILE`; without one, a small file of the crate.
//!
//! Loads 4096 bytes at a time until a load is short, which is the end of the file.

use wsduo_winrt::{DataReader, input_stream};

/// How much is loaded at a time.
const CHUNK: u32 = 4096;
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
const BYTES_PER_LINE: usize = 16;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let path = std::env::args_os().nth(1).unwrap_or_else(|| SAMPLE.into());
    let file = tokio::fs::File::open(path).await?;
    let reader = DataReader::new(input_stream(file));
    let mut offset = 0;
    loop {
        let loaded = reader.load(CHUNK).await?;
        let mut bytes = vec![0; reader.unconsumed_buffer_length() as usize];
        reader.read_bytes(&mut bytes)?;
        for line in bytes.chunks(BYTES_PER_LINE) {
            print_line(offset, line);
            offset += line.len();
        }
        if loaded < CHUNK {
            return Ok(());
        }
    }
}

fn print_line(offset: usize, bytes: &[u8]) {
    let numbers: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let text: String =
        bytes.iter().map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '.' }).collect();
    println!("{offset:08x}  {:<47}  {text}", numbers.join(" "));
}
