//! The little of HTTP/1.1 that a stub needs.

use std::io;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Most bytes of a request's head.
const HEAD_LIMIT: usize = 64 << 10;

/// Most bytes of a request's body.
const BODY_LIMIT: usize = 64 << 20;

/// A request as it came.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) path: String,
    pub(super) authorization: Option<String>,
    pub(super) body: Vec<u8>,
}

/// Reads the next request; `None` where the client closed instead. `rest` holds what was read
/// beyond the last one.
pub(super) async fn read(
    stream: &mut TcpStream,
    rest: &mut Vec<u8>,
) -> io::Result<Option<Request>> {
    let head_end = loop {
        if let Some(end) = rest.windows(4).position(|window| window == b"\r\n\r\n") {
            break end;
        }
        if rest.len() > HEAD_LIMIT {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if stream.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    };
    let head = String::from_utf8_lossy(&rest[..head_end]).into_owned();
    let mut lines = head.split("\r\n");
    let mut first = lines.next().unwrap_or_default().split(' ').map(str::to_owned);
    let (Some(method), Some(path)) = (first.next(), first.next()) else {
        return Err(io::ErrorKind::InvalidData.into());
    };
    let (mut length, mut authorization) = (0, None);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().map_err(|_| io::ErrorKind::InvalidData)?;
        } else if name.eq_ignore_ascii_case("authorization") {
            authorization = Some(value.trim().to_owned());
        }
    }
    if length > BODY_LIMIT {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let body_end = head_end + 4 + length;
    while rest.len() < body_end {
        if stream.read_buf(rest).await? == 0 {
            return Ok(None);
        }
    }
    let body = rest[head_end + 4..body_end].to_vec();
    rest.drain(..body_end);
    Ok(Some(Request { method, path, authorization, body }))
}

/// Writes a whole answer.
pub(super) async fn answer(
    stream: &mut TcpStream,
    status: u16,
    kind: &str,
    body: &str,
) -> io::Result<()> {
    let reason = reason(status);
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status} {reason}\r\nserver: slotune-stub\r\ncontent-length: {length}\r\ncontent-type: {kind}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await
}

/// Writes a redirect.
pub(super) async fn redirect(stream: &mut TcpStream, location: &str) -> io::Result<()> {
    let text = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
    );
    stream.write_all(text.as_bytes()).await
}

/// Writes the head of a streamed answer.
pub(super) async fn stream_head(stream: &mut TcpStream) -> io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nserver: slotune-stub\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).await
}

/// A piece of a streamed answer, framed as a chunk.
pub(super) fn chunk(data: &[u8]) -> Vec<u8> {
    let mut framed = format!("{:x}\r\n", data.len()).into_bytes();
    framed.extend_from_slice(data);
    framed.extend_from_slice(b"\r\n");
    framed
}

/// The end of a streamed answer.
pub(super) const END: &[u8] = b"0\r\n\r\n";

/// Returns once the client has closed its side; never while it has not.
pub(super) async fn closed(stream: &TcpStream) {
    match stream.peek(&mut [0]).await {
        Ok(0) | Err(_) => {}
        Ok(_) => std::future::pending().await,
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        400 => "Bad Request",
        401 => "Unauthorized",
        404 => "Not Found",
        405 => "Method Not Allowed",
        500 => "Internal Server Error",
        503 => "Service Unavailable",
        _ => "Status",
    }
}
