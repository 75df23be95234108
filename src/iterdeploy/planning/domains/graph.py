"""Shortest ways in graphs of named nodes, and random connected graphs."""

from collections.abc import Mapping, Sequence

from iterdeploy.planning.rng import Rng

Graph = Mapping[str, Sequence[str]]
"""Node -> the nodes that one step leads to."""

FAR = 10**9
"""The distance of what cannot be reached."""


class Routes:
    """Distances and shortest ways between the nodes of one graph, searched when first asked for."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._before: dict[str, dict[str, str]] = {}
        self._distance: dict[str, dict[str, int]] = {}

    def distance(self, start: str, end: str) -> int:
        """Steps from start to end; `FAR` where there is no way."""
        return self.distances(start).get(end, FAR)

    def nearest(self, start: str, ends: Sequence[str]) -> str:
        """The first of the ends that is as near as any."""
        distances = self.distances(start)
        return min(ends, key=lambda end: distances.get(end, FAR))

    def way(self, start: str, end: str) -> list[tuple[str, str]]:
        """The steps of a shortest way as (from, to)."""
        before = self._before[start] if start in self._before else self._search(start)
        steps: list[tuple[str, str]] = []
        while end != start:
            steps.append((before[end], end))
            end = before[end]
        return steps[::-1]

    def distances(self, start: str) -> dict[str, int]:
        """Distances to all nodes that can be reached, the nearest first."""
        if start not in self._distance:
            self._search(start)
        return self._distance[start]

    def _search(self, start: str) -> dict[str, str]:
        before: dict[str, str] = {}
        distance = {start: 0}
        queue = [start]
        for node in queue:
            for following in self._graph.get(node, ()):
                if following not in distance:
                    distance[following] = distance[node] + 1
                    before[following] = node
                    queue.append(following)
        self._before[start], self._distance[start] = before, distance
        return before


def connected(nodes: Sequence[str], extra: int, rng: Rng) -> list[tuple[str, str]]:
    """Edges of a random connected graph: a tree, anything between a chain and a bush, and up to `extra` more."""
    order = rng.shuffled(nodes)
    spread = rng.between(1, len(order))
    edges = dict.fromkeys((order[rng.between(max(0, i - spread), i - 1)], order[i]) for i in range(1, len(order)))
    for _ in range(extra):
        first, second = rng.choice(order), rng.choice(order)
        if first != second and (second, first) not in edges:
            edges[first, second] = None
    return list(edges)


def both_ways(edges: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Every edge, and behind it the same edge the other way round."""
    return [pair for first, second in edges for pair in ((first, second), (second, first))]
