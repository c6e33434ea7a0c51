//! Log lines on standard error.

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::settings::{Log, LogFormat, LogLevel};

/// Begins to log. What other crates say counts only when it is a warning.
pub fn begin(log: &Log) {
    let level = match log.level {
        LogLevel::Error => Level::ERROR,
        LogLevel::Warn => Level::WARN,
        LogLevel::Info => Level::INFO,
        LogLevel::Debug => Level::DEBUG,
        LogLevel::Trace => Level::TRACE,
    };
    let others = LevelFilter::from_level(level.min(Level::WARN));
    let wanted = Targets::new().with_default(others).with_target("dits_server", level).with_target("dits_sync", level);
    let lines = fmt::layer().with_writer(std::io::stderr).with_ansi(false);
    let registry = tracing_subscriber::registry();
    // It can only fail if somebody logs already.
    let _ = match log.format {
        LogFormat::Text => registry.with(lines.with_target(false).with_filter(wanted)).try_init(),
        LogFormat::Json => registry.with(lines.json().flatten_event(true).with_filter(wanted)).try_init(),
    };
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string);
        let what = panic.payload_as_str().unwrap_or("no reason");
        tracing::error!(place, what, "panic: please report this");
    }));
}
