"""What the cold tier's storage refuses, in errors that say whether anything is lost."""

from adapters.stores.segments import TierCorruptionError


class ColdStoreUnavailableError(OSError):
    """The cold tier's storage did not answer in time or refused; what was committed stands."""


class ColdArchivedError(ColdStoreUnavailableError):
    """What was asked for lies in the archive and cannot be read from there; nothing is lost."""


class ArchiveAwayError(ColdArchivedError, FileNotFoundError):
    """The folder of the archive is not there, or has lost what it was given."""


class ColdDamagedError(TierCorruptionError):
    """A file of the cold tier is not what was written; nothing was read from it."""
