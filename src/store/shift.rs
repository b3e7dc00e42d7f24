//! A thread that works through a queue with a connection of its own, and is relieved by another one when the database never
//! answers it again.

use crate::store::pulse::Hanging;
use crate::store::pulse::Pulse;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::thread;
use std::time::Duration;
use tokio::sync::oneshot;

type Work = Arc<dyn Fn(&Arc<Pulse>) + Send + Sync>;

/// The thread that is on duty.
pub(in crate::store) struct Shift {
    name: &'static str,
    statement: Duration,
    work: Work,
    duty: Mutex<Duty>,
    hanging: Hanging,
}

struct Duty {
    pulse: Arc<Pulse>,
    /// Resolves when the thread has ended.
    ended: Option<oneshot::Receiver<()>>,
}

impl Shift {
    /// Starts a thread. `work` returns when there is no more of it, and soon after its pulse says that it was left behind;
    /// `statement` is the server's bound of its statements.
    ///
    /// # Errors
    /// The operating system gives no thread.
    pub(in crate::store) fn start(
        name: &'static str,
        statement: Duration,
        work: impl Fn(&Arc<Pulse>) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let (work, hanging): (Work, _) = (Arc::new(work), Hanging::default());
        let duty = Mutex::new(begin(name, statement, &work, &hanging)?);
        Ok(Self { name, statement, work, duty, hanging })
    }

    /// Relieves the thread if the database has been silent to it for too long. Costs next to nothing where it has not, and
    /// waits for nobody.
    pub(in crate::store) fn relieve_if_overdue(&self) {
        // Somebody else looks at this moment: that will do.
        let Ok(mut duty) = self.duty.try_lock() else { return };
        if !duty.pulse.is_overdue() || !self.hanging.begin() {
            return;
        }
        match begin(self.name, self.statement, &self.work, &self.hanging) {
            Ok(next) => {
                let ms = duty.pulse.patience().as_millis();
                tracing::warn!(thread = self.name, ms, "the database does not answer on a connection; it is given up");
                duty.pulse.leave_behind();
                *duty = next;
            }
            Err(error) => {
                self.hanging.end();
                tracing::error!(thread = self.name, %error, "a thread that hangs cannot be relieved");
            }
        }
    }

    /// Resolves when the thread on duty has ended; at once if somebody waits for that already.
    pub(in crate::store) async fn end(&self) {
        let ended = self.duty.lock().unwrap_or_else(PoisonError::into_inner).ended.take();
        if let Some(ended) = ended {
            // Its sender is dropped, never used.
            let _ = ended.await;
        }
    }

    /// How many were relieved and hang.
    pub(in crate::store) fn hanging(&self) -> usize {
        self.hanging.count()
    }
}

fn begin(name: &str, statement: Duration, work: &Work, hanging: &Hanging) -> io::Result<Duty> {
    let pulse = Pulse::new(statement);
    let (alive, ended) = oneshot::channel();
    let (works, work, hanging) = (Arc::clone(&pulse), Arc::clone(work), hanging.clone());
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        // Dropped when the thread ends, however it ends.
        let _alive: oneshot::Sender<()> = alive;
        work(&works);
        if works.is_left_behind() {
            hanging.end();
        }
    })?;
    Ok(Duty { pulse, ended: Some(ended) })
}

impl fmt::Debug for Shift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shift").field("name", &self.name).finish_non_exhaustive()
    }
}
