//! A stream that may be read only so far, until who is at its other end is known.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with a bound on what is read in all.
pub(super) struct Allowance<S> {
    stream: S,
    /// What may still be read; `None` when there is no bound.
    left: Option<usize>,
}

impl<S> Allowance<S> {
    pub(super) const fn new(stream: S, bytes: usize) -> Self {
        Self {
            stream,
            left: Some(bytes),
        }
    }

    pub(super) const fn stream(&self) -> &S {
        &self.stream
    }

    pub(super) const fn lift(&mut self) {
        self.left = None;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Allowance<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, buffer))?;
        let count = buffer.filled().len() - before;
        if let Some(left) = self.left {
            let left = left.checked_sub(count).ok_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    "too much was sent before authentication",
                )
            })?;
            self.left = Some(left);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Allowance<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    #[tokio::test]
    async fn the_allowance_bounds_what_is_read_until_it_is_lifted() {
        let (near, mut far) = tokio::io::duplex(64);
        let mut near = Allowance::new(near, 4);
        let mut buffer = [0; 4];
        far.write_all(b"12345678").await.unwrap();
        near.read_exact(&mut buffer).await.unwrap();
        let error = near.read_exact(&mut buffer).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        near.lift();
        far.write_all(b"1234").await.unwrap();
        near.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"1234");
    }
}
