"""Systems that several tests simulate."""

from __future__ import annotations

from edgeplan.simulation.arrivals import Arrivals, Renewal
from edgeplan.simulation.system import JobClass, Queue, Source, System, Visit


def single(
    rate: float,
    *,
    cv2: float = 1.0,
    servers: int = 1,
    dispatch: str = "random",
    arrivals: Arrivals | None = None,
    batch: int = 1,
) -> System:
    """One queue with services of mean 1 s."""
    return System(
        sources=(Source(name="s", rate_per_second=rate, arrivals=arrivals or Renewal()),),
        classes=(
            JobClass(source=0, batch=batch, visits=(Visit(queue=0, mean_seconds=1.0, cv2=cv2),)),
        ),
        queues=(Queue(name="q", servers=servers, dispatch=dispatch),),  # type: ignore[arg-type]
    )


def line(rate: float, *services: tuple[float, float], queues: tuple[int, ...] = ()) -> System:
    """One source through several queues in a row: (mean, cv²) each."""
    order = queues or tuple(range(len(services)))
    return System(
        sources=(Source(name="s", rate_per_second=rate),),
        classes=(
            JobClass(
                source=0,
                visits=tuple(
                    Visit(queue=queue, mean_seconds=mean, cv2=cv2)
                    for queue, (mean, cv2) in zip(order, services, strict=True)
                ),
            ),
        ),
        queues=tuple(Queue(name=f"q{index}") for index in range(max(order) + 1)),
    )


def mixed() -> System:
    """Two sources, splits, batches, delays, replicas of both kinds, and no way back."""
    return System(
        sources=(
            Source(name="a", rate_per_second=0.9),
            Source(name="b", rate_per_second=1.3, arrivals=Renewal(cv2=3.0)),
        ),
        classes=(
            JobClass(
                source=0,
                fraction=0.7,
                visits=(
                    Visit(queue=0, mean_seconds=0.8, cv2=1.0),
                    Visit(queue=None, mean_seconds=2.5),
                    Visit(queue=2, mean_seconds=1.1, cv2=0.3),
                ),
            ),
            JobClass(
                source=0,
                fraction=0.3,
                visits=(Visit(queue=1, mean_seconds=0.5), Visit(queue=2, mean_seconds=0.9)),
            ),
            JobClass(
                source=1,
                batch=3,
                visits=(
                    Visit(queue=1, mean_seconds=0.7),
                    Visit(queue=3, mean_seconds=3.0, cv2=2.0),
                    Visit(queue=4, mean_seconds=0.6, cv2=1.0),
                ),
            ),
        ),
        queues=(
            Queue(name="one"),
            Queue(name="link"),
            Queue(name="three", servers=3, dispatch="random"),
            Queue(name="two", servers=2, dispatch="shared"),
            Queue(name="endless", servers=None),
        ),
    )


def loops() -> System:
    """Jobs that come back: to the same queue, to replicas, and round a circle of queues."""
    return System(
        sources=(
            Source(name="a", rate_per_second=0.5),
            Source(name="b", rate_per_second=0.4),
        ),
        classes=(
            JobClass(
                source=0,
                visits=(
                    Visit(queue=3, mean_seconds=0.9, cv2=1.0),
                    Visit(queue=0, mean_seconds=0.6, cv2=1.0),
                    Visit(queue=None, mean_seconds=0.4),
                    Visit(queue=4, mean_seconds=0.2, cv2=1.0),
                    Visit(queue=1, mean_seconds=0.5),
                    Visit(queue=0, mean_seconds=0.3, cv2=0.5),
                    Visit(queue=5, mean_seconds=0.5, cv2=1.0),
                ),
            ),
            JobClass(
                source=1,
                batch=2,
                visits=(
                    Visit(queue=1, mean_seconds=0.7, cv2=1.0),
                    Visit(queue=2, mean_seconds=1.4, cv2=1.0),
                    Visit(queue=0, mean_seconds=0.8),
                    Visit(queue=2, mean_seconds=1.0, cv2=1.0),
                ),
            ),
        ),
        queues=(
            Queue(name="board"),
            Queue(name="two", servers=2, dispatch="random"),
            Queue(name="three", servers=3, dispatch="shared"),
            Queue(name="before"),
            Queue(name="endless", servers=None),
            Queue(name="after"),
        ),
    )
