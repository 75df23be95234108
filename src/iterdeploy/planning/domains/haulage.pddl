; A lorry with a tank and a load limit brings crates to their places. It may fill up where there is a pump.
(define (domain haulage)
  (:requirements :typing :numeric-fluents)
  (:types place crate)
  (:predicates
    (lorry-at ?place - place)
    (at ?crate - crate ?place - place)
    (loaded ?crate - crate)
    (road ?from ?to - place)
    (pump ?place - place))
  (:functions
    (distance ?from ?to - place)
    (weight ?crate - crate)
    (load)
    (load-limit)
    (fuel)
    (tank)
    (driven))

  (:action drive
    :parameters (?from ?to - place)
    :precondition (and (lorry-at ?from) (road ?from ?to) (>= (fuel) (distance ?from ?to)))
    :effect (and
      (not (lorry-at ?from))
      (lorry-at ?to)
      (decrease (fuel) (distance ?from ?to))
      (increase (driven) (distance ?from ?to))))

  (:action pick
    :parameters (?crate - crate ?place - place)
    :precondition (and (lorry-at ?place) (at ?crate ?place) (<= (+ (load) (weight ?crate)) (load-limit)))
    :effect (and (not (at ?crate ?place)) (loaded ?crate) (increase (load) (weight ?crate))))

  (:action put
    :parameters (?crate - crate ?place - place)
    :precondition (and (lorry-at ?place) (loaded ?crate))
    :effect (and (not (loaded ?crate)) (at ?crate ?place) (decrease (load) (weight ?crate))))

  (:action fill
    :parameters (?place - place)
    :precondition (and (lorry-at ?place) (pump ?place))
    :effect (assign (fuel) (tank))))
