//! The program while it runs, and what it left behind when it ended.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// Longer than any command here takes, also on a busy machine: beyond it the program hangs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);
/// Pause between two looks at something that is awaited.
pub(crate) const LOOK: Duration = Duration::from_millis(20);

/// Path of the program under test.
pub(crate) const CICATRIX: &str = env!("CARGO_BIN_EXE_cicatrix");

/// A started program in a process group of its own, as a shell starts it. Killed with its children when dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    out: File,
    err: File,
}

/// What a program left behind.
#[derive(Debug, Clone)]
pub(crate) struct Ended {
    /// `None` when a signal ended it.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Running {
    /// Starts a command; what it says goes to files, so that no pipe fills up.
    pub(crate) fn start(mut command: Command) -> std::io::Result<Self> {
        let (out, err) = (tempfile::tempfile()?, tempfile::tempfile()?);
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(err.try_clone()?).process_group(0);
        Ok(Self { child: command.spawn()?, out, err })
    }

    /// Waits for the end.
    pub(crate) fn end(mut self) -> Ended {
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.ended(status);
            }
            assert!(Instant::now() < until, "it still runs after {PATIENCE:?}; it said:\n{}", self.said());
            thread::sleep(LOOK);
        }
    }

    fn ended(&self, status: ExitStatus) -> Ended {
        Ended { code: status.code(), stdout: whole(&self.out), stderr: whole(&self.err) }
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// All that was said so far.
    pub(crate) fn said(&self) -> String {
        format!("{}{}", whole(&self.out), whole(&self.err))
    }

    /// Sends a signal to the program alone, as a supervisor does.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Sends a signal to the program and its children, as a terminal does on Ctrl-C.
    pub(crate) fn signal_group(&self, signal: Signal) {
        kill_process_group(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Its children that read photos.
    pub(crate) fn pixel_processes(&self) -> Vec<Pid> {
        let processes = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let numbers = processes.filter_map(|name| name.parse::<i32>().ok());
        numbers
            .filter(|pid| parent(*pid) == Some(self.child.id()) && is_pixel(*pid))
            .filter_map(Pid::from_raw)
            .collect()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

impl Ended {
    /// The one JSON object that a command with `--json` prints.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in what should be JSON: {self}"))
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { code, stdout, stderr } = self;
        write!(f, "exit code {code:?}\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    }
}

/// All of a file, whose place (where the program writes next) is left as it is.
fn whole(file: &File) -> String {
    let mut bytes = vec![0; file.metadata().unwrap().len() as usize];
    file.read_exact_at(&mut bytes, 0).unwrap();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The parent of a process (`/proc/<pid>/stat`: number, name in parentheses, state, parent).
fn parent(pid: i32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn is_pixel(pid: i32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    line.split(|byte| *byte == 0).nth(1) == Some(b"pixel".as_slice())
}
