//! See [`wsduo_fuzz::server_headers`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::server_headers::run(data));
