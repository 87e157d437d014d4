//! Descriptors and mappings are counted per process, so this suite has one test and a process of its
//! own.
#![cfg(all(target_os = "linux", target_endian = "little", target_pointer_width = "64"))]

use std::time::Duration;

use tramline_core::{ConnectError, Limits, Transport};
use tramline_transport_shm::named::{self, NamedOffer};

/// Descriptors, and mappings of named files.
fn held() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").expect("procfs").count();
    let maps = std::fs::read_to_string("/proc/self/maps").expect("procfs");
    (descriptors, maps.lines().filter(|line| line.contains("/tramline-")).count())
}

/// The watcher may hold a link for a moment after its end.
fn settles_at(what: (usize, usize)) -> bool {
    (0..100_000).any(|_| {
        std::thread::yield_now();
        held() == what
    })
}

fn offer() -> NamedOffer {
    NamedOffer::create(&Limits::default()).expect("an offer")
}

#[test]
fn links_and_refused_joins_leak_nothing() {
    // The watcher's descriptor comes with the first offer and stays.
    drop(offer());
    let before = held();
    assert_eq!(before.1, 0);
    for _ in 0..20 {
        let offer = offer();
        let name = offer.name().to_owned();
        std::thread::scope(|scope| {
            // SAFETY: both ends are this test.
            let joins = scope.spawn(|| unsafe { named::join(&name, &Limits::default()) });
            // SAFETY: likewise.
            let link = unsafe { offer.accept(Duration::from_secs(60)) }.expect("a link");
            assert!(held().1 > 0, "it is this that is counted");
            let halves = Box::new(link).into_halves();
            drop(joins.join().expect("no panic").expect("a link"));
            drop(halves);
        });
    }
    assert!(settles_at(before), "{:?} instead of {before:?}", held());
    let mut small = Limits::default();
    small.ring_capacity = 1 << 16;
    let mut hasty = Limits::default();
    hasty.handshake_timeout_ms = 1;
    for limits in [small, hasty] {
        let offer = offer();
        // SAFETY: nobody else knows the name.
        let result = unsafe { named::join(offer.name(), &limits) };
        let refused =
            matches!(result, Err(ConnectError::Handshake { .. } | ConnectError::TimedOut { .. }));
        assert!(refused, "{result:?}");
    }
    assert!(settles_at(before), "{:?} instead of {before:?}", held());
}
