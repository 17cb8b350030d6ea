from keras_l2o.errors import UserError


class HubError(UserError):
    """Base class: a folder or a name from which nothing was loaded."""


class UnknownName(HubError):
    """A name that leads to no optimizer."""


class MissingFile(HubError):
    """A folder, or a file in it, that is not there or no plain file."""


class TooLarge(HubError):
    """A file that is larger than any of its kind has to be."""


class DigestError(HubError):
    """A file that is not the one its digest was taken of."""


class FormatError(HubError):
    """A file that does not say what an optimizer's folder has to say."""


class ForeignClass(FormatError):
    """A config that names a class which nobody allowed."""


class WeightsError(FormatError):
    """Weights that cannot be read, or are not those of the policy."""


class RemoteError(HubError):
    """A hub that did not do what was asked of it."""


class MissingRepository(RemoteError):
    """A repository that is not there, or not for everybody."""


class MissingRevision(RemoteError):
    """A branch, tag or commit that the repository does not have."""


class GatedRepository(RemoteError):
    """A repository whose owner has to let you in first."""


class AccessDenied(RemoteError):
    """Something that the token, or the lack of one, does not allow."""


class Unreachable(RemoteError):
    """No answer from the hub, and not everything in the cache."""
