#![deny(warnings)]

use tramline::commands;

mod files {
    pub mod deep {
        /// A documented command.
        ///
        /// In several lines.
        #[tramline::command]
        pub fn scan() {}

        #[tramline::command]
        pub(crate) fn hidden() {}
    }

    pub use deep::scan as survey;

    #[tramline::command]
    pub(super) fn near() {}
}

mod other {
    // Another command of the same name.
    #[tramline::command(rename = "other.scan")]
    pub fn scan() {}
}

use files::deep::{self, scan};

#[tramline::command]
#[cfg(any())]
fn absent(nothing: Missing) {}

#[cfg(any())]
#[tramline::command]
fn absent_too() {}

#[tramline::command]
#[cfg_attr(all(), cfg(any()), must_use)]
fn absent_as_well() -> u8 {}

#[tramline::command]
#[cfg(all())]
#[must_use]
fn present() -> u8 {
    1
}

#[tramline::command]
#[deprecated]
fn old() {}

fn main() {
    #[tramline::command]
    fn local() {}

    let all = commands![
        scan,
        deep::hidden,
        files::survey,
        crate::files::near,
        self::other::scan,
        present,
        local,
        old,
    ];
    let names: Vec<_> = all.into_entries().map(|(name, ..)| name).collect();
    let expected =
        ["scan", "hidden", "scan", "near", "other.scan", "present", "local", "old"];
    assert_eq!(names, expected);
    assert_eq!(commands![].into_entries().count(), 0);
    scan();
}
