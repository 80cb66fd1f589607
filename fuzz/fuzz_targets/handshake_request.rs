//! See [`wsduo_fuzz::handshake_request`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::handshake_request::run(data));
