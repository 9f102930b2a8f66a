//! The post hook of both pipelines: after a step that did not come to its own end it settles
//! what that run left, as far as the host lets it.
//!
//! Owns the time that it takes. What is left when that is over stays marked in Azure, and is
//! said; the next run or a `slotway settle` finishes it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::context::Context;
use super::{commanded, perform};
use crate::error::Error;
use crate::host::screen::Screen;

/// Both hosts give what still runs after a cancellation five minutes, all steps together
/// (github-actions §1, "the 5 min allowance"; azure-pipelines §3, `cancelTimeoutInMinutes`, its
/// default), and kill it then. The last of them is for the other steps, and for saying what is left.
pub(super) const TIME: Duration = Duration::from_secs(4 * 60);

/// After a step that did not come to its own end: settles what that run left.
pub(super) async fn post_hook(mut context: Context) -> Result<u8, Error> {
    match commanded(&context) {
        // What only reads leaves nothing behind, and a rehearsal neither.
        Ok("check" | "plan" | "status") | Err(_) => return Ok(0),
        // A publish profile swaps nothing, and cannot read what others swapped.
        Ok(_) if context.raw.get("publish-profile").is_some() => return Ok(0),
        Ok(_) => settle_only_its_own(&mut context),
    }
    let result = perform("settle", &context).await;
    context.finish(result, "settle")
}

/// Settles nothing but what this pipeline run left, and stops when the hook's time is over.
pub(super) fn settle_only_its_own(context: &mut Context) {
    context.only_of = context.host.run(&context.process);
    context.cancelled = limited(context.cancelled.clone(), Arc::clone(&context.terminal));
}

/// The same signal, which comes by itself when the hook's time is over.
fn limited(mut cancelled: watch::Receiver<bool>, terminal: Arc<Screen>) -> watch::Receiver<bool> {
    let (sender, receiver) = watch::channel(*cancelled.borrow());
    tokio::spawn(async move {
        let signalled = async {
            if cancelled.wait_for(|stop| *stop).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = sender.closed() => return,
            () = signalled => {}
            () = tokio::time::sleep(TIME) => terminal.say(&[format!(
                "stopping after {} min, before the host ends this hook by force",
                TIME.as_secs() / 60
            )]),
        }
        sender.send_replace(true);
    });
    receiver
}
