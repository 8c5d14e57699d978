#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| swathe_fuzz::rules::run(data));
