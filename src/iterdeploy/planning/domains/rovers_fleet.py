"""What the rovers of one task can do, and the steps by which they do it."""

from dataclasses import dataclass

from iterdeploy.planning.domain import Step
from iterdeploy.planning.domains.common import Facts
from iterdeploy.planning.domains.graph import FAR, Routes

FITNESS = ["equipped_for_soil_analysis", "equipped_for_rock_analysis", "equipped_for_imaging"]
MODES = ["colour", "high_res", "low_res"]


@dataclass(frozen=True)
class Errand:
    """How a rover gets one sample or picture."""

    steps: int
    """On the way; `FAR` where it cannot get it."""
    stops: tuple[tuple[str, Step], ...] = ()
    """Waypoints to drive to, one after the other, each with what is done there."""


class Fleet:
    """What every rover can do."""

    def __init__(self, facts: Facts) -> None:
        ways: dict[str, dict[str, list[str]]] = {}
        visible = dict.fromkeys(facts["visible"])
        for rover, start, end in facts["can_traverse"]:
            if (start, end) in visible:
                ways.setdefault(rover, {}).setdefault(start, []).append(end)
        self.place = facts.pairs("at")
        self.routes = {rover: Routes(ways.get(rover, {})) for rover in self.place}
        self.lander, self.landing = facts["at_lander"][0]
        self.store = {rover: store for store, rover in facts["store_of"]}
        self.full = {store for (store,) in facts["full"]}
        self.fit = {fitness: dict.fromkeys(rover for (rover,) in facts[fitness]) for fitness in FITNESS}
        self.samples = {kind: [at for (at,) in facts[f"at_{kind}_sample"]] for kind in ("soil", "rock")}
        self.modes, self.views = facts.lists("supports"), facts.lists("visible_from")
        self.target = facts.pairs("calibration_target")
        self.cameras: dict[str, list[str]] = {}
        for camera, rover in facts["on_board"]:
            self.cameras.setdefault(rover, []).append(camera)
        self.posts = {
            rover: [start for start, end in visible if end == self.landing and self._reaches(rover, start)]
            for rover in self.place
        }

    def _reaches(self, rover: str, waypoint: str) -> bool:
        return self.routes[rover].distance(self.place[rover], waypoint) < FAR

    def possible_goals(self, objectives: list[str]) -> list[Step]:
        goals: list[Step] = []
        for kind, places in self.samples.items():
            goals += [(f"communicated_{kind}_data", place) for place in places]
        goals += [("communicated_image_data", objective, mode) for objective in objectives for mode in MODES]
        return [goal for goal in goals if any(self.errand(rover, goal).steps < FAR for rover in self.place)]

    def errand(self, rover: str, goal: Step) -> Errand:
        """The shortest errand from where the rover is now."""
        if not self.posts[rover]:
            return Errand(FAR)
        here, routes = self.place[rover], self.routes[rover]
        match goal:
            case (("communicated_soil_data" | "communicated_rock_data") as report, waypoint):
                kind = report.split("_")[1]
                if rover not in self.fit[f"equipped_for_{kind}_analysis"] or waypoint not in self.samples[kind]:
                    return Errand(FAR)
                sample = (f"sample_{kind}", rover, self.store[rover], waypoint)
                return Errand(routes.distance(here, waypoint), ((waypoint, sample),))
            case ("communicated_image_data", objective, mode) if rover in self.fit["equipped_for_imaging"]:
                cameras = [one for one in self.cameras.get(rover, []) if mode in self.modes.get(one, [])]
                pictures = [self._picture(rover, camera, objective, mode) for camera in cameras]
                return min(pictures, key=lambda picture: picture.steps, default=Errand(FAR))
        return Errand(FAR)

    def _picture(self, rover: str, camera: str, objective: str, mode: str) -> Errand:
        here, routes, target = self.place[rover], self.routes[rover], self.target[camera]
        if not self.views.get(target) or not self.views.get(objective):
            return Errand(FAR)
        first = routes.nearest(here, self.views[target])
        second = routes.nearest(first, self.views[objective])
        return Errand(
            min(FAR, routes.distance(here, first) + routes.distance(first, second)),
            (
                (first, ("calibrate", rover, camera, target, first)),
                (second, ("take_image", rover, second, objective, camera, mode)),
            ),
        )

    def drive(self, rover: str, end: str) -> list[Step]:
        way = self.routes[rover].way(self.place[rover], end)
        self.place[rover] = end
        return [("navigate", rover, *step) for step in way]

    def carry_out(self, rover: str, errand: Errand) -> list[Step]:
        steps: list[Step] = []
        for waypoint, step in errand.stops:
            steps += self.drive(rover, waypoint)
            if step[0].startswith("sample"):
                store = self.store[rover]
                if store in self.full:
                    steps.append(("drop", rover, store))
                self.full.add(store)
            steps.append(step)
        return steps
