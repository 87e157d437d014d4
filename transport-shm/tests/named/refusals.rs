//! Files and names that are no offers for us.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};

use tramline_core::{ConfigError, ConnectError};
use tramline_transport_shm::named::{self, NamedOffer};

use crate::kit::limits;
use crate::{Litter, accept, edited, join, offer, path, refused_for, small};

#[test]
fn a_file_that_others_may_open_is_refused() {
    let offer = offer();
    for mode in [0o644, 0o660, 0o606, 0o400, 0o700, 0o4600] {
        fs::set_permissions(path(offer.name()), fs::Permissions::from_mode(mode)).expect("chmod");
        refused_for(offer.name(), "mode is ");
    }
}

#[test]
fn a_file_of_another_user_is_refused() {
    let offer = offer();
    let other = fs::metadata(path(offer.name())).expect("stat").uid() + 1;
    match std::os::unix::fs::chown(path(offer.name()), Some(other), None) {
        Ok(()) => {}
        Err(error) => return eprintln!("skipped: only root can give files away: {error}"),
    }
    let result = join(offer.name());
    assert!(
        matches!(result, Err(ConnectError::PeerUser { found, .. }) if found == other),
        "{result:?}"
    );
}

#[test]
fn a_name_for_another_user_is_refused() {
    let offer = offer();
    let (_, rest) = offer.name()["tramline-".len()..].split_once('-').expect("a user id");
    let result = join(&format!("tramline-4294967294-{rest}"));
    assert!(matches!(result, Err(ConnectError::PeerUser { found: 4_294_967_294, .. })));
}

#[test]
fn a_file_of_another_size_is_refused() {
    let offer = offer();
    let file = fs::OpenOptions::new().write(true).open(path(offer.name())).expect("open");
    let len = file.metadata().expect("stat").len();
    // Never shorter: that would kill this very process, which has it mapped.
    for (longer, words) in [(1, "size is "), (4096, "size is "), (1 << 40, "size is ")] {
        file.set_len(len + longer).expect("set_len");
        refused_for(offer.name(), words);
    }
    // Within the limits of this joiner, but not what the header says.
    let mut more = small();
    more.ring_capacity = 1 << 20;
    file.set_len(len + 4096).expect("set_len");
    // SAFETY: refused.
    let result = unsafe { named::join(offer.name(), &more) };
    assert!(
        matches!(&result, Err(ConnectError::Handshake { what, .. }) if what.contains("size does")),
        "{result:?}"
    );
    // Nor a sparse or an empty file that nobody has mapped.
    for (name, len) in [(edited(offer.name(), 5), 0), (edited(offer.name(), 6), 100)] {
        let litter = Litter(path(&name));
        let made = fs::File::create_new(&litter.0).expect("created");
        made.set_permissions(fs::Permissions::from_mode(0o600)).expect("chmod");
        made.set_len(len).expect("set_len");
        refused_for(&name, "size is ");
    }
}

#[test]
fn rings_larger_than_the_joiners_limit_are_refused() {
    let offer = NamedOffer::create(&limits(1 << 20)).expect("an offer");
    refused_for(offer.name(), "size is ");
}

#[test]
fn a_garbage_header_is_refused_field_by_field() {
    let offer = offer();
    let file = fs::File::options().read(true).write(true).open(path(offer.name())).expect("open");
    let page = rustix::param::page_size() as u64;
    for (at, words) in [
        (0x00, "magic"),
        (0x08, "layout_version"),
        (0x0C, "header_len"),
        (0x10, "segment_len"),
        (0x18, "ring_off"),
        (0x20, "ring_cap"),
        (0x28, "arena_off"),
        (0x30, "arena_len"),
        (0x38, "byte-order"),
        (0x3C, "features"),
        (0x40, "nonce"),
        (0x4F, "nonce"),
    ] {
        let mut byte = [0];
        file.read_exact_at(&mut byte, page + at).expect("read");
        file.write_all_at(&[byte[0] ^ 1], page + at).expect("written");
        refused_for(offer.name(), words);
        file.write_all_at(&byte, page + at).expect("written");
    }
    file.write_all_at(&vec![0xFF; 0x1000], page).expect("written");
    refused_for(offer.name(), "segment header");
}

#[test]
fn a_joiner_that_writes_another_header_is_refused() {
    let offer = offer();
    let file = fs::File::options().write(true).open(path(offer.name())).expect("open");
    let page = rustix::param::page_size() as u64;
    let second = page + (file.metadata().expect("stat").len() - page) / 2;
    // The meeting says "joined"; the joiner's segment is empty.
    file.write_all_at(&2_u32.to_le_bytes(), 0).expect("written");
    file.write_all_at(&[1], second).expect("written");
    let name = offer.name().to_owned();
    let result = accept(offer);
    assert!(
        matches!(&result, Err(ConnectError::Handshake { what, .. }) if what.contains("magic")),
        "{result:?}"
    );
    assert!(!path(&name).exists());
}

#[test]
fn what_is_no_file_is_refused() {
    let offer = offer();
    let name = edited(offer.name(), 5);
    let link = Litter(path(&name));
    symlink(path(offer.name()), &link.0).expect("linked");
    refused_for(&name, "not a regular file");
}

#[test]
fn a_file_under_another_name_is_refused() {
    let offer = offer();
    let name = edited(offer.name(), 5);
    let link = Litter(path(&name));
    fs::hard_link(path(offer.name()), &link.0).expect("linked");
    refused_for(&name, "nonce");
}

#[test]
fn an_unknown_name_is_not_found_and_other_words_are_no_names() {
    let offer = offer();
    let result = join(&edited(offer.name(), 5));
    assert!(matches!(result, Err(ConnectError::NotFound { .. })), "{result:?}");
    for words in ["", "tramline-", "../../etc/passwd", "/dev/shm/x", &offer.name()[1..]] {
        let result = join(words);
        let config = matches!(result, Err(ConnectError::Config(ConfigError::Endpoint { .. })));
        assert!(config, "{words}: {result:?}");
    }
}
