//! The process driver for real: every promise is tried out on programs in real sandboxes on this machine, by whoever runs
//! the tests (an ordinary user or root; root tries the ordinary user too).

#[path = "instance/fixture.rs"]
mod fixture;

#[path = "instance/doors.rs"]
mod doors;
#[path = "instance/isolation.rs"]
mod isolation;
#[path = "instance/life.rs"]
mod life;
#[path = "instance/limits.rs"]
mod limits;
#[path = "instance/logs.rs"]
mod logs;
#[path = "instance/secrets.rs"]
mod secrets;
#[path = "instance/tasks.rs"]
mod tasks;
