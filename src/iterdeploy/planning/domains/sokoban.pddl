; A robot that walks between walls and pushes boxes, one at a time: the predicates and actions of the IPC 2023 learning
; track. The robot's own cell counts as clear.
(define (domain sokoban)
  (:requirements :strips :typing)
  (:types location direction box)
  (:constants up down left right - direction)
  (:predicates
    (adjacent ?cell ?next - location ?direction - direction)
    (clear ?cell - location)
    (at-robot ?cell - location)
    (at ?box - box ?cell - location))

  (:action move
    :parameters (?here ?there - location ?direction - direction)
    :precondition (and (at-robot ?here) (adjacent ?here ?there ?direction) (clear ?there))
    :effect (and (at-robot ?there) (not (at-robot ?here))))

  (:action push
    :parameters (?here ?cell ?beyond - location ?direction - direction ?box - box)
    :precondition (and (at-robot ?here) (at ?box ?cell) (clear ?beyond)
                       (adjacent ?here ?cell ?direction) (adjacent ?cell ?beyond ?direction))
    :effect (and (at-robot ?cell) (at ?box ?beyond) (clear ?cell)
                 (not (at-robot ?here)) (not (at ?box ?cell)) (not (clear ?beyond)))))
