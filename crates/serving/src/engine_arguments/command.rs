//! Arguments as a user would type them: flags, a shell command, a Python call.

use slotune_core::Value;

use super::{
    EngineArguments,
    table::{ARGUMENTS, Flag},
};

impl EngineArguments {
    /// The flags of `vllm serve` that set these arguments, one process argument an element:
    /// `--max-num-seqs`, `256`, `--no-enable-chunked-prefill`.
    pub fn flags(&self) -> Vec<String> {
        let mut flags = Vec::new();
        for argument in &ARGUMENTS {
            let Some(value) = (argument.get)(self) else { continue };
            let dashed = argument.dashed();
            match (&argument.flag, value) {
                (Flag::Own, Value::Boolean(true)) => flags.push(format!("--{dashed}")),
                (Flag::Own, Value::Boolean(false)) => flags.push(format!("--no-{dashed}")),
                (Flag::Own, value) => flags.extend([format!("--{dashed}"), value.to_string()]),
                (Flag::CompilationConfig, value) => flags.extend([
                    "--compilation-config".to_owned(),
                    compilation_config(argument.name, &value),
                ]),
            }
        }
        flags
    }

    /// The arguments of Python's `LLM(...)`: name and literal, such as `max_num_seqs` and `256`.
    pub fn python_arguments(&self) -> Vec<(&'static str, String)> {
        ARGUMENTS
            .iter()
            .filter_map(|argument| {
                let value = (argument.get)(self)?;
                Some(match argument.flag {
                    Flag::Own => (argument.name, python_literal(&value)),
                    Flag::CompilationConfig => {
                        ("compilation_config", compilation_config(argument.name, &value))
                    }
                })
            })
            .collect()
    }

    /// A line for a POSIX shell that serves `model` with these arguments.
    pub fn vllm_serve_command(&self, model: &str) -> String {
        let words = ["vllm".to_owned(), "serve".to_owned(), model.to_owned()];
        let words: Vec<String> =
            words.into_iter().chain(self.flags()).map(|word| shell_word(&word)).collect();
        words.join(" ")
    }
}

/// vLLM's compilation configuration with one field, JSON that is Python too; vLLM writes its names
/// of modes in capitals.
fn compilation_config(field: &str, value: &Value) -> String {
    format!("{{\"{field}\": \"{}\"}}", value.to_string().to_uppercase())
}

/// The value as Python writes it. Names of categories are plain words, so quotes suffice.
fn python_literal(value: &Value) -> String {
    match value {
        Value::Boolean(true) => "True".to_owned(),
        Value::Boolean(false) => "False".to_owned(),
        Value::Text(text) => format!("\"{text}\""),
        number => number.to_string(),
    }
}

/// The word as a POSIX shell reads it back: quoted where it holds more than plain characters.
pub fn shell_word(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@+%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}
