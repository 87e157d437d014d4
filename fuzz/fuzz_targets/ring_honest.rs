//! Two honest ends in any order of their calls: every message arrives once, whole and in order.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_transport_shm::fuzzing::honest::{Script, run};

fuzz_target!(|script: Script| run(&script));
