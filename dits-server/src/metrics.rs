//! What the server counts. `docs/server.md` lists the metrics.

use std::sync::atomic::AtomicU64;

use dits_sync::link::Traffic;
use prometheus_client::encoding::text;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

type Labels = Vec<(&'static str, String)>;

/// All counters, and the registry that knows them.
pub struct Metrics {
    registry: Registry,
    connections: Family<Labels, Counter>,
    /// Connections that are open.
    pub open: Gauge,
    connection_seconds: Histogram,
    requests: Family<Labels, Counter>,
    bytes: Family<Labels, Counter>,
    objects: Family<Labels, Counter>,
    refs: Family<Labels, Counter>,
    push_seconds: Histogram,
    /// Pushes that wait for their turn.
    pub waiting: Gauge,
    /// Connections that ended with an error.
    pub errors: Counter,
    hooks: Family<Labels, Counter>,
    gc: Family<Labels, Counter>,
    repository_bytes: Family<Labels, Gauge<u64, AtomicU64>>,
}

/// From 10 ms to some 3 hours.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.01, 4.0, 11))
}

impl Default for Metrics {
    fn default() -> Self {
        let mut made = Self {
            registry: Registry::with_prefix("dits"),
            connections: Family::default(),
            open: Gauge::default(),
            connection_seconds: seconds(),
            requests: Family::default(),
            bytes: Family::default(),
            objects: Family::default(),
            refs: Family::default(),
            push_seconds: seconds(),
            waiting: Gauge::default(),
            errors: Counter::default(),
            hooks: Family::default(),
            gc: Family::default(),
            repository_bytes: Family::default(),
        };
        made.register();
        made
    }
}

impl Metrics {
    fn register(&mut self) {
        let all = &mut self.registry;
        // Counters get `_total` and what has a unit gets that at their ends.
        all.register("connections", "Connections by what became of them", self.connections.clone());
        all.register("open_connections", "Connections that are open", self.open.clone());
        let help = "How long connections were open";
        all.register_with_unit("connection", help, Unit::Seconds, self.connection_seconds.clone());
        all.register("requests", "Requests that were answered", self.requests.clone());
        all.register("request_bytes", "Bytes through the socket", self.bytes.clone());
        all.register("request_objects", "Objects transferred", self.objects.clone());
        all.register("refs", "Refs in pushes by what became of them", self.refs.clone());
        all.register_with_unit("push", "How long pushes took", Unit::Seconds, self.push_seconds.clone());
        all.register("pushes_waiting", "Pushes that wait for their turn", self.waiting.clone());
        all.register("errors", "Connections that ended with an error", self.errors.clone());
        all.register("hook_runs", "Hooks that ran by what became of them", self.hooks.clone());
        all.register("gc_runs", "Repositories tidied by what became of it", self.gc.clone());
        all.register("repository_bytes", "Bytes of the objects of a repository", self.repository_bytes.clone());
    }

    /// A connection was let in or not.
    pub fn connection(&self, outcome: &'static str) {
        self.connections.get_or_create(&label("outcome", outcome)).inc();
    }

    /// A connection has ended.
    pub fn connection_ended(&self, seconds: f64) {
        self.connection_seconds.observe(seconds);
    }

    /// A request was answered.
    pub fn request(&self, request: &'static str, objects: u64, traffic: Traffic) {
        self.requests.get_or_create(&label("request", request)).inc();
        self.objects.get_or_create(&label("request", request)).inc_by(objects);
        for (direction, bytes) in [("sent", traffic.sent), ("received", traffic.received)] {
            let labels = vec![("request", request.to_owned()), ("direction", direction.to_owned())];
            self.bytes.get_or_create(&labels).inc_by(bytes);
        }
    }

    /// A push has ended.
    pub fn push_ended(&self, seconds: f64) {
        self.push_seconds.observe(seconds);
    }

    /// Refs were moved, and others not.
    pub fn refs(&self, moved: usize, refused: usize) {
        self.refs.get_or_create(&label("outcome", "moved")).inc_by(moved as u64);
        self.refs.get_or_create(&label("outcome", "refused")).inc_by(refused as u64);
    }

    /// A hook ran.
    pub fn hook(&self, outcome: &'static str) {
        self.hooks.get_or_create(&label("outcome", outcome)).inc();
    }

    /// A repository was tidied.
    pub fn gc(&self, outcome: &'static str) {
        self.gc.get_or_create(&label("outcome", outcome)).inc();
    }

    /// How large the repositories are.
    pub fn sizes(&self, sizes: &[(String, u64)]) {
        self.repository_bytes.clear();
        for (name, bytes) in sizes {
            self.repository_bytes.get_or_create(&label("repository", name)).set(*bytes);
        }
    }

    /// All of them as Prometheus reads them.
    #[must_use]
    pub fn text(&self) -> String {
        let mut out = String::new();
        // Writing to a String cannot fail.
        let _ = text::encode(&mut out, &self.registry);
        out
    }
}

fn label(name: &'static str, value: &str) -> Labels {
    vec![(name, value.to_owned())]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_has_what_the_manual_lists() {
        let metrics = Metrics::default();
        metrics.connection("admitted");
        metrics.connection_ended(0.5);
        metrics.request("push", 3, Traffic { sent: 1, received: 2 });
        metrics.push_ended(1.0);
        metrics.refs(1, 0);
        metrics.hook("ok");
        metrics.gc("ok");
        metrics.errors.inc();
        metrics.sizes(&[("film".into(), 7)]);
        let text = metrics.text();
        let manual = include_str!("../../docs/server.md");
        let documented = manual.lines().filter_map(|line| line.strip_prefix("| `dits_")?.split('`').next());
        for name in documented {
            assert!(text.contains(&format!("\ndits_{name}")), "dits_{name} is documented but not there:\n{text}");
        }
        assert!(text.contains("dits_repository_bytes{repository=\"film\"} 7"));
    }
}
