//! What is taken away, and what is not.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::{WaitId, WaitIdOptions};
use tramline_core::{ConnectError, LinkError};
use tramline_transport_shm::named::{self, NamedOffer};

use crate::{Litter, Worker, edited, join, offer, path, small};

#[test]
fn what_a_killed_creator_left_is_swept_and_what_a_living_one_offers_is_not() {
    let mut living = Worker::start("create and wait", "");
    let mut killed = Worker::start("create and wait", "");
    let (offered, left) = (living.name(), killed.name());
    let _litter = [Litter(path(&offered)), Litter(path(&left))];
    let own = offer();
    named::sweep().expect("swept");
    assert!(path(&offered).exists() && path(&left).exists() && path(own.name()).exists());
    killed.0.kill().expect("killed");
    // It has ended, but stays in the list of processes until its parent has asked for good.
    let id = rustix::process::Pid::from_child(&killed.0);
    let ended = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    rustix::process::waitid(WaitId::Pid(id), ended).expect("ended");
    named::sweep().expect("swept");
    assert!(!path(&left).exists(), "its creator is dead");
    assert!(path(&offered).exists(), "its creator lives");
    assert!(path(own.name()).exists(), "this process lives");
    // Still good for its purpose.
    drop(join(&offered).expect("a link"));
}

#[test]
fn an_offer_of_a_dead_process_cannot_be_joined() {
    let mut worker = Worker::start("create and wait", "");
    let name = worker.name();
    let _litter = Litter(path(&name));
    worker.kill();
    let result = join(&name);
    // Another test may have swept it meanwhile.
    use ConnectError::{Link, NotFound};
    assert!(matches!(result, Err(Link(LinkError::PeerDied) | NotFound { .. })), "{result:?}");
}

#[test]
fn a_number_that_was_given_to_another_process_keeps_no_name_alive() {
    let offer = offer();
    let stale = Litter(path(&edited(offer.name(), 3)));
    fs::write(&stale.0, "").expect("written");
    NamedOffer::create(&small()).expect("an offer");
    assert!(!stale.0.exists());
    assert!(path(offer.name()).exists());
}

#[test]
fn names_that_cannot_be_judged_stay() {
    let offer = offer();
    let other_namespace = edited(&edited(offer.name(), 3), 4);
    let other_user = edited(&edited(offer.name(), 3), 1);
    let no_name = format!("{}-x", edited(offer.name(), 3));
    let no_file = edited(&edited(offer.name(), 3), 5);
    let litter = [other_namespace, other_user, no_name, no_file].map(|name| Litter(path(&name)));
    for file in &litter[..3] {
        fs::write(&file.0, "").expect("written");
    }
    symlink(path(offer.name()), &litter[3].0).expect("linked");
    named::sweep().expect("swept");
    for file in &litter {
        assert!(fs::symlink_metadata(&file.0).is_ok(), "{:?}", file.0);
    }
    let result = join(litter[0].0.file_name().and_then(|name| name.to_str()).expect("a name"));
    assert!(matches!(result, Err(ConnectError::Transport { transport: "shm", .. })), "{result:?}");
}
