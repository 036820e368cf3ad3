"""How durations are written, wherever they are."""


def format_duration(seconds: float) -> str:
    """Write a duration in its two largest units: ``2.5 s``, ``40 s``, ``12 min``, ``3 h 5 min``, ``2 d 4 h``."""
    if seconds < 9.5:
        return f"{seconds:.2g} s"
    if seconds < 119.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    days, hours, minutes = minutes // 1440, minutes % 1440 // 60, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
