//! See [`wsduo_fuzz::compression`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::compression::run(data));
