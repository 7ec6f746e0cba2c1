"""Seeded ends of the mover, Redis, PostgreSQL or the S3 server in the middle of tiering.

`python -m tests.adapters.stores.tier_faults FIRST COUNT` runs a range of seeds and says what each
did and what was lost or doubled.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import polars as pl

from adapters.stores.cold_places import S3Place
from adapters.stores.hot import RedisHotStore
from adapters.stores.postgres_address import PostgresAddress
from adapters.stores.s3_access import S3Access
from adapters.stores.tables_delta import DeltaTableStore
from adapters.stores.tiered_tables import TieredTables
from adapters.stores.tiers import TierPolicies, TierPolicy
from adapters.stores.warm_postgres import PostgresWarmStore
from tests.adapters.stores.test_tiers import DAY, START, make_fills
from tests.services import PostgresService, RedisProcess, S3Process, s3_server

ROOT = Path(__file__).parents[3]
VICTIMS = ("mover", "redis", "postgres", "s3")
AS_OF = START + 100 * DAY
POLICIES = TierPolicies(TierPolicy(hot_age=5 * DAY, warm_age=40 * DAY))
BATCHES, PATIENCE_S = 5, 90.0


@dataclass(frozen=True, slots=True)
class Servers:
    """Three servers that may be killed and started again."""

    redis: RedisProcess
    postgres: PostgresService
    s3: S3Process

    def address(self) -> list[str]:
        return [self.redis.url, self.postgres.url, self.s3.endpoint]

    def end(self, victim: str, away_s: float = 0.0) -> None:
        """Kill one of them, and start it again after so long."""
        if victim == "postgres":
            self.postgres.stop(signal.SIGQUIT)
            time.sleep(away_s)
            self.postgres.start()
        else:
            server: RedisProcess | S3Process = getattr(self, victim)
            server.kill()
            time.sleep(away_s)
            server.start()


@contextmanager
def servers() -> Iterator[Servers]:
    """Run all three."""
    with tempfile.TemporaryDirectory(prefix="apiary-pg-") as folder, s3_server() as s3:
        redis, postgres = RedisProcess(), PostgresService(Path(folder))
        try:
            redis.start()
            postgres.start()
            yield Servers(redis, postgres, s3)
        finally:
            redis.stop()
            postgres.stop(signal.SIGQUIT)


def open_tables(redis: str, postgres: str, endpoint: str, name: str) -> TieredTables:
    """Open the tiers of one seed, apart from those of all others."""
    access = S3Access(endpoint, S3Process.access_key, S3Process.secret_key, timeout_s=3)
    locks = Path(tempfile.gettempdir()) / f"apiary-locks-{os.getuid()}"  # of this user alone
    return TieredTables(
        RedisHotStore(redis, prefix=f"{name}:"),
        PostgresWarmStore(PostgresAddress(postgres), schema=name),
        DeltaTableStore(S3Place(f"s3://faults/{name}", access, locks=locks)),
        POLICIES,
    )


def batches_of(seed: int) -> list[pl.DataFrame]:
    """Return fills of a hundred days in batches; every row is of one batch only."""
    draw = random.Random(seed)
    days = list(range(100))
    draw.shuffle(days)
    cuts = [days[i::BATCHES] for i in range(BATCHES)]
    return [pl.concat([make_fills(d, 1) for d in sorted(cut)]) for cut in cuts]


def persist(step: Callable[[], object], deadline: float) -> int:
    """Do the step again until every server is there for it; return how often one was not."""
    failures = 0
    while True:
        try:
            step()
        except OSError:
            failures += 1
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return failures


def move_all(tables: TieredTables, batches: list[pl.DataFrame], begun: Event) -> int:
    """Write every batch and move what is due after each; return how often a server was away."""
    deadline, failures = time.monotonic() + PATIENCE_S, 0
    begun.set()
    for batch in batches:
        failures += persist(lambda b=batch: tables.write("fills", b), deadline)
        failures += persist(lambda: tables.demote(AS_OF), deadline)
    return failures


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a seed came to: rows lost and doubled, and whether the end came in the middle."""

    seed: int
    victim: str
    lost: int
    doubled: int
    interrupted: bool

    def __str__(self) -> str:
        when = "in the middle" if self.interrupted else "unnoticed"
        counts = f"{self.lost} lost, {self.doubled} doubled"
        return f"seed {self.seed}: {self.victim} ended {when}, {counts}"


def run_seed(seed: int, running: Servers) -> Outcome:
    """Kill the seed's victim at the seed's moment, finish the work, and count."""
    victim, name = VICTIMS[seed % len(VICTIMS)], f"faults_{seed}"
    draw = random.Random(seed + 1_000_003)
    tables = open_tables(*running.address(), name)
    batches = batches_of(seed)
    if victim == "mover":
        interrupted = _kill_mover(seed, running, draw)
    else:
        begun = Event()

        def end() -> None:
            begun.wait()
            time.sleep(draw.uniform(0.0, 0.8))
            # Redis is back before a client has tried twice, unless it stays away for a while.
            running.end(victim, draw.uniform(0.0, 1.5) if victim == "redis" else 0.0)

        killer = Thread(target=end)
        killer.start()
        interrupted = move_all(tables, batches, begun) > 0
        killer.join()
    move_all(tables, batches, Event())  # what a restarted producer and mover would do again
    return _counted(tables, batches, Outcome(seed, victim, 0, 0, interrupted))


def _kill_mover(seed: int, running: Servers, draw: random.Random) -> bool:
    command = [sys.executable, "-m", __spec__.name, "mover", str(seed), *running.address()]
    mover = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert mover.stdout is not None
    assert mover.stdout.readline() == "begun\n"
    time.sleep(draw.uniform(0.0, 0.8))
    mover.kill()
    return "done" not in mover.stdout.read() and mover.wait() == -signal.SIGKILL


def _counted(tables: TieredTables, batches: list[pl.DataFrame], outcome: Outcome) -> Outcome:
    wanted = pl.concat(batches)
    found = tables.catalogue().query("fills", revisions=True)
    lost = wanted.join(found, on=wanted.columns, how="anti", nulls_equal=True).height
    lying = int(tables.places()["rows"].sum())  # rows of all tiers, the same one twice counts twice
    doubled = lying - wanted.height + lost
    return Outcome(outcome.seed, outcome.victim, lost, doubled, outcome.interrupted)


def main(words: list[str]) -> int:
    """Run as the mover of a seed, or a range of seeds."""
    if words[0] == "mover":
        tables = open_tables(*words[2:5], f"faults_{words[1]}")
        batches = batches_of(int(words[1]))
        print("begun", flush=True)
        move_all(tables, batches, Event())
        print("done", flush=True)
        return 0
    first, count = int(words[0]), int(words[1])
    began, outcomes = time.monotonic(), []
    with servers() as running:
        for seed in range(first, first + count):
            outcomes.append(run_seed(seed, running))
            print(outcomes[-1], flush=True)
    lost, doubled = sum(o.lost for o in outcomes), sum(o.doubled for o in outcomes)
    middle = sum(o.interrupted for o in outcomes)
    took = timedelta(seconds=round(time.monotonic() - began))
    print(f"{count} runs, {middle} ended in the middle: {lost} lost, {doubled} doubled, in {took}")
    return int(bool(lost or doubled))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
