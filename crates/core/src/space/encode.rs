//! Configurations to points of the unit cube and back: the only place where the two meet.

use super::{Configuration, Domain, Parameter, SearchSpace};

/// Where a parameter does not exist its coordinate is the middle of the axis.
const INACTIVE: f64 = 0.5;

/// A configuration as a point of the unit cube, one coordinate for each parameter of the space,
/// in declaration order. This is what the surrogate sees.
///
/// Floats and large integers lie by value on their scale; levels, small integers, categories and
/// booleans by level index, `k / (L - 1)`. A parameter that does not exist lies at 0.5.
#[derive(Clone, Debug, PartialEq)]
pub struct DesignPoint(Vec<f64>);

impl DesignPoint {
    /// The coordinates, each in [0, 1].
    pub fn coordinates(&self) -> &[f64] {
        &self.0
    }

    pub(crate) fn into_coordinates(self) -> Vec<f64> {
        self.0
    }
}

/// How the surrogate compares coordinates of one column.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Column {
    /// By distance.
    Ordered,
    /// By equality alone.
    Categorical,
    /// By distance, of two points that both have the parameter. A point has it where its coordinate in an
    /// earlier column is exactly this one; where one of two has it, it is equally far from the other
    /// wherever it lies.
    OrderedIf {
        /// The earlier column.
        parent: usize,
        /// Its coordinate, in [0, 1].
        at: f64,
    },
}

impl SearchSpace {
    /// How each column of a design point is compared.
    pub fn columns(&self) -> Vec<Column> {
        let column = |parameter: &Parameter| {
            if !parameter.domain().is_ordered() {
                // One that is absent is a category of its own.
                return Column::Categorical;
            }
            let place =
                parameter.condition().and_then(|condition| condition.place(self.parameters()));
            place.map_or(Column::Ordered, |(parent, at)| Column::OrderedIf { parent, at })
        };
        self.parameters().iter().map(column).collect()
    }

    /// The configuration as a point of the unit cube.
    ///
    /// A value that its domain does not hold lies at 0.5 like an absent one; use
    /// [`check`](Self::check) first where the configuration comes from outside.
    pub fn encode(&self, configuration: &Configuration) -> DesignPoint {
        let coordinate = |parameter: &Parameter| {
            configuration
                .get(parameter.name())
                .and_then(|value| parameter.domain().encode(value))
                .unwrap_or(INACTIVE)
        };
        DesignPoint(self.parameters().iter().map(coordinate).collect())
    }

    /// The configuration whose coordinates are nearest to the given ones. Rules may be broken:
    /// see [`allows`](Self::allows).
    ///
    /// # Panics
    /// When `coordinates` does not hold one number for each parameter.
    pub fn nearest(&self, coordinates: &[f64]) -> Configuration {
        let mut configuration = Configuration::new();
        self.move_to(&mut configuration, coordinates, Domain::nearest);
        configuration
    }
}
