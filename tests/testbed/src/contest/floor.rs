//! The floor: a raw writer that sends ready-made bodies as fast as it can. It decides nothing, and nobody can be much faster.
//!
//! It runs as a process of its own, so that what it uses is counted apart, and takes its work by a line on a socket, as others take deliveries.

mod requests;

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::{BoxFuture, try_join_all};
use kube::Client;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Error;
use super::content;
use super::task::{Contender, Environment, Namer, Task};
use crate::command::{Invocation, Running};
use crate::control_plane;
use crate::subject::LONG;
pub use requests::{Mode, Prepared, requests};

/// How many environments are written at a time, as graftling does by default. More do not help: the API server is busy.
const PLACES: usize = 16;

/// So long a deployer may be refused after it was given its rights.
const GRANTED: Duration = Duration::from_secs(5);

/// A writer with warm connections.
#[derive(Clone)]
pub struct Writer {
    client: Client,
    places: Arc<Semaphore>,
}

impl Writer {
    /// Connects, and warms as many connections as the objects of one environment take.
    pub async fn connect(kubeconfig: &Path) -> Result<Writer, Error> {
        let client = control_plane::client(kubeconfig).await.map_err(Error::StartPlane)?;
        let writer = Writer {
            client,
            places: Arc::new(Semaphore::new(PLACES)),
        };
        let look = Prepared::bare("GET", "/version".to_owned(), 0);
        try_join_all((0..content::COUNT).map(|_| writer.send(&look))).await?;
        Ok(writer)
    }

    /// Writes environments, of each one wave after the other.
    pub async fn write(&self, environments: &[Vec<Prepared>]) -> Result<(), Error> {
        try_join_all(environments.iter().map(|requests| self.write_one(requests)))
            .await
            .map(drop)
    }

    async fn write_one(&self, requests: &[Prepared]) -> Result<(), Error> {
        // The semaphore is never closed.
        let _place = self.places.acquire().await;
        for wave in 0..=requests::LAST_WAVE {
            let now = requests.iter().filter(|request| request.wave == wave);
            try_join_all(now.map(|request| self.send_when_allowed(request))).await?;
        }
        Ok(())
    }

    /// An authorizer takes a moment to see a new RoleBinding.
    async fn send_when_allowed(&self, request: &Prepared) -> Result<(), Error> {
        let begun = Instant::now();
        loop {
            match self.send(request).await {
                Err(error) if request.user.is_some() && error.is_forbidden() && begun.elapsed() < GRANTED => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                other => return other,
            }
        }
    }

    async fn send(&self, request: &Prepared) -> Result<(), Error> {
        let what = format!("{} {}", request.method, request.path);
        let mut built = http::Request::builder()
            .method(request.method.as_str())
            .uri(&request.path)
            .header("content-type", &request.content_type);
        if let Some(user) = &request.user {
            built = built.header("impersonate-user", user);
        }
        let built = built.body(request.body.clone().into_bytes());
        let built = built.map_err(|error| Error::Understand(format!("{what}: {error}")))?;
        self.client.request_text(built).await.map(drop).map_err(Error::request(what))
    }
}

/// Takes lines of work on a socket whose address is printed, and answers each with a line, until it is killed.
pub async fn serve(kubeconfig: &Path) -> Result<(), Error> {
    let writer = Writer::connect(kubeconfig).await?;
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .map_err(Error::io("listen on", "127.0.0.1"))?;
    let address = listener.local_addr().map_err(Error::io("listen on", "127.0.0.1"))?;
    println!("listening {address}");
    loop {
        let (stream, _) = listener.accept().await.map_err(Error::io("accept on", "127.0.0.1"))?;
        let writer = writer.clone();
        tokio::spawn(async move {
            if let Err(error) = work(stream, &writer).await {
                eprintln!("{}", crate::error_chain(&error));
            }
        });
    }
}

async fn work(stream: TcpStream, writer: &Writer) -> Result<(), Error> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.map_err(Error::io("read", "a line of work"))?;
    let work: Vec<Vec<Prepared>> = serde_json::from_str(&line).map_err(|error| Error::Understand(error.to_string()))?;
    let answer = match writer.write(&work).await {
        Ok(()) => "done\n".to_owned(),
        Err(error) => format!("{}\n", crate::error_chain(&error)),
    };
    stream.write_all(answer.as_bytes()).await.map_err(Error::io("write", "an answer"))
}

/// The floor as a contender.
pub struct Floor {
    mode: Mode,
    namer: Namer,
    user: String,
    running: Running,
    address: String,
}

impl Floor {
    /// Starts it. `program` is this very program, with what makes it [`serve`].
    pub async fn start(program: Invocation, mode: Mode, namer: Namer, user: String) -> Result<Floor, Error> {
        let running = program.start().map_err(Error::StartProgram)?;
        let listening = running.wait_for_line("that it listens", LONG, |line| line.starts_with("listening "));
        let line = listening.await.map_err(Error::StartProgram)?;
        let address = line.trim_start_matches("listening ").to_owned();
        Ok(Floor {
            mode,
            namer,
            user,
            running,
            address,
        })
    }

    async fn order(&self, task: Task, environments: &[Environment]) -> Result<Instant, Error> {
        let failed = || Error::io("talk to", self.address.as_str());
        let work = serde_json::to_string(&requests(task, self.mode, environments));
        let line = work.map_err(|error| Error::Understand(error.to_string()))? + "\n";
        let stream = TcpStream::connect(&self.address).await.map_err(failed())?;
        let mut stream = BufReader::new(stream);
        let begin = Instant::now();
        stream.write_all(line.as_bytes()).await.map_err(failed())?;
        let mut answer = String::new();
        stream.read_line(&mut answer).await.map_err(failed())?;
        match answer.trim() {
            "done" => Ok(begin),
            other => Err(Error::Refused(other.to_owned())),
        }
    }
}

impl Contender for Floor {
    fn users(&self) -> Vec<String> {
        vec![self.user.clone()]
    }

    fn processes(&self) -> Vec<u32> {
        vec![self.running.pid()]
    }

    fn enter<'a>(&'a self, branches: &'a [String]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async { branches.iter().map(|branch| self.namer.environment(branch)).collect() }.boxed()
    }

    fn advance<'a>(&'a self, environments: &'a [Environment]) -> BoxFuture<'a, Result<Vec<Environment>, Error>> {
        async { environments.iter().map(|environment| self.namer.next(environment)).collect() }.boxed()
    }

    fn carry_out<'a>(&'a self, task: Task, environments: &'a [Environment]) -> BoxFuture<'a, Result<Instant, Error>> {
        self.order(task, environments).boxed()
    }
}
