//! A peer with a script of its own against the shared-memory handshake: it ends, opens nothing that
//! must not open, and keeps no descriptor.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_transport_shm::fuzzing::handshake::{Script, run};

fuzz_target!(|script: Script| run(&script));
