; Blocksworld with four actions and one arm: the predicates and actions of the IPC 2023 learning track.
(define (domain blocksworld)
  (:requirements :strips)
  (:predicates
    (clear ?block)
    (on-table ?block)
    (arm-empty)
    (holding ?block)
    (on ?block ?below))

  (:action pickup
    :parameters (?block)
    :precondition (and (clear ?block) (on-table ?block) (arm-empty))
    :effect (and (holding ?block)
                 (not (clear ?block)) (not (on-table ?block)) (not (arm-empty))))

  (:action putdown
    :parameters (?block)
    :precondition (holding ?block)
    :effect (and (clear ?block) (arm-empty) (on-table ?block)
                 (not (holding ?block))))

  (:action stack
    :parameters (?block ?below)
    :precondition (and (clear ?below) (holding ?block))
    :effect (and (arm-empty) (clear ?block) (on ?block ?below)
                 (not (clear ?below)) (not (holding ?block))))

  (:action unstack
    :parameters (?block ?below)
    :precondition (and (on ?block ?below) (clear ?block) (arm-empty))
    :effect (and (holding ?block) (clear ?below)
                 (not (on ?block ?below)) (not (clear ?block)) (not (arm-empty)))))
