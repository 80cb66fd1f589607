//! See [`wsduo_fuzz::handshake_response`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::handshake_response::run(data));
