//! Options that all commands have that carry content.

use dits_core::config::parse_size;

/// How content is carried.
#[derive(Debug, Clone, Copy, Default, clap::Args)]
pub struct TransferArgs {
    /// Send and receive no more than this many bytes a second, such as 2M
    #[arg(long, value_name = "RATE", value_parser = rate)]
    pub limit_rate: Option<u64>,
}

fn rate(text: &str) -> Result<u64, String> {
    parse_size(text).ok_or_else(|| "use a size such as 500K or 2M; 0 is no limit".to_owned())
}
