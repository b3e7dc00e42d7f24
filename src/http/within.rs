//! A bound on how long something may take, which costs nothing where nothing waits.

use std::future::Future;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;
use tokio::time::timeout;

/// The bound was reached.
#[derive(Clone, Copy, Debug)]
pub struct Elapsed;

/// When something is ready if all is as usual.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// When it is asked for the first time.
    Now,
    /// When it is asked for the second time: a body is handed over right after the head that it came with.
    Soon,
}

/// Does something within a time, which is counted from when it is found not to be ready. A timer that is set for nothing
/// takes about as long as finding a key, and each request would set two.
///
/// # Errors
/// It took longer.
pub async fn within<F: Future>(
    expected: Expected,
    longest: impl FnOnce() -> Duration,
    mut work: Pin<&mut F>,
) -> Result<F::Output, Elapsed> {
    let mut look_again = expected == Expected::Soon;
    let early = poll_fn(|context| match work.as_mut().poll(context) {
        Poll::Ready(output) => Poll::Ready(Some(output)),
        Poll::Pending if look_again => {
            look_again = false;
            context.waker().wake_by_ref();
            Poll::Pending
        }
        Poll::Pending => Poll::Ready(None),
    });
    match early.await {
        Some(output) => Ok(output),
        None => timeout(longest(), work).await.map_err(|_elapsed| Elapsed),
    }
}

#[cfg(test)]
mod tests {
    use super::Expected;
    use super::within;
    use std::future::pending;
    use std::future::poll_fn;
    use std::pin::pin;
    use std::task::Poll;
    use std::time::Duration;

    #[actix_web::test]
    async fn what_never_ends_is_given_up_and_what_is_ready_sets_no_timer() {
        for expected in [Expected::Now, Expected::Soon] {
            assert!(within(expected, || Duration::from_millis(5), pin!(pending::<()>())).await.is_err());
            let no_timer = || -> Duration { panic!("a timer is set") };
            assert_eq!(within(expected, no_timer, pin!(async { 7 })).await.unwrap(), 7);
        }
        let mut looks = 0;
        let second = poll_fn(|_| {
            looks += 1;
            if looks > 1 { Poll::Ready(looks) } else { Poll::Pending }
        });
        assert_eq!(within(Expected::Soon, || panic!("a timer is set"), pin!(second)).await.unwrap(), 2);
    }
}
