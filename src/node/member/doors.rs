//! Where a node listens: one address for streams and datagrams.

use std::net::SocketAddr;

use synod_cluster::transport::{self, Datagrams, Listener, Network};

use crate::node::Error;

/// How often a free port is looked for that is free for both. The system gives one that is free for streams.
const TRIES: usize = 16;

/// Listens at `wanted` for streams and datagrams. Port 0 takes the one of `last` if it is free, so that a node is
/// found again where it was, else any that is free.
///
/// # Errors
/// When the address is taken or not ours.
pub(super) async fn open(
    network: &dyn Network,
    wanted: &str,
    last: Option<&str>,
) -> Result<(Box<dyn Listener>, Box<dyn Datagrams>), Error> {
    let any_port = wanted.strip_suffix(":0");
    if let (Some(host), Some(last)) = (any_port, last)
        && last.rsplit_once(':').is_some_and(|(last, _)| last == host)
        && let Ok(both) = both(network, last).await
    {
        return Ok(both);
    }
    let mut failed = None;
    for _ in 0..if any_port.is_some() { TRIES } else { 1 } {
        match both(network, wanted).await {
            Ok(both) => return Ok(both),
            Err(error) => failed = Some(error),
        }
    }
    let why = failed.map(|error| error.to_string()).unwrap_or_default();
    Err(Error::Start(format!("it cannot listen for other nodes: {why}; choose another address")))
}

async fn both(
    network: &dyn Network,
    address: &str,
) -> Result<(Box<dyn Listener>, Box<dyn Datagrams>), transport::Error> {
    let listener = network.listen(address).await?;
    let datagrams = network.bind(&listener.address()).await?;
    Ok((listener, datagrams))
}

/// Binds datagrams for other regions: at `wanted` if that is said, else where they were bound last, else at the next port
/// after that of `beside` that is free, or at any.
///
/// # Errors
/// When the wanted address is taken or not ours, or the host of `beside` is not.
pub(in crate::node) async fn open_wan(
    network: &dyn Network,
    wanted: Option<&str>,
    last: Option<&str>,
    beside: &str,
) -> Result<Box<dyn Datagrams>, Error> {
    let (host, port) = beside.rsplit_once(':').unwrap_or((beside, "0"));
    let port = port.parse::<u16>().unwrap_or_default();
    let mut places = Vec::new();
    match wanted {
        Some(wanted) => {
            // Port 0 is any, and best the one of before.
            let any_port = wanted.strip_suffix(":0");
            let is_there = |last: &&str| last.rsplit_once(':').map(|(host, _)| host) == any_port;
            places.extend(last.filter(is_there).filter(|_| any_port.is_some()).map(str::to_owned));
            places.push(wanted.to_owned());
        }
        None => {
            let is_there = |last: &&str| last.rsplit_once(':').is_some_and(|(last, _)| last == host);
            places.extend(last.filter(is_there).map(str::to_owned));
            places.extend((1..).take(TRIES).map_while(|step| {
                let next = port.checked_add(step)?;
                Some(format!("{host}:{next}"))
            }));
            places.push(format!("{host}:0"));
        }
    }
    let mut failed = None;
    for place in places {
        match network.bind(&place).await {
            Ok(datagrams) => return Ok(datagrams),
            Err(error) => failed = Some(error),
        }
    }
    let why = failed.map(|error| error.to_string()).unwrap_or_default();
    Err(Error::Start(format!("it cannot listen for other regions: {why}; choose another address")))
}

/// Returns the address that others are told.
///
/// # Errors
/// When nobody could connect to it.
pub(super) fn told(listens: &str, advertise: Option<&str>) -> Result<String, Error> {
    if let Some(advertise) = advertise {
        return Ok(advertise.to_owned());
    }
    match listens.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_unspecified() => Err(Error::Start(format!(
            "it listens at {listens}, which is every address of this machine; say which one other nodes reach \
             (`advertise`)"
        ))),
        Ok(_) | Err(_) => Ok(listens.to_owned()),
    }
}
