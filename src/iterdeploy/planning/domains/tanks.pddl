; Water is poured between tanks that pipes join, a measure at a time, until each tank holds what it should.
(define (domain tanks)
  (:requirements :typing :numeric-fluents)
  (:types tank)
  (:predicates
    (pipe ?from ?to - tank))
  (:functions
    (level ?tank - tank)
    (capacity ?tank - tank)
    (measure))

  (:action pour
    :parameters (?from ?to - tank)
    :precondition (and
      (pipe ?from ?to)
      (>= (level ?from) (measure))
      (<= (+ (level ?to) (measure)) (capacity ?to)))
    :effect (and (decrease (level ?from) (measure)) (increase (level ?to) (measure)))))
