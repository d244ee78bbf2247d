"""The nine proofs: what is done to a night, and what must be true afterwards."""

import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import threading
import time
import zlib

from faults import SICK, Proxy
from night import (
    Failed, Share, copy_patient, kill, make_bucket, memory, must, photo_files, pixel_processes, stop, wait_until,
)


class Chaos:
    """What the proofs share: the program, how large they are, and the servers."""

    def __init__(self, program, cache, scratch, size, seed, postgres, s3):
        self.program, self.cache, self.scratch = program, cache, scratch
        self.size, self.seed, self.postgres, self.s3 = size, seed, postgres, s3
        self.undisturbed = {}

    def bucket(self, name, patients):
        place = self.scratch / name
        shutil.rmtree(place, ignore_errors=True)
        return place, make_bucket(self.program, self.cache, place, patients)

    def reference(self, patients):
        """Bucket, photos and result of a night that nobody disturbs; made once for each size."""
        if patients not in self.undisturbed:
            bucket, photos = self.bucket(f"bucket-{patients}", patients)
            db = f"sqlite://{self.scratch}/undisturbed-{patients}.db"
            begun = time.monotonic()
            self.program.run("run", bucket, "--db", db, "--out", "none", "--no-progress", "--now")
            took = time.monotonic() - begun
            digest, rows, twice = self.program.result(db)
            must(twice == 0 and rows > 0, "the undisturbed night is not right")
            self.undisturbed[patients] = (bucket, photos, digest, rows, took)
        return self.undisturbed[patients]

    def large_patient(self):
        """A patient with photos of 24 MP."""
        rendered = self.cache / "large"
        if not (rendered / "done").exists():
            shutil.rmtree(rendered, ignore_errors=True)
            self.program.run("demo", "--patients", 1, "--sessions", 2, "--seed", 77, "--megapixels", 24, "--dir", rendered,
                             "--no-progress")
            (rendered / "done").touch()
        [original] = (rendered / "bucket" / "incoming").glob("clinic=*/patient=*")
        return original

    def lone_photo(self, bucket, patient, px_per_mm):
        """A patient with one photo of 24 MP, which claims a scale. Gives its key."""
        session = sorted(self.large_patient().iterdir())[0]
        folder = bucket / "incoming" / "clinic=c-0" / f"patient={patient}" / session.name
        folder.mkdir(parents=True)
        manifest = json.loads((session / "manifest.json").read_text())
        [first, *_] = manifest["photos"]
        first.update(px_per_mm=px_per_mm, regions=[])
        manifest.update(clinic_id="c-0", patient_id=patient, photos=[first])
        os.link(session / first["file"], folder / first["file"])
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return str((folder / first["file"]).relative_to(bucket))

    def large_bucket(self):
        """Photos of 24 MP, one patient under as many names as are asked for. Gives the number of photos."""
        original = self.large_patient()
        place = self.scratch / "large"
        shutil.rmtree(place, ignore_errors=True)
        copies = max(1, self.size["large_photos"] // 4)
        return place, sum(copy_patient(original, place, "c-large", f"pt-{number:05}") for number in range(copies))

    def same(self, db, patients):
        """The result is that of the undisturbed night; gives what was lost and doubled."""
        _, photos, digest, rows, _ = self.reference(patients)
        got, got_rows, twice = self.program.result(db)
        counts = self.program.counts(db)
        ended = counts["measured"] + counts["not_measurable"]
        must(ended == photos, f"of {photos} photos {ended} ended with a result or a reason: {counts}")
        must(twice == 0, f"{twice} rows are there twice")
        must(got == digest, f"the digest is {got} with {got_rows} rows, undisturbed {digest} with {rows}")
        return {"photos": photos, "lost": photos - ended, "doubled": twice, "digest": "equal"}

    def database(self, name):
        """A new database on the server."""
        base, _, query = self.postgres.url.partition("?")
        subprocess.run(["psql", "-qX", self.postgres.url, "-c", f'CREATE DATABASE "{name}"'], check=True,
                       capture_output=True, text=True)
        return base.rsplit("/", 1)[0] + f"/{name}" + (f"?{query}" if query else "")


# 1 ------------------------------------------------------------------------------------------------------------------

class Spared:
    """A photo whose pixel process dies three times is set aside, and rightly so: the next one is hit when a dozen photos have
    ended since, so that no photo is hit so often."""

    def __init__(self, program, db):
        self.program, self.db, self.ended = program, db, -12

    def may_hit(self):
        counts = self.program.counts(self.db)
        ended = counts and counts["measured"] + counts["not_measurable"]
        if ended is None or ended < self.ended + 12:
            return False
        self.ended = ended
        return True


def kills_on_sqlite(chaos):
    """SIGKILL of the program and of its pixel processes, at random, until the night is over all the same."""
    patients, kills = chaos.size["kill_patients"], chaos.size["kills"]
    bucket, *_ = chaos.reference(patients)
    rng = random.Random(chaos.seed)
    db = f"sqlite://{chaos.scratch}/killed.db"
    killed = {"program": 0, "pixel": 0}
    words = ("run", bucket, "--db", db, "--out", "none", "--no-progress", "--now")
    spared = Spared(chaos.program, db)
    begun = time.monotonic()
    process = chaos.program.start(*words, log="killed.log")
    while sum(killed.values()) < kills:
        time.sleep(rng.uniform(0.3, 2.0) * chaos.size["pause"])
        if process.poll() is not None:
            must(process.returncode in (0, 10), f"the run ended with {process.returncode}")
            if chaos.program.open_runs(db) == 0:
                break
            process = chaos.program.start(*words, log="killed.log")
            continue
        pixels = pixel_processes(process.pid)
        if pixels and rng.random() < 0.2 and spared.may_hit():
            killed["pixel"] += kill(rng.choice(pixels))
        else:
            killed["program"] += kill(process.pid)
            process.wait()
            process = chaos.program.start(*words, log="killed.log")
    process.wait()
    chaos.program.run(*words)
    return {**killed, **chaos.same(db, patients), "seconds": round(time.monotonic() - begun)}


def kills_on_postgres(chaos):
    """SIGKILL among four workers on one database."""
    patients, kills = chaos.size["fleet_patients"], chaos.size["fleet_kills"]
    bucket, *_ = chaos.reference(patients)
    rng = random.Random(chaos.seed + 1)
    db = chaos.database(f"killed_{os.getpid()}")
    chaos.program.run("scan", bucket, "--db", db)
    words = ("worker", bucket, "--db", db, "--out", "none", "--workers", 1, "--no-progress")
    spared = Spared(chaos.program, db)
    begun = time.monotonic()
    fleet = [chaos.program.start(*words, log="fleet.log") for _ in range(4)]
    killed = 0
    while killed < kills and chaos.program.open_runs(db) != 0:
        time.sleep(rng.uniform(0.5, 2.0) * chaos.size["pause"])
        place = rng.randrange(4)
        pixels = pixel_processes(fleet[place].pid)
        if pixels and rng.random() < 0.2 and spared.may_hit():
            killed += kill(rng.choice(pixels))
            continue
        killed += kill(fleet[place].pid)
        fleet[place].wait()
        fleet[place] = chaos.program.start(*words, log="fleet.log")
    last = time.monotonic()
    wait_until(lambda: chaos.program.open_runs(db) == 0, 900, "the fleet did not finish")
    idle = time.monotonic() - last
    slowest = max(stop(process) for process in fleet)
    return {"workers": 4, "kills": killed, **chaos.same(db, patients), "seconds": round(time.monotonic() - begun),
            "after the last kill s": round(idle), "slowest stop s": round(slowest, 1)}


# 2 ------------------------------------------------------------------------------------------------------------------

def sick_store(chaos):
    """Errors, resets, cut, stalled and flipped bodies; then darkness."""
    patients = chaos.size["patients"]
    source = chaos.s3.upload(chaos.reference(patients)[0], f"chaos-{os.getpid()}-{patients}")
    requests = {}
    for name, faults in (("healthy", {}), ("sick", SICK)):
        proxy = Proxy(chaos.s3.endpoint, chaos.seed, faults)
        program = chaos.program.with_environment(AWS_ENDPOINT_URL_S3=proxy.endpoint, **chaos.s3.environment)
        db = f"sqlite://{chaos.scratch}/{name}.db"
        program.run("run", source, "--db", db, "--out", "none", "--no-progress", "--now")
        requests[name], counts = proxy.requests, dict(proxy.counts)
        proxy.close()
        same = chaos.same(db, patients)
    ratio = requests["sick"] / requests["healthy"]
    must(ratio <= 1.6, f"{ratio:.2f} times the requests of a healthy store")
    starts = [row["starts"] for row in chaos.program.table("photos", db)]
    return {"faults": counts, **same, "requests": f"{ratio:.2f} ×", "most starts of a photo": max(map(int, starts))}


def dark_store(chaos):
    """The store goes dark in the middle: work pauses, resumes by itself, and no attempt is burnt."""
    patients, seconds = chaos.size["patients"], chaos.size["dark"]
    source = chaos.s3.upload(chaos.reference(patients)[0], f"chaos-{os.getpid()}-{patients}")
    proxy = Proxy(chaos.s3.endpoint, chaos.seed, {})
    program = chaos.program.with_environment(AWS_ENDPOINT_URL_S3=proxy.endpoint, **chaos.s3.environment)
    db = f"sqlite://{chaos.scratch}/dark.db"
    process = program.start("run", source, "--db", db, "--out", "none", "--no-progress", "--now", log="dark.log")
    wait_until(lambda: (chaos.program.counts(db) or {}).get("measured", 0) >= 5, 120, "nothing was measured")
    proxy.go_dark(seconds)
    begun = time.monotonic()
    process.wait(600)
    took = time.monotonic() - begun
    must(process.returncode in (0, 10), f"the run ended with {process.returncode}")
    must(took >= seconds, "the night was over before the darkness was")
    photos = chaos.program.table("photos", db)
    starts, setbacks = max(int(p["starts"]) for p in photos), sum(int(p["setbacks"]) for p in photos)
    must(starts == 1, f"a photo has {starts} starts")
    proxy.close()
    return {"dark s": seconds, "requests in the dark": proxy.counts.get("dark", 0), **chaos.same(db, patients),
            "most starts of a photo": starts, "setbacks": setbacks}


# 3 ------------------------------------------------------------------------------------------------------------------

def database_restarts(chaos):
    """The database restarts again and again while two workers are at it."""
    patients, restarts = chaos.size["patients"], chaos.size["restarts"]
    bucket, *_ = chaos.reference(patients)
    db = chaos.database(f"restarted_{os.getpid()}")
    chaos.program.run("scan", bucket, "--db", db)
    words = ("worker", bucket, "--db", db, "--out", "none", "--workers", 1, "--no-progress")
    fleet = [chaos.program.start(*words, log="restarted.log") for _ in range(2)]
    begun, done = time.monotonic(), 0
    rng = random.Random(chaos.seed + 3)
    ended = []
    while done < restarts:
        time.sleep(rng.uniform(0.5, 2.0) * chaos.size["pause"])
        chaos.postgres.restart()
        done += 1
        if chaos.program.open_runs(db) == 0:
            break
    for place, process in enumerate(fleet):
        if process.poll() is not None:
            ended.append(process.returncode)
            fleet[place] = chaos.program.start(*words, log="restarted.log")
    wait_until(lambda: chaos.program.open_runs(db) == 0, 600, "the fleet did not finish")
    for process in fleet:
        stop(process)
    must(not ended, f"workers ended with {ended} instead of waiting for the database")
    return {"restarts": done, **chaos.same(db, patients), "seconds": round(time.monotonic() - begun)}


def full_disk(chaos):
    """The disk is full at one point after another: a clear exit, nothing lost, and it goes on where there is room again."""
    patients = chaos.size["disk_patients"]
    bucket, *_ = chaos.reference(patients)
    disk = chaos.scratch / "disk"
    disk.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", disk], capture_output=True).returncode != 0:
        return {"skipped": "no right to mount a small disk"}
    codes, fills = [], 0
    try:
        db = f"sqlite://{disk}/c.db"
        words = ("run", bucket, "--db", db, "--out", disk / "out", "--no-progress", "--now", "--workers", 2)
        filler = disk / "filler"
        free = 0
        for step in range(chaos.size["fills"]):
            # So much room, and no more: each time it breaks off at another write.
            filler.unlink(missing_ok=True)
            free = 180_000 + 700_000 * step
            room = os.statvfs(disk)
            size = room.f_bavail * room.f_frsize - free
            with open(filler, "wb") as file:
                file.write(b"\0" * max(size, 0))
            done = chaos.program.run(*words, codes=None, timeout=300)
            codes.append(done.returncode)
            must(done.returncode in (0, 10, 74), f"exit code {done.returncode}: {done.stderr.strip()[-500:]}")
            must(done.returncode != 74 or "disk" in done.stderr.lower() or "full" in done.stderr.lower(), done.stderr[-500:])
            fills += done.returncode == 74
        filler.unlink(missing_ok=True)
        chaos.program.run(*words)
        must(fills > 0, "the disk was never full")
        return {"full": fills, "exit codes": sorted(set(codes)), **chaos.same(db, patients)}
    finally:
        subprocess.run(["umount", disk], check=False)


# 4 ------------------------------------------------------------------------------------------------------------------

def png(width, height, row, depth=8, colour=2):
    """A PNG of one row again and again; the header alone where there is none."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    packer = zlib.compressobj(1)
    data = b"".join(packer.compress(b"\x00" + row) for _ in range(height if row else 0)) + packer.flush()
    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def poison(chaos):
    """One photo in a hundred, and at least six, is poison; the others must not notice."""
    patients = chaos.size["poison_patients"]
    clean, photos, digest, rows, healthy_seconds = chaos.reference(patients)
    bucket, _ = chaos.bucket("poisoned", patients)
    rng = random.Random(chaos.seed + 4)
    kinds = {
        "truncated": (lambda good: good[: len(good) // 2], "jpg", "quarantined truncated"),
        "zip named jpg": (lambda good: b"PK\x03\x04" + b"\0" * 5000, "jpg", "quarantined type_mismatch"),
        "60k x 60k": (lambda good: png(60_000, 60_000, b""), "png", "quarantined too_many_pixels"),
        "aborting": (lambda good: png(7000, 8000, random.Random(2).randbytes(64) * 875, 16, 6), "png", "quarantined decoder_memory"),
        "no skin": (lambda good: png(1200, 900, b"\x80" * 3600), "png", "not_measurable"),
    }
    # Follow-ups only, so that nobody loses a baseline; each in a session of its own patient.
    victims = [file for file in photo_files(bucket) if file.name.endswith(".2.jpg") and not is_baseline(file)]
    rng.shuffle(victims)
    wanted = max(len(kinds), photos // 100 - 1)
    # A photo of 24 MP, a patient of its own, whose scale says that it shows more skin than there is time for.
    expected = {chaos.lone_photo(bucket, "pt-endless", 45.0): ("endless", "quarantined decoder_timeout")}
    for number, victim in enumerate(victims[:wanted]):
        name = list(kinds)[number % len(kinds)]
        make, extension, end = kinds[name]
        bad = make(victim.read_bytes())
        victim.unlink()
        target = victim.with_suffix(f".{extension}")
        target.write_bytes(bad)
        manifest = json.loads((victim.parent / "manifest.json").read_text())
        for photo in manifest["photos"]:
            if photo["file"] == victim.name:
                photo.update(file=target.name, bytes=len(bad))
                photo.pop("sha256", None)
        (victim.parent / "manifest.json").write_text(json.dumps(manifest))
        expected[str(target.relative_to(bucket))] = (name, end)
    config = chaos.scratch / "poison.toml"
    config.write_text(f"pixel_memory_mib = 700\npixel_cpu_s = {chaos.size['cpu']}\n")
    db = f"sqlite://{chaos.scratch}/poisoned.db"
    begun = time.monotonic()
    chaos.program.run("run", bucket, "--db", db, "--out", "none", "--no-progress", "--now", "--config", config)
    took = time.monotonic() - begun
    table = {row["object_key"]: row for row in chaos.program.table("photos", db)}
    for key, (name, end) in expected.items():
        row = table[key]
        told = f"{row['state']} {row['reason']}"
        must(told.startswith(end), f"{name} ended as {told}: {row['detail']}")
    others = [row for key, row in table.items() if key not in expected]
    hurt = [row for row in others if row["state"] != "measured"]
    must(not hurt, f"{len(hurt)} healthy photos were hurt: {hurt[:1]}")
    rate = (len(others) / took) / (photos / healthy_seconds)
    return {"photos": photos, "poison": len(expected), "kinds": len(kinds) + 1, "healthy photos hurt": len(hurt),
            "healthy throughput": f"{rate:.2f} ×", "seconds": round(took)}


def is_baseline(file):
    return json.loads((file.parent / "manifest.json").read_text()).get("baseline", False)


# 5 ------------------------------------------------------------------------------------------------------------------

def delivered_thrice(chaos):
    """Every session comes three times, in any order, follow-ups before their baselines, while a worker is at it."""
    patients = chaos.size["patients"]
    clean, photos, *_ = chaos.reference(patients)
    rng = random.Random(chaos.seed + 5)
    sessions = sorted(clean.glob("incoming/*/*/*")) * 3
    rng.shuffle(sessions)
    bucket = chaos.scratch / "thrice"
    shutil.rmtree(bucket, ignore_errors=True)
    (bucket / "incoming").mkdir(parents=True)
    db = chaos.database(f"thrice_{os.getpid()}")
    chaos.program.run("scan", bucket, "--db", db)
    worker = chaos.program.start("worker", bucket, "--db", db, "--out", "none", "--no-progress", log="thrice.log")
    steps = chaos.size["deliveries"]
    for step in range(steps):
        for session in sessions[step::steps]:
            target = bucket / session.relative_to(clean)
            shutil.rmtree(target, ignore_errors=True)
            # The manifest comes last, and a delivery is seen as a whole.
            arriving = bucket / "arriving"
            shutil.copytree(session, arriving)
            target.parent.mkdir(parents=True, exist_ok=True)
            arriving.rename(target)
        chaos.program.run("scan", bucket, "--db", db)
    wait_until(lambda: chaos.program.open_runs(db) == 0, 900, "the worker did not finish")
    stop(worker)
    same = chaos.same(db, patients)
    wrong = [row for row in chaos.program.table("photos", db)
             if row["state"] == "measured" and not baseline_is_first(row)]
    must(not wrong, f"{len(wrong)} photos were scored against another baseline: {wrong[:1]}")
    return {"deliveries": len(sessions), "scans": steps, **same, "against a wrong baseline": len(wrong)}


def baseline_is_first(row):
    """The baseline of a rendered patient is its first session."""
    folder = row["object_key"].split("/session=")[0]
    return row["baseline_object_key"].startswith(folder) and row["baseline_object_key"] <= row["object_key"]


# 6 ------------------------------------------------------------------------------------------------------------------

def frozen_worker(chaos):
    """A worker is frozen with photos in work, longer than it takes to be missed, and woken when others have done them."""
    patients = chaos.size["frozen_patients"]
    bucket, *_ = chaos.reference(patients)
    db = chaos.database(f"frozen_{os.getpid()}")
    chaos.program.run("scan", bucket, "--db", db)
    words = ("worker", bucket, "--db", db, "--out", "none", "--workers", 2, "--no-progress")
    frozen = chaos.program.start(*words, log="frozen.log")
    wait_until(lambda: chaos.program.counts(db)["measured"] >= 2, 120, "nothing was measured")
    # In the middle of a photo: its pixel processes stand still as well.
    wait_until(lambda: chaos.program.counts(db)["running"] >= 1, 60, "nothing was running", pause=0.05)
    for pid in pixel_processes(frozen.pid):
        kill(pid, signal.SIGSTOP)
    kill(frozen.pid, signal.SIGSTOP)
    stuck = chaos.program.counts(db)["running"]
    must(stuck >= 1, "nothing was in work when it was frozen")
    begun = time.monotonic()
    other = chaos.program.start(*words, log="other.log")
    wait_until(lambda: chaos.program.open_runs(db) == 0, 240, "the other worker did not take over")
    rescued = time.monotonic() - begun
    for pid in pixel_processes(frozen.pid):
        kill(pid, signal.SIGCONT)
    kill(frozen.pid, signal.SIGCONT)
    time.sleep(8)
    same = chaos.same(db, patients)
    starts = max(int(row["starts"]) for row in chaos.program.table("photos", db))
    for process in (frozen, other):
        stop(process)
    must(rescued < 90 + 30, f"it took {rescued:.0f} s until all was done")
    must(starts == 1, f"a start was held against a photo: {starts}")
    return {"frozen with": stuck, "all done after s": round(rescued), **same, "most starts of a photo": starts}


# 7 ------------------------------------------------------------------------------------------------------------------

def bounded_memory(chaos):
    """Four times the photos that the budget holds are asked for at once; the whole tree of processes is watched."""
    budget = chaos.size["budget_mib"]
    bucket, photos = chaos.large_bucket()
    db = f"sqlite://{chaos.scratch}/memory.db"
    workers = chaos.size["oversubscribed"]
    process = chaos.program.start("run", bucket, "--db", db, "--out", "none", "--no-progress", "--now",
                                  "--workers", workers, "--max-memory", f"{budget}MiB", log="memory.log")
    samples = []
    while process.poll() is None:
        samples.append(memory(process.pid) + sum(memory(pid) for pid in pixel_processes(process.pid)))
        time.sleep(0.05)
    must(process.returncode in (0, 10), f"the run ended with {process.returncode}")
    most = max(samples) / 2**20
    half = len(samples) // 2
    drift = max(samples[half:]) / max(max(samples[:half]), 1)
    counts = chaos.program.counts(db)
    must(most <= budget, f"{most:.0f} MiB where {budget} are allowed")
    return {"photos": photos, "at once": workers, "budget MiB": budget, "most MiB": round(most),
            "second half over first": f"{drift:.2f} ×", "measured": counts["measured"], "to retake": counts["not_measurable"],
            "quarantined": counts["quarantined"]}


# 8 ------------------------------------------------------------------------------------------------------------------

def any_number_of_workers(chaos):
    """1, 2 and 8 workers, on both databases; and what a second worker brings."""
    patients = chaos.size["patients"]
    bucket, *_ = chaos.reference(patients)
    seconds = {}
    for workers in (1, 2, 8):
        for kind in ("sqlite", "postgres"):
            db = f"sqlite://{chaos.scratch}/w{workers}.db" if kind == "sqlite" else chaos.database(f"w{workers}_{os.getpid()}")
            begun = time.monotonic()
            chaos.program.run("run", bucket, "--db", db, "--out", "none", "--no-progress", "--now", "--workers", workers)
            seconds[workers, kind] = time.monotonic() - begun
            same = chaos.same(db, patients)
    gain = seconds[1, "sqlite"] / seconds[2, "sqlite"]
    return {"nights": len(seconds), **same, "2 photos at once against 1": f"{gain:.2f} ×",
            "cores": len(os.sched_getaffinity(0)), "2 workers against 1, half a core each": second_worker(chaos)}


def second_worker(chaos):
    """What a second machine brings: workers with half a core each, so that database and test have a core of their own."""
    patients = chaos.size["patients"]
    bucket, photos, *_ = chaos.reference(patients)
    shares = []
    try:
        shares = [Share(number) for number in range(2)]
    except OSError as error:
        for share in shares:
            share.end()
        return f"skipped: no control group can be made ({error.strerror})"
    seconds = {}
    try:
        for workers in (1, 2):
            db = chaos.database(f"halves{workers}_{os.getpid()}")
            chaos.program.run("scan", bucket, "--db", db)
            words = ("worker", bucket, "--db", db, "--out", "none", "--workers", 1, "--no-progress")
            begun = time.monotonic()
            fleet = [chaos.program.start(*words, log="halves.log", within=share) for share in shares[:workers]]
            wait_until(lambda: chaos.program.open_runs(db) == 0, 1800, "the fleet did not finish")
            seconds[workers] = time.monotonic() - begun
            for process in fleet:
                stop(process)
            chaos.same(db, patients)
    finally:
        time.sleep(1)
        for share in shares:
            share.end()
    return f"{seconds[1] / seconds[2]:.2f} × ({photos / seconds[1]:.2f} and {photos / seconds[2]:.2f} photos/s)"


# 9 ------------------------------------------------------------------------------------------------------------------

def long_queue(chaos):
    """What a photo costs the ledger when 1,000 and when many more are queued; no photo is read."""
    done = subprocess.run([chaos.size["queue_program"], str(chaos.size["queued"]),
                           *([chaos.postgres.url] if chaos.postgres else [])],
                          capture_output=True, text=True, timeout=3600)
    must(done.returncode == 0, done.stderr[-2000:])
    return json.loads(done.stdout)


PROOFS = {
    "1a": ("SIGKILL on SQLite", kills_on_sqlite),
    "1b": ("SIGKILL among four workers on PostgreSQL", kills_on_postgres),
    "2a": ("a sick object store", sick_store),
    "2b": ("an object store that goes dark", dark_store),
    "3a": ("PostgreSQL restarts", database_restarts),
    "3b": ("a full disk", full_disk),
    "4": ("poison photos", poison),
    "5": ("delivered three times, out of order", delivered_thrice),
    "6": ("a frozen worker that wakes", frozen_worker),
    "7": ("memory within its budget", bounded_memory),
    "8": ("any number of workers, both databases", any_number_of_workers),
    "9": ("a long queue", long_queue),
}
