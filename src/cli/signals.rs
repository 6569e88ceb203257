//! The signals that ask for a stop.

#[cfg(unix)]
use std::os::fd::AsFd;

#[cfg(unix)]
use tokio::net::unix::pipe::Receiver;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Signal {
    /// A person pressed Ctrl-C.
    Interrupt,
    /// The system or a supervisor asks.
    Terminate,
}

/// Listens from its making on; what comes before it is asked for is kept.
#[cfg(unix)]
pub(super) struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: tokio::signal::unix::Signal,
    /// Standard input, when its end means a stop as well. A pipe: reading it holds no thread that an end waits for.
    input: Option<Receiver>,
}

#[cfg(unix)]
impl Signals {
    /// Starts to listen. Called in a runtime.
    pub(super) fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
            input: None,
        })
    }

    /// Starts to listen, to the end of standard input as well if `input` says so. Called in a runtime.
    pub(super) fn listen_and(input: bool) -> std::io::Result<Self> {
        let signals = Self::listen()?;
        let open = || Receiver::from_owned_fd(std::io::stdin().as_fd().try_clone_to_owned()?);
        Ok(Self { input: input.then(open).transpose()?, ..signals })
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Signal::Interrupt,
            _ = self.terminate.recv() => Signal::Terminate,
            _ = self.hangup.recv() => Signal::Terminate,
            () = input_ends(&mut self.input) => Signal::Terminate,
        }
    }
}

/// Waits for the end of standard input, once; whoever asks again waits for signals alone.
#[cfg(unix)]
async fn input_ends(input: &mut Option<Receiver>) {
    let Some(open) = input else { return std::future::pending().await };
    let mut nothing = [0; 64];
    loop {
        match tokio::io::AsyncReadExt::read(open, &mut nothing).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
    }
    *input = None;
}

/// Listens for Ctrl-C.
#[cfg(not(unix))]
pub(super) struct Signals;

#[cfg(not(unix))]
impl Signals {
    /// Starts to listen. Called in a runtime.
    pub(super) fn listen() -> std::io::Result<Self> {
        Ok(Self)
    }

    /// Starts to listen; the end of standard input is not listened for here. Called in a runtime.
    pub(super) fn listen_and(_: bool) -> std::io::Result<Self> {
        Self::listen()
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Signal {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Signal::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}
