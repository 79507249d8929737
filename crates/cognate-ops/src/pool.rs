//! A team of threads for parallel loops that take microseconds.
//!
//! A training step is some hundreds of loops with hardly anything between them. General pools put an idle thread to sleep
//! between two of them, and waking it takes as long as a short loop does; here an idle thread first waits awake for a while.
//! The caller works too, and a loop ends when its tasks are done, whether or not a sleeping thread has joined in by then.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::{PoisonError, TryLockError};

use self::sync::{
    Arc, AtomicBool, AtomicU64, AtomicUsize, Builder, Condvar, JoinHandle, Mutex, MutexGuard, UnsafeCell, spin,
    yield_now,
};

#[cfg(not(loom))]
mod sync {
    //! Threads and what they share, as the standard library has them.
    pub(super) use std::hint::spin_loop as spin;
    pub(super) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub(super) use std::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(super) use std::thread::{Builder, JoinHandle, yield_now};

    /// With the interface of loom's cell, which sees every access.
    pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(super) fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        pub(super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
            read(self.0.get())
        }

        pub(super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
            write(self.0.get())
        }
    }
}

#[cfg(loom)]
mod sync {
    //! Threads whose every order of steps loom tries (`tools/check-pool.sh`).
    pub(super) use loom::cell::UnsafeCell;
    pub(super) use loom::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
    pub(super) use loom::sync::{Arc, Condvar, Mutex, MutexGuard};
    pub(super) use loom::thread::{Builder, JoinHandle, yield_now, yield_now as spin};
}

/// Looks at the next loop's number before an idle thread goes to sleep: some 50 microseconds. (Under loom one look more or less makes
/// no other case.)
const AWAKE: u32 = if cfg!(loom) { 1 } else { 2_000 };
/// Looks at the others before a waiting caller lets the operating system run something else.
const PATIENT: u32 = 10_000;

/// A loop's body, with its lifetime erased: it is called only while [`Pool::each`] waits.
#[derive(Clone, Copy)]
struct Body(*const (dyn Fn(usize) + Sync));

#[derive(Clone, Copy)]
struct Loop {
    body: Body,
    tasks: usize,
}

/// What the threads share. `open` is the number of the loop that may be joined, or 0.
///
/// Twice, one side must see what the other has just written, or the other way round:
///
/// - A helper first adds itself to `inside`, then looks at `open`; the caller first sets `open` to 0, then looks at `inside` and waits
///   until it is 0. So a helper that found the loop open is waited for, and `work` is written only while nobody may look at it.
/// - A helper first adds itself to `sleepers`, then looks at `open` and sleeps; the caller first opens the loop, then looks at `sleepers`
///   and wakes them. So none oversleeps.
///
/// Both sides change the counter, the caller by adding 0: of two changes one is first, and the second one sees whatever was written
/// before the first.
struct Team {
    open: AtomicU64,
    inside: AtomicUsize,
    next: AtomicUsize,
    work: UnsafeCell<Loop>,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
    sleepers: AtomicUsize,
    sleep: Mutex<()>,
    wake: Condvar,
    quit: AtomicBool,
}

// SAFETY: `work` is written by the one caller that holds `busy`, while the loop is closed and nobody is inside; see above.
unsafe impl Sync for Team {}
// SAFETY: the body is Sync, and called only while its owner waits.
unsafe impl Send for Team {}

/// Threads that help the caller with loops.
pub(crate) struct Pool {
    team: Arc<Team>,
    threads: Vec<JoinHandle<()>>,
    /// Held by the caller whose loop is running; the loops it counts are numbered by it.
    busy: Mutex<u64>,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool of {} and the caller", self.threads.len())
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pool {
    /// A team of `threads`, the caller included.
    pub(crate) fn new(threads: usize) -> std::io::Result<Self> {
        let team = Arc::new(Team {
            open: AtomicU64::new(0),
            inside: AtomicUsize::new(0),
            next: AtomicUsize::new(0),
            work: UnsafeCell::new(Loop { body: Body(&|_| ()), tasks: 0 }),
            panic: Mutex::new(None),
            sleepers: AtomicUsize::new(0),
            sleep: Mutex::new(()),
            wake: Condvar::new(),
            quit: AtomicBool::new(false),
        });
        let mut pool = Self { team, threads: Vec::new(), busy: Mutex::new(0) };
        for i in 1..threads {
            let team = Arc::clone(&pool.team);
            let thread = Builder::new().name(format!("cognate-cpu-{i}")).spawn(move || team.serve())?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    /// Runs `body` for each number below `tasks`. A loop inside a loop, or beside another caller's, runs on its caller alone.
    ///
    /// # Panics
    /// When a task does, after all others have ended.
    pub(crate) fn each(&self, tasks: usize, body: &(dyn Fn(usize) + Sync)) {
        let busy = match self.busy.try_lock() {
            Ok(busy) => Some(busy),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        };
        let Some(mut number) = busy.filter(|_| tasks > 1 && !self.threads.is_empty()) else {
            return (0..tasks).for_each(body);
        };
        *number += 1;
        let team = &*self.team;
        // SAFETY: the lifetime is erased for as long as this call lasts: `close` below returns only when no thread can call the
        // body any more.
        let body = unsafe { std::mem::transmute::<&(dyn Fn(usize) + Sync), &'static (dyn Fn(usize) + Sync)>(body) };
        team.work.with_mut(|work| {
            // SAFETY: the loop is closed and nobody is inside, and `busy` keeps other callers out.
            unsafe { *work = Loop { body: Body(body), tasks } };
        });
        team.next.store(0, Relaxed);
        team.open.store(*number, Release);
        if team.sleepers.fetch_add(0, AcqRel) > 0 {
            drop(locked(&team.sleep));
            team.wake.notify_all();
        }
        team.help();
        team.close();
        // Taken before another caller's loop may begin, whose panic it could otherwise be.
        let panic = locked(&team.panic).take();
        drop(number);
        if let Some(panic) = panic {
            resume_unwind(panic);
        }
    }
}

impl Team {
    /// Does tasks of the open loop until none is left. A panic is kept for the caller.
    fn help(&self) {
        let work = self.work.with(|work| {
            // SAFETY: the loop is open and this thread counts as inside, or is the caller: nobody writes.
            unsafe { *work }
        });
        // SAFETY: the caller waits for this thread, so the body still lives.
        let body = unsafe { &*work.body.0 };
        let run = || {
            while let task = self.next.fetch_add(1, Relaxed)
                && task < work.tasks
            {
                body(task);
            }
        };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
            locked(&self.panic).get_or_insert(panic);
        }
    }

    /// Ends the loop: nobody joins any more, and all who did are done.
    fn close(&self) {
        self.open.store(0, Relaxed);
        let mut looks = 0;
        // Only the first look must be a change: a helper that adds itself after it finds the loop closed.
        let mut inside = self.inside.fetch_add(0, AcqRel);
        while inside > 0 {
            looks += 1;
            if looks < PATIENT {
                spin();
            } else {
                yield_now();
            }
            inside = self.inside.load(Acquire);
        }
    }

    /// A helping thread's life.
    fn serve(&self) {
        let mut last = 0;
        while let Some(number) = self.wait(last) {
            self.inside.fetch_add(1, AcqRel);
            // What was open may have closed, and another loop may have opened since.
            let open = self.open.load(Acquire);
            if open != 0 {
                self.help();
            }
            self.inside.fetch_sub(1, AcqRel);
            last = if open == 0 { number } else { open };
        }
    }

    /// The number of a loop other than `last` that may be joined; none when the pool is dropped.
    fn wait(&self, last: u64) -> Option<u64> {
        let ready = || match self.open.load(Relaxed) {
            number if number != 0 && number != last => Some(number),
            _ => None,
        };
        for _ in 0..AWAKE {
            if let Some(number) = ready() {
                return Some(number);
            }
            spin();
        }
        let mut asleep = locked(&self.sleep);
        self.sleepers.fetch_add(1, AcqRel);
        let found = loop {
            if self.quit.load(Relaxed) {
                break None;
            }
            if let Some(number) = ready() {
                break Some(number);
            }
            asleep = self.wake.wait(asleep).unwrap_or_else(PoisonError::into_inner);
        };
        self.sleepers.fetch_sub(1, AcqRel);
        found
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.team.quit.store(true, Relaxed);
        drop(locked(&self.team.sleep));
        self.team.wake.notify_all();
        for thread in self.threads.drain(..) {
            // A helper catches its tasks' panics, so there is nothing to hand on.
            let _ = thread.join();
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::Ordering::SeqCst;

    use super::*;

    fn counts(pool: &Pool, tasks: usize) -> Vec<usize> {
        let counts: Vec<AtomicUsize> = (0..tasks).map(|_| AtomicUsize::new(0)).collect();
        pool.each(tasks, &|i| {
            counts[i].fetch_add(1, SeqCst);
        });
        counts.into_iter().map(AtomicUsize::into_inner).collect()
    }

    /// Turns red when a late helper takes a task of a loop that it did not join, or a task is lost between two loops.
    #[test]
    fn every_task_of_every_loop_runs_once() {
        for threads in [1, 2, 3, 5] {
            let pool = Pool::new(threads).unwrap();
            for round in 0..4_000 {
                let tasks = round % 7;
                assert_eq!(counts(&pool, tasks), vec![1; tasks], "{threads} threads, loop {round}");
            }
        }
    }

    #[test]
    fn a_loop_inside_a_loop_and_loops_of_two_callers_are_whole() {
        let pool = Pool::new(3).unwrap();
        let total = AtomicUsize::new(0);
        pool.each(5, &|_| {
            total.fetch_add(counts(&pool, 4).iter().sum(), SeqCst);
        });
        assert_eq!(total.into_inner(), 20);
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| (0..500).for_each(|_| assert_eq!(counts(&pool, 6), [1; 6])));
            }
        });
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_goes_on() {
        let pool = Pool::new(3).unwrap();
        for bad in 0..4 {
            let caught = catch_unwind(AssertUnwindSafe(|| pool.each(4, &|i| assert!(i != bad, "task {i}"))));
            let message = *caught.unwrap_err().downcast::<String>().unwrap();
            assert_eq!(message, format!("task {bad}"));
            assert_eq!(counts(&pool, 9), [1; 9]);
        }
    }

    /// Helpers that went to sleep are woken: each of the two tasks waits for the other, so one thread alone never ends.
    #[test]
    fn sleeping_helpers_join() {
        let pool = Pool::new(2).unwrap();
        for _ in 0..3 {
            while pool.team.sleepers.load(SeqCst) == 0 {
                std::thread::yield_now();
            }
            let arrived = AtomicUsize::new(0);
            pool.each(2, &|_| {
                arrived.fetch_add(1, SeqCst);
                while arrived.load(SeqCst) < 2 {
                    std::thread::yield_now();
                }
            });
        }
    }
}

/// Small loops in every order in which their threads' steps can follow each other, up to a number of preemptions, and with every value
/// that the memory model lets a load see (`tools/check-pool.sh`).
#[cfg(all(test, loom))]
mod models {
    use std::sync::atomic::{AtomicUsize as Counter, Ordering::SeqCst};

    use super::*;

    /// A number that is written without any order but the pool's: loom fails where two threads may meet there.
    struct Unordered(UnsafeCell<usize>);

    // SAFETY: loom checks what this claims.
    unsafe impl Sync for Unordered {}

    impl Unordered {
        fn add(&self) {
            // SAFETY: a task of its own, as loom checks.
            self.0.with_mut(|value| unsafe { *value += 1 });
        }

        fn get(&self) -> usize {
            // SAFETY: after the loop, as loom checks.
            self.0.with(|value| unsafe { *value })
        }
    }

    /// Runs a loop whose tasks write without any order, and reads what they wrote.
    fn whole(pool: &Pool, tasks: usize) {
        let written: Vec<Unordered> = (0..tasks).map(|_| Unordered(UnsafeCell::new(0))).collect();
        pool.each(tasks, &|i| written[i].add());
        assert!(written.iter().all(|number| number.get() == 1), "each task once");
    }

    #[expect(clippy::print_stderr, reason = "how much was tried is what the script is run for")]
    fn explore(name: &str, model: impl Fn() + Sync + Send + 'static) {
        static TRIED: Counter = Counter::new(0);
        let before = TRIED.load(SeqCst);
        loom::model(move || {
            TRIED.fetch_add(1, SeqCst);
            model();
        });
        eprintln!("{name}: {} executions", TRIED.load(SeqCst) - before);
    }

    #[test]
    fn two_loops_of_two_threads() {
        explore("two loops of two threads", || {
            let pool = Pool::new(2).unwrap();
            whole(&pool, 2);
            whole(&pool, 3);
        });
    }

    #[test]
    fn a_loop_of_three_threads() {
        explore("a loop of three threads", || whole(&Pool::new(3).unwrap(), 2));
    }

    #[test]
    fn loops_of_two_callers() {
        explore("loops of two callers", || {
            let pool = Arc::new(Pool::new(2).unwrap());
            let other = Arc::clone(&pool);
            let caller = loom::thread::spawn(move || whole(&other, 2));
            whole(&pool, 2);
            caller.join().unwrap();
        });
    }

    /// Each of the two tasks waits for the other, so a helper that oversleeps leaves the caller waiting for ever.
    #[test]
    fn no_helper_oversleeps() {
        explore("tasks that wait for each other", || {
            let (pool, arrived) = (Pool::new(2).unwrap(), AtomicUsize::new(0));
            pool.each(2, &|_| {
                arrived.fetch_add(1, AcqRel);
                while arrived.load(Acquire) < 2 {
                    yield_now();
                }
            });
        });
    }

    #[test]
    fn a_panic_and_the_loop_after_it() {
        explore("a panic and the loop after it", || {
            let pool = Pool::new(2).unwrap();
            let caught = catch_unwind(AssertUnwindSafe(|| {
                pool.each(2, &|i| {
                    if i == 1 {
                        resume_unwind(Box::new("task 1"));
                    }
                });
            }));
            assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "task 1");
            whole(&pool, 2);
        });
    }
}
