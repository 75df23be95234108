; Vehicles of limited capacity that bring packages along roads: the predicates and actions of the IPC 2023 learning
; track. A vehicle's capacity is what room it has left; (capacity-predecessor less more) counts down by one package.
(define (domain transport)
  (:requirements :strips :typing)
  (:types
    size location locatable - object
    vehicle package - locatable)
  (:predicates
    (road ?from ?to - location)
    (at ?thing - locatable ?place - location)
    (in ?package - package ?vehicle - vehicle)
    (capacity ?vehicle - vehicle ?room - size)
    (capacity-predecessor ?less ?more - size))

  (:action drive
    :parameters (?vehicle - vehicle ?from ?to - location)
    :precondition (and (at ?vehicle ?from) (road ?from ?to))
    :effect (and (at ?vehicle ?to) (not (at ?vehicle ?from))))

  (:action pick-up
    :parameters (?vehicle - vehicle ?place - location ?package - package ?less ?more - size)
    :precondition (and (at ?vehicle ?place) (at ?package ?place)
                       (capacity ?vehicle ?more) (capacity-predecessor ?less ?more))
    :effect (and (in ?package ?vehicle) (capacity ?vehicle ?less)
                 (not (at ?package ?place)) (not (capacity ?vehicle ?more))))

  (:action drop
    :parameters (?vehicle - vehicle ?place - location ?package - package ?less ?more - size)
    :precondition (and (at ?vehicle ?place) (in ?package ?vehicle)
                       (capacity ?vehicle ?less) (capacity-predecessor ?less ?more))
    :effect (and (at ?package ?place) (capacity ?vehicle ?more)
                 (not (in ?package ?vehicle)) (not (capacity ?vehicle ?less)))))
