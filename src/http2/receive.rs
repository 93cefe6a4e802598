//! What comes with a request: read to its end where it is wanted, and forgotten where it is not.

use std::time::Duration;

use bytes::BytesMut;
use h2::RecvStream;

use crate::answer::live::Received;

/// How long the end of a body that nobody wants is waited for before it is answered all the same.
pub const UNWANTED_WAIT_MAX: Duration = Duration::from_secs(1);
/// How long the end of a wanted body is waited for.
pub const WANTED_WAIT_MAX: Duration = Duration::from_secs(10);

/// Reads a request's body to its end, or as far as it comes in time, and returns it if it is not
/// longer than wanted. `may_hold` counts what has come, and says whether it may be held.
pub(super) async fn receive(
    mut body: RecvStream,
    most: usize,
    mut may_hold: impl FnMut(usize) -> bool,
) -> Received {
    let mut came = 0;
    let reading = async {
        let mut whole = BytesMut::new();
        while let Some(piece) = body.data().await {
            let Ok(piece) = piece else {
                return None;
            };
            came += piece.len();
            // It can only fail if the stream is gone, and then the next piece says so.
            let _ = body.flow_control().release_capacity(piece.len());
            if whole.len() + piece.len() > most {
                return Some(Received::TooLong);
            }
            if !may_hold(piece.len()) {
                return Some(Received::Busy);
            }
            whole.extend_from_slice(&piece);
        }
        Some(Received::Whole(whole.freeze()))
    };
    // What has come of a body that is not wanted is dropped before its end is waited for.
    let received = tokio::time::timeout(WANTED_WAIT_MAX, reading).await;
    let received = received.ok().flatten().unwrap_or(Received::Cut(came));
    if matches!(received, Received::TooLong | Received::Busy) {
        discard(body).await;
    }
    received
}

/// Reads a request's body to its end, or as far as it comes in time, and forgets it. An answer
/// before that is legal (RFC 9113 section 8.1), but clients trip over it: curl 7.88 reports a
/// stream error.
pub(super) async fn discard(mut body: RecvStream) {
    let end = async {
        while let Some(Ok(piece)) = body.data().await {
            // It can only fail if the stream is gone, and then the next piece says so.
            let _ = body.flow_control().release_capacity(piece.len());
        }
    };
    // Late or not, the answer is the same.
    let _ = tokio::time::timeout(UNWANTED_WAIT_MAX, end).await;
}
