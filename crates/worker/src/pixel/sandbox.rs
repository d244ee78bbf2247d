//! Rights that a pixel process gives up before it reads a byte.

use std::time::Duration;
use std::{fmt, fs, io, process, thread};

/// CPU time after which the kernel ends a photo that the parent, whose limit is far lower, did not: the parent is gone.
const CPU_SECONDS: u64 = 3600;
/// Pause between two looks at whether the parent lives.
const PARENT_LOOK: Duration = Duration::from_secs(1);

/// What was given up, said so that a lack is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    pub limits: bool,
    pub no_new_privileges: bool,
    /// No file can be opened any more.
    pub file_system: bool,
    /// No descriptor beyond input, output and error can be had.
    pub descriptors: bool,
    /// Ends soon after its parent, whatever it does then.
    pub ends_with_parent: bool,
    /// Files that the parent had inherited itself and passed on, where the system tells. Without unsafe code they cannot
    /// be closed; our own ones are not inherited.
    pub inherited: Option<usize>,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |on: bool| if on { "yes" } else { "no" };
        write!(
            f,
            "resource limits {}, no new privileges {}, file system closed {}, no new descriptors {}, \
             ends with its parent {}, files that were open when the program was started and that it passes on: {}",
            word(self.limits),
            word(self.no_new_privileges),
            word(self.file_system),
            word(self.descriptors),
            word(self.ends_with_parent),
            self.inherited.map_or_else(|| "unknown".to_owned(), |n| n.to_string())
        )
    }
}

impl Confinement {
    /// Confines this process; what the system does not offer is left and said.
    pub fn enter(memory_bytes: u64) -> Self {
        // In this order: counting and landlock need descriptors, and the thread is to be confined as well.
        Self {
            inherited: inherited(),
            limits: limits(memory_bytes).is_ok(),
            no_new_privileges: no_new_privileges(),
            file_system: close_file_system(),
            descriptors: no_more_descriptors().is_ok(),
            ends_with_parent: watch_parent().is_ok(),
        }
    }
}

/// Address space, no core dump, no file writing, and a first share of CPU time.
fn limits(memory_bytes: u64) -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let both = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, both(0))?;
    setrlimit(Resource::Fsize, both(0))?;
    allow_cpu_time()?;
    setrlimit(Resource::As, both(memory_bytes))
}

/// A share of CPU time from now on. Asked for anew for each photo, for a process reads any number of them.
pub(crate) fn allow_cpu_time() -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime).tv_sec;
    let share = u64::try_from(used).unwrap_or(0) + CPU_SECONDS;
    let maximum = getrlimit(Resource::Cpu).maximum;
    setrlimit(Resource::Cpu, Rlimit { current: Some(maximum.map_or(share, |most| share.min(most))), maximum })
}

/// What is open stays open: input, output and error, beside which nothing of ours is.
fn no_more_descriptors() -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    setrlimit(Resource::Nofile, Rlimit { current: Some(3), maximum: Some(3) })
}

/// Descriptors beside input, output and error. One of those seen is the listing's own.
fn inherited() -> Option<usize> {
    let listed = fs::read_dir("/proc/self/fd").ok()?;
    let numbers = listed.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Some(numbers.filter(|number| *number > 2).count().saturating_sub(1))
}

/// A thread that looks for the parent. The kernel's own signal would come at the end of the one thread of the parent that
/// started us, which may be long before the parent's.
fn watch_parent() -> io::Result<()> {
    let parent = std::os::unix::process::parent_id();
    let watch = thread::Builder::new().name("parent".to_owned()).stack_size(128 << 10);
    watch.spawn(move || end_with(parent)).map(drop)
}

/// Whoever loses its parent is given another one.
fn end_with(parent: u32) {
    while std::os::unix::process::parent_id() == parent {
        thread::sleep(PARENT_LOOK);
    }
    process::exit(1);
}

#[cfg(target_os = "linux")]
fn no_new_privileges() -> bool {
    rustix::thread::set_no_new_privs(true).is_ok()
}

#[cfg(not(target_os = "linux"))]
fn no_new_privileges() -> bool {
    false
}

#[cfg(target_os = "linux")]
fn close_file_system() -> bool {
    use landlock::{ABI, Access, AccessFs, Ruleset, RulesetAttr, RulesetStatus};
    let closed = Ruleset::default()
        .handle_access(AccessFs::from_all(ABI::V3))
        .and_then(Ruleset::create)
        .and_then(landlock::RulesetCreated::restrict_self);
    closed.is_ok_and(|status| status.ruleset != RulesetStatus::NotEnforced)
}

#[cfg(not(target_os = "linux"))]
fn close_file_system() -> bool {
    false
}
