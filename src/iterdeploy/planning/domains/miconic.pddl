; A lift that takes passengers where they want to go: the predicates and actions of the IPC 2023 learning track.
; (above low high) says that the second floor is above the first.
(define (domain miconic)
  (:requirements :strips :typing)
  (:types passenger floor)
  (:predicates
    (above ?low ?high - floor)
    (lift-at ?floor - floor)
    (origin ?passenger - passenger ?floor - floor)
    (destin ?passenger - passenger ?floor - floor)
    (boarded ?passenger - passenger)
    (served ?passenger - passenger))

  (:action up
    :parameters (?here ?there - floor)
    :precondition (and (lift-at ?here) (above ?here ?there))
    :effect (and (lift-at ?there) (not (lift-at ?here))))

  (:action down
    :parameters (?here ?there - floor)
    :precondition (and (lift-at ?here) (above ?there ?here))
    :effect (and (lift-at ?there) (not (lift-at ?here))))

  (:action board
    :parameters (?floor - floor ?passenger - passenger)
    :precondition (and (lift-at ?floor) (origin ?passenger ?floor))
    :effect (and (boarded ?passenger) (not (origin ?passenger ?floor))))

  (:action depart
    :parameters (?floor - floor ?passenger - passenger)
    :precondition (and (lift-at ?floor) (boarded ?passenger) (destin ?passenger ?floor))
    :effect (and (served ?passenger) (not (boarded ?passenger)))))
