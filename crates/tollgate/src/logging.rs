//! The log: one line per event on standard error, through a bounded queue so that a slow reader never slows a request.
//!
//! Lines beyond the queue are dropped and counted by the queue's own guard.

use tollgate_config::{LogFormat, LogLevel, TollgateSettings};
use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};

/// Most lines that wait to be written.
const LINES_MAX: usize = 8_192;

/// Starts the log. What it returns must live as long as the process: dropping it writes what waits.
pub(crate) fn start(settings: &TollgateSettings, debug: bool) -> WorkerGuard {
    let builder = NonBlockingBuilder::default().buffered_lines_limit(LINES_MAX).lossy(true);
    let (writer, guard) = builder.finish(std::io::stderr());
    let level = if debug { LevelFilter::DEBUG } else { level(settings.log_level) };
    let subscriber = tracing_subscriber::fmt().with_writer(writer).with_max_level(level).with_target(false);
    // A second start (tests) keeps the first.
    let _ = match settings.log_format {
        LogFormat::Json => {
            tracing::subscriber::set_global_default(subscriber.json().flatten_event(true).finish())
        }
        LogFormat::Text => tracing::subscriber::set_global_default(subscriber.with_ansi(false).finish()),
    };
    guard
}

fn level(level: LogLevel) -> LevelFilter {
    match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    }
}
