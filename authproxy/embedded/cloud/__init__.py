"""A second-factor service of our own: Auth API v2 over HTTPS, SQLite beneath, a page to approve logins on.

It is a service apart that the proxy calls over HTTPS like any other; it is no offline mode.

```
api/     the API's words: parameters, signatures, envelopes, error codes
pages/   the words for people: the phone page, enrolment
store/   what is kept: one SQLite file, secrets in it sealed
*.py     what is decided: policy, passcodes, the life of a login
```
"""
