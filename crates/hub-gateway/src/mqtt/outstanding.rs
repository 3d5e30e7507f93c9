//! What a connection has begun and not yet answered, in the order in which it has to be answered.
//!
//! PUBACKs leave in the order of their PUBLISHes ([MQTT-4.6.0-2]), so one queue holds them all.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::future::BoxFuture;

use crate::counters::CloseCause;

/// Bytes to send when the work is done, or why the connection must end instead.
pub(super) type Answer = Result<Vec<u8>, CloseCause>;

/// The queue of one connection. Allocates nothing while empty.
#[derive(Default)]
pub(super) struct Outstanding {
    queue: VecDeque<Item>,
    messages: usize,
    bytes: usize,
}

struct Item {
    work: Work,
    messages: usize,
    bytes: usize,
}

enum Work {
    UnderWay(BoxFuture<'static, Answer>),
    Done(Answer),
}

impl Outstanding {
    /// Packets and bytes that were read and not answered yet.
    pub(super) const fn load(&self) -> (usize, usize) {
        (self.messages, self.bytes)
    }

    /// Adds work for so many packets and bytes. Work is begun at once, also behind unfinished work, so that a
    /// device's patches meet in one commit.
    pub(super) fn push(
        &mut self,
        mut work: BoxFuture<'static, Answer>,
        messages: usize,
        bytes: usize,
        context: &mut Context<'_>,
    ) {
        let work = match work.as_mut().poll(context) {
            Poll::Ready(answer) => Work::Done(answer),
            Poll::Pending => Work::UnderWay(work),
        };
        self.add(work, messages, bytes);
    }

    /// Adds work that is begun when its turn comes: a read, which must see the writes before it, and whose answer must
    /// not be held in memory behind them.
    pub(super) fn push_read(&mut self, work: BoxFuture<'static, Answer>) {
        self.add(Work::UnderWay(work), 1, 0);
    }

    /// Adds an answer that only waits for its turn.
    pub(super) fn push_done(&mut self, answer: Vec<u8>) {
        let bytes = answer.len();
        self.add(Work::Done(Ok(answer)), 1, bytes);
    }

    fn add(&mut self, work: Work, messages: usize, bytes: usize) {
        self.messages += messages;
        self.bytes += bytes;
        self.queue.push_back(Item {
            work,
            messages,
            bytes,
        });
    }

    /// The next answer in order. `None` when the queue is empty.
    pub(super) fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Answer>> {
        let Some(first) = self.queue.front_mut() else {
            return Poll::Ready(None);
        };
        if let Work::UnderWay(work) = &mut first.work {
            match Pin::new(work).poll(context) {
                Poll::Ready(answer) => first.work = Work::Done(answer),
                Poll::Pending => return Poll::Pending,
            }
        }
        let Some(Item {
            work: Work::Done(answer),
            messages,
            bytes,
        }) = self.queue.pop_front()
        else {
            unreachable!("the first item was just done")
        };
        self.messages -= messages;
        self.bytes -= bytes;
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        Poll::Ready(Some(answer))
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn answers_come_in_order_whatever_finishes_first() {
        let mut context = Context::from_waker(Waker::noop());
        let mut outstanding = Outstanding::default();
        let (first, wait) = oneshot::channel::<()>();
        outstanding.push(wait.map(|_| Ok(vec![1])).boxed(), 2, 10, &mut context);
        outstanding.push_done(vec![2]);
        assert_eq!(outstanding.load(), (3, 11));
        assert!(outstanding.poll_next(&mut context).is_pending());
        first.send(()).unwrap();
        assert_eq!(
            outstanding.poll_next(&mut context),
            Poll::Ready(Some(Ok(vec![1])))
        );
        assert_eq!(
            outstanding.poll_next(&mut context),
            Poll::Ready(Some(Ok(vec![2])))
        );
        assert_eq!(outstanding.poll_next(&mut context), Poll::Ready(None));
        assert_eq!(outstanding.load(), (0, 0));
    }

    #[test]
    fn a_read_begins_after_what_was_pushed_before_it() {
        let mut context = Context::from_waker(Waker::noop());
        let mut outstanding = Outstanding::default();
        let (first, wait) = oneshot::channel::<()>();
        let (begun, mut has_begun) = oneshot::channel::<()>();
        outstanding.push(wait.map(|_| Ok(vec![1])).boxed(), 1, 0, &mut context);
        outstanding.push_read(
            async move {
                begun
                    .send(())
                    .map(|()| vec![2])
                    .map_err(|()| CloseCause::Shutdown)
            }
            .boxed(),
        );
        assert!(outstanding.poll_next(&mut context).is_pending());
        assert!(has_begun.try_recv().is_err());
        first.send(()).unwrap();
        for answer in [vec![1], vec![2]] {
            assert_eq!(
                outstanding.poll_next(&mut context),
                Poll::Ready(Some(Ok(answer)))
            );
        }
        assert_eq!(has_begun.try_recv(), Ok(()));
    }
}
