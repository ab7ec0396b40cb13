//! The snapshot of where instances are. Published whole by the control plane, read without a lock by every request.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use reef_types::{ApiError, ErrorCode, InstanceId, InstanceName};

/// Whether an instance takes requests now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RouteState {
    Ready,
    Unavailable {
        /// For people: `the instance is starting`.
        reason: String,
        /// When another try makes sense, in milliseconds.
        retry_after_ms: u64,
    },
}

/// How one instance is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    pub id: InstanceId,
    pub name: InstanceName,
    /// Raised whenever the instance is started anew; connections of an older generation are not used again.
    pub generation: u64,
    /// Port of the gateway on the instance's own loopback.
    pub port: u16,
    pub state: RouteState,
}

#[derive(Debug, Default)]
struct RouteSnapshot {
    by_id: HashMap<InstanceId, Arc<Route>>,
    by_name: HashMap<String, InstanceId>,
}

/// All routes of this moment.
#[derive(Debug, Default)]
pub struct Routes {
    snapshot: ArcSwap<RouteSnapshot>,
}

impl Routes {
    /// Replaces all routes at once.
    pub fn publish(&self, routes: Vec<Route>) {
        let mut next = RouteSnapshot::default();
        for route in routes {
            next.by_name.insert(route.name.as_str().to_owned(), route.id);
            next.by_id.insert(route.id, Arc::new(route));
        }
        self.snapshot.store(Arc::new(next));
    }

    /// The route of an instance that is known by its id.
    pub fn get(&self, id: InstanceId) -> Option<Arc<Route>> {
        self.snapshot.load().by_id.get(&id).cloned()
    }

    /// The route of an instance, named by id or name.
    ///
    /// # Errors
    /// `unknown_selector` when there is none.
    pub fn lookup(&self, selector: &str) -> Result<Arc<Route>, ApiError> {
        let snapshot = self.snapshot.load();
        // A name never starts with `ins_`: it holds no underscore.
        let id = selector.parse().ok().or_else(|| snapshot.by_name.get(selector).copied());
        id.and_then(|id| snapshot.by_id.get(&id).cloned())
            .ok_or_else(|| ApiError::new(ErrorCode::UnknownSelector, "there is no instance with this id or name"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str, generation: u64) -> Route {
        Route { id: InstanceId::new(), name: name.parse().unwrap(), generation, port: 1, state: RouteState::Ready }
    }

    #[test]
    fn a_snapshot_replaces_the_one_before() {
        let routes = Routes::default();
        let (a, b) = (route("a", 1), route("b", 1));
        routes.publish(vec![a.clone(), b.clone()]);
        assert_eq!(*routes.lookup("a").unwrap(), a);
        assert_eq!(*routes.lookup(&b.id.to_string()).unwrap(), b);
        assert_eq!(routes.get(b.id).as_deref(), Some(&b));
        let renamed = Route { name: "c".parse().unwrap(), ..a.clone() };
        routes.publish(vec![renamed]);
        assert!(routes.lookup("a").is_err() && routes.lookup("b").is_err() && routes.lookup("").is_err());
        assert_eq!(routes.lookup("c").unwrap().id, a.id);
    }
}
