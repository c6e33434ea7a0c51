//! Which Redis is the master, as its sentinels know it.

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, RedisResult};
use tokio::task::JoinSet;

use super::address::{Address, Shown};
use super::connection::plain;

/// What a sentinel says: where the master is, or why it does not know.
pub type Answer = Result<(String, u16), String>;

/// Asks all of them at once: one that hangs is no hindrance.
pub fn ask(address: &Address, sentinels: &[(String, u16)], master: &str) -> JoinSet<Answer> {
    let mut asked = JoinSet::new();
    for (host, port) in sentinels {
        let (address, host, port, master) = (address.clone(), host.clone(), *port, master.to_owned());
        asked.spawn(async move {
            let found = match find(&address, &host, port, &master, false).await {
                Err(error) if error.code() == Some("NOAUTH") => find(&address, &host, port, &master, true).await,
                found => found,
            };
            let why = match found {
                Ok(Some(found)) => return Ok(found),
                Ok(None) => format!("it knows no master `{master}`"),
                Err(error) => plain(&error),
            };
            Err(format!("the sentinel {}: {why}", Shown(&host, port)))
        });
    }
    asked
}

async fn find(
    address: &Address,
    host: &str,
    port: u16,
    master: &str,
    with_password: bool,
) -> RedisResult<Option<(String, u16)>> {
    let client = address.sentinel_client(host, port, with_password)?;
    let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
    let mut link: MultiplexedConnection = client.get_multiplexed_async_connection_with_config(&config).await?;
    redis::cmd("SENTINEL").arg("get-master-addr-by-name").arg(master).query_async(&mut link).await
}
