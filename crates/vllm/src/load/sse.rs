//! Server-sent events, read from chunks that may end anywhere (WHATWG HTML, section 9.2.6).
//!
//! Only data matters here: names, ids and comments are skipped. Lines end in LF, CR LF or CR and
//! may be of any length, but an event may not take more than [`EVENT_LIMIT`] bytes of memory.

/// Most bytes of one event. A delta of a few tokens takes some hundred.
pub(super) const EVENT_LIMIT: usize = 1 << 20;

/// Reads events from chunks of bytes.
#[derive(Debug, Default)]
pub(super) struct EventReader {
    /// The line so far, where a chunk ended within one.
    line: Vec<u8>,
    /// Data of the event so far, its lines joined by LF.
    data: Vec<u8>,
    has_data: bool,
    /// The last chunk ended with CR: an LF at the start of the next belongs to it.
    after_cr: bool,
    /// A byte-order mark can no longer come.
    begun: bool,
}

/// An event takes more than [`EVENT_LIMIT`] bytes.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event of the stream is longer than {EVENT_LIMIT} bytes")]
pub(super) struct EventTooLong;

impl EventReader {
    /// Takes the next bytes and hands the data of each event that they complete to `event`. An
    /// event that is not complete when the stream ends is none.
    ///
    /// # Errors
    /// When an event is too long.
    pub(super) fn read(
        &mut self,
        chunk: &[u8],
        mut event: impl FnMut(&[u8]),
    ) -> Result<(), EventTooLong> {
        let mut rest = chunk;
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(end) = rest.iter().position(|&byte| byte == b'\n' || byte == b'\r') {
            let (line, ending) = rest.split_at(end);
            self.after_cr = ending == b"\r";
            rest = ending.strip_prefix(b"\r\n").unwrap_or(&ending[1..]);
            if self.line.is_empty() {
                self.take_line(line, &mut event)?;
            } else {
                self.keep(line)?;
                let mut whole = std::mem::take(&mut self.line);
                self.take_line(&whole, &mut event)?;
                whole.clear();
                self.line = whole;
            }
        }
        self.keep(rest)
    }

    /// Keeps the part of a line whose end is still to come.
    fn keep(&mut self, part: &[u8]) -> Result<(), EventTooLong> {
        check(self.line.len() + part.len())?;
        self.line.extend_from_slice(part);
        Ok(())
    }

    fn take_line(
        &mut self,
        line: &[u8],
        event: &mut impl FnMut(&[u8]),
    ) -> Result<(), EventTooLong> {
        let line =
            if self.begun { line } else { line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line) };
        self.begun = true;
        if line.is_empty() {
            if self.has_data {
                event(&self.data);
            }
            self.data.clear();
            self.has_data = false;
            return Ok(());
        }
        let value = match line.strip_prefix(b"data") {
            Some([b':', b' ', value @ ..] | [b':', value @ ..]) => value,
            Some([]) => &[],
            _ => return Ok(()),
        };
        check(self.data.len() + value.len())?;
        if self.has_data {
            self.data.push(b'\n');
        }
        self.data.extend_from_slice(value);
        self.has_data = true;
        Ok(())
    }
}

fn check(length: usize) -> Result<(), EventTooLong> {
    if length > EVENT_LIMIT { Err(EventTooLong) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn events(chunks: &[&[u8]]) -> Vec<Vec<u8>> {
        let (mut reader, mut events) = (EventReader::default(), vec![]);
        for chunk in chunks {
            reader.read(chunk, |data| events.push(data.to_vec())).expect("short events");
        }
        events
    }

    fn texts(stream: &str) -> Vec<String> {
        let events = events(&[stream.as_bytes()]);
        events.into_iter().map(|data| String::from_utf8(data).expect("text")).collect()
    }

    #[test]
    fn all_that_the_standard_allows_is_read() {
        for (stream, expected) in [
            ("data: a\n\ndata: b\n\n", vec!["a", "b"]),
            ("data:a\r\n\r\ndata:  b\r\n\r\n", vec!["a", " b"]),
            ("data: a\r\rdata: b\r\r", vec!["a", "b"]),
            ("\u{feff}data: a\n\n", vec!["a"]),
            (": a comment\ndata: a\nid: 3\nevent: x\nretry: 1\n\n", vec!["a"]),
            ("data: a\ndata: b\n\n", vec!["a\nb"]),
            ("data\ndata\n\n", vec!["\n"]),
            ("data\n\n", vec![""]),
            ("event: ping\n\n\n\ndata: a\n\n", vec!["a"]),
            ("dataset: a\n\n", vec![]),
            ("data: [DONE]\n\ndata: [DONE]\n\ntrailing", vec!["[DONE]", "[DONE]"]),
            ("data: never ended\n", vec![]),
            ("", vec![]),
        ] {
            assert_eq!(texts(stream), expected, "{stream:?}");
        }
    }

    #[test]
    fn an_endless_line_or_event_ends_in_an_error() {
        let chunk = vec![b'a'; 4096];
        let mut reader = EventReader::default();
        let error = (0..).find_map(|_| reader.read(&chunk, |_| {}).err());
        assert_eq!(error, Some(EventTooLong));
        assert!(reader.line.capacity() <= 2 * EVENT_LIMIT);

        let mut lines = b"data: ".to_vec();
        lines.extend(&chunk);
        lines.push(b'\n');
        let mut reader = EventReader::default();
        let error = (0..).find_map(|_| reader.read(&lines, |_| {}).err());
        assert_eq!(error, Some(EventTooLong));
        assert!(reader.data.capacity() <= 2 * EVENT_LIMIT);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_chunking_gives_the_same_events(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "data: {\"text\":\"ä€𝄞\"}", "data:x", "data", "data: [DONE]", ": comment",
                    "\n", "\r\n", "\r", "\n\n", "\r\n\r\n", "\u{feff}", "event: e", " ",
                ]),
                0..40,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..20),
        ) {
            let stream = parts.concat().into_bytes();
            let mut ends: Vec<usize> =
                cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect();
            ends.extend([0, stream.len()]);
            ends.sort_unstable();
            let chunks: Vec<&[u8]> =
                ends.windows(2).map(|pair| &stream[pair[0]..pair[1]]).collect();
            let single: Vec<&[u8]> = stream.chunks(1).collect();
            let whole = events(&[&stream]);
            prop_assert_eq!(&events(&chunks), &whole);
            prop_assert_eq!(&events(&single), &whole);
        }
    }
}
