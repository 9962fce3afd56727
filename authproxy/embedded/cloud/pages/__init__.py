"""The pages for people: the phone page and enrolment. They work without scripts; with scripts they update live."""
