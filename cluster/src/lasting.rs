//! Tasks that last as long as their node does.
//!
//! A panic in a task is told to whoever joins it, and that is whoever stops the node: until then the node would go on
//! without what the task did, and nobody would know. Promises that the first of them that panics, or ends before it
//! was told to, is told of at once, with what it was. Leaves what follows to whoever listens: a node ends.

use std::panic::AssertUnwindSafe;

use futures::FutureExt as _;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Starts tasks and notices their end. Cheap to clone.
#[derive(Clone)]
pub struct Lasting {
    died: watch::Sender<Option<String>>,
    /// Before this an end is noticed, too.
    until: Option<CancellationToken>,
}

impl Lasting {
    /// Notices panics alone: for tasks that end by themselves with what they serve.
    pub const fn noticing_panics(died: watch::Sender<Option<String>>) -> Self {
        Self { died, until: None }
    }

    /// Notices panics, and every end before `stop`.
    pub const fn until(died: watch::Sender<Option<String>>, stop: CancellationToken) -> Self {
        Self { died, until: Some(stop) }
    }

    /// Starts a task; `what` is what it is called when it has ended. Aborting it is no end.
    pub fn spawn(
        &self,
        what: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            // Nothing of it is used after a panic.
            match AssertUnwindSafe(task).catch_unwind().await {
                Ok(()) => this.note_end(what),
                Err(panic) => this.tell(format!("{what} has panicked: {}", words_of(&*panic))),
            }
        })
    }

    /// Notices the end of a task that was begun elsewhere; it is over when the one that is returned is.
    pub fn watch(&self, what: &'static str, task: JoinHandle<()>) -> JoinHandle<()> {
        let this = self.clone();
        tokio::spawn(async move {
            match task.await {
                Ok(()) => this.note_end(what),
                Err(error) => {
                    // Else it was aborted, by whoever ends what it served.
                    if let Ok(panic) = error.try_into_panic() {
                        this.tell(format!("{what} has panicked: {}", words_of(&*panic)));
                    }
                }
            }
        })
    }

    fn note_end(&self, what: &str) {
        if self.until.as_ref().is_some_and(|stop| !stop.is_cancelled()) {
            self.tell(format!("{what} has ended by itself"));
        }
    }

    fn tell(&self, why: String) {
        tracing::error!(why, "a task that lasts as long as the node is over");
        self.died.send_if_modified(|died| {
            let is_first = died.is_none();
            died.get_or_insert(why);
            is_first
        });
    }
}

fn words_of(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn told(mut died: watch::Receiver<Option<String>>) -> String {
        died.wait_for(Option::is_some).await.unwrap().clone().unwrap()
    }

    #[tokio::test]
    async fn first_panic_is_told_with_its_words_and_what_panicked() {
        let (died, heard) = watch::channel(None);
        let lasting = Lasting::noticing_panics(died);
        let _ = lasting.spawn("counting", async { panic!("{} is too many", 3) }).await;
        let _ = lasting.spawn("more", async { panic!("later") }).await;
        assert_eq!(told(heard).await, "counting has panicked: 3 is too many");
    }

    #[tokio::test]
    async fn panic_of_a_task_that_was_begun_elsewhere_is_told() {
        let (died, heard) = watch::channel(None);
        let lasting = Lasting::noticing_panics(died);
        let _ = lasting.watch("writing", tokio::spawn(async { panic!("no ink") })).await;
        assert_eq!(told(heard).await, "writing has panicked: no ink");
    }

    #[tokio::test]
    async fn end_is_told_before_the_stop_and_not_after_it() {
        let (died, heard) = watch::channel(None);
        let stop = CancellationToken::new();
        let lasting = Lasting::until(died.clone(), stop.clone());
        let _ = lasting.spawn("listening", async {}).await;
        assert_eq!(told(heard).await, "listening has ended by itself");
        died.send_replace(None);
        stop.cancel();
        let _ = lasting.spawn("listening", async {}).await;
        let _ = Lasting::noticing_panics(died.clone()).spawn("speaking", async {}).await;
        assert_eq!(*died.borrow(), None);
    }
}
