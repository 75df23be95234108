"""The planning domains by name. A new one is one `.pddl`, one module and one line here."""

from iterdeploy.planning.domain import PlanningDomain
from iterdeploy.planning.domains import (
    blocksworld,
    childsnack,
    ferry,
    floortile,
    haulage,
    miconic,
    rovers,
    satellite,
    sokoban,
    spanner,
    tanks,
    transport,
)

DOMAINS: dict[str, PlanningDomain] = {
    module.DOMAIN.name: module.DOMAIN
    for module in (
        blocksworld,
        childsnack,
        ferry,
        floortile,
        haulage,
        miconic,
        rovers,
        satellite,
        sokoban,
        spanner,
        tanks,
        transport,
    )
}
