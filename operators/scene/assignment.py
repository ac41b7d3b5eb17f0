"""Optimal one-to-one assignment (the Hungarian method, by shortest augmenting paths).

After Kuhn (1955) and Jonker and Volgenant (1987): rows enter one by one, each along the cheapest
alternating path under dual prices, which keeps what is assigned optimal. O(rows^2 * columns).
"""

import numpy as np
from numpy.typing import NDArray


def assign(benefit: NDArray[np.float64]) -> tuple[tuple[int, int], ...]:
    """Pairs rows with columns so that the summed benefit is the largest possible.

    Args:
        benefit: (rows, columns) finite; what is not above 0 is never taken.

    Returns:
        (row, column) pairs, ascending by row, every row and every column at most once.

    Raises:
        ValueError: not a matrix of finite numbers.
    """
    if benefit.ndim != 2 or not np.all(np.isfinite(benefit)):
        message = f"benefit must be a finite matrix, not shape {benefit.shape}"
        raise ValueError(message)
    rows, columns = benefit.shape
    if rows > columns:
        return tuple(sorted((row, column) for column, row in assign(benefit.T)))
    # Clipping at 0 makes "leave it alone" as good as any worthless pair; those are dropped below.
    cost = -np.maximum(benefit, 0.0)
    owner = np.full(columns, -1, dtype=np.intp)
    row_price, column_price = np.zeros(rows), np.zeros(columns)
    for row in range(rows):
        _enter(row, cost, owner, row_price, column_price)
    pairs = ((int(owner[column]), column) for column in np.flatnonzero(owner >= 0))
    return tuple(sorted((row, int(column)) for row, column in pairs if benefit[row, column] > 0))


def _enter(
    entering: int,
    cost: NDArray[np.float64],
    owner: NDArray[np.intp],
    row_price: NDArray[np.float64],
    column_price: NDArray[np.float64],
) -> None:
    """Adds one row by the cheapest augmenting path; changes ``owner`` and the prices in place."""
    columns = cost.shape[1]
    distance = np.full(columns, np.inf)
    before = np.full(columns, -1, dtype=np.intp)
    done = np.zeros(columns, dtype=np.bool_)
    row, last, length = entering, -1, 0.0
    while True:
        reach = length + cost[row] - row_price[row] - column_price
        closer = ~done & (reach < distance)
        distance[closer] = reach[closer]
        before[closer] = last
        open_distance = np.where(done, np.inf, distance)
        last = int(np.argmin(open_distance))
        length = float(open_distance[last])
        done[last] = True
        if owner[last] < 0:
            break
        row = int(owner[last])
    settled = np.flatnonzero(done)
    shift = length - distance[settled]
    column_price[settled] -= shift
    taken = owner[settled]
    row_price[taken[taken >= 0]] += shift[taken >= 0]
    row_price[entering] += length
    column = last
    while column >= 0:
        previous = int(before[column])
        owner[column] = entering if previous < 0 else owner[previous]
        column = previous
