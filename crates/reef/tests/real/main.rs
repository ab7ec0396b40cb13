//! The whole program with the real agent: what a person does with two instances, and what goes wrong on bad days.
//!
//! Needs `REEF_TEST_VERSIONS`: a version store with the agent and its Node. A start of the agent takes seconds of cpu and a
//! gigabyte, so there is one hub and one story, and each chapter goes on where the one before it has stopped.

mod birth;
mod death;
mod egress;
mod isolation;
mod kills;
mod life;
mod limits;
mod lock;
mod reef;
mod secrets;
mod talk;
mod world;

use std::time::Instant;

use reef::Reef;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_real_agent() {
    let mut reef = Reef::start().await;
    chapter("two are created at once while node and hub are killed", birth::two_at_once(&reef)).await;
    chapter("a second hub is refused", lock::a_second_hub_is_refused(&reef)).await;
    chapter("both answer at once", talk::both_at_once(&reef)).await;
    chapter("nothing is seen or reached from inside", isolation::nothing_beyond_itself(&reef)).await;
    chapter("secrets are nowhere", secrets::nowhere_else(&reef)).await;
    chapter("hub and node are killed beside ready instances", kills::hub_and_node(&reef)).await;
    chapter("the hub is killed in mid-answer", kills::hub_in_mid_answer(&reef)).await;
    chapter("everything is restarted in mid-answer", kills::restart_in_mid_answer(&mut reef)).await;
    chapter("the supervisor is killed", kills::supervisor(&mut reef)).await;
    chapter("gateway and shim are killed", kills::gateway_and_shim(&reef)).await;
    chapter("memory runs out", limits::memory(&reef)).await;
    chapter("stop and start", life::stop_and_start(&reef)).await;
    chapter("remove", death::nothing_is_left(&reef)).await;
    chapter("an open egress stays out of this machine", egress::this_machine_is_refused(&reef)).await;
    chapter("the end", death::nobody_is_left(reef)).await;
}

async fn chapter(title: &str, story: impl Future<Output = ()>) {
    let began = Instant::now();
    story.await;
    println!("{:6.1} s  {title}", began.elapsed().as_secs_f64());
}
