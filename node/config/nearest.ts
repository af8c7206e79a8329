/**
 * The candidate that a mistyped word most likely means, or null when none is close.
 *
 * cost     O(candidates × length²), for error messages only
 */
export function nearest(word: string, candidates: Iterable<string>): string | null {
  let best: string | null = null;
  let distanceBest = Math.max(2, Math.ceil(word.length / 3)) + 1;
  for (const candidate of candidates) {
    const distance = editDistance(word.toLowerCase(), candidate.toLowerCase());
    if (distance < distanceBest) {
      best = candidate;
      distanceBest = distance;
    }
  }
  return best;
}

/** Letters to insert, delete, replace or swap with their neighbour to get from one to the other. */
export function editDistance(from: string, to: string): number {
  let twoBack: number[] = [];
  let back = Array.from({ length: to.length + 1 }, (_, at) => at);
  for (let i = 1; i <= from.length; i += 1) {
    const row = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = back[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      let least = Math.min(row[j - 1]! + 1, back[j]! + 1, replaced);
      if (i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]) {
        least = Math.min(least, twoBack[j - 2]! + 1);
      }
      row.push(least);
    }
    twoBack = back;
    back = row;
  }
  return back[to.length]!;
}
