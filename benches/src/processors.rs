//! Which processor works for whom: what is measured has one of its own, or the scheduler's choices would be measured.

use rustix::process::Pid;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use std::sync::OnceLock;

/// The processor for what is measured, or why the scheduler decides.
static MEASURED: OnceLock<Result<usize, &str>> = OnceLock::new();

/// Keeps the process `pid`, which is measured, on the last processor, and this thread with all it starts off that one.
///
/// Where there is only one, or the kernel refuses, all stay where they are; [`describe`] says so.
pub fn separate(pid: u32) {
    let Ok(processor) = MEASURED.get_or_init(leave_one) else { return };
    let mut one = CpuSet::new();
    one.set(*processor);
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended at once, which others will notice.
        let _ = sched_setaffinity(Some(pid), &one);
    }
}

/// What a reader of the figures needs to know of it.
pub fn describe() -> String {
    match MEASURED.get_or_init(leave_one) {
        Ok(processor) => format!("who is measured on processor {processor}, who measures on the others"),
        Err(why) => format!("left to the scheduler, since {why}"),
    }
}

fn leave_one() -> Result<usize, &'static str> {
    let mut others = sched_getaffinity(None).map_err(|_| "the kernel does not tell where")?;
    let last = (0..CpuSet::MAX_CPU).rfind(|&processor| others.is_set(processor));
    let measured = last.filter(|_| others.count() > 1).ok_or("there is one processor")?;
    others.unset(measured);
    sched_setaffinity(None, &others).map_err(|_| "the kernel does not allow anything else")?;
    Ok(measured)
}
