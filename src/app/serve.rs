//! `graftling serve`: starts everything, stops everything.

mod ends;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::ends::{lost_lead, stop_signal};
use super::audiences::Audiences;
use super::lead::{self, Candidacy, Leadership};
use crate::cluster::claims::Holders;
use crate::cluster::error::chain;
use crate::cluster::kinds::Kinds;
use crate::cluster::live::{LiveObjects, Wake};
use crate::cluster::observe::Observer;
use crate::cluster::publish::Publisher;
use crate::cluster::recent::Recent;
use crate::cluster::references::RecentBindings;
use crate::cluster::residue::{Cost, Scanner};
use crate::cluster::signing::{Place, Signer};
use crate::cluster::{self, Connection};
use crate::config::Config;
use crate::controller::approvals::Approvals;
use crate::controller::changes::Changes;
use crate::controller::desired::Bundles;
use crate::controller::diagnoses::Diagnoses;
use crate::controller::errands::{Bounds, Carrier, Errands};
use crate::controller::hosts::Hosts;
use crate::controller::inbox::Inbox;
use crate::controller::memory::Memory;
use crate::controller::orphans::Orphans;
use crate::controller::patience::Patience;
use crate::controller::reconcile::Reconciler;
use crate::controller::relay::Relay;
use crate::controller::settings::{Scope, Settings};
use crate::controller::sources::{self, Sources};
use crate::controller::stores::{self, Change, Stores};
use crate::controller::sync::{BrakeMemory, EndedMemory, Progress, ServerClock, Sync, Unfinished, Unread};
use crate::controller::witnesses::Witnesses;
use crate::controller::{dispatch, queue};
use crate::githost::endpoint::Endpoints;
use crate::metrics::{Listener, Metrics};
use crate::render::{HelmSettings, Renderer, RendererSettings};
use crate::server::listener::{self, Limits};
use crate::server::readiness::{Check, Readiness};
use crate::server::webhook::BodyLimits;
use crate::server::{admin, webhook};

/// Why the server ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// There is no way to a cluster.
    #[error("could not find out how to reach the cluster")]
    FindCluster(#[source] kube::config::InferConfigError),
    /// The cluster cannot be reached.
    #[error("could not connect to the cluster")]
    Connect(#[source] cluster::Error),
    /// An address cannot be listened on.
    #[error("could not listen on {address} ({flag})")]
    Listen {
        /// The flag that gave the address.
        flag: &'static str,
        /// The address.
        address: std::net::SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// The settings of where bundles come from cannot be used.
    #[error("could not prepare the sources of bundles")]
    PrepareSources(#[source] sources::Error),
    /// No leader could be agreed on.
    #[error("could not take part in the leader election")]
    Elect(#[source] lead::Error),
    /// Another replica leads now; this one must not write any more.
    #[error("the lead was lost; ending, so that nothing is written by two")]
    LostLead,
    /// What talks to the cluster came to an end although nobody asked for it; the log says before this why.
    #[error("the work ended by itself; ending, so that a fresh start takes it up")]
    WorkEnded,
}

/// So many branches may wait to be looked at.
const INBOX_CAPACITY: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// So many notices may be on their way between two parts; whoever sends more waits.
const CHANNEL_CAPACITY: usize = 1024;

/// Runs the server until a signal ends it.
///
/// # Guarantees
/// Every replica serves webhooks; only the leader sweeps, reconciles and writes statuses. A replica that loses the lead ends.
///
/// # Errors
/// The server could not start, or could not go on.
pub async fn serve(config: Config) -> Result<(), ServeError> {
    let kube_config = kube::Config::infer().await.map_err(ServeError::FindCluster)?;
    let connection = Connection::new(kube_config).map_err(ServeError::Connect)?;
    let shutdown = CancellationToken::new();
    let unfenced = connection.unfenced().map_err(ServeError::Connect)?;
    let parts = Parts::new(&config, connection);
    sources::check(&parts.settings.sources).map_err(ServeError::PrepareSources)?;
    let listeners = Listeners::bind(&config).await?;
    let servers = listeners.start(&config, &parts, &shutdown);
    let (changes, receiver) = mpsc::channel(CHANNEL_CAPACITY);
    let stores = stores::start(&parts.connection.controller(), &parts.settings, &changes);
    let (leadership, candidacy) = stand(&config, &parts).await?;
    let mut work = tokio::spawn(work(parts, unfenced, stores, receiver, leadership.clone(), shutdown.clone()));
    tokio::select! {
        () = stop_signal() => {}
        // After a panic too: a server that takes deliveries and acts on none of them looks healthy for ever.
        _ = &mut work => return Err(ServeError::WorkEnded),
        // At once, without finishing anything: what is under way may be another's by now.
        () = lost_lead(leadership) => return Err(ServeError::LostLead),
    }
    tracing::info!("stopping");
    shutdown.cancel();
    let stopped = async {
        // A panic of either was logged where it happened.
        let _ = futures::join!(servers, work);
        candidacy.resign().await;
    };
    if tokio::time::timeout(config.shutdown_grace, stopped).await.is_err() {
        tracing::warn!("not everything ended in time; what is unfinished is taken up at the next start");
    }
    Ok(())
}

async fn stand(config: &Config, parts: &Parts) -> Result<(Leadership, Candidacy), ServeError> {
    if !config.leader_elect {
        return Ok(Leadership::alone());
    }
    Leadership::elect(&parts.connection, config, &parts.settings.instance)
        .await
        .map_err(ServeError::Elect)
}

/// What everything shares.
struct Parts {
    connection: Connection,
    settings: Settings,
    metrics: Metrics,
    endpoints: Endpoints,
    inbox: Inbox,
    readiness: Readiness,
    synced: Check,
}

impl Parts {
    fn new(config: &Config, connection: Connection) -> Self {
        let outbound = super::sources::outbound(&config.outbound, connection.is_local());
        let metrics = Metrics::new();
        let readiness = Readiness::new();
        let instance = std::env::var("HOSTNAME").unwrap_or_else(|_| "graftling".to_owned());
        Self {
            connection,
            settings: Settings {
                sources: super::sources::settings(&config.sources),
                outbound,
                helm: HelmSettings {
                    program: config.helm.clone(),
                    kube_version: config.helm_kube_version.clone(),
                    api_versions: config.helm_api_versions.clone(),
                },
                deployer_role: config.deployer_cluster_role.clone(),
                sweep_interval: config.sweep_interval,
                absence_confirmation: config.absence_confirmation,
                concurrency: u16::try_from(config.concurrency).unwrap_or(u16::MAX),
                render_workers: config.render_workers,
                resync: config.resync,
                url_port: config.url_port,
                scope: Scope::new(config.watch_namespaces.clone()),
                receipt_key: receipt_key(config),
                approval_policy: config.approval_policy.clone(),
                tools_image: config.tools_image.clone(),
                instance: format!("{instance}-{}", std::process::id()),
            },
            endpoints: Endpoints::default(),
            inbox: Inbox::new(INBOX_CAPACITY, metrics.clone()),
            synced: readiness.require("custom resources listed"),
            readiness,
            metrics,
        }
    }
}

/// Where the key for receipts is kept; nowhere, if nobody says and there is no cluster around us.
fn receipt_key(config: &Config) -> Option<Place> {
    let own = || lead::own_namespace()?.parse().ok();
    let place = config.key_namespace.clone().or_else(own).map(|namespace| Place {
        namespace,
        name: config.key_name.clone(),
    });
    if place.is_none() {
        tracing::warn!("receipts are not signed: --key-namespace is not given and the server runs outside of a cluster");
    }
    place
}

struct Listeners {
    webhook: TcpListener,
    admin: TcpListener,
}

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, ServeError> {
        Ok(Self {
            webhook: bind("--listen", config.listen).await?,
            admin: bind("--admin-listen", config.admin_listen).await?,
        })
    }

    /// Starts both servers; the future ends when both have stopped.
    fn start(self, config: &Config, parts: &Parts, shutdown: &CancellationToken) -> tokio::task::JoinHandle<()> {
        let address = |listener: &TcpListener| listener.local_addr().map(|address| address.to_string()).unwrap_or_default();
        tracing::info!(webhook = %address(&self.webhook), admin = %address(&self.admin), "listening");
        let limits = Limits::default();
        let body_limits = BodyLimits {
            bytes: config.webhook_body_limit,
            ..BodyLimits::default()
        };
        let routes = webhook::routes(parts.endpoints.clone(), parts.inbox.clone(), body_limits, parts.metrics.clone());
        let webhook = listener::serve(
            self.webhook,
            routes,
            limits,
            parts.metrics.connections(Listener::Webhook),
            shutdown.clone(),
        );
        let routes = admin::routes(parts.readiness.clone(), parts.metrics.clone());
        let admin = listener::serve(
            self.admin,
            routes,
            limits,
            parts.metrics.connections(Listener::Admin),
            shutdown.clone(),
        );
        tokio::spawn(async move {
            futures::join!(webhook, admin);
        })
    }
}

async fn bind(flag: &'static str, address: std::net::SocketAddr) -> Result<TcpListener, ServeError> {
    TcpListener::bind(address)
        .await
        .map_err(|source| ServeError::Listen { flag, address, source })
}

/// Everything that talks to the cluster and to Git hosts.
async fn work(
    parts: Parts,
    unfenced: kube::Client,
    stores: Stores,
    mut changes: mpsc::Receiver<Change>,
    mut leadership: Leadership,
    shutdown: CancellationToken,
) {
    let client = parts.connection.controller();
    let hosts = Hosts::new(client.clone(), parts.endpoints.clone(), Some(stores.githosts.clone()));
    let publisher = Publisher::new(client.clone(), parts.settings.instance.clone());
    let followed = Relay {
        client: unfenced,
        hosts: hosts.clone(),
        stores: stores.clone(),
        inbox: parts.inbox.clone(),
        scope: parts.settings.scope.clone(),
    };
    let lead_begins = async {
        stores.ready().await;
        parts.synced.set(true);
        leadership.gained().await;
    };
    // Followed from the start: whoever takes no changes holds the watches up.
    tokio::select! {
        () = followed.run(&mut changes) => return,
        () = lead_begins => {}
        () = shutdown.cancelled() => return,
    }
    tracing::info!("leading");
    lead(parts, stores, hosts, publisher, changes, shutdown).await;
}

/// Its workers start with the first bundle that is rendered, so a server without an environment, or one that follows, has none.
fn renderer(settings: &Settings) -> Renderer {
    Renderer::new(RendererSettings {
        workers: settings.render_workers,
        helm: settings.helm.clone(),
        ..RendererSettings::default()
    })
}

/// What sees live objects, and wakes environments when they change.
fn observer(parts: &Parts, wakes: mpsc::Sender<Wake>) -> Observer {
    let client = parts.connection.controller();
    Observer {
        connection: parts.connection.clone(),
        recent: Recent::default(),
        bindings: RecentBindings::default(),
        live: LiveObjects::new(client.clone(), wakes, parts.settings.resync),
        holders: Some(Holders::new(client.clone(), parts.settings.resync)),
        kinds: Kinds::new(client),
    }
}

async fn lead(
    parts: Parts,
    stores: Stores,
    hosts: Hosts,
    publisher: Publisher,
    changes: mpsc::Receiver<Change>,
    shutdown: CancellationToken,
) {
    let client = parts.connection.controller();
    let sources = match Sources::new(parts.settings.sources.clone(), client.clone(), hosts.clone()) {
        Ok(sources) => sources,
        // The settings were tried at the start; a file may have changed since.
        Err(error) => return tracing::error!(error = %chain(&error), "bundles cannot be fetched"),
    };
    let (wakes, woken) = mpsc::channel(CHANNEL_CAPACITY);
    let observer = observer(&parts, wakes.clone());
    let errands = match Carrier::new(&parts.settings.outbound, observer.clone(), hosts.clone()) {
        Ok(carrier) => Errands::new(Arc::new(carrier), Bounds::SERVER, wakes.clone(), parts.metrics.clone()),
        Err(error) => return tracing::error!(error = %chain(&error), "stages cannot ask anything of the outside"),
    };
    let reconciler = Arc::new(Reconciler {
        changes: Changes::new(hosts.clone()),
        approvals: Approvals::new(client.clone(), parts.settings.approval_policy.clone()),
        scanner: scanner(parts.connection.clone(), wakes, parts.metrics.clone()),
        signer: Signer::new(client.clone(), parts.settings.receipt_key.clone()),
        observer,
        errands: errands.clone(),
        publisher: publisher.clone(),
        stores: stores.clone(),
        memory: Memory::default(),
        patience: Patience::default(),
        diagnoses: Diagnoses::default(),
        witnesses: Witnesses::default(),
        bundles: Bundles::new(sources, renderer(&parts.settings), parts.metrics.clone()),
        settings: parts.settings.clone(),
        metrics: parts.metrics.clone(),
    });
    let sync = Arc::new(sync(&parts, &stores, &hosts, &publisher));
    let audiences = Audiences::new(&client, &hosts, &reconciler);
    let (triggers, queued) = mpsc::channel(CHANNEL_CAPACITY);
    let dispatcher = dispatch::Dispatcher {
        stores,
        hosts,
        publisher,
        sync: sync.clone(),
        memory: reconciler.memory.clone(),
        witnesses: reconciler.witnesses.clone(),
        errands,
        bells: audiences.bells(),
        triggers,
    };
    let passes = queue::run(reconciler, queued, shutdown.clone());
    tokio::select! {
        () = async { futures::join!(passes, sync.run(shutdown.clone()), audiences.run(shutdown.clone())); } => {}
        () = dispatcher.run(changes, woken) => {}
    }
}

/// What decides which environments there are.
fn sync(parts: &Parts, stores: &Stores, hosts: &Hosts, publisher: &Publisher) -> Sync {
    Sync {
        client: parts.connection.controller(),
        hosts: hosts.clone(),
        stores: stores.clone(),
        publisher: publisher.clone(),
        inbox: parts.inbox.clone(),
        metrics: parts.metrics.clone(),
        settings: parts.settings.clone(),
        orphans: Orphans::default(),
        progress: Progress::default(),
        ended: EndedMemory::default(),
        brakes: BrakeMemory::default(),
        unfinished: Unfinished::default(),
        unread: Unread::default(),
        clock: ServerClock::default(),
    }
}

/// Looks for what teardowns left, and counts what that costs.
fn scanner(connection: Connection, wakes: mpsc::Sender<Wake>, metrics: Metrics) -> Scanner {
    let count = move |cost: &Cost| metrics.residue_scan(cost.duration, cost.requests, cost.environments);
    Scanner::new(connection, wakes, Arc::new(count))
}
