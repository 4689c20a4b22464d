"""CR2 by whole matrices."""

from __future__ import annotations

import numpy as np


def brute(y, x, w, cluster):
    """CR2's covariance and degrees of freedom by n × n matrices, errors of variance 1/w: Bell & McCaffrey 2002."""
    root = np.sqrt(w)
    x = np.column_stack([np.ones(len(y)), x]) * root[:, None]
    bread = np.linalg.inv(x.T @ x)
    left = np.eye(len(y)) - x @ bread @ x.T
    e = left @ (root * y)
    rows, scores = [], []
    for label in np.unique(cluster):
        inside = np.flatnonzero(cluster == label)
        values, vectors = np.linalg.eigh(left[np.ix_(inside, inside)])
        good = values > 1e-9
        inverse_root = (vectors[:, good] / np.sqrt(values[good])) @ vectors[:, good].T
        adjusted = inverse_root @ x[inside] @ bread
        scores.append(adjusted.T @ e[inside])
        rows.append(left[:, inside] @ adjusted)
    vcov = sum(np.outer(s, s) for s in scores)
    df = []
    for j in range(x.shape[1]):
        p = np.column_stack([row[:, j] for row in rows])
        gamma = p.T @ p
        df.append(np.trace(gamma) ** 2 / np.sum(gamma**2))
    return vcov, np.array(df)
