//! The guide's files and commands, as a reader would type them.

use std::{fs, path::Path, process::Command};

/// The code blocks of a page: the language, and the text.
fn blocks(page: &str) -> Vec<(&str, &str)> {
    page.split("```").skip(1).step_by(2).filter_map(|block| block.split_once('\n')).collect()
}

#[test]
fn the_guides_files_and_commands_work_in_their_order() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let page = fs::read_to_string(root.join("docs/guide/simulator.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let binary = Path::new(env!("CARGO_BIN_EXE_slotune")).display();
    let (mut files, mut commands) = (0, 0);
    for (language, text) in blocks(&page) {
        match language {
            "toml" => {
                let (name, _) = text.split_once('\n').unwrap();
                fs::write(folder.path().join(name.trim_start_matches("# ")), text).unwrap();
                files += 1;
            }
            "sh" => {
                let script = format!("slotune() {{ '{binary}' \"$@\"; }}\n{text}");
                let output = Command::new("sh")
                    .args(["-ec", &script])
                    .current_dir(&folder)
                    .output()
                    .unwrap();
                assert!(output.status.success(), "{text}{output:?}");
                let printed = String::from_utf8(output.stdout).unwrap();
                assert!(printed.contains("E2E") || printed.starts_with('{'), "{text}{printed}");
                commands += 1;
            }
            // Doctests of the library.
            "rust" => {}
            other => panic!("nobody runs `{other}`"),
        }
    }
    assert_eq!((files, commands), (2, 5));
}
