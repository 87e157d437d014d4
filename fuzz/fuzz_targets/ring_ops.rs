//! Our calls on an open link, in any order, while the peer writes what it likes in between.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_transport_shm::fuzzing::hostile::{Script, run};

fuzz_target!(|script: Script| run(&script));
