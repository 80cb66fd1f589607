//! Memory, descriptors and tasks of a process over time, and whether they grow.

use std::fs;

/// One look at a process.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sample {
    /// Seconds since the run began.
    pub(crate) second: f64,
    /// KiB that are resident.
    pub(crate) resident: u64,
    /// KiB that are allocated.
    pub(crate) allocated: u64,
    pub(crate) descriptors: u64,
    pub(crate) tasks: u64,
}

impl Sample {
    /// Looks at process `pid`; `None` if it is gone.
    pub(crate) fn of(pid: u32, second: f64, tasks: u64, allocated: u64) -> Option<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        let resident = line.trim().strip_suffix(" kB")?.parse().ok()?;
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count() as u64;
        Some(Self { second, resident, allocated, descriptors, tasks })
    }
}

/// CPU seconds that process `pid` has used; 0 if it is gone.
pub(crate) fn cpu_seconds(pid: u32) -> f64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // utime and stime are fields 14 and 15; the command in parentheses, which may hold spaces, is the second.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields).split_ascii_whitespace();
    // In hundredths: USER_HZ is 100 wherever Linux runs.
    fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// The slope of `value` over time by least squares, in units a minute.
pub(crate) fn slope(samples: &[Sample], value: impl Fn(&Sample) -> u64) -> f64 {
    let count = samples.len() as f64;
    let mean = |of: &dyn Fn(&Sample) -> f64| samples.iter().map(of).sum::<f64>() / count;
    let value = |sample: &Sample| value(sample) as f64;
    let (middle, height) = (mean(&|sample| sample.second), mean(&value));
    let (mut together, mut squares) = (0.0, 0.0);
    for sample in samples {
        let aside = sample.second - middle;
        together += aside * (value(sample) - height);
        squares += aside * aside;
    }
    if squares > 0.0 { together / squares * 60.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slope_is_found_in_noise() {
        let sample = |second: u32| Sample {
            second: f64::from(second),
            resident: u64::from(1000 + second * 2 + second % 7),
            ..Sample::default()
        };
        let samples: Vec<Sample> = (0..700).map(sample).collect();
        assert!((slope(&samples, |sample| sample.resident) - 120.0).abs() < 1.0);
        assert_eq!(slope(&samples[..1], |sample| sample.resident), 0.0);
    }

    #[test]
    fn this_process_can_be_looked_at() {
        let sample = Sample::of(std::process::id(), 0.0, 1, 1).unwrap();
        assert!(sample.resident > 0 && sample.descriptors > 2);
    }
}
