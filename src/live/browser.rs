//! Opens a page in the browser of whoever sits at the machine.

use std::io;

/// Opens a URL in the default browser, as a process of its own that outlives this one.
///
/// It may take a moment to see that it worked: call it on a thread that may wait.
///
/// # Errors
/// There is nothing that opens URLs, or it failed at once.
pub fn open(url: &str) -> io::Result<()> {
    open::that_detached(url)
}
