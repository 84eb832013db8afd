// Small makers of elements and words. Text is only ever set as text: nothing here reads HTML.

const byId = (id) => document.getElementById(id);

function element(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function drawing(name, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes ?? {})) made.setAttribute(key, value);
  if (text !== undefined) made.textContent = text;
  return made;
}

function scoreText(score, digits = 4) {
  if (score === null) return "–";
  return Math.abs(score) < 100 ? score.toFixed(digits) : score.toPrecision(5);
}

function percentText(share, digits = 1) {
  return share === null ? "–" : `${(100 * share).toFixed(share === 0 ? 0 : digits)}\u00a0%`;
}

const fileName = (card) => card.path.split(/[\\/]/).pop();

// Whether the model's first class is another than the true one.
const mistaken = (card) => card.label !== "" && card.leading.length > 0 && card.leading[0][0] !== card.label;

// Ends of an axis for scores: 0 to 1 where all are probabilities.
function scoreEnds(scores) {
  const known = scores.filter((score) => score !== null);
  const low = known.reduce((least, score) => Math.min(least, score), Infinity);
  const high = known.reduce((most, score) => Math.max(most, score), -Infinity);
  if (known.length === 0 || (low >= 0 && high <= 1)) return [0, 1];
  return high > low ? [low, high] : [low, low + 1];
}

// Whether the model reads less than the whole photo.
function isCropped({ box: [left, top, right, bottom] }) {
  return Math.max(left, top, 1 - right, 1 - bottom) >= 0.005;
}
