//! What the kernel says a process has used: CPU time from `/proc/P/stat` and `schedstat`, memory from
//! `/proc/P/status`.

use rustix::param::clock_ticks_per_second;
use std::fs;
use std::io;
use std::ops::Sub;
use std::time::Duration;

/// CPU time of all threads of a process since it started.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cpu {
    /// In the process's own code, in steps of a clock tick (10 ms as a rule).
    pub user: Duration,
    /// In the kernel on its behalf, in the same steps.
    pub system: Duration,
    /// Both together: to the nanosecond where the kernel keeps scheduler statistics.
    pub total: Duration,
}

impl Cpu {
    /// Reads the counters of process `pid`.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        // The second field is the command in parentheses, and may hold spaces. utime and stime are fields 14 and 15.
        let (_, fields) = stat.rsplit_once(')').ok_or_else(|| unexpected("stat"))?;
        let mut times = fields.split_ascii_whitespace().skip(11).map(str::parse::<u64>);
        let mut next = || times.next().and_then(Result::ok).ok_or_else(|| unexpected("stat"));
        let (user, system) = (ticks(next()?), ticks(next()?));
        let total = scheduled(pid).unwrap_or(user + system);
        Ok(Self { user, system, total })
    }
}

impl Sub for Cpu {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            user: self.user.saturating_sub(earlier.user),
            system: self.system.saturating_sub(earlier.system),
            total: self.total.saturating_sub(earlier.total),
        }
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / clock_ticks_per_second().max(1))
}

/// Time on a CPU of all living threads, or `None` if the kernel does not count it.
fn scheduled(pid: u32) -> Option<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()? {
        let stat = fs::read_to_string(thread.ok()?.path().join("schedstat")).ok()?;
        nanoseconds += stat.split_ascii_whitespace().next()?.parse::<u64>().ok()?;
    }
    (nanoseconds > 0).then(|| Duration::from_nanos(nanoseconds))
}

/// Memory of a process in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Memory {
    /// Resident now.
    pub resident: u64,
    /// The most that was ever resident.
    pub peak: u64,
}

impl Memory {
    /// Reads the memory of process `pid`.
    ///
    /// # Errors
    /// If there is no such process.
    pub fn of(pid: u32) -> io::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kibibytes = line.and_then(|value| value.trim().strip_suffix(" kB")?.parse::<u64>().ok());
            kibibytes.map(|value| value * 1024).ok_or_else(|| unexpected("status"))
        };
        Ok(Self { resident: field("VmRSS:")?, peak: field("VmHWM:")? })
    }
}

fn unexpected(file: &str) -> io::Error {
    io::Error::other(format!("/proc/…/{file} does not look as expected"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_used_something() {
        let pid = std::process::id();
        let memory = Memory::of(pid).unwrap();
        assert!(memory.resident > 0 && memory.peak >= memory.resident);
        assert!(Cpu::of(pid).unwrap().total > Duration::ZERO);
    }
}
