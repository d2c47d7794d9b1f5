//! What a person sees of a study under way: a line for each trial, and a bar on a terminal.

use std::{
    io::{self, Write},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use slotune::{
    Finished, Observer,
    core::Trial,
    narration::trial_line,
    serving::{Progress, Stage},
};

use super::Error;

/// Prints a line for each trial, and shows a bar where standard error is a terminal.
pub(super) struct Narrator {
    bar: ProgressBar,
    trials: u32,
    /// Lines go to standard error, since standard output is for JSON.
    as_json: bool,
}

impl Narrator {
    /// Of a study called `name` that may take so many trials, `done` of which are done.
    pub(super) fn new(name: &str, trials: u32, done: usize, as_json: bool) -> Self {
        // Draws nothing where standard error is no terminal.
        let bar = ProgressBar::with_draw_target(
            Some(trials.into()),
            ProgressDrawTarget::stderr_with_hz(10),
        );
        let template =
            "{prefix} [{bar:30}] {pos}/{len} trials, {elapsed} so far, {eta} left  {msg}";
        let style = ProgressStyle::with_template(template).expect("the template is well-formed");
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(name.to_owned());
        bar.set_position(done as u64);
        // Trials of an earlier run say nothing of the time left.
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_millis(500));
        Self { bar, trials, as_json }
    }

    fn line(&self, line: &str) -> io::Result<()> {
        self.bar.suspend(|| {
            if self.as_json {
                writeln!(io::stderr(), "{line}")
            } else {
                writeln!(io::stdout(), "{line}")
            }
        })
    }
}

impl Drop for Narrator {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

impl Progress for Narrator {
    fn stage(&self, stage: Stage) {
        self.bar.set_message(match stage {
            Stage::Starting => "starting the server".to_owned(),
            Stage::Measuring { ended, scheduled } => format!("{ended} of {scheduled} requests"),
            Stage::Stopping => "stopping the server".to_owned(),
        });
    }
}

impl Observer for Narrator {
    fn begun(&self, _: &Trial) {}

    fn finished(&self, trial: &Finished<'_>) -> Result<(), Error> {
        self.bar.set_position(trial.entry.trial.id.0 + 1);
        // Whoever reads the lines, such as `head`, may have seen enough; the study goes on.
        match self.line(&trial_line(trial, self.trials)) {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
            _ => Ok(()),
        }
    }
}
