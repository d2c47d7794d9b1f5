//! The guide of a first study, command by command.

use std::{fs, io, path::Path};

use super::{ok, write_study};

/// The text of all blocks of a language, in order.
pub(super) fn blocks<'t>(text: &'t str, language: &str) -> Vec<&'t str> {
    let open = format!("```{language}\n");
    text.split(&open).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// The commands of all `sh` blocks, in order, each of which calls `slotune`.
pub(super) fn commands(text: &str) -> Vec<&str> {
    let lines = blocks(text, "sh").into_iter().flat_map(str::lines);
    let of_slotune = lines.map(|line| match line.strip_prefix("slotune ") {
        Some(command) => command,
        None => panic!("nobody runs `{line}`"),
    });
    of_slotune.collect()
}

pub(super) fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let from = entry?.path();
        let to = to.join(from.file_name().unwrap_or_default());
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            fs::copy(from, to)?;
        }
    }
    Ok(())
}

#[test]
fn every_command_of_the_guide_works_where_it_stands() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let guide = include_str!("../../../../docs/guide/first-study.md");
    let commands = commands(guide);
    assert!(commands.len() >= 12, "{commands:?}");
    for command in commands {
        // Targets that so short a study can meet.
        let command = command.replace("=5000", "=10").replace("ttft_p95_s=1", "ttft_p95_s=100");
        let words: Vec<&str> = command.split(' ').collect();
        if words[0] == "analyse" && !here.join("january-results").exists() {
            for month in ["january", "february"] {
                copy(&here.join("study-results"), &here.join(format!("{month}-results"))).unwrap();
            }
        }
        assert_ne!(ok(here, &words), "", "{command}");
        if words[0] == "init" {
            // The same study, but short: few trials, and a sweep over one share of memory.
            let path = write_study(here, 4, 40);
            let text = fs::read_to_string(&path).unwrap();
            let shares = "0.70, 0.75, 0.80, 0.85, 0.90, 0.92, 0.95";
            assert!(text.contains(shares));
            fs::write(&path, text.replace(shares, "0.90, 0.92")).unwrap();
        }
    }
}
