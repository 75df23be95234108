"""Administrative acts over HTTP: what has been decided, and which generation serves."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from iterdeploy.gateway.deployed import Deployed
from iterdeploy.gateway.question import Body
from iterdeploy.gateway.refusal import Refusal
from iterdeploy.governance.serving import Decisions
from iterdeploy.record.sqlite import StoreError
from iterdeploy.record.standing import Key
from iterdeploy.sections import UserError
from iterdeploy.types import JSON

MOST = 100
"""Acts that are listed at once."""


class ActBody(Body):
    act: Literal["promote", "rollback", "canary"]
    generation: Annotated[int, Field(ge=0, le=100_000)] | None = None
    """Of a rollback: it may be left out for the one that served before."""
    share: Annotated[float, Field(ge=0, le=1)] | None = None
    """Of a canary; 0 ends it."""

    @model_validator(mode="after")
    def _says_what_it_needs(self) -> "ActBody":
        if self.generation is None and self.act != "rollback":
            raise ValueError(f"{self.act} needs a generation")
        if (self.share is None) == (self.act == "canary"):
            raise ValueError("a share goes with canary, and with nothing else")
        return self


def decide(deployed: Deployed, said: ActBody, key: Key) -> dict[str, JSON]:
    """Does it, in the name of the key, and says what holds then. Refusal for what cannot serve."""
    try:
        with Decisions(deployed.path, f"key {key.name}" if key.name else "the gateway") as decisions:
            if said.act == "rollback":
                decisions.rollback(said.generation)
            elif said.act == "promote":
                decisions.promote(said.generation or 0, "over HTTP")
            else:
                decisions.canary(said.generation or 0, said.share or 0.0)
    except StoreError:
        raise
    except UserError as error:
        raise Refusal(400, "invalid_request", str(error)) from None
    now = deployed.standing()
    return {"promoted": now.promoted, "canary": now.canary, "share": now.share}


def acts(deployed: Deployed) -> list[JSON]:
    """The latest acts, the newest last. Digests of keys stay here."""
    found = list(deployed.traffic.acts(max(0, deployed.traffic.last_act() - MOST)))
    return [
        {"at": act.at, "who": act.who, "act": act.act,
         "details": {name: value for name, value in act.details.items() if name != "digest"}}
        for _, act in found
    ]  # fmt: skip
