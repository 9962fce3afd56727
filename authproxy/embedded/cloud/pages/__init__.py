"""The words for people: the phone page, enrolment. Works without scripts; with them it is live."""
