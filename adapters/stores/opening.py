"""Opening each tier where one setting says that it is: on this machine, or on a server."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from adapters.stores.archive_media import ArchiveMedium, ClassArchive, FolderArchive
from adapters.stores.cold_archive import ColdArchive
from adapters.stores.cold_places import ColdPlace, LocalPlace, S3Place
from adapters.stores.envelope import Sealer
from adapters.stores.hot import EmbeddedHotStore, HotStore, RedisHotStore
from adapters.stores.hot_mirrored import MirroredHotStore
from adapters.stores.s3_access import S3Access
from adapters.stores.sealed_place import SealedPlace
from adapters.stores.segments import SegmentTier
from adapters.stores.tables_delta import DeltaTableStore


def open_hot(
    home: Path, redis_url: str | None, prefix: Callable[[], str] | None = None
) -> HotStore:
    """Return the hot tier in Redis, its keys after the prefix, or in a file of the home.

    What a decision cannot do without lies in the file as well where it is in Redis.
    """

    def embedded() -> HotStore:
        return EmbeddedHotStore(home / "hot" / "hot.db")

    if not redis_url:
        return embedded()
    server = RedisHotStore(redis_url, prefix=prefix) if prefix else RedisHotStore(redis_url)
    return MirroredHotStore(server, embedded)


def open_warm(
    home: Path, postgres_url: str | None, ca_file: Path | None, timeout_s: float
) -> SegmentTier:
    """Return the warm tier in PostgreSQL, or in Parquet files of the home."""
    if postgres_url:
        from adapters.stores.postgres_address import PostgresAddress
        from adapters.stores.warm_postgres import PostgresWarmStore

        return PostgresWarmStore(PostgresAddress(postgres_url, ca_file), timeout_s=timeout_s)
    from adapters.stores.warm import WarmStore

    return WarmStore(home / "warm" / "tables")


def open_cold(
    home: Path,
    url: str | None,
    *,
    endpoint: str | None = None,
    region: str = "us-east-1",
    access_key: str | None = None,
    secret_key: str | None = None,
    timeout_s: float = 10.0,
    ca_file: Path | None = None,
    sealer: Sealer | None = None,
    only_sealed: bool = False,
) -> DeltaTableStore:
    """Return the cold tier on S3-compatible storage, or in a folder of the home.

    With a sealer its files are encrypted.
    """
    place: ColdPlace = LocalPlace(home / "cold")
    if url:
        access = S3Access(endpoint, access_key, secret_key, region, timeout_s, ca_file)
        place = S3Place(url, access, locks=home / "locks")
    if sealer is not None:
        place = SealedPlace(place, sealer, only_sealed=only_sealed)
    return DeltaTableStore(place)


def open_archive(
    store: DeltaTableStore, *, storage_class: str | None, folder: Path | None, age: timedelta
) -> ColdArchive | None:
    """Return the archive of a cold tier, None where none is set; ValueError on one that it has not.

    A class belongs to storage, a folder to a folder.
    """
    place = store.place.plain if isinstance(store.place, SealedPlace) else store.place
    medium: ArchiveMedium
    match place, storage_class, folder:
        case _, None, None:
            return None
        case S3Place(), str(), None:
            medium = ClassArchive(place.objects(), place.prefix, str(storage_class))
        case LocalPlace(), None, Path():
            medium = FolderArchive(place.root, folder)
        case _:
            raise ValueError(
                "the archive must be a storage_class where the cold tier is on S3, or else a "
                f"folder, was storage_class {storage_class} and folder {folder}"
            )
    return ColdArchive(store, medium, age=age)
