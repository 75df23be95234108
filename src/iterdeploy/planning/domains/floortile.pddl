; Robots that paint the tiles above and below them and cannot walk on paint: the predicates and actions of the IPC
; 2023 learning track. (up a b) says that a is above b, and so for the other directions.
(define (domain floortile)
  (:requirements :strips :typing)
  (:types robot tile color)
  (:predicates
    (up ?tile ?from - tile)
    (down ?tile ?from - tile)
    (left ?tile ?from - tile)
    (right ?tile ?from - tile)
    (robot-at ?robot - robot ?tile - tile)
    (robot-has ?robot - robot ?color - color)
    (free-color ?robot - robot)
    (available-color ?color - color)
    (clear ?tile - tile)
    (painted ?tile - tile ?color - color))

  (:action change_color
    :parameters (?robot - robot ?old ?new - color)
    :precondition (and (robot-has ?robot ?old) (available-color ?new))
    :effect (and (robot-has ?robot ?new) (not (robot-has ?robot ?old))))

  (:action paint_up
    :parameters (?robot - robot ?tile ?here - tile ?color - color)
    :precondition (and (robot-at ?robot ?here) (robot-has ?robot ?color) (up ?tile ?here) (clear ?tile))
    :effect (and (painted ?tile ?color) (not (clear ?tile))))

  (:action paint_down
    :parameters (?robot - robot ?tile ?here - tile ?color - color)
    :precondition (and (robot-at ?robot ?here) (robot-has ?robot ?color) (down ?tile ?here) (clear ?tile))
    :effect (and (painted ?tile ?color) (not (clear ?tile))))

  (:action move_up
    :parameters (?robot - robot ?here ?there - tile)
    :precondition (and (robot-at ?robot ?here) (up ?there ?here) (clear ?there))
    :effect (and (robot-at ?robot ?there) (clear ?here) (not (robot-at ?robot ?here)) (not (clear ?there))))

  (:action move_down
    :parameters (?robot - robot ?here ?there - tile)
    :precondition (and (robot-at ?robot ?here) (down ?there ?here) (clear ?there))
    :effect (and (robot-at ?robot ?there) (clear ?here) (not (robot-at ?robot ?here)) (not (clear ?there))))

  (:action move_left
    :parameters (?robot - robot ?here ?there - tile)
    :precondition (and (robot-at ?robot ?here) (left ?there ?here) (clear ?there))
    :effect (and (robot-at ?robot ?there) (clear ?here) (not (robot-at ?robot ?here)) (not (clear ?there))))

  (:action move_right
    :parameters (?robot - robot ?here ?there - tile)
    :precondition (and (robot-at ?robot ?here) (right ?there ?here) (clear ?there))
    :effect (and (robot-at ?robot ?there) (clear ?here) (not (robot-at ?robot ?here)) (not (clear ?there)))))
