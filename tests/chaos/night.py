"""Buckets, processes and results of a night, as the proofs need them. Only Python's own library, and the real program."""

import csv
import hashlib
import io
import json
import os
import pathlib
import shutil
import signal
import subprocess
import time

# Columns that say when and by whom a row was written, and where its photo came from; all others must be the same.
OF_THE_RUN = {"computed_at"}
DONE = (0, 10, 11)


class Failed(Exception):
    """A proof that does not hold."""


def must(holds, text):
    if not holds:
        raise Failed(text)


class Program:
    """The binary under test."""

    def __init__(self, path, scratch, environment=None):
        self.path = str(pathlib.Path(path).resolve())
        self.scratch = pathlib.Path(scratch)
        self.environment = {**os.environ, "NO_COLOR": "1", **(environment or {})}
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
            self.environment.pop(name, None)

    def with_environment(self, **more):
        return Program(self.path, self.scratch, {**self.environment, **more})

    def start(self, *words, log=None, within=None):
        """Starts it as the head of a group of its own, `within` the share of the processor that a `Share` gives."""
        target = open(self.scratch / (log or "last.log"), "ab")
        shell = ["sh", "-c", 'echo $$ >"$0" && exec "$@"', str(within.processes)] if within else []
        return subprocess.Popen(
            [*shell, self.path, *map(str, words)], cwd=self.scratch, env=self.environment,
            stdin=subprocess.DEVNULL, stdout=target, stderr=target, start_new_session=True,
        )

    def run(self, *words, codes=DONE, timeout=3600):
        done = subprocess.run(
            [self.path, *map(str, words)], cwd=self.scratch, env=self.environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=timeout,
        )
        must(codes is None or done.returncode in codes,
             f"'{' '.join(map(str, words))}' ended with {done.returncode}: {done.stderr.strip()[-2000:]}")
        return done

    def status(self, db):
        done = self.run("status", "--json", "--db", db, codes=None, timeout=60)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def counts(self, db):
        status = self.status(db)
        return status and status["counts"]

    def open_runs(self, db):
        counts = self.counts(db)
        return counts and sum(counts[state] for state in ("waiting_for_baseline", "scheduled", "ready", "running"))

    def table(self, name, db):
        done = self.run("export", name, "--db", db, codes=(0,))
        return list(csv.DictReader(io.StringIO(done.stdout)))

    def result(self, db):
        """Digest of what a night made, its rows, and rows that are there twice."""
        digest, rows, twice = hashlib.sha256(), 0, 0
        for name, key in (
            ("observations", ("clinic_id", "patient_id", "session", "view", "shot", "region", "measure")),
            ("changes", ("clinic_id", "patient_id", "session", "view", "region", "measure")),
        ):
            table = self.table(name, db)
            keys = [tuple(row[column] for column in key) for row in table]
            twice += len(keys) - len(set(keys))
            rows += len(table)
            for row in sorted(tuple(sorted((k, v) for k, v in row.items() if k not in OF_THE_RUN)) for row in table):
                digest.update(repr(row).encode())
        return digest.hexdigest()[:16], rows, twice


class Share:
    """Half a core for one worker and its children, by a control group of its own (version 1 or 2)."""

    def __init__(self, name):
        one, two = pathlib.Path("/sys/fs/cgroup/cpu"), pathlib.Path("/sys/fs/cgroup")
        self.place = (one if one.is_dir() else two) / f"cicatrix-chaos-{os.getpid()}-{name}"
        self.place.mkdir()
        self.processes = self.place / "cgroup.procs"
        if one.is_dir():
            (self.place / "cpu.cfs_quota_us").write_text("50000")
        else:
            (self.place / "cpu.max").write_text("50000 100000")

    def end(self):
        self.place.rmdir()


def make_bucket(program, cache, target, patients, clinics=3, sessions=3):
    """A bucket of close-ups: six rendered patients, under as many names as are asked for. Gives the number of photos."""
    rendered = pathlib.Path(cache) / "rendered"
    if not (rendered / "done").exists():
        shutil.rmtree(rendered, ignore_errors=True)
        rendered.parent.mkdir(parents=True, exist_ok=True)
        program.run("demo", "--patients", 6, "--sessions", sessions, "--seed", 4242, "--dir", rendered, "--no-progress")
        (rendered / "done").touch()
    originals = sorted((rendered / "bucket" / "incoming").glob("clinic=*/patient=*"))
    copies = ((originals[number % len(originals)], f"c-{number % clinics}", f"pt-{number:05}") for number in range(patients))
    return sum(copy_patient(original, target, clinic, patient) for original, clinic, patient in copies)


def copy_patient(original, target, clinic, patient):
    """A patient under another name; its photos are linked. Gives their number."""
    photos = 0
    for session in sorted(original.iterdir()):
        folder = pathlib.Path(target) / "incoming" / f"clinic={clinic}" / f"patient={patient}" / session.name
        folder.mkdir(parents=True)
        for file in session.iterdir():
            if file.name == "manifest.json":
                manifest = json.loads(file.read_text())
                manifest.update(clinic_id=clinic, patient_id=patient)
                (folder / file.name).write_text(json.dumps(manifest))
            else:
                os.link(file, folder / file.name)
                photos += 1
    return photos


def photo_files(bucket):
    return sorted(pathlib.Path(bucket).glob("incoming/**/*.jpg"))


def pixel_processes(pid):
    """Processes that any thread of a process has started and that are still there."""
    found = []
    for task in pathlib.Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            pass
    return found


def memory(pid):
    """Memory that a process holds, bytes."""
    try:
        return int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, IndexError):
        return 0


def kill(pid, sign=signal.SIGKILL):
    try:
        os.kill(pid, sign)
        return True
    except ProcessLookupError:
        return False


def wait_until(what, seconds, text, pause=0.3):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(pause)
    raise Failed(f"{text}: not within {seconds} s")


def stop(process, seconds=30):
    """Asks a process to end; gives how long it took."""
    begun = time.monotonic()
    kill(process.pid, signal.SIGTERM)
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise Failed(f"it did not end within {seconds} s of SIGTERM") from None
    return time.monotonic() - begun
