"""Turns what happens at doors into alarms (F8)."""

from __future__ import annotations

from authproxy.observe.alarms.alarm import AlarmKind
from authproxy.observe.alarms.board import Alarms
from authproxy.observe.doors import DoorEvent, DoorEventKind, Subscriber

_KINDS = {
    DoorEventKind.OPENED: AlarmKind.DOOR_OPENED,
    DoorEventKind.CLOSED: AlarmKind.DOOR_CLOSED,
    DoorEventKind.TAMPERED: AlarmKind.TAMPER,
    DoorEventKind.LIMIT_REACHED: AlarmKind.LIMIT_REACHED,
    DoorEventKind.PRIMARY_ONLY_BEGAN: AlarmKind.PRIMARY_ONLY_BEGAN,
    DoorEventKind.PRIMARY_ONLY_ENDED: AlarmKind.PRIMARY_ONLY_ENDED,
    DoorEventKind.SLOW: AlarmKind.CLOUD_SLOW,
    DoorEventKind.QUICK: AlarmKind.CLOUD_QUICK,
}
_TEXTS = {
    DoorEventKind.OPENED: "THE DOOR IS OPEN: users get in on a password alone, because the cloud can't be reached",
    DoorEventKind.CLOSED: "the door is closed again: users need a second factor",
    DoorEventKind.TAMPERED: "somebody may intercept the connection to the cloud; this lets nobody in",
    DoorEventKind.LIMIT_REACHED: "a limit has closed the open door; the cloud still can't be reached",
    DoorEventKind.PRIMARY_ONLY_BEGAN: "THE SECOND FACTOR IS OFF, by command: users get in on a password alone",
    DoorEventKind.PRIMARY_ONLY_ENDED: "the second factor is asked for again",
    DoorEventKind.SLOW: "the cloud answers too slowly",
    DoorEventKind.QUICK: "the cloud answers quickly again",
}


def raises(alarms: Alarms) -> Subscriber:
    """The function to subscribe to DoorEvents."""

    def happened(event: DoorEvent) -> None:
        said = {"why": event.why, "detail": event.detail}
        detail = {name: text for name, text in said.items() if text}
        alarms.tell(_KINDS[event.kind], event.section, _TEXTS[event.kind], **detail)

    return happened
