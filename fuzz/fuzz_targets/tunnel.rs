//! See [`wsduo_fuzz::tunnel`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::tunnel::run(data));
