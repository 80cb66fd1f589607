//! See [`wsduo_fuzz::files`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::files::run(data));
