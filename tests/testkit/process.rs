//! What a process has in use, as /proc shows it.

use std::fmt::Display;

/// A figure of `/proc/PROCESS/status`, as `RssAnon`: memory of its own, without the pages of its program's file.
pub(crate) fn memory_kib(process: impl Display, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let figure = |line: &str| {
        let (found, figure) = line.split_once(':')?;
        (found == name).then(|| figure.trim().trim_end_matches(" kB").parse().unwrap())
    };
    status.lines().find_map(figure).unwrap()
}

/// How many descriptors are open.
pub(crate) fn descriptors(process: impl Display) -> usize {
    let open = std::fs::read_dir(format!("/proc/{process}/fd"));
    open.unwrap().count()
}
