//! Any bytes as a message: read or refused, never a panic; what is read is written back the same.

#![no_main]

use libfuzzer_sys::fuzz_target;
use tramline_core::envelope::{Envelope, Extension, ExtensionBuf};
use tramline_core::limits::MAX_TARGETS;
use tramline_core::session::{Goodbye, Hello};

fuzz_target!(|bytes: &[u8]| {
    let _ = Hello::read(bytes);
    if let Ok(message) = Envelope::parse(bytes) {
        let _ = Goodbye::read(&message);
        let mut again = message.head.to_bytes().to_vec();
        again.extend_from_slice(message.head.name.as_bytes());
        again.extend_from_slice(message.head.extension.bytes());
        again.extend_from_slice(message.body);
        again.extend_from_slice(message.attachments);
        // What is read of it is bounded by it.
        assert!(message.head.extension.fields().count() <= bytes.len());
        assert_eq!(again, bytes);
        // A target is bounded in number and length, and is what it is when it is written again.
        let mut aim = ExtensionBuf::default();
        for target in message.head.extension.targets() {
            aim.target(&target.to_target()).expect("short, and few");
        }
        let read = Extension::parse(aim.as_extension().bytes()).expect("our own");
        assert!(read.targets().eq(message.head.extension.targets()));
        assert!(read.targets().count() <= MAX_TARGETS);
    }
});
