"""What the cold tier's storage refuses, in errors that say whether anything is lost."""


class ColdStoreUnavailableError(OSError):
    """The cold tier's storage did not answer in time or refused; what was committed stands."""


class ColdArchivedError(ColdStoreUnavailableError):
    """What was asked for lies in the archive and cannot be read from there; nothing is lost."""


class ArchiveAwayError(ColdArchivedError, FileNotFoundError):
    """The folder of the archive is not there, or has lost what it was given."""
