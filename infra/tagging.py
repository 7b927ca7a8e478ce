"""The tags that everything carries which can. One helper, called for each resource: Pulumi's mocks run no transforms."""

from pgdrill.plan import PREFIX
from settings import Settings


def tags(settings: Settings, name: str | None = None) -> dict[str, str]:
    """Return the tags of a resource; `name` for what the console shows by its Name tag."""
    whose = {
        "Environment": settings.tags.Environment,
        "Owner": settings.tags.Owner,
        "CostCenter": settings.tags.CostCenter,
        "EnvironmentSuffix": settings.stack.suffix,
        "ManagedBy": PREFIX,
    }
    return whose | ({"Name": name} if name else {})
