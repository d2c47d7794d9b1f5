//! GPU presets: rates and costs, each with where it is from.

use std::{collections::BTreeMap, fmt, path::Path, sync::LazyLock};

use serde::{Deserialize, Serialize, Serializer, ser::SerializeStruct};
use slotune_serving::nearest::{did_you_mean, nearest};
use toml::Spanned;

use super::{
    GPUS, PresetError,
    file::File,
    find, names_a_file,
    numbers::{Number, names, table_of},
    read,
};
use crate::{FrontEndCosts, Gpu, HostCosts, ModelShape, ServerModel, StepCosts};

/// A GPU, what a step costs on it and its host beside its rates, and where each number is from.
#[derive(Clone, Debug, PartialEq)]
pub struct GpuPreset {
    /// What it is, for people.
    pub description: String,
    /// What `slotune calibrate` fitted it to, if it did: runs, and the model that they served.
    pub fitted_to: Option<String>,
    /// Memory and rates.
    pub gpu: Gpu,
    /// Costs of a step on the GPU.
    pub step: StepCosts,
    /// Costs of a step in the engine core.
    pub host: HostCosts,
    /// Costs in the API server.
    pub front_end: FrontEndCosts,
    /// The numbers as the file gives them, in its order of tables. Costs that the file leaves out
    /// are those of the measured host and not here.
    pub coefficients: Vec<Coefficient>,
}

/// Its name, what it is, and its numbers.
impl Serialize for GpuPreset {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_struct("GpuPreset", 3)?;
        object.serialize_field("name", &self.gpu.name)?;
        object.serialize_field("description", &self.description)?;
        object.serialize_field("coefficients", &self.coefficients)?;
        object.end()
    }
}

/// A number of a preset, and where it is from.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Coefficient {
    /// Its name in the file, with its unit, such as `memory_gib` or `step.fixed_ms`.
    pub name: String,
    /// Its value in the unit that the name ends in.
    pub value: f64,
    /// How far it can be trusted.
    pub status: Status,
    /// Where it is from, in a sentence.
    pub source: String,
}

/// How far a number can be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Read off a real machine.
    Measured,
    /// Fitted so that the simulator gives what was measured.
    Fitted,
    /// From a data sheet, from other people's numbers or by analogy.
    Estimated,
}

/// A file's fields.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    name: String,
    description: String,
    fitted_to: Option<String>,
    #[serde(default)]
    is_a100: bool,
    memory_gib: CoefficientFields,
    weights_gb_per_s: CoefficientFields,
    cache_gb_per_s: CoefficientFields,
    matmul_tflop_per_s: CoefficientFields,
    attention_tflop_per_s: CoefficientFields,
    link_gb_per_s: CoefficientFields,
    link_latency_us: CoefficientFields,
    step: Option<Spanned<CostFields>>,
    host: Option<Spanned<CostFields>>,
    front_end: Option<Spanned<CostFields>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CoefficientFields {
    value: Spanned<f64>,
    status: Status,
    source: String,
}

type CostFields = BTreeMap<String, CoefficientFields>;

impl GpuPreset {
    /// Names of the shipped presets, the measured one first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        GPUS.into_iter().map(|(name, _)| name)
    }

    /// The shipped preset of that name, or the only one whose name begins so.
    ///
    /// ```
    /// use slotune_sim::{GpuPreset, Status};
    /// let l4 = GpuPreset::named("l4")?;
    /// assert!(l4.coefficients.iter().all(|number| number.status == Status::Estimated));
    /// # Ok::<(), slotune_sim::PresetError>(())
    /// ```
    ///
    /// # Errors
    /// [`PresetError::Unknown`] offers the most similar name.
    pub fn named(name: &str) -> Result<Self, PresetError> {
        let (name, text) = find("GPU", &GPUS, name)?;
        Self::parse(name, text)
    }

    /// Whether the rates of its GPU are of one that was measured.
    pub(crate) fn rates_are_fitted(&self) -> bool {
        self.coefficients
            .iter()
            .any(|number| number.name == "weights_gb_per_s" && number.status != Status::Estimated)
    }

    /// The GPU that was measured, and its host: where a file gives no costs, they are its.
    pub fn measured() -> &'static Self {
        // Its own file gives all costs, so reading it asks for no other.
        static MEASURED: LazyLock<GpuPreset> =
            LazyLock::new(|| GpuPreset::named("h100-sxm").expect("this preset is shipped"));
        &MEASURED
    }

    /// What a user names: a shipped preset, or a file of their own ([`names_a_file`]).
    ///
    /// # Errors
    /// As [`named`](Self::named) or [`read`](Self::read).
    pub fn load(text: &str) -> Result<Self, PresetError> {
        if names_a_file(text) { Self::read(Path::new(text)) } else { Self::named(text) }
    }

    /// The preset in a user's file.
    ///
    /// # Errors
    /// [`PresetError`] names the file, and where it can the line and the field.
    pub fn read(path: &Path) -> Result<Self, PresetError> {
        Self::parse(&path.display().to_string(), &read(path)?)
    }

    /// The preset in the text of a file; `file` names it in errors.
    ///
    /// # Errors
    /// As [`read`](Self::read).
    pub fn parse(file: &str, text: &str) -> Result<Self, PresetError> {
        let file = File { name: file, text, example: "h100-sxm" };
        let fields: Fields = file.fields()?;
        let mut preset = Self::empty(fields.name, fields.description, fields.is_a100);
        preset.fitted_to = fields.fitted_to;
        let rates = [
            fields.memory_gib,
            fields.weights_gb_per_s,
            fields.cache_gb_per_s,
            fields.matmul_tflop_per_s,
            fields.attention_tflop_per_s,
            fields.link_gb_per_s,
            fields.link_latency_us,
        ];
        for (name, rate) in names().into_iter().zip(rates) {
            preset.take(&file, name, rate)?;
        }
        match fields.step {
            Some(table) => preset.take_table(&file, "step", table)?,
            None => preset.step = StepCosts::measured(),
        }
        match fields.host {
            Some(table) => preset.take_table(&file, "host", table)?,
            None => preset.host = HostCosts::measured(),
        }
        match fields.front_end {
            Some(table) => preset.take_table(&file, "front_end", table)?,
            None => preset.front_end = FrontEndCosts::measured(),
        }
        Ok(preset)
    }

    /// A preset whose numbers are still to be set.
    pub(super) fn empty(name: String, description: String, is_a100: bool) -> Self {
        let gpu = Gpu {
            name,
            memory_gib: 0.0,
            weight_bytes_per_ms: 0.0,
            cache_bytes_per_ms: 0.0,
            matmul_operations_per_ms: 0.0,
            attention_operations_per_ms: 0.0,
            link_bytes_per_ms: 0.0,
            link_latency_ms: 0.0,
            is_a100,
        };
        Self {
            description,
            fitted_to: None,
            gpu,
            step: StepCosts::default(),
            host: HostCosts::default(),
            front_end: FrontEndCosts::default(),
            coefficients: Vec::new(),
        }
    }

    /// Sets a number of a file.
    fn take(
        &mut self,
        file: &File<'_>,
        name: &str,
        fields: CoefficientFields,
    ) -> Result<(), PresetError> {
        let (span, value) = (fields.value.span(), *fields.value.get_ref());
        let CoefficientFields { status, source, .. } = fields;
        self.put(Coefficient { name: name.to_owned(), value, status, source }).map_err(|error| {
            match error {
                PresetError::Number { field, value, allowed } => {
                    file.value(&field, &span, value, allowed)
                }
                error => error,
            }
        })
    }

    /// Sets all costs of a table: one that left some out would mix two hosts.
    fn take_table(
        &mut self,
        file: &File<'_>,
        table: &str,
        given: Spanned<CostFields>,
    ) -> Result<(), PresetError> {
        let line = file.line(&given.span());
        let mut given = given.into_inner();
        let known: Vec<&'static str> =
            names().into_iter().filter(|name| table_of(name) == Some(table)).collect();
        let cost_of = |name: &'static str| &name[table.len() + 1..];
        let costs = || known.iter().map(|name| cost_of(name));
        if let Some((cost, number)) = given.iter().find(|(cost, _)| costs().all(|it| it != *cost)) {
            let offer = did_you_mean(nearest(cost, costs()));
            let known = costs().collect::<Vec<_>>().join(", ");
            let problem = format!("unknown field `{table}.{cost}`{offer}, known are {known}");
            return Err(file.format(file.line(&number.value.span()), problem));
        }
        for name in &known {
            match given.remove(cost_of(name)) {
                Some(number) => self.take(file, name, number)?,
                None => return Err(file.format(line, format!("missing field `{name}`"))),
            }
        }
        Ok(())
    }

    /// Sets a number and says where it is from. A cost whose table the preset did not have brings the
    /// rest of the table along, from the measured host.
    ///
    /// ```
    /// use slotune_sim::{Coefficient, GpuPreset, Status};
    /// let mut mine = GpuPreset::named("l4")?;
    /// mine.set(Coefficient {
    ///     name: "weights_gb_per_s".into(),
    ///     value: 255.0,
    ///     status: Status::Fitted,
    ///     source: "decode steps of my server".into(),
    /// })?;
    /// assert_eq!(GpuPreset::parse("mine.toml", &mine.to_toml())?, mine);
    /// # Ok::<(), slotune_sim::PresetError>(())
    /// ```
    ///
    /// # Errors
    /// [`PresetError::Coefficient`] where no number has that name, [`PresetError::Number`] where the
    /// value is not allowed; the preset is then as it was.
    pub fn set(&mut self, coefficient: Coefficient) -> Result<(), PresetError> {
        let name = coefficient.name.clone();
        let was_known = self.coefficients.iter().any(|known| known.name == name);
        self.put(coefficient)?;
        // A table is whole or absent.
        if !was_known && let Some(table) = table_of(&name) {
            let mut rest = Self::measured().coefficients.clone();
            rest.retain(|number| {
                table_of(&number.name) == Some(table)
                    && self.coefficients.iter().all(|known| known.name != number.name)
            });
            self.coefficients.append(&mut rest);
            // In the order of a file, whichever came first.
            let order = names();
            self.coefficients
                .sort_by_key(|number| order.iter().position(|name| *name == number.name));
        }
        Ok(())
    }

    /// Sets a number alone.
    fn put(&mut self, coefficient: Coefficient) -> Result<(), PresetError> {
        let Some(Number { field, unit, least, .. }) =
            self.numbers().find(|number| number.name == coefficient.name)
        else {
            return Err(PresetError::coefficient(&coefficient.name));
        };
        if !least.allows(coefficient.value) {
            let (field, value) = (coefficient.name, coefficient.value);
            return Err(PresetError::Number { field, value, allowed: least.text() });
        }
        *field = unit * coefficient.value;
        match self.coefficients.iter_mut().find(|known| known.name == coefficient.name) {
            Some(known) => *known = coefficient,
            None => self.coefficients.push(coefficient),
        }
        Ok(())
    }

    /// The preset as a file, which [`parse`](Self::parse) reads back.
    pub fn to_toml(&self) -> String {
        let text = |text: &str| toml::Value::from(text);
        let (name, description) = (text(&self.gpu.name), text(&self.description));
        let fitted_to = self.fitted_to.as_ref().map(|runs| format!("fitted_to = {}\n", text(runs)));
        let fitted_to = fitted_to.unwrap_or_default();
        let is_a100 = if self.gpu.is_a100 { "is_a100 = true\n" } else { "" };
        let mut tables =
            vec![format!("name = {name}\ndescription = {description}\n{fitted_to}{is_a100}")];
        tables.extend(self.coefficients.iter().map(|number| {
            let Coefficient { name, value, status, source } = number;
            let source = text(source);
            format!("[{name}]\nvalue = {value:?}\nstatus = \"{status}\"\nsource = {source}\n")
        }));
        tables.join("\n")
    }

    /// A server with this GPU, these costs and `model`.
    pub fn server(&self, model: ModelShape) -> ServerModel {
        let Self { gpu, step, host, front_end, fitted_to, .. } = self.clone();
        ServerModel { step, host, front_end, fitted_to, ..ServerModel::new(gpu, model) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Measured => "measured",
            Self::Fitted => "fitted",
            Self::Estimated => "estimated",
        })
    }
}
