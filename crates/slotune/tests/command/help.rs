//! What the command says of itself.

use std::path::Path;

use super::{ok, slotune, stderr};

#[test]
fn every_subcommand_teaches_with_an_example() {
    let here = Path::new(".");
    let help = ok(here, &["--help"]);
    assert!(help.contains("130  ended by Ctrl-C"), "exit statuses are documented: {help}");
    let subcommands: Vec<&str> = help
        .lines()
        .skip_while(|line| !line.starts_with("Commands:"))
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(subcommands.len() >= 13, "{subcommands:?}");
    for name in subcommands {
        let help = ok(here, &[name, "--help"]);
        let example = format!("  slotune {name}");
        assert!(help.contains("Example"), "{name}: {help}");
        assert!(help.lines().any(|line| line.starts_with(&example)), "{name}: {help}");
    }
}

#[test]
fn shells_get_completions() {
    let here = Path::new(".");
    for (shell, text) in [("bash", "_slotune()"), ("zsh", "#compdef slotune"), ("fish", "slotune")]
    {
        let script = ok(here, &["completions", shell]);
        assert!(script.contains(text), "{shell}");
        assert!(script.contains("baseline"), "{shell} completes subcommands");
    }
}

#[test]
fn wrong_usage_has_a_status_of_its_own() {
    let here = Path::new(".");
    for arguments in [vec!["tune"], vec!["tunes"], vec!["export", ".", "--format", "helm"]] {
        let output = slotune(here, &arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    }
    let message = stderr(&slotune(here, &["export", ".", "--format", "helm"]));
    assert!(message.contains("kubernetes"), "{message}");
}

#[test]
fn the_schema_is_printed() {
    assert_eq!(ok(Path::new("."), &["schema"]), slotune::study_file::json_schema());
}
