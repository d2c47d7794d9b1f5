//! Engine arguments of a trial, as a user types them.

use slotune_core::{Configuration, Value};
use slotune_results::StoredTrial;
use slotune_serving::{
    BackendInfo, EngineArguments,
    engine_arguments::{ArgumentError, Environment},
};

/// The arguments that start the server of a trial again: those of its configuration, and what else
/// its server had that vLLM would not choose by itself.
///
/// The longest context is always among them, for its default, which is the model's, is not known
/// here. Where other defaults are not known either, so are all arguments.
///
/// # Errors
/// When the trial's configuration holds a name or value that is no engine argument.
pub fn as_run(
    trial: &StoredTrial,
    backend: &BackendInfo,
) -> Result<EngineArguments, ArgumentError> {
    let mut arguments = EngineArguments::from_configuration(&trial.entry.trial.configuration)?;
    let Some(server) = &trial.server else { return Ok(arguments) };
    arguments.max_model_len = server.arguments.max_model_len;
    let environment = arguments.max_model_len.and_then(|longest| environment(backend, longest));
    let as_resolved = server.arguments.to_configuration();
    // One after another, since the defaults of later ones follow from earlier ones.
    for name in EngineArguments::names() {
        let Some(value) = as_resolved.get(name) else { continue };
        let expected = environment.map_or(arguments.clone(), |environment| {
            arguments.resolve(&environment).to_arguments()
        });
        if expected.to_configuration().get(name) != Some(value) {
            arguments = arguments.updated(&Configuration::new().with(name, value.clone()))?;
        }
    }
    Ok(arguments)
}

/// What vLLM's defaults depended on, where that was recorded.
fn environment(backend: &BackendInfo, model_max_len: u32) -> Option<Environment> {
    Some(Environment {
        version: backend.vllm_version.parse().ok()?,
        gpu_memory_gib: backend.hardware.gpu_memory_gib?,
        gpu_is_a100: backend.hardware.gpu.as_ref()?.to_lowercase().contains("a100"),
        model_max_len,
    })
}

/// A Python program that makes the engine.
pub(crate) fn python(model: &str, arguments: &EngineArguments) -> String {
    let model = std::iter::once(("model", format!("{model:?}")));
    let arguments: Vec<String> = model
        .chain(arguments.python_arguments())
        .map(|(name, value)| format!("    {name}={value},"))
        .collect();
    format!("from vllm import LLM\n\nllm = LLM(\n{}\n)", arguments.join("\n"))
}

/// A shell command that starts the server, a line for each argument.
pub(crate) fn vllm_serve(model: &str, arguments: &EngineArguments) -> String {
    let command = arguments.vllm_serve_command(model);
    // Only the flags are broken into lines: whatever the model is called stays as it is.
    let (serve, flags) =
        command.split_at(EngineArguments::default().vllm_serve_command(model).len());
    format!("{serve}{}", flags.replace(" --", " \\\n    --"))
}

/// The value that a trial's server had for an argument: as it was set, else as the server resolved
/// it.
pub(super) fn in_effect(trial: &StoredTrial, name: &str) -> Option<Value> {
    let set = trial.entry.trial.configuration.get(name).cloned();
    set.or_else(|| trial.server.as_ref()?.arguments.to_configuration().get(name).cloned())
}

#[cfg(test)]
mod tests {
    use slotune_core::{Entry, Origin, State, Trial, TrialId};
    use slotune_serving::{Hardware, Provenance, ServerFacts, engine_arguments::CudagraphMode};

    use super::*;

    fn backend() -> BackendInfo {
        BackendInfo {
            name: "sim".to_owned(),
            vllm_version: "0.25.1".to_owned(),
            model: "org/model".to_owned(),
            hardware: Hardware {
                gpu: Some("NVIDIA H100 80GB HBM3".to_owned()),
                gpu_memory_gib: Some(79.2),
                ..Hardware::default()
            },
            provenance: Provenance::Measured,
        }
    }

    fn trial(configuration: Configuration, arguments: EngineArguments) -> StoredTrial {
        StoredTrial {
            study: "search".to_owned(),
            label: None,
            entry: Entry {
                trial: Trial { id: TrialId(0), configuration, origin: Origin::Sampled, seed: 0 },
                state: State::Pending,
            },
            server: Some(ServerFacts { arguments, start_up_s: 60.0, ..ServerFacts::default() }),
            client: None,
            caveats: vec![],
        }
    }

    /// A trial that sets one argument, on a server that was given `fixed` besides.
    fn ran_with(fixed: &EngineArguments) -> StoredTrial {
        let configuration = Configuration::new().with("max_num_seqs", 512);
        let arguments = fixed.updated(&configuration).expect("valid");
        let environment = environment(&backend(), 32_768).expect("all is known");
        trial(configuration, arguments.resolve(&environment).to_arguments())
    }

    #[test]
    fn what_every_trial_had_is_part_of_the_command() {
        let fixed = EngineArguments {
            max_model_len: Some(16_384),
            enable_prefix_caching: Some(false),
            cudagraph_mode: Some(CudagraphMode::None),
            ..EngineArguments::default()
        };
        let arguments = as_run(&ran_with(&fixed), &backend()).expect("valid");
        assert_eq!(arguments, EngineArguments { max_num_seqs: Some(512), ..fixed });
        assert_eq!(
            vllm_serve("org/--model", &arguments),
            "vllm serve org/--model \\\n    --max-num-seqs 512 \\\n    --max-model-len 16384 \\\n    \
             --no-enable-prefix-caching \\\n    --compilation-config '{\"cudagraph_mode\": \"NONE\"}'"
        );
        assert_eq!(
            python("org/model", &arguments),
            "from vllm import LLM\n\nllm = LLM(\n    model=\"org/model\",\n    max_num_seqs=512,\n    \
             max_model_len=16384,\n    enable_prefix_caching=False,\n    \
             compilation_config={\"cudagraph_mode\": \"NONE\"},\n)"
        );
    }

    #[test]
    fn defaults_are_left_out_where_they_are_known() {
        let trial = ran_with(&EngineArguments::default());
        let arguments = as_run(&trial, &backend()).expect("valid");
        assert_eq!(arguments.flags(), ["--max-num-seqs", "512", "--max-model-len", "32768"]);

        let unknown = BackendInfo { hardware: Hardware::default(), ..backend() };
        let all = as_run(&trial, &unknown).expect("valid");
        let resolved = trial.server.expect("it ran").arguments;
        assert_eq!(all, resolved);
    }

    #[test]
    fn without_a_server_the_configuration_is_all_there_is() {
        let ran = ran_with(&EngineArguments::default());
        assert_eq!(in_effect(&ran, "block_size"), Some(16.into()));
        let never_ran = StoredTrial { server: None, ..ran };
        assert_eq!(in_effect(&never_ran, "block_size"), None);
        assert_eq!(in_effect(&never_ran, "max_num_seqs"), Some(512.into()));
        let arguments = as_run(&never_ran, &backend()).expect("valid");
        assert_eq!(arguments.flags(), ["--max-num-seqs", "512"]);
    }
}
