"""Colours spread from strokes as Levin, Lischinski, Weiss 2004 ("Colorization using Optimization") do.

Written from the paper for comparison: neighbours of 3 x 3 pixels, weights by luma and its local variance,
solved exactly.
"""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.sparse import coo_matrix, identity
from scipy.sparse.linalg import spsolve


def spread(
    luma: NDArray[np.float64], chroma: NDArray[np.float64], known: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """luma: (H, W). chroma: (2, H, W), counts where known. Returns (2, H, W)."""
    height, width = luma.shape
    index = np.arange(height * width).reshape(height, width)
    variance = ndimage.uniform_filter(luma**2, 3) - ndimage.uniform_filter(luma, 3) ** 2
    spread_of = np.maximum(0.6 * variance, 2e-6)
    rows, columns, weights = [], [], []
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            if (dy, dx) == (0, 0):
                continue
            here = np.s_[max(0, -dy) : height - max(0, dy), max(0, -dx) : width - max(0, dx)]
            there = np.s_[max(0, dy) : height + min(0, dy), max(0, dx) : width + min(0, dx)]
            rows.append(index[here].ravel())
            columns.append(index[there].ravel())
            alike = np.exp(-((luma[here] - luma[there]) ** 2) / spread_of[here])
            weights.append(np.maximum(alike, 1e-6).ravel())
    row, column, weight = (np.concatenate(parts) for parts in (rows, columns, weights))
    free = ~known.ravel()
    total = np.bincount(row, weight, height * width)
    kept = free[row]
    values = (weight / total[row])[kept]
    around = coo_matrix((values, (row[kept], column[kept])), shape=(height * width,) * 2)
    system = (identity(height * width) - around).tocsc()
    wanted = np.where(known, chroma, 0).reshape(2, -1)
    return np.stack([spsolve(system, plane) for plane in wanted]).reshape(2, height, width)
