//! A fixed number of threads that ask for documents, each as often as it takes.
//!
//! A thread that waits, for its turn or before another attempt, can be stopped at once; one that waits for an answer cannot, and
//! is left behind: it ends with its request, and nobody takes the answer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::client::{Client, NoReply};
use super::error::{EndpointError, Fault, is_transient};
use super::protocol::{Job, Written};
use super::retry::{MOST_ASKED, backoff, retry_after};
use crate::error::{Error, Result};

/// Asks a server for documents.
pub(super) struct Asker {
    pub(super) client: Client,
    pub(super) model: String,
    /// Attempts at one document.
    pub(super) attempts: u32,
    /// The wait before the second attempt, before jitter.
    pub(super) first_wait: Duration,
    /// Of the jitter.
    pub(super) seed: u64,
}

/// What became of a job.
type Outcome = Result<Written, Box<EndpointError>>;

/// An attempt that gave no document.
struct Failed {
    fault: Fault,
    transient: bool,
    /// What the server asked to wait.
    asked: Option<Duration>,
}

/// The threads, with the way to them and back.
pub(super) struct Workers {
    jobs: Sender<Job>,
    outcomes: Receiver<Outcome>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopped: Mutex<bool>,
    wake: Condvar,
    repeated: AtomicU64,
}

impl Workers {
    /// Starts `threads` of them.
    pub(super) fn start(asker: Asker, threads: usize) -> Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let (sender, outcomes) = mpsc::channel();
        let (asker, queue, shared) = (Arc::new(asker), Arc::new(Mutex::new(queue)), Arc::new(Shared::default()));
        for index in 0..threads {
            let (asker, queue, shared, sender) = (asker.clone(), queue.clone(), shared.clone(), sender.clone());
            let body = move || work(&asker, &queue, &shared, &sender);
            std::thread::Builder::new().name(format!("endpoint-{index}")).spawn(body)?;
        }
        Ok(Self { jobs, outcomes, shared })
    }

    /// Hands out a job.
    pub(super) fn send(&self, job: Job) -> Result<()> {
        self.jobs.send(job).map_err(|_| gone())
    }

    /// The next outcome, or none within `patience`.
    pub(super) fn receive(&self, patience: Duration) -> Result<Option<Outcome>> {
        match self.outcomes.recv_timeout(patience) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }

    /// Requests so far that were not a document's first.
    pub(super) fn repeated(&self) -> u64 {
        self.shared.repeated.load(Ordering::Relaxed)
    }
}

impl Drop for Workers {
    fn drop(&mut self) {
        *self.shared.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.shared.wake.notify_all();
    }
}

fn gone() -> Error {
    std::io::Error::other("the threads that ask the endpoint ended before their time").into()
}

impl Shared {
    /// Waits; false when all is to stop.
    fn pause(&self, wait: Duration) -> bool {
        let guard = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, _) =
            self.wake.wait_timeout_while(guard, wait, |stopped| !*stopped).unwrap_or_else(PoisonError::into_inner);
        !*stopped
    }
}

/// One thread: job after job, until there are no more.
fn work(asker: &Asker, queue: &Mutex<Receiver<Job>>, shared: &Shared, outcomes: &Sender<Outcome>) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = job else { return };
        let Some(outcome) = asker.ask(&job, shared) else { return };
        if outcomes.send(outcome).is_err() {
            return;
        }
    }
}

impl Asker {
    /// Asks until there is a document, or no hope of one; none when all is to stop.
    fn ask(&self, job: &Job, shared: &Shared) -> Option<Outcome> {
        let mut attempt = 1;
        loop {
            if !shared.pause(Duration::ZERO) {
                return None;
            }
            let failed = match self.attempt(job) {
                Ok(written) => return Some(Ok(written)),
                Err(failed) => failed,
            };
            if !failed.transient || attempt >= self.attempts {
                return Some(Err(Box::new(self.error(job, attempt, failed.fault))));
            }
            let wait = backoff(self.first_wait, self.seed, job.number, attempt).max(failed.asked.unwrap_or_default());
            tracing::info!(
                "document {}, attempt {attempt}: {}; asking again in {:.1} s",
                job.number,
                failed.fault,
                wait.as_secs_f64()
            );
            if !shared.pause(wait) {
                return None;
            }
            shared.repeated.fetch_add(1, Ordering::Relaxed);
            attempt += 1;
        }
    }

    /// One request.
    fn attempt(&self, job: &Job) -> Result<Written, Failed> {
        let reply = self.client.post(&job.body).map_err(|NoReply { fault, transient }| Failed {
            fault,
            transient,
            asked: None,
        })?;
        if reply.status == 200 {
            let read = job.read(&reply.body, |body| self.client.said(body));
            return read.map_err(|(fault, transient)| Failed { fault, transient, asked: None });
        }
        let fault = Fault::Status { status: reply.status, said: self.client.said(&reply.body) };
        let asked = reply.retry_after.and_then(|value| retry_after(&value, SystemTime::now()));
        let transient = is_transient(&fault);
        match asked.filter(|&asked| transient && asked > MOST_ASKED) {
            Some(asked) => {
                let fault = Fault::Wait { status: reply.status, seconds: asked.as_secs() };
                Err(Failed { fault, transient: false, asked: None })
            }
            None => Err(Failed { fault, transient, asked }),
        }
    }

    fn error(&self, job: &Job, attempts: u32, fault: Fault) -> EndpointError {
        EndpointError {
            url: self.client.url().to_owned(),
            model: self.model.clone(),
            with_key: self.client.has_key(),
            document: job.number,
            attempts,
            fault,
        }
    }
}
