//! The connection to Redis that all tables of a process share.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use dits_sync::locks::StoreError;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ErrorKind, PushInfo, PushKind, RedisError, RedisResult};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

use super::address::{Address, Place, Shown};
use super::changes::Changes;
use super::{sentinel, table};

/// How long a connection, with all that is asked before it is used, or one answer may take.
const DEADLINE: Duration = Duration::from_secs(2);
/// How long nobody tries again after an attempt to connect has failed or an answer did not come.
const PAUSE: Duration = Duration::from_millis(500);

/// A Redis, or several of which one is the master, and the connection to it.
pub struct Server {
    address: Address,
    /// What the channels of all tables are like.
    pattern: String,
    changes: Arc<Changes>,
    /// Taken away only at the end.
    runtime: Option<Runtime>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    connection: Option<Connection>,
    failed: Option<(Instant, String)>,
}

/// It is used until anything is wrong with it, and never connects again by itself.
#[derive(Clone)]
struct Connection {
    link: MultiplexedConnection,
    ended: Arc<AtomicBool>,
}

impl Server {
    /// A server that is connected to when it is first asked.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub fn new(address: Address, pattern: String) -> std::io::Result<Self> {
        let runtime = Builder::new_multi_thread().worker_threads(1).thread_name("redis").enable_all().build()?;
        let (changes, state) = (Arc::default(), Mutex::default());
        Ok(Self { address, pattern, changes, runtime: Some(runtime), state })
    }

    /// Where it is.
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Who waits for changes.
    pub fn changes(&self) -> &Changes {
        &self.changes
    }

    /// Asks something, which is done once at most.
    ///
    /// # Errors
    /// When there is no answer, or a refusal.
    pub fn ask<T, F: Future<Output = RedisResult<T>>>(
        &self,
        question: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, StoreError> {
        let (connection, _) = self.connection()?;
        self.try_once(&connection, question).map_err(|(_, error)| error)
    }

    /// The same for what may be asked twice: a connection that has ended unnoticed is replaced.
    ///
    /// # Errors
    /// As [`Server::ask`].
    pub fn ask_again<T, F: Future<Output = RedisResult<T>>>(
        &self,
        question: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, StoreError> {
        let (connection, is_new) = self.connection()?;
        match self.try_once(&connection, &question) {
            Err((Fate::Ended, _)) if !is_new => self.ask(question),
            outcome => outcome.map_err(|(_, error)| error),
        }
    }

    fn try_once<T, F: Future<Output = RedisResult<T>>>(
        &self,
        connection: &Connection,
        question: impl Fn(MultiplexedConnection) -> F,
    ) -> Result<T, (Fate, StoreError)> {
        let Some(runtime) = &self.runtime else { return Err((Fate::Ended, self.away("it is being left"))) };
        let asked = runtime.block_on(async { timeout(DEADLINE, question(connection.link.clone())).await });
        let error = match asked {
            Ok(Ok(answer)) => return Ok(answer),
            Ok(Err(error)) => error,
            Err(_) => {
                let text = self.text(&silence());
                self.drop_connection(connection, Some(&text));
                return Err((Fate::Silent, StoreError::Away(text)));
            }
        };
        let fate = fate(&error);
        if fate != Fate::Refused {
            self.drop_connection(connection, None);
        }
        let text = self.text(&plain(&error));
        Err((fate, if is_damage(&error) { StoreError::Damaged(text) } else { StoreError::Away(text) }))
    }

    /// The connection, and whether it was just made.
    fn connection(&self) -> Result<(Connection, bool), StoreError> {
        // Who comes while another connects waits for the outcome.
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = state.connection.as_ref().filter(|it| !it.ended.load(Ordering::Acquire)) {
            return Ok((connection.clone(), false));
        }
        state.connection = None;
        if let Some((_, text)) = state.failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            return Err(StoreError::Away(text.clone()));
        }
        let Some(runtime) = &self.runtime else { return Err(self.away("it is being left")) };
        let connected = runtime.block_on(async { timeout(DEADLINE, self.connect()).await });
        match connected.unwrap_or_else(|_| Err(silence())) {
            Ok(connection) => {
                tracing::debug!(redis = %self.address, "connected to the lock store");
                *state = State { connection: Some(connection.clone()), failed: None };
                Ok((connection, true))
            }
            Err(why) => {
                let text = self.text(&why);
                tracing::warn!(why = text, "the lock store cannot be reached");
                state.failed = Some((Instant::now(), text.clone()));
                Err(StoreError::Away(text))
            }
        }
    }

    fn drop_connection(&self, connection: &Connection, failed: Option<&str>) {
        connection.ended.store(true, Ordering::Release);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.connection.as_ref().is_some_and(|current| Arc::ptr_eq(&current.ended, &connection.ended)) {
            state.connection = None;
            state.failed = failed.map(|text| (Instant::now(), text.to_owned()));
        }
        drop(state);
        self.changes.lose();
    }

    async fn connect(&self) -> Result<Connection, String> {
        match &self.address.place {
            Place::Tcp(host, port) => self.open(self.address.client(host, *port)).await,
            Place::Unix(path) => self.open(self.address.socket_client(path)).await,
            Place::Sentinels(places, master) => {
                let mut answers = sentinel::ask(&self.address, places, master);
                let mut refusals = Vec::new();
                while let Some(answer) = answers.join_next().await {
                    let opened = match answer.unwrap_or_else(|error| Err(error.to_string())) {
                        Ok((host, port)) => {
                            let opened = self.open(self.address.client(&host, port)).await;
                            opened.map_err(|why| format!("the master {}: {why}", Shown(&host, port)))
                        }
                        Err(why) => Err(why),
                    };
                    match opened {
                        Ok(connection) => return Ok(connection),
                        Err(why) => refusals.push(why),
                    }
                }
                refusals.dedup();
                Err(refusals.join("; "))
            }
        }
    }

    /// Connects, and asks what must be known before anything else is asked.
    async fn open(&self, client: RedisResult<Client>) -> Result<Connection, String> {
        let ended = Arc::new(AtomicBool::new(false));
        let hear = {
            let (changes, ended) = (Arc::clone(&self.changes), Arc::clone(&ended));
            move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    ended.store(true, Ordering::Release);
                    changes.lose();
                }
                changes.take(&push);
                Ok::<_, ()>(())
            }
        };
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let connected = async {
            let mut link = client?.get_multiplexed_async_connection_with_config(&config.set_push_sender(hear)).await?;
            let info: String = redis::cmd("INFO").arg("replication").query_async(&mut link).await?;
            let role = info.lines().find_map(|line| line.strip_prefix("role:")).unwrap_or("unknown").to_owned();
            if role == "master" {
                table::load(&mut link).await?;
                link.psubscribe(&self.pattern).await?;
            }
            RedisResult::Ok((link, role))
        };
        match connected.await {
            Ok((link, role)) if role == "master" => Ok(Connection { link, ended }),
            Ok((_, role)) => Err(format!("it is no master: its role is {role}")),
            Err(error) => Err(plain(&error)),
        }
    }

    fn away(&self, why: &str) -> StoreError {
        StoreError::Away(self.text(why))
    }

    fn text(&self, why: &str) -> String {
        self.address.without_secret(&format!("{}: {why}", self.address))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Without waiting for a name that is being looked up.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What an error means for the connection on which it came.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// It goes on: only this was refused.
    Refused,
    /// It has ended, or leads to a Redis that is of no use.
    Ended,
    /// Nothing came.
    Silent,
}

fn fate(error: &RedisError) -> Fate {
    let refusals = ["OOM", "MISCONF", "NOPERM", "NOREPLICAS", "WRONGTYPE", "DITSFORMAT"];
    match error.code() {
        Some(code) if refusals.contains(&code) => Fate::Refused,
        _ => Fate::Ended,
    }
}

fn is_damage(error: &RedisError) -> bool {
    matches!(error.code(), Some("WRONGTYPE" | "DITSFORMAT"))
}

/// What an error says to an administrator.
pub fn plain(error: &RedisError) -> String {
    match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("WRONGPASS")) => "user or password are refused".to_owned(),
        (_, Some("NOAUTH")) => "it wants a password".to_owned(),
        (_, Some("READONLY")) => "it is no master any more".to_owned(),
        _ => error.to_string(),
    }
}

fn silence() -> String {
    format!("no answer within {} seconds", DEADLINE.as_secs())
}
