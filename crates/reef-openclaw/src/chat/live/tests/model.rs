//! What a page makes of the events: the plainest possible reader.

use super::*;

#[derive(Debug, Default)]
pub(super) struct Screen {
    pub(super) items: Vec<ChatItem>,
    pub(super) phases: Vec<String>,
    pub(super) message: Option<String>,
    pub(super) reloads: usize,
}

impl Screen {
    pub(super) fn apply(&mut self, change: &ChatChange) {
        match change {
            ChatChange::Item(item) => rows::put(&mut self.items, item.clone()),
            ChatChange::Run(run) => {
                self.phases.push(run.phase.clone());
                self.message.clone_from(&run.message);
            }
            ChatChange::Reload => self.reloads += 1,
        }
    }

    pub(super) fn texts(&self) -> Vec<(&str, &str)> {
        self.items.iter().map(|item| (item.id.as_str(), item.text.as_str())).collect()
    }
}
