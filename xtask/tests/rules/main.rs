//! The rules of the repository, as tests: what may depend on what, what is written where, how large a file may grow.
//! A rule that cannot be checked by a machine belongs into CONTRIBUTING.md, not here.

mod acceptance;
mod arrows;
mod contents;
mod manifests;
mod source;
