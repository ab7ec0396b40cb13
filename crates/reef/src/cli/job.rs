//! Follows a job to its end, with a progress bar when somebody watches. The job itself goes on in the hub, whoever looks.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use reef_types::{Job, JobState};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    client::{self, Client},
    failure::Failure,
    output::printable,
    sse::EventStream,
};

/// How long a hub may be away, as in an upgrade, before the command gives up.
pub(crate) const AWAY_MAX: Duration = Duration::from_secs(60);
/// First and longest pause between two tries to reach a hub that went away.
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LONGEST: Duration = Duration::from_secs(2);

/// Waits for jobs. Opened before the job is made, so that no event of it is missed.
pub(crate) struct Follower<'a> {
    client: &'a Client,
    events: EventStream,
    bar: ProgressBar,
}

impl<'a> Follower<'a> {
    pub(crate) async fn open(client: &'a Client) -> Result<Self, Failure> {
        let events = client.events("/api/events", None).await?;
        // On anything but a terminal the bar draws nothing.
        Ok(Self { client, events, bar: ProgressBar::new_spinner() })
    }

    /// Waits until the job is over, and returns it as it ended.
    ///
    /// # Errors
    /// `Failed` with the job's own message when it ended otherwise than well, or when the person interrupts.
    pub(crate) async fn settle(mut self, job: Job) -> Result<Job, Failure> {
        self.bar.enable_steady_tick(Duration::from_millis(120));
        let id = job.id;
        let outcome = tokio::select! {
            outcome = self.watch(job) => outcome,
            _ = tokio::signal::ctrl_c() => Err(Failure::Failed(format!("not waiting any longer; {id} goes on in the hub"))),
        };
        self.bar.finish_and_clear();
        outcome
    }

    async fn watch(&mut self, mut job: Job) -> Result<Job, Failure> {
        loop {
            show(&self.bar, &job);
            if job.state.is_settled() {
                return outcome(job);
            }
            job = match self.events.next().await {
                Ok(Some(event)) if event.name == "job" => match event.parse::<Job>()? {
                    changed if changed.id == job.id => changed,
                    _ => continue,
                },
                Ok(Some(_)) => continue,
                Ok(None) | Err(Failure::Unavailable(_)) => self.reopen(&job).await?,
                Err(failure) => return Err(failure),
            };
        }
    }

    /// Finds the hub again, and the job as it is now: events may have been missed.
    async fn reopen(&mut self, job: &Job) -> Result<Job, Failure> {
        let mut retry = Retry::new();
        loop {
            retry.pause().await?;
            let reopened = async {
                let events = self.client.events("/api/events", None).await?;
                let job = self.client.get(&format!("/api/jobs/{}", job.id)).await?;
                Ok::<_, Failure>((events, job))
            };
            match reopened.await {
                Ok((events, job)) => {
                    self.events = events;
                    return client::read(unwrap_job(job));
                }
                Err(failure) if failure.is_transient() => {}
                Err(failure) => return Err(failure),
            }
        }
    }
}

/// Pauses that grow, until a hub was away for too long.
pub(crate) struct Retry {
    pause: Duration,
    give_up: Instant,
}

impl Retry {
    pub(crate) fn new() -> Self {
        Self { pause: RETRY_FIRST, give_up: Instant::now() + AWAY_MAX }
    }

    /// # Errors
    /// `Unavailable` when it is time to give up.
    pub(crate) async fn pause(&mut self) -> Result<(), Failure> {
        if Instant::now() + self.pause > self.give_up {
            let seconds = AWAY_MAX.as_secs();
            return Err(Failure::Unavailable(format!("the hub was away for more than {seconds} s")));
        }
        tokio::time::sleep(self.pause).await;
        self.pause = (self.pause * 2).min(RETRY_LONGEST);
        Ok(())
    }
}

/// A job stands alone or under the key `job`.
fn unwrap_job(mut answer: Value) -> Value {
    match answer.get_mut("job") {
        Some(job) => job.take(),
        None => answer,
    }
}

fn outcome(job: Job) -> Result<Job, Failure> {
    match job.state {
        JobState::Cancelled => Err(Failure::Failed("it was cancelled".to_owned())),
        JobState::Failed => {
            let reason = job.reason.unwrap_or_else(|| "unknown".to_owned());
            Err(Failure::Failed(job.message.unwrap_or_else(|| format!("it failed: {reason}"))))
        }
        JobState::Queued | JobState::Running | JobState::Done => Ok(job),
    }
}

fn show(bar: &ProgressBar, job: &Job) {
    let progress = &job.progress;
    if progress.total == 0 {
        bar.unset_length();
    } else {
        bar.set_length(progress.total);
    }
    bar.set_style(style(progress.total, &progress.unit));
    bar.set_position(progress.done);
    bar.set_message(printable(&progress.step).into_owned());
}

fn style(total: u64, unit: &str) -> ProgressStyle {
    let template = match (total, unit) {
        (0, _) => "{spinner} {msg} ({elapsed})",
        (_, "bytes") => "{spinner} {msg} [{bar:24}] {bytes}/{total_bytes} ({elapsed})",
        _ => "{spinner} {msg} [{bar:24}] {pos}/{len} ({elapsed})",
    };
    ProgressStyle::with_template(template).expect("the templates are constants").progress_chars("=> ")
}
