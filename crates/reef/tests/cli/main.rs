//! The command line as its users see it: the real program against a hub that plays a script.

mod chat;
mod commands;
mod hub;
mod waiting;
