//! The model: a folder that is there and holds one, or a name that the server will look up.

use std::path::Path;

use super::Check;

/// What a folder must hold one of, for vLLM to take it as a model
/// (`vllm/transformers_utils/config.py`).
const MARKS: [&str; 2] = ["config.json", "params.json"];

pub(super) fn check(model: &str) -> Check {
    let path = Path::new(model);
    if model.starts_with('~') {
        let message = format!("`{model}`: no shell will replace the `~`");
        return Check::problem("model", message, "write the home folder out");
    }
    if path.is_file() {
        return Check::ok("model", format!("{model} is a file"));
    }
    if path.is_dir() {
        return if MARKS.iter().any(|mark| path.join(mark).is_file()) {
            Check::ok("model", format!("{model} is a folder with a model"))
        } else {
            let message = format!("{model} holds no {}", MARKS.join(" or "));
            Check::problem("model", message, "name the folder that does, often a snapshot's")
        };
    }
    if is_name(model) {
        let message = format!("{model} is no folder here; vLLM will look it up on Hugging Face");
        return Check::ok("model", message);
    }
    let remedy = "name a folder that exists, or a model as `owner/name`";
    Check::problem("model", format!("{model} does not exist"), remedy)
}

/// Whether vLLM can take it as a name on Hugging Face: `name` or `owner/name`.
fn is_name(model: &str) -> bool {
    let parts: Vec<&str> = model.split('/').collect();
    let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
    parts.len() <= 2
        && parts
            .iter()
            .all(|part| !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{super::Status, *};

    #[test]
    fn folders_need_a_configuration_and_names_are_believed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        assert_eq!(check(path).status, Status::Problem);
        fs::write(folder.path().join("config.json"), "{}").unwrap();
        assert_eq!(check(path).status, Status::Ok);
        assert_eq!(check(&format!("{path}/missing")).status, Status::Problem);
        for (model, status) in [
            ("Qwen/Qwen2.5-7B-Instruct", Status::Ok),
            ("gpt2", Status::Ok),
            ("./missing", Status::Problem),
            ("~/models/qwen", Status::Problem),
            ("a/b/c", Status::Problem),
        ] {
            assert_eq!(check(model).status, status, "{model}");
        }
    }
}
