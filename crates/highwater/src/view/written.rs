//! Which files were written.

use super::paint::{Page, put};

/// The files, below the answer. Never wrapped: their names are there to be copied.
pub(crate) fn list(page: Page, files: &[String]) -> String {
    let about = match files.len() {
        0 => "nothing: of these deaths there is no report, which is what is written".to_owned(),
        1 => "1 report".to_owned(),
        count => format!("{count} reports"),
    };
    let mut out = page.head("Written", &about);
    for file in files {
        put(&mut out, &format!("  {file}\n"));
    }
    out
}
