//! One simulated server: GPUs, a model, and what their work costs.

use slotune_serving::{
    BackendInfo, Calibration, EngineArguments, Hardware, Provenance,
    engine_arguments::{Environment, ResolvedEngineArguments, VllmVersion},
};

use crate::{
    FrontEndCosts, Gpu, HostCosts, InputError, ModelShape, StepCosts,
    presets::{GpuPreset, Least, Number, numbers},
};

/// The version that was measured.
const VLLM_VERSION: VllmVersion = VllmVersion::new(0, 25, 1);

/// How fast dummy weights are made, GiB/s: 14.29 GiB in 1.6 s (measured).
const DUMMY_GIB_PER_S: f64 = 8.9;

/// A server to simulate: GPUs of one kind, one model, and what their work costs.
#[derive(Clone, Debug, PartialEq)]
pub struct ServerModel {
    /// The GPU.
    pub gpu: Gpu,
    /// How many of it the machine has, which bounds `tensor_parallel_size`. What more than one take
    /// is an **estimate**: weights and key-value heads split, all-reduces at the speed of the links.
    pub gpus: u32,
    /// The model served.
    pub model: ModelShape,
    /// Costs of a step on the GPU.
    pub step: StepCosts,
    /// Costs of a step in the engine core.
    pub host: HostCosts,
    /// Costs in the API server.
    pub front_end: FrontEndCosts,
    /// What its numbers were fitted to, where [`calibrate`](crate::calibrate) did that.
    pub fitted_to: Option<String>,
    /// How fast weights get to each GPU, GiB/s: from a disk, or made up on the spot (dummy weights).
    pub load_gib_per_s: f64,
    /// Whether CUDA graphs are taken from the memory budget, as newer versions of vLLM do; in the
    /// measured version they live above it.
    pub graphs_in_budget: bool,
}

impl ServerModel {
    /// `model` on one `gpu`, with the measured costs of everything that does not follow from them.
    pub fn new(gpu: Gpu, model: ModelShape) -> Self {
        Self {
            gpu,
            gpus: 1,
            model,
            step: StepCosts::measured(),
            host: HostCosts::measured(),
            front_end: FrontEndCosts::measured(),
            fitted_to: None,
            load_gib_per_s: DUMMY_GIB_PER_S,
            graphs_in_budget: false,
        }
    }

    /// Qwen2.5-7B on an H100 SXM: what was measured.
    pub fn measured() -> Self {
        GpuPreset::measured().server(ModelShape::qwen2_5_7b())
    }

    /// The same on a machine with `gpus` GPUs.
    #[must_use]
    pub fn with_gpus(self, gpus: u32) -> Self {
        Self { gpus, ..self }
    }

    /// The same server on a machine whose GPU, engine core and API server take so many times as long.
    pub(crate) fn slower_by(&self, [gpu, host, front_end]: [f64; 3]) -> Self {
        let mut slower = self.clone();
        for rate in [
            &mut slower.gpu.weight_bytes_per_ms,
            &mut slower.gpu.cache_bytes_per_ms,
            &mut slower.gpu.matmul_operations_per_ms,
            &mut slower.gpu.attention_operations_per_ms,
        ] {
            *rate /= gpu;
        }
        slower.host.numbers().for_each(|(_, time_ms)| *time_ms *= host);
        slower.front_end = slower.front_end.slower_by(front_end);
        slower
    }

    /// The arguments as this server's vLLM fills them in.
    pub fn resolve(&self, arguments: &EngineArguments) -> ResolvedEngineArguments {
        arguments.resolve(&self.environment())
    }

    /// What its vLLM's defaults depend on.
    pub fn environment(&self) -> Environment {
        Environment {
            version: VLLM_VERSION,
            gpu_memory_gib: self.gpu.memory_gib,
            gpu_is_a100: self.gpu.is_a100,
            model_max_len: self.model.max_len,
        }
    }

    /// What it is, and on what its numbers rest.
    pub(crate) fn describe(&self) -> BackendInfo {
        // Without the organisation that the model's name may begin with.
        let model = self.model.name.rsplit('/').next().unwrap_or_default().to_lowercase();
        BackendInfo {
            name: "sim".into(),
            vllm_version: VLLM_VERSION.to_string(),
            model: self.model.name.clone(),
            hardware: Hardware {
                gpu: Some(self.gpu.name.clone()),
                gpu_memory_gib: Some(self.gpu.memory_gib),
                gpus: Some(self.gpus),
                driver_version: None,
                cuda_version: None,
            },
            provenance: Provenance::Simulated(Calibration {
                preset: format!("{}/{model}", self.gpu.name),
                basis: self.basis(),
            }),
        }
    }

    /// Checks that every number is one that times can be made of: with one that is not, the clock
    /// could stand still for ever.
    pub(crate) fn check(&self) -> Result<(), InputError> {
        let Self { mut gpu, model, mut step, mut host, mut front_end, .. } = self.clone();
        for (field, value) in [
            ("model.layers", model.layers),
            ("model.hidden", model.hidden),
            ("model.query_heads", model.query_heads),
            ("model.kv_heads", model.kv_heads),
            ("model.head_dim", model.head_dim),
            ("model.intermediate", model.intermediate),
            ("model.vocabulary", model.vocabulary),
        ] {
            if value == 0 {
                return Err(InputError::Number { field, value: 0.0, allowed: "at least 1" });
            }
        }
        for Number { name, field, unit, least } in
            numbers(&mut gpu, &mut step, &mut host, &mut front_end)
        {
            if !least.allows(*field) {
                let (value, allowed) = (*field / unit, least.text());
                return Err(InputError::Number { field: name, value, allowed });
            }
        }
        let (field, value) = ("load_gib_per_s", self.load_gib_per_s);
        if !Least::Above0.allows(value) {
            return Err(InputError::Number { field, value, allowed: Least::Above0.text() });
        }
        Ok(())
    }

    fn basis(&self) -> String {
        let basis = self.basis_of_one_gpu();
        if self.gpus == 1 { basis } else { basis + "; what several GPUs take is an estimate" }
    }

    fn basis_of_one_gpu(&self) -> String {
        const FIT: &str = "vLLM 0.25.1 serving Qwen2.5-7B (dummy weights, bf16, prefix caching off) \
                           on two H100 SXM hosts, one day each";
        let measured = GpuPreset::measured();
        if let Some(runs) = &self.fitted_to {
            return format!(
                "calibrated on {runs}; what those do not tell is as in the preset that the fit began with"
            );
        }
        let costs = (self.step, self.host, self.front_end);
        if costs != (measured.step, measured.host, measured.front_end) {
            return "NOT CALIBRATED: coefficients were given by the caller".into();
        }
        let shipped = GpuPreset::named(&self.gpu.name).ok();
        let Some(shipped) = shipped.filter(|preset| preset.gpu == self.gpu) else {
            return "NOT CALIBRATED: the GPU's numbers were given by the caller".into();
        };
        let is_other_model = self.model != ModelShape::qwen2_5_7b();
        if self.gpu != measured.gpu {
            let costs = format!("host and front-end times are those of {FIT}");
            if !shipped.rates_are_fitted() {
                return format!(
                    "NOT MEASURED: GPU rates are estimates from the literature, {costs}; for \
                     demonstrations only"
                );
            }
            let model = if is_other_model { "; the model itself was not measured" } else { "" };
            return format!(
                "GPU rates were fitted to the steps of one host with this GPU, {costs}{model}"
            );
        }
        if is_other_model {
            return format!(
                "scaled by the model's published shape from {FIT}; the model itself was not measured"
            );
        }
        format!(
            "fitted to {FIT}; end-to-end means are within 2.5 % of one host's compiled runs, to which \
             it was fitted, and P95 within 11.5 % of a third host's, to which it was not"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn basis(server: &ServerModel) -> String {
        match server.describe().provenance {
            Provenance::Simulated(calibration) => calibration.basis,
            Provenance::Measured => panic!("a simulator measures nothing"),
        }
    }

    #[test]
    fn the_record_says_on_what_its_numbers_rest() {
        let measured = ServerModel::measured();
        assert!(basis(&measured).starts_with("fitted to vLLM 0.25.1 serving Qwen2.5-7B"));
        for name in crate::GpuPreset::names().skip(1) {
            let gpu = Gpu::named(name).expect("a shipped preset");
            let server = ServerModel::new(gpu, ModelShape::qwen2_5_7b());
            let begin = if name == "h200" { "GPU rates were fitted" } else { "NOT MEASURED" };
            assert!(basis(&server).starts_with(begin), "{}", server.gpu.name);
        }
        let other = ModelShape { layers: 32, ..ModelShape::qwen2_5_7b() };
        assert!(basis(&ServerModel::new(Gpu::h100_sxm(), other)).starts_with("scaled"));
        let eight = measured.clone().with_gpus(8);
        assert!(basis(&eight).ends_with("what several GPUs take is an estimate"));
        let own = Gpu { name: "mine".into(), ..Gpu::h100_sxm() };
        assert!(basis(&ServerModel::new(own, ModelShape::qwen2_5_7b())).contains("by the caller"));
        let fitted_to = Some("5 runs of mine".to_owned());
        let calibrated = ServerModel { fitted_to, ..measured.clone() };
        assert!(basis(&calibrated).starts_with("calibrated on 5 runs of mine"));
        let step = StepCosts { fixed_ms: 9.0, ..StepCosts::measured() };
        assert!(basis(&ServerModel { step, ..measured }).starts_with("NOT CALIBRATED"));
    }
}
