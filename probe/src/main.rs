//! flowprobe: flows from a mirror port or from capture files.

use std::process::ExitCode;

fn main() -> ExitCode {
    probe::main()
}
