//! The section on what the parameters do.

use serde::Serialize;

use super::tables;
use crate::{
    analysis::{Analysis, Effects},
    format::{count, label, percent, plus_minus_percent},
    plot::effect_captions,
};

/// The section; Markdown.
#[derive(Serialize)]
pub(super) struct EffectsSection {
    /// How it is known, and how well.
    method: String,
    /// Empty where nothing can be told.
    importance: String,
    /// The two that matter most together; empty where there are not two.
    pair: String,
    /// What decides whether a server can run; empty where all can.
    start: String,
    /// Names and captions of the pictures; none where nothing can be told.
    pictures: Vec<(&'static str, String)>,
}

impl EffectsSection {
    pub(super) fn new(analysis: &Analysis<'_>, effects: &Effects) -> Self {
        let pictures = match effects.importance {
            Ok(_) => effect_captions(&effects.metric),
            Err(_) => Vec::new(),
        };
        Self {
            method: method(effects),
            importance: tables::importance(analysis, effects).unwrap_or_default(),
            pair: pair(effects).unwrap_or_default(),
            start: start(effects).unwrap_or_default(),
            pictures,
        }
    }
}

fn method(effects: &Effects) -> String {
    let name = label(&effects.metric);
    let trials = count(effects.trials, "measured trial");
    let bounds = match effects.lower_bounds {
        0 => String::new(),
        some => {
            format!(
                " Of {} only a lower bound is known, which is what counts.",
                count(some, "trial")
            )
        }
    };
    let left_out = match effects.left_out {
        0 => String::new(),
        some => {
            format!(" Left out: {}, at no point of the whole space.", count(some, "measured trial"))
        }
    };
    match &effects.importance {
        Err(unknown) => format!(
            "What moves the {name} cannot be told from {trials} of this set: {unknown}.{bounds}{left_out}"
        ),
        Ok(importance) => format!(
            "A random forest learnt the {name} from {trials} ({}) of this set. It predicts {} of the variance between configurations that it had not seen. Its variance over the search space is taken apart by parameters (functional ANOVA): a share is what would be gone were the parameter held, alone or with others, so shares may add up to more than 100%. ± is one standard error; a forest of few trials gives too much to the strongest. A column of random numbers gets {}: what is not above that is chance.{bounds}{left_out}",
            count(importance.configurations, "different configuration"),
            percent(importance.predicted),
            plus_minus_percent(importance.chance),
        ),
    }
}

fn pair(effects: &Effects) -> Option<String> {
    let pair = effects.importance.as_ref().ok()?.pair.as_ref()?;
    Some(format!(
        "`{}` and `{}` explain {} together, of which {} is what they do only together.",
        pair.first,
        pair.second,
        plus_minus_percent(pair.share),
        plus_minus_percent(pair.interaction),
    ))
}

fn start(effects: &Effects) -> Option<String> {
    let words = match effects.start.as_ref()? {
        Err(unknown) => format!("It cannot be told which parameters decide it: {unknown}."),
        Ok(_) => tables::start(effects).unwrap_or_else(|| {
            "No parameter is told from chance: too few configurations cannot run, or it takes several at once."
                .to_owned()
        }),
    };
    Some(words)
}
