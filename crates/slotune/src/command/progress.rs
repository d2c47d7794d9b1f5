//! What a person sees of work under way: bars on a terminal, and a line for each trial.

use std::{
    borrow::Cow,
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use slotune::{
    Finished, Observer,
    core::Trial,
    narration::trial_line,
    results::StudyRole,
    serving::{Progress, Stage},
    session::{Audience, StudyUnderWay},
};

use super::Error;

/// Tells of the studies of a session: a heading, a line for each trial, and a bar.
pub(super) struct Narration {
    /// Lines go to standard error, since standard output is for JSON.
    pub(super) as_json: bool,
}

impl Audience for Narration {
    fn hear_of(&self, study: &StudyUnderWay<'_>) -> Box<dyn Observer + '_> {
        let &StudyUnderWay { name, role, trials, done, contenders } = study;
        let most = if role == StudyRole::Search { "up to " } else { "" };
        let of = contenders.map_or_else(String::new, |n| format!(" of {n} contenders"));
        let kept = if done > 0 { format!(", {done} done before") } else { String::new() };
        eprintln!("study {name}: {most}{trials} trials{of}{kept}");
        let work = Work::of("trials");
        work.bar.set_prefix(format!("{name} "));
        work.at(done as u64, trials.into());
        // Trials of an earlier run say nothing of the time left.
        work.bar.reset_eta();
        Box::new(Narrator { work, trials, as_json: self.as_json })
    }
}

/// Long work: a bar with the time left where standard error is a terminal, nothing elsewhere.
pub(super) struct Work {
    bar: ProgressBar,
}

impl Work {
    /// That consists of things called so.
    pub(super) fn of(things: &str) -> Self {
        Self::with_template(&format!(
            "{{prefix}}[{{bar:30}}] {{pos}}/{{len}} {things}, {{elapsed}} so far, {{eta}} left  {{msg}}"
        ))
    }

    /// Whose length nobody knows.
    pub(super) fn called(message: impl Into<Cow<'static, str>>) -> Self {
        let work = Self::with_template("{spinner} {msg}, {elapsed} so far");
        work.bar.set_message(message);
        work
    }

    fn with_template(template: &str) -> Self {
        // Draws nothing where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        bar.set_style(style.progress_chars("=> "));
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar }
    }

    /// So many of all are done.
    pub(super) fn at(&self, done: u64, all: u64) {
        self.bar.set_length(all);
        self.bar.set_position(done);
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Prints a line for each trial.
struct Narrator {
    work: Work,
    trials: u32,
    as_json: bool,
}

impl Narrator {
    fn line(&self, line: &str) -> io::Result<()> {
        self.work.bar.suspend(|| {
            if self.as_json {
                writeln!(io::stderr(), "{line}")
            } else {
                writeln!(io::stdout(), "{line}")
            }
        })
    }
}

impl Progress for Narrator {
    fn stage(&self, stage: Stage) {
        self.work.bar.set_message(match stage {
            Stage::Starting => "starting the server".to_owned(),
            Stage::Measuring { ended, scheduled } => format!("{ended} of {scheduled} requests"),
            Stage::Stopping => "stopping the server".to_owned(),
        });
    }
}

impl Observer for Narrator {
    fn begun(&self, _: &Trial) {}

    fn finished(&self, trial: &Finished<'_>) -> Result<(), Error> {
        self.work.at(trial.entry.trial.id.0 + 1, self.trials.into());
        // Whoever reads the lines, such as `head`, may have seen enough; the study goes on.
        match self.line(&trial_line(trial)) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
