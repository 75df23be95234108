; Rovers that take samples and pictures and report them to a lander: the predicates and actions of the IPC 2023
; learning track, which names the domain in the singular.
(define (domain rover)
  (:requirements :strips :typing)
  (:types rover waypoint store camera mode lander objective)
  (:predicates
    (at ?rover - rover ?place - waypoint)
    (at_lander ?lander - lander ?place - waypoint)
    (can_traverse ?rover - rover ?from ?to - waypoint)
    (visible ?from ?to - waypoint)
    (equipped_for_soil_analysis ?rover - rover)
    (equipped_for_rock_analysis ?rover - rover)
    (equipped_for_imaging ?rover - rover)
    (store_of ?store - store ?rover - rover)
    (empty ?store - store)
    (full ?store - store)
    (at_soil_sample ?place - waypoint)
    (at_rock_sample ?place - waypoint)
    (have_soil_analysis ?rover - rover ?place - waypoint)
    (have_rock_analysis ?rover - rover ?place - waypoint)
    (on_board ?camera - camera ?rover - rover)
    (supports ?camera - camera ?mode - mode)
    (calibration_target ?camera - camera ?target - objective)
    (calibrated ?camera - camera ?rover - rover)
    (visible_from ?target - objective ?place - waypoint)
    (have_image ?rover - rover ?target - objective ?mode - mode)
    (communicated_soil_data ?place - waypoint)
    (communicated_rock_data ?place - waypoint)
    (communicated_image_data ?target - objective ?mode - mode))

  (:action navigate
    :parameters (?rover - rover ?from ?to - waypoint)
    :precondition (and (at ?rover ?from) (can_traverse ?rover ?from ?to) (visible ?from ?to))
    :effect (and (at ?rover ?to) (not (at ?rover ?from))))

  (:action sample_soil
    :parameters (?rover - rover ?store - store ?place - waypoint)
    :precondition (and (at ?rover ?place) (at_soil_sample ?place) (equipped_for_soil_analysis ?rover)
                       (store_of ?store ?rover) (empty ?store))
    :effect (and (have_soil_analysis ?rover ?place) (full ?store)
                 (not (empty ?store)) (not (at_soil_sample ?place))))

  (:action sample_rock
    :parameters (?rover - rover ?store - store ?place - waypoint)
    :precondition (and (at ?rover ?place) (at_rock_sample ?place) (equipped_for_rock_analysis ?rover)
                       (store_of ?store ?rover) (empty ?store))
    :effect (and (have_rock_analysis ?rover ?place) (full ?store)
                 (not (empty ?store)) (not (at_rock_sample ?place))))

  (:action drop
    :parameters (?rover - rover ?store - store)
    :precondition (and (store_of ?store ?rover) (full ?store))
    :effect (and (empty ?store) (not (full ?store))))

  (:action calibrate
    :parameters (?rover - rover ?camera - camera ?target - objective ?place - waypoint)
    :precondition (and (at ?rover ?place) (equipped_for_imaging ?rover) (on_board ?camera ?rover)
                       (calibration_target ?camera ?target) (visible_from ?target ?place))
    :effect (calibrated ?camera ?rover))

  (:action take_image
    :parameters (?rover - rover ?place - waypoint ?target - objective ?camera - camera ?mode - mode)
    :precondition (and (at ?rover ?place) (equipped_for_imaging ?rover) (on_board ?camera ?rover)
                       (calibrated ?camera ?rover) (supports ?camera ?mode) (visible_from ?target ?place))
    :effect (and (have_image ?rover ?target ?mode) (not (calibrated ?camera ?rover))))

  (:action communicate_soil_data
    :parameters (?rover - rover ?lander - lander ?sampled ?here ?there - waypoint)
    :precondition (and (at ?rover ?here) (at_lander ?lander ?there) (visible ?here ?there)
                       (have_soil_analysis ?rover ?sampled))
    :effect (communicated_soil_data ?sampled))

  (:action communicate_rock_data
    :parameters (?rover - rover ?lander - lander ?sampled ?here ?there - waypoint)
    :precondition (and (at ?rover ?here) (at_lander ?lander ?there) (visible ?here ?there)
                       (have_rock_analysis ?rover ?sampled))
    :effect (communicated_rock_data ?sampled))

  (:action communicate_image_data
    :parameters (?rover - rover ?lander - lander ?target - objective ?mode - mode ?here ?there - waypoint)
    :precondition (and (at ?rover ?here) (at_lander ?lander ?there) (visible ?here ?there)
                       (have_image ?rover ?target ?mode))
    :effect (communicated_image_data ?target ?mode)))
