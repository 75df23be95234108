// The states that a plan goes through, as the validator computed them: the facts at the start, and what each step adds
// and removes. Only sums are done here. Position 0 is the start and position n the state after step n; a step that
// could not be taken has a position, too, where the state is that before it.

class Film {
  constructor(scene, moves, plan) {
    this.facts = [...scene.facts, ...(moves?.facts ?? [])].map((fact) => fact.split(" "));
    this.goal = scene.goal;
    this.otherGoals = scene.other_goals;
    this.fixed = scene.fixed.map((fact) => fact.split(" "));
    this.fixedInAll = scene.fixed_in_all;
    this.plan = plan;
    this.steps = moves?.steps ?? [];
    this.failed = moves?.failed ?? null;
    this.unmet = moves?.unmet ?? [];
    this.notPlayed = moves?.not_played ?? 0;
    this.last = this.steps.length + (this.failed ? 1 : 0);
    this.state = new Set(Array.from({ length: scene.start }, (_, number) => number));
    this.taken = 0;
  }

  /** Goes to a position; `state` then holds the numbers of the facts that are true there. */
  seek(position) {
    const target = Math.min(position, this.steps.length);
    while (this.taken < target) this.change(...this.steps[this.taken++]);
    while (this.taken > target) this.change(...[...this.steps[--this.taken]].reverse());
    return this.state;
  }

  change(added, removed) {
    for (const fact of removed) this.state.delete(fact);
    for (const fact of added) this.state.add(fact);
  }

  reached() {
    return this.goal.filter((fact) => this.state.has(fact)).length;
  }

  /** Whether every fact that changes is one of these: { predicate: number of objects }. */
  speaksOf(predicates) {
    return this.facts.every(([name, ...objects]) => predicates[name] === objects.length);
  }
}
