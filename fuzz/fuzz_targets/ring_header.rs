//! Any header word against any state of the ring's reader: what is accepted stays inside the ring
//! and the limits, and is what its writer would write.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_transport_shm::fuzzing::header::{Case, run};

fuzz_target!(|case: Case| run(&case));
