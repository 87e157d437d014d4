//! A whole segment of any bytes, met by our reader and our writer: both end, within bounds.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_transport_shm::fuzzing::segment::{Image, run};

fuzz_target!(|image: Image| run(&image));
