//! A fixed number of threads that ask, for documents or for judgements, each as often as it takes.
//!
//! A thread that waits, for its turn or before another attempt, can be stopped at once; one that waits for an answer cannot, and
//! is left behind: it ends with its request, and nobody takes the answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use super::client::{Client, NoReply, Reply};
use super::error::{EndpointError, Fault, is_transient};
use super::key::Discretion;
use super::retry::{MOST_ASKED, backoff, retry_after};
use super::{EndpointConfig, Role};
use crate::error::{Error, Result};

/// A request and what its answer means.
pub(crate) trait Question: Send + 'static {
    /// What is read out of the answer.
    type Answer: Send + 'static;
    /// What tells it from the others.
    fn number(&self) -> u64;
    /// The request's body.
    fn body(&self) -> Vec<u8>;
    /// The same without what only some servers know, where there is such.
    fn plain_body(&self) -> Option<Vec<u8>> {
        None
    }
    /// What that leaves out, in words, and what follows.
    fn left_out(&self) -> (&'static str, &'static str) {
        ("text without special tokens", ", and documents in which one stands are dropped by `filter`")
    }
    /// Bytes of an answer beyond which it is none.
    fn most_bytes(&self) -> usize;
    /// What the body of an answer with status 200 says. Otherwise what is wrong with it, and whether asking again may help.
    fn read(&self, body: &[u8], discretion: &Discretion) -> Result<Self::Answer, (Fault, bool)>;
}

/// Asks a server.
pub(crate) struct Asker {
    pub(super) role: Role,
    pub(super) client: Client,
    pub(super) model: String,
    /// Attempts at one question.
    pub(super) attempts: u32,
    /// The wait before the second attempt, before jitter.
    pub(super) first_wait: Duration,
    /// Of the jitter.
    pub(super) seed: u64,
    /// Whether the server refuses requests with fields that only some know.
    pub(super) strict: AtomicBool,
}

/// What became of a question.
type Outcome<A> = Result<A, Box<EndpointError>>;

/// An attempt that gave no answer.
struct Failed {
    fault: Fault,
    transient: bool,
    /// What the server asked to wait.
    asked: Option<Duration>,
}

/// The threads, with the way to them and back.
pub(crate) struct Workers<Q: Question> {
    questions: Sender<Q>,
    outcomes: Receiver<Outcome<Q::Answer>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    stopped: Mutex<bool>,
    wake: Condvar,
    repeated: AtomicU64,
}

impl<Q: Question> Workers<Q> {
    /// Starts `threads` of them.
    pub(crate) fn start(asker: Asker, threads: usize) -> Result<Self> {
        let (questions, queue) = mpsc::channel();
        let (sender, outcomes) = mpsc::channel();
        let (asker, queue, shared) = (Arc::new(asker), Arc::new(Mutex::new(queue)), Arc::new(Shared::default()));
        for index in 0..threads {
            let (asker, queue, shared, sender) = (asker.clone(), queue.clone(), shared.clone(), sender.clone());
            let body = move || work(&asker, &queue, &shared, &sender);
            std::thread::Builder::new().name(format!("endpoint-{index}")).spawn(body)?;
        }
        Ok(Self { questions, outcomes, shared })
    }

    /// Hands out a question.
    pub(crate) fn send(&self, question: Q) -> Result<()> {
        self.questions.send(question).map_err(|_| gone())
    }

    /// The next outcome, or none within `patience`.
    pub(crate) fn receive(&self, patience: Duration) -> Result<Option<Outcome<Q::Answer>>> {
        match self.outcomes.recv_timeout(patience) {
            Ok(outcome) => Ok(Some(outcome)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(gone()),
        }
    }

    /// Requests so far that were not a question's first.
    pub(crate) fn repeated(&self) -> u64 {
        self.shared.repeated.load(Ordering::Relaxed)
    }
}

impl<Q: Question> Drop for Workers<Q> {
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

/// One thread: question after question, until there are no more.
fn work<Q: Question>(
    asker: &Asker,
    queue: &Mutex<Receiver<Q>>,
    shared: &Shared,
    outcomes: &Sender<Outcome<Q::Answer>>,
) {
    loop {
        let question = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(question) = question else { return };
        let Some(outcome) = asker.ask(&question, shared) else { return };
        if outcomes.send(outcome).is_err() {
            return;
        }
    }
}

impl Asker {
    /// Asks as `endpoint` says; `seed` spreads the waits.
    pub(crate) fn new(endpoint: &EndpointConfig, role: Role, seed: u64) -> Result<Self> {
        let EndpointConfig { url, model, key, concurrency, timeout, attempts, first_wait } = endpoint;
        let client = Client::new(url, role, key.clone(), *timeout, *concurrency)?;
        Ok(Self {
            role,
            client,
            model: model.clone(),
            attempts: *attempts,
            first_wait: *first_wait,
            seed,
            strict: AtomicBool::new(false),
        })
    }

    /// Asks until there is an answer, or no hope of one; none when all is to stop.
    fn ask<Q: Question>(&self, question: &Q, shared: &Shared) -> Option<Outcome<Q::Answer>> {
        let mut attempt = 1;
        loop {
            if !shared.pause(Duration::ZERO) {
                return None;
            }
            let failed = match self.attempt(question) {
                Ok(answer) => return Some(Ok(answer)),
                Err(failed) => failed,
            };
            if !failed.transient || attempt >= self.attempts {
                return Some(Err(Box::new(self.error(question.number(), attempt, failed.fault))));
            }
            let wait =
                backoff(self.first_wait, self.seed, question.number(), attempt).max(failed.asked.unwrap_or_default());
            tracing::info!(
                "{} {}, attempt {attempt}: {}; asking again in {:.1} s",
                self.role.asked(),
                question.number(),
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

    /// One request, or two where the server is found to be strict.
    fn post<Q: Question>(&self, question: &Q) -> Result<Reply, NoReply> {
        let post = |body: &[u8]| self.client.post(body, question.most_bytes());
        let plain = question.plain_body();
        if let (true, Some(plain)) = (self.strict.load(Ordering::Relaxed), &plain) {
            return post(plain);
        }
        let reply = post(&question.body())?;
        match plain.filter(|_| matches!(reply.status, 400 | 422)) {
            None => Ok(reply),
            Some(plain) => {
                let second = post(&plain)?;
                if second.status == 200 && !self.strict.swap(true, Ordering::Relaxed) {
                    let (what, follows) = question.left_out();
                    tracing::warn!(
                        "the server refuses to be asked for {what} (it said {:?}); it is asked without that{follows}",
                        self.client.discretion().said(&reply.body)
                    );
                }
                Ok(second)
            }
        }
    }

    /// One attempt.
    fn attempt<Q: Question>(&self, question: &Q) -> Result<Q::Answer, Failed> {
        let failed = |(fault, transient)| Failed { fault, transient, asked: None };
        let reply = self.post(question).map_err(|NoReply { fault, transient }| failed((fault, transient)))?;
        let discretion = self.client.discretion();
        if reply.status == 200 {
            return question.read(&reply.body, discretion).map_err(failed);
        }
        let fault = Fault::Status { status: reply.status, said: discretion.said(&reply.body) };
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

    fn error(&self, number: u64, attempts: u32, fault: Fault) -> EndpointError {
        EndpointError {
            url: self.client.url().to_owned(),
            model: self.model.clone(),
            role: self.role,
            with_key: self.client.has_key(),
            number,
            attempts,
            fault,
        }
    }
}
