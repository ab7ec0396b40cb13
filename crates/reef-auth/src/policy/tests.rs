use std::collections::HashSet;

use reef_types::{SessionId, TokenId, UserId};

use super::*;
use crate::{Actor, Via};

fn token(scopes: &[&str]) -> Actor {
    let scopes = Scopes::parse(scopes).unwrap();
    Actor::Owner { user: UserId::new(), name: "ada".to_owned(), via: Via::Token { id: TokenId::new(), scopes } }
}

/// The whole policy, to be read by people: a change of a right shows up here.
#[test]
fn table() {
    let session = Actor::Owner { user: UserId::new(), name: "ada".to_owned(), via: Via::Session(SessionId::new()) };
    let actors = [session, Actor::Local { uid: 0 }, token(&["all"]), token(&["read"]), token(&["chat"]), token(&[])];
    let mut table = format!("{:20} session local all read chat none\n", "action");
    for action in Action::ALL {
        table += &format!("{:20}", action.as_str());
        for (actor, width) in actors.iter().zip([8, 6, 4, 5, 5, 5]) {
            table += &format!("{:>width$}", if actor.authorize(*action).is_ok() { "yes" } else { "-" });
        }
        table += "\n";
    }
    insta::assert_snapshot!(table, @r"
    action               session local all read chat none
    instance.list            yes   yes yes  yes  yes    -
    instance.read            yes   yes yes  yes  yes    -
    instance.create          yes   yes yes    -    -    -
    instance.start           yes   yes yes    -    -    -
    instance.stop            yes   yes yes    -    -    -
    instance.restart         yes   yes yes    -    -    -
    instance.delete          yes   yes yes    -    -    -
    instance.token           yes   yes yes    -    -    -
    instance.chat.read       yes   yes yes  yes  yes    -
    instance.chat            yes   yes yes    -  yes    -
    instance.proxy           yes   yes yes    -    -    -
    instance.connect         yes   yes yes    -    -    -
    instance.logs            yes   yes yes  yes    -    -
    credential.list          yes   yes yes  yes    -    -
    agent.read               yes   yes yes  yes    -    -
    agent.install            yes   yes yes    -    -    -
    agent.remove             yes   yes yes    -    -    -
    job.read                 yes   yes yes  yes  yes    -
    job.cancel               yes   yes yes    -    -    -
    provider.read            yes   yes yes  yes    -    -
    provider.write           yes   yes yes    -    -    -
    token.read               yes   yes yes  yes    -    -
    token.write              yes   yes yes    -    -    -
    session.read             yes   yes yes  yes  yes    -
    audit.read               yes   yes yes  yes    -    -
    system.read              yes   yes yes  yes    -    -
    events.read              yes   yes yes  yes  yes    -
    ");
}

#[test]
fn actions_have_distinct_names() {
    let names: HashSet<_> = Action::ALL.iter().map(|action| action.as_str()).collect();
    assert_eq!(names.len(), Action::ALL.len());
}

#[test]
fn scopes_add_up() {
    let both = token(&["read", "chat"]);
    assert!(both.authorize(Action::InstanceLogs).is_ok() && both.authorize(Action::InstanceChat).is_ok());
    assert_eq!(both.authorize(Action::InstanceDelete), Err(Denied { action: Action::InstanceDelete }));
}

#[test]
fn unknown_scopes_are_refused() {
    for bad in ["", "ALL", "write", "all "] {
        assert_eq!(Scopes::parse(&["read", bad]), Err(ScopeError), "{bad:?}");
    }
    let texts = ["chat", "read"];
    assert_eq!(Scopes::parse(&texts).unwrap().to_texts(), texts);
    for scope in Scope::ALL {
        assert_eq!(scope.as_str().parse(), Ok(scope));
        assert_eq!(serde_json::to_value(scope).unwrap(), scope.as_str());
    }
}
