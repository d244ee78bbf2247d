//! Rights that a pixel process gives up before it reads a byte.

use std::fmt;

/// What was given up, said so that a lack is seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    pub limits: bool,
    pub no_new_privileges: bool,
    /// No file can be opened any more.
    pub file_system: bool,
}

impl fmt::Display for Confinement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = |on: bool| if on { "yes" } else { "no" };
        write!(
            f,
            "resource limits {}, no new privileges {}, file system closed {}",
            word(self.limits),
            word(self.no_new_privileges),
            word(self.file_system)
        )
    }
}

impl Confinement {
    /// Confines this process; what the system does not offer is left and said.
    pub fn enter(memory_bytes: u64) -> Self {
        Self {
            limits: limits(memory_bytes).is_ok(),
            no_new_privileges: no_new_privileges(),
            file_system: close_file_system(),
        }
    }
}

/// Address space, no core dump, no file writing, no more files than the pipes.
fn limits(memory_bytes: u64) -> rustix::io::Result<()> {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let both = |value: u64| Rlimit { current: Some(value), maximum: Some(value) };
    setrlimit(Resource::Core, both(0))?;
    setrlimit(Resource::Fsize, both(0))?;
    setrlimit(Resource::As, both(memory_bytes))
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
