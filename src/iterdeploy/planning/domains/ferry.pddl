; A ferry that carries one car at a time: the predicates and actions of the IPC 2023 learning track.
(define (domain ferry)
  (:requirements :strips :typing :negative-preconditions)
  (:types car location)
  (:predicates
    (at-ferry ?place - location)
    (at ?car - car ?place - location)
    (empty-ferry)
    (on ?car - car))

  (:action sail
    :parameters (?here ?there - location)
    :precondition (and (at-ferry ?here) (not (at-ferry ?there)))
    :effect (and (at-ferry ?there) (not (at-ferry ?here))))

  (:action board
    :parameters (?car - car ?place - location)
    :precondition (and (empty-ferry) (at-ferry ?place) (at ?car ?place))
    :effect (and (on ?car) (not (at ?car ?place)) (not (empty-ferry))))

  (:action debark
    :parameters (?car - car ?place - location)
    :precondition (and (on ?car) (at-ferry ?place))
    :effect (and (at ?car ?place) (empty-ferry) (not (on ?car)))))
