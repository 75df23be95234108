; Satellites that take pictures with calibrated instruments, one powered at a time: the predicates and actions of the
; IPC 2023 learning track.
(define (domain satellite)
  (:requirements :strips :typing :negative-preconditions)
  (:types satellite direction instrument mode)
  (:predicates
    (pointing ?satellite - satellite ?direction - direction)
    (power_avail ?satellite - satellite)
    (power_on ?instrument - instrument)
    (on_board ?instrument - instrument ?satellite - satellite)
    (supports ?instrument - instrument ?mode - mode)
    (calibration_target ?instrument - instrument ?direction - direction)
    (calibrated ?instrument - instrument)
    (have_image ?direction - direction ?mode - mode))

  (:action turn_to
    :parameters (?satellite - satellite ?new ?old - direction)
    :precondition (and (pointing ?satellite ?old) (not (pointing ?satellite ?new)))
    :effect (and (pointing ?satellite ?new) (not (pointing ?satellite ?old))))

  (:action switch_on
    :parameters (?instrument - instrument ?satellite - satellite)
    :precondition (and (on_board ?instrument ?satellite) (power_avail ?satellite))
    :effect (and (power_on ?instrument) (not (power_avail ?satellite)) (not (calibrated ?instrument))))

  (:action switch_off
    :parameters (?instrument - instrument ?satellite - satellite)
    :precondition (and (on_board ?instrument ?satellite) (power_on ?instrument))
    :effect (and (power_avail ?satellite) (not (power_on ?instrument))))

  (:action calibrate
    :parameters (?satellite - satellite ?instrument - instrument ?direction - direction)
    :precondition (and (on_board ?instrument ?satellite) (power_on ?instrument)
                       (calibration_target ?instrument ?direction) (pointing ?satellite ?direction))
    :effect (calibrated ?instrument))

  (:action take_image
    :parameters (?satellite - satellite ?direction - direction ?instrument - instrument ?mode - mode)
    :precondition (and (on_board ?instrument ?satellite) (power_on ?instrument) (calibrated ?instrument)
                       (supports ?instrument ?mode) (pointing ?satellite ?direction))
    :effect (have_image ?direction ?mode)))
