//! See [`wsduo_fuzz::winrt_reader`].
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| wsduo_fuzz::winrt_reader::run(data));
