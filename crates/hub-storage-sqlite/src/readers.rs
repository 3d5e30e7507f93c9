//! Threads that read, each with a context of its own: its connections.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};

use hub_storage::StoreError;
use hub_storage::pending::{Pending, pending};

type Job<C> = Box<dyn FnOnce(&mut C) + Send>;

/// A few threads that take reads in turn.
pub(crate) struct Readers<C> {
    queue: Arc<Queue<C>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

struct Queue<C> {
    state: Mutex<State<C>>,
    arrived: Condvar,
}

struct State<C> {
    jobs: VecDeque<Job<C>>,
    idle: usize,
    open: bool,
}

const UNPOISONED: &str = "nothing panics while it holds the queue of reads";

impl<C: Send + 'static> Readers<C> {
    /// Starts one thread per context.
    pub(crate) fn start(name: &str, contexts: Vec<C>) -> std::io::Result<Self> {
        let state = State {
            jobs: VecDeque::new(),
            idle: 0,
            open: true,
        };
        let queue = Arc::new(Queue {
            state: Mutex::new(state),
            arrived: Condvar::new(),
        });
        let start = |context| {
            let queue = Arc::clone(&queue);
            thread::Builder::new()
                .name(name.to_owned())
                .spawn(move || queue.serve(context))
        };
        let threads = contexts.into_iter().map(start).collect::<Result<_, _>>()?;
        Ok(Self {
            queue,
            threads: Mutex::new(threads),
        })
    }

    /// Hands `read` to a thread. The result is unavailable when the threads are gone or the read panics.
    pub(crate) fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&mut C) -> Result<T, StoreError> + Send + 'static,
    ) -> Pending<T> {
        let (completer, pending) = pending();
        let job: Job<C> = Box::new(move |context| completer.complete(read(context)));
        let mut state = self.queue.state.lock().expect(UNPOISONED);
        if state.open {
            state.jobs.push_back(job);
            let sleeper = state.idle > 0;
            drop(state);
            if sleeper {
                self.queue.arrived.notify_one();
            }
        }
        pending
    }
}

impl<C> Readers<C> {
    /// Finishes what was asked for and ends the threads.
    pub(crate) fn close(&self) {
        self.queue.state.lock().expect(UNPOISONED).open = false;
        self.queue.arrived.notify_all();
        for thread in self.threads.lock().expect(UNPOISONED).drain(..) {
            drop(thread.join());
        }
    }
}

impl<C> Queue<C> {
    fn serve(&self, mut context: C) {
        while let Some(job) = self.next() {
            // A read that panics is a bug of ours; it must not take the other reads with it.
            if catch_unwind(AssertUnwindSafe(|| job(&mut context))).is_err() {
                tracing::error!("a read panicked");
            }
        }
    }

    fn next(&self) -> Option<Job<C>> {
        let mut state = self.state.lock().expect(UNPOISONED);
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if !state.open {
                return None;
            }
            state.idle += 1;
            state = self.arrived.wait(state).expect(UNPOISONED);
            state.idle -= 1;
        }
    }
}
