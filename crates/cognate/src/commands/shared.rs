//! What commands share: how they end, what they print, where models run.

use std::io::IsTerminal;

use cognate_run::device::Device;

use crate::args::DeviceArg;
use crate::failure::Failure;
use crate::output;

pub(crate) type Result<T = ()> = std::result::Result<T, Failure>;

/// Writes text for people to stdout.
pub(super) fn print(text: &str) -> Result {
    Ok(output::text(text)?)
}

/// Columns of the terminal that stdout is, if it is one.
pub(super) fn columns() -> Result<Option<usize>> {
    let size = std::io::stdout().is_terminal().then(crossterm::terminal::size).transpose()?;
    Ok(size.map(|(columns, _)| usize::from(columns)))
}

/// Writes one JSON value on one line to stdout.
pub(super) fn print_json(value: &impl serde::Serialize) -> Result {
    Ok(output::json(value)?)
}

/// The device that models run on.
pub(super) fn device(args: DeviceArg, threads: usize) -> Result<Device> {
    Ok(args.device.open(threads)?)
}
