//! The doors of an instance: listeners on its own loopback where the hub serves the model broker and the egress proxy.

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use futures_util::future::join_all;
use reef_broker::Tenant;
use reef_driver::{Driver, DriverError, Reason};
use reef_forward::{Egress as EgressProxy, EgressPolicy, egress::EgressHandle};
use reef_types::{Egress, InstanceId, InstanceSpec};
use secrecy::SecretString;
use tokio::net::TcpListener;

use crate::hub::Inner;

/// The model broker, as seen from inside.
pub(crate) const BROKER_PORT: u16 = 17_601;
/// The egress proxy, as seen from inside.
pub(crate) const EGRESS_PORT: u16 = 17_602;

/// Keeps one door served; dropped, it stops at once.
pub(crate) enum DoorGuard {
    Broker(reef_broker::ServeHandle),
    Egress(EgressHandle),
}

impl DoorGuard {
    async fn shutdown(self, limit: Duration) {
        match self {
            DoorGuard::Broker(handle) => handle.shutdown(limit).await,
            DoorGuard::Egress(handle) => handle.shutdown().await,
        }
    }
}

/// Serves the doors of one running instance.
pub(crate) async fn open(
    hub: &Inner,
    driver: &Arc<dyn Driver>,
    spec: &InstanceSpec,
    broker_key: &SecretString,
) -> Result<Vec<DoorGuard>, DriverError> {
    let tenant = Tenant { instance: spec.id, key: broker_key.clone() };
    let listener = listen(driver, spec.id, BROKER_PORT).await?;
    let mut doors = vec![DoorGuard::Broker(hub.broker.serve(listener, tenant))];
    if spec.egress == Egress::Open {
        let listener = listen(driver, spec.id, EGRESS_PORT).await?;
        doors.push(DoorGuard::Egress(EgressProxy::serve(listener, EgressPolicy::public_only())));
    }
    Ok(doors)
}

async fn listen(driver: &Arc<dyn Driver>, id: InstanceId, port: u16) -> Result<TcpListener, DriverError> {
    let socket: OwnedFd = driver.door(id, port).await?;
    let listener = std::net::TcpListener::from(socket);
    listener.set_nonblocking(true).and_then(|()| TcpListener::from_std(listener)).map_err(|err| {
        DriverError::new(Reason::Internal, format!("the door at port {port} could not be served: {err}"))
    })
}

/// Lets every door end what it is doing, within the hub's drain limit.
pub(crate) async fn drain_all(hub: &Inner) {
    let doors = hub.runtimes.take_doors();
    join_all(doors.into_iter().map(|door| door.shutdown(hub.config.drain))).await;
}
