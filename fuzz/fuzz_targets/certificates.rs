//! See [`wsduo_fuzz::certificates`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::certificates::run(data));
