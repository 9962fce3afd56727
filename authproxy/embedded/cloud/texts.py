"""What the service says to users, by status: what applications show, and so what a user reads at a login."""

from __future__ import annotations

from authproxy.embedded.cloud.model import Status

TEXT = {
    Status.PUSHED: "Pushed a login request to your device...",
    Status.CALLING: "Dialing your phone...",
    Status.ANSWERED: "Answered. Press any key on your phone to log in.",
    Status.ALLOW: "Success. Logging you in...",
    Status.BYPASS: "Your account needs no second factor.",
    Status.DENY: "Login request denied.",
    Status.TIMEOUT: "Login timed out.",
    Status.FRAUD: "Login request reported as fraud.",
    Status.LOCKED_OUT: "Your account is locked out.",
    Status.SENT: "New SMS passcodes sent.",
}
ACTIVE = "Account is active"
DISABLED = "Your account is disabled."
NOT_ENROLLED = "You are not enrolled."
REMEMBERED = "This device is remembered."
ENROLL = "Enroll an authentication device to proceed"
WRONG_PASSCODE = "Incorrect passcode. Please try again."
