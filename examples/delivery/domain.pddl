(define (domain delivery)
  (:requirements :strips :typing)
  (:types place parcel)
  (:predicates (van-at ?p - place) (at ?x - parcel ?p - place) (loaded ?x - parcel))
  (:action drive
    :parameters (?from ?to - place)
    :precondition (van-at ?from)
    :effect (and (not (van-at ?from)) (van-at ?to)))
  (:action load
    :parameters (?x - parcel ?p - place)
    :precondition (and (van-at ?p) (at ?x ?p))
    :effect (and (not (at ?x ?p)) (loaded ?x)))
  (:action unload
    :parameters (?x - parcel ?p - place)
    :precondition (and (van-at ?p) (loaded ?x))
    :effect (and (not (loaded ?x)) (at ?x ?p))))
