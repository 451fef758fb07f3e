"""The machine is restarted with sessions open: how they end, and how the sockets start."""

from machine import Session, get


def test_sessions_leave_their_entries_and_the_sockets_start_in_order(gate):
    gate.keep_journal()
    # The target that this container boots into.
    gate.run("systemctl", "add-wants", "basic.target", "novnc-gate.service")
    sessions = [Session(f"reboot-{n}") for n in range(20)]
    try:
        assert all(s.echoes() for s in sessions)
        gate.reboot()
        assert all(s.ended() for s in sessions)
    finally:
        for session in sessions:
            session.close()

    gate.listens()
    assert get() == (200, b"Next.js")
    boot = gate.run("journalctl", "-b", "--no-pager")
    assert "ordering cycle" not in boot and "deleted to break" not in boot
    before = gate.journal("-b", "-1", "MESSAGE_ID=930ee7b5ab8f48f2b1fb9892c90e56b8")
    closed = {e["NOVNC_GATE_SESSION"] for e in before}
    assert closed >= {f"reboot-{n}" for n in range(20)}
    gate.run("rm", "/etc/systemd/system/basic.target.wants/novnc-gate.service")
