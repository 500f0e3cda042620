#![allow(missing_docs)]
pub fn lines(_: &crate::watch::Event) -> Vec<String> {
    Vec::new()
}
