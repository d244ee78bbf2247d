//! The parent's side: warm children, one photo each at a time, killed when they hang, replaced when they die.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cicatrix_assess::{Assessment, MOST_NODES, Protocol};
use cicatrix_model::{Reason, View};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use crate::memory::{Budget, need};
use crate::meter::Meter;
use crate::pixel::child::KEPT;
use crate::pixel::message::{PhotoFacts, PixelReply, Request, header, header_length, parse};

/// Skin of a close-up whose scale nobody says: its longer side is taken for 65 mm.
const CLOSEUP_MM2: f64 = 65.0 * 65.0;

/// How pixel processes are run.
#[derive(Debug, Clone)]
pub struct PixelSettings {
    /// The program that has the `pixel` role; usually this one.
    pub program: PathBuf,
    /// Processes at once.
    pub processes: usize,
    /// Address space of each, bytes.
    pub memory_bytes: u64,
    /// Memory that all photos in work may take together, bytes.
    pub budget_bytes: u64,
    /// CPU time that one photo may take. A 24 MP pair takes about 3 s.
    pub cpu_limit: Duration,
    /// Wall time after which a process is given up whatever it does.
    pub wall_limit: Duration,
}

/// A photo to assess against a baseline known by name.
#[derive(Debug, Clone)]
pub struct PixelJob {
    /// Name under which the baseline is kept: the same name means the same bytes and facts.
    pub reference: String,
    pub bytes: Bytes,
    pub facts: PhotoFacts,
    /// Size of the baseline's file, bytes.
    pub baseline_bytes: u64,
    pub itself: bool,
    pub pictures: bool,
    /// True while it waits for a place and for memory.
    pub waits: Arc<AtomicBool>,
}

/// What came back.
#[derive(Debug)]
pub enum PixelOutcome {
    Assessed { assessment: Assessment, pictures: Vec<(String, Bytes)> },
    BaselineUnusable { reason: Reason, detail: String, pictures: Vec<(String, Bytes)> },
}

/// Why nothing came back.
#[derive(Debug, thiserror::Error)]
pub enum PixelError {
    /// The photo used up its CPU time.
    #[error("the photo kept the decoder busy for more than {0} s of CPU time")]
    TookTooLong(u64),
    /// The photo used up its memory.
    #[error("the photo needed more memory than a pixel process may have")]
    OutOfMemory,
    /// The process died or fell silent; the text says how.
    #[error("the pixel process {0}")]
    Died(String),
    /// The baseline could not be had.
    #[error(transparent)]
    Baseline(anyhow::Error),
    #[error("{0}")]
    Bug(String),
}

/// Warm pixel processes.
#[derive(Debug)]
pub struct PixelPool {
    settings: PixelSettings,
    protocol: Protocol,
    /// Processes without work, and the memory that each keeps, bytes.
    idle: Mutex<Vec<(Worker, u64)>>,
    places: Semaphore,
    budget: Budget,
    /// A process that only reads how large photos are; there while the budget is short.
    looker: tokio::sync::Mutex<Option<Worker>>,
    meter: Meter,
}

#[derive(Debug)]
struct Worker {
    process: Child,
    input: ChildStdin,
    output: ChildStdout,
    /// Baselines the child keeps, oldest first; mirrors its own list.
    kept: VecDeque<String>,
}

impl PixelPool {
    pub fn new(settings: PixelSettings, protocol: Protocol, meter: Meter) -> Self {
        let places = Semaphore::new(settings.processes.max(1));
        let budget = Budget::new(settings.budget_bytes, meter.clone());
        let looker = tokio::sync::Mutex::default();
        Self { settings, protocol, idle: Mutex::default(), places, budget, looker, meter }
    }

    /// Assesses a photo. `baseline` is asked for only when the process does not have it ready.
    pub async fn assess<F>(&self, job: &PixelJob, baseline: F) -> Result<PixelOutcome, PixelError>
    where
        F: Future<Output = anyhow::Result<(Bytes, PhotoFacts)>>,
    {
        job.waits.store(true, Ordering::SeqCst);
        let _place = self.places.acquire().await.map_err(|e| PixelError::Bug(e.to_string()))?;
        let assessed = self.within_budget(job, baseline).await;
        if let Err(error) = &assessed {
            match error {
                PixelError::TookTooLong(_) => self.meter.restarted("too_long"),
                PixelError::OutOfMemory => self.meter.restarted("memory"),
                PixelError::Died(_) => self.meter.restarted("died"),
                PixelError::Baseline(_) | PixelError::Bug(_) => {}
            }
        }
        assessed
    }

    async fn within_budget<F>(&self, job: &PixelJob, baseline: F) -> Result<PixelOutcome, PixelError>
    where
        F: Future<Output = anyhow::Result<(Bytes, PhotoFacts)>>,
    {
        let need = self.need(job).await?;
        let _held = match need {
            Some(bytes) => Some(self.budget.hold(bytes).await),
            None => None,
        };
        job.waits.store(false, Ordering::SeqCst);
        let mut worker = match self.take(&job.reference) {
            Some(worker) => worker,
            None => self.spawn().await.map_err(cannot_start)?,
        };
        if need.is_some() {
            self.thin_out();
        }
        // Dropped half-way, the worker is killed with what it holds: a late answer never meets another photo.
        let outcome = self.converse(&mut worker, job, baseline).await;
        match outcome {
            Ok(outcome) => {
                let kept = worker.process.id().and_then(memory_of).unwrap_or_default();
                self.idle().push((worker, kept));
                Ok(outcome)
            }
            Err(Failure::Silent(error)) => Err(self.post_mortem(worker, &error).await),
            Err(Failure::Told(error)) => Err(error),
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<(Worker, u64)>> {
        self.idle.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Memory that a photo needs; none when nobody has to ask, since the largest that are allowed fit all at once.
    async fn need(&self, job: &PixelJob) -> Result<Option<u64>, PixelError> {
        let most_pixels = self.protocol.limits.max_pixels as f64;
        if self.budget.holds(self.settings.processes, need(most_pixels, MOST_NODES as f64)) {
            return Ok(None);
        }
        let mut looker = self.looker.lock().await;
        let mut worker = match looker.take() {
            Some(worker) => worker,
            None => self.spawn().await.map_err(cannot_start)?,
        };
        let request = Request::Look { extension: job.facts.extension.clone() };
        match self.ask(&mut worker, &request, &job.bytes).await {
            Ok((PixelReply::Size { pixels }, _)) => {
                *looker = Some(worker);
                // The baseline is as large, unless its file says otherwise.
                let larger = job.baseline_bytes as f64 / job.bytes.len().max(1) as f64;
                let pixels = (pixels as f64 * larger.max(1.0)).min(most_pixels);
                Ok(Some(need(pixels, self.nodes(job, pixels))))
            }
            Ok((other, _)) => Err(unexpected(&other).into()),
            Err(Failure::Silent(error)) => Err(self.post_mortem(worker, &error).await),
            Err(Failure::Told(error)) => Err(error),
        }
    }

    /// Nodes of skin that a photo may have: of a close-up those of its frame, where its scale is known or can be guessed.
    fn nodes(&self, job: &PixelJob, pixels: f64) -> f64 {
        let mm2 = match (&job.facts.view, job.facts.px_per_mm) {
            (View::Closeup(_), Some(px_per_mm)) => pixels / px_per_mm.powi(2),
            (View::Closeup(_), None) => CLOSEUP_MM2,
            _ => f64::INFINITY,
        };
        (mm2 / self.protocol.grid_pitch_mm.powi(2)).min(MOST_NODES as f64)
    }

    /// Ends idle processes that keep more memory than is free, the largest first.
    fn thin_out(&self) {
        let mut idle = self.idle();
        idle.sort_by_key(|(_, kept)| *kept);
        while idle.iter().map(|(_, kept)| kept).sum::<u64>() > self.budget.free() {
            idle.pop();
        }
    }

    /// An idle process, best one that has the baseline ready.
    fn take(&self, reference: &str) -> Option<Worker> {
        let mut idle = self.idle();
        let warm = idle.iter().position(|(w, _)| w.kept.iter().any(|kept| kept == reference));
        match warm {
            Some(at) => Some(idle.swap_remove(at)),
            None => idle.pop(),
        }
        .map(|(worker, _)| worker)
    }

    async fn spawn(&self) -> io::Result<Worker> {
        let mut process = Command::new(&self.settings.program)
            .arg("pixel")
            .arg(self.settings.memory_bytes.to_string())
            .env_clear()
            .env("RAYON_NUM_THREADS", "1")
            // The thread that watches us shall not reserve a heap of its own from the child's address space.
            .env("MALLOC_ARENA_MAX", "1")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            // Ctrl-C goes to a whole group: the parent stops, the child finishes what it has in hand.
            .process_group(0)
            .spawn()?;
        let missing = || io::Error::other("a pipe is missing");
        let input = process.stdin.take().ok_or_else(missing)?;
        let output = process.stdout.take().ok_or_else(missing)?;
        let mut worker = Worker { process, input, output, kept: VecDeque::new() };
        let (ready, _) = worker.receive().await?;
        if let PixelReply::Ready { confinement } = ready {
            tracing::debug!(%confinement, "a pixel process is ready");
        }
        worker.send(&Request::Protocol(Box::new(self.protocol.clone())), &[]).await?;
        Ok(worker)
    }

    async fn converse<F>(&self, worker: &mut Worker, job: &PixelJob, baseline: F) -> Result<PixelOutcome, Failure>
    where
        F: Future<Output = anyhow::Result<(Bytes, PhotoFacts)>>,
    {
        if !worker.kept.contains(&job.reference) {
            let (bytes, facts) = baseline.await.map_err(|e| Failure::Told(PixelError::Baseline(e)))?;
            let request =
                Request::Prepare { reference: job.reference.clone(), facts, thumb: job.itself && job.pictures };
            while worker.kept.len() >= KEPT {
                worker.kept.pop_front();
            }
            match self.ask(worker, &request, &bytes).await? {
                (PixelReply::Prepared, _) => worker.kept.push_back(job.reference.clone()),
                (PixelReply::Unusable { reason, detail, pictures }, parts) => {
                    let pictures = pictures.into_iter().zip(parts).collect();
                    return Ok(PixelOutcome::BaselineUnusable { reason, detail, pictures });
                }
                (other, _) => return Err(unexpected(&other)),
            }
        }
        let request = Request::Assess {
            reference: job.reference.clone(),
            facts: job.facts.clone(),
            itself: job.itself,
            pictures: job.pictures,
        };
        match self.ask(worker, &request, &job.bytes).await? {
            (PixelReply::Assessed { assessment, pictures }, parts) => {
                let pictures = pictures.into_iter().zip(parts).collect();
                Ok(PixelOutcome::Assessed { assessment, pictures })
            }
            (other, _) => Err(unexpected(&other)),
        }
    }

    /// Sends a request and waits for its answer within the limits of CPU and wall time.
    async fn ask(
        &self,
        worker: &mut Worker,
        request: &Request,
        part: &[u8],
    ) -> Result<(PixelReply, Vec<Bytes>), Failure> {
        let before = cpu_time(&worker.process);
        let give_up = Instant::now() + self.settings.wall_limit;
        let pid = worker.process.id();
        let talk = async {
            worker.send(request, part).await?;
            worker.receive().await
        };
        tokio::pin!(talk);
        loop {
            let look = Instant::now() + Duration::from_millis(500);
            match timeout_at(look.min(give_up), &mut talk).await {
                Ok(answer) => return answer.map_err(Failure::of),
                Err(_) => {
                    let used = pid.and_then(cpu_of).unwrap_or_default().saturating_sub(before);
                    if used > self.settings.cpu_limit {
                        return Err(Failure::Told(PixelError::TookTooLong(self.settings.cpu_limit.as_secs())));
                    }
                    if Instant::now() >= give_up {
                        return Err(Failure::Silent("fell silent".to_owned()));
                    }
                }
            }
        }
    }

    /// Says how a process died: its last words, its exit.
    async fn post_mortem(&self, mut worker: Worker, error: &str) -> PixelError {
        let _ = worker.process.start_kill();
        let mut words = Vec::new();
        if let Some(stderr) = worker.process.stderr.take() {
            let _ = tokio::time::timeout(Duration::from_secs(1), stderr.take(8192).read_to_end(&mut words)).await;
        }
        let words = String::from_utf8_lossy(&words);
        if words.contains("memory allocation of") {
            return PixelError::OutOfMemory;
        }
        let exit = worker.process.wait().await.map_or_else(|e| e.to_string(), |status| status.to_string());
        let last = words.lines().last().unwrap_or_default().chars().take(200).collect::<String>();
        PixelError::Died(format!("died ({exit}; {error}) {last}").trim_end().to_owned())
    }
}

enum Failure {
    /// The pipe broke or nothing came: look at the process.
    Silent(String),
    Told(PixelError),
}

impl Failure {
    fn of(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::InvalidData => {
                Self::Told(PixelError::Bug(format!("an answer of a pixel process is not understood: {error}")))
            }
            _ => Self::Silent(error.to_string()),
        }
    }
}

impl From<Failure> for PixelError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Silent(text) => PixelError::Died(text),
            Failure::Told(error) => error,
        }
    }
}

fn cannot_start(error: io::Error) -> PixelError {
    PixelError::Bug(format!("failed to start a pixel process: {error}"))
}

fn unexpected(reply: &PixelReply) -> Failure {
    let text = match reply {
        PixelReply::Broken(text) => format!("a pixel process broke: {text}"),
        _ => "a pixel process gave an answer to another question".to_owned(),
    };
    Failure::Told(PixelError::Bug(text))
}

impl Worker {
    async fn send(&mut self, request: &Request, part: &[u8]) -> io::Result<()> {
        let parts =
            if part.is_empty() && matches!(request, Request::Protocol(_)) { vec![] } else { vec![part.len() as u64] };
        self.input.write_all(&header(request, &parts)?).await?;
        self.input.write_all(part).await?;
        self.input.flush().await
    }

    async fn receive(&mut self) -> io::Result<(PixelReply, Vec<Bytes>)> {
        let mut length = [0u8; 4];
        self.output.read_exact(&mut length).await?;
        let mut json = vec![0u8; header_length(length)?];
        self.output.read_exact(&mut json).await?;
        // What we do not understand is our fault, and no sign of a process that dies.
        let (reply, lengths) = parse(&json).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        let mut parts = Vec::with_capacity(lengths.len());
        for length in lengths {
            let mut part = vec![0u8; length as usize];
            self.output.read_exact(&mut part).await?;
            parts.push(Bytes::from(part));
        }
        Ok((reply, parts))
    }
}

/// Memory that a process keeps, bytes, where the system tells it as Linux does (`/proc/<pid>/statm`, pages of 4 KiB).
fn memory_of(pid: u32) -> Option<u64> {
    let statm = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    Some(statm.split_whitespace().nth(1)?.parse::<u64>().ok()? * 4096)
}

fn cpu_time(process: &Child) -> Duration {
    process.id().and_then(cpu_of).unwrap_or_default()
}

/// CPU time of a process, where the system tells it as Linux does (`/proc/<pid>/stat`, 100 ticks a second).
fn cpu_of(pid: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 10))
}
