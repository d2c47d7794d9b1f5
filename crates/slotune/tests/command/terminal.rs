//! What a person at a terminal sees besides.

#![cfg(unix)]

use std::{
    fs::{File, OpenOptions},
    io::Read,
    os::unix::ffi::OsStrExt,
    path::Path,
    process::Stdio,
    thread,
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::{command, write_study};

/// Runs the command with standard error at a terminal; what was drawn there.
fn at_a_terminal(folder: &Path, arguments: &[&str]) -> String {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&terminal).expect("ours");
    unlockpt(&terminal).expect("ours");
    let size = Winsize { ws_row: 40, ws_col: 200, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a size");
    let name = ptsname(&terminal, Vec::new()).expect("a name");
    let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let screen = OpenOptions::new().read(true).write(true).open(path).expect("its other side");
    let mut child = command(folder, arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::from(screen))
        .env("TERM", "xterm")
        .spawn()
        .expect("it runs");
    // The read ends with an error when nobody has the other side any more.
    let reader = thread::spawn(move || {
        let mut drawn = Vec::new();
        let mut terminal = File::from(terminal);
        let _ended = terminal.read_to_end(&mut drawn);
        drawn
    });
    assert!(child.wait().expect("it ends").success(), "{arguments:?}");
    String::from_utf8(reader.join().expect("read")).expect("text")
}

#[test]
fn long_work_shows_a_bar_with_the_time_left() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    write_study(here, 4, 40);
    let drawn = at_a_terminal(here, &["tune", "study.toml"]);
    assert!(drawn.contains("reference [") && drawn.contains("search ["), "{drawn:?}");
    assert!(drawn.contains("/4 trials, ") && drawn.contains(" so far, "), "{drawn:?}");
    assert!(drawn.contains(" left"), "{drawn:?}");

    let drawn = at_a_terminal(here, &["replay", "study-results", "--sampler", "random"]);
    // Four configurations, and five seeds.
    assert!(drawn.contains("/20 trials, "), "{drawn:?}");
    let drawn = at_a_terminal(here, &["report", "study-results", "--out", "page"]);
    assert!(drawn.contains("writing the page, "), "{drawn:?}");
}
