//! SIGTERM and Ctrl-C end a long command cleanly; a second one ends it at once.

/// Calls `stop` at the first signal and exits at the second.
pub fn on_stop(stop: impl FnOnce() + Send + 'static) {
    tokio::spawn(async move {
        wait().await;
        stop();
        wait().await;
        std::process::exit(130);
    });
}

/// Waits for one signal.
pub async fn wait() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut terminate), Ok(mut interrupt)) = (
        signal(SignalKind::terminate()),
        signal(SignalKind::interrupt()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
