//! Turns the gateway's rows and events into the normalised conversation. Sans IO: nothing here connects or waits.
//!
//! An item has the same id whether it comes from a live event or from history, so that a reload changes nothing that is
//! already on the screen:
//!
//! | item | id |
//! |---|---|
//! | a message sent through the gateway | `<run>:user` (the run's id is the idempotency key of the send) |
//! | n-th message of the assistant in a run | `<run>:<n>`, its thinking `<run>:<n>:thinking` |
//! | why a run failed | `<run>:error` |
//! | a tool call with its result | `tool:<call>` |
//! | everything else | `row:<transcript id>` |
//!
//! A turn that the gateway's own end cut off is taken up as another run. Its items go on under the first run's id, so that
//! it stays one turn with one end.
//!
//! The gateway cuts long messages in events and pages. An item that was cut is still open: the link reads the history
//! whole, and the history finishes it.

pub(crate) mod live;
pub(crate) mod rows;
pub(crate) mod sessions;
pub(crate) mod text;
