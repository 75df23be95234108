"""Keys of a deployment: made, shown once, kept as a hash, and revoked."""

import secrets
from collections.abc import Sequence

from iterdeploy.governance.serving import Decisions
from iterdeploy.record.standing import SCOPES, digest
from iterdeploy.sections import UserError


def add_key(
    deployment: Decisions, name: str, scopes: Sequence[str], user: str, train: bool | None, retention_days: int | None
) -> str:
    """The new key, which is kept nowhere. UserError for a name that is taken, or a scope that does not exist."""
    if any(key.name == name for key in deployment.standing.keys.values()):
        raise UserError(f"there is a key named {name} already; revoke it first, or choose another name")
    if unknown := [scope for scope in scopes if scope not in SCOPES]:
        raise UserError(f"{unknown[0]!r} is not something that a key may allow; there are {', '.join(SCOPES)}")
    made = f"it-{secrets.token_urlsafe(32)}"
    deployment.act(
        "key",
        name=name,
        digest=digest(made),
        scopes=list(scopes),
        user=user,
        train=train,
        retention_days=retention_days,
    )
    return made


def revoke_key(deployment: Decisions, name: str) -> None:
    """Takes effect with the gateway's next request. UserError for a key that is not there."""
    known = [key.name for key in deployment.standing.keys.values()]
    if name not in known:
        raise UserError(f"there is no key named {name}; there are {', '.join(known) or 'none'}")
    deployment.act("revoke", name=name)
