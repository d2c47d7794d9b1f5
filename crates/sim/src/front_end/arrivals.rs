//! Requests that were not sent yet, taken from their source one by one.

use std::collections::VecDeque;

use slotune_serving::{Load, RequestSpec};

use crate::InputError;

/// A request that is due.
#[derive(Clone, Debug)]
pub(crate) struct Due {
    /// Number of the request in the order of arrival, from 0.
    pub(crate) index: u32,
    /// When it is sent, s.
    pub(crate) time_s: f64,
    pub(crate) spec: RequestSpec,
}

/// Requests that were not sent yet. The source is asked for one request at a time, so it may be
/// longer than memory.
pub(crate) struct Arrivals<'a> {
    source: Box<dyn Iterator<Item = RequestSpec> + 'a>,
    load: Load,
    /// The next one, already taken from the source.
    next: Option<RequestSpec>,
    /// Number of `next`.
    index: u32,
    /// Requests that the clients of a closed loop send at the start.
    at_start: u32,
    /// When others ended that `next` and its followers wait for: closed loop only, s.
    released_s: VecDeque<f64>,
    /// Why the source was left.
    error: Option<InputError>,
}

impl<'a> Arrivals<'a> {
    pub(crate) fn new(load: Load, source: Box<dyn Iterator<Item = RequestSpec> + 'a>) -> Self {
        let at_start = match load {
            Load::Open => 0,
            Load::Closed { concurrency } => concurrency,
        };
        let mut arrivals = Self {
            source,
            load,
            next: None,
            index: 0,
            at_start,
            released_s: VecDeque::new(),
            error: None,
        };
        arrivals.next = arrivals.take_from_source(0.0);
        arrivals
    }

    /// When the next request is due, s; infinite where none is, or none yet.
    pub(crate) fn next_s(&self) -> f64 {
        match (&self.next, self.load) {
            (None, _) => f64::INFINITY,
            (Some(spec), Load::Open) => spec.arrival_s,
            (Some(_), Load::Closed { .. }) if self.at_start > 0 => 0.0,
            (Some(_), Load::Closed { .. }) => {
                self.released_s.front().copied().unwrap_or(f64::INFINITY)
            }
        }
    }

    /// Takes the next request, if it is due by `time_s`.
    pub(crate) fn pop(&mut self, time_s: f64) -> Option<Due> {
        let due_s = self.next_s();
        let spec = self.next.take_if(|_| due_s <= time_s && due_s < f64::INFINITY)?;
        if self.load != Load::Open {
            match self.at_start {
                0 => drop(self.released_s.pop_front()),
                _ => self.at_start -= 1,
            }
        }
        let index = self.index;
        if index == u32::MAX {
            self.error = Some(InputError::Requests);
        } else {
            self.index += 1;
            self.next = self.take_from_source(spec.arrival_s);
        }
        Some(Due { index, time_s: due_s, spec })
    }

    /// Whether requests are left.
    pub(crate) fn has_more(&self) -> bool {
        self.next.is_some()
    }

    /// A request ended at its client: in a closed loop the next is sent.
    pub(crate) fn release(&mut self, time_s: f64) {
        if self.load != Load::Open && self.next.is_some() {
            self.released_s.push_back(time_s);
        }
    }

    /// What was wrong with the last request that the source gave, if anything was.
    pub(crate) fn error(&mut self) -> Option<InputError> {
        self.error.take()
    }

    fn take_from_source(&mut self, earlier_s: f64) -> Option<RequestSpec> {
        let spec = self.source.next()?;
        let (index, value) = (self.index, spec.arrival_s);
        self.error = check_arrival(index, value).err();
        if self.error.is_none() && self.load == Load::Open && value < earlier_s {
            self.error = Some(InputError::Backwards { index, value, earlier_s });
        }
        self.error.is_none().then_some(spec)
    }
}

/// Checks the arrival time of request `index`.
pub(crate) fn check_arrival(index: u32, value: f64) -> Result<(), InputError> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(InputError::Arrival { index, value })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_beyond_the_last_number_are_an_error() {
        let spec = RequestSpec {
            arrival_s: 1.0,
            prompt_tokens: 1,
            output_tokens: 1,
            shared_prefix: vec![],
        };
        let mut arrivals = Arrivals::new(Load::Open, Box::new(std::iter::repeat(spec)));
        arrivals.index = u32::MAX - 1;
        for index in [u32::MAX - 1, u32::MAX] {
            assert_eq!(arrivals.error(), None);
            assert_eq!(arrivals.pop(1.0).map(|due| due.index), Some(index));
        }
        assert_eq!(arrivals.error(), Some(InputError::Requests));
        assert!(arrivals.pop(1.0).is_none());
    }
}
