// Numbers to what may be said of them.

const sorted = (numbers) => numbers.toSorted((a, b) => a - b)

/** The value below which a share of the numbers lies, between neighbours where it falls so. */
export function quantile(numbers, share) {
  const all = sorted(numbers)
  const place = (all.length - 1) * share
  const below = Math.floor(place)
  return all[below] + (place - below) * ((all[below + 1] ?? all[below]) - all[below])
}

export const median = (numbers) => quantile(numbers, 0.5)

/** Interquartile range as a share of the median. */
export const spread = (numbers) => (quantile(numbers, 0.75) - quantile(numbers, 0.25)) / median(numbers)

/** Error of `simulated` as a share of `real`. */
export const error = ({ real, simulated }) => (simulated - real) / real

/** Spearman's rank correlation of pairs `{ real, simulated }`: Pearson's of the ranks, ties shared. */
export function spearman(pairs) {
  const real = ranks(pairs.map((pair) => pair.real))
  const simulated = ranks(pairs.map((pair) => pair.simulated))
  const middle = (pairs.length + 1) / 2
  const sum = (term) => pairs.reduce((total, _, index) => total + term(real[index] - middle, simulated[index] - middle), 0)
  return sum((a, b) => a * b) / Math.sqrt(sum((a) => a * a) * sum((_, b) => b * b))
}

function ranks(numbers) {
  const order = sorted(numbers)
  return numbers.map((number) => (order.indexOf(number) + order.lastIndexOf(number)) / 2 + 1)
}

/**
 * Of pairs of differences `{ real, simulated, none }`, those where the real one is at least `band` of
 * `none`, and how many of these have the same sign.
 */
export function signs(differences, band) {
  const told = differences.filter(({ real, none }) => Math.abs(real) >= band * none)
  return { of: told.length, agree: told.filter(({ real, simulated }) => Math.sign(real) === Math.sign(simulated)).length }
}
