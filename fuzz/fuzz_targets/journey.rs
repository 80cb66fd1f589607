//! See [`wsduo_fuzz::journey`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::journey::run(data));
