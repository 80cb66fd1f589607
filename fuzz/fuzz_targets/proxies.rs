//! See [`wsduo_fuzz::proxies`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::proxies::run(data));
