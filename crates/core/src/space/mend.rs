//! Moving a configuration to where no rule is broken.

use super::{Configuration, Operand, Rule, SearchSpace, Value};

/// Steps before rules that chase each other in a circle are given up; a chain of k rules takes at
/// most k².
const STEPS: usize = 1024;

impl SearchSpace {
    /// The configuration, its numbers moved until no rule is broken; one that breaks none as it is.
    /// `None` where no such move was found.
    ///
    /// Rules say `left >= right`. While their conditions stay as they are, solutions have a highest
    /// one: it is reached from the upper bounds by lowering right sides. Whatever lies below it
    /// becomes a solution by raising left sides. Only a rule or parameter whose condition is on a
    /// number that moves can make this fail.
    pub(crate) fn mended(&self, configuration: Configuration) -> Option<Configuration> {
        if self.allows(&configuration) {
            return Some(configuration);
        }
        let highest =
            self.settled(self.at_upper_bounds(&configuration), |rule, configuration| {
                let Operand::Parameter(name) = &rule.right else { return None };
                let domain = self.parameter(name)?.domain();
                Some((name, domain.largest_up_to(rule.left.number(configuration)?)?))
            })?;
        let mut below = configuration;
        for (name, value) in highest.iter() {
            if value.number() < below.get(name).and_then(Value::number) {
                below = below.with(name, value.clone());
            }
        }
        let mended = self.settled(below, |rule, configuration| {
            let Operand::Parameter(name) = &rule.left else { return None };
            let domain = self.parameter(name)?.domain();
            Some((name, domain.smallest_from(rule.right.number(configuration)?)?))
        })?;
        self.check(&mended).is_ok().then_some(mended)
    }

    /// The configuration with every parameter that a rule names at its largest value.
    fn at_upper_bounds(&self, configuration: &Configuration) -> Configuration {
        let mut raised = configuration.clone();
        for operand in self.rules().iter().flat_map(|rule| [&rule.left, &rule.right]) {
            let Operand::Parameter(name) = operand else { continue };
            let largest =
                self.parameter(name).and_then(|p| p.domain().largest_up_to(f64::INFINITY));
            if let Some(largest) = largest
                && configuration.get(name).is_some()
            {
                raised = raised.with(name, largest);
            }
        }
        raised
    }

    /// Takes one step for a broken rule after the other, until none is left.
    fn settled<'a>(
        &'a self,
        mut configuration: Configuration,
        step: impl Fn(&'a Rule, &Configuration) -> Option<(&'a String, Value)>,
    ) -> Option<Configuration> {
        for _ in 0..STEPS {
            let Some(broken) = self.rules().iter().find(|rule| !rule.holds(&configuration)) else {
                return Some(configuration);
            };
            let (name, value) = step(broken, &configuration)?;
            configuration = configuration.with(name, value);
        }
        None
    }
}
