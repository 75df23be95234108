; Spanners that each tighten one nut, picked up on a way of no return: the predicates and actions of the IPC 2023
; learning track.
(define (domain spanner)
  (:requirements :strips :typing)
  (:types
    location locatable - object
    man nut spanner - locatable)
  (:predicates
    (link ?from ?to - location)
    (at ?thing - locatable ?place - location)
    (carrying ?man - man ?spanner - spanner)
    (usable ?spanner - spanner)
    (loose ?nut - nut)
    (tightened ?nut - nut))

  (:action walk
    :parameters (?from ?to - location ?man - man)
    :precondition (and (at ?man ?from) (link ?from ?to))
    :effect (and (at ?man ?to) (not (at ?man ?from))))

  (:action pickup_spanner
    :parameters (?place - location ?spanner - spanner ?man - man)
    :precondition (and (at ?man ?place) (at ?spanner ?place))
    :effect (and (carrying ?man ?spanner) (not (at ?spanner ?place))))

  (:action tighten_nut
    :parameters (?place - location ?spanner - spanner ?man - man ?nut - nut)
    :precondition (and (at ?man ?place) (at ?nut ?place) (loose ?nut) (carrying ?man ?spanner) (usable ?spanner))
    :effect (and (tightened ?nut) (not (loose ?nut)) (not (usable ?spanner)))))
