//! The word that the coordinator shuts down, for everyone who waits for something.

use tokio::sync::watch;

/// Says it, once.
#[derive(Debug)]
pub struct Trigger(watch::Sender<bool>);

/// Hears it. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Shutdown(watch::Receiver<bool>);

/// A trigger and its listener.
pub fn channel() -> (Trigger, Shutdown) {
    let (sender, receiver) = watch::channel(false);
    (Trigger(sender), Shutdown(receiver))
}

impl Trigger {
    /// Tells everyone.
    pub fn pull(&self) {
        self.0.send_replace(true);
    }
}

impl Shutdown {
    /// Resolves when the coordinator shuts down.
    pub async fn wait(&mut self) {
        // An error means that the trigger is gone, and with it the server.
        _ = self.0.wait_for(|pulled| *pulled).await;
    }

    /// Whether it does.
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }
}
