//! Clients: the controller's own, and one for every deployer it acts as. Neither writes once another may lead.

mod again;
mod clock;
mod fence;
mod gentle;
pub mod patience;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http::{HeaderName, HeaderValue, Request, Response};
use jiff::Timestamp;
use kube::client::{Body, ClientBuilder, DynBody};
use kube::{Client, Config};
use tower::buffer::BufferLayer;
use tower::filter::FilterLayer;
use tower::limit::GlobalConcurrencyLimitLayer;
use tower::retry::RetryLayer;
use tower::util::{AndThenLayer, MapRequestLayer, MapResponseLayer};

use self::again::ReadAgain;
use self::clock::ServerClock;
use self::fence::WriteFence;
use self::gentle::Places;
use super::Error;
use crate::domain::name::{Namespace, ObjectName};

/// An answer of the API server.
type Answer = Response<Box<DynBody>>;

/// The way to one cluster. Cheap to clone.
#[derive(Clone)]
pub struct Connection {
    config: Config,
    controller: Client,
    clock: ServerClock,
    fence: WriteFence,
    places: GlobalConcurrencyLimitLayer,
    again: RetryLayer<ReadAgain>,
    gentle: Places,
    deployers: Arc<Mutex<HashMap<Deployer, Client>>>,
}

/// A ServiceAccount that objects of environments are written as.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Deployer {
    /// Its namespace: that of the Project.
    pub namespace: Namespace,
    /// Its name.
    pub name: ObjectName,
}

/// Nothing that we ask for takes longer on a healthy server; watches renew themselves before.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// So many requests of ours wait for an answer's first byte at a time, whoever they are sent as: an API server that comes back has other
/// clients too. One environment has sixteen at most.
const IN_FLIGHT: usize = 40;

impl Connection {
    /// Connects with `config`.
    ///
    /// The client's own retries are switched off: they would hold a reconcile for up to a quarter of an hour. A read that failed by
    /// chance is repeated within a second; any other failed request ends the reconcile, and the next one begins with what is true by then.
    ///
    /// # Errors
    /// The configuration's certificates or credentials cannot be used.
    pub fn new(mut config: Config) -> Result<Self, Error> {
        config.default_retry = false;
        config.connect_timeout = Some(Duration::from_secs(5));
        let (clock, fence) = (ServerClock::default(), WriteFence::default());
        let places = GlobalConcurrencyLimitLayer::new(IN_FLIGHT);
        let again = RetryLayer::new(ReadAgain::new());
        let reader = clock.clone();
        let read_clock = MapResponseLayer::new(move |answer: Response<Box<DynBody>>| reader.read(answer));
        let builder = ClientBuilder::try_from(config.clone()).map_err(Error::Connect)?;
        Ok(Self {
            config,
            controller: builder
                .with_layer(&put_off())
                .with_layer(&read_clock)
                .with_layer(&fenced(&fence))
                .with_layer(&places)
                .with_layer(&waiting())
                .with_layer(&again)
                .build(),
            clock,
            fence,
            places,
            again,
            gentle: Places::default(),
            deployers: Arc::default(),
        })
    }

    /// The controller's own identity.
    pub fn controller(&self) -> Client {
        self.controller.clone()
    }

    /// A client for what every replica may write, whether it leads or not.
    ///
    /// # Errors
    /// As [`Connection::new`].
    pub fn unfenced(&self) -> Result<Client, Error> {
        let builder = ClientBuilder::try_from(self.config.clone()).map_err(Error::Connect)?;
        Ok(builder.build())
    }

    /// A client for the Lease alone, in the name of `identity`. From now on the other clients write only as long as the Lease is ours
    /// for certain, by what the API server answered here last.
    ///
    /// # Errors
    /// As [`Connection::new`].
    pub fn candidate(&self, identity: &str) -> Result<Client, Error> {
        self.fence.close();
        let (fence, identity) = (self.fence.clone(), Arc::<str>::from(identity));
        let read_lease = AndThenLayer::new(move |answer: Response<Box<DynBody>>| fence.clone().read(answer, identity.clone()));
        let builder = ClientBuilder::try_from(self.config.clone()).map_err(Error::Connect)?;
        Ok(builder.with_layer(&read_lease).build())
    }

    /// Does work that has time, such as a teardown: its requests wait for each other, so that those of other work need not wait long.
    pub async fn gently<T>(&self, work: impl Future<Output = T>) -> T {
        self.gentle.share(work).await
    }

    /// Does work that somebody waits for, such as a push: until it is over, work that has time goes one request after the other.
    pub async fn promptly<T>(&self, work: impl Future<Output = T>) -> T {
        self.gentle.yield_to(work).await
    }

    /// Whether the control plane is on this very machine, as in a test.
    pub fn is_local(&self) -> bool {
        let host = self.config.cluster_url.host().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
        host == "localhost" || address.is_ok_and(|address| address.is_loopback())
    }

    /// The time by the API server's clock, to a second or two; `None` before its first answer.
    pub fn server_time(&self) -> Option<Timestamp> {
        self.clock.now()
    }

    /// The identity of a deployer, by impersonation. The account need not exist; its rights come from bindings.
    ///
    /// # Errors
    /// As [`Connection::new`].
    pub fn deployer(&self, deployer: &Deployer) -> Result<Client, Error> {
        let mut deployers = self.deployers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = deployers.get(deployer) {
            return Ok(client.clone());
        }
        let client = self.impersonate(deployer)?;
        deployers.insert(deployer.clone(), client.clone());
        Ok(client)
    }

    fn impersonate(&self, deployer: &Deployer) -> Result<Client, Error> {
        let user = format!("system:serviceaccount:{}:{}", deployer.namespace, deployer.name);
        // Both parts are validated names: nothing in them is refused by a header.
        let value = HeaderValue::from_str(&user).unwrap_or_else(|_| HeaderValue::from_static("system:anonymous"));
        let layer = MapRequestLayer::new(move |mut request: Request<Body>| {
            request
                .headers_mut()
                .insert(HeaderName::from_static("impersonate-user"), value.clone());
            request
        });
        let builder = ClientBuilder::try_from(self.config.clone()).map_err(Error::Connect)?;
        Ok(builder
            .with_layer(&put_off())
            .with_layer(&layer)
            .with_layer(&fenced(&self.fence))
            .with_layer(&self.places)
            .with_layer(&waiting())
            .with_layer(&self.again)
            .build())
    }
}

/// What is sent again has to be sent from a copy of the client, which only a queue before it makes possible.
fn waiting() -> BufferLayer<Request<Body>> {
    BufferLayer::new(1024)
}

/// Reads how long an answer asks to wait.
fn put_off() -> MapResponseLayer<fn(Answer) -> Answer> {
    MapResponseLayer::new(patience::read)
}

/// Asks the fence before each request. What waits for a place is asked about when it has one.
fn fenced(fence: &WriteFence) -> FilterLayer<impl Fn(Request<Body>) -> Result<Request<Body>, fence::Refused> + Clone + use<>> {
    let fence = fence.clone();
    FilterLayer::new(move |request| fence.admit(request))
}

/// Runs a request under [`REQUEST_TIMEOUT`], once there is a place for it ([`Connection::gently`]).
///
/// # Errors
/// The request's own error through `wrap`, or [`Error::TimedOut`].
pub(crate) async fn within<T>(
    operation: impl FnOnce() -> String,
    request: impl Future<Output = Result<T, kube::Error>>,
    wrap: impl FnOnce(kube::Error) -> Error,
) -> Result<T, Error> {
    let _place = gentle::place().await;
    match tokio::time::timeout(REQUEST_TIMEOUT, request).await {
        Ok(result) => result.map_err(wrap),
        Err(_) => Err(Error::TimedOut {
            operation: operation(),
            seconds: REQUEST_TIMEOUT.as_secs(),
        }),
    }
}
